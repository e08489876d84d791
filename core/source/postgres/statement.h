/* What the event trigger of `ddl = "trigger"` (ddl_trigger.h) put into the log becomes a ddl event.
 */
#ifndef SOURCE_POSTGRES_STATEMENT_H
#define SOURCE_POSTGRES_STATEMENT_H

#include "source/postgres/transaction.h"

/* A logical message with PG_DDL_PREFIX, whoever wrote it: what is not as our trigger writes it is
 * passed over with a warning. */
int pg_statement_take(struct source_context *context, struct pg_item *item,
                      struct error *err) must_check;

#endif
