/* The channel's end of a queue: what it may take, what its answers mean, when to look again. */
#include "outbox/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/fault.h"
#include "base/log.h"

enum {
    FLIGHT_KEEP = 64 * 1024, /* a flight that grew beyond this gives its memory back */
    EXPIRE_ONCE = 1024,      /* messages that are killed for age or size in one take */
};

void
queue_poke(struct outbox_queue *q)
{
    struct channel *channel = atomic_load(&q->channel);
    if (channel)
        channel_poke(channel);
}

void
queue_make_ready(struct outbox_queue *q, struct item *item)
{
    if (item->is_ready)
        return;
    item->is_ready = true;
    TAILQ_INSERT_TAIL(&q->ready, item, ready);
    q->ready_count++;
}

void
queue_unready(struct outbox_queue *q, struct item *item)
{
    if (!item->is_ready)
        return;
    item->is_ready = false;
    TAILQ_REMOVE(&q->ready, item, ready);
    q->ready_count--;
}

void
queue_finish(struct outbox_queue *q, struct item *item)
{
    queue_unready(q, item);
    q->waiting -= item->state == ITEM_WAITING;
    struct item *next = chain_remove(&q->chains, item);
    if (next && next->state == ITEM_WAITING)
        queue_make_ready(q, next);
    else if (next && next->parked)
        q->next_due = 0;
    if (item->parked)
        park_forget(q, container_of(item, struct parked, item));
    else
        out_window_done(q, container_of(item, struct slot, item));
}

static struct flight *
flight_get(struct outbox_queue *q)
{
    struct flight *flight = q->spare;
    if (flight) {
        q->spare = flight->spare;
        return flight;
    }
    flight = memory_zero(sizeof(*flight));
    buffer_init(&flight->text, QUEUE_BODY);
    buffer_init(&flight->row, BLOCK_MAX);
    flight->all = q->flights;
    q->flights = flight;
    return flight;
}

static void
shrink(struct buffer *b)
{
    if (b->capacity > FLIGHT_KEEP) {
        size_t limit = b->limit;
        buffer_release(b);
        buffer_init(b, limit);
    }
    buffer_reset(b);
}

static void
flight_put(struct outbox_queue *q, struct flight *flight)
{
    shrink(&flight->text);
    shrink(&flight->row);
    flight->item = NULL;
    flight->spare = q->spare;
    q->spare = flight;
}

/* Reads the one record of a stored message, or the record of `seq` in a block. */
static int
pick_record(struct slice data, uint64_t place, struct record *record, struct error *err)
{
    struct record_reader reader;
    int got = record_open(&reader, data, err) == 0 ? 1 : -1;
    for (uint64_t i = 0; got > 0 && i <= place; i++)
        got = record_read(&reader, record, err);
    record_release(&reader);
    if (got == 0)
        return error_set(err, ERROR_CORRUPT, "outbox block is shorter than it says");
    return got;
}

/* The message as it stands in the tables now. 1, 0: no row, -1. */
static int
read_again(struct outbox_queue *q, const struct item *item, struct flight *flight,
           struct record *record, struct error *err)
{
    enum query_name name = item->parked ? QUERY_PARKED_GET : QUERY_BLOCK_AT;
    sqlite3_stmt *row = query_use(q->reader, name, err, "si", q->name, (int64_t)item->seq);
    int got = row ? sql_step(row, err) : -1;
    if (got <= 0)
        return got;
    uint64_t place = item->parked ? 0 : item->seq - (uint64_t)sqlite3_column_int64(row, 0);
    buffer_reset(&flight->row);
    buffer_slice(&flight->row, query_blob(row, item->parked ? 0 : 2));
    sqlite3_reset(row);
    return pick_record(buffer_view(&flight->row), place, record, err);
}

/* Makes the delivery. A reference whose event is gone was rewritten meanwhile, a parked one perhaps
 * since it was read just now: it is read once more. */
static int
resolve(struct outbox_queue *q, const struct item *item, struct flight *flight, struct error *err)
{
    struct record again;
    const struct record *record = &again;
    int got = 1;
    if (item->parked)
        got = read_again(q, item, flight, &again, err);
    else
        record = &container_of(item, struct slot, item)->record;
    if (got > 0)
        got = resolver_delivery(&q->resolver, record, &flight->text, &flight->delivery, err);
    if (got == 0 && (got = read_again(q, item, flight, &again, err)) > 0)
        got = resolver_delivery(&q->resolver, &again, &flight->text, &flight->delivery, err);
    flight->delivery.attempt = item->attempts + 1;
    return got;
}

