/* What the event trigger of `ddl = "trigger"` (ddl_trigger.h) put into the log becomes a ddl event.
 */
#ifndef SOURCE_POSTGRES_STATEMENT_H
#define SOURCE_POSTGRES_STATEMENT_H

#include "source/postgres/transaction.h"

/* Is it the prefix of an event trigger, ours or another source's? */
bool pg_statement_is(struct slice prefix);

/* A logical message with such a prefix, whoever wrote it: what another source's trigger wrote is
 * passed over, and with a warning what is not as ours writes it. */
int pg_statement_take(struct source_context *context, struct pg_item *item,
                      struct error *err) must_check;

#endif
