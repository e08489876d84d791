/* The consumer's thread: reads the journal in order, lets the rules decide, and hands each batch's
 * messages together with the checkpoint to the store as one unit. It does not wait for the commit:
 * after a crash only what was not committed is run again, and none of that was sent. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "event/codec.h"
#include "rules/rules_private.h"

enum {
    BATCH_INPUT = 256 * 1024,  /* bytes of records; a batch ends with the event that reaches it */
    BATCH_OUTPUT = 256 * 1024, /* bytes of messages, likewise */
    BATCH_EVENTS = 1000,
    UNIT_BYTES = 256,         /* what a unit weighs beside its messages */
    AHEAD = 2 * BATCH_OUTPUT, /* bytes given to the store and not committed: one unit is under
                                 commit, one is next. More would only make an urgent event of a
                                 quiet source wait behind the backlog of another. */
};

#define CHECKPOINT_AFTER CLOCK_SECOND /* the longest that a checkpoint without results waits */
#define RETRY_AFTER      CLOCK_SECOND

struct consumer {
    char *name;
    struct store *store;
    struct journal *journal;
    struct outbox *outbox;
    struct rules *rules;
    struct store_producer *producer;
    struct journal_reader *reader;
    struct wake wake;
    struct thread thread;
    _Atomic bool stopping;

    /* Rules thread only. */
    struct journal_block block; /* under reading */
    struct scan records;        /* what is left of it */
    uint64_t block_next;        /* the lsn of its next record; past its last one: read on */
    uint64_t next;              /* the next lsn to decide */
    uint64_t given;             /* the newest lsn that the store was given as checkpoint */
    int64_t waiting_since;      /* clock_mono since when next - 1 is ahead of given; 0: it is not */
    bool lost;                  /* a draft was dropped: recover before anything else is read */
    struct outbox_draft *draft;
    struct arena arena; /* of one event */
    struct {
        size_t bytes, events;
    } batch;

    /* Store thread only: the first lsn after which nothing may be committed, because a unit of this
     * consumer failed; 0: none. */
    _Atomic uint64_t poisoned;
    _Atomic uint32_t under_way; /* units given and not done */

    _Atomic uint64_t position, checkpoint, events, corrupt;
    pthread_mutex_t lock;
    struct error error; /* under the lock */
};

struct unit {
    struct store_work work;
    struct consumer *consumer;
    struct outbox_draft *draft; /* NULL: the checkpoint alone */
    uint64_t lsn;
};

static void
set_error(struct consumer *c, const struct error *err)
{
    pthread_mutex_lock(&c->lock);
    bool new = err &&strcmp(c->error.message, err->message) != 0;
    c->error = err ? *err : (struct error){0};
    pthread_mutex_unlock(&c->lock);
    if (new)
        log_failure(LOG_ERROR, "rules", err);
}

/* Store thread. A unit behind one that failed must not move the checkpoint past what was lost. */
static int
unit_run(struct store_work *work, sqlite3 *db, struct error *err)
{
    struct unit *u = container_of(work, struct unit, work);
    struct consumer *c = u->consumer;
    uint64_t poisoned = atomic_load(&c->poisoned);
    if (poisoned && poisoned < u->lsn)
        return error_set(err, ERROR_INTERNAL, "an earlier batch of consumer \"%s\" has failed",
                         c->name);
    if ((!u->draft || outbox_draft_run(u->draft, db, err) == 0) &&
        store_checkpoint(db, c->name, u->lsn, err) == 0) {
        atomic_store(&c->poisoned, 0);
        return 0;
    }
    atomic_store(&c->poisoned, u->lsn);
    return error_context(err, "consumer \"%s\"", c->name);
}

/* Store thread. */
static void
unit_done(struct store_work *work, const struct error *err)
{
    struct unit *u = container_of(work, struct unit, work);
    struct consumer *c = u->consumer;
    if (!err) {
        if (u->draft)
            outbox_draft_done(u->draft);
        store_checkpoint_done(c->store, c->name, u->lsn);
        atomic_store(&c->checkpoint, u->lsn);
    } else {
        uint64_t none = 0;
        atomic_compare_exchange_strong(&c->poisoned, &none, u->lsn);
        set_error(c, err);
    }
    outbox_draft_free(u->draft);
    free(u);
    atomic_fetch_sub(&c->under_way, 1);
    if (err)
        wake_poke(&c->wake);
}

