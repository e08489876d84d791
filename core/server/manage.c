/* What changes something: the journal's trim, dead letters, triggers, removal of a source. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "server/operation.h"
#include "server/row.h"
#include "source/source_driver.h"
#include "workspace/registry.h"

int
operation_journal_status(struct workspace *w, const struct value *arguments, struct reply *reply,
                         struct error *err)
{
    (void)arguments;
    struct row_writer row;
    (void)err;
    row_begin(&row, reply);
    row_journal(&row, w);
    row_list(&row, "consumers", w, operation_consumers);
    row_end(&row);
    return 0;
}

int
operation_journal_trim(struct workspace *w, const struct value *arguments, struct reply *reply,
                       struct error *err)
{
    uint64_t oldest = 0;
    int64_t before = value_int(arguments, "before-lsn", 0);
    if (before <= 0)
        return error_set(err, ERROR_USAGE, "journal trim needs --before-lsn N");
    if (store_trim(workspace_store(w), (uint64_t)before, value_bool(arguments, "force", false),
                   &oldest, err) != 0)
        return -1;
    struct row_writer row;
    row_begin(&row, reply);
    row_int(&row, "oldest_lsn", (int64_t)oldest);
    row_end(&row);
    return 0;
}

/* What a driver says of a database, as rows. */
struct report_rows {
    struct reply *reply;
    size_t count;
};

static void
report_row(void *context, const char *what, const char *state, const char *sql)
{
    struct report_rows *r = context;
    struct row_writer row;
    r->count++;
    row_begin(&row, r->reply);
    row_text(&row, "name", what);
    row_text(&row, "state", state);
    row_text(&row, "sql", sql && *sql ? sql : NULL);
    row_end(&row);
}

static void
report_finding(void *context, enum check_level level, const char *what, const char *mend)
{
    (void)level;
    report_row(context, what, "note", mend);
}

static struct source_report
report_into(struct report_rows *rows)
{
    return (struct source_report){.context = rows, .finding = report_finding, .row = report_row};
}

static int
unknown_source(struct workspace *w, const char *name, struct error *err)
{
    error_set(err, ERROR_MISSING, "source \"%s\" is not in tidegate.lua", name);
    const struct config *c = workspace_config(w);
    if (c->source_count)
        error_hint(err, "the first source there is \"%s\"", c->sources[0].name);
    return -1;
}

int
operation_triggers(struct workspace *w, const struct value *arguments, struct reply *reply,
                   struct error *err)
{
    static const char *const verbs[] = {
        [SOURCE_LIST] = "list", [SOURCE_SYNC] = "sync", [SOURCE_REMOVE] = "remove"};
    const char *name = value_text(arguments, "source", ""),
               *verb = value_text(arguments, "verb", "list");
    struct report_rows rows = {.reply = reply};
    struct source_report report = report_into(&rows);
    struct source_plan plan;
    if (!workspace_source_plan(w, name, &plan))
        return unknown_source(w, name, err);
    for (size_t i = 0; i < countof(verbs); i++)
        if (strcmp(verbs[i], verb) == 0)
            return source_installed(&plan, (enum source_install)i,
                                    value_text(arguments, "table", NULL),
                                    value_bool(arguments, "sql", false), &report, err);
    return error_set(err, ERROR_USAGE, "triggers SOURCE takes list, sync or remove, not \"%s\"",
                     verb);
}

int
operation_sources_remove(struct workspace *w, const struct value *arguments, struct reply *reply,
                         struct error *err)
{
    const char *name = value_text(arguments, "source", "");
    struct report_rows rows = {.reply = reply};
    struct source_report report = report_into(&rows);
    if (config_find_source(workspace_config(w), name)) {
        error_set(err, ERROR_CONFIG, "source \"%s\" is still defined in tidegate.lua", name);
        return error_hint(err, "remove it there first, and restart");
    }
    if (registry_remove(w, name, &report, err) != 0)
        return -1;
    report_row(&rows, name, "removed", NULL);
    return 0;
}

static int
fill_filter(const struct value *arguments, struct outbox_filter *filter, struct error *err)
{
    const char *age = value_text(arguments, "older-than", NULL);
    int64_t us;
    *filter = (struct outbox_filter){
        .channel = value_text(arguments, "channel", NULL),
        .rule = value_text(arguments, "rule", NULL),
        .id = value_text(arguments, "id", NULL),
        .limit = (size_t)value_int(arguments, "limit", 0),
    };
    if (!age)
        return 0;
    if (duration_parse(slice_of(age), &us) != 0)
        return error_set(err, ERROR_USAGE,
                         "--older-than %s is not a duration; write it as 2h or 7d", age);
    filter->older_than = clock_now() - us;
    return 0;
}

static int
visit_dead(void *context, const struct outbox_dead *d)
{
    struct row_writer row;
    row_begin(&row, context);
    row_text(&row, "id", d->id);
    row_text(&row, "channel", d->channel);
    row_text(&row, "rule", d->rule);
    row_text(&row, "event", d->event_id);
    row_int(&row, "lsn", (int64_t)d->lsn);
    row_int(&row, "attempts", d->attempts);
    row_time(&row, "first_at", d->first_at);
    row_text(&row, "reason", d->reason);
    row_slice(&row, "body", d->body);
    return row_end(&row);
}

int
operation_dead_list(struct workspace *w, const struct value *arguments, struct reply *reply,
                    struct error *err)
{
    struct outbox_filter filter;
    if (fill_filter(arguments, &filter, err) != 0)
        return -1;
    return outbox_dead_list(workspace_outbox(w), &filter, visit_dead, reply, err);
}

typedef int64_t dead_action(struct outbox *o, const struct outbox_filter *filter,
                            struct error *err);

/* An action on all dead letters must be asked for in so many words. */
static int
act_on_dead(struct workspace *w, const struct value *arguments, struct reply *reply,
            dead_action *action, struct error *err)
{
    struct outbox_filter filter;
    if (fill_filter(arguments, &filter, err) != 0)
        return -1;
    bool narrowed = filter.channel || filter.rule || filter.id || filter.older_than;
    if (!narrowed && !value_bool(arguments, "all", false))
        return error_set(err, ERROR_USAGE,
                         "say which dead letters: --channel, --rule, --id, --older-than, or --all");
    int64_t count = action(workspace_outbox(w), &filter, err);
    if (count < 0)
        return -1;
    struct row_writer row;
    row_begin(&row, reply);
    row_int(&row, "count", count);
    row_end(&row);
    return 0;
}

int
operation_dead_retry(struct workspace *w, const struct value *arguments, struct reply *reply,
                     struct error *err)
{
    return act_on_dead(w, arguments, reply, outbox_dead_retry, err);
}

int
operation_dead_drop(struct workspace *w, const struct value *arguments, struct reply *reply,
                    struct error *err)
{
    return act_on_dead(w, arguments, reply, outbox_dead_drop, err);
}
