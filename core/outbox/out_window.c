/* The window: the messages above the cursor that are known in memory, at most 4,096. */
#include <stdlib.h>

#include "base/log.h"
#include "outbox/queue.h"

static struct out_block *
block_of_row(sqlite3_stmt *row)
{
    struct out_block *block = out_block_new();
    block->first_seq = (uint64_t)sqlite3_column_int64(row, 0);
    block->count = (uint32_t)sqlite3_column_int64(row, 1);
    buffer_slice(&block->data, query_blob(row, 2));
    sqlite3_reset(row);
    return block;
}

static struct out_block *
read_row(struct outbox_queue *q, enum query_name name, uint64_t seq, struct error *err)
{
    sqlite3_stmt *row = query_use(q->reader, name, err, "si", q->name, (int64_t)seq);
    return row && sql_step(row, err) > 0 ? block_of_row(row) : NULL;
}

/* The block that holds `seq`, or the first one above if that one is gone; NULL with or without err.
 */
static struct out_block *
read_block(struct outbox_queue *q, uint64_t seq, struct error *err)
{
    struct out_block *block = read_row(q, QUERY_BLOCK_AT, seq, err);
    if (block && out_block_last(block) >= seq)
        return block;
    out_block_free(block);
    return err->class == ERROR_NONE ? read_row(q, QUERY_BLOCK_AFTER, seq, err) : NULL;
}

/* The next block in order: from the ring, else from SQLite. NULL: nothing new, or a failure. */
static struct out_block *
next_block(struct outbox_queue *q, struct error *err)
{
    pthread_mutex_lock(&q->lock);
    uint64_t wanted = q->ring.wanted;
    bool nothing = wanted > q->ring.newest;
    struct out_block *block = nothing ? NULL : out_ring_fetch(&q->ring);
    pthread_mutex_unlock(&q->lock);
    if (!block && !nothing)
        block = read_block(q, wanted, err);
    if (!block)
        return NULL;
    if (block->first_seq > wanted)
        log_error(q->component, "messages %llu to %llu are missing from the outbox",
                  (unsigned long long)wanted, (unsigned long long)block->first_seq - 1);
    pthread_mutex_lock(&q->lock);
    q->ring.wanted = out_block_last(block) + 1;
    pthread_mutex_unlock(&q->lock);
    return block;
}

/* Opens the next block. A hole before it counts as done. */
static bool
open_next(struct outbox_queue *q)
{
    struct error err = {0};
    struct out_block *block = next_block(q, &err);
    if (!block) {
        if (err.class != ERROR_NONE) {
            log_failure(LOG_ERROR, q->component, &err);
            retry_pause(q, QUEUE_HICCUP, err.message);
        }
        return false;
    }
    if (record_open(&block->reader, buffer_view(&block->data), &err) != 0) {
        log_failure(LOG_ERROR, q->component, &err);
        scan_fail(&block->reader.scan);
    }
    q->window_bytes += block->data.size;
    q->current = block;
    return true;
}

/* A block that was rewritten in its table meanwhile counts with its new size: what that leaves over
 * goes with the last block of all. */
static void
close_block(struct outbox_queue *q, struct out_block *block)
{
    if (block->live || block == q->current)
        return;
    q->window_bytes -= block->data.size;
    pthread_mutex_lock(&q->lock);
    bool last = !q->undone && out_block_last(block) == q->ring.newest;
    q->bytes = last ? 0 : q->bytes - (int64_t)block->data.size;
    pthread_mutex_unlock(&q->lock);
    out_block_free(block);
}

static bool
done_before(const struct outbox_queue *q, uint64_t seq)
{
    if (seq <= q->above_from)
        return true;
    uint64_t bit = seq - q->above_from - 1;
    return bit < QUEUE_WINDOW && q->above[bit / 8] & 1u << bit % 8;
}

static void
advance(struct outbox_queue *q)
{
    while (q->done_seq < q->loaded_seq &&
           out_window_slot(q, q->done_seq + 1)->item.state == ITEM_DONE) {
        out_window_slot(q, ++q->done_seq)->item.state = ITEM_NONE;
        q->dirty = true;
    }
}

