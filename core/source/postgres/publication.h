/* The publications: which tables the slot's stream holds. Two of ours: one for tables whose rows can
 * be named (replica identity), one for the others with publish = 'insert, truncate', since in the
 * first these would make their owner's UPDATE fail. Made before the slot, then only altered, never
 * dropped while the slot lives ("publication does not exist" for ever). One that is named by the
 * option `publication` is used as it is and never changed. design/sources.md §4. */
#ifndef SOURCE_POSTGRES_PUBLICATION_H
#define SOURCE_POSTGRES_PUBLICATION_H

#include "source/postgres/catalog.h"

#define PG_NAME 64 /* of slots and publications, with its end */

/* tidegate_<workspace id>_<source>, and the same with _keyless; lower case letters, digits and _, cut
 * to 63 bytes with a hash of the whole where it is too long or other letters were replaced. */
void pg_publication_name(const struct source_plan *plan, bool keyless, char out[PG_NAME]);
void pg_slot_name(const struct source_plan *plan, char out[PG_NAME]);

/* As START_REPLICATION takes them: "a","b" or the named one. */
void pg_publication_list(const struct source_plan *plan, struct buffer *out);

/* Statements that bring our publications to what `tables` says: CREATE where one is missing, ALTER …
 * ADD, DROP TABLE where lists differ; none when all is right. Each is handed to `each` (-1 ends). With
 * a named publication: only that it exists, else ERROR_MISSING with the CREATE statement as hint. */
typedef int pg_statement(void *context, const char *sql);
int pg_publication_plan(struct pg_session *s, const struct pg_tables *tables, pg_statement *each,
                        void *context, struct error *err) must_check;

/* Runs them. DENIED names table, right, and the GRANT or ALTER … OWNER that mends it; tables that the
 * user does not own are left out with a warning in the log, and named, when others remain. *changed:
 * something was altered (new tables appear in the stream from here on). */
int pg_publication_sync(struct pg_session *s, const struct pg_tables *tables, const char *component,
                        bool *changed, struct error *err) must_check;

#endif
