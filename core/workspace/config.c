#include "workspace/config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/text.h"
#include "channel/channel_driver.h"
#include "rules/rules.h"
#include "script/vm.h"
#include "source/source_driver.h"
#include "store/store.h"
#include "workspace/folder.h"

#define AT(field) offsetof(struct settings, field)

static const char *const journal_full_names[] = {"pause", "drop_oldest", NULL};

static const struct option retention_rows[] = {
    {.name = "journal",
     .kind = OPTION_DURATION,
     .offset = 0,
     .fallback = "168h",
     .help = "how long events are kept"},
    {.name = "journal_size",
     .kind = OPTION_SIZE,
     .offset = sizeof(int64_t),
     .fallback = "10GiB",
     .min = 1 << 20,
     .max = INT64_MAX,
     .help = "how many bytes of events are kept"},
    {.name = "dead",
     .kind = OPTION_DURATION,
     .offset = 2 * sizeof(int64_t),
     .fallback = "30d",
     .help = "how long dead letters are kept"},
    {.name = "dead_size",
     .kind = OPTION_SIZE,
     .offset = 3 * sizeof(int64_t),
     .fallback = "1GiB",
     .help = "how many bytes of dead letters are kept per channel"},
    {.name = "history", .flags = OPTION_LATER, .help = "how long the history is kept"},
};

const struct option settings_rows[] = {
    {.name = "port",
     .kind = OPTION_INT,
     .offset = AT(port),
     .fallback = "5858",
     .min = 1,
     .max = 65535,
     .help = "port of the web server"},
    {.name = "bind",
     .kind = OPTION_TEXT,
     .offset = AT(bind),
     .fallback = "127.0.0.1",
     .help = "address of the web server; loopback only until logins are built"},
    {.name = "retention",
     .kind = OPTION_GROUP,
     .offset = AT(retention),
     .rows = retention_rows,
     .row_count = countof(retention_rows),
     .help = "how long and how much is kept"},
    {.name = "journal_full",
     .kind = OPTION_CHOICE,
     .offset = AT(journal_full),
     .fallback = "pause",
     .choices = journal_full_names,
     .help = "what happens when unread events fill journal_size"},
    {.name = "consumer_expiry",
     .kind = OPTION_DURATION,
     .offset = AT(consumer_expiry),
     .fallback = "7d",
     .help = "a consumer unseen for so long no longer holds the journal"},
    {.name = "consumer_lag_alert",
     .kind = OPTION_INT,
     .offset = AT(consumer_lag_alert),
     .fallback = "10000",
     .min = 1,
     .max = INT64_MAX,
     .help = "a consumer this many events behind is told of by the event consumer_lag"},
    {.name = "disk_mark",
     .kind = OPTION_SIZE,
     .offset = AT(disk_mark),
     .fallback = "0",
     .help = "sources pause below this much free disk, rules below half of it; 0: the larger of "
             "256 MiB and 2 %"},
    {.name = "allow_paths",
     .kind = OPTION_LIST,
     .offset = AT(allow_paths),
     .help = "folders outside the workspace that file channels of the UI may write to"},
    {.name = "allow_private",
     .kind = OPTION_BOOL,
     .offset = AT(allow_private),
     .fallback = "false",
     .help = "may channels of the UI reach loopback and private addresses"},
    {.name = "hosts", .flags = OPTION_LATER},
    {.name = "public_url", .flags = OPTION_LATER},
    {.name = "trusted_proxy", .flags = OPTION_LATER},
    {.name = "auth", .flags = OPTION_LATER},
    {.name = "console", .flags = OPTION_LATER},
    {.name = "trusted_keys", .flags = OPTION_LATER},
    {.name = "pack_signatures", .flags = OPTION_LATER},
    {.name = "vm_memory", .flags = OPTION_LATER},
    {.name = "journal", .flags = OPTION_LATER},
};
const size_t settings_row_count = countof(settings_rows);

struct loader {
    struct config *config;
    const char *folder;
    config_problem *problem;
    void *context;
    size_t problems;
    int line;
};

static void
report(struct loader *l, struct error *err)
{
    if (l->line)
        error_context(err, "tidegate.lua:%d", l->line);
    l->problem(l->context, err);
    l->problems++;
}

