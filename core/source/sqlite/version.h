/* What a `ver` in the log means: a table at one moment, with the columns that its triggers log.
 * Kept in _tidegate_version and _tidegate_column, so that rows logged before a change of the table
 * are still understood after it, and after a restart. */
#ifndef SOURCE_SQLITE_VERSION_H
#define SOURCE_SQLITE_VERSION_H

#include "event/schema.h"
#include "source/sqlite/table.h"

struct version {
    int64_t ver;
    const struct schema *schema; /* of the schema set; never NULL */
};

/* Reads one. ERROR_LOST when there is none: a stranger changed our tables. */
int version_load(sqlite3 *db, const struct source_plan *plan, int64_t ver, struct version *out,
                 struct error *err) must_check;

/* Fills in key and key_count of a draft from its columns; lives in the arena. */
void version_order_key(struct arena *arena, struct schema *draft);

/* The newest active version of a table; 0: none. `ever` says whether there was one at all. */
int version_find(sqlite3 *db, const char *table, int64_t *ver, bool *ever,
                 struct error *err) must_check;

/* Stores the table's captured columns under a new number and takes older versions of `table` and
 * `renamed` (NULL: none) out of use. Inside a write transaction. */
int version_add(sqlite3 *db, const struct table *table, const char *renamed, int64_t *ver,
                struct error *err) must_check;

int version_retire(sqlite3 *db, const char *table, struct error *err) must_check;

/* The JSON of a ddl event: {kind, sql, added, removed, retyped} from version `before` (0: none) to
 * the table (NULL: it is gone). False in *changed when the columns are the same. */
int version_difference(sqlite3 *db, int64_t before, const struct table *table, const char *kind,
                       struct buffer *json, bool *changed, struct error *err) must_check;

#endif
