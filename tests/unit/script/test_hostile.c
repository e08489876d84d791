/* Scripts that mean harm. Each is shown to compile, each is stopped within its budget and named,
 * and the VM handles the next event as if nothing had been. Times are CPU time of this thread, so
 * that a busy machine fails no test. */
#include <time.h>
#include "script/script_private.h"
#include "unit/script/rig.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOW 1
#endif
#endif
#ifndef SLOW
#define SLOW 0
#endif

/* Beyond the budget: one collection of a full VM, one pass over the largest text. */
#define MOST_MS (SLOW ? 6000 : BUDGET_CALL_MS + 300)

#define TIME     "more than 500 ms of CPU time in one call"
#define MEMORY   "more memory than a call may use (16 MiB"
#define TOO_LONG "larger than 8 MiB"

struct hostile {
    const char *body;
    const char *words; /* how it ends; NULL: time or memory, whichever comes first */
};

static int64_t
cpu_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Compiles the body as the handler of a rule; the rule. */
static const struct vm_rule *
load(const char *body)
{
    const struct vm_rule *rules;
    char path[64], *text;
    snprintf(path, sizeof(path), "scripts/h%u.lua", rig_scripts++);
    ensure(asprintf(&text, "on('r', 's:t', nil, function(e)\n%s\nend)", body) > 0);
    const char *wrong = rig_load(path, text);
    if (wrong)
        fail_msg("does not compile: %s: %s", body, wrong);
    free(text);
    size_t count = vm_rules(rig_vm, &rules);
    return &rules[count - 1];
}

/* The next event, through another script's rule. */
static void
check_usable(struct event *e, const char *body)
{
    static const char next[] =
        "local t = {} for i = 1, 1000 do t[i] = ('%d'):format(i) end\n"
        "local co = coroutine.wrap(function() coroutine.yield(#table.concat(t)) end)\n"
        "send('a', ('n=%d'):format(co()) .. tostring(pcall(error)) .. ('x y'):match('%w+'))";
    const char *wrong = rig_run(e, next);
    if (wrong || strcmp(buffer_cstring(&rig_sent), "a=n=2893falsex;") != 0)
        fail_msg("after %s: %s", body, wrong ? wrong : buffer_cstring(&rig_sent));
}

static void
check_one(struct event *e, const struct hostile *h)
{
    char said[2300], path[64];
    struct error err = {0};
    const struct vm_rule *rule = load(h->body);
    snprintf(path, sizeof(path), "scripts/h%u.lua:", rig_scripts - 1);
    int64_t start = cpu_ms();
    int result = vm_run(rig_vm, value_get(rule->table, "run"), e, &err);
    int64_t took = cpu_ms() - start;
    error_text(&err, said, sizeof(said));
    if (result == 0)
        fail_msg("ended by itself: %s", h->body);
    bool as_said = h->words ? strstr(said, h->words) != NULL
                            : strstr(said, TIME) != NULL || strstr(said, MEMORY) != NULL;
    as_said = as_said || (SLOW && strstr(said, TIME)); /* a slow build is out of time first */
    if (!as_said)
        fail_msg("%s: %s", h->body, said);
    if (err.class == ERROR_BUDGET && strstr(said, TIME) && !strstr(said, path) &&
        !strstr(said, "[C]"))
        fail_msg("is not named: %s: %s", h->body, said);
    if (took > MOST_MS)
        fail_msg("took %lld ms: %s", (long long)took, h->body);
    check_usable(e, h->body);
}

static void
check_all(const struct hostile *list, size_t count)
{
    struct event e = rig_event();
    for (size_t i = 0; i < count; i++)
        check_one(&e, &list[i]);
}

