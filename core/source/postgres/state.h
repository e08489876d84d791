/* The state of one running PostgreSQL source; shared by the files of this folder. */
#ifndef SOURCE_POSTGRES_STATE_H
#define SOURCE_POSTGRES_STATE_H

#include "base/clock.h"
#include "source/postgres/publication.h"
#include "source/postgres/stream.h"
#include "source/postgres/transaction.h"
#include "source/postgres/watch.h"

struct pg_state {
    bool open;
    char slot[PG_NAME];
    struct pg_stream stream;
    struct pg_watch watch;
    struct pg_types *types;
    struct pg_relations relations;
    struct pg_transaction transaction;

    struct pg_position resume; /* where reading began: what is below it was journalled */
    bool half;                 /* … it is inside of a transaction that has not come yet */
    bool proving;              /* the slot is older: what comes up to resume.confirm is known … */
    bool expecting;            /* … and the transaction of resume.place is among it */
    struct pg_position at;     /* after the newest event that was emitted */
    struct pg_tail tail;
    struct buffer mark, tail_bytes; /* scratch: both as bytes */
    uint64_t given;                 /* the confirm LSN of the newest position that was given away */
    bool reopen;                    /* the log is read with the options and tables of before … */
    uint64_t reopen_at; /* … up to here, and to the end of a transaction; then it is opened anew */
    int64_t beaten_at;  /* clock_mono of the last heartbeat */
    uint64_t left_out;  /* digest of the tables that were last said not to be captured */
};

/* The bytes of `at`, on loan until the next call. */
struct slice pg_state_mark(struct pg_state *state);
/* The tail changed: positions from the next event on have it. */
void pg_state_attach(struct source_context *context);

#endif
