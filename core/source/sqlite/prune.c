/* Removes rows of the change log that the journal holds. Little at a time, and only when the
 * application is quiet or the log is long: a prune between an application's SELECT and its UPDATE
 * gives that one SQLITE_BUSY_SNAPSHOT. The newest confirmed row stays: the next start compares it.
 */
#include "base/log.h"
#include "source/sqlite/state.h"

#define PRUNE_ROWS  1000
#define PRUNE_QUIET CLOCK_SECOND
#define PRUNE_QUIET_ROLLBACK                                                                       \
    (30 * CLOCK_SECOND) /* there a prune stands in the way of every writer for some ms */
#define PRUNE_AGAIN 2000

static const char *const statements[] = {
    "DELETE FROM main._tidegate_log WHERE id < min(?1, ?2)",
    /* Between transactions no copy is needed. */
    "DELETE FROM main._tidegate_pending WHERE ?1 AND ?2",
    "UPDATE main._tidegate_meta SET stop = ?2 + ?3 WHERE ?1",
};

static int
run_statements(struct state *state, int64_t below, int64_t limit, struct error *err)
{
    int64_t kept = below < state->confirmed ? below : state->confirmed;
    for (size_t i = 0; i < countof(statements); i++) {
        sqlite3_stmt *statement = call_prepare(state->db, statements[i], "prune", err);
        if (!statement)
            return -1;
        sqlite3_bind_int64(statement, 1, state->confirmed);
        sqlite3_bind_int64(statement, 2, kept);
        if (sqlite3_bind_parameter_count(statement) > 2)
            sqlite3_bind_int64(statement, 3, limit);
        if (call_finish(statement, "prune", err) != 0)
            return -1;
    }
    return 0;
}

static int
prune_once(struct source_context *context, struct error *err)
{
    struct state *state = context->state;
    const struct sqlite_options *options = context->plan->options;
    if (call_exec(state->db, "BEGIN IMMEDIATE", "prune", err) != 0)
        return -1;
    int64_t below = state->meta.first + PRUNE_ROWS;
    int result = run_statements(state, below, options->log_limit, err);
    if (result == 0)
        result = call_exec(state->db, "COMMIT", "prune", err);
    if (result != 0)
        sqlite3_exec(state->db, "ROLLBACK", NULL, NULL, NULL);
    else
        state->meta.first = below < state->confirmed ? below : state->confirmed;
    return result;
}

bool
prune(struct source_context *context)
{
    struct state *state = context->state;
    const struct sqlite_options *options = context->plan->options;
    struct error err = {0};
    int64_t now = clock_mono(), waiting = state->confirmed - state->meta.first;
    bool quiet = now - state->active_at >= (state->wal ? PRUNE_QUIET : PRUNE_QUIET_ROLLBACK);
    if (waiting <= 0 || state->stopped || (!quiet && waiting <= options->prune_above))
        return false;
    /* A lock that is held now is tried again a little later. */
    if (state->pruned_at && now - state->pruned_at < (quiet ? CLOCK_SECOND : PRUNE_AGAIN))
        return false;
    if (prune_once(context, &err) != 0) {
        log_failure(LOG_DEBUG, context->component, &err);
        state->pruned_at = now;
        return false;
    }
    state->pruned_at = 0;
    return state->confirmed > state->meta.first;
}
