/* From a writer's commit to events in a sink: order, images, names, storage classes, restarts. */
#include "support/sqlite_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <math.h>
#include <cmocka.h>

/* `json` holds every one of the texts. */
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

static const char *const modes[] = {"wal", "delete", "truncate", "persist"};

static void
test_insert_update_delete(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(modes); i++) {
        struct sqlite_fixture f;
        sqlite_fixture_open(&f, modes[i]);
        sqlite_fixture_exec(&f, "CREATE TABLE orders(id INTEGER PRIMARY KEY, status, amount REAL)");
        sqlite_fixture_exec(&f, "INSERT INTO orders VALUES (1, 'before', 1)");
        sqlite_fixture_start(&f);
        sqlite_fixture_exec(&f, "INSERT INTO orders VALUES (7, 'new', 2)");
        sqlite_fixture_exec(&f, "UPDATE orders SET status = 'NEW' WHERE id = 7");
        sqlite_fixture_exec(&f, "DELETE FROM orders WHERE id = 7");
        HOLDS(sqlite_fixture_wait(&f, 1), "\"id\":\"shop:1:1\"", "\"schema\":\"main\"",
              "\"table\":\"orders\"", "\"op\":\"insert\"", "\"key\":{\"id\":7}",
              "\"new\":{\"id\":7,\"status\":\"new\",\"amount\":2.0}", "\"old\":null");
        HOLDS(sqlite_fixture_wait(&f, 2), "\"op\":\"update\"", "\"changed\":[\"status\"]",
              "\"old\":{\"id\":7,\"status\":\"new\",\"amount\":2.0}");
        HOLDS(sqlite_fixture_wait(&f, 3), "\"op\":\"delete\"", "\"new\":null",
              "\"old\":{\"id\":7,\"status\":\"NEW\",\"amount\":2.0}", "\"position\":\"3\"");
        sqlite_fixture_close(&f);
    }
}

static void
test_key_change_and_composite_key(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f, "CREATE TABLE t(a TEXT, b INT, c, PRIMARY KEY (b, a)) WITHOUT ROWID");
    sqlite_fixture_exec(&f, "CREATE TABLE bare(x)");
    sqlite_fixture_start(&f);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES ('k', 1, 'v'); UPDATE t SET b = 2;"
                            "INSERT INTO bare VALUES (1); UPDATE bare SET x = 2");
    HOLDS(sqlite_fixture_wait(&f, 2), "\"key\":{\"b\":2,\"a\":\"k\"}", "\"changed\":[\"b\"]",
          "\"old\":{\"a\":\"k\",\"b\":1,\"c\":\"v\"}");
    const char *json = sqlite_fixture_wait(&f, 4);
    HOLDS(json, "\"table\":\"bare\"", "\"old\":{\"x\":1}");
    assert_null(strstr(json, "\"key\":{\"x\""));
    sqlite_fixture_close(&f);
}

static void
test_hostile_names(void **state)
{
    (void)state;
    static const char *const names[] = {"a\"b",     "; drop table x; --",
                                        "it's",     "<script>alert(1)</script>",
                                        "new",      "old",
                                        "\x1b[31m", "[x]",
                                        "select",   "\xe2\x98\x83 \xf0\x9f\x92\xa5",
                                        "a.b",      "_tidegat",
                                        "%s%n",     "x\ny",
                                        "`tick`"};
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    for (size_t i = 0; i < countof(names); i++)
        sqlite_fixture_exec(&f, "CREATE TABLE \"%w\"(\"%w\" INTEGER PRIMARY KEY, \"%w\" UNIQUE, x)",
                            names[i], names[i], names[(i + 1) % countof(names)]);
    sqlite_fixture_start(&f);
    for (size_t i = 0; i < countof(names); i++) {
        sqlite_fixture_exec(&f, "INSERT INTO \"%w\" VALUES (1, 'a', %Q)", names[i], names[i]);
        sqlite_fixture_exec(&f, "INSERT OR REPLACE INTO \"%w\" VALUES (2, 'a', 2)", names[i]);
        sqlite_fixture_wait(&f, 3 * i + 3);
        struct event *e = &f.sink.events[3 * i + 1].event;
        assert_int_equal(e->op, EVENT_DELETE);
        assert_true(slice_is(e->schema->table, names[i]));
        assert_true(slice_is(e->schema->columns[0].name, names[i]));
        assert_true(slice_is(event_cell(e, EVENT_OLD, 2)->text, names[i]));
    }
    sqlite_fixture_close(&f);
}

