/* A commit stands in the log, and so in the stream, before other sessions see what it did: for a
 * moment, or for as long as its client waits for a synchronous standby. What the catalog says of a
 * transaction's work may be asked only after. */
#ifndef SOURCE_POSTGRES_VISIBLE_H
#define SOURCE_POSTGRES_VISIBLE_H

#include "source/postgres/query.h"

/* Waits until `s` sees what transaction `xid` (0: none), whose commit was read from the log, did;
 * at most ten seconds, then the log says so. Fails as pg_query does, also when the source is being
 * stopped. */
int pg_visible_wait(struct pg_session *s, uint32_t xid, struct error *err) must_check;

/* Is the transaction open in that snapshot, "xmin:xmax:xip,xip…" as pg_current_snapshot prints it?
 * 1, 0, or -1 when the text is none. Pure. */
int pg_snapshot_holds(const char *snapshot, uint32_t xid) must_check;

#endif
