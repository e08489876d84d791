#include "source/sqlite/trigger.h"
#include <strings.h>
#include "event/event.h"
#include "source/sqlite/quote.h"

#define TABLE_SIDE   "_tidegate_t"
#define PENDING_SIDE "_tidegate_pending"

static const struct {
    const char *prefix;
    const char *when;
} kinds[TRIGGER_KINDS] = {
    [TRIGGER_BEFORE_INSERT] = {"_tidegate_bi_", "BEFORE INSERT"},
    [TRIGGER_BEFORE_UPDATE] = {"_tidegate_bu_", "BEFORE UPDATE"},
    [TRIGGER_BEFORE_DELETE] = {"_tidegate_bd_", "BEFORE DELETE"},
    [TRIGGER_AFTER_INSERT] = {"_tidegate_ai_", "AFTER INSERT"},
    [TRIGGER_AFTER_UPDATE] = {"_tidegate_au_", "AFTER UPDATE"},
    [TRIGGER_AFTER_DELETE] = {"_tidegate_ad_", "AFTER DELETE"},
    [TRIGGER_REPLACED_BY_INSERT] = {"_tidegate_ri_", "AFTER INSERT"},
    [TRIGGER_REPLACED_BY_UPDATE] = {"_tidegate_ru_", "AFTER UPDATE"},
};

/* What is being written: one trigger of one table. */
struct writing {
    struct buffer *out;
    const struct table *table;
    int64_t ver;
};

static void
put(struct writing *w, const char *text)
{
    buffer_text(w->out, text);
}

static void
put_name(struct writing *w, const char *name)
{
    quote_identifier(w->out, name);
}

static void
put_column(struct writing *w, const char *side, int column)
{
    put(w, side);
    put(w, ".");
    put_name(w, w->table->columns[column].name);
}

/* The place of a column among the captured ones: its number in log and pending. */
static int
place_of(const struct table *table, int column)
{
    int place = 0;
    for (int i = 0; i < column; i++)
        place += table->columns[i].captured;
    return place;
}

/* One part of what tells rows apart: the rowid, or a key column of a WITHOUT ROWID table. */
static void
put_identity(struct writing *w, const char *side, int column)
{
    bool pending = strcmp(side, PENDING_SIDE) == 0;
    if (!w->table->without_rowid)
        buffer_printf(w->out, "%s.%s", side, pending ? "k" : w->table->rowid);
    else if (pending)
        buffer_printf(w->out, "%s.c%d", side, place_of(w->table, column));
    else
        put_column(w, side, column);
}

/* The row of one side is the row of the other. */
static void
put_same(struct writing *w, const char *left, const char *right)
{
    const struct table_unique *primary = table_primary(w->table);
    size_t count = w->table->without_rowid ? primary->count : 1;
    for (size_t i = 0; i < count; i++) {
        int column = w->table->without_rowid ? primary->terms[i].column : -1;
        put(w, i ? " AND " : "(");
        put_identity(w, left, column);
        if (column >= 0) {
            put(w, " COLLATE ");
            put_name(w, primary->terms[i].collation);
        }
        put(w, " = ");
        put_identity(w, right, column);
    }
    put(w, ")");
}

/* The captured columns of a side, each with a comma before it. */
static void
put_cells(struct writing *w, const char *side)
{
    int place = 0;
    for (size_t i = 0; i < w->table->count; i++) {
        if (!w->table->columns[i].captured)
            continue;
        put(w, ", ");
        if (strcmp(side, PENDING_SIDE) == 0)
            buffer_printf(w->out, PENDING_SIDE ".c%d", place++);
        else
            put_column(w, side, (int)i);
    }
}

static void
put_places(struct writing *w, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_printf(w->out, ", c%zu", i);
}

static void
put_log_head(struct writing *w, size_t cells)
{
    put(w, "  INSERT INTO _tidegate_log(ts, ver, op");
    put_places(w, cells);
}

/* One row of the log from one or two sides. */
static void
put_log(struct writing *w, enum event_op op, const char *first, const char *second)
{
    put_log_head(w, w->table->captured * (second ? 2 : 1));
    buffer_printf(w->out, ") VALUES (" TRIGGER_NOW ", %lld, %d", (long long)w->ver, (int)op);
    put_cells(w, first);
    if (second)
        put_cells(w, second);
    put(w, ");\n");
}

static void
put_of_table(struct writing *w)
{
    buffer_printf(w->out, PENDING_SIDE ".t = %lld", (long long)w->ver);
}

