/* A workspace run to its end in this process, and every way in which its start fails: nothing stays
 * behind, whatever had been opened by then. */
#include "unit/workspace/rig.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/prctl.h>
#include "base/log.h"
#include "cli/daemon.h"
#include "server/control.h"
#include "workspace/folder.h"
#include "support/process.h"

#define START                                                                                      \
    "source('shop', { driver = 'sqlite', path = 'shop.db' })\n"                                    \
    "channel('out', { type = 'file', path = 'out.jsonl' })\n"                                      \
    "channel('none', { type = 'null' })\n"

static int port;

static int
setup(void **state)
{
    struct log_options quiet = {.level = LOG_ERROR};
    sqlite3 *db;
    int fd;
    if (rig_setup(state) != 0 || log_open(&quiet, NULL) != 0)
        return -1;
    assert_int_equal(mkdir(rig_path("run"), 0700), 0);
    setenv("XDG_RUNTIME_DIR", rig_path("run"), 1);
    port = process_port(&fd);
    close(fd);
    assert_int_equal(sqlite3_open(rig_path("shop.db"), &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "CREATE TABLE orders(id INTEGER PRIMARY KEY)", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    rig_write("tidegate.lua", START);
    rig_write("scripts/a.lua", "rule('all', { on = 'shop:*', notify = { 'out', 'none' } })");
    return 0;
}

static int
teardown(void **state)
{
    prctl(PR_SET_DUMPABLE, 1); /* the leak check reads this process */
    return rig_teardown(state);
}

static int
run(int64_t run_for, void (*ready)(void *, const char *, int64_t, size_t), struct error *err)
{
    struct daemon_options options = {
        .folder = rig_folder, .port = port, .run_for = run_for, .ready = ready};
    return daemon_run(&options, err);
}

static int
ignore_row(void *context, const struct value *row, struct slice json)
{
    (void)row;
    (void)json;
    ++*(size_t *)context;
    return 0;
}

static size_t rows;

/* What anybody else sees while it runs. */
static void
look_around(void *context, const char *folder, int64_t bound, size_t problems)
{
    char found[PATH_MAX];
    struct error err = {0};
    int result = -1;
    (void)context;
    assert_int_equal(bound, port);
    assert_int_equal(problems, 0);
    assert_int_equal(folder_holder(folder), getpid());
    assert_int_equal(daemon_find_port(port, found, sizeof(found), &err), 0);
    assert_string_equal(found, folder);
    assert_int_equal(control_ask(folder, "status", NULL, ignore_row, &rows, &result, &err), 1);
    assert_int_equal(result, 0);
    /* Two at once: the second must not outlive the stop. */
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGINT);
}

static void
it_runs_and_leaves_nothing(void **state)
{
    char found[PATH_MAX];
    struct error err = {0};
    (void)state;
    size_t before = process_descriptors();
    for (int turn = 1; turn <= 2; turn++) {
        rows = 0;
        if (run(0, look_around, &err) != 0)
            fail_msg("%s: %s", err.message, err.cause);
        prctl(PR_SET_DUMPABLE, 1);
        assert_int_equal(rows, 1);
        assert_int_equal(folder_holder(rig_folder), 0);
        assert_int_equal(daemon_find_port(port, found, sizeof(found), &err), -1);
        assert_int_equal(access(rig_path("data/tidegate.sock"), F_OK), -1);
        assert_int_equal(process_descriptors(), before);
    }
    assert_int_equal(run(1000, NULL, &err), 0); /* ends by itself */
}

static void
a_start_that_fails_leaves_nothing(void **state)
{
    static const struct {
        const char *config, *script;
        enum error_class class;
        const char *words;
    } table[] = {
        {"settings({ port = 'x' })", "", ERROR_CONFIG, "tidegate.lua:1"},
        {START "source('b', { driver = 'nope' })\nchannel('c', {})", "", ERROR_CONFIG,
         "and 1 more"},
        {START "settings({ bind = '0.0.0.0' })", "", ERROR_REFUSED, "loopback"},
    };
    (void)state;
    size_t before = process_descriptors();
    for (size_t i = 0; i < countof(table); i++) {
        char text[2300];
        struct error err = {0};
        rig_write("tidegate.lua", table[i].config);
        assert_int_equal(run(1000, NULL, &err), -1);
        prctl(PR_SET_DUMPABLE, 1);
        if (err.class != table[i].class ||
            !strstr(error_text(&err, text, sizeof(text)), table[i].words))
            fail_msg("row %zu: %s", i, error_text(&err, text, sizeof(text)));
        assert_int_equal(folder_holder(rig_folder), 0);
        assert_int_equal(process_descriptors(), before);
    }
}

static void
a_taken_port_or_folder_is_named(void **state)
{
    struct error err = {0};
    int own = port, fd;
    (void)state;
    port = process_port(&fd);
    assert_int_equal(run(1000, NULL, &err), -1);
    assert_int_equal(err.class, ERROR_SYSTEM);
    assert_non_null(strstr(err.message, "is taken by"));
    close(fd);
    port = own;
    assert_int_equal(folder_prepare_data(rig_folder, &err), 0);
    fd = folder_lock(rig_folder, &err);
    assert_true(fd >= 0);
    assert_int_equal(run(1000, NULL, &err), -1);
    assert_int_equal(err.class, ERROR_BUSY);
    folder_unlock(fd);
    assert_int_equal(run(1000, NULL, &err), 0);
}

/* Broken storage, found after some parts were opened and before others. */
static void
broken_storage_is_an_error_not_a_crash(void **state)
{
    static const char *const in_the_way[] = {"data/journal", "data/tidegate.db"};
    struct error err = {0};
    (void)state;
    for (size_t i = 0; i < countof(in_the_way); i++) {
        rig_write(in_the_way[i], "this is neither a folder nor a database, and long enough for it");
        assert_int_equal(run(1000, NULL, &err), -1);
        assert_int_not_equal(err.class, ERROR_NONE);
        assert_int_equal(folder_holder(rig_folder), 0);
        unlink(rig_path(in_the_way[i]));
    }
}

static void
a_port_without_a_daemon_is_unreachable(void **state)
{
    char found[PATH_MAX];
    struct error err = {0};
    (void)state;
    assert_int_equal(daemon_find_port(port, found, sizeof(found), &err), -1);
    assert_int_equal(err.class, ERROR_UNREACHABLE);
    assert_int_equal(chmod(rig_path("run"), 0777), 0);
    assert_int_equal(daemon_find_port(port, found, sizeof(found), &err), -1);
    assert_int_equal(err.class, ERROR_DENIED);
    setenv("XDG_RUNTIME_DIR", "", 1);
    setenv("TMPDIR", rig_folder, 1);
    assert_int_equal(daemon_find_port(port, found, sizeof(found), &err), -1);
    assert_int_equal(err.class, ERROR_UNREACHABLE);
    unsetenv("TMPDIR");
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        with_folder(it_runs_and_leaves_nothing),
        with_folder(a_start_that_fails_leaves_nothing),
        with_folder(a_taken_port_or_folder_is_named),
        with_folder(broken_storage_is_an_error_not_a_crash),
        with_folder(a_port_without_a_daemon_is_unreachable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