/* One try: true when the store took it. */
static bool
give(struct consumer *c, struct unit *u)
{
    atomic_fetch_add(&c->under_way, 1);
    if (store_give_work(c->producer, &u->work, NULL))
        return true;
    atomic_fetch_sub(&c->under_way, 1);
    return false;
}

static struct unit *
unit_new(struct consumer *c, struct outbox_draft *draft)
{
    struct unit *u = memory_zero(sizeof(*u));
    u->work.run = unit_run;
    u->work.done = unit_done;
    u->work.lazy = draft == NULL;
    u->work.bytes = UNIT_BYTES + (draft ? outbox_draft_bytes(draft) : 0);
    u->consumer = c;
    u->draft = draft;
    u->lsn = c->next - 1;
    return u;
}

/* Hands the draft over, waiting for room. Dropped when the consumer is to end. */
static void
give_draft(struct consumer *c)
{
    struct unit *u = unit_new(c, c->draft);
    uint64_t lsn = u->lsn;
    c->draft = NULL;
    while (!give(c, u)) {
        wake_wait(&c->wake, CLOCK_SECOND);
        if (atomic_load(&c->stopping) || atomic_load(&c->poisoned)) {
            c->lost = true; /* the unit that failed may yet be committed at its second try */
            outbox_draft_free(u->draft);
            free(u);
            return;
        }
    }
    c->given = lsn;
    c->waiting_since = 0;
}

/* A checkpoint that no message came with: at its time, or `now`. */
static void
give_checkpoint(struct consumer *c, bool now)
{
    if (c->next - 1 == c->given)
        return;
    if (!c->waiting_since)
        c->waiting_since = clock_mono();
    if (!now && clock_mono() - c->waiting_since < CHECKPOINT_AFTER)
        return;
    struct unit *u = unit_new(c, NULL);
    uint64_t lsn = u->lsn;
    if (!give(c, u)) {
        free(u);
        return;
    }
    c->given = lsn;
    c->waiting_since = 0;
}

static void
set_next(struct consumer *c, uint64_t next)
{
    c->next = next;
    atomic_store_explicit(&c->position, next - 1, memory_order_relaxed);
}

static const struct schema *
gap_schema(struct consumer *c, struct error *err)
{
    struct schema draft = {.source = slice_literal("journal"), .driver = slice_literal("tidegate")};
    return schema_intern(store_schemas(c->store), &draft, err);
}

/* Events next … until - 1 were trimmed before they were read: said to the rules that ask for it. */
static void
handle_gap(struct consumer *c, uint64_t until)
{
    struct error err = {0};
    const struct schema *schema = gap_schema(c, &err);
    uint64_t last = until - 1, count = journal_distance(c->next - 1, last);
    log_error("rules",
              "consumer \"%s\": %" PRIu64 " events (lsn %" PRIu64 " to %" PRIu64
              ") were dropped from the journal before they were read",
              c->name, count, c->next, last);
    if (schema) {
        struct event e = {.op = EVENT_GAP, .ts = clock_now(), .schema = schema};
        e.position = slice_of(arena_printf(&c->arena, "%s:%" PRIu64 "-%" PRIu64,
                                           journal_id(c->journal), c->next, last));
        e.gap =
            slice_of(arena_printf(&c->arena,
                                  "{\"reason\":\"dropped before it was read\",\"from_lsn\":%" PRIu64
                                  ",\"to_lsn\":%" PRIu64 ",\"count\":%" PRIu64 "}",
                                  c->next, last, count));
        dispatch_event(c->rules, &e, c->draft);
        arena_reset(&c->arena);
    } else {
        set_error(c, &err);
    }
    set_next(c, until);
}

