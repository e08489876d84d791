/* The JSON of a ddl event, from what a table's schema was and what it is:
 * {"kind","sql","added":[…],"removed":[…],"retyped":[…]}. Pure. */
#ifndef EVENT_DDL_H
#define EVENT_DDL_H

#include "event/schema.h"

/* Appends it to `json` and tells whether anything differs (a name, a type, the key, the table's
 * name). `before` NULL: every column is added; `after` NULL: every one is removed. `sql` empty:
 * null. */
bool ddl_print(const struct schema *before, const struct schema *after, const char *kind,
               struct slice sql, struct buffer *json);

#endif