/* One row of every storage class that a cell can have, and what must come out. */
static void
insert_classes(struct sqlite_fixture *f)
{
    sqlite3_stmt *row;
    assert_int_equal(sqlite3_prepare_v2(f->db, "INSERT INTO t VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)",
                                        -1, &row, NULL),
                     SQLITE_OK);
    sqlite3_bind_int64(row, 1, INT64_MIN);
    sqlite3_bind_int64(row, 2, INT64_MAX);
    sqlite3_bind_double(row, 3, -INFINITY);
    sqlite3_bind_double(row, 4, 5e-324);
    sqlite3_bind_text(row, 5, "a\0b", 3, SQLITE_STATIC);
    sqlite3_bind_text(row, 6, "\xff\xfe", 2, SQLITE_STATIC);
    sqlite3_bind_blob(row, 7, "\0\1\xff", 3, SQLITE_STATIC);
    sqlite3_bind_zeroblob(row, 8, 0);
    sqlite3_bind_text(row, 9, "", 0, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(row), SQLITE_DONE);
    sqlite3_finalize(row);
}

static void
check_classes(struct event *e, enum event_image image)
{
    const struct row *row = event_row(e, image);
    const struct cell *c = row->cells;
    assert_int_equal(row->count, 9);
    assert_true(c[0].kind == CELL_INT && c[0].integer == INT64_MIN);
    assert_true(c[1].kind == CELL_INT && c[1].integer == INT64_MAX);
    assert_true(c[2].kind == CELL_FLOAT && isinf(c[2].real) && c[2].real < 0);
    assert_true(c[3].kind == CELL_FLOAT && c[3].real == 5e-324);
    assert_true(c[4].kind == CELL_TEXT && slice_equal(c[4].text, (struct slice){"a\0b", 3}));
    assert_true(c[5].kind == CELL_BYTES && slice_equal(c[5].text, (struct slice){"\xff\xfe", 2}));
    assert_true(c[6].kind == CELL_BYTES && slice_equal(c[6].text, (struct slice){"\0\1\xff", 3}));
    assert_true(c[7].kind == CELL_BYTES && c[7].text.size == 0);
    assert_true(c[8].kind == CELL_TEXT && c[8].text.size == 0);
}

static void
test_storage_classes(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f, "CREATE TABLE t(a,b,c,d,e,f,g,h,i); CREATE TABLE r(x REAL, n NUMERIC)");
    sqlite_fixture_start(&f);
    insert_classes(&f);
    sqlite_fixture_exec(&f, "UPDATE t SET a = a; DELETE FROM t; INSERT INTO r VALUES (3, '4.0')");
    sqlite_fixture_wait(&f, 4);
    check_classes(&f.sink.events[0].event, EVENT_NEW);
    check_classes(&f.sink.events[1].event, EVENT_NEW);
    check_classes(&f.sink.events[1].event, EVENT_OLD);
    assert_non_null(strstr(f.sink.events[1].json, "\"op\":\"update\""));
    check_classes(&f.sink.events[2].event, EVENT_OLD);
    HOLDS(f.sink.events[3].json, "\"new\":{\"x\":3.0,\"n\":4}");
    sqlite_fixture_close(&f);
}

/* 'abc' to 'ABC' is a change under NOCASE as well, and so are 1 to 1.0 and text to blob. */
static void
test_changed_by_class_and_bytes(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f, "CREATE TABLE t(a TEXT COLLATE NOCASE, b, c, d)");
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES ('abc', 1, 'x', 5)");
    sqlite_fixture_start(&f);
    sqlite_fixture_exec(&f, "UPDATE t SET a = 'ABC', b = 1.0, c = x'78', d = 5");
    HOLDS(sqlite_fixture_wait(&f, 1), "\"changed\":[\"a\",\"b\",\"c\"]");
    sqlite_fixture_close(&f);
}

