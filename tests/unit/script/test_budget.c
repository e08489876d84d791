/* Scripts that would never end, or take all memory: each ends alone, and the VM goes on. */
#include <time.h>
#include "base/clock.h"
#include "script/script_private.h"
#include "unit/script/rig.h"

static void
endless_calls_are_ended(void **state)
{
    static const char *const bodies[] = {
        "while true do end",
        "repeat until false",
        "for i = 1, math.huge do end",
        "local function f() return f() end f()",
        "while true do pcall(function() while true do end end) end",
        "while true do pcall(error) end",
        "local function f() pcall(f) while true do end end f()",
        "xpcall(error, function() while true do end end)",
        "while true do xpcall(error, function() end) end",
        "local co = coroutine.create(function() while true do end end)\n"
        "while true do coroutine.resume(co) end",
        "coroutine.wrap(function() while true do end end)()",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
        "local co = coroutine.wrap(function() while true do coroutine.yield() end end)\n"
        "while true do co() end",
        "local t <close> = setmetatable({}, { __close = function() while true do end end }) "
        "while true do end",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function() while true do end end "
        "return t.x",
        "table.sort({ 3, 2, 1 }, function() while true do end end)",
        "('x'):gsub('x', function() while true do end end)",
    };
    struct event e = rig_event();
    (void)state;
    for (size_t i = 0; i < countof(bodies); i++) {
        int64_t start = clock_mono();
        const char *wrong = rig_run(&e, bodies[i]);
        if (!wrong || !strstr(wrong, "more than 500 ms of CPU time in one call"))
            fail_msg("%s: %s", bodies[i], wrong ? wrong : "ended by itself");
        if (clock_mono() - start > 20 * CLOCK_SECOND)
            fail_msg("%s: ended after %lld us", bodies[i], (long long)(clock_mono() - start));
        assert_null(rig_run(&e, "send('a', 'b')"));
        assert_string_equal(buffer_cstring(&rig_sent), "a=b;");
    }
}

static void
an_ended_call_is_a_budget_error_with_its_line(void **state)
{
    const struct vm_rule *rules;
    struct event e = rig_event();
    struct error err = {0};
    (void)state;
    assert_null(rig_load("scripts/loop.lua", "on('s:t', nil, function(e)\n"
                                             "  local n = 0\n"
                                             "  while true do n = n + 1 end\n"
                                             "end)"));
    size_t count = vm_rules(rig_vm, &rules);
    assert_int_equal(vm_run(rig_vm, value_get(rules[count - 1].table, "run"), &e, &err), -1);
    assert_int_equal(err.class, ERROR_BUDGET);
    assert_non_null(strstr(err.message, "scripts/loop.lua:3: more than 500 ms"));
    assert_non_null(strstr(err.cause, "line 3 is: while true do"));
}

static void
loading_has_a_budget_too(void **state)
{
    (void)state;
    const char *wrong = rig_load("scripts/forever.lua", "while true do end");
    assert_non_null(wrong);
    assert_non_null(strstr(wrong, "scripts/forever.lua:1: more than 2000 ms of CPU time"));
}

static void
memory_is_bounded(void **state)
{
    static const char *const bodies[] = {
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t = { t, ('x'):rep(1000) } end",
        "local t = {} for i = 1, 100 do t[i] = ('x'):rep(5000000) .. i end",
    };
    struct event e = rig_event();
    (void)state;
    for (size_t i = 0; i < countof(bodies); i++) {
        const char *wrong = rig_run(&e, bodies[i]);
        if (wrong && strstr(wrong, "CPU time")) /* a slow build is out of time first */
            continue;
        if (!wrong || !strstr(wrong, "more memory than a call may use (16 MiB"))
            fail_msg("%s: %s", bodies[i], wrong ? wrong : "worked");
        assert_null(rig_run(&e, "send('a', 'b')"));
    }
    assert_true(vm_memory(rig_vm) < 64 << 20);
    /* garbage of earlier calls counts for nothing */
    for (int i = 0; i < 50; i++)
        assert_null(rig_run(&e, "local s = ('x'):rep(5000000)"));
}

/* Loops in C that only a number bounds, and what runs where no hook does. */
static void
loops_out_of_sight_are_refused(void **state)
{
    static const struct rig_row rows[] = {
        {"(''):rep(2^60 | 0)", ""},
        {"('x'):rep(3, ',')", "x,x,x"},
        {"('x'):rep(-1)", ""},
        {"('x'):rep(1 << 40)", "!larger than 8 MiB"},
        {"table.move({}, 1, 1 << 40, 2)", "!more than 500 ms of CPU time"},
        {"#table.move({ 1, 2 }, 1, 2, 3)", "4"},
        {"select('#', table.insert(setmetatable({}, { __len = function() return 1 << 40 end }), 1, "
         "1))",
         "0"},
        {"table.concat(setmetatable({ 1 }, { __len = function() return 5 end }))", "1"},
        {"table.concat({ ('x'):rep(5000000), ('x'):rep(5000000) })", "!larger than 8 MiB"},
        {"setmetatable({}, { __gc = function() end })", "!__gc is not available"},
        {"getmetatable(setmetatable({}, { __index = { a = 1 } })).__index.a", "1"},
        {"setmetatable(setmetatable({}, { __metatable = 1 }), {})", "!protected metatable"},
    };
    struct event e = rig_event();
    (void)state;
    rig_check(&e, rows, countof(rows));
    assert_null(
        rig_run(&e, "local t = { 3, 1, 2 } table.sort(t) table.insert(t, 4) table.remove(t, 1)\n"
                    "send('x', table.concat(t, ' '))"));
    assert_string_equal(buffer_cstring(&rig_sent), "x=2 3 4;");
}

