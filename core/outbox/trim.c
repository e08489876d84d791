#include "outbox/trim.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "outbox/queue.h"

enum {
    TRIM_UNIT = 256 * 1024,      /* bytes rewritten in one unit */
    TRIM_CALL = 2 * 1024 * 1024, /* … and between two looks at what is committed */
};

struct trim {
    struct outbox *outbox;
    sqlite3 *reader;
    struct resolver resolver;
    atomic_int under_way; /* units */
};

/* One message in a row of its own that now holds its event. */
struct swap {
    char channel[64];
    uint64_t seq;
    size_t at, size; /* in `data` */
    int64_t before;  /* by `run`: its size until now if it is a dead letter, else 0 */
};

/* A unit: a block that falls into a piece of copies and the rest, or some parked messages. */
struct rewrite {
    struct store_work work;
    struct trim *trim;
    char channel[64];
    uint64_t first_seq; /* the block that is replaced */
    uint32_t count;     /* 0: parked messages */
    struct out_block *parts[2];
    struct swap *swaps;
    size_t swap_count;
    struct buffer data;
    int64_t grown; /* by `run`: bytes of the channel's blocks */
};

struct trim *
trim_new(struct outbox *o)
{
    struct trim *t = memory_zero(sizeof(*t));
    t->outbox = o;
    resolver_init(&t->resolver, store_journal(o->store), store_schemas(o->store), &o->shapes);
    return t;
}

void
trim_free(struct trim *t)
{
    if (!t)
        return;
    resolver_release(&t->resolver);
    sql_close(t->reader);
    free(t);
}

static struct rewrite *
rewrite_new(struct trim *t)
{
    struct rewrite *r = memory_zero(sizeof(*r));
    r->trim = t;
    buffer_init(&r->data, BLOCK_MAX);
    return r;
}

static void
rewrite_free(struct rewrite *r)
{
    out_block_free(r->parts[0]);
    out_block_free(r->parts[1]);
    buffer_release(&r->data);
    free(r->swaps);
    free(r);
}

static int
put_part(struct rewrite *r, const struct out_block *part, sqlite3 *db, struct error *err)
{
    r->grown += (int64_t)part->data.size;
    return query_do(db, QUERY_BLOCK_PUT, err, "siiiib", r->channel, (int64_t)part->first_seq,
                    (int64_t)part->count, (int64_t)part->data.size, (int64_t)part->min_lsn,
                    buffer_view(&part->data));
}

/* Does nothing when the block is gone: all of it was delivered meanwhile. */
static int
swap_block(struct rewrite *r, sqlite3 *db, struct error *err)
{
    int64_t before;
    sqlite3_stmt *size = query_use(db, QUERY_BLOCK_SIZE, err, "sii", r->channel,
                                   (int64_t)r->first_seq, (int64_t)r->count);
    if (query_number(size, &before, err) != 0)
        return -1;
    if (!before)
        return 0;
    r->grown = -before;
    if (query_do(db, QUERY_BLOCK_DROP, err, "si", r->channel, (int64_t)r->first_seq) != 0)
        return -1;
    for (size_t i = 0; i < countof(r->parts); i++) {
        if (r->parts[i] && put_part(r, r->parts[i], db, err) != 0)
            return -1;
    }
    return 0;
}

static int
swap_parked(struct rewrite *r, sqlite3 *db, struct error *err)
{
    for (size_t i = 0; i < r->swap_count; i++) {
        struct swap *swap = &r->swaps[i];
        struct slice message = {r->data.data + swap->at, swap->size};
        sqlite3_stmt *dead =
            query_use(db, QUERY_DEAD_SIZE, err, "si", swap->channel, (int64_t)swap->seq);
        if (query_number(dead, &swap->before, err) != 0 ||
            query_do(db, QUERY_PARKED_COPY, err, "bsi", message, swap->channel,
                     (int64_t)swap->seq) != 0)
            return -1;
    }
    return 0;
}

static int
run(struct store_work *work, sqlite3 *db, struct error *err)
{
    struct rewrite *r = container_of(work, struct rewrite, work);
    r->grown = 0;
    return r->count ? swap_block(r, db, err) : swap_parked(r, db, err);
}

static void
count_growth(struct outbox *o, const char *channel, int64_t of_blocks, int64_t of_dead)
{
    struct outbox_queue *q = outbox_find(o, channel);
    if (!q)
        return;
    pthread_mutex_lock(&q->lock);
    q->bytes += of_blocks;
    q->dead_bytes += of_dead;
    pthread_mutex_unlock(&q->lock);
}

