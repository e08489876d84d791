/* Writing, groups, segments, trimming, resetting, and what any thread may ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "support/journal_make.h"

enum { SMALL_SEGMENT = 16 * 1024, PLAIN = 300 };

static struct error err;

static int
setup(void **state)
{
    *state = folder_make("journal");
    err = (struct error){0};
    return 0;
}

static int
teardown(void **state)
{
    unsetenv("TIDEGATE_FAULT");
    unsetenv("TIDEGATE_SABOTAGE");
    fault_reload();
    folder_remove(*state);
    return 0;
}

static struct journal *
open_with(const char *folder, int64_t segment, int64_t ring)
{
    struct journal_options options = {folder, segment, ring};
    struct journal *j = journal_open(&options, &err);
    if (!j)
        fail_msg("%s", err.message);
    return j;
}

static struct journal *
open_small(void **state)
{
    return open_with(*state, SMALL_SEGMENT, 0);
}

static int
put(struct journal *j, const char *source, unsigned number, unsigned count, size_t bytes)
{
    struct batch *b = batch_make(source, number, count, bytes);
    int result = journal_write(j, b, &err);
    batch_free(b);
    return result;
}

static void
put_group(struct journal *j, unsigned from, unsigned to)
{
    for (unsigned n = from; n <= to; n++)
        assert_int_equal(put(j, "shop", n, 2, PLAIN), 0);
    assert_int_equal(journal_sync(j, &err), 0);
}

/* Reads all from `lsn` on: blocks `from` to `to` of put_group, and no more. */
static void
expect_blocks(struct journal *j, uint64_t lsn, unsigned from, unsigned to)
{
    struct journal_reader *r = journal_reader_open(j);
    struct journal_block block;
    journal_seek(r, lsn);
    for (unsigned n = from; n <= to; n++) {
        if (journal_read(r, &block, &err) != 1)
            fail_msg("block %u: %s", n, err.message);
        const char *differs = batch_differs(&block, "shop", n, 2, PLAIN);
        if (differs)
            fail_msg("block %u has another %s", n, differs);
    }
    assert_int_equal(journal_read(r, &block, &err), 0);
    journal_reader_close(r);
}

static void
set_fault(const char *fault)
{
    setenv("TIDEGATE_FAULT", fault, 1);
    fault_reload();
}

static unsigned
count_files(const char *folder, const char *part)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    unsigned count = 0;
    assert_non_null(dir);
    while ((entry = readdir(dir)))
        count += strstr(entry->d_name, part) != NULL;
    closedir(dir);
    return count;
}

static void
test_empty(void **state)
{
    struct journal *j = open_small(state);
    assert_int_equal(journal_newest(j), 0);
    assert_int_equal(journal_oldest(j), 1);
    assert_int_equal(strlen(journal_id(j)), 32);
    expect_blocks(j, 0, 1, 0);
    char *id = memory_text(journal_id(j));
    journal_close(j);
    j = open_small(state);
    assert_string_equal(journal_id(j), id);
    free(id);
    journal_close(j);
}

static void
test_group_becomes_visible_at_sync(void **state)
{
    struct journal *j = open_small(state);
    assert_int_equal(put(j, "shop", 1, 2, PLAIN), 0);
    assert_int_equal(put(j, "shop", 2, 2, PLAIN), 0);
    assert_int_equal(journal_newest(j), 0);
    expect_blocks(j, 0, 1, 0);
    assert_int_equal(journal_source_get(j, "shop", &(struct journal_source){0}), -1);
    assert_int_equal(journal_sync(j, &err), 0);
    assert_int_equal(journal_newest(j), 4);
    expect_blocks(j, 0, 1, 2);
    assert_int_equal(journal_sync(j, &err), 0);
    journal_close(j);
}

static void
test_survives_reopening(void **state)
{
    struct journal *j = open_small(state);
    for (unsigned n = 1; n <= 100; n++)
        put_group(j, n, n);
    journal_close(j);
    for (int again = 0; again < 3; again++) {
        j = open_small(state);
        assert_int_equal(journal_newest(j), 200);
        expect_blocks(j, 1, 1, 100);
        expect_blocks(j, 151, 76, 100);
        journal_close(j);
    }
    j = open_small(state);
    put_group(j, 101, 110);
    expect_blocks(j, 1, 1, 110);
    assert_true(count_files(*state, ".segment") > 2);
    journal_close(j);
}

