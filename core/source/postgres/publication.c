#include "source/postgres/publication.h"
#include <stdlib.h>
#include "source/postgres/publication_plan.h"
#include "source/postgres/quote.h"

#define SQL_LIMIT  ((size_t)1 << 20)
#define BATCH      100 /* tables in one statement */
#define SIDE_COUNT 2

enum side { KEYED, KEYLESS };

/* How a publication of ours must be. */
static const char *const publish_lists[SIDE_COUNT] = {
    [KEYED] = "insert, update, delete, truncate",
    [KEYLESS] = "insert, truncate",
};

struct publication {
    char name[PG_NAME];
    bool exists, all_tables, right; /* right: its options are as they must be */
};

/* A table that one of ours holds now. */
struct member {
    uint32_t oid;
    enum side side;
    bool narrowed; /* by a row filter or a list of columns, which nobody of us made */
    struct slice schema, name;
};

/* A table that comes or goes. */
struct listed {
    uint32_t oid;
    struct slice schema, name;
};

struct listing {
    struct listed *items;
    size_t count, room;
};

struct planning {
    struct pg_session *s;
    const struct pg_tables *tables;
    struct publication sides[SIDE_COUNT];
    struct member *members; /* sorted by oid */
    size_t member_count;
    bool *known; /* of each member: its table is captured */
    struct listing add[SIDE_COUNT], drop[SIDE_COUNT];
    struct listing enter[SIDE_COUNT]; /* from the other side, or anew without what narrows it */
    struct pg_statements *out;
};

/* --- reading --- */

static int
read_publications(struct planning *p, struct error *err)
{
    struct buffer sql;
    buffer_init(&sql, SQL_LIMIT);
    buffer_text(&sql,
                "SELECT p.pubname, p.puballtables, p.pubinsert AND p.pubtruncate AND p.pubviaroot");
    if (p->s->version >= 180000)
        buffer_text(&sql, " AND p.pubgencols = 's'");
    buffer_text(&sql, " AS base, p.pubupdate, p.pubdelete FROM pg_catalog.pg_publication p"
                      " WHERE p.pubname IN (");
    pg_publication_literals(p->s->plan, &sql);
    buffer_byte(&sql, ')');
    PGresult *rows = pg_query(p->s, "read the publications", buffer_cstring(&sql), err);
    buffer_release(&sql);
    if (!rows)
        return -1;
    for (int row = 0; row < PQntuples(rows); row++) {
        bool keyed = strcmp(pg_text(rows, row, "pubname"), p->sides[KEYED].name) == 0;
        struct publication *found = &p->sides[keyed ? KEYED : KEYLESS];
        found->exists = true;
        found->all_tables = pg_bool(rows, row, "puballtables");
        found->right = pg_bool(rows, row, "base") && pg_bool(rows, row, "pubupdate") == keyed &&
                       pg_bool(rows, row, "pubdelete") == keyed;
    }
    PQclear(rows);
    return 0;
}

