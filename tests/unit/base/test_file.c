/* Files that must survive: whole writes and reads, replacing, folders, and what a refusal means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/power.h"
#include "support/journal_make.h"

enum { PAGE = 4096 };

static struct error err;
static char *folder;
static char path[600];

static int
setup(void **state)
{
    (void)state;
    folder = folder_make("file");
    snprintf(path, sizeof(path), "%s/a", folder);
    err = (struct error){0};
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    unsetenv("TIDEGATE_FAULT");
    unsetenv("TIDEGATE_SABOTAGE");
    unsetenv("TIDEGATE_POWER");
    unsetenv("TIDEGATE_FAULT_LOG");
    fault_reload();
    power_reload();
    folder_remove(folder);
    return 0;
}

static int
open_new(const char *name)
{
    int fd = file_open(name, O_RDWR | O_CREAT | O_EXCL, &err);
    assert_true(fd >= 0);
    return fd;
}

static void
test_write_and_read(void **state)
{
    (void)state;
    char back[20] = "";
    int fd = open_new(path);
    struct stat info;
    assert_int_equal(file_write(fd, "hello", 5, 3, path, &err), 0);
    assert_int_equal(file_write(fd, "", 0, 9, path, &err), 0);
    assert_int_equal(file_read(fd, back, sizeof(back), 0, path, &err), 8);
    assert_memory_equal(back, "\0\0\0hello", 8);
    assert_int_equal(file_read(fd, back, 2, 4, path, &err), 2);
    assert_memory_equal(back, "el", 2);
    assert_int_equal(file_read(fd, back, 2, 100, path, &err), 0);
    assert_int_equal(file_sync(fd, path, &err), 0);
    assert_int_equal(file_truncate(fd, 4, path, &err), 0);
    assert_int_equal(fstat(fd, &info), 0);
    assert_int_equal(info.st_size, 4);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    file_close(fd);
    file_close(-1);
}

static void
test_parts(void **state)
{
    (void)state;
    static const struct slice parts[FILE_PARTS] = {
        slice_literal(""),      slice_literal("one "), slice_literal(""),  slice_literal("two "),
        slice_literal("three"), slice_literal(""),     slice_literal("!"), slice_literal(""),
    };
    char back[32];
    int fd = open_new(path);
    assert_int_equal(file_write_parts(fd, parts, FILE_PARTS, 2, path, &err), 0);
    assert_int_equal(file_read(fd, back, sizeof(back), 2, path, &err), 14);
    assert_memory_equal(back, "one two three!", 14);
    file_close(fd);
}

static void
expect_failure(int result, enum error_class class)
{
    assert_int_equal(result, -1);
    if (err.class != class)
        fail_msg("%s: %s", error_class_name(err.class), err.message);
    assert_non_null(strstr(err.message, folder)); /* which file */
    assert_true(err.cause[0] != '\0' || class == ERROR_DATA || strstr(err.message, "stands"));
}

static void
test_refusals(void **state)
{
    (void)state;
    char in_file[640];
    struct buffer out;
    buffer_init(&out, 4);
    snprintf(in_file, sizeof(in_file), "%s/b", path);
    expect_failure(file_open(path, O_RDONLY, &err), ERROR_MISSING);
    expect_failure(file_sync_folder(path, &err), ERROR_MISSING);
    expect_failure(file_slurp(path, &out, &err), ERROR_MISSING);
    expect_failure(file_make_folder(in_file, &err), ERROR_MISSING);
    int fd = open_new(path);
    assert_int_equal(file_write(fd, "hello", 5, 0, path, &err), 0);
    file_close(fd);
    expect_failure(file_slurp(path, &out, &err), ERROR_DATA);
    expect_failure(file_make_folder(path, &err), ERROR_IO);
    expect_failure(file_make_folder(in_file, &err), ERROR_MISSING);
    expect_failure(file_unlink(folder, &err), ERROR_IO);
    expect_failure(file_replace(in_file, slice_literal("x"), &err), ERROR_MISSING);
    fd = file_open(path, O_RDONLY, &err);
    expect_failure(file_write(fd, "x", 1, 0, path, &err), ERROR_IO);
    expect_failure(file_truncate(fd, 1, path, &err), ERROR_IO);
    file_close(fd);
    fd = file_open(path, O_WRONLY, &err);
    char byte;
    expect_failure((int)file_read(fd, &byte, 1, 0, path, &err), ERROR_IO);
    file_close(fd);
    assert_int_equal(file_free_space(in_file, NULL), -1);
    buffer_release(&out);
}

