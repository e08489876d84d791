/* Changes of the schema while a source runs: new versions, ddl and gap events, order of triggers.
 */
#include "support/sqlite_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void
assert_holds(const char *json, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!strstr(json, texts[i]))
            fail_msg("%s\nlacks %s", json, texts[i]);
    }
}

#define HOLDS(json, ...)                                                                           \
    assert_holds(json, (const char *const[]){__VA_ARGS__},                                         \
                 countof(((const char *const[]){__VA_ARGS__})))

static void
open_with_table(struct sqlite_fixture *f)
{
    sqlite_fixture_open(f, "wal");
    sqlite_fixture_exec(f, "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT)");
    sqlite_fixture_start(f);
}

static void
test_add_column(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES (1, 'x'); ALTER TABLE t ADD COLUMN b INT");
    sqlite_fixture_settle(&f);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES (2, 'y', 5)");
    HOLDS(sqlite_fixture_wait(&f, 1), "\"new\":{\"id\":1,\"a\":\"x\"}");
    HOLDS(sqlite_fixture_wait(&f, 2), "\"op\":\"ddl\"", "\"kind\":\"alter\"", "\"added\":[\"b\"]",
          "\"removed\":[]", "\"id\":\"shop:1:2-d1\"", "b INT)");
    HOLDS(sqlite_fixture_wait(&f, 3), "\"new\":{\"id\":2,\"a\":\"y\",\"b\":5}",
          "\"id\":\"shop:1:3\"");
    assert_int_equal(f.sink.count, 3);
    sqlite_fixture_close(&f);
}

static void
test_rename_column_and_table(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f);
    sqlite_fixture_exec(&f, "ALTER TABLE t RENAME COLUMN a TO \"z z\"");
    HOLDS(sqlite_fixture_wait(&f, 1), "\"kind\":\"alter\"", "\"added\":[\"z z\"]",
          "\"removed\":[\"a\"]");
    sqlite_fixture_exec(&f, "ALTER TABLE t RENAME TO \"n\"\"ew\"");
    HOLDS(sqlite_fixture_wait(&f, 2), "\"kind\":\"rename\"", "\"table\":\"n\\\"ew\"");
    sqlite_fixture_exec(&f, "INSERT INTO \"n\"\"ew\" VALUES (1, 'x')");
    HOLDS(sqlite_fixture_wait(&f, 3), "\"op\":\"insert\"", "\"table\":\"n\\\"ew\"");
    assert_int_equal(f.sink.count, 3);
    sqlite_fixture_close(&f);
}

static void
test_new_table(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f);
    sqlite_fixture_exec(&f, "CREATE TABLE later(a)");
    HOLDS(sqlite_fixture_wait(&f, 1), "\"op\":\"ddl\"", "\"kind\":\"create\"",
          "\"table\":\"later\"");
    sqlite_fixture_settle(&f);
    sqlite_fixture_exec(&f, "INSERT INTO later VALUES (1)");
    HOLDS(sqlite_fixture_wait(&f, 2), "\"op\":\"insert\"", "\"table\":\"later\"");
    sqlite_fixture_exec(&f, "BEGIN; CREATE TABLE filled(a); INSERT INTO filled VALUES (1); COMMIT");
    HOLDS(sqlite_fixture_wait(&f, 3), "\"kind\":\"create\"", "\"table\":\"filled\"");
    HOLDS(sqlite_fixture_wait(&f, 4), "\"op\":\"gap\"", "\"table\":\"filled\"", "-g1\"",
          "\"reason\":\"table filled had no triggers");
    sqlite_fixture_close(&f);
}

static void
test_create_copy_drop_rename(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f);
    sqlite_fixture_exec(&f, "BEGIN; CREATE TABLE t2(id INTEGER PRIMARY KEY, a INT);"
                            "INSERT INTO t2 SELECT * FROM t; DROP TABLE t;"
                            "ALTER TABLE t2 RENAME TO t; COMMIT");
    HOLDS(sqlite_fixture_wait(&f, 1), "\"kind\":\"alter\"", "\"retyped\":[\"a\"]");
    HOLDS(sqlite_fixture_wait(&f, 2), "\"op\":\"gap\"", "\"table\":\"t\"");
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES (1, 2)");
    HOLDS(sqlite_fixture_wait(&f, 3), "\"op\":\"insert\"", "\"a\":2");
    sqlite_fixture_close(&f);
}

static void
test_drop_table(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES (1, 'x'); DROP TABLE t");
    HOLDS(sqlite_fixture_wait(&f, 1), "\"op\":\"insert\"");
    HOLDS(sqlite_fixture_wait(&f, 2), "\"kind\":\"drop\"", "\"removed\":[\"id\",\"a\"]",
          "\"sql\":null", "\"table\":\"t\"");
    sqlite_fixture_close(&f);
}

