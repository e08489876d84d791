/* Inside the outbox: what its files share. A queue has two ends. The store thread publishes
 * committed blocks and finished marks under `lock`; the channel's thread owns the rest and works
 * without a lock:
 *
 *   ring / out_block ──> window (4,096 seqs above done_seq) ──> ready ──> flights ──> answers
 *                             └──> parked (a row of its own) ──┘              └──> mark ──> store
 */
#ifndef OUTBOX_QUEUE_H
#define OUTBOX_QUEUE_H

#include <stdatomic.h>
#include "base/clock.h"
#include "outbox/out_block.h"
#include "outbox/chain.h"
#include "outbox/outbox.h"
#include "outbox/query.h"
#include "outbox/resolve.h"
#include "outbox/shape.h"

#define QUEUE_WINDOW       4096              /* and bits of done_above */
#define QUEUE_WINDOW_BYTES (4 * 1024 * 1024) /* of blocks that the window holds in memory */
#define QUEUE_PARKED       10000             /* rows in retry and held: from here on it is broken */
#define QUEUE_MARKS        4                 /* units of marks under way */
#define QUEUE_BODY         ((size_t)4 << 30) /* nothing longer is sent */
#define QUEUE_PATIENCE     (60 * CLOCK_SECOND) /* ages are looked at this often, at least */
#define QUEUE_HICCUP       (CLOCK_SECOND / 2)  /* our own trouble (disk, journal): try again then */
#define QUEUE_AGAIN        (CLOCK_SECOND / 100) /* marks that the store did not take */
#define QUEUE_BREATH       (CLOCK_SECOND / 20)  /* least wait while something is under way */

/* A place in the window, by seq modulo its size. */
struct slot {
    struct item item;
    struct record record; /* points into the block */
    struct out_block *block;
};

/* A message with a row in out_parked. What was read from the row at the last attempt is in its
 * flight. */
struct parked {
    struct item item;
    TAILQ_ENTRY(parked) link;
    int64_t first_at, next_at;
    uint64_t mark; /* that writes the row: it can't be read before that one is committed */
    size_t bytes;
    bool held; /* what it was before it went out */
};

/* A delivery under way, with the memory that it points into. Kept for the next one afterwards. */
struct flight {
    struct delivery delivery;
    struct item *item;
    struct buffer text;   /* the body, then the event id */
    struct buffer row;    /* of a parked message, or one whose reference had to be read again */
    struct flight *spare; /* the next unused one */
    struct flight *all;   /* the next of all */
};

enum breaker { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_DISABLED }; /* stored; never renumber */

/* A dead letter that a command put back. */
struct revived {
    uint64_t seq, key;
    int64_t first_at;
    size_t bytes;
    struct revived *next;
};

struct mark;

struct outbox_queue {
    struct outbox *outbox;
    char name[64];
    char component[80]; /* "outbox/NAME", for the log */
    struct channel_common common;
    _Atomic(struct channel *) channel; /* NULL until bound */
    bool in_order;                     /* several of one key may go out in one take */
    unsigned index;

    pthread_mutex_t lock; /* guards the first group */
    struct out_ring ring;
    struct revived *revived;
    uint64_t committed; /* number of the newest mark that is durable */
    struct error mark_error;
    int64_t bytes; /* of blocks not yet done with */
    uint64_t dead;
    int64_t dead_bytes;
    uint64_t pruned;
    bool prune_more; /* the last one left some */
    bool pruning;    /* a mark that drops dead letters is under way: one at a time knows how many */
    struct outbox_status status;
    uint64_t loaded_to, loaded_waiting; /* copies for the status */
    int64_t loaded_bytes;

    /* The channel's thread. */
    sqlite3 *reader;
    struct store_producer *producer;
    struct resolver resolver;
    struct slot *slots;
    uint64_t done_seq;         /* all up to here are delivered, parked or dead */
    uint64_t loaded_seq;       /* the newest that was put into the window */
    struct out_block *current; /* the block that is being loaded, or NULL */
    size_t window_bytes;
    size_t waiting;                  /* slots in state WAITING */
    size_t undone;                   /* slots in state WAITING or FLIGHT */
    uint8_t above[QUEUE_WINDOW / 8]; /* of the cursor at start */
    uint64_t above_from;
    size_t above_left; /* bits that were not passed yet */

    struct chains chains;
    TAILQ_HEAD(item_list, item) ready;
    size_t ready_count;
    TAILQ_HEAD(parked_list, parked) parked;
    size_t parked_count, held_count;
    int64_t parked_bytes;
    int64_t next_due; /* wall clock: no parked message is due before */

    struct flight *spare, *flights;
    size_t in_flight;
    size_t allowed; /* in flight at once: small after a pause, doubles with each round of success */
    int breaker;    /* enum breaker */
    char reason[256];
    int64_t probe_at;        /* wall clock */
    int64_t failures;        /* in a row */
    int64_t throttled_until; /* clock_mono */
    uint64_t delivered, failed;

