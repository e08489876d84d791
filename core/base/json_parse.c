#include <stdlib.h>

#include "base/decimal.h"
#include "base/json.h"
#include "yyjson/yyjson.h"

static void *
parse_alloc(void *context, size_t size)
{
    (void)context;
    return memory_alloc(size);
}

static void *
parse_grow(void *context, void *old, size_t old_size, size_t size)
{
    (void)context;
    (void)old_size;
    return memory_grow(old, size);
}

static void
parse_free(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static const yyjson_alc allocator = {parse_alloc, parse_grow, parse_free, NULL};

static struct slice
text_of(yyjson_val *from, struct arena *arena)
{
    return arena_slice(arena,
                       (struct slice){unsafe_yyjson_get_str(from), unsafe_yyjson_get_len(from)});
}

static void
number_value(yyjson_val *from, struct arena *arena, struct value *out)
{
    struct slice text = {unsafe_yyjson_get_raw(from), unsafe_yyjson_get_len(from)};
    double real;
    bool whole = !memchr(text.data, '.', text.size) && !memchr(text.data, 'e', text.size) &&
                 !memchr(text.data, 'E', text.size);
    if (whole && decimal_classify(text, &out->integer, &real) == 1) {
        out->kind = VALUE_INT;
    } else {
        out->kind = VALUE_DECIMAL;
        out->text = arena_slice(arena, text);
    }
}

static bool convert(yyjson_val *from, struct arena *arena, int depth, struct value *out);

static bool
list_value(yyjson_val *from, struct arena *arena, int depth, struct value *out)
{
    size_t i, count;
    yyjson_val *item;
    out->kind = VALUE_LIST;
    out->count = unsafe_yyjson_get_len(from);
    out->items = arena_zero(arena, out->count * sizeof(*out->items));
    yyjson_arr_foreach(from, i, count, item)
    {
        if (!convert(item, arena, depth + 1, &out->items[i]))
            return false;
    }
    return true;
}

static bool
map_value(yyjson_val *from, struct arena *arena, int depth, struct value *out)
{
    size_t i, count;
    yyjson_val *key, *item;
    out->kind = VALUE_MAP;
    out->count = unsafe_yyjson_get_len(from);
    out->pairs = arena_zero(arena, out->count * sizeof(*out->pairs));
    yyjson_obj_foreach(from, i, count, key, item)
    {
        out->pairs[i].key = text_of(key, arena);
        if (!convert(item, arena, depth + 1, &out->pairs[i].value))
            return false;
    }
    return true;
}

/* False when it nests deeper than JSON_DEPTH; `depth` counts the brackets around `from`. */
static bool
convert(yyjson_val *from, struct arena *arena, int depth, struct value *out)
{
    *out = (struct value){0};
    switch (unsafe_yyjson_get_type(from)) {
    case YYJSON_TYPE_BOOL:
        out->kind = VALUE_BOOL;
        out->boolean = unsafe_yyjson_get_bool(from);
        return true;
    case YYJSON_TYPE_RAW:
        number_value(from, arena, out);
        return true;
    case YYJSON_TYPE_STR:
        out->kind = VALUE_TEXT;
        out->text = text_of(from, arena);
        return true;
    case YYJSON_TYPE_ARR:
        return depth < JSON_DEPTH && list_value(from, arena, depth, out);
    case YYJSON_TYPE_OBJ:
        return depth < JSON_DEPTH && map_value(from, arena, depth, out);
    default:
        out->kind = VALUE_NULL;
        return true;
    }
}

int
json_parse(struct slice text, struct arena *arena, struct value *out, struct error *err)
{
    yyjson_read_err problem = {0};
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.data, text.size,
                                       YYJSON_READ_NUMBER_AS_RAW, &allocator, &problem);
    if (!doc)
        return error_set(err, ERROR_DATA, "invalid JSON at byte %zu: %s", problem.pos, problem.msg);
    bool fits = convert(yyjson_doc_get_root(doc), arena, 0, out);
    yyjson_doc_free(doc);
    if (!fits)
        return error_set(err, ERROR_DATA, "invalid JSON: nested deeper than %d levels", JSON_DEPTH);
    return 0;
}