/* The names of all drivers of a kind, for "did you mean" and for the list in the message. */
static void
unknown_driver(struct loader *l, const char *what, const char *key, struct slice given,
               const char *const *names, size_t count)
{
    struct error err = {0};
    const char *near = text_suggest(given, names, count, sizeof(*names));
    error_set(&err, ERROR_CONFIG, "%s: unknown %s \"%.*s\"%s%s%s", what, key, (int)given.size,
              given.data, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    struct buffer list;
    buffer_init(&list, 400);
    for (size_t i = 0; i < count; i++)
        buffer_printf(&list, "%s%s", i ? ", " : "", names[i]);
    error_hint(&err, "this build has: %s", buffer_cstring(&list));
    buffer_release(&list);
    report(l, &err);
}

/* Drivers and channel types that the design names and this version does not have. */
static bool
refused_later(struct loader *l, const char *what, const char *key, struct slice given)
{
    static const char *const names[] = {
        "mssql",    "mysql",   "mariadb", "sqlserver", "mongodb",    "slack",         "email",
        "rest",     "discord", "teams",   "telegram",  "mattermost", "googlechat",    "pagerduty",
        "opsgenie", "sql",     "kafka",   "redis",     "nats",       "rabbitmq",      "amqp",
        "sqs",      "sns",     "kinesis", "pubsub",    "eventhubs",  "elasticsearch",
    };
    for (size_t i = 0; i < countof(names); i++) {
        if (!slice_is(given, names[i]))
            continue;
        struct error err = {0};
        error_set(&err, ERROR_CONFIG, "%s: %s \"%s\" is not built yet", what, key, names[i]);
        report(l, &err);
        return true;
    }
    return false;
}

static const struct source_driver *
pick_source_driver(struct loader *l, const char *what, const struct value *table)
{
    struct slice given = slice_of(value_text(table, "driver", ""));
    if (given.size == 0) {
        struct error err = {0};
        error_set(&err, ERROR_CONFIG, "%s: driver is missing", what);
        error_hint(&err, "say which database it is, for example driver = \"sqlite\"");
        report(l, &err);
        return NULL;
    }
    const struct source_driver *driver = source_driver_find(given);
    if (driver || refused_later(l, what, "driver", given))
        return driver;
    size_t count;
    const struct source_driver *const *all = source_drivers(&count);
    const char *names[32];
    for (size_t i = 0; i < count && i < countof(names); i++)
        names[i] = all[i]->name;
    unknown_driver(l, what, "driver", given, names, count);
    return NULL;
}

static const struct channel_driver *
pick_channel_driver(struct loader *l, const char *what, const struct value *table)
{
    struct slice given = slice_of(value_text(table, "type", ""));
    if (given.size == 0) {
        struct error err = {0};
        error_set(&err, ERROR_CONFIG, "%s: type is missing", what);
        error_hint(&err, "say what it is, for example type = \"webhook\" or type = \"file\"");
        report(l, &err);
        return NULL;
    }
    const struct channel_driver *driver = channel_driver_find(given);
    if (driver || refused_later(l, what, "type", given))
        return driver;
    size_t count;
    const struct channel_driver *const *all = channel_drivers(&count);
    const char *names[32];
    for (size_t i = 0; i < count && i < countof(names); i++)
        names[i] = all[i]->name;
    unknown_driver(l, what, "type", given, names, count);
    return NULL;
}

/* The names of a row table, as keys that belong to somebody else. NULL-terminated, in the arena. */
static const char *const *
row_names(struct arena *arena, const struct option *rows, size_t count, const char *extra)
{
    const char **names = arena_alloc(arena, (count + 2) * sizeof(*names));
    for (size_t i = 0; i < count; i++)
        names[i] = rows[i].name;
    names[count] = extra;
    names[count + 1] = NULL;
    return names;
}

/* Texts that name files, made absolute. */
static void
resolve_paths(const struct source_driver *driver, void *options, const char *folder,
              struct arena *arena)
{
    for (size_t i = 0; i < driver->option_count; i++) {
        const char **field = (const char **)((char *)options + driver->options[i].offset);
        if ((driver->options[i].flags & OPTION_PATH) && *field && **field != '/')
            *field = arena_printf(arena, "%s/%s", folder, *field);
    }
}

int
config_apply_source(const struct value *declared, const char *folder, struct config_source *s,
                    struct arena *arena, struct error *err)
{
    const struct source_driver *driver = s->driver;
    const char *what = arena_printf(arena, "source \"%s\"", s->name);
    if (option_apply(driver->options, driver->option_count, declared, s->options,
                     row_names(arena, source_common_rows, source_common_row_count, "driver"), arena,
                     what, err) != 0)
        return -1;
    if (option_apply(source_common_rows, source_common_row_count, declared, &s->common,
                     row_names(arena, driver->options, driver->option_count, "driver"), arena, what,
                     err) != 0)
        return -1;
    resolve_paths(driver, s->options, folder, arena);
    struct source_plan plan = {
        .name = s->name, .driver = driver, .options = s->options, .common = s->common};
    return source_plan_check(&plan, err);
}

static void
load_source(struct loader *l, const struct declaration *d)
{
    struct config *c = l->config;
    struct error err = {0};
    const char *what = arena_printf(&c->arena, "source \"%s\"", d->name);
    const struct source_driver *driver = pick_source_driver(l, what, &d->table);
    if (!driver)
        return;
    struct config_source *s = &c->sources[c->source_count];
    *s = (struct config_source){
        .name = d->name, .line = d->line, .driver = driver, .declared = &d->table};
    s->options = arena_zero(&c->arena, driver->options_size + 1);
    if (config_apply_source(&d->table, l->folder, s, &c->arena, &err) != 0) {
        report(l, &err);
        return;
    }
    c->source_count++;
}

static void
load_channel(struct loader *l, const struct declaration *d)
{
    struct config *c = l->config;
    struct error err = {0};
    const char *what = arena_printf(&c->arena, "channel \"%s\"", d->name);
    const struct channel_driver *driver = pick_channel_driver(l, what, &d->table);
    if (!driver)
        return;
    struct config_channel *ch = &c->channels[c->channel_count];
    *ch = (struct config_channel){.name = d->name, .line = d->line, .driver = driver};
    struct channel_plan plan = {.name = d->name, .driver = driver};
    if (channel_plan_apply(&plan, &d->table, &c->arena, what, &err) != 0) {
        report(l, &err);
        return;
    }
    ch->options = plan.options;
    ch->common = plan.common;
    c->channel_count++;
}

static void
load_settings(struct loader *l, const struct value *table)
{
    struct error err = {0};
    if (option_apply(settings_rows, settings_row_count, table, &l->config->settings, NULL,
                     &l->config->arena, "settings", &err) != 0)
        report(l, &err);
}

static void
load_all(struct loader *l, const struct declaration *list, size_t count)
{
    struct config *c = l->config;
    c->sources = arena_zero(&c->arena, (count + 1) * sizeof(*c->sources));
    c->channels = arena_zero(&c->arena, (count + 1) * sizeof(*c->channels));
    load_settings(l, NULL);
    for (size_t i = 0; i < count; i++) {
        l->line = list[i].line;
        if (strcmp(list[i].kind, "source") == 0)
            load_source(l, &list[i]);
        else if (strcmp(list[i].kind, "channel") == 0)
            load_channel(l, &list[i]);
        else
            load_settings(l, &list[i].table);
    }
}

size_t
config_load(const char *folder, config_problem *problem, void *context, struct config *out)
{
    struct loader l = {.config = out, .folder = folder, .problem = problem, .context = context};
    struct error err = {0};
    struct buffer text;
    struct declaration *list = NULL;
    size_t count = 0;
    *out = (struct config){0};
    arena_init(&out->arena, 0);
    buffer_init(&text, 1 << 20);
    const char *path = arena_printf(&out->arena, "%s/tidegate.lua", folder);
    int found = folder_read_script(path, &text, &err);
    if (found < 0 || (found > 0 && declare_load("tidegate.lua", buffer_view(&text), &out->arena,
                                                &list, &count, &err) != 0))
        report(&l, &err);
    load_all(&l, list, count);
    buffer_release(&text);
    return l.problems;
}

void
config_release(struct config *c)
{
    arena_release(&c->arena);
}

const struct config_source *
config_find_source(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->source_count; i++)
        if (strcmp(c->sources[i].name, name) == 0)
            return &c->sources[i];
    return NULL;
}

const struct config_channel *
config_find_channel(const struct config *c, struct slice name)
{
    for (size_t i = 0; i < c->channel_count; i++)
        if (slice_is(name, c->channels[i].name))
            return &c->channels[i];
    return NULL;
}

void
config_name_sources(struct config *c, struct rules_world *world)
{
    size_t count = c->source_count + 1;
    const char **names = arena_zero(&c->arena, count * sizeof(*names));
    const char **schemas = arena_zero(&c->arena, count * sizeof(*schemas));
    for (size_t i = 0; i < c->source_count; i++) {
        names[i] = c->sources[i].name;
        schemas[i] = c->sources[i].driver->default_schema;
    }
    names[c->source_count] = "tidegate";
    schemas[c->source_count] = "main";
    world->sources = names;
    world->source_schemas = schemas;
    world->source_count = count;
}
