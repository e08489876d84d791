/* What the channel's thread has to say to the tables: gathered, then handed over as one lazy unit
 * that rides with the next commit. Units of a queue are committed in the order of their numbers. */
#include <stdlib.h>

#include "base/fault.h"
#include "base/log.h"
#include "outbox/queue.h"

enum {
    MARK_BYTES = 256 * 1024, /* handed over from here on, without waiting for the turn */
    MARK_PRUNE = 1000,       /* dead letters dropped in one unit */
    MARK_WEIGHT = 256,       /* of a row beside its texts */
};
#define MARK_LIMIT ((size_t)1 << 31)

enum change_kind { CHANGE_PUT, CHANGE_MOVE, CHANGE_DROP };

struct row_change {
    enum change_kind kind;
    struct mark_row row; /* reason: in `data` */
    size_t reason;
    size_t message, message_size;
};

struct mark {
    struct store_work work;
    struct outbox_queue *queue;
    uint64_t number;
    uint64_t done_seq;
    uint8_t above[QUEUE_WINDOW / 8];
    int breaker;
    int64_t probe_at;
    struct row_change *changes;
    size_t count, capacity;
    struct buffer data;
    bool prune; /* drop dead letters: older than, or while so many bytes are too many */
    int64_t prune_before, prune_bytes;
    uint64_t pruned; /* by `run` */
    int64_t pruned_bytes;
};

void
mark_free(struct mark *mark)
{
    if (!mark)
        return;
    free(mark->changes);
    buffer_release(&mark->data);
    free(mark);
}

static struct mark *
open_mark(struct outbox_queue *q)
{
    if (q->mark)
        return q->mark;
    q->mark = memory_zero(sizeof(*q->mark));
    q->mark->queue = q;
    q->mark->number = q->marks + 1;
    buffer_init(&q->mark->data, MARK_LIMIT);
    return q->mark;
}

static void
add(struct outbox_queue *q, enum change_kind kind, const struct mark_row *row, struct slice message)
{
    struct mark *mark = open_mark(q);
    if (mark->count == mark->capacity) {
        mark->capacity = mark->capacity ? mark->capacity * 2 : 16;
        mark->changes = memory_grow(mark->changes, mark->capacity * sizeof(*mark->changes));
    }
    struct row_change *change = &mark->changes[mark->count++];
    *change = (struct row_change){.kind = kind, .row = *row, .reason = mark->data.size};
    buffer_append(&mark->data, row->reason ? row->reason : "",
                  (row->reason ? strlen(row->reason) : 0) + 1);
    change->message = mark->data.size;
    change->message_size = message.size;
    buffer_slice(&mark->data, message);
}

bool
mark_full(const struct outbox_queue *q)
{
    return q->mark && q->mark->data.size >= MARK_BYTES;
}

void
mark_put(struct outbox_queue *q, const struct mark_row *row, struct slice message)
{
    add(q, CHANGE_PUT, row, message);
}

void
mark_move(struct outbox_queue *q, const struct mark_row *row)
{
    add(q, CHANGE_MOVE, row, (struct slice){"", 0});
}

void
mark_drop(struct outbox_queue *q, uint64_t seq)
{
    add(q, CHANGE_DROP, &(struct mark_row){.seq = seq}, (struct slice){"", 0});
}

bool
mark_pending(const struct outbox_queue *q)
{
    return q->dirty || q->mark;
}

/* A message that refers to an event below the oldest was rewritten in its block meanwhile: that
 * form is the one to keep. Else `message` as it is. */
