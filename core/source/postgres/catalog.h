/* What the catalog says of the tables that the source captures. It shows the present, never the
 * past: the stream alone says what a table was when a row was written. */
#ifndef SOURCE_POSTGRES_CATALOG_H
#define SOURCE_POSTGRES_CATALOG_H

#include "base/arena.h"
#include "source/postgres/query.h"

/* A table, or a partitioned table as a whole: its partitions never stand alone. */
struct pg_table {
    uint32_t oid;
    struct slice schema, name;
    bool partitioned;
    char identity;       /* d, n, f, i: pg_class.relreplident */
    bool has_identity;   /* updates and deletes can be published: of it and of every partition */
    bool logs_old;       /* identity FULL, of it and of every partition: old rows are in the log */
    bool owned;          /* the session's user may add it to a publication (owner, or superuser) */
    bool readable;       /* … and may SELECT from it */
    bool in_publication; /* one of ours (or the named one) publishes it already, as a whole */
    uint64_t partitions; /* digest of all partitions, at any depth; 0: not partitioned */
    struct slice bad_partition; /* "schema.table" of the first partition without identity; empty */
    struct slice *key;          /* names of the primary key's columns, in order */
    size_t key_count;
    const char *skipped; /* why nothing of it is in the log: "unlogged", "a view" …; else NULL */
};

struct pg_tables {
    struct arena arena;     /* owns all texts below */
    struct pg_table *items; /* sorted by schema and name */
    size_t count, room;
    struct pg_table *skipped; /* wanted, but unlogged or foreign, also as a partition of a captured
                                 table; wanted by its very name, but temporary or a view */
    size_t skipped_count, skipped_room;
    uint32_t *by_oid; /* places in `items`, sorted by the tables' oids */
};

/* Reads the tables that the plan captures (source_wants): ordinary and partitioned, permanent, not
 * of pg_catalog and information_schema. `out` must be zero or released. */
int pg_catalog_read(struct pg_session *s, struct pg_tables *out, struct error *err) must_check;
void pg_catalog_release(struct pg_tables *tables);
const struct pg_table *pg_catalog_find(const struct pg_tables *tables, uint32_t oid);

/* The same query without its rows being waited for, and the reading of its result: watch.c asks
 * without stopping the stream. */
void pg_catalog_query(const struct source_plan *plan, struct buffer *sql);
int pg_catalog_take(const struct source_plan *plan, const PGresult *result, struct pg_tables *out,
                    struct error *err) must_check;

/* Each captured table's columns as they are now, as schemas: the same ones that the stream will
 * make (relation.c); for check. -1 from `visit` ends, without error. */
int pg_catalog_schemas(struct pg_session *s, const struct pg_tables *tables,
                       source_visit_schema *visit, void *context, struct error *err) must_check;

#endif
