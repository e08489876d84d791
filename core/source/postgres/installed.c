/* What Tidegate made in the database: listed, brought up to date, removed. Removing goes on past
 * what cannot be dropped, and lists that with the statement for somebody who can. */
#include <stdio.h>
#include "source/postgres/check.h"
#include "source/postgres/ddl_trigger.h"
#include "source/postgres/quote.h"
#include "source/postgres/slot.h"

struct installing {
    const struct source_plan *plan;
    const struct pg_options *options;
    const struct source_report *report;
    struct pg_session session;
    struct arena arena;
    bool print_only;
    size_t left;        /* what could not be dropped */
    struct error first; /* why the first of these could not */
};

static void
tell(struct installing *i, const char *what, const char *state, const char *sql)
{
    i->report->row(i->report->context, what, state, sql);
}

static const char *
quoted(struct installing *i, void (*quote)(struct buffer *, struct slice), const char *text)
{
    struct buffer out;
    buffer_init(&out, 1 << 12);
    quote(&out, slice_of(text));
    const char *kept = arena_text(&i->arena, buffer_cstring(&out));
    buffer_release(&out);
    return kept;
}

static const char *
table_name(struct installing *i, const char *schema, const char *table)
{
    struct buffer out;
    buffer_init(&out, 1 << 12);
    pg_quote_table(&out, slice_of(schema), slice_of(table));
    const char *kept = arena_text(&i->arena, buffer_cstring(&out));
    buffer_release(&out);
    return kept;
}

/* --- what is there --- */

struct found {
    bool exists, everything;
    int64_t tables;
};

static int
find_publication(struct installing *i, const char *name, struct found *out, struct error *err)
{
    const char *sql = arena_printf(&i->arena,
                                   "SELECT p.puballtables AS everything,"
                                   " (SELECT count(*) FROM pg_catalog.pg_publication_rel r"
                                   "  WHERE r.prpubid = p.oid) AS tables"
                                   " FROM pg_catalog.pg_publication p WHERE p.pubname = %s",
                                   quoted(i, pg_quote_text, name));
    PGresult *r = pg_query(&i->session, "look at the publications", sql, err);
    *out = (struct found){.exists = r && PQntuples(r) > 0};
    if (out->exists) {
        out->everything = pg_bool(r, 0, "everything");
        out->tables = pg_int(r, 0, "tables");
    }
    PQclear(r);
    return r ? 0 : -1;
}

static size_t
publication_count(const struct installing *i)
{
    return i->options->publication ? 1 : 2;
}

static int
list_publication(struct installing *i, bool keyless, struct error *err)
{
    char name[PG_NAME];
    struct found found;
    pg_publication_name(i->plan, keyless, name);
    if (find_publication(i, name, &found, err) != 0)
        return -1;
    const char *state = !found.exists ? "missing"
                        : found.everything
                            ? "there, all tables"
                            : arena_printf(&i->arena, "there, %lld table%s",
                                           (long long)found.tables, found.tables == 1 ? "" : "s");
    tell(i, arena_printf(&i->arena, "publication \"%s\"", name),
         i->options->publication ? arena_printf(&i->arena, "%s; named by the source", state)
                                 : state,
         "");
    return 0;
}

static int
list_slot(struct installing *i, struct error *err)
{
    char name[PG_NAME];
    struct pg_slot slot;
    pg_slot_name(i->plan, name);
    if (pg_slot_read(&i->session, name, &slot, err) != 0)
        return -1;
    const char *state =
        !slot.exists      ? "missing"
        : slot.invalid[0] ? arena_printf(&i->arena, "lost (%s)", slot.invalid)
        : slot.active_pid ? arena_printf(&i->arena, "there, in use by process %d", slot.active_pid)
                          : "there, in use by nobody";
    tell(i, arena_printf(&i->arena, "slot \"%s\"", name),
         i->options->slot ? arena_printf(&i->arena, "%s; named by the source", state) : state, "");
    return 0;
}

static int
count_statement(void *context, const char *sql)
{
    (void)sql;
    ++*(size_t *)context;
    return 0;
}

static int
list_ddl_trigger(struct installing *i, struct error *err)
{
    size_t missing = 0, there = 0;
    bool wanted = i->options->ddl == PG_DDL_TRIGGER;
    if (pg_ddl_trigger_plan(&i->session, count_statement, &missing, err) != 0 ||
        pg_ddl_trigger_remove(&i->session, count_statement, &there, err) != 0)
        return -1;
    if (wanted || there)
        tell(i, "event trigger and its function",
             !there    ? "missing"
             : missing ? "out of date"
             : wanted  ? "there"
                       : "there, and not used any more",
             "");
    return 0;
}

