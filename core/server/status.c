/* How the workspace is: status, and the lists of sources, channels, consumers and rules. */
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/json.h"
#include "server/row.h"
#include "channel/channel_driver.h"
#include "source/source_driver.h"
#include "workspace/workspace.h"

static void
source_fields(struct row_writer *row, struct workspace *w, const struct config_source *c,
              size_t place)
{
    struct source *s = workspace_source(w, place);
    struct journal_source known = {0};
    bool journalled = journal_source_get(store_journal(workspace_store(w)), c->name, &known) == 0;
    row_text(row, "name", c->name);
    row_text(row, "driver", c->driver->name);
    if (s) {
        struct source_status status;
        source_status(s, &status);
        row_text(row, "state", source_state_name(status.state));
        row_time(row, "since", status.since);
        row_int(row, "epoch", status.epoch);
        row_text(row, "position", status.position);
        row_int(row, "events", (int64_t)status.events);
        row_time(row, "last_event", status.last_event);
        row_time(row, "watermark", status.watermark);
        row_error(row, "error", &status.error);
    } else {
        row_text(row, "state", "stopped");
        row_int(row, "epoch", journalled ? known.epoch : 0);
        row_time(row, "watermark", journalled ? known.watermark : 0);
    }
    row_int(row, "lsn", journalled ? (int64_t)known.lsn : 0);
    free(known.position);
}

int
operation_sources(struct workspace *w, const struct value *arguments, struct reply *reply,
                  struct error *err)
{
    (void)arguments;
    (void)err;
    const struct config *config = workspace_config(w);
    for (size_t i = 0; i < config->source_count; i++) {
        struct row_writer row;
        row_begin(&row, reply);
        source_fields(&row, w, &config->sources[i], i);
        if (row_end(&row) != 0)
            break;
    }
    return 0;
}

static void
channel_fields(struct row_writer *row, const struct config *config, const struct outbox_status *s)
{
    const struct config_channel *c = config_find_channel(config, slice_of(s->channel));
    row_text(row, "name", s->channel);
    row_text(row, "type", c ? c->driver->name : NULL);
    row_text(row, "state", s->state);
    row_text(row, "reason", s->reason[0] ? s->reason : NULL);
    row_int(row, "waiting", (int64_t)s->waiting);
    row_int(row, "retrying", (int64_t)s->retrying);
    row_int(row, "held", (int64_t)s->held);
    row_int(row, "dead", (int64_t)s->dead);
    row_int(row, "bytes", s->bytes);
    row_int(row, "delivered", (int64_t)s->delivered);
    row_int(row, "failed_attempts", (int64_t)s->failed);
    row_time(row, "oldest", s->oldest);
    row_time(row, "next_retry", s->next_at);
}

int
operation_channels(struct workspace *w, const struct value *arguments, struct reply *reply,
                   struct error *err)
{
    (void)arguments;
    (void)err;
    struct outbox_status *list;
    size_t count = outbox_status_list(workspace_outbox(w), &list);
    for (size_t i = 0; i < count; i++) {
        struct row_writer row;
        row_begin(&row, reply);
        channel_fields(&row, workspace_config(w), &list[i]);
        if (row_end(&row) != 0)
            break;
    }
    free(list);
    return 0;
}

static void
consumer_fields(struct row_writer *row, struct workspace *w, const struct store_consumer *c)
{
    struct journal *journal = store_journal(workspace_store(w));
    row_text(row, "name", c->name);
    row_bool(row, "enabled", c->enabled);
    row_int(row, "checkpoint", (int64_t)c->checkpoint);
    row_int(row, "lag", (int64_t)journal_distance(c->checkpoint, journal_newest(journal)));
    row_time(row, "seen", c->seen);
    if (workspace_consumer(w) && strcmp(c->name, "main") == 0) {
        struct consumer_status status;
        consumer_status(workspace_consumer(w), &status);
        row_int(row, "position", (int64_t)status.position);
        row_int(row, "events", (int64_t)status.events);
        row_int(row, "entered_lua", (int64_t)status.entered);
        row_error(row, "error", &status.error);
    }
}

