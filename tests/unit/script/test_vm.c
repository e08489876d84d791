/* Loading scripts, and calling what they registered. */
#include "unit/script/rig.h"

static const struct vm_rule *
last_rule(void)
{
    const struct vm_rule *rules;
    size_t count = vm_rules(rig_vm, &rules);
    ensure(count);
    return &rules[count - 1];
}

static size_t
rule_count(void)
{
    const struct vm_rule *rules;
    return vm_rules(rig_vm, &rules);
}

static void
scripts_register_rules(void **state)
{
    const struct vm_rule *rules;
    (void)state;
    assert_null(rig_load("scripts/eu/orders.lua",
                         "local x = 5\n"
                         "rule('big', { on = 's:t', where = { n = gt(x) } })\n"
                         "on('s:t', 'insert', function() end)\n"
                         "\n"
                         "on('named', 's:t', nil, function() end)\n"
                         "for i = 1, 2 do rule('r' .. i, {}) end\n"
                         "on('s:u', { 'delete' }, function() end)"));
    static const struct {
        const char *name;
        int line;
        bool anonymous;
    } expected[] = {{"eu/orders/big", 2, false},   {"eu/orders/#1", 3, true},
                    {"eu/orders/named", 5, false}, {"eu/orders/r1", 6, false},
                    {"eu/orders/r2", 6, false},    {"eu/orders/#2", 7, true}};
    assert_int_equal(vm_rules(rig_vm, &rules), countof(expected));
    for (size_t i = 0; i < countof(expected); i++) {
        assert_string_equal(rules[i].name, expected[i].name);
        assert_string_equal(rules[i].script, "scripts/eu/orders.lua");
        assert_int_equal(rules[i].line, expected[i].line);
        assert_int_equal(rules[i].anonymous, expected[i].anonymous);
    }
    const struct value *where = value_get(rules[0].table, "where");
    const struct value *call = value_get(where, "n");
    assert_int_equal(call->kind, VALUE_CALL);
    assert_int_equal(call->items[0].integer, 5);
    assert_string_equal(value_text(rules[1].table, "ops", ""), "insert");
    assert_int_equal(value_get(rules[1].table, "run")->kind, VALUE_FUNCTION);
    assert_null(value_get(rules[2].table, "ops"));
    assert_int_equal(value_get(rules[5].table, "ops")->kind, VALUE_LIST);
    assert_true(vm_memory(rig_vm) > 1000);
}

static void
wrong_scripts_are_refused_with_place_and_line(void **state)
{
    static const struct {
        const char *text, *words[3];
    } rows[] = {
        {"local x =\nrule rule", {"scripts/w.lua:2:", "line 2 is: rule rule"}},
        {"local s = 'open", {"scripts/w.lua:1: unfinished string", "line 1 is: local s = 'open"}},
        {"\n\n   error('no')", {"scripts/w.lua:3: no", "line 3 is: error('no')"}},
        {"error({})", {"(error object is a table value)"}},
        {"error(nil)", {"(error object is a nil value)"}},
        {"error(setmetatable({}, { __tostring = function() while true do end end }))",
         {"more than 2000 ms of CPU time"}},
        {"local t = nil; t.x = 1", {"scripts/w.lua:1: attempt to index a nil value"}},
        {"\x1bLua", {"attempt to load a binary chunk"}},
        {"rule('x', { on = 1 })\nrule('x', {})", {":2:", "\"x\" is registered twice", "line 1"}},
        {"rule('x')", {"a table belongs after the name", "rule(\"x\", { on = "}},
        {"rule({})", {"bad argument #1"}},
        {"rule('', {})", {"1 to 100 characters"}},
        {"rule(('x'):rep(101), {})", {"1 to 100 characters"}},
        {"rule('a b', {})", {"no spaces, slashes"}},
        {"rule('a/b', {})", {"no spaces, slashes"}},
        {"on('s:t', 'insert')", {"on takes ([name,] pattern, operations, function)"}},
        {"on('s:t', function() end)", {"on takes ([name,] pattern, operations, function)"}},
        {"on('n', 's:t', 'insert', 5)", {"on takes ([name,] pattern, operations, function)"}},
        {"local t = {} t.t = t rule('x', t)", {"w/x: tables nest deeper than 64"}},
        {"rule('x', { 1, a = 2 })", {"w/x: a table has either keys"}},
        {"send('x', 'y')", {"send works only inside a handler: at top level"}},
        {"render('x', nil)", {"render works only inside a handler"}},
        {"gt(nil)", {"gt: nil is no value; write null for NULL"}},
        {"one_of(1, nil)", {"nil is no value; write null for NULL"}},
        {"coroutine.wrap(function() send('x', 'y') end)()", {"send works only inside a handler"}},
    };
    size_t before = rule_count();
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *wrong = rig_load("scripts/w.lua", rows[i].text);
        if (!wrong)
            fail_msg("%s was loaded", rows[i].text);
        for (size_t k = 0; k < countof(rows[i].words) && rows[i].words[k]; k++)
            if (!strstr(wrong, rows[i].words[k]))
                fail_msg("%s: \"%s\" is not in: %s", rows[i].text, rows[i].words[k], wrong);
        assert_int_equal(rule_count(), before); /* nothing of it stays */
    }
}

static void
the_same_name_in_two_files_is_two_rules(void **state)
{
    (void)state;
    assert_null(rig_load("scripts/one.lua", "rule('same', {})"));
    assert_null(rig_load("scripts/two.lua", "rule('same', {})"));
    assert_string_equal(last_rule()->name, "two/same");
}