static void
count_corrupt(struct consumer *c, uint64_t records, struct error *err)
{
    atomic_fetch_add_explicit(&c->corrupt, records, memory_order_relaxed);
    error_context(err, "consumer \"%s\": lsn %" PRIu64 " (%" PRIu64 " events) set aside", c->name,
                  c->next, records);
    log_failure(LOG_ERROR, "rules", err);
}

static void
handle_record(struct consumer *c, struct slice record)
{
    struct error err = {0};
    struct event e;
    struct scan one = scan_of(record);
    if (codec_decode(&one, store_schemas(c->store), &c->arena, &e, &err) != 0) {
        count_corrupt(c, 1, &err);
    } else {
        e.lsn = c->next;
        e.epoch = c->block.epoch;
        dispatch_event(c->rules, &e, c->draft);
    }
    arena_reset(&c->arena);
}

/* The next record of the block; where its length is wrong the rest of the block is lost. */
static void
take_record(struct consumer *c)
{
    struct error err = {0};
    uint64_t schema, end = c->block.first_lsn + c->block.count;
    enum event_op op;
    struct slice record;
    if (codec_peek(&c->records, &schema, &op, &record, &err) != 0) {
        count_corrupt(c, end - c->block_next, &err);
        c->block_next = end;
        set_next(c, end);
        return;
    }
    uint64_t lsn = c->block_next++;
    if (lsn < c->next) /* the block began before the checkpoint */
        return;
    if (op < EVENT_OPS && rules_wants(c->rules, schema, op))
        handle_record(c, record);
    c->batch.bytes += record.size;
    c->batch.events++;
    atomic_fetch_add_explicit(&c->events, 1, memory_order_relaxed);
    set_next(c, lsn + 1);
}

/* 1: there is a record to take; 0: the journal has no more; -1. */
static int
next_block(struct consumer *c, struct error *err)
{
    uint64_t oldest;
    int got = journal_read(c->reader, &c->block, err);
    if (got < 0)
        return -1;
    if (got == 0) {
        oldest = journal_oldest(c->journal);
        if (oldest > c->next)
            handle_gap(c, oldest);
        return 0;
    }
    c->records = scan_of(c->block.records);
    c->block_next = c->block.first_lsn;
    if (c->block.count && c->block.first_lsn > c->next)
        handle_gap(c, c->block.first_lsn);
    return 1;
}

static bool
is_full(const struct consumer *c)
{
    return c->batch.bytes >= BATCH_INPUT || c->batch.events >= BATCH_EVENTS ||
           outbox_draft_bytes(c->draft) >= BATCH_OUTPUT;
}

/* Gathers a batch: what there is, up to its size. As next_block. */
static int
gather(struct consumer *c, struct error *err)
{
    c->batch.bytes = c->batch.events = 0;
    outbox_draft_free(c->draft); /* an empty one is too old: messages age from its making */
    c->draft = outbox_draft_new(c->outbox);
    while (!atomic_load_explicit(&c->stopping, memory_order_relaxed) && !is_full(c)) {
        if (c->block_next < c->block.first_lsn + c->block.count) {
            take_record(c);
            continue;
        }
        int got = next_block(c, err);
        if (got <= 0)
            return got;
    }
    return 1;
}

/* After a unit that failed: once nothing is under way, from the last good checkpoint on. */
static void
recover(struct consumer *c)
{
    while (atomic_load(&c->under_way) && !atomic_load(&c->stopping))
        wake_wait(&c->wake, RETRY_AFTER);
    if (!atomic_load(&c->stopping))
        wake_wait(&c->wake, RETRY_AFTER);
    outbox_draft_free(c->draft);
    c->draft = NULL;
    c->lost = false;
    c->given = atomic_load(&c->checkpoint);
    c->waiting_since = 0;
    set_next(c, c->given + 1);
    c->block = (struct journal_block){0};
    c->block_next = 0;
    journal_seek(c->reader, c->next);
    atomic_store(&c->poisoned, 0);
}

static int64_t
remaining(int64_t since)
{
    int64_t left = since + CHECKPOINT_AFTER - clock_mono();
    return left > 0 ? left : 0;
}

