/* Readers of values that stand in files of their own; value.c has the table of all. */
#ifndef SOURCE_POSTGRES_VALUE_PART_H
#define SOURCE_POSTGRES_VALUE_PART_H

#include "source/postgres/value.h"

/* Fills `out` when the text is what the type's form promises; false, `out` unspecified, when not.
 */
typedef bool pg_value_reader(const struct pg_type *type, struct slice text, struct arena *arena,
                             struct cell *out);

pg_value_reader pg_value_date, pg_value_time, pg_value_timestamp, pg_value_timestamptz,
    pg_value_interval;
pg_value_reader pg_value_list; /* arrays and vectors */

#endif
