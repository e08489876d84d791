#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/thread.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct place {
    char folder[256];
    char path[300];
};

static int
setup(void **state)
{
    struct place *p = memory_zero(sizeof(*p));
    const char *tmp = getenv("TMPDIR");
    snprintf(p->folder, sizeof(p->folder), "%s/log-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->path, sizeof(p->path), "%s/log", p->folder);
    *state = p;
    return 0;
}

static void
old_path(const struct place *p, const char *suffix, char out[320])
{
    snprintf(out, 320, "%s%s", p->path, suffix);
}

static int
teardown(void **state)
{
    static const char *const suffixes[] = {"", ".1", ".2", ".3", ".4", ".moved"};
    struct place *p = *state;
    log_close();
    for (size_t i = 0; i < countof(suffixes); i++) {
        char path[320];
        old_path(p, suffixes[i], path);
        unlink(path);
    }
    assert_int_equal(rmdir(p->folder), 0); /* nothing else was left there */
    free(p);
    return 0;
}

/* The content of the log or of an old one, without the times; NULL when it does not exist. The
 * caller frees. */
static char *
content(const struct place *p, const char *suffix)
{
    char path[320], line[20000];
    struct buffer b;
    FILE *file;
    old_path(p, suffix, path);
    file = fopen(path, "r");
    if (!file)
        return NULL;
    buffer_init(&b, 1 << 24);
    while (fgets(line, sizeof(line), file)) {
        char *rest = strstr(line, *line == '{' ? ",\"level\"" : "level=");
        buffer_text(&b, rest ? rest : line);
    }
    fclose(file);
    return buffer_take(&b, NULL);
}

static void
assert_content(const struct place *p, const char *suffix, const char *expected)
{
    char *given = content(p, suffix);
    assert_non_null(given);
    assert_string_equal(given, expected);
    free(given);
}

static void
start(const struct place *p, struct log_options options)
{
    struct error err = {0};
    options.path = p->path;
    assert_int_equal(log_open(&options, &err), 0);
}

static void
logfmt_quotes_what_must_be(void **state)
{
    static const struct {
        const char *message;
        const char *line;
    } rows[] = {
        {"plain", "plain"},           {"two words", "\"two words\""},
        {"a=b", "\"a=b\""},           {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"C:\\dir", "\"C:\\\\dir\""}, {"a\nb", "\"a\\nb\""},
        {"\x1b[2J", "\"\\x1b[2J\""},  {"caf\xc3\xa9", "\"caf\xc3\xa9\""},
        {"\xff", "\"\\xff\""},        {"\xc2\x9bm", "\"\\xc2\\x9bm\""},
    };
    struct place *p = *state;
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char expected[200];
        unlink(p->path);
        start(p, (struct log_options){.level = LOG_INFO});
        log_info("journal", "%s", rows[i].message);
        snprintf(expected, sizeof(expected), "level=info component=journal message=%s\n",
                 rows[i].line);
        assert_content(p, "", expected);
    }
}

static void
json_escapes_what_must_be(void **state)
{
    static const struct {
        const char *message;
        const char *line;
    } rows[] = {
        {"plain", "plain"},  {"say \"hi\"", "say \\\"hi\\\""}, {"C:\\dir", "C:\\\\dir"},
        {"a\nb", "a\\nb"},   {"a\x1b[2J", "a\\\\x1b[2J"},      {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"\xff", "\\\\xff"},
    };
    struct place *p = *state;
    for (size_t i = 0; i < countof(rows); i++) {
        char expected[200];
        unlink(p->path);
        start(p, (struct log_options){.level = LOG_INFO, .json = true});
        log_warning("source/shop", "%s", rows[i].message);
        snprintf(expected, sizeof(expected),
                 ",\"level\":\"warning\",\"component\":\"source/shop\",\"message\":\"%s\"}\n",
                 rows[i].line);
        assert_content(p, "", expected);
    }
}

static void
errors_have_their_fields(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    error_set(&err, ERROR_UNREACHABLE, "connect shop");
    start(p, (struct log_options){.level = LOG_INFO});
    log_failure(LOG_ERROR, "source", &err);
    error_cause(&err, "refused");
    error_hint(&err, "start the server");
    log_failure(LOG_WARNING, "source", &err);
    log_failure(LOG_DEBUG, "source", &err); /* below the level */
    assert_content(p, "",
                   "level=error component=source message=\"connect shop\" class=unreachable\n"
                   "level=warning component=source message=\"connect shop\" class=unreachable "
                   "cause=refused hint=\"start the server\"\n");
}

static int
count_formatting(int *calls)
{
    return ++*calls;
}

static void
levels_are_checked_before_formatting(void **state)
{
    struct place *p = *state;
    int calls = 0;
    start(p, (struct log_options){.level = LOG_WARNING});
    log_info("x", "%d", count_formatting(&calls));
    log_debug("x", "%d", count_formatting(&calls));
    assert_int_equal(calls, 0);
    log_error("x", "%d", count_formatting(&calls));
    assert_content(p, "", "level=error component=x message=1\n");
    start(p, (struct log_options){.level = LOG_DEBUG});
    log_debug("x", "%d", count_formatting(&calls));
    assert_int_equal(calls, 2);
}

