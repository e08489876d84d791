/* `check`: do the patterns find tables, and does the log carry what happens to these? */
#include <inttypes.h>
#include <stdio.h>
#include "base/text.h"
#include "source/postgres/check_part.h"

#define RELATIONS                                                                                  \
    "SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind,"                     \
    " c.relpersistence = 't' AS temporary,"                                                        \
    " (SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.oid = c.relowner AND NOT r.rolsuper)"   \
    " AS owner,"                                                                                   \
    " CASE WHEN c.relispartition THEN (SELECT rn.nspname || '.' || r.relname"                      \
    "  FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace"      \
    "  WHERE r.oid = pg_catalog.pg_partition_root(c.oid)) END AS root"                             \
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"         \
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')"                                                \
    " AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"

static const char *
text_or_null(struct pg_checking *c, const PGresult *r, int row, const char *column)
{
    return pg_is_null(r, row, column) ? NULL : arena_text(&c->arena, pg_text(r, row, column));
}

int
pg_check_candidates(struct pg_checking *c, struct error *err)
{
    PGresult *r = pg_query(&c->session, "list the tables", RELATIONS, err);
    if (!r)
        return -1;
    c->candidate_count = (size_t)PQntuples(r);
    c->candidates = arena_zero(&c->arena, (c->candidate_count + 1) * sizeof(*c->candidates));
    for (size_t i = 0; i < c->candidate_count; i++) {
        int row = (int)i;
        c->candidates[i] = (struct pg_candidate){
            .oid = (uint32_t)pg_int(r, row, "oid"),
            .schema = arena_text(&c->arena, pg_text(r, row, "schema")),
            .name = arena_text(&c->arena, pg_text(r, row, "name")),
            .kind = *pg_text(r, row, "kind"),
            .temporary = pg_bool(r, row, "temporary"),
            .root = text_or_null(c, r, row, "root"),
            .owner = text_or_null(c, r, row, "owner"),
        };
    }
    PQclear(r);
    return 0;
}

static const char *
nearest(struct pg_checking *c, const char *pattern)
{
    const char **names = arena_alloc(&c->arena, (2 * c->candidate_count + 1) * sizeof(*names));
    size_t count = 0;
    for (size_t i = 0; i < c->candidate_count; i++) {
        const struct pg_candidate *at = &c->candidates[i];
        if (at->kind != 'r' && at->kind != 'p')
            continue;
        if (strcmp(at->schema, c->plan->driver->default_schema) == 0)
            names[count++] = at->name;
        names[count++] = arena_printf(&c->arena, "%s.%s", at->schema, at->name);
    }
    return text_suggest(slice_of(pattern), names, count, sizeof *names);
}

/* What only looks like a match: a view or temporary table that a glob met. Named outright, they are
 * among the skipped. */
static bool
counts(const struct pg_candidate *at, const char *pattern)
{
    bool lookalike = at->kind == 'v' || at->kind == 'm' || at->temporary;
    return !lookalike || !text_has_glob(slice_of(pattern));
}

static void
say_partition(struct pg_checking *c, const char *pattern, const struct pg_candidate *leaf)
{
    pg_check_say(c, CHECK_WARNING,
                 arena_printf(&c->arena,
                              "\"%s\" matches no table but partitions of %s, under whose name"
                              " their rows are captured",
                              pattern, leaf->root),
                 arena_printf(&c->arena, "name \"%s\" instead", leaf->root));
}

static void
say_unmatched(struct pg_checking *c, const char *pattern, bool of_rule)
{
    const char *near = nearest(c, pattern);
    pg_check_say(c, CHECK_WARNING,
                 arena_printf(&c->arena, "no table matches \"%s\"%s", pattern,
                              of_rule ? ", which a rule names" : ""),
                 near      ? arena_printf(&c->arena, "did you mean \"%s\"?", near)
                 : of_rule ? "correct `on` of the rule, or make the table"
                           : "correct `tables` of the source, or make the table");
}

static void
check_pattern(struct pg_checking *c, const char *pattern, bool of_rule)
{
    const struct pg_candidate *leaf = NULL;
    struct source_plan one = *c->plan;
    one.common.tables = (struct option_list){&pattern, 1};
    one.common.exclude.count = 0;
    for (size_t i = 0; i < c->candidate_count; i++) {
        const struct pg_candidate *at = &c->candidates[i];
        if (!counts(at, pattern) || !source_wants(&one, slice_of(at->schema), slice_of(at->name)))
            continue;
        if (!at->root)
            return;
        leaf = at;
    }
    if (leaf)
        say_partition(c, pattern, leaf);
    else
        say_unmatched(c, pattern, of_rule);
}

