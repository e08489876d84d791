/* A store with an outbox in a folder of its own. The test is the channel: it takes and answers on
 * its own thread, so each step is decided by the test. */
#ifndef UNIT_OUTBOX_RIG_H
#define UNIT_OUTBOX_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "outbox/queue.h"
#include "support/event_make.h"
#include "support/journal_make.h"

#define RIG_QUEUES 4
#define unused     __attribute__((unused))

struct rig {
    char *folder;
    struct store_options store_options;
    struct outbox_options options;
    struct channel_common common;
    struct store *store;
    struct outbox *outbox;
    struct outbox_queue *queues[RIG_QUEUES];
    struct outbox_queue *q; /* the first */
    unsigned queue_count;
};

/* Not assert_…: the bench uses it too, and a child that is to be killed. */
#define rig_must(condition) ((condition) ? (void)0 : rig_fail(#condition, __LINE__))

static struct error rig_error;

static unused void
rig_fail(const char *what, int line)
{
    char text[2200];
    fprintf(stderr, "rig.h:%d: %s: %s\n", line, what, error_text(&rig_error, text, sizeof(text)));
    abort();
}

static unused void
rig_init(struct rig *r)
{
    *r = (struct rig){
        .folder = folder_make("outbox"),
        .options = {30 * 86400 * CLOCK_SECOND, INT64_C(1) << 30},
        .common = {.order = ORDER_KEY,
                   .attempts = 20,
                   .concurrency = 256,
                   .max_age = 3 * 86400 * CLOCK_SECOND,
                   .max_bytes = INT64_C(4) << 30,
                   .backoff = {CLOCK_SECOND, 600 * CLOCK_SECOND},
                   .breaker = {50, 5 * CLOCK_SECOND}},
        .queue_count = 1,
    };
    r->store_options = (struct store_options){.folder = r->folder,
                                              .journal_age = 3600 * CLOCK_SECOND,
                                              .journal_size = INT64_C(1) << 30,
                                              .consumer_expiry = 86400 * CLOCK_SECOND,
                                              .segment_bytes = 256 * 1024};
}

static unused void
rig_open(struct rig *r)
{
    static const char *const names[RIG_QUEUES] = {"ops", "billing", "out", "dead"};
    rig_must(r->store = store_open(&r->store_options, &rig_error));
    rig_must(r->outbox = outbox_open(r->store, &r->options, &rig_error));
    for (unsigned i = 0; i < r->queue_count; i++)
        rig_must(r->queues[i] = outbox_attach(r->outbox, names[i], &r->common, &rig_error));
    r->q = r->queues[0];
    store_trim_guard(r->store, outbox_trim_guard(r->outbox));
    rig_must(store_start(r->store, &rig_error) == 0);
}

/* As a daemon ends; without the flush what was answered last is forgotten, as after a kill. */
static unused void
rig_close(struct rig *r, bool flush)
{
    if (flush)
        outbox_flush(r->outbox);
    store_stop(r->store);
    outbox_close(r->outbox);
    store_close(r->store);
    r->store = NULL;
    r->q = NULL;
}

static unused void
rig_reopen(struct rig *r)
{
    rig_close(r, true);
    rig_open(r);
}

static unused void
rig_release(struct rig *r)
{
    if (r->store)
        rig_close(r, true);
    folder_remove(r->folder);
}

/* For cmocka: the state is a rig that is not open yet. */
static unused int
rig_setup(void **state)
{
    struct rig *r = memory_alloc(sizeof(*r));
    rig_init(r);
    *state = r;
    return 0;
}

static unused int
rig_teardown(void **state)
{
    rig_release(*state);
    free(*state);
    return 0;
}

/* Message `number`: a text that is its number. */
static unused void
rig_put(struct outbox_draft *d, struct outbox_queue *q, uint64_t key, unsigned number)
{
    char text[32];
    struct outbox_message m = {.queue = q,
                               .kind = MESSAGE_TEXT,
                               .event_id = slice_literal("shop:1:9"),
                               .rule = slice_literal("main/rule"),
                               .lsn = number + 1,
                               .created = number + 1,
                               .key_hash = key,
                               .body = {text, (size_t)sprintf(text, "%u", number)}};
    memcpy(m.id, &number, sizeof(number));
    rig_must(outbox_put(d, &m, &rig_error) == 0);
}

struct rig_unit {
    struct store_work work;
    struct outbox_draft *draft;
    bool twice; /* the transaction is rolled back once */
};

static unused int
rig_run(struct store_work *work, sqlite3 *db, struct error *err)
{
    struct rig_unit *unit = container_of(work, struct rig_unit, work);
    if (unit->twice) {
        rig_must(sqlite3_exec(db, "SAVEPOINT rig", NULL, NULL, NULL) == SQLITE_OK);
        rig_must(outbox_draft_run(unit->draft, db, err) == 0);
        rig_must(sqlite3_exec(db, "ROLLBACK TO rig; RELEASE rig", NULL, NULL, NULL) == SQLITE_OK);
    }
    return outbox_draft_run(unit->draft, db, err);
}

static unused void
rig_done(struct store_work *work, const struct error *err)
{
    struct rig_unit *unit = container_of(work, struct rig_unit, work);
    rig_must(!err);
    outbox_draft_done(unit->draft);
    outbox_draft_free(unit->draft);
    free(unit);
}

static unused void
rig_commit_as(struct rig *r, struct outbox_draft *d, bool twice)
{
    struct rig_unit *unit = memory_zero(sizeof(*unit));
    *unit = (struct rig_unit){
        .work = {.run = rig_run, .done = rig_done, .bytes = outbox_draft_bytes(d)},
        .draft = d,
        .twice = twice};
    rig_must(store_run_now(r->store, &unit->work, &rig_error) == 0);
}

