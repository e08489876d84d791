/* The command line: every form of option, words, exit codes, and what is said where. */
#include "unit/workspace/rig.h"

#include "cli/cli.h"
#include "workspace/folder.h"

static char said[64 * 1024]; /* on stdout, then on stderr */
static size_t said_out;      /* of it on stdout */

static void
read_back(FILE *file, size_t *size)
{
    rewind(file);
    *size += fread(said + *size, 1, sizeof(said) - 1 - *size, file);
    said[*size] = 0;
    fclose(file);
}

/* Runs a command line of words between blanks; @ stands for the workspace. The exit code. */
static int
run(const char *line)
{
    char copy[2048], *argv[64], *rest = copy;
    int argc = 0;
    size_t size = 0;
    snprintf(copy, sizeof(copy), "tidegate %s", line);
    for (char *word; (word = strsep(&rest, " "));)
        if (*word)
            argv[argc++] = strcmp(word, "@") == 0    ? rig_folder
                           : strcmp(word, "''") == 0 ? (char *)""
                                                     : word;
    argv[argc] = NULL;
    fflush(stdout);
    fflush(stderr);
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    FILE *to = tmpfile(), *talk = tmpfile();
    assert_true(to && talk);
    dup2(fileno(to), STDOUT_FILENO);
    dup2(fileno(talk), STDERR_FILENO);
    int code = cli_main(argc, argv);
    fflush(stdout);
    fflush(stderr);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    read_back(to, &size);
    said_out = size;
    read_back(talk, &size);
    return code;
}

struct line_row {
    const char *line;
    int code;
    const char *words; /* somewhere in what was said */
};

static void
check(const struct line_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int code = run(rows[i].line);
        if (code != rows[i].code || !strstr(said, rows[i].words))
            fail_msg("tidegate %s: exit %d, %s", rows[i].line, code, said);
        if (code >= 64 && code != 69 && said_out)
            fail_msg("tidegate %s: a failure on stdout: %s", rows[i].line, said);
    }
}

static void
wrong_lines_are_refused_in_plain_words(void **state)
{
    static const struct line_row rows[] = {
        {"", 64, "usage: tidegate"},
        {"''", 64, "unknown command \"\""},
        {"statsu", 64, "did you mean \"status\""},
        {"journal", 64, "needs a second word, such as: tidegate journal status"},
        {"journal foo", 64, "needs a second word"},
        {"replay", 64, "tidegate replay is not built yet"},
        {"pack install x", 64, "tidegate pack is not built yet"},
        {"-C @ status", 64, "unknown command \"-C\""},
        {"events --limt 3", 64, "did you mean \"--limit\""},
        {"events --xyzzy", 64, "has no option --xyzzy"},
        {"events -z", 64, "has no option -z"},
        {"events --limit", 64, "--limit needs a value: N"},
        {"events --limit x", 64, "--limit takes a number, not \"x\""},
        {"events --limit=", 64, "--limit takes a number, not \"\""},
        {"events --limit -5", 64, "--limit takes a number, not \"-5\""},
        {"events --limit +5", 64, "takes a number"},
        {"events --limit 5x", 64, "takes a number"},
        {"events --limit 99999999999999999999", 64, "takes a number"},
        {"events --json=yes", 64, "--json takes no value"},
        {"events --=", 64, "has no option --="},
        {"events extra", 64, "tidegate events takes no \"extra\""},
        {"events -- -x", 64, "takes no \"-x\""},
        {"events -", 64, "takes no \"-\""},
        {"reset -fj", 64, "write -fj as two options"},
        {"triggers", 64, "tidegate triggers needs a source"},
        {"triggers shop", 64, "tidegate triggers needs a verb"},
        {"completion", 64, "needs a shell"},
        {"completion tcsh", 64, "not \"tcsh\""},
        {"help nothing", 64, "there is no command \"nothing\""},
        {"start --log-level loud -C @", 64, "levels are error, warning, info, debug"},
        {"demo --for soon", 64, "--for soon is not a duration"},
        {"status -C /nowhere/at/all", 66, "tidegate init"},
        {"stop -p 1", 69, "no daemon of this user runs on port 1"},
        {"status -p1", 69, "runs on port 1"},
        {"status --port=1", 69, "runs on port 1"},
    };
    (void)state;
    check(rows, countof(rows));
}