    struct mark *mark;     /* being gathered, or NULL */
    bool dirty;            /* the cursor or breaker changed since the last mark */
    uint64_t marks;        /* numbers given */
    uint64_t seen;         /* `committed`, as this thread saw it last */
    bool expiring;         /* more are too old, or too much */
    int64_t pruned_at;     /* clock_mono, when dead letters were last looked at */
    int64_t complained_at; /* clock_mono of the last line about a dead letter */
    uint64_t complaints;   /* dead letters since */
};

struct outbox {
    struct store *store;
    struct outbox_options options;
    pthread_mutex_t lock; /* guards `queues` */
    struct outbox_queue **queues;
    unsigned queue_count;
    struct shapes shapes;
    struct store_producer *producer; /* of the trim guard */
    struct wake wake;                /* of all producers; only outbox_flush waits on it */
    struct trim *trim;
};

struct outbox_queue *outbox_find(struct outbox *o, const char *channel); /* or NULL */

/* load.c */
int queue_load(struct outbox_queue *q, struct error *err) must_check;
void queue_release(struct outbox_queue *q);

/* turn.c */
void queue_publish(struct outbox_queue *q); /* the status */
int64_t queue_turn(void *context);

/* queue.c */
void queue_poke(struct outbox_queue *q);
void queue_make_ready(struct outbox_queue *q, struct item *item);
void queue_unready(struct outbox_queue *q, struct item *item);
/* The item is through: frees its place or row in memory and lets the next of its key go. */
void queue_finish(struct outbox_queue *q, struct item *item);
/* What other threads left: committed marks, dead letters that were put back. False: its marks can't
 * be written, and nothing may be sent. */
bool queue_adopt(struct outbox_queue *q);
bool queue_behind(struct outbox_queue *q);                    /* is there more to load? */
struct item *queue_first_ready(const struct outbox_queue *q); /* or NULL */
size_t queue_take(void *context, struct delivery **out, size_t room);
void queue_answer(void *context, struct delivery *delivery, const struct channel_answer *answer);

/* out_window.c */
/* Loads until `enough` messages can go or the window is full. */
void out_window_load(struct outbox_queue *q, size_t enough);
void out_window_done(struct outbox_queue *q, struct slot *slot); /* its place is free */
struct slot *out_window_bottom(struct outbox_queue *q);          /* the lowest undone, or NULL */
/* What is done above the cursor: in the window, and of what a start has not loaded yet. */
void out_window_bitmap(const struct outbox_queue *q, uint8_t above[QUEUE_WINDOW / 8]);
static inline struct slot *
out_window_slot(const struct outbox_queue *q, uint64_t seq)
{
    return &q->slots[seq % QUEUE_WINDOW];
}

/* park.c */
int park_load(struct outbox_queue *q, struct error *err) must_check;
void park_release(struct outbox_queue *q);
/* From the window to a row; `next_at` 0: held. */
void park_slot(struct outbox_queue *q, struct slot *slot, int64_t next_at, const char *reason);
void park_again(struct outbox_queue *q, struct parked *parked, int64_t next_at, const char *reason);
void park_forget(struct outbox_queue *q,
                 struct parked *parked);             /* out of memory, not of the table */
void park_due(struct outbox_queue *q, int64_t now);  /* makes ready what is due */
void park_hold_back(struct outbox_queue *q);         /* makes room in a full window */
struct parked *park_soonest(struct outbox_queue *q); /* the next that could go, or NULL */
void park_revive(struct outbox_queue *q, struct revived *list);
/* To the dead: window or parked. */
void park_kill(struct outbox_queue *q, struct item *item, const char *reason);
static inline bool
park_crowded(const struct outbox_queue *q)
{
    return q->parked_count >= QUEUE_PARKED;
}

/* retry.c */
int64_t retry_delay(const struct channel_common *common, int attempts, int64_t retry_after);
void retry_succeeded(struct outbox_queue *q); /* the receiver lives */
void retry_failed(struct outbox_queue *q, const struct channel_answer *answer);
void retry_break(struct outbox_queue *q, const struct channel_answer *answer, bool disabled);
void retry_pause(struct outbox_queue *q, int64_t delay, const char *reason);
/* How many may be taken now. */
size_t retry_room(const struct outbox_queue *q, size_t room, int64_t now, int64_t mono);

/* mark.c */
struct mark_row {
    uint64_t seq, key, lsn; /* lsn 0: refers to no event */
    int state;              /* enum park_state */
    int attempts;
    int64_t first_at, next_at;
    const char *reason;
};
void mark_put(struct outbox_queue *q, const struct mark_row *row, struct slice message);
void mark_move(struct outbox_queue *q, const struct mark_row *row);
void mark_drop(struct outbox_queue *q, uint64_t seq);
/* Hands the gathered marks to the store: false when it has no room now. */
bool mark_give(struct outbox_queue *q);
bool mark_pending(const struct outbox_queue *q);
/* It is time to give it, but only between two messages: a row and the cursor belong together. */
bool mark_full(const struct outbox_queue *q);
void mark_free(struct mark *mark);
bool mark_wants_prune(struct outbox_queue *q);

#endif
