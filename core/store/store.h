/* The store: one thread that is the only writer of journal and tidegate.db, and never waits for
 * another thread (design/storage.md §2, §3, §7). Others hand it units over bounded queues, one per
 * producer; it commits what has gathered as one group: first one SQLite transaction, if there is
 * work, then one sync of the journal, if there are blocks. Its answers are numbers and wake-ups. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <sqlite3.h>
#include "base/thread.h"
#include "journal/journal.h"
#include "source/source.h"

#define STORE_FORMAT 1
#define STORE_QUEUE  (4 * 1024 * 1024) /* bytes a producer may have waiting, by default */
#define STORE_SHARE  (256 * 1024)      /* bytes taken from one producer per group */

struct store;
struct store_producer;

enum journal_full { JOURNAL_FULL_PAUSE, JOURNAL_FULL_DROP_OLDEST };

struct store_options {
    const char *folder;      /* data/ */
    int64_t journal_age;     /* µs */
    int64_t journal_size;    /* bytes */
    int journal_full;        /* enum journal_full */
    int64_t consumer_expiry; /* µs */
    int64_t segment_bytes;   /* 0: the default */
    int64_t disk_mark; /* bytes that must stay free, else sources pause; rules and sends at half
                        * of it. 0: max(256 MiB, 2 % of the disk) */
    bool offline;      /* no threads: store_run_now serves commands while no daemon runs */
};

/* Opens or makes tidegate.db and the journal, checks formats (newer: refused; older: migrated after
 * a copy), integrity of what it reads, and that both belong together. The caller holds the lock. */
struct store *store_open(const struct store_options *options, struct error *err) must_check;
int store_start(struct store *s, struct error *err) must_check; /* store and housekeeping threads */
void store_stop(struct store *s); /* commits what is queued, then ends both threads */
void store_close(struct store *s);

/* `reset --journal`: begins the journal of a folder again, above every lsn that a checkpoint or the
 * old journal may have had. Nothing of the folder may be open; consumers get the gap as an event.
 */
int store_reset_journal(const char *folder, struct error *err) must_check;

struct journal *store_journal(struct store *s);
struct schema_set *store_schemas(struct store *s);
const char *store_workspace_id(struct store *s); /* 16 hex digits, made once */
/* The same without opening or locking anything, beside a running daemon too; "" if there is none. */
#define STORE_ID_SIZE 17
void store_peek_workspace_id(const char *folder, char out[STORE_ID_SIZE]);

/* A unit of SQL that runs inside the group's transaction, on the store thread. Embedded in a struct
 * of whoever made it. `run` may run again after a rollback, so it must change nothing but the
 * database until `done`. */
struct store_work {
    int (*run)(struct store_work *work, sqlite3 *db, struct error *err);
    /* Once, on the store thread, after the commit (err NULL) or when the unit was given up (a bug
     * or corruption; a full disk is waited out). Frees the work. Must be quick and take no lock
     * that is held while waiting for the store. */
    void (*done)(struct store_work *work, const struct error *err);
    size_t bytes;   /* what it weighs in the queue and in the group */
    bool lazy;      /* rides with the next group; alone it waits up to 50 ms */
    bool essential; /* runs even below the disk's lower mark: trims, marks, deletions */
    uint64_t unit;  /* filled in when it is taken: its number */
};

/* A producer has a queue of `bytes` (0: STORE_QUEUE) and a wake-up (or NULL) that is poked on space
 * and on commits. Close returns only after its last unit is committed and done, or the store has
 * stopped. What pressure keeps from being committed is given up by the close (done gets the error):
 * its owner makes it again from what is durable. Any thread but the store's. */
struct store_producer *store_producer_open(struct store *s, const char *name, size_t bytes,
                                           struct wake *wake);
void store_producer_close(struct store_producer *p);

/* Hands a unit over; true: taken (ownership moved) and `*unit` (may be NULL) is its number. False:
 * full or the disk is low; the wake will be poked. A unit larger than the queue is taken when it is
 * alone. Never blocks. */
bool store_give_batch(struct store_producer *p, struct batch *batch, uint64_t *unit);
bool store_give_work(struct store_producer *p, struct store_work *work, uint64_t *unit);
uint64_t store_committed(struct store_producer *p);

/* A sink for source.h on top of a producer. */
struct source_sink store_sink(struct store_producer *p);

/* Runs a unit and waits for its commit: for commands, never for threads of the flow. Without a
 * running store thread it runs at once. `done` is called in any case before it returns. A disk that
 * is full is not waited out here: ERROR_FULL. */
int store_run_now(struct store *s, struct store_work *work, struct error *err) must_check;

/* A read-only connection of one's own (WAL, query_only); close with sqlite3_close. No read
 * transaction may outlast one page of results. NULL on failure. */
sqlite3 *store_reader(struct store *s, struct error *err) must_check;

/* Consumers and their checkpoints. A checkpoint is the newest lsn that is done. */
struct store_consumer {
    char name[64];
    bool enabled;
    uint64_t checkpoint;
    int64_t seen; /* µs, when it last moved or ran */
};
/* Makes the consumer if it is new, with its checkpoint at the newest lsn. Before store_start or
 * from main. Fails with ERROR_CORRUPT when the checkpoint is above the newest lsn. */
int store_consumer_open(struct store *s, const char *name, struct store_consumer *out,
                        struct error *err) must_check;
size_t store_consumer_list(struct store *s, struct store_consumer **out); /* free() */
/* Inside a unit's run: moves it. */
int store_checkpoint(sqlite3 *db, const char *consumer, uint64_t lsn, struct error *err) must_check;
/* In a unit's done: tells retention. */
void store_checkpoint_done(struct store *s, const char *consumer, uint64_t lsn);
/* For commands; each waits for its commit. A disabled consumer does not hold trimming. `lsn` may
 * lie before or after the checkpoint, at most at the newest; the consumer must not be running. */
int store_consumer_enable(struct store *s, const char *name, bool enabled,
                          struct error *err) must_check;
int store_consumer_reset(struct store *s, const char *name, uint64_t lsn,
                         struct error *err) must_check;
int store_consumer_remove(struct store *s, const char *name, struct error *err) must_check;

/* Who else holds trimming. Asked on the housekeeping thread before segments below `wanted` go;
 * answers how far they may go (≤ wanted) and starts what must be done first. */
struct store_trim_guard {
    uint64_t (*allow)(void *context, uint64_t wanted);
    void *context;
};
void store_trim_guard(struct store *s, struct store_trim_guard guard); /* one; before store_start */

/* Trims whole segments below `before` by hand. Unless `force` it stops at the lowest checkpoint: -1
 * with ERROR_REFUSED, which names the consumer. `*oldest` is set in both cases. Waits for the trim
 * guard, at most 10 s. */
int store_trim(struct store *s, uint64_t before, bool force, uint64_t *oldest,
               struct error *err) must_check;

/* How it is: any thread. */
enum store_pressure { STORE_OK, STORE_JOURNAL_FULL, STORE_DISK_LOW, STORE_DISK_FULL };
struct store_status {
    enum store_pressure pressure;
    char reason[256];       /* why, with what mends it; "" when OK */
    int64_t disk_free;      /* bytes */
    uint64_t groups, syncs; /* since start */
    int64_t wal_bytes;
};
void store_status(struct store *s, struct store_status *out);
/* May rules and sends go on (not below the disk's lower mark)? Any thread; cheap. */
bool store_allows_work(struct store *s);

#endif
