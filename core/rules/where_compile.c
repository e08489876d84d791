/* From the table that a script wrote to the tree that where.c asks. */
#include "base/decimal.h"
#include "base/text.h"
#include "rules/where.h"

#define NO_NAME UINT32_MAX /* no column yet: where-tables belong here */

struct maker {
    struct arena *arena;
    struct where *where;
    uint32_t name_room;
    uint32_t name; /* of the column under which conditions stand, or NO_NAME */
    enum where_use use;
    unsigned depth;
};

/* Every condition that the language has. `takes` completes "between takes …". */
static const struct form {
    const char *name;
    enum condition_op op;
    uint32_t least, most; /* arguments; most 0: any number */
    const char *takes;
    const char *hint; /* for a wrong number of them, or NULL */
} forms[] = {
    {"gt", CONDITION_GT, 1, 1, "one value", NULL},
    {"ge", CONDITION_GE, 1, 1, "one value", NULL},
    {"lt", CONDITION_LT, 1, 1, "one value", NULL},
    {"le", CONDITION_LE, 1, 1, "one value", NULL},
    {"ne", CONDITION_NE, 1, 1, "one value", "for none of several write not_(one_of(\"a\", \"b\"))"},
    {"one_of", CONDITION_EQ, 1, 0, "at least one value", NULL},
    {"like", CONDITION_LIKE, 1, 1, "one text",
     "for one of several write any_of(like(\"a%\"), like(\"b%\"))"},
    {"ilike", CONDITION_ILIKE, 1, 1, "one text",
     "for one of several write any_of(ilike(\"a%\"), ilike(\"b%\"))"},
    {"between", CONDITION_BETWEEN, 2, 2, "two values, the lowest and the highest",
     "between(10, 20) includes both"},
    {"is_null", CONDITION_EQ, 0, 0, "no value", "for what is not NULL write not_(is_null())"},
    {"any_of", CONDITION_ANY, 1, 0, "at least one value, condition or where-table", NULL},
    {"all_of", CONDITION_ALL, 1, 0, "at least one condition or where-table", NULL},
    {"not_", CONDITION_NOT, 1, 1, "one value, condition or where-table",
     "for none of several write not_(one_of(\"a\", \"b\")) or not_(any_of(…))"},
    {"changed_to", CONDITION_CHANGED_TO, 1, 1, "one value or condition",
     "for one of several write changed_to(one_of(\"a\", \"b\"))"},
    {"changed_from", CONDITION_CHANGED_FROM, 1, 1, "one value or condition",
     "for one of several write changed_from(one_of(\"a\", \"b\"))"},
};

static const struct form *
find_form(const struct value *call, struct error *err)
{
    for (size_t i = 0; i < countof(forms); i++)
        if (slice_is(call->text, forms[i].name))
            return &forms[i];
    const char *near = text_suggest(call->text, forms, countof(forms), sizeof(forms[0]));
    error_set(err, ERROR_DATA, "\"%.*s\" is no condition", (int)call->text.size, call->text.data);
    if (near)
        error_hint(err, "did you mean %s?", near);
    return NULL;
}

static int
check_count(const struct form *f, const struct value *call, struct error *err)
{
    bool many = f->most == 0 && f->least > 0;
    if (call->count >= f->least && (many || call->count <= f->most))
        return 0;
    error_set(err, ERROR_DATA, "%s takes %s", f->name, f->takes);
    return f->hint ? error_hint(err, "%s", f->hint) : -1;
}

/* Order needs an order: not of NULL, nor of true and false. A pattern is a text. */
static int
check_literal(const struct form *f, const struct literal *l, struct error *err)
{
    enum literal_use use = condition_use(f->op);
    if (l->kind == VALUE_NULL && use != LITERAL_EQUAL) {
        error_set(err, ERROR_DATA, "%s(null) is never true", f->name);
        return error_hint(err, "ask for NULL with null, and for a value with ne(null)");
    }
    if (l->kind == VALUE_BOOL && use == LITERAL_ORDER)
        return error_set(err, ERROR_DATA, "%s takes a number or a text, not true or false",
                         f->name);
    if (l->kind != VALUE_TEXT && use == LITERAL_PATTERN) {
        error_set(err, ERROR_DATA, "%s takes a text, not a %s", f->name, value_kind_name(l->kind));
        return error_hint(err, "%% stands for any text and _ for one character: %s(\"A%%\")",
                          f->name);
    }
    return 0;
}

static int
check_bounds(const struct condition *c, struct error *err)
{
    int order;
    if (c->op != CONDITION_BETWEEN || c->literals[0].kind == VALUE_TEXT ||
        c->literals[1].kind == VALUE_TEXT)
        return 0;
    if (!decimal_compare_text(c->literals[0].number, c->literals[1].number, &order) || order <= 0)
        return 0;
    error_set(err, ERROR_DATA, "between: the first value is greater than the second");
    return error_hint(err, "write between(%s, %s)", c->literals[1].number.data,
                      c->literals[0].number.data);
}

