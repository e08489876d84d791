/* The SQLite library with our errors: each call says what it was doing, and the result code decides
 * the class of the error. */
#ifndef SOURCE_SQLITE_CALL_H
#define SOURCE_SQLITE_CALL_H

#include <sqlite3.h>
#include "base/buffer.h"
#include "base/error.h"

/* Sets the error from the connection's last result; returns -1. `what` is a phrase: "read the log".
 */
int call_failed(sqlite3 *db, int code, const char *what, struct error *err);

int call_exec(sqlite3 *db, const char *sql, const char *what, struct error *err) must_check;

/* NULL on failure. The caller finalizes. */
sqlite3_stmt *call_prepare(sqlite3 *db, const char *sql, const char *what,
                           struct error *err) must_check;

/* As call_prepare, with one text bound to ?1 (NULL: bound as NULL). `text` must outlive it. */
sqlite3_stmt *call_prepare_text(sqlite3 *db, const char *sql, const char *text, const char *what,
                                struct error *err) must_check;

/* 1: a row, 0: the end, -1: failed. */
int call_step(sqlite3_stmt *statement, const char *what, struct error *err) must_check;

/* Runs to the end and finalizes, also on failure. */
int call_finish(sqlite3_stmt *statement, const char *what, struct error *err) must_check;

/* First column of the first row; `fallback` without a row or where it is NULL. */
int call_int(sqlite3 *db, const char *sql, int64_t fallback, int64_t *out,
             struct error *err) must_check;

const char *call_text(sqlite3_stmt *statement, int column); /* "" for NULL */
struct slice call_bytes(sqlite3_stmt *statement, int column);

#endif
