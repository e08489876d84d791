/* Conditions and rules at random, against an evaluator that is slow and shares nothing with the one
 * under test; and what the index of rules offers must hold every rule that matches. */
#include "rules/matcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "support/event_make.h"

static struct arena arena;

/* The model: values and literals of which it is known what they are, in thousandths. */
enum nature { GONE, NIL, TRUTH, NUMBER, WORD, OTHER };

struct model_cell {
    const char *cell;
    const char *json; /* the same inside a document; NULL: it has no such form */
    enum nature nature;
    long number;
    const char *text;
};

static const struct model_cell model_cells[] = {
    {"absent", NULL, GONE, 0, NULL},
    {"unknown", NULL, GONE, 0, NULL},
    {"null", "null", NIL, 0, NULL},
    {"true", "true", TRUTH, 1, NULL},
    {"false", "false", TRUTH, 0, NULL},
    {"0", "0", NUMBER, 0, NULL},
    {"1", "1", NUMBER, 1000, NULL},
    {"5", "5", NUMBER, 5000, NULL},
    {"-2", "-2", NUMBER, -2000, NULL},
    {"5.5", "5.5", NUMBER, 5500, NULL},
    {"5.500m", "5.500", NUMBER, 5500, NULL},
    {"5.0m", "5.0", NUMBER, 5000, NULL},
    {"0.125m", "125e-3", NUMBER, 125, NULL},
    {"'paid'", "\"paid\"", WORD, 0, "paid"},
    {"'Paid'", "\"P\\u0061id\"", WORD, 0, "Paid"},
    {"'5'", "\"5\"", WORD, 0, "5"},
    {"''", "\"\"", WORD, 0, ""},
    {"'pale'", "\"p\\u0061le\"", WORD, 0, "pale"},
    {"{\"x\":1}", "{\"x\":1}", OTHER, 0, NULL},
    {"[1]", "[1]", OTHER, 0, NULL},
};

struct model_literal {
    struct value value;
    bool numeric; /* reads as a number */
    long number;
    const char *text; /* of a text */
    int truth;        /* 0 or 1, as which it reads; -1 */
};

#define TEXT(t)                                                                                    \
    {                                                                                              \
        .kind = VALUE_TEXT, .text = { t, sizeof(t) - 1 }                                           \
    }
static const struct model_literal model_literals[] = {
    {{.kind = VALUE_INT, .integer = 5}, true, 5000, NULL, -1},
    {{.kind = VALUE_INT, .integer = 1}, true, 1000, NULL, 1},
    {{.kind = VALUE_INT, .integer = 0}, true, 0, NULL, 0},
    {{.kind = VALUE_FLOAT, .real = 5.5}, true, 5500, NULL, -1},
    {{.kind = VALUE_DECIMAL, .text = {"0.1250", 6}}, true, 125, NULL, -1},
    {{.kind = VALUE_BOOL, .boolean = true}, false, 0, NULL, 1},
    {{.kind = VALUE_BOOL, .boolean = false}, false, 0, NULL, 0},
    {TEXT("5"), true, 5000, "5", -1},
    {TEXT("paid"), false, 0, "paid", -1},
    {TEXT("pale"), false, 0, "pale", -1},
    {TEXT(""), false, 0, "", -1},
    {TEXT("p%"), false, 0, "p%", -1},
};

static uint64_t random_state = 88172645463325252u;

static unsigned
pick(unsigned count)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % count;
}

enum { FALSE_ = 0, MAYBE = 1, TRUE_ = 2 }; /* so that AND is the least and OR the greatest */

static int
least(int a, int b)
{
    return a < b ? a : b;
}

static int
greatest(int a, int b)
{
    return a > b ? a : b;
}

static const char *const ops[] = {"gt",     "ge",     "lt",    "le",         "ne",
                                  "one_of", "like",   "ilike", "between",    "is_null",
                                  "any_of", "all_of", "not_",  "changed_to", "changed_from",
                                  "value",  "null"};
enum {
    GT,
    GE,
    LT,
    LE,
    NE,
    ONE_OF,
    LIKE,
    ILIKE,
    BETWEEN,
    IS_NULL,
    ANY_OF,
    ALL_OF,
    NOT_,
    TO,
    FROM,
    VALUE,
    NULL_
};

struct node {
    unsigned op, column, count;
    const struct model_literal *literals[3];
    struct node *parts[3];
};

static const struct model_literal *
pick_literal(unsigned op)
{
    for (;;) {
        const struct model_literal *l = &model_literals[pick(countof(model_literals))];
        bool order = op <= LE || op == BETWEEN, pattern = op == LIKE || op == ILIKE;
        if ((order && l->value.kind == VALUE_BOOL) || (pattern && !l->text))
            continue;
        return l;
    }
}

