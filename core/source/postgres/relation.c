#include "source/postgres/relation.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "event/ddl.h"
#include "source/postgres/state.h"
#include "source/postgres/visible.h"

void
pg_relations_init(struct pg_relations *relations)
{
    memset(relations, 0, sizeof *relations);
}

static void
forget_form(struct pg_relation *r)
{
    free(r->cells);
    free(r->types);
    free(r->identity);
    r->cells = NULL;
    r->types = NULL;
    r->identity = NULL;
    r->schema = NULL;
    r->count = 0;
    buffer_reset(&r->ddl);
}

void
pg_relations_release(struct pg_relations *relations)
{
    for (size_t i = 0; i < relations->count; i++) {
        forget_form(&relations->items[i]);
        buffer_release(&relations->items[i].ddl);
    }
    free(relations->items);
    memset(relations, 0, sizeof *relations);
}

/* The first that is not below `oid`. */
static size_t
lower_bound(const struct pg_relations *relations, uint32_t oid)
{
    size_t low = 0, high = relations->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (relations->items[middle].oid < oid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct pg_relation *
pg_relations_find(struct pg_relations *relations, uint32_t oid)
{
    size_t at = relations->newest;
    if (at >= relations->count || relations->items[at].oid != oid)
        at = lower_bound(relations, oid);
    if (at == relations->count || relations->items[at].oid != oid)
        return NULL;
    relations->newest = at;
    return &relations->items[at];
}

static struct pg_relation *
find_or_add(struct pg_relations *relations, uint32_t oid)
{
    struct pg_relation *found = pg_relations_find(relations, oid);
    if (found)
        return found;
    if (relations->count == relations->room) {
        relations->room = relations->room ? relations->room * 2 : 32;
        relations->items =
            memory_grow(relations->items, relations->room * sizeof *relations->items);
    }
    size_t at = lower_bound(relations, oid);
    struct pg_relation *made = &relations->items[at];
    memmove(made + 1, made, (relations->count - at) * sizeof *made);
    relations->count++;
    memset(made, 0, sizeof *made);
    made->oid = oid;
    buffer_init(&made->ddl, 1 << 22);
    return made;
}

int
pg_relation_session(struct source_context *context, struct pg_session **out, struct error *err)
{
    struct pg_state *state = context->state;
    if (pg_watch_session(&state->watch, out, err) != 0)
        return -1;
    return pg_visible_wait(*out, state->transaction.xid, err);
}

/* Asks the catalog about the types that nobody has told of yet. */
static int
learn_types(struct source_context *context, const struct pgoutput_relation *message,
            struct arena *arena, struct error *err)
{
    struct pg_state *state = context->state;
    uint32_t *unknown = arena_alloc(arena, (message->count + 1u) * sizeof *unknown);
    size_t count = 0;
    for (unsigned i = 0; i < message->count; i++) {
        if (!pg_types_find(state->types, message->columns[i].type))
            unknown[count++] = message->columns[i].type;
    }
    if (count == 0)
        return 0;
    struct pg_session *session;
    if (pg_relation_session(context, &session, err) != 0)
        return -1;
    return pg_types_load(state->types, session, unknown, count, err);
}

static int
sent_column(const struct pgoutput_relation *message, struct slice name)
{
    for (unsigned i = 0; i < message->count; i++) {
        if (slice_equal(message->columns[i].name, name))
            return (int)i;
    }
    return -1;
}

/* The search for the key of the rows that a message describes. */
struct key_search {
    const struct pgoutput_relation *message;
    bool exact;    /* the identity is a key: only the marked columns can be in it */
    uint16_t *key; /* of each sent column: its place in the key, 1-based; 0: not in it */
    bool found;    /* the catalog has the table … */
    size_t count;  /* … and so many columns in its primary key */
};

/* Can this be the key of these rows? With an identity that is a key it must be the same columns:
 * the catalog then only tells their order. Names that are not sent have no place. */
static bool
key_fits(const struct key_search *search)
{
    size_t sent = 0;
    for (unsigned i = 0; i < search->message->count; i++) {
        bool in = search->key[i] != 0;
        sent += in;
        if (search->exact && search->message->columns[i].key != in)
            return false;
    }
    return sent == search->count;
}

static void
place_column(struct key_search *search, struct slice name, size_t place)
{
    int at = sent_column(search->message, name);
    if (at >= 0)
        search->key[at] = (uint16_t)place;
}

/* The key as it was when rows were last seen; of a table that is gone the catalog knows nothing. */
static bool
known_key(struct source_context *context, struct key_search *search)
{
    struct pg_state *state = context->state;
    const struct pg_known *known = pg_tail_find(&state->tail, search->message->oid);
    struct error ignored = {0};
    const struct schema *s =
        known && known->schema ? schema_get(context->plan->schemas, known->schema, &ignored) : NULL;
    search->count = s ? s->key_count : 0;
    for (unsigned i = 0; i < search->message->count && s; i++) {
        int at = schema_column(s, search->message->columns[i].name);
        search->key[i] = at < 0 ? 0 : s->columns[at].key;
    }
    return s && key_fits(search);
}

/* The primary key as it is now: each description may come after a change of it. */
static int
ask_key(struct source_context *context, struct key_search *search, struct error *err)
{
    struct pg_session *session;
    char sql[640];
    if (pg_relation_session(context, &session, err) != 0)
        return -1;
    snprintf(sql, sizeof sql,
             "SELECT a.attname FROM pg_catalog.pg_class c"
             " LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary"
             " LEFT JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)"
             " ON k.place <= i.indnkeyatts"
             " LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum"
             " WHERE c.oid = %" PRIu32 " ORDER BY k.place",
             search->message->oid);
    PGresult *rows = pg_query(session, "read a table's key", sql, err);
    if (!rows)
        return -1;
    search->found = PQntuples(rows) > 0;
    search->count = search->found && !pg_is_null(rows, 0, "attname") ? (size_t)PQntuples(rows) : 0;
    for (size_t i = 0; i < search->count; i++)
        place_column(search, slice_of(pg_text(rows, (int)i, "attname")), i + 1);
    PQclear(rows);
    return 0;
}

static unsigned
take_marks(struct key_search *search)
{
    unsigned marked = 0;
    for (unsigned i = 0; i < search->message->count; i++)
        search->key[i] = search->exact && search->message->columns[i].key ? (uint16_t)++marked : 0;
    return marked;
}

/* Identity FULL marks every column and NOTHING marks none, so the primary key is asked of the
 * catalog; else the marks are the key, and of several only their order is asked. */
static int
find_key(struct source_context *context, struct key_search *search, struct error *err)
{
    size_t room = search->message->count * sizeof *search->key;
    bool asked = take_marks(search) > 1 || !search->exact;
    if (!asked)
        return 0;
    memset(search->key, 0, room);
    if (ask_key(context, search, err) != 0)
        return -1;
    if (search->found && key_fits(search))
        return 0;
    memset(search->key, 0, room);
    if (!search->found && known_key(context, search))
        return 0;
    take_marks(search);
    return 0;
}

static void
draft_column(const struct pg_type *type, const struct pgoutput_column *sent, uint16_t key,
             struct arena *arena, struct column *out)
{
    struct buffer name;
    buffer_init(&name, 1024);
    pg_type_print(type, sent->modifier, &name);
    *out = (struct column){
        .name = sent->name,
        .type = arena_slice(arena, buffer_view(&name)),
        .family = type->family,
        .flags = key ? 0 : COLUMN_NULLABLE,
        .key = key,
    };
    buffer_release(&name);
}

/* An excluded column of the key would leave holes in it. */
static void
close_key(struct column *columns, unsigned count, unsigned keys)
{
    unsigned next = 0;
    for (unsigned place = 1; place <= keys; place++) {
        for (unsigned i = 0; i < count; i++) {
            if (columns[i].key == place)
                columns[i].key = (uint16_t)++next;
        }
    }
}

static int
learn_schema(struct source_context *context, const struct pgoutput_relation *message,
             struct arena *arena, struct pg_relation *r, struct error *err)
{
    struct pg_state *state = context->state;
    uint16_t *key = arena_zero(arena, (message->count + 1u) * sizeof *key);
    struct column *columns = arena_zero(arena, (message->count + 1u) * sizeof *columns);
    struct schema draft = {.source = slice_of(context->plan->name),
                           .driver = slice_of(context->plan->driver->name),
                           .schema = message->schema,
                           .table = message->table,
                           .columns = columns};
    struct key_search search = {.message = message,
                                .exact = message->identity == 'd' || message->identity == 'i',
                                .key = key};
    if (find_key(context, &search, err) != 0)
        return -1;
    for (unsigned i = 0; i < message->count; i++) {
        const struct pgoutput_column *sent = &message->columns[i];
        r->types[i] = pg_types_find(state->types, sent->type);
        ensure(r->types[i] != NULL);
        r->identity[i] = sent->key;
        r->cells[i] = PG_NO_CELL;
        if (!source_wants_column(context->plan, message->table, sent->name))
            continue;
        r->cells[i] = draft.column_count;
        draft_column(r->types[i], sent, key[i], arena, &columns[draft.column_count++]);
    }
    close_key(columns, draft.column_count, message->count);
    r->schema = schema_intern(context->plan->schemas, &draft, err);
    return r->schema ? 0 : -1;
}

/* Is it another form of the table than the tail knows? Only the newest answer counts: while a
 * transaction is read again, older forms pass by. */
static void
compare_known(struct source_context *context, struct pg_relation *r)
{
    struct pg_state *state = context->state;
    const struct pg_known *known = pg_tail_find(&state->tail, r->oid);
    struct error ignored = {0};
    buffer_reset(&r->ddl);
    r->dirty = !known || known->schema != r->schema->number;
    if (!known) {
        ddl_print(NULL, r->schema, "create", (struct slice){"", 0}, &r->ddl);
        return;
    }
    if (known->schema == 0 || !r->dirty || (known->flags & PG_KNOWN_ANNOUNCED))
        return;
    const struct schema *before = schema_get(context->plan->schemas, known->schema, &ignored);
    if (!before)
        return;
    const char *kind = slice_equal(before->table, r->schema->table) &&
                               slice_equal(before->schema, r->schema->schema)
                           ? "alter"
                           : "rename";
    if (!ddl_print(before, r->schema, kind, (struct slice){"", 0}, &r->ddl))
        buffer_reset(&r->ddl);
}

/* A transaction that was half journalled is read to its end with the tables that it began with. */
static bool
is_wanted(const struct source_context *context, const struct pgoutput_relation *message)
{
    const struct pg_state *state = context->state;
    return source_wants(context->plan, message->schema, message->table) ||
           (state->half && pg_tail_find(&state->tail, message->oid));
}

int
pg_relation_take(struct source_context *context, const struct pgoutput_relation *message,
                 struct error *err)
{
    struct pg_state *state = context->state;
    struct pg_relation *r = find_or_add(&state->relations, message->oid);
    struct arena arena;
    forget_form(r);
    r->count = message->count;
    r->wanted = is_wanted(context, message);
    if (!r->wanted)
        return 0;
    r->cells = memory_zero((message->count + 1u) * sizeof *r->cells);
    r->types = memory_zero((message->count + 1u) * sizeof *r->types);
    r->identity = memory_zero((message->count + 1u) * sizeof *r->identity);
    arena_init(&arena, 0);
    int result = learn_types(context, message, &arena, err);
    if (result == 0)
        result = learn_schema(context, message, &arena, r, err);
    arena_release(&arena);
    if (result == 0)
        compare_known(context, r);
    return result;
}

static void
take_value(const struct pg_relation *r, unsigned column, const struct pgoutput_value *value,
           struct arena *arena, struct cell *out)
{
    if (value->kind == PGOUTPUT_TEXT)
        pg_value_cell(r->types[column], value->text, arena, out);
    else
        out->kind = value->kind == PGOUTPUT_NULL ? CELL_NULL : CELL_UNCHANGED;
}

int
pg_relation_row(const struct pg_relation *relation, const struct pgoutput_tuple *tuple,
                struct arena *arena, struct row *out, struct error *err)
{
    const struct schema *schema = relation->schema;
    *out = (struct row){0};
    if (!tuple->present)
        return 0;
    if (tuple->count != relation->count)
        return error_set(err, ERROR_CORRUPT, "a row of %.*s has %u columns, the table %u",
                         (int)schema->table.size, schema->table.data, tuple->count,
                         relation->count);
    struct cell *cells = arena_alloc(arena, (schema->column_count + 1u) * sizeof *cells);
    for (unsigned i = 0; i < tuple->count; i++) {
        if (relation->cells[i] == PG_NO_CELL)
            continue;
        struct cell *cell = &cells[relation->cells[i]];
        *cell = (struct cell){.kind = CELL_ABSENT};
        if (!tuple->key_only || relation->identity[i])
            take_value(relation, i, &tuple->values[i], arena, cell);
    }
    *out = (struct row){true, schema->column_count, cells};
    return 0;
}
