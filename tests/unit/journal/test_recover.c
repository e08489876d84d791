/* What counts after a kill, a power cut, a damaged byte: the right events or a clear error, never a
 * wrong event, never a lost one that was synced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/power.h"
#include "journal/block.h"
#include "support/journal_make.h"

enum { SEGMENT = 16 * 1024, PAGE = 4096, BYTES = 40, LONG_GROUP = 30 };

static struct error err;

static int
setup(void **state)
{
    *state = folder_make("recover");
    err = (struct error){0};
    return 0;
}

static int
teardown(void **state)
{
    folder_remove(*state);
    return 0;
}

static struct journal *
try_open(const char *folder)
{
    struct journal_options options = {folder, SEGMENT, 0};
    return journal_open(&options, &err);
}

static struct journal *
must_open(const char *folder)
{
    struct journal *j = try_open(folder);
    if (!j)
        fail_msg("%s: %s", err.message, err.hint);
    return j;
}

/* Blocks are numbered 1, 2, …; block n has n % 3 events, so every third is a tick. */
static unsigned
events_of(unsigned n)
{
    return n % 3;
}

static uint64_t
newest_after(unsigned n)
{
    uint64_t lsn = 0;
    for (unsigned i = 1; i <= n; i++)
        lsn += events_of(i);
    return lsn;
}

static int
put(struct journal *j, unsigned n, size_t bytes)
{
    struct batch *b = batch_make("shop", n, events_of(n), bytes);
    int result = journal_write(j, b, &err);
    batch_free(b);
    return result;
}

static void
put_group(struct journal *j, unsigned from, unsigned to, size_t bytes)
{
    for (unsigned n = from; n <= to; n++)
        assert_int_equal(put(j, n, bytes), 0);
    assert_int_equal(journal_sync(j, &err), 0);
}

/* How many blocks there are; fails unless they are 1, 2, … and the journal says so. -1: a clear
 * error while reading. */
static int
count_blocks(struct journal *j, size_t bytes)
{
    struct journal_reader *r = journal_reader_open(j);
    struct journal_block block;
    struct journal_source source;
    unsigned n = 0;
    int got;
    while ((got = journal_read(r, &block, &err)) == 1) {
        n++;
        const char *differs = batch_differs(&block, "shop", n, events_of(n), bytes);
        if (differs)
            fail_msg("block %u has another %s", n, differs);
        if (block.first_lsn != newest_after(n - 1) + 1)
            fail_msg("block %u has lsn %lu", n, (unsigned long)block.first_lsn);
    }
    journal_reader_close(r);
    if (got < 0)
        return -1;
    assert_int_equal(journal_newest(j), newest_after(n));
    if (n > 0) {
        char position[32];
        snprintf(position, sizeof(position), "at-%u", n);
        assert_int_equal(journal_source_get(j, "shop", &source), 0);
        assert_int_equal(source.position_size, strlen(position));
        assert_memory_equal(source.position, position, source.position_size);
        free(source.position);
    }
    return (int)n;
}

static void
expect_corrupt(const char *what)
{
    if (err.class != ERROR_CORRUPT)
        fail_msg("%s: class %s: %s", what, error_class_name(err.class), err.message);
    if (!strstr(err.hint, "reset --journal"))
        fail_msg("%s: no way out is named: %s", what, err.hint);
}

/* One file in memory. */
struct image {
    char *name; /* in the folder */
    char *data;
    size_t size;
};

static void
image_read(const char *folder, const char *name, struct image *out)
{
    char path[512];
    struct buffer b;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    buffer_init(&b, 64 << 20);
    assert_int_equal(file_slurp(path, &b, &err), 0);
    out->name = memory_text(name);
    out->data = buffer_take(&b, &out->size);
}

static void
image_write(const char *folder, const struct image *image, size_t size)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, image->name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(image->data, 1, size, file), size);
    fclose(file);
}

