/* Functions of Lua's base library that a script could use to get out of its budget, written again:
 * protected calls that let the budget's end through, error handlers that run after the error (stock
 * Lua runs them with hooks off), no finalizers. */
#include "script/script_private.h"

static left_by_longjmp int
finish_pcall(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L);
    budget_rethrow(L);
    lua_pushboolean(L, false);
    lua_insert(L, -2);
    return 2;
}

static left_by_longjmp int
base_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, true); /* before the results, if there are any */
    lua_insert(L, 1);
    return finish_pcall(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_pcall), 0);
}

/* Stack: function, handler, results or the error. */
static left_by_longjmp int
finish_xpcall(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    if (status == LUA_OK || status == LUA_YIELD) {
        lua_pushboolean(L, true);
        lua_replace(L, 2);
        return lua_gettop(L) - 1;
    }
    budget_rethrow(L);
    lua_pushboolean(L, false);
    lua_replace(L, 1);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) /* the handler's own error is the answer then */
        budget_rethrow(L);
    return 2;
}

static left_by_longjmp int
base_xpcall(lua_State *L)
{
    int count = lua_gettop(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 1);
    lua_insert(L, 3);
    return finish_xpcall(L, lua_pcallk(L, count - 2, LUA_MULTRET, 0, 0, finish_xpcall), 0);
}

static int
base_setmetatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    lua_settop(L, 2);
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "__gc is not available in scripts");
        lua_pushliteral(L, "__mode");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "weak tables (__mode) are not available in scripts");
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/* How much memory all scripts together use, KiB; the collector itself is not theirs to steer. */
static int
base_collectgarbage(lua_State *L)
{
    const char *option = luaL_optstring(L, 1, "collect");
    if (strcmp(option, "count") != 0)
        return luaL_error(L, "collectgarbage takes only \"count\" in scripts");
    lua_pushnumber(L, (lua_Number)vm_of(L)->budget.memory / 1024);
    return 1;
}

static const luaL_Reg functions[] = {
    {"pcall", base_pcall},
    {"xpcall", base_xpcall},
    {"setmetatable", base_setmetatable},
    {"collectgarbage", base_collectgarbage},
    {NULL, NULL},
};

static void
open_library(lua_State *L, int globals, const char *name, void (*open)(lua_State *))
{
    int top = lua_gettop(L);
    lua_getfield(L, globals, name);
    open(L);
    lua_settop(L, top);
}

void
bind_base_open(lua_State *L, int globals)
{
    int top = lua_gettop(L);
    lua_pushvalue(L, globals);
    luaL_setfuncs(L, functions, 0);
    lua_settop(L, top);
    open_library(L, globals, LUA_STRLIBNAME, bind_string_open);
    open_library(L, globals, LUA_TABLIBNAME, bind_table_open);
    open_library(L, globals, LUA_COLIBNAME, bind_coroutine_open);
    bind_order_open(L, globals);
}