/* A pending row is gone: NEW took its place, or it does not exist any more. */
static void
put_gone(struct writing *w, bool update)
{
    put_of_table(w);
    put(w, " AND NOT b");
    if (update) {
        put(w, " AND NOT ");
        put_same(w, PENDING_SIDE, "OLD");
    }
    put(w, " AND (");
    put_same(w, PENDING_SIDE, "NEW");
    put(w, " OR NOT EXISTS (SELECT 1 FROM ");
    put_name(w, w->table->name);
    put(w, " AS " TABLE_SIDE " WHERE ");
    put_same(w, TABLE_SIDE, PENDING_SIDE);
    put(w, "))");
}

/* Logs and forgets the rows that this statement replaced. */
static void
put_replaced(struct writing *w, bool update)
{
    put_log_head(w, w->table->captured);
    buffer_printf(w->out, ") SELECT " TRIGGER_NOW ", %lld, %d", (long long)w->ver, EVENT_DELETE);
    put_cells(w, PENDING_SIDE);
    put(w, " FROM " PENDING_SIDE " WHERE ");
    put_gone(w, update);
    put(w, " ORDER BY " PENDING_SIDE ".n;\n  DELETE FROM " PENDING_SIDE " WHERE ");
    put_gone(w, update);
    put(w, ";\n");
}

/* The value that NEW will really have: REPLACE turns NULL in a NOT NULL column into the default. */
static void
put_new(struct writing *w, int column)
{
    const struct table_column *c = &w->table->columns[column];
    bool replaced = c->fallback && (c->not_null || c->key);
    put(w, replaced ? "ifnull(" : "");
    put_column(w, "NEW", column);
    if (replaced) {
        put(w, ", (");
        put(w, c->fallback);
        put(w, "))");
    }
}

/* An expression of an index, computed from NEW: a row of one that has the table's name and columns.
 */
static void
put_new_expression(struct writing *w, const char *expression)
{
    put(w, "(SELECT ");
    put(w, expression);
    put(w, " FROM (SELECT ");
    for (size_t i = 0; i < w->table->count; i++) {
        put(w, i ? ", " : "");
        put_new(w, (int)i);
        put(w, " AS ");
        put_name(w, w->table->columns[i].name);
    }
    put(w, ") AS ");
    put_name(w, w->table->name);
    put(w, ")");
}

/* A row of `side` stands where NEW wants to stand in this index. */
static void
put_match(struct writing *w, const char *side, const struct table_unique *unique)
{
    for (size_t i = 0; i < unique->count; i++) {
        const struct table_term *term = &unique->terms[i];
        put(w, i ? " AND " : "");
        if (term->column >= 0) {
            put_column(w, side, term->column);
        } else {
            put(w, "(");
            put(w, term->text);
            put(w, ")");
        }
        put(w, " COLLATE ");
        put_name(w, term->collation);
        put(w, " = ");
        if (term->column >= 0)
            put_new(w, term->column);
        else
            put_new_expression(w, term->text);
    }
    if (unique->where) {
        put(w, " AND (");
        put(w, unique->where);
        put(w, "\n)");
    }
}

/* Texts of an index may name its table, so it needs its own name there; but a table called NEW or
 * OLD would hide the row that the trigger is about. */
static bool
needs_alias(const struct table *table, const struct table_unique *unique)
{
    bool hides = strcasecmp(table->name, "new") == 0 || strcasecmp(table->name, "old") == 0;
    return hides || !unique || unique->simple;
}

/* INSERT INTO pending … SELECT the row of a side. */
static void
put_copy_head(struct writing *w, const char *side)
{
    put(w, "  INSERT INTO " PENDING_SIDE "(t, b, k");
    put_places(w, w->table->captured);
    buffer_printf(w->out, ") SELECT %lld, 0, ", (long long)w->ver);
    if (w->table->without_rowid)
        put(w, "NULL");
    else
        put_identity(w, side, -1);
    put_cells(w, side);
}

/* FROM and WHERE of the rows that NEW may replace through one index (NULL: the rowid). */
static void
put_candidates(struct writing *w, const struct table_unique *unique, const char *side, bool update)
{
    put(w, " FROM ");
    put_name(w, w->table->name);
    put(w, needs_alias(w->table, unique) ? " AS " TABLE_SIDE " WHERE " : " WHERE ");
    if (unique)
        put_match(w, side, unique);
    else
        put_same(w, side, "NEW");
    if (update) {
        put(w, " AND NOT ");
        put_same(w, side, "OLD");
    }
}

