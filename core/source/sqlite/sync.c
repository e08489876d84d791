#include "source/sqlite/sync.h"
#include <stdio.h>
#include "base/json.h"
#include "base/log.h"
#include "event/event.h"
#include "source/sqlite/quote.h"
#include "source/sqlite/trigger.h"
#include "source/sqlite/version.h"

#define SQL_LIMIT (16 * 1024 * 1024)

/* One pass over all tables. */
struct pass {
    const struct sync *sync;
    sqlite3 *db;
    struct arena arena;
    bool look;  /* change nothing */
    bool dirty; /* something is to do, or was done */
    bool moved; /* the schema is another one than at the last pass */
    const char **wanted;
    size_t wanted_count;
    char component[80]; /* for the log */
    struct error *err;
};

/* How one table stands, in detail. */
struct standing {
    const struct table *table;
    enum sync_state state;
    int64_t ver;         /* active version; 0: none */
    bool ever;           /* there was one at some time */
    const char *renamed; /* the name that its triggers know it by, where it has another now */
};

const char *
sync_state_name(enum sync_state state)
{
    static const char *const names[] = {"installed", "outdated", "missing"};
    return names[state];
}

/* --- looking --- */

/* The triggers of one table in the order of their making. */
struct found {
    bool there[TRIGGER_KINDS];
    bool exact; /* so far all of ours are as they should be, and none of others is newer */
    bool ours;  /* one of ours was seen */
    const char *old_name;
};

static bool
is_exact(struct pass *p, const struct standing *s, enum trigger_kind kind, const char *sql)
{
    struct buffer expected;
    buffer_init(&expected, SQL_LIMIT);
    trigger_text(&expected, kind, s->table, s->ver);
    bool same = trigger_needed(kind, s->table) && strcmp(buffer_cstring(&expected), sql) == 0;
    buffer_release(&expected);
    (void)p;
    return same;
}

static void
take_trigger(struct pass *p, const struct standing *s, sqlite3_stmt *row, struct found *found)
{
    const char *table = "";
    enum trigger_kind kind = trigger_kind_of(call_text(row, 0), &table);
    if (kind == TRIGGER_KINDS) {
        found->exact = found->exact && !found->ours;
        return;
    }
    found->ours = true;
    found->there[kind] = true;
    if (sqlite3_stricmp(table, s->table->name) != 0)
        found->old_name = arena_text(&p->arena, table);
    found->exact = found->exact && is_exact(p, s, kind, call_text(row, 1));
}

static int
read_triggers(struct pass *p, const struct standing *s, struct found *found)
{
    static const char what[] = "read the triggers";
    sqlite3_stmt *rows =
        call_prepare_text(p->db,
                          "SELECT name, sql FROM main.sqlite_master"
                          " WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE"
                          " ORDER BY rowid",
                          s->table->name, what, p->err);
    if (!rows)
        return -1;
    int more;
    while ((more = call_step(rows, what, p->err)) == 1)
        take_trigger(p, s, rows, found);
    sqlite3_finalize(rows);
    return more;
}

/* ALTER TABLE RENAME COLUMN rewrites triggers into just what we would write: only the stored
 * columns tell that rows look different from now on. */
static int
compare_version(struct pass *p, struct standing *s)
{
    struct buffer json;
    bool changed;
    if (s->state != SYNC_GOOD)
        return 0;
    buffer_init(&json, SQL_LIMIT);
    int result = version_difference(p->db, s->ver, s->table, "", &json, &changed, p->err);
    buffer_release(&json);
    if (result == 0 && changed)
        s->state = SYNC_STALE;
    return result;
}

static int
inspect(struct pass *p, const struct table *table, struct standing *out)
{
    struct found found = {.exact = true};
    bool ignored;
    *out = (struct standing){.table = table};
    if (version_find(p->db, table->name, &out->ver, &out->ever, p->err) != 0 ||
        read_triggers(p, out, &found) != 0)
        return -1;
    out->state = found.exact && out->ver ? SYNC_GOOD : SYNC_STALE;
    for (int kind = 0; kind < TRIGGER_KINDS; kind++) {
        if (trigger_needed(kind, table) && !found.there[kind])
            out->state = kind == TRIGGER_BEFORE_DELETE && out->state != SYNC_MISSING ? SYNC_STALE
                                                                                     : SYNC_MISSING;
    }
    if (out->ver || !found.old_name)
        return compare_version(p, out);
    out->renamed = found.old_name;
    return version_find(p->db, out->renamed, &out->ver, &ignored, p->err);
}

/* --- changing --- */

static int
drop_trigger(struct pass *p, const char *name)
{
    struct buffer sql;
    buffer_init(&sql, SQL_LIMIT);
    buffer_text(&sql, "DROP TRIGGER IF EXISTS main.");
    quote_identifier(&sql, name);
    int result = call_exec(p->db, buffer_cstring(&sql), "drop a trigger", p->err);
    buffer_release(&sql);
    return result;
}

/* Our triggers on one table, or on all (NULL) that are not wanted; names are read before any is
 * dropped. */