static void
loops_end(void **state)
{
    static const struct hostile list[] = {
        {"while true do end", TIME},
        {"while true do pcall(function() while true do end end) end", TIME},
        {"pcall(pcall, pcall, pcall, function() while true do end end) while true do end", TIME},
        {"while true do xpcall(function() while true do end end, function() while true do end end) "
         "end",
         TIME},
        {"xpcall(error, function() while true do end end)", TIME},
        {"xpcall(function() while true do end end, function() return 'swallowed' end)", TIME},
        {"while true do xpcall(error, error) end", TIME},
        {"local function again() while true do xpcall(again, again) end end again()", NULL},
        {"goto a ::b:: goto a ::a:: goto b", TIME},
        {"for i = 1, math.huge do end", TIME},
        {"for i = math.mininteger, math.maxinteger do end", TIME},
        {"for k in function() return 1 end do end", TIME},
        {"for i in ipairs(setmetatable({}, { __index = function() return 1 end })) do end", TIME},
        {"local t = {} for i = 1, 1000 do t[i] = i end\n"
         "while true do for k, v in pairs(t) do end end",
         TIME},
        {"local t = {} for i = 1, 1000 do t['k' .. i] = i end\n"
         "while true do for k, v in pairs(t) do end end",
         TIME},
        {"local t = { a = 1 } while true do pairs(t) end", TIME},
        {"while true do math.random(0) end", TIME},
        {"pcall(function() while true do end end) send('a', 'goes on')", TIME},
        {"local ok = select(2, pcall(pcall, function() while true do end end)) send('a', 'on')",
         TIME},
    };
    (void)state;
    check_all(list, countof(list));
}

static void
coroutines_end(void **state)
{
    static const struct hostile list[] = {
        {"coroutine.wrap(function() while true do end end)()", TIME},
        {"coroutine.resume(coroutine.create(function() while true do end end)) send('a', 'on')",
         TIME},
        {"while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
         TIME},
        {"local co = coroutine.wrap(function() while true do pcall(coroutine.yield) end end)\n"
         "while true do co() end",
         TIME},
        {"local function f() coroutine.wrap(f)() end while true do pcall(f) end", NULL},
        {"local function f() pcall(coroutine.wrap(f)) while true do end end f()", NULL},
        {"local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = "
         "function() while true do end end }) coroutine.yield() end)\n"
         "coroutine.resume(co) coroutine.close(co) send('a', 'on')",
         TIME},
        {"coroutine.wrap(function() local x <close> = setmetatable({}, { __close = function() "
         "while true do end end }) while true do end end)()",
         TIME},
        {"coroutine.wrap(function() local x <close> = setmetatable({}, { __close = function() "
         "while true do end end }) error('x') end)()",
         TIME},
        {"local all = {} while true do local co = coroutine.create(function() coroutine.yield() "
         "end) coroutine.resume(co) all[#all + 1] = co end",
         NULL},
        {"while true do local co = coroutine.create(print) coroutine.close(co) end", TIME},
        {"local co co = coroutine.create(function() return pcall(coroutine.close, co) end)\n"
         "while true do coroutine.resume(co) end",
         TIME},
        {"coroutine.wrap(function() xpcall(function() while true do coroutine.yield() end end, "
         "function() while true do end end) end)() while true do end",
         TIME},
    };
    (void)state;
    check_all(list, countof(list));
}

/* A coroutine that the budget ended has its hooks off: nothing may run in it later either. */
static void
ended_coroutines_stay_ended(void **state)
{
    struct event e = rig_event();
    const struct vm_rule *rules;
    struct error err = {0};
    (void)state;
    assert_null(rig_load(
        "scripts/kept.lua",
        "local function loop() while true do end end\n"
        "local kept = coroutine.create(function()\n"
        "  local x <close> = setmetatable({}, { __close = loop }) loop() end)\n"
        "local wrapped = coroutine.wrap(function()\n"
        "  local x <close> = setmetatable({}, { __close = loop }) loop() end)\n"
        "on('one', 's:t', nil, function() coroutine.resume(kept) end)\n"
        "on('two', 's:t', nil, function() wrapped() end)\n"
        "on('three', 's:t', nil, function()\n"
        "  local ok, why = coroutine.close(kept) assert(not ok and why:find('budget'), why)\n"
        "  assert(coroutine.status(kept) == 'dead' and not coroutine.resume(kept))\n"
        "  assert(not pcall(wrapped)) kept, wrapped = nil, nil end)"));
    size_t count = vm_rules(rig_vm, &rules);
    for (size_t i = count - 3; i < count - 1; i++) {
        assert_int_equal(vm_run(rig_vm, value_get(rules[i].table, "run"), &e, &err), -1);
        assert_int_equal(err.class, ERROR_BUDGET);
    }
    if (vm_run(rig_vm, value_get(rules[count - 1].table, "run"), &e, &err) != 0)
        fail_msg("%s", err.message);
    lua_gc(rig_vm->lua, LUA_GCCOLLECT);
    check_usable(&e, "ended coroutines");
}

