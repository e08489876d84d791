/* The where of a rule, as JSON: {"column": literal, "column": {"gt": literal}, "column": {"any_of":
 * [literal, {"like": literal}]}}, or {"any_of": [{…}, {…}]} over such. Whatever it is, it compiles
 * or is refused, and what compiles can be asked of any event; its opposite gives the opposite
 * answer, and a cell that equals a literal is found by the literal's keys. */
#include <math.h>
#include "base/json.h"
#include "rules/where.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct cell cells[] = {
    {.kind = CELL_ABSENT},
    {.kind = CELL_NULL},
    {.kind = CELL_UNCHANGED},
    {.kind = CELL_UNKNOWN},
    {.kind = CELL_BOOL, .integer = 1},
    {.kind = CELL_INT, .integer = INT64_MIN},
    {.kind = CELL_INT, .integer = INT64_MAX},
    {.kind = CELL_INT, .integer = 0},
    {.kind = CELL_INT, .integer = 5},
    {.kind = CELL_INT, .integer = INT64_C(9007199254740993)},
    {.kind = CELL_FLOAT, .real = NAN},
    {.kind = CELL_FLOAT, .real = INFINITY},
    {.kind = CELL_FLOAT, .real = -INFINITY},
    {.kind = CELL_FLOAT, .real = -0.0},
    {.kind = CELL_FLOAT, .real = 0.1},
    {.kind = CELL_FLOAT, .real = 5e-324},
    {.kind = CELL_FLOAT, .real = 1.7976931348623157e308},
    {.kind = CELL_FLOAT, .real = 5},
    {.kind = CELL_DECIMAL, .text = {"5.00", 4}},
    {.kind = CELL_DECIMAL, .text = {"-0.1", 4}},
    {.kind = CELL_DECIMAL, .text = {"1e999999", 8}},
    {.kind = CELL_DECIMAL, .text = {"10000000000000000.01", 20}},
    {.kind = CELL_DECIMAL, .text = {"NaN", 3}},
    {.kind = CELL_DECIMAL, .text = {"Infinity", 8}},
    {.kind = CELL_DECIMAL, .text = {"1e", 2}},
    {.kind = CELL_DECIMAL, .text = {"-", 1}},
    {.kind = CELL_DECIMAL, .text = {"", 0}},
    {.kind = CELL_TEXT, .text = {"", 0}},
    {.kind = CELL_TEXT, .text = {"5", 1}},
    {.kind = CELL_TEXT, .text = {"paid", 4}},
    {.kind = CELL_BYTES, .text = {"\0\xff", 2}},
    {.kind = CELL_DOCUMENT, .text = {"{\"a\":1}", 7}},
    {.kind = CELL_DOCUMENT, .text = {"{\"a\":{\"b\":[5,\"p\\u0061id\"]}}", 27}},
    {.kind = CELL_DOCUMENT, .text = {"[{\"a\":null", 10}},
    {.kind = CELL_TIME, .has_us = true, .integer = 0, .text = {"1970-01-01", 10}},
    {.kind = CELL_TIME, .text = {"infinity", 8}},
    {.kind = CELL_TIME, .text = {"12:30:00", 8}},
};

enum { COLUMNS = 16 };

static bool
is_combination(struct slice name)
{
    return slice_is(name, "any_of") || slice_is(name, "all_of") || slice_is(name, "not_");
}

static void make_tables(struct value *v, struct arena *arena);

/* {"gt": 5} and {"one_of": [1, 2]} become what gt(5) and one_of(1, 2) are. */
static void
make_call(struct value *v, struct arena *arena, void (*inner)(struct value *, struct arena *))
{
    struct value_pair only = v->pairs[0];
    *v = (struct value){.kind = VALUE_CALL, .text = only.key, .count = 1};
    v->items = arena_alloc(arena, sizeof(*v->items));
    *v->items = only.value;
    if (only.value.kind == VALUE_LIST) {
        v->count = only.value.count;
        v->items = only.value.items;
    }
    for (size_t i = 0; i < v->count; i++)
        inner(&v->items[i], arena);
}

static void
make_condition(struct value *v, struct arena *arena)
{
    if (v->kind == VALUE_MAP && v->count == 1)
        make_call(v, arena, make_condition);
}

static void
make_tables(struct value *v, struct arena *arena)
{
    if (v->kind == VALUE_MAP && v->count == 1 && is_combination(v->pairs[0].key)) {
        make_call(v, arena, make_tables);
        return;
    }
    for (size_t i = 0; v->kind == VALUE_MAP && i < v->count; i++)
        make_condition(&v->pairs[i].value, arena);
}

static void
check_keys(const struct literal *l, const struct cell *cell)
{
    uint64_t keys[LITERAL_KEYS], key;
    if (literal_compare(cell, l) != 0)
        return;
    bool found = false;
    size_t count = literal_keys(l, keys);
    ensure(literal_cell_key(cell, &key));
    for (size_t i = 0; i < count; i++)
        found |= keys[i] == key;
    ensure(found);
}

