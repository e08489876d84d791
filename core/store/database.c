#include "store/database.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "store/store.h"

#define APPLICATION 0x54474154 /* "TGAT": the file is ours */

static const char store_create[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE schemas(number INTEGER PRIMARY KEY, encoded BLOB NOT NULL);"
    "CREATE TABLE consumers(name TEXT PRIMARY KEY, checkpoint INTEGER NOT NULL,"
    " enabled INTEGER NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID;";

static const char config_create[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;";

static const struct database_kind store_kind = {.format = STORE_FORMAT, .create = store_create};
static const struct database_kind config_kind = {.format = DATABASE_FORMAT_CONFIG,
                                                 .create = config_create};

/* secure_delete: Debian compiles it on. The limit lets a WAL that once grew shrink again. */
static const char pragmas[] = "PRAGMA page_size=4096; PRAGMA auto_vacuum=NONE;"
                              "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                              "PRAGMA secure_delete=OFF; PRAGMA wal_autocheckpoint=0;"
                              "PRAGMA journal_size_limit=16777216; PRAGMA temp_store=MEMORY;"
                              "PRAGMA cache_size=-4096; PRAGMA trusted_schema=OFF;";

static sqlite3 *
connect_to(const char *path, const char *setup, struct error *err)
{
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;

    if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK) {
        sql_error(db, err, "open %s", path);
        sql_close(db);
        return NULL;
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, 5000); /* only for the recovery of a WAL after a crash */
    if (sql_exec(db, setup, err) == 0 &&
        (!sabotage("store.synchronous_off") || sql_exec(db, "PRAGMA synchronous=OFF", err) == 0))
        return db;
    sql_close(db);
    return NULL;
}

/* The number of a pragma that cannot be bound. */
static int
pragma_number(sqlite3 *db, const char *sql, int64_t *out, struct error *err)
{
    return sql_number(db, sql, 0, out, err);
}

static int
set_format(sqlite3 *db, int format, struct error *err)
{
    char sql[96];

    snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d;", APPLICATION,
             format);
    return sql_exec(db, sql, err);
}

/* `first` and then the format number, in one transaction. */
static int
change(sqlite3 *db, const char *first, int format, struct error *err)
{
    if (sql_exec(db, "BEGIN IMMEDIATE", err) != 0)
        return -1;
    if (sql_exec(db, first, err) == 0 && set_format(db, format, err) == 0 &&
        sql_exec(db, "COMMIT", err) == 0)
        return 0;
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

static int
copy_pages(sqlite3 *from, sqlite3 *to, struct error *err)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    int code = backup ? sqlite3_backup_step(backup, -1) : SQLITE_ERROR;

    if (backup)
        sqlite3_backup_finish(backup);
    return code == SQLITE_DONE ? 0
                               : sql_error(to, err, "copy %s", sqlite3_db_filename(from, "main"));
}

/* PATH.format-N: what a person goes back to when the new version disappoints. */
static int
keep_copy(sqlite3 *db, const char *path, int format, struct error *err)
{
    char copy[4096];
    sqlite3 *to = NULL;

    snprintf(copy, sizeof(copy), "%s.format-%d", path, format);
    int fd = file_open(copy, O_RDWR | O_CREAT | O_TRUNC, err);
    if (fd < 0)
        return -1;
    file_close(fd);
    int code = sqlite3_open_v2(copy, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    int result = code == SQLITE_OK ? copy_pages(db, to, err) : sql_error(to, err, "open %s", copy);
    sql_close(to);
    if (result == 0)
        log_info("store", "%s has format %d and is migrated; the copy %s is kept", path, format,
                 copy);
    return result;
}

static int
migrate(sqlite3 *db, const char *path, const struct database_kind *kind, int format,
        struct error *err)
{
    if (keep_copy(db, path, format, err) != 0)
        return error_context(err, "keep a copy before the migration");
    for (int i = format; i < kind->format; i++)
        if (change(db, kind->steps[i - 1], i + 1, err) != 0)
            return error_context(err, "migrate %s to format %d", path, i + 1);
    return 0;
}

static int
foreign(const char *path, struct error *err)
{
    error_set(err, ERROR_CORRUPT, "%s is not a database of Tidegate", path);
    return error_hint(err, "move it away, or put a backup of it back");
}

static int
check_format(sqlite3 *db, const char *path, const struct database_kind *kind, struct error *err)
{
    int64_t format = 0, application = 0, tables = 0;

    if (pragma_number(db, "PRAGMA user_version", &format, err) != 0 ||
        pragma_number(db, "PRAGMA application_id", &application, err) != 0 ||
        pragma_number(db, "SELECT count(*) FROM sqlite_master", &tables, err) != 0)
        return -1;
    if (format == 0 && application == 0 && tables == 0)
        return change(db, kind->create, kind->format, err);
    if (application != APPLICATION || format < 1)
        return foreign(path, err);
    if (format > kind->format) {
        error_set(err, ERROR_REFUSED, "%s has format %d, newer than this version's %d", path,
                  (int)format, kind->format);
        return error_hint(err, "run the version of Tidegate that wrote it, or a newer one");
    }
    return format < kind->format ? migrate(db, path, kind, (int)format, err) : 0;
}

sqlite3 *
database_open(const char *path, const struct database_kind *kind, struct error *err)
{
    int fd = file_open(path, O_RDWR | O_CREAT, err); /* made here for its mode */

    if (fd < 0)
        return NULL;
    file_close(fd);
    sqlite3 *db = connect_to(path, pragmas, err);
    if (db && check_format(db, path, kind, err) == 0)
        return db;
    sql_close(db);
    return NULL;
}

static sqlite3 *
open_in(const char *folder, const char *name, const struct database_kind *kind, struct error *err)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    sqlite3 *db = database_open(path, kind, err);
    if (db && file_sync_folder(folder, err) != 0) {
        sql_close(db);
        return NULL;
    }
    return db;
}

sqlite3 *
database_store_open(const char *folder, struct error *err)
{
    return open_in(folder, "tidegate.db", &store_kind, err);
}

sqlite3 *
database_config_open(const char *folder, struct error *err)
{
    return open_in(folder, "config.db", &config_kind, err);
}

static sqlite3 *
beside(const char *path, const char *setup, struct error *err)
{
    sqlite3 *db = connect_to(path, setup, err);

    if (db)
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return db;
}

sqlite3 *
database_reader(const char *path, struct error *err)
{
    return beside(path, "PRAGMA query_only=1; PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY;",
                  err);
}

sqlite3 *
database_keeper(const char *path, struct error *err)
{
    return beside(path, "PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=FULL;", err);
}

int
database_meta(sqlite3 *db, const char *name, char *out, size_t size, struct error *err)
{
    sqlite3_stmt *q = sql_statement(db, "SELECT value FROM meta WHERE name = ?", err);

    if (!q)
        return -1;
    sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    int got = sql_step(q, err);
    if (got == 1)
        snprintf(out, size, "%s", (const char *)sqlite3_column_text(q, 0));
    sqlite3_reset(q);
    return got;
}

int
database_set_meta(sqlite3 *db, const char *name, const char *value, struct error *err)
{
    sqlite3_stmt *q = sql_statement(
        db, "INSERT INTO meta VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value",
        err);

    if (!q)
        return -1;
    sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 2, value, -1, SQLITE_STATIC);
    return sql_step(q, err);
}
