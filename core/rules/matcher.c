#include "rules/matcher.h"
#include <stdlib.h>
#include "base/decimal.h"

enum {
    INDEX_FROM = 8, /* fewer rules are tested one by one */
    NO_ITEM = UINT32_MAX,
    TEXT_LIMIT = 1 << 30, /* bytes of one text inside a document: more than an event has */
};

/* One entry of a hash index: a literal's key and the rule it belongs to. */
struct item {
    uint64_t key;
    uint32_t rule, next;
};

/* One bound of a range: from here on, or up to here, the rule is worth a test. */
struct bound {
    const struct literal *literal;
    uint32_t rule;
};

struct bounds {
    struct bound *list; /* rising */
    uint32_t count;
};

struct matcher_index {
    struct where_place place;
    uint32_t mask; /* of heads */
    uint32_t *heads;
    struct item *items;
    uint32_t item_count;
    struct bounds lower, upper; /* gt and ge; lt and le */
    uint64_t *all;              /* every rule of this index */
    uint64_t *ranges;           /* those with a range */
    uint64_t *nulls;            /* those that ask for NULL */
    bool has_ranges;
};

static void
set_bit(uint64_t *set, uint32_t bit)
{
    set[bit / 64] |= UINT64_C(1) << bit % 64;
}

static void
add_set(uint64_t *set, const uint64_t *more, uint32_t words)
{
    for (uint32_t i = 0; i < words; i++)
        set[i] |= more[i];
}

static int
bind_changed(const struct rule *rule, const struct schema *schema, struct matcher_bound *out,
             struct error *err)
{
    for (size_t i = 0; i < rule->changed_count; i++) {
        int column = where_column(schema, rule->changed[i], err);
        if (column < 0)
            return error_context(err, "changed");
        out->changed[i] = (uint16_t)column;
    }
    return 0;
}

static int
check_columns(const char *const *columns, size_t count, const struct schema *schema,
              struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (where_column(schema, slice_of(columns[i]), err) < 0)
            return error_context(err, "columns");
    return 0;
}

int
matcher_bind(const struct rule *rule, const struct schema *schema, struct arena *arena,
             struct matcher_bound *out, struct error *err)
{
    out->where = arena_zero(arena, (rule->where.name_count + 1) * sizeof(*out->where));
    out->changed = arena_zero(arena, (rule->changed_count + 1) * sizeof(*out->changed));
    if (!schema->table.size) /* a gap or message of a whole source has no columns to look at */
        return 0;
    if (where_bind(&rule->where, schema, out->where, err) != 0 ||
        bind_changed(rule, schema, out, err) != 0 ||
        check_columns(rule->columns, rule->column_count, schema, err) != 0 ||
        check_columns(rule->wording.columns, rule->wording.column_count, schema, err) != 0)
        return -1;
    return wording_check(&rule->wording, schema, err);
}

bool
matcher_listens(const struct rule *rule, const struct rules_world *world,
                const struct schema *schema)
{
    for (int op = EVENT_INSERT; op < EVENT_OPS; op++)
        if (rule_listens(rule, world, schema, (enum event_op)op))
            return true;
    return false;
}

static void
bind_rules(struct matcher_plan *plan, struct rule *rules, size_t count,
           const struct rules_world *world)
{
    plan->bounds = arena_zero(&plan->arena, (count + 1) * sizeof(*plan->bounds));
    for (size_t i = 0; i < count; i++) {
        struct error err = {0};
        struct rule *rule = &rules[i];
        if (!rule->enabled || !rule->loaded || !matcher_listens(rule, world, plan->schema))
            continue;
        struct matcher_bound *b = &plan->bounds[plan->bound_count++];
        b->rule = rule;
        b->scratch = &plan->scratch;
        if (matcher_bind(rule, plan->schema, &plan->arena, b, &err) == 0)
            continue;
        b->problem = arena_alloc(&plan->arena, sizeof(err));
        *b->problem = err;
    }
}