static struct node *
make_node(unsigned column, int depth, bool change)
{
    struct node *n = arena_zero(&arena, sizeof(*n));
    do
        n->op = pick(countof(ops));
    while ((depth == 0 && n->op >= ANY_OF && n->op <= FROM) ||
           (!change && (n->op == TO || n->op == FROM)));
    n->column = column;
    n->count = n->op == BETWEEN                                        ? 2
               : n->op == ONE_OF || n->op == ANY_OF || n->op == ALL_OF ? 1 + pick(3)
                                                                       : 1;
    for (unsigned i = 0; i < n->count; i++) {
        if (n->op >= ANY_OF && n->op <= FROM)
            n->parts[i] = make_node(column, depth - 1, change && n->op != TO && n->op != FROM);
        else
            n->literals[i] = pick_literal(n->op);
    }
    if (n->op == BETWEEN && !n->literals[0]->text && !n->literals[1]->text &&
        n->literals[0]->number > n->literals[1]->number)
        n->literals[1] = n->literals[0];
    return n;
}

static struct value
value_of(const struct node *n)
{
    if (n->op == VALUE)
        return n->literals[0]->value;
    if (n->op == NULL_)
        return (struct value){.kind = VALUE_NULL};
    struct value v = {.kind = VALUE_CALL, .text = slice_of(ops[n->op]), .count = n->count};
    v.items = arena_zero(&arena, n->count * sizeof(*v.items));
    if (n->op == IS_NULL)
        v.count = 0;
    for (unsigned i = 0; i < v.count; i++)
        v.items[i] = n->parts[i] ? value_of(n->parts[i]) : n->literals[i]->value;
    return v;
}

/* -1, 0, 1; 2: they cannot be compared. */
static int
order_of(const struct model_cell *c, const struct model_literal *l)
{
    int order;
    if (c->nature == TRUTH)
        return l->truth < 0 ? 2 : (int)c->number - l->truth;
    if (c->nature == WORD) {
        if (!l->text)
            return 2;
        order = strcmp(c->text, l->text);
        return (order > 0) - (order < 0);
    }
    if (c->nature != NUMBER)
        return 2;
    if (l->value.kind == VALUE_BOOL) { /* the integers 1 and 0 */
        bool integer = !strchr(c->cell, 'm') && !strchr(c->cell, '.');
        return integer ? (c->number > l->truth * 1000) - (c->number < l->truth * 1000) : 2;
    }
    return l->numeric ? (c->number > l->number) - (c->number < l->number) : 2;
}

static bool
model_like(const char *pattern, const char *text, bool fold)
{
    if (*pattern == '%')
        return model_like(pattern + 1, text, fold) ||
               (*text && model_like(pattern, text + 1, fold));
    char a = *pattern, b = *text;
    if (fold) {
        a = (char)(a >= 'A' && a <= 'Z' ? a + 32 : a);
        b = (char)(b >= 'A' && b <= 'Z' ? b + 32 : b);
    }
    return a == b && (!a || model_like(pattern + 1, text + 1, fold));
}

static bool
model_compare(const struct node *n, const struct model_cell *c)
{
    int order = n->op == IS_NULL || n->op == NULL_ ? 2 : order_of(c, n->literals[0]);
    bool any = false;
    switch (n->op) {
    case GT:
        return order == 1;
    case GE:
        return order == 1 || order == 0;
    case LT:
        return order == -1;
    case LE:
        return order == -1 || order == 0;
    case NE:
        return order != 0;
    case VALUE:
        return order == 0;
    case ONE_OF:
        for (unsigned i = 0; i < n->count; i++)
            any |= order_of(c, n->literals[i]) == 0;
        return any;
    case BETWEEN:
        return (order == 0 || order == 1) &&
               (order_of(c, n->literals[1]) == 0 || order_of(c, n->literals[1]) == -1);
    case LIKE:
    case ILIKE:
        return c->nature == WORD && model_like(n->literals[0]->text, c->text, n->op == ILIKE);
    default:
        return c->nature == NIL;
    }
}

enum { COLUMNS = 3, NAMES = 4 };

/* What each column is before and after; NULL: there is no such row. */
struct model_event {
    enum event_op op;
    const struct model_cell *old[NAMES], *new[NAMES];
    bool unchanged[NAMES]; /* the log left the new value out */
};

static int model_test(const struct node *n, const struct model_event *e, bool old);

static int
model_change(const struct node *n, const struct model_event *e)
{
    bool to = n->op == TO;
    if (e->op == EVENT_UPDATE) {
        if (e->unchanged[n->column])
            return FALSE_;
        int is = model_test(n->parts[0], e, !to), was = model_test(n->parts[0], e, to);
        return least(is, 2 - was);
    }
    return e->op == (to ? EVENT_INSERT : EVENT_DELETE) ? model_test(n->parts[0], e, !to) : FALSE_;
}

