/* What would stop every source if the store thread did it: preparing and unlinking segments,
 * SQLite's checkpoints, the look at the disk, trimming. One thread, once a second and whenever
 * poked. */
#include "base/clock.h"
#include "base/log.h"
#include "store/database.h"
#include "store/inside.h"

#define REST (512 * 1024 / STORE_FRAME) /* frames that the store thread may copy itself */

int64_t
housekeeping_interval(const struct store *s)
{
    int64_t segment = s->options.segment_bytes ? s->options.segment_bytes : JOURNAL_SEGMENT;

    return segment / 16 + 1;
}

/* One pass over the WAL; the frames that are left, or -1. A pass beside a writer can't reach the
 * end, and only a WAL copied to its end begins anew. */
static int64_t
copy_wal(struct store *s)
{
    int log_frames = 0, copied = 0;
    int code = sqlite3_wal_checkpoint_v2(s->keeper_db, "main", SQLITE_CHECKPOINT_PASSIVE,
                                         &log_frames, &copied);

    if (code == SQLITE_OK)
        return atomic_load(&s->wal_frames) - copied;
    struct error err = {0};
    sql_error(s->keeper_db, &err, "checkpoint %s", s->path);
    if (err.class == ERROR_FULL || err.class == ERROR_IO)
        space_failed(s, &err);
    else if (err.class != ERROR_BUSY)
        log_failure(LOG_ERROR, "store", &err);
    return -1;
}

static void
checkpoint(struct store *s)
{
    int64_t frames = atomic_load(&s->wal_frames), rest = INT64_MAX;

    if (frames < s->wal_seen)
        s->wal_seen = 0; /* it began anew */
    if ((frames - s->wal_seen) * STORE_FRAME < STORE_WAL_STEP)
        return;
    for (int pass = 0; pass < 8; pass++) {
        int64_t left = copy_wal(s);
        if (left < 0)
            return; /* due again with the next pass */
        if (left >= rest) {
            rest = left; /* a reader holds it */
            break;
        }
        rest = left;
        if (rest <= REST)
            break;
    }
    s->wal_seen = frames;
    if (rest > 0 && rest <= REST && frames * STORE_FRAME >= STORE_WAL_LARGE)
        atomic_store(&s->wal_finish, true);
}

/* On a full disk only what frees space; a new segment would eat the reserve. */
static void
tend_journal(struct store *s)
{
    struct error err = {0};
    int did = 1;

    for (int i = 0; i < 16 && did == 1; i++)
        did = store_allows_work(s) ? journal_housekeep(s->journal, &err)
                                   : journal_sweep(s->journal, &err);
    if (did < 0)
        log_failure(err.class == ERROR_FULL ? LOG_DEBUG : LOG_WARNING, "journal", &err);
}

void
housekeeping_pass(struct store *s)
{
    tend_journal(s);
    checkpoint(s);
    space_look(s);
    trim_pass(s);
}

void
housekeeping_run(void *store)
{
    struct store *s = store;

    while (!atomic_load(&s->keeper_ends)) {
        housekeeping_pass(s);
        pthread_mutex_lock(&s->lock);
        bool asked = s->request != NULL;
        pthread_mutex_unlock(&s->lock);
        wake_wait(&s->keeper_wake, asked ? 20000 : CLOCK_SECOND);
    }
}
