/* What a database must bring to be a source. A driver is one const struct; its options are declared
 * in it, so that checks, help, docs and editor stubs come from one place. To add one: a folder
 * beside this file and a line in source_plan.c's array.
 *
 * source.c runs the thread, the loop, back-off with jitter, pausing, states, batching by size and
 * the handing over; a driver only connects, proves continuity, reads the next changes, and is told
 * what is durable. All callbacks run on the source's thread except check and installed. */
#ifndef SOURCE_SOURCE_DRIVER_H
#define SOURCE_SOURCE_DRIVER_H

#include <poll.h>
#include "source/source.h"

/* What `next` found. */
enum source_next {
    SOURCE_READ, /* something was read; call again at once */
    SOURCE_IDLE, /* nothing more is there now: wait on the driver's descriptors, then call again */
    SOURCE_REOPEN, /* all is well, but the log must be opened anew: what was emitted becomes
                      durable, then close and open are called, without a pause */
    SOURCE_ERROR,  /* err says what; the class decides: UNREACHABLE, BUSY, IO, FULL: reconnect with
                      back-off; LOST: policy; CONFIG, DENIED, MISSING, DATA: failed, tried again each
                      5 s (DENIED: 30 s) */
};

/* What a driver's callbacks may use of the running source. */
struct source_context {
    const struct source_plan *plan;
    void *state;           /* plan->driver->state_size bytes, zeroed before the first open */
    const char *component; /* for the log: "source/NAME" */

    /* Readable by the driver, kept by source.c: */
    bool tick;      /* somebody waits for a watermark: look at the log's end in this call of next */
    uint32_t epoch; /* of the events emitted from now on */
    struct buffer
        *position; /* the resume position of the newest durable batch; empty at first: what
                      was given to source_emit and the tail of source_attach behind it */
};

/* Opens connection and log, proves continuity with `context->position`, prepares what must exist.
 * Called again after every failure, always after close. ERROR_LOST: the policy decides; with
 * `accept` source.c raises the epoch, empties the position, calls open again, and emits the gap
 * event with the error's message as its reason. */
typedef int source_open(struct source_context *context, struct error *err);

/* Reads a bounded piece of the log and emits it by source_emit. Must return within about 100 ms of
 * work, must not wait for changes. */
typedef enum source_next source_next(struct source_context *context, struct error *err);

/* Fills in what to wait for when idle: at most `room` descriptors; returns how many. *timeout_us is
 * the longest wait (source.c gives its own limit in it; only lower it). */
typedef int source_waits(struct source_context *context, struct pollfd *fds, int room,
                         int64_t *timeout_us);

/* Batches up to the one sealed with `position` are durable: the database may forget. Called at most
 * once per commit, with the newest. */
typedef int source_confirm(struct source_context *context, struct slice position,
                           struct error *err);

/* Keeps the server content while the sink is full (keepalives). May be NULL. Called each second. */
typedef int source_keepalive(struct source_context *context, struct error *err);

/* Undoes open; safe after a failed one, and twice. */
typedef void source_close(struct source_context *context);

/* The readable text of a resume position, for status. */
typedef void source_describe(struct slice position, struct buffer *out);

typedef int source_check_driver(const struct source_plan *plan, const struct source_report *report,
                                struct error *err);
typedef int source_installed_driver(const struct source_plan *plan, enum source_install what,
                                    const char *table, bool print_only,
                                    const struct source_report *report, struct error *err);

typedef int source_schemas_driver(const struct source_plan *plan, source_visit_schema *visit,
                                  void *context, struct error *err);

struct source_driver {
    const char *name;
    const char *summary;        /* one line */
    const char *default_schema; /* what `source:table` means: "main", "public"; NULL: none */
    const struct option *options;
    size_t option_count;
    size_t options_size; /* of the struct that the options fill */
    size_t state_size;
    bool has_transactions; /* e.tx is set; on_commit is possible */
    bool by_log, by_trigger; /* values of `capture` that it can do */

    source_open *open;
    source_next *next;
    source_waits *waits;
    source_confirm *confirm;
    source_keepalive *keepalive;
    source_close *close;
    source_describe *describe;
    source_check_driver *check;
    source_schemas_driver *schemas;
    source_installed_driver *installed;
};

/* Adds one event to the batch under way. `position` is the resume position after this event: kept
 * (copied) so that the batch can be cut here. Fills in nothing: e->epoch is set to the context's.
 * The event and all it points to may be dropped afterwards. A row above max_row is journalled
 * without its big cells, which are marked UNKNOWN, and reported in the log. */
int source_emit(struct source_context *context, const struct event *e, struct slice position,
                struct error *err) must_check;

/* What belongs to the position and changes seldom: stands behind every position given from the next
 * event (or source_advance) on, so that it needn't be copied with each. Open must attach it anew.
 */
void source_attach(struct source_context *context, struct slice tail);

/* The log was read up to `position` and held no events for us: journals it as a block without
 * events, at once when the source is idle, so that the database may forget. Sparingly: each costs a
 * sync. */
void source_advance(struct source_context *context, struct slice position);

/* Is the source being stopped? For waits inside of callbacks, which should end then. */
bool source_stopping(const struct source_context *context);

/* The log's end was seen at this time: the watermark of the next batch. Call before SOURCE_IDLE. */
void source_watermark(struct source_context *context, int64_t us);

/* Is the table captured, by `tables`, `exclude` and what rules name? Patterns may leave out the
 * driver's default schema. */
bool source_wants(const struct source_plan *plan, struct slice schema, struct slice table);
bool source_wants_column(const struct source_plan *plan, struct slice table, struct slice column);

#endif
