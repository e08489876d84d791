/* Messages with a row of their own: those that wait for another try, those held behind them, and,
 * in the table only, the dead. What is known of the first two is kept in memory, their content is
 * not. */
#include <stdlib.h>

#include "base/log.h"
#include "outbox/queue.h"

enum { HOLD_BACK = QUEUE_WINDOW / 4 }; /* so many at a time make room in a full window */

static struct parked *
parked_of(struct item *item)
{
    ensure(item->parked);
    return container_of(item, struct parked, item);
}

static struct slot *
slot_of(struct item *item)
{
    ensure(!item->parked);
    return container_of(item, struct slot, item);
}

static void
enlist(struct outbox_queue *q, struct parked *parked)
{
    TAILQ_INSERT_TAIL(&q->parked, parked, link);
    q->parked_count++;
    q->parked_bytes += (int64_t)parked->bytes;
    q->held_count += parked->item.state == ITEM_HELD;
    q->next_due = 0;
}

void
park_forget(struct outbox_queue *q, struct parked *parked)
{
    TAILQ_REMOVE(&q->parked, parked, link);
    q->parked_count--;
    q->parked_bytes -= (int64_t)parked->bytes;
    q->held_count -= parked->held;
    q->next_due = 0;
    free(parked);
}

void
park_release(struct outbox_queue *q)
{
    while (!TAILQ_EMPTY(&q->parked))
        park_forget(q, TAILQ_FIRST(&q->parked));
}

static uint64_t
chain_key(const struct outbox_queue *q, uint64_t key)
{
    return q->common.order == ORDER_STRICT ? 0 : key;
}

static struct parked *
parked_row(struct outbox_queue *q, sqlite3_stmt *row)
{
    struct parked *parked = memory_zero(sizeof(*parked));
    bool held = sqlite3_column_int(row, 2) == PARK_HELD;
    parked->item = (struct item){.seq = (uint64_t)sqlite3_column_int64(row, 0),
                                 .key = chain_key(q, (uint64_t)sqlite3_column_int64(row, 1)),
                                 .parked = true,
                                 .state = held ? ITEM_HELD : ITEM_RETRY,
                                 .attempts = sqlite3_column_int(row, 3)};
    parked->held = held;
    parked->first_at = sqlite3_column_int64(row, 4);
    parked->next_at = held ? 0 : sqlite3_column_int64(row, 5);
    parked->bytes = (size_t)sqlite3_column_int64(row, 6);
    return parked;
}

int
park_load(struct outbox_queue *q, struct error *err)
{
    sqlite3_stmt *rows = query_use(q->reader, QUERY_PARKED_LIST, err, "s", q->name);
    int got = -1;
    while (rows && (got = sql_step(rows, err)) > 0) {
        struct parked *parked = parked_row(q, rows);
        if (q->common.order != ORDER_NONE)
            chain_add(&q->chains, &parked->item);
        enlist(q, parked);
    }
    return got;
}

/* A message of the window as a row. The ordering key is the message's own, also where one chain
 * holds all. Its age counts from when it was made. */
static size_t
put_slot(struct outbox_queue *q, const struct slot *slot, struct mark_row *row)
{
    struct buffer message;
    const struct record *record = &slot->record;
    buffer_init(&message, BLOCK_MAX);
    record_single(&message, slot->block->reader.written, record);
    row->seq = slot->item.seq;
    row->key = record->key;
    row->lsn = record->form == RECORD_REFERENCE ? record->lsn : 0;
    row->first_at = slot->block->reader.written;
    mark_put(q, row, buffer_view(&message));
    size_t size = message.size;
    buffer_release(&message);
    return size;
}

void
park_slot(struct outbox_queue *q, struct slot *slot, int64_t next_at, const char *reason)
{
    struct parked *parked = memory_zero(sizeof(*parked));
    struct item *item = &slot->item;
    struct mark_row row = {.state = next_at ? PARK_RETRY : PARK_HELD,
                           .attempts = item->attempts,
                           .next_at = next_at,
                           .reason = reason};
    queue_unready(q, item);
    q->waiting -= item->state == ITEM_WAITING;
    parked->mark = q->marks + 1;
    parked->bytes = put_slot(q, slot, &row);
    parked->first_at = row.first_at;
    parked->next_at = next_at;
    parked->held = next_at == 0;
    chain_replace(item, &parked->item);
    parked->item.parked = true;
    parked->item.attempts = item->attempts;
    parked->item.state = parked->held ? ITEM_HELD : ITEM_RETRY;
    enlist(q, parked);
    out_window_done(q, slot);
}

