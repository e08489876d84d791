/* Random tables, indexes, foreign keys, user triggers and statements; after each run the change log
 * must tell exactly what the writer did: every row change once, with both images, in order. RUNS
 * and SEED come from the environment. */
#include "support/sqlite_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "source/sqlite/changelog.h"
#include "source/sqlite/sqlite.h"
#include "source/sqlite/trigger.h"

#define TABLES 2

static uint64_t random_state;

static unsigned
pick(unsigned n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % n;
}

/* True once in n. */
static bool
chance(unsigned n)
{
    return pick(n) == 0;
}

static const char *
one_of(const char *const *list, size_t count)
{
    return list[pick((unsigned)count)];
}

#define ONE_OF(...)                                                                                \
    one_of((const char *const[]){__VA_ARGS__}, countof(((const char *const[]){__VA_ARGS__})))

struct run {
    sqlite3 *db;
    struct ledger ledger;
    struct source_plan plan;
    struct buffer sql; /* everything that was run, for the report */
    bool ordered;      /* no foreign keys: the total order must agree */
    const char *names[TABLES];
};

static void
say(struct run *r, const char *sql)
{
    buffer_printf(&r->sql, "%s;\n", sql);
}

static void
must(struct run *r, const char *sql)
{
    say(r, sql);
    char *message = NULL;
    if (sqlite3_exec(r->db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s\n%s", message, buffer_cstring(&r->sql));
}

/* --- tables --- */

static const char *const hostile[TABLES] = {"t\"; drop table x; --", "new"};
static const char *const plain[TABLES] = {"first", "second"};

static char *
quoted(const char *name)
{
    return sqlite3_mprintf("\"%w\"", name);
}

/* Rows of one table do not refer to each other: a row whose own update makes a foreign key change
 * or delete it as well has no order that a trigger could see. */
static const char *
random_parent(int n)
{
    if (n == 0)
        return ", parent";
    return ONE_OF(", parent REFERENCES first(id) ON DELETE CASCADE ON UPDATE CASCADE",
                  ", parent REFERENCES first(id) ON DELETE SET NULL ON UPDATE CASCADE",
                  ", parent DEFAULT 1 REFERENCES first(id) ON DELETE SET DEFAULT",
                  ", parent UNIQUE REFERENCES first(id) ON DELETE CASCADE");
}

static void
make_table(struct run *r, int n)
{
    static const char *const keys[] = {"id INTEGER PRIMARY KEY", "id INT PRIMARY KEY",
                                       "id TEXT NOT NULL COLLATE NOCASE PRIMARY KEY",
                                       "id INTEGER PRIMARY KEY AUTOINCREMENT", "id"};
    unsigned shape = !r->ordered && n == 0 ? pick(2) : pick(8);
    bool composite = shape == 5 || shape == 6, bare = shape == 7 || (composite && chance(2));
    char *name = quoted(r->names[n]);
    char *sql = sqlite3_mprintf(
        "CREATE TABLE %s(%s, \"a b\" %s %s %s, \"rowid\" %s, c %s DEFAULT 3%s%s)%s", name,
        composite    ? "id INT NOT NULL DEFAULT 2"
        : shape == 7 ? "id TEXT PRIMARY KEY NOT NULL"
                     : keys[shape],
        ONE_OF("", "INT", "TEXT", "NUMERIC"), ONE_OF("", "COLLATE NOCASE", "COLLATE RTRIM"),
        ONE_OF("", "", "UNIQUE", "UNIQUE ON CONFLICT REPLACE", "UNIQUE ON CONFLICT IGNORE",
               "UNIQUE ON CONFLICT FAIL"),
        ONE_OF("", "INT", "BLOB"),
        ONE_OF("", "INT NOT NULL ON CONFLICT REPLACE", "INT",
               "INT UNIQUE ON CONFLICT REPLACE NOT NULL ON CONFLICT REPLACE"),
        r->ordered ? "" : random_parent(n),
        composite ? ", PRIMARY KEY (\"a b\" COLLATE NOCASE DESC, id)" : "",
        bare ? " WITHOUT ROWID" : "");
    must(r, sql);
    sqlite3_free(sql);
    sqlite3_free(name);
}

static void
make_indexes(struct run *r, int n)
{
    static const char *const terms[] = {"\"a b\"",
                                        "c",
                                        "\"a b\" COLLATE NOCASE",
                                        "\"a b\", \"rowid\"",
                                        "lower(\"a b\")",
                                        "abs(c) DESC, \"rowid\"",
                                        "\"a b\" || ', (' || \"rowid\"",
                                        "\"rowid\") WHERE (c > 1 AND \"a b\" <> ')'"};
    char *name = quoted(r->names[n]);
    for (unsigned i = pick(3); i > 0; i--) {
        char *sql = sqlite3_mprintf("CREATE UNIQUE INDEX i%d_%u ON %s(%s)", n, i, name,
                                    one_of(terms, countof(terms)));
        must(r, sql);
        sqlite3_free(sql);
    }
    sqlite3_free(name);
}

static void
make_user_trigger(struct run *r, int n)
{
    static const char *const events[] = {
        "AFTER UPDATE ON %s WHEN NEW.c < 4 BEGIN UPDATE %s SET c = c + 1 WHERE id IS NEW.id; END",
        "AFTER INSERT ON %s BEGIN UPDATE %s SET \"rowid\" = 9 WHERE id IS NEW.id; END",
        "BEFORE INSERT ON %s BEGIN INSERT OR IGNORE INTO %s(id, \"a b\") VALUES (5, 'x'); END",
        "BEFORE INSERT ON %s BEGIN UPDATE %s SET c = 2 WHERE c = NEW.c; END",
        "BEFORE INSERT ON %s BEGIN DELETE FROM %s WHERE \"a b\" = NEW.\"a b\"; END",
        "AFTER DELETE ON %s BEGIN INSERT OR REPLACE INTO %s(id, c) VALUES (1, 7); END",
        "BEFORE UPDATE OF c ON %s BEGIN DELETE FROM %s WHERE c = 7 AND id IS NOT OLD.id; END",
        "AFTER INSERT ON %s WHEN NEW.c = 1 BEGIN REPLACE INTO %s(id, c) VALUES (2, 2); END",
    };
    char *name = quoted(r->names[n]), *other = quoted(r->names[chance(3) ? 1 - n : n]);
    char *body = sqlite3_mprintf(one_of(events, countof(events)), name, other);
    char *sql = sqlite3_mprintf("CREATE TRIGGER u%d_%u %s", n, pick(1000000), body);
    must(r, sql);
    sqlite3_free(sql);
    sqlite3_free(body);
    sqlite3_free(name);
    sqlite3_free(other);
}

static void
capture(struct run *r)
{
    struct error err = {0};
    struct arena arena;
    struct buffer sql;
    arena_init(&arena, 0);
    buffer_init(&sql, 1 << 24);
    assert_int_equal(changelog_create(r->db, &r->plan, 1, 1 << 20, &err), 0);
    assert_int_equal(changelog_widen(r->db, 20, 10, &err), 0);
    for (int n = 0; n < TABLES; n++) {
        struct table table;
        assert_int_equal(table_read(r->db, &r->plan, r->names[n], &arena, &table, &err), 0);
        for (int kind = 0; kind < TRIGGER_KINDS; kind++) {
            if (!trigger_needed(kind, &table))
                continue;
            buffer_reset(&sql);
            trigger_text(&sql, kind, &table, n);
            size_t before = r->sql.size;
            must(r, buffer_cstring(&sql));
            if (!getenv("SQL"))
                r->sql.size = before;
        }
    }
    buffer_release(&sql);
    arena_release(&arena);
}

/* --- statements --- */

static const char *
value(void)
{
    return ONE_OF("1", "2", "3", "4", "5", "6", "7", "-1", "NULL", "'a'", "'A'", "'b '", "'b'",
                  "x'61'", "1.5", "2.0", "'2'", "9223372036854775807");
}

/* One row of values; the column `parent` is there where foreign keys are. */
static char *
random_row(const struct run *r)
{
    char *row = sqlite3_mprintf("(%s, %s, %s, %s", value(), value(), value(), value());
    if (!r->ordered)
        row = sqlite3_mprintf("%z, %s", row, ONE_OF("NULL", "1", "2", "3", "5"));
    return sqlite3_mprintf("%z)", row);
}

static char *
random_insert(const struct run *r, const char *name)
{
    char *sql = sqlite3_mprintf("%s INTO %s(id, \"a b\", \"rowid\", c%s) VALUES %z",
                                ONE_OF("INSERT", "INSERT", "REPLACE", "REPLACE", "INSERT OR IGNORE",
                                       "INSERT OR FAIL", "INSERT OR ABORT"),
                                name, r->ordered ? "" : ", parent", random_row(r));
    for (unsigned more = pick(3); more > 0; more--)
        sql = sqlite3_mprintf("%z, %z", sql, random_row(r));
    if (chance(4) && strncmp(sql, "INSERT INTO", 11) == 0)
        sql = sqlite3_mprintf("%z ON CONFLICT DO %s", sql,
                              ONE_OF("NOTHING", "UPDATE SET c = excluded.c",
                                     "UPDATE SET c = c + 1, \"a b\" = excluded.\"a b\"",
                                     "UPDATE SET id = excluded.id + 1"));
    return sql;
}

static char *
random_change(const struct run *r, const char *name)
{
    const char *where = ONE_OF("", "WHERE c > 2", "WHERE id = 2", "WHERE id IN (1, 3, 'a')",
                               "WHERE \"a b\" IS NULL");
    if (chance(3))
        return sqlite3_mprintf("DELETE FROM %s %s", name, where);
    const char *set = ONE_OF("c = c + 1", "id = id + 1", "\"a b\" = 'a'", "\"a b\" = 'A', c = 1",
                             "\"rowid\" = 2", "id = 3", "c = NULL", "_rowid_ = 4", "oid = oid - 1",
                             r->ordered ? "c = 5" : "parent = 2");
    return sqlite3_mprintf("UPDATE %s %s SET %s %s",
                           ONE_OF("", "", "OR REPLACE", "OR REPLACE", "OR IGNORE", "OR FAIL"), name,
                           set, where);
}

/* Runs one statement; a failed one takes back what it did, except after FAIL. */
static void
step(struct run *r, char *sql)
{
    size_t before = r->ledger.count;
    say(r, sql);
    int code = sqlite3_exec(r->db, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK)
        buffer_printf(&r->sql, "-- failed: %s\n", sqlite3_errmsg(r->db));
    sqlite3_free(sql);
    if (code == SQLITE_OK)
        return;
    /* What a statement with several conflict clauses took back is seen only in the database. */
    sqlite3_exec(r->db, "ROLLBACK TO one", NULL, NULL, NULL);
    ledger_cut(&r->ledger, before);
}

static void
statement(struct run *r)
{
    char *name = quoted(r->names[pick(TABLES)]);
    if (chance(40)) {
        must(r, chance(2) ? "PRAGMA recursive_triggers = 1" : "PRAGMA recursive_triggers = 0");
    }
    must(r, "SAVEPOINT one");
    step(r, chance(2) ? random_insert(r, name) : random_change(r, name));
    must(r, "RELEASE one");
    sqlite3_free(name);
}

static void
transaction(struct run *r)
{
    size_t before = r->ledger.count;
    must(r, "BEGIN");
    for (unsigned n = pick(6); n > 0; n--)
        statement(r);
    size_t middle = r->ledger.count;
    must(r, "SAVEPOINT two");
    for (unsigned n = pick(4); n > 0; n--)
        statement(r);
    if (chance(3)) {
        must(r, "ROLLBACK TO two");
        ledger_cut(&r->ledger, middle);
    }
    must(r, chance(5) ? "ROLLBACK" : "COMMIT");
    if (strstr(buffer_cstring(&r->sql) + r->sql.size - 10, "ROLLBACK"))
        ledger_cut(&r->ledger, before);
}

/* --- comparison --- */

/* The rows of the log as entries of a ledger. */
static void
read_log(struct run *r, struct ledger *out)
{
    sqlite3_stmt *rows;
    assert_int_equal(
        sqlite3_prepare_v2(r->db, "SELECT * FROM _tidegate_log ORDER BY id", -1, &rows, NULL),
        SQLITE_OK);
    int64_t expected = 1;
    while (sqlite3_step(rows) == SQLITE_ROW) {
        assert_int_equal(sqlite3_column_int64(rows, 0), expected++);
        int table = sqlite3_column_int(rows, 2), op = sqlite3_column_int(rows, 3);
        struct buffer images[2];
        int columns = 4 + !r->ordered;
        for (int image = 0; image < 2; image++) {
            buffer_init(&images[image], 1 << 20);
            for (int i = 0; i < columns; i++)
                ledger_value(&images[image], sqlite3_column_value(rows, 4 + image * columns + i));
        }
        struct slice first = buffer_view(&images[0]), second = buffer_view(&images[1]);
        ledger_add(out, r->names[table], op, op == 3 ? first : second, first);
        buffer_release(&images[0]);
        buffer_release(&images[1]);
    }
    sqlite3_finalize(rows);
}

static int
compare(const void *left, const void *right)
{
    const struct ledger_entry *a = left, *b = right;
    int order = strcmp(a->table, b->table);
    order = order ? order : a->op - b->op;
    struct slice none = {"", 0};
    struct slice ao = a->old_row ? (struct slice){a->old_row, a->old_size} : none;
    struct slice bo = b->old_row ? (struct slice){b->old_row, b->old_size} : none;
    struct slice an = a->new_row ? (struct slice){a->new_row, a->new_size} : none;
    struct slice bn = b->new_row ? (struct slice){b->new_row, b->new_size} : none;
    order = order ? order : slice_compare(ao, bo);
    return order ? order : slice_compare(an, bn);
}

/* Several rows that one statement replaces have no order among themselves. */
static void
sort_deletes(struct ledger *l)
{
    for (size_t i = 0; i < l->count;) {
        size_t end = i;
        while (end < l->count && l->entries[end].op == 3)
            end++;
        if (end > i + 1)
            qsort(&l->entries[i], end - i, sizeof *l->entries, compare);
        i = end > i ? end : i + 1;
    }
}

static void
differ(struct run *r, const struct ledger *got, size_t at)
{
    struct buffer text;
    buffer_init(&text, 1 << 24);
    size_t from = at > 6 ? at - 6 : 0;
    for (size_t i = from; i < at + 4; i++) {
        if (i < r->ledger.count) {
            buffer_printf(&text, "\n%zu did   ", i);
            ledger_print(&r->ledger.entries[i], &text);
        }
        if (i < got->count) {
            buffer_printf(&text, "\n%zu found ", i);
            ledger_print(&got->entries[i], &text);
        }
    }
    /* cmocka cuts long messages. */
    fprintf(stderr, "%s\nthe log differs at entry %zu (%zu did, %zu found):%s\n",
            buffer_cstring(&r->sql), at, r->ledger.count, got->count, buffer_cstring(&text));
    fail();
}

static void
compare_log(struct run *r, struct ledger *got)
{
    sort_deletes(&r->ledger);
    sort_deletes(got);
    if (!r->ordered && r->ledger.count && got->count) {
        qsort(r->ledger.entries, r->ledger.count, sizeof *got->entries, compare);
        qsort(got->entries, got->count, sizeof *got->entries, compare);
    }
    for (size_t i = 0; i < r->ledger.count && i < got->count; i++) {
        if (compare(&r->ledger.entries[i], &got->entries[i]) != 0)
            differ(r, got, i);
    }
    if (r->ledger.count != got->count)
        differ(r, got, r->ledger.count < got->count ? r->ledger.count : got->count);
    ledger_close(got);
}

static void
begin_run(struct run *r, uint64_t seed)
{
    random_state = seed;
    *r = (struct run){.plan = {.name = "shop", .driver = &sqlite_source, .workspace_id = "w"}};
    r->ordered = pick(3) != 0;
    for (int i = 0; i < TABLES; i++)
        r->names[i] = r->ordered && chance(2) ? hostile[i] : plain[i];
    buffer_init(&r->sql, 1 << 24);
    buffer_printf(&r->sql, "-- SEED=%llu RUNS=1\n", (unsigned long long)seed);
}

static void
make_schema(struct run *r)
{
    sqlite3_limit(r->db, SQLITE_LIMIT_TRIGGER_DEPTH, 12);
    must(r, r->ordered ? "PRAGMA foreign_keys = 0" : "PRAGMA foreign_keys = 1");
    must(r, chance(3) ? "PRAGMA recursive_triggers = 1" : "PRAGMA recursive_triggers = 0");
    for (int i = 0; i < TABLES; i++)
        make_table(r, i);
    for (int i = 0; i < TABLES; i++)
        make_indexes(r, i);
    for (unsigned i = pick(3); i > 0; i--)
        make_user_trigger(r, (int)pick(TABLES));
}

static size_t
run_once(uint64_t seed)
{
    struct run r;
    struct ledger got = {0};
    begin_run(&r, seed);
    assert_int_equal(sqlite3_open(":memory:", &r.db), SQLITE_OK);
    make_schema(&r);
    capture(&r);
    ledger_open(&r.ledger, r.db);
    for (unsigned i = 10 + pick(14); i > 0; i--)
        transaction(&r);
    size_t count = r.ledger.count;
    read_log(&r, &got);
    compare_log(&r, &got);
    ledger_close(&r.ledger);
    assert_int_equal(sqlite3_close(r.db), SQLITE_OK);
    buffer_release(&r.sql);
    return count;
}

/* --- the same through a source --- */

static void
print_cell(const struct cell *cell, struct buffer *out)
{
    static const uint8_t classes[] = {[CELL_NULL] = SQLITE_NULL,
                                      [CELL_INT] = SQLITE_INTEGER,
                                      [CELL_FLOAT] = SQLITE_FLOAT,
                                      [CELL_TEXT] = SQLITE_TEXT,
                                      [CELL_BYTES] = SQLITE_BLOB};
    buffer_byte(out, classes[cell->kind]);
    if (cell->kind == CELL_INT || cell->kind == CELL_FLOAT)
        buffer_u64(out, (uint64_t)cell->integer);
    else if (cell->kind != CELL_NULL)
        buffer_lenslice(out, cell->text);
}

static void
read_events(struct sqlite_fixture *f, struct ledger *out)
{
    for (size_t i = 0; i < f->sink.count; i++) {
        struct event *e = &f->sink.events[i].event;
        struct buffer images[2];
        for (int image = 0; image < 2; image++) {
            const struct row *row = event_row(e, image);
            buffer_init(&images[image], 1 << 20);
            for (unsigned j = 0; row->present && j < row->count; j++)
                print_cell(&row->cells[j], &images[image]);
        }
        char *table = memory_slice(e->schema->table);
        ledger_add(out, table, (int)e->op, buffer_view(&images[EVENT_OLD]),
                   buffer_view(&images[EVENT_NEW]));
        free(table);
        buffer_release(&images[0]);
        buffer_release(&images[1]);
    }
}

static size_t
run_source(uint64_t seed)
{
    struct sqlite_fixture f;
    struct run r;
    struct ledger got = {0};
    begin_run(&r, seed);
    sqlite_fixture_open(&f, chance(2) ? "wal" : "delete");
    r.db = f.db;
    make_schema(&r);
    sqlite_fixture_start(&f);
    ledger_open(&r.ledger, f.db);
    for (unsigned i = 10 + pick(14); i > 0; i--) {
        transaction(&r);
        if (!chance(5))
            continue;
        sqlite_fixture_stop(&f);
        transaction(&r);
        sqlite_fixture_start(&f);
    }
    sqlite_fixture_settle(&f);
    size_t count = r.ledger.count;
    read_events(&f, &got);
    compare_log(&r, &got);
    ledger_close(&r.ledger);
    buffer_release(&r.sql);
    sqlite_fixture_close(&f);
    return count;
}

static void
repeat(size_t (*run)(uint64_t seed), uint64_t count, size_t least)
{
    const char *seed = getenv("SEED"), *runs = getenv("RUNS");
    uint64_t first = seed ? strtoull(seed, NULL, 10) : 1;
    size_t changes = 0;
    count = runs ? strtoull(runs, NULL, 10) : count;
    for (uint64_t i = 0; i < count; i++)
        changes += run(first + i);
    print_message("%llu runs, %zu row changes\n", (unsigned long long)count, changes);
    assert_true(runs || changes > least);
}

static void
test_log_equals_ledger(void **state)
{
    (void)state;
    repeat(run_once, 1300, 40000);
}

static void
test_events_equal_ledger(void **state)
{
    (void)state;
    repeat(run_source, 40, 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_log_equals_ledger),
                                       cmocka_unit_test(test_events_equal_ledger)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