static int
model_test(const struct node *n, const struct model_event *e, bool old)
{
    const struct model_cell *c = old ? e->old[n->column] : e->new[n->column];
    int result = n->op == ALL_OF ? TRUE_ : FALSE_;
    switch (n->op) {
    case ANY_OF:
        for (unsigned i = 0; i < n->count; i++)
            result = greatest(result, model_test(n->parts[i], e, old));
        return result;
    case ALL_OF:
        for (unsigned i = 0; i < n->count; i++)
            result = least(result, model_test(n->parts[i], e, old));
        return result;
    case NOT_:
        return 2 - model_test(n->parts[0], e, old);
    case TO:
    case FROM:
        return model_change(n, e);
    default:
        if (!c || c->nature == GONE)
            return MAYBE;
        return model_compare(n, c) ? TRUE_ : FALSE_;
    }
}

/* Columns: a of any type, b the same, and c, a document in which two things are asked for. */
static const char *const model_names[NAMES] = {"a", "b", "c.v.1", "c.w"};

static struct cell
cell_of(const struct model_cell *const *cells, unsigned column)
{
    char text[128];
    if (column < 2 || cells[2]->nature == GONE)
        return event_make_cell(cells[column]->cell);
    snprintf(text, sizeof(text), "{\"v\":[%s,7],\"w\":%s}", cells[2]->json, cells[3]->json);
    return event_make_cell(text);
}

static struct row
row_of(const struct model_cell *const *cells, const bool *unchanged)
{
    struct cell *row = arena_zero(&arena, COLUMNS * sizeof(*row));
    for (unsigned i = 0; i < COLUMNS; i++)
        row[i] = unchanged[i] ? event_make_cell("unchanged") : cell_of(cells, i);
    return (struct row){.present = true, .count = COLUMNS, .cells = row};
}

/* Either both parts of the document are there or none is. */
static void
make_image(const struct model_cell **cells)
{
    for (unsigned i = 0; i < NAMES; i++)
        cells[i] = &model_cells[pick(countof(model_cells))];
    while (cells[2]->nature != GONE && cells[3]->nature == GONE)
        cells[3] = &model_cells[pick(countof(model_cells))];
    if (cells[2]->nature == GONE)
        cells[3] = cells[2];
}

static struct event
make_event(struct model_event *m, const struct schema *schema)
{
    static const enum event_op kinds_of[] = {EVENT_INSERT, EVENT_UPDATE, EVENT_UPDATE,
                                             EVENT_UPDATE, EVENT_DELETE, EVENT_READ};
    *m = (struct model_event){.op = kinds_of[pick(countof(kinds_of))]};
    bool has_new = m->op != EVENT_DELETE, has_old = m->op == EVENT_UPDATE || !has_new;
    if (has_old)
        make_image(m->old);
    if (has_new)
        make_image(m->new);
    for (unsigned i = 0; i < NAMES && m->op == EVENT_UPDATE; i++) {
        m->unchanged[i] = i == 3 ? m->unchanged[2] : pick(6) == 0;
        if (m->unchanged[i]) /* known if the old one is */
            m->new[i] = m->old[i];
    }
    static const bool none[NAMES];
    return event_make(m->op, schema, "1",
                      has_new ? row_of(m->new, m->unchanged) : event_make_none(),
                      has_old ? row_of(m->old, none) : event_make_none());
}

/* A where of one to three tables of one condition each. */
struct model_where {
    struct node *nodes[3];
    unsigned count;
    enum { JOINED, ANY_TABLE, NOT_TABLE } form;
};

static struct value
make_where(struct model_where *w)
{
    struct value *tables = arena_zero(&arena, 3 * sizeof(*tables));
    w->count = 1 + pick(3);
    w->form = pick(3);
    for (unsigned i = 0; i < w->count; i++) {
        unsigned column = pick(NAMES);
        struct value_pair *pair = arena_zero(&arena, 3 * sizeof(*pair));
        w->nodes[i] = make_node(column, (int)pick(4), true);
        *pair = (struct value_pair){slice_of(model_names[column]), value_of(w->nodes[i])};
        tables[i] = (struct value){.kind = VALUE_MAP, .count = 1, .pairs = pair};
    }
    struct value all = {.kind = VALUE_CALL, .text = slice_of("all_of"), .count = w->count};
    struct value *inner = arena_zero(&arena, sizeof(*inner));
    all.items = tables;
    if (w->form == ANY_TABLE)
        all.text = slice_of("any_of");
    *inner = all;
    if (w->form == NOT_TABLE)
        return (struct value){
            .kind = VALUE_CALL, .text = slice_of("not_"), .count = 1, .items = inner};
    return all;
}

