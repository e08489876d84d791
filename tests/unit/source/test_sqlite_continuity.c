/* What a source may forget, what it must not believe, and what it does when history is broken. */
#include "support/sqlite_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"

static void
open_with_table(struct sqlite_fixture *f, const char *mode)
{
    sqlite_fixture_open(f, mode);
    sqlite_fixture_exec(f, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    sqlite_fixture_start(f);
}

static void
insert_rows(struct sqlite_fixture *f, int count)
{
    sqlite_fixture_exec(f,
                        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                        " INSERT INTO t(a) SELECT i FROM n",
                        count);
}

/* Waits until the log has so many rows. */
static void
until_rows(struct sqlite_fixture *f, int64_t count)
{
    int64_t end = clock_mono() + 20 * CLOCK_SECOND;
    while (sqlite_fixture_int(f, "SELECT count(*) FROM _tidegate_log") != count) {
        assert_true(clock_mono() < end);
        usleep(20000);
    }
}

static void
assert_status(struct sqlite_fixture *f, enum source_state state, const char *text)
{
    struct source_status status;
    sqlite_fixture_until(f, state);
    source_status(f->source, &status);
    if (!strstr(status.error.message, text))
        fail_msg("\"%s\" lacks \"%s\"", status.error.message, text);
}

static void
test_prune_keeps_the_newest(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f, "wal");
    insert_rows(&f, 3500);
    sqlite_fixture_wait(&f, 3500);
    until_rows(&f, 1);
    assert_int_equal(sqlite_fixture_int(&f, "SELECT id FROM _tidegate_log"), 3500);
    sqlite_fixture_stop(&f);
    insert_rows(&f, 2);
    sqlite_fixture_start(&f);
    sqlite_fixture_wait(&f, 3502);
    assert_int_equal(f.sink.events[3500].event.epoch, 1);
    sqlite_fixture_close(&f);
}

/* The journal was reset, the database was not: what the log still holds is read. */
static void
test_new_journal_beside_an_old_log(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f, "wal");
    insert_rows(&f, 20);
    sqlite_fixture_wait(&f, 20);
    until_rows(&f, 1);
    sqlite_fixture_stop(&f);
    insert_rows(&f, 2);
    buffer_reset(&f.sink.position);
    sqlite_fixture_start(&f);
    sqlite_fixture_wait(&f, 23);
    assert_true(slice_is(f.sink.events[20].event.position, "20"));
    assert_true(slice_is(f.sink.events[22].event.position, "22"));
    sqlite_fixture_close(&f);
}

static void
test_prune_only_what_is_durable(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f, "wal");
    f.sink.hold = true;
    insert_rows(&f, 10);
    sqlite_fixture_wait(&f, 10);
    /* Longer than the quiet second after which it would prune. */
    usleep(1500000);
    assert_int_equal(sqlite_fixture_int(&f, "SELECT count(*) FROM _tidegate_log"), 10);
    f.sink.hold = false;
    fake_sink_commit(&f.sink);
    until_rows(&f, 1);
    sqlite_fixture_close(&f);
}

static void
test_prune_above_size_while_busy(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    f.options.prune_above = 1000;
    sqlite_fixture_exec(&f, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    sqlite_fixture_start(&f);
    /* Never a quiet second: 50 rows every few milliseconds. */
    int64_t end = clock_mono() + 20 * CLOCK_SECOND, left;
    for (size_t i = 1;; i++) {
        insert_rows(&f, 50);
        sqlite_fixture_wait(&f, i * 50);
        left = sqlite_fixture_int(&f, "SELECT count(*) FROM _tidegate_log");
        if (i >= 100 && left < 2500)
            break;
        assert_true(clock_mono() < end);
    }
    sqlite_fixture_close(&f);
}

/* Ways to break history while the source is stopped. */
static const struct {
    const char *sql;
    const char *message;
} breaks[] = {
    {"UPDATE _tidegate_log SET c1 = 'other'", "is not the one that was read"},
    {"DELETE FROM _tidegate_log", "is not there any more"},
    {"UPDATE _tidegate_meta SET incarnation = 1", "has another change log"},
    {"DELETE FROM _tidegate_meta", "was emptied"},
    {"DROP TABLE _tidegate_log; DROP TABLE _tidegate_meta; DROP TRIGGER _tidegate_bi_t;"
     "DROP TRIGGER _tidegate_bu_t; DROP TRIGGER _tidegate_ai_t; DROP TRIGGER _tidegate_au_t;"
     "DROP TRIGGER _tidegate_ad_t; DROP TRIGGER _tidegate_ri_t; DROP TRIGGER _tidegate_ru_t",
     "was removed"},
    {"INSERT INTO t(a) VALUES (1), (2), (3); DELETE FROM _tidegate_log WHERE id = 2",
     "were removed by somebody"},
    {"INSERT INTO _tidegate_log(ver, op) VALUES (99, 1)", "unknown table version"},
};

static void
test_broken_history_is_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(breaks); i++) {
        struct sqlite_fixture f;
        open_with_table(&f, "wal");
        insert_rows(&f, 1);
        sqlite_fixture_wait(&f, 1);
        sqlite_fixture_stop(&f);
        sqlite_fixture_exec(&f, breaks[i].sql);
        sqlite_fixture_start_until(&f, SOURCE_LOST);
        assert_status(&f, SOURCE_LOST, breaks[i].message);
        assert_int_equal(f.sink.count, 1);
        sqlite_fixture_close(&f);
    }
}

