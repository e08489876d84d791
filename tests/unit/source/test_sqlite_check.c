/* What is said about a database that cannot be captured as it is, and the commands check and
 * triggers: one clear message each, with what mends it. */
#include "support/sqlite_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* All that a command reported, one line each. */
struct told {
    struct buffer text;
    int errors, warnings, rows;
};

static void
finding(void *context, enum check_level level, const char *what, const char *mend)
{
    struct told *told = context;
    told->errors += level == CHECK_ERROR;
    told->warnings += level == CHECK_WARNING;
    buffer_printf(&told->text, "%d %s | %s\n", (int)level, what, mend);
}

static void
row(void *context, const char *what, const char *state, const char *sql)
{
    struct told *told = context;
    told->rows++;
    buffer_printf(&told->text, "%s: %s\n%s\n", what, state, sql);
}

static struct source_report
begin(struct told *told)
{
    *told = (struct told){0};
    buffer_init(&told->text, 1 << 24);
    return (struct source_report){told, finding, row};
}

static void
assert_told(struct told *told, const char *text)
{
    if (!strstr(buffer_cstring(&told->text), text))
        fail_msg("lacks %s:\n%s", text, buffer_cstring(&told->text));
}

static void
end(struct told *told)
{
    buffer_release(&told->text);
}

static void
check(struct sqlite_fixture *f, struct told *told)
{
    struct error err = {0};
    struct source_report report = begin(told);
    assert_int_equal(source_check(&f->plan, &report, &err), 0);
}

static int
installed(struct sqlite_fixture *f, struct told *told, enum source_install what, const char *table,
          bool print_only)
{
    struct error err = {0};
    struct source_report report = begin(told);
    int result = source_installed(&f->plan, what, table, print_only, &report, &err);
    if (result != 0)
        buffer_printf(&told->text, "error: %s | %s | %s\n", err.message, err.cause, err.hint);
    return result;
}

/* --- files that are none --- */

static void
make_missing(struct sqlite_fixture *f)
{
    unlink(f->path);
}

static void
make_folder(struct sqlite_fixture *f)
{
    unlink(f->path);
    mkdir(f->path, 0700);
}

static void
write_over(struct sqlite_fixture *f, long at, const char *text)
{
    FILE *file = fopen(f->path, "r+");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    for (int i = 0; i < 200; i++)
        fputs(text, file);
    fclose(file);
}

static void
make_text(struct sqlite_fixture *f)
{
    write_over(f, 0, "this is no database. ");
}

static void
make_corrupt(struct sqlite_fixture *f)
{
    write_over(f, 100, "\xde\xad\xbe\xef");
}

static const struct {
    void (*make)(struct sqlite_fixture *f);
    enum error_class class;
    enum source_state state;
    const char *message, *hint;
} bad[] = {
    {make_missing, ERROR_MISSING, SOURCE_FAILED, "cannot open", "correct `path`"},
    {make_folder, ERROR_CONFIG, SOURCE_FAILED, "is not a file", "must name a SQLite database"},
    {make_text, ERROR_DATA, SOURCE_FAILED, "shop.db", "SQLite 3 database that is not encrypted"},
    {make_corrupt, ERROR_CORRUPT, SOURCE_FAILED, "shop.db", "integrity_check"},
};

static void
test_files_that_cannot_be_captured(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(bad); i++) {
        struct sqlite_fixture f;
        struct source_status status;
        struct told told;
        sqlite_fixture_open(&f, "delete");
        sqlite_fixture_exec(&f, "CREATE TABLE t(a)");
        sqlite3_close(f.db);
        f.db = NULL;
        bad[i].make(&f);
        check(&f, &told);
        assert_int_equal(told.errors, 1);
        assert_told(&told, bad[i].message);
        assert_told(&told, bad[i].hint);
        end(&told);
        sqlite_fixture_start_until(&f, bad[i].state);
        source_status(f.source, &status);
        assert_int_equal(status.error.class, bad[i].class);
        if (!strstr(status.error.message, bad[i].message) ||
            !strstr(status.error.hint, bad[i].hint))
            fail_msg("%s (%s)", status.error.message, status.error.hint);
        sqlite_fixture_stop(&f);
        rmdir(f.path);
        sqlite_fixture_close(&f);
    }
}

static void
test_capture_by_log_is_refused(void **state)
{
    struct sqlite_fixture f;
    struct error err = {0};
    (void)state;
    sqlite_fixture_open(&f, "delete");
    f.plan.common.capture = SOURCE_BY_LOG;
    assert_int_equal(source_plan_check(&f.plan, &err), -1);
    assert_int_equal(err.class, ERROR_CONFIG);
    assert_non_null(strstr(err.message, "has no log of changes"));
    assert_non_null(strstr(err.hint, "by triggers"));
    sqlite_fixture_close(&f);
}

