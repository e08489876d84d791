/* Modules: what require finds, whose copy it is, and what is said when it does not work. */
#include "unit/script/rig.h"

static const char *const modules[] = {
    "scripts/lib/money.lua",
    "local m = {}\nfunction m.euro(cents) return ('%.2f €'):format(cents / 100) end\nreturn m",
    "scripts/lib/deep/er.lua",
    "return { name = ..., money = require('money') }",
    "scripts/lib/counter.lua",
    "local c = { n = 0 }\nfunction c.next() c.n = c.n + 1 return c.n end\nreturn c",
    "scripts/lib/nothing.lua",
    "local x = 1",
    "scripts/lib/no.lua",
    "return false",
    "scripts/lib/self.lua",
    "return require('self')",
    "scripts/lib/a.lua",
    "\nreturn require('b')",
    "scripts/lib/b.lua",
    "local x = require('c')",
    "scripts/lib/c.lua",
    "return { a = require('a') }",
    "scripts/lib/wrong.lua",
    "local t = {\n  1, 2 3\n}",
    "scripts/lib/fails.lua",
    "local t\nreturn t.x",
    "scripts/lib/global.lua",
    "oops = 1",
    "scripts/lib/rules.lua",
    "return function(name)\n\n\n  rule(name, { on = 's:t' })\nend",
    "scripts/lib/poison.lua",
    "string.upper = nil",
    NULL,
};

static void
modules_load(void **state)
{
    static const char *const scripts[] = {
        "assert(require('money').euro(1250) == '12.50 €')",
        "local d = require('deep.er') assert(d.name == 'deep.er' and d.money == require('money'))",
        "assert(require('nothing') == true and require('no') == false)",
        ("local ok, m = pcall(require, 'fails') assert(not ok)\n"
         "local again, n = pcall(require, 'fails') assert(not again and m == n)"),
    };
    (void)state;
    for (size_t i = 0; i < countof(scripts); i++) {
        const char *wrong = rig_load("scripts/m.lua", scripts[i]);
        if (wrong)
            fail_msg("%s: %s", scripts[i], wrong);
    }
}

static void
each_script_has_its_own_copy(void **state)
{
    struct event e = rig_event();
    (void)state;
    assert_null(rig_load("scripts/one.lua", "local c = require('counter') c.next() c.next()\n"
                                            "assert(require('counter').n == 2)"));
    assert_null(rig_load("scripts/two.lua", "assert(require('counter').n == 0)"));
    assert_null(rig_load("scripts/bad.lua", "require('poison') assert(string.upper == nil)"));
    assert_null(rig_load("scripts/good.lua", "assert(string.upper('a') == 'A')"));
    assert_null(rig_load("scripts/h.lua", "local c = require('counter')\n"
                                          "on('h', 's:t', nil, function(e)\n"
                                          "  require('counter').next() send('x', '' .. c.n)\n"
                                          "end)"));
    const struct vm_rule *rules;
    struct error err = {0};
    size_t count = vm_rules(rig_vm, &rules);
    const struct value *run = value_get(rules[count - 1].table, "run");
    buffer_reset(&rig_sent);
    for (int i = 0; i < 2; i++)
        assert_int_equal(vm_run(rig_vm, run, &e, &err), 0);
    assert_string_equal(buffer_cstring(&rig_sent), "x=1;x=2;");
}

