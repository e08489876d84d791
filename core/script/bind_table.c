/* The table library, written again: raw access, so that no metamethod lies about a length, and each
 * loop asks the budget. */
#include <limits.h>
#include "script/script_private.h"

static void
step(lua_State *L)
{
    budget_steps(L, &vm_of(L)->budget, 1);
}

static lua_Integer
take_length(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    return (lua_Integer)lua_rawlen(L, 1);
}

static int
table_insert(lua_State *L)
{
    lua_Integer end = (lua_Integer)((lua_Unsigned)take_length(L) + 1), at = end;
    int count = lua_gettop(L);
    if (count != 2 && count != 3)
        return luaL_error(L, "wrong number of arguments to 'insert'");
    if (count == 3) {
        at = luaL_checkinteger(L, 2);
        luaL_argcheck(L, (lua_Unsigned)at - 1u < (lua_Unsigned)end, 2, "position out of bounds");
    }
    for (lua_Integer i = end; i > at; i--) {
        step(L);
        lua_rawgeti(L, 1, i - 1);
        lua_rawseti(L, 1, i);
    }
    lua_rawseti(L, 1, at);
    return 0;
}

static int
table_remove(lua_State *L)
{
    lua_Integer size = take_length(L), at = luaL_optinteger(L, 2, size);
    if (lua_gettop(L) > 1)
        luaL_argcheck(L, at == size || (lua_Unsigned)at - 1u <= (lua_Unsigned)size, 2,
                      "position out of bounds");
    lua_rawgeti(L, 1, at);
    for (; at < size; at++) {
        step(L);
        lua_rawgeti(L, 1, at + 1);
        lua_rawseti(L, 1, at);
    }
    lua_pushnil(L);
    lua_rawseti(L, 1, at);
    return 1;
}

static void
move_one(lua_State *L, int to, lua_Integer source, lua_Integer target)
{
    step(L);
    lua_rawgeti(L, 1, source);
    lua_rawseti(L, to, target);
}

static int
table_move(lua_State *L)
{
    lua_Integer from = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);
    lua_Integer target = luaL_checkinteger(L, 4);
    int to = lua_isnoneornil(L, 5) ? 1 : 5;
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, to, LUA_TTABLE);
    if (last >= from) {
        luaL_argcheck(L, from > 0 || last < LUA_MAXINTEGER + from, 3, "too many elements to move");
        lua_Integer count = last - from + 1;
        luaL_argcheck(L, target <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
        if (target > last || target <= from || (to != 1 && !lua_rawequal(L, 1, to)))
            for (lua_Integer i = 0; i < count; i++)
                move_one(L, to, from + i, target + i);
        else
            for (lua_Integer i = count; i > 0; i--)
                move_one(L, to, from + i - 1, target + i - 1);
    }
    lua_pushvalue(L, to);
    return 1;
}

static int
table_concat(lua_State *L)
{
    struct buffer *out = &vm_of(L)->scratch;
    struct slice between, item;
    lua_Integer size = take_length(L);
    between.data = luaL_optlstring(L, 2, "", &between.size);
    lua_Integer i = luaL_optinteger(L, 3, 1), last = luaL_optinteger(L, 4, size);
    buffer_reset(out);
    for (bool more = i <= last; more; more = i++ < last) {
        step(L);
        lua_rawgeti(L, 1, i);
        if (!lua_isstring(L, -1))
            return luaL_error(L, "invalid value (at index %I) in table for 'concat'",
                              (LUAI_UACINT)i);
        item.data = lua_tolstring(L, -1, &item.size);
        buffer_slice(out, item);
        if (i < last)
            buffer_slice(out, between);
        if (out->failed)
            return luaL_error(L, "table.concat: the result is larger than %d MiB",
                              BUDGET_TEXT >> 20);
        lua_pop(L, 1);
    }
    lua_pushlstring(L, buffer_view(out).data, out->size);
    return 1;
}

