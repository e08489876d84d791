/* Producers: each has a bounded queue that others fill. How the store thread empties them is in
 * gather.c. */
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "store/inside.h"

struct store_producer *
store_producer_open(struct store *s, const char *name, size_t bytes, struct wake *wake)
{
    struct store_producer *p = memory_zero(sizeof(*p));

    snprintf(p->name, sizeof(p->name), "%s", name);
    p->store = s;
    p->wake = wake;
    p->limit = bytes ? bytes : STORE_QUEUE;
    p->queue.end = &p->queue.first;
    pthread_mutex_lock(&s->lock);
    p->next = s->producers;
    s->producers = p;
    pthread_mutex_unlock(&s->lock);
    return p;
}

/* Wakes the store thread unless it is awake; lazy work only when it would sleep without end. */
static void
rouse(struct store *s, bool lazy)
{
    if (s->sleep == STORE_AWAKE || (lazy && s->sleep == STORE_DOZING))
        return;
    s->sleep = STORE_AWAKE;
    wake_poke(&s->wake);
}

static void
unlink_producer(struct store *s, struct store_producer *p)
{
    struct store_producer **at = &s->producers;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
}

/* What a store that never ran was given. */
static void
drop_queue(struct store_producer *p)
{
    struct error err = {0};

    error_set(&err, ERROR_BUSY, "the store is not running");
    while (p->queue.first) {
        struct unit *u = p->queue.first;
        p->queue.first = u->next;
        if (u->work)
            u->work->done(u->work, &err);
        batch_free(u->batch);
        free(u);
    }
}

void
store_producer_close(struct store_producer *p)
{
    if (!p)
        return;
    struct store *s = p->store;
    pthread_mutex_lock(&s->lock);
    p->closing = true;
    p->wake = NULL;
    rouse(s, false);
    while (p->bytes > 0 && atomic_load(&s->started) && !s->stopped)
        pthread_cond_wait(&s->drained, &s->lock);
    unlink_producer(s, p);
    pthread_mutex_unlock(&s->lock);
    drop_queue(p);
    free(p);
}

bool
producer_allows(const struct store *s, const struct unit *u)
{
    int pressure = atomic_load_explicit(&s->pressure, memory_order_relaxed);

    if (u->batch)
        return pressure == STORE_OK;
    return pressure != STORE_DISK_FULL || u->essential;
}

static void
count_in(struct store *s, const struct unit *u)
{
    if (!u->lazy)
        s->urgent++;
    else if (s->lazy++ == 0)
        s->lazy_since = clock_mono();
    s->eager += !u->lazy && !u->batch;
}

/* Under the lock. */
static void
enqueue(struct store_producer *p, struct unit *u)
{
    struct store *s = p->store;

    u->number = ++p->given;
    p->bytes += u->bytes;
    *p->queue.end = u;
    p->queue.end = &u->next;
    count_in(s, u);
    rouse(s, u->lazy);
}

/* Nothing of the unit may be touched once the lock is given back: it may be done by then. */
static bool
give(struct store_producer *p, const struct unit *draft, uint64_t *number)
{
    struct store *s = p->store;
    struct unit *u = memory_alloc(sizeof(*u));

    *u = *draft;
    u->producer = p;
    u->bytes += sizeof(*u);
    u->weight += sizeof(*u); /* small ones are not free either */
    pthread_mutex_lock(&s->lock);
    bool room = p->bytes == 0 || p->bytes + u->bytes <= p->limit;
    bool taken = room && producer_allows(s, u) && !s->stopping && !p->closing;
    if (taken) {
        if (u->work)
            u->work->unit = p->given + 1;
        if (number)
            *number = p->given + 1;
        enqueue(p, u);
    }
    p->owed = p->owed || !taken;
    pthread_mutex_unlock(&s->lock);
    if (!taken)
        free(u);
    return taken;
}

bool
store_give_batch(struct store_producer *p, struct batch *batch, uint64_t *unit)
{
    struct unit u = {
        .batch = batch,
        .bytes = batch_bytes(batch),
        .weight = batch->body.size + batch->position.size,
    };

    return give(p, &u, unit);
}

bool
store_give_work(struct store_producer *p, struct store_work *work, uint64_t *unit)
{
    struct unit u = {
        .work = work,
        .bytes = work->bytes,
        .weight = work->bytes,
        .lazy = work->lazy,
        .essential = work->essential,
        .impatient = p == p->store->commands,
    };

    return give(p, &u, unit);
}

uint64_t
store_committed(struct store_producer *p)
{
    return atomic_load(&p->committed);
}

static bool
sink_give(void *context, struct batch *batch, uint64_t *unit)
{
    return store_give_batch(context, batch, unit);
}

static uint64_t
sink_committed(void *context)
{
    return store_committed(context);
}

struct source_sink
store_sink(struct store_producer *p)
{
    return (struct source_sink){.context = p, .give = sink_give, .committed = sink_committed};
}

/* Under the lock. */
static void
wake_owed(struct store *s)
{
    for (struct store_producer *p = s->producers; p; p = p->next) {
        if (p->owed && p->wake)
            wake_poke(p->wake);
        p->owed = false;
    }
}

void
producers_poke(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    s->retry_at = 0;
    wake_owed(s);
    s->sleep = STORE_AWAKE;
    wake_poke(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

/* Back to the head of its queue. */
static void
put_back(struct store *s, struct unit *u)
{
    struct store_producer *p = u->producer;

    u->next = p->queue.first;
    p->queue.first = u;
    if (!u->next)
        p->queue.end = &u->next;
    count_in(s, u);
}

/* Everything before the first unit that is left is settled: out of order too, when work was
 * committed and a block before it was not. */
static void
publish(struct store_producer *p)
{
    atomic_store(&p->committed, p->queue.first ? p->queue.first->number - 1 : p->given);
}

static void
settle(struct unit *u)
{
    u->producer->bytes -= u->bytes;
    u->producer->owed = true; /* one wake-up, however many units it had */
    free(u);
}

void
producers_settle(struct store *s)
{
    struct group *g = &s->group;

    pthread_mutex_lock(&s->lock);
    for (size_t i = g->count; i-- > 0;)
        if (g->units[i]->settled)
            settle(g->units[i]);
        else
            put_back(s, g->units[i]);
    g->count = 0;
    for (struct store_producer *p = s->producers; p; p = p->next)
        publish(p);
    wake_owed(s);
    pthread_cond_broadcast(&s->drained);
    pthread_mutex_unlock(&s->lock);
}