static void
put_exists(struct writing *w, const struct table_unique *unique, bool update)
{
    struct buffer own;
    buffer_init(&own, 1 << 20);
    quote_identifier(&own, w->table->name);
    put(w, "EXISTS (SELECT 1");
    put_candidates(w, unique, needs_alias(w->table, unique) ? TABLE_SIDE : buffer_cstring(&own),
                   update);
    put(w, ")");
    buffer_release(&own);
}

/* Copies them into pending, each once and as the newest. */
static void
put_copy(struct writing *w, const struct table_unique *unique, bool update)
{
    struct buffer own;
    buffer_init(&own, 1 << 20);
    quote_identifier(&own, w->table->name);
    const char *side = needs_alias(w->table, unique) ? TABLE_SIDE : buffer_cstring(&own);
    put(w, "  DELETE FROM " PENDING_SIDE " WHERE ");
    put_of_table(w);
    put(w, " AND EXISTS (SELECT 1");
    put_candidates(w, unique, side, update);
    put(w, " AND ");
    put_same(w, side, PENDING_SIDE);
    put(w, ");\n");
    put_copy_head(w, side);
    put_candidates(w, unique, side, update);
    put(w, ";\n");
    buffer_release(&own);
}

static void
put_copies(struct writing *w, bool update)
{
    put(w, "  DELETE FROM " PENDING_SIDE " WHERE ");
    put_of_table(w);
    put(w, " AND n <= (SELECT n FROM " PENDING_SIDE " WHERE ");
    put_of_table(w);
    buffer_printf(w->out, " ORDER BY n DESC LIMIT 1) - %d;\n", PENDING_KEPT);
    if (!w->table->without_rowid)
        put_copy(w, NULL, update);
    for (size_t i = 0; i < w->table->unique_count; i++)
        put_copy(w, &w->table->uniques[i], update);
}

static void
body_before_insert(struct writing *w)
{
    put_copies(w, false);
}

/* Copies NEW itself: an outer statement whose BEFORE trigger made it may replace it. */
static void
put_copy_new(struct writing *w)
{
    if (!w->table->before)
        return;
    put_copy_head(w, "NEW");
    put(w, " WHERE NOT EXISTS (SELECT 1 FROM " PENDING_SIDE " WHERE ");
    put_of_table(w);
    put(w, " AND ");
    put_same(w, PENDING_SIDE, "NEW");
    put(w, ");\n");
}

/* Until its AFTER trigger the copy of OLD is no witness. */
static void
put_busy(struct writing *w)
{
    put(w, "  UPDATE " PENDING_SIDE " SET b = 1 WHERE ");
    put_of_table(w);
    put(w, " AND ");
    put_same(w, PENDING_SIDE, "OLD");
    put(w, ";\n");
}

static void
body_before_update(struct writing *w)
{
    put_copies(w, true);
    if (w->table->parent)
        put_busy(w);
}

static void
body_after_insert(struct writing *w)
{
    put_log(w, EVENT_INSERT, "NEW", NULL);
}

static void
body_after_update(struct writing *w)
{
    put_log(w, EVENT_UPDATE, "NEW", "OLD");
}

static void
body_replaced_by_insert(struct writing *w)
{
    put_replaced(w, false);
    put_copy_new(w);
}

static void
body_replaced_by_update(struct writing *w)
{
    put_replaced(w, true);
    put(w, "  UPDATE " PENDING_SIDE " SET b = 0, k = ");
    put(w, w->table->without_rowid ? "NULL" : "NEW.");
    put(w, w->table->without_rowid ? "" : w->table->rowid);
    int place = 0;
    for (size_t i = 0; i < w->table->count; i++) {
        if (!w->table->columns[i].captured)
            continue;
        buffer_printf(w->out, ", c%d = ", place++);
        put_column(w, "NEW", (int)i);
    }
    put(w, " WHERE ");
    put_of_table(w);
    put(w, " AND ");
    put_same(w, PENDING_SIDE, "OLD");
    put(w, ";\n");
    put_copy_new(w);
}

static void
body_after_delete(struct writing *w)
{
    put(w, "  DELETE FROM " PENDING_SIDE " WHERE ");
    put_of_table(w);
    put(w, " AND ");
    put_same(w, PENDING_SIDE, "OLD");
    put(w, ";\n");
    put_log(w, EVENT_DELETE, "OLD", NULL);
}