/* A write that does not fit is an error, however much of it did fit. */
static void
test_file_too_large(void **state)
{
    (void)state;
    struct rlimit old, small = {10000, 10000};
    char data[8000] = "x";
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    int fd = open_new(path);
    assert_int_equal(file_write(fd, data, sizeof(data), 0, path, &err), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int result = file_write(fd, data, sizeof(data), sizeof(data), path, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    expect_failure(result, ERROR_FULL);
    file_close(fd);
}

static void
test_slurp_and_replace(void **state)
{
    (void)state;
    struct buffer out;
    char fresh[640];
    static char big[200000];
    memset(big, 'b', sizeof(big));
    buffer_init(&out, sizeof(big));
    assert_int_equal(file_replace(path, (struct slice){big, sizeof(big)}, &err), 0);
    assert_int_equal(file_slurp(path, &out, &err), 0);
    assert_int_equal(out.size, sizeof(big));
    assert_memory_equal(out.data, big, sizeof(big));
    buffer_reset(&out);
    assert_int_equal(file_replace(path, slice_literal("small"), &err), 0);
    buffer_text(&out, "a ");
    assert_int_equal(file_slurp(path, &out, &err), 0);
    assert_true(slice_is(buffer_view(&out), "a small"));
    buffer_reset(&out);
    assert_int_equal(file_replace(path, slice_literal(""), &err), 0);
    assert_int_equal(file_slurp(path, &out, &err), 0);
    assert_int_equal(out.size, 0);
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    assert_int_not_equal(access(fresh, F_OK), 0);
    buffer_release(&out);
}

static void
test_folders(void **state)
{
    (void)state;
    int64_t total = 0;
    struct stat info;
    assert_int_equal(file_make_folder(path, &err), 0);
    assert_int_equal(file_make_folder(path, &err), 0);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(file_sync_folder(path, &err), 0);
    int64_t free_space = file_free_space(path, &total);
    assert_true(free_space > 0 && total >= free_space);
}

static void
test_unlink(void **state)
{
    (void)state;
    file_close(open_new(path));
    assert_int_equal(file_unlink(path, &err), 0);
    assert_int_equal(file_unlink(path, &err), 0);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* The tools of proof. */
static void
set_environment(const char *name, const char *value)
{
    setenv(name, value, 1);
    fault_reload();
}

static void
test_fault_plans(void **state)
{
    (void)state;
    assert_false(fault_fails("journal.trim"));
    set_environment("TIDEGATE_FAULT", "journal.trim:2:error");
    assert_false(fault_fails("journal.mid_group"));
    assert_false(fault_fails("journal.trim"));
    assert_true(fault_fails("journal.trim"));
    assert_false(fault_fails("journal.trim"));
    fault_point("journal.trim");
    set_environment("TIDEGATE_FAULT", "journal.trim:2:errors");
    assert_false(fault_fails("journal.trim"));
    assert_true(fault_fails("journal.trim"));
    assert_true(fault_fails("journal.trim"));
    assert_false(sabotage("source.drop_event"));
    set_environment("TIDEGATE_SABOTAGE", "source.drop_event");
    assert_true(sabotage("source.drop_event"));
    assert_false(sabotage("source.swap_events"));
}

static int
run_child(void (*body)(void))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void
pass_three_times(void)
{
    for (int i = 0; i < 3; i++)
        fault_point("journal.after_sync");
}

static void
refuse_plan(void)
{
    if (!freopen("/dev/null", "w", stderr))
        _exit(1);
    fault_reload();
}

static void
test_fault_kills(void **state)
{
    (void)state;
    struct buffer log;
    char log_path[640];
    snprintf(log_path, sizeof(log_path), "%s/log", folder);
    set_environment("TIDEGATE_FAULT_LOG", log_path);
    set_environment("TIDEGATE_FAULT", "journal.after_sync:4");
    assert_int_equal(run_child(pass_three_times), 0);
    set_environment("TIDEGATE_FAULT", "journal.after_sync:3");
    int status = run_child(pass_three_times);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    buffer_init(&log, 1000);
    assert_int_equal(file_slurp(log_path, &log, &err), 0);
    assert_true(slice_is(buffer_view(&log), "journal.after_sync\n"));
    buffer_release(&log);
}

static void
test_misspelt_plans_end_the_process(void **state)
{
    static const char *const plans[] = {"journal.nowhere:1", "journal.trim",     "journal.trim:0",
                                        "journal.trim:1:",   "journal.trim:1:e", "journal.trim:x"};
    (void)state;
    for (size_t i = 0; i < countof(plans); i++) {
        setenv("TIDEGATE_FAULT", plans[i], 1);
        int status = run_child(refuse_plan);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 64)
            fail_msg("%s: %x", plans[i], status);
    }
    unsetenv("TIDEGATE_FAULT");
    setenv("TIDEGATE_SABOTAGE", "everything", 1);
    assert_int_equal(WEXITSTATUS(run_child(refuse_plan)), 64);
    unsetenv("TIDEGATE_SABOTAGE");
}

/* Sixteen pages synced, then written again; the first half is synced once more; then the power
 * goes. */
static void
write_and_lose(void)
{
    static char old[16 * PAGE], new[16 * PAGE];
    memset(old, 'o', sizeof(old));
    memset(new, 'n', sizeof(new));
    int fd = open_new(path);
    if (file_write(fd, old, sizeof(old), 0, path, &err) != 0 || file_sync(fd, path, &err) != 0 ||
        file_write(fd, new, sizeof(new) / 2, 0, path, &err) != 0 ||
        file_sync(fd, path, &err) != 0 ||
        file_write(fd, new, sizeof(new) / 2, sizeof(new) / 2, path, &err) != 0)
        _exit(1);
    file_close(fd); /* saves nothing */
    fault_point("journal.trim");
}

static void
test_power_cut_loses_what_was_not_synced(void **state)
{
    unsigned lost = 0;
    (void)state;
    set_environment("TIDEGATE_FAULT", "journal.trim:1");
    for (unsigned seed = 1; seed <= 20; seed++) {
        char text[16];
        struct buffer out;
        snprintf(text, sizeof(text), "%u", seed);
        setenv("TIDEGATE_POWER", text, 1);
        power_reload();
        assert_true(WIFSIGNALED(run_child(write_and_lose)));
        buffer_init(&out, 100 * PAGE);
        assert_int_equal(file_slurp(path, &out, &err), 0);
        assert_int_equal(out.size, 16 * PAGE);
        for (size_t i = 0; i < out.size; i++) {
            if (i < 8 * PAGE && out.data[i] != 'n')
                fail_msg("seed %u lost synced byte %zu", seed, i);
            assert_int_equal(out.data[i], out.data[i / PAGE * PAGE]); /* whole pages */
        }
        for (size_t page = 8; page < 16; page++)
            lost += out.data[page * PAGE] == 'o';
        buffer_release(&out);
        assert_int_equal(file_unlink(path, &err), 0);
    }
    assert_in_range(lost, 20, 159);
}

static void
run_sql(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
        _exit(1);
    }
}

/* Rows 1 to 20 are committed, each with a sync unless `synchronous` is off; then the power goes. */
static const char *synchronous;

static void
commit_and_lose(void)
{
    sqlite3 *db;
    char sql[100];
    power_install();
    power_install();
    if (sqlite3_open(path, &db) != SQLITE_OK)
        _exit(1);
    run_sql(db, "PRAGMA journal_mode=WAL");
    run_sql(db, "CREATE TABLE t(n INTEGER PRIMARY KEY, filler)");
    snprintf(sql, sizeof(sql), "PRAGMA synchronous=%s", synchronous);
    run_sql(db, sql);
    for (int i = 0; i < 20; i++) {
        run_sql(db, "INSERT INTO t(filler) VALUES (hex(randomblob(3000)))");
        if (i == 11)
            run_sql(db, "PRAGMA wal_checkpoint(PASSIVE)");
    }
    run_sql(db, "BEGIN");
    run_sql(db, "INSERT INTO t(filler) VALUES (hex(randomblob(3000)))");
    fault_point("journal.trim");
}

/* Rows after the kill; -1 when the file cannot be read. */
static int
rows_after(const char *mode, unsigned seed)
{
    char text[16], wal[640], shm[640];
    sqlite3 *db;
    sqlite3_stmt *statement = NULL;
    int rows = -1;
    snprintf(text, sizeof(text), "%u", seed);
    setenv("TIDEGATE_POWER", text, 1);
    power_reload();
    synchronous = mode;
    assert_true(WIFSIGNALED(run_child(commit_and_lose)));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, "SELECT count(*), count(filler) FROM t", -1, &statement, NULL) ==
            SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        rows = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    snprintf(wal, sizeof(wal), "%s-wal", path);
    snprintf(shm, sizeof(shm), "%s-shm", path);
    unlink(path);
    unlink(wal);
    unlink(shm);
    return rows;
}

static void
test_power_cut_under_sqlite(void **state)
{
    int caught = 0;
    (void)state;
    set_environment("TIDEGATE_FAULT", "journal.trim:1");
    for (unsigned seed = 1; seed <= 8; seed++) {
        assert_int_equal(rows_after("FULL", seed), 20);
        caught += rows_after("OFF", seed) != 20;
    }
    assert_true(caught > 0);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_write_and_read),
        CASE(test_parts),
        CASE(test_refusals),
        CASE(test_file_too_large),
        CASE(test_slurp_and_replace),
        CASE(test_folders),
        CASE(test_unlink),
        CASE(test_fault_plans),
        CASE(test_fault_kills),
        CASE(test_misspelt_plans_end_the_process),
        CASE(test_power_cut_loses_what_was_not_synced),
        CASE(test_power_cut_under_sqlite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