/* Rights do not bind root, so a child looks that has given them up. */
static void
test_files_without_rights(void **state)
{
    static const struct {
        mode_t rights;
        const char *text;
    } rows[] = {{0000, "cannot read and write"}, {0444, "chmod u+rw"}};
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct sqlite_fixture f;
        struct told told;
        int status;
        sqlite_fixture_open(&f, "delete");
        sqlite_fixture_exec(&f, "CREATE TABLE t(a)");
        chmod(f.path, rows[i].rights);
        chmod(f.folder, 0777);
        pid_t child = fork();
        if (child == 0) {
            bool dropped = geteuid() != 0 || setuid(65534) == 0;
            check(&f, &told);
            _exit(!dropped || told.errors != 1 ||
                  !strstr(buffer_cstring(&told.text), rows[i].text));
        }
        waitpid(child, &status, 0);
        assert_int_equal(status, 0);
        sqlite_fixture_close(&f);
    }
}

/* A lock is waited for, for ever, and said meanwhile. */
static void
test_locked(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    struct told told;
    sqlite_fixture_open(&f, "delete");
    sqlite_fixture_exec(&f, "CREATE TABLE t(a); BEGIN EXCLUSIVE");
    check(&f, &told);
    assert_int_equal(told.errors, 1);
    assert_told(&told, "database is locked");
    assert_told(&told, "another process holds a lock");
    end(&told);
    sqlite_fixture_start_until(&f, SOURCE_CONNECTING);
    sqlite_fixture_exec(&f, "COMMIT");
    sqlite_fixture_until(&f, SOURCE_STREAMING);
    sqlite_fixture_close(&f);
}

static void
test_tables_that_need_a_word(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    struct told told;
    sqlite_fixture_open(&f, "delete");
    sqlite_fixture_exec(&f, "CREATE TABLE orders(id INTEGER PRIMARY KEY); CREATE TABLE bare(a);"
                            "CREATE TABLE odd(rowid, oid, _rowid_); CREATE VIEW v AS SELECT 1");
    f.tables[0] = "order";
    f.tables[1] = "v";
    f.tables[2] = "bare";
    f.tables[3] = "odd";
    f.plan.common.tables.count = 4;
    check(&f, &told);
    assert_told(&told, "1 no table matches \"order\"");
    assert_told(&told, "did you mean \"orders\"?");
    assert_told(&told, "1 no table matches \"v\" (views and virtual tables");
    assert_told(&told, "1 table bare has no primary key");
    assert_told(&told, "2 table odd has columns named rowid, oid and _rowid_");
    assert_told(&told, "1 the database is in delete mode");
    assert_told(&told, "PRAGMA journal_mode = WAL");
    assert_told(&told, "triggers shop remove TABLE --sql");
    assert_int_equal(told.errors, 1);
    end(&told);
    /* The others are captured all the same. */
    sqlite_fixture_start(&f);
    sqlite_fixture_exec(&f, "INSERT INTO bare VALUES (1)");
    sqlite_fixture_wait(&f, 1);
    sqlite_fixture_close(&f);
}

static void
test_check_of_a_good_one(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    struct told told;
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    sqlite_fixture_start(&f);
    check(&f, &told);
    assert_int_equal(told.errors + told.warnings, 0);
    assert_told(&told, "triggers of table t: installed");
    end(&told);
    sqlite_fixture_exec(&f, "DROP TRIGGER _tidegate_ad_t");
    sqlite_fixture_stop(&f);
    sqlite_fixture_exec(&f, "CREATE TABLE x(id INTEGER PRIMARY KEY)");
    check(&f, &told);
    assert_told(&told, "1 triggers of table x: missing");
    end(&told);
    sqlite_fixture_close(&f);
}

static void
test_triggers_list_sync_remove(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    struct told told;
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f,
                        "CREATE TABLE \"a\"\"b\"(id INTEGER PRIMARY KEY, x); CREATE TABLE u(a)");
    assert_int_equal(installed(&f, &told, SOURCE_LIST, NULL, false), 0);
    assert_told(&told, "a\"b: missing");
    end(&told);
    /* Printing changes nothing. */
    assert_int_equal(installed(&f, &told, SOURCE_SYNC, NULL, true), 0);
    assert_told(&told, "CREATE TRIGGER \"_tidegate_ai_a\"\"b\" AFTER INSERT ON \"a\"\"b\"");
    assert_told(&told, "CREATE TABLE main._tidegate_log");
    end(&told);
    assert_int_equal(sqlite_fixture_int(&f, "SELECT count(*) FROM sqlite_master"), 2);
    assert_int_equal(installed(&f, &told, SOURCE_SYNC, NULL, false), 0);
    assert_told(&told, "a\"b: installed");
    assert_told(&told, "u: installed");
    end(&told);
    assert_int_equal(installed(&f, &told, SOURCE_REMOVE, "a\"b", true), 0);
    assert_int_equal(told.rows, 7);
    assert_told(&told, "DROP TRIGGER IF EXISTS main.\"_tidegate_ai_a\"\"b\"");
    end(&told);
    assert_int_equal(installed(&f, &told, SOURCE_REMOVE, "a\"b", false), 0);
    end(&told);
    sqlite_fixture_exec(&f, "ALTER TABLE \"a\"\"b\" DROP COLUMN x");
    assert_int_equal(installed(&f, &told, SOURCE_LIST, "a\"b", false), 0);
    assert_told(&told, "a\"b: missing");
    end(&told);
    assert_int_equal(installed(&f, &told, SOURCE_REMOVE, "nope", false), -1);
    assert_told(&told, "there is no table nope");
    end(&told);
    assert_int_equal(installed(&f, &told, SOURCE_REMOVE, NULL, false), 0);
    end(&told);
    assert_int_equal(sqlite_fixture_int(&f, "SELECT count(*) FROM sqlite_master WHERE name LIKE"
                                            " '\\_tidegate%%' ESCAPE '\\'"),
                     0);
    sqlite_fixture_close(&f);
}

