/* Values on their way between Lua, C and JSON. */
#include "support/lua_value.h"
#include "unit/script/rig.h"

/* send('x', EXPRESSION) as JSON. */
static void
tables_become_json(void **state)
{
    static const struct rig_row rows[] = {
        {"{ a = 1, b = 'x', c = true, d = 1.5 }", "{\"a\":1,\"b\":\"x\",\"c\":true,\"d\":1.5}"},
        {"{ z = 1, a = 2, m = 3 }", "{\"a\":2,\"m\":3,\"z\":1}"},
        {"{ 1, 'two', false }", "[1,\"two\",false]"},
        {"{}", "{}"},
        {"{ list = e.new.doc.empty }", "{\"list\":[]}"},
        {"e.new.doc", "{\"a\":[1,2.5,null,{}],\"empty\":[]}"},
        {"{ n = null }", "{\"n\":null}"},
        {"{ null, 1 }", "[null,1]"},
        {"{ d = decimal('10000000000000000.01') }", "{\"d\":10000000000000000.01}"},
        {"{ big = 9223372036854775807 }", "{\"big\":9223372036854775807}"},
        {"{ t = '\\0\\255' }", "{\"t\":\"\\u0000\xef\xbf\xbd\"}"},
        {"{ a = { b = { c = {} } } }", "{\"a\":{\"b\":{\"c\":{}}}}"},
        {"setmetatable({ a = 1 }, { __index = { b = 2 }, __pairs = error })", "{\"a\":1}"},
    };
    struct event e = rig_event();
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char body[256], expected[512];
        snprintf(body, sizeof(body), "send('x', %s)", rows[i].expression);
        snprintf(expected, sizeof(expected), "x=%s;", rows[i].text);
        const char *wrong = rig_run(&e, body);
        if (wrong || strcmp(buffer_cstring(&rig_sent), expected) != 0)
            fail_msg("%s: %s", rows[i].expression, wrong ? wrong : buffer_cstring(&rig_sent));
    }
}

static void
what_has_no_json_is_an_error(void **state)
{
    static const struct {
        const char *body, *words;
    } rows[] = {
        {"send('x', { f = print })", "a function can't be sent"},
        {"send('x', { c = gt(5) })", "gt is a condition for where"},
        {"send('x', { n = 0/0 })", "NaN is no number that JSON can hold"},
        {"send('x', { n = 1/0 })", "infinity is no number that JSON can hold"},
        {"send('x', { e = e })", "an event or row can't stand here"},
        {"send('x', { r = e.new })", "an event or row can't stand here"},
        {"local t = {} t.t = t send('x', t)", "nest deeper than 64, or hold themselves"},
        {"local t = {} t[1] = t send('x', t)", "nest deeper than 64, or hold themselves"},
        {"send('x', { 1, 2, a = 3 })", "either keys that are names, or entries 1, 2, 3"},
        {"send('x', { [1] = 1, [3] = 3 })", "either keys that are names, or entries 1, 2, 3"},
        {"send('x', { [1.5] = 1 })", "either keys that are names"},
        {"send('x', { [true] = 1 })", "either keys that are names"},
        {"send('x', { co = coroutine.create(print) })", "a thread can't stand here"},
        {"local s = ('x'):rep(1048576) send('x', { s, s, s, s, s, s, s, s })", "larger than 8 MiB"},
        {"send('x', 5)", "send takes a string, a table or the event, not a number"},
        {"send('x', nil)", "send takes a string, a table or the event, not a nil"},
        {"send('x', e.new)", "send takes a string, a table or the event, not a"},
        {"send(nil, 'x')", "bad argument #1"},
        {"send('x', 'y', 'z')", "bad argument #3"},
        {"send('x', 'y', { key = print })", "a function can't be sent"},
    };
    struct event e = rig_event();
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *wrong = rig_run(&e, rows[i].body);
        if (!wrong || !strstr(wrong, rows[i].words))
            fail_msg("%s: %s", rows[i].body, wrong ? wrong : buffer_cstring(&rig_sent));
    }
}

static void
options_come_as_values(void **state)
{
    struct event e = rig_event();
    (void)state;
    assert_null(rig_run(&e, "send('x', { a = 1 }, { key = 5, headers = { b = 'c' } })"));
    assert_string_equal(buffer_cstring(&rig_sent),
                        "x={\"a\":1}|{\"headers\":{\"b\":\"c\"},\"key\":5};");
    assert_null(rig_run(&e, "send('x', e, { columns = { 'id' } }); send('x', 't', nil)"));
    assert_string_equal(buffer_cstring(&rig_sent), "x=shop:1:17|{\"columns\":[\"id\"]};x=t;");
}

static void
documents_become_tables(void **state)
{
    static const struct rig_row rows[] = {
        {"e.new.doc.a[1]", "1"},
        {"math.type(e.new.doc.a[1])", "integer"},
        {"e.new.doc.a[3] == null", "true"},
        {"tostring(null)", "null"},
        {"e.new.doc.nothing", "nil"},
        {"type(e.new.doc.a[4])", "table"},
        {"e.new.doc == e.new.doc", "false"}, /* decoded anew: changing one changes no event */
    };
    struct event e = rig_event();
    (void)state;
    rig_check(&e, rows, countof(rows));
}

static void
registered_values_keep_their_kinds(void **state)
{
    static const struct {
        const char *expression;
        enum value_kind kind;
    } rows[] = {
        {"null", VALUE_NULL},     {"true", VALUE_BOOL},      {"5", VALUE_INT},
        {"5.0", VALUE_FLOAT},     {"'x'", VALUE_TEXT},       {"decimal('5')", VALUE_DECIMAL},
        {"{ 1, 2 }", VALUE_LIST}, {"{}", VALUE_MAP},         {"{ a = 1 }", VALUE_MAP},
        {"gt(5)", VALUE_CALL},    {"print", VALUE_FUNCTION},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++)
        if (lua_value(rows[i].expression)->kind != rows[i].kind)
            fail_msg("%s", rows[i].expression);
    const struct value *call = lua_value("one_of({ 1, null, 'x' })");
    assert_true(slice_is(call->text, "one_of"));
    assert_int_equal(call->count, 3);
    assert_int_equal(call->items[1].kind, VALUE_NULL);
    assert_int_equal(lua_value("one_of(1)")->count, 1);
    assert_true(slice_is(lua_value("decimal('5.00')")->text, "5.00"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_become_json),
        cmocka_unit_test(what_has_no_json_is_an_error),
        cmocka_unit_test(options_come_as_values),
        cmocka_unit_test(documents_become_tables),
        cmocka_unit_test(registered_values_keep_their_kinds),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
