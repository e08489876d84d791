#include "source/sqlite/version.h"
#include "base/json.h"

static const char columns_sql[] =
    "SELECT name, type, flags, key FROM main._tidegate_column WHERE ver = ?1 ORDER BY i";

static int
load_columns(sqlite3 *db, int64_t ver, struct arena *arena, struct schema *draft, struct error *err)
{
    static const char what[] = "read the versions of tables";
    sqlite3_stmt *rows = call_prepare(db, columns_sql, what, err);
    if (!rows)
        return -1;
    struct column *columns = arena_zero(arena, TABLE_COLUMNS * sizeof *columns);
    int found;
    sqlite3_bind_int64(rows, 1, ver);
    while ((found = call_step(rows, what, err)) == 1 && draft->column_count < TABLE_COLUMNS) {
        struct column *column = &columns[draft->column_count++];
        column->name = arena_slice(arena, call_bytes(rows, 0));
        column->type = arena_slice(arena, call_bytes(rows, 1));
        column->flags = (uint8_t)sqlite3_column_int(rows, 2);
        column->key = (uint16_t)sqlite3_column_int(rows, 3);
    }
    sqlite3_finalize(rows);
    draft->columns = columns;
    return found < 0 ? -1 : 0;
}

void
version_order_key(struct arena *arena, struct schema *draft)
{
    uint16_t *key = arena_zero(arena, (draft->column_count + 1u) * sizeof *key);
    for (uint16_t place = 1; place <= draft->column_count; place++) {
        for (uint16_t i = 0; i < draft->column_count; i++) {
            if (draft->columns[i].key == place)
                key[draft->key_count++] = i;
        }
    }
    draft->key = key;
}

static int
load_name(sqlite3 *db, int64_t ver, struct arena *arena, struct schema *draft, struct error *err)
{
    static const char what[] = "read the versions of tables";
    sqlite3_stmt *row =
        call_prepare(db, "SELECT name FROM main._tidegate_version WHERE ver = ?1", what, err);
    if (!row)
        return -1;
    sqlite3_bind_int64(row, 1, ver);
    int found = call_step(row, what, err);
    if (found == 1)
        draft->table = arena_slice(arena, call_bytes(row, 0));
    sqlite3_finalize(row);
    if (found == 0)
        return error_set(err, ERROR_LOST,
                         "the change log has rows of an unknown table version %lld",
                         (long long)ver);
    return found < 0 ? -1 : 0;
}

int
version_load(sqlite3 *db, const struct source_plan *plan, int64_t ver, struct version *out,
             struct error *err)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct schema draft = {.source = slice_of(plan->name),
                           .driver = slice_of(plan->driver->name),
                           .schema = slice_literal("main")};
    out->ver = ver;
    out->schema = NULL;
    if (load_name(db, ver, &arena, &draft, err) == 0 &&
        load_columns(db, ver, &arena, &draft, err) == 0) {
        version_order_key(&arena, &draft);
        out->schema = schema_intern(plan->schemas, &draft, err);
    }
    arena_release(&arena);
    return out->schema ? 0 : -1;
}

int
version_find(sqlite3 *db, const char *table, int64_t *ver, bool *ever, struct error *err)
{
    static const char what[] = "read the versions of tables";
    sqlite3_stmt *row = call_prepare_text(db,
                                          "SELECT max(CASE WHEN active THEN ver END), count(*)"
                                          " FROM main._tidegate_version WHERE name = ?1",
                                          table, what, err);
    if (!row)
        return -1;
    int found = call_step(row, what, err);
    *ver = found == 1 ? sqlite3_column_int64(row, 0) : 0;
    *ever = found == 1 && sqlite3_column_int64(row, 1) > 0;
    sqlite3_finalize(row);
    return found < 0 ? -1 : 0;
}

