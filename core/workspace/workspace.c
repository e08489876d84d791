#include "workspace/workspace.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "channel/channel_driver.h"
#include "source/source_driver.h"
#include "workspace/folder.h"
#include "workspace/registry.h"
#include "workspace/scripts.h"

struct live_channel {
    struct outbox_queue *queue;
    struct channel_plan plan;
    struct channel *channel;
};

struct live_source {
    struct source *source;
    struct store_producer *producer;
    struct journal_source resume;
    uint32_t epoch; /* that it starts in */
};

struct workspace {
    char *folder;
    bool offline;
    int lock;
    struct config config;
    struct scripts scripts;
    struct store *store;
    struct outbox *outbox;
    struct transfer *transfer;
    struct live_channel *channels; /* by place in config.channels */
    struct rules *rules;
    struct consumer *consumer;
    struct live_source *sources; /* by place in config.sources */
    size_t source_count;         /* of those made */
    struct workspace_problem *problems;
    size_t problem_count;
    _Atomic int64_t started; /* µs; read by the commands' threads */
};

static void
add_problem(struct workspace *w, const char *where, const struct error *err)
{
    w->problems = memory_grow(w->problems, (w->problem_count + 1) * sizeof(*w->problems));
    struct workspace_problem *p = &w->problems[w->problem_count++];
    snprintf(p->where, sizeof(p->where), "%s", where);
    p->error = *err;
}

static void
config_problem_of(void *context, const struct error *err)
{
    add_problem(context, "tidegate.lua", err);
}

static void
script_problem_of(void *context, const char *script, const struct error *err)
{
    add_problem(context, script, err);
    log_failure(LOG_ERROR, "rules", err);
}

/* What rules may name, from the configuration. */
static bool
world_channel(void *context, struct slice name, struct outbox_queue **queue,
              const struct channel_plan **plan)
{
    struct workspace *w = context;
    const struct config_channel *c = config_find_channel(&w->config, name);
    if (!c)
        return false;
    struct live_channel *live = &w->channels[c - w->config.channels];
    *queue = live->queue;
    *plan = &live->plan;
    return true;
}

static const char *
world_suggest(void *context, struct slice name)
{
    struct workspace *w = context;
    return text_suggest(name, w->config.channels, w->config.channel_count,
                        sizeof(*w->config.channels));
}

static struct channel_plan
plan_channel(struct workspace *w, const struct config_channel *c)
{
    return (struct channel_plan){
        .name = c->name,
        .driver = c->driver,
        .options = c->options,
        .common = c->common,
        .workspace = w->folder,
        .allow_private = true, /* it stands in tidegate.lua (operation.md §5) */
        .transfer = w->transfer,
    };
}

static int
open_channels(struct workspace *w, struct error *err)
{
    w->channels = memory_zero((w->config.channel_count + 1) * sizeof(*w->channels));
    if (!w->offline && !(w->transfer = transfer_new(err)))
        return -1;
    for (size_t i = 0; i < w->config.channel_count; i++) {
        const struct config_channel *c = &w->config.channels[i];
        struct live_channel *live = &w->channels[i];
        live->plan = plan_channel(w, c);
        live->queue = outbox_attach(w->outbox, c->name, &c->common, err);
        if (!live->queue)
            return error_context(err, "channel \"%s\"", c->name);
        if (w->offline)
            continue;
        live->plan.feed = outbox_feed(live->queue);
        live->channel = channel_new(&live->plan, err);
        if (!live->channel)
            return error_context(err, "channel \"%s\"", c->name);
        outbox_bind(live->queue, live->channel);
    }
    return 0;
}

static struct rules *
make_rules(struct config *config, const struct scripts *scripts, struct rules_world *world,
           rules_problem *problem, void *context, struct error *err)
{
    config_name_sources(config, world);
    world->modules = scripts->modules;
    world->module_count = scripts->module_count;
    return rules_new(world, scripts->list, scripts->count, problem, context, err);
}

static int
open_rules(struct workspace *w, struct error *err)
{
    struct rules_world world = {.outbox = w->outbox,
                                .channel = world_channel,
                                .channel_suggest = world_suggest,
                                .context = w};
    w->rules = make_rules(&w->config, &w->scripts, &world, script_problem_of, w, err);
    if (!w->rules || w->offline)
        return w->rules ? 0 : -1;
    struct consumer_plan plan = {
        .name = "main", .store = w->store, .outbox = w->outbox, .rules = w->rules};
    w->consumer = consumer_new(&plan, err);
    return w->consumer ? 0 : -1;
}

