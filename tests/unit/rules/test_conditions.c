/* Every condition on every kind of cell: by tables, and at random against an evaluator that is slow
 * and shares nothing with the one under test. */
#include "rules/matcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/event_make.h"
#include "support/lua_value.h"

static struct arena arena;
static struct buffer scratch;

static struct where
compile(const char *lua)
{
    struct where w;
    struct error err = {0};
    if (where_compile(lua_value(lua), &arena, &w, &err) != 0)
        fail_msg("%s: %s", lua, err.message);
    return w;
}

/* n y ? */
static char
ask(const struct where *w, struct event *e)
{
    struct where_place *places = arena_zero(&arena, (w->name_count + 1) * sizeof(*places));
    struct where_look look;
    struct error err = {0};
    if (where_bind(w, e->schema, places, &err) != 0)
        fail_msg("%s (%s)", err.message, err.hint);
    where_look_init(&look, e, &scratch);
    enum verdict verdict = where_test(w, places, &look);
    assert_int_equal(verdict == VERDICT_UNKNOWN, look.unknown >= 0);
    return "ny?"[verdict];
}

static const char *const kinds[] = {
    "absent", "null", "unchanged",   "unknown",   "true",   "1",
    "5",      "5.0",  "5.00m",       "12.5",      "'paid'", "'Paid'",
    "'5'",    "''",   "x'70616964'", "{\"a\":5}", "[5]",    "@2026-11-21T06:42:00Z"};

static void
each_condition_on_each_kind_of_cell(void **state)
{
    static const struct {
        const char *condition, *answers; /* one a kind */
    } rows[] = {
        {"5", "?n??nnyyynnnnnnnnn"},
        {"'5'", "?n??nnyyynnnynnnnn"},
        {"'5.000'", "?n??nnyyynnnnnnnnn"},
        {"decimal('5.0')", "?n??nnyyynnnnnnnnn"},
        {"true", "?n??yynnnnnnnnnnnn"},
        {"'paid'", "?n??nnnnnnynnnynnn"},
        {"null", "?y??nnnnnnnnnnnnnn"},
        {"is_null()", "?y??nnnnnnnnnnnnnn"},
        {"ne(null)", "?n??yyyyyyyyyyyyyy"},
        {"not_(is_null())", "?n??yyyyyyyyyyyyyy"},
        {"ne(5)", "?y??yynnnyyyyyyyyy"},
        {"not_(5)", "?y??yynnnyyyyyyyyy"},
        {"not_(not_(5))", "?n??nnyyynnnnnnnnn"},
        {"gt(5)", "?n??nnnnnynnnnnnnn"},
        {"ge(5)", "?n??nnyyyynnnnnnnn"},
        {"lt(5)", "?n??nynnnnnnnnnnnn"},
        {"le(5)", "?n??nyyyynnnnnnnnn"},
        {"not_(gt(5))", "?y??yyyyynyyyyyyyy"},
        {"gt('2026-01-01')", "?n??nnnnnnyyynynny"},
        {"between(1, 5)", "?n??nyyyynnnnnnnnn"},
        {"between(5, 5)", "?n??nnyyynnnnnnnnn"},
        {"between('5', '12.50')", "?n??nnyyyynnnnnnnn"},
        {"between('a', 'z')", "?n??nnnnnnynnnynnn"},
        {"between('2026-11-21', '2026-11-22')", "?n??nnnnnnnnnnnnny"},
        {"one_of(5, 'paid', null)", "?y??nnyyynynnnynnn"},
        {"one_of({ 5, 'paid' })", "?n??nnyyynynnnynnn"},
        {"like('p%')", "?n??nnnnnnynnnnnnn"},
        {"like('_a_d')", "?n??nnnnnnyynnnnnn"},
        {"like('%')", "?n??nnnnnnyyyynnnn"},
        {"like('')", "?n??nnnnnnnnnynnnn"},
        {"ilike('P%')", "?n??nnnnnnyynnnnnn"},
        {"not_(like('p%'))", "?y??yyyyyynyyyyyyy"},
        {"any_of(5, 'paid', null)", "?y??nnyyynynnnynnn"},
        {"any_of({ 5, 'paid' })", "?n??nnyyynynnnynnn"},
        {"any_of('paid', gt(10))", "?n??nnnnnyynnnynnn"},
        {"any_of(lt(5), like('p%'), is_null())", "?y??nynnnnynnnnnnn"},
        {"all_of(ge(1), lt(10))", "?n??nyyyynnnnnnnnn"},
        {"all_of(ne(5), not_(null))", "?n??yynnnyyyyyyyyy"},
        {"not_(any_of(5, like('%')))", "?y??yynnnynnnnyyyy"},
        {"not_(all_of(ge(1), lt(10)))", "?y??ynnnnyyyyyyyyy"},
        {"changed_to(5)", "?n??nnyyynnnnnnnnn"}, /* of an insert */
        {"changed_to(gt(5))", "?n??nnnnnynnnnnnnn"},
        {"not_(changed_to(5))", "?y??yynnnyyyyyyyyy"},
        {"changed_from(5)", "nnnnnnnnnnnnnnnnnn"},
        {"any_of(changed_from(5), 5)", "?n??nnyyynnnnnnnnn"},
    };
    const struct schema *schema =
        event_make_schema("shop", "main", "t", "id:int:key", "c:any:null");
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char lua[256];
        snprintf(lua, sizeof(lua), "{ c = %s }", rows[i].condition);
        struct where w = compile(lua);
        assert_int_equal(strlen(rows[i].answers), countof(kinds));
        for (size_t k = 0; k < countof(kinds); k++) {
            struct event e = event_make(EVENT_INSERT, schema, "1", event_make_row("1", kinds[k]),
                                        event_make_none());
            char got = ask(&w, &e), wanted = rows[i].answers[k];
            if (got != wanted)
                fail_msg("%s on %s: %c, not %c", rows[i].condition, kinds[k], got, wanted);
        }
    }
}