static void
check_literals(const struct condition *c)
{
    if (c->op >= CONDITION_ALL) {
        for (uint32_t i = 0; i < c->count; i++)
            check_literals(&c->parts[i]);
        return;
    }
    for (uint32_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < countof(cells); k++)
            check_keys(&c->literals[i], &cells[k]);
}

/* A table that has the columns that the names ask for, all of one family. */
static const struct schema *
make_schema(struct schema_set *set, const struct where *w, enum type_family family)
{
    struct column columns[COLUMNS];
    struct schema draft = {.source = slice_literal("s"),
                           .driver = slice_literal("sqlite"),
                           .schema = slice_literal("main"),
                           .table = slice_literal("t"),
                           .columns = columns};
    struct error err = {0};
    for (uint32_t i = 0; i < w->name_count; i++) {
        struct slice name = w->names[i].name;
        const char *dot = name.size ? memchr(name.data, '.', name.size) : NULL;
        bool known = false;
        name.size = dot ? (size_t)(dot - name.data) : name.size;
        for (unsigned k = 0; k < draft.column_count; k++)
            known |= slice_equal(columns[k].name, name);
        if (!known)
            columns[draft.column_count++] =
                (struct column){.name = name, .family = (uint8_t)family, .flags = COLUMN_NULLABLE};
    }
    return schema_intern(set, &draft, &err);
}

static enum verdict
ask(const struct where *w, const struct where_place *places, struct event *e,
    struct buffer *scratch)
{
    struct where_look look;
    where_look_init(&look, e, scratch);
    enum verdict verdict = where_test(w, places, &look);
    ensure((verdict == VERDICT_UNKNOWN) == (look.unknown >= 0));
    ensure(look.unknown < e->schema->column_count);
    return verdict;
}

static void
check_event(const struct where *w, const struct where *opposite, const struct where_place *places,
            struct event *e, struct buffer *scratch)
{
    static const enum verdict turned[] = {[VERDICT_NO] = VERDICT_YES,
                                          [VERDICT_YES] = VERDICT_NO,
                                          [VERDICT_UNKNOWN] = VERDICT_UNKNOWN};
    enum verdict verdict = ask(w, places, e, scratch);
    if (opposite)
        ensure(ask(opposite, places, e, scratch) == turned[verdict]);
}

static void
check_events(const struct where *w, const struct where *opposite, const struct schema *schema,
             const struct where_place *places)
{
    static const enum event_op ops[] = {EVENT_INSERT, EVENT_UPDATE, EVENT_DELETE, EVENT_READ};
    struct cell rows[2][COLUMNS];
    struct buffer scratch;
    buffer_init(&scratch, 1 << 20);
    for (size_t i = 0; i < countof(cells) * 4; i++) {
        struct event e = {.op = ops[i % 4], .schema = schema};
        for (unsigned k = 0; k < schema->column_count; k++) {
            rows[EVENT_NEW][k] = cells[(i / 4 + k) % countof(cells)];
            rows[EVENT_OLD][k] = cells[(i * 7 / 4 + 3 * k) % countof(cells)];
        }
        for (int image = EVENT_NEW; image <= EVENT_OLD; image++)
            e.rows[image] = (struct row){true, schema->column_count, rows[image]};
        e.rows[EVENT_NEW].present = e.op != EVENT_DELETE;
        e.rows[EVENT_OLD].present = e.op == EVENT_UPDATE || e.op == EVENT_DELETE;
        check_event(w, opposite, places, &e, &scratch);
    }
    buffer_release(&scratch);
}

/* not_(where), or NULL where that nests too deep. */
static const struct where *
opposite_of(struct value *value, struct arena *arena, struct where *out)
{
    struct value call = {
        .kind = VALUE_CALL, .text = slice_literal("not_"), .count = 1, .items = value};
    struct error err = {0};
    if (where_compile(&call, arena, out, &err) == 0)
        return out;
    ensure(strstr(err.message, "deeper"));
    return NULL;
}

static void
check_where(const struct where *w, struct value *value, struct arena *arena)
{
    struct schema_set *set = schema_set_new(NULL, NULL);
    struct where_place places[COLUMNS];
    struct where store;
    const struct where *opposite = opposite_of(value, arena, &store);
    for (unsigned family = FAMILY_ANY; family <= FAMILY_TIME; family++) {
        struct error err = {0};
        const struct schema *schema = make_schema(set, w, (enum type_family)family);
        if (!schema)
            continue;
        if (where_bind(w, schema, places, &err) == 0)
            check_events(w, opposite, schema, places);
        else
            ensure(err.class == ERROR_DATA && err.message[0]);
    }
    schema_set_free(set);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct value value;
    struct where where;
    struct error err = {0};
    arena_init(&arena, 0);
    if (json_parse((struct slice){(const char *)data, size}, &arena, &value, &err) == 0) {
        make_tables(&value, &arena);
        if (where_compile(&value, &arena, &where, &err) != 0)
            ensure(err.class != ERROR_NONE && err.message[0]);
        else if (where.name_count <= COLUMNS)
            check_where(&where, &value, &arena);
        for (uint32_t i = 0; err.class == ERROR_NONE && i < where.count; i++)
            check_literals(&where.conditions[i]);
    }
    arena_release(&arena);
    return 0;
}
