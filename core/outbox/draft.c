/* The side of the rules: messages gathered into blocks, and their seqs given inside the
 * transaction. */
#include <stdlib.h>

#include "base/fault.h"
#include "outbox/queue.h"

/* Where a message begins, so that it can be cut off again. */
struct entry {
    uint32_t lane, block;
    size_t offset;
};

/* What goes to one channel. */
struct lane {
    struct outbox_queue *queue;
    struct out_block **blocks;
    uint32_t block_count;
    bool cut;                    /* the writer no longer fits the last block */
    struct record_writer writer; /* of the last block */
};

struct outbox_draft {
    struct outbox *outbox;
    struct lane *lanes; /* by the queue's index */
    unsigned lane_count;
    struct entry *entries;
    size_t count, capacity;
    size_t bytes; /* of full blocks */
    int64_t written;
    struct shape *shapes; /* used here and not known to be stored */
    uint64_t last_shape;
    bool has_shape;
};

struct outbox_draft *
outbox_draft_new(struct outbox *o)
{
    struct outbox_draft *d = memory_zero(sizeof(*d));
    d->outbox = o;
    d->written = clock_now();
    return d;
}

static void
lane_cut(struct lane *lane, uint32_t blocks)
{
    while (lane->block_count > blocks)
        out_block_free(lane->blocks[--lane->block_count]);
}

void
outbox_draft_free(struct outbox_draft *d)
{
    if (!d)
        return;
    for (unsigned i = 0; i < d->lane_count; i++) {
        lane_cut(&d->lanes[i], 0);
        free(d->lanes[i].blocks);
    }
    while (d->shapes) {
        struct shape *next = d->shapes->next;
        shape_free(d->shapes);
        d->shapes = next;
    }
    free(d->lanes);
    free(d->entries);
    free(d);
}

static struct lane *
lane_of(struct outbox_draft *d, struct outbox_queue *queue)
{
    if (queue->index >= d->lane_count) {
        unsigned count = queue->index + 1;
        d->lanes = memory_grow(d->lanes, count * sizeof(*d->lanes));
        memset(d->lanes + d->lane_count, 0, (count - d->lane_count) * sizeof(*d->lanes));
        d->lane_count = count;
    }
    d->lanes[queue->index].queue = queue;
    return &d->lanes[queue->index];
}

static struct out_block *
last_block(const struct lane *lane)
{
    return lane->block_count ? lane->blocks[lane->block_count - 1] : NULL;
}

/* The block that takes the next message. */
static struct out_block *
open_block(struct outbox_draft *d, struct lane *lane)
{
    struct out_block *block = last_block(lane);
    if (block && block->data.size < BLOCK_BYTES)
        return block;
    if (!(lane->block_count & (lane->block_count - 1))) {
        size_t room = lane->block_count ? (size_t)lane->block_count * 2 : 1;
        lane->blocks = memory_grow(lane->blocks, room * sizeof(struct out_block *));
    }
    block = out_block_new();
    record_begin(&lane->writer, &block->data, d->written);
    lane->blocks[lane->block_count++] = block;
    return block;
}

static void
note_entry(struct outbox_draft *d, struct lane *lane, size_t offset)
{
    if (d->count == d->capacity) {
        d->capacity = d->capacity ? d->capacity * 2 : 64;
        d->entries = memory_grow(d->entries, d->capacity * sizeof(*d->entries));
    }
    d->entries[d->count++] = (struct entry){
        .lane = lane->queue->index, .block = lane->block_count - 1, .offset = offset};
}

/* The number of a message's shape; what SQLite does not have yet is kept for the transaction. */
static uint64_t
use_shape(struct outbox_draft *d, const struct event_shape *shape)
{
    uint64_t number = shape_number(shape);
    if (d->has_shape && d->last_shape == number)
        return number;
    d->has_shape = true;
    d->last_shape = number;
    if (shapes_find(&d->outbox->shapes, number))
        return number;
    for (struct shape *known = d->shapes; known; known = known->next) {
        if (known->number == number)
            return number;
    }
    struct shape *copy = shape_copy(number, shape);
    copy->next = d->shapes;
    d->shapes = copy;
    return number;
}

/* An event goes by reference, unless its text was made already (it is in no journal). */
static struct record
record_of(struct outbox_draft *d, const struct outbox_message *m)
{
    bool reference = m->kind == MESSAGE_EVENT && m->body.size == 0;
    struct record record = {
        .kind = (uint8_t)m->kind,
        .form = reference ? RECORD_REFERENCE : RECORD_BODY,
        .ordinal = m->ordinal,
        .lsn = m->lsn,
        .created = m->created,
        .key = m->key_hash,
        .rule = m->rule,
        .event_id = m->event_id,
        .body = m->body,
        .options = m->options,
    };
    memcpy(record.id, m->id, sizeof(record.id));
    ensure(!reference || m->shape);
    if (reference)
        record.shape = use_shape(d, m->shape);
    return record;
}

