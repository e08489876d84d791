/* What the files of this folder share.
 *
 * `lock` guards queues, producers and what pressure is made of; it is held for a few memory
 * accesses only, never over SQL, the journal or a callback. The group and the connection `db`
 * belong to the store thread (before store_start and offline: to whoever holds the store). */
#ifndef STORE_INSIDE_H
#define STORE_INSIDE_H

#include <stdatomic.h>
#include "store/sql.h"
#include "store/store.h"

#define STORE_GROUP     (512 * 1024)       /* bytes of a group */
#define STORE_LAZY      50000              /* µs that lazy work may wait alone */
#define STORE_RETRY     CLOCK_SECOND       /* after a disk refused a group */
#define STORE_WAL_STEP  (4 * 1024 * 1024)  /* a checkpoint runs after this much WAL */
#define STORE_WAL_LARGE (16 * 1024 * 1024) /* no checkpoint on close above it */
#define STORE_FRAME     (4096 + 24)        /* a page in the WAL */
#define STORE_RESERVE   (32 * 1024 * 1024)

/* The way out when database and journal do not belong together. */
#define STORE_MEND                                                                                 \
    "put a backup of the whole folder back, or begin the journal again with `tidegate reset "      \
    "--journal`"

/* A thing in a queue: a batch or a work. */
struct unit {
    struct unit *next;
    struct store_producer *producer;
    struct batch *batch; /* NULL once it is settled */
    struct store_work *work;
    uint64_t number;
    size_t bytes;  /* in memory: fills the queue */
    size_t weight; /* on disk: fills a group */
    bool lazy, essential;
    bool impatient; /* of store_run_now: given up when the disk is full */
    bool settled;   /* durable or given up */
};

struct store_producer {
    struct store *store;
    struct store_producer *next;
    char name[64];
    struct wake *wake;
    size_t limit;
    size_t bytes; /* queued or in the group */
    struct {
        struct unit *first, **end;
    } queue;
    uint64_t given;
    atomic_uint_least64_t committed;
    bool owed; /* a unit was turned away or settled: its owner is to be woken */
    bool closing;
};

/* The units under work, in the order of their queues. Kept between groups for its memory. */
struct group {
    struct unit **units;
    size_t count, capacity;
    size_t weight;
    size_t batches;
    bool drop; /* they can't be committed and are given up: a producer is closing */
};

/* Who waits for the housekeeping thread to trim by hand. */
struct trim_request {
    uint64_t wanted, oldest;
    int64_t deadline;
    bool done, late;
};

struct mirror {
    pthread_mutex_t lock;
    struct consumer_entry {
        struct store_consumer is;
        bool open; /* it runs in this process */
    } * entries;
    size_t count;
};

struct store {
    struct store_options options; /* `folder` is ours */
    char *folder, *path;          /* path of tidegate.db */
    char workspace[17];
    sqlite3 *db;
    struct journal *journal;
    struct schema_set *schemas;

    pthread_mutex_t lock;
    pthread_cond_t drained; /* a producer's last unit is settled; a trim by hand is over */
    struct store_producer *producers;
    size_t turn;         /* which producer is served first */
    size_t urgent, lazy; /* units queued */
    size_t eager;        /* of the urgent ones: work, which makes a transaction anyway */
    int64_t lazy_since, retry_at;
    enum { STORE_AWAKE, STORE_DOZING, STORE_SLEEPING } sleep;
    bool stopping;
    atomic_bool stopped;

    struct thread thread, keeper;
    struct wake wake, keeper_wake;
    atomic_bool started;
    atomic_bool keeper_ends;
    struct group group;
    struct store_producer *commands;

    /* schemas.c */
    uint64_t *known; /* numbers in the table, sorted */
    size_t known_count;
    pthread_mutex_t loader_lock;
    sqlite3 *loader;

    struct mirror consumers;
    struct store_trim_guard guard;
    struct trim_request *request; /* under lock */

    /* The WAL: the store thread counts, the housekeeping thread checkpoints. */
    sqlite3 *keeper_db;
    atomic_int_least64_t wal_frames;
    int64_t wal_seen;       /* frames at the last checkpoint; housekeeping's */
    atomic_bool wal_finish; /* the few frames that are left are the store thread's to copy */
    int64_t journal_poked;  /* bytes written since housekeeping was last woken; store thread's */

    /* Pressure, under lock; the atomics are for those who must not wait. */
    atomic_int pressure;
    int64_t disk_free, disk_total;
    bool disk_failed, disk_spent; /* a write was refused; for want of space */
    int64_t failed_at;            /* µs, monotonic */
    bool disk_low, disk_lower, journal_full;
    char failed_reason[256], journal_reason[256], reason[256];
    bool reserve;                   /* data/reserve is there; housekeeping's */
    atomic_int_least64_t disk_mark; /* 0: the default */
    atomic_uint_least64_t groups, syncs;
};

/* gather.c: fills s->group and answers true, or tells how long to wait (µs, -1: until poked). */
bool producers_gather(struct store *s, int64_t *wait);

/* producer.c: publishes the numbers of the group's settled units, frees them, puts the rest back.
 */
bool producer_allows(const struct store *s, const struct unit *u); /* as pressure stands */
void producers_settle(struct store *s);
void producers_poke(struct store *s); /* whoever was turned away may try again */

/* group.c: commits what stands in s->group as far as possible; marks what is settled. */
void group_commit(struct store *s);
/* One unit, now, on this thread, in a transaction of its own. Calls done. */
int group_run_alone(struct store *s, struct store_work *work, struct error *err) must_check;

/* schemas.c */
int schemas_open(struct store *s, struct error *err) must_check;
void schemas_close(struct store *s);
bool schemas_missing(const struct store *s, const struct batch *batch);
int schemas_insert(struct store *s, const struct batch *batch, struct error *err) must_check;
void schemas_remember(struct store *s, const struct batch *batch); /* after the commit */

/* consumers.c */
int consumers_load(struct store *s, struct error *err) must_check;
uint64_t consumers_highest(struct store *s); /* checkpoint of any */
/* Up to where nobody needs the journal any more; `name` gets who holds it there, "" if nobody. */
uint64_t consumers_hold(struct store *s, char name[64]);
void consumers_release(struct store *s);

/* housekeeping.c */
void housekeeping_run(void *store); /* the thread's body */
void housekeeping_pass(struct store *s);
int64_t housekeeping_interval(const struct store *s);

/* trim.c: retention by age and size, and by hand. */
void trim_pass(struct store *s);

/* space.c: the disk, the reserve, and pressure made of both and of the journal's ceiling. */
void space_open(struct store *s);                            /* before the files are opened */
void space_look(struct store *s);                            /* housekeeping thread */
void space_failed(struct store *s, const struct error *err); /* a write was refused: any thread */
void space_journal(struct store *s, bool full, const char *reason);

#endif
