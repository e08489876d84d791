#include <limits.h>
#include <stdlib.h>
#include "base/json.h"
#include "base/text.h"
#include "cli/cli.h"
#include "event/schema.h"
#include "source/source_driver.h"
#include "workspace/workspace.h"

/* What was found so far. The exit code says the worst: scripts 65, configuration 78, warnings 1. */
struct checked {
    bool json;
    int worst;
    size_t warnings, errors;
    const char *where; /* of the findings of a source */
    char workspace[STORE_ID_SIZE];
    struct rules *rules;
};

static void
print_finding(struct checked *c, const char *level, const char *where, const char *message,
              const char *mend)
{
    struct buffer line;
    buffer_init(&line, 64 * 1024);
    if (c->json) {
        buffer_text(&line, "{\"level\":");
        json_string(&line, slice_of(level));
        json_key(&line, "where");
        json_string(&line, slice_of(where));
        json_key(&line, "message");
        json_string(&line, slice_of(message));
        json_key(&line, "mend");
        json_string(&line, slice_of(mend));
        buffer_byte(&line, '}');
    } else {
        const char *colour = *level == 'e' ? CLI_RED : *level == 'w' ? CLI_YELLOW : CLI_GREEN;
        buffer_printf(&line, "%s%-7s%s ", cli_colour(stdout, colour), level,
                      cli_colour(stdout, CLI_PLAIN));
        if (strncmp(message, where, strlen(where)) != 0) { /* most messages say where themselves */
            text_printable(&line, slice_of(where), false);
            buffer_text(&line, ": ");
        }
        text_printable(&line, slice_of(message), false);
        if (*mend) {
            buffer_text(&line, *level == 'o' ? "\n        note: " : "\n        mend it: ");
            text_printable(&line, slice_of(mend), true);
        }
    }
    puts(buffer_cstring(&line));
    buffer_release(&line);
}

static void
add_error(void *context, const char *where, const struct error *err)
{
    struct checked *c = context;
    char text[2100];
    /* What is not built is an error of the file that asks for it. */
    bool script = strncmp(where, "scripts/", 8) == 0;
    int code = script ? error_exit_code(ERROR_DATA) : error_exit_code(ERROR_CONFIG);
    snprintf(text, sizeof(text), "%s%s%s", err->message, err->cause[0] ? ": " : "", err->cause);
    print_finding(c, "error", where, text, err->hint);
    c->errors++;
    if (code > c->worst)
        c->worst = code;
}

static void
add_script_problem(void *context, const char *script, const struct error *err)
{
    add_error(context, script, err);
}

static void
add_source_finding(void *context, enum check_level level, const char *what, const char *mend)
{
    static const char *const names[] = {"ok", "warning", "error"};
    struct checked *c = context;
    print_finding(c, names[level], c->where, what, mend ? mend : "");
    c->warnings += level == CHECK_WARNING;
    c->errors += level == CHECK_ERROR;
    if (level == CHECK_ERROR)
        c->worst = error_exit_code(ERROR_CONFIG);
}

static void
ignore_listing(void *context, const char *what, const char *state, const char *sql)
{
    (void)context;
    (void)what;
    (void)state;
    (void)sql;
}

/* Such a rule runs; it fails on the events whose old values are missing. */
static void
add_script_warning(void *context, const char *script, const struct error *err)
{
    struct checked *c = context;
    print_finding(c, "warning", script, err->message, err->hint);
    c->warnings++;
}

/* Each rule against each table as it is now. */
static int
check_schema(void *context, const struct captured_table *table)
{
    struct checked *c = context;
    rules_check_schema(c->rules, table->schema, add_script_problem, c);
    if (!table->old_values)
        rules_check_old_values(c->rules, table->schema, table->old_mend, add_script_warning, c);
    return 0;
}

/* Tables that rules name and that this source does not capture: a rule on one of them would wait
 * for ever. */
struct unmatched {
    struct checked *checked;
    const char *const *patterns;
    bool *matched;
    size_t count, tables;
    const char *name;
};

