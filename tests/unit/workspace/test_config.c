/* tidegate.lua against the option tables: all problems at once, each with its line. */
#include "unit/workspace/rig.h"

#include "base/clock.h"
#include "workspace/config.h"

static struct {
    char texts[16][2300];
    size_t count;
} problems;

static void
note_problem(void *context, const struct error *err)
{
    (void)context;
    assert_true(problems.count < countof(problems.texts));
    assert_int_not_equal(err->class, ERROR_NONE);
    error_text(err, problems.texts[problems.count], sizeof(problems.texts[0]));
    problems.count++;
}

static size_t
load(const char *text, struct config *config)
{
    problems.count = 0;
    if (text)
        rig_write("tidegate.lua", text);
    size_t count = config_load(rig_folder, note_problem, NULL, config);
    assert_int_equal(count, problems.count);
    return count;
}

static void
a_missing_file_is_an_empty_configuration(void **state)
{
    struct config c;
    (void)state;
    assert_int_equal(load(NULL, &c), 0);
    assert_int_equal(c.source_count, 0);
    assert_int_equal(c.channel_count, 0);
    assert_int_equal(c.settings.port, 5858);
    assert_string_equal(c.settings.bind, "127.0.0.1");
    assert_int_equal(c.settings.retention.journal, 168 * 3600 * CLOCK_SECOND);
    config_release(&c);
}

static void
what_is_right_is_there(void **state)
{
    struct config c;
    (void)state;
    assert_int_equal(load("source('shop', { driver = 'sqlite', path = 'shop.db' })\n"
                          "channel('out', { type = 'file', path = 'out.jsonl' })\n"
                          "\n"
                          "settings({ port = 6000, retention = { journal = '2h' } })\n",
                          &c),
                     0);
    assert_int_equal(c.source_count, 1);
    assert_string_equal(c.sources[0].name, "shop");
    assert_int_equal(c.sources[0].line, 1);
    assert_int_equal(c.channels[0].line, 2);
    assert_int_equal(c.settings.port, 6000);
    assert_int_equal(c.settings.retention.journal, 2 * 3600 * CLOCK_SECOND);
    assert_int_equal(c.settings.retention.dead, 30 * 86400 * CLOCK_SECOND);
    assert_ptr_equal(config_find_source(&c, "shop"), &c.sources[0]);
    assert_null(config_find_source(&c, "sho"));
    assert_ptr_equal(config_find_channel(&c, slice_of("out")), &c.channels[0]);
    assert_null(config_find_channel(&c, slice_of("")));
    /* a path in the workspace was made absolute */
    const char *const *path = c.sources[0].options;
    assert_int_equal((*path)[0], '/');
    assert_non_null(strstr(*path, "/shop.db"));
    config_release(&c);
}

static void
all_problems_come_at_once_with_their_lines(void **state)
{
    static const char *const words[][2] = {
        {"tidegate.lua:2", "did you mean \"sqlite\""},
        {"tidegate.lua:3", "driver is missing"},
        {"tidegate.lua:4", "\"sqlserver\" is not built yet"},
        {"tidegate.lua:5", "did you mean \"webhook\""},
        {"tidegate.lua:6", "\"kafka\" is not built yet"},
        {"tidegate.lua:8", "type is missing"},
        {"tidegate.lua:9", "did you mean \"path\""},
        {"tidegate.lua:10", "port"},
    };
    struct config c;
    (void)state;
    load("source('good', { driver = 'sqlite', path = 'a.db' })\n"
         "source('a', { driver = 'sqlit' })\n"
         "source('b', { path = 'x' })\n"
         "source('c', { driver = 'sqlserver' })\n"
         "channel('d', { type = 'webhok' })\n"
         "channel('e', { type = 'kafka' })\n"
         "channel('fine', { type = 'file', path = 'o' })\n"
         "channel('f', {})\n"
         "channel('g', { type = 'file', pth = 'x' })\n"
         "settings({ port = 70000 })\n",
         &c);
    for (size_t i = 0; i < countof(words) && i < problems.count; i++)
        if (!strstr(problems.texts[i], words[i][0]) || !strstr(problems.texts[i], words[i][1]))
            fail_msg("%s %s: %s", words[i][0], words[i][1], problems.texts[i]);
    assert_int_equal(problems.count, countof(words));
    assert_int_equal(c.source_count, 1);
    assert_int_equal(c.channel_count, 1);
    assert_string_equal(c.channels[0].name, "fine");
    config_release(&c);
}

/* What can't be evaluated at all is one problem, and leaves the defaults. */
static void
a_file_that_is_no_lua_is_one_problem(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"source('a', {", "tidegate.lua:1"},
        {"\n\nnonsense()", "tidegate.lua:3"},
        {"source('a', { driver = 'sqlite', path = 'x' })\nerror('stop')", "tidegate.lua:2"},
        {"env('TIDEGATE_TEST_NO_SUCH_VARIABLE')", "the environment has no"},
        {"source('tidegate', {})", "reserved"},
        {"channel('two words', {})", "a name has"},
        {"pcall(source, 'a b', {})\nsource('x', { driver = 'sqlite' })\n"
         "source('x', { driver = 'sqlite' })",
         "declared twice (first at line 2)"},
        {"secret('x')", "secret is not built yet"},
        {"rule('x', {})", "is not declared"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct config c;
        if (load(rows[i].text, &c) != 1 || !strstr(problems.texts[0], rows[i].words))
            fail_msg("%s: %zu, %s", rows[i].text, problems.count, problems.texts[0]);
        assert_int_equal(c.source_count, 0);
        assert_int_equal(c.settings.port, 5858);
        config_release(&c);
    }
}

static void
a_file_that_others_may_write_is_refused(void **state)
{
    struct config c;
    (void)state;
    rig_write("tidegate.lua", "settings({ port = 1234 })");
    assert_int_equal(chmod(rig_path("tidegate.lua"), 0666), 0);
    assert_int_equal(load(NULL, &c), 1);
    assert_non_null(strstr(problems.texts[0], "written by others"));
    assert_int_equal(c.settings.port, 5858);
    config_release(&c);
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        with_folder(a_missing_file_is_an_empty_configuration),
        with_folder(what_is_right_is_there),
        with_folder(all_problems_come_at_once_with_their_lines),
        with_folder(a_file_that_is_no_lua_is_one_problem),
        with_folder(a_file_that_others_may_write_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