static void
right_lines_do_what_they_say(void **state)
{
    static const struct line_row rows[] = {
        {"--help", 0, "tidegate help COMMAND"},
        {"-h", 0, "tidegate help COMMAND"},
        {"help", 0, "journal trim"},
        {"help journal trim", 0, "--before-lsn N"},
        {"journal trim --help", 0, "usage: tidegate journal trim"},
        {"triggers -h", 0, "usage: tidegate triggers SOURCE VERB [TABLE]"},
        {"--version", 0, "tidegate "},
        {"version --json", 0, "{\"version\":\""},
        {"completion bash", 0, "complete -o default"},
        {"completion zsh", 0, "#compdef"},
        {"completion fish", 0, "complete -c tidegate"},
        {"completion man", 0, ".TH TIDEGATE 1"},
        {"check -C @", 0, "0 errors, 0 warnings"},
        {"events -C @", 0, ""},
        {"events --workspace @ --limit=2 --op insert,delete --exclude a --exclude=b", 0, ""},
        {"events -C @ --op nonsense", 64, "operations are insert, update"},
        {"events -C @ --from-time yesterday", 64, "--from-time"},
        {"channels -C @", 0, "CHANNEL"},
        {"channels -C @ --json", 0, "{\"name\":\"out\""},
        {"sources -C @", 0, "nothing to list"},
        {"dead drop -C @", 64, "say which dead letters"},
        {"dead drop -C @ --all", 0, "MESSAGES"},
        {"journal status --json -C @", 0, "\"newest_lsn\":0"},
        {"status -C @", 69, "not running"},
        {"status @ --json", 69, "\"running\":false"},
        {"stop -C @", 69, "no daemon runs in"},
        {"tail -C @", 69, "no daemon runs in"},
        {"triggers nope list -C @", 66, "not in tidegate.lua"},
        {"check nope -C @", 66, "\"nope\" is not in"},
        {"reset -C @", 64, "nothing was deleted"},
        {"reset -C @ --force", 0, "deleted"},
    };
    (void)state;
    rig_write("tidegate.lua", "channel('out', { type = 'null' })\n");
    check(rows, countof(rows));
}

static void
check_says_the_worst_by_its_exit_code(void **state)
{
    (void)state;
    rig_write("tidegate.lua", "channel('out', { type = 'null' })\n");
    rig_write("scripts/a.lua", "rule('r', { on = 'nope:*', notify = 'out' })\n");
    assert_int_equal(run("check -C @"), 65);
    rig_write("tidegate.lua", "channel('out', { type = 'nul' })\n");
    assert_int_equal(run("check -C @"), 78);
    assert_non_null(strstr(said, "tidegate.lua:1"));
    rig_write("tidegate.lua", "channel('out', { type = 'null' })\n");
    rig_write("scripts/a.lua", "error('\\27[31mred')\n");
    assert_int_equal(run("check -C @"), 65);
    assert_null(strchr(said, '\033'));
}

static void
the_port_comes_from_flag_then_environment(void **state)
{
    static const struct {
        const char *environment;
        int64_t given, port;
    } rows[] = {
        {NULL, 0, 0},     {"", 0, 0},   {"6000", 0, 6000}, {"6000", 7000, 7000}, {"x", 0, -1},
        {"70000", 0, -1}, {"0", 0, -1}, {"-5", 0, -1},     {"x", 70, 70},        {"1 ", 0, -1},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct value_pair pair = {.key = slice_literal("port")};
        struct cli cli = {.arguments = {.kind = VALUE_MAP, .pairs = &pair}};
        struct error err = {0};
        int64_t port = 0;
        pair.value = (struct value){.kind = VALUE_INT, .integer = rows[i].given};
        cli.arguments.count = rows[i].given ? 1 : 0;
        if (rows[i].environment)
            setenv("TIDEGATE_PORT", rows[i].environment, 1);
        else
            unsetenv("TIDEGATE_PORT");
        int result = cli_port(&cli, &port, &err);
        assert_int_equal(result, rows[i].port < 0 ? -1 : 0);
        if (result == 0)
            assert_int_equal(port, rows[i].port);
    }
    unsetenv("TIDEGATE_PORT");
}

/* The folder's lock is held, and nobody listens: a daemon that still starts. */
static void
stop_names_a_process_that_does_not_answer(void **state)
{
    struct error err = {0};
    char words[64];
    (void)state;
    assert_int_equal(folder_prepare_data(rig_folder, &err), 0);
    int fd = folder_lock(rig_folder, &err);
    assert_true(fd >= 0);
    assert_int_equal(run("stop -C @"), 75);
    snprintf(words, sizeof(words), "process %d holds", (int)getpid());
    assert_non_null(strstr(said, words));
    folder_unlock(fd);
    assert_int_equal(run("stop -C @"), 69);
}

/* Every row of the table can be asked for by name, and its options are no one's twice. */
static void
the_table_is_consistent(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        char line[128];
        assert_true(c->run || c->operation);
        snprintf(line, sizeof(line), "%s --help", c->name);
        assert_int_equal(run(line), 0);
        assert_non_null(strstr(said, c->summary));
        for (size_t k = 0; k < c->option_count; k++) {
            assert_true((c->options[k].kind == CLI_FLAG) == (c->options[k].value == NULL));
            for (size_t other = 0; other < k; other++)
                assert_string_not_equal(c->options[k].name, c->options[other].name);
            for (size_t other = 0; other < cli_common_count; other++)
                assert_string_not_equal(c->options[k].name, cli_common[other].name);
        }
    }
}

static int
setup(void **state)
{
    int result = rig_setup(state);
    mkdir(rig_path("run"), 0700);
    setenv("XDG_RUNTIME_DIR", rig_path("run"), 1);
    setenv("TIDEGATE_HOME", rig_folder, 1);
    return result;
}

#define with_folder(test) cmocka_unit_test_setup_teardown(test, setup, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        with_folder(wrong_lines_are_refused_in_plain_words),
        with_folder(right_lines_do_what_they_say),
        with_folder(check_says_the_worst_by_its_exit_code),
        with_folder(the_port_comes_from_flag_then_environment),
        with_folder(stop_names_a_process_that_does_not_answer),
        with_folder(the_table_is_consistent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
