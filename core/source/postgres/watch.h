/* What the stream does not tell: every few seconds, on a session of its own and without stopping
 * the stream, the catalog is asked for tables that have appeared, for partitions that came and
 * went, and for the end of the log, which proves the watermark. */
#ifndef SOURCE_POSTGRES_WATCH_H
#define SOURCE_POSTGRES_WATCH_H

#include "source/postgres/catalog.h"

/* The end of what is visible in the log; on a standby, of what it has. */
#define PG_END_OF_LOG                                                                              \
    "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() "                          \
    "ELSE pg_current_wal_insert_lsn() END AS lsn"

/* The answer: all that was visible stands before it. */
int pg_end_of_log(const PGresult *result, uint64_t *end, struct error *err) must_check;

enum pg_question { PG_ASK_NOTHING, PG_ASK_CATALOG, PG_ASK_END };

struct pg_watch {
    struct pg_session session;  /* opened when first needed, kept */
    enum pg_question asked;     /* and not yet answered */
    int64_t catalog_at, end_at; /* clock_mono of the next question */
    int64_t asked_at;           /* clock_now of the question under way */
    uint64_t
        goal; /* the end of the log at `goal_at`: read it, and the watermark is proved; 0: none */
    int64_t goal_at;
    struct pg_tables tables; /* as they were last read */
    bool announce;     /* they may differ from what is known: to be told between transactions */
    int64_t looked_at; /* clock_now of the look that they are from */
    int64_t proved_at; /* … of the newest end of the log that was reached: what is older than
                          that is read */
    bool hasty;        /* the look was not due: what is not listed may only not be visible yet */
    bool forget;       /* what is not listed any more may be forgotten */
    bool missed;       /* that a table was taken out was told; not durable yet */
    bool complained;
};

void pg_watch_init(struct pg_watch *watch, const struct source_plan *plan,
                   const struct source_context *source);
void pg_watch_release(struct pg_watch *watch);

/* Asks what is due, takes answers that have come. Failures of this session are said once and tried
 * again later: the stream does not depend on it. */
void pg_watch_work(struct source_context *context);
/* May our publications be brought up to date? Not while a table that was captured is missing there:
 * first the gap is told and durable, then it is put back. Else asked again soon. */
bool pg_watch_may_sync(struct source_context *context);
/* Tells between transactions what was found: tables that are captured from here on, gaps of changed
 * partition lists. */
int pg_watch_announce(struct source_context *context, struct error *err) must_check;
/* The log is read past the time of the look: tables that were gone by then need not be remembered.
 */
void pg_watch_forget(struct source_context *context);
/* Events were read: the end of the log is worth asking for soon. */
void pg_watch_stir(struct pg_watch *watch);
/* Tables have changed: the catalog is worth a look now. */
void pg_watch_look(struct pg_watch *watch);
/* An ordinary session for questions in between, opened if need be. */
int pg_watch_session(struct pg_watch *watch, struct pg_session **out, struct error *err) must_check;
int pg_watch_wait(struct pg_watch *watch, struct pollfd *fd); /* 1 when an answer is awaited */
int64_t pg_watch_due(const struct pg_watch *watch);

#endif