/* What can't be made into a delivery: gone or damaged is dead, our own trouble is waited out. */
static void
unresolved(struct outbox_queue *q, struct item *item, int got, const struct error *err)
{
    char reason[256];
    if (got == 0) {
        park_kill(q, item, "its event was trimmed from the journal");
        return;
    }
    snprintf(reason, sizeof(reason), "%.255s", err->message);
    if (err->class == ERROR_CORRUPT || err->class == ERROR_DATA) {
        log_failure(LOG_ERROR, q->component, err);
        park_kill(q, item, reason);
        return;
    }
    log_failure(LOG_WARNING, q->component, err);
    if (chain_first(item))
        queue_make_ready(q, item);
    retry_pause(q, QUEUE_HICCUP, reason);
}

static int64_t
made_at(const struct item *item)
{
    return item->parked ? container_of(item, struct parked, item)->first_at
                        : container_of(item, struct slot, item)->block->reader.written;
}

static bool
too_old(const struct outbox_queue *q, const struct item *item, int64_t now)
{
    return q->common.max_age > 0 && now - made_at(item) > q->common.max_age;
}

static struct delivery *
lend(struct outbox_queue *q, struct item *item, int64_t now)
{
    struct error err = {0};
    queue_unready(q, item);
    if (too_old(q, item, now)) {
        park_kill(q, item, "older than max_age");
        return NULL;
    }
    struct flight *flight = flight_get(q);
    int got = resolve(q, item, flight, &err);
    if (got <= 0) {
        flight_put(q, flight);
        unresolved(q, item, got, &err);
        return NULL;
    }
    q->waiting -= item->state == ITEM_WAITING;
    item->state = ITEM_FLIGHT;
    flight->item = item;
    q->in_flight++;
    return &flight->delivery;
}

bool
queue_behind(struct outbox_queue *q)
{
    pthread_mutex_lock(&q->lock);
    bool more = q->loaded_seq < q->ring.newest;
    pthread_mutex_unlock(&q->lock);
    return more;
}

/* With too many parked, only they go on. */
struct item *
queue_first_ready(const struct outbox_queue *q)
{
    struct item *item;
    bool crowded = park_crowded(q);
    TAILQ_FOREACH(item, &q->ready, ready)
    {
        if (!crowded || item->parked)
            return item;
    }
    return NULL;
}

static struct item *
next_item(struct outbox_queue *q)
{
    struct item *item = queue_first_ready(q);
    if (!item && !park_crowded(q)) {
        out_window_load(q, 1);
        item = queue_first_ready(q);
    }
    if (!item && !park_crowded(q) && q->waiting && queue_behind(q)) {
        park_hold_back(q);
        out_window_load(q, 1);
        item = queue_first_ready(q);
    }
    if (!item && q->breaker) {
        struct parked *parked = park_soonest(q);
        item = parked ? &parked->item : NULL;
    }
    return item;
}

/* The next of the same key may go out behind it in one take, where the channel keeps their order.
 */
static struct item *
follower(const struct outbox_queue *q, const struct item *item)
{
    struct item *next = q->in_order && !q->breaker ? item->after : NULL;
    return next && next->state == ITEM_WAITING && !park_crowded(q) ? next : NULL;
}

static size_t
take_some(struct outbox_queue *q, struct delivery **out, size_t room, int64_t now)
{
    size_t count = 0;
    struct item *next = NULL;
    while (count < room && q->throttled_until <= clock_mono()) {
        struct item *item = next ? next : next_item(q);
        if (!item)
            break;
        struct delivery *delivery = lend(q, item, now);
        next = delivery ? follower(q, item) : NULL;
        if (delivery)
            out[count++] = delivery;
    }
    return count;
}

static const char *
expired(struct outbox_queue *q, const struct item *item, int64_t now)
{
    pthread_mutex_lock(&q->lock);
    bool over = q->common.max_bytes > 0 && q->bytes > q->common.max_bytes;
    pthread_mutex_unlock(&q->lock);
    if (over)
        return "the queue is larger than max_bytes";
    return too_old(q, item, now) ? "older than max_age" : NULL;
}

/* The oldest that are too old, or more than the channel may keep, become dead letters: some now,
 * more at the next turn. */
