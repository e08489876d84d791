#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "support/channel_rig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static int
setup(void **state)
{
    static struct channel_rig rig;
    channel_rig_init(&rig);
    *state = &rig;
    return 0;
}

static int
teardown(void **state)
{
    channel_rig_release(*state);
    return 0;
}

static const char *
content(struct channel_rig *rig, const char *name)
{
    struct buffer text;
    const char *copy;
    buffer_init(&text, 64 << 20);
    assert_int_equal(file_slurp(channel_rig_path(rig, name), &text, &rig->err), 0);
    copy = arena_slice(&rig->arena, buffer_view(&text)).data;
    buffer_release(&text);
    return copy;
}

static void
put(struct channel_rig *rig, const char *name, const char *text)
{
    int fd = open(channel_rig_path(rig, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void
messages_become_lines(void **state)
{
    struct channel_rig *rig = *state;
    struct stat status;
    assert_int_equal(channel_rig_start(rig, "file", "{'path': 'out.jsonl'}"), 0);
    channel_rig_send(rig, MESSAGE_EVENT, "{\"id\":\"shop:1:0\"}", NULL);
    channel_rig_send(rig, MESSAGE_TABLE, "{\"a\":[1,2]}", NULL);
    channel_rig_send(rig, MESSAGE_TEXT, "two\nlines and \"quotes\"", NULL);
    assert_string_equal(content(rig, "out.jsonl"),
                        "{\"id\":\"shop:1:0\"}\n{\"a\":[1,2]}\n"
                        "{\"id\":\"msg_00000000000000000000000000000002\",\"event\":\"shop:1:2\","
                        "\"rule\":\"orders/big\",\"ts\":\"2023-11-14T22:13:20.123458Z\","
                        "\"text\":\"two\\nlines and \\\"quotes\\\"\"}\n");
    assert_int_equal(stat(channel_rig_path(rig, "out.jsonl"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void
a_large_take_is_written_whole(void **state)
{
    struct channel_rig *rig = *state;
    const char *at;
    char body[4096];
    size_t lines = 0;
    for (int i = 0; i < 3000; i++) {
        snprintf(body, sizeof(body), "{\"n\":%d,\"x\":\"%0*d\"}", i, 3000, 0);
        fake_feed_add(rig->feed, MESSAGE_TABLE, body, NULL);
    }
    assert_int_equal(channel_rig_start(rig, "file", "{'path': 'out.jsonl'}"), 0);
    assert_true(fake_feed_wait(rig->feed, 3000));
    for (at = content(rig, "out.jsonl"); *at; at = strchr(at, '\n') + 1) {
        char expected[32];
        snprintf(expected, sizeof(expected), "{\"n\":%zu,", lines++);
        assert_memory_equal(at, expected, strlen(expected));
    }
    assert_int_equal(lines, 3000);
}

static void
unfinished_lines_are_mended(void **state)
{
    static const struct {
        const char *before, *after;
    } cases[] = {
        {"{\"a\":1}\n{\"b\":", "{\"a\":1}\n{}\n"},
        {"{\"a\":1}\n{\"b\":2}", "{\"a\":1}\n{\"b\":2}\n{}\n"},
        {"{\"b\":\"half", "{}\n"},
        {"{", "{}\n"},
        {"somebody's words", "somebody's words\n{}\n"},
        {"{\"a\":1}\n", "{\"a\":1}\n{}\n"},
        {"\n", "\n{}\n"},
        {"", "{}\n"},
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct channel_rig rig;
        channel_rig_init(&rig);
        put(&rig, "out", cases[i].before);
        assert_int_equal(channel_rig_start(&rig, "file", "{'path': 'out'}"), 0);
        assert_int_equal(channel_rig_send(&rig, MESSAGE_TABLE, "{}", NULL).class,
                         CHANNEL_DELIVERED);
        assert_string_equal(content(&rig, "out"), cases[i].after);
        channel_rig_release(&rig);
    }
}

static void
a_long_torn_line_is_cut_too(void **state)
{
    struct channel_rig *rig = *state;
    size_t size = 300000;
    char *text = memory_alloc(size + 1);
    memset(text, 'x', size);
    memcpy(text, "{\"a\":1}\n{\"b\":\"", 15);
    text[size] = '\0';
    put(rig, "out", text);
    free(text);
    assert_int_equal(channel_rig_start(rig, "file", "{'path': 'out'}"), 0);
    channel_rig_send(rig, MESSAGE_TABLE, "{}", NULL);
    assert_string_equal(content(rig, "out"), "{\"a\":1}\n{}\n");
}

static void
write_until_killed(struct channel_rig *rig)
{
    char body[2048];
    for (int i = 0;; i++) {
        snprintf(body, sizeof(body), "{\"n\":%d,\"x\":\"%0*d\"}", i, 1 + i * 37 % 1500, 0);
        fake_feed_add(rig->feed, MESSAGE_TABLE, body, NULL);
        if (i == 0 && channel_rig_start(rig, "file", "{'path': 'out'}") != 0)
            _exit(1);
        channel_poke(rig->channel);
    }
}

static void
check_lines(struct channel_rig *rig)
{
    struct buffer compact;
    buffer_init(&compact, 1 << 20);
    for (const char *at = content(rig, "out"), *end; *at; at = end + 1) {
        end = strchr(at, '\n');
        assert_non_null(end);
        buffer_reset(&compact);
        assert_int_equal(json_compact((struct slice){at, (size_t)(end - at)}, &compact, &rig->err),
                         0);
    }
    buffer_release(&compact);
}

static void
after_kill_9_every_line_is_whole(void **state)
{
    struct channel_rig *rig = *state;
    for (int round = 0; round < 5; round++) {
        struct stat status = {0};
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            write_until_killed(rig);
        for (int tries = 0; tries < 10000 && status.st_size < 100000 * (round + 1); tries++) {
            usleep(200);
            stat(channel_rig_path(rig, "out"), &status);
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        assert_true(status.st_size > 0);
    }
    /* A page that a crash left half written, on top. */
    FILE *file = fopen(channel_rig_path(rig, "out"), "a");
    fputs("{\"n\":9,\"x\":\"00", file);
    fclose(file);
    assert_int_equal(channel_rig_start(rig, "file", "{'path': 'out'}"), 0);
    channel_rig_send(rig, MESSAGE_TABLE, "{\"last\":true}", NULL);
    check_lines(rig);
}

static void
a_file_moved_away_is_begun_anew(void **state)
{
    struct channel_rig *rig = *state;
    assert_int_equal(channel_rig_start(rig, "file", "{'path': 'out'}"), 0);
    channel_rig_send(rig, MESSAGE_TABLE, "{\"n\":1}", NULL);
    assert_int_equal(rename(channel_rig_path(rig, "out"), channel_rig_path(rig, "old")), 0);
    channel_rig_send(rig, MESSAGE_TABLE, "{\"n\":2}", NULL);
    assert_int_equal(unlink(channel_rig_path(rig, "out")), 0);
    channel_rig_send(rig, MESSAGE_TABLE, "{\"n\":3}", NULL);
    assert_int_equal(truncate(channel_rig_path(rig, "out"), 0), 0); /* logrotate's copytruncate */
    channel_rig_send(rig, MESSAGE_TABLE, "{\"n\":4}", NULL);
    assert_string_equal(content(rig, "old"), "{\"n\":1}\n");
    assert_string_equal(content(rig, "out"), "{\"n\":4}\n");
}

/* What stands in the way, and what of the answer must be said. */
static void
what_stands_in_the_way_is_named(void **state)
{
    static const struct {
        const char *path, *says;
        bool as_root;
    } cases[] = {
        {"no/such/folder/out", "make the folder", true},
        {"link", "symbolic link", true},
        {"folder", "directory", true},
        {"locked/out", "Permission denied", false},
        {"/dev/full", "No space left", true},
    };
    struct channel_rig *rig = *state;
    put(rig, "target", "");
    assert_int_equal(symlink("target", channel_rig_path(rig, "link")), 0);
    assert_int_equal(mkdir(channel_rig_path(rig, "folder"), 0700), 0);
    assert_int_equal(mkdir(channel_rig_path(rig, "locked"), 0500), 0);
    for (size_t i = 0; i < countof(cases); i++) {
        struct channel_answer answer;
        if (!cases[i].as_root && geteuid() == 0)
            continue;
        assert_int_equal(
            channel_rig_start(rig, "file",
                              arena_printf(&rig->arena, "{'path': '%s'}", cases[i].path)),
            0);
        answer = channel_rig_send(rig, MESSAGE_TABLE, "{}", NULL);
        assert_int_equal(answer.class, CHANNEL_BROKEN);
        if (!strstr(answer.reason, cases[i].says))
            fail_msg("%s: %s", cases[i].path, answer.reason);
        channel_free(rig->channel);
        rig->channel = NULL;
    }
    assert_string_equal(content(rig, "target"), "");
}

static void
a_broken_channel_recovers_by_itself(void **state)
{
    struct channel_rig *rig = *state;
    assert_int_equal(channel_rig_start(rig, "file", "{'path': 'later/out'}"), 0);
    assert_int_equal(channel_rig_send(rig, MESSAGE_TABLE, "{}", NULL).class, CHANNEL_BROKEN);
    assert_int_equal(mkdir(channel_rig_path(rig, "later"), 0700), 0);
    assert_int_equal(channel_rig_send(rig, MESSAGE_TABLE, "{}", NULL).class, CHANNEL_DELIVERED);
    assert_string_equal(content(rig, "later/out"), "{}\n");
}

static void
a_full_disk_leaves_only_whole_takes(void **state)
{
    struct channel_rig *rig = *state;
    char *disk = channel_rig_path(rig, "disk");
    char body[9000];
    const char *before;
    assert_int_equal(mkdir(disk, 0700), 0);
    /* In a namespace of our own nothing stays mounted, whatever fails. */
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", disk, "tmpfs", 0, "size=64k") != 0) {
        print_message("SKIPPED: no right to mount a small disk\n");
        skip();
    }
    snprintf(body, sizeof(body), "{\"x\":\"%08000d\"}", 0);
    assert_int_equal(channel_rig_start(rig, "file", "{'path': 'disk/out'}"), 0);
    for (int i = 0;; i++) {
        struct channel_answer answer = channel_rig_send(rig, MESSAGE_TABLE, body, NULL);
        assert_true(i < 100);
        if (answer.class == CHANNEL_DELIVERED)
            continue;
        assert_int_equal(answer.class, CHANNEL_BROKEN);
        assert_non_null(strstr(answer.reason, "No space left"));
        break;
    }
    before = content(rig, "disk/out");
    assert_int_equal(before[strlen(before) - 1], '\n');
    assert_int_equal(channel_rig_send(rig, MESSAGE_TABLE, body, NULL).class, CHANNEL_BROKEN);
    assert_int_equal(mount("tmpfs", disk, "tmpfs", MS_REMOUNT, "size=1m"), 0);
    assert_int_equal(channel_rig_send(rig, MESSAGE_TABLE, "{\"last\":1}", NULL).class,
                     CHANNEL_DELIVERED);
    assert_string_equal(content(rig, "disk/out") + strlen(before), "{\"last\":1}\n");
    channel_free(rig->channel);
    rig->channel = NULL;
    assert_int_equal(umount(disk), 0);
}

static void
standard_output_is_for_people(void **state)
{
    struct channel_rig *rig = *state;
    int saved = dup(STDOUT_FILENO), out;
    fflush(stdout);
    out = open(channel_rig_path(rig, "stdout"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(out, STDOUT_FILENO);
    close(out);
    assert_int_equal(channel_rig_start(rig, "file", "{'path': '-'}"), 0);
    channel_rig_send(rig, MESSAGE_TEXT, "order 7\x1b[2J\nforged line \xc2\x9b", NULL);
    channel_rig_send(rig, MESSAGE_TEXT, "\xf0\x9f\x94\x94 bell", NULL);
    channel_rig_send(rig, MESSAGE_EVENT, "{\"a\":\"\xc2\x9b\x7f\xc3\xa9\"}", NULL);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    assert_string_equal(content(rig, "stdout"), "order 7\\x1b[2J\\nforged line \\xc2\\x9b\n"
                                                "\xf0\x9f\x94\x94 bell\n"
                                                "{\"a\":\"\\u009b\\u007f\xc3\xa9\"}\n");
}

static void
a_reader_that_went_away_breaks_standard_output(void **state)
{
    struct channel_rig *rig = *state;
    int saved = dup(STDOUT_FILENO), ends[2];
    struct channel_answer answer;
    fflush(stdout);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[1]);
    close(ends[0]);
    assert_int_equal(channel_rig_start(rig, "file", "{'path': '-'}"), 0);
    answer = channel_rig_send(rig, MESSAGE_TEXT, "x", NULL);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    assert_int_equal(answer.class, CHANNEL_BROKEN);
    assert_non_null(strstr(answer.reason, "standard output"));
}

/* A pipe that nobody empties holds the thread up; stopping gives up after 2 s. */
static void
a_stuck_reader_does_not_stop_the_stop(void **state)
{
    struct channel_rig *rig = *state;
    static char body[200000];
    int64_t start;
    pid_t child = fork();
    int status;
    if (child == 0) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        dup2(ends[1], STDOUT_FILENO);
        memset(body, 'x', sizeof(body) - 1);
        assert_int_equal(channel_rig_start(rig, "file", "{'path': '-'}"), 0);
        fake_feed_add(rig->feed, MESSAGE_TEXT, body, NULL);
        channel_poke(rig->channel);
        while (fake_feed_taken(rig->feed) == 0)
            usleep(1000);
        start = clock_mono();
        channel_stop(rig->channel);
        _exit(clock_mono() - start < 3 * CLOCK_SECOND ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(messages_become_lines),
        with_rig(a_large_take_is_written_whole),
        cmocka_unit_test(unfinished_lines_are_mended),
        with_rig(a_long_torn_line_is_cut_too),
        with_rig(after_kill_9_every_line_is_whole),
        with_rig(a_file_moved_away_is_begun_anew),
        with_rig(what_stands_in_the_way_is_named),
        with_rig(a_broken_channel_recovers_by_itself),
        with_rig(a_full_disk_leaves_only_whole_takes),
        with_rig(standard_output_is_for_people),
        with_rig(a_reader_that_went_away_breaks_standard_output),
        with_rig(a_stuck_reader_does_not_stop_the_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
