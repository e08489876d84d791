#include "source/postgres/catalog.h"
#include <stdlib.h>
#include "base/hash.h"
#include "base/text.h"
#include "source/postgres/publication.h"
#include "source/postgres/quote.h"

/* One query for all: tables may be ten thousand, and it is asked every few seconds. The rows of one
 * partitioned table come together, its own first. A primary key that is deferrable names no rows
 * for the server's log. Key columns come in hexadecimal: names may hold any character. */
static const char tables_sql[] =
    "WITH RECURSIVE tree (root, oid) AS ("
    "SELECT c.oid, c.oid FROM pg_catalog.pg_class c WHERE c.relkind = 'p' AND NOT c.relispartition"
    " UNION ALL "
    "SELECT t.root, i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid"
    " WHERE NOT i.inhdetachpending) "
    "SELECT c.oid, COALESCE(t.root, c.oid) AS root, n.nspname, c.relname, c.relkind,"
    " c.relpersistence, c.relreplident,"
    " CASE c.relreplident WHEN 'f' THEN true WHEN 'n' THEN false ELSE EXISTS ("
    "SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate"
    " AND CASE c.relreplident WHEN 'd' THEN i.indisprimary ELSE i.indisreplident END) END AS named,"
    " pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owned,"
    " pg_catalog.has_schema_privilege(n.oid, 'USAGE')"
    " AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable,"
    " (SELECT pg_catalog.string_agg(pg_catalog.encode(pg_catalog.textsend(a.attname::text), 'hex'),"
    " ' ' ORDER BY k.place) FROM pg_catalog.pg_index i"
    " CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
    " WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts) AS key,"
    " %s AS published "
    "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN tree t ON t.oid = c.oid "
    "WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND (t.oid IS NOT NULL OR NOT c.relispartition)"
    " AND n.nspname NOT IN ('pg_catalog', 'information_schema') "
    "ORDER BY root, c.oid <> COALESCE(t.root, c.oid), c.oid";

/* By one of ours, as a whole: not by one that somebody has changed, and not through a filter or a
 * list of columns (columns of the catalog that 14 does not have). */
static void
published_by_us(const struct source_plan *plan, struct buffer *out)
{
    char keyless[PG_NAME];
    pg_publication_name(plan, true, keyless);
    buffer_text(out, "EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN"
                     " pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = c.oid"
                     " AND pg_catalog.to_jsonb(r) ->> 'prqual' IS NULL"
                     " AND pg_catalog.to_jsonb(r) ->> 'prattrs' IS NULL"
                     " AND p.pubinsert AND p.pubtruncate AND p.pubviaroot"
                     " AND (p.pubupdate AND p.pubdelete OR p.pubname = ");
    pg_quote_text(out, slice_of(keyless));
    buffer_text(out, ") AND p.pubname IN (");
    pg_publication_literals(plan, out);
    buffer_byte(out, ')');
}

void
pg_catalog_query(const struct source_plan *plan, struct buffer *sql)
{
    const struct pg_options *options = plan->options;
    struct buffer published;
    buffer_init(&published, 1 << 12);
    if (options->publication) {
        buffer_text(&published, "(n.nspname, c.relname) IN (SELECT p.schemaname, p.tablename FROM"
                                " pg_catalog.pg_publication_tables p WHERE p.pubname = ");
        pg_quote_text(&published, slice_of(options->publication));
    } else {
        published_by_us(plan, &published);
    }
    buffer_byte(&published, ')');
    const char *hole = strstr(tables_sql, "%s");
    buffer_append(sql, tables_sql, (size_t)(hole - tables_sql));
    buffer_slice(sql, buffer_view(&published));
    buffer_text(sql, hole + 2);
    buffer_release(&published);
}

/* One answer being read. */
struct reading {
    const struct source_plan *plan;
    struct source_plan exact; /* wants only what is named without a glob */
    const char **names;
    const PGresult *rows;
    struct pg_tables *out;
    uint32_t root; /* of out's last item, while its partitions may follow; 0: they are not wanted */
};