static bool
has_row(enum event_op op)
{
    return op == EVENT_INSERT || op == EVENT_UPDATE || op == EVENT_DELETE || op == EVENT_READ;
}

/* What must hold of the row that is looked at if the condition does. */
static const struct condition *
condition_of_row(const struct condition *c)
{
    return c->op == CONDITION_CHANGED_TO ? c->parts : c;
}

/* The condition by which a rule is found: an equality if it has one, else a range of numbers. */
static const struct condition *
anchor_of(const struct matcher_bound *b)
{
    const struct where *w = &b->rule->where;
    const struct condition *best = NULL;
    for (uint32_t i = 0; i < w->count && !b->problem; i++) {
        const struct condition *c = condition_of_row(&w->conditions[i]);
        bool range =
            c->op >= CONDITION_GT && c->op <= CONDITION_BETWEEN && c->literals[0].has_number;
        if (c->op != CONDITION_EQ && !range)
            continue;
        if (best &&
            !(c->op == CONDITION_EQ && (best->op != CONDITION_EQ || c->count < best->count)))
            continue;
        best = c;
    }
    return best;
}

static bool
same_place(const struct where_place *a, const struct where_place *b)
{
    return a->column == b->column && slice_equal(a->path, b->path);
}

static struct matcher_index *
index_of(struct matcher_plan *plan, struct matcher_ops *ops, const struct where_place *place)
{
    for (uint32_t i = 0; i < ops->index_count; i++)
        if (same_place(&ops->indexes[i].place, place))
            return &ops->indexes[i];
    struct matcher_index *index = &ops->indexes[ops->index_count++];
    index->place = *place;
    index->all = arena_zero(&plan->arena, ops->words * sizeof(uint64_t));
    index->ranges = arena_zero(&plan->arena, ops->words * sizeof(uint64_t));
    index->nulls = arena_zero(&plan->arena, ops->words * sizeof(uint64_t));
    return index;
}

/* Where the rules of one op go: counted first, then filled in. */
struct builder {
    struct matcher_plan *plan;
    struct matcher_ops *ops;
    const struct condition **anchors;
    struct matcher_index **indexes; /* of the anchors */
};

static void
add_equal(struct matcher_index *index, const struct condition *c, uint32_t rule)
{
    uint64_t keys[LITERAL_KEYS];
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->literals[i].kind == VALUE_NULL)
            set_bit(index->nulls, rule);
        size_t count = literal_keys(&c->literals[i], keys);
        for (size_t k = 0; k < count; k++)
            index->items[index->item_count++] = (struct item){keys[k], rule, NO_ITEM};
    }
}

static void
add_range(struct matcher_index *index, const struct condition *c, uint32_t rule)
{
    bool lower = c->op != CONDITION_LT && c->op != CONDITION_LE; /* the first of between */
    struct bounds *bounds = lower ? &index->lower : &index->upper;
    bounds->list[bounds->count++] = (struct bound){&c->literals[0], rule};
    set_bit(index->ranges, rule);
    index->has_ranges = true;
}

static int
compare_bounds(const void *a, const void *b)
{
    int order = 0;
    decimal_compare_text(((const struct bound *)a)->literal->number,
                         ((const struct bound *)b)->literal->number, &order);
    return order;
}

static void
link_items(struct matcher_index *index, struct arena *arena)
{
    uint32_t size = 8;
    while (size < index->item_count * 2)
        size *= 2;
    index->mask = size - 1;
    index->heads = arena_alloc(arena, size * sizeof(*index->heads));
    memset(index->heads, 0xff, size * sizeof(*index->heads));
    for (uint32_t i = 0; i < index->item_count; i++) {
        uint32_t *head = &index->heads[index->items[i].key & index->mask];
        index->items[i].next = *head;
        *head = i;
    }
}

