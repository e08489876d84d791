#include <strings.h>
#include "source/sqlite/table.h"

struct reading {
    sqlite3 *db;
    const struct source_plan *plan;
    struct arena *arena;
    struct table *table;
    struct error *err;
};

static int
find_column(const struct table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcasecmp(table->columns[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

static void
take_column(struct reading *r, sqlite3_stmt *row, struct table_column *column)
{
    column->name = arena_text(r->arena, call_text(row, 0));
    column->type = arena_text(r->arena, call_text(row, 1));
    column->not_null = sqlite3_column_int(row, 2) != 0;
    bool has = sqlite3_column_type(row, 3) != SQLITE_NULL;
    column->fallback = has ? arena_text(r->arena, call_text(row, 3)) : NULL;
    column->key = sqlite3_column_int(row, 4);
    column->generated = sqlite3_column_int(row, 5) != 0;
    column->captured =
        source_wants_column(r->plan, slice_of(r->table->name), slice_of(column->name));
    r->table->captured += column->captured;
}

static int
read_columns(struct reading *r)
{
    static const char what[] = "read the columns";
    sqlite3_stmt *rows = call_prepare_text(r->db,
                                           "SELECT name, type, \"notnull\", dflt_value, pk, hidden "
                                           "FROM pragma_table_xinfo(?1, 'main')",
                                           r->table->name, what, r->err);
    if (!rows)
        return -1;
    struct table_column *columns = arena_zero(r->arena, (TABLE_COLUMNS + 1) * sizeof *columns);
    int found;
    r->table->columns = columns;
    while ((found = call_step(rows, what, r->err)) == 1 && r->table->count <= TABLE_COLUMNS)
        take_column(r, rows, &columns[r->table->count++]);
    sqlite3_finalize(rows);
    if (found < 0)
        return -1;
    if (r->table->count > TABLE_COLUMNS) {
        error_set(r->err, ERROR_CONFIG, "table %s has more than %d columns", r->table->name,
                  TABLE_COLUMNS);
        return error_hint(r->err, "add it to `exclude` of source \"%s\"", r->plan->name);
    }
    return 0;
}

static int
check_key(struct reading *r)
{
    for (size_t i = 0; i < r->table->count; i++) {
        const struct table_column *column = &r->table->columns[i];
        if (!column->key || column->captured)
            continue;
        error_set(r->err, ERROR_CONFIG, "exclude_columns names the key column %s of table %s",
                  column->name, r->table->name);
        return error_hint(r->err, "take %s.%s out of `exclude_columns` of source \"%s\"",
                          r->table->name, column->name, r->plan->name);
    }
    return 0;
}

/* The rowid answers to three names, and a column of such a name hides it. */
static int
find_rowid(struct reading *r)
{
    static const char *const aliases[] = {"rowid", "oid", "_rowid_"};
    if (r->table->without_rowid)
        return 0;
    for (size_t i = 0; i < countof(aliases); i++) {
        if (find_column(r->table, aliases[i]) >= 0)
            continue;
        r->table->rowid = aliases[i];
        return 0;
    }
    error_set(r->err, ERROR_CONFIG,
              "table %s has columns named rowid, oid and _rowid_, so its rows cannot be told apart",
              r->table->name);
    return error_hint(r->err, "rename one of these columns, or add the table to `exclude`");
}

static void
take_term(struct reading *r, sqlite3_stmt *row, struct table_unique *unique)
{
    struct table_term *term = &unique->terms[unique->count++];
    term->column = -1;
    int cid = sqlite3_column_int(row, 0);
    if (cid == -1)
        term->column = -2;
    else if (cid >= 0)
        term->column = find_column(r->table, call_text(row, 1));
    term->collation = arena_text(r->arena, call_text(row, 2));
    if (term->column < 0 || r->table->columns[term->column].generated)
        unique->simple = false;
}

static int
read_terms(struct reading *r, const char *index, struct table_unique *unique)
{
    static const char what[] = "read an index";
    sqlite3_stmt *rows = call_prepare_text(
        r->db,
        "SELECT cid, name, coll FROM pragma_index_xinfo(?1, 'main') WHERE key ORDER BY seqno",
        index, what, r->err);
    if (!rows)
        return -1;
    int found, room = 0;
    while ((found = call_step(rows, what, r->err)) == 1)
        room++;
    sqlite3_reset(rows);
    unique->terms = arena_zero(r->arena, (size_t)(room + 1) * sizeof *unique->terms);
    while (found == 0 && (int)unique->count < room) {
        if (call_step(rows, what, r->err) != 1)
            found = -1;
        else
            take_term(r, rows, unique);
    }
    sqlite3_finalize(rows);
    return found < 0 ? -1 : 0;
}

/* Expressions and WHERE of an index, which only its text has. */
static int
read_text(struct reading *r, const char *index, struct table_unique *unique)
{
    static const char what[] = "read an index";
    sqlite3_stmt *row = call_prepare_text(
        r->db, "SELECT sql FROM main.sqlite_master WHERE type = 'index' AND name = ?1", index, what,
        r->err);
    if (!row)
        return -1;
    const char *texts[TABLE_COLUMNS];
    int found = call_step(row, what, r->err);
    int count = found == 1
                    ? index_split(call_text(row, 0), r->arena, texts, TABLE_COLUMNS, &unique->where)
                    : -1;
    sqlite3_finalize(row);
    if (found < 0)
        return -1;
    if (count != (int)unique->count)
        return error_set(r->err, ERROR_CONFIG, "the text of index %s is not understood", index);
    for (int i = 0; i < count; i++)
        unique->terms[i].text = unique->terms[i].column < 0 ? texts[i] : NULL;
    return 0;
}

static int
read_unique(struct reading *r, sqlite3_stmt *row, struct table_unique *unique)
{
    const char *index = arena_text(r->arena, call_text(row, 0));
    bool partial = sqlite3_column_int(row, 2) != 0;
    unique->primary = strcmp(call_text(row, 1), "pk") == 0;
    unique->simple = !partial;
    if (read_terms(r, index, unique) != 0)
        return -1;
    bool text = partial;
    for (size_t i = 0; i < unique->count; i++)
        text = text || unique->terms[i].column == -1;
    return text ? read_text(r, index, unique) : 0;
}

static int
read_uniques(struct reading *r)
{
    static const char what[] = "read the indexes";
    int64_t room;
    sqlite3_stmt *rows = call_prepare_text(
        r->db,
        "SELECT name, origin, partial, count(*) OVER () FROM pragma_index_list(?1, 'main')"
        " WHERE \"unique\" ORDER BY name",
        r->table->name, what, r->err);
    if (!rows)
        return -1;
    int found, failed = 0;
    while (!failed && (found = call_step(rows, what, r->err)) == 1) {
        room = sqlite3_column_int64(rows, 3);
        if (!r->table->uniques)
            r->table->uniques = arena_zero(r->arena, (size_t)room * sizeof *r->table->uniques);
        failed = read_unique(r, rows, &r->table->uniques[r->table->unique_count++]);
    }
    sqlite3_finalize(rows);
    return failed || found < 0 ? -1 : 0;
}

static int
read_head(struct reading *r)
{
    static const char what[] = "read the tables";
    sqlite3_stmt *row = call_prepare_text(
        r->db,
        "SELECT l.wr, m.sql, m.name FROM pragma_table_list(?1) l, main.sqlite_master m"
        " WHERE l.schema = 'main' AND m.type = 'table' AND m.name = l.name",
        r->table->name, what, r->err);
    if (!row)
        return -1;
    int found = call_step(row, what, r->err);
    if (found == 1) {
        r->table->without_rowid = sqlite3_column_int(row, 0) != 0;
        r->table->sql = arena_text(r->arena, call_text(row, 1));
        r->table->name = arena_text(r->arena, call_text(row, 2));
    }
    sqlite3_finalize(row);
    if (found == 0)
        return error_set(r->err, ERROR_MISSING, "there is no table %s", r->table->name);
    return found < 0 ? -1 : 0;
}

/* A false alarm (a trigger whose name or comment says BEFORE) only costs time. */
static const char surroundings[] =
    "SELECT EXISTS (SELECT 1 FROM main.sqlite_master WHERE type = 'trigger'"
    " AND tbl_name = ?1 COLLATE NOCASE AND name NOT LIKE '\\_tidegate\\_%' ESCAPE '\\'"
    " AND sql LIKE '%BEFORE%'),"
    " EXISTS (SELECT 1 FROM main.sqlite_master m, pragma_foreign_key_list(m.name) f"
    " WHERE m.type = 'table' AND f.\"table\" = ?1 COLLATE NOCASE)";

static int
read_surroundings(struct reading *r)
{
    static const char what[] = "read triggers and foreign keys";
    sqlite3_stmt *row = call_prepare_text(r->db, surroundings, r->table->name, what, r->err);
    if (!row)
        return -1;
    int found = call_step(row, what, r->err);
    r->table->before = found == 1 && sqlite3_column_int(row, 0);
    r->table->parent = found == 1 && sqlite3_column_int(row, 1);
    sqlite3_finalize(row);
    return found < 0 ? -1 : 0;
}

int
table_read(sqlite3 *db, const struct source_plan *plan, const char *name, struct arena *arena,
           struct table *out, struct error *err)
{
    *out = (struct table){.name = name};
    struct reading r = {db, plan, arena, out, err};
    if (read_head(&r) != 0 || read_columns(&r) != 0 || check_key(&r) != 0 || find_rowid(&r) != 0)
        return -1;
    return read_surroundings(&r) != 0 ? -1 : read_uniques(&r);
}

const struct table_unique *
table_primary(const struct table *table)
{
    for (size_t i = 0; i < table->unique_count; i++) {
        if (table->uniques[i].primary)
            return &table->uniques[i];
    }
    return NULL;
}

int
table_list(sqlite3 *db, const struct source_plan *plan, struct arena *arena, const char ***names,
           size_t *count, struct error *err)
{
    static const char what[] = "list the tables";
    sqlite3_stmt *rows = call_prepare(db,
                                      "SELECT name, count(*) OVER () FROM pragma_table_list WHERE "
                                      "schema = 'main' AND type = 'table'"
                                      " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT "
                                      "LIKE '\\_tidegate\\_%' ESCAPE '\\'"
                                      " ORDER BY name",
                                      what, err);
    if (!rows)
        return -1;
    int found;
    *names = NULL;
    *count = 0;
    while ((found = call_step(rows, what, err)) == 1) {
        if (!*names)
            *names = arena_alloc(arena, (size_t)sqlite3_column_int64(rows, 1) * sizeof **names);
        struct slice name = call_bytes(rows, 0);
        if (source_wants(plan, slice_literal("main"), name))
            (*names)[(*count)++] = arena_text(arena, call_text(rows, 0));
    }
    sqlite3_finalize(rows);
    return found;
}