static void
done(struct store_work *work, const struct error *err)
{
    struct rewrite *r = container_of(work, struct rewrite, work);
    struct outbox *o = r->trim->outbox;
    if (err)
        log_failure(LOG_ERROR, "outbox", err);
    else
        count_growth(o, r->channel, r->grown, 0);
    for (size_t i = 0; !err && i < r->swap_count; i++) {
        const struct swap *swap = &r->swaps[i];
        if (swap->before)
            count_growth(o, swap->channel, 0, (int64_t)swap->size - swap->before);
    }
    atomic_fetch_sub(&r->trim->under_way, 1);
    rewrite_free(r);
}

/* 1: handed over, 0: no room now. */
static int
give(struct rewrite *r, size_t bytes)
{
    struct trim *t = r->trim;
    r->work = (struct store_work){.run = run, .done = done, .bytes = bytes, .essential = true};
    atomic_fetch_add(&t->under_way, 1);
    if (store_give_work(t->outbox->producer, &r->work, NULL))
        return 1;
    atomic_fetch_sub(&t->under_way, 1);
    rewrite_free(r);
    return 0;
}

/* The reference as a copy. An event that the journal no longer has stays a reference, which will be
 * a dead letter that says so; it holds nothing. */
static int
to_copy(struct trim *t, struct record *record, struct error *err)
{
    struct slice bytes;
    uint32_t epoch;
    if (record->form != RECORD_REFERENCE)
        return 0;
    int got = resolver_find(&t->resolver, record->lsn, &bytes, &epoch, err);
    if (got <= 0)
        return got;
    record->form = RECORD_COPY;
    record->body = bytes;
    record->epoch = epoch;
    return 0;
}

/* What was an own block's bytes stays so; what is made goes through a writer. */
struct part {
    struct out_block *block;
    struct record_writer writer;
};

static void
part_add(struct part *part, const struct record *record, uint64_t seq, int64_t written)
{
    if (!part->block) {
        part->block = out_block_new();
        part->block->first_seq = seq;
        record_begin(&part->writer, &part->block->data, written);
    }
    record_write(&part->writer, &part->block->data, record);
    part->block->count++;
}

static void
part_keep(struct part *part, const struct record *record, uint64_t seq, int64_t written)
{
    part_add(part, record, seq, written);
    uint64_t *lowest = &part->block->min_lsn;
    if (record->form == RECORD_REFERENCE && (!*lowest || record->lsn < *lowest))
        *lowest = record->lsn;
}

/* Copies from the beginning, as many as fit in a unit; the rest stays as it is for the next one. */
static int
split(struct rewrite *r, struct slice data, struct error *err)
{
    struct record_reader reader;
    struct record record;
    struct part copies = {0}, rest = {0};
    uint64_t seq = r->first_seq;
    int got = record_open(&reader, data, err) == 0 ? 1 : -1;
    while (got > 0 && (got = record_read(&reader, &record, err)) > 0) {
        bool room = !copies.block || copies.block->data.size < TRIM_UNIT;
        if (!room)
            part_keep(&rest, &record, seq, reader.written);
        else if ((got = to_copy(r->trim, &record, err)) == 0 && (got = 1))
            part_add(&copies, &record, seq, reader.written);
        seq++;
    }
    record_release(&reader);
    r->parts[0] = copies.block;
    r->parts[1] = rest.block;
    return got;
}

/* One block. Its rest becomes a block of its own, which is the next one to be found once this unit
 * is committed. 1: something was handed over, 0: no room, or nothing is left, -1. */
static int
rewrite_block(struct trim *t, uint64_t wanted, struct swap *at, size_t *bytes, struct error *err)
{
    sqlite3_stmt *row = query_use(t->reader, QUERY_BLOCK_OLD, err, "isi", (int64_t)wanted,
                                  at->channel, (int64_t)at->seq);
    int got = row ? sql_step(row, err) : -1;
    if (got <= 0)
        return got;
    struct rewrite *r = rewrite_new(t);
    snprintf(r->channel, sizeof(r->channel), "%s", (const char *)sqlite3_column_text(row, 0));
    r->first_seq = (uint64_t)sqlite3_column_int64(row, 1);
    r->count = (uint32_t)sqlite3_column_int64(row, 2);
    memcpy(at->channel, r->channel, sizeof(at->channel));
    at->seq = r->first_seq;
    got = split(r, query_blob(row, 3), err);
    sqlite3_reset(row);
    if (got == 0 && !r->parts[0])
        got = error_set(err, ERROR_CORRUPT, "outbox block of channel \"%s\" is empty", r->channel);
    if (got < 0) {
        rewrite_free(r);
        return -1;
    }
    size_t size = r->parts[0]->data.size + (r->parts[1] ? r->parts[1]->data.size : 0);
    *bytes += size;
    return give(r, size);
}