static int
read_members(struct planning *p, struct error *err)
{
    struct buffer sql;
    buffer_init(&sql, SQL_LIMIT);
    buffer_text(&sql, "SELECT p.pubname, r.prrelid, n.nspname, c.relname, ");
    buffer_text(&sql, p->s->version >= 150000 ? "r.prqual IS NOT NULL OR r.prattrs IS NOT NULL"
                                              : "false");
    buffer_text(&sql, " AS narrowed FROM pg_catalog.pg_publication p"
                      " JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid"
                      " JOIN pg_catalog.pg_class c ON c.oid = r.prrelid"
                      " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                      " WHERE p.pubname IN (");
    pg_publication_literals(p->s->plan, &sql);
    buffer_text(&sql, ") ORDER BY r.prrelid");
    PGresult *rows = pg_query(p->s, "read the publications' tables", buffer_cstring(&sql), err);
    buffer_release(&sql);
    if (!rows)
        return -1;
    size_t count = (size_t)PQntuples(rows);
    p->members = memory_zero((count + 1) * sizeof *p->members);
    p->known = memory_zero(count + 1);
    for (p->member_count = 0; p->member_count < count; p->member_count++) {
        struct member *member = &p->members[p->member_count];
        int row = (int)p->member_count;
        bool keyed = strcmp(pg_text(rows, row, "pubname"), p->sides[KEYED].name) == 0;
        member->oid = (uint32_t)pg_int(rows, row, "prrelid");
        member->side = keyed ? KEYED : KEYLESS;
        member->narrowed = pg_bool(rows, row, "narrowed");
        member->schema = arena_slice(&p->out->arena, slice_of(pg_text(rows, row, "nspname")));
        member->name = arena_slice(&p->out->arena, slice_of(pg_text(rows, row, "relname")));
    }
    PQclear(rows);
    return 0;
}

/* --- comparing --- */

static void
note(struct listing *changes, uint32_t oid, struct slice schema, struct slice name)
{
    if (changes->count == changes->room) {
        changes->room = changes->room ? changes->room * 2 : 64;
        changes->items = memory_grow(changes->items, changes->room * sizeof *changes->items);
    }
    changes->items[changes->count++] = (struct listed){oid, schema, name};
}

/* The first member of that table; up to one of each side stand together. */
static size_t
first_member(const struct planning *p, uint32_t oid)
{
    size_t low = 0, high = p->member_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p->members[middle].oid < oid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
leave_out(struct planning *p, const struct pg_table *table, enum side side)
{
    struct pg_statements *out = p->out;
    if (out->left_out_count++) {
        buffer_text(&out->left_out, ", ");
    } else {
        struct buffer sql;
        buffer_init(&sql, SQL_LIMIT);
        buffer_text(&sql, "ALTER PUBLICATION ");
        pg_quote_name(&sql, slice_of(p->sides[side].name));
        buffer_text(&sql, " ADD TABLE ONLY ");
        pg_quote_table(&sql, table->schema, table->name);
        out->mend = arena_text(&out->arena, buffer_cstring(&sql));
        buffer_release(&sql);
    }
    buffer_slice(&out->left_out, table->schema);
    buffer_byte(&out->left_out, '.');
    buffer_slice(&out->left_out, table->name);
}

static void
compare_table(struct planning *p, const struct pg_table *table)
{
    bool full = p->s->plan->common.old_values == SOURCE_OLD_FULL && table->owned;
    enum side side = table->has_identity || full ? KEYED : KEYLESS;
    bool right = false, narrowed = false, wrong = false;
    for (size_t i = first_member(p, table->oid);
         i < p->member_count && p->members[i].oid == table->oid; i++) {
        p->known[i] = true;
        right = right || p->members[i].side == side;
        wrong = wrong || p->members[i].side != side;
        narrowed = narrowed || (p->members[i].side == side && p->members[i].narrowed);
    }
    bool enters = table->owned && (narrowed || (wrong && !right));
    bool harmful = wrong && (right || side == KEYLESS);
    if (enters)
        note(&p->enter[side], table->oid, table->schema, table->name);
    else if (harmful)
        note(&p->drop[side ^ 1], table->oid, table->schema, table->name);
    else if (!right && !wrong && table->owned)
        note(&p->add[side], table->oid, table->schema, table->name);
    if (!table->owned && (!right || narrowed))
        leave_out(p, table, side);
    if (table->owned || right || (wrong && !harmful))
        p->out->published++;
}

static void
compare(struct planning *p)
{
    for (size_t i = 0; i < p->tables->count; i++)
        compare_table(p, &p->tables->items[i]);
    for (size_t i = 0; i < p->member_count; i++) {
        struct member *member = &p->members[i];
        if (!p->known[i])
            note(&p->drop[member->side], member->oid, member->schema, member->name);
    }
}

/* --- statements --- */

void
pg_statements_add(struct pg_statements *statements, struct buffer *sql)
{
    if (statements->count == statements->room) {
        statements->room = statements->room ? statements->room * 2 : 16;
        statements->items =
            memory_grow(statements->items, statements->room * sizeof *statements->items);
    }
    ensure(!sql->failed);
    statements->items[statements->count++] = arena_text(&statements->arena, buffer_cstring(sql));
    buffer_reset(sql);
}

static void
print_options(const struct planning *p, enum side side, struct buffer *sql)
{
    buffer_printf(sql, "(publish = '%s', publish_via_partition_root = true", publish_lists[side]);
    if (p->s->version >= 180000)
        buffer_text(sql, ", publish_generated_columns = stored");
    buffer_byte(sql, ')');
}

/* Up to BATCH tables from `from`; returns where it ended. Without ONLY tables that inherit from one
 * would come along, also those without a key, whose UPDATE the owner could then not do. */
static size_t
print_tables(const struct listing *changes, size_t from, struct buffer *sql)
{
    size_t end = changes->count - from > BATCH ? from + BATCH : changes->count;
    for (size_t i = from; i < end; i++) {
        if (i > from)
            buffer_text(sql, ", ");
        buffer_text(sql, "ONLY ");
        pg_quote_table(sql, changes->items[i].schema, changes->items[i].name);
    }
    return end;
}

static void
print_alter(const struct planning *p, enum side side, const char *how, struct buffer *sql)
{
    buffer_text(sql, "ALTER PUBLICATION ");
    pg_quote_name(sql, slice_of(p->sides[side].name));
    buffer_text(sql, how);
}

static void
plan_tables(struct planning *p, enum side side, const struct listing *changes, const char *how)
{
    struct buffer sql;
    buffer_init(&sql, SQL_LIMIT);
    for (size_t at = 0; at < changes->count;) {
        print_alter(p, side, how, &sql);
        at = print_tables(changes, at, &sql);
        pg_statements_add(p->out, &sql);
    }
    buffer_release(&sql);
}

/* Both halves in one transaction, so that no change of the tables falls between them. The members
 * of either side go: those of the other, or a narrowed one of this side. */
static void
plan_entering(struct planning *p, enum side side)
{
    struct listing one = {.room = 1, .count = 1};
    struct buffer sql;
    buffer_init(&sql, SQL_LIMIT);
    for (size_t i = 0; i < p->enter[side].count; i++) {
        one.items = &p->enter[side].items[i];
        buffer_text(&sql, "BEGIN; ");
        for (size_t m = first_member(p, one.items->oid);
             m < p->member_count && p->members[m].oid == one.items->oid; m++) {
            print_alter(p, p->members[m].side, " DROP TABLE ", &sql);
            print_tables(&one, 0, &sql);
            buffer_text(&sql, "; ");
        }
        print_alter(p, side, " ADD TABLE ", &sql);
        print_tables(&one, 0, &sql);
        buffer_text(&sql, "; COMMIT");
        pg_statements_add(p->out, &sql);
    }
    buffer_release(&sql);
}

/* Makes a publication with its first tables, or brings its options up to date. */
static void
plan_publication(struct planning *p, enum side side)
{
    struct publication *publication = &p->sides[side];
    struct listing *add = &p->add[side];
    struct buffer sql;
    if (publication->exists && publication->right)
        return;
    buffer_init(&sql, SQL_LIMIT);
    if (publication->exists) {
        print_alter(p, side, " SET ", &sql);
    } else {
        p->out->creates = true;
        buffer_text(&sql, "CREATE PUBLICATION ");
        pg_quote_name(&sql, slice_of(publication->name));
        buffer_text(&sql, add->count ? " FOR TABLE " : "");
        size_t taken = print_tables(add, 0, &sql);
        add->count -= taken;
        if (add->count)
            memmove(add->items, add->items + taken, add->count * sizeof *add->items);
        buffer_text(&sql, " WITH ");
    }
    print_options(p, side, &sql);
    pg_statements_add(p->out, &sql);
    buffer_release(&sql);
}

/* Whoever makes a publication of our name for all tables would break every UPDATE of tables without
 * a key, and it cannot be altered into one of ours. */
static int
refuse_all_tables(const struct planning *p, struct error *err)
{
    for (int side = 0; side < SIDE_COUNT; side++) {
        const char *name = p->sides[side].name;
        if (!p->sides[side].all_tables)
            continue;
        error_set(err, ERROR_CONFIG, "publication \"%s\" was made FOR ALL TABLES by somebody else",
                  name);
        return error_hint(err,
                          "ALTER PUBLICATION \"%s\" RENAME TO …; or name it in the option"
                          " `publication`, to be used as it is",
                          name);
    }
    return 0;
}

static void
release_planning(struct planning *p)
{
    for (int side = 0; side < SIDE_COUNT; side++) {
        free(p->add[side].items);
        free(p->drop[side].items);
        free(p->enter[side].items);
    }
    free(p->members);
    free(p->known);
}

static int
plan_ours(struct planning *p, struct error *err)
{
    pg_publication_name(p->s->plan, false, p->sides[KEYED].name);
    pg_publication_name(p->s->plan, true, p->sides[KEYLESS].name);
    if (read_publications(p, err) != 0 || refuse_all_tables(p, err) != 0 ||
        read_members(p, err) != 0)
        return -1;
    compare(p);
    if (pg_statements_identity(p->s, p->tables, p->out, err) != 0)
        return -1;
    for (int side = 0; side < SIDE_COUNT; side++)
        plan_publication(p, (enum side)side);
    for (int side = 0; side < SIDE_COUNT; side++) {
        plan_entering(p, (enum side)side);
        plan_tables(p, (enum side)side, &p->add[side], " ADD TABLE ");
        plan_tables(p, (enum side)side, &p->drop[side], " DROP TABLE ");
    }
    return 0;
}

/* A publication that is somebody else's: only that it is there. */
static int
find_named(struct pg_session *s, const struct pg_tables *tables, struct error *err)
{
    const char *name = ((const struct pg_options *)s->plan->options)->publication;
    struct buffer sql;
    buffer_init(&sql, SQL_LIMIT);
    buffer_text(&sql, "SELECT FROM pg_catalog.pg_publication p WHERE p.pubname = ");
    pg_quote_text(&sql, slice_of(name));
    PGresult *rows = pg_query(s, "read the publication", buffer_cstring(&sql), err);
    bool found = rows && PQntuples(rows) == 1;
    buffer_reset(&sql);
    if (rows && !found) {
        error_set(err, ERROR_MISSING,
                  "publication \"%s\", which source \"%s\" names, does not exist", name,
                  s->plan->name);
        buffer_text(&sql, "CREATE PUBLICATION ");
        pg_quote_name(&sql, slice_of(name));
        for (size_t i = 0; i < tables->count && sql.size < 300; i++) {
            buffer_text(&sql, i ? ", " : " FOR TABLE ");
            pg_quote_table(&sql, tables->items[i].schema, tables->items[i].name);
        }
        buffer_text(&sql, " WITH (publish_via_partition_root = true)");
        error_hint(err, "%s", buffer_cstring(&sql));
    }
    PQclear(rows);
    buffer_release(&sql);
    return found ? 0 : -1;
}

int
pg_statements_find(struct pg_session *s, const struct pg_tables *tables, struct pg_statements *out,
                   struct error *err)
{
    struct planning p = {.s = s, .tables = tables, .out = out};
    memset(out, 0, sizeof *out);
    arena_init(&out->arena, 0);
    buffer_init(&out->left_out, SQL_LIMIT);
    if (((const struct pg_options *)s->plan->options)->publication) {
        if (find_named(s, tables, err) != 0)
            return -1;
        out->published = tables->count;
        return pg_statements_identity(s, tables, out, err);
    }
    int result = plan_ours(&p, err);
    release_planning(&p);
    return result;
}

void
pg_statements_release(struct pg_statements *statements)
{
    arena_release(&statements->arena);
    buffer_release(&statements->left_out);
    free(statements->items);
    memset(statements, 0, sizeof *statements);
}

int
pg_publication_plan(struct pg_session *s, const struct pg_tables *tables, pg_statement *each,
                    void *context, struct error *err)
{
    struct pg_statements found;
    int result = pg_statements_find(s, tables, &found, err);
    for (size_t i = 0; result == 0 && i < found.count; i++)
        result = each(context, found.items[i]);
    pg_statements_release(&found);
    return result;
}