static void
keep_names(struct reading *r)
{
    struct option_list wanted = r->plan->common.tables;
    if (wanted.count == 0)
        wanted = (struct option_list){r->plan->rule_tables, r->plan->rule_table_count};
    size_t count = 0;
    r->names = memory_zero((wanted.count + 1) * sizeof *r->names);
    for (size_t i = 0; i < wanted.count; i++) {
        if (!text_has_glob(slice_of(wanted.items[i])))
            r->names[count++] = wanted.items[i];
    }
    r->exact = *r->plan;
    r->exact.common.tables = (struct option_list){r->names, count};
    r->exact.rule_table_count = 0;
}

static struct slice
text_of(struct reading *r, int row, const char *column)
{
    return arena_slice(&r->out->arena, slice_of(pg_text(r->rows, row, column)));
}

static int
hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* "6964 6e616d65" as names. */
static void
take_key(struct reading *r, const char *hex, struct pg_table *table)
{
    size_t size = strlen(hex), words = 1;
    if (size == 0)
        return;
    for (size_t i = 0; i < size; i++)
        words += hex[i] == ' ';
    table->key = arena_zero(&r->out->arena, words * sizeof *table->key);
    char *bytes = arena_alloc(&r->out->arena, size + 1);
    while (*hex) {
        struct slice *name = &table->key[table->key_count++];
        name->data = bytes;
        for (; hex[0] && hex[0] != ' ' && hex[1]; hex += 2)
            *bytes++ = (char)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
        name->size = (size_t)(bytes - name->data);
        hex += *hex != '\0';
    }
}

static struct pg_table *
add_table(struct pg_table **items, size_t *count, size_t *room)
{
    if (*count == *room) {
        *room = *room ? *room * 2 : 16;
        *items = memory_grow(*items, *room * sizeof **items);
    }
    struct pg_table *table = &(*items)[(*count)++];
    memset(table, 0, sizeof *table);
    return table;
}

static void
fill_table(struct reading *r, int row, struct pg_table *table)
{
    table->oid = (uint32_t)pg_int(r->rows, row, "oid");
    table->schema = text_of(r, row, "nspname");
    table->name = text_of(r, row, "relname");
    table->partitioned = pg_text(r->rows, row, "relkind")[0] == 'p';
    table->identity = pg_text(r->rows, row, "relreplident")[0];
    table->has_identity = pg_bool(r->rows, row, "named");
    table->logs_old = table->identity == 'f';
    table->owned = pg_bool(r->rows, row, "owned");
    table->readable = pg_bool(r->rows, row, "readable");
    table->in_publication = pg_bool(r->rows, row, "published");
    if (table->partitioned)
        table->partitions = hash64(&table->oid, sizeof table->oid);
    take_key(r, pg_text(r->rows, row, "key"), table);
}

/* Why nothing of a relation is in the log; NULL when it is. */
static const char *
why_skipped(char kind, char persistence)
{
    if (kind == 'f')
        return "a foreign table";
    if (kind == 'v')
        return "a view";
    if (kind == 'm')
        return "a materialized view";
    if (persistence == 't')
        return "temporary";
    return kind == 'r' && persistence == 'u' ? "unlogged" : NULL;
}

static void
skip_table(struct reading *r, int row, const char *why)
{
    struct pg_tables *out = r->out;
    struct pg_table *table = add_table(&out->skipped, &out->skipped_count, &out->skipped_room);
    fill_table(r, row, table);
    table->skipped = why;
}

/* A table of its own, or the root of a partitioned one. */
static void
take_table(struct reading *r, int row, const char *why)
{
    struct slice schema = slice_of(pg_text(r->rows, row, "nspname"));
    struct slice name = slice_of(pg_text(r->rows, row, "relname"));
    char kind = pg_text(r->rows, row, "relkind")[0];
    bool by_name = why && (kind == 'v' || kind == 'm' || strcmp(why, "temporary") == 0);
    r->root = 0;
    if (!source_wants(by_name ? &r->exact : r->plan, schema, name))
        return;
    if (why) {
        skip_table(r, row, why);
        return;
    }
    struct pg_table *table = add_table(&r->out->items, &r->out->count, &r->out->room);
    fill_table(r, row, table);
    r->root = table->oid;
}

