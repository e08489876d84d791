#include "store/sql.h"

#include <stdarg.h>
#include <stdio.h>
#include <errno.h>

static const struct {
    int code;
    enum error_class class;
} classes[] = {
    {SQLITE_FULL, ERROR_FULL},       {SQLITE_IOERR, ERROR_IO},        {SQLITE_CANTOPEN, ERROR_IO},
    {SQLITE_CORRUPT, ERROR_CORRUPT}, {SQLITE_NOTADB, ERROR_CORRUPT},  {SQLITE_BUSY, ERROR_BUSY},
    {SQLITE_LOCKED, ERROR_BUSY},     {SQLITE_READONLY, ERROR_DENIED}, {SQLITE_PERM, ERROR_DENIED},
};

static enum error_class
class_of(sqlite3 *db)
{
    int code = sqlite3_extended_errcode(db) & 0xff;
    int number = sqlite3_system_errno(db);

    if (code == SQLITE_IOERR && (number == ENOSPC || number == EDQUOT))
        return ERROR_FULL;
    for (size_t i = 0; i < countof(classes); i++)
        if (classes[i].code == code)
            return classes[i].class;
    return ERROR_INTERNAL;
}

int
sql_error(sqlite3 *db, struct error *err, const char *format, ...)
{
    char what[512];
    va_list list;

    va_start(list, format);
    vsnprintf(what, sizeof(what), format, list);
    va_end(list);
    enum error_class class = class_of(db);
    error_set(err, class, "%s", what);
    error_cause(err, "%s (SQLite %d)", sqlite3_errmsg(db), sqlite3_extended_errcode(db));
    if (class == ERROR_CORRUPT)
        error_hint(err, "stop Tidegate and put a backup of the whole folder back");
    return -1;
}

bool
sql_is_disk(sqlite3 *db)
{
    int code = sqlite3_extended_errcode(db) & 0xff;

    return code == SQLITE_FULL || code == SQLITE_IOERR || code == SQLITE_NOMEM;
}

int
sql_exec(sqlite3 *db, const char *sql, struct error *err)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    return sql_error(db, err, "run \"%.200s\" on %s", sql, sqlite3_db_filename(db, "main"));
}

sqlite3_stmt *
sql_statement(sqlite3 *db, const char *sql, struct error *err)
{
    sqlite3_stmt *kept = NULL;

    while ((kept = sqlite3_next_stmt(db, kept)))
        if (!sqlite3_stmt_busy(kept) && strcmp(sqlite3_sql(kept), sql) == 0) {
            sqlite3_reset(kept);
            sqlite3_clear_bindings(kept);
            return kept;
        }
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &kept, NULL) == SQLITE_OK)
        return kept;
    sql_error(db, err, "prepare \"%.200s\" on %s", sql, sqlite3_db_filename(db, "main"));
    return NULL;
}

int
sql_step(sqlite3_stmt *statement, struct error *err)
{
    int code = sqlite3_step(statement);

    if (code == SQLITE_ROW)
        return 1;
    if (code != SQLITE_DONE) {
        sqlite3 *db = sqlite3_db_handle(statement);
        sql_error(db, err, "run \"%.200s\" on %s", sqlite3_sql(statement),
                  sqlite3_db_filename(db, "main"));
    }
    sqlite3_reset(statement); /* answers the failure again, which sql_is_disk may look at */
    return code == SQLITE_DONE ? 0 : -1;
}

int
sql_number(sqlite3 *db, const char *sql, int64_t fallback, int64_t *out, struct error *err)
{
    sqlite3_stmt *q = sql_statement(db, sql, err);
    int got = q ? sql_step(q, err) : -1;

    if (got < 0)
        return -1;
    *out = got ? sqlite3_column_int64(q, 0) : fallback;
    sqlite3_reset(q);
    return 0;
}

void
sql_close(sqlite3 *db)
{
    sqlite3_stmt *kept;

    while (db && (kept = sqlite3_next_stmt(db, NULL)))
        sqlite3_finalize(kept);
    ensure(sqlite3_close(db) == SQLITE_OK);
}