/* Dropped while nobody looked: told at the next start. */
static void
test_change_while_stopped(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f);
    sqlite_fixture_stop(&f);
    sqlite_fixture_exec(&f, "ALTER TABLE t ADD COLUMN c; DROP TRIGGER _tidegate_ai_t;"
                            "INSERT INTO t VALUES (1, 'x', 2)");
    sqlite_fixture_start(&f);
    HOLDS(sqlite_fixture_wait(&f, 1), "\"kind\":\"alter\"", "\"added\":[\"c\"]");
    HOLDS(sqlite_fixture_wait(&f, 2), "\"op\":\"gap\"");
    sqlite_fixture_close(&f);
}

/* SQLite fires the newest trigger first: ours are made again behind a user's. */
static void
test_user_trigger_made_later(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f);
    sqlite_fixture_exec(&f, "CREATE TRIGGER touch AFTER UPDATE ON t WHEN NEW.a = 'x' BEGIN"
                            " UPDATE t SET a = 'touched' WHERE id = NEW.id; END");
    sqlite_fixture_settle(&f);
    sqlite_fixture_settle(&f);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES (1, 'w'); UPDATE t SET a = 'x'");
    HOLDS(sqlite_fixture_wait(&f, 2), "\"new\":{\"id\":1,\"a\":\"x\"}");
    HOLDS(sqlite_fixture_wait(&f, 3), "\"old\":{\"id\":1,\"a\":\"x\"}",
          "\"new\":{\"id\":1,\"a\":\"touched\"}");
    assert_int_equal(f.sink.count, 3);
    sqlite_fixture_close(&f);
}

/* An index that is made later brings lookups of its own. */
static void
test_unique_index_made_later(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f);
    sqlite_fixture_exec(&f, "CREATE UNIQUE INDEX later ON t(lower(a)) WHERE a > ''");
    sqlite_fixture_settle(&f);
    sqlite_fixture_settle(&f);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES (1, 'X'); REPLACE INTO t VALUES (2, 'x')");
    HOLDS(sqlite_fixture_wait(&f, 2), "\"op\":\"delete\"", "\"key\":{\"id\":1}");
    HOLDS(sqlite_fixture_wait(&f, 3), "\"op\":\"insert\"", "\"key\":{\"id\":2}");
    sqlite_fixture_close(&f);
}

/* A table that the configuration adds or takes away is no event. */
static void
test_tables_of_the_configuration(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f, "CREATE TABLE t(a); CREATE TABLE u(a); INSERT INTO u VALUES (0)");
    f.tables[0] = "t";
    sqlite_fixture_start(&f);
    sqlite_fixture_stop(&f);
    f.tables[0] = "u";
    sqlite_fixture_start(&f);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES (1); INSERT INTO u VALUES (2)");
    HOLDS(sqlite_fixture_wait(&f, 1), "\"op\":\"insert\"", "\"table\":\"u\"");
    assert_int_equal(sqlite_fixture_int(&f, "SELECT count(*) FROM sqlite_master WHERE type ="
                                            " 'trigger' AND tbl_name = 't'"),
                     0);
    sqlite_fixture_close(&f);
}

/* Rows of many versions in one read, the log widened in between. */
static void
test_many_versions(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f);
    for (int i = 0; i < 20; i++) {
        sqlite_fixture_exec(&f, "INSERT INTO t(a) VALUES ('%d'); ALTER TABLE t ADD COLUMN c%d", i,
                            i);
        sqlite_fixture_wait(&f, 2 * (size_t)i + 2);
    }
    sqlite_fixture_exec(&f, "UPDATE t SET c19 = 'last' WHERE id = 20");
    sqlite_fixture_wait(&f, 41);
    struct event *e = &f.sink.events[40].event;
    assert_int_equal(e->schema->column_count, 22);
    assert_true(slice_is(event_cell(e, EVENT_NEW, 21)->text, "last"));
    assert_int_equal(event_cell(e, EVENT_OLD, 21)->kind, CELL_NULL);
    sqlite_fixture_close(&f);
}

static void
test_vacuum_and_reindex(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES (1, 'x'); VACUUM; REINDEX;"
                            "INSERT INTO t VALUES (2, 'y')");
    HOLDS(sqlite_fixture_wait(&f, 2), "\"op\":\"insert\"", "\"key\":{\"id\":2}");
    sqlite_fixture_settle(&f);
    assert_int_equal(f.sink.count, 2);
    sqlite_fixture_close(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_column),
        cmocka_unit_test(test_rename_column_and_table),
        cmocka_unit_test(test_new_table),
        cmocka_unit_test(test_create_copy_drop_rename),
        cmocka_unit_test(test_drop_table),
        cmocka_unit_test(test_change_while_stopped),
        cmocka_unit_test(test_user_trigger_made_later),
        cmocka_unit_test(test_unique_index_made_later),
        cmocka_unit_test(test_tables_of_the_configuration),
        cmocka_unit_test(test_many_versions),
        cmocka_unit_test(test_vacuum_and_reindex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
