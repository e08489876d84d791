/* The same answers in every run: order of pairs, random numbers; sorting and the table library
 * beside stock Lua's. */
#include <lauxlib.h>
#include <lualib.h>
#include "script/script_private.h"
#include "unit/script/rig.h"

static void
pairs_goes_in_order_of_keys(void **state)
{
    static const struct {
        const char *table, *keys;
    } rows[] = {
        {"{}", ""},
        {"{ 'x', 'y', 'z' }", "1 2 3 "},
        {"{ c = 1, a = 2, b = 3, [1] = 4 }", "1 a b c "},
        {"{ [10] = 1, [9] = 1, [-1] = 1, [2.5] = 1, [math.huge] = 1, [-math.huge] = 1 }",
         "-inf -1 2.5 9 10 inf "},
        {"{ [1 << 53] = 1, [(1 << 53) + 1] = 1, [2.0^53 * 2] = 1 }",
         "9007199254740992 9007199254740993 18014398509481984 "},
        {"{ [true] = 1, b = 1, [''] = 1, ['a\\0b'] = 1, a = 1 }", " a a\0b b true "},
        {"setmetatable({ z = 1, y = 2 }, { __index = { x = 1 } })", "y z "},
        {"setmetatable({}, { __pairs = function() return next, { own = 1 } end })", "own "},
    };
    struct event e = rig_event();
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char body[512], expected[256];
        snprintf(
            body, sizeof(body),
            "local out = '' for k, v in pairs(%s) do assert(v) out = out .. tostring(k) .. ' ' "
            "end send('x', (out:gsub('%%z', '')))",
            rows[i].table);
        const char *wrong = rig_run(&e, body);
        size_t n = (size_t)snprintf(expected, sizeof(expected), "x=%s;", rows[i].keys);
        if (i == 5)
            n = (size_t)snprintf(expected, sizeof(expected), "x= a ab b true ;");
        if (wrong || !slice_equal(buffer_view(&rig_sent), (struct slice){expected, n}))
            fail_msg("%s: %s", rows[i].table, wrong ? wrong : buffer_cstring(&rig_sent));
    }
}

static void
pairs_allows_what_luas_allows(void **state)
{
    struct event e = rig_event();
    (void)state;
    const char *wrong = rig_run(
        &e, "local t = {} for i = 1, 100 do t['k' .. i] = i end\n"
            "local n = 0 for k, v in pairs(t) do n = n + 1 t[k] = nil t['k5'] = nil end\n"
            "assert(next(t) == nil and n == 99, n)\n"
            "local u = { b = 1, a = 2 } for k, v in pairs(u) do u[k] = v + 1 end\n"
            "assert(u.a == 3 and u.b == 2)\n"
            "assert(not pcall(pairs) and not pcall(pairs, 1) and not pcall(pairs, nil))\n"
            "local words = {} for w in ('the quick brown fox'):gmatch('%a+') do words[w] = #w end\n"
            "local out = {} for k in pairs(words) do out[#out + 1] = k end\n"
            "send('x', table.concat(out, ' '))");
    assert_null(wrong);
    assert_string_equal(buffer_cstring(&rig_sent), "x=brown fox quick the;");
}

/* What a handler draws, in two VMs and of two events. */
static void
random_numbers_follow_event_and_rule(void **state)
{
    static const char body[] = "local t = {} for i = 1, 5 do t[i] = math.random(1000000) end\n"
                               "send('x', table.concat(t, ' ') .. ' ' .. math.random())";
    struct event e = rig_event(), other = rig_event();
    char first[256];
    (void)state;
    other.position = slice_literal("18");
    vm_name(rig_vm, "a/r", NULL, 0);
    assert_null(rig_run(&e, body));
    snprintf(first, sizeof(first), "%s", buffer_cstring(&rig_sent));
    assert_null(rig_run(&e, body));
    assert_string_equal(buffer_cstring(&rig_sent), first);
    assert_null(rig_run(&other, body));
    assert_string_not_equal(buffer_cstring(&rig_sent), first);
    vm_name(rig_vm, "a/s", NULL, 0);
    assert_null(rig_run(&e, body));
    assert_string_not_equal(buffer_cstring(&rig_sent), first);
    rig_teardown(state);
    rig_setup(state);
    vm_name(rig_vm, "a/r", NULL, 0);
    assert_null(rig_run(&e, body));
    assert_string_equal(buffer_cstring(&rig_sent), first);
    vm_name(rig_vm, NULL, NULL, 0);
}

static void
random_numbers_are_what_lua_promises(void **state)
{
    struct event e = rig_event();
    (void)state;
    const char *wrong = rig_run(
        &e, "local seen = {}\n"
            "for i = 1, 2000 do\n"
            "  local f = math.random() assert(f >= 0 and f < 1)\n"
            "  local d = math.random(6) assert(d >= 1 and d <= 6 and math.type(d) == 'integer')\n"
            "  local r = math.random(-3, 3) assert(r >= -3 and r <= 3) seen[r] = true\n"
            "end\n"
            "for i = -3, 3 do assert(seen[i]) end\n"
            "assert(math.random(5, 5) == 5 and math.type(math.random(0)) == 'integer')\n"
            "assert(math.random(math.mininteger, math.maxinteger))\n"
            "assert(not pcall(math.random, 2, 1) and not pcall(math.random, 1, 2, 3))\n"
            "assert(not pcall(math.random, 1.5) and not pcall(math.random, -1))");
    if (wrong)
        fail_msg("%s", wrong);
}

