/* The event trigger of `ddl = "trigger"`: it adds each statement that changes a captured table to
 * the log, as a logical message with a prefix of the source's own, since pgoutput itself does not
 * carry DDL. Its content is JSON: {"kind":"ALTER
 * TABLE","sql":…,"schema":…,"table":…,"oid":…,"columns":
 * [["id","integer"],…]} (columns as they are after it; absent after a drop). An
 * empty message follows those of a statement. */
#ifndef SOURCE_POSTGRES_DDL_TRIGGER_H
#define SOURCE_POSTGRES_DDL_TRIGGER_H

#include "source/postgres/publication.h"

#define PG_DDL_PREFIX      "tidegate.ddl"
#define PG_DDL_PREFIX_SIZE (sizeof PG_DDL_PREFIX + PG_NAME)

/* "tidegate.ddl.<schema of its function>" */
void pg_ddl_trigger_prefix(const struct source_plan *plan, char out[PG_DDL_PREFIX_SIZE]);

/* The schema of its function, which nothing else stands in: named as our first publication is. */
void pg_ddl_trigger_schema(const struct source_plan *plan, char out[PG_NAME]);

/* The statements that make it, or bring it up to date; each to `each`. None when it is there as it
 * should be. */
int pg_ddl_trigger_plan(struct pg_session *s, pg_statement *each, void *context,
                        struct error *err) must_check;
/* Runs them, all or none. DENIED: event triggers need a superuser; the hint says how to have one
 * run them. */
int pg_ddl_trigger_sync(struct pg_session *s, struct error *err) must_check;
/* The statements that remove what is there of it. */
int pg_ddl_trigger_remove(struct pg_session *s, pg_statement *each, void *context,
                          struct error *err) must_check;

#endif
