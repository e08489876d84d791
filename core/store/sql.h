/* SQLite with our errors: the few calls that every user of the store's database repeats. Statements
 * are kept by their text in the connection itself, so that a unit may ask for the same one for each
 * group and pays for its parsing once. A connection belongs to one thread at a time. */
#ifndef STORE_SQL_H
#define STORE_SQL_H

#include <sqlite3.h>
#include "base/error.h"

/* Sets the error to the connection's newest one, with SQLite's words as the cause: a full disk is
 * ERROR_FULL, a failing one ERROR_IO, damage ERROR_CORRUPT with a hint. Returns -1. */
int sql_error(sqlite3 *db, struct error *err, const char *format, ...) printf_like(3, 4);

/* Did the newest call on this connection fail because of the disk or the memory, so that the same
 * call may succeed later? SQLite may then have rolled the transaction back by itself. */
bool sql_is_disk(sqlite3 *db);

/* Runs statements without results. */
int sql_exec(sqlite3 *db, const char *sql, struct error *err) must_check;

/* The statement of that text, prepared once and kept by the connection; not stepped and without
 * bindings. It is the caller's until it is stepped to its end or reset; asking for the same text
 * before the first step gives the same one. Never finalise it. NULL with err. */
sqlite3_stmt *sql_statement(sqlite3 *db, const char *sql, struct error *err) must_check;

/* 1: a row is there, 0: done, -1. After 0 and -1 the statement is reset. */
int sql_step(sqlite3_stmt *statement, struct error *err) must_check;

/* The first column of the first row as a number, or `fallback` without a row. */
int sql_number(sqlite3 *db, const char *sql, int64_t fallback, int64_t *out,
               struct error *err) must_check;

/* Finalises what sql_statement kept and closes; NULL is fine. */
void sql_close(sqlite3 *db);

#endif