static void
our_coroutines_and_xpcall_do_what_luas_do(void **state)
{
    static const char body[] = "local co = coroutine.create(function(a, b)\n"
                               "  local c = coroutine.yield(a + b) error('stop ' .. c)\n"
                               "end)\n"
                               "local out = {}\n"
                               "local function add(...) for i = 1, select('#', ...) do\n"
                               "  out[#out + 1] = tostring((select(i, ...))) end end\n"
                               "add(coroutine.resume(co, 1, 2))\n"
                               "add((coroutine.resume(co, 'x')))\n"
                               "add(coroutine.status(co), coroutine.resume(co))\n"
                               "local gen = coroutine.wrap(function() for i = 1, 2 do "
                               "coroutine.yield(i) end return 'end' end)\n"
                               "add(gen(), gen(), gen())\n"
                               "add((pcall(gen)))\n"
                               "add(xpcall(function(...) return ... end, error, 1, nil, 3))\n"
                               "add(xpcall(error, function(m) return 'handled ' .. m end, 'own'))\n"
                               "add(coroutine.wrap(function() return xpcall(function()\n"
                               "  return coroutine.yield('inside') end, error) end)())\n"
                               "add(coroutine.isyieldable())\n"
                               "send('x', table.concat(out, ' '))";
    struct event e = rig_event();
    (void)state;
    const char *wrong = rig_run(&e, body);
    if (wrong)
        fail_msg("%s", wrong);
    assert_string_equal(
        buffer_cstring(&rig_sent),
        "x=true 3 false dead false cannot resume dead coroutine 1 2 end false true 1 "
        "nil 3 false handled own inside false;");
}

/* Short calls are not added up: only one call has a budget. */
static void
many_short_calls_are_fine(void **state)
{
    const struct vm_rule *rules;
    struct event e = rig_event();
    struct error err = {0};
    (void)state;
    assert_null(
        rig_load("scripts/short.lua", "on('s:t', nil, function(e) for i = 1, 100000 do end end)"));
    size_t count = vm_rules(rig_vm, &rules);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(vm_run(rig_vm, value_get(rules[count - 1].table, "run"), &e, &err), 0);
}

/* For scripts of the next test: a part of the call ends; 30 ms of CPU time pass. */
static int
next_part(lua_State *L)
{
    (void)L;
    budget_again(rig_vm);
    return 0;
}

static int
work(lua_State *L)
{
    struct timespec from, now;
    (void)L;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < 30);
    return 0;
}

/* A call that is handed one event after the other has its time for each, and a bound for all. */
static void
parts_of_a_call_have_their_own_time(void **state)
{
    static const struct {
        const char *body;
        unsigned ms, whole_ms;
        const char *words; /* NULL: it comes to its end */
    } rows[] = {
        {"for i = 1, 12 do work() next_part() end", 100, 10000, NULL},
        {"for i = 1, 12 do work() end", 100, 10000, "more than 100 ms"},
        {"while true do work() next_part() end", 100, 300, "more than 300 ms"},
        {"pcall(function() while true do next_part() end end) while true do end", 100, 300,
         "more than 300 ms"},
    };
    lua_State *L = rig_vm->lua;
    (void)state;
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
    lua_pushcfunction(L, next_part);
    lua_setfield(L, -2, "next_part");
    lua_pushcfunction(L, work);
    lua_setfield(L, -2, "work");
    lua_settop(L, 0);
    for (size_t i = 0; i < countof(rows); i++) {
        char text[256];
        const struct vm_rule *rules;
        struct error err = {0};
        snprintf(text, sizeof(text), "on('p%zu', 's:t', nil, function() %s end)", i, rows[i].body);
        assert_null(rig_load("scripts/parts.lua", text));
        size_t count = vm_rules(rig_vm, &rules);
        lua_rawgeti(L, LUA_REGISTRYINDEX, value_get(rules[count - 1].table, "run")->integer);
        budget_begin_whole(rig_vm, rows[i].ms, rows[i].whole_ms, BUDGET_CALL);
        int result = gate_call(rig_vm, 0, 0, &err);
        budget_end(rig_vm);
        lua_settop(L, 0);
        if (result != (rows[i].words ? -1 : 0) ||
            (rows[i].words && !strstr(err.message, rows[i].words)))
            fail_msg("%s: %d %s", rows[i].body, result, err.message);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endless_calls_are_ended),
        cmocka_unit_test(an_ended_call_is_a_budget_error_with_its_line),
        cmocka_unit_test(loading_has_a_budget_too),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(loops_out_of_sight_are_refused),
        cmocka_unit_test(our_coroutines_and_xpcall_do_what_luas_do),
        cmocka_unit_test(many_short_calls_are_fine),
        cmocka_unit_test(parts_of_a_call_have_their_own_time),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
