#include "rules/where.h"
#include "base/text.h"

/* The conditions that a script may write around a value; `later` ones are refused by name. */
static const struct {
    const char *name;
    enum condition_op op;
    bool list, later;
} forms[] = {
    {"gt", CONDITION_GT, false, false},          {"ge", CONDITION_GE, false, false},
    {"lt", CONDITION_LT, false, false},          {"le", CONDITION_LE, false, false},
    {"ne", CONDITION_NE, false, false},          {"one_of", CONDITION_EQ, true, false},
    {"like", CONDITION_EQ, false, true},         {"ilike", CONDITION_EQ, false, true},
    {"between", CONDITION_EQ, false, true},      {"is_null", CONDITION_EQ, false, true},
    {"any_of", CONDITION_EQ, false, true},       {"all_of", CONDITION_EQ, false, true},
    {"not_", CONDITION_EQ, false, true},         {"changed_to", CONDITION_EQ, false, true},
    {"changed_from", CONDITION_EQ, false, true},
};

/* Order needs an order: not of NULL, nor of true and false. */
static int
check_order(const struct condition *c, const char *name, struct error *err)
{
    enum value_kind kind = c->literals[0].kind;
    if (c->op == CONDITION_EQ || c->op == CONDITION_NE)
        return 0;
    if (kind == VALUE_NULL) {
        error_set(err, ERROR_DATA, "%s(null) is never true", name);
        return error_hint(err, "ask for NULL with null, and for a value with ne(null)");
    }
    if (kind == VALUE_BOOL)
        return error_set(err, ERROR_DATA, "%s takes a number or a text, not true or false", name);
    return 0;
}

static int
take_literals(const struct value *values, size_t count, struct arena *arena, struct condition *out,
              struct error *err)
{
    out->count = (uint32_t)count;
    out->literals = arena_zero(arena, (count ? count : 1) * sizeof(*out->literals));
    for (size_t i = 0; i < count; i++)
        if (literal_make(&values[i], arena, &out->literals[i], err) != 0)
            return -1;
    return 0;
}

static int
take_form(const struct value *call, struct arena *arena, struct condition *out, struct error *err)
{
    for (size_t i = 0; i < countof(forms); i++) {
        if (!slice_is(call->text, forms[i].name))
            continue;
        if (forms[i].later)
            return error_set(err, ERROR_REFUSED, "the condition %s is not built yet",
                             forms[i].name);
        if (call->count == 0 || (!forms[i].list && call->count != 1))
            return error_set(err, ERROR_DATA, "%s takes %s", forms[i].name,
                             forms[i].list ? "at least one value" : "one value");
        out->op = forms[i].op;
        if (take_literals(call->items, call->count, arena, out, err) != 0)
            return error_context(err, "%s", forms[i].name);
        return check_order(out, forms[i].name, err);
    }
    return error_set(err, ERROR_DATA, "\"%.*s\" is no condition", (int)call->text.size,
                     call->text.data);
}

static int
compile_one(const struct value_pair *pair, struct arena *arena, struct condition *out,
            struct error *err)
{
    const struct value *v = &pair->value;
    out->column = arena_slice(arena, pair->key);
    if (v->kind == VALUE_CALL)
        return take_form(v, arena, out, err);
    if (v->kind == VALUE_LIST) {
        error_set(err, ERROR_DATA, "a list is no value to compare with");
        return error_hint(err, "write one_of(…) for one of several values");
    }
    out->op = CONDITION_EQ;
    return take_literals(v, 1, arena, out, err);
}