static void
test_sources(void **state)
{
    struct journal *j = open_small(state);
    struct journal_source one, *list;
    assert_int_equal(put(j, "quiet", 7, 1, 10), 0);
    for (unsigned n = 1; n <= 200; n++) /* the quiet one is many segments behind */
        put_group(j, n, n);
    assert_int_equal(put(j, "shop", 201, 0, 0), 0);
    assert_int_equal(journal_sync(j, &err), 0);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(journal_source_get(j, "quiet", &one), 0);
        assert_int_equal(one.lsn, 1);
        assert_int_equal(one.watermark, 7000);
        assert_memory_equal(one.position, "at-7", one.position_size);
        free(one.position);
        assert_int_equal(journal_source_get(j, "shop", &one), 0);
        assert_int_equal(one.lsn, 401);
        assert_int_equal(one.watermark, 201000);
        assert_int_equal(one.epoch, 3);
        free(one.position);
        assert_int_equal(journal_source_list(j, &list), 2);
        free(list[0].position);
        free(list[1].position);
        free(list);
        assert_int_equal(journal_source_get(j, "other", &one), -1);
        journal_close(j);
        j = open_small(state);
    }
    journal_close(j);
}

static void
test_large_block_gets_a_segment_of_its_own(void **state)
{
    struct journal *j = open_small(state);
    struct journal_reader *r = journal_reader_open(j);
    struct journal_block block;
    const size_t large = 5 * 1024 * 1024;
    put_group(j, 1, 1);
    assert_int_equal(put(j, "shop", 2, 3, large), 0);
    assert_int_equal(put(j, "shop", 3, 2, PLAIN), 0);
    assert_int_equal(journal_sync(j, &err), 0);
    for (int again = 0; again < 2; again++) {
        journal_seek(r, 3);
        assert_int_equal(journal_read(r, &block, &err), 1);
        assert_null(batch_differs(&block, "shop", 2, 3, large));
        assert_int_equal(journal_read(r, &block, &err), 1);
        assert_null(batch_differs(&block, "shop", 3, 2, PLAIN));
        assert_int_equal(block.first_lsn, 6);
        journal_reader_close(r);
        journal_close(j);
        j = open_small(state);
        r = journal_reader_open(j);
    }
    journal_reader_close(r);
    journal_close(j);
}

static void
test_abandoned_group_does_not_count(void **state)
{
    struct journal *j = open_small(state);
    put_group(j, 1, 3);
    assert_int_equal(put(j, "shop", 50, 9, PLAIN), 0);
    journal_abandon(j);
    assert_int_equal(journal_sync(j, &err), 0);
    assert_int_equal(journal_newest(j), 6);
    put_group(j, 4, 5);
    expect_blocks(j, 1, 1, 5);
    journal_close(j);
    j = open_small(state);
    expect_blocks(j, 1, 1, 5);
    journal_close(j);
}

/* Fails the group at `fault`, then writes it again: nothing twice, nothing lost. */
static void
check_failure(void **state, const char *fault, unsigned blocks, enum error_class class)
{
    struct journal *j = open_small(state);
    bool failed = false;
    put_group(j, 1, 3);
    set_fault(fault);
    for (unsigned n = 4; n < 4 + blocks && !failed; n++)
        failed = put(j, "shop", n, 2, PLAIN) != 0;
    assert_int_equal(journal_sync(j, &err), -1);
    assert_true(failed || err.class == class);
    assert_int_equal(journal_newest(j), 6);
    expect_blocks(j, 1, 1, 3);
    put_group(j, 4, 3 + blocks);
    expect_blocks(j, 1, 1, 3 + blocks);
    assert_int_equal(journal_housekeep(j, &err) < 0, 0);
    journal_close(j);
    j = open_small(state);
    expect_blocks(j, 1, 1, 3 + blocks);
    put_group(j, 4 + blocks, 80);
    expect_blocks(j, 1, 1, 80);
    journal_close(j);
}

static void
test_failed_sync(void **state)
{
    check_failure(state, "journal.before_sync:1:error", 2, ERROR_IO);
}

static void
test_failed_write(void **state)
{
    check_failure(state, "journal.mid_group:2:error", 3, ERROR_FULL);
}

/* A group that fills several segments is synced in each as it goes; the last of these fails. */
static void
test_failed_sync_of_a_long_group(void **state)
{
    check_failure(state, "journal.before_sync:3:error", 70, ERROR_IO);
}