static void
fill_index(struct builder *b, struct matcher_index *index)
{
    struct arena *arena = &b->plan->arena;
    size_t items = 0, ranges = 0;
    for (uint32_t i = 0; i < b->ops->count; i++) {
        if (b->indexes[i] != index)
            continue;
        items += b->anchors[i]->op == CONDITION_EQ ? b->anchors[i]->count * LITERAL_KEYS : 0;
        ranges++;
    }
    index->items = arena_alloc(arena, (items + 1) * sizeof(*index->items));
    index->lower.list = arena_alloc(arena, ranges * sizeof(struct bound));
    index->upper.list = arena_alloc(arena, ranges * sizeof(struct bound));
    for (uint32_t i = 0; i < b->ops->count; i++) {
        if (b->indexes[i] != index)
            continue;
        set_bit(index->all, i);
        if (b->anchors[i]->op == CONDITION_EQ)
            add_equal(index, b->anchors[i], i);
        else
            add_range(index, b->anchors[i], i);
    }
    qsort(index->lower.list, index->lower.count, sizeof(struct bound), compare_bounds);
    qsort(index->upper.list, index->upper.count, sizeof(struct bound), compare_bounds);
    link_items(index, arena);
}

static void
build_indexes(struct matcher_plan *plan, struct matcher_ops *ops)
{
    struct builder b = {.plan = plan, .ops = ops};
    b.anchors = memory_zero(ops->count * sizeof(*b.anchors));
    b.indexes = memory_zero(ops->count * sizeof(*b.indexes));
    ops->indexes = arena_zero(&plan->arena, ops->count * sizeof(*ops->indexes));
    for (uint32_t i = 0; i < ops->count; i++) {
        b.anchors[i] = anchor_of(ops->rules[i]);
        if (b.anchors[i])
            b.indexes[i] = index_of(plan, ops, &ops->rules[i]->where[b.anchors[i]->name]);
        else
            set_bit(ops->always, i);
    }
    for (uint32_t i = 0; i < ops->index_count; i++)
        fill_index(&b, &ops->indexes[i]);
    free(b.anchors);
    free(b.indexes);
}

static void
build_ops(struct matcher_plan *plan, const struct rules_world *world, enum event_op op)
{
    struct matcher_ops *ops = arena_zero(&plan->arena, sizeof(*ops));
    ops->rules = arena_alloc(&plan->arena, (plan->bound_count + 1) * sizeof(*ops->rules));
    for (uint32_t i = 0; i < plan->bound_count; i++)
        if (rule_listens(plan->bounds[i].rule, world, plan->schema, op))
            ops->rules[ops->count++] = &plan->bounds[i];
    if (!ops->count)
        return;
    plan->ops[op] = ops;
    ops->scratch = &plan->scratch;
    ops->words = (ops->count + 63) / 64;
    ops->always = arena_zero(&plan->arena, ops->words * sizeof(uint64_t));
    if (ops->count >= INDEX_FROM && has_row(op)) {
        build_indexes(plan, ops);
        return;
    }
    for (uint32_t i = 0; i < ops->count; i++)
        set_bit(ops->always, i);
}

struct matcher_plan *
matcher_plan_new(struct rule *rules, size_t count, const struct rules_world *world,
                 const struct schema *schema)
{
    struct matcher_plan *plan = memory_zero(sizeof(*plan));
    plan->schema = schema;
    arena_init(&plan->arena, 0);
    buffer_init(&plan->scratch, TEXT_LIMIT);
    bind_rules(plan, rules, count, world);
    for (int op = EVENT_INSERT; op < EVENT_OPS && plan->bound_count; op++)
        build_ops(plan, world, (enum event_op)op);
    return plan;
}

void
matcher_plan_free(struct matcher_plan *plan)
{
    arena_release(&plan->arena);
    buffer_release(&plan->scratch);
    free(plan);
}

