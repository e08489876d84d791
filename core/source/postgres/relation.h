/* The relations that the stream has told of: how their rows become cells. A Relation message comes
 * before the first row of a table in a session and again after each change of it; that is all the
 * DDL that pgoutput shows, so a `ddl` event is derived from it. */
#ifndef SOURCE_POSTGRES_RELATION_H
#define SOURCE_POSTGRES_RELATION_H

#include "event/event.h"
#include "source/postgres/catalog.h"
#include "source/postgres/pgoutput.h"
#include "source/postgres/position.h"
#include "source/postgres/value.h"

#define PG_NO_CELL UINT16_MAX

struct pg_relation {
    uint32_t oid;
    bool again;      /* it was described before in this session */
    bool wanted;     /* the source captures it */
    bool dirty;      /* the tail of the position does not know this form of it yet */
    uint16_t count;  /* columns as they are sent */
    uint16_t *cells; /* of each: its place in the schema, or PG_NO_CELL (excluded) */
    const struct pg_type **types;
    bool *identity;              /* of each: part of the replica identity */
    const struct schema *schema; /* NULL when not wanted */
    struct buffer ddl;           /* JSON of what changed since it was last seen; empty: nothing */
};

struct pg_relations {
    struct pg_relation *items; /* sorted by oid */
    size_t count, room;
    size_t newest; /* where the last search ended: rows of one table come in runs */
};

void pg_relations_init(struct pg_relations *relations);
void pg_relations_release(struct pg_relations *relations);

/* NULL when no Relation message told of it. */
struct pg_relation *pg_relations_find(struct pg_relations *relations, uint32_t oid);

/* An ordinary session that sees what the transaction under way did. */
int pg_relation_session(struct source_context *context, struct pg_session **out,
                        struct error *err) must_check;

/* What a Relation message says, in the running source's state: its types (asked of the catalog if
 * need be), its key (the identity's columns, or the primary key where the identity is no key), its
 * schema, and what changed since the tail knew it. */
int pg_relation_take(struct source_context *context, const struct pgoutput_relation *message,
                     struct error *err) must_check;

/* A tuple as a row of the relation's schema; cells in `arena`, texts where the tuple has them.
 * ERROR_CORRUPT when it does not fit the relation. */
int pg_relation_row(const struct pg_relation *relation, const struct pgoutput_tuple *tuple,
                    struct arena *arena, struct row *out, struct error *err) must_check;

#endif