static void
metamethods_end(void **state)
{
    static const struct hostile list[] = {
        {"return setmetatable({}, { __index = function() while true do end end }).x", TIME},
        {"setmetatable({}, { __newindex = function() while true do end end }).x = 1", TIME},
        {"return setmetatable({}, { __add = function() while true do end end }) + 1", TIME},
        {"return setmetatable({}, { __eq = function() while true do end end }) == setmetatable({}, "
         "{})",
         TIME},
        {"return setmetatable({}, { __lt = function() while true do end end }) < 1", TIME},
        {"return setmetatable({}, { __concat = function() while true do end end }) .. ''", TIME},
        {"return #setmetatable({}, { __len = function() while true do end end })", TIME},
        {"setmetatable({}, { __call = function() while true do end end })()", TIME},
        {"tostring(setmetatable({}, { __tostring = function() while true do end end }))", TIME},
        {"('%s'):format(setmetatable({}, { __tostring = function() while true do end end }))",
         TIME},
        {"for k in pairs(setmetatable({}, { __pairs = function() while true do end end })) do end",
         TIME},
        {"local x <close> = setmetatable({}, { __close = function() while true do end end })",
         TIME},
        {"local x <close> = setmetatable({}, { __close = function() while true do end end }) "
         "while true do end",
         TIME},
        {"while true do pcall(function() local x <close> = setmetatable({}, { __close = function() "
         "error('again') end }) error('x') end) end",
         TIME},
        {"for i = 1, 1e9 do local x <close> = setmetatable({}, { __close = function() for i = 1, "
         "1e9 "
         "do end end }) end",
         TIME},
        {"error(setmetatable({}, { __tostring = function() while true do end end }))", TIME},
        {"error(setmetatable({}, { __tostring = function() return error(nil) end }))",
         "whose __tostring fails"},
        {"error(setmetatable({}, { __tostring = function() return {} end }))",
         "must return a string"},
        {"error(setmetatable({}, { __tostring = function() local s = 'x' while true do s = s .. s "
         "end end }))",
         NULL},
        {"error(setmetatable({}, { __name = ('x'):rep(5000000) }))", "error object is a "},
        {"local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x", "loop"},
        {"while true do local t = setmetatable({}, {}) getmetatable(t).__index = t "
         "pcall(function() return t.x end) end",
         TIME},
    };
    (void)state;
    check_all(list, countof(list));
}

static void
callbacks_and_patterns_end(void **state)
{
    static const struct hostile list[] = {
        {"table.sort({ 3, 2, 1 }, function() while true do end end)", TIME},
        {"local t = {} for i = 1, 1e5 do t[i] = -i end while true do table.sort(t, function(a, b) "
         "return a < b end) end",
         TIME},
        {"local t = {} for i = 1, 3000 do t[i] = i end\n"
         "table.sort(t, function() table.sort(t, function() return true end) return true end)",
         TIME},
        {"('x'):gsub('x', function() while true do end end)", TIME},
        {"('x'):rep(1e6):gsub('', function() for i = 1, 1e6 do end end)", TIME},
        {"('x'):gsub('x', setmetatable({}, { __index = function() while true do end end }))", TIME},
        {"for a in ('x'):gmatch('') do while true do end end", TIME},
        {"while true do for a in ('x'):rep(1e6):gmatch('y') do end end", TIME},
        {"return ('a'):rep(50000):find(('.-'):rep(20) .. 'b')", TIME},
        {"return ('a'):rep(50000):match(('a*'):rep(20) .. 'b')", TIME},
        {"return ('a'):rep(50000):match(('a?'):rep(20000) .. ('a'):rep(20000) .. 'b')", TIME},
        {"return ('a'):rep(400000):gsub('a*b', '')", TIME},
        {"return ('a'):rep(400000):find('.-.-.-%d')", TIME},
        {"return ('('):rep(400000):find('%b()')", TIME},
        {"return ('a'):rep(400000):find('(a*)%1b')", TIME},
        {"while true do ('a'):rep(1000000):find('b', 1, true) end", TIME},
        {"local s, p = ('a'):rep(4000000), ('a'):rep(2000000) .. 'b'\n"
         "while true do s:find(p, 1, true) end",
         TIME},
        {"return ('a'):rep(5000000):gsub('a', 'aa')", TOO_LONG},
        {"return ('a'):rep(5000):gsub('', ('a'):rep(5000))", TOO_LONG},
        {"return ('a'):match(('('):rep(40))", "too many captures"},
        {"return ('a'):match(('%f'):rep(100000))", "missing '['"},
        {"local p = ('['):rep(3000000) return ('a'):find(p)", NULL},
        {"return ('%99999d'):format(1)", "invalid"},
        {"local a = ('x'):rep(4000000) return ('%s%s%s'):format(a, a, a)", NULL},
    };
    (void)state;
    check_all(list, countof(list));
}

