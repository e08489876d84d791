/* Captured tables as schemas, without the stream: relation.c makes the same ones of its messages.
 */
#include <stdlib.h>
#include "source/postgres/catalog.h"
#include "source/postgres/quote.h"
#include "source/postgres/type.h"

struct drawing {
    struct pg_session *s;
    const PGresult *rows;
    struct pg_types *types;
    struct arena arena;
    source_visit_schema *visit;
    void *context;
    bool ended; /* the visitor has seen enough */
};

/* The columns that the stream sends. `keyed`: of the index that is the replica identity. */
static PGresult *
read_columns(struct pg_session *s, const struct pg_tables *tables, struct error *err)
{
    struct buffer sql;
    buffer_init(&sql, 1 << 20);
    buffer_text(&sql,
                "SELECT a.attrelid, a.attname, a.atttypid, a.atttypmod,"
                " COALESCE(a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]), false) AS keyed"
                " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
                " LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indimmediate AND"
                " CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident"
                " ELSE false END WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated ");
    buffer_text(&sql, s->version >= 180000 ? "<> 'v'" : "= ''");
    buffer_text(&sql, " AND a.attrelid IN (0");
    for (size_t i = 0; i < tables->count; i++)
        buffer_printf(&sql, ", %u", tables->items[i].oid);
    buffer_text(&sql, ") ORDER BY a.attrelid, a.attnum");
    PGresult *rows = pg_query(s, "read the columns", buffer_cstring(&sql), err);
    buffer_release(&sql);
    return rows;
}

static int
load_types(struct drawing *d, struct error *err)
{
    size_t rows = (size_t)PQntuples(d->rows), count = 0;
    uint32_t *oids = memory_zero((rows + 1) * sizeof *oids);
    for (size_t row = 0; row < rows; row++) {
        uint32_t oid = (uint32_t)pg_int(d->rows, (int)row, "atttypid");
        bool listed = pg_types_find(d->types, oid) != NULL;
        for (size_t i = 0; i < count && !listed; i++)
            listed = oids[i] == oid;
        if (!listed)
            oids[count++] = oid;
    }
    int result = count ? pg_types_load(d->types, d->s, oids, count, err) : 0;
    free(oids);
    return result;
}

static int
row_of(const struct drawing *d, int from, int end, struct slice name)
{
    for (int row = from; row < end; row++) {
        if (slice_is(name, pg_text(d->rows, row, "attname")))
            return row;
    }
    return -1;
}

/* Is the primary key of the catalog the key of the rows? As relation.c decides. */
static bool
key_fits(const struct drawing *d, const struct pg_table *table, int from, int end)
{
    bool exact = table->identity == 'd' || table->identity == 'i';
    size_t keyed = 0;
    for (int row = from; row < end; row++)
        keyed += pg_bool(d->rows, row, "keyed");
    if (table->key_count == 0 || (exact && keyed != table->key_count))
        return false;
    for (size_t i = 0; i < table->key_count; i++) {
        int row = row_of(d, from, end, table->key[i]);
        if (row < 0 || (exact && !pg_bool(d->rows, row, "keyed")))
            return false;
    }
    return true;
}

static void
find_key(const struct drawing *d, const struct pg_table *table, int from, int end, uint16_t *key)
{
    uint16_t place = 0;
    if (!key_fits(d, table, from, end)) {
        for (int row = from; row < end; row++) {
            struct slice name = slice_of(pg_text(d->rows, row, "attname"));
            bool counts = pg_bool(d->rows, row, "keyed") &&
                          source_wants_column(d->s->plan, table->name, name);
            key[row - from] = counts ? ++place : 0;
        }
        return;
    }
    for (size_t i = 0; i < table->key_count; i++) {
        int row = row_of(d, from, end, table->key[i]);
        if (source_wants_column(d->s->plan, table->name, table->key[i]))
            key[row - from] = ++place;
    }
}

