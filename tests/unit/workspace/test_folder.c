/* Which folder is meant, what is read from it, and who else may not have it. */
#include "unit/workspace/rig.h"

#include <sys/file.h>
#include <sys/wait.h>
#include "workspace/folder.h"

static void
go_to(const char *path)
{
    assert_int_equal(chdir(path), 0);
}

/* What is named, else here, else TIDEGATE_HOME, else HOME/.tidegate. */
static void
the_folder_is_found_in_order(void **state)
{
    static const struct {
        const char *given, *here, *home_variable;
        bool create;
        const char *found, *words; /* below the rig's folder; or words of the error */
    } rows[] = {
        {"named", "with", "home", false, "named", NULL},
        {NULL, "with", "home", false, "with", NULL},
        {NULL, "without", "home", false, "home", NULL},
        {NULL, "without", "", true, ".tidegate", NULL},
        {NULL, "without", "new", false, NULL, "tidegate init"},
        {NULL, "without", "new", true, "new", NULL},
        {"nowhere", "with", "home", true, NULL, "tidegate init"},
        {"with/tidegate.lua", "with", "home", true, NULL, "is not a folder"},
    };
    (void)state;
    rig_write("with/tidegate.lua", "");
    rig_write("named/x", "");
    rig_write("without/x", "");
    rig_write("home/x", "");
    setenv("HOME", rig_folder, 1);
    for (size_t i = 0; i < countof(rows); i++) {
        char found[PATH_MAX], expected[PATH_MAX], text[2300];
        struct error err = {0};
        setenv("TIDEGATE_HOME", *rows[i].home_variable ? rig_path(rows[i].home_variable) : "", 1);
        go_to(rig_path(rows[i].here));
        const char *given = rows[i].given ? rig_path(rows[i].given) : NULL;
        int result = folder_locate(given, rows[i].create, found, &err);
        error_text(&err, text, sizeof(text));
        if (rows[i].words) {
            if (result == 0 || !strstr(text, rows[i].words))
                fail_msg("row %zu: %d %s", i, result, text);
            continue;
        }
        if (result != 0)
            fail_msg("row %zu: %s", i, text);
        assert_non_null(realpath(rig_path(rows[i].found), expected));
        assert_string_equal(found, expected);
    }
    go_to("/");
}

static void
without_any_home_the_error_says_so(void **state)
{
    char found[PATH_MAX], text[2300];
    struct error err = {0};
    char *home = memory_zero(PATH_MAX * 2);
    (void)state;
    go_to("/");
    unsetenv("HOME");
    unsetenv("TIDEGATE_HOME");
    assert_int_equal(folder_locate(NULL, true, found, &err), -1);
    assert_int_equal(err.class, ERROR_MISSING);
    memset(home, 'x', PATH_MAX + 10);
    setenv("HOME", home, 1);
    assert_int_equal(folder_locate(NULL, true, found, &err), -1);
    assert_non_null(strstr(error_text(&err, text, sizeof(text)), "too long"));
    free(home);
}

static void
scripts_are_listed_by_the_rules(void **state)
{
    static const char *const files[] = {
        "b.lua",
        "a.lua",
        "sub/c.lua",
        "a-z.lua",
        "lib/x.lua",
        "sub/lib/y.lua",
        "a_test.lua",
        "_draft.lua",
        ".hidden.lua",
        "old.lua.disabled",
        "off.disabled/z",
        "notes.txt",
        "pack/pack.lua",
        "pack/rules.lua",
        ".git/x.lua",
        "_old/x.lua",
        "off.disabled/q.lua",
        "sub/d_test.lua",
        "lua",
    };
    static const char *const listed[] = {"scripts/a-z.lua",   "scripts/a.lua",
                                         "scripts/b.lua",     "scripts/link.lua",
                                         "scripts/sub/c.lua", "scripts/sub/lib/y.lua"};
    const char *const *paths;
    struct error err = {0};
    struct arena arena;
    char name[128];
    (void)state;
    for (size_t i = 0; i < countof(files); i++) {
        snprintf(name, sizeof(name), "scripts/%s", files[i]);
        rig_write(name, "");
    }
    assert_int_equal(symlink("nowhere.lua", rig_path("scripts/link.lua")), 0);
    arena_init(&arena, 0);
    int count = folder_scripts(rig_folder, &arena, &paths, &err);
    for (int i = 0; i < count && i < (int)countof(listed); i++)
        assert_string_equal(paths[i], listed[i]);
    assert_int_equal(count, countof(listed));
    assert_int_equal(folder_modules(rig_folder, &arena, &paths, &err), 1);
    assert_string_equal(paths[0], "scripts/lib/x.lua");
    arena_release(&arena);
}

