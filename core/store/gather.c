/* Gathering a group: what has arrived while the last one was synced, from each producer in turn. No
 * unit is ever waited for, but lazy work that is alone. */
#include "base/clock.h"
#include "store/inside.h"

static void
group_add(struct group *g, struct unit *u)
{
    if (g->count == g->capacity) {
        g->capacity = g->capacity ? 2 * g->capacity : 64;
        g->units = memory_grow(g->units, g->capacity * sizeof(*g->units));
    }
    g->units[g->count++] = u;
    g->weight += u->weight;
    g->batches += u->batch != NULL;
}

static void
take_first(struct store *s, struct store_producer *p)
{
    struct unit *u = p->queue.first;

    p->queue.first = u->next;
    if (!u->next)
        p->queue.end = &p->queue.first;
    group_add(&s->group, u);
    *(u->lazy ? &s->lazy : &s->urgent) -= 1;
    s->eager -= !u->lazy && !u->batch;
}

/* At the end all is tried, whatever the pressure; a disk that is really full refuses it then. */
static bool
is_servable(const struct store *s, const struct unit *u)
{
    return s->stopping || producer_allows(s, u);
}

/* µs until lazy work need not wait any longer. It does not ride with batches alone: it would make
 * a transaction, with a sync of its own, of a group that needs only the journal's. */
static int64_t
lazy_left(const struct store *s)
{
    int64_t left = s->lazy_since + STORE_LAZY - clock_mono();

    return s->stopping || s->eager > 0 || left < 0 ? 0 : left;
}

/* A producer's share of this group: STORE_SHARE, or one larger unit alone. */
static void
serve(struct store *s, struct store_producer *p, bool lazy)
{
    struct group *g = &s->group;
    size_t share = 0;

    while (p->queue.first && is_servable(s, p->queue.first)) {
        size_t weight = p->queue.first->weight;
        if (p->queue.first->lazy && !lazy)
            return;
        if ((share > 0 && share + weight > STORE_SHARE) ||
            (g->count > 0 && g->weight + weight > STORE_GROUP))
            return;
        share += weight;
        take_first(s, p);
    }
}

/* The queue of a closing producer that pressure keeps from being served: all of it. */
static bool
take_dropped(struct store *s)
{
    for (struct store_producer *p = s->producers; p; p = p->next)
        if (p->closing && p->queue.first && !is_servable(s, p->queue.first)) {
            while (p->queue.first)
                take_first(s, p);
            return true;
        }
    return false;
}

/* How long nothing needs to be done: 0: there is something, -1: until poked. */
static int64_t
time_left(const struct store *s)
{
    int64_t now = clock_mono();

    if (s->stopping)
        return 0;
    if (s->retry_at > now)
        return s->retry_at - now;
    if (s->urgent > 0)
        return 0;
    return s->lazy == 0 ? -1 : lazy_left(s);
}

static size_t
count_producers(const struct store *s)
{
    size_t n = 0;

    for (struct store_producer *p = s->producers; p; p = p->next)
        n++;
    return n;
}

/* Another producer is the first with each group, so that a large unit gets its group. */
static void
serve_all(struct store *s)
{
    size_t count = count_producers(s);
    bool lazy = lazy_left(s) == 0;
    struct store_producer *p = s->producers;

    for (size_t i = 0; count && i < s->turn % count; i++)
        p = p->next;
    for (size_t i = 0; i < count; i++) {
        serve(s, p, lazy);
        p = p->next ? p->next : s->producers;
    }
    s->turn++;
}

bool
producers_gather(struct store *s, int64_t *wait)
{
    struct group *g = &s->group;

    pthread_mutex_lock(&s->lock);
    ensure(g->count == 0);
    g->weight = g->batches = 0;
    g->drop = take_dropped(s);
    *wait = g->drop ? 0 : time_left(s);
    if (!g->drop && *wait == 0) {
        serve_all(s);
        *wait = g->count == 0 && s->lazy > 0 && lazy_left(s) > 0 ? lazy_left(s) : -1;
    }
    if (g->count == 0)
        s->sleep = *wait < 0 ? STORE_SLEEPING : STORE_DOZING;
    pthread_mutex_unlock(&s->lock);
    return g->count > 0;
}