static int
newest_form(const char *channel, const struct mark_row *row, sqlite3 *db, struct buffer *message,
            struct error *err)
{
    sqlite3_stmt *found = query_use(db, QUERY_BLOCK_AT, err, "si", channel, (int64_t)row->seq);
    int got = found ? sql_step(found, err) : -1;
    if (got <= 0)
        return got;
    struct record_reader reader;
    struct record record;
    uint64_t seq = (uint64_t)sqlite3_column_int64(found, 0);
    uint64_t min_lsn = (uint64_t)sqlite3_column_int64(found, 3);
    if ((min_lsn && min_lsn <= row->lsn) ||
        row->seq >= seq + (uint64_t)sqlite3_column_int64(found, 1)) {
        sqlite3_reset(found);
        return 0;
    }
    got = record_open(&reader, query_blob(found, 2), err);
    for (; got == 0 && seq <= row->seq; seq++)
        got = record_read(&reader, &record, err) > 0 ? 0 : -1;
    if (got == 0 && record.form == RECORD_COPY) {
        buffer_reset(message);
        record_single(message, reader.written, &record);
        got = 1;
    }
    record_release(&reader);
    sqlite3_reset(found);
    return got;
}

static int
run_put(struct mark *mark, const struct row_change *change, sqlite3 *db, struct error *err)
{
    const struct mark_row *row = &change->row;
    const char *channel = mark->queue->name;
    struct buffer rewritten;
    struct slice message = {mark->data.data + change->message, change->message_size};
    int64_t lsn = (int64_t)row->lsn;
    buffer_init(&rewritten, BLOCK_MAX);
    int got = row->lsn ? newest_form(channel, row, db, &rewritten, err) : 0;
    if (got > 0) {
        message = buffer_view(&rewritten);
        lsn = 0;
    }
    if (got >= 0)
        got = query_do(db, QUERY_PARKED_PUT, err, "siiiiiiisb", channel, (int64_t)row->seq,
                       (int64_t)row->key, (int64_t)row->state, (int64_t)row->attempts,
                       row->first_at, row->next_at, lsn, mark->data.data + change->reason, message);
    buffer_release(&rewritten);
    return got;
}

static int
run_move(struct mark *mark, const struct row_change *change, sqlite3 *db, struct error *err)
{
    const struct mark_row *row = &change->row;
    return query_do(db, QUERY_PARKED_MOVE, err, "siiiiis", mark->queue->name, (int64_t)row->seq,
                    (int64_t)row->state, (int64_t)row->attempts, row->first_at, row->next_at,
                    mark->data.data + change->reason);
}

static int
run_drop(struct mark *mark, const struct row_change *change, sqlite3 *db, struct error *err)
{
    return query_do(db, QUERY_PARKED_DROP, err, "si", mark->queue->name, (int64_t)change->row.seq);
}

static int (*const runs[])(struct mark *, const struct row_change *, sqlite3 *, struct error *) = {
    [CHANGE_PUT] = run_put,
    [CHANGE_MOVE] = run_move,
    [CHANGE_DROP] = run_drop,
};

/* The oldest dead letters, as many as must go. */
static int
list_prunable(struct mark *mark, sqlite3 *db, int64_t seqs[MARK_PRUNE], struct error *err)
{
    sqlite3_stmt *rows =
        query_use(db, QUERY_PARKED_PRUNE, err, "si", mark->queue->name, (int64_t)MARK_PRUNE);
    int got = -1, count = 0;
    mark->pruned_bytes = 0;
    while (rows && (got = sql_step(rows, err)) > 0) {
        if (sqlite3_column_int64(rows, 2) >= mark->prune_before &&
            mark->pruned_bytes >= mark->prune_bytes)
            break;
        seqs[count++] = sqlite3_column_int64(rows, 0);
        mark->pruned_bytes += sqlite3_column_int64(rows, 1);
    }
    if (rows)
        sqlite3_reset(rows);
    return got < 0 ? -1 : count;
}

static int
prune(struct mark *mark, sqlite3 *db, struct error *err)
{
    int64_t seqs[MARK_PRUNE];
    int count = list_prunable(mark, db, seqs, err);
    for (int i = 0; i < count; i++) {
        if (query_do(db, QUERY_PARKED_DROP, err, "si", mark->queue->name, seqs[i]) != 0)
            return -1;
    }
    mark->pruned = count > 0 ? (uint64_t)count : 0;
    return count < 0 ? -1 : 0;
}