static void
what_does_not_load_says_where(void **state)
{
    static const struct {
        const char *text, *words[3];
    } rows[] = {
        {"\nlocal x = require('nope')",
         {"scripts/w.lua:2: there is no module scripts/lib/nope.lua",
          "line 2 is: local x = require('nope')"}},
        {"require('self')",
         {"scripts/lib/self.lua:1:", "in a circle: lib/self.lua → lib/self.lua"}},
        {"require('a')", {"scripts/lib/c.lua:1:", "lib/a.lua → lib/b.lua → lib/c.lua → lib/a.lua"}},
        {"local w = 1\nrequire('wrong')",
         {"scripts/lib/wrong.lua:2:", "it is required at scripts/w.lua:2", "line 2 is: 1, 2 3"}},
        {"require('fails')",
         {"scripts/lib/fails.lua:2: attempt to index a nil value", "line 2 is: return t.x"}},
        {"require('global')", {"scripts/lib/global.lua:1: \"oops\" is not declared"}},
        {"require('a/b')", {"scripts/w.lua:1: require: \"a/b\" is no name of a module"}},
        {"require('../x')", {"is no name of a module"}},
        {"require('.x')", {"is no name of a module"}},
        {"require('x.')", {"is no name of a module"}},
        {"require('x..y')", {"is no name of a module"}},
        {"require('')", {"is no name of a module"}},
        {"require('x\\0y')", {"is no name of a module"}},
        {"require(('x'):rep(101))", {"is no name of a module"}},
        {"require({})", {"bad argument #1"}},
        {"require()", {"bad argument #1"}},
        {"requre('x')", {"\"requre\" is not declared"}},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *wrong = rig_load("scripts/w.lua", rows[i].text);
        if (!wrong)
            fail_msg("%s was loaded", rows[i].text);
        for (size_t k = 0; k < countof(rows[i].words) && rows[i].words[k]; k++)
            if (!strstr(wrong, rows[i].words[k]))
                fail_msg("%s: \"%s\" is not in: %s", rows[i].text, rows[i].words[k], wrong);
    }
    struct event e = rig_event();
    const char *wrong = rig_run(&e, "require('money')");
    assert_non_null(strstr(wrong, ":2: require(\"money\") inside a handler"));
}

static void
rules_of_a_module_are_the_scripts(void **state)
{
    const struct vm_rule *rules;
    (void)state;
    assert_null(rig_load("scripts/uses.lua", "\nlocal make = require('rules')\nmake('r')"));
    size_t count = vm_rules(rig_vm, &rules);
    assert_string_equal(rules[count - 1].name, "uses/r");
    assert_string_equal(rules[count - 1].script, "scripts/uses.lua");
    assert_int_equal(rules[count - 1].line, 3);
}

static void
the_vm_remembers_who_required_what(void **state)
{
    static const char *const expected[][2] = {
        {"scripts/p.lua", "scripts/lib/deep/er.lua"},
        {"scripts/p.lua", "scripts/lib/money.lua"},
        {"scripts/q.lua", "scripts/lib/nope.lua"},
        {"scripts/q2.lua", "scripts/lib/wrong.lua"},
    };
    const struct vm_required *list;
    (void)state;
    size_t before = vm_required(rig_vm, &list);
    assert_null(rig_load("scripts/p.lua", "require('deep.er') require('money')"));
    assert_non_null(rig_load("scripts/q.lua", "require('nope')"));
    assert_non_null(rig_load("scripts/q2.lua", "require('wrong')"));
    assert_int_equal(vm_required(rig_vm, &list), before + countof(expected));
    for (size_t i = 0; i < countof(expected); i++) {
        assert_string_equal(list[before + i].script, expected[i][0]);
        assert_string_equal(list[before + i].module, expected[i][1]);
    }
}

static void
modules_are_counted(void **state)
{
    (void)state;
    const char *wrong = rig_load("scripts/many.lua", "for i = 1, 2000 do\n"
                                                     "  local ok, m = pcall(require, 'm' .. i)\n"
                                                     "  if m:find('more than') then error(m) end\n"
                                                     "end");
    assert_non_null(wrong);
    assert_non_null(strstr(wrong, "require: more than 1000 modules"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modules_load),
        cmocka_unit_test(each_script_has_its_own_copy),
        cmocka_unit_test(what_does_not_load_says_where),
        cmocka_unit_test(rules_of_a_module_are_the_scripts),
        cmocka_unit_test(the_vm_remembers_who_required_what),
        cmocka_unit_test(modules_are_counted),
    };
    rig_modules = modules;
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
