/* The outbox: the durable queue between rules and channels (design/storage.md §5). For each channel
 * a queue of blocks in tidegate.db with a cursor; a delivered message never has a row, one that
 * must wait alone (retry, held behind such a one, dead) gets one. Retry, back-off, order and dead
 * letters are here and nowhere else.
 *
 * Threads: rules threads fill drafts; the store thread commits them; each queue's other end belongs
 * to its channel's thread. The rest may be called from any thread. */
#ifndef OUTBOX_OUTBOX_H
#define OUTBOX_OUTBOX_H

#include "base/hash.h"
#include "channel/channel.h"
#include "store/store.h"

struct outbox;

struct outbox_options {
    int64_t dead_age;   /* µs; 30 d */
    int64_t dead_bytes; /* per channel; 1 GiB */
};

/* Makes its tables where missing, reads the cursors. Before store_start; the transaction's SQL runs
 * on the store thread. */
struct outbox *outbox_open(struct store *store, const struct outbox_options *options,
                           struct error *err) must_check;
void outbox_close(struct outbox *o); /* after the channels have stopped and the store has */

/* A queue for a channel that exists; returns the feed to put in its plan, then bind the channel
 * that is to be poked. `common` is copied. Before start. */
struct outbox_queue;
struct outbox_queue *outbox_attach(struct outbox *o, const char *channel,
                                   const struct channel_common *common,
                                   struct error *err) must_check;
struct channel_feed outbox_feed(struct outbox_queue *q);
/* Poked from the store's thread too: free the channel after store_stop, or while nothing commits.
 */
void outbox_bind(struct outbox_queue *q, struct channel *channel);

/* Hands over the marks of the last answers. From main, between the stop of the channels and the
 * stop of the store; without it a clean stop would repeat what was delivered last. */
void outbox_flush(struct outbox *o);

/* What a rule hands over for one channel. */
struct outbox_message {
    struct outbox_queue *queue;
    uint8_t id[16]; /* message_id */
    enum message_kind kind;
    struct slice event_id;
    struct slice rule;               /* full name */
    uint32_t ordinal;                /* of the send in its run */
    uint64_t lsn;                    /* of the event */
    int64_t created;                 /* the event's ts */
    uint64_t key_hash;               /* ordering key: event_key_hash, or of the `key` option */
    struct slice body;               /* TEXT, TABLE; empty for EVENT */
    struct slice options;            /* JSON object or empty */
    const struct event_shape *shape; /* EVENT: how it is printed; stored as an immutable row */
};

/* The 128-bit id: hash of cause, consumer, full rule name, channel, ordinal (storage.md §1). */
struct hash128 message_id(struct slice cause, struct slice consumer, struct slice rule,
                          struct slice channel, uint32_t ordinal);
char *message_id_text(const uint8_t id[16], char out[40]); /* "msg_…" */

/* A draft gathers the messages of one consumer batch. One thread, then moved into the store's unit.
 */
struct outbox_draft *outbox_draft_new(struct outbox *o);
void outbox_draft_free(struct outbox_draft *d);
int outbox_put(struct outbox_draft *d, const struct outbox_message *m,
               struct error *err) must_check;
/* What was put since the mark is dropped: a rule that fails takes its sends with it. */
size_t outbox_draft_mark(struct outbox_draft *d);
void outbox_draft_cut(struct outbox_draft *d, size_t mark);
size_t outbox_draft_bytes(const struct outbox_draft *d);
size_t outbox_draft_count(const struct outbox_draft *d);
/* Inside the consumer's unit: run writes the blocks, done pokes the channels. */
int outbox_draft_run(struct outbox_draft *d, sqlite3 *db, struct error *err) must_check;
void outbox_draft_done(struct outbox_draft *d);

/* How a queue is: a copy, any thread. */
struct outbox_status {
    char channel[64];
    char state[16]; /* ok throttled broken paused disabled */
    char reason[256];
    uint64_t waiting; /* messages not yet delivered, parked ones included */
    uint64_t retrying, held, dead;
    int64_t bytes;
    uint64_t delivered, failed; /* since start: messages delivered; attempts that were not */
    int64_t oldest;             /* created of the oldest waiting, µs; 0: none */
    int64_t next_at;            /* wall clock µs of the next retry; 0: none */
};
size_t outbox_status_list(struct outbox *o, struct outbox_status **out); /* free() */

/* Dead letters, for the commands; through SQL of its own, also offline. */
struct outbox_dead {
    char channel[64];
    uint64_t seq;
    char id[40];
    char rule[256];
    char event_id[256];
    uint64_t lsn;
    int attempts;
    int64_t first_at;
    char reason[256];
    struct slice body; /* valid during the call */
};
struct outbox_filter {
    const char *channel, *rule, *id; /* NULL: any */
    int64_t older_than;              /* wall clock µs; 0: any */
    size_t limit;                    /* 0: all */
};
typedef int outbox_visit(void *context, const struct outbox_dead *dead);
int outbox_dead_list(struct outbox *o, const struct outbox_filter *filter, outbox_visit *visit,
                     void *context, struct error *err) must_check;
/* Puts them back for delivery now / deletes them; returns how many, or -1. */
int64_t outbox_dead_retry(struct outbox *o, const struct outbox_filter *filter, struct error *err);
int64_t outbox_dead_drop(struct outbox *o, const struct outbox_filter *filter, struct error *err);

/* For store_trim_guard: rewrites references below `wanted` into copies, a piece at a time, and says
 * how far trimming may go by now. Housekeeping thread. */
struct store_trim_guard outbox_trim_guard(struct outbox *o);

#endif