static void
lines_begin_with_the_time_in_utc(void **state)
{
    struct place *p = *state;
    char line[200];
    int64_t us, now = clock_now();
    FILE *file;
    start(p, (struct log_options){.level = LOG_INFO});
    log_info("x", "y");
    file = fopen(p->path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    assert_memory_equal(line, "time=", 5);
    assert_int_equal(clock_parse((struct slice){line + 5, 27}, &us), 0);
    assert_in_range(us - now, 0, 60 * CLOCK_SECOND);
    assert_int_equal(line[32], ' ');
}

static void
files_rotate_at_their_size(void **state)
{
    struct place *p = *state;
    char *none;
    /* Each line has some 70 bytes, so each file takes one. */
    start(p, (struct log_options){.level = LOG_INFO, .max_bytes = 100, .keep = 2});
    for (int i = 1; i <= 4; i++)
        log_info("x", "%d", i);
    assert_content(p, "", "level=info component=x message=4\n");
    assert_content(p, ".1", "level=info component=x message=3\n");
    assert_content(p, ".2", "level=info component=x message=2\n");
    none = content(p, ".3");
    assert_null(none);
}

static void
what_stood_in_a_file_counts(void **state)
{
    struct place *p = *state;
    start(p, (struct log_options){.level = LOG_INFO, .max_bytes = 100, .keep = 1});
    log_info("x", "1");
    start(p, (struct log_options){.level = LOG_INFO, .max_bytes = 100, .keep = 1});
    log_info("x", "2");
    assert_content(p, "", "level=info component=x message=2\n");
    assert_content(p, ".1", "level=info component=x message=1\n");
}

static void
keeping_none_starts_anew(void **state)
{
    struct place *p = *state;
    char *none;
    start(p, (struct log_options){.level = LOG_INFO, .max_bytes = 100, .keep = 0});
    log_info("x", "1");
    log_info("x", "2");
    assert_content(p, "", "level=info component=x message=2\n");
    none = content(p, ".1");
    assert_null(none);
}

static void
a_moved_file_is_made_anew(void **state)
{
    struct place *p = *state;
    char moved[320];
    old_path(p, ".moved", moved);
    start(p, (struct log_options){.level = LOG_INFO});
    log_info("x", "1");
    assert_int_equal(rename(p->path, moved), 0);
    log_info("x", "2");
    log_reopen();
    log_info("x", "3");
    assert_content(p, ".moved",
                   "level=info component=x message=1\nlevel=info component=x message=2\n");
    assert_content(p, "", "level=info component=x message=3\n");
}

static void
a_file_that_cannot_be_opened_changes_nothing(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    struct log_options options = {.level = LOG_DEBUG, .path = "/nonexistent/folder/log"};
    start(p, (struct log_options){.level = LOG_INFO});
    assert_int_equal(log_open(&options, &err), -1);
    assert_int_equal(err.class, ERROR_IO);
    assert_non_null(strstr(err.message, "/nonexistent/folder/log"));
    log_debug("x", "1");
    log_info("x", "2");
    assert_content(p, "", "level=info component=x message=2\n");
}

static void
long_messages_are_cut(void **state)
{
    struct place *p = *state;
    char *message = memory_alloc(100001);
    char *given;
    memset(message, '\x01', 100000); /* the worst case: each byte becomes four */
    message[100000] = '\0';
    start(p, (struct log_options){.level = LOG_INFO, .json = true});
    log_info("x", "%s", message);
    log_info("x", "next");
    given = content(p, "");
    assert_true(strlen(given) < 50000);
    assert_non_null(strstr(given, "\"message\":\"next\"}\n"));
    free(given);
    free(message);
}

enum { WRITERS = 4, LINES = 200 };

static void
write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_info("thread", "%s and %d", (const char *)arg, i);
}

static void
lines_of_many_threads_stay_whole(void **state)
{
    struct place *p = *state;
    struct thread threads[WRITERS];
    char *given;
    size_t lines = 0;
    start(p, (struct log_options){.level = LOG_INFO});
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(thread_start(&threads[i], "writer", write_lines, "text", NULL), 0);
    start(p, (struct log_options){.level = LOG_INFO}); /* also while they write */
    for (int i = 0; i < WRITERS; i++)
        thread_join(&threads[i]);
    given = content(p, "");
    for (char *at = given; *at; at = strchr(at, '\n') + 1, lines++)
        assert_memory_equal(at, "level=info component=thread message=\"text and ", 46);
    assert_int_equal(lines, WRITERS * LINES);
    free(given);
}

static void
levels_have_names(void **state)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    enum log_level level;
    (void)state;
    for (size_t i = 0; i < countof(names); i++) {
        assert_int_equal(log_level_parse(slice_of(names[i]), &level), 0);
        assert_int_equal(level, i);
    }
    assert_int_equal(log_level_parse(slice_literal("loud"), &level), -1);
    assert_int_equal(log_level_parse(slice_literal(""), &level), -1);
}

#define log_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        log_test(logfmt_quotes_what_must_be),
        log_test(json_escapes_what_must_be),
        log_test(errors_have_their_fields),
        log_test(levels_are_checked_before_formatting),
        log_test(lines_begin_with_the_time_in_utc),
        log_test(files_rotate_at_their_size),
        log_test(what_stood_in_a_file_counts),
        log_test(keeping_none_starts_anew),
        log_test(a_moved_file_is_made_anew),
        log_test(a_file_that_cannot_be_opened_changes_nothing),
        log_test(long_messages_are_cut),
        log_test(lines_of_many_threads_stay_whole),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
