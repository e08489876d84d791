#include "rules/where.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "support/event_make.h"
#include "support/lua_value.h"

#define NO      VERDICT_NO
#define YES     VERDICT_YES
#define UNKNOWN VERDICT_UNKNOWN

static struct arena arena;

static const struct schema *
table_of(const char *family)
{
    const char *names[] = {"shop", "main", "t"};
    char column[64];
    snprintf(column, sizeof(column), "c:%s:null", family);
    const char *columns[] = {"id:int:key", column, NULL};
    return event_make_schema_in(event_make_set(), "sqlite", names, columns);
}

static struct where
compile(const char *lua)
{
    struct where w;
    struct error err = {0};
    if (where_compile(lua_value(lua), &arena, &w, &err) != 0)
        fail_msg("%s: %s", lua, err.message);
    return w;
}

/* Where `w` on an event of `schema`; `*unknown` (may be NULL) is the column that it hangs on. */
static enum verdict
ask(const struct where *w, const struct schema *schema, struct event *e, int *unknown)
{
    static struct buffer scratch;
    struct where_place *places = arena_zero(&arena, (w->name_count + 1) * sizeof(*places));
    struct where_look look;
    struct error err = {0};
    if (!scratch.limit)
        buffer_init(&scratch, 1 << 20);
    if (where_bind(w, schema, places, &err) != 0)
        fail_msg("%s (%s)", err.message, err.hint);
    where_look_init(&look, e, &scratch);
    enum verdict verdict = where_test(w, places, &look);
    assert_int_equal(verdict == UNKNOWN, look.unknown >= 0);
    if (unknown)
        *unknown = look.unknown;
    return verdict;
}

static enum verdict
verdict_of(const char *family, const char *cell, const char *condition)
{
    char lua[512];
    const struct schema *schema = table_of(family);
    snprintf(lua, sizeof(lua), "{ c = %s }", condition);
    struct where w = compile(lua);
    struct event e =
        event_make(EVENT_INSERT, schema, "1", event_make_row("1", cell), event_make_none());
    return ask(&w, schema, &e, NULL);
}