static struct column
draw_column(struct drawing *d, int row, uint16_t key)
{
    struct buffer type;
    const struct pg_type *found =
        pg_types_find(d->types, (uint32_t)pg_int(d->rows, row, "atttypid"));
    ensure(found != NULL);
    buffer_init(&type, 1024);
    pg_type_print(found, (int32_t)pg_int(d->rows, row, "atttypmod"), &type);
    struct column column = {
        .name = slice_of(pg_text(d->rows, row, "attname")),
        .type = arena_slice(&d->arena, buffer_view(&type)),
        .family = found->family,
        .flags = key ? 0 : COLUMN_NULLABLE,
        .key = key,
    };
    buffer_release(&type);
    return column;
}

static const char *
old_mend(struct drawing *d, const struct pg_table *table)
{
    struct buffer sql;
    if (table->logs_old)
        return "";
    buffer_init(&sql, 1 << 12);
    buffer_text(&sql, "ALTER TABLE ");
    pg_quote_table(&sql, table->schema, table->name);
    buffer_text(&sql, " REPLICA IDENTITY FULL");
    if (table->partitioned)
        buffer_text(&sql, ", and the same for each of its partitions");
    const char *text = arena_text(&d->arena, buffer_cstring(&sql));
    buffer_release(&sql);
    return text;
}

/* The rows from `from` to `end` are the table's columns. */
/* old_values = "full" makes the log carry old rows, where the role may alter the table. */
static bool
altered_at_start(const struct source_plan *plan, const struct pg_table *table)
{
    const struct pg_options *options = plan->options;
    return plan->common.old_values == SOURCE_OLD_FULL && table->owned && !options->publication;
}

static int
draw_table(struct drawing *d, const struct pg_table *table, int from, int end, struct error *err)
{
    size_t room = (size_t)(end - from) + 1;
    uint16_t *key = arena_zero(&d->arena, room * sizeof *key);
    struct column *columns = arena_zero(&d->arena, room * sizeof *columns);
    struct schema draft = {.source = slice_of(d->s->plan->name),
                           .driver = slice_of(d->s->plan->driver->name),
                           .schema = table->schema,
                           .table = table->name,
                           .columns = columns};
    find_key(d, table, from, end, key);
    for (int row = from; row < end; row++) {
        struct slice name = slice_of(pg_text(d->rows, row, "attname"));
        if (source_wants_column(d->s->plan, table->name, name))
            columns[draft.column_count++] = draw_column(d, row, key[row - from]);
    }
    const struct schema *schema = schema_intern(d->s->plan->schemas, &draft, err);
    if (!schema)
        return -1;
    struct captured_table found = {.schema = schema,
                                   .old_values =
                                       table->logs_old || altered_at_start(d->s->plan, table),
                                   .old_mend = old_mend(d, table)};
    d->ended = d->visit(d->context, &found) != 0;
    return 0;
}

/* The first row of a table's columns, or where it would stand. */
static int
first_row(const struct drawing *d, uint32_t oid)
{
    int low = 0, high = PQntuples(d->rows);
    while (low < high) {
        int middle = low + (high - low) / 2;
        if ((uint32_t)pg_int(d->rows, middle, "attrelid") < oid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int
draw_all(struct drawing *d, const struct pg_tables *tables, struct error *err)
{
    if (load_types(d, err) != 0)
        return -1;
    for (size_t i = 0; i < tables->count && !d->ended; i++) {
        const struct pg_table *table = &tables->items[i];
        int from = first_row(d, table->oid), end = from;
        while (end < PQntuples(d->rows) && (uint32_t)pg_int(d->rows, end, "attrelid") == table->oid)
            end++;
        if (draw_table(d, table, from, end, err) != 0)
            return -1;
        arena_reset(&d->arena);
    }
    return 0;
}

int
pg_catalog_schemas(struct pg_session *s, const struct pg_tables *tables, source_visit_schema *visit,
                   void *context, struct error *err)
{
    PGresult *rows = read_columns(s, tables, err);
    if (!rows)
        return -1;
    struct drawing d = {
        .s = s, .rows = rows, .types = pg_types_new(), .visit = visit, .context = context};
    arena_init(&d.arena, 1 << 14);
    int result = draw_all(&d, tables, err);
    arena_release(&d.arena);
    pg_types_free(d.types);
    PQclear(rows);
    return result;
}
