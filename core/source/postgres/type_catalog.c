/* Types that the server's users made: asked of the catalog with all that they rest on, in one
 * query. */
#include <stdlib.h>

#include "source/postgres/type_part.h"

#define QUERY_LIMIT (1 << 24) /* bytes; more types than any table has columns */

/* An array is what the array's own subscripting takes apart; int2vector, which is stored plain, and
 * point, which has elements but another form, are none. */
#define IS_ARRAY                                                                                   \
    "t.typelem <> 0 AND t.typstorage <> 'p' AND "                                                  \
    "t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc"

static const char before_oids[] = "WITH RECURSIVE wanted(oid) AS ("
                                  "SELECT t.oid FROM pg_catalog.pg_type t WHERE t.oid IN (";

static const char after_oids[] =
    ") UNION "
    "SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END "
    "FROM wanted w JOIN pg_catalog.pg_type t ON t.oid = w.oid "
    "WHERE t.typtype = 'd' OR (" IS_ARRAY ")) "
    "SELECT t.oid AS oid, "
    "CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE 0 END AS base, "
    "CASE WHEN " IS_ARRAY " THEN t.typelem ELSE 0 END AS element, "
    "t.typdelim AS delimiter, pg_catalog.format_type(t.oid, -1) AS name "
    "FROM wanted w JOIN pg_catalog.pg_type t ON t.oid = w.oid";

/* One row of the answer. */
struct entry {
    struct pg_type type;    /* its name belongs to the answer */
    uint32_t base, element; /* 0: none */
};

static struct entry
read_row(const PGresult *result, int number)
{
    struct entry row = {
        .base = (uint32_t)pg_int(result, number, "base"),
        .element = (uint32_t)pg_int(result, number, "element"),
    };
    row.type.oid = (uint32_t)pg_int(result, number, "oid");
    row.type.name = pg_text(result, number, "name");
    row.type.delimiter = pg_text(result, number, "delimiter")[0];
    return row;
}

/* Adds the type if all that it rests on is in the set. */
static bool
add_row(struct pg_types *types, const struct entry *row)
{
    struct pg_type type = row->type;
    const struct pg_type *base = pg_types_find(types, row->base ? row->base : row->element);
    if (pg_types_find(types, type.oid))
        return true;
    if (!base && (row->base || row->element))
        return false;
    if (row->base) {
        type.form = base->form;
        type.element = base->element;
    } else if (row->element) {
        type.form = PG_FORM_ARRAY;
        type.element = base;
    }
    pg_types_add(types, &type);
    return true;
}

/* Adds what can be added; how many rows are left, moved to the front. */
static size_t
add_rows(struct pg_types *types, struct entry *rows, size_t count)
{
    size_t left = 0;
    for (size_t i = 0; i < count; i++)
        if (!add_row(types, &rows[i]))
            rows[left++] = rows[i];
    return left;
}

void
pg_types_take(struct pg_types *types, const PGresult *result)
{
    size_t count = (size_t)PQntuples(result), before;
    struct entry *rows = memory_alloc((count + 1) * sizeof(*rows));
    for (size_t i = 0; i < count; i++)
        rows[i] = read_row(result, (int)i);
    do {
        before = count;
        count = add_rows(types, rows, count);
    } while (count < before);
    for (size_t i = 0; i < count; i++)
        if (!pg_types_find(types, rows[i].type.oid))
            pg_types_add(types, &rows[i].type);
    free(rows);
}

void
pg_types_settle(struct pg_types *types, const uint32_t *oids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct pg_type type = {.oid = oids[i], .delimiter = ',', .name = ""};
        if (!pg_types_find(types, oids[i]))
            pg_types_add(types, &type);
    }
}

/* The query for those of `oids` that are not in the set; false when all are. */
static bool
write_query(const struct pg_types *types, const uint32_t *oids, size_t count, struct buffer *sql)
{
    bool any = false;
    buffer_text(sql, before_oids);
    for (size_t i = 0; i < count; i++) {
        if (pg_types_find(types, oids[i]))
            continue;
        buffer_printf(sql, "%s%u", any ? "," : "", (unsigned)oids[i]);
        any = true;
    }
    buffer_text(sql, after_oids);
    return any;
}

int
pg_types_load(struct pg_types *types, struct pg_session *s, const uint32_t *oids, size_t count,
              struct error *err)
{
    PGresult *result = NULL;
    struct buffer sql;
    bool any;
    buffer_init(&sql, QUERY_LIMIT);
    any = write_query(types, oids, count, &sql);
    ensure(!sql.failed);
    if (any)
        result = pg_query(s, "read the catalog of types", buffer_cstring(&sql), err);
    buffer_release(&sql);
    if (!any)
        return 0;
    if (!result)
        return -1;
    pg_types_take(types, result);
    pg_types_settle(types, oids, count);
    PQclear(result);
    return 0;
}
