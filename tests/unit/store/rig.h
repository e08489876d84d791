/* A store in a folder of its own, and units that a test can watch. */
#ifndef UNIT_STORE_RIG_H
#define UNIT_STORE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/fault.h"
#include "store/database.h"
#include "store/inside.h"
#include "support/journal_make.h"

#define unused __attribute__((unused))

struct rig {
    char *folder;
    struct store_options options;
    struct store *store;
    struct error err;
};

static unused void
rig_init(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    r->folder = folder_make("store");
    r->options = (struct store_options){
        .folder = r->folder,
        .journal_age = 3600 * CLOCK_SECOND,
        .journal_size = INT64_C(1) << 30,
        .consumer_expiry = 7 * 86400 * CLOCK_SECOND,
        .segment_bytes = 256 * 1024,
        .disk_mark = 1,
    };
}

static unused void
rig_print(const struct rig *r)
{
    char text[2200];
    print_message("%s\n", error_text(&r->err, text, sizeof(text)));
}

static unused void
rig_open(struct rig *r)
{
    r->store = store_open(&r->options, &r->err);
    if (!r->store)
        rig_print(r);
    assert_non_null(r->store);
}

static unused void
rig_start(struct rig *r)
{
    rig_open(r);
    assert_int_equal(store_start(r->store, &r->err), 0);
}

static unused void
rig_close(struct rig *r)
{
    store_close(r->store);
    r->store = NULL;
}

static unused void
rig_release(struct rig *r)
{
    rig_close(r);
    folder_remove(r->folder);
}

/* Waits up to 20 s for a condition that another thread brings about. */
#define rig_until(condition)                                                                       \
    do {                                                                                           \
        int64_t end_ = clock_mono() + 20 * CLOCK_SECOND;                                           \
        while (!(condition)) {                                                                     \
            if (clock_mono() > end_)                                                               \
                fail_msg("never: %s", #condition);                                                 \
            nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);                                \
        }                                                                                          \
    } while (0)

/* Work that inserts its number into the table t, made on first use. */
struct job {
    struct store_work work;
    int number;
    int fails; /* runs that fail before the first good one; -1: all */
    atomic_int runs, done, given_up;
    atomic_int order; /* when it was done, among all */
};

static atomic_int job_order;

static unused int
job_run(struct store_work *work, sqlite3 *db, struct error *err)
{
    struct job *j = container_of(work, struct job, work);

    int nth = atomic_fetch_add(&j->runs, 1);
    if (sql_exec(db, "CREATE TABLE IF NOT EXISTS t(number INTEGER)", err) != 0)
        return -1;
    sqlite3_stmt *q = sql_statement(db, "INSERT INTO t VALUES(?)", err);
    if (!q)
        return -1;
    sqlite3_bind_int(q, 1, j->number);
    if (sql_step(q, err) != 0)
        return -1;
    if (j->fails < 0 || nth < j->fails)
        return error_set(err, ERROR_DATA, "job %d is poisonous", j->number);
    return 0;
}

static unused void
job_done(struct store_work *work, const struct error *err)
{
    struct job *j = container_of(work, struct job, work);

    atomic_store(&j->order, atomic_fetch_add(&job_order, 1));
    atomic_fetch_add(err ? &j->given_up : &j->done, 1);
}

static unused struct job
job_make(int number)
{
    return (struct job){.work = {.run = job_run, .done = job_done, .bytes = 100}, .number = number};
}

/* The number that a query gives, through a reader of its own. */
static unused int64_t
rig_number(struct rig *r, const char *sql)
{
    int64_t number = -1;
    sqlite3 *db = store_reader(r->store, &r->err);

    assert_non_null(db);
    if (sql_number(db, sql, 0, &number, &r->err) != 0)
        number = -1;
    sql_close(db);
    return number;
}

static unused bool
give(struct store_producer *p, unsigned number, unsigned count, size_t bytes)
{
    struct batch *b = batch_make("shop", number, count, bytes);
    bool taken = store_give_batch(p, b, NULL);

    if (!taken)
        batch_free(b);
    return taken;
}

#endif
