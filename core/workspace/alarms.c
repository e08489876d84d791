#include "workspace/alarms.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"

#define ALARMS_EPOCH 1

enum alarm_kind {
    SOURCE_LOST_ALARM,
    CHANNEL_BROKEN_ALARM,
    DEAD_LETTER_ALARM,
    CONSUMER_LAG_ALARM,
    DISK_LOW_ALARM
};

static const char *const kind_names[] = {"source_lost", "channel_broken", "dead_letter",
                                         "consumer_lag", "disk_low"};

/* A state that lasts. */
struct alarm {
    enum alarm_kind kind;
    char subject[128];
    int64_t since; /* µs */
    int64_t
        value; /* of the newest event: dead letters are told again when there are twice as many */
    bool seen; /* in this look */
};

struct alarms {
    struct workspace *w;
    struct store_producer *producer;
    const struct schema *schemas[countof(kind_names)];
    struct alarm *list;
    size_t count;
    struct batch *batch; /* what has begun and is not yet taken by the store */
    uint64_t events;     /* since start, for positions */
};

static const struct schema *
make_schema(struct workspace *w, const char *kind)
{
    static const struct column columns[] = {
        {.name = slice_literal("subject"),
         .type = slice_literal("text"),
         .family = FAMILY_TEXT,
         .key = 1},
        {.name = slice_literal("reason"), .type = slice_literal("text"), .family = FAMILY_TEXT},
        {.name = slice_literal("value"), .type = slice_literal("bigint"), .family = FAMILY_INT},
        {.name = slice_literal("since"),
         .type = slice_literal("timestamptz"),
         .family = FAMILY_TIME,
         .key = 2},
    };
    struct schema draft = {.source = slice_literal("tidegate"),
                           .driver = slice_literal("tidegate"),
                           .schema = slice_literal("main"),
                           .table = slice_of(kind),
                           .columns = columns,
                           .column_count = countof(columns)};
    const struct schema *schema = schema_intern(store_schemas(workspace_store(w)), &draft, NULL);
    ensure(schema);
    return schema;
}

struct alarms *
alarms_new(struct workspace *w)
{
    struct alarms *a = memory_zero(sizeof(*a));
    a->w = w;
    for (size_t i = 0; i < countof(kind_names); i++)
        a->schemas[i] = make_schema(w, kind_names[i]);
    a->producer = store_producer_open(workspace_store(w), "tidegate", 0, NULL);
    return a;
}

void
alarms_free(struct alarms *a)
{
    if (!a)
        return;
    store_producer_close(a->producer);
    if (a->batch)
        batch_free(a->batch);
    free(a->list);
    free(a);
}

static struct alarm *
find_alarm(struct alarms *a, enum alarm_kind kind, const char *subject)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->list[i].kind == kind && strcmp(a->list[i].subject, subject) == 0)
            return &a->list[i];
    return NULL;
}

static void
add_event(struct alarms *a, const struct alarm *alarm, const char *reason)
{
    char since[CLOCK_TEXT_SIZE], position[64];
    struct error err = {0};
    int64_t now = clock_now();
    struct cell cells[] = {
        {.kind = CELL_TEXT, .text = slice_of(alarm->subject)},
        {.kind = CELL_TEXT, .text = slice_of(reason)},
        {.kind = CELL_INT, .integer = alarm->value},
        {.kind = CELL_TIME,
         .has_us = true,
         .integer = alarm->since,
         .text = slice_of(clock_format(alarm->since, since))},
    };
    snprintf(position, sizeof(position), "%lld-%llu", (long long)now,
             (unsigned long long)++a->events);
    struct event e = {
        .op = EVENT_INSERT,
        .epoch = ALARMS_EPOCH,
        .ts = now,
        .schema = a->schemas[alarm->kind],
        .position = slice_of(position),
        .rows[EVENT_NEW] = {.present = true, .count = countof(cells), .cells = cells}};
    if (!a->batch)
        a->batch = batch_new("tidegate", ALARMS_EPOCH);
    if (batch_add(a->batch, &e, &err) != 0)
        log_failure(LOG_WARNING, "tidegate", &err);
    log_warning("tidegate", "%s %s: %s", kind_names[alarm->kind], alarm->subject, reason);
}

