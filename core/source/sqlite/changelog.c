#include "source/sqlite/changelog.h"
#include <stdio.h>
#include "base/hash.h"
#include "source/sqlite/trigger.h"

/* Tables of ours, in the order in which they can be removed. */
const char *const changelog_drop[] = {
    "DROP TABLE IF EXISTS main._tidegate_log",    "DROP TABLE IF EXISTS main._tidegate_pending",
    "DROP TABLE IF EXISTS main._tidegate_column", "DROP TABLE IF EXISTS main._tidegate_version",
    "DROP TABLE IF EXISTS main._tidegate_meta",
};
const size_t changelog_drop_count = countof(changelog_drop);

static const char create_sql[] =
    "CREATE TABLE main._tidegate_meta(one INTEGER PRIMARY KEY CHECK (one = 1), format, workspace,"
    " source, incarnation, epoch, start, stop, cookie);"
    "CREATE TABLE main._tidegate_log(id INTEGER PRIMARY KEY AUTOINCREMENT, ts, ver, op, c0, c1);"
    "CREATE TABLE main._tidegate_pending(n INTEGER PRIMARY KEY, t, b, k, c0);"
    "CREATE INDEX main._tidegate_pending_t ON _tidegate_pending(t);"
    "CREATE TABLE main._tidegate_version(ver INTEGER PRIMARY KEY, name, active);"
    "CREATE TABLE main._tidegate_column(ver, i, name, type, flags, key, PRIMARY KEY (ver, i));";

static int
has_tables(sqlite3 *db, bool *there, struct error *err)
{
    int64_t count;
    if (call_int(db,
                 "SELECT count(*) FROM main.sqlite_master WHERE type = 'table' AND name IN"
                 " ('_tidegate_log', '_tidegate_meta')",
                 0, &count, err) != 0)
        return -1;
    *there = count == 2;
    return 0;
}

static int
refuse_other(const struct source_plan *plan, const struct changelog_meta *meta, struct error *err)
{
    if (strcmp(meta->workspace, plan->workspace_id) == 0 && strcmp(meta->source, plan->name) == 0)
        return 0;
    error_set(err, ERROR_CONFIG,
              "the change log in this database belongs to source \"%s\" of workspace %s, and a"
              " database has one such log",
              meta->source, meta->workspace);
    return error_hint(err,
                      "read it there, or run `tidegate triggers %s remove` in that workspace first",
                      meta->source);
}

static void
copy_text(char *out, const char *text)
{
    size_t size = strnlen(text, CHANGELOG_OWNER - 1);
    memcpy(out, text, size);
    out[size] = '\0';
}

static int
take_meta(sqlite3_stmt *row, const struct source_plan *plan, struct changelog_meta *out,
          struct error *err)
{
    if (sqlite3_column_int(row, 0) != CHANGELOG_FORMAT) {
        error_set(err, ERROR_CONFIG,
                  "the change log in this database has format %d, this version knows %d",
                  sqlite3_column_int(row, 0), CHANGELOG_FORMAT);
        return error_hint(err, "use the Tidegate that made it, or remove it with that one");
    }
    copy_text(out->workspace, call_text(row, 1));
    copy_text(out->source, call_text(row, 2));
    out->incarnation = (uint64_t)sqlite3_column_int64(row, 3);
    out->epoch = (uint32_t)sqlite3_column_int64(row, 4);
    out->start = sqlite3_column_int64(row, 5);
    out->stop = sqlite3_column_int64(row, 6);
    out->cookie = sqlite3_column_int64(row, 7);
    out->first = sqlite3_column_int64(row, 8);
    out->last = sqlite3_column_int64(row, 9);
    out->highest = sqlite3_column_int64(row, 10);
    return refuse_other(plan, out, err);
}

int
changelog_meta_read(sqlite3 *db, const struct source_plan *plan, struct changelog_meta *out,
                    struct error *err)
{
    static const char what[] = "read the change log";
    *out = (struct changelog_meta){0};
    if (has_tables(db, &out->there, err) != 0)
        return -1;
    if (!out->there)
        return 0;
    sqlite3_stmt *row = call_prepare(
        db,
        "SELECT format, workspace, source, incarnation, epoch, start, stop, cookie,"
        " (SELECT min(id) FROM main._tidegate_log), (SELECT max(id) FROM main._tidegate_log),"
        " (SELECT seq FROM main.sqlite_sequence WHERE name = '_tidegate_log')"
        " FROM main._tidegate_meta",
        what, err);
    if (!row)
        return -1;
    int found = call_step(row, what, err);
    if (found == 1)
        found = take_meta(row, plan, out, err);
    else if (found == 0)
        found = error_set(err, ERROR_LOST, "table _tidegate_meta was emptied by a stranger");
    sqlite3_finalize(row);
    return found;
}