static void
image_free(struct image *image)
{
    free(image->name);
    free(image->data);
}

/* The names of segments, by number. */
static int
by_number(const struct dirent **a, const struct dirent **b)
{
    return strcmp(strrchr((*a)->d_name, '-'), strrchr((*b)->d_name, '-'));
}

static int
is_segment(const struct dirent *entry)
{
    return strstr(entry->d_name, ".segment") != NULL;
}

static size_t
list_segments(const char *folder, char names[][64], size_t room)
{
    struct dirent **list;
    int count = scandir(folder, &list, is_segment, by_number);
    assert_in_range(count, 0, room);
    for (int i = 0; i < count; i++) {
        snprintf(names[i], 64, "%.63s", list[i]->d_name);
        free(list[i]);
    }
    free(list);
    return (size_t)count;
}

static void
newest_image(const char *folder, struct image *out)
{
    char names[64][64];
    size_t count = list_segments(folder, names, 64);
    assert_true(count > 0);
    image_read(folder, names[count - 1], out);
}

static void
empty_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[512];
    while ((entry = readdir(dir))) {
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    closedir(dir);
}

/* Groups of blocks 1, 2–4, 5–6 and 7–12, in one segment; `synced` is the file before the last. */
enum { SYNCED = 6, ALL = 12 };

static void
make_groups(const char *folder, size_t bytes, struct image *synced, struct image *whole)
{
    struct journal *j = must_open(folder);
    put_group(j, 1, 1, bytes);
    put_group(j, 2, 4, bytes);
    put_group(j, 5, SYNCED, bytes);
    newest_image(folder, synced);
    put_group(j, SYNCED + 1, ALL, bytes);
    newest_image(folder, whole);
    journal_close(j);
}

static size_t
used(const struct image *image)
{
    size_t end = image->size;
    while (end > 0 && image->data[end - 1] == 0)
        end--;
    return end;
}

/* The first byte in which the two differ: where the last group begins. */
static size_t
difference(const struct image *a, const struct image *b)
{
    size_t i = 0;
    while (a->data[i] == b->data[i])
        i++;
    return i;
}

static void
test_every_flipped_byte(void **state)
{
    const char *folder = *state;
    struct image synced, whole;
    make_groups(folder, BYTES, &synced, &whole);
    size_t end = used(&whole), last = difference(&synced, &whole);
    for (size_t i = 0; i < end + 64; i++) {
        char what[64];
        if (i == 400) /* the rest of the header's page is empty */
            i = PAGE;
        snprintf(what, sizeof(what), "byte %zu of %zu", i, end);
        whole.data[i] ^= (char)(1 << i % 8);
        image_write(folder, &whole, whole.size);
        whole.data[i] ^= (char)(1 << i % 8);
        struct journal *j = try_open(folder);
        if (!j) {
            if (i >= 8 && i < 12 && err.class == ERROR_REFUSED)
                continue; /* "a newer format" is as clear */
            expect_corrupt(what);
            assert_true(i < last);
            continue;
        }
        int count = count_blocks(j, BYTES);
        if (i >= last && i < end ? count < SYNCED || count >= ALL : count != ALL)
            fail_msg("%s: %d blocks", what, count);
        journal_close(j);
    }
    image_free(&synced);
    image_free(&whole);
}

static void
test_every_truncation(void **state)
{
    const char *folder = *state;
    struct image synced, whole;
    make_groups(folder, BYTES, &synced, &whole);
    for (size_t size = 0; size<whole.size; size += size> used(&whole) ? 97 : 1) {
        char what[64];
        snprintf(what, sizeof(what), "%zu bytes", size);
        image_write(folder, &whole, size);
        assert_null(try_open(folder));
        expect_corrupt(what);
    }
    image_write(folder, &whole, whole.size);
    struct journal *j = must_open(folder);
    assert_int_equal(count_blocks(j, BYTES), ALL);
    journal_close(j);
    image_free(&synced);
    image_free(&whole);
}

