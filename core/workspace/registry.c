#include "workspace/registry.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/json.h"
#include "source/source_driver.h"

#define DECLARED_MAX (1024 * 1024)
#define EPOCH_MARGIN "1000"

static const char table_sql[] = "CREATE TABLE IF NOT EXISTS source(name TEXT PRIMARY KEY, driver "
                                "TEXT NOT NULL, options TEXT NOT NULL,"
                                " epoch INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT "
                                "-1, reason TEXT NOT NULL DEFAULT '')"
                                " WITHOUT ROWID";

static int
sql_failed(sqlite3 *db, struct error *err)
{
    error_set(err, sqlite3_errcode(db) == SQLITE_FULL ? ERROR_FULL : ERROR_IO,
              "the list of sources");
    return error_cause(err, "%s", sqlite3_errmsg(db));
}

/* One statement with texts to bind, in the store's transaction. */
struct statement_work {
    struct store_work work;
    const char *sql;
    const char *texts[4];
    int64_t number;
};

static int
run_statement(struct store_work *work, sqlite3 *db, struct error *err)
{
    struct statement_work *w = container_of(work, struct statement_work, work);
    sqlite3_stmt *statement;
    if (sqlite3_exec(db, table_sql, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, w->sql, -1, &statement, NULL) != SQLITE_OK)
        return sql_failed(db, err);
    for (int i = 0; i < 4 && w->texts[i]; i++)
        sqlite3_bind_text(statement, i + 1, w->texts[i], -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 5, w->number);
    int result = sqlite3_step(statement) == SQLITE_DONE ? 0 : sql_failed(db, err);
    sqlite3_finalize(statement);
    return result;
}

static void
done_statement(struct store_work *work, const struct error *err)
{
    (void)work;
    (void)err;
}

static int
execute(struct store *store, struct statement_work *w, struct error *err)
{
    w->work = (struct store_work){
        .run = run_statement, .done = done_statement, .bytes = 1024, .essential = true};
    return store_run_now(store, &w->work, err);
}

/* ended is the last epoch of the old history; a source that starts is past it. */
int
registry_note(struct store *store, const struct config_source *source, uint32_t epoch,
              struct error *err)
{
    struct buffer json;
    buffer_init(&json, DECLARED_MAX);
    json_value(&json, source->declared);
    struct statement_work w = {
        .sql = "INSERT INTO source(name, driver, options, epoch) VALUES(?1, ?2, ?3, ?5) ON "
               "CONFLICT(name)"
               " DO UPDATE SET driver = excluded.driver, options = excluded.options,"
               " epoch = max(epoch, excluded.epoch)",
        .number = epoch,
        .texts = {source->name, source->driver->name, buffer_cstring(&json)},
    };
    int result = json.failed
                     ? error_set(err, ERROR_CONFIG,
                                 "source \"%s\": its options are larger than 1 MiB", source->name)
                     : execute(store, &w, err);
    buffer_release(&json);
    return result;
}

/* The row of one source; NULL when there is none, or no table yet. The caller finalizes. */
static sqlite3_stmt *
find_row(sqlite3 *db, const char *name)
{
    static const char sql[] = "SELECT driver, options, ended, reason FROM source WHERE name = ?1";
    sqlite3_stmt *row;
    if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) != SQLITE_OK)
        return NULL;
    sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
    if (sqlite3_step(row) == SQLITE_ROW)
        return row;
    sqlite3_finalize(row);
    return NULL;
}

int
registry_resume(struct store *store, const char *name, struct source_resume *resume, char gap[256],
                struct error *err)
{
    sqlite3 *db = store_reader(store, err);
    if (!db)
        return -1;
    sqlite3_stmt *row = find_row(db, name);
    int64_t ended = row ? sqlite3_column_int64(row, 2) : -1;
    if (ended >= 0 && ended >= (int64_t)resume->epoch) {
        snprintf(gap, 256, "%s", (const char *)sqlite3_column_text(row, 3));
        *resume = (struct source_resume){.epoch = (uint32_t)ended + 1, .gap = slice_of(gap)};
    }
    sqlite3_finalize(row);
    sqlite3_close(db);
    return 0;
}

/* A reset needs the highest number only of what refers to events: checkpoints. */
static uint64_t
newest_checkpoint(sqlite3 *db)
{
    sqlite3_stmt *row;
    uint64_t newest = 0;
    if (sqlite3_prepare_v2(db, "SELECT max(checkpoint) FROM consumers", -1, &row, NULL) !=
        SQLITE_OK)
        return 0;
    if (sqlite3_step(row) == SQLITE_ROW)
        newest = (uint64_t)sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return newest;
}