static int
list_ours(struct pass *p, const char *table, const char ***names, const char ***tables,
          size_t *count)
{
    static const char what[] = "read the triggers";
    sqlite3_stmt *rows = call_prepare_text(
        p->db,
        "SELECT name, tbl_name, count(*) OVER () FROM main.sqlite_master WHERE type = 'trigger'"
        " AND name GLOB '_tidegate_[abr][iud]_*' AND (?1 IS NULL OR tbl_name = ?1 COLLATE NOCASE)",
        table, what, p->err);
    if (!rows)
        return -1;
    int more;
    *count = 0;
    while ((more = call_step(rows, what, p->err)) == 1) {
        size_t room = (size_t)sqlite3_column_int64(rows, 2) * sizeof **names;
        *names = *count ? *names : arena_alloc(&p->arena, room);
        *tables = *count ? *tables : arena_alloc(&p->arena, room);
        (*names)[*count] = arena_text(&p->arena, call_text(rows, 0));
        (*tables)[(*count)++] = arena_text(&p->arena, call_text(rows, 1));
    }
    sqlite3_finalize(rows);
    return more;
}

static int
drop_ours(struct pass *p, const char *table)
{
    const char **names, **tables;
    size_t count;
    if (list_ours(p, table, &names, &tables, &count) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (drop_trigger(p, names[i]) != 0)
            return -1;
    }
    return 0;
}

static int
create_triggers(struct pass *p, const struct table *table, int64_t ver)
{
    struct buffer sql;
    int result = 0;
    buffer_init(&sql, SQL_LIMIT);
    for (int kind = 0; kind < TRIGGER_KINDS && result == 0; kind++) {
        if (!trigger_needed(kind, table))
            continue;
        buffer_reset(&sql);
        trigger_text(&sql, kind, table, ver);
        result = call_exec(p->db, buffer_cstring(&sql), "make a trigger", p->err);
    }
    buffer_release(&sql);
    return result;
}

static int
note_ddl(struct pass *p, const struct standing *s, int64_t ver)
{
    const char *kind = s->renamed ? "rename" : s->ver ? "alter" : "create";
    struct buffer json;
    bool changed = false;
    buffer_init(&json, SQL_LIMIT);
    int result = version_difference(p->db, s->ver, s->table, kind, &json, &changed, p->err);
    bool due = s->renamed || (s->ver ? changed : p->moved);
    if (result == 0 && due)
        result = changelog_note(p->db, ver, EVENT_DDL, buffer_view(&json), p->err);
    buffer_release(&json);
    return result;
}

static int
has_rows(struct pass *p, const char *table, bool *out)
{
    struct buffer sql;
    int64_t one = 0;
    buffer_init(&sql, SQL_LIMIT);
    buffer_text(&sql, "SELECT EXISTS (SELECT 1 FROM main.");
    quote_identifier(&sql, table);
    buffer_text(&sql, ")");
    int result = call_int(p->db, buffer_cstring(&sql), 0, &one, p->err);
    buffer_release(&sql);
    *out = one != 0;
    return result;
}

/* A table that was captured and lost its triggers has a gap; one that is new has one if rows were
 * there before we were. */
static int
note_gap(struct pass *p, const struct standing *s, int64_t ver)
{
    bool filled = true;
    if (s->state != SYNC_MISSING || (!s->ver && !s->ever && !p->moved))
        return 0;
    if (!s->ver && has_rows(p, s->table->name, &filled) != 0)
        return -1;
    if (!filled)
        return 0;
    struct buffer reason, json;
    buffer_init(&reason, 4096);
    buffer_init(&json, 1 << 16);
    buffer_printf(&reason,
                  "table %s had no triggers: what changed in it before this is not captured",
                  s->table->name);
    buffer_text(&json, "{\"reason\":");
    json_string(&json, buffer_view(&reason));
    buffer_text(&json, "}");
    int result = changelog_note(p->db, ver, EVENT_GAP, buffer_view(&json), p->err);
    buffer_release(&reason);
    buffer_release(&json);
    return result;
}

static int
remake(struct pass *p, const struct standing *s)
{
    const struct table *table = s->table;
    int64_t ver;
    p->dirty = true;
    if (p->look)
        return 0;
    if (drop_ours(p, table->name) != 0 ||
        changelog_widen(p->db, trigger_width(table), table->captured, p->err) != 0 ||
        version_add(p->db, table, s->renamed, &ver, p->err) != 0 ||
        create_triggers(p, table, ver) != 0)
        return -1;
    log_info(p->component, "triggers of table %s made, version %lld", table->name, (long long)ver);
    if (p->sync->fresh)
        return 0;
    return note_ddl(p, s, ver) != 0 ? -1 : note_gap(p, s, ver);
}

static int
do_table(struct pass *p, const char *name)
{
    struct table table;
    struct standing standing;
    struct error err = {0};
    if (table_read(p->db, p->sync->plan, name, &p->arena, &table, &err) != 0) {
        if (err.class == ERROR_CONFIG) {
            /* One table that can't be captured does not keep the others from it. */
            if (!p->look)
                log_failure(LOG_WARNING, p->component, &err);
            return 0;
        }
        *p->err = err;
        return -1;
    }
    if (inspect(p, &table, &standing) != 0)
        return -1;
    return standing.state == SYNC_GOOD ? 0 : remake(p, &standing);
}

