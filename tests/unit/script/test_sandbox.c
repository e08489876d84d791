/* What scripts can and cannot reach. */
#include "unit/script/rig.h"

static void
words_of_the_design_are_refused_by_name(void **state)
{
    static const char *const names[] = {
        "every",        "state",   "timer",  "lookup",       "lookup_all", "http",
        "log",          "json",    "time",   "require",      "like",       "ilike",
        "between",      "is_null", "any_of", "all_of",       "not_",       "changed_to",
        "changed_from", "filter",  "secret", "channel_type", "param"};
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
        "loadfile", "dofile", "loadstring", "collectgarbage", "_G"};
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_the_design_are_refused_by_name),
        cmocka_unit_test(dangerous_names_are_not_there),
        cmocka_unit_test(undeclared_names_are_errors),
        cmocka_unit_test(scripts_do_not_reach_each_other),
        cmocka_unit_test(the_usual_library_works),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