static void
test_generated_columns(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f, "CREATE TABLE t(id INTEGER PRIMARY KEY, a,"
                            " v GENERATED ALWAYS AS (a * 2) VIRTUAL UNIQUE, s AS (a + 1) STORED)");
    sqlite_fixture_start(&f);
    sqlite_fixture_exec(&f, "INSERT INTO t(a) VALUES (5); UPDATE t SET a = 6;"
                            "REPLACE INTO t(id, a) VALUES (9, 6)");
    HOLDS(sqlite_fixture_wait(&f, 1), "\"new\":{\"id\":1,\"a\":5,\"v\":10,\"s\":6}");
    HOLDS(sqlite_fixture_wait(&f, 2), "\"changed\":[\"a\",\"v\",\"s\"]");
    HOLDS(sqlite_fixture_wait(&f, 3), "\"op\":\"delete\"",
          "\"old\":{\"id\":1,\"a\":6,\"v\":12,\"s\":7}");
    HOLDS(sqlite_fixture_wait(&f, 4), "\"op\":\"insert\"", "\"key\":{\"id\":9}");
    sqlite_fixture_close(&f);
}

static void
test_utf16_database(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "delete");
    sqlite_fixture_exec(&f, "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t(a, \"\xc3\xa4\")");
    sqlite_fixture_start(&f);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES ('\xe2\x82\xac', x'e282')");
    HOLDS(sqlite_fixture_wait(&f, 1), "\"a\":\"\xe2\x82\xac\"");
    sqlite_fixture_close(&f);
}

static void
test_what_is_never_captured(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f, "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, secret, a);"
                            "CREATE VIEW v AS SELECT a FROM t; CREATE TABLE skipped(a);"
                            "CREATE VIRTUAL TABLE words USING fts5(a); CREATE TEMP TABLE mine(a)");
    const char *exclude[] = {"main.skip*"}, *columns[] = {"t.sec*"};
    f.plan.common.exclude = (struct option_list){exclude, 1};
    f.plan.common.exclude_columns = (struct option_list){columns, 1};
    sqlite_fixture_start(&f);
    sqlite_fixture_exec(&f, "INSERT INTO skipped VALUES (1); INSERT INTO words VALUES ('x');"
                            "INSERT INTO mine VALUES (1);"
                            "INSERT INTO t(secret, a) VALUES ('hidden', 1)");
    const char *json = sqlite_fixture_wait(&f, 1);
    HOLDS(json, "\"table\":\"t\"", "\"new\":{\"id\":1,\"a\":1}");
    assert_int_equal(sqlite_fixture_int(&f, "SELECT count(*) FROM _tidegate_log"), 1);
    assert_int_equal(sqlite_fixture_int(&f, "SELECT count(*) FROM sqlite_master WHERE type ="
                                            " 'trigger' AND tbl_name <> 't'"),
                     0);
    sqlite_fixture_close(&f);
}

static void
test_rules_name_the_tables(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    const char *named[] = {"main.or*"};
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f, "CREATE TABLE orders(a); CREATE TABLE other(a)");
    f.plan.common.tables.count = 0;
    f.plan.rule_tables = named;
    f.plan.rule_table_count = 1;
    sqlite_fixture_start(&f);
    sqlite_fixture_exec(&f, "INSERT INTO other VALUES (1); INSERT INTO orders VALUES (1)");
    HOLDS(sqlite_fixture_wait(&f, 1), "\"table\":\"orders\"");
    sqlite_fixture_close(&f);
}

