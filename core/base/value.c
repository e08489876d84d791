#include "base/value.h"

static const char *const kind_names[] = {
    [VALUE_NIL] = "nothing",      [VALUE_NULL] = "null",         [VALUE_BOOL] = "boolean",
    [VALUE_INT] = "whole number", [VALUE_FLOAT] = "number",      [VALUE_DECIMAL] = "decimal number",
    [VALUE_TEXT] = "text",        [VALUE_LIST] = "list",         [VALUE_MAP] = "map",
    [VALUE_CALL] = "condition",   [VALUE_FUNCTION] = "function", [VALUE_SECRET] = "secret",
};

const struct value *
value_get(const struct value *map, const char *key)
{
    if (!map || map->kind != VALUE_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (slice_is(map->pairs[i].key, key))
            return &map->pairs[i].value;
    return NULL;
}

const char *
value_text(const struct value *map, const char *key, const char *fallback)
{
    const struct value *value = value_get(map, key);
    return value && value->kind == VALUE_TEXT ? value->text.data : fallback;
}

int64_t
value_int(const struct value *map, const char *key, int64_t fallback)
{
    const struct value *value = value_get(map, key);
    return value && value->kind == VALUE_INT ? value->integer : fallback;
}

bool
value_bool(const struct value *map, const char *key, bool fallback)
{
    const struct value *value = value_get(map, key);
    return value && value->kind == VALUE_BOOL ? value->boolean : fallback;
}

static struct value *
copy_items(const struct value *from, struct arena *arena)
{
    struct value *items = arena_alloc(arena, from->count * sizeof(*items));
    for (size_t i = 0; i < from->count; i++)
        items[i] = value_copy(&from->items[i], arena);
    return items;
}

static struct value_pair *
copy_pairs(const struct value *from, struct arena *arena)
{
    struct value_pair *pairs = arena_alloc(arena, from->count * sizeof(*pairs));
    for (size_t i = 0; i < from->count; i++) {
        pairs[i].key = arena_slice(arena, from->pairs[i].key);
        pairs[i].value = value_copy(&from->pairs[i].value, arena);
    }
    return pairs;
}

struct value
value_copy(const struct value *value, struct arena *arena)
{
    struct value copy = *value;
    if (value->text.data)
        copy.text = arena_slice(arena, value->text);
    if (value->kind == VALUE_LIST || value->kind == VALUE_CALL)
        copy.items = copy_items(value, arena);
    if (value->kind == VALUE_MAP)
        copy.pairs = copy_pairs(value, arena);
    return copy;
}

const char *
value_kind_name(enum value_kind kind)
{
    ensure((size_t)kind < countof(kind_names));
    return kind_names[kind];
}
