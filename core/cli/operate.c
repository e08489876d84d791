/* Commands that ask an operation: in the running daemon over its socket, else on the files. */
#include <limits.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "server/control.h"
#include "server/operation.h"
#include "workspace/folder.h"

#define ASK_PATIENCE (5 * CLOCK_SECOND)

/* Rows of an operation that runs in this process. */
struct local_reply {
    struct reply reply;
    cli_row *row;
    void *context;
};

static int
local_row(struct reply *reply, struct slice json)
{
    struct local_reply *l = container_of(reply, struct local_reply, reply);
    struct arena arena;
    struct value row;
    arena_init(&arena, 0);
    int result = json_parse(json, &arena, &row, NULL);
    if (result == 0)
        result = l->row(l->context, &row, json);
    arena_release(&arena);
    return result;
}

static bool
local_closed(struct reply *reply)
{
    (void)reply;
    return false;
}

static int
ask_files(struct cli *cli, const char *folder, const struct operation *operation, cli_row *row,
          void *context, struct error *err)
{
    struct local_reply l = {
        .reply = {.row = local_row, .closed = local_closed}, .row = row, .context = context};
    if (operation->live) {
        error_set(err, ERROR_UNREACHABLE, "no daemon runs in %s", folder);
        return error_hint(err, "tidegate start %s", folder);
    }
    struct workspace *w =
        workspace_open(&(struct workspace_options){.folder = folder, .offline = true}, err);
    if (!w)
        return -1;
    int result = operation->run(w, &cli->arguments, &l.reply, err);
    workspace_close(w);
    return result;
}

int
cli_ask(struct cli *cli, const char *name, cli_row *row, void *context, struct error *err)
{
    char folder[PATH_MAX];
    int result = -1;
    const struct operation *operation = operation_find(name);
    ensure(operation);
    if (cli_folder(cli, false, folder, err) != 0)
        return -1;
    /* A daemon that starts or ends holds the files before it listens and after. */
    for (int64_t end = clock_mono() + ASK_PATIENCE;;) {
        if (control_ask(folder, name, &cli->arguments, row, context, &result, err) == 1)
            return result;
        result = ask_files(cli, folder, operation, row, context, err);
        if (result == 0 || !err || err->class != ERROR_BUSY || clock_mono() > end)
            return result;
        *err = (struct error){0};
    }
}

static int
print_json(void *context, const struct value *row, struct slice json)
{
    (void)context;
    (void)row;
    fwrite(json.data, 1, json.size, stdout);
    putchar('\n');
    return fflush(stdout) == 0 ? 0 : -1;
}

static int
add_to_table(void *context, const struct value *row, struct slice json)
{
    (void)json;
    columns_add(context, row);
    return 0;
}

/* Statements alone, for sqlite3 or a migration to run. */
static int
print_sql(void *context, const struct value *row, struct slice json)
{
    const char *sql = value_text(row, "sql", "");
    size_t size = strlen(sql);
    (void)context;
    (void)json;
    if (size)
        printf("%s%s\n", sql, sql[size - 1] == ';' ? "" : ";");
    return fflush(stdout) == 0 ? 0 : -1;
}

int
cli_triggers(struct cli *cli, struct error *err)
{
    if (cli_flag(cli, "sql") && !cli->json)
        return cli_ask(cli, cli->command->operation, print_sql, NULL, err);
    return cli_operate(cli, err);
}

int
cli_operate(struct cli *cli, struct error *err)
{
    const struct command *c = cli->command;
    struct columns listing;
    if (cli->json || c->column_count == 0)
        return cli_ask(cli, c->operation, print_json, NULL, err);
    columns_init(&listing, c->columns, c->column_count);
    int result = cli_ask(cli, c->operation, add_to_table, &listing, err);
    if (result == 0 || listing.count) /* what was done before a failure was done */
        columns_print(&listing, stdout);
    columns_release(&listing);
    return result;
}