/* Only leaves have rows, so only their identities count; the root's own counts too, since it is
 * what partitions to come begin with: one without would make its owner's UPDATE fail. */
static void
take_partition(struct reading *r, int row, const char *why)
{
    struct pg_table *root = &r->out->items[r->out->count - 1];
    uint32_t oid = (uint32_t)pg_int(r->rows, row, "oid");
    root->partitions = hash64_seed(&oid, sizeof oid, root->partitions);
    if (why) {
        skip_table(r, row, why);
        return;
    }
    if (pg_text(r->rows, row, "relkind")[0] != 'r')
        return;
    root->logs_old = root->logs_old && pg_text(r->rows, row, "relreplident")[0] == 'f';
    if (pg_bool(r->rows, row, "named"))
        return;
    root->has_identity = false;
    if (root->bad_partition.size == 0)
        root->bad_partition =
            slice_of(arena_printf(&r->out->arena, "%s.%s", pg_text(r->rows, row, "nspname"),
                                  pg_text(r->rows, row, "relname")));
}

static void
take_row(struct reading *r, int row)
{
    uint32_t oid = (uint32_t)pg_int(r->rows, row, "oid");
    uint32_t root = (uint32_t)pg_int(r->rows, row, "root");
    const char *why = why_skipped(pg_text(r->rows, row, "relkind")[0],
                                  pg_text(r->rows, row, "relpersistence")[0]);
    if (oid == root)
        take_table(r, row, why);
    else if (root == r->root)
        take_partition(r, row, why);
}

static int
compare_names(const void *left, const void *right)
{
    const struct pg_table *a = left, *b = right;
    int order = slice_compare(a->schema, b->schema);
    return order ? order : slice_compare(a->name, b->name);
}

static int
compare_oids(const void *left, const void *right, void *items)
{
    const struct pg_table *tables = items;
    uint32_t a = tables[*(const uint32_t *)left].oid, b = tables[*(const uint32_t *)right].oid;
    return (a > b) - (a < b);
}

static void
sort_tables(struct pg_tables *out)
{
    if (out->skipped_count)
        qsort(out->skipped, out->skipped_count, sizeof *out->skipped, compare_names);
    out->by_oid = memory_zero((out->count + 1) * sizeof *out->by_oid);
    if (out->count == 0)
        return;
    qsort(out->items, out->count, sizeof *out->items, compare_names);
    for (size_t i = 0; i < out->count; i++)
        out->by_oid[i] = (uint32_t)i;
    qsort_r(out->by_oid, out->count, sizeof *out->by_oid, compare_oids, out->items);
}

int
pg_catalog_take(const struct source_plan *plan, const PGresult *result, struct pg_tables *out,
                struct error *err)
{
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQfnumber(result, "published") < 0)
        return error_set(err, ERROR_INTERNAL, "source \"%s\": this is no answer of the catalog",
                         plan->name);
    struct reading r = {.plan = plan, .rows = result, .out = out};
    memset(out, 0, sizeof *out);
    arena_init(&out->arena, 1 << 14);
    keep_names(&r);
    for (int row = 0; row < PQntuples(result); row++)
        take_row(&r, row);
    free(r.names);
    sort_tables(out);
    return 0;
}

int
pg_catalog_read(struct pg_session *s, struct pg_tables *out, struct error *err)
{
    struct buffer sql;
    buffer_init(&sql, 1 << 14);
    pg_catalog_query(s->plan, &sql);
    PGresult *result = pg_query(s, "read the catalog", buffer_cstring(&sql), err);
    buffer_release(&sql);
    if (!result)
        return -1;
    int done = pg_catalog_take(s->plan, result, out, err);
    PQclear(result);
    return done;
}

void
pg_catalog_release(struct pg_tables *tables)
{
    free(tables->items);
    free(tables->skipped);
    free(tables->by_oid);
    arena_release(&tables->arena);
    memset(tables, 0, sizeof *tables);
}

const struct pg_table *
pg_catalog_find(const struct pg_tables *tables, uint32_t oid)
{
    size_t low = 0, high = tables->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct pg_table *table = &tables->items[tables->by_oid[middle]];
        if (table->oid == oid)
            return table;
        if (table->oid < oid)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
