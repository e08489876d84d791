#include "source/sqlite/call.h"

static const struct {
    int code;
    enum error_class class;
    const char *hint;
} classes[] = {
    {SQLITE_BUSY, ERROR_BUSY, "another process holds a lock on the database; it is tried again"},
    {SQLITE_LOCKED, ERROR_BUSY, ""},
    {SQLITE_NOTADB, ERROR_DATA, "`path` must name a SQLite 3 database that is not encrypted"},
    {SQLITE_CORRUPT, ERROR_CORRUPT, "run PRAGMA integrity_check, restore the file from a backup"},
    {SQLITE_READONLY, ERROR_DENIED,
     "capture makes triggers: the file and its folder must be writable"},
    {SQLITE_PERM, ERROR_DENIED, "the file and its folder must be readable and writable"},
    {SQLITE_CANTOPEN, ERROR_DENIED, "the file and its folder must be readable and writable"},
    {SQLITE_AUTH, ERROR_DENIED, ""},
    {SQLITE_FULL, ERROR_FULL, "the disk that holds the database is full"},
    {SQLITE_IOERR, ERROR_IO, ""},
    {SQLITE_NOMEM, ERROR_SYSTEM, ""},
    {SQLITE_PROTOCOL, ERROR_BUSY, ""},
    {SQLITE_SCHEMA, ERROR_BUSY, ""},
};

int
call_failed(sqlite3 *db, int code, const char *what, struct error *err)
{
    enum error_class class = ERROR_INTERNAL;
    const char *hint = "";
    for (size_t i = 0; i < countof(classes); i++) {
        if (classes[i].code == (code & 0xff)) {
            class = classes[i].class;
            hint = classes[i].hint;
        }
    }
    const char *path = db ? sqlite3_db_filename(db, "main") : NULL;
    if (path)
        error_set(err, class, "cannot %s of %s", what, path);
    else
        error_set(err, class, "cannot %s", what);
    error_cause(err, "%s", db ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    if (*hint)
        error_hint(err, "%s", hint);
    return -1;
}

int
call_exec(sqlite3 *db, const char *sql, const char *what, struct error *err)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : call_failed(db, code, what, err);
}

sqlite3_stmt *
call_prepare(sqlite3 *db, const char *sql, const char *what, struct error *err)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code != SQLITE_OK)
        call_failed(db, code, what, err);
    return code == SQLITE_OK ? statement : NULL;
}

sqlite3_stmt *
call_prepare_text(sqlite3 *db, const char *sql, const char *text, const char *what,
                  struct error *err)
{
    sqlite3_stmt *statement = call_prepare(db, sql, what, err);
    if (statement)
        sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
    return statement;
}

int
call_step(sqlite3_stmt *statement, const char *what, struct error *err)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    if (code == SQLITE_DONE)
        return 0;
    return call_failed(sqlite3_db_handle(statement), code, what, err);
}

int
call_finish(sqlite3_stmt *statement, const char *what, struct error *err)
{
    int found;
    do
        found = call_step(statement, what, err);
    while (found == 1);
    sqlite3_finalize(statement);
    return found;
}

int
call_int(sqlite3 *db, const char *sql, int64_t fallback, int64_t *out, struct error *err)
{
    sqlite3_stmt *statement = call_prepare(db, sql, "read the state", err);
    if (!statement)
        return -1;
    int found = call_step(statement, "read the state", err);
    bool there = found == 1 && sqlite3_column_type(statement, 0) != SQLITE_NULL;
    *out = there ? sqlite3_column_int64(statement, 0) : fallback;
    sqlite3_finalize(statement);
    return found < 0 ? -1 : 0;
}

const char *
call_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text ? text : "";
}

struct slice
call_bytes(sqlite3_stmt *statement, int column)
{
    const char *data = sqlite3_column_type(statement, column) == SQLITE_BLOB
                           ? sqlite3_column_blob(statement, column)
                           : (const char *)sqlite3_column_text(statement, column);
    size_t size = (size_t)sqlite3_column_bytes(statement, column);
    return (struct slice){size ? data : "", size};
}
