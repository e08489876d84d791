/* old_values = "full": the statements that make the server log whole old rows. */
#include "source/postgres/publication_plan.h"
#include "source/postgres/quote.h"

#define SQL_LIMIT ((size_t)1 << 20)

static void
alter(struct pg_statements *out, struct slice schema, struct slice name)
{
    struct buffer sql;
    buffer_init(&sql, SQL_LIMIT);
    buffer_text(&sql, "ALTER TABLE ");
    pg_quote_table(&sql, schema, name);
    buffer_text(&sql, " REPLICA IDENTITY FULL");
    pg_statements_add(out, &sql);
    buffer_release(&sql);
}

/* The leaves below these roots that have it not; unlogged and foreign ones are not in the log. */
static PGresult *
read_leaves(struct pg_session *s, struct slice roots, struct error *err)
{
    struct buffer sql;
    buffer_init(&sql, SQL_LIMIT);
    buffer_text(&sql,
                "WITH RECURSIVE tree (oid) AS (SELECT i.inhrelid FROM pg_catalog.pg_inherits i"
                " WHERE i.inhparent IN (");
    buffer_slice(&sql, roots);
    buffer_text(&sql, ") AND NOT i.inhdetachpending UNION ALL SELECT i.inhrelid FROM tree t"
                      " JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid"
                      " WHERE NOT i.inhdetachpending) "
                      "SELECT n.nspname, c.relname FROM tree t"
                      " JOIN pg_catalog.pg_class c ON c.oid = t.oid"
                      " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                      " WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.relreplident <> 'f'"
                      " AND pg_catalog.pg_has_role(c.relowner, 'USAGE') ORDER BY 1, 2");
    PGresult *rows = pg_query(s, "read the partitions", buffer_cstring(&sql), err);
    buffer_release(&sql);
    return rows;
}

int
pg_statements_identity(struct pg_session *s, const struct pg_tables *tables,
                       struct pg_statements *out, struct error *err)
{
    struct buffer roots;
    if (s->plan->common.old_values != SOURCE_OLD_FULL)
        return 0;
    buffer_init(&roots, SQL_LIMIT / 2);
    for (size_t i = 0; i < tables->count; i++) {
        const struct pg_table *table = &tables->items[i];
        if (!table->owned || table->logs_old)
            continue;
        if (table->identity != 'f')
            alter(out, table->schema, table->name);
        if (table->partitioned)
            buffer_printf(&roots, "%s%u", roots.size ? ", " : "", table->oid);
    }
    int result = 0;
    if (roots.size) {
        PGresult *leaves = read_leaves(s, buffer_view(&roots), err);
        result = leaves ? 0 : -1;
        for (int row = 0; leaves && row < PQntuples(leaves); row++)
            alter(out, slice_of(pg_text(leaves, row, "nspname")),
                  slice_of(pg_text(leaves, row, "relname")));
        PQclear(leaves);
    }
    buffer_release(&roots);
    return result;
}
