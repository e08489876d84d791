/* Conditions of a rule, as JSON: {"column": literal, "column": {"gt": literal}}. Whatever they are,
 * they compile or are refused, and what compiles can be asked of any cell; a cell that equals a
 * literal is found by the literal's keys. */
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
    {.kind = CELL_TIME, .has_us = true, .integer = 0, .text = {"1970-01-01", 10}},
    {.kind = CELL_TIME, .text = {"infinity", 8}},
    {.kind = CELL_TIME, .text = {"12:30:00", 8}},
};

/* {"gt": 5} and {"one_of": [1, 2]} become what gt(5) and one_of(1, 2) are. */
static void
make_calls(struct value *map, struct arena *arena)
{
    for (size_t i = 0; map->kind == VALUE_MAP && i < map->count; i++) {
        struct value *v = &map->pairs[i].value;
        if (v->kind != VALUE_MAP || v->count != 1)
            continue;
        struct value_pair only = v->pairs[0];
        *v = (struct value){.kind = VALUE_CALL, .text = only.key, .count = 1};
        v->items = arena_alloc(arena, sizeof(*v->items));
        *v->items = only.value;
        if (only.value.kind == VALUE_LIST) {
            v->count = only.value.count;
            v->items = only.value.items;
        }
    }
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
check_condition(const struct condition *c)
{
    struct error err = {0};
    for (unsigned family = FAMILY_ANY; family <= FAMILY_TIME; family++) {
        struct column column = {.name = slice_literal("c"), .family = (uint8_t)family};
        for (uint32_t i = 0; i < c->count; i++)
            if (literal_check(&c->literals[i], &column, &err) != 0)
                ensure(err.message[0]);
    }
    for (size_t i = 0; i < countof(cells); i++) {
        enum verdict verdict = condition_test(c, &cells[i]);
        ensure((verdict == VERDICT_UNKNOWN) == !where_knows(&cells[i]));
        for (uint32_t k = 0; k < c->count; k++)
            check_keys(&c->literals[k], &cells[i]);
    }
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
        make_calls(&value, &arena);
        if (where_compile(&value, &arena, &where, &err) == 0)
            for (uint32_t i = 0; i < where.count; i++)
                check_condition(&where.conditions[i]);
        else
            ensure(err.class != ERROR_NONE && err.message[0]);
    }
    arena_release(&arena);
    return 0;
}