static int
table_unpack(lua_State *L)
{
    lua_Integer i = luaL_optinteger(L, 2, 1);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Integer last = luaL_optinteger(L, 3, (lua_Integer)lua_rawlen(L, 1));
    if (i > last)
        return 0;
    lua_Unsigned count = (lua_Unsigned)last - (lua_Unsigned)i;
    if (count >= INT_MAX || !lua_checkstack(L, (int)count + 1))
        return luaL_error(L, "too many results to unpack");
    for (; i < last; i++) {
        step(L);
        lua_rawgeti(L, 1, i);
    }
    lua_rawgeti(L, 1, last);
    return (int)count + 1;
}

/* Sorting. Stack: 1 the table, 2 the comparison or nil, 3 room for half of the entries. */
enum { SORT_SHORT = 8 }; /* so many are sorted by insertion */

/* Is the value at index a less than that at b? */
static bool
is_less(lua_State *L, int a, int b)
{
    step(L);
    if (lua_isnil(L, 2))
        return lua_compare(L, a, b, LUA_OPLT);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, a);
    lua_pushvalue(L, b);
    lua_call(L, 2, 1);
    bool less = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return less;
}

static void
sort_short(lua_State *L, lua_Integer from, lua_Integer last)
{
    int top = lua_gettop(L);
    for (lua_Integer i = from + 1; i <= last; i++) {
        lua_Integer k = i;
        lua_rawgeti(L, 1, i);
        for (; k > from; k--) {
            lua_rawgeti(L, 1, k - 1);
            if (!is_less(L, top + 1, top + 2))
                break;
            lua_rawseti(L, 1, k);
        }
        lua_settop(L, top + 1);
        lua_rawseti(L, 1, k);
    }
}

/* Two sorted runs into one: the left one moves out of the way first. Equal ones keep their order.
 */
static void
merge(lua_State *L, lua_Integer from, lua_Integer middle, lua_Integer last)
{
    lua_Integer left = middle - from + 1, i = 1, k = middle + 1, to = from;
    int top = lua_gettop(L);
    for (lua_Integer n = 1; n <= left; n++) {
        step(L);
        lua_rawgeti(L, 1, from + n - 1);
        lua_rawseti(L, 3, n);
    }
    while (i <= left && k <= last) {
        lua_rawgeti(L, 3, i);
        lua_rawgeti(L, 1, k);
        bool right = is_less(L, top + 2, top + 1);
        lua_settop(L, right ? top + 2 : top + 1);
        lua_rawseti(L, 1, to++);
        lua_settop(L, top);
        *(right ? &k : &i) += 1;
    }
    for (; i <= left; i++) {
        step(L);
        lua_rawgeti(L, 3, i);
        lua_rawseti(L, 1, to++);
    }
}

static void
sort(lua_State *L, lua_Integer from, lua_Integer last)
{
    if (last - from < SORT_SHORT) {
        sort_short(L, from, last);
        return;
    }
    lua_Integer middle = from + (last - from) / 2;
    sort(L, from, middle);
    sort(L, middle + 1, last);
    lua_rawgeti(L, 1, middle);
    lua_rawgeti(L, 1, middle + 1);
    bool apart = is_less(L, lua_gettop(L), lua_gettop(L) - 1);
    lua_pop(L, 2);
    if (apart)
        merge(L, from, middle, last);
}

static int
table_sort(lua_State *L)
{
    lua_Integer size = take_length(L);
    luaL_argcheck(L, size < INT_MAX, 1, "array too big");
    if (size < 2)
        return 0;
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    luaL_checkstack(L, 20, "sort");
    lua_createtable(L, size > SORT_SHORT ? (int)(size / 2 + 1) : 0, 0);
    sort(L, 1, size);
    return 0;
}

static const luaL_Reg functions[] = {
    {"insert", table_insert},
    {"remove", table_remove},
    {"move", table_move},
    {"concat", table_concat},
    {"unpack", table_unpack},
    {"sort", table_sort},
    {NULL, NULL},
};

void
bind_table_open(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
}