static void
expire(struct outbox_queue *q, int64_t now)
{
    q->expiring = false;
    for (int i = 0; i < EXPIRE_ONCE; i++) {
        struct slot *slot = out_window_bottom(q);
        bool waits = slot && slot->item.state == ITEM_WAITING;
        const char *reason = waits ? expired(q, &slot->item, now) : NULL;
        if (!reason)
            return;
        park_kill(q, &slot->item, reason);
        out_window_load(q, 1);
        if (mark_full(q) && !mark_give(q))
            break;
    }
    q->expiring = true;
}

bool
queue_adopt(struct outbox_queue *q)
{
    pthread_mutex_lock(&q->lock);
    struct revived *revived = q->revived;
    q->revived = NULL;
    bool moved = q->seen != q->committed;
    q->seen = q->committed;
    bool stuck = q->mark_error.class != ERROR_NONE;
    pthread_mutex_unlock(&q->lock);
    if (moved && q->parked_count)
        q->next_due = 0;
    if (revived)
        park_revive(q, revived);
    return !stuck;
}

size_t
queue_take(void *context, struct delivery **out, size_t room)
{
    struct outbox_queue *q = context;
    int64_t now = clock_now();
    if (!queue_adopt(q) || !store_allows_work(q->outbox->store))
        return 0;
    out_window_load(q, 1);
    expire(q, now);
    room = retry_room(q, room, now, clock_mono());
    if (!room)
        return 0;
    park_due(q, now);
    if (!park_crowded(q))
        out_window_load(q, room);
    size_t count = take_some(q, out, room, now);
    if (count)
        fault_point("outbox.after_take");
    return count;
}

/* Back to where it was, behind the others, so that each probe asks with another message. */
static void
give_back(struct outbox_queue *q, struct item *item)
{
    if (item->parked) {
        item->state = container_of(item, struct parked, item)->held ? ITEM_HELD : ITEM_RETRY;
    } else {
        item->state = ITEM_WAITING;
        q->waiting++;
    }
    if (chain_first(item))
        queue_make_ready(q, item);
}

static void
delivered(struct outbox_queue *q, struct item *item, const struct channel_answer *answer)
{
    (void)answer;
    q->delivered++;
    retry_succeeded(q);
    if (item->parked)
        mark_drop(q, item->seq);
    queue_finish(q, item);
}

static void
try_later(struct outbox_queue *q, struct item *item, const struct channel_answer *answer)
{
    retry_failed(q, answer);
    /* Behind one of its key that failed in the same list it was not its turn. */
    if (q->breaker || !chain_first(item) || (!item->parked && park_crowded(q))) {
        give_back(q, item);
        return;
    }
    item->attempts++;
    if (q->common.attempts > 0 && item->attempts >= q->common.attempts) {
        park_kill(q, item, answer->reason);
        return;
    }
    int64_t now = clock_now();
    int64_t next_at = now + retry_delay(&q->common, item->attempts, answer->retry_after);
    if (item->parked)
        park_again(q, container_of(item, struct parked, item), next_at, answer->reason);
    else
        park_slot(q, container_of(item, struct slot, item), next_at, answer->reason);
}

static void
rejected(struct outbox_queue *q, struct item *item, const struct channel_answer *answer)
{
    q->failed++;
    retry_succeeded(q);
    item->attempts++;
    park_kill(q, item, answer->reason);
}

static void
channel_broken(struct outbox_queue *q, struct item *item, const struct channel_answer *answer)
{
    q->failed++;
    retry_break(q, answer, answer->code == 410);
    give_back(q, item);
}

static void (*const answers[])(struct outbox_queue *, struct item *,
                               const struct channel_answer *) = {
    [CHANNEL_DELIVERED] = delivered,
    [CHANNEL_RETRY] = try_later,
    [CHANNEL_REJECT] = rejected,
    [CHANNEL_BROKEN] = channel_broken,
};

void
queue_answer(void *context, struct delivery *delivery, const struct channel_answer *answer)
{
    struct outbox_queue *q = context;
    struct flight *flight = container_of(delivery, struct flight, delivery);
    struct item *item = flight->item;
    ensure(item && item->state == ITEM_FLIGHT);
    q->in_flight--;
    answers[answer->class](q, item, answer);
    flight_put(q, flight);
    if (mark_full(q))
        mark_give(q);
}