static void
conditions_hold_or_not(void **state)
{
    static const struct {
        const char *family, *cell, *condition;
        enum verdict verdict;
    } rows[] = {
        {"int", "5", "5", YES},
        {"int", "5", "6", NO},
        {"int", "5", "5.0", YES},
        {"int", "5", "'5'", YES},
        {"int", "5", "decimal('5.00')", YES},
        {"int", "5", "gt(4)", YES},
        {"int", "5", "gt(5)", NO},
        {"int", "5", "5.000", YES},
        {"int", "5", "gt(4.5)", YES},
        {"int", "5", "gt(5.5)", NO},
        {"int", "5", "ge(5)", YES},
        {"int", "5", "lt(5)", NO},
        {"int", "5", "le(5)", YES},
        {"int", "5", "lt('1e1')", YES},
        {"int", "5", "ne(5)", NO},
        {"int", "5", "ne(6)", YES},
        {"int", "5", "one_of(1, 5)", YES},
        {"int", "5", "one_of({1, '5'})", YES},
        {"int", "5", "one_of(1, 2)", NO},
        {"int", "1", "true", YES},
        {"int", "0", "true", NO},
        {"int", "0", "false", YES},
        {"int", "2", "true", NO},
        {"int", "2", "ne(true)", YES},
        {"int", "9007199254740993", "9007199254740993", YES},
        {"int", "9007199254740993", "9007199254740992", NO},
        {"int", "9007199254740993", "gt('9007199254740992.5')", YES},
        {"int", "9007199254740993", "gt('9007199254740993.5')", NO},
        {"int", "9223372036854775807", "lt('9223372036854775808')", YES},
        {"int", "-9223372036854775808", "gt('-9223372036854775809')", YES},
        {"decimal", "10000000000000000.01m", "gt('10000000000000000.01')", NO},
        {"decimal", "10000000000000000.02m", "gt('10000000000000000.01')", YES},
        {"decimal", "10000000000000000.01m", "'10000000000000000.01'", YES},
        {"decimal", "10000000000000000.010m", "'10000000000000000.01'", YES},
        {"decimal", "10000000000000000.01m", "'10000000000000000.02'", NO},
        {"decimal", "10000000000000000.01m", "one_of('10000000000000000.02', 7)", NO},
        {"decimal", "1000.00m", "1000", YES},
        {"decimal", "1000.00m", "gt(1000)", NO},
        {"decimal", "1000.01m", "gt(1000)", YES},
        {"decimal", "0.1m", "0.1", YES},
        {"decimal", "0.10000000000000001m", "0.1", NO},
        {"decimal", "NaNm", "gt(0)", NO},
        {"decimal", "NaNm", "ne(0)", YES},
        {"decimal", "Infinitym", "gt('1e100')", YES},
        {"decimal", "-Infinitym", "lt('-1e100')", YES},
        {"float", "0.1", "0.1", YES},
        {"float", "0.1", "'0.1'", YES},
        {"float", "0.1", "decimal('0.1')", YES},
        {"float", "0.1", "'0.10000000000000001'", NO},
        {"float", "0.1", "lt('0.10000000000000001')", YES},
        {"float", "0.30000000000000004", "gt(0.3)", YES},
        {"float", "2.0", "2", YES},
        {"float", "-0.0", "0", YES},
        {"float", "9007199254740992.0", "lt(9007199254740993)", YES},
        {"float", "nan", "gt(0)", NO},
        {"float", "nan", "lt(0)", NO},
        {"float", "nan", "ne(0)", YES},
        {"float", "inf", "gt('1e400')", YES},
        {"float", "-inf", "lt('-1e400')", YES},
        {"float", "1.5", "lt('1e400')", YES},
        {"bool", "true", "true", YES},
        {"bool", "true", "false", NO},
        {"bool", "true", "1", YES},
        {"bool", "false", "0", YES},
        {"bool", "true", "'true'", YES},
        {"text", "'paid'", "'paid'", YES},
        {"text", "'paid'", "'Paid'", NO},
        {"text", "'paid'", "gt('open')", YES},
        {"text", "'10'", "gt('9')", NO},
        {"text", "'paid'", "one_of('open', 'paid')", YES},
        {"text", "''", "''", YES},
        {"bytes", "x'6162'", "'ab'", YES},
        {"time", "@2026-11-21T06:42:00Z", "'2026-11-21T07:42:00+01:00'", YES},
        {"time", "@2026-11-21T06:42:00Z", "gt('2026-11-21')", YES},
        {"time", "@2026-11-21T06:42:00Z", "lt('2026-11-21T06:42:00.000001Z')", YES},
        {"time", "@12:30:00", "gt('12:00:00')", YES},
        {"time", "@infinity", "gt('2026-11-21')", YES},
        {"time", "@-infinity", "gt('2026-11-21')", NO},
        {"time", "@infinity", "'infinity'", YES},
        /* SQLite: each cell says what it is */
        {"any", "5", "5", YES},
        {"any", "5", "'5'", YES},
        {"any", "5", "'5.0'", YES},
        {"any", "5.0", "5", YES},
        {"any", "'5'", "5", NO},
        {"any", "'5'", "'5'", YES},
        {"any", "'5.0'", "'5'", NO},
        {"any", "'5'", "ne(5)", YES},
        {"any", "'9'", "gt(5)", NO},
        {"any", "9", "gt('5')", YES},
        {"any", "'9'", "gt('5')", YES},
        {"any", "1", "true", YES},
        {"any", "'true'", "true", NO},
        {"any", "0.5", "lt('0.50001')", YES},
        {"any", "x'35'", "5", NO},
        /* NULL */
        {"int", "null", "null", YES},
        {"int", "5", "null", NO},
        {"int", "null", "5", NO},
        {"int", "null", "gt(5)", NO},
        {"int", "null", "lt(5)", NO},
        {"int", "null", "ne(5)", YES},
        {"int", "null", "ne(null)", NO},
        {"int", "5", "ne(null)", YES},
        {"int", "null", "one_of(1, null)", YES},
        {"int", "null", "one_of(1, 2)", NO},
        {"int", "9", "'9223372036854775808'", NO},
        {"int", "9223372036854775808m", "'9223372036854775808'", YES}, /* unsigned */
        {"decimal", "10000000000000000.01m", "between('10000000000000000.005', '1e17')", YES},
        {"decimal", "10000000000000000.01m", "between('10000000000000000.015', '1e17')", NO},
        {"int", "9007199254740993", "between(9007199254740992, '9007199254740992.5')", NO},
        {"float", "0.1", "between('0.1', '0.10000000000000001')", YES},
        {"text", "'M\xc3\xbcller'", "ilike('m\xc3\x9cLL%')", YES},
        {"text", "'100%'", "like('100_')", YES},
        {"document", "{\"a\":1}", "null", NO},
        {"document", "{\"a\":1}", "ne(null)", YES},
        {"document", "{\"a\":1}", "changed_to(not_(is_null()))", YES},
        {"document", "null", "null", YES},
        {"any", "null", "''", NO},
        /* not there */
        {"int", "unchanged", "5", UNKNOWN},
        {"int", "unknown", "ne(5)", UNKNOWN},
        {"int", "absent", "null", UNKNOWN},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        enum verdict got = verdict_of(rows[i].family, rows[i].cell, rows[i].condition);
        if (got != rows[i].verdict)
            fail_msg("%s %s against %s: %d", rows[i].family, rows[i].cell, rows[i].condition, got);
    }
}

