#include "store/store.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "store/database.h"
#include "store/inside.h"

/* The store thread. */
static void
run(void *store)
{
    struct store *s = store;
    int64_t wait;

    for (;;) {
        if (producers_gather(s, &wait)) {
            group_commit(s);
            continue;
        }
        pthread_mutex_lock(&s->lock);
        bool ends = s->stopping;
        pthread_mutex_unlock(&s->lock);
        if (ends)
            return;
        wake_wait(&s->wake, wait);
        pthread_mutex_lock(&s->lock);
        s->sleep = STORE_AWAKE;
        pthread_mutex_unlock(&s->lock);
    }
}

static int
count_frames(void *store, sqlite3 *db, const char *name, int frames)
{
    struct store *s = store;
    int64_t before = atomic_exchange(&s->wal_frames, frames);

    (void)db;
    (void)name;
    if (frames * (int64_t)STORE_FRAME / STORE_WAL_STEP > before * STORE_FRAME / STORE_WAL_STEP)
        wake_poke(&s->keeper_wake);
    return SQLITE_OK;
}

static char *
join(const char *folder, const char *name)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return memory_text(path);
}

static int
open_database(struct store *s, struct error *err)
{
    uint64_t id = random_u64();

    if (file_make_folder(s->folder, err) != 0)
        return -1;
    s->db = database_store_open(s->folder, err);
    if (!s->db)
        return -1;
    sqlite3_wal_hook(s->db, count_frames, s);
    int got = database_meta(s->db, "workspace", s->workspace, sizeof(s->workspace), err);
    if (got != 0)
        return got == 1 ? 0 : -1;
    hash_hex(&id, sizeof(id), s->workspace);
    return database_set_meta(s->db, "workspace", s->workspace, err);
}

static int
open_journal(struct store *s, struct error *err)
{
    char *folder = join(s->folder, "journal");
    struct journal_options options = {.folder = folder, .segment_bytes = s->options.segment_bytes};

    s->journal = journal_open(&options, err);
    free(folder);
    return s->journal ? 0 : -1;
}

static int
other_journal(const struct store *s, struct error *err)
{
    error_set(err, ERROR_CORRUPT, "the journal in %s is not the one that tidegate.db belongs to",
              s->folder);
    return error_hint(err, STORE_MEND);
}

static int
lost_end(uint64_t highest, uint64_t newest, struct error *err)
{
    error_set(err, ERROR_CORRUPT, "the journal lost its end: lsn %llu was read, its newest is %llu",
              (unsigned long long)highest, (unsigned long long)newest);
    return error_hint(err, STORE_MEND);
}

/* Journal and database tell by the journal's id and by what was read that they belong together. A
 * new id is right only after a reset: that begins above everything there was. */
static int
check_pair(struct store *s, struct error *err)
{
    char known[64] = "";
    uint64_t highest = consumers_highest(s), newest = journal_newest(s->journal);
    int got = database_meta(s->db, "journal", known, sizeof(known), err);

    if (got < 0)
        return -1;
    if (highest > newest)
        return lost_end(highest, newest, err);
    if (got == 1 && strcmp(known, journal_id(s->journal)) == 0)
        return 0;
    if (got == 1 && journal_oldest(s->journal) <= highest)
        return other_journal(s, err);
    return database_set_meta(s->db, "journal", journal_id(s->journal), err);
}

static struct store *
new_store(const struct store_options *options)
{
    struct store *s = memory_zero(sizeof(*s));

    s->options = *options;
    s->folder = memory_text(options->folder);
    s->options.folder = s->folder;
    s->path = join(s->folder, "tidegate.db");
    s->wake.fd = s->keeper_wake.fd = -1;
    s->disk_mark = options->disk_mark;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->loader_lock, NULL);
    pthread_mutex_init(&s->consumers.lock, NULL);
    pthread_cond_init(&s->drained, NULL);
    return s;
}

struct store *
store_open(const struct store_options *options, struct error *err)
{
    struct store *s = new_store(options);

    if (wake_init(&s->wake, err) != 0 || wake_init(&s->keeper_wake, err) != 0) {
        store_close(s);
        return NULL;
    }
    space_open(s);
    if (open_database(s, err) == 0 && schemas_open(s, err) == 0 && consumers_load(s, err) == 0 &&
        open_journal(s, err) == 0 && check_pair(s, err) == 0)
        return s;
    store_close(s);
    return NULL;
}

int
store_reset_journal(const char *folder, struct error *err)
{
    int64_t highest = 0;
    sqlite3 *db = database_store_open(folder, err);
    int result =
        db ? sql_number(db, "SELECT ifnull(max(checkpoint), 0) FROM consumers", 0, &highest, err)
           : -1;

    sql_close(db);
    if (result != 0)
        return -1;
    char *path = join(folder, "journal");
    result = journal_reset(path, (uint64_t)highest, err);
    free(path);
    return result;
}