/* What was printed is what a person can run by hand. */
static void
test_printed_statements_run(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    struct told told;
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f, "CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE)");
    assert_int_equal(installed(&f, &told, SOURCE_LIST, "t", true), 0);
    const char *sql = strstr(buffer_cstring(&told.text), "CREATE TRIGGER");
    assert_non_null(sql);
    assert_int_equal(sqlite3_exec(f.db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite_fixture_int(&f, "SELECT count(*) FROM sqlite_master WHERE type ="
                                            " 'trigger'"),
                     7);
    end(&told);
    sqlite_fixture_exec(&f, "DROP TABLE t");
    sqlite_fixture_close(&f);
}

static const struct {
    int on_lost, snapshot;
    const char *exclude_column;
    enum error_class class;
    const char *message;
} plans[] = {
    {SOURCE_RESNAPSHOT, 0, "t.a", ERROR_REFUSED, "on_lost = \"resnapshot\""},
    {SOURCE_FAIL, 1, "t.a", ERROR_REFUSED, "snapshot = \"initial\""},
    {SOURCE_FAIL, 0, "card", ERROR_CONFIG, "\"card\" names no table"},
};

static void
test_plans_that_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(plans); i++) {
        struct sqlite_fixture f;
        struct error err = {0};
        const char *columns[] = {plans[i].exclude_column};
        sqlite_fixture_open(&f, "wal");
        f.plan.common.on_lost = plans[i].on_lost;
        f.plan.common.snapshot = plans[i].snapshot;
        f.plan.common.exclude_columns = (struct option_list){columns, 1};
        assert_null(source_new(&f.plan, &err));
        assert_int_equal(err.class, plans[i].class);
        assert_non_null(strstr(err.message, plans[i].message));
        assert_true(err.hint[0] != '\0');
        sqlite_fixture_close(&f);
    }
}

/* Capture of a key column cannot be left out: rows could not be told apart. */
static void
test_excluded_key(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    struct told told;
    const char *columns[] = {"t.id"};
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    f.plan.common.exclude_columns = (struct option_list){columns, 1};
    check(&f, &told);
    assert_told(&told, "2 exclude_columns names the key column id of table t");
    end(&told);
    sqlite_fixture_close(&f);
}

static void
test_patterns(void **state)
{
    static const struct {
        const char *pattern, *table;
        bool wanted;
    } rows[] = {{"*", "t", true},      {"main.*", "t", true},     {"t", "t", true},
                {"T", "t", false},     {"main.t", "t", true},     {"other.t", "t", false},
                {"a.b", "a.b", true},  {"main.a.b", "a.b", true}, {"t?", "t1", true},
                {"[ab]*", "b2", true}, {"", "t", false},          {"\\*", "t", false}};
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *patterns[] = {rows[i].pattern};
        struct source_plan plan = {.name = "s", .driver = &sqlite_source};
        plan.common.tables = (struct option_list){patterns, 1};
        bool wanted = source_wants(&plan, slice_literal("main"), slice_of(rows[i].table));
        if (wanted != rows[i].wanted)
            fail_msg("%s against %s", rows[i].pattern, rows[i].table);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_that_cannot_be_captured),
        cmocka_unit_test(test_capture_by_log_is_refused),
        cmocka_unit_test(test_files_without_rights),
        cmocka_unit_test(test_locked),
        cmocka_unit_test(test_tables_that_need_a_word),
        cmocka_unit_test(test_check_of_a_good_one),
        cmocka_unit_test(test_triggers_list_sync_remove),
        cmocka_unit_test(test_printed_statements_run),
        cmocka_unit_test(test_plans_that_are_refused),
        cmocka_unit_test(test_excluded_key),
        cmocka_unit_test(test_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