/* The state is there now. A batch that the store has not taken yet holds back what comes after it.
 */
static void
raise_alarm(struct alarms *a, enum alarm_kind kind, const char *subject, const char *reason,
            int64_t value)
{
    struct alarm *alarm = find_alarm(a, kind, subject);
    bool more = kind == DEAD_LETTER_ALARM && alarm && value / 2 >= alarm->value;
    if (alarm)
        alarm->seen = true;
    if ((alarm && !more) || (a->batch && a->batch->sealed))
        return;
    if (!alarm) {
        a->list = memory_grow(a->list, (a->count + 1) * sizeof(*a->list));
        alarm = &a->list[a->count++];
        *alarm = (struct alarm){.kind = kind, .since = clock_now(), .seen = true};
        snprintf(alarm->subject, sizeof(alarm->subject), "%s", subject);
    }
    alarm->value = value;
    add_event(a, alarm, reason);
}

static void
look_at_sources(struct alarms *a)
{
    struct source *s;
    for (size_t i = 0; (s = workspace_source(a->w, i)); i++) {
        struct source_status status;
        source_status(s, &status);
        if (status.state == SOURCE_LOST)
            raise_alarm(a, SOURCE_LOST_ALARM, source_name(s), status.error.message,
                        (int64_t)status.epoch);
    }
}

static void
look_at_channels(struct alarms *a)
{
    struct outbox_status *list;
    size_t count = outbox_status_list(workspace_outbox(a->w), &list);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].state, "broken") == 0)
            raise_alarm(a, CHANNEL_BROKEN_ALARM, list[i].channel, list[i].reason,
                        (int64_t)list[i].waiting);
        if (list[i].dead)
            raise_alarm(a, DEAD_LETTER_ALARM, list[i].channel, "messages became dead letters",
                        (int64_t)list[i].dead);
    }
    free(list);
}

static void
look_at_consumers(struct alarms *a)
{
    struct store_consumer *list;
    int64_t most = workspace_config(a->w)->settings.consumer_lag_alert;
    uint64_t newest = journal_newest(store_journal(workspace_store(a->w)));
    size_t count = store_consumer_list(workspace_store(a->w), &list);
    for (size_t i = 0; i < count; i++) {
        uint64_t lag = journal_distance(list[i].checkpoint, newest);
        char reason[128];
        snprintf(reason, sizeof(reason), "%llu events are not read yet", (unsigned long long)lag);
        if (list[i].enabled && lag > (uint64_t)most)
            raise_alarm(a, CONSUMER_LAG_ALARM, list[i].name, reason, (int64_t)lag);
    }
    free(list);
}

static void
look_at_store(struct alarms *a)
{
    struct store_status status;
    store_status(workspace_store(a->w), &status);
    if (status.pressure == STORE_DISK_LOW || status.pressure == STORE_DISK_FULL)
        raise_alarm(a, DISK_LOW_ALARM, workspace_folder(a->w), status.reason, status.disk_free);
}

/* States that are over are forgotten, so that they are told again when they come back. */
static void
forget_ended(struct alarms *a)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->count; i++)
        if (a->list[i].seen)
            a->list[kept++] = a->list[i];
    a->count = kept;
}

static void
give(struct alarms *a)
{
    if (!a->batch)
        return;
    if (!a->batch->sealed)
        batch_seal(a->batch, slice_literal("-"), clock_now());
    if (store_give_batch(a->producer, a->batch, NULL))
        a->batch = NULL;
}

void
alarms_look(struct alarms *a)
{
    for (size_t i = 0; i < a->count; i++)
        a->list[i].seen = false;
    look_at_sources(a);
    look_at_channels(a);
    look_at_consumers(a);
    look_at_store(a);
    forget_ended(a);
    give(a);
}
