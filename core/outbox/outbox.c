#include "outbox/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include "outbox/queue.h"
#include "outbox/trim.h"

enum {
    ID_BYTES = 1024,              /* causes and names are shorter, nearly always */
    FLUSH_TRIES = 100,            /* of 10 ms each */
    TRIM_QUEUE = 2 * 1024 * 1024, /* bytes of rewritten messages on their way to the store */
};

static int
make_tables(struct store_work *work, sqlite3 *db, struct error *err)
{
    (void)work;
    return query_tables(db, err);
}

static void
tables_made(struct store_work *work, const struct error *err)
{
    (void)err;
    free(work);
}

static int
load_shapes(struct outbox *o, struct error *err)
{
    sqlite3 *reader = store_reader(o->store, err);
    if (!reader)
        return -1;
    int result = shapes_load(&o->shapes, reader, err);
    sql_close(reader);
    return result;
}

static int
prepare(struct outbox *o, struct error *err)
{
    struct store_work *work = memory_zero(sizeof(*work));
    *work = (struct store_work){.run = make_tables, .done = tables_made, .essential = true};
    if (store_run_now(o->store, work, err) != 0 || wake_init(&o->wake, err) != 0)
        return -1;
    if (load_shapes(o, err) != 0)
        return -1;
    o->producer = store_producer_open(o->store, "outbox", TRIM_QUEUE, &o->wake);
    o->trim = trim_new(o);
    return 0;
}

struct outbox *
outbox_open(struct store *store, const struct outbox_options *options, struct error *err)
{
    struct outbox *o = memory_zero(sizeof(*o));
    o->store = store;
    o->options = *options;
    o->wake.fd = -1;
    pthread_mutex_init(&o->lock, NULL);
    shapes_init(&o->shapes);
    if (prepare(o, err) == 0)
        return o;
    outbox_close(o);
    return NULL;
}

static void
close_queue(struct outbox_queue *q)
{
    queue_release(q);
    resolver_release(&q->resolver);
    if (q->producer)
        store_producer_close(q->producer);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

void
outbox_close(struct outbox *o)
{
    if (!o)
        return;
    for (unsigned i = 0; i < o->queue_count; i++)
        close_queue(o->queues[i]);
    free(o->queues);
    trim_free(o->trim);
    if (o->producer)
        store_producer_close(o->producer);
    if (o->wake.fd >= 0)
        wake_release(&o->wake);
    shapes_release(&o->shapes);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

static void
enlist(struct outbox *o, struct outbox_queue *q)
{
    pthread_mutex_lock(&o->lock);
    q->index = o->queue_count++;
    o->queues = memory_grow(o->queues, o->queue_count * sizeof(struct outbox_queue *));
    o->queues[q->index] = q;
    pthread_mutex_unlock(&o->lock);
}

struct outbox_queue *
outbox_attach(struct outbox *o, const char *channel, const struct channel_common *common,
              struct error *err)
{
    if (strlen(channel) >= sizeof(((struct outbox_queue *)0)->name)) {
        error_set(err, ERROR_CONFIG, "channel name \"%.80s…\" is longer than 63 bytes", channel);
        return NULL;
    }
    struct outbox_queue *q = memory_zero(sizeof(*q));
    q->outbox = o;
    snprintf(q->name, sizeof(q->name), "%s", channel);
    snprintf(q->component, sizeof(q->component), "outbox/%s", channel);
    q->common = *common;
    pthread_mutex_init(&q->lock, NULL);
    resolver_init(&q->resolver, store_journal(o->store), store_schemas(o->store), &o->shapes);
    if (queue_load(q, err) != 0) {
        error_context(err, "outbox of channel \"%s\"", channel);
        close_queue(q);
        return NULL;
    }
    q->producer = store_producer_open(o->store, q->component, 0, &o->wake);
    enlist(o, q);
    return q;
}

struct channel_feed
outbox_feed(struct outbox_queue *q)
{
    return (struct channel_feed){
        .context = q, .take = queue_take, .answer = queue_answer, .turn = queue_turn};
}

void
outbox_bind(struct outbox_queue *q, struct channel *channel)
{
    q->channel = channel;
    q->in_order = channel && channel_in_order(channel);
}

struct outbox_queue *
outbox_find(struct outbox *o, const char *channel)
{
    struct outbox_queue *found = NULL;
    pthread_mutex_lock(&o->lock);
    for (unsigned i = 0; i < o->queue_count && !found; i++) {
        if (strcmp(o->queues[i]->name, channel) == 0)
            found = o->queues[i];
    }
    pthread_mutex_unlock(&o->lock);
    return found;
}

/* The channels have stopped, so their thread's side is ours. */
void
outbox_flush(struct outbox *o)
{
    for (unsigned i = 0; i < o->queue_count; i++) {
        struct outbox_queue *q = o->queues[i];
        for (int n = 0; n < FLUSH_TRIES && mark_pending(q) && !mark_give(q); n++)
            wake_wait(&o->wake, CLOCK_SECOND / 100);
    }
}

static void
status_of(struct outbox_queue *q, struct outbox_status *out)
{
    pthread_mutex_lock(&q->lock);
    *out = q->status;
    out->waiting = q->loaded_waiting;
    if (q->ring.newest > q->loaded_to)
        out->waiting += q->ring.newest - q->loaded_to;
    out->bytes = out->waiting ? q->bytes + q->loaded_bytes : 0;
    out->dead = q->dead;
    pthread_mutex_unlock(&q->lock);
    snprintf(out->channel, sizeof(out->channel), "%s", q->name);
}

size_t
outbox_status_list(struct outbox *o, struct outbox_status **out)
{
    pthread_mutex_lock(&o->lock);
    size_t count = o->queue_count;
    *out = memory_zero(count * sizeof(**out));
    for (size_t i = 0; i < count; i++)
        status_of(o->queues[i], &(*out)[i]);
    pthread_mutex_unlock(&o->lock);
    return count;
}

/* Each part with its length before it, so that no two lists of parts give the same bytes. */
static size_t
put_part(uint8_t *out, struct slice part)
{
    for (unsigned i = 0; i < 4; i++)
        out[i] = (uint8_t)(part.size >> (8 * i));
    if (part.size)
        memcpy(out + 4, part.data, part.size);
    return part.size + 4;
}

struct hash128
message_id(struct slice cause, struct slice consumer, struct slice rule, struct slice channel,
           uint32_t ordinal)
{
    uint8_t small[ID_BYTES], *bytes = small;
    size_t size = cause.size + consumer.size + rule.size + channel.size + 5 * 4;
    if (size > sizeof(small))
        bytes = memory_alloc(size);
    size_t at = put_part(bytes, cause);
    at += put_part(bytes + at, consumer);
    at += put_part(bytes + at, rule);
    at += put_part(bytes + at, channel);
    for (unsigned i = 0; i < 4; i++)
        bytes[at++] = (uint8_t)(ordinal >> (8 * i));
    struct hash128 id = hash128(bytes, size);
    if (bytes != small)
        free(bytes);
    return id;
}

char *
message_id_text(const uint8_t id[16], char out[40])
{
    memcpy(out, "msg_", 4);
    hash_hex(id, 16, out + 4);
    return out;
}