/* Order "strict" is one chain for all. */
static void
fill_slot(struct outbox_queue *q, struct slot *slot, uint64_t seq)
{
    bool strict = q->common.order == ORDER_STRICT;
    slot->item =
        (struct item){.seq = seq, .key = strict ? 0 : slot->record.key, .state = ITEM_WAITING};
    slot->block = q->current;
    slot->block->live++;
    q->waiting++;
    q->undone++;
    if (q->common.order != ORDER_NONE)
        chain_add(&q->chains, &slot->item);
    if (chain_first(&slot->item))
        queue_make_ready(q, &slot->item);
}

/* What can't be read is given up, loudly: nothing behind it could be delivered otherwise. */
static bool
read_next(struct outbox_queue *q, struct slot *slot)
{
    struct error err = {0};
    struct out_block *block = q->current;
    if (!block->reader.scan.failed && record_read(&block->reader, &slot->record, &err) > 0)
        return true;
    if (err.class != ERROR_NONE)
        log_failure(LOG_ERROR, q->component, &err);
    log_error(q->component, "message %llu can't be read from the outbox and is dropped",
              (unsigned long long)(block->first_seq + block->loaded));
    scan_fail(&block->reader.scan);
    return false;
}

static void
load_one(struct outbox_queue *q)
{
    struct out_block *block = q->current;
    uint64_t seq = block->first_seq + block->loaded;
    struct slot scratch, *slot = seq > q->done_seq ? out_window_slot(q, seq) : &scratch;
    bool good = read_next(q, slot);
    if (done_before(q, seq)) {
        q->above_left -= seq > q->above_from;
        good = false;
    }
    if (good)
        fill_slot(q, slot, seq);
    else
        slot->item.state = ITEM_DONE;
    if (seq > q->loaded_seq)
        q->loaded_seq = seq;
    if (++block->loaded == block->count) {
        q->current = NULL;
        close_block(q, block);
    }
}

/* Messages that are missing count as done, once all before them are. */
static bool
pass_hole(struct outbox_queue *q)
{
    uint64_t seq = q->current->first_seq + q->current->loaded;
    if (seq <= q->loaded_seq + 1)
        return true;
    if (q->done_seq < q->loaded_seq)
        return false;
    q->done_seq = q->loaded_seq = seq - 1;
    q->dirty = true;
    return true;
}

static bool
has_enough(const struct outbox_queue *q, size_t enough)
{
    if (q->in_order)
        return q->ready_count && q->waiting >= enough;
    return q->ready_count >= enough;
}

static bool
window_full(const struct outbox_queue *q)
{
    return q->loaded_seq - q->done_seq >= QUEUE_WINDOW ||
           (q->window_bytes >= QUEUE_WINDOW_BYTES && !q->current && q->waiting);
}

void
out_window_load(struct outbox_queue *q, size_t enough)
{
    while (!has_enough(q, enough) && !window_full(q)) {
        if (!q->current && !open_next(q))
            break;
        if (!pass_hole(q))
            break;
        load_one(q);
        advance(q);
    }
}

void
out_window_done(struct outbox_queue *q, struct slot *slot)
{
    slot->item.state = ITEM_DONE;
    q->undone--;
    slot->block->live--;
    close_block(q, slot->block);
    slot->block = NULL;
    q->dirty = true;
    advance(q);
}

struct slot *
out_window_bottom(struct outbox_queue *q)
{
    return q->done_seq < q->loaded_seq ? out_window_slot(q, q->done_seq + 1) : NULL;
}

void
out_window_bitmap(const struct outbox_queue *q, uint8_t above[QUEUE_WINDOW / 8])
{
    memset(above, 0, QUEUE_WINDOW / 8);
    for (uint64_t bit = 0; bit < QUEUE_WINDOW; bit++) {
        uint64_t seq = q->done_seq + 1 + bit;
        if (seq > q->loaded_seq && !q->above_left)
            return;
        bool done = seq <= q->loaded_seq ? out_window_slot(q, seq)->item.state == ITEM_DONE
                                         : done_before(q, seq);
        if (done)
            above[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
}