/* The index of literals must offer whatever could be equal. */
static void
equal_cells_have_a_key_of_the_literal(void **state)
{
    static const char *const literals[] = {
        "5",       "5.0",    "'5'",       "'5.00'", "decimal('0.050e2')",
        "0",       "'-0.0'", "true",      "false",  "'true'",
        "1000",    "'1e3'",  "0.001",     "'1e-3'", "'2026-11-21'",
        "'12:30'", "'paid'", "'-12.340'", "1e300"};
    static const char *const cells[] = {
        "5",       "5.0",    "5.00m",       "'5'",     "0005.m", "0",
        "-0.0",    "0.000m", "true",        "false",   "1",      "1000",
        "1000.0m", "1e3m",   "0.0010m",     "0.001",   "10e-4m", "@2026-11-21T00:00:00Z",
        "@12:30",  "'paid'", "x'70616964'", "-12.34m", "-12.34", "-0012.3400m",
        "1e300",   "+5m",    ".5e1m"};
    (void)state;
    for (size_t i = 0; i < countof(literals); i++)
        for (size_t k = 0; k < countof(cells); k++) {
            struct literal l;
            struct error err = {0};
            uint64_t keys[LITERAL_KEYS], key = 0;
            struct cell cell = event_make_cell(cells[k]);
            assert_int_equal(literal_make(lua_value(literals[i]), &arena, &l, &err), 0);
            if (literal_compare(&cell, &l) != 0)
                continue;
            bool found = false;
            size_t count = literal_keys(&l, keys);
            assert_true(literal_cell_key(&cell, &key));
            for (size_t n = 0; n < count; n++)
                found |= keys[n] == key;
            if (!found)
                fail_msg("%s equals %s but has another key", cells[k], literals[i]);
        }
}

static void
keys_are_joined_by_and(void **state)
{
    static const struct {
        const char *where, *status, *amount;
        enum verdict verdict;
    } rows[] = {
        {"{}", "'x'", "1", YES},
        {"{ status = 'paid', amount = gt(5) }", "'paid'", "6", YES},
        {"{ status = 'paid', amount = gt(5) }", "'paid'", "5", NO},
        {"{ status = 'paid', amount = gt(5) }", "'open'", "6", NO},
        {"{ status = 'paid', amount = gt(5) }", "unknown", "6", UNKNOWN},
        {"{ status = 'paid', amount = gt(5) }", "unknown", "5", NO},
        {"{ status = 'paid', amount = gt(5) }", "'open'", "unknown", NO},
    };
    const struct schema *schema =
        event_make_schema("shop", "main", "o", "id:int:key", "status:text", "amount:int");
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        int unknown;
        struct where w = compile(rows[i].where);
        struct event e =
            event_make(EVENT_INSERT, schema, "1",
                       event_make_row("1", rows[i].status, rows[i].amount), event_make_none());
        if (ask(&w, schema, &e, &unknown) != rows[i].verdict)
            fail_msg("%s: %s, %s", rows[i].where, rows[i].status, rows[i].amount);
        assert_int_equal(unknown, rows[i].verdict == UNKNOWN ? 1 : -1);
    }
}

static void
the_row_looked_at_is_the_new_one_or_the_deleted(void **state)
{
    const struct schema *schema = table_of("int");
    struct where w = compile("{ c = 5 }");
    struct event e =
        event_make(EVENT_DELETE, schema, "1", event_make_none(), event_make_row("1", "5"));
    (void)state;
    assert_int_equal(ask(&w, schema, &e, NULL), YES);
    e = event_make(EVENT_UPDATE, schema, "1", event_make_row("1", "6"), event_make_row("1", "5"));
    assert_int_equal(ask(&w, schema, &e, NULL), NO);
    e = event_make(EVENT_UPDATE, schema, "1", event_make_row("1", "unchanged"),
                   event_make_row("1", "5"));
    assert_int_equal(ask(&w, schema, &e, NULL), YES);
    e = event_make(EVENT_DELETE, schema, "1", event_make_none(), event_make_row("1"));
    assert_int_equal(ask(&w, schema, &e, NULL), UNKNOWN);
}

static void
wrong_conditions_are_errors_at_load(void **state)
{
    static const struct {
        const char *where, *message, *hint;
    } rows[] = {
        {"5", "where is a table of columns, not a whole number", "when"},
        {"{ 'paid' }", "where is a table of columns", "when"},
        {"{ status = { 'a', 'b' } }", "where: status: a list", "one_of"},
        {"{ status = { a = 1 } }", "is no value to compare with", ""},
        {"{ status = function() end }", "is no value to compare with", ""},
        {"{ amount = gt(null) }", "gt(null) is never true", "ne(null)"},
        {"{ amount = gt(true) }", "gt takes a number or a text", ""},
        {"{ amount = 0/0 }", "NaN", ""},
        {"{ amount = lt(1/0) }", "infinity", ""},
        {"{ amount = gt({ 1 }) }", "is no value to compare with", ""},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct where w;
        struct error err = {0};
        assert_int_equal(where_compile(lua_value(rows[i].where), &arena, &w, &err), -1);
        if (!strstr(err.message, rows[i].message) || !strstr(err.hint, rows[i].hint))
            fail_msg("%s: %s (%s)", rows[i].where, err.message, err.hint);
    }
}

