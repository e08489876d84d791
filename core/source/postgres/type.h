/* The types of PostgreSQL: what a column's values are, by the OID that the stream names. Those that
 * ship with the server stand in a table of ours; enums, domains, composites, ranges, extensions'
 * types and arrays of all these are asked of the catalog once. design.md §4, design/sources.md §2.
 * One owner, the source's thread; a struct pg_type lives as long as the set. */
#ifndef SOURCE_POSTGRES_TYPE_H
#define SOURCE_POSTGRES_TYPE_H

#include "source/postgres/query.h"

/* How the server's text becomes a cell; value.c has a function for each. */
enum pg_form {
    PG_FORM_TEXT, /* as it is: text, char, enum, uuid, inet, ranges, composites, xml, bit … */
    PG_FORM_BOOL,
    PG_FORM_INT,
    PG_FORM_FLOAT,
    PG_FORM_NUMERIC, /* also NaN and Infinity: the server's text */
    PG_FORM_MONEY,
    PG_FORM_BYTES,
    PG_FORM_JSON,
    PG_FORM_DATE,
    PG_FORM_TIME, /* time, timetz */
    PG_FORM_TIMESTAMP,
    PG_FORM_TIMESTAMPTZ,
    PG_FORM_INTERVAL,
    PG_FORM_ARRAY,
    PG_FORM_VECTOR, /* int2vector, oidvector: elements with spaces between */
};

struct pg_type {
    uint32_t oid;
    enum pg_form form;
    uint8_t family;                /* enum type_family, of the schema's column */
    char delimiter;                /* between elements of arrays of this type: , or ; */
    const struct pg_type *element; /* of an array or vector, or a domain over one; else NULL */
    const char *name;              /* as format_type prints it, modifier -1; "" where unknown */
};

struct pg_types;

struct pg_types *pg_types_new(void);
void pg_types_free(struct pg_types *types);

/* The type of that OID, or NULL when nobody has told of it yet. A domain is its base type under a
 * name of its own. */
const struct pg_type *pg_types_find(const struct pg_types *types, uint32_t oid);

/* Asks the catalog about types that are not known (and what they are made of). What the catalog
 * does not know any more becomes a plain text type. `s` is any session that is not streaming. */
int pg_types_load(struct pg_types *types, struct pg_session *s, const uint32_t *oids, size_t count,
                  struct error *err) must_check;

/* As format_type does with the modifier: "numeric(10,2)", "character varying(20)[]". */
void pg_type_print(const struct pg_type *type, int32_t modifier, struct buffer *out);

#endif