int
store_start(struct store *s, struct error *err)
{
    if (s->options.offline)
        return error_set(err, ERROR_INTERNAL, "a store opened offline cannot be started");
    s->keeper_db = database_keeper(s->path, err);
    if (!s->keeper_db)
        return -1;
    s->commands = store_producer_open(s, "commands", 0, NULL);
    housekeeping_pass(s); /* the first source already asks how much is free */
    atomic_store(&s->started, true);
    if (thread_start(&s->thread, "store", run, s, err) != 0)
        return -1;
    if (thread_start(&s->keeper, "housekeeping", housekeeping_run, s, err) == 0)
        return 0;
    store_stop(s);
    return -1;
}

void
store_stop(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    wake_poke(&s->wake);
    pthread_mutex_unlock(&s->lock);
    thread_join(&s->thread);
    atomic_store(&s->keeper_ends, true);
    wake_poke(&s->keeper_wake);
    thread_join(&s->keeper);
    pthread_mutex_lock(&s->lock);
    s->stopped = true;
    pthread_cond_broadcast(&s->drained);
    pthread_mutex_unlock(&s->lock);
}

/* The last connection copies the WAL into the database, unless that would take too long. */
static void
close_database(struct store *s)
{
    bool large = atomic_load(&s->wal_frames) * STORE_FRAME > STORE_WAL_LARGE;

    if (s->db)
        sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, large, NULL);
    sql_close(s->db);
}

void
store_close(struct store *s)
{
    if (!s)
        return;
    if (atomic_load(&s->started))
        store_stop(s);
    while (s->producers)
        store_producer_close(s->producers);
    schemas_close(s);
    if (s->journal)
        journal_close(s->journal);
    sql_close(s->keeper_db);
    close_database(s);
    consumers_release(s);
    wake_release(&s->wake);
    wake_release(&s->keeper_wake);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->loader_lock);
    pthread_mutex_destroy(&s->consumers.lock);
    pthread_cond_destroy(&s->drained);
    free(s->group.units);
    free(s->folder);
    free(s->path);
    free(s);
}

struct journal *
store_journal(struct store *s)
{
    return s->journal;
}

struct schema_set *
store_schemas(struct store *s)
{
    return s->schemas;
}

const char *
store_workspace_id(struct store *s)
{
    return s->workspace;
}

void
store_peek_workspace_id(const char *folder, char out[STORE_ID_SIZE])
{
    char path[PATH_MAX];
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    out[0] = '\0';
    snprintf(path, sizeof(path), "%s/tidegate.db", folder);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE name = 'workspace'", -1, &q, NULL) ==
            SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW)
        snprintf(out, STORE_ID_SIZE, "%s", (const char *)sqlite3_column_text(q, 0));
    sqlite3_finalize(q);
    sqlite3_close(db);
}

sqlite3 *
store_reader(struct store *s, struct error *err)
{
    return database_reader(s->path, err);
}

void
store_trim_guard(struct store *s, struct store_trim_guard guard)
{
    ensure(!atomic_load(&s->started));
    s->guard = guard;
}

/* A command's unit around the unit of whoever waits. */
struct errand {
    struct store_work work;
    struct store_work *inner;
    struct store *store;
    bool over;
    bool failed;
    struct error err;
};

static int
run_errand(struct store_work *work, sqlite3 *db, struct error *err)
{
    struct errand *e = container_of(work, struct errand, work);

    return e->inner->run(e->inner, db, err);
}

static void
done_errand(struct store_work *work, const struct error *err)
{
    struct errand *e = container_of(work, struct errand, work);

    e->inner->done(e->inner, err);
    pthread_mutex_lock(&e->store->lock);
    e->failed = err != NULL;
    if (err)
        e->err = *err;
    e->over = true;
    pthread_cond_broadcast(&e->store->drained);
    pthread_mutex_unlock(&e->store->lock);
}

static void
turn_away(struct store *s, struct errand *e)
{
    struct store_status status;

    store_status(s, &status);
    e->failed = true;
    if (status.reason[0])
        error_set(&e->err, ERROR_FULL, "%s", status.reason);
    else
        error_set(&e->err, ERROR_BUSY, "the store is stopping or busy");
    e->inner->done(e->inner, &e->err);
}

int
store_run_now(struct store *s, struct store_work *work, struct error *err)
{
    struct errand e = {
        .work = {.run = run_errand,
                 .done = done_errand,
                 .essential = work->essential,
                 .bytes = work->bytes},
        .inner = work,
        .store = s,
    };

    if (!atomic_load(&s->started) || atomic_load(&s->stopped))
        return group_run_alone(s, work, err);
    ensure(!pthread_equal(s->thread.id, pthread_self()));
    if (!store_give_work(s->commands, &e.work, NULL))
        turn_away(s, &e);
    else {
        pthread_mutex_lock(&s->lock);
        while (!e.over)
            pthread_cond_wait(&s->drained, &s->lock);
        pthread_mutex_unlock(&s->lock);
    }
    if (e.failed && err)
        *err = e.err;
    return e.failed ? -1 : 0;
}
