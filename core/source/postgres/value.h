/* From the server's text of a value to a cell. Texts come in the settings that connect.c passes:
 * ISO dates, ISO 8601 intervals, UTC, hex bytea, shortest floats. What a text does not keep of its
 * type's promise (a hostile or newer server) stays what it is, text; text that is not UTF-8 is
 * bytes. Pure functions. */
#ifndef SOURCE_POSTGRES_VALUE_H
#define SOURCE_POSTGRES_VALUE_H

#include "event/event.h"
#include "source/postgres/type.h"

/* The cell points into `text` or into `arena`. Never fails. */
void pg_value_cell(const struct pg_type *type, struct slice text, struct arena *arena,
                   struct cell *out);

/* An array's text, `{1,NULL,"a\"b"}` or `[0:1]={…}`, as a JSON list with each element as the native
 * JSON of its type (design.md §4), numbers with all their digits; lower bounds other than 1 are
 * dropped, as JSON has none. Appends to `out`; -1 when it is no array's text. */
int pg_value_array(const struct pg_type *element, struct slice text, struct buffer *out) must_check;

/* The same of a vector's text, `1 2 3`. */
int pg_value_vector(const struct pg_type *element, struct slice text,
                    struct buffer *out) must_check;

#endif
