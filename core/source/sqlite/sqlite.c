#include "source/sqlite/sqlite.h"
#include <stdio.h>
#include "base/log.h"
#include "source/sqlite/check.h"
#include "source/sqlite/state.h"

#define POLL       CLOCK_SECOND /* a look at the log though nothing was heard */
#define LOOKS      5            /* more looks after something was heard: 1, 2, 4, 8, 16 ms later */
#define BUSY_EVERY 1000         /* µs between tries while somebody holds a lock … */
#define BUSY_QUICK CLOCK_SECOND /* … for that long, then ten times as far apart */
#define LEFT_OVER                                                                                  \
    (2 * CLOCK_SECOND) /* a journal that stands so long may have no writer any more                \
                        */

static const struct option rows[] = {
    {.name = "path",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct sqlite_options, path),
     .flags = OPTION_REQUIRED | OPTION_PATH,
     .help = "the database file, relative to the workspace"},
    {.name = "log_limit",
     .kind = OPTION_INT,
     .offset = offsetof(struct sqlite_options, log_limit),
     .fallback = "10000000",
     .min = 1000,
     .max = INT64_C(1) << 40,
     .help = "rows that the change log may hold unread; then capture stops and the source is lost"},
    {.name = "prune_above",
     .kind = OPTION_INT,
     .offset = offsetof(struct sqlite_options, prune_above),
     .fallback = "100000",
     .min = 1000,
     .max = INT64_C(1) << 40,
     .help = "read rows that may wait for a quiet second before they are removed"},
};

static int
driver_open(struct source_context *context, struct error *err)
{
    struct state *state = context->state;
    const struct sqlite_options *options = context->plan->options;
    memset(state, 0, sizeof *state);
    state->watch.fd = -1;
    snprintf(state->path, sizeof state->path, "%s", options->path);
    if (open_file(context->plan, &state->db, err) != 0 ||
        watch_open(&state->watch, state->path, err) != 0 || open_log(context, err) != 0)
        return -1;
    /* From here on nothing waits for a lock. */
    sqlite3_busy_timeout(state->db, 0);
    state->active_at = clock_mono();
    return 0;
}

static void
driver_close(struct source_context *context)
{
    struct state *state = context->state;
    if (!state->db)
        return;
    reader_close(state);
    watch_close(&state->watch);
    sqlite3_close(state->db);
    state->db = NULL;
}

static int
learn_mode(struct state *state, struct error *err)
{
    int64_t now = clock_mono();
    if (state->mode_at && now - state->mode_at < POLL)
        return 0;
    state->mode_at = now;
    sqlite3_stmt *row = call_prepare(state->db, "PRAGMA main.journal_mode", "read the mode", err);
    if (!row)
        return -1;
    int found = call_step(row, "read the mode", err);
    state->wal = found == 1 && strcmp(call_text(row, 0), "wal") == 0;
    sqlite3_finalize(row);
    return found < 0 ? -1 : 0;
}

/* Is it time to read, and when next though nothing is heard? In WAL mode inotify speaks before the
 * wal-index is updated, so that the first look may come too early; a read more does no harm there.
 * In rollback mode each read can meet the commit of a writer: none but when there is something to
 * read. */
static bool
time_to_look(struct source_context *context)
{
    struct state *state = context->state;
    int64_t now = clock_mono();
    bool heard = watch_heard(&state->watch), planned = state->again_at <= now;
    bool look = heard || planned || state->more || state->wal || context->tick;
    if (heard)
        state->again = state->wal ? 0 : LOOKS;
    if (heard || planned) {
        bool soon = state->again < LOOKS;
        state->again_at = now + (soon ? INT64_C(1000) << state->again : POLL);
        state->again += soon;
    }
    return look;
}

/* A lock is met only for moments: the read is tried again, and what was heard is not forgotten. */
static enum source_next
after_busy(struct state *state)
{
    int64_t now = clock_mono();
    if (state->busy++ == 0)
        state->busy_since = now;
    bool quick = now - state->busy_since < BUSY_QUICK;
    state->again_at = now + (quick ? BUSY_EVERY : 10 * BUSY_EVERY);
    return SOURCE_IDLE;
}

static enum source_next
after_failure(struct source_context *context, struct error *err)
{
    struct state *state = context->state;
    struct changelog_meta meta;
    struct error ignored = {0};
    if (err->class == ERROR_BUSY) {
        *err = (struct error){0};
        return after_busy(state);
    }
    /* Our statements fail for no other reason than that their tables are gone. */
    if (err->class == ERROR_INTERNAL &&
        changelog_meta_read(state->db, context->plan, &meta, &ignored) == 0 && !meta.there)
        error_set(err, ERROR_LOST, "the change log of %s was removed", state->path);
    return SOURCE_ERROR;
}