static void
changes_hang_on_both_rows(void **state)
{
    static const char *const news[] = {"absent", "null", "unchanged", "unknown", "5", "6"};
    static const struct {
        const char *condition, *old, *answers; /* one a new cell */
    } rows[] = {
        {"changed_to(5)", "absent", "?nn??n"},
        {"changed_to(5)", "null", "?nn?yn"},
        {"changed_to(5)", "unknown", "?nn??n"},
        {"changed_to(5)", "5", "nnnnnn"},
        {"changed_to(5)", "6", "?nn?yn"},
        {"changed_from(5)", "absent", "??n?n?"},
        {"changed_from(5)", "null", "nnnnnn"},
        {"changed_from(5)", "unknown", "??n?n?"},
        {"changed_from(5)", "5", "?yn?ny"},
        {"changed_from(5)", "6", "nnnnnn"},
        {"changed_to(null)", "5", "?yn?nn"},
        {"changed_to(null)", "null", "nnnnnn"},
        {"changed_from(null)", "null", "?nn?yy"},
        {"changed_to(ne(5))", "5", "?yn?ny"},
        {"changed_to(gt(5))", "5", "?nn?ny"},
        {"changed_to(gt(5))", "6", "nnnnnn"},
        {"changed_to(gt(5))", "absent", "?nn?n?"},
        {"not_(changed_to(5))", "6", "?yy?ny"},
        {"not_(changed_to(5))", "unknown", "?yy??y"},
        {"any_of(changed_to(5), changed_from(5))", "5", "?yn?ny"},
        {"any_of(changed_to(5), changed_from(5))", "6", "?nn?yn"},
        {"all_of(changed_to(5), changed_from(6))", "6", "?nn?yn"},
        {"any_of(6, changed_to(5))", "absent", "?n???y"},
        {"any_of(6, changed_to(5))", "6", "?ny?yy"}, /* unchanged, so it is 6 */
        {"changed_to(one_of(5, 6))", "5", "nnnnnn"},
        {"changed_to(one_of(5, 6))", "null", "?nn?yy"},
        {"changed_to(any_of(like('a%'), 5))", "6", "?nn?yn"},
    };
    const struct schema *schema =
        event_make_schema("shop", "main", "t", "id:int:key", "c:any:null");
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char lua[256];
        snprintf(lua, sizeof(lua), "{ c = %s }", rows[i].condition);
        struct where w = compile(lua);
        for (size_t k = 0; k < countof(news); k++) {
            struct event e = event_make(EVENT_UPDATE, schema, "1", event_make_row("1", news[k]),
                                        event_make_row("1", rows[i].old));
            char got = ask(&w, &e), wanted = rows[i].answers[k];
            if (got != wanted)
                fail_msg("%s: %s to %s: %c, not %c", rows[i].condition, rows[i].old, news[k], got,
                         wanted);
        }
    }
}

static void
what_is_no_update_changes_from_or_to_nothing(void **state)
{
    static const struct {
        enum event_op op;
        const char *cell, *condition;
        char answer;
    } rows[] = {
        {EVENT_INSERT, "5", "changed_to(5)", 'y'},
        {EVENT_INSERT, "6", "changed_to(5)", 'n'},
        {EVENT_INSERT, "5", "changed_from(5)", 'n'},
        {EVENT_INSERT, "null", "changed_to(null)", 'y'},
        {EVENT_DELETE, "5", "changed_from(5)", 'y'},
        {EVENT_DELETE, "6", "changed_from(5)", 'n'},
        {EVENT_DELETE, "5", "changed_to(5)", 'n'},
        {EVENT_DELETE, "absent", "changed_from(5)", '?'},
        {EVENT_DELETE, "absent", "changed_to(5)", 'n'},
        {EVENT_READ, "5", "changed_to(5)", 'n'},
        {EVENT_READ, "5", "changed_from(5)", 'n'},
        {EVENT_READ, "5", "5", 'y'},
    };
    const struct schema *schema =
        event_make_schema("shop", "main", "t", "id:int:key", "c:any:null");
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char lua[128];
        bool deleted = rows[i].op == EVENT_DELETE;
        struct row row = event_make_row("1", rows[i].cell), none = event_make_none();
        snprintf(lua, sizeof(lua), "{ c = %s }", rows[i].condition);
        struct where w = compile(lua);
        struct event e =
            event_make(rows[i].op, schema, "1", deleted ? none : row, deleted ? row : none);
        if (ask(&w, &e) != rows[i].answer)
            fail_msg("%s of %s: not %c", rows[i].condition, event_op_name(e.op), rows[i].answer);
    }
}

