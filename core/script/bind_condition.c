/* The conditions of `where`. Here they only become marked tables {name, argument …}, which
 * convert.c knows; what they take and mean is decided where rules are compiled. */
#include "script/script_private.h"

/* one_of({ "a", "b" }) is one_of("a", "b"), but any_of({ status = "paid" }) has one where-table. */
static bool
is_list(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TTABLE || lua_getmetatable(L, index))
        return false;
    if (lua_rawlen(L, index) > 0)
        return true;
    lua_pushnil(L);
    return lua_next(L, index) == 0;
}

/* Upvalues: name, whether a list may stand for its entries. */
static int
bind_condition(lua_State *L)
{
    const char *name = lua_tostring(L, lua_upvalueindex(1));
    int count = lua_gettop(L);
    bool list = count == 1 && lua_toboolean(L, lua_upvalueindex(2)) && is_list(L, 1);
    lua_settop(L, count);
    if (vm_of(L)->phase != PHASE_LOAD)
        return luaL_error(L,
                          "%s is a condition for where, evaluated without Lua; in a handler "
                          "compare the values themselves",
                          name);
    lua_Integer items = list ? (lua_Integer)lua_rawlen(L, 1) : count;
    lua_createtable(L, (int)items + 1, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_rawseti(L, -2, 1);
    for (lua_Integer i = 1; i <= items; i++) {
        if (list)
            lua_rawgeti(L, 1, i);
        else
            lua_pushvalue(L, (int)i);
        if (lua_isnil(L, -1))
            return luaL_error(L, "%s: nil is no value; write null for NULL", name);
        lua_rawseti(L, -2, i + 1);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_CALL_META);
    lua_setmetatable(L, -2);
    return 1;
}

static const struct {
    const char *name;
    bool many;
} conditions[] = {
    {"gt", false},      {"ge", false},         {"lt", false},           {"le", false},
    {"ne", false},      {"one_of", true},      {"like", false},         {"ilike", false},
    {"between", false}, {"is_null", false},    {"any_of", true},        {"all_of", true},
    {"not_", false},    {"changed_to", false}, {"changed_from", false},
};

void
bind_condition_open(lua_State *L)
{
    for (size_t i = 0; i < countof(conditions); i++) {
        lua_pushstring(L, conditions[i].name);
        lua_pushboolean(L, conditions[i].many);
        lua_pushcclosure(L, bind_condition, 2);
        lua_setfield(L, -2, conditions[i].name);
    }
}
