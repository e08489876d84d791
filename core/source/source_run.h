/* A running source from the inside: shared by source.c (what others may ask of it), source_loop.c
 * (its thread) and source_emit.c (batches). Nobody else includes this. */
#ifndef SOURCE_SOURCE_RUN_H
#define SOURCE_SOURCE_RUN_H

#include <stdatomic.h>
#include "source/source_driver.h"

/* A batch that the sink took and that is not known to be durable. */
struct source_given {
    uint64_t unit;
    char *position; /* owned */
    size_t size;
};

struct source {
    struct source_plan plan;
    struct source_context context;
    char *component;
    struct thread thread;
    struct wake wake;
    atomic_bool stop, paused, tick;

    pthread_mutex_t lock; /* of status */
    struct source_status status;

    /* The thread's own: */
    struct batch *batch;     /* under way, or NULL */
    struct buffer cut;       /* resume position after the newest event of `batch` or before it */
    struct buffer tail;      /* … and what stands behind it */
    struct buffer next_tail; /* from the next event on */
    bool tail_changed;
    bool advanced;         /* `cut` is newer than any batch */
    struct buffer joined;  /* cut and tail, where a batch is sealed */
    struct buffer durable; /* resume position of the newest durable batch */
    struct source_given *given;
    size_t given_count, given_room;
    int64_t watermark;
    bool proved;       /* the driver saw the log's end in this call of next */
    bool gap;          /* continuity was given up: a gap event is due */
    struct error lost; /* why */
    unsigned failures; /* in a row */
    int64_t keepalive_at;
    bool complained; /* in the log, since it streamed last */
    bool open; /* the driver is */
    uint64_t emitted;
    size_t marks[2]; /* where the newest two records of `batch` begin */
};

void source_loop(void *source); /* body of the thread */

/* Hands over what the batch under way holds; with `tick` also nothing but a watermark. Waits while
 * the sink is full. -1 when it was stopped meanwhile. */
int source_hand_over(struct source *s, bool tick);

/* Looks what has become durable since, and tells the driver if it is open. */
int source_take_commits(struct source *s, struct error *err);

/* The gap event that says why continuity was given up. */
int source_emit_gap(struct source *s, struct error *err);

void source_set_state(struct source *s, enum source_state state, const struct error *why);

/* Waits for a poke at most that long, keeping the server content each second. */
void source_wait(struct source *s, int64_t us);

#endif
