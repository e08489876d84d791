/* Keeps triggers in step with the tables: at every change of the database's schema each captured
 * table must have exactly the triggers that its present columns and indexes ask for, and ours must
 * be the newest of the table, because SQLite fires the newest first. What had to be made again is
 * told in the log itself: a ddl row where columns changed, a gap row where triggers were missing.
 */
#ifndef SOURCE_SQLITE_SYNC_H
#define SOURCE_SQLITE_SYNC_H

#include "source/sqlite/changelog.h"

/* How a table stands. */
enum sync_state {
    SYNC_GOOD,
    SYNC_STALE,   /* made for other columns, indexes or neighbours, or not the newest */
    SYNC_MISSING, /* some are not there: changes may have gone unseen */
};

const char *sync_state_name(enum sync_state state);

struct sync {
    sqlite3 *db;
    const struct source_plan *plan;
    bool fresh; /* the log was just made: nothing can have been missed */
};

/* Is there anything to do? Reads only; 1, 0, or -1. */
int sync_needed(const struct sync *sync, struct error *err) must_check;

/* Does it. Inside a write transaction. */
int sync_run(const struct sync *sync, struct error *err) must_check;

/* How one table stands. */
int sync_inspect(const struct sync *sync, const struct table *table, enum sync_state *state,
                 struct error *err) must_check;

/* Removes our triggers from a table, or from all (NULL); with tables of ours too when NULL. */
int sync_remove(const struct sync *sync, const char *table, struct error *err) must_check;

#endif