static void
paths_lead_into_documents(void **state)
{
    static const char pro[] =
        "{\"plan\":{\"name\":\"pro\",\"seats\":17,\"price\":10000000000000000.01,"
        "\"trial\":false,\"note\":null},\"tags\":[\"a\",\"b\\u00e4\"]}";
    static const struct {
        const char *where, *cell;
        char answer;
    } rows[] = {
        {"{ ['meta.plan.name'] = 'pro' }", pro, 'y'},
        {"{ ['meta.plan.name'] = 'Pro' }", pro, 'n'},
        {"{ ['meta.plan.name'] = ilike('PR_') }", pro, 'y'},
        {"{ ['meta.plan.seats'] = gt(10) }", pro, 'y'},
        {"{ ['meta.plan.seats'] = between(1, 16) }", pro, 'n'},
        {"{ ['meta.plan.seats'] = '17' }", pro, 'y'},
        {"{ ['meta.plan.seats'] = 17.5 }", pro, 'n'},
        {"{ ['meta.plan.price'] = gt('10000000000000000.005') }", pro, 'y'},
        {"{ ['meta.plan.price'] = gt('10000000000000000.01') }", pro, 'n'},
        {"{ ['meta.plan.trial'] = false }", pro, 'y'},
        {"{ ['meta.plan.trial'] = 0 }", pro, 'y'},
        {"{ ['meta.plan.note'] = null }", pro, 'y'},
        {"{ ['meta.plan.none'] = null }", pro, 'y'},
        {"{ ['meta.plan.none.at.all'] = is_null() }", pro, 'y'},
        {"{ ['meta.plan'] = null }", pro, 'n'},
        {"{ ['meta.plan'] = 'pro' }", pro, 'n'},
        {"{ ['meta.plan'] = ne('pro') }", pro, 'y'},
        {"{ ['meta.plan.none'] = ne('pro') }", pro, 'y'},
        {"{ ['meta.plan.none'] = gt(0) }", pro, 'n'},
        {"{ ['meta.tags.1'] = 'a' }", pro, 'y'},
        {"{ ['meta.tags.2'] = 'b\xc3\xa4' }", pro, 'y'},
        {"{ ['meta.tags.2'] = any_of('x', like('%\xc3\xa4')) }", pro, 'y'},
        {"{ ['meta.tags.3'] = null }", pro, 'y'},
        {"{ ['meta.tags.1'] = 'a', ['meta.tags.2'] = 'a' }", pro, 'n'},
        {"{ ['meta.tags.2'] = like('b_'), ['meta.plan.name'] = 'pro' }", pro, 'y'},
        {"{ ['meta.plan.name'] = changed_to('pro') }", pro, 'y'},
        {"{ meta = ne(null), ['meta.plan.name'] = 'pro' }", pro, 'y'},
        {"{ ['meta.plan.name'] = 'pro' }", "null", 'n'},
        {"{ ['meta.plan.name'] = null }", "null", 'y'},
        {"{ ['meta.plan.name'] = 'pro' }", "unchanged", '?'},
        {"{ ['meta.plan.name'] = null }", "absent", '?'},
        {"{ ['dotted.column'] = 7 }", pro, 'y'},  /* a column of that name */
        {"{ ['text.plan'] = 'free' }", pro, 'y'}, /* SQLite keeps documents as text */
    };
    const struct schema *schema = event_make_schema(
        "shop", "main", "t", "id:int:key", "meta:document:null", "dotted.column:int", "text:any");
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct where w = compile(rows[i].where);
        struct event e = event_make(EVENT_INSERT, schema, "1",
                                    event_make_row("1", rows[i].cell, "7", "'{\"plan\":\"free\"}'"),
                                    event_make_none());
        if (ask(&w, &e) != rows[i].answer)
            fail_msg("%s on %s: not %c", rows[i].where, rows[i].cell, rows[i].answer);
    }
}

static void
changes_inside_documents_are_seen(void **state)
{
    static const struct {
        const char *old, *new;
        char answer; /* of meta.plan changed to "pro" */
    } rows[] = {
        {"{\"plan\":\"free\"}", "{\"plan\":\"pro\"}", 'y'},
        {"{\"plan\":\"pro\",\"n\":1}", "{\"plan\":\"pro\",\"n\":2}", 'n'},
        {"{\"plan\":\"pr\\u006f\"}", "{\"plan\":\"pro\"}", 'n'},
        {"{}", "{\"plan\":\"pro\"}", 'y'},
        {"null", "{\"plan\":\"pro\"}", 'y'},
        {"{\"plan\":\"pro\"}", "null", 'n'},
        {"absent", "{\"plan\":\"pro\"}", '?'},
        {"absent", "{\"plan\":\"free\"}", 'n'},
        {"absent", "unchanged", 'n'},
    };
    const struct schema *schema =
        event_make_schema("shop", "main", "t", "id:int:key", "meta:document:null");
    struct where w = compile("{ ['meta.plan'] = changed_to('pro') }");
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct event e = event_make(EVENT_UPDATE, schema, "1", event_make_row("1", rows[i].new),
                                    event_make_row("1", rows[i].old));
        if (ask(&w, &e) != rows[i].answer)
            fail_msg("%s to %s: not %c", rows[i].old, rows[i].new, rows[i].answer);
    }
}