void
park_again(struct outbox_queue *q, struct parked *parked, int64_t next_at, const char *reason)
{
    q->held_count -= parked->held;
    parked->held = false;
    parked->item.state = ITEM_RETRY;
    parked->next_at = next_at;
    if (next_at < q->next_due)
        q->next_due = next_at;
    mark_move(q, &(struct mark_row){.seq = parked->item.seq,
                                    .state = PARK_RETRY,
                                    .attempts = parked->item.attempts,
                                    .first_at = parked->first_at,
                                    .next_at = next_at,
                                    .reason = reason});
}

static bool
can_go(const struct outbox_queue *q, const struct parked *parked)
{
    return parked->item.state != ITEM_FLIGHT && !parked->item.is_ready &&
           chain_first(&parked->item) && parked->mark <= q->seen;
}

void
park_due(struct outbox_queue *q, int64_t now)
{
    struct parked *parked;
    if (now < q->next_due)
        return;
    q->next_due = INT64_MAX;
    TAILQ_FOREACH(parked, &q->parked, link)
    {
        if (!can_go(q, parked))
            continue;
        if (parked->next_at <= now)
            queue_make_ready(q, &parked->item);
        else if (parked->next_at < q->next_due)
            q->next_due = parked->next_at;
    }
}

struct parked *
park_soonest(struct outbox_queue *q)
{
    struct parked *parked, *soonest = NULL;
    TAILQ_FOREACH(parked, &q->parked, link)
    {
        if (can_go(q, parked) && (!soonest || parked->next_at < soonest->next_at))
            soonest = parked;
    }
    return soonest;
}

/* Does it wait for parked messages of its key only, and so for long? One that gets a row before an
 * earlier one that has none would overtake it after a start. */
static bool
waits_long(const struct slot *slot)
{
    const struct item *before = slot->item.before;
    return slot->item.state == ITEM_WAITING && before && before->parked &&
           chain_head(&slot->item)->state != ITEM_FLIGHT;
}

void
park_hold_back(struct outbox_queue *q)
{
    if (q->common.order == ORDER_STRICT)
        return;
    uint64_t last = q->loaded_seq;
    int left = HOLD_BACK;
    for (uint64_t seq = q->done_seq + 1; seq <= last && left > 0 && !park_crowded(q); seq++) {
        struct slot *slot = out_window_slot(q, seq);
        if (!waits_long(slot))
            continue;
        park_slot(q, slot, 0, "waits for an earlier message of its key");
        left--;
    }
}

void
park_revive(struct outbox_queue *q, struct revived *list)
{
    while (list) {
        struct revived *next = list->next;
        struct parked *parked = memory_zero(sizeof(*parked));
        parked->item = (struct item){
            .seq = list->seq, .key = chain_key(q, list->key), .parked = true, .state = ITEM_RETRY};
        parked->first_at = list->first_at;
        parked->bytes = list->bytes;
        if (q->common.order != ORDER_NONE)
            chain_add(&q->chains, &parked->item);
        enlist(q, parked);
        free(list);
        list = next;
    }
}

/* One line a second is enough: a channel that is down for days kills messages by the thousand. */
static void
complain(struct outbox_queue *q, uint64_t seq, const char *reason)
{
    int64_t mono = clock_mono();
    q->complaints++;
    if (q->complained_at && mono - q->complained_at < CLOCK_SECOND)
        return;
    log_warning(q->component, "dead letters: %llu, the last one is message %llu: %s",
                (unsigned long long)q->complaints, (unsigned long long)seq, reason);
    q->complained_at = mono;
    q->complaints = 0;
}

void
park_kill(struct outbox_queue *q, struct item *item, const char *reason)
{
    struct mark_row row = {.seq = item->seq,
                           .state = PARK_DEAD,
                           .attempts = item->attempts,
                           .next_at = clock_now(),
                           .reason = reason};
    size_t bytes;
    if (item->parked) {
        row.first_at = parked_of(item)->first_at;
        bytes = parked_of(item)->bytes;
        mark_move(q, &row);
    } else {
        bytes = put_slot(q, slot_of(item), &row);
    }
    pthread_mutex_lock(&q->lock);
    q->dead++;
    q->dead_bytes += (int64_t)bytes;
    pthread_mutex_unlock(&q->lock);
    complain(q, item->seq, reason);
    queue_finish(q, item);
}
