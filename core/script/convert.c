#include <math.h>
#include "base/json.h"
#include "script/script_private.h"

#define CONVERT_DEPTH 64
/* Bytes that one conversion may take: tables that hold another twice, level by level, are small in
 * Lua and endless outside. */
#define CONVERT_ROOM (32 * 1024 * 1024)

static const char null_key = 0;

void
null_push(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)&null_key);
}

bool
null_is(lua_State *L, int index)
{
    return lua_touserdata(L, index) == &null_key;
}

static bool
has_meta(lua_State *L, int index, enum vm_slot slot)
{
    if (!lua_getmetatable(L, index))
        return false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, slot);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

/* A table is a list when it has entries 1…n and no others, or is marked as one. */
static bool
is_list(lua_State *L, int index, size_t *count)
{
    size_t keys = 0, length = lua_rawlen(L, index);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        keys++;
    *count = keys;
    if (keys == 0)
        return has_meta(L, index, SLOT_LIST_META);
    return keys == length;
}

struct converter {
    struct arena *arena;
    const char *what;
    int depth;
    size_t room; /* bytes left */
};

static void
take_room(lua_State *L, struct converter *c, size_t bytes)
{
    if (bytes > c->room)
        luaL_error(L, "%s: more than %d MiB of values", c->what, CONVERT_ROOM >> 20);
    c->room -= bytes;
}

/* A text of Lua's, copied; it stays on the stack. */
static struct slice
take_text(lua_State *L, int index, struct converter *c)
{
    struct slice text;
    text.data = lua_tolstring(L, index, &text.size);
    take_room(L, c, text.size + 1);
    return arena_slice(c->arena, text);
}

static void convert(lua_State *L, int index, struct converter *c, struct value *out);

static int
compare_pairs(const void *a, const void *b)
{
    return slice_compare(((const struct value_pair *)a)->key, ((const struct value_pair *)b)->key);
}

static void
convert_list(lua_State *L, int index, struct converter *c, size_t count, struct value *out)
{
    take_room(L, c, count * sizeof(*out->items));
    out->kind = VALUE_LIST;
    out->count = count;
    out->items = arena_zero(c->arena, (count ? count : 1) * sizeof(*out->items));
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        convert(L, lua_gettop(L), c, &out->items[i]);
        lua_pop(L, 1);
    }
}

static void
convert_map(lua_State *L, int index, struct converter *c, size_t count, struct value *out)
{
    take_room(L, c, count * sizeof(*out->pairs));
    out->kind = VALUE_MAP;
    out->count = count;
    out->pairs = arena_zero(c->arena, (count ? count : 1) * sizeof(*out->pairs));
    struct value_pair *pair = out->pairs;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1), pair++) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(
                L, "%s: a table has either keys that are names, or entries 1, 2, 3 … without holes",
                c->what);
        pair->key = take_text(L, -2, c);
        convert(L, lua_gettop(L), c, &pair->value);
    }
    qsort(out->pairs, count, sizeof(*out->pairs), compare_pairs);
}

/* gt(5) and its like: {name, argument, …} with the mark as metatable. */
static void
convert_call(lua_State *L, int index, struct converter *c, struct value *out)
{
    if (lua_rawgeti(L, index, 1) != LUA_TSTRING)
        luaL_error(L, "%s: a condition was changed after it was made", c->what);
    out->text = take_text(L, -1, c);
    lua_pop(L, 1);
    size_t count = lua_rawlen(L, index) - 1;
    take_room(L, c, count * sizeof(*out->items));
    out->kind = VALUE_CALL;
    out->count = count;
    out->items = arena_zero(c->arena, (count ? count : 1) * sizeof(*out->items));
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 2);
        convert(L, lua_gettop(L), c, &out->items[i]);
        lua_pop(L, 1);
    }
}

static void
convert_table(lua_State *L, int index, struct converter *c, struct value *out)
{
    luaL_checkstack(L, 6, c->what);
    if (++c->depth > CONVERT_DEPTH)
        luaL_error(L, "%s: tables nest deeper than %d, or hold themselves", c->what, CONVERT_DEPTH);
    size_t count;
    if (has_meta(L, index, SLOT_CALL_META))
        convert_call(L, index, c, out);
    else if (is_list(L, index, &count))
        convert_list(L, index, c, count, out);
    else
        convert_map(L, index, c, count, out);
    c->depth--;
}

static void
convert_number(lua_State *L, int index, struct value *out)
{
    if (lua_isinteger(L, index)) {
        out->kind = VALUE_INT;
        out->integer = lua_tointeger(L, index);
    } else {
        out->kind = VALUE_FLOAT;
        out->real = lua_tonumber(L, index);
    }
}