static void
where_tables_are_combined(void **state)
{
    static const struct {
        const char *where, *a, *b;
        char answer;
    } rows[] = {
        {"any_of({ a = 1 }, { b = 2 })", "1", "0", 'y'},
        {"any_of({ a = 1 }, { b = 2 })", "0", "2", 'y'},
        {"any_of({ a = 1 }, { b = 2 })", "0", "0", 'n'},
        {"any_of({ a = 1 }, { b = 2 })", "1", "unknown", 'y'},
        {"any_of({ a = 1 }, { b = 2 })", "unknown", "2", 'y'},
        {"any_of({ a = 1 }, { b = 2 })", "0", "unknown", '?'},
        {"any_of({ { a = 1 }, { b = 2 } })", "0", "2", 'y'},
        {"all_of({ a = 1 }, any_of({ b = 2 }, { b = 3 }))", "1", "3", 'y'},
        {"all_of({ a = 1 }, any_of({ b = 2 }, { b = 3 }))", "1", "4", 'n'},
        {"all_of({ a = 1 }, any_of({ b = 2 }, { b = 3 }))", "0", "unknown", 'n'},
        {"all_of({ a = 1 }, any_of({ b = 2 }, { b = 3 }))", "unknown", "2", '?'},
        {"all_of({ a = 1 }, { a = 2 })", "1", "2", 'n'}, /* the same column twice */
        {"not_({ a = 1, b = 2 })", "1", "2", 'n'},
        {"not_({ a = 1, b = 2 })", "1", "3", 'y'},
        {"not_({ a = 1, b = 2 })", "null", "2", 'y'},
        {"not_({ a = 1, b = 2 })", "1", "unknown", '?'},
        {"not_({ a = 1, b = 2 })", "0", "unknown", 'y'},
        {"not_(not_({ a = 1 }))", "1", "0", 'y'},
        {"not_(any_of({ a = 1 }, not_({ b = any_of(2, gt(5)) })))", "0", "6", 'y'},
        {"any_of({ a = changed_to(1) }, { b = 2 })", "1", "0", 'y'},
        {"{ a = any_of(1, 2), b = not_(one_of(1, 2)) }", "2", "3", 'y'},
        {"{}", "0", "0", 'y'},
    };
    const struct schema *schema =
        event_make_schema("shop", "main", "t", "id:int:key", "a:int:null", "b:int:null");
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct where w = compile(rows[i].where);
        struct event e = event_make(EVENT_INSERT, schema, "1",
                                    event_make_row("1", rows[i].a, rows[i].b), event_make_none());
        if (ask(&w, &e) != rows[i].answer)
            fail_msg("%s on %s, %s: not %c", rows[i].where, rows[i].a, rows[i].b, rows[i].answer);
    }
}

