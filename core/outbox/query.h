/* The outbox's tables and every statement on them. */
#ifndef OUTBOX_QUERY_H
#define OUTBOX_QUERY_H

#include "store/sql.h"

/* States of a row in out_parked. Stored; never renumber. */
enum park_state { PARK_RETRY = 1, PARK_HELD, PARK_DEAD };

enum query_name {
    QUERY_BLOCK_PUT,
    QUERY_BLOCK_NEXT,   /* (channel) → the next seq to give */
    QUERY_BLOCK_AT,     /* (channel, seq) → the block that holds seq, or the last one before */
    QUERY_BLOCK_AFTER,  /* (channel, seq) → the first block from seq on */
    QUERY_BLOCK_DONE,   /* (channel, done_seq): deletes blocks below the cursor */
    QUERY_BLOCK_DROP,   /* (channel, first_seq) */
    QUERY_BLOCK_SIZE,   /* (channel, first_seq, n) → its bytes, if it is still that block */
    QUERY_BLOCK_OLD,    /* (lsn, channel, first_seq) → the next block that refers below lsn */
    QUERY_BLOCK_LOWEST, /* → the lowest lsn referred to */
    QUERY_BLOCK_SUM,    /* (channel) → bytes */
    QUERY_CURSOR_GET,
    QUERY_CURSOR_PUT,
    QUERY_PARKED_PUT,
    QUERY_PARKED_MOVE, /* state, attempts, first_at, next_at, reason of one row */
    QUERY_PARKED_DROP,
    QUERY_PARKED_GET,   /* (channel, seq) → message */
    QUERY_PARKED_LIST,  /* (channel) → what waits, by seq */
    QUERY_PARKED_DEAD,  /* (channel) → count and bytes of the dead */
    QUERY_PARKED_PAGE,  /* (channel, seq, limit) → the dead after it */
    QUERY_PARKED_PRUNE, /* (channel, limit) → the oldest dead */
    QUERY_DEAD_RETRY,   /* (channel, seq, now): if it is dead */
    QUERY_DEAD_DROP,
    QUERY_DEAD_SIZE,  /* (channel, seq) → its bytes, if it is dead and refers to an event */
    QUERY_PARKED_OLD, /* (lsn, channel, seq) → the next row that refers below lsn */
    QUERY_PARKED_LOWEST,
    QUERY_PARKED_COPY, /* (message, channel, seq): now holds its event */
    QUERY_SHAPE_PUT,
    QUERY_SHAPE_LIST,
    QUERY_COUNT,
};

/* Makes what is missing of the tables. */
int query_tables(sqlite3 *db, struct error *err) must_check;

/* The statement with its parameters bound, one letter each of `kinds`: `s` a const char *, `i` an
 * int64_t, `b` a struct slice as a blob. What they point to must last until it is stepped to its
 * end or reset. As sql_statement: kept by the connection. NULL on failure. */
sqlite3_stmt *query_use(sqlite3 *db, enum query_name name, struct error *err, const char *kinds,
                        ...) must_check;
/* query_use and all its steps. */
int query_do(sqlite3 *db, enum query_name name, struct error *err, const char *kinds,
             ...) must_check;
/* The first column of the first row, 0 without one; resets. For a statement of query_use, also
 * NULL. */
int query_number(sqlite3_stmt *statement, int64_t *out, struct error *err) must_check;

struct slice query_blob(sqlite3_stmt *statement, int column); /* valid until the next step */

#endif
