#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/text.h"
#include "workspace/folder.h"

/* Commands of the design that this version does not have. */
static const char *const later[] = {
    "open",    "worker", "webserver", "backup", "restore", "user",  "token",
    "config",  "test",   "reload",    "replay", "explain", "state", "snapshot",
    "history", "pack",   "console",   "secret", "lua",
};

/* The longest name that fits the first words; *used says how many words it took. */
static const struct command *
find_command(int argc, char **argv, int *used)
{
    char two[128];
    if (argc >= 2) {
        snprintf(two, sizeof(two), "%s %s", argv[0], argv[1]);
        for (size_t i = 0; i < command_count; i++)
            if (strcmp(commands[i].name, two) == 0)
                return *used = 2, &commands[i];
    }
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, argv[0]) == 0)
            return *used = 1, &commands[i];
    return NULL;
}

static int
unknown_command(const char *word, struct error *err)
{
    for (size_t i = 0; i < countof(later); i++)
        if (strcmp(later[i], word) == 0)
            return error_set(err, ERROR_REFUSED, "tidegate %s is not built yet", word);
    size_t size = strlen(word);
    for (size_t i = 0; i < command_count; i++)
        if (strncmp(commands[i].name, word, size) == 0 && commands[i].name[size] == ' ') {
            error_set(err, ERROR_USAGE, "tidegate %s needs a second word, such as: tidegate %s",
                      word, commands[i].name);
            return -1;
        }
    const char *near = text_suggest(slice_of(word), commands, command_count, sizeof(*commands));
    error_set(err, ERROR_USAGE, "unknown command \"%s\"%s%s%s", word,
              near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return error_hint(err, "tidegate help lists the commands");
}

static const struct cli_option *
find_option(const struct command *c, struct slice name, char letter)
{
    const struct cli_option *lists[] = {c->options, cli_common};
    size_t counts[] = {c->option_count, cli_common_count};
    for (size_t k = 0; k < countof(lists); k++)
        for (size_t i = 0; i < counts[k]; i++)
            if (letter ? lists[k][i].letter == letter : slice_is(name, lists[k][i].name))
                return &lists[k][i];
    return NULL;
}

static struct value *
argument_slot(struct cli *cli, const char *name)
{
    struct value *map = &cli->arguments;
    for (size_t i = 0; i < map->count; i++)
        if (slice_is(map->pairs[i].key, name))
            return &map->pairs[i].value;
    map->pairs[map->count].key = slice_of(name);
    return &map->pairs[map->count++].value;
}

/* A whole number from 0 on, digits only. */
static int
parse_number(const char *text, int64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == 0 && errno == 0 ? 0 : -1;
}

static int
store_option(struct cli *cli, const struct cli_option *o, const char *text, struct error *err)
{
    struct value *slot = argument_slot(cli, o->name);
    switch (o->kind) {
    case CLI_FLAG:
        *slot = (struct value){.kind = VALUE_BOOL, .boolean = true};
        return 0;
    case CLI_INT:
        *slot = (struct value){.kind = VALUE_INT};
        if (parse_number(text, &slot->integer) != 0)
            return error_set(err, ERROR_USAGE, "--%s takes a number, not \"%s\"", o->name, text);
        return 0;
    case CLI_TEXT:
        *slot = (struct value){.kind = VALUE_TEXT, .text = slice_of(text)};
        return 0;
    default: {
        struct value *items = arena_zero(&cli->arena, (slot->count + 1) * sizeof(*items));
        if (slot->count)
            memcpy(items, slot->items, slot->count * sizeof(*items));
        items[slot->count] = (struct value){.kind = VALUE_TEXT, .text = slice_of(text)};
        *slot = (struct value){.kind = VALUE_LIST, .count = slot->count + 1, .items = items};
        return 0;
    }
    }
}

/* The nearest option of the command or of all commands helps where it is a slip. */
static int
unknown_option(struct cli *cli, const char *word, struct slice name, struct error *err)
{
    const struct command *c = cli->command;
    const char *near = text_suggest(name, c->options, c->option_count, sizeof(*c->options));
    if (!near)
        near = text_suggest(name, cli_common, cli_common_count, sizeof(*cli_common));
    error_set(err, ERROR_USAGE, "tidegate %s has no option %s", c->name, word);
    if (near)
        return error_hint(err, "did you mean \"--%s\"?", near);
    return error_hint(err, "tidegate help %s lists them", c->name);
}

/* Takes the option at argv[*i], and its value. */
static int
parse_option(struct cli *cli, int argc, char **argv, int *i, struct error *err)
{
    const char *word = argv[*i];
    bool wide = word[1] == '-';
    const char *equals = wide ? strchr(word, '=') : NULL;
    struct slice name = wide ? slice_of(word + 2) : (struct slice){0};
    if (equals)
        name.size = (size_t)(equals - word - 2);
    const struct cli_option *o = find_option(cli->command, name, wide ? 0 : word[1]);
    if (!o)
        return unknown_option(cli, word, name, err);
    if (o->kind == CLI_FLAG && equals)
        return error_set(err, ERROR_USAGE, "--%s takes no value", o->name);
    if (o->kind == CLI_FLAG)
        return !wide && word[2] ? error_set(err, ERROR_USAGE, "write %s as two options", word)
                                : store_option(cli, o, NULL, err);
    if (equals)
        return store_option(cli, o, equals + 1, err);
    if (!wide && word[2])
        return store_option(cli, o, word + 2, err);
    if (*i + 1 >= argc)
        return error_set(err, ERROR_USAGE, "--%s needs a value: %s", o->name, o->value);
    return store_option(cli, o, argv[++*i], err);
}

/* The name of the n-th word, without brackets; NULL past the last. */
static const char *
word_name(struct cli *cli, size_t n, bool *optional)
{
    const char *name = n < countof(cli->command->words) ? cli->command->words[n] : NULL;
    *optional = !name || name[0] == '[';
    if (!name || name[0] != '[')
        return name;
    return arena_slice(&cli->arena, (struct slice){name + 1, strlen(name) - 2}).data;
}

static int
parse_arguments(struct cli *cli, int argc, char **argv, struct error *err)
{
    size_t words = 0;
    bool optional, literal = false;
    cli->arguments = (struct value){
        .kind = VALUE_MAP,
        .pairs = arena_zero(&cli->arena, ((size_t)argc + 1) * sizeof(struct value_pair))};
    for (int i = 0; i < argc; i++) {
        if (!literal && strcmp(argv[i], "--") == 0) {
            literal = true;
            continue;
        }
        if (!literal && argv[i][0] == '-' && argv[i][1]) {
            if (parse_option(cli, argc, argv, &i, err) != 0)
                return -1;
            continue;
        }
        const char *name = word_name(cli, words++, &optional);
        if (!name)
            return error_set(err, ERROR_USAGE, "tidegate %s takes no \"%s\"", cli->command->name,
                             argv[i]);
        *argument_slot(cli, name) = (struct value){.kind = VALUE_TEXT, .text = slice_of(argv[i])};
    }
    const char *missing = word_name(cli, words, &optional);
    if (missing && !optional && !cli_flag(cli, "help"))
        return error_set(err, ERROR_USAGE, "tidegate %s needs a %s", cli->command->name, missing);
    return 0;
}

const char *
cli_text(const struct cli *cli, const char *key)
{
    return value_text(&cli->arguments, key, NULL);
}

bool
cli_flag(const struct cli *cli, const char *key)
{
    return value_bool(&cli->arguments, key, false);
}

int64_t
cli_given_port(const struct cli *cli)
{
    return value_int(&cli->arguments, "port", 0);
}

int
cli_port(const struct cli *cli, int64_t *port, struct error *err)
{
    const char *environment = getenv("TIDEGATE_PORT");
    *port = cli_given_port(cli);
    if (*port || !environment || !*environment)
        return 0;
    if (parse_number(environment, port) == 0 && *port >= 1 && *port <= 65535)
        return 0;
    return error_set(err, ERROR_USAGE, "TIDEGATE_PORT is no port number: \"%s\"", environment);
}

void
cli_print(FILE *out, const char *text)
{
    struct buffer line;
    buffer_init(&line, 64 * 1024);
    text_printable(&line, slice_of(text), false);
    fputs(buffer_cstring(&line), out);
    buffer_release(&line);
}

int
cli_folder(const struct cli *cli, bool create, char *out, struct error *err)
{
    const char *dir = cli_text(cli, "dir");
    return folder_locate(dir ? dir : cli->workspace, create, out, err);
}

void
cli_complain(const struct error *err)
{
    struct buffer text;
    buffer_init(&text, 16 * 1024);
    buffer_text(&text, cli_colour(stderr, CLI_RED));
    buffer_text(&text, "tidegate: ");
    buffer_text(&text, cli_colour(stderr, CLI_PLAIN));
    text_printable(&text, slice_of(err->message), false);
    if (err->cause[0]) {
        buffer_text(&text, "\n  ");
        text_printable(&text, slice_of(err->cause), true);
    }
    if (err->hint[0]) {
        buffer_text(&text, "\n  mend it: ");
        text_printable(&text, slice_of(err->hint), true);
    }
    fprintf(stderr, "%s\n", buffer_cstring(&text));
    buffer_release(&text);
}

const char *
cli_colour(FILE *out, const char *sequence)
{
    const char *refused = getenv("NO_COLOR");
    return isatty(fileno(out)) && !(refused && *refused) ? sequence : "";
}

static int
run_command(struct cli *cli, struct error *err)
{
    cli->json = cli_flag(cli, "json");
    cli->workspace = cli_text(cli, "workspace");
    if (cli_flag(cli, "help")) {
        help_command(stdout, cli->command);
        return 0;
    }
    return cli->command->run ? cli->command->run(cli, err) : cli_operate(cli, err);
}

int
cli_main(int argc, char **argv)
{
    struct error err = {0};
    struct cli cli = {0};
    int used = 0, result;
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help_overview(argc < 2 ? stderr : stdout);
        return argc < 2 ? error_exit_code(ERROR_USAGE) : 0;
    }
    if (strcmp(argv[1], "--version") == 0)
        argv[1] = "version";
    arena_init(&cli.arena, 0);
    cli.command = find_command(argc - 1, argv + 1, &used);
    if (!cli.command)
        result = unknown_command(argv[1], &err);
    else if ((result = parse_arguments(&cli, argc - 1 - used, argv + 1 + used, &err)) == 0)
        result = run_command(&cli, &err);
    if (result >= 0 && (fflush(stdout) != 0 || ferror(stdout)))
        result = error_errno(&err, ERROR_IO, errno, "write to standard output");
    if (result < 0) {
        cli_complain(&err);
        result = error_exit_code(err.class);
    }
    arena_release(&cli.arena);
    return result;
}
