#include "outbox/query.h"

#include <stdarg.h>

static const char tables[] =
    "CREATE TABLE IF NOT EXISTS out_block(channel TEXT NOT NULL, first_seq INTEGER NOT NULL,"
    " n INTEGER NOT NULL, bytes INTEGER NOT NULL, min_lsn INTEGER NOT NULL, data BLOB NOT NULL,"
    " PRIMARY KEY(channel, first_seq));"
    "CREATE INDEX IF NOT EXISTS out_block_lsn ON out_block(min_lsn) WHERE min_lsn > 0;"
    "CREATE TABLE IF NOT EXISTS out_cursor(channel TEXT PRIMARY KEY, done_seq INTEGER NOT NULL,"
    " done_above BLOB NOT NULL, breaker INTEGER NOT NULL, probe_at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS out_parked(channel TEXT NOT NULL, seq INTEGER NOT NULL,"
    " key_hash INTEGER NOT NULL, state INTEGER NOT NULL, attempts INTEGER NOT NULL,"
    " first_at INTEGER NOT NULL, next_at INTEGER NOT NULL, min_lsn INTEGER NOT NULL,"
    " reason TEXT NOT NULL, message BLOB NOT NULL, PRIMARY KEY(channel, seq));"
    "CREATE INDEX IF NOT EXISTS out_parked_due ON out_parked(channel, next_at) WHERE state = 1;"
    "CREATE INDEX IF NOT EXISTS out_parked_dead ON out_parked(channel, next_at) WHERE state = 3;"
    "CREATE INDEX IF NOT EXISTS out_parked_key ON out_parked(channel, key_hash, seq);"
    "CREATE INDEX IF NOT EXISTS out_parked_lsn ON out_parked(min_lsn) WHERE min_lsn > 0;"
    "CREATE TABLE IF NOT EXISTS out_shape(number INTEGER PRIMARY KEY, format INTEGER NOT NULL,"
    " columns BLOB, bigints INTEGER NOT NULL, decimals INTEGER NOT NULL);";