int
where_compile(const struct value *table, struct arena *arena, struct where *out, struct error *err)
{
    *out = (struct where){0};
    if (table->kind != VALUE_MAP) {
        error_set(err, ERROR_DATA, "where is a table of columns, not a %s",
                  value_kind_name(table->kind));
        return error_hint(err, "write where = { status = \"paid\" }; for Lua code use when");
    }
    out->conditions =
        arena_zero(arena, (table->count ? table->count : 1) * sizeof(*out->conditions));
    for (size_t i = 0; i < table->count; i++) {
        if (compile_one(&table->pairs[i], arena, &out->conditions[i], err) != 0)
            return error_context(err, "where: %.*s", (int)table->pairs[i].key.size,
                                 table->pairs[i].key.data);
        out->count++;
    }
    return 0;
}

static bool
is_path(const struct schema *schema, struct slice name)
{
    const char *dot = memchr(name.data, '.', name.size);
    return dot && schema_column(schema, (struct slice){name.data, (size_t)(dot - name.data)}) >= 0;
}

int
where_column(const struct schema *schema, struct slice name, struct error *err)
{
    int column = schema_column(schema, name);
    if (column >= 0)
        return column;
    char label[256];
    schema_label(schema, label, sizeof(label));
    if (is_path(schema, name)) {
        error_set(err, ERROR_REFUSED, "\"%.*s\" is a path into a document; those are not built yet",
                  (int)name.size, name.data);
        return error_hint(err, "use when: it can read the document in Lua");
    }
    error_set(err, ERROR_DATA, "%s has no column \"%.*s\"", label, (int)name.size, name.data);
    struct slice near = schema_suggest(schema, name);
    return near.size ? error_hint(err, "did you mean \"%.*s\"?", (int)near.size, near.data) : -1;
}

int
where_bind(const struct where *w, const struct schema *schema, uint16_t *columns, struct error *err)
{
    for (uint32_t i = 0; i < w->count; i++) {
        const struct condition *c = &w->conditions[i];
        int column = where_column(schema, c->column, err);
        if (column < 0)
            return error_context(err, "where");
        columns[i] = (uint16_t)column;
        for (uint32_t k = 0; k < c->count; k++)
            if (literal_check(&c->literals[k], &schema->columns[column], err) != 0)
                return error_context(err, "where");
    }
    return 0;
}

const struct cell *
where_cell(struct event *e, unsigned column)
{
    return event_value(e, event_key_image(e), column);
}

static bool
is_equal(const struct cell *cell, const struct literal *l)
{
    if (cell->kind == CELL_NULL || l->kind == VALUE_NULL)
        return cell->kind == CELL_NULL && l->kind == VALUE_NULL;
    return literal_compare(cell, l) == 0;
}

static bool
holds(const struct condition *c, const struct cell *cell)
{
    if (c->op == CONDITION_EQ) {
        for (uint32_t i = 0; i < c->count; i++)
            if (is_equal(cell, &c->literals[i]))
                return true;
        return false;
    }
    if (c->op == CONDITION_NE)
        return !is_equal(cell, &c->literals[0]);
    int order = literal_compare(cell, &c->literals[0]);
    if (order == LITERAL_APART)
        return false;
    switch (c->op) {
    case CONDITION_GT:
        return order > 0;
    case CONDITION_GE:
        return order >= 0;
    case CONDITION_LT:
        return order < 0;
    default:
        return order <= 0;
    }
}

enum verdict
condition_test(const struct condition *c, const struct cell *cell)
{
    if (!where_knows(cell))
        return VERDICT_UNKNOWN;
    return holds(c, cell) ? VERDICT_YES : VERDICT_NO;
}

enum verdict
where_test(const struct where *w, const uint16_t *columns, struct event *e, unsigned *unknown)
{
    enum verdict all = VERDICT_YES;
    for (uint32_t i = 0; i < w->count; i++) {
        enum verdict one = condition_test(&w->conditions[i], where_cell(e, columns[i]));
        if (one == VERDICT_NO)
            return VERDICT_NO;
        if (one == VERDICT_UNKNOWN && all == VERDICT_YES) {
            all = VERDICT_UNKNOWN;
            *unknown = columns[i];
        }
    }
    return all;
}