static int
run(struct store_work *work, sqlite3 *db, struct error *err)
{
    struct mark *mark = container_of(work, struct mark, work);
    const char *channel = mark->queue->name;
    for (size_t i = 0; i < mark->count; i++) {
        if (runs[mark->changes[i].kind](mark, &mark->changes[i], db, err) != 0)
            return -1;
    }
    struct slice above = {(const char *)mark->above, sizeof(mark->above)};
    while (above.size && above.data[above.size - 1] == 0)
        above.size--;
    if (query_do(db, QUERY_CURSOR_PUT, err, "sibii", channel, (int64_t)mark->done_seq, above,
                 (int64_t)mark->breaker, mark->probe_at) != 0 ||
        query_do(db, QUERY_BLOCK_DONE, err, "si", channel, (int64_t)mark->done_seq) != 0)
        return -1;
    return mark->prune ? prune(mark, db, err) : 0;
}

static void
done(struct store_work *work, const struct error *err)
{
    struct mark *mark = container_of(work, struct mark, work);
    struct outbox_queue *q = mark->queue;
    bool wake = mark->count > 0 || mark->prune || err;
    pthread_mutex_lock(&q->lock);
    q->committed = mark->number;
    if (mark->prune) {
        q->pruning = false;
        q->prune_more = mark->pruned == MARK_PRUNE;
    }
    if (err) {
        q->mark_error = *err;
    } else {
        q->dead -= mark->pruned;
        q->dead_bytes -= mark->pruned_bytes;
        q->pruned += mark->pruned;
    }
    pthread_mutex_unlock(&q->lock);
    if (!err && mark->pruned)
        log_warning(q->component, "%llu dead letters dropped: too old, or more than fit",
                    (unsigned long long)mark->pruned);
    mark_free(mark);
    if (wake)
        queue_poke(q);
}

bool
mark_wants_prune(struct outbox_queue *q)
{
    int64_t mono = clock_mono();
    pthread_mutex_lock(&q->lock);
    bool over = q->dead_bytes > q->outbox->options.dead_bytes;
    bool busy = q->pruning;
    bool old = q->dead && (q->prune_more || mono - q->pruned_at >= QUEUE_PATIENCE);
    pthread_mutex_unlock(&q->lock);
    return !busy && (over || old);
}

static void
want_prune(struct outbox_queue *q, struct mark *mark)
{
    if (mark->prune || !mark_wants_prune(q))
        return; /* decided already, when it was not taken the first time */
    q->pruned_at = clock_mono();
    mark->prune = true;
    mark->prune_before = clock_now() - q->outbox->options.dead_age;
    pthread_mutex_lock(&q->lock);
    mark->prune_bytes = q->dead_bytes - q->outbox->options.dead_bytes;
    q->pruning = true;
    pthread_mutex_unlock(&q->lock);
}

bool
mark_give(struct outbox_queue *q)
{
    fault_point("outbox.before_mark");
    struct mark *mark = open_mark(q);
    mark->done_seq = q->done_seq;
    mark->breaker = q->breaker;
    mark->probe_at = q->probe_at;
    out_window_bitmap(q, mark->above);
    if (sabotage("outbox.skip_mark"))
        memset(mark->above, 0, sizeof(mark->above));
    want_prune(q, mark);
    mark->work = (struct store_work){
        .run = run,
        .done = done,
        .bytes = mark->data.size + mark->count * MARK_WEIGHT + sizeof(mark->above),
        .lazy = true,
        .essential = true,
    };
    if (!store_give_work(q->producer, &mark->work, NULL))
        return false;
    q->marks++;
    q->mark = NULL;
    q->dirty = false;
    return true;
}
