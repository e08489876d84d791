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

const char *
value_kind_name(enum value_kind kind)
{
    ensure((size_t)kind < countof(kind_names));
    return kind_names[kind];
}