static void
test_accept_goes_on_behind_a_gap(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(breaks); i++) {
        struct sqlite_fixture f;
        open_with_table(&f, "wal");
        f.plan.common.on_lost = SOURCE_ACCEPT;
        insert_rows(&f, 1);
        sqlite_fixture_wait(&f, 1);
        sqlite_fixture_stop(&f);
        sqlite_fixture_exec(&f, breaks[i].sql);
        if (strstr(breaks[i].sql, "_tidegate_meta SET") ||
            !strstr(breaks[i].sql, "_tidegate_meta")) {
            sqlite_fixture_start(&f);
            const char *json = sqlite_fixture_wait(&f, 2);
            if (!strstr(json, "\"op\":\"gap\"") || !strstr(json, "\"id\":\"shop:2:0-g1\"") ||
                !strstr(json, breaks[i].message))
                fail_msg("%s", json);
            insert_rows(&f, 1);
            json = sqlite_fixture_wait(&f, 3);
            if (!strstr(json, "\"id\":\"shop:2:"))
                fail_msg("%s", json);
            assert_int_equal(f.sink.count, 3);
        }
        sqlite_fixture_close(&f);
    }
}

/* Yesterday's file is put back in the place of the running one. */
static void
test_file_is_replaced(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f, "delete");
    insert_rows(&f, 1);
    sqlite_fixture_wait(&f, 1);
    sqlite_fixture_exec(&f, "VACUUM INTO '%q.old'", f.path);
    insert_rows(&f, 1);
    sqlite_fixture_wait(&f, 2);
    char old[128];
    snprintf(old, sizeof old, "%s.old", f.path);
    assert_int_equal(rename(old, f.path), 0);
    assert_status(&f, SOURCE_LOST, "of the change log");
    sqlite_fixture_close(&f);
}

static void
test_log_removed_while_running(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    struct error err = {0};
    open_with_table(&f, "wal");
    struct source_report report = {0};
    assert_int_equal(source_installed(&f.plan, SOURCE_REMOVE, NULL, false, &report, &err), 0);
    assert_status(&f, SOURCE_LOST, "was removed");
    insert_rows(&f, 3);
    assert_int_equal(sqlite_fixture_int(&f, "SELECT count(*) FROM sqlite_master"
                                            " WHERE name LIKE '\\_tidegate%' ESCAPE '\\'"),
                     0);
    sqlite_fixture_close(&f);
}

/* A log that nobody reads stops at its limit; what it holds is not lost with it. */
static void
test_limit(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    f.options.log_limit = 50;
    sqlite_fixture_exec(&f, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    sqlite_fixture_start(&f);
    sqlite_fixture_stop(&f);
    insert_rows(&f, 100);
    assert_int_equal(sqlite_fixture_int(&f, "SELECT count(*) FROM _tidegate_log"), 50);
    assert_int_equal(sqlite_fixture_int(&f, "SELECT count(*) FROM t"), 100);
    sqlite_fixture_start_until(&f, SOURCE_LOST);
    assert_status(&f, SOURCE_LOST, "reached its limit");
    assert_int_equal(f.sink.count, 50);
    sqlite_fixture_stop(&f);
    f.plan.common.on_lost = SOURCE_ACCEPT;
    sqlite_fixture_start(&f);
    assert_non_null(strstr(sqlite_fixture_wait(&f, 51), "\"op\":\"gap\""));
    insert_rows(&f, 40);
    sqlite_fixture_wait(&f, 91);
    sqlite_fixture_stop(&f);
    insert_rows(&f, 5);
    sqlite_fixture_start(&f);
    sqlite_fixture_wait(&f, 96);
    assert_int_equal(f.sink.events[95].event.epoch, 2);
    sqlite_fixture_close(&f);
}

/* Crashed behind the new incarnation, before its gap was journalled: the gap still comes. */
static void
test_accept_repeated(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f, "wal");
    f.plan.common.on_lost = SOURCE_ACCEPT;
    insert_rows(&f, 1);
    sqlite_fixture_wait(&f, 1);
    sqlite_fixture_stop(&f);
    sqlite_fixture_exec(&f, "UPDATE _tidegate_log SET c1 = 'other'");
    f.sink.full = true;
    sqlite_fixture_start_until(&f, SOURCE_PAUSED);
    insert_rows(&f, 1);
    sqlite_fixture_stop(&f);
    assert_int_equal(f.sink.count, 1);
    f.sink.full = false;
    sqlite_fixture_start(&f);
    assert_non_null(strstr(sqlite_fixture_wait(&f, 2), "\"op\":\"gap\""));
    assert_non_null(strstr(sqlite_fixture_wait(&f, 3), "\"op\":\"insert\""));
    assert_int_equal(f.sink.count, 3);
    sqlite_fixture_close(&f);
}

static void
test_one_owner(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    open_with_table(&f, "wal");
    sqlite_fixture_stop(&f);
    f.plan.workspace_id = "w2";
    sqlite_fixture_start_until(&f, SOURCE_FAILED);
    struct source_status status;
    source_status(f.source, &status);
    assert_int_equal(status.error.class, ERROR_CONFIG);
    assert_non_null(strstr(status.error.message, "source \"shop\" of workspace w1"));
    assert_non_null(strstr(status.error.hint, "tidegate triggers shop remove"));
    sqlite_fixture_close(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prune_keeps_the_newest),
        cmocka_unit_test(test_new_journal_beside_an_old_log),
        cmocka_unit_test(test_prune_only_what_is_durable),
        cmocka_unit_test(test_prune_above_size_while_busy),
        cmocka_unit_test(test_broken_history_is_lost),
        cmocka_unit_test(test_accept_goes_on_behind_a_gap),
        cmocka_unit_test(test_file_is_replaced),
        cmocka_unit_test(test_log_removed_while_running),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_accept_repeated),
        cmocka_unit_test(test_one_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