static void
fill_plan(struct workspace *w, const struct config_source *c, struct source_plan *out)
{
    *out = (struct source_plan){
        .name = c->name,
        .driver = c->driver,
        .options = c->options,
        .common = c->common,
        .workspace = w->folder,
        .workspace_id = store_workspace_id(w->store),
        .schemas = store_schemas(w->store),
    };
    if (w->rules)
        out->rule_table_count = rules_tables(w->rules, c->name, &out->rule_tables);
}

/* A source is made before its producer, whose wake-up it owns: the sink binds them late. */
static bool
sink_give(void *context, struct batch *batch, uint64_t *unit)
{
    return store_give_batch(((struct live_source *)context)->producer, batch, unit);
}

static uint64_t
sink_committed(void *context)
{
    return store_committed(((struct live_source *)context)->producer);
}

static int
open_source(struct workspace *w, const struct config_source *c, struct live_source *live,
            struct error *err)
{
    struct source_plan plan;
    fill_plan(w, c, &plan);
    if (journal_source_get(store_journal(w->store), c->name, &live->resume) == 0)
        plan.resume = (struct source_resume){
            .epoch = live->resume.epoch,
            .position = {live->resume.position, live->resume.position_size},
            .watermark = live->resume.watermark,
            .lsn = live->resume.lsn,
        };
    char gap[256];
    if (registry_resume(w->store, c->name, &plan.resume, gap, err) != 0)
        return -1;
    live->epoch = plan.resume.epoch ? plan.resume.epoch : 1;
    plan.sink = (struct source_sink){live, sink_give, sink_committed};
    live->source = source_new(&plan, err);
    if (!live->source)
        return error_context(err, "source \"%s\"", c->name);
    live->producer = store_producer_open(w->store, c->name, 0, source_wake(live->source));
    return 0;
}

static int
open_sources(struct workspace *w, struct error *err)
{
    w->sources = memory_zero((w->config.source_count + 1) * sizeof(*w->sources));
    for (size_t i = 0; i < w->config.source_count; i++) {
        w->source_count++;
        if (open_source(w, &w->config.sources[i], &w->sources[i], err) != 0)
            return -1;
    }
    return 0;
}

static struct store_options
store_options_of(const struct workspace *w, const char *data)
{
    const struct settings *s = &w->config.settings;
    return (struct store_options){
        .folder = data,
        .journal_age = s->retention.journal,
        .journal_size = s->retention.journal_size,
        .journal_full = s->journal_full,
        .consumer_expiry = s->consumer_expiry,
        .disk_mark = s->disk_mark,
        .offline = w->offline,
    };
}

static int
open_storage(struct workspace *w, struct error *err)
{
    char data[PATH_MAX];
    snprintf(data, sizeof(data), "%s/data", w->folder);
    if (folder_prepare_data(w->folder, err) != 0 || (w->lock = folder_lock(w->folder, err)) < 0)
        return -1;
    struct store_options options = store_options_of(w, data);
    w->store = store_open(&options, err);
    if (!w->store)
        return -1;
    const struct settings *s = &w->config.settings;
    w->outbox = outbox_open(w->store,
                            &(struct outbox_options){.dead_age = s->retention.dead,
                                                     .dead_bytes = s->retention.dead_size},
                            err);
    return w->outbox ? 0 : -1;
}

/* A wrong tidegate.lua stops the daemon: half a configuration could lose a channel in silence. */
static int
read_configuration(struct workspace *w, struct error *err)
{
    size_t problems = config_load(w->folder, config_problem_of, w, &w->config);
    if (problems && !w->offline) {
        *err = w->problems[0].error;
        if (problems > 1)
            error_cause(err, "and %zu more; see: tidegate check", problems - 1);
        return -1;
    }
    return scripts_read(w->folder, &w->scripts, script_problem_of, w, err);
}

static int
open_parts(struct workspace *w, struct error *err)
{
    if (read_configuration(w, err) != 0 || open_storage(w, err) != 0)
        return -1;
    if (!w->offline)
        store_trim_guard(w->store, outbox_trim_guard(w->outbox));
    if (open_channels(w, err) != 0 || open_rules(w, err) != 0)
        return -1;
    return w->offline ? 0 : open_sources(w, err);
}

struct workspace *
workspace_open(const struct workspace_options *options, struct error *err)
{
    struct workspace *w = memory_zero(sizeof(*w));
    w->folder = memory_text(options->folder);
    w->offline = options->offline;
    w->lock = -1;
    if (open_parts(w, err) == 0)
        return w;
    workspace_close(w);
    return NULL;
}