static int
list_all(struct installing *i, struct error *err)
{
    for (size_t k = 0; k < publication_count(i); k++)
        if (list_publication(i, k > 0, err) != 0)
            return -1;
    return list_slot(i, err) != 0 ? -1 : list_ddl_trigger(i, err);
}

/* --- one table --- */

/* Its place in our publications: columns pub, schema, name. "name" is of the schema public. */
static PGresult *
find_table(struct installing *i, const char *table, struct error *err)
{
    const char *text = quoted(i, pg_quote_text, table);
    struct buffer names;
    buffer_init(&names, 1 << 12);
    pg_publication_literals(i->plan, &names);
    const char *sql = arena_printf(
        &i->arena,
        "SELECT p.pubname AS pub, n.nspname AS schema, c.relname AS name"
        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " LEFT JOIN (pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p"
        "  ON p.oid = r.prpubid AND p.pubname IN (%s)) ON r.prrelid = c.oid"
        " WHERE c.relkind IN ('r', 'p') AND (n.nspname || '.' || c.relname = %s"
        "  OR n.nspname = 'public' AND c.relname = %s)",
        buffer_cstring(&names), text, text);
    buffer_release(&names);
    PGresult *r = pg_query(&i->session, "look for the table", sql, err);
    if (!r || PQntuples(r) > 0)
        return r;
    PQclear(r);
    error_set(err, ERROR_MISSING, "there is no table \"%s\"", table);
    error_hint(err, "write it as schema.table");
    return NULL;
}

static int
list_table(struct installing *i, const char *table, struct error *err)
{
    PGresult *r = find_table(i, table, err);
    for (int row = 0; r && row < PQntuples(r); row++) {
        bool in = !pg_is_null(r, row, "pub");
        tell(i,
             arena_printf(&i->arena, "table %s",
                          table_name(i, pg_text(r, row, "schema"), pg_text(r, row, "name"))),
             in ? arena_printf(&i->arena, "in publication \"%s\"", pg_text(r, row, "pub"))
                : "in no publication of this source",
             "");
    }
    PQclear(r);
    return r ? 0 : -1;
}

/* --- removing --- */

static void
keep(struct installing *i, const char *what, const char *sql, const struct error *why)
{
    char text[2048];
    struct error plain = *why;
    plain.hint[0] = '\0';
    tell(i, what, arena_printf(&i->arena, "not dropped: %s", error_text(&plain, text, sizeof text)),
         sql);
    if (i->left++ == 0)
        i->first = *why;
}

/* Runs a statement that drops something, or prints it. */
static void
drop(struct installing *i, const char *what, const char *sql)
{
    struct error why = {0};
    if (i->print_only)
        tell(i, what, "", sql);
    else if (pg_run(&i->session, "drop it", sql, &why) == 0)
        tell(i, what, "dropped", "");
    else
        keep(i, what, sql, &why);
}

/* `DROP EVENT TRIGGER "x";`: what it names stands in it. */
static int
drop_ddl(void *context, const char *sql)
{
    struct installing *i = context;
    const char *name = strchr(sql, '"');
    const char *kind = strncmp(sql, "DROP EVENT", 10) == 0      ? "event trigger"
                       : strncmp(sql, "DROP FUNCTION", 13) == 0 ? "function"
                                                                : "schema";
    int size = (int)strcspn(name, ";");
    drop(i, arena_printf(&i->arena, "%s %.*s", kind, size, name), sql);
    return 0;
}

static const char *
drop_slot_sql(struct installing *i, const char *name)
{
    return arena_printf(&i->arena, "SELECT pg_drop_replication_slot(%s);",
                        quoted(i, pg_quote_text, name));
}

static int
remove_slot(struct installing *i, bool *stays, struct error *err)
{
    char name[PG_NAME];
    struct pg_slot slot;
    struct error why = {0};
    pg_slot_name(i->plan, name);
    const char *what = arena_printf(&i->arena, "slot \"%s\"", name);
    if (pg_slot_read(&i->session, name, &slot, err) != 0)
        return -1;
    *stays = false;
    if (i->options->slot) {
        if (!i->print_only)
            tell(i, what, "left alone: the source was told to use it", drop_slot_sql(i, name));
        return 0;
    }
    if (!slot.exists)
        return 0;
    if (i->print_only) {
        tell(i, what, "", drop_slot_sql(i, name));
    } else if (pg_slot_drop(&i->session, name, &why) == 0) {
        tell(i, what, "dropped", "");
    } else {
        keep(i, what, drop_slot_sql(i, name), &why);
        *stays = true;
    }
    return 0;
}