static void
wrong_conditions_say_what_would_be_right(void **state)
{
    static const struct {
        const char *where, *message, *hint;
    } rows[] = {
        {"{ a = gt() }", "where: a: gt takes one value", ""},
        {"{ a = gt(1, 2) }", "where: a: gt takes one value", ""},
        {"{ a = ne(1, 2) }", "ne takes one value", "not_(one_of("},
        {"{ a = one_of() }", "one_of takes at least one value", ""},
        {"{ a = one_of({}) }", "one_of takes at least one value", ""},
        {"{ a = any_of() }", "any_of takes at least one value, condition or where-table", ""},
        {"any_of({})", "any_of takes at least one", ""},
        {"any_of()", "any_of takes at least one", ""},
        {"{ a = between(1) }", "between takes two values, the lowest and the highest", "(10, 20)"},
        {"{ a = between(1, 2, 3) }", "between takes two values", ""},
        {"{ a = between(2, 1) }", "the first value is greater than the second", "between(1, 2)"},
        {"{ a = between(2.5, decimal('1.50')) }", "greater", "between(1.50, 2.5)"},
        {"{ a = between(null, 1) }", "between(null) is never true", "ne(null)"},
        {"{ a = is_null(true) }", "is_null takes no value", "not_(is_null())"},
        {"{ a = is_null }", "a function is no value to compare with", "is_null()"},
        {"{ a = like(5) }", "like takes a text, not a whole number", "like(\"A%\")"},
        {"{ a = ilike(null) }", "ilike(null) is never true", ""},
        {"{ a = like('a', 'b') }", "like takes one text", "any_of(like("},
        {"{ a = not_() }", "not_ takes one value, condition or where-table", ""},
        {"{ a = not_('a', 'b') }", "not_ takes one value", "not_(one_of("},
        {"{ a = changed_to('a', 'b') }", "changed_to takes one value or condition", "one_of("},
        {"{ a = changed_to(changed_from(5)) }", "changed_from can't stand inside", ""},
        {"{ a = changed_to(any_of(1, changed_to(5))) }", "a: changed_to: any_of: changed_to can't",
         ""},
        {"{ a = gt(gt(5)) }", "a: gt: a condition is no value to compare with", ""},
        {"{ a = any_of(gt(5), gt(null)) }", "where: a: any_of: gt(null) is never true", ""},
        {"{ a = any_of({ b = 5 }, 6) }", "a: any_of: a table is no value", "where = any_of("},
        {"{ a = any_of('x', { 'y' }) }", "a: any_of: a list is no value", "one_of"},
        {"{ a = { b = 5 } }", "a: a table is no value to compare with", "[\"column.key\"]"},
        {"any_of('paid', 'sent')", "where: any_of: a text has no column", "any_of(\"paid\""},
        {"any_of({ a = 1 }, 5)", "where: any_of: a whole number has no column", ""},
        {"any_of({ a = 1 }, { b = gt(null) })", "where: any_of: b: gt(null) is never true", ""},
        {"gt(5)", "where: gt is a condition on a column", "where = { column = gt(…) }"},
        {"changed_to('paid')", "where: changed_to is a condition on a column", ""},
        {"any_of(gt(5), lt(3))", "where: any_of: gt is a condition on a column", ""},
        {"all_of({ a = 1 }, { 'x' })", "where: all_of: a list has no column", ""},
        {"not_({ a = 1 }, { b = 1 })", "not_ takes one value, condition or where-table", ""},
        {"'paid'", "where is a table of columns, not a text", "when"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct where w;
        struct error err = {0};
        if (where_compile(lua_value(rows[i].where), &arena, &w, &err) == 0)
            fail_msg("%s compiles", rows[i].where);
        if (err.class != ERROR_DATA || !strstr(err.message, rows[i].message) ||
            !strstr(err.hint, rows[i].hint))
            fail_msg("%s: %s (%s)", rows[i].where, err.message, err.hint);
    }
}

/* Names that no script can write: from JSON, say. And depth, which is bounded. */
static void
strange_values_are_refused(void **state)
{
    struct value one = {.kind = VALUE_INT, .integer = 1};
    struct value call = {.kind = VALUE_CALL, .text = slice_literal("btween"), .count = 1};
    struct value_pair pair = {slice_literal("c"), call};
    struct value map = {.kind = VALUE_MAP, .count = 1, .pairs = &pair};
    struct value deep[100];
    struct where w;
    struct error err = {0};
    (void)state;
    pair.value.items = &one;
    assert_int_equal(where_compile(&map, &arena, &w, &err), -1);
    assert_string_equal(err.message, "where: c: \"btween\" is no condition");
    assert_string_equal(err.hint, "did you mean between?");
    for (size_t i = 0; i < countof(deep); i++)
        deep[i] = (struct value){.kind = VALUE_CALL,
                                 .text = slice_literal("not_"),
                                 .count = 1,
                                 .items = i ? &deep[i - 1] : &one};
    pair.value = deep[WHERE_DEPTH - 1];
    assert_int_equal(where_compile(&map, &arena, &w, &err), 0);
    pair.value = deep[WHERE_DEPTH];
    assert_int_equal(where_compile(&map, &arena, &w, &err), -1);
    assert_non_null(strstr(err.message, "nest deeper than 32"));
    deep[0].items = &map;
    pair.value = one;
    assert_int_equal(where_compile(&deep[WHERE_DEPTH - 1], &arena, &w, &err), 0);
    assert_int_equal(where_compile(&deep[WHERE_DEPTH], &arena, &w, &err), -1);
}

/* The model: values and literals of which it is known what they are, in thousandths. */
enum nature { GONE, NIL, TRUTH, NUMBER, WORD, OTHER };

struct model_cell {
    const char *cell;
    const char *json; /* the same inside a document; NULL: it has no such form */
    enum nature nature;
    long number;
    const char *text;
};

static const struct model_cell model_cells[] = {
    {"absent", NULL, GONE, 0, NULL},
    {"unknown", NULL, GONE, 0, NULL},
    {"null", "null", NIL, 0, NULL},
    {"true", "true", TRUTH, 1, NULL},
    {"false", "false", TRUTH, 0, NULL},
    {"0", "0", NUMBER, 0, NULL},
    {"1", "1", NUMBER, 1000, NULL},
    {"5", "5", NUMBER, 5000, NULL},
    {"-2", "-2", NUMBER, -2000, NULL},
    {"5.5", "5.5", NUMBER, 5500, NULL},
    {"5.500m", "5.500", NUMBER, 5500, NULL},
    {"5.0m", "5.0", NUMBER, 5000, NULL},
    {"0.125m", "125e-3", NUMBER, 125, NULL},
    {"'paid'", "\"paid\"", WORD, 0, "paid"},
    {"'Paid'", "\"P\\u0061id\"", WORD, 0, "Paid"},
    {"'5'", "\"5\"", WORD, 0, "5"},
    {"''", "\"\"", WORD, 0, ""},
    {"'pale'", "\"p\\u0061le\"", WORD, 0, "pale"},
    {"{\"x\":1}", "{\"x\":1}", OTHER, 0, NULL},
    {"[1]", "[1]", OTHER, 0, NULL},
};

struct model_literal {
    struct value value;
    bool numeric; /* reads as a number */
    long number;
    const char *text; /* of a text */
    int truth;        /* 0 or 1, as which it reads; -1 */
};

#define TEXT(t)                                                                                    \
    {                                                                                              \
        .kind = VALUE_TEXT, .text = { t, sizeof(t) - 1 }                                           \
    }
static const struct model_literal model_literals[] = {
    {{.kind = VALUE_INT, .integer = 5}, true, 5000, NULL, -1},
    {{.kind = VALUE_INT, .integer = 1}, true, 1000, NULL, 1},
    {{.kind = VALUE_INT, .integer = 0}, true, 0, NULL, 0},
    {{.kind = VALUE_FLOAT, .real = 5.5}, true, 5500, NULL, -1},
    {{.kind = VALUE_DECIMAL, .text = {"0.1250", 6}}, true, 125, NULL, -1},
    {{.kind = VALUE_BOOL, .boolean = true}, false, 0, NULL, 1},
    {{.kind = VALUE_BOOL, .boolean = false}, false, 0, NULL, 0},
    {TEXT("5"), true, 5000, "5", -1},
    {TEXT("paid"), false, 0, "paid", -1},
    {TEXT("pale"), false, 0, "pale", -1},
    {TEXT(""), false, 0, "", -1},
    {TEXT("p%"), false, 0, "p%", -1},
};

static uint64_t random_state = 88172645463325252u;

static unsigned
pick(unsigned count)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % count;
}

