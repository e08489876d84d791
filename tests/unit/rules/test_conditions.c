/* Every condition on every kind of cell, by tables, and what is said of wrong ones. */
#include "rules/where.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
    };
    arena_init(&arena, 0);
    buffer_init(&scratch, 1 << 20);
    return cmocka_run_group_tests(tests, NULL, teardown);
}