static void
lengths_and_counts_end(void **state)
{
    static const struct hostile list[] = {
        {"return ('x'):rep(1 << 60)", TOO_LONG},
        {"return ('x'):rep(1 << 62, ('y'):rep(1000))", TOO_LONG},
        {"return (''):rep(1 << 60, 'y')", TOO_LONG},
        {"while true do (''):rep(1 << 60) end", TIME},
        {"table.move({}, 1, 1 << 40, 2)", TIME},
        {"table.move({ 1 }, 1, 1 << 40, -(1 << 41))", NULL},
        {"table.concat({}, '', 1, 1 << 50)", "invalid value"},
        {"table.concat(setmetatable({}, { __index = function() return '' end }), '', 1, 1 << 50)",
         "invalid value"},
        {"local t = { 1 } while true do table.insert(t, 1, 1) end", NULL},
        {"local t = setmetatable({ 1, 2, 3 }, { __len = function() return 1 << 60 end })\n"
         "while true do table.insert(t, 1, 0) table.remove(t, 1) table.sort(t) table.unpack(t) end",
         TIME},
        {"return table.unpack({}, 1, 1 << 30)", "too many results"},
        {"return table.unpack({}, math.mininteger, math.maxinteger)", "too many results"},
        {"return string.byte(('x'):rep(5000000), 1, -1)", "string slice too long"},
        {"return select(1e6, table.unpack({}, 1, 900000))", NULL},
        {"while true do table.pack(table.unpack({}, 1, 200)) end", TIME},
        {"return utf8.char(table.unpack({}, 1, 1e5))", "number expected"},
        {"return string.pack('c2000000000', '')", MEMORY},
        {"local s = ('x'):rep(3000000) while true do s:upper() s:reverse() end", TIME},
        {"while true do utf8.len(('x'):rep(1e6)) end", TIME},
        {"while true do tonumber(('1'):rep(1e6)) end", TIME},
    };
    (void)state;
    check_all(list, countof(list));
}

static void
memory_bombs_end(void **state)
{
    static const struct hostile list[] = {
        {"local s = 'x' while true do s = s .. s end", MEMORY},
        {"local t = {} while true do t[#t + 1] = {} end", NULL},
        {"local t = {} while true do t = { t } end", NULL},
        {"local t = {} while true do t[#t + 1] = function() return t end end", NULL},
        {"local t = {} while true do pcall(function() t[#t + 1] = ('x'):rep(1e6) .. #t end) end",
         TIME},
        {"local function f() return f() + 1 end f()", NULL},
        {"local function f() return f() + 1 end while true do pcall(f) end", TIME},
        {"local function f(...) return f(1, ...) end while true do pcall(f) end", TIME},
        {"local function f() pcall(f) while true do end end f()", NULL},
        {"local function f() local ok = pcall(f) return ok and f() + 1 end while true do f() end",
         NULL},
        {"local s = '' while true do s = s .. ('x'):rep(1000) end", NULL},
        {"local s = ('x'):rep(4000000) while true do local a = s .. s end", TIME},
        {"local t = {} for i = 1, 1e9 do t[i] = i end", NULL},
        {"local t = {} for i = 1, 1e9 do t[i + 0.5] = i end", NULL},
        {"local t = {} while true do t[{}] = 1 end", NULL},
        {"while true do local t = {} for i = 1, 100000 do t[i] = {} end end", TIME},
        {"local m = setmetatable({}, { __mode = 'k' }) while true do m[{}] = {} end",
         "weak tables (__mode) are not available"},
        {"local mt = {} local t, keys = setmetatable({}, mt), {} mt['__' .. 'mode'] = 'k'\n"
         "for i = 1, 40000 do keys[i] = {} end\n"
         "for i = 40000, 2, -1 do local j = math.random(i) keys[i], keys[j] = keys[j], keys[i] "
         "end\n"
         "for i = 1, 39999 do t[keys[i]] = keys[i + 1] end\n"
         "local first = keys[1] keys = nil local s = 'x' while true do s = s .. s end",
         NULL},
    };
    (void)state;
    check_all(list, countof(list));
    assert_true(vm_memory(rig_vm) < 64 << 20);
}