/* Goes on after a cut at block `count`, with blocks of the same sizes as those cut, and is cut
 * again. */
static void
go_on(const char *folder, int count, size_t bytes)
{
    struct journal *j = must_open(folder);
    put_group(j, (unsigned)count + 1, (unsigned)count + 1, bytes);
    journal_close(j);
    j = must_open(folder);
    assert_int_equal(count_blocks(j, bytes), count + 1);
    put_group(j, (unsigned)count + 2, ALL + 4, bytes);
    journal_close(j);
    j = must_open(folder);
    assert_int_equal(count_blocks(j, bytes), ALL + 4);
    journal_close(j);
}

/* Every subset of the pages of the last group is missing: it ends at some block of that group. */
static void
check_torn(const char *folder, size_t bytes, bool stale)
{
    struct image synced, whole, torn;
    unsigned pages[16], page_count = 0;
    make_groups(folder, bytes, &synced, &whole);
    torn = (struct image){whole.name, memory_alloc(whole.size), whole.size};
    size_t end = used(&synced);
    if (stale) /* what an earlier life of the file left there: blocks that are whole */
        for (size_t at = end; at < synced.size; at++)
            synced.data[at] = synced.data[PAGE + (at - end) % (end - PAGE)];
    for (unsigned page = 0; page < whole.size / PAGE; page++)
        if (memcmp(whole.data + page * PAGE, synced.data + page * PAGE, PAGE) != 0)
            pages[page_count++] = page;
    assert_in_range(page_count, 1, 10);
    for (unsigned subset = 0; subset < 1u << page_count; subset++) {
        memcpy(torn.data, whole.data, torn.size);
        for (unsigned i = 0; i < page_count; i++)
            if (subset & 1u << i)
                memcpy(torn.data + pages[i] * PAGE, synced.data + pages[i] * PAGE, PAGE);
        empty_folder(folder);
        image_write(folder, &torn, torn.size);
        struct journal *j = must_open(folder);
        int count = count_blocks(j, bytes);
        if (count < SYNCED || count > ALL)
            fail_msg("subset %u: %d blocks", subset, count);
        if (subset == (1u << page_count) - 1)
            assert_int_equal(count, SYNCED);
        journal_close(j);
        go_on(folder, count, bytes);
    }
    free(torn.data);
    image_free(&synced);
    image_free(&whole);
}

static void
test_every_torn_group(void **state)
{
    check_torn(*state, 700, false);
}

static void
test_every_torn_group_in_a_used_file(void **state)
{
    check_torn(*state, 700, true);
}

/* 60 blocks in groups of their own, through several segments; nothing else in the folder. */
static struct journal *
many_segments(const char *folder)
{
    struct journal *j = must_open(folder);
    for (unsigned n = 1; n <= 60; n++)
        put_group(j, n, n, 1500);
    while (journal_housekeep(j, &err) == 1)
        ;
    return j;
}

/* A bit of an older segment: found when it is read, and nothing past it is given out. */
/* Bytes from here on cannot be read; 0: all can. */
static int64_t unreadable;

/* In the place of libc's. */
ssize_t
pread(int fd, void *to, size_t size, off_t offset)
{
    if (unreadable && offset + (int64_t)size > unreadable) {
        errno = EIO;
        return -1;
    }
    return (ssize_t)syscall(SYS_pread64, fd, to, size, offset);
}

/* What stands behind a damaged block decides whether it was synced: when that cannot be read,
 * nothing may be cut. */