/* The epoch that a source had reached by the journal. */
static int
end_source(sqlite3 *db, const struct journal_source *source)
{
    char *sql = sqlite3_mprintf("UPDATE source SET epoch = max(epoch, %d) WHERE name = %Q",
                                (int)source->epoch, source->name);
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return code;
}

/* What the journal knows, if it can still be read. Without it each source's epoch rises by a
 * margin, because it may have risen since it was noted. */
static int
note_journal(sqlite3 *db, const char *folder, uint64_t *newest)
{
    struct journal_source *sources;
    struct journal *journal = journal_open(&(struct journal_options){.folder = folder}, NULL);
    if (!journal)
        return sqlite3_exec(db, "UPDATE source SET epoch = epoch + " EPOCH_MARGIN, NULL, NULL,
                            NULL);
    if (journal_newest(journal) > *newest)
        *newest = journal_newest(journal);
    int code = SQLITE_OK;
    size_t count = journal_source_list(journal, &sources);
    for (size_t i = 0; i < count; i++) {
        if (code == SQLITE_OK)
            code = end_source(db, &sources[i]);
        free(sources[i].position);
    }
    free(sources);
    journal_close(journal);
    return code;
}

static int
end_all(sqlite3 *db, const char *folder, const char *reason, uint64_t *newest)
{
    int code = sqlite3_exec(db, table_sql, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = note_journal(db, folder, newest);
    char *sql =
        sqlite3_mprintf("UPDATE source SET ended = max(ended + 1, epoch), reason = %Q", reason);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return code;
}

int
registry_end_all(const char *data, const char *reason, uint64_t *newest, struct error *err)
{
    char database[PATH_MAX], journal[PATH_MAX];
    sqlite3 *db;
    *newest = 0;
    snprintf(database, sizeof(database), "%s/tidegate.db", data);
    snprintf(journal, sizeof(journal), "%s/journal", data);
    int code = sqlite3_open_v2(database, &db, SQLITE_OPEN_READWRITE, NULL);
    if (code == SQLITE_OK) {
        *newest = newest_checkpoint(db);
        code = end_all(db, journal, reason, newest);
    }
    int result = code == SQLITE_OK ? 0 : sql_failed(db, err);
    sqlite3_close(db);
    return result;
}

/* A plan made of what was remembered. Everything lives in `arena`. */
static int
remembered_plan(struct workspace *w, sqlite3_stmt *row, const char *name, struct arena *arena,
                struct source_plan *out, struct error *err)
{
    struct value declared;
    const char *driver = (const char *)sqlite3_column_text(row, 0);
    *out = (struct source_plan){
        .name = name,
        .driver = source_driver_find(slice_of(driver)),
        .workspace = workspace_folder(w),
        .workspace_id = store_workspace_id(workspace_store(w)),
        .schemas = store_schemas(workspace_store(w)),
    };
    if (!out->driver)
        return error_set(err, ERROR_REFUSED, "source \"%s\": this build has no driver \"%s\"", name,
                         driver);
    out->options = arena_zero(arena, out->driver->options_size + 1);
    if (json_parse(slice_of((const char *)sqlite3_column_text(row, 1)), arena, &declared, err) != 0)
        return -1;
    struct config_source source = {.name = name, .driver = out->driver, .options = out->options};
    if (config_apply_source(&declared, workspace_folder(w), &source, arena, err) != 0)
        return -1;
    out->common = source.common;
    return 0;
}

static int
forget(struct workspace *w, const char *name, struct error *err)
{
    struct journal_source known = {0};
    int64_t epoch = 0;
    if (journal_source_get(store_journal(workspace_store(w)), name, &known) == 0)
        epoch = known.epoch;
    free(known.position);
    struct statement_work work = {
        .sql = "UPDATE source SET ended = max(ended, epoch, ?5), reason = '', options = '' WHERE "
               "name = ?1",
        .texts = {name},
        .number = epoch,
    };
    return execute(workspace_store(w), &work, err);
}

int
registry_remove(struct workspace *w, const char *name, const struct source_report *report,
                struct error *err)
{
    sqlite3 *db = store_reader(workspace_store(w), err);
    if (!db)
        return -1;
    struct source_plan plan;
    struct arena arena;
    arena_init(&arena, 0);
    sqlite3_stmt *row = find_row(db, name);
    int result = -1;
    if (!row || sqlite3_column_bytes(row, 1) == 0)
        error_set(err, ERROR_MISSING, "source \"%s\" is not known to this workspace", name);
    else
        result = remembered_plan(w, row, name, &arena, &plan, err);
    sqlite3_finalize(row);
    sqlite3_close(db);
    if (result == 0)
        result = source_installed(&plan, SOURCE_REMOVE, NULL, false, report, err);
    if (result == 0)
        result = forget(w, name, err);
    arena_release(&arena);
    return result;
}