static int
match_table(void *context, const struct captured_table *table)
{
    struct unmatched *u = context;
    char name[512];
    u->tables++;
    snprintf(name, sizeof(name), "%.*s.%.*s", (int)table->schema->schema.size,
             table->schema->schema.data, (int)table->schema->table.size, table->schema->table.data);
    for (size_t i = 0; i < u->count; i++)
        u->matched[i] = u->matched[i] || text_glob(slice_of(u->patterns[i]), slice_of(name));
    return check_schema(u->checked, table);
}

static void
say_unmatched(const struct unmatched *u)
{
    for (size_t i = 0; i < u->count; i++) {
        char text[700];
        if (u->matched[i] || text_has_glob(slice_of(u->patterns[i])))
            continue;
        snprintf(text, sizeof(text),
                 "a rule is on %s:%s, which is not among the %zu tables that the source captures",
                 u->name, u->patterns[i], u->tables);
        add_source_finding(u->checked, CHECK_WARNING, text,
                           "correct its name, or add it to `tables`");
    }
}

static int
check_tables(struct checked *c, const struct source_plan *plan, struct error *err)
{
    struct unmatched u = {.checked = c,
                          .patterns = plan->rule_tables,
                          .count = plan->rule_table_count,
                          .name = plan->name};
    u.matched = memory_zero(u.count + 1);
    int result = source_schemas(plan, match_table, &u, err);
    /* Without `tables` the rules' patterns are those of the source, whose own check tells of them.
     */
    if (result == 0 && (plan->common.tables.count || !plan->driver->by_log))
        say_unmatched(&u);
    free(u.matched);
    return result;
}

static void
check_source(struct checked *c, const char *folder, const struct config_source *source,
             struct schema_set *schemas)
{
    struct error err = {0};
    char where[128];
    struct source_report report = {
        .context = c, .finding = add_source_finding, .row = ignore_listing};
    struct source_plan plan = {
        .name = source->name,
        .driver = source->driver,
        .options = source->options,
        .common = source->common,
        .workspace = folder,
        .workspace_id = c->workspace,
        .schemas = schemas,
    };
    plan.rule_table_count = rules_tables(c->rules, source->name, &plan.rule_tables);
    snprintf(where, sizeof(where), "source \"%s\"", source->name);
    c->where = where;
    size_t errors = c->errors;
    if (source_check(&plan, &report, &err) != 0 ||
        (c->errors == errors && check_tables(c, &plan, &err) != 0))
        add_error(c, where, &err);
}

static void
check_sources(struct checked *c, const char *folder, struct workspace_check *check,
              const char *only)
{
    char data[PATH_MAX + 8];
    struct schema_set *schemas = schema_set_new(NULL, NULL);
    snprintf(data, sizeof(data), "%s/data", folder);
    store_peek_workspace_id(data, c->workspace);
    for (size_t i = 0; i < check->config.source_count; i++)
        if (!only || strcmp(check->config.sources[i].name, only) == 0)
            check_source(c, folder, &check->config.sources[i], schemas);
    schema_set_free(schemas);
}

int
cli_check(struct cli *cli, struct error *err)
{
    char folder[PATH_MAX];
    struct checked c = {.json = cli->json};
    struct workspace_check check;
    const char *only = cli_text(cli, "source");
    if (cli_folder(cli, false, folder, err) != 0 ||
        workspace_check(folder, add_error, &c, &check, err) != 0)
        return -1;
    c.rules = check.rules;
    int result = 0;
    if (only && !config_find_source(&check.config, only))
        result =
            error_set(err, ERROR_MISSING, "source \"%s\" is not in %s/tidegate.lua", only, folder);
    else if (!cli_flag(cli, "rules"))
        check_sources(&c, folder, &check, only);
    workspace_check_release(&check);
    if (result != 0)
        return result;
    if (!cli->json)
        fprintf(stderr, "%zu error%s, %zu warning%s\n", c.errors, c.errors == 1 ? "" : "s",
                c.warnings, c.warnings == 1 ? "" : "s");
    return c.errors ? c.worst : c.warnings ? 1 : 0;
}