static void
wrong_columns_and_literals_are_errors_at_first_sight(void **state)
{
    static const struct {
        const char *family, *where, *message, *hint;
    } rows[] = {
        {"int", "{ idd = 1 }", "main.t has no column \"idd\"", "did you mean \"id\"?"},
        {"int", "{ amount = 1 }", "has no column \"amount\"", ""},
        {"int", "{ ['c.plan'] = 1 }", "\"c.plan\" is a path, and column \"c\" holds no documents",
         "JSON"},
        {"text", "{ ['c.plan'] = 1 }", "holds no documents", "JSON"},
        {"document", "{ ['c..plan'] = 1 }", "\"c..plan\" is no path", ""},
        {"document", "{ ['c.items[1]'] = 1 }", "\"c.items[1]\" is no path", "\"items.1\""},
        {"document", "{ ['d.plan'] = 1 }", "has no column \"d.plan\"", ""},
        {"document", "{ c = 'x' }", "\"c\" holds documents, and \"x\" is none", "[\"c.key\"]"},
        {"document", "{ c = ne(5) }", "holds documents, and 5 is none", "[\"c.key\"]"},
        {"document", "{ c = like('x') }", "holds documents, and like is for texts", ""},
        {"int", "{ c = 4.5 }", "\"c\" holds integers, and 4.5 is none", "whole number"},
        {"int", "{ c = ne('4.50') }", "holds integers, and \"4.50\" is none", "whole number"},
        {"int", "{ c = one_of(1, decimal('0.1')) }", "holds integers, and 0.1 is none", ""},
        {"int", "{ c = like('1%') }", "\"c\" holds integers, and like is for texts", "between"},
        {"time", "{ c = ilike('2026-%') }", "holds times, and like is for texts", ""},
        {"bool", "{ c = not_(any_of(true, like('t'))) }", "true or false, and like is", ""},
        {"int", "{ c = between(1, 'x') }", "holds integers, and \"x\" is none", ""},
        {"time", "{ c = between('2026-01-01', 5) }", "holds times, and 5 is none", "2026"},
        {"text", "{ c = changed_to(any_of('a', 5)) }", "holds text, and 5 is none", "quotes"},
        {"text", "any_of({ id = 1 }, not_({ c = 5 }))", "holds text, and 5 is none", "quotes"},
        {"int", "{ c = 'many' }", "\"c\" holds integers, and \"many\" is none", "number"},
        {"int", "{ c = one_of(1, 'many') }", "\"many\" is none", "number"},
        {"float", "{ c = true }", "floating-point numbers, and true is none", ""},
        {"decimal", "{ c = '12,50' }", "decimal numbers, and \"12,50\" is none", "1000.50"},
        {"decimal", "{ c = false }", "and false is none", ""},
        {"text", "{ c = 5 }", "\"c\" holds text, and 5 is none", "quotes"},
        {"text", "{ c = true }", "text, and true is none", "quotes"},
        {"bytes", "{ c = 5 }", "bytes, and 5 is none", "quotes"},
        {"bool", "{ c = 2 }", "true or false, and 2 is none", "true or false"},
        {"bool", "{ c = 'yes' }", "\"yes\" is none", "true or false"},
        {"time", "{ c = gt(5) }", "times, and 5 is none", "2026"},
        {"time", "{ c = 'yesterday' }", "\"yesterday\" is none", "2026"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct where_place places[8];
        struct error err = {0};
        struct where w = compile(rows[i].where);
        const char *message = rows[i].message;
        assert_int_equal(where_bind(&w, table_of(rows[i].family), places, &err), -1);
        if (!strstr(err.message, message) || !strstr(err.hint, rows[i].hint))
            fail_msg("%s: %s (%s)", rows[i].where, err.message, err.hint);
    }
}

static int
teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_hold_or_not),
        cmocka_unit_test(equal_cells_have_a_key_of_the_literal),
        cmocka_unit_test(keys_are_joined_by_and),
        cmocka_unit_test(the_row_looked_at_is_the_new_one_or_the_deleted),
        cmocka_unit_test(wrong_conditions_are_errors_at_load),
        cmocka_unit_test(wrong_columns_and_literals_are_errors_at_first_sight),
    };
    arena_init(&arena, 0);
    return cmocka_run_group_tests(tests, NULL, teardown);
}
