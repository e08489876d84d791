/* A script that can't be read is its own problem; the others are there, in order. */
#include "unit/workspace/rig.h"

#include "workspace/scripts.h"

static char problems[2048];

static void
note_problem(void *context, const char *script, const struct error *err)
{
    size_t size = strlen(problems);
    (void)context;
    snprintf(problems + size, sizeof(problems) - size, "%s: %s\n", script, err->message);
}

static void
broken_ones_do_not_stop_the_others(void **state)
{
    struct error err = {0};
    struct scripts scripts;
    char *huge = memory_zero(SCRIPT_MAX + 2);
    (void)state;
    memset(huge, '-', SCRIPT_MAX + 1);
    rig_write("scripts/b.lua", "-- b");
    rig_write("scripts/a.lua", "-- a");
    rig_write("scripts/open.lua", "-- open");
    rig_write("scripts/huge.lua", huge);
    assert_int_equal(chmod(rig_path("scripts/open.lua"), 0666), 0);
    assert_int_equal(symlink("nowhere", rig_path("scripts/link.lua")), 0);
    problems[0] = 0;
    assert_int_equal(scripts_read(rig_folder, &scripts, note_problem, NULL, &err), 0);
    assert_int_equal(scripts.count, 2);
    assert_string_equal(scripts.list[0].path, "scripts/a.lua");
    assert_true(slice_is(scripts.list[0].text, "-- a"));
    assert_string_equal(scripts.list[1].path, "scripts/b.lua");
    assert_non_null(strstr(problems, "scripts/open.lua: "));
    assert_non_null(strstr(problems, "written by others"));
    assert_non_null(strstr(problems, "scripts/huge.lua: "));
    assert_non_null(strstr(problems, "scripts/link.lua: "));
    scripts_release(&scripts);
    free(huge);
}

/* What may be required: of a module that can't be read there is the path, without a text. */
static void
modules_are_read_beside_the_scripts(void **state)
{
    struct error err = {0};
    struct scripts scripts;
    (void)state;
    rig_write("scripts/a.lua", "-- a");
    rig_write("scripts/lib/deep/b.lua", "-- b");
    rig_write("scripts/lib/a.lua", "");
    rig_write("scripts/lib/open.lua", "-- open");
    assert_int_equal(chmod(rig_path("scripts/lib/open.lua"), 0666), 0);
    problems[0] = 0;
    assert_int_equal(scripts_read(rig_folder, &scripts, note_problem, NULL, &err), 0);
    assert_int_equal(scripts.count, 1);
    assert_int_equal(scripts.module_count, 3);
    assert_string_equal(scripts.modules[0].path, "scripts/lib/a.lua");
    assert_non_null(scripts.modules[0].text.data);
    assert_string_equal(scripts.modules[1].path, "scripts/lib/deep/b.lua");
    assert_true(slice_is(scripts.modules[1].text, "-- b"));
    assert_string_equal(scripts.modules[2].path, "scripts/lib/open.lua");
    assert_null(scripts.modules[2].text.data);
    assert_non_null(strstr(problems, "scripts/lib/open.lua: "));
    scripts_release(&scripts);
}

static void
a_folder_that_cannot_be_listed_is_a_failure(void **state)
{
    struct error err = {0};
    struct scripts scripts;
    (void)state;
    assert_int_equal(scripts_read(rig_folder, &scripts, note_problem, NULL, &err), 0);
    assert_int_equal(scripts.count, 0);
    scripts_release(&scripts);
    rig_write("scripts", "a file");
    assert_int_equal(scripts_read(rig_folder, &scripts, note_problem, NULL, &err), -1);
    scripts_release(&scripts);
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        with_folder(broken_ones_do_not_stop_the_others),
        with_folder(modules_are_read_beside_the_scripts),
        with_folder(a_folder_that_cannot_be_listed_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