static const char *
drop_publication_sql(struct installing *i, const char *name)
{
    return arena_printf(&i->arena, "DROP PUBLICATION %s;", quoted(i, pg_quote_name, name));
}

/* A slot whose publication is gone stops for ever: as long as it stays, so do they. */
static int
remove_publication(struct installing *i, bool keyless, bool slot_stays, struct error *err)
{
    char name[PG_NAME];
    struct found found;
    pg_publication_name(i->plan, keyless, name);
    const char *what = arena_printf(&i->arena, "publication \"%s\"", name);
    const char *sql = drop_publication_sql(i, name);
    if (find_publication(i, name, &found, err) != 0)
        return -1;
    if (i->options->publication) {
        if (!i->print_only)
            tell(i, what, "left alone: the source was told to use it", sql);
    } else if (found.exists && slot_stays) {
        struct error why = {0};
        error_set(&why, ERROR_BUSY, "its slot is still there");
        keep(i, what, sql, &why);
    } else if (found.exists) {
        drop(i, what, sql);
    }
    return 0;
}

/* Whether a table's identity was ours or its owner's choice is not known: it is named, and stays.
 */
static int
tell_identities(struct installing *i, struct error *err)
{
    struct buffer names;
    if (i->print_only || i->plan->common.old_values != SOURCE_OLD_FULL)
        return 0;
    buffer_init(&names, 1 << 12);
    pg_publication_literals(i->plan, &names);
    const char *sql =
        arena_printf(&i->arena,
                     "SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c"
                     " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                     " WHERE c.relreplident = 'f' AND c.oid IN (SELECT r.prrelid"
                     "  FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p"
                     "  ON p.oid = r.prpubid WHERE p.pubname IN (%s)) ORDER BY 1, 2",
                     buffer_cstring(&names));
    buffer_release(&names);
    PGresult *r = pg_query(&i->session, "look at the replica identities", sql, err);
    for (int row = 0; r && row < PQntuples(r); row++) {
        const char *name = table_name(i, pg_text(r, row, "schema"), pg_text(r, row, "name"));
        tell(i, arena_printf(&i->arena, "table %s", name), "keeps its REPLICA IDENTITY FULL",
             arena_printf(&i->arena, "ALTER TABLE %s REPLICA IDENTITY DEFAULT;", name));
    }
    PQclear(r);
    return r ? 0 : -1;
}

/* What stays, as one error; its statements were listed. */
static int
sum_up(const struct installing *i, struct error *err)
{
    if (i->left == 0)
        return 0;
    error_set(err, i->first.class,
              "%zu thing%s could not be dropped in the database of source \"%s\"", i->left,
              i->left == 1 ? "" : "s", i->plan->name);
    error_cause(err, "%s", i->first.message);
    return error_hint(err,
                      i->first.class == ERROR_BUSY
                          ? "end what uses it, then try again; or run the listed statements then"
                          : "let a superuser run the listed statements");
}

static int
remove_all(struct installing *i, struct error *err)
{
    bool stays = false;
    if (tell_identities(i, err) != 0 || pg_ddl_trigger_remove(&i->session, drop_ddl, i, err) != 0 ||
        remove_slot(i, &stays, err) != 0)
        return -1;
    for (size_t k = 0; k < publication_count(i); k++)
        if (remove_publication(i, k > 0, stays, err) != 0)
            return -1;
    return sum_up(i, err);
}

static int
remove_table(struct installing *i, const char *table, struct error *err)
{
    if (i->options->publication)
        return error_set(err, ERROR_REFUSED,
                         "publication \"%s\" was named by the source: its tables are its owner's",
                         i->options->publication);
    PGresult *r = find_table(i, table, err);
    for (int row = 0; r && row < PQntuples(r); row++) {
        if (pg_is_null(r, row, "pub"))
            continue;
        const char *name = table_name(i, pg_text(r, row, "schema"), pg_text(r, row, "name"));
        drop(
            i,
            arena_printf(&i->arena, "table %s in publication \"%s\"", name, pg_text(r, row, "pub")),
            arena_printf(&i->arena, "ALTER PUBLICATION %s DROP TABLE %s;",
                         quoted(i, pg_quote_name, pg_text(r, row, "pub")), name));
    }
    PQclear(r);
    return r ? sum_up(i, err) : -1;
}

/* The server does not answer: names are all there is to tell. */
static void
list_unreachable(struct installing *i)
{
    char name[PG_NAME];
    static const char state[] = "not dropped, if it is there";
    if (!i->options->slot) {
        pg_slot_name(i->plan, name);
        tell(i, arena_printf(&i->arena, "slot \"%s\"", name), state, drop_slot_sql(i, name));
    }
    for (size_t k = 0; k < publication_count(i) && !i->options->publication; k++) {
        pg_publication_name(i->plan, k > 0, name);
        tell(i, arena_printf(&i->arena, "publication \"%s\"", name), state,
             drop_publication_sql(i, name));
    }
    if (i->options->ddl != PG_DDL_TRIGGER)
        return;
    pg_ddl_trigger_schema(i->plan, name);
    tell(i, "event trigger and its function", state,
         arena_printf(&i->arena, "DROP SCHEMA %s CASCADE;", quoted(i, pg_quote_name, name)));
}

/* --- bringing up to date --- */

static int
print_statement(void *context, const char *sql)
{
    tell(context, "statement", "", sql);
    return 0;
}

static int
print_sync(struct installing *i, const struct pg_tables *tables, struct error *err)
{
    char name[PG_NAME];
    struct pg_slot slot;
    pg_slot_name(i->plan, name);
    if (pg_publication_plan(&i->session, tables, print_statement, i, err) != 0 ||
        (i->options->ddl == PG_DDL_TRIGGER &&
         pg_ddl_trigger_plan(&i->session, print_statement, i, err) != 0) ||
        pg_slot_read(&i->session, name, &slot, err) != 0)
        return -1;
    if (!slot.exists)
        tell(i, "statement", "",
             arena_printf(&i->arena, "SELECT pg_create_logical_replication_slot(%s, 'pgoutput');",
                          quoted(i, pg_quote_text, name)));
    return 0;
}

static int
make_slot(struct installing *i, struct error *err)
{
    char name[PG_NAME];
    struct pg_slot slot;
    struct pg_session replication = {0};
    uint64_t start;
    pg_slot_name(i->plan, name);
    if (pg_slot_read(&i->session, name, &slot, err) != 0)
        return -1;
    if (slot.exists)
        return 0;
    int result = pg_session_open(&replication, i->plan, NULL, PG_REPLICATION, err);
    if (result == 0)
        result = pg_slot_create(&replication, name, &start, err);
    pg_session_close(&replication);
    return result;
}

static int
sync_all(struct installing *i, struct error *err)
{
    char component[128];
    bool changed;
    struct pg_tables tables = {0};
    snprintf(component, sizeof component, "source/%s", i->plan->name);
    int result = pg_catalog_read(&i->session, &tables, err);
    if (result == 0 && i->print_only) {
        result = print_sync(i, &tables, err);
    } else if (result == 0) {
        result = pg_publication_sync(&i->session, &tables, component, &changed, err);
        if (result == 0 && i->options->ddl == PG_DDL_TRIGGER)
            result = pg_ddl_trigger_sync(&i->session, err);
        if (result == 0)
            result = make_slot(i, err);
        if (result == 0)
            result = list_all(i, err);
    }
    pg_catalog_release(&tables);
    return result;
}

static int
run(struct installing *i, enum source_install what, const char *table, struct error *err)
{
    if (what == SOURCE_REMOVE)
        return table ? remove_table(i, table, err) : remove_all(i, err);
    if (what == SOURCE_LIST && table)
        return list_table(i, table, err);
    if (what == SOURCE_LIST && !i->print_only)
        return list_all(i, err);
    return sync_all(i, err);
}

int
pg_installed(const struct source_plan *plan, enum source_install what, const char *table,
             bool print_only, const struct source_report *report, struct error *err)
{
    struct installing i = {
        .plan = plan, .options = plan->options, .report = report, .print_only = print_only};
    arena_init(&i.arena, 0);
    int result = pg_session_open(&i.session, plan, NULL, PG_SQL, err);
    if (result == 0)
        result = run(&i, what, table, err);
    else if (what == SOURCE_REMOVE && !table)
        list_unreachable(&i);
    pg_session_close(&i.session);
    arena_release(&i.arena);
    return result;
}