int
workspace_start(struct workspace *w, struct error *err)
{
    ensure(!w->offline);
    if (store_start(w->store, err) != 0)
        return -1;
    for (size_t i = 0; i < w->source_count; i++)
        if (registry_note(w->store, &w->config.sources[i], w->sources[i].epoch, err) != 0)
            return -1;
    for (size_t i = 0; i < w->config.channel_count; i++)
        if (channel_start(w->channels[i].channel, err) != 0)
            return error_context(err, "channel \"%s\"", w->config.channels[i].name);
    if (consumer_start(w->consumer, err) != 0)
        return -1;
    for (size_t i = 0; i < w->source_count; i++)
        if (source_start(w->sources[i].source, err) != 0)
            return error_context(err, "source \"%s\"", w->config.sources[i].name);
    w->started = clock_now();
    return 0;
}

void
workspace_stop(struct workspace *w)
{
    for (size_t i = 0; i < w->source_count; i++)
        source_stop(w->sources[i].source);
    for (size_t i = 0; i < w->source_count; i++)
        source_join(w->sources[i].source);
    if (w->consumer)
        consumer_stop(w->consumer);
    for (size_t i = 0; w->channels && i < w->config.channel_count; i++)
        if (w->channels[i].channel)
            channel_halt(w->channels[i].channel);
    for (size_t i = 0; w->channels && i < w->config.channel_count; i++)
        if (w->channels[i].channel)
            channel_stop(w->channels[i].channel);
    if (w->outbox)
        outbox_flush(w->outbox);
    store_stop(w->store);
    w->started = 0;
}

static void
close_sources(struct workspace *w)
{
    for (size_t i = 0; i < w->source_count; i++) {
        struct live_source *s = &w->sources[i];
        if (s->producer)
            store_producer_close(s->producer);
        if (s->source)
            source_free(s->source);
        free(s->resume.position);
    }
    free(w->sources);
}

static void
close_channels(struct workspace *w)
{
    for (size_t i = 0; w->channels && i < w->config.channel_count; i++)
        if (w->channels[i].channel)
            channel_free(w->channels[i].channel);
    if (w->transfer)
        transfer_free(w->transfer);
    free(w->channels);
}

void
workspace_close(struct workspace *w)
{
    if (!w)
        return;
    close_sources(w);
    if (w->consumer)
        consumer_free(w->consumer);
    if (w->rules)
        rules_free(w->rules);
    close_channels(w);
    if (w->outbox)
        outbox_close(w->outbox);
    if (w->store)
        store_close(w->store);
    folder_unlock(w->lock);
    scripts_release(&w->scripts);
    config_release(&w->config);
    free(w->problems);
    free(w->folder);
    free(w);
}

const char *
workspace_folder(const struct workspace *w)
{
    return w->folder;
}

const struct config *
workspace_config(const struct workspace *w)
{
    return &w->config;
}

struct store *
workspace_store(struct workspace *w)
{
    return w->store;
}

struct outbox *
workspace_outbox(struct workspace *w)
{
    return w->outbox;
}

struct rules *
workspace_rules(struct workspace *w)
{
    return w->rules;
}

void
workspace_set_port(struct workspace *w, int64_t port)
{
    w->config.settings.port = port;
}

int64_t
workspace_started(const struct workspace *w)
{
    return w->started;
}

size_t
workspace_problems(const struct workspace *w, const struct workspace_problem **out)
{
    *out = w->problems;
    return w->problem_count;
}

struct source *
workspace_source(struct workspace *w, size_t index)
{
    return index < w->source_count ? w->sources[index].source : NULL;
}

struct consumer *
workspace_consumer(struct workspace *w)
{
    return w->consumer;
}

bool
workspace_ready(struct workspace *w)
{
    if (!w->started)
        return false;
    for (size_t i = 0; i < w->source_count; i++) {
        struct source_status status;
        source_status(w->sources[i].source, &status);
        if (status.state != SOURCE_STREAMING && status.state != SOURCE_PAUSED)
            return false;
    }
    return true;
}

bool
workspace_settled(struct workspace *w)
{
    for (size_t i = 0; i < w->source_count; i++) {
        struct source_status status;
        source_status(w->sources[i].source, &status);
        if (status.state == SOURCE_CONNECTING && status.error.class == ERROR_NONE)
            return false;
    }
    return true;
}

bool
workspace_source_plan(struct workspace *w, const char *name, struct source_plan *out)
{
    const struct config_source *c = config_find_source(&w->config, name);
    if (c)
        fill_plan(w, c, out);
    return c != NULL;
}
