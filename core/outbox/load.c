/* A queue's beginning and end: from the tables into memory. */
#include <stdio.h>
#include <stdlib.h>

#include "outbox/queue.h"

/* Where delivery goes on. */
static int
load_cursor(struct outbox_queue *q, struct error *err)
{
    sqlite3_stmt *row = query_use(q->reader, QUERY_CURSOR_GET, err, "s", q->name);
    int got = row ? sql_step(row, err) : -1;
    if (got <= 0)
        return got;
    struct slice above = query_blob(row, 1);
    q->done_seq = q->loaded_seq = q->above_from = (uint64_t)sqlite3_column_int64(row, 0);
    memcpy(q->above, above.data, above.size < sizeof(q->above) ? above.size : sizeof(q->above));
    for (size_t i = 0; i < sizeof(q->above); i++)
        q->above_left += (size_t)__builtin_popcount(q->above[i]);
    if (sqlite3_column_int(row, 2) != BREAKER_CLOSED) {
        q->breaker = BREAKER_OPEN; /* also what was disabled: a start is a new chance */
        q->probe_at = sqlite3_column_int(row, 2) == BREAKER_OPEN ? sqlite3_column_int64(row, 3) : 0;
        snprintf(q->reason, sizeof(q->reason), "it was broken before the last stop");
    }
    sqlite3_reset(row);
    return 0;
}

static int
load_sums(struct outbox_queue *q, struct error *err)
{
    int64_t next;
    sqlite3_stmt *sum = query_use(q->reader, QUERY_BLOCK_SUM, err, "s", q->name);
    if (query_number(sum, &q->bytes, err) != 0)
        return -1;
    sqlite3_stmt *newest = query_use(q->reader, QUERY_BLOCK_NEXT, err, "s", q->name);
    if (query_number(newest, &next, err) != 0)
        return -1;
    q->ring.newest = (uint64_t)next - 1;
    sqlite3_stmt *dead = query_use(q->reader, QUERY_PARKED_DEAD, err, "s", q->name);
    if (!dead || sql_step(dead, err) <= 0)
        return -1;
    q->dead = (uint64_t)sqlite3_column_int64(dead, 0);
    q->dead_bytes = sqlite3_column_int64(dead, 1);
    sqlite3_reset(dead);
    return 0;
}

int
queue_load(struct outbox_queue *q, struct error *err)
{
    TAILQ_INIT(&q->ready);
    TAILQ_INIT(&q->parked);
    out_ring_init(&q->ring);
    q->allowed = SIZE_MAX;
    q->slots = memory_zero(QUEUE_WINDOW * sizeof(*q->slots));
    q->reader = store_reader(q->outbox->store, err);
    if (!q->reader || load_cursor(q, err) != 0 || load_sums(q, err) != 0 || park_load(q, err) != 0)
        return -1;
    q->ring.wanted = q->done_seq + 1;
    queue_publish(q);
    return 0;
}

static void
free_blocks(struct outbox_queue *q)
{
    for (uint64_t seq = q->done_seq + 1; seq <= q->loaded_seq; seq++) {
        struct slot *slot = out_window_slot(q, seq);
        if (slot->block && slot->item.state != ITEM_DONE && --slot->block->live == 0 &&
            slot->block != q->current)
            out_block_free(slot->block);
    }
    out_block_free(q->current);
}

static void
free_flight(struct flight *flight)
{
    buffer_release(&flight->text);
    buffer_release(&flight->row);
    free(flight);
}

void
queue_release(struct outbox_queue *q)
{
    free_blocks(q);
    park_release(q);
    chains_release(&q->chains);
    out_ring_release(&q->ring);
    mark_free(q->mark);
    while (q->flights) {
        struct flight *next = q->flights->all;
        free_flight(q->flights);
        q->flights = next;
    }
    while (q->revived) {
        struct revived *next = q->revived->next;
        free(q->revived);
        q->revived = next;
    }
    free(q->slots);
    sql_close(q->reader);
}