static void
test_full_disk_at_a_new_segment(void **state)
{
    struct journal *j = open_small(state);
    struct batch *b = batch_make("shop", 2, 2, PLAIN);
    put_group(j, 1, 1);
    set_fault("segment.prepare:1:errors");
    assert_int_equal(put(j, "shop", 9, 1, 4 * SMALL_SEGMENT), -1);
    assert_int_equal(err.class, ERROR_FULL);
    assert_int_equal(journal_write(j, b, &err), -1);
    assert_int_equal(journal_newest(j), 2);
    unsetenv("TIDEGATE_FAULT");
    fault_reload();
    assert_int_equal(journal_write(j, b, &err), 0);
    assert_int_equal(journal_sync(j, &err), 0);
    expect_blocks(j, 1, 1, 2);
    batch_free(b);
    journal_close(j);
}

/* The system's own refusal, not ours: no file may be as large as a segment. */
static void
test_limit_on_file_sizes(void **state)
{
    struct rlimit old, small;
    struct journal *j = open_small(state);
    put_group(j, 1, 3);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = SMALL_SEGMENT + 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int result = put(j, "shop", 9, 1, 4 * SMALL_SEGMENT);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(result, -1);
    assert_int_equal(err.class, ERROR_FULL);
    assert_int_equal(count_files(*state, "fresh-"), 0);
    put_group(j, 4, 8);
    expect_blocks(j, 1, 1, 8);
    journal_close(j);
    j = open_small(state);
    expect_blocks(j, 1, 1, 8);
    journal_close(j);
}

static void
test_trim_whole_segments(void **state)
{
    struct journal *j = open_small(state);
    struct journal_segment_info info;
    uint64_t oldest;
    assert_false(journal_oldest_segment(j, &info));
    put_group(j, 1, 1);
    for (unsigned n = 2; n <= 200; n++)
        put_group(j, n, n);
    assert_true(journal_oldest_segment(j, &info));
    assert_int_equal(info.first_lsn, 1);
    assert_int_equal(info.bytes, SMALL_SEGMENT);
    assert_int_equal(journal_trim(j, info.last_lsn), 1);
    oldest = journal_trim(j, info.last_lsn + 1);
    assert_int_equal(oldest, info.last_lsn + 1);
    assert_int_equal(journal_oldest(j), oldest);
    expect_blocks(j, 1, (unsigned)(oldest / 2) + 1, 200);
    oldest = journal_trim(j, UINT64_MAX);
    assert_true(oldest > 1 && oldest <= 400);
    assert_int_equal(count_files(*state, ".segment"), count_files(*state, "-"));
    while (journal_housekeep(j, &err) == 1)
        ;
    assert_int_equal(count_files(*state, ".segment"), 1);
    assert_int_equal(count_files(*state, "spare-"), 1);
    expect_blocks(j, 1, (unsigned)(oldest / 2) + 1, 200);
    journal_close(j);
    j = open_small(state);
    assert_int_equal(journal_oldest(j), oldest);
    assert_int_equal(journal_newest(j), 400);
    for (unsigned n = 201; n <= 300; n++) /* into the one that was used before */
        put_group(j, n, n);
    assert_int_equal(count_files(*state, "spare-"), 0);
    expect_blocks(j, 1, (unsigned)(oldest / 2) + 1, 300);
    journal_close(j);
    j = open_small(state);
    expect_blocks(j, 1, (unsigned)(oldest / 2) + 1, 300);
    journal_close(j);
}

/* A name that may come back after a power cut must not be that of a file in use. */
static void
test_no_reuse_before_the_folder_is_synced(void **state)
{
    struct journal *j = open_small(state);
    for (unsigned n = 1; n <= 100; n++)
        put_group(j, n, n);
    journal_trim(j, UINT64_MAX);
    set_fault("journal.trim:1:errors");
    while (count_files(*state, ".segment") > 1)
        assert_int_equal(journal_housekeep(j, &err), -1);
    assert_int_equal(count_files(*state, "spare-"), 0);
    set_fault("");
    put_group(j, 101, 200);
    assert_int_equal(journal_newest(j), 400);
    journal_close(j);
}

static void
test_prepare_only_when_needed(void **state)
{
    struct journal *j = open_small(state);
    assert_int_equal(journal_housekeep(j, &err), 0);
    put_group(j, 1, 1);
    assert_int_equal(journal_housekeep(j, &err), 1); /* the empty segment of a new journal goes */
    assert_int_equal(journal_housekeep(j, &err), 0);
    put_group(j, 2, 20);
    assert_int_equal(journal_sweep(j, &err), 0); /* that never prepares */
    assert_int_equal(journal_housekeep(j, &err), 1);
    assert_int_equal(journal_housekeep(j, &err), 0);
    assert_int_equal(count_files(*state, "spare-"), 1);
    put_group(j, 21, 80);
    expect_blocks(j, 1, 1, 80);
    assert_int_equal(count_files(*state, "spare-"), 0);
    set_fault("segment.prepare:1:error");
    assert_int_equal(journal_housekeep(j, &err), -1);
    assert_int_equal(err.class, ERROR_FULL);
    assert_int_equal(count_files(*state, "fresh-"), 0);
    assert_int_equal(journal_housekeep(j, &err), 1);
    journal_close(j);
}