int
operation_consumers(struct workspace *w, const struct value *arguments, struct reply *reply,
                    struct error *err)
{
    (void)arguments;
    (void)err;
    struct store_consumer *list;
    size_t count = store_consumer_list(workspace_store(w), &list);
    for (size_t i = 0; i < count; i++) {
        struct row_writer row;
        row_begin(&row, reply);
        consumer_fields(&row, w, &list[i]);
        if (row_end(&row) != 0)
            break;
    }
    free(list);
    return 0;
}

static void
rule_fields(struct row_writer *row, const struct rule_status *r)
{
    row_text(row, "name", r->name);
    row_text(row, "script", r->script);
    row_int(row, "line", r->line);
    row_text(row, "state",
             !r->loaded       ? "broken"
             : r->quarantined ? "quarantine"
             : r->problem[0]  ? "problem"
                              : "ok");
    row_text(row, "problem", r->problem[0] ? r->problem : NULL);
    row_int(row, "matched", (int64_t)r->matched);
    row_int(row, "sent", (int64_t)r->sent);
    row_int(row, "rejected", (int64_t)r->rejected);
    row_int(row, "failed", (int64_t)r->failed);
    row_int(row, "held", (int64_t)r->held);
    row_int(row, "held_first", (int64_t)r->held_first);
    row_int(row, "held_last", (int64_t)r->held_last);
    row_text(row, "last_error", r->last_error[0] ? r->last_error : NULL);
    row_time(row, "last_failed", r->last_failed);
}

int
operation_rules(struct workspace *w, const struct value *arguments, struct reply *reply,
                struct error *err)
{
    (void)arguments;
    (void)err;
    struct rule_status *list;
    size_t count = rules_status(workspace_rules(w), &list);
    for (size_t i = 0; i < count; i++) {
        struct row_writer row;
        row_begin(&row, reply);
        rule_fields(&row, &list[i]);
        if (row_end(&row) != 0)
            break;
    }
    free(list);
    return 0;
}

static void
store_fields(struct row_writer *row, struct workspace *w)
{
    static const char *const names[] = {"ok", "journal_full", "disk_low", "disk_full"};
    struct store_status status;
    store_status(workspace_store(w), &status);
    row_text(row, "state", names[status.pressure]);
    row_text(row, "reason", status.reason[0] ? status.reason : NULL);
    row_int(row, "disk_free", status.disk_free);
    row_int(row, "wal_bytes", status.wal_bytes);
    row_int(row, "groups", (int64_t)status.groups);
}

static void
problem_fields(struct row_writer *row, struct workspace *w)
{
    const struct workspace_problem *list;
    size_t count = workspace_problems(w, &list);
    json_key(&row->json, "problems");
    buffer_byte(&row->json, '[');
    for (size_t i = 0; i < count; i++) {
        json_comma(&row->json);
        buffer_byte(&row->json, '{');
        row_text(row, "where", list[i].where);
        row_error(row, "error", &list[i].error);
        buffer_byte(&row->json, '}');
    }
    buffer_byte(&row->json, ']');
}

static void
object(struct row_writer *row, const char *key, struct workspace *w,
       void (*fields)(struct row_writer *row, struct workspace *w))
{
    json_key(&row->json, key);
    buffer_byte(&row->json, '{');
    fields(row, w);
    buffer_byte(&row->json, '}');
}

int
operation_status(struct workspace *w, const struct value *arguments, struct reply *reply,
                 struct error *err)
{
    (void)arguments;
    (void)err;
    struct row_writer row;
    row_begin(&row, reply);
    row_text(&row, "version", TIDEGATE_VERSION);
    row_text(&row, "workspace", workspace_folder(w));
    row_bool(&row, "running", workspace_started(w) != 0);
    row_bool(&row, "ready", workspace_ready(w));
    if (workspace_started(w)) {
        row_int(&row, "pid", getpid());
        row_int(&row, "port", workspace_config(w)->settings.port);
        row_time(&row, "started", workspace_started(w));
    }
    object(&row, "journal", w, row_journal);
    object(&row, "store", w, store_fields);
    row_list(&row, "sources", w, operation_sources);
    row_list(&row, "consumers", w, operation_consumers);
    row_list(&row, "rules", w, operation_rules);
    row_list(&row, "channels", w, operation_channels);
    problem_fields(&row, w);
    row_end(&row);
    return 0;
}