static void
test_unreadable_behind_damage(void **state)
{
    enum { LARGE = 2 * 1024 * 1024 }; /* more than is read ahead */
    struct journal_options options = {*state, 4 * 1024 * 1024, 0};
    struct journal *j = journal_open(&options, &err);
    struct image image;
    assert_non_null(j);
    put_group(j, 1, 1, LARGE);
    put_group(j, 2, 2, LARGE);
    journal_close(j);
    newest_image(*state, &image);
    char *second = memmem(image.data + PAGE + 1, image.size - PAGE - 1, block_magic, 8);
    assert_non_null(second);
    image.data[PAGE + 1000] ^= 1;
    image_write(*state, &image, image.size);
    assert_null(journal_open(&options, &err));
    assert_int_equal(err.class, ERROR_CORRUPT);
    unreadable = second - image.data;
    j = journal_open(&options, &err);
    unreadable = 0;
    assert_null(j);
    assert_int_equal(err.class, ERROR_IO);
    image_free(&image);
}

static void
test_damage_in_an_older_segment(void **state)
{
    const char *folder = *state;
    char names[64][64];
    struct image old;
    struct journal *j = many_segments(folder);
    journal_close(j);
    assert_true(list_segments(folder, names, 64) > 2);
    image_read(folder, names[0], &old);
    for (size_t i = 0; i < old.size; i += i < PAGE + 400 ? 1 : 53) {
        if (i == 400) /* the rest of the header's page is empty */
            i = PAGE;
        old.data[i] ^= 0x10;
        image_write(folder, &old, old.size);
        old.data[i] ^= 0x10;
        j = try_open(folder);
        if (!j && !(i >= 8 && i < 12 && err.class == ERROR_REFUSED))
            expect_corrupt("opening");
        else if (j && count_blocks(j, 1500) != 60)
            expect_corrupt("reading");
        else if (i >= PAGE && i < used(&old))
            fail_msg("byte %zu went unseen", i);
        journal_close(j);
    }
    image_free(&old);
}

static void
test_missing_segment(void **state)
{
    const char *folder = *state;
    char names[64][64], path[512];
    struct journal *j = many_segments(folder);
    journal_close(j);
    assert_true(list_segments(folder, names, 64) > 2);
    snprintf(path, sizeof(path), "%s/%s", folder, names[1]);
    unlink(path);
    assert_null(try_open(folder));
    expect_corrupt("a segment is gone");
    assert_non_null(strstr(err.message, "lost segment"));
}

static void
test_renamed_and_foreign_segments(void **state)
{
    const char *folder = *state;
    char *other = folder_make("other");
    struct image foreign, own;
    struct journal *j = must_open(other);
    put_group(j, 1, 2, BYTES);
    newest_image(other, &foreign);
    journal_close(j);
    j = many_segments(folder);
    newest_image(folder, &own);
    journal_close(j);
    image_write(folder, &foreign, foreign.size); /* has number 2, as one of ours */
    assert_null(try_open(folder));
    expect_corrupt("a foreign segment");
    own.name[strlen("00000000000000000000-000000000")]++;
    image_write(folder, &own, own.size);
    assert_null(try_open(folder));
    expect_corrupt("a renamed segment");
    image_free(&own);
    image_free(&foreign);
    folder_remove(other);
}

/* A kill in the middle of a reset leaves files of the old journal beside the new one. */
static void
test_leftovers_of_a_reset_go(void **state)
{
    const char *folder = *state;
    char names[64][64];
    struct image old;
    struct journal *j = must_open(folder);
    put_group(j, 1, 4, BYTES);
    newest_image(folder, &old);
    journal_close(j);
    assert_int_equal(journal_reset(folder, newest_after(4), &err), 0);
    image_write(folder, &old, old.size);
    j = must_open(folder);
    assert_int_equal(journal_newest(j), newest_after(4));
    assert_int_equal(journal_oldest(j), newest_after(4) + 1);
    assert_int_equal(list_segments(folder, names, 64), 1);
    journal_close(j);
    image_free(&old);
}