static void
test_reset_never_gives_an_lsn_twice(void **state)
{
    struct journal *j = open_small(state);
    char *id = memory_text(journal_id(j));
    put_group(j, 1, 10);
    journal_close(j);
    assert_int_equal(journal_reset(*state, 0, &err), 0); /* what the files show counts too */
    j = open_small(state);
    assert_string_not_equal(journal_id(j), id);
    assert_int_equal(journal_newest(j), 20);
    assert_int_equal(journal_oldest(j), 21);
    assert_int_equal(journal_source_get(j, "shop", &(struct journal_source){0}), -1);
    expect_blocks(j, 0, 1, 0);
    journal_close(j);
    assert_int_equal(journal_reset(*state, 1000, &err), 0);
    for (int again = 0; again < 2; again++) {
        j = open_small(state);
        assert_int_equal(journal_newest(j), 1000);
        journal_close(j);
    }
    j = open_small(state);
    put_group(j, 1, 2);
    expect_blocks(j, 0, 1, 2);
    assert_int_equal(journal_newest(j), 1004);
    journal_close(j);
    free(id);
}

static void
test_find_time(void **state)
{
    struct journal *j = open_small(state);
    const int64_t start = clock_now();
    for (unsigned n = 1; n <= 200; n++)
        put_group(j, n, n);
    assert_int_equal(journal_find_time(j, 0, &err), 1);
    assert_int_equal(journal_find_time(j, start, &err), 1); /* all were written later */
    assert_int_equal(journal_find_time(j, clock_now() + 1000000, &err), 401);
    struct journal_reader *r = journal_reader_open(j);
    struct journal_block block, earlier;
    journal_seek(r, 99);
    assert_int_equal(journal_read(r, &earlier, &err), 1);
    const int64_t before = earlier.written;
    assert_int_equal(journal_read(r, &block, &err), 1);
    if (block.written > before)
        assert_int_equal(journal_find_time(j, before + 1, &err), 101);
    journal_reader_close(r);
    journal_close(j);
}

static void
test_wakes(void **state)
{
    struct journal *j = open_small(state);
    struct wake wake;
    assert_int_equal(wake_init(&wake, &err), 0);
    journal_subscribe(j, &wake);
    assert_int_equal(put(j, "shop", 1, 1, PLAIN), 0);
    assert_false(wake_wait(&wake, 0));
    assert_int_equal(journal_sync(j, &err), 0);
    assert_true(wake_wait(&wake, 0));
    journal_unsubscribe(j, &wake);
    put_group(j, 2, 2);
    assert_false(wake_wait(&wake, 0));
    wake_release(&wake);
    journal_close(j);
}

static void
test_sabotaged_sync_still_answers(void **state)
{
    struct journal *j = open_small(state);
    setenv("TIDEGATE_SABOTAGE", "store.synchronous_off", 1);
    fault_reload();
    put_group(j, 1, 100);
    expect_blocks(j, 1, 1, 100);
    journal_close(j);
}

static void
test_distance(void **state)
{
    (void)state;
    assert_int_equal(journal_distance(3, 10), 7);
    assert_int_equal(journal_distance(10, 10), 0);
    assert_int_equal(journal_distance(11, 10), 0);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_empty),
        CASE(test_group_becomes_visible_at_sync),
        CASE(test_survives_reopening),
        CASE(test_sources),
        CASE(test_large_block_gets_a_segment_of_its_own),
        CASE(test_abandoned_group_does_not_count),
        CASE(test_failed_sync),
        CASE(test_failed_write),
        CASE(test_failed_sync_of_a_long_group),
        CASE(test_full_disk_at_a_new_segment),
        CASE(test_limit_on_file_sizes),
        CASE(test_trim_whole_segments),
        CASE(test_no_reuse_before_the_folder_is_synced),
        CASE(test_prepare_only_when_needed),
        CASE(test_reset_never_gives_an_lsn_twice),
        CASE(test_find_time),
        CASE(test_wakes),
        CASE(test_sabotaged_sync_still_answers),
        CASE(test_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