/* What loading itself must survive. */
static void
loads_end(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"while true do end", "more than 2000 ms"},
        {"pcall(function() while true do end end) on('s:t', nil, print)", "more than 2000 ms"},
        {"local s = 'x' while true do s = s .. s end", "more memory"},
        {"while true do pcall(rule, 'x', {}) end", "more than 2000 ms"},
        {"setmetatable({}, { __gc = function() while true do end end })", "__gc is not available"},
        {"\x1bLua\x54\x00\x19\x93\r\n\x1a\n", "binary chunk"},
        {"string.dump(print)", "nil value (field 'dump')"},
        {"load('x = 1')", "load is not available"},
        {"debug.sethook()", "debug is not available"},
        {"io.open('/etc/passwd')", "io is not available"},
        {"os.execute('true')", "os is not available"},
        {"package.loadlib('x', 'y')", "package is not available"},
        {"dofile('x')", "dofile is not available"},
        {"_G.x = 1", "_G is not available"},
        {"getmetatable('').__index = nil", "attempt to index a boolean value"},
        {"getmetatable(_ENV).__index = nil", "attempt to index a boolean value"},
        {"getmetatable(null).__tostring = nil", "attempt to index a boolean value"},
        {"getmetatable(gt(1)).x = 1", "attempt to index a boolean value"},
        {"getmetatable(decimal('1')).__add = error", "attempt to index a boolean value"},
        {"setmetatable(_ENV, {})", "protected metatable"},
        {"setmetatable('', {})", "table expected"},
        {"local _ENV = setmetatable({}, { __index = _ENV }) getmetatable(_ENV).__index.x = 1",
         "not declared"},
    };
    struct event e = rig_event();
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *wrong = rig_load("scripts/a.lua", rows[i].text);
        if (!wrong || !strstr(wrong, rows[i].words))
            fail_msg("%s: %s", rows[i].text, wrong ? wrong : "loaded");
        check_usable(&e, rows[i].text);
    }
}

/* A script spoils what is its own, and nobody else's. */
static void
poison_stays_at_home(void **state)
{
    static const char poison[] =
        "for _, lib in ipairs({ string, table, math, coroutine, utf8, log, json, time }) do\n"
        "  for k in pairs(lib) do lib[k] = error end\n"
        "end\n"
        "rawset(_ENV, 'pcall', error) rawset(_ENV, 'tostring', error) rawset(_ENV, 'pairs', "
        "error)\n"
        "rawset(_ENV, 'send', error) rawset(_ENV, 'select', error)\n"
        "local mt = getmetatable(setmetatable({}, {})) mt.__index = error\n"
        "on('p', 's:t', nil, function(e) rawset(_ENV, 'type', error) string.format = error end)";
    const struct vm_rule *rules;
    struct error err = {0};
    struct event e = rig_event();
    (void)state;
    assert_null(rig_load("scripts/poison.lua", poison));
    size_t count = vm_rules(rig_vm, &rules);
    assert_int_equal(vm_run(rig_vm, value_get(rules[count - 1].table, "run"), &e, &err), 0);
    check_usable(&e, "poison");
    assert_null(rig_run(&e, "assert(type(1) == 'number' and ('x'):rep(2) == 'xx')\n"
                            "assert(math.floor(1.5) == 1 and utf8.len('x') == 1)\n"
                            "for k, v in pairs({ a = 1 }) do send('x', k .. tostring(v)) end"));
    assert_string_equal(buffer_cstring(&rig_sent), "x=a1;");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loops_end, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(coroutines_end, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(ended_coroutines_stay_ended, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(metamethods_end, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(callbacks_and_patterns_end, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(lengths_and_counts_end, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(memory_bombs_end, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(loads_end, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(poison_stays_at_home, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
