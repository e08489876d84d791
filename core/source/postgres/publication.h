/* The publications: which tables the slot's stream holds. Two of ours: one for tables whose rows
 * can be named (replica identity), one for the others with publish = 'insert, truncate', since in
 * the first these would make their owner's UPDATE fail. Made before the slot, then only altered,
 * never dropped while the slot lives. One that is named by the option `publication` is used as it
 * is and never changed. design/sources.md §4.
 *
 * The server looks at publications as they were at each place of its log. What it does where one
 * was missing (seen on 15.18 and 18.4): up to 17 it stops at the next change of any table with
 * ERROR 42704 "publication does not exist", at every attempt, also when it was made again long
 * since; 18 leaves the rows out and says so only by a WARNING 55000 "skipped loading publication"
 * on the session that streams. So a missing publication is ERROR_LOST for a slot with a position
 * (pg_publication_prove); one that was dropped and made again in between is found by
 * pg_publication_missed; and a slot that is begun anew in either case is first moved past that
 * place (pg_slot_renew). */
#ifndef SOURCE_POSTGRES_PUBLICATION_H
#define SOURCE_POSTGRES_PUBLICATION_H

#include "source/postgres/catalog.h"

#define PG_NAME 64 /* of slots and publications, with its end */

/* tidegate_<workspace id>_<source>, and the same with _keyless; lower case letters, digits and _,
 * cut to 63 bytes with a hash of the whole where it is too long or other letters were replaced. */
void pg_publication_name(const struct source_plan *plan, bool keyless, char out[PG_NAME]);
void pg_slot_name(const struct source_plan *plan, char out[PG_NAME]);

/* As START_REPLICATION takes them: "a","b" or the named one. */
void pg_publication_list(const struct source_plan *plan, struct buffer *out);
/* The same as SQL texts: 'a', 'b'. */
void pg_publication_literals(const struct source_plan *plan, struct buffer *out);

/* For a slot that has been read through the publications of `list` (as pg_publication_list writes
 * it): all of them must still be there, else LOST. Before pg_publication_sync, which would make
 * them. */
int pg_publication_prove(struct pg_session *s, const char *list, struct error *err) must_check;

/* Does this error or warning of a session that streams say that a publication is missing at the
 * place that is being read? Then rows are missing: ERROR_LOST. A warning comes before what follows
 * the place, through PQsetNoticeReceiver. */
bool pg_publication_missed(const PGresult *result);

/* Statements that bring our publications to what `tables` says: with old_values = "full" first
 * ALTER TABLE … REPLICA IDENTITY FULL; CREATE where one is missing, ALTER … SET, ADD, DROP TABLE
 * where lists differ, a table that changes sides in one transaction; none when all is right. Tables
 * of other owners are left out. Each is handed to `each` (-1 ends). With a named publication: only
 * that it exists, else ERROR_MISSING with the CREATE statement as hint. */
typedef int pg_statement(void *context, const char *sql);
int pg_publication_plan(struct pg_session *s, const struct pg_tables *tables, pg_statement *each,
                        void *context, struct error *err) must_check;

/* Runs them. DENIED names table, right, and the GRANT or ALTER … OWNER that mends it; tables that
 * the user does not own are left out with a warning in the log (once a list), and named, when
 * others remain. On a standby nothing can be altered: ERROR_MISSING when something should be, with
 * the first statement as hint. BUSY when a table stays locked for 3 s. *changed: something was
 * altered (new tables appear in the stream from here on). A publication that had to be made moves
 * the slot, if it is there and nobody reads it, to the end of the log. Call pg_slot_prove before.
 */
int pg_publication_sync(struct pg_session *s, const struct pg_tables *tables, const char *component,
                        bool *changed, struct error *err) must_check;

#endif