static const char *const texts[QUERY_COUNT] = {
    [QUERY_BLOCK_PUT] = "INSERT INTO out_block VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [QUERY_BLOCK_NEXT] = "SELECT max(ifnull((SELECT first_seq + n FROM out_block WHERE channel = ?1"
                         " ORDER BY first_seq DESC LIMIT 1), 1),"
                         " ifnull((SELECT done_seq + 1 FROM out_cursor WHERE channel = ?1), 1))",
    [QUERY_BLOCK_AT] = "SELECT first_seq, n, data, min_lsn FROM out_block WHERE channel = ?1"
                       " AND first_seq <= ?2 ORDER BY first_seq DESC LIMIT 1",
    [QUERY_BLOCK_AFTER] = "SELECT first_seq, n, data, min_lsn FROM out_block WHERE channel = ?1"
                          " AND first_seq >= ?2 ORDER BY first_seq LIMIT 1",
    [QUERY_BLOCK_DONE] = "DELETE FROM out_block WHERE channel = ?1 AND first_seq <= ?2"
                         " AND first_seq + n - 1 <= ?2",
    [QUERY_BLOCK_DROP] = "DELETE FROM out_block WHERE channel = ?1 AND first_seq = ?2",
    [QUERY_BLOCK_SIZE] =
        "SELECT bytes FROM out_block WHERE channel = ?1 AND first_seq = ?2 AND n = ?3",
    [QUERY_BLOCK_OLD] =
        "SELECT channel, first_seq, n, data FROM out_block WHERE min_lsn > 0"
        " AND min_lsn < ?1 AND (channel, first_seq) > (?2, ?3) ORDER BY channel, first_seq LIMIT 1",
    [QUERY_BLOCK_LOWEST] = "SELECT min(min_lsn) FROM out_block WHERE min_lsn > 0",
    [QUERY_BLOCK_SUM] = "SELECT ifnull(sum(bytes), 0) FROM out_block WHERE channel = ?1",
    [QUERY_CURSOR_GET] = "SELECT done_seq, done_above, breaker, probe_at FROM out_cursor"
                         " WHERE channel = ?1",
    [QUERY_CURSOR_PUT] = "INSERT OR REPLACE INTO out_cursor VALUES(?1, ?2, ?3, ?4, ?5)",
    [QUERY_PARKED_PUT] = "INSERT OR REPLACE INTO out_parked"
                         " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [QUERY_PARKED_MOVE] = "UPDATE out_parked SET state = ?3, attempts = ?4, first_at = ?5,"
                          " next_at = ?6, reason = ?7 WHERE channel = ?1 AND seq = ?2",
    [QUERY_PARKED_DROP] = "DELETE FROM out_parked WHERE channel = ?1 AND seq = ?2",
    [QUERY_PARKED_GET] = "SELECT message FROM out_parked WHERE channel = ?1 AND seq = ?2",
    [QUERY_PARKED_LIST] = "SELECT seq, key_hash, state, attempts, first_at, next_at,"
                          " length(message) FROM out_parked WHERE channel = ?1 AND state <> 3"
                          " ORDER BY seq",
    [QUERY_PARKED_DEAD] = "SELECT count(*), ifnull(sum(length(message)), 0) FROM out_parked"
                          " WHERE channel = ?1 AND state = 3",
    [QUERY_PARKED_PAGE] = "SELECT channel, seq, key_hash, attempts, first_at, next_at, reason,"
                          " message FROM out_parked WHERE (channel, seq) > (?1, ?2) AND state = 3"
                          " ORDER BY channel, seq LIMIT ?3",
    [QUERY_PARKED_PRUNE] = "SELECT seq, length(message), next_at FROM out_parked"
                           " WHERE channel = ?1 AND state = 3 ORDER BY next_at LIMIT ?2",
    [QUERY_DEAD_RETRY] = "UPDATE out_parked SET state = 1, attempts = 0, first_at = ?3,"
                         " next_at = ?3, reason = 'retried by hand'"
                         " WHERE channel = ?1 AND seq = ?2 AND state = 3",
    [QUERY_DEAD_SIZE] = "SELECT length(message) FROM out_parked"
                        " WHERE channel = ?1 AND seq = ?2 AND state = 3 AND min_lsn > 0",
    [QUERY_DEAD_DROP] = "DELETE FROM out_parked WHERE channel = ?1 AND seq = ?2 AND state = 3",
    [QUERY_PARKED_OLD] =
        "SELECT channel, seq, message FROM out_parked WHERE min_lsn > 0"
        " AND min_lsn < ?1 AND (channel, seq) > (?2, ?3) ORDER BY channel, seq LIMIT 1",
    [QUERY_PARKED_LOWEST] = "SELECT min(min_lsn) FROM out_parked WHERE min_lsn > 0",
    [QUERY_PARKED_COPY] = "UPDATE out_parked SET message = ?1, min_lsn = 0 WHERE channel = ?2"
                          " AND seq = ?3 AND min_lsn > 0",
    [QUERY_SHAPE_PUT] = "INSERT OR IGNORE INTO out_shape VALUES(?1, ?2, ?3, ?4, ?5)",
    [QUERY_SHAPE_LIST] = "SELECT number, format, columns, bigints, decimals FROM out_shape",
};

int
query_tables(sqlite3 *db, struct error *err)
{
    return sql_exec(db, tables, err);
}

/* A NULL pointer would bind NULL where the column wants an empty value. */
static void
bind_all(sqlite3_stmt *statement, const char *kinds, va_list arguments)
{
    for (int at = 1; kinds[at - 1]; at++) {
        if (kinds[at - 1] == 'i') {
            sqlite3_bind_int64(statement, at, va_arg(arguments, int64_t));
        } else if (kinds[at - 1] == 's') {
            sqlite3_bind_text(statement, at, va_arg(arguments, const char *), -1, SQLITE_STATIC);
        } else {
            struct slice slice = va_arg(arguments, struct slice);
            const char *data = slice.data ? slice.data : "";
            sqlite3_bind_blob64(statement, at, data, slice.size, SQLITE_STATIC);
        }
    }
}

sqlite3_stmt *
query_use(sqlite3 *db, enum query_name name, struct error *err, const char *kinds, ...)
{
    sqlite3_stmt *statement = sql_statement(db, texts[name], err);
    if (!statement)
        return NULL;
    va_list arguments;
    va_start(arguments, kinds);
    bind_all(statement, kinds, arguments);
    va_end(arguments);
    return statement;
}

int
query_do(sqlite3 *db, enum query_name name, struct error *err, const char *kinds, ...)
{
    sqlite3_stmt *statement = sql_statement(db, texts[name], err);
    if (!statement)
        return -1;
    va_list arguments;
    va_start(arguments, kinds);
    bind_all(statement, kinds, arguments);
    va_end(arguments);
    int got;
    do
        got = sql_step(statement, err);
    while (got > 0);
    return got;
}

int
query_number(sqlite3_stmt *statement, int64_t *out, struct error *err)
{
    int got = statement ? sql_step(statement, err) : -1;
    if (got < 0)
        return -1;
    *out = got ? sqlite3_column_int64(statement, 0) : 0;
    if (got)
        sqlite3_reset(statement);
    return 0;
}

struct slice
query_blob(sqlite3_stmt *statement, int column)
{
    const char *data = sqlite3_column_blob(statement, column);
    size_t size = (size_t)sqlite3_column_bytes(statement, column);
    return (struct slice){data ? data : "", data ? size : 0};
}