/* A segment whose only group failed to sync, and that a kill kept from being removed. */
static void
test_leftover_of_a_failed_sync_goes(void **state)
{
    const char *folder = *state;
    char names[64][64];
    struct image failed;
    struct journal *j = must_open(folder);
    put_group(j, 1, 4, BYTES);
    assert_int_equal(put(j, 5, 3 * SEGMENT), 0); /* a segment of its own */
    newest_image(folder, &failed);
    journal_abandon(j);
    put_group(j, 5, 6, BYTES);
    while (journal_housekeep(j, &err) == 1)
        ;
    size_t count = list_segments(folder, names, 64);
    journal_close(j);
    image_write(folder, &failed, failed.size);
    j = must_open(folder);
    assert_int_equal(count_blocks(j, BYTES), 6);
    assert_int_equal(list_segments(folder, names, 64), count);
    journal_close(j);
    image_free(&failed);
}

static void
test_stray_files_go(void **state)
{
    const char *folder = *state;
    struct image stray = {"fresh-4", "abc", 3}, spare = {"spare-9", "abc", 3};
    struct image other = {"notes.txt", "abc", 3};
    char path[512];
    image_write(folder, &stray, 3);
    image_write(folder, &spare, 3);
    image_write(folder, &other, 3);
    struct journal *j = must_open(folder);
    put_group(j, 1, 2, BYTES);
    assert_int_equal(count_blocks(j, BYTES), 2);
    journal_close(j);
    snprintf(path, sizeof(path), "%s/fresh-4", folder);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof(path), "%s/spare-9", folder);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof(path), "%s/notes.txt", folder);
    assert_int_equal(access(path, F_OK), 0);
}

static void
test_newer_format_is_refused(void **state)
{
    const char *folder = *state;
    struct image image;
    struct journal *j = must_open(folder);
    put_group(j, 1, 4, BYTES);
    newest_image(folder, &image);
    journal_close(j);
    image.data[8] = JOURNAL_FORMAT + 1;
    image_write(folder, &image, image.size);
    assert_null(try_open(folder));
    assert_int_equal(err.class, ERROR_REFUSED);
    assert_non_null(strstr(err.message, "format 2"));
    assert_true(err.hint[0] != '\0');
    image_free(&image);
}

/* The same damage as a person meets it: reset gives a working journal with higher lsns. */
static void
test_reset_mends_damage(void **state)
{
    const char *folder = *state;
    struct image synced, whole;
    make_groups(folder, BYTES, &synced, &whole);
    size_t places[] = {0, 40, PAGE + 10, difference(&synced, &whole) - 1};
    for (size_t i = 0; i < countof(places); i++) {
        empty_folder(folder);
        whole.data[places[i]] ^= 0x55;
        image_write(folder, &whole, whole.size);
        whole.data[places[i]] ^= 0x55;
        assert_null(try_open(folder));
        expect_corrupt("damage");
        assert_int_equal(journal_reset(folder, 0, &err), 0);
        struct journal *j = must_open(folder);
        assert_true(journal_newest(j) >= newest_after(ALL));
        journal_close(j);
    }
    image_free(&synced);
    image_free(&whole);
}

/* A child writes groups and says what was synced, until it is killed at a fault point on a disk
 * that forgets what was not synced. */
struct kill_case {
    const char *point;
    unsigned passage;
    unsigned seed;
};

noreturn_function static void
write_until_killed(const char *folder, const struct kill_case *c, int acknowledge)
{
    char fault[64], seed[16];
    snprintf(fault, sizeof(fault), "%s:%u", c->point, c->passage);
    snprintf(seed, sizeof(seed), "%u", c->seed);
    setenv("TIDEGATE_FAULT", fault, 1);
    setenv("TIDEGATE_POWER", seed, 1);
    fault_reload();
    power_reload();
    struct journal *j = must_open(folder);
    unsigned n = 0;
    for (unsigned group = 0; group < 200; group++) {
        for (unsigned i = 0; i <= (group % 10 == 9 ? LONG_GROUP : group % 4); i++)
            if (put(j, ++n, 900) != 0)
                _exit(1);
        if (journal_sync(j, &err) != 0 || write(acknowledge, &n, sizeof(n)) != sizeof(n))
            _exit(1);
        if (journal_housekeep(j, &err) < 0)
            _exit(1);
    }
    _exit(0);
}