static int
add_column(sqlite3_stmt *row, const struct table_column *column, int place, struct error *err)
{
    int flags =
        (column->not_null ? 0 : COLUMN_NULLABLE) | (column->generated ? COLUMN_GENERATED : 0);
    sqlite3_reset(row);
    sqlite3_bind_int(row, 2, place);
    sqlite3_bind_text(row, 3, column->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(row, 4, column->type, -1, SQLITE_STATIC);
    sqlite3_bind_int(row, 5, flags);
    sqlite3_bind_int(row, 6, column->key);
    return call_step(row, "store a table version", err) < 0 ? -1 : 0;
}

static int
add_columns(sqlite3 *db, const struct table *table, int64_t ver, struct error *err)
{
    sqlite3_stmt *row =
        call_prepare(db, "INSERT INTO main._tidegate_column VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                     "store a table version", err);
    if (!row)
        return -1;
    int place = 0, failed = 0;
    sqlite3_bind_int64(row, 1, ver);
    for (size_t i = 0; i < table->count && !failed; i++) {
        if (table->columns[i].captured)
            failed = add_column(row, &table->columns[i], place++, err);
    }
    sqlite3_finalize(row);
    return failed;
}

int
version_retire(sqlite3 *db, const char *table, struct error *err)
{
    static const char what[] = "retire a table version";
    sqlite3_stmt *row = call_prepare_text(
        db, "UPDATE main._tidegate_version SET active = 0 WHERE name = ?1 AND active", table, what,
        err);
    return row ? call_finish(row, what, err) : -1;
}

int
version_add(sqlite3 *db, const struct table *table, const char *renamed, int64_t *ver,
            struct error *err)
{
    static const char what[] = "store a table version";
    if (version_retire(db, table->name, err) != 0 ||
        (renamed && version_retire(db, renamed, err) != 0))
        return -1;
    sqlite3_stmt *row =
        call_prepare_text(db, "INSERT INTO main._tidegate_version(name, active) VALUES (?1, 1)",
                          table->name, what, err);
    if (!row || call_finish(row, what, err) != 0)
        return -1;
    *ver = sqlite3_last_insert_rowid(db);
    return add_columns(db, table, *ver, err);
}

/* A list of column names under a key of the JSON object. */
struct names {
    const char *key;
    struct buffer text;
};

static void
names_add(struct names *names, struct slice name)
{
    buffer_text(&names->text, names->text.size ? "," : "");
    json_string(&names->text, name);
}

static const struct table_column *
find_captured(const struct table *table, struct slice name)
{
    for (size_t i = 0; table && i < table->count; i++) {
        if (table->columns[i].captured && slice_is(name, table->columns[i].name))
            return &table->columns[i];
    }
    return NULL;
}

enum { ADDED, REMOVED, RETYPED, LISTS };

/* Compares the columns of a version with those of the table; false: nothing differs. */
static bool
compare_columns(const struct schema *before, const struct table *table, struct names *names)
{
    size_t same = 0, now = 0;
    for (size_t i = 0; i < before->column_count; i++) {
        const struct column *old = &before->columns[i];
        const struct table_column *column = find_captured(table, old->name);
        if (!column)
            names_add(&names[REMOVED], old->name);
        else if (!slice_is(old->type, column->type) || old->key != column->key)
            names_add(&names[RETYPED], old->name);
        else
            same++;
    }
    for (size_t i = 0; table && i < table->count; i++) {
        if (!table->columns[i].captured)
            continue;
        now++;
        if (schema_column(before, slice_of(table->columns[i].name)) < 0)
            names_add(&names[ADDED], slice_of(table->columns[i].name));
    }
    return same != before->column_count || same != now;
}

static void
print_json(const char *kind, const struct table *table, const struct names *names,
           struct buffer *json)
{
    buffer_text(json, "{\"kind\":");
    json_string(json, slice_of(kind));
    buffer_text(json, ",\"sql\":");
    if (table)
        json_string(json, slice_of(table->sql));
    else
        buffer_text(json, "null");
    for (int i = 0; i < LISTS; i++) {
        buffer_printf(json, ",\"%s\":[", names[i].key);
        buffer_slice(json, buffer_view(&names[i].text));
        buffer_text(json, "]");
    }
    buffer_text(json, "}");
}

int
version_difference(sqlite3 *db, int64_t before, const struct table *table, const char *kind,
                   struct buffer *json, bool *changed, struct error *err)
{
    struct arena arena;
    struct schema old = {0};
    struct names names[LISTS] = {{.key = "added"}, {.key = "removed"}, {.key = "retyped"}};
    arena_init(&arena, 0);
    for (int i = 0; i < LISTS; i++)
        buffer_init(&names[i].text, 1 << 20);
    int result = before ? load_columns(db, before, &arena, &old, err) : 0;
    if (result == 0) {
        *changed = compare_columns(&old, table, names);
        print_json(kind, table, names, json);
    }
    for (int i = 0; i < LISTS; i++)
        buffer_release(&names[i].text);
    arena_release(&arena);
    return result;
}