/* Somebody is in the middle of a commit in rollback mode. */
static bool
must_not_read(struct state *state)
{
    int64_t now = clock_mono();
    enum watch_commit commit = state->wal ? WATCH_NO_COMMIT : watch_in_commit(&state->watch);
    if (commit == WATCH_NO_COMMIT) {
        state->commit_since = 0;
        return false;
    }
    if (state->commit_since == 0)
        state->commit_since = now;
    state->again_at = now + (commit == WATCH_MAYBE_COMMIT ? WATCH_FRESH : POLL);
    return now - state->commit_since < LEFT_OVER;
}

static int
compare(struct source_context *context, struct error *err)
{
    struct state *state = context->state;
    if (open_compare(context, false, err) != 0)
        return -1;
    state->compare = false;
    return 0;
}

static enum source_next
at_end(struct source_context *context, int64_t since, struct error *err)
{
    struct state *state = context->state;
    if (state->at.id >= state->meta.stop) {
        state->stopped = true;
        error_set(
            err, ERROR_LOST,
            "the change log of %s reached its limit, so changes after row %lld were not logged",
            state->path, (long long)state->at.id);
        error_hint(err, "raise `log_limit` of source \"%s\", or keep it running",
                   context->plan->name);
        return SOURCE_ERROR;
    }
    source_watermark(context, since);
    state->more = prune(context);
    return state->more ? SOURCE_READ : SOURCE_IDLE;
}

/* What was read is in memory and the transaction is over. */
static enum source_next
after_read(struct source_context *context, bool ended, int64_t since, struct error *err)
{
    struct state *state = context->state;
    state->busy = 0;
    if (state->reader.count)
        state->active_at = clock_mono();
    if (reader_emit(context, err) != 0)
        return SOURCE_ERROR;
    state->more = !ended || state->compare;
    if (!ended)
        prune(context);
    else if (state->compare && compare(context, err) != 0)
        return after_failure(context, err);
    return state->more ? SOURCE_READ : at_end(context, since, err);
}

static enum source_next
driver_next(struct source_context *context, struct error *err)
{
    struct state *state = context->state;
    bool ended;
    if (!time_to_look(context))
        return SOURCE_IDLE;
    if (open_replaced(state)) {
        error_set(err, ERROR_UNREACHABLE, "%s was replaced by another file or removed",
                  state->path);
        return SOURCE_ERROR;
    }
    if (learn_mode(state, err) != 0)
        return after_failure(context, err);
    int64_t since = clock_now();
    if (must_not_read(state))
        return SOURCE_IDLE;
    if (reader_read(context, &ended, err) != 0)
        return after_failure(context, err);
    return after_read(context, ended, since, err);
}

static int
driver_waits(struct source_context *context, struct pollfd *fds, int room, int64_t *timeout_us)
{
    struct state *state = context->state;
    int64_t left = state->again_at - clock_mono();
    if (left < 0)
        left = 0;
    if (left < *timeout_us)
        *timeout_us = left;
    if (room < 1 || state->watch.fd < 0)
        return 0;
    fds[0] = (struct pollfd){.fd = state->watch.fd, .events = POLLIN};
    return 1;
}

static int
driver_confirm(struct source_context *context, struct slice position, struct error *err)
{
    struct state *state = context->state;
    struct changelog_position confirmed;
    if (changelog_position_read(position, &confirmed) != 0)
        return error_set(err, ERROR_INTERNAL, "a position of another driver was confirmed");
    state->confirmed = confirmed.id;
    return 0;
}

static void
driver_describe(struct slice position, struct buffer *out)
{
    struct changelog_position at;
    if (changelog_position_read(position, &at) == 0)
        buffer_printf(out, "row %lld", (long long)at.id);
}

const struct source_driver sqlite_source = {
    .name = "sqlite",
    .summary = "SQLite files, by triggers and a change log in the same file",
    .default_schema = "main",
    .options = rows,
    .option_count = countof(rows),
    .options_size = sizeof(struct sqlite_options),
    .state_size = sizeof(struct state),
    .has_transactions = false,
    .by_trigger = true,
    .open = driver_open,
    .next = driver_next,
    .waits = driver_waits,
    .confirm = driver_confirm,
    .close = driver_close,
    .describe = driver_describe,
    .check = check_database,
    .schemas = check_schemas,
    .installed = check_installed,
};