enum { FALSE_ = 0, MAYBE = 1, TRUE_ = 2 }; /* so that AND is the least and OR the greatest */

static int
least(int a, int b)
{
    return a < b ? a : b;
}

static int
greatest(int a, int b)
{
    return a > b ? a : b;
}

static const char *const ops[] = {"gt",     "ge",     "lt",    "le",         "ne",
                                  "one_of", "like",   "ilike", "between",    "is_null",
                                  "any_of", "all_of", "not_",  "changed_to", "changed_from",
                                  "value",  "null"};
enum {
    GT,
    GE,
    LT,
    LE,
    NE,
    ONE_OF,
    LIKE,
    ILIKE,
    BETWEEN,
    IS_NULL,
    ANY_OF,
    ALL_OF,
    NOT_,
    TO,
    FROM,
    VALUE,
    NULL_
};

struct node {
    unsigned op, column, count;
    const struct model_literal *literals[3];
    struct node *parts[3];
};

static const struct model_literal *
pick_literal(unsigned op)
{
    for (;;) {
        const struct model_literal *l = &model_literals[pick(countof(model_literals))];
        bool order = op <= LE || op == BETWEEN, pattern = op == LIKE || op == ILIKE;
        if ((order && l->value.kind == VALUE_BOOL) || (pattern && !l->text))
            continue;
        return l;
    }
}

static struct node *
make_node(unsigned column, int depth, bool change)
{
    struct node *n = arena_zero(&arena, sizeof(*n));
    do
        n->op = pick(countof(ops));
    while ((depth == 0 && n->op >= ANY_OF && n->op <= FROM) ||
           (!change && (n->op == TO || n->op == FROM)));
    n->column = column;
    n->count = n->op == BETWEEN                                        ? 2
               : n->op == ONE_OF || n->op == ANY_OF || n->op == ALL_OF ? 1 + pick(3)
                                                                       : 1;
    for (unsigned i = 0; i < n->count; i++) {
        if (n->op >= ANY_OF && n->op <= FROM)
            n->parts[i] = make_node(column, depth - 1, change && n->op != TO && n->op != FROM);
        else
            n->literals[i] = pick_literal(n->op);
    }
    if (n->op == BETWEEN && !n->literals[0]->text && !n->literals[1]->text &&
        n->literals[0]->number > n->literals[1]->number)
        n->literals[1] = n->literals[0];
    return n;
}

static struct value
value_of(const struct node *n)
{
    if (n->op == VALUE)
        return n->literals[0]->value;
    if (n->op == NULL_)
        return (struct value){.kind = VALUE_NULL};
    struct value v = {.kind = VALUE_CALL, .text = slice_of(ops[n->op]), .count = n->count};
    v.items = arena_zero(&arena, n->count * sizeof(*v.items));
    if (n->op == IS_NULL)
        v.count = 0;
    for (unsigned i = 0; i < v.count; i++)
        v.items[i] = n->parts[i] ? value_of(n->parts[i]) : n->literals[i]->value;
    return v;
}

/* -1, 0, 1; 2: they cannot be compared. */
static int
order_of(const struct model_cell *c, const struct model_literal *l)
{
    int order;
    if (c->nature == TRUTH)
        return l->truth < 0 ? 2 : (int)c->number - l->truth;
    if (c->nature == WORD) {
        if (!l->text)
            return 2;
        order = strcmp(c->text, l->text);
        return (order > 0) - (order < 0);
    }
    if (c->nature != NUMBER)
        return 2;
    if (l->value.kind == VALUE_BOOL) { /* the integers 1 and 0 */
        bool integer = !strchr(c->cell, 'm') && !strchr(c->cell, '.');
        return integer ? (c->number > l->truth * 1000) - (c->number < l->truth * 1000) : 2;
    }
    return l->numeric ? (c->number > l->number) - (c->number < l->number) : 2;
}

static bool
model_like(const char *pattern, const char *text, bool fold)
{
    if (*pattern == '%')
        return model_like(pattern + 1, text, fold) ||
               (*text && model_like(pattern, text + 1, fold));
    char a = *pattern, b = *text;
    if (fold) {
        a = (char)(a >= 'A' && a <= 'Z' ? a + 32 : a);
        b = (char)(b >= 'A' && b <= 'Z' ? b + 32 : b);
    }
    return a == b && (!a || model_like(pattern + 1, text + 1, fold));
}

static bool
model_compare(const struct node *n, const struct model_cell *c)
{
    int order = n->op == IS_NULL || n->op == NULL_ ? 2 : order_of(c, n->literals[0]);
    bool any = false;
    switch (n->op) {
    case GT:
        return order == 1;
    case GE:
        return order == 1 || order == 0;
    case LT:
        return order == -1;
    case LE:
        return order == -1 || order == 0;
    case NE:
        return order != 0;
    case VALUE:
        return order == 0;
    case ONE_OF:
        for (unsigned i = 0; i < n->count; i++)
            any |= order_of(c, n->literals[i]) == 0;
        return any;
    case BETWEEN:
        return (order == 0 || order == 1) &&
               (order_of(c, n->literals[1]) == 0 || order_of(c, n->literals[1]) == -1);
    case LIKE:
    case ILIKE:
        return c->nature == WORD && model_like(n->literals[0]->text, c->text, n->op == ILIKE);
    default:
        return c->nature == NIL;
    }
}