static int
model_where(const struct model_where *w, const struct model_event *e)
{
    int result = w->form == ANY_TABLE ? FALSE_ : TRUE_;
    bool old = e->op == EVENT_DELETE;
    for (unsigned i = 0; i < w->count; i++) {
        int one = model_test(w->nodes[i], e, old);
        result = w->form == ANY_TABLE ? greatest(result, one) : least(result, one);
    }
    return w->form == NOT_TABLE ? 2 - result : result;
}

static void
print_node(const struct node *n, struct buffer *out)
{
    buffer_text(out, ops[n->op]);
    buffer_byte(out, '(');
    for (unsigned i = 0; i < n->count; i++) {
        if (n->parts[i])
            print_node(n->parts[i], out);
        else if (n->literals[i]->text)
            buffer_printf(out, "'%s'", n->literals[i]->text);
        else
            buffer_printf(out, "%ld/%d", n->literals[i]->number, n->literals[i]->truth);
        buffer_byte(out, i + 1 < n->count ? ',' : ')');
    }
}

static void
fail_model(const struct model_where *w, const struct model_event *e, const char *got)
{
    struct buffer b;
    buffer_init(&b, 1 << 16);
    for (unsigned i = 0; i < w->count; i++) {
        buffer_printf(&b, " %s: ", model_names[w->nodes[i]->column]);
        print_node(w->nodes[i], &b);
    }
    for (unsigned i = 0; i < NAMES; i++)
        buffer_printf(&b, "; %s to %s%s", e->old[i] ? e->old[i]->cell : "-",
                      e->new[i] ? e->new[i]->cell : "-", e->unchanged[i] ? " unchanged" : "");
    fail_msg("form %d of%s, %s: %s", w->form, buffer_cstring(&b), event_op_name(e->op), got);
}

static void
check_rules(struct matcher_plan *plan, const struct rule *rules, const struct model_where *models,
            struct event *e, const struct model_event *m)
{
    static const int as_model[] = {
        [VERDICT_NO] = FALSE_, [VERDICT_YES] = TRUE_, [VERDICT_UNKNOWN] = MAYBE};
    struct matcher_ops *list = plan->ops[e->op];
    uint64_t set[4];
    assert_true(list->words <= countof(set));
    matcher_candidates(list, e, set);
    for (uint32_t i = 0; i < list->count; i++) {
        unsigned unknown = 99;
        const struct model_where *w = &models[list->rules[i]->rule - rules];
        int wanted = model_where(w, m), got = as_model[matcher_test(list->rules[i], e, &unknown)];
        if (got != wanted)
            fail_model(w, m, got == MAYBE ? "unknown" : got == TRUE_ ? "yes" : "no");
        if (wanted != FALSE_ && !(set[i / 64] & UINT64_C(1) << i % 64))
            fail_model(w, m, "the index leaves it out");
        if (got == MAYBE)
            assert_true(unknown < COLUMNS);
    }
}

static void
random_conditions_agree_with_a_model(void **state)
{
    enum { RULES = 100, EVENTS = 200, ROUNDS = 30 };
    static const char *const sources[] = {"shop"}, *const schemas[] = {"main"};
    static const struct rules_world world = {
        .sources = sources, .source_schemas = schemas, .source_count = 1};
    static struct rule rules[RULES];
    static struct model_where models[RULES];
    const struct schema *schema =
        event_make_schema("shop", "main", "m", "a:any:null", "b:any:null", "c:document:null");
    struct pattern pattern;
    struct error err = {0};
    (void)state;
    assert_int_equal(pattern_parse(slice_literal("shop:m"), &world, &pattern, &err), 0);
    for (int round = 0; round < ROUNDS; round++) {
        memset(rules, 0, sizeof(rules));
        for (size_t i = 0; i < RULES; i++) {
            struct value where = make_where(&models[i]);
            rules[i].enabled = rules[i].loaded = true;
            rules[i].patterns = &pattern;
            rules[i].pattern_count = 1;
            rules[i].ops = (1u << EVENT_OPS) - 2;
            if (where_compile(&where, &arena, &rules[i].where, &err) != 0)
                fail_msg("%s (%s)", err.message, err.hint);
        }
        struct matcher_plan *plan = matcher_plan_new(rules, RULES, &world, schema);
        for (size_t i = 0; i < RULES; i++)
            assert_null(plan->bounds[i].problem);
        for (int i = 0; i < EVENTS; i++) {
            struct model_event m;
            struct event e = make_event(&m, schema);
            check_rules(plan, rules, models, &e, &m);
        }
        matcher_plan_free(plan);
    }
}

static int
teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_conditions_agree_with_a_model),
    };
    arena_init(&arena, 0);
    return cmocka_run_group_tests(tests, NULL, teardown);
}