int
pg_check_patterns(struct pg_checking *c, struct error *err)
{
    const struct option_list *tables = &c->plan->common.tables;
    (void)err;
    for (size_t i = 0; i < tables->count; i++)
        check_pattern(c, tables->items[i], false);
    for (size_t i = 0; i < c->plan->rule_table_count && tables->count == 0; i++)
        check_pattern(c, c->plan->rule_tables[i], true);
    if (tables->count == 0 && c->plan->rule_table_count == 0)
        pg_check_say(c, CHECK_WARNING,
                     "no table is captured: `tables` is empty and no rule names one",
                     "add tables = { \"*\" } to the source");
    return 0;
}

static const struct pg_candidate *
candidate_of(struct pg_checking *c, uint32_t oid)
{
    for (size_t i = 0; i < c->candidate_count; i++)
        if (c->candidates[i].oid == oid)
            return &c->candidates[i];
    return NULL;
}

/* Does the source ask for this very table, not for whatever there is? */
static bool
asked_by_name(struct pg_checking *c, const struct pg_table *table)
{
    const struct option_list *tables = &c->plan->common.tables;
    struct source_plan one = *c->plan;
    one.common.exclude.count = 0;
    for (size_t i = 0; i < tables->count; i++) {
        one.common.tables = (struct option_list){&tables->items[i], 1};
        if (!text_has_glob(slice_of(tables->items[i])) &&
            source_wants(&one, table->schema, table->name))
            return true;
    }
    return false;
}

static void
check_skipped(struct pg_checking *c, const struct pg_table *table)
{
    const char *name = pg_check_table(c, table->schema, table->name);
    bool unlogged = strcmp(table->skipped, "unlogged") == 0;
    pg_check_say(c, asked_by_name(c, table) ? CHECK_WARNING : CHECK_OK,
                 arena_printf(&c->arena, "%s is %s: the log has no changes of it, so it is skipped",
                              name, table->skipped),
                 unlogged ? arena_printf(&c->arena, "ALTER TABLE %s SET LOGGED;", name)
                          : "name the tables whose changes matter");
}

/* The names of the primary key's columns, "id, line"; or what stands for them. */
static const char *
key_text(struct pg_checking *c, const struct pg_table *table)
{
    struct buffer text;
    buffer_init(&text, 1 << 16);
    for (size_t i = 0; i < table->key_count; i++) {
        buffer_text(&text, i ? ", " : "key ");
        buffer_slice(&text, table->key[i]);
    }
    if (table->key_count == 0)
        buffer_text(&text, "no primary key");
    const char *kept = arena_text(&c->arena, buffer_cstring(&text));
    buffer_release(&text);
    return kept;
}

static const char *
identity_statement(struct pg_checking *c, const char *name, char identity, bool has_key)
{
    return identity != 'f' && has_key
               ? arena_printf(&c->arena, "ALTER TABLE %s REPLICA IDENTITY DEFAULT;", name)
               : arena_printf(&c->arena,
                              "ALTER TABLE %s REPLICA IDENTITY FULL; -- or ADD PRIMARY KEY (…)",
                              name);
}

/* What an UPDATE of such a table meets depends on who publishes it. */
static void
say_keyless(struct pg_checking *c, const char *label, const char *mend)
{
    const char *end = c->options->publication
                          ? "as long as the publication has it, updates and deletes of it fail"
                          : "only inserts and truncates are captured";
    pg_check_say(c, CHECK_WARNING,
                 arena_printf(&c->arena, "table %s has no replica identity: %s", label, end), mend);
}

static int
check_partitions(struct pg_checking *c, const struct pg_table *table, struct error *err)
{
    const char *root = pg_check_table(c, table->schema, table->name);
    const char *sql = arena_printf(
        &c->arena,
        "SELECT n.nspname AS schema, c.relname AS name, c.relreplident AS identity, k.key, t.level"
        " FROM pg_catalog.pg_partition_tree(%" PRIu32 ") t"
        " JOIN pg_catalog.pg_class c ON c.oid = t.relid"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_catalog.pg_index i"
        "  WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid AND i.indimmediate) AS key,"
        "  EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisreplident"
        "  AND i.indisvalid) AS index) k"
        " WHERE (t.level = 0 OR c.relkind = 'r' AND c.relpersistence = 'p') AND NOT "
        "(c.relreplident = 'f' OR c.relreplident = 'd' AND k.key"
        "  OR c.relreplident = 'i' AND k.index) ORDER BY 1, 2",
        table->oid);
    PGresult *r = pg_query(&c->session, "look at the partitions", sql, err);
    for (int row = 0; r && row < PQntuples(r); row++) {
        const char *name = pg_check_table(c, slice_of(pg_text(r, row, "schema")),
                                          slice_of(pg_text(r, row, "name")));
        const char *label =
            arena_printf(&c->arena, "%s%s%s", name, *pg_text(r, row, "level") == '0' ? "" : " in ",
                         *pg_text(r, row, "level") == '0' ? "" : root);
        say_keyless(
            c, label,
            identity_statement(c, name, *pg_text(r, row, "identity"), pg_bool(r, row, "key")));
    }
    PQclear(r);
    return r ? 0 : -1;
}

/* A superuser can put a table into a publication of any owner; without one, the role needs the
 * owner's rights, or the owner a publication. */