static bool
is_number(const struct cell *cell)
{
    return cell->kind == CELL_INT || cell->kind == CELL_FLOAT || cell->kind == CELL_DECIMAL;
}

/* How many of the rising bounds stand at or below the cell; `count` when it has no place. */
static uint32_t
bounds_below(const struct bounds *b, const struct cell *cell)
{
    uint32_t low = 0, high = b->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = literal_compare(cell, b->list[middle].literal);
        if (order == LITERAL_APART)
            return b->count;
        if (order >= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
find_ranges(const struct matcher_index *index, const struct cell *cell, uint64_t *set,
            uint32_t words)
{
    if (cell->kind == CELL_NULL)
        return;
    if (!is_number(cell)) { /* a text literal may have a reading that no order of numbers knows */
        add_set(set, index->ranges, words);
        return;
    }
    uint32_t below = bounds_below(&index->lower, cell);
    for (uint32_t i = 0; i < below; i++)
        set_bit(set, index->lower.list[i].rule);
    /* From the last bound that equals the cell: those below it cannot be reached from above. */
    below = bounds_below(&index->upper, cell);
    for (uint32_t i = index->upper.count; i > 0; i--) {
        if (i <= below && literal_compare(cell, index->upper.list[i - 1].literal) > 0)
            break;
        set_bit(set, index->upper.list[i - 1].rule);
    }
}

static void
find_equal(const struct matcher_index *index, const struct cell *cell, uint64_t *set)
{
    uint64_t key;
    if (!literal_cell_key(cell, &key))
        return;
    for (uint32_t i = index->heads[key & index->mask]; i != NO_ITEM; i = index->items[i].next)
        if (index->items[i].key == key)
            set_bit(set, index->items[i].rule);
}

void
matcher_candidates(const struct matcher_ops *ops, struct event *e, uint64_t *set)
{
    struct where_look look;
    memcpy(set, ops->always, ops->words * sizeof(*set));
    where_look_init(&look, e, ops->scratch);
    for (uint32_t i = 0; i < ops->index_count; i++) {
        const struct matcher_index *index = &ops->indexes[i];
        const struct cell *cell = where_cell(&look, &index->place);
        if (!where_knows(cell)) {
            add_set(set, index->all, ops->words);
            continue;
        }
        if (cell->kind == CELL_NULL)
            add_set(set, index->nulls, ops->words);
        else
            find_equal(index, cell, set);
        if (index->has_ranges)
            find_ranges(index, cell, set, ops->words);
    }
}

/* Any of these changed: unknown only if none is known to have. */
static enum verdict
test_changed(const struct matcher_bound *b, struct event *e, unsigned *unknown)
{
    enum verdict any = VERDICT_NO;
    if (e->op != EVENT_UPDATE || !b->rule->changed_count)
        return VERDICT_YES;
    for (size_t i = 0; i < b->rule->changed_count; i++) {
        enum change change = event_changed(e, b->changed[i]);
        if (change == CHANGE_YES)
            return VERDICT_YES;
        if (change == CHANGE_UNKNOWN) {
            any = VERDICT_UNKNOWN;
            *unknown = b->changed[i];
        }
    }
    return any;
}

enum verdict
matcher_test(const struct matcher_bound *b, struct event *e, unsigned *unknown)
{
    enum verdict changed, where;
    struct where_look look;
    if (!has_row(e->op))
        return b->rule->where.count ? VERDICT_NO : VERDICT_YES;
    changed = test_changed(b, e, unknown);
    if (changed == VERDICT_NO)
        return VERDICT_NO;
    where_look_init(&look, e, b->scratch);
    where = where_test(&b->rule->where, b->where, &look);
    if (where != VERDICT_UNKNOWN)
        return where == VERDICT_NO ? VERDICT_NO : changed;
    if (changed != VERDICT_UNKNOWN)
        *unknown = (unsigned)look.unknown;
    return VERDICT_UNKNOWN;
}