static unused void
rig_commit(struct rig *r, struct outbox_draft *d)
{
    rig_commit_as(r, d, false);
}

/* Messages from…to - 1 to the first queue, each with the key number % keys. */
static unused void
rig_send(struct rig *r, unsigned from, unsigned to, unsigned keys)
{
    struct outbox_draft *d = outbox_draft_new(r->outbox);
    for (unsigned i = from; i < to; i++)
        rig_put(d, r->q, i % keys + 1, i);
    rig_commit(r, d);
}

static unused unsigned
rig_number(const struct delivery *delivery)
{
    unsigned number = 0;
    for (size_t i = 0; i < delivery->body.size; i++)
        number = number * 10 + (unsigned)(delivery->body.data[i] - '0');
    return number;
}

static unused void
rig_answer(struct outbox_queue *q, struct delivery *delivery, enum channel_class class)
{
    struct channel_answer answer = {.class = class};
    snprintf(answer.reason, sizeof(answer.reason), "%s",
             class == CHANNEL_DELIVERED ? "" : "on purpose");
    queue_answer(q, delivery, &answer);
}

/* Waits until all marks are committed and seen. */
static unused void
rig_settle(struct outbox_queue *q)
{
    for (int i = 0; i < 10000; i++) {
        queue_turn(q);
        queue_adopt(q);
        if (!mark_pending(q) && q->seen == q->marks)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    rig_fail("marks were not committed in 10 s", __LINE__);
}

/* Takes and delivers all that can go; how many. */
static unused size_t
rig_drain(struct outbox_queue *q)
{
    struct delivery *list[512];
    size_t total = 0, count;
    while ((count = queue_take(q, list, countof(list))) > 0) {
        for (size_t i = 0; i < count; i++)
            rig_answer(q, list[i], CHANNEL_DELIVERED);
        total += count;
    }
    return total;
}

static unused struct outbox_status
rig_status(struct rig *r, unsigned queue)
{
    struct outbox_status *list;
    queue_turn(r->queues[queue]);
    rig_must(outbox_status_list(r->outbox, &list) == r->queue_count);
    struct outbox_status status = list[queue];
    free(list);
    return status;
}

/* Journals events `from`…`to` - 1, in batches of `each`: event n is an insert of row n whose text
 * is `bytes` long. They get the lsns from the newest on. */
static unused void
rig_journal(struct rig *r, unsigned from, unsigned to, unsigned each, size_t bytes)
{
    struct wake wake;
    rig_must(wake_init(&wake, &rig_error) == 0);
    struct store_producer *producer = store_producer_open(r->store, "shop", 0, &wake);
    struct schema column_names = {
        .source = slice_literal("shop"),
        .driver = slice_literal("sqlite"),
        .schema = slice_literal("main"),
        .table = slice_literal("orders"),
        .column_count = 2,
        .columns = (struct column[]){{.name = slice_literal("id"), .family = FAMILY_INT, .key = 1},
                                     {.name = slice_literal("note"), .family = FAMILY_TEXT}}};
    const struct schema *schema = schema_intern(store_schemas(r->store), &column_names, &rig_error);
    rig_must(schema);
    char *text = memory_zero(bytes + 1), position[32];
    uint64_t unit = 0, noise = from;
    for (unsigned n = from; n < to;) {
        struct batch *batch = batch_new("shop", 1);
        for (unsigned k = 0; k < each && n < to; k++, n++) {
            for (size_t i = 0; i < bytes; i++) /* nothing that packs well: segments must fill */
                text[i] = (char)('a' + (noise = noise * 6364136223846793005u + 1) /
                                           (UINT64_MAX / 26 + 1));
            struct cell cells[2] = {{.kind = CELL_INT, .integer = n},
                                    {.kind = CELL_TEXT, .text = {text, bytes}}};
            struct event e = {.op = EVENT_INSERT,
                              .ts = 1763707320000001,
                              .epoch = 1,
                              .schema = schema,
                              .position = {position, (size_t)sprintf(position, "%u", n)},
                              .rows = {[EVENT_NEW] = {true, 2, cells}}};
            rig_must(batch_add(batch, &e, &rig_error) == 0);
        }
        batch_seal(batch, slice_literal("somewhere"), 1763707320000001);
        while (!store_give_batch(producer, batch, &unit))
            wake_wait(&wake, CLOCK_SECOND / 100);
    }
    while (store_committed(producer) < unit)
        wake_wait(&wake, CLOCK_SECOND / 100);
    store_producer_close(producer);
    wake_release(&wake);
    free(text);
}

/* The event of an lsn, by reference, in the shape. */
static unused void
rig_put_event(struct outbox_draft *d, struct outbox_queue *q, uint64_t lsn,
              const struct event_shape *shape)
{
    struct outbox_message m = {.queue = q,
                               .kind = MESSAGE_EVENT,
                               .event_id = slice_literal("not stored"),
                               .rule = slice_literal("main/event"),
                               .lsn = lsn,
                               .created = 1763707320000001,
                               .key_hash = lsn,
                               .shape = shape};
    memcpy(m.id, &lsn, sizeof(lsn));
    rig_must(outbox_put(d, &m, &rig_error) == 0);
}

/* A number out of the tables, as a stranger would read it. */
static unused int64_t
rig_sql(struct rig *r, const char *sql)
{
    int64_t number = -1;
    sqlite3 *db = store_reader(r->store, &rig_error);
    rig_must(db && sql_number(db, sql, -1, &number, &rig_error) == 0);
    sql_close(db);
    return number;
}

#endif