static int
take_literals(struct maker *m, const struct value *values, size_t count, struct condition *out,
              struct error *err)
{
    out->count = (uint32_t)count;
    out->literals = arena_zero(m->arena, (count ? count : 1) * sizeof(*out->literals));
    for (size_t i = 0; i < count; i++)
        if (literal_make(&values[i], m->arena, &out->literals[i], err) != 0)
            return -1;
    return 0;
}

/* `null`, and every value that is no condition: is it this one? */
static int
take_equal(struct maker *m, const struct value *values, size_t count, struct condition *out,
           struct error *err)
{
    out->op = CONDITION_EQ;
    out->name = (uint16_t)m->name;
    m->where->names[m->name].uses |= m->use;
    return take_literals(m, values, count, out, err);
}

static int
take_null(struct maker *m, struct condition *out, struct error *err)
{
    static const struct value null = {.kind = VALUE_NULL};
    return take_equal(m, &null, 1, out, err);
}

static int
take_comparison(struct maker *m, const struct form *f, const struct value *call,
                struct condition *out, struct error *err)
{
    if (call->count == 0)
        return take_null(m, out, err);
    if (take_equal(m, call->items, call->count, out, err) != 0)
        return error_context(err, "%s", f->name);
    out->op = f->op;
    for (uint32_t i = 0; i < out->count; i++)
        if (check_literal(f, &out->literals[i], err) != 0)
            return -1;
    return check_bounds(out, err);
}

static int take_condition(struct maker *m, const struct value *v, struct condition *out,
                          struct error *err);
static int take_table(struct maker *m, const struct value *v, struct condition *out,
                      struct error *err);

static int
take_parts(struct maker *m, const struct value *call, struct condition *out, struct error *err)
{
    out->count = (uint32_t)call->count;
    out->parts = arena_zero(m->arena, call->count * sizeof(*out->parts));
    for (size_t i = 0; i < call->count; i++) {
        const struct value *v = &call->items[i];
        int result = m->name == NO_NAME ? take_table(m, v, &out->parts[i], err)
                                        : take_condition(m, v, &out->parts[i], err);
        if (result != 0)
            return -1;
    }
    return 0;
}

static int
take_change(struct maker *m, const struct form *f, const struct value *call, struct condition *out,
            struct error *err)
{
    m->use = f->op == CONDITION_CHANGED_TO ? WHERE_TO : WHERE_FROM;
    int result = take_parts(m, call, out, err);
    m->use = WHERE_ROW;
    return result;
}

static bool
are_plain(const struct value *call)
{
    for (size_t i = 0; i < call->count; i++)
        if (call->items[i].kind > VALUE_TEXT)
            return false;
    return true;
}

static int
take_form(struct maker *m, const struct value *call, struct condition *out, struct error *err)
{
    const struct form *f = find_form(call, err);
    if (!f || check_count(f, call, err) != 0)
        return -1;
    if (f->op < CONDITION_ALL)
        return take_comparison(m, f, call, out, err);
    if (f->op == CONDITION_ANY && are_plain(call)) /* one_of by another name, and as fast */
        return take_equal(m, call->items, call->count, out, err) == 0
                   ? 0
                   : error_context(err, "%s", f->name);
    if (f->op >= CONDITION_CHANGED_TO && m->use != WHERE_ROW)
        return error_set(err, ERROR_DATA, "%s can't stand inside changed_to or changed_from",
                         f->name);
    out->op = f->op;
    out->name = (uint16_t)m->name;
    int result = f->op >= CONDITION_CHANGED_TO ? take_change(m, f, call, out, err)
                                               : take_parts(m, call, out, err);
    return result == 0 ? 0 : error_context(err, "%s", f->name);
}

static int
wrong_value(const struct value *v, struct error *err)
{
    if (v->kind == VALUE_LIST) {
        error_set(err, ERROR_DATA, "a list is no value to compare with");
        return error_hint(err, "write one_of(…) for one of several values");
    }
    if (v->kind == VALUE_MAP) {
        error_set(err, ERROR_DATA, "a table is no value to compare with");
        return error_hint(err, "over where-tables conditions stand alone: where = any_of({ … }, "
                               "{ … }); into a document leads [\"column.key\"] = …");
    }
    error_set(err, ERROR_DATA, "a function is no value to compare with");
    return error_hint(err, "conditions are called, is_null() too; for Lua code use when");
}