static const char *
owner_statement(struct pg_checking *c, const struct pg_table *table, const char *name)
{
    const struct pg_candidate *is = candidate_of(c, table->oid);
    const struct pg_published *p = &c->publications[!table->has_identity];
    if (p->exists)
        return arena_printf(&c->arena, "ALTER PUBLICATION %s ADD TABLE ONLY %s; -- as a superuser",
                            pg_check_name(c, p->name), name);
    if (is && is->owner)
        return arena_printf(&c->arena,
                            "GRANT %s TO %s; -- or let the owner make a publication, and name it in"
                            " `publication`",
                            pg_check_name(c, is->owner), pg_check_name(c, c->facts.user));
    return arena_printf(&c->arena, "%s -- and publication = \"tidegate\" in the source",
                        pg_check_creation(c, "tidegate"));
}

static void
check_owner(struct pg_checking *c, const struct pg_table *table, const char *name)
{
    if (table->in_publication)
        return;
    if (c->options->publication)
        pg_check_say(c, CHECK_WARNING,
                     arena_printf(&c->arena,
                                  "table %s is not in publication \"%s\": its changes are not"
                                  " captured",
                                  name, c->options->publication),
                     arena_printf(&c->arena, "ALTER PUBLICATION %s ADD TABLE ONLY %s;",
                                  pg_check_name(c, c->options->publication), name));
    else if (!table->owned)
        pg_check_say(c, CHECK_ERROR,
                     arena_printf(&c->arena,
                                  "role \"%s\" does not own table %s, so may not publish it",
                                  c->facts.user, name),
                     owner_statement(c, table, name));
}

static void
check_readable(struct pg_checking *c, const struct pg_table *table, const char *name)
{
    if (table->readable)
        return;
    const char *schema = arena_slice(&c->arena, table->schema).data;
    const char *user = pg_check_name(c, c->facts.user);
    pg_check_say(c, CHECK_WARNING,
                 arena_printf(&c->arena,
                              "role \"%s\" has no right to read table %s: its changes are captured"
                              " all the same, but no row can be looked up",
                              c->facts.user, name),
                 arena_printf(&c->arena,
                              "GRANT USAGE ON SCHEMA %s TO %s; GRANT SELECT ON %s TO %s;",
                              pg_check_name(c, schema), user, name, user));
}

static int
check_table(struct pg_checking *c, const struct pg_table *table, struct error *err)
{
    const char *name = pg_check_table(c, table->schema, table->name);
    bool will = c->plan->common.old_values == SOURCE_OLD_FULL && table->owned;
    check_owner(c, table, name);
    check_readable(c, table, name);
    if (table->has_identity || will)
        pg_check_say(c, CHECK_OK,
                     arena_printf(&c->arena, "table %s: %s%s", name, key_text(c, table),
                                  table->logs_old ? ", old rows are in the log"
                                  : will ? ", old rows will be in the log from the start on"
                                         : ""),
                     "");
    else if (table->partitioned)
        return check_partitions(c, table, err);
    else
        say_keyless(c, name, identity_statement(c, name, table->identity, table->key_count > 0));
    return 0;
}

/* Columns that the stream leaves out: stored ones before 18, virtual ones ever since. */
static int
check_generated(struct pg_checking *c, struct error *err)
{
    const char *sql = c->session.version < 180000
                          ? "SELECT attrelid AS oid, attname AS name FROM pg_catalog.pg_attribute"
                            " WHERE attgenerated = 's' AND NOT attisdropped"
                          : "SELECT attrelid AS oid, attname AS name FROM pg_catalog.pg_attribute"
                            " WHERE attgenerated = 'v' AND NOT attisdropped";
    PGresult *r = pg_query(&c->session, "look for generated columns", sql, err);
    for (int row = 0; r && row < PQntuples(r); row++) {
        const struct pg_table *t = pg_catalog_find(&c->tables, (uint32_t)pg_int(r, row, "oid"));
        if (t && source_wants_column(c->plan, t->name, slice_of(pg_text(r, row, "name"))))
            pg_check_say(
                c, CHECK_OK,
                arena_printf(&c->arena,
                             "column %s of table %s is generated: the log leaves it out, so"
                             " events lack it",
                             pg_check_name(c, pg_text(r, row, "name")),
                             pg_check_table(c, t->schema, t->name)),
                c->session.version < 180000
                    ? "rules can work it out from the other columns; PostgreSQL 18 logs it"
                    : "rules can work it out from the other columns");
    }
    PQclear(r);
    return r ? 0 : -1;
}

int
pg_check_tables(struct pg_checking *c, struct error *err)
{
    for (size_t i = 0; i < c->tables.skipped_count; i++)
        check_skipped(c, &c->tables.skipped[i]);
    for (size_t i = 0; i < c->tables.count; i++)
        if (check_table(c, &c->tables.items[i], err) != 0)
            return -1;
    return c->tables.count ? check_generated(c, err) : 0;
}