static void
when_is_true_or_false(void **state)
{
    static const struct {
        const char *expression, *wrong; /* NULL: it works */
        bool answer;
    } rows[] = {
        {"true", NULL, true},
        {"false", NULL, false},
        {"nil", NULL, false},
        {"e.new.status == 'shipped'", NULL, true},
        {"e.new.id > 5", NULL, false},
        {"5", "when returned a number; it must return true or false", false},
        {"'true'", "when returned a string", false},
        {"{}", "when returned a table", false},
        {"e", "when returned a userdata", false},
        {"send('x', 'y')", "send works only in run: when and message decide, they do not act",
         false},
        {"rule('x', {})", "rule belongs at the top level of a script", false},
        {"render('t', e) == 't@shop:1:17'", NULL, true},
        {"render('bad', e)", "a bad template", false},
        {"render('t', 5)", "an event belongs here, not a number", false},
        {"error('own')", "own", false},
        {"select(2, pcall(error, 'own')) == 'own'", NULL, true},
    };
    struct event e = rig_event();
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char text[256], path[32], said[2200];
        struct error err = {0};
        bool answer = !rows[i].answer;
        snprintf(path, sizeof(path), "scripts/when%zu.lua", i);
        snprintf(text, sizeof(text), "rule('r', { when = function(e) return %s end })",
                 rows[i].expression);
        assert_null(rig_load(path, text));
        int result = vm_when(rig_vm, value_get(last_rule()->table, "when"), &e, &answer, &err);
        error_text(&err, said, sizeof(said));
        if ((result != 0) != (rows[i].wrong != NULL) ||
            (rows[i].wrong && !strstr(said, rows[i].wrong)) ||
            (!result && answer != rows[i].answer))
            fail_msg("%s: %d, %s", rows[i].expression, answer, said);
    }
}

static void
message_functions_say_four_things(void **state)
{
    static const struct {
        const char *expression;
        int kind; /* -1: fails */
        const char *body;
    } rows[] = {
        {"nil", VM_NOTHING, ""},
        {"'text'", VM_SAYS_TEXT, "text"},
        {"''", VM_SAYS_TEXT, ""},
        {"{ a = e.new.id }", VM_SAYS_TABLE, "{\"a\":1}"},
        {"e", VM_SAYS_EVENT, ""},
        {"render('x', e)", VM_SAYS_TEXT, "x@shop:1:17"},
        {"5", -1, "message returned a number"},
        {"true", -1, "message returned a boolean"},
        {"e.new", -1, "message returned a userdata"},
        {"{ f = print }", -1, "a function can't be sent"},
        {"('x'):rep(9000000)", -1, "larger than 8 MiB"},
        {"send('x', 'y')", -1, "send works only in run"},
    };
    struct event e = rig_event();
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char text[256], path[32], said[2200];
        struct error err = {0};
        struct vm_message message;
        snprintf(path, sizeof(path), "scripts/message%zu.lua", i);
        snprintf(text, sizeof(text), "rule('r', { message = function(e) return %s end })",
                 rows[i].expression);
        assert_null(rig_load(path, text));
        int result =
            vm_message(rig_vm, value_get(last_rule()->table, "message"), &e, &message, &err);
        error_text(&err, said, sizeof(said));
        if (rows[i].kind < 0) {
            if (result == 0 || !strstr(said, rows[i].body))
                fail_msg("%s: %s", rows[i].expression, said);
            continue;
        }
        if (result != 0 || (int)message.kind != rows[i].kind ||
            !slice_is(message.body, rows[i].body))
            fail_msg("%s: %d, %s", rows[i].expression, (int)message.kind, said);
    }
}

static void
runs_send(void **state)
{
    struct event e = rig_event();
    (void)state;
    assert_null(rig_run(&e, "send('a', 'text'); send('b', { n = 1 }); send('c', e)"));
    assert_string_equal(buffer_cstring(&rig_sent), "a=text;b={\"n\":1};c=shop:1:17;");
    const char *wrong = rig_run(&e, "send('a', '1')\nsend('nope', '2')");
    assert_non_null(strstr(wrong, ":3: there is no channel \"nope\""));
    assert_non_null(strstr(wrong, "line 3 is: send('nope', '2')"));
    wrong = rig_run(&e, "local function deep(n) if n == 0 then error('down here') end\n"
                        "  return 1 + deep(n - 1) end deep(5)");
    assert_non_null(strstr(wrong, ":2: down here"));
    wrong = rig_run(&e, "local function f() return f() + 1 end f()");
    assert_non_null(strstr(wrong, "more memory than a call may use"));
    assert_null(rig_run(&e, "send('a', 'still fine')"));
}

/* A failure in one script leaves the others as they were. */
static void
failures_leave_the_vm_whole(void **state)
{
    struct event e = rig_event();
    (void)state;
    for (int i = 0; i < 200; i++) {
        assert_non_null(rig_run(&e, "local x = e.new.note + 1"));
        assert_null(rig_run(&e, "send('a', 'b')"));
        assert_string_equal(buffer_cstring(&rig_sent), "a=b;");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scripts_register_rules, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(wrong_scripts_are_refused_with_place_and_line, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(the_same_name_in_two_files_is_two_rules, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(when_is_true_or_false, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(message_functions_say_four_things, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(runs_send, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(failures_leave_the_vm_whole, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
