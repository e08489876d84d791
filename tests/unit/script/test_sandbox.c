/* What scripts can and cannot reach. */
#include "unit/script/rig.h"

static void
words_of_the_design_are_refused_by_name(void **state)
{
    static const char *const names[] = {"every", "state",  "timer",        "lookup", "lookup_all",
                                        "http",  "secret", "channel_type", "param"};
    (void)state;
    for (size_t i = 0; i < countof(names); i++) {
        char text[64], words[128];
        snprintf(text, sizeof(text), "local x = %s", names[i]);
        snprintf(words, sizeof(words), "%s is not built yet", names[i]);
        const char *wrong = rig_load("scripts/a.lua", text);
        if (!wrong || !strstr(wrong, words))
            fail_msg("%s: %s", names[i], wrong ? wrong : "loaded");
    }
}

static void
dangerous_names_are_not_there(void **state)
{
    static const char *const names[] = {
        "io",       "os",     "debug",      "package",        "load",
        "loadfile", "dofile", "loadstring", "_G"};
    (void)state;
    for (size_t i = 0; i < countof(names); i++) {
        char text[64], words[128];
        snprintf(text, sizeof(text), "local x = %s", names[i]);
        snprintf(words, sizeof(words), "%s is not available in scripts", names[i]);
        const char *wrong = rig_load("scripts/a.lua", text);
        if (!wrong || !strstr(wrong, words))
            fail_msg("%s: %s", names[i], wrong ? wrong : "loaded");
    }
    static const char *const absent[] = {"string.dump", "math.randomseed", "getmetatable('')",
                                         "getmetatable(_ENV)"};
    for (size_t i = 0; i < countof(absent); i++) {
        char text[96];
        snprintf(text, sizeof(text), "if %s then error('there') end", absent[i]);
        assert_null(rig_load("scripts/a.lua", text));
    }
}

static void
undeclared_names_are_errors(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"rul('x', {})", "\"rul\" is not declared; did you mean \"rule\"?"},
        {"local x = strng", "did you mean \"string\"?"},
        {"local x = xyzzyxyzzy", "\"xyzzyxyzzy\" is not declared; write: local xyzzyxyzzy = "},
        {"count = 5", "\"count\" is not declared; write: local count = "},
        {"function helper() end", "\"helper\" is not declared"},
        {"on('s:t', 'insert', function() end) total = 1", "\"total\" is not declared"},
        {"source('x', {})", "\"source\" is not declared"},
        {"env('HOME')", "\"env\" is not declared"},
        {"setmetatable(_ENV, {})", "protected metatable"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *wrong = rig_load("scripts/a.lua", rows[i].text);
        if (!wrong || !strstr(wrong, rows[i].words))
            fail_msg("%s: %s", rows[i].text, wrong ? wrong : "loaded");
    }
}

/* One script may spoil its own copies of the libraries, and nobody else's. */
static void
scripts_do_not_reach_each_other(void **state)
{
    struct event e = rig_event();
    (void)state;
    assert_null(rig_load("scripts/a.lua", "string.upper = nil\n"
                                          "string.rep = function() return 'bad' end\n"
                                          "table.concat = nil\n"
                                          "math.floor = error\n"
                                          "rawset(_ENV, 'print', error)\n"
                                          "rawset(_ENV, 'shared', 1)"));
    assert_null(rig_load("scripts/b.lua", "if string.upper('a') ~= 'A' then error('upper') end\n"
                                          "if ('a'):rep(2) ~= 'aa' then error('rep') end\n"
                                          "if table.concat({ 1 }) ~= '1' then error('concat') end\n"
                                          "if math.floor(1.5) ~= 1 then error('floor') end\n"
                                          "if rawget(_ENV, 'shared') then error('shared') end"));
    assert_null(rig_run(&e, "send('x', ('a'):upper() .. math.floor(2.5))"));
    assert_string_equal(buffer_cstring(&rig_sent), "x=A2;");
}

static void
the_usual_library_works(void **state)
{
    static const struct rig_row rows[] = {
        {"('a,b'):gsub(',', ';')", "a;b"},
        {"('%5.1f'):format(2.25)", "  2.2"},
        {"table.concat({ 1, 2, 3 }, '-')", "1-2-3"},
        {"select('#', table.unpack({ 1, 2 }))", "2"},
        {"math.max(1, 3, 2)", "3"},
        {"utf8.len('tëxt')", "4"},
        {"tostring(pcall(error, 'x'))", "false"},
        {"tonumber('0x10')", "16"},
        {"coroutine.wrap(function() return 5 end)()", "5"},
        {"type(next)", "function"},
        {"_VERSION", "Lua 5.4"},
    };
    struct event e = rig_event();
    (void)state;
    rig_check(&e, rows, countof(rows));
    assert_null(rig_run(&e, "print('to the log', 1, nil, {}, e)"));
}