/* What each column is before and after; NULL: there is no such row. */
struct model_event {
    enum event_op op;
    const struct model_cell *old[3], *new[3];
    bool unchanged[3]; /* the log left the new value out */
};

static int model_test(const struct node *n, const struct model_event *e, bool old);

static int
model_change(const struct node *n, const struct model_event *e)
{
    bool to = n->op == TO;
    if (e->op == EVENT_UPDATE) {
        if (e->unchanged[n->column])
            return FALSE_;
        int is = model_test(n->parts[0], e, !to), was = model_test(n->parts[0], e, to);
        return least(is, 2 - was);
    }
    return e->op == (to ? EVENT_INSERT : EVENT_DELETE) ? model_test(n->parts[0], e, !to) : FALSE_;
}

static int
model_test(const struct node *n, const struct model_event *e, bool old)
{
    const struct model_cell *c = old ? e->old[n->column] : e->new[n->column];
    int result = n->op == ALL_OF ? TRUE_ : FALSE_;
    switch (n->op) {
    case ANY_OF:
        for (unsigned i = 0; i < n->count; i++)
            result = greatest(result, model_test(n->parts[i], e, old));
        return result;
    case ALL_OF:
        for (unsigned i = 0; i < n->count; i++)
            result = least(result, model_test(n->parts[i], e, old));
        return result;
    case NOT_:
        return 2 - model_test(n->parts[0], e, old);
    case TO:
    case FROM:
        return model_change(n, e);
    default:
        if (!c || c->nature == GONE)
            return MAYBE;
        return model_compare(n, c) ? TRUE_ : FALSE_;
    }
}

/* Columns: a of any type, b the same, and c, a document whose path c.v.1 is asked for. */
static const char *const model_names[] = {"a", "b", "c.v.1"};

static struct cell
cell_of(const struct model_cell *c, unsigned column, bool unchanged)
{
    char text[128];
    if (!c)
        return event_make_cell("absent");
    if (unchanged)
        return event_make_cell("unchanged");
    if (column < 2 || c->nature == GONE)
        return event_make_cell(c->cell);
    snprintf(text, sizeof(text), "{\"v\":[%s,7],\"w\":{}}", c->json);
    return event_make_cell(text);
}

static struct row
row_of(const struct model_cell *const *cells, const bool *unchanged)
{
    struct cell *row = arena_zero(&arena, 3 * sizeof(*row));
    for (unsigned i = 0; i < 3; i++)
        row[i] = cell_of(cells[i], i, unchanged && unchanged[i]);
    return (struct row){.present = true, .count = 3, .cells = row};
}

static struct event
make_event(struct model_event *m, const struct schema *schema)
{
    static const enum event_op kinds_of[] = {EVENT_INSERT, EVENT_UPDATE, EVENT_UPDATE,
                                             EVENT_UPDATE, EVENT_DELETE, EVENT_READ};
    *m = (struct model_event){.op = kinds_of[pick(countof(kinds_of))]};
    bool has_new = m->op != EVENT_DELETE, has_old = m->op == EVENT_UPDATE || !has_new;
    for (unsigned i = 0; i < 3; i++) {
        if (has_old)
            m->old[i] = &model_cells[pick(countof(model_cells))];
        if (has_new)
            m->new[i] = &model_cells[pick(countof(model_cells))];
        m->unchanged[i] = m->op == EVENT_UPDATE && pick(6) == 0;
        if (m->unchanged[i]) /* known if the old one is */
            m->new[i] = m->old[i];
    }
    return event_make(m->op, schema, "1",
                      has_new ? row_of(m->new, m->unchanged) : event_make_none(),
                      has_old ? row_of(m->old, NULL) : event_make_none());
}

/* A where of one to three columns, of some of which there are two conditions by all_of. */
struct model_where {
    struct node *nodes[3];
    unsigned count;
    enum { JOINED, ANY_TABLE, NOT_TABLE } form;
};

static struct value
make_where(struct model_where *w)
{
    struct value *tables = arena_zero(&arena, 3 * sizeof(*tables));
    w->count = 1 + pick(3);
    w->form = pick(3);
    for (unsigned i = 0; i < w->count; i++) {
        unsigned column = w->form == JOINED ? i : pick(3);
        struct value_pair *pair = arena_zero(&arena, 3 * sizeof(*pair));
        w->nodes[i] = make_node(column, (int)pick(4), true);
        *pair = (struct value_pair){slice_of(model_names[column]), value_of(w->nodes[i])};
        tables[i] = (struct value){.kind = VALUE_MAP, .count = 1, .pairs = pair};
    }
    struct value all = {.kind = VALUE_CALL, .text = slice_of("all_of"), .count = w->count};
    struct value *inner = arena_zero(&arena, sizeof(*inner));
    all.items = tables;
    if (w->form == ANY_TABLE)
        all.text = slice_of("any_of");
    *inner = all;
    if (w->form == NOT_TABLE)
        return (struct value){
            .kind = VALUE_CALL, .text = slice_of("not_"), .count = 1, .items = inner};
    return all;
}