static bool
is_wanted(const struct pass *p, const char *table)
{
    for (size_t i = 0; i < p->wanted_count; i++) {
        if (sqlite3_stricmp(p->wanted[i], table) == 0)
            return true;
    }
    return false;
}

/* Tables that are there but no longer captured. */
static int
drop_unwanted(struct pass *p)
{
    const char **names, **tables;
    size_t count;
    if (list_ours(p, NULL, &names, &tables, &count) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (is_wanted(p, tables[i]))
            continue;
        p->dirty = true;
        if (!p->look &&
            (drop_trigger(p, names[i]) != 0 || version_retire(p->db, tables[i], p->err) != 0))
            return -1;
    }
    return 0;
}

static int
note_drop(struct pass *p, const char *table, int64_t ver)
{
    struct buffer json;
    bool changed;
    buffer_init(&json, SQL_LIMIT);
    int result = version_difference(p->db, ver, NULL, "drop", &json, &changed, p->err);
    if (result == 0)
        result = changelog_note(p->db, ver, EVENT_DDL, buffer_view(&json), p->err);
    buffer_release(&json);
    return result == 0 ? version_retire(p->db, table, p->err) : -1;
}

/* Tables that were captured and do not exist any more; one at a time, since noting one changes what
 * is read. */
static int
note_gone(struct pass *p)
{
    static const char what[] = "read the versions of tables";
    static const char sql[] = "SELECT v.name, v.ver FROM main._tidegate_version v WHERE v.active"
                              " AND NOT EXISTS (SELECT 1 FROM main.sqlite_master m WHERE"
                              " m.type = 'table' AND m.name = v.name COLLATE NOCASE) LIMIT 1";
    for (;;) {
        sqlite3_stmt *row = call_prepare(p->db, sql, what, p->err);
        if (!row)
            return -1;
        int found = call_step(row, what, p->err);
        const char *name = found == 1 ? arena_text(&p->arena, call_text(row, 0)) : NULL;
        int64_t ver = found == 1 ? sqlite3_column_int64(row, 1) : 0;
        sqlite3_finalize(row);
        if (found != 1)
            return found;
        p->dirty = true;
        if (p->look)
            return 0;
        if (note_drop(p, name, ver) != 0)
            return -1;
    }
}

static int
store_cookie(struct pass *p)
{
    return call_exec(p->db,
                     "UPDATE main._tidegate_meta SET cookie = (SELECT schema_version FROM "
                     "pragma_schema_version)",
                     "store the schema's number", p->err);
}

static int
run(struct pass *p)
{
    int64_t same;
    if (call_int(p->db,
                 "SELECT s.schema_version = m.cookie FROM main._tidegate_meta m,"
                 " pragma_schema_version s",
                 0, &same, p->err) != 0)
        return -1;
    p->moved = !same;
    if (table_list(p->db, p->sync->plan, &p->arena, &p->wanted, &p->wanted_count, p->err) != 0)
        return -1;
    for (size_t i = 0; i < p->wanted_count; i++) {
        if (do_table(p, p->wanted[i]) != 0)
            return -1;
    }
    if (drop_unwanted(p) != 0 || note_gone(p) != 0)
        return -1;
    return p->look || !(p->dirty || p->sync->fresh) ? 0 : store_cookie(p);
}

static int
pass_run(const struct sync *sync, bool look, struct error *err)
{
    struct pass p = {.sync = sync, .db = sync->db, .look = look, .err = err};
    arena_init(&p.arena, 1 << 16);
    snprintf(p.component, sizeof p.component, "source/%s", sync->plan->name);
    int result = run(&p);
    arena_release(&p.arena);
    return result != 0 ? -1 : p.dirty;
}

int
sync_needed(const struct sync *sync, struct error *err)
{
    return pass_run(sync, true, err);
}

int
sync_run(const struct sync *sync, struct error *err)
{
    return pass_run(sync, false, err) < 0 ? -1 : 0;
}

int
sync_inspect(const struct sync *sync, const struct table *table, enum sync_state *state,
             struct error *err)
{
    struct pass p = {.sync = sync, .db = sync->db, .look = true, .err = err};
    struct standing standing;
    arena_init(&p.arena, 0);
    int result = inspect(&p, table, &standing);
    *state = standing.state;
    arena_release(&p.arena);
    return result;
}

int
sync_remove(const struct sync *sync, const char *table, struct error *err)
{
    struct pass p = {.sync = sync, .db = sync->db, .err = err};
    arena_init(&p.arena, 0);
    int result = drop_ours(&p, table);
    for (size_t i = 0; result == 0 && !table && i < changelog_drop_count; i++)
        result = call_exec(sync->db, changelog_drop[i], "remove the change log", err);
    arena_release(&p.arena);
    return result;
}