static int
add_swap(struct rewrite *r, const struct swap *at, struct slice message, struct error *err)
{
    struct record_reader reader;
    struct record record;
    int got = record_open(&reader, message, err);
    if (got == 0)
        got = record_read(&reader, &record, err) > 0 ? to_copy(r->trim, &record, err) : -1;
    record_release(&reader);
    if (got < 0)
        return -1;
    if (!(r->swap_count & (r->swap_count - 1)))
        r->swaps =
            memory_grow(r->swaps, (r->swap_count ? r->swap_count * 2 : 1) * sizeof(*r->swaps));
    struct swap *swap = &r->swaps[r->swap_count++];
    *swap = *at;
    swap->at = r->data.size;
    struct buffer single;
    buffer_init(&single, BLOCK_MAX);
    record_single(&single, reader.written, &record);
    buffer_slice(&r->data, buffer_view(&single));
    swap->size = single.size;
    buffer_release(&single);
    return 0;
}

/* Parked messages up to a unit's size. */
static int
rewrite_parked(struct trim *t, uint64_t wanted, struct swap *at, size_t *bytes, struct error *err)
{
    struct rewrite *r = rewrite_new(t);
    int got = 1;
    while (got > 0 && r->data.size < TRIM_UNIT) {
        sqlite3_stmt *row = query_use(t->reader, QUERY_PARKED_OLD, err, "isi", (int64_t)wanted,
                                      at->channel, (int64_t)at->seq);
        got = row ? sql_step(row, err) : -1;
        if (got <= 0)
            break;
        snprintf(at->channel, sizeof(at->channel), "%s", (const char *)sqlite3_column_text(row, 0));
        at->seq = (uint64_t)sqlite3_column_int64(row, 1);
        if (add_swap(r, at, query_blob(row, 2), err) != 0)
            got = -1;
        sqlite3_reset(row);
    }
    if (got < 0 || r->swap_count == 0) {
        rewrite_free(r);
        return got < 0 ? -1 : 0;
    }
    *bytes += r->data.size;
    size_t size = r->data.size;
    return give(r, size);
}

typedef int rewrite_some(struct trim *, uint64_t, struct swap *, size_t *, struct error *);

static void
rewrite_all(struct trim *t, uint64_t wanted, rewrite_some *some)
{
    struct error err = {0};
    struct swap at = {.channel = ""};
    size_t bytes = 0;
    int got = 1;
    while (got > 0 && bytes < TRIM_CALL)
        got = some(t, wanted, &at, &bytes, &err);
    if (got < 0)
        log_failure(LOG_ERROR, "outbox", &err);
}

/* The lowest lsn that a committed row refers to, at most `most`. */
static int
lowest(struct trim *t, uint64_t most, uint64_t *out, struct error *err)
{
    static const enum query_name names[] = {QUERY_BLOCK_LOWEST, QUERY_PARKED_LOWEST};
    *out = most;
    for (size_t i = 0; i < countof(names); i++) {
        int64_t lsn;
        if (query_number(query_use(t->reader, names[i], err, ""), &lsn, err) != 0)
            return -1;
        if (lsn > 0 && (uint64_t)lsn < *out)
            *out = (uint64_t)lsn;
    }
    return 0;
}

/* On failure nothing is trimmed: what can't be rewritten is held. */
static uint64_t
allow(void *context, uint64_t wanted)
{
    struct trim *t = context;
    struct error err = {0};
    uint64_t allowed = 0;
    if (!t->reader)
        t->reader = store_reader(t->outbox->store, &err);
    if (!t->reader || lowest(t, wanted, &allowed, &err) != 0) {
        log_failure(LOG_ERROR, "outbox", &err);
        return 0;
    }
    if (allowed < wanted && atomic_load(&t->under_way) == 0) {
        rewrite_all(t, wanted, rewrite_block);
        rewrite_all(t, wanted, rewrite_parked);
    }
    return allowed;
}

struct store_trim_guard
outbox_trim_guard(struct outbox *o)
{
    return (struct store_trim_guard){.allow = allow, .context = o->trim};
}
