/* Opening a database: the file, the change log, the triggers, and the proof that reading can go on
 * where it was. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "source/sqlite/state.h"
#include "source/sqlite/sync.h"

#define OPEN_PATIENCE 2000 /* ms that opening waits for a lock; later nothing waits */

static int
check_file(const struct source_plan *plan, const char *path, struct error *err)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        enum error_class class = errno == EACCES ? ERROR_DENIED : ERROR_MISSING;
        error_errno(err, class, errno, "source \"%s\": cannot open %s", plan->name, path);
        return error_hint(err,
                          class == ERROR_DENIED
                              ? "make every folder above it accessible to this user"
                              : "correct `path`, or let the application make the database first");
    }
    if (!S_ISREG(info.st_mode)) {
        error_set(err, ERROR_CONFIG, "source \"%s\": %s is not a file", plan->name, path);
        return error_hint(err, "`path` must name a SQLite database");
    }
    if (access(path, R_OK | W_OK) == 0)
        return 0;
    error_errno(err, ERROR_DENIED, errno, "source \"%s\": cannot read and write %s", plan->name,
                path);
    return error_hint(err, "capture makes triggers in the database: chmod u+rw %s, and its folder",
                      path);
}

/* The first read of the file: not a database, encrypted, damaged or locked shows here. */
static int
check_content(sqlite3 *db, const struct source_plan *plan, const char *path, struct error *err)
{
    static const char what[] = "read the schema";
    sqlite3_stmt *row = call_prepare(db, "SELECT count(*) FROM main.sqlite_master", what, err);
    if (!row || call_finish(row, what, err) != 0)
        return error_context(err, "source \"%s\"", plan->name);
    if (!sqlite3_db_readonly(db, "main"))
        return 0;
    error_set(err, ERROR_DENIED, "source \"%s\": %s can only be read", plan->name, path);
    return error_hint(err, "capture makes triggers in the database: chmod u+rw %s, and its folder",
                      path);
}

int
open_file(const struct source_plan *plan, sqlite3 **db, struct error *err)
{
    const struct sqlite_options *options = plan->options;
    *db = NULL;
    if (check_file(plan, options->path, err) != 0)
        return -1;
    int code =
        sqlite3_open_v2(options->path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return call_failed(*db, code, "open the database", err);
    sqlite3_busy_timeout(*db, OPEN_PATIENCE);
    if (check_content(*db, plan, options->path, err) != 0)
        return -1;
    /* Rows that are pruned need not be overwritten with zeros; where that costs nothing it is done.
     */
    return call_exec(*db, "PRAGMA secure_delete = FAST", "open", err);
}

bool
open_replaced(const struct state *state)
{
    struct stat info;
    return stat(state->path, &info) != 0 || info.st_dev != state->device ||
           info.st_ino != state->inode;
}

static void
remember_file(struct state *state)
{
    struct stat info = {0};
    if (stat(state->path, &info) == 0) {
        state->device = info.st_dev;
        state->inode = info.st_ino;
    }
}

/* Begin where meta says: for the first time, or after history was given up. */
static int
begin_log(struct source_context *context, struct error *err)
{
    struct state *state = context->state;
    const struct sqlite_options *options = context->plan->options;
    bool made = state->meta.there, again = made && state->meta.epoch != context->epoch;
    int result = 0;
    if (!made || again)
        result = call_exec(state->db, "BEGIN IMMEDIATE", "begin the change log", err);
    if (result == 0 && !made)
        result =
            changelog_create(state->db, context->plan, context->epoch, options->log_limit, err);
    else if (result == 0 && again)
        result = changelog_restart(state->db, context->epoch, options->log_limit, err);
    if (result == 0 && (!made || again))
        result = call_exec(state->db, "COMMIT", "begin the change log", err);
    if (result != 0) {
        sqlite3_exec(state->db, "ROLLBACK", NULL, NULL, NULL);
        return -1;
    }
    if (changelog_meta_read(state->db, context->plan, &state->meta, err) != 0)
        return -1;
    /* A new journal beside an old log: what was pruned is gone, what is there is read. */
    bool pruned = state->meta.first > state->meta.start;
    state->at =
        (struct changelog_position){.incarnation = state->meta.incarnation,
                                    .id = pruned ? state->meta.first - 1 : state->meta.start};
    return 0;
}

/* Is the log the one in which this position was read, and is that row still what it was? */
static int
prove(struct source_context *context, struct error *err)
{
    struct state *state = context->state;
    int64_t ver;
    uint64_t hash;
    if (!state->meta.there)
        return error_set(err, ERROR_LOST, "the change log of %s was removed", state->path);
    if (state->meta.incarnation != state->at.incarnation)
        return error_set(err, ERROR_LOST,
                         "%s has another change log than before: it was restored, replaced, or its"
                         " log was made again",
                         state->path);
    if (state->at.id == 0)
        return 0;
    if (reader_hash(context, state->at.id, &ver, &hash, err) != 0)
        return -1;
    if (hash == state->at.hash && ver == state->at.ver)
        return 0;
    return error_set(err, ERROR_LOST,
                     "row %lld of the change log of %s is not the one that was read: an older state"
                     " of the database was brought back",
                     (long long)state->at.id, state->path);
}

/* The number of the schema belongs to the same transaction as the comparison. */
static int
compare_in(const struct sync *sync, int64_t *cookie, bool look, struct error *err)
{
    static const char what[] = "compare the triggers";
    if (call_exec(sync->db, look ? "BEGIN" : "BEGIN IMMEDIATE", what, err) != 0)
        return -1;
    int result = look ? sync_needed(sync, err) : sync_run(sync, err);
    if (result >= 0 && call_int(sync->db, "PRAGMA main.schema_version", 0, cookie, err) != 0)
        result = -1;
    if (result >= 0 && call_exec(sync->db, "COMMIT", what, err) != 0)
        result = -1;
    if (result < 0)
        sqlite3_exec(sync->db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

int
open_compare(struct source_context *context, bool fresh, struct error *err)
{
    struct state *state = context->state;
    struct sync sync = {.db = state->db, .plan = context->plan, .fresh = fresh};
    int needed = fresh ? 1 : compare_in(&sync, &state->cookie, true, err);
    if (needed <= 0)
        return needed;
    return compare_in(&sync, &state->cookie, false, err);
}

int
open_log(struct source_context *context, struct error *err)
{
    struct state *state = context->state;
    remember_file(state);
    if (changelog_meta_read(state->db, context->plan, &state->meta, err) != 0 ||
        (state->meta.there && reader_open(state, err) != 0))
        return -1;
    bool fresh = !state->meta.there;
    if (context->position->size == 0) {
        if (begin_log(context, err) != 0)
            return -1;
    } else if (changelog_position_read(buffer_view(context->position), &state->at) != 0) {
        return error_set(err, ERROR_LOST, "the stored position is not one of SQLite");
    } else if (prove(context, err) != 0) {
        return -1;
    }
    state->confirmed = state->at.id;
    if (!state->reader.rows && reader_open(state, err) != 0)
        return -1;
    return open_compare(context, fresh, err);
}