/* What a script could do to the process or to other scripts, by each way that was found. */
static void
ways_out_are_closed(void **state)
{
    static const struct {
        const char *text, *words; /* words of the error; NULL: it loads */
    } rows[] = {
        {"setmetatable({}, { __gc = print })", "__gc is not available"},
        {"local mt = {} local t = setmetatable({}, mt) assert(getmetatable(t) == mt)", NULL},
        {"setmetatable(1, {})", "table expected"},
        {"setmetatable({})", "nil or table expected"},
        {"assert(getmetatable(gt(1)) == false)", NULL},
        {"_ENV.string = nil local x = string.rep", "\"string\" is not declared"},
        {"_ENV.table = nil rawset(_ENV, 'table', { insert = error })", NULL},
        {"assert(table.insert ~= error and #('x'):rep(3) == 3)", NULL},
        {"local c = gt(1) c[1] = nil rule('x', { on = 's:t', where = { a = c } })",
         "condition was changed"},
        {"local c = gt(1) c[1] = 7 rule('x', { on = 's:t', where = { a = c } })",
         "condition was changed"},
        {"local s = ('x'):rep(1 << 30)", "larger than 8 MiB"},
        {"local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end", "more "},

        {"local t = {} for i = 1, 60 do t = { t, t } end rule('x', { on = t })", "MiB of values"},
        {"local s = ('x'):rep(1 << 20) local t = {} for i = 1, 100 do t[i] = s end\n"
         "rule('x', { on = t })",
         "MiB of values"},
        {"local function f() return f() + 1 end f()", "more memory than a call"},
        {"local t = {} t.t = t rule('x', { on = t })", "hold themselves"},
        {"error(42)", "42"},
        {"error({})", "error object is a table value"},
        {"error()", "error object is a nil value"},
        {"error(setmetatable({}, { __tostring = function() while true do end end }))",
         "more than 2000 ms of CPU time"},
        {"error(setmetatable({}, { __tostring = function() return 'told' end }))", "told"},
        {"error(setmetatable({}, { __tostring = function() error({}) end }))",
         "whose __tostring fails"},
        {"collectgarbage()", "takes only \"count\""},
        {"assert(collectgarbage('count') > 1)", NULL},
        {"coroutine.yield()", "outside a coroutine"},
        {"assert(not coroutine.resume(coroutine.create(function() rule() end)))", NULL},
        {"local ok, m = xpcall(error, function(m) return m .. '!' end, 'x') assert(m == 'x!')",
         NULL},
        {"local co = coroutine.wrap(function() return xpcall(coroutine.yield, print, 5) end)\n"
         "assert(co() == 5) local ok, v = co(6) assert(ok and v == 6)",
         NULL},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *wrong = rig_load("scripts/a.lua", rows[i].text);
        if (rows[i].words ? !wrong || !strstr(wrong, rows[i].words) : wrong != NULL)
            fail_msg("%s: %s", rows[i].text, wrong ? wrong : "loaded");
    }
    assert_true(vm_memory(rig_vm) < 64 * 1024 * 1024);
    assert_null(rig_load("scripts/b.lua", "local s = ('x'):rep(1000)"));
}

/* A list out of a document has a mark that all scripts share. */
static void
marks_of_lists_are_out_of_reach(void **state)
{
    static const struct rig_row rows[] = {
        {"getmetatable(e.new.doc.a)", "false"},
        {"setmetatable(e.new.doc.a, {})", "!protected metatable"},
    };
    struct event e = rig_event();
    (void)state;
    rig_check(&e, rows, countof(rows));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ways_out_are_closed),
        cmocka_unit_test(marks_of_lists_are_out_of_reach),
        cmocka_unit_test(words_of_the_design_are_refused_by_name),
        cmocka_unit_test(dangerous_names_are_not_there),
        cmocka_unit_test(undeclared_names_are_errors),
        cmocka_unit_test(scripts_do_not_reach_each_other),
        cmocka_unit_test(the_usual_library_works),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
