/* An outbox that only remembers: what rules put into the draft stands in a list, for one test
 * program that includes this. Its functions take the place of those of core/outbox. */
#ifndef UNIT_RULES_FAKE_OUTBOX_H
#define UNIT_RULES_FAKE_OUTBOX_H

#include <stdio.h>
#include <stdlib.h>
#include "channel/channel_driver.h"
#include "outbox/outbox.h"

struct outbox_queue {
    const char *name;
    struct channel_plan plan;
};

struct fake_message {
    const char *channel;
    enum message_kind kind;
    char id[40];
    char *event_id, *rule, *body, *options;
    uint32_t ordinal;
    uint64_t lsn, key_hash;
    int64_t created;
    const struct event_shape *shape;
};

struct outbox_draft {
    struct fake_message list[4096];
    size_t count;
};

static struct outbox_queue fake_queues[] = {{.name = "ops"},    {.name = "billing"},
                                            {.name = "out"},    {.name = "narrow"},
                                            {.name = "people"}, {.name = "plain"},
                                            {.name = "slack"}};

/* All are of type "memory", which takes any field, but people, a "chat", and plain, a "pipe". */
static const char *const fake_chat_fields[] = {"title", "html", "headers", "topic", NULL};
static const char *const fake_pipe_fields[] = {NULL};
static const struct channel_driver fake_memory = {.name = "memory"};
static const struct channel_driver fake_chat = {
    .name = "chat", .human = true, .fields = fake_chat_fields};
static const struct channel_driver fake_slack = {
    .name = "slack", .human = true, .text = TEMPLATE_SLACK};
static const struct channel_driver fake_pipe = {.name = "pipe", .fields = fake_pipe_fields};

static inline bool
fake_channel(void *context, struct slice name, struct outbox_queue **queue,
             const struct channel_plan **plan)
{
    (void)context;
    static const char *const columns[] = {"id", "status"};
    for (size_t i = 0; i < countof(fake_queues); i++) {
        if (!slice_is(name, fake_queues[i].name))
            continue;
        fake_queues[i].plan.name = fake_queues[i].name;
        fake_queues[i].plan.driver = slice_is(name, "people")  ? &fake_chat
                                     : slice_is(name, "plain") ? &fake_pipe
                                     : slice_is(name, "slack") ? &fake_slack
                                                               : &fake_memory;
        fake_queues[i].plan.common.shape = event_shape_default;
        if (slice_is(name, "narrow")) {
            fake_queues[i].plan.common.shape.columns = columns;
            fake_queues[i].plan.common.shape.column_count = countof(columns);
        }
        *queue = &fake_queues[i];
        *plan = &fake_queues[i].plan;
        return true;
    }
    return false;
}

static inline const char *
fake_suggest(void *context, struct slice name)
{
    (void)context;
    return slice_is(name, "opps") ? "ops" : NULL;
}

struct hash128
message_id(struct slice cause, struct slice consumer, struct slice rule, struct slice channel,
           uint32_t ordinal)
{
    struct buffer b;
    buffer_init(&b, 1 << 16);
    buffer_lenslice(&b, cause);
    buffer_lenslice(&b, consumer);
    buffer_lenslice(&b, rule);
    buffer_lenslice(&b, channel);
    buffer_u32(&b, ordinal);
    struct hash128 id = hash128(b.data, b.size);
    buffer_release(&b);
    return id;
}

struct outbox_draft *
outbox_draft_new(struct outbox *o)
{
    (void)o;
    return memory_zero(sizeof(struct outbox_draft));
}

void
outbox_draft_cut(struct outbox_draft *d, size_t mark)
{
    while (d->count > mark) {
        struct fake_message *m = &d->list[--d->count];
        free(m->event_id);
        free(m->rule);
        free(m->body);
        free(m->options);
    }
}

void
outbox_draft_free(struct outbox_draft *d)
{
    if (d)
        outbox_draft_cut(d, 0);
    free(d);
}

int
outbox_put(struct outbox_draft *d, const struct outbox_message *m, struct error *err)
{
    (void)err;
    struct fake_message *to = &d->list[d->count++];
    ensure(d->count <= countof(d->list));
    *to = (struct fake_message){.channel = m->queue->name,
                                .kind = m->kind,
                                .event_id = memory_slice(m->event_id),
                                .rule = memory_slice(m->rule),
                                .body = memory_slice(m->body),
                                .options = memory_slice(m->options),
                                .ordinal = m->ordinal,
                                .lsn = m->lsn,
                                .key_hash = m->key_hash,
                                .created = m->created,
                                .shape = m->shape};
    hash_hex(m->id, sizeof(m->id), to->id);
    return 0;
}

size_t
outbox_draft_mark(struct outbox_draft *d)
{
    return d->count;
}

size_t
outbox_draft_bytes(const struct outbox_draft *d)
{
    return d->count * 100;
}

size_t
outbox_draft_count(const struct outbox_draft *d)
{
    return d->count;
}

#endif