static void
convert_userdata(lua_State *L, int index, struct converter *c, struct value *out)
{
    if (null_is(L, index)) {
        out->kind = VALUE_NULL;
        return;
    }
    if (!bind_decimal_text(L, index, &out->text))
        luaL_error(L, "%s: an event or row can't stand here; take the values you need", c->what);
    take_room(L, c, out->text.size + 1);
    out->kind = VALUE_DECIMAL;
    out->text = arena_slice(c->arena, out->text);
}

static void
convert(lua_State *L, int index, struct converter *c, struct value *out)
{
    *out = (struct value){0};
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        break;
    case LUA_TBOOLEAN:
        out->kind = VALUE_BOOL;
        out->boolean = lua_toboolean(L, index);
        break;
    case LUA_TNUMBER:
        convert_number(L, index, out);
        break;
    case LUA_TSTRING:
        out->kind = VALUE_TEXT;
        out->text = take_text(L, index, c);
        break;
    case LUA_TTABLE:
        convert_table(L, index, c, out);
        break;
    case LUA_TFUNCTION:
        if (vm_of(L)->phase != PHASE_LOAD) /* a reference taken now would never be given back */
            luaL_error(L, "%s: a function can't be sent", c->what);
        lua_pushvalue(L, index);
        out->kind = VALUE_FUNCTION;
        out->integer = luaL_ref(L, LUA_REGISTRYINDEX);
        break;
    case LUA_TLIGHTUSERDATA:
    case LUA_TUSERDATA:
        convert_userdata(L, index, c, out);
        break;
    default:
        luaL_error(L, "%s: a %s can't stand here", c->what, luaL_typename(L, index));
    }
}

void
convert_value(lua_State *L, int index, struct arena *arena, const char *what, struct value *out)
{
    struct converter c = {.arena = arena, .what = what, .room = CONVERT_ROOM};
    convert(L, lua_absindex(L, index), &c, out);
}

/* Functions and markers have no JSON; a float that is no number has none either. */
static void
check_json(lua_State *L, const struct value *v, const char *what)
{
    if (v->kind == VALUE_FUNCTION || v->kind == VALUE_CALL || v->kind == VALUE_SECRET)
        luaL_error(L, "%s: a %s can't be sent", what, value_kind_name(v->kind));
    if (v->kind == VALUE_FLOAT && !isfinite(v->real))
        luaL_error(L, "%s: %s is no number that JSON can hold", what,
                   isnan(v->real) ? "NaN" : "infinity");
    for (size_t i = 0; i < v->count && v->kind == VALUE_LIST; i++)
        check_json(L, &v->items[i], what);
    for (size_t i = 0; i < v->count && v->kind == VALUE_MAP; i++)
        check_json(L, &v->pairs[i].value, what);
}

void
convert_json(lua_State *L, int index, struct buffer *out, const char *what)
{
    struct vm *vm = vm_of(L);
    struct value value;
    arena_reset(&vm->call);
    convert_value(L, index, &vm->call, what, &value);
    check_json(L, &value, what);
    json_value(out, &value);
}

static void
push_items(lua_State *L, const struct value *v)
{
    lua_createtable(L, (int)v->count, 0);
    for (size_t i = 0; i < v->count; i++) {
        convert_push(L, &v->items[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_LIST_META);
    lua_setmetatable(L, -2);
}

static void
push_pairs(lua_State *L, const struct value *v)
{
    lua_createtable(L, 0, (int)v->count);
    for (size_t i = 0; i < v->count; i++) {
        lua_pushlstring(L, v->pairs[i].key.data, v->pairs[i].key.size);
        convert_push(L, &v->pairs[i].value);
        lua_rawset(L, -3);
    }
}

void
convert_push(lua_State *L, const struct value *v)
{
    luaL_checkstack(L, 8, "value");
    switch (v->kind) {
    case VALUE_NULL:
        null_push(L);
        break;
    case VALUE_BOOL:
        lua_pushboolean(L, v->boolean);
        break;
    case VALUE_INT:
        lua_pushinteger(L, v->integer);
        break;
    case VALUE_FLOAT:
        lua_pushnumber(L, v->real);
        break;
    case VALUE_DECIMAL:
        bind_decimal_number(L, v->text);
        break;
    case VALUE_TEXT:
        lua_pushlstring(L, v->text.data, v->text.size);
        break;
    case VALUE_LIST:
        push_items(L, v);
        break;
    case VALUE_MAP:
        push_pairs(L, v);
        break;
    default:
        lua_pushnil(L);
    }
}

void
convert_push_json(lua_State *L, struct slice json)
{
    struct vm *vm = vm_of(L);
    struct value value;
    struct error err = {0};
    arena_reset(&vm->call);
    if (json_parse(json, &vm->call, &value, &err) != 0)
        raise_error(L, &err);
    convert_push(L, &value);
}
