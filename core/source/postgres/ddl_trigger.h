/* The event trigger of `ddl = "trigger"`: it adds each statement that changes a captured table to the
 * log, as a logical message with the prefix tidegate.ddl, since pgoutput itself does not carry DDL.
 * Its content is JSON: {"kind":"ALTER TABLE","sql":…,"schema":…,"table":…,"oid":…,"columns":
 * [["id","integer"],…]} (columns as they are after it; absent after a drop). */
#ifndef SOURCE_POSTGRES_DDL_TRIGGER_H
#define SOURCE_POSTGRES_DDL_TRIGGER_H

#include "source/postgres/query.h"

#define PG_DDL_PREFIX "tidegate.ddl"

/* The statements that make it, or bring it up to date; each to `each`. None when it is there as it
 * should be. The names carry the workspace's id (pg_publication_name). */
int pg_ddl_trigger_plan(struct pg_session *s, int (*each)(void *context, const char *sql),
                        void *context, struct error *err) must_check;
/* Runs them. DENIED: event triggers need a superuser; the hint is to run the printed statements. */
int pg_ddl_trigger_sync(struct pg_session *s, struct error *err) must_check;
/* The statements that remove it, "" each where it is not there. */
int pg_ddl_trigger_remove(struct pg_session *s, int (*each)(void *context, const char *sql),
                          void *context, struct error *err) must_check;

#endif