/* The writer sees nothing of the triggers. */
static void
test_writer_is_undisturbed(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f, "CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE)");
    sqlite_fixture_start(&f);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES (40, 1), (41, 2)");
    sqlite_fixture_exec(&f, "INSERT OR REPLACE INTO t VALUES (42, 1)");
    assert_int_equal(sqlite3_last_insert_rowid(f.db), 42);
    assert_int_equal(sqlite3_changes(f.db), 1);
    sqlite_fixture_exec(&f, "DELETE FROM t");
    assert_int_equal(sqlite3_changes(f.db), 2);
    sqlite_fixture_wait(&f, 6);
    sqlite_fixture_close(&f);
}

static void
test_restart_goes_on(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f, "CREATE TABLE t(a)");
    sqlite_fixture_start(&f);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES (1)");
    sqlite_fixture_wait(&f, 1);
    sqlite_fixture_stop(&f);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES (2)");
    sqlite_fixture_start(&f);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES (3)");
    HOLDS(sqlite_fixture_wait(&f, 3), "\"a\":3", "\"id\":\"shop:1:3\"");
    HOLDS(f.sink.events[1].json, "\"a\":2", "\"id\":\"shop:1:2\"");
    assert_int_equal(f.sink.count, 3);
    sqlite_fixture_close(&f);
}

/* Killed before anything was journalled: what came after the triggers were made is not lost. */
static void
test_first_start_repeated(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f, "CREATE TABLE t(a)");
    f.sink.full = true;
    sqlite_fixture_start_until(&f, SOURCE_STREAMING);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES (1)");
    sqlite_fixture_until(&f, SOURCE_PAUSED);
    sqlite_fixture_stop(&f);
    f.sink.full = false;
    sqlite_fixture_start(&f);
    HOLDS(sqlite_fixture_wait(&f, 1), "\"a\":1");
    sqlite_fixture_close(&f);
}

static void
test_full_sink_pauses(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f, "CREATE TABLE t(a)");
    sqlite_fixture_start(&f);
    fake_sink_set_full(&f.sink, true);
    sqlite_fixture_exec(&f, "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
                            " INSERT INTO t SELECT i || 'x' || hex(zeroblob(200)) FROM n");
    sqlite_fixture_until(&f, SOURCE_PAUSED);
    fake_sink_set_full(&f.sink, false);
    sqlite_fixture_wait(&f, 5000);
    sqlite_fixture_until(&f, SOURCE_STREAMING);
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(atoi(event_cell(&f.sink.events[i].event, EVENT_NEW, 0)->text.data), i + 1);
    sqlite_fixture_close(&f);
}

static void
test_paused_by_a_person(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f, "CREATE TABLE t(a)");
    sqlite_fixture_start(&f);
    source_pause(f.source, true);
    sqlite_fixture_until(&f, SOURCE_PAUSED);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES (1)");
    assert_int_equal(f.sink.count, 0);
    source_pause(f.source, false);
    sqlite_fixture_wait(&f, 1);
    sqlite_fixture_close(&f);
}

static void
test_row_above_max_row(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    f.plan.common.max_row = 4096;
    sqlite_fixture_exec(&f, "CREATE TABLE t(id INTEGER PRIMARY KEY, big, small)");
    sqlite_fixture_start(&f);
    sqlite_fixture_exec(&f, "INSERT INTO t VALUES (1, zeroblob(9000), 'kept')");
    HOLDS(sqlite_fixture_wait(&f, 1), "\"unknown\":[\"big\"]", "\"small\":\"kept\"");
    sqlite_fixture_close(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_insert_update_delete),
        cmocka_unit_test(test_key_change_and_composite_key),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_storage_classes),
        cmocka_unit_test(test_changed_by_class_and_bytes),
        cmocka_unit_test(test_generated_columns),
        cmocka_unit_test(test_utf16_database),
        cmocka_unit_test(test_what_is_never_captured),
        cmocka_unit_test(test_rules_name_the_tables),
        cmocka_unit_test(test_writer_is_undisturbed),
        cmocka_unit_test(test_restart_goes_on),
        cmocka_unit_test(test_first_start_repeated),
        cmocka_unit_test(test_full_sink_pauses),
        cmocka_unit_test(test_paused_by_a_person),
        cmocka_unit_test(test_row_above_max_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
