/* Help, completion and the manual page, all made from the one table of commands. */
#include "channel/channel_driver.h"
#include "cli/cli.h"
#include "source/source_driver.h"

static void
print_words(FILE *out, const struct command *c)
{
    for (size_t i = 0; i < countof(c->words) && c->words[i]; i++) {
        fputc(' ', out);
        for (const char *p = c->words[i]; *p; p++)
            fputc(*p >= 'a' && *p <= 'z' ? *p - 32 : *p, out);
    }
}

void
help_overview(FILE *out)
{
    fprintf(
        out,
        "Tidegate watches databases and tells those who want to know, by rules written in Lua.\n\n"
        "usage: tidegate COMMAND [options]\n\n");
    for (size_t i = 0; i < command_count; i++)
        fprintf(out, "  %-16s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\nBegin with: tidegate demo, or tidegate init DIR\n"
                 "More on one: tidegate help COMMAND\n"
                 "Options of a source or channel: tidegate help postgres, help webhook …\n");
}

static void
print_options(FILE *out, const struct cli_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct cli_option *o = &options[i];
        char name[64], letter[8] = "    ";
        snprintf(name, sizeof(name), "--%s%s%s", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        if (o->letter)
            snprintf(letter, sizeof(letter), "-%c, ", o->letter);
        fprintf(out, "  %s%-22s %s\n", letter, name, o->help);
    }
}

void
help_command(FILE *out, const struct command *c)
{
    fprintf(out, "tidegate %s: %s\n\nusage: tidegate %s", c->name, c->summary, c->name);
    print_words(out, c);
    fprintf(out, " [options]\n\n");
    print_options(out, c->options, c->option_count);
    print_options(out, cli_common, cli_common_count);
}

/* The commands that begin with this word. */
static bool
print_family(const char *word)
{
    size_t size = strlen(word);
    bool any = false;
    for (size_t i = 0; i < command_count; i++)
        if (strncmp(commands[i].name, word, size) == 0 && commands[i].name[size] == ' ') {
            printf("  tidegate %-16s %s\n", commands[i].name, commands[i].summary);
            any = true;
        }
    return any;
}

static void
print_rows(const char *title, const struct option *rows, size_t count)
{
    struct buffer text;
    buffer_init(&text, 1 << 16);
    option_help(rows, count, &text);
    printf("%s\n%s\n", title, buffer_cstring(&text));
    buffer_release(&text);
}

/* A driver by its name: what may stand in source(…) or channel(…). */
static bool
print_driver(const char *name)
{
    const struct source_driver *source = source_driver_find(slice_of(name));
    const struct channel_driver *channel = channel_driver_find(slice_of(name));
    if (source) {
        printf("source(NAME, { driver = \"%s\", … }): %s\n\n", source->name, source->summary);
        print_rows("options of this driver:", source->options, source->option_count);
        print_rows("options of every source:", source_common_rows, source_common_row_count);
    }
    if (channel) {
        printf("channel(NAME, { type = \"%s\", … }): %s\n\n", channel->name, channel->summary);
        print_rows("options of this type:", channel->options, channel->option_count);
        print_rows("options of every channel:", channel_common_rows, channel_common_row_count);
    }
    return source || channel;
}

int
cli_help(struct cli *cli, struct error *err)
{
    char name[128];
    const char *first = cli_text(cli, "command"), *second = cli_text(cli, "word");
    if (!first) {
        help_overview(stdout);
        return 0;
    }
    snprintf(name, sizeof(name), "%s%s%s", first, second ? " " : "", second ? second : "");
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, name) == 0) {
            help_command(stdout, &commands[i]);
            return 0;
        }
    if (!second && (print_family(first) || print_driver(first)))
        return 0;
    error_set(err, ERROR_USAGE, "there is no command \"%s\"", name);
    return error_hint(err, "tidegate help lists them");
}