static int
model_where(const struct model_where *w, const struct model_event *e)
{
    int result = w->form == ANY_TABLE ? FALSE_ : TRUE_;
    bool old = e->op == EVENT_DELETE;
    for (unsigned i = 0; i < w->count; i++) {
        int one = model_test(w->nodes[i], e, old);
        result = w->form == ANY_TABLE ? greatest(result, one) : least(result, one);
    }
    return w->form == NOT_TABLE ? 2 - result : result;
}

static void
print_node(const struct node *n, struct buffer *out)
{
    buffer_text(out, ops[n->op]);
    buffer_byte(out, '(');
    for (unsigned i = 0; i < n->count; i++) {
        if (n->parts[i])
            print_node(n->parts[i], out);
        else if (n->literals[i]->text)
            buffer_printf(out, "'%s'", n->literals[i]->text);
        else
            buffer_printf(out, "%ld/%d", n->literals[i]->number, n->literals[i]->truth);
        buffer_byte(out, i + 1 < n->count ? ',' : ')');
    }
}

static void
fail_model(const struct model_where *w, const struct model_event *e, const char *got)
{
    struct buffer b;
    buffer_init(&b, 1 << 16);
    for (unsigned i = 0; i < w->count; i++) {
        buffer_printf(&b, " %s: ", model_names[w->nodes[i]->column]);
        print_node(w->nodes[i], &b);
    }
    for (unsigned i = 0; i < 3; i++)
        buffer_printf(&b, "; %s to %s%s", e->old[i] ? e->old[i]->cell : "-",
                      e->new[i] ? e->new[i]->cell : "-", e->unchanged[i] ? " unchanged" : "");
    fail_msg("form %d of%s, %s: %s", w->form, buffer_cstring(&b), event_op_name(e->op), got);
}

static void
check_rules(struct matcher_plan *plan, const struct rule *rules, const struct model_where *models,
            struct event *e, const struct model_event *m)
{
    static const int as_model[] = {
        [VERDICT_NO] = FALSE_, [VERDICT_YES] = TRUE_, [VERDICT_UNKNOWN] = MAYBE};
    struct matcher_ops *list = plan->ops[e->op];
    uint64_t set[4];
    assert_true(list->words <= countof(set));
    matcher_candidates(list, e, set);
    for (uint32_t i = 0; i < list->count; i++) {
        unsigned unknown = 99;
        const struct model_where *w = &models[list->rules[i]->rule - rules];
        int wanted = model_where(w, m), got = as_model[matcher_test(list->rules[i], e, &unknown)];
        if (got != wanted)
            fail_model(w, m, got == MAYBE ? "unknown" : got == TRUE_ ? "yes" : "no");
        if (wanted != FALSE_ && !(set[i / 64] & UINT64_C(1) << i % 64))
            fail_model(w, m, "the index leaves it out");
        if (got == MAYBE)
            assert_true(unknown < 3);
    }
}

static void
random_conditions_agree_with_a_model(void **state)
{
    enum { RULES = 100, EVENTS = 200, ROUNDS = 30 };
    static const char *const sources[] = {"shop"}, *const schemas[] = {"main"};
    static const struct rules_world world = {
        .sources = sources, .source_schemas = schemas, .source_count = 1};
    static struct rule rules[RULES];
    static struct model_where models[RULES];
    const struct schema *schema =
        event_make_schema("shop", "main", "m", "a:any:null", "b:any:null", "c:document:null");
    struct pattern pattern;
    struct error err = {0};
    (void)state;
    assert_int_equal(pattern_parse(slice_literal("shop:m"), &world, &pattern, &err), 0);
    for (int round = 0; round < ROUNDS; round++) {
        memset(rules, 0, sizeof(rules));
        for (size_t i = 0; i < RULES; i++) {
            struct value where = make_where(&models[i]);
            rules[i].enabled = rules[i].loaded = true;
            rules[i].patterns = &pattern;
            rules[i].pattern_count = 1;
            rules[i].ops = (1u << EVENT_OPS) - 2;
            if (where_compile(&where, &arena, &rules[i].where, &err) != 0)
                fail_msg("%s (%s)", err.message, err.hint);
        }
        struct matcher_plan *plan = matcher_plan_new(rules, RULES, &world, schema);
        for (size_t i = 0; i < RULES; i++)
            assert_null(plan->bounds[i].problem);
        for (int i = 0; i < EVENTS; i++) {
            struct model_event m;
            struct event e = make_event(&m, schema);
            check_rules(plan, rules, models, &e, &m);
        }
        matcher_plan_free(plan);
    }
}

static int
teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    buffer_release(&scratch);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_condition_on_each_kind_of_cell),
        cmocka_unit_test(changes_hang_on_both_rows),
        cmocka_unit_test(what_is_no_update_changes_from_or_to_nothing),
        cmocka_unit_test(paths_lead_into_documents),
        cmocka_unit_test(changes_inside_documents_are_seen),
        cmocka_unit_test(where_tables_are_combined),
        cmocka_unit_test(wrong_conditions_say_what_would_be_right),
        cmocka_unit_test(strange_values_are_refused),
        cmocka_unit_test(random_conditions_agree_with_a_model),
    };
    arena_init(&arena, 0);
    buffer_init(&scratch, 1 << 20);
    return cmocka_run_group_tests(tests, NULL, teardown);
}
