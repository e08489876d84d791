/* A group: one SQLite transaction if there is work or a new schema, then one journal sync if there
 * are blocks, in this order, since a block may name a schema of the same group. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "store/inside.h"

static void
rollback(sqlite3 *db)
{
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

static int
begin(struct store *s, struct error *err)
{
    return sql_exec(s->db, "BEGIN IMMEDIATE", err);
}

static int
commit(struct store *s, struct error *err)
{
    fault_point("store.before_commit");
    if (fault_fails("store.before_commit"))
        return error_set(err, ERROR_FULL, "no space for the commit of a group");
    if (sql_exec(s->db, "COMMIT", err) != 0)
        return -1;
    atomic_fetch_add(&s->syncs, 1);
    fault_point("store.after_commit");
    return 0;
}

/* The unit's own run. 0, -1 when it failed for a reason of its own, -2 when the disk refused. */
static int
run(struct store *s, struct store_work *work, struct error *err)
{
    int result = work->run(work, s->db, err);

    if (result == 0 && !sqlite3_get_autocommit(s->db))
        return 0;
    if (result == 0)
        error_set(err, ERROR_INTERNAL, "a unit of work ended the transaction it ran in");
    return sql_is_disk(s->db) ? -2 : -1;
}

/* Everything of the group in one transaction. 0; -1: a unit failed by itself, nothing holds; -2:
 * the database refused, nothing holds. */
static int
run_together(struct store *s, struct error *err)
{
    struct group *g = &s->group;
    int result = begin(s, err) == 0 ? 0 : -2;

    for (size_t i = 0; result == 0 && i < g->count; i++)
        if (g->units[i]->work)
            result = run(s, g->units[i]->work, err);
        else if (schemas_insert(s, g->units[i]->batch, err) != 0)
            result = -2;
    if (result == 0 && commit(s, err) != 0)
        result = -2;
    if (result != 0)
        rollback(s->db);
    return result;
}

static void
settle_work(struct unit *u, const struct error *err)
{
    struct store_work *work = u->work;

    u->work = NULL;
    u->settled = true;
    work->done(work, err);
}

static void
give_up(struct unit *u, const struct error *err)
{
    char text[512];

    if (u->impatient || err->class == ERROR_FULL)
        log_debug("store", "a unit of %s: %s", u->producer->name, err->message);
    else
        log_error("store", "a unit of %s is given up: %s", u->producer->name,
                  error_text(err, text, sizeof(text)));
    settle_work(u, err);
}

/* One unit in a transaction of its own; as run_together. */
static int
run_one(struct store *s, struct unit *u, struct error *err)
{
    int result = begin(s, err) == 0 ? 0 : -2;

    if (result == 0 && u->batch)
        result = schemas_insert(s, u->batch, err) == 0 ? 0 : -2;
    else if (result == 0)
        result = run(s, u->work, err);
    if (result == 0 && commit(s, err) != 0)
        result = -2;
    if (result != 0)
        rollback(s->db);
    return result;
}

/* After one of them failed: each alone, so that only the poisonous one is given up. */
static int
run_singly(struct store *s, struct error *err)
{
    struct group *g = &s->group;

    for (size_t i = 0; i < g->count; i++) {
        struct unit *u = g->units[i];
        struct error own = {0};
        if (u->batch && !schemas_missing(s, u->batch))
            continue;
        int result = run_one(s, u, &own);
        if (result == -2) {
            *err = own;
            return -2;
        }
        if (u->batch)
            schemas_remember(s, u->batch);
        else if (result == 0)
            settle_work(u, NULL);
        else
            give_up(u, &own);
    }
    return 0;
}

static void
settle_works(struct store *s)
{
    for (size_t i = 0; i < s->group.count; i++) {
        struct unit *u = s->group.units[i];
        if (u->work)
            settle_work(u, NULL);
        else if (u->batch)
            schemas_remember(s, u->batch);
    }
}

/* The housekeeping thread leaves the last few frames, so that the next write begins the WAL anew.
 */
static void
finish_checkpoint(struct store *s)
{
    if (atomic_exchange(&s->wal_finish, false))
        sqlite3_wal_checkpoint_v2(s->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

static bool
needs_sql(const struct store *s)
{
    const struct group *g = &s->group;

    for (size_t i = 0; i < g->count; i++)
        if (g->units[i]->work || schemas_missing(s, g->units[i]->batch))
            return true;
    return false;
}

static int
commit_sql(struct store *s, struct error *err)
{
    if (!needs_sql(s))
        return 0;
    finish_checkpoint(s);
    int result = run_together(s, err);
    if (result == 0)
        settle_works(s);
    else if (result == -1)
        result = run_singly(s, err);
    return result == 0 ? 0 : -1;
}

static int
write_blocks(struct store *s, struct error *err)
{
    for (size_t i = 0; i < s->group.count; i++) {
        struct batch *b = s->group.units[i]->batch;
        if (b && journal_write(s->journal, b, err) != 0) {
            journal_abandon(s->journal);
            return -1;
        }
    }
    return journal_sync(s->journal, err);
}

/* Prepares the next segment, trims: often enough that a fast source does not outrun it. */
static void
poke_housekeeping(struct store *s)
{
    s->journal_poked += (int64_t)s->group.weight;
    if (s->journal_poked < housekeeping_interval(s))
        return;
    s->journal_poked = 0;
    wake_poke(&s->keeper_wake);
}

static int
commit_journal(struct store *s, struct error *err)
{
    if (s->group.batches == 0)
        return 0;
    if (write_blocks(s, err) != 0)
        return -1;
    atomic_fetch_add(&s->syncs, 1);
    for (size_t i = 0; i < s->group.count; i++) {
        struct unit *u = s->group.units[i];
        if (!u->batch)
            continue;
        batch_free(u->batch);
        u->batch = NULL;
        u->settled = true;
    }
    poke_housekeeping(s);
    return 0;
}

/* What is left of the group will not be committed: the store ends, its producer closes, or nobody
 * waits for it. A source reads its events again, since they were never confirmed. */
static void
drop_units(struct store *s, bool impatient_only, const struct error *err)
{
    for (size_t i = 0; i < s->group.count; i++) {
        struct unit *u = s->group.units[i];
        if (u->settled || (impatient_only && !u->impatient))
            continue;
        if (u->work) {
            give_up(u, err);
            continue;
        }
        batch_free(u->batch);
        u->batch = NULL;
        u->settled = true;
    }
}

/* The disk refused: the units are kept, and tried again when there is space. */
static void
fail(struct store *s, const struct error *err)
{
    pthread_mutex_lock(&s->lock);
    bool stopping = s->stopping;
    s->retry_at = clock_mono() + STORE_RETRY;
    pthread_mutex_unlock(&s->lock);
    space_failed(s, err);
    drop_units(s, !stopping, err);
}

static void
drop_all(struct store *s)
{
    struct error err = {0};

    error_set(&err, ERROR_FULL, "the disk or the journal is full and the producer ends");
    drop_units(s, false, &err);
}

void
group_commit(struct store *s)
{
    struct error err = {0};

    if (s->group.drop)
        drop_all(s);
    else if (commit_sql(s, &err) != 0 || commit_journal(s, &err) != 0)
        fail(s, &err);
    else
        atomic_fetch_add(&s->groups, 1);
    producers_settle(s);
}

int
group_run_alone(struct store *s, struct store_work *work, struct error *err)
{
    struct unit u = {.work = work};
    struct error own = {0};
    int result = run_one(s, &u, &own);

    work->done(work, result == 0 ? NULL : &own);
    if (result != 0 && err)
        *err = own;
    return result == 0 ? 0 : -1;
}
