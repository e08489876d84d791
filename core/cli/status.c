#include <limits.h>
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "cli/columns.h"

static void
print_section(const struct value *list, const char *command)
{
    struct columns listing;
    const struct command *c = NULL;
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, command) == 0)
            c = &commands[i];
    ensure(c);
    if (!list || list->count == 0)
        return;
    columns_init(&listing, c->columns, c->column_count);
    for (size_t i = 0; i < list->count; i++)
        columns_add(&listing, &list->items[i]);
    putchar('\n');
    columns_print(&listing, stdout);
    columns_release(&listing);
}

static void
print_line(const char *before, const char *text)
{
    fputs(before, stdout);
    cli_print(stdout, text);
    putchar('\n');
}

/* What is wrong, one line each: of sources, consumers, then configuration and scripts. */
static void
print_errors(const struct value *list, const char *what)
{
    for (size_t i = 0; list && i < list->count; i++) {
        const struct value *error = value_get(&list->items[i], "error");
        const char *message = value_text(error, "message", NULL),
                   *hint = value_text(error, "hint", NULL);
        if (!message)
            continue;
        printf("\n%s%s %s:%s ", cli_colour(stdout, CLI_RED), what,
               value_text(&list->items[i], *what == 'p' ? "where" : "name", ""),
               cli_colour(stdout, CLI_PLAIN));
        print_line("", message);
        if (value_text(error, "cause", NULL))
            print_line("  ", value_text(error, "cause", ""));
        if (hint)
            print_line("  mend it: ", hint);
    }
}

static void
print_journal(const struct value *journal)
{
    char bytes[CLOCK_TEXT_SIZE], limit[CLOCK_TEXT_SIZE], age[CLOCK_TEXT_SIZE];
    if (value_int(journal, "newest_lsn", 0) < value_int(journal, "oldest_lsn", 0))
        printf("journal    no events, %s of %s, kept %s\n",
               size_format(value_int(journal, "bytes", 0), bytes),
               size_format(value_int(journal, "retention_bytes", 0), limit),
               duration_format(value_int(journal, "retention_seconds", 0) * CLOCK_SECOND, age));
    else
        printf("journal    events %lld to %lld, %s of %s, kept %s\n",
               (long long)value_int(journal, "oldest_lsn", 0),
               (long long)value_int(journal, "newest_lsn", 0),
               size_format(value_int(journal, "bytes", 0), bytes),
               size_format(value_int(journal, "retention_bytes", 0), limit),
               duration_format(value_int(journal, "retention_seconds", 0) * CLOCK_SECOND, age));
}

static void
print_store(const struct value *store)
{
    const char *reason = value_text(store, "reason", NULL);
    printf("store      %s%s%s\n", value_text(store, "state", "?"), reason ? ": " : "",
           reason ? reason : "");
}

struct printed {
    bool json;
    bool running;
};

static int
print_status(void *context, const struct value *row, struct slice json)
{
    struct printed *p = context;
    p->running = value_bool(row, "running", false);
    if (p->json) {
        printf("%.*s\n", (int)json.size, json.data);
        return 0;
    }
    printf("Tidegate %s  %s\n", value_text(row, "version", ""), value_text(row, "workspace", ""));
    if (p->running)
        printf("running    process %lld, port %lld, since %s%s\n",
               (long long)value_int(row, "pid", 0), (long long)value_int(row, "port", 0),
               value_text(row, "started", "?"),
               value_bool(row, "ready", false) ? "" : ", not ready");
    else
        printf("not running\n");
    print_journal(value_get(row, "journal"));
    print_store(value_get(row, "store"));
    print_section(value_get(row, "sources"), "sources");
    print_section(value_get(row, "consumers"), "consumers");
    print_section(value_get(row, "rules"), "rules");
    print_section(value_get(row, "channels"), "channels");
    print_errors(value_get(row, "sources"), "source");
    print_errors(value_get(row, "consumers"), "consumer");
    print_errors(value_get(row, "problems"), "problem in");
    return 0;
}

int
cli_status(struct cli *cli, struct error *err)
{
    char folder[PATH_MAX];
    struct printed printed = {.json = cli->json};
    int64_t port = cli_given_port(cli);
    if (port && !cli->workspace && !cli_text(cli, "dir")) {
        if (daemon_find_port(port, folder, sizeof(folder), err) != 0)
            return -1;
        cli->workspace = folder;
    }
    if (cli_ask(cli, "status", print_status, &printed, err) != 0)
        return -1;
    return printed.running ? 0 : error_exit_code(ERROR_UNREACHABLE);
}

static int
print_journal_row(void *context, const struct value *row, struct slice json)
{
    (void)context;
    (void)json;
    print_journal(row);
    print_section(value_get(row, "consumers"), "consumers");
    return 0;
}

int
cli_journal_status(struct cli *cli, struct error *err)
{
    return cli->json ? cli_operate(cli, err)
                     : cli_ask(cli, cli->command->operation, print_journal_row, NULL, err);
}