/* What stands under a column: a value or a condition. */
static int
take_condition(struct maker *m, const struct value *v, struct condition *out, struct error *err)
{
    int result;
    if (v->kind == VALUE_LIST || v->kind == VALUE_MAP || v->kind == VALUE_FUNCTION)
        return wrong_value(v, err);
    if (v->kind != VALUE_CALL)
        return take_equal(m, v, 1, out, err);
    if (++m->depth > WHERE_DEPTH)
        return error_set(err, ERROR_DATA, "conditions nest deeper than %d", WHERE_DEPTH);
    result = take_form(m, v, out, err);
    m->depth--;
    return result;
}

static int
find_name(struct maker *m, struct slice name, struct error *err)
{
    struct where *w = m->where;
    for (m->name = 0; m->name < w->name_count; m->name++)
        if (slice_equal(w->names[m->name].name, name))
            return 0;
    if (w->name_count > UINT16_MAX)
        return error_set(err, ERROR_DATA, "more than %d different columns", UINT16_MAX);
    if (w->name_count == m->name_room) {
        struct where_name *old = w->names;
        m->name_room = m->name_room ? m->name_room * 2 : 8;
        w->names = arena_alloc(m->arena, m->name_room * sizeof(*w->names));
        if (old)
            memcpy(w->names, old, w->name_count * sizeof(*old));
    }
    w->names[w->name_count++] = (struct where_name){.name = arena_slice(m->arena, name)};
    return 0;
}

/* { column = condition, … } as ALL. */
static int
take_columns(struct maker *m, const struct value *map, struct condition *out, struct error *err)
{
    out->op = CONDITION_ALL;
    out->count = (uint32_t)map->count;
    out->parts = arena_zero(m->arena, (map->count ? map->count : 1) * sizeof(*out->parts));
    for (size_t i = 0; i < map->count; i++) {
        const struct value_pair *pair = &map->pairs[i];
        if (find_name(m, pair->key, err) != 0)
            return -1;
        if (take_condition(m, &pair->value, &out->parts[i], err) != 0)
            return error_context(err, "%.*s", (int)pair->key.size, pair->key.data);
    }
    m->name = NO_NAME;
    return 0;
}

static int
take_combination(struct maker *m, const struct value *call, struct condition *out,
                 struct error *err)
{
    const struct form *f = find_form(call, err);
    if (!f)
        return -1;
    if (f->op < CONDITION_ALL || f->op > CONDITION_NOT) {
        error_set(err, ERROR_DATA, "%s is a condition on a column", f->name);
        return error_hint(err, "write where = { column = %s(…) }", f->name);
    }
    if (check_count(f, call, err) != 0)
        return -1;
    if (++m->depth > WHERE_DEPTH)
        return error_set(err, ERROR_DATA, "conditions nest deeper than %d", WHERE_DEPTH);
    out->op = f->op;
    if (take_parts(m, call, out, err) != 0)
        return error_context(err, "%s", f->name);
    m->depth--;
    return 0;
}

/* A where-table, or any_of, all_of, not_ over such. */
static int
take_table(struct maker *m, const struct value *v, struct condition *out, struct error *err)
{
    if (v->kind == VALUE_MAP)
        return take_columns(m, v, out, err);
    if (v->kind == VALUE_CALL)
        return take_combination(m, v, out, err);
    error_set(err, ERROR_DATA, "a %s has no column to be compared with", value_kind_name(v->kind));
    return error_hint(err, "write where = any_of({ status = \"paid\" }, { amount = gt(5) }), "
                           "or where = { status = any_of(\"paid\", \"sent\") }");
}

/* Conditions that ALL joins are as good as the where's own, and there they can be indexed. */
static uint32_t
flatten(const struct condition *c, struct condition *out)
{
    uint32_t count = 0;
    if (c->op != CONDITION_ALL) {
        if (out)
            *out = *c;
        return 1;
    }
    for (uint32_t i = 0; i < c->count; i++)
        count += flatten(&c->parts[i], out ? out + count : NULL);
    return count;
}

int
where_compile(const struct value *table, struct arena *arena, struct where *out, struct error *err)
{
    struct maker m = {.arena = arena, .where = out, .name = NO_NAME, .use = WHERE_ROW};
    struct condition root = {0};
    *out = (struct where){0};
    if (table->kind != VALUE_MAP && table->kind != VALUE_CALL) {
        error_set(err, ERROR_DATA, "where is a table of columns, not a %s",
                  value_kind_name(table->kind));
        return error_hint(err, "write where = { status = \"paid\" }; for Lua code use when");
    }
    if (take_table(&m, table, &root, err) != 0)
        return error_context(err, "where");
    uint32_t count = flatten(&root, NULL);
    out->conditions = arena_zero(arena, (count ? count : 1) * sizeof(*out->conditions));
    out->count = flatten(&root, out->conditions);
    return 0;
}