static void
complete_bash(void)
{
    printf("_tidegate() {\n  local cur=${COMP_WORDS[COMP_CWORD]} words\n  case ${COMP_CWORD} in\n  "
           "1) words='");
    for (size_t i = 0; i < command_count; i++)
        if (!strchr(commands[i].name, ' '))
            printf("%s ", commands[i].name);
    printf("journal dead' ;;\n  *) case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        const char *space = strchr(c->name, ' ');
        if (space) /* of two words: the options of all, and the second word */
            continue;
        printf("    %s) words='", c->name);
        for (size_t k = 0; k < c->option_count; k++)
            printf("--%s ", c->options[k].name);
        printf("--workspace --json --help' ;;\n");
    }
    printf("    journal) words='status trim --before-lsn --force' ;;\n"
           "    dead) words='list retry drop --channel --rule --id --older-than --limit --all' ;;\n"
           "    esac ;;\n  esac\n"
           "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F "
           "_tidegate tidegate\n");
}

static void
complete_zsh(void)
{
    printf("#compdef tidegate\nlocal -a commands=(\n");
    for (size_t i = 0; i < command_count; i++)
        if (!strchr(commands[i].name, ' '))
            printf("  '%s:%s'\n", commands[i].name, commands[i].summary);
    printf("  'journal:status and trim of the journal'\n  'dead:list, retry and drop dead "
           "letters'\n)\n"
           "if (( CURRENT == 2 )); then _describe command commands; else _files; fi\n");
}

static void
complete_fish(void)
{
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        if (strchr(c->name, ' '))
            continue;
        printf("complete -c tidegate -n __fish_use_subcommand -a %s -d '%s'\n", c->name,
               c->summary);
        for (size_t k = 0; k < c->option_count; k++)
            printf("complete -c tidegate -n '__fish_seen_subcommand_from %s' -l %s -d '%s'\n",
                   c->name, c->options[k].name, c->options[k].help);
    }
}

static void
man_options(const struct cli_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        printf(".TP\n.B \\-\\-%s", options[i].name);
        if (options[i].letter)
            printf(", \\-%c", options[i].letter);
        printf(" %s\n%s\n", options[i].value ? options[i].value : "", options[i].help);
    }
}

static void
manual(void)
{
    printf(".TH TIDEGATE 1 \"\" \"Tidegate %s\"\n.SH NAME\ntidegate \\- Lua-scriptable event "
           "router for "
           "databases\n.SH SYNOPSIS\n.B tidegate\nCOMMAND [options]\n.SH COMMANDS\n",
           TIDEGATE_VERSION);
    for (size_t i = 0; i < command_count; i++) {
        printf(".SS tidegate %s", commands[i].name);
        print_words(stdout, &commands[i]);
        printf("\n%s.\n", commands[i].summary);
        man_options(commands[i].options, commands[i].option_count);
    }
    printf(".SH OPTIONS OF EVERY COMMAND\n");
    man_options(cli_common, cli_common_count);
    printf(".SH EXIT STATUS\n0 done; 1 a negative answer; 64 wrong usage; 65 wrong script or data; "
           "66 not "
           "there; 69 unreachable; 74 input or output; 75 busy; 77 not permitted; 78 wrong "
           "configuration.\n"
           ".SH ENVIRONMENT\n.TP\n.B TIDEGATE_HOME\nthe workspace when none is named\n.TP\n.B "
           "TIDEGATE_PORT\n"
           "the port when none is named\n.TP\n.B NO_COLOR\nno colour\n");
}

int
cli_completion(struct cli *cli, struct error *err)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {
        {"bash", complete_bash}, {"zsh", complete_zsh}, {"fish", complete_fish}, {"man", manual}};
    const char *shell = cli_text(cli, "shell");
    for (size_t i = 0; i < countof(shells); i++)
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].print();
            return 0;
        }
    return error_set(err, ERROR_USAGE, "completion takes bash, zsh, fish or man, not \"%s\"",
                     shell);
}