/* When a trigger has something to do, beyond there being room in the log. */
static void
when_candidates(struct writing *w, bool update)
{
    put(w, " AND (");
    if (!w->table->without_rowid)
        put_exists(w, NULL, update);
    for (size_t i = 0; i < w->table->unique_count; i++) {
        put(w, i || !w->table->without_rowid ? "\n  OR " : "");
        put_exists(w, &w->table->uniques[i], update);
    }
    put(w, ")");
}

static void
when_insert_replaces(struct writing *w)
{
    when_candidates(w, false);
}

static void
when_update_replaces(struct writing *w)
{
    /* Marking the copy busy is needed for every change of a row that others refer to. */
    if (!w->table->parent)
        when_candidates(w, true);
}

static void
when_pending(struct writing *w)
{
    if (w->table->before)
        return;
    put(w, " AND EXISTS (SELECT 1 FROM " PENDING_SIDE " WHERE ");
    put_of_table(w);
    put(w, ")");
}

static const struct {
    void (*when)(struct writing *w); /* or NULL */
    void (*body)(struct writing *w);
} texts[TRIGGER_KINDS] = {
    [TRIGGER_BEFORE_INSERT] = {when_insert_replaces, body_before_insert},
    [TRIGGER_BEFORE_UPDATE] = {when_update_replaces, body_before_update},
    [TRIGGER_BEFORE_DELETE] = {when_pending, put_busy},
    [TRIGGER_AFTER_INSERT] = {NULL, body_after_insert},
    [TRIGGER_AFTER_UPDATE] = {NULL, body_after_update},
    [TRIGGER_AFTER_DELETE] = {NULL, body_after_delete},
    [TRIGGER_REPLACED_BY_INSERT] = {when_pending, body_replaced_by_insert},
    [TRIGGER_REPLACED_BY_UPDATE] = {when_pending, body_replaced_by_update},
};

static bool
in_unique(const struct table *table, int column)
{
    for (size_t i = 0; i < table->unique_count; i++) {
        for (size_t j = 0; j < table->uniques[i].count; j++) {
            if (table->uniques[i].terms[j].column == column)
                return true;
        }
    }
    return table->columns[column].key != 0;
}

/* Which updates can replace a row: those of unique columns and of the rowid under each of its
 * names. An index of expressions, generated columns or with WHERE depends on any column. */
static void
put_update_of(struct writing *w)
{
    for (size_t i = 0; i < w->table->unique_count; i++) {
        if (!w->table->uniques[i].simple)
            return;
    }
    const char *separator = " OF ";
    for (size_t i = 0; i < w->table->count; i++) {
        if (!in_unique(w->table, (int)i))
            continue;
        put(w, separator);
        put_name(w, w->table->columns[i].name);
        separator = ", ";
    }
    if (!w->table->without_rowid) {
        put(w, separator);
        put(w, "rowid, oid, _rowid_");
    }
}

enum trigger_kind
trigger_kind_of(const char *name, const char **table)
{
    int kind = 0;
    while (kind < TRIGGER_KINDS &&
           strncmp(name, kinds[kind].prefix, strlen(kinds[kind].prefix)) != 0)
        kind++;
    if (kind < TRIGGER_KINDS)
        *table = name + strlen(kinds[kind].prefix);
    return (enum trigger_kind)kind;
}

bool
trigger_needed(enum trigger_kind kind, const struct table *table)
{
    return kind != TRIGGER_BEFORE_DELETE || table->parent;
}

void
trigger_name(struct buffer *out, enum trigger_kind kind, const char *table)
{
    buffer_text(out, kinds[kind].prefix);
    buffer_text(out, table);
}

void
trigger_text(struct buffer *out, enum trigger_kind kind, const struct table *table, int64_t ver)
{
    struct writing w = {out, table, ver};
    struct buffer name;
    buffer_init(&name, 1 << 20);
    trigger_name(&name, kind, table->name);
    put(&w, "CREATE TRIGGER ");
    put_name(&w, buffer_cstring(&name));
    buffer_release(&name);
    put(&w, " ");
    put(&w, kinds[kind].when);
    if (kind == TRIGGER_BEFORE_UPDATE)
        put_update_of(&w);
    put(&w, " ON ");
    put_name(&w, table->name);
    put(&w, "\nWHEN (SELECT stop FROM _tidegate_meta) >"
            " ifnull((SELECT max(id) FROM _tidegate_log), 0)");
    if (texts[kind].when)
        texts[kind].when(&w);
    put(&w, "\nBEGIN\n");
    texts[kind].body(&w);
    put(&w, "END");
}

size_t
trigger_width(const struct table *table)
{
    return 2 * table->captured;
}
