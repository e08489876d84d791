/* A channel is a named destination. Its driver hands one message (or several) over and answers with
 * a class; retry, back-off, dead letters and order are the outbox's, written once. This header is
 * for those who start and stop channels; channel_driver.h is for those who write one.
 *
 * Threads: channels on the http transport share one transfer thread (one curl multi handle); every
 * other channel has a thread of its own. The outbox is asked for work on that thread. */
#ifndef CHANNEL_CHANNEL_H
#define CHANNEL_CHANNEL_H

#include "base/option.h"
#include "base/thread.h"
#include "event/event_json.h"

/* What a message is. Stored; never renumber. */
enum message_kind {
    MESSAGE_EVENT = 1, /* a whole event in the channel's format: stored as a reference */
    MESSAGE_TEXT,      /* text from a template or script */
    MESSAGE_TABLE,     /* a JSON object from a script */
};

/* One attempt to hand one message over. All slices are on loan until the answer is given. */
struct delivery {
    char id[40];           /* "msg_" and 32 hex digits: the same on every attempt, for ever */
    struct slice event_id; /* what caused it */
    struct slice rule;     /* full name */
    uint64_t lsn;
    int64_t created; /* µs: event's ts, the same on every attempt */
    int attempt;     /* 1, 2, … */
    enum message_kind kind;
    struct slice body;    /* the text; or one JSON value on one line */
    struct slice options; /* JSON object of the send's options, or empty */
    void *driver;         /* the driver's, while it is under way; NULL at first */
};

enum channel_class {
    CHANNEL_DELIVERED, /* durable at the receiver as far as the driver can know */
    CHANNEL_RETRY,     /* this message, later */
    CHANNEL_REJECT,    /* this message, never */
    CHANNEL_BROKEN,    /* the channel, for now; the message stays where it is */
};

const char *channel_class_name(enum channel_class class);

struct channel_answer {
    enum channel_class class;
    int code;            /* HTTP or protocol status; 0: none */
    int64_t retry_after; /* µs from now that the receiver asked for; 0: it did not */
    char reason[256];    /* for people, control characters escaped; "" when delivered */
};

/* Where a channel's thread gets work and leaves answers. Filled by the outbox; all three are called
 * on the channel's thread only. A delivery is owned by the feed, lent from take to answer. */
struct channel_feed {
    void *context;
    size_t (*take)(void *context, struct delivery **out, size_t room);
    void (*answer)(void *context, struct delivery *delivery, const struct channel_answer *answer);
    /* When to take again although nobody poked, on clock_mono; INT64_MAX: only when poked. Also the
     * place where the feed writes back what it has gathered. */
    int64_t (*turn)(void *context);
};

/* What every channel understands, whatever its driver. design/operation.md §7. */
struct channel_common {
    struct event_shape shape; /* format, columns, bigints, decimals */
    struct option_list columns;
    int format, decimals, bigints;
    bool allow_private;
    int64_t concurrency; /* requests under way at once */
    int order;           /* enum channel_order */
    int64_t attempts;
    int64_t max_age, max_bytes;
    struct {
        int64_t first, max;
    } backoff;
    int64_t timeout;
    struct {
        int64_t failures, probe;
    } breaker;
};

enum channel_order { ORDER_KEY, ORDER_NONE, ORDER_STRICT };

struct channel_driver;
struct channel;
struct transfer;

struct channel_plan {
    const char *name;
    const struct channel_driver *driver;
    void *options; /* the driver's own struct, filled by option_apply */
    struct channel_common common;
    const char *workspace;     /* folder; relative paths start here */
    bool allow_private;        /* may reach loopback and private addresses (operation.md §5) */
    struct transfer *transfer; /* for drivers on the http transport */
    struct channel_feed feed;
};

const struct channel_driver *channel_driver_find(struct slice type);
const struct channel_driver *const *channel_drivers(size_t *count);
extern const struct option channel_common_rows[];
extern const size_t channel_common_row_count;

/* Fills plan->options and plan->common from what a user wrote: the rows of plan->driver and the
 * common ones together, so that one message names whatever is wrong. `map` may hold "type"; the
 * rest is copied into `arena`, which must outlive the channel. `what` as in option_apply. */
int channel_plan_apply(struct channel_plan *plan, const struct value *map, struct arena *arena,
                       const char *what, struct error *err) must_check;

/* `plan` is copied, what it points to is on loan. Options that can't work are ERROR_CONFIG. */
struct channel *channel_new(const struct channel_plan *plan, struct error *err) must_check;
/* A destination that can't be reached yet is no failure: a warning, then BROKEN answers. */
int channel_start(struct channel *c, struct error *err) must_check;
/* Starts nothing new and returns at once, so that many channels can stop side by side. */
void channel_halt(struct channel *c);
/* Halts, then waits until answers under way are in, at most 2 s from the halt. What has no answer
 * by then never gets one. Afterwards the feed is not called any more. */
void channel_stop(struct channel *c);
void channel_free(struct channel *c); /* stops it if need be; NULL is fine */
void channel_poke(struct channel *c); /* there is work; any thread */
const char *channel_name(const struct channel *c);
bool channel_in_order(const struct channel *c); /* its driver's in_order */

/* The transfer thread: made once per daemon, before any http channel; stopped after the last. */
struct transfer *transfer_new(struct error *err) must_check;
void transfer_free(struct transfer *t);

#endif