static void
wrong_script_folders_are_refused(void **state)
{
    const char *const *paths;
    struct error err = {0};
    struct arena arena;
    char deep[256] = "scripts";
    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(folder_scripts(rig_folder, &arena, &paths, &err), 0); /* there is none */
    assert_int_equal(folder_modules(rig_folder, &arena, &paths, &err), 0);
    rig_write("scripts/sub/a.lua", "");
    assert_int_equal(folder_scripts(rig_folder, &arena, &paths, &err), 1);
    assert_int_equal(chmod(rig_path("scripts/sub"), 0777), 0);
    assert_int_equal(folder_scripts(rig_folder, &arena, &paths, &err), -1);
    assert_int_equal(err.class, ERROR_DENIED);
    assert_non_null(strstr(err.hint, "chmod o-w"));
    assert_int_equal(chmod(rig_path("scripts/sub"), 01777), 0);
    assert_int_equal(folder_scripts(rig_folder, &arena, &paths, &err), 1);
    for (int i = 0; i < 10; i++)
        strcat(deep, "/d");
    strcat(deep, "/x.lua");
    rig_write(deep, "");
    assert_int_equal(folder_scripts(rig_folder, &arena, &paths, &err), -1);
    assert_non_null(strstr(err.message, "nest deeper"));
    arena_release(&arena);
}

/* A folder that links to itself ends at the depth, not in the weeds. */
static void
a_loop_of_links_is_an_error(void **state)
{
    const char *const *paths;
    struct error err = {0};
    struct arena arena;
    (void)state;
    rig_write("scripts/a.lua", "");
    assert_int_equal(symlink(".", rig_path("scripts/loop")), 0);
    arena_init(&arena, 0);
    assert_int_equal(folder_scripts(rig_folder, &arena, &paths, &err), -1);
    assert_non_null(strstr(err.message, "nest deeper"));
    arena_release(&arena);
}

static void
reading_checks_who_may_write(void **state)
{
    static const struct {
        mode_t mode;
        int result;
    } rows[] = {{0600, 1}, {0644, 1}, {0444, 1}, {0660, -1}, {0606, -1}, {0666, -1}};
    struct buffer text;
    (void)state;
    rig_write("a.lua", "print(1)");
    for (size_t i = 0; i < countof(rows); i++) {
        struct error err = {0};
        buffer_init(&text, 100);
        assert_int_equal(chmod(rig_path("a.lua"), rows[i].mode), 0);
        assert_int_equal(folder_read_script(rig_path("a.lua"), &text, &err), rows[i].result);
        if (rows[i].result > 0)
            assert_string_equal(buffer_cstring(&text), "print(1)");
        else {
            assert_int_equal(err.class, ERROR_DENIED);
            assert_non_null(strstr(err.hint, "chmod go-w"));
        }
        buffer_release(&text);
    }
}

static void
reading_takes_whole_regular_files_only(void **state)
{
    struct error err = {0};
    struct buffer text;
    (void)state;
    buffer_init(&text, 4);
    assert_int_equal(folder_read_script(rig_path("none.lua"), &text, &err), 0);
    rig_write("long.lua", "12345");
    assert_int_equal(folder_read_script(rig_path("long.lua"), &text, &err), -1);
    buffer_reset(&text);
    assert_int_equal(mkfifo(rig_path("pipe.lua"), 0600), 0);
    assert_int_equal(folder_read_script(rig_path("pipe.lua"), &text, &err), -1);
    assert_non_null(strstr(err.message, "no regular file"));
    assert_int_equal(mkdir(rig_path("folder.lua"), 0700), 0);
    assert_int_equal(folder_read_script(rig_path("folder.lua"), &text, &err), -1);
    buffer_release(&text);
}