/* How many blocks the child was told are synced. */
static unsigned
run_child(const char *folder, const struct kill_case *c)
{
    unsigned acknowledged = 0, n;
    int status, pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        write_until_killed(folder, c, pipes[1]);
    close(pipes[1]);
    while (read(pipes[0], &n, sizeof(n)) == sizeof(n))
        acknowledged = n;
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("%s:%u: the child was not killed: %x", c->point, c->passage, status);
    return acknowledged;
}

static void
check_kill(const char *folder, const struct kill_case *c)
{
    unsigned acknowledged = run_child(folder, c);
    struct journal *j = must_open(folder);
    int count = count_blocks(j, 900);
    if (count < (int)acknowledged || count > (int)acknowledged + LONG_GROUP + 1)
        fail_msg("%s:%u seed %u: %u acknowledged, %d there", c->point, c->passage, c->seed,
                 acknowledged, count);
    put_group(j, (unsigned)count + 1, (unsigned)count + 30, 900);
    journal_close(j);
    j = must_open(folder);
    assert_int_equal(count_blocks(j, 900), count + 30);
    journal_close(j);
}

static void
test_kills_on_a_forgetting_disk(void **state)
{
    static const struct kill_case cases[] = {
        {"journal.mid_group", 1, 0},    {"journal.mid_group", 38, 0},
        {"journal.mid_group", 100, 0},  {"journal.before_sync", 1, 0},
        {"journal.before_sync", 2, 0},  {"journal.before_sync", 40, 0},
        {"journal.before_sync", 44, 0}, {"journal.after_sync", 1, 0},
        {"journal.after_sync", 60, 0},  {"segment.prepare", 1, 0},
        {"journal.before_sync", 10, 0}, {"journal.mid_group", 55, 0},
        {"segment.prepare", 4, 0},      {"journal.trim", 1, 0},
    };
    for (size_t i = 0; i < countof(cases); i++)
        for (unsigned seed = 1; seed <= 12; seed++) {
            struct kill_case c = cases[i];
            c.seed = seed + (unsigned)i * 100;
            empty_folder(*state);
            check_kill(*state, &c);
        }
}

/* The same with a writer that never syncs: the proof above must not pass by itself. */
static void
test_kills_catch_a_missing_sync(void **state)
{
    unsigned caught = 0;
    setenv("TIDEGATE_SABOTAGE", "store.synchronous_off", 1);
    for (unsigned seed = 1; seed <= 8; seed++) {
        struct kill_case c = {"journal.before_sync", 12, seed};
        empty_folder(*state);
        unsigned acknowledged = run_child(*state, &c);
        struct journal *j = try_open(*state);
        caught += !j || count_blocks(j, 900) < (int)acknowledged;
        journal_close(j);
    }
    unsetenv("TIDEGATE_SABOTAGE");
    assert_true(caught > 0);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_every_flipped_byte),
        CASE(test_every_truncation),
        CASE(test_every_torn_group),
        CASE(test_every_torn_group_in_a_used_file),
        CASE(test_unreadable_behind_damage),
        CASE(test_damage_in_an_older_segment),
        CASE(test_missing_segment),
        CASE(test_renamed_and_foreign_segments),
        CASE(test_leftovers_of_a_reset_go),
        CASE(test_leftover_of_a_failed_sync_goes),
        CASE(test_stray_files_go),
        CASE(test_newer_format_is_refused),
        CASE(test_reset_mends_damage),
        CASE(test_kills_on_a_forgetting_disk),
        CASE(test_kills_catch_a_missing_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
