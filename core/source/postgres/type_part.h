/* What the files of the set of types share: how one comes into it, and what the catalog's answer
 * looks like. */
#ifndef SOURCE_POSTGRES_TYPE_PART_H
#define SOURCE_POSTGRES_TYPE_PART_H

#include "source/postgres/type.h"

/* Puts a copy of `draft`, its name too, into the set; the copy that lives as long as the set. The
 * OID must not be in it yet. */
const struct pg_type *pg_types_add(struct pg_types *types, const struct pg_type *draft);

/* Takes the answer to the query of pg_types_load, columns oid, base (of a domain, else 0), element
 * (of an array, else 0), delimiter, name; rows in any order. What hangs on a type that is neither
 * in the set nor in the answer, or on itself, is text. */
void pg_types_take(struct pg_types *types, const PGresult *result);

/* After the answer: those of `oids` that it did not hold become nameless texts. */
void pg_types_settle(struct pg_types *types, const uint32_t *oids, size_t count);

#endif