/* The same program in stock Lua and in ours, over thousands of random lists. */
static const char tables[] =
    "local seed = 1\n"
    "local function pick(n) seed = (seed * 1103515245 + 12345) % 2147483648 return seed // 65536 % "
    "n "
    "end\n"
    "local sum = 0\n"
    "local function note(...) for i = 1, select('#', ...) do\n"
    "  local s = tostring((select(i, ...))) for k = 1, #s do sum = (sum * 31 + s:byte(k)) % "
    "1000000007 "
    "end end end\n"
    "local function try(ok, ...) note(ok) if ok then note(...) end end\n"
    "local function all(t) for i = 1, #t do note(t[i]) end note(#t) end\n"
    "for round = 1, 1500 do\n"
    "  local t = {} for i = 1, pick(60) do t[i] = pick(1000) end\n"
    "  table.sort(t) all(t) table.sort(t, function(a, b) return a > b end) all(t)\n"
    "  try(pcall(table.insert, t, pick(70) - 3, 7)) try(pcall(table.insert, t, 8)) all(t)\n"
    "  try(pcall(table.remove, t, pick(70) - 3)) try(pcall(table.remove, t)) all(t)\n"
    "  try(pcall(table.concat, t, '-', pick(10) - 2, pick(60)))\n"
    "  try(pcall(table.unpack, t, pick(10) - 3, pick(60)))\n"
    "  local u = table.move(t, pick(10) + 1, pick(60), pick(20) + 1) all(u)\n"
    "  local v = table.move(t, 1, #t, 2, {}) note(v[1], v[2], v[#t + 1])\n"
    "  try(pcall(table.sort, { 1, 'x', {} })) try(pcall(table.concat, { 1, {}, 3 }))\n"
    "  note(('ab'):rep(pick(9), pick(2) == 1 and ',' or nil))\n"
    "end\n"
    "try(pcall(table.insert, {}, 1, 2, 3)) try(pcall(table.insert, {})) try(pcall(table.remove, "
    "{}, 0))\n"
    "try(pcall(table.move, {}, 1, math.maxinteger, 2)) try(pcall(table.remove, {}, 7))\n"
    "try(pcall(table.unpack, {}, 1, 1e8)) try(pcall(table.sort, {}, 1)) try(pcall(table.insert, "
    "1, "
    "1))\n";

static void
the_table_library_is_luas(void **state)
{
    char *script, expected[32];
    struct event e = rig_event();
    lua_State *L = luaL_newstate();
    (void)state;
    luaL_openlibs(L);
    ensure(asprintf(&script, "%sreturn sum", tables) > 0);
    if (luaL_dostring(L, script) != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    snprintf(expected, sizeof(expected), "x=%lld;", (long long)lua_tointeger(L, -1));
    lua_close(L);
    free(script);
    ensure(asprintf(&script, "%ssend('x', tostring(sum))", tables) > 0);
    const char *wrong = rig_run(&e, script);
    free(script);
    if (wrong && strstr(wrong, "CPU time")) /* a slow build */
        skip();
    if (wrong)
        fail_msg("%s", wrong);
    assert_string_equal(buffer_cstring(&rig_sent), expected);
}

static void
sorting_is_stable_and_survives_bad_orders(void **state)
{
    struct event e = rig_event();
    (void)state;
    const char *wrong = rig_run(
        &e, "local t = {} for i = 1, 500 do t[i] = { k = i * 7 % 10, i = i } end\n"
            "table.sort(t, function(a, b) return a.k < b.k end)\n"
            "for i = 2, #t do assert(t[i - 1].k < t[i].k or t[i - 1].i < t[i].i) end\n"
            "for _, f in ipairs({ function() return true end, function() return false end,\n"
            "    function(a, b) return a.i % 3 < b.i % 2 end }) do\n"
            "  table.sort(t, f) local seen = {} for i = 1, 500 do seen[t[i].i] = true end\n"
            "  for i = 1, 500 do assert(seen[i]) end\n"
            "end\n"
            "assert(not pcall(coroutine.wrap(function() table.sort(t, coroutine.yield) end)))");
    if (wrong)
        fail_msg("%s", wrong);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_goes_in_order_of_keys),
        cmocka_unit_test(pairs_allows_what_luas_allows),
        cmocka_unit_test(random_numbers_follow_event_and_rule),
        cmocka_unit_test(random_numbers_are_what_lua_promises),
        cmocka_unit_test(the_table_library_is_luas),
        cmocka_unit_test(sorting_is_stable_and_survives_bad_orders),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