static void
wait_for_more(struct consumer *c, bool failed)
{
    int64_t wait = -1;
    if (failed)
        wait = RETRY_AFTER;
    else if (c->waiting_since)
        wait = remaining(c->waiting_since);
    if (wait != 0)
        wake_wait(&c->wake, wait);
}

/* One batch; then waits if there is nothing more to read. */
static void
turn(struct consumer *c)
{
    struct error err = {0};
    if (c->lost || atomic_load(&c->poisoned)) {
        recover(c);
        return;
    }
    if (!store_allows_work(c->store)) {
        error_set(&err, ERROR_FULL, "rules wait until the disk has more space");
        set_error(c, &err);
        wake_wait(&c->wake, RETRY_AFTER);
        return;
    }
    int more = gather(c, &err);
    set_error(c, more < 0 ? &err : NULL);
    if (atomic_load(&c->stopping))
        return;
    if (outbox_draft_count(c->draft))
        give_draft(c);
    else
        give_checkpoint(c, false);
    if (more <= 0)
        wait_for_more(c, more < 0);
}

static void
consumer_body(void *arg)
{
    struct consumer *c = arg;
    while (!atomic_load(&c->stopping))
        turn(c);
}

static int
open_parts(struct consumer *c, struct error *err)
{
    struct store_consumer known;
    if (store_consumer_open(c->store, c->name, &known, err) != 0 || wake_init(&c->wake, err) != 0)
        return -1;
    atomic_store(&c->checkpoint, known.checkpoint);
    c->given = known.checkpoint;
    set_next(c, known.checkpoint + 1);
    c->reader = journal_reader_open(c->journal);
    journal_seek(c->reader, c->next);
    c->producer = store_producer_open(c->store, c->name, AHEAD, &c->wake);
    journal_subscribe(c->journal, &c->wake);
    return 0;
}

struct consumer *
consumer_new(const struct consumer_plan *plan, struct error *err)
{
    struct consumer *c = memory_zero(sizeof(*c));
    c->name = memory_text(plan->name);
    c->store = plan->store;
    c->journal = store_journal(plan->store);
    c->outbox = plan->outbox;
    c->rules = plan->rules;
    c->wake.fd = -1;
    arena_init(&c->arena, 0);
    pthread_mutex_init(&c->lock, NULL);
    plan->rules->consumer = slice_of(c->name);
    if (open_parts(c, err) == 0)
        return c;
    consumer_free(c);
    return NULL;
}

int
consumer_start(struct consumer *c, struct error *err)
{
    char name[16];
    snprintf(name, sizeof(name), "rules/%s", c->name);
    return thread_start(&c->thread, name, consumer_body, c, err);
}

void
consumer_stop(struct consumer *c)
{
    atomic_store(&c->stopping, true);
    wake_poke(&c->wake);
    thread_join(&c->thread);
}

void
consumer_free(struct consumer *c)
{
    if (!c)
        return;
    if (c->thread.running)
        consumer_stop(c);
    if (c->producer) {
        journal_unsubscribe(c->journal, &c->wake);
        store_producer_close(c->producer);
    }
    if (c->reader)
        journal_reader_close(c->reader);
    outbox_draft_free(c->draft);
    if (c->wake.fd >= 0)
        wake_release(&c->wake);
    pthread_mutex_destroy(&c->lock);
    arena_release(&c->arena);
    free(c->name);
    free(c);
}

void
consumer_status(struct consumer *c, struct consumer_status *out)
{
    *out = (struct consumer_status){
        .position = atomic_load_explicit(&c->position, memory_order_relaxed),
        .checkpoint = atomic_load(&c->checkpoint),
        .events = atomic_load_explicit(&c->events, memory_order_relaxed),
        .entered = atomic_load_explicit(&c->rules->entered, memory_order_relaxed),
        .corrupt = atomic_load_explicit(&c->corrupt, memory_order_relaxed),
    };
    pthread_mutex_lock(&c->lock);
    out->error = c->error;
    pthread_mutex_unlock(&c->lock);
}