/* Another process has the lock for as long as the pipe is open. */
static pid_t
hold(int *end)
{
    int ready[2], done[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(done[1]);
        bool held = folder_lock(rig_folder, NULL) >= 0;
        if (write(ready[1], held ? "y" : "n", 1) == 1 && read(done[0], &byte, 1) == 0)
            _exit(0);
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    close(ready[0]), close(ready[1]), close(done[0]);
    *end = done[1];
    return pid;
}

static void
the_lock_names_its_holder(void **state)
{
    struct error err = {0};
    char words[64];
    int end, status;
    (void)state;
    assert_int_equal(folder_holder(rig_folder), 0);
    assert_int_equal(folder_prepare_data(rig_folder, &err), 0);
    assert_int_equal(folder_holder(rig_folder), 0);
    pid_t pid = hold(&end);
    assert_int_equal(folder_holder(rig_folder), pid);
    assert_int_equal(folder_lock(rig_folder, &err), -1);
    assert_int_equal(err.class, ERROR_BUSY);
    snprintf(words, sizeof(words), "in use by process %d", (int)pid);
    assert_non_null(strstr(err.message, words));
    assert_non_null(strstr(err.hint, "tidegate stop -C"));
    close(end);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    int fd = folder_lock(rig_folder, &err);
    assert_true(fd >= 0);
    assert_int_equal(folder_holder(rig_folder), getpid());
    folder_unlock(fd);
    assert_int_equal(folder_holder(rig_folder), 0);
    folder_unlock(-1);
}

static void
data_is_private(void **state)
{
    struct error err = {0};
    struct stat st;
    (void)state;
    assert_int_equal(folder_prepare_data(rig_folder, &err), 0);
    assert_int_equal(folder_prepare_data(rig_folder, &err), 0);
    assert_int_equal(stat(rig_path("data"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    rig_write("file/data", "in the way");
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/file", rig_folder);
    assert_int_equal(folder_prepare_data(path, &err), -1);
}

static void
a_long_path_gets_a_short_socket(void **state)
{
    char out[108], long_path[300], again[108];
    struct error err = {0};
    struct stat st;
    (void)state;
    assert_int_equal(folder_socket("/w", out, &err), 0);
    assert_string_equal(out, "/w/data/tidegate.sock");
    snprintf(long_path, sizeof(long_path), "/%0200d", 7);
    assert_int_equal(mkdir(rig_path("run"), 0700), 0);
    setenv("XDG_RUNTIME_DIR", rig_path("run"), 1);
    assert_int_equal(folder_socket(long_path, out, &err), 0);
    assert_int_equal(strncmp(out, rig_path("run"), strlen(rig_path("run"))), 0);
    assert_true(strlen(out) < 108);
    assert_int_equal(folder_socket(long_path, again, &err), 0);
    assert_string_equal(out, again);
    *strrchr(out, '/') = 0;
    assert_int_equal(stat(out, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(chmod(out, 0755), 0); /* somebody else could look in */
    assert_int_equal(folder_socket(long_path, again, &err), -1);
    assert_int_equal(err.class, ERROR_DENIED);
    long_path[100] = 'x';
    setenv("XDG_RUNTIME_DIR", "/nowhere/at/all", 1);
    assert_int_equal(folder_socket(long_path, again, &err), -1);
    unsetenv("XDG_RUNTIME_DIR");
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        with_folder(the_folder_is_found_in_order),
        with_folder(without_any_home_the_error_says_so),
        with_folder(scripts_are_listed_by_the_rules),
        with_folder(wrong_script_folders_are_refused),
        with_folder(a_loop_of_links_is_an_error),
        with_folder(reading_checks_who_may_write),
        with_folder(reading_takes_whole_regular_files_only),
        with_folder(the_lock_names_its_holder),
        with_folder(data_is_private),
        with_folder(a_long_path_gets_a_short_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
