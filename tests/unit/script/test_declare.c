/* tidegate.lua: declarations as plain values. */
#include "unit/script/rig.h"

static struct arena arena;

static const char *
load(const char *text, struct declaration **list, size_t *count)
{
    struct error err = {0};
    *count = 0;
    if (declare_load("tidegate.lua", slice_of(text), &arena, list, count, &err) == 0)
        return NULL;
    assert_int_equal(err.class, ERROR_CONFIG);
    return error_text(&err, rig_text, sizeof(rig_text));
}

static void
declarations_come_in_order(void **state)
{
    struct declaration *list;
    size_t count;
    (void)state;
    assert_null(
        load("source('shop', { driver = 'sqlite', path = 'shop.db', tables = { 'a', 'b*' } })\n"
             "channel('ops', { type = 'file', path = '-' })\n"
             "settings({ port = 5859, retention = { journal = '1h' } })\n"
             "for i = 1, 2 do\n"
             "  channel('c' .. i, { limit = decimal('0.5'), on = true, none = null })\n"
             "end\n"
             "source('empty', {})",
             &list, &count));
    assert_int_equal(count, 6);
    assert_string_equal(list[0].kind, "source");
    assert_string_equal(list[0].name, "shop");
    assert_int_equal(list[0].line, 1);
    assert_string_equal(value_text(&list[0].table, "path", ""), "shop.db");
    assert_int_equal(value_get(&list[0].table, "tables")->count, 2);
    assert_string_equal(list[2].kind, "settings");
    assert_string_equal(list[2].name, "");
    assert_int_equal(value_int(&list[2].table, "port", 0), 5859);
    assert_string_equal(value_text(value_get(&list[2].table, "retention"), "journal", ""), "1h");
    assert_string_equal(list[4].name, "c2");
    assert_int_equal(list[4].line, 5);
    assert_int_equal(value_get(&list[4].table, "limit")->kind, VALUE_DECIMAL);
    assert_int_equal(value_get(&list[4].table, "none")->kind, VALUE_NULL);
    assert_int_equal(list[5].table.kind, VALUE_MAP);
    assert_null(load("", &list, &count));
    assert_int_equal(count, 0);
}

static void
env_reads_the_environment(void **state)
{
    struct declaration *list;
    size_t count;
    (void)state;
    setenv("TG_TEST_SET", "value", 1);
    unsetenv("TG_TEST_UNSET");
    assert_null(load("source('a', { x = env('TG_TEST_SET'), y = env('TG_TEST_UNSET', 'fallback'),\n"
                     "  z = env('TG_TEST_SET', 'fallback'), n = env('TG_TEST_UNSET', 5) })",
                     &list, &count));
    assert_string_equal(value_text(&list[0].table, "x", ""), "value");
    assert_string_equal(value_text(&list[0].table, "y", ""), "fallback");
    assert_string_equal(value_text(&list[0].table, "z", ""), "value");
    assert_int_equal(value_int(&list[0].table, "n", 0), 5);
    const char *wrong = load("source('a', { x = env('TG_TEST_UNSET') })", &list, &count);
    assert_non_null(
        strstr(wrong, "tidegate.lua:1: the environment has no TG_TEST_UNSET; set it, or"));
}

static void
wrong_declarations_are_refused(void **state)
{
    static const struct {
        const char *text, *words[2];
    } rows[] = {
        {"source('a', {", {"tidegate.lua:1:", "line 1 is: source('a', {"}},
        {"source('a', {})\nsource('a', {})",
         {"tidegate.lua:2: source \"a\" is declared twice (first at line 1)"}},
        {"settings({})\nsettings({})", {"settings is declared twice (first at line 1)"}},
        {"source('a')", {"a table of options belongs after the name"}},
        {"source({})", {"bad argument #1"}},
        {"source('', {})", {"a name has 1 to 63"}},
        {"source('a b', {})", {"a name has 1 to 63"}},
        {"source('a:b', {})", {"a name has 1 to 63"}},
        {"channel(('x'):rep(64), {})", {"a name has 1 to 63"}},
        {"source('tidegate', {})", {"this name is reserved"}},
        {"source('journal', {})", {"this name is reserved"}},
        {"source('a', { 1, 2 })", {"options have names: { name = value"}},
        {"settings(5)", {"bad argument #1"}},
        {"consumer('a', {})", {"consumer is not built yet"}},
        {"pack('a', {})", {"pack is not built yet"}},
        {"channel('a', { url = secret('x') })", {"secret is not built yet"}},
        {"sources_from_env('.env')", {"sources_from_env is not built yet"}},
        {"sorce('a', {})", {"\"sorce\" is not declared", "did you mean \"source\"?"}},
        {"rule('a', {})", {"\"rule\" is not declared"}},
        {"send('a', 'b')", {"\"send\" is not declared"}},
        {"local x = os.getenv('HOME')", {"os is not available"}},
        {"local t = {} t.t = t source('a', t)", {"source: tables nest deeper than 64"}},
    };
    struct declaration *list;
    size_t count;
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *wrong = load(rows[i].text, &list, &count);
        if (!wrong)
            fail_msg("%s was loaded", rows[i].text);
        for (size_t k = 0; k < countof(rows[i].words) && rows[i].words[k]; k++)
            if (!strstr(wrong, rows[i].words[k]))
                fail_msg("%s: \"%s\" is not in: %s", rows[i].text, rows[i].words[k], wrong);
    }
    assert_null(load("channel('tidegate', {})", &list, &count)); /* only sources are reserved */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(declarations_come_in_order),
        cmocka_unit_test(env_reads_the_environment),
        cmocka_unit_test(wrong_declarations_are_refused),
    };
    arena_init(&arena, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_release(&arena);
    return failed;
}
