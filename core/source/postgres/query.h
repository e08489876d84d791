/* Statements on a session, and what went wrong as one error. Only the simple protocol, which is all
 * that a replication connection speaks: values stand in the text, quoted by quote.h. */
#ifndef SOURCE_POSTGRES_QUERY_H
#define SOURCE_POSTGRES_QUERY_H

#include "source/postgres/connect.h"

/* Runs one statement and gives its rows (all as text), or NULL. `what` is a phrase for messages:
 * "read the catalog". The caller PQclears. A copy
 * (START_REPLICATION) is given as soon as it begins; of several statements in one text the last
 * one's rows, or the first failure. Waits in pieces, so that a stopped source gives up
 * (UNREACHABLE). Classes as pg_query_failed says. */
PGresult *pg_query(struct pg_session *s, const char *what, const char *sql,
                   struct error *err) must_check;

/* The same for a statement without rows, and for START_REPLICATION: the copy is then under way. */
int pg_run(struct pg_session *s, const char *what, const char *sql, struct error *err) must_check;

/* Sets the error for a failed result (NULL: for the connection) and returns -1. By SQLSTATE: 08,
 * 57P, no connection → UNREACHABLE; 28, 42501 → DENIED; 53300, 55006, 55P03, 57014 → BUSY; 3D000,
 * 42xxx → CONFIG; 53100 → FULL; anything else → IO (58P01 too: any missing file). The server's own
 * words (primary and detail) are the cause, its hint is the hint unless the caller has a better. */
int pg_query_failed(struct pg_session *s, const PGresult *result, const char *what,
                    struct error *err);

/* The SQLSTATE of a result, "" if it has none; that of the last failed statement stands in
 * s->state. */
const char *pg_query_state(const PGresult *result);

/* The class of a SQLSTATE as above; "" is UNREACHABLE. */
enum error_class pg_state_class(const char *state);

/* Fields of a result; NULL reads as "", 0, false. */
const char *pg_text(const PGresult *result, int row, const char *column);
int64_t pg_int(const PGresult *result, int row, const char *column);
bool pg_bool(const PGresult *result, int row, const char *column);
bool pg_is_null(const PGresult *result, int row, const char *column);

/* "16/B374D848" to a number and back; 0 or -1. `out` of at least PG_LSN_TEXT bytes. */
#define PG_LSN_TEXT 20
int pg_lsn_parse(const char *text, uint64_t *lsn) must_check;
char *pg_lsn_format(uint64_t lsn, char out[PG_LSN_TEXT]);

#endif