int
outbox_put(struct outbox_draft *d, const struct outbox_message *m, struct error *err)
{
    size_t size = m->body.size + m->options.size + m->rule.size + m->event_id.size;
    if (size > BLOCK_MAX / 2)
        return error_set(err, ERROR_DATA, "message of %zu bytes to channel \"%s\" is too large",
                         size, m->queue->name);
    struct lane *lane = lane_of(d, m->queue);
    struct out_block *block = open_block(d, lane);
    struct record record = record_of(d, m);
    size_t before = block->data.size;
    record_write(&lane->writer, &block->data, &record);
    ensure(!block->data.failed);
    note_entry(d, lane, before);
    block->count++;
    d->bytes += block->data.size - before;
    if (record.form == RECORD_REFERENCE && (!block->min_lsn || record.lsn < block->min_lsn))
        block->min_lsn = record.lsn;
    return 0;
}

size_t
outbox_draft_mark(struct outbox_draft *d)
{
    return d->count;
}

/* Takes the newest message off its lane. */
static void
cut_last(struct outbox_draft *d)
{
    const struct entry *entry = &d->entries[--d->count];
    struct lane *lane = &d->lanes[entry->lane];
    struct out_block *block = last_block(lane);
    d->bytes -= block->data.size - entry->offset;
    block->data.size = entry->offset;
    lane->cut = true;
    if (--block->count == 0)
        lane_cut(lane, entry->block);
}

/* What was cut may have defined names for what comes next: the writer reads itself back. The
 * block's min_lsn may stay too low, which only holds trimming a little longer. */
static void
lane_rewind(struct lane *lane)
{
    struct error err = {0};
    struct out_block *block = last_block(lane);
    lane->cut = false;
    ensure(!block || record_rewind(&lane->writer, buffer_view(&block->data), &err) == 0);
}

void
outbox_draft_cut(struct outbox_draft *d, size_t mark)
{
    ensure(mark <= d->count);
    if (mark == d->count)
        return;
    while (d->count > mark)
        cut_last(d);
    for (unsigned i = 0; i < d->lane_count; i++) {
        if (d->lanes[i].cut)
            lane_rewind(&d->lanes[i]);
    }
}

size_t
outbox_draft_bytes(const struct outbox_draft *d)
{
    return d->bytes;
}

size_t
outbox_draft_count(const struct outbox_draft *d)
{
    return d->count;
}

/* A proof's wrong turn: the channel sees what may yet be rolled back. */
static void
publish_early(struct lane *lane)
{
    for (uint32_t i = 0; i < lane->block_count; i++) {
        pthread_mutex_lock(&lane->queue->lock);
        out_ring_publish(&lane->queue->ring, out_block_clone(lane->blocks[i]));
        pthread_mutex_unlock(&lane->queue->lock);
    }
    queue_poke(lane->queue);
}

/* Seqs come from the tables each time: the transaction may hold other drafts, and may be run again.
 */
static int
lane_run(struct lane *lane, sqlite3 *db, struct error *err)
{
    int64_t next;
    const char *channel = lane->queue->name;
    if (query_number(query_use(db, QUERY_BLOCK_NEXT, err, "s", channel), &next, err) != 0)
        return -1;
    for (uint32_t i = 0; i < lane->block_count; i++) {
        struct out_block *block = lane->blocks[i];
        block->first_seq = (uint64_t)next;
        next += block->count;
        if (query_do(db, QUERY_BLOCK_PUT, err, "siiiib", channel, (int64_t)block->first_seq,
                     (int64_t)block->count, (int64_t)block->data.size, (int64_t)block->min_lsn,
                     buffer_view(&block->data)) != 0)
            return -1;
    }
    if (sabotage("outbox.send_uncommitted"))
        publish_early(lane);
    return 0;
}

int
outbox_draft_run(struct outbox_draft *d, sqlite3 *db, struct error *err)
{
    for (const struct shape *shape = d->shapes; shape; shape = shape->next) {
        if (shape_store(shape, db, err) != 0)
            return -1;
    }
    for (unsigned i = 0; i < d->lane_count; i++) {
        if (d->lanes[i].block_count && lane_run(&d->lanes[i], db, err) != 0)
            return error_context(err, "outbox of channel \"%s\"", d->lanes[i].queue->name);
    }
    return 0;
}

static void
lane_publish(struct lane *lane)
{
    struct outbox_queue *q = lane->queue;
    pthread_mutex_lock(&q->lock);
    for (uint32_t i = 0; i < lane->block_count; i++) {
        q->bytes += (int64_t)lane->blocks[i]->data.size;
        if (sabotage("outbox.send_uncommitted"))
            out_block_free(lane->blocks[i]);
        else
            out_ring_publish(&q->ring, lane->blocks[i]);
    }
    lane->block_count = 0;
    pthread_mutex_unlock(&q->lock);
    queue_poke(q);
}

void
outbox_draft_done(struct outbox_draft *d)
{
    fault_point("outbox.after_commit");
    while (d->shapes) {
        struct shape *shape = d->shapes;
        d->shapes = shape->next;
        shapes_add(&d->outbox->shapes, shape);
    }
    for (unsigned i = 0; i < d->lane_count; i++) {
        if (d->lanes[i].block_count)
            lane_publish(&d->lanes[i]);
    }
}