int
changelog_create(sqlite3 *db, const struct source_plan *plan, uint32_t epoch, int64_t limit,
                 struct error *err)
{
    static const char what[] = "make the change log";
    for (size_t i = 0; i < changelog_drop_count; i++) {
        if (call_exec(db, changelog_drop[i], what, err) != 0)
            return -1;
    }
    if (call_exec(db, create_sql, what, err) != 0)
        return -1;
    sqlite3_stmt *row = call_prepare(
        db, "INSERT INTO main._tidegate_meta VALUES (1, ?1, ?2, ?3, ?4, ?5, 0, ?6, 0)", what, err);
    if (!row)
        return -1;
    sqlite3_bind_int(row, 1, CHANGELOG_FORMAT);
    sqlite3_bind_text(row, 2, plan->workspace_id, -1, SQLITE_STATIC);
    sqlite3_bind_text(row, 3, plan->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(row, 4, (int64_t)random_u64());
    sqlite3_bind_int64(row, 5, epoch);
    sqlite3_bind_int64(row, 6, limit);
    return call_finish(row, what, err);
}

static int
widen(sqlite3 *db, const char *table, int fixed, size_t cells, struct error *err)
{
    char sql[160];
    int64_t now;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM pragma_table_info('%s', 'main')", table);
    if (call_int(db, sql, 0, &now, err) != 0)
        return -1;
    for (size_t i = (size_t)(now - fixed); i < cells; i++) {
        snprintf(sql, sizeof sql, "ALTER TABLE main.%s ADD COLUMN c%zu", table, i);
        if (call_exec(db, sql, "widen the change log", err) != 0)
            return -1;
    }
    return 0;
}

int
changelog_widen(sqlite3 *db, size_t log_cells, size_t pending_cells, struct error *err)
{
    if (widen(db, "_tidegate_log", 4, log_cells, err) != 0)
        return -1;
    return widen(db, "_tidegate_pending", 4, pending_cells, err);
}

int
changelog_restart(sqlite3 *db, uint32_t epoch, int64_t limit, struct error *err)
{
    static const char what[] = "start the change log again";
    sqlite3_stmt *row = call_prepare(
        db,
        "UPDATE main._tidegate_meta SET incarnation = ?1, epoch = ?2,"
        " start = ifnull((SELECT seq FROM main.sqlite_sequence WHERE name = '_tidegate_log'), 0),"
        " stop = ifnull((SELECT seq FROM main.sqlite_sequence WHERE name = '_tidegate_log'), 0) + "
        "?3",
        what, err);
    if (!row)
        return -1;
    sqlite3_bind_int64(row, 1, (int64_t)random_u64());
    sqlite3_bind_int64(row, 2, epoch);
    sqlite3_bind_int64(row, 3, limit);
    return call_finish(row, what, err);
}

int
changelog_note(sqlite3 *db, int64_t ver, int op, struct slice text, struct error *err)
{
    static const char what[] = "write into the change log";
    sqlite3_stmt *row = call_prepare(
        db, "INSERT INTO main._tidegate_log(ts, ver, op, c0) VALUES (" TRIGGER_NOW ", ?1, ?2, ?3)",
        what, err);
    if (!row)
        return -1;
    sqlite3_bind_int64(row, 1, ver);
    sqlite3_bind_int(row, 2, op);
    sqlite3_bind_text(row, 3, text.data, (int)text.size, SQLITE_STATIC);
    return call_finish(row, what, err);
}

void
changelog_position_write(const struct changelog_position *position, struct buffer *out)
{
    buffer_u64(out, position->incarnation);
    buffer_u64(out, (uint64_t)position->id);
    buffer_u64(out, position->hash);
    buffer_u64(out, (uint64_t)position->ver);
}

int
changelog_position_read(struct slice bytes, struct changelog_position *out)
{
    struct scan scan = scan_of(bytes);
    out->incarnation = scan_u64(&scan);
    out->id = (int64_t)scan_u64(&scan);
    out->hash = scan_u64(&scan);
    out->ver = (int64_t)scan_u64(&scan);
    return scan.failed || scan.at != scan.end || out->id < 0 ? -1 : 0;
}

void
changelog_row_write(sqlite3_stmt *row, int from, int count, struct buffer *out)
{
    for (int i = from; i < from + count; i++) {
        int class = sqlite3_column_type(row, i);
        buffer_byte(out, (uint8_t) class);
        if (class == SQLITE_INTEGER) {
            buffer_u64(out, (uint64_t)sqlite3_column_int64(row, i));
        } else if (class == SQLITE_FLOAT) {
            double real = sqlite3_column_double(row, i);
            uint64_t bits;
            memcpy(&bits, &real, sizeof bits);
            buffer_u64(out, bits);
        } else if (class != SQLITE_NULL) {
            buffer_lenslice(out, call_bytes(row, i));
        }
    }
}
