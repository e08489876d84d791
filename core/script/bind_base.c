/* Functions of Lua's own libraries that a script could use to get out of its budget, written again:
 * coroutines that the budget can follow, error handlers that run after the error, no finalizers,
 * and no loops in C that only a number bounds. */
#include "script/script_private.h"

/* As luaB_auxresume: the number of results on L, or -1 and the error there. */
static int
resume(lua_State *L, lua_State *co, int count)
{
    struct vm *vm = vm_of(L);
    int results = 0;
    if (!lua_checkstack(co, count)) {
        lua_pushliteral(L, "too many arguments to resume");
        return -1;
    }
    lua_xmove(L, co, count);
    lua_State *before = budget_enter(vm, co);
    int status = lua_resume(co, L, count, &results);
    budget_leave(vm, before);
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(co, L, 1);
        return -1;
    }
    if (!lua_checkstack(L, results + 1)) {
        lua_pop(co, results);
        lua_pushliteral(L, "too many results to resume");
        return -1;
    }
    lua_xmove(co, L, results);
    return results;
}

static int
base_resume(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "coroutine");
    int results = resume(L, co, lua_gettop(L) - 1);
    lua_pushboolean(L, results >= 0);
    lua_insert(L, results >= 0 ? -(results + 1) : -2);
    return results >= 0 ? results + 1 : 2;
}

static int
call_wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int results = resume(L, co, lua_gettop(L));
    if (results >= 0)
        return results;
    int status = lua_status(co);
    if (status != LUA_OK && status != LUA_YIELD) { /* it closes what it has open */
        lua_State *before = budget_enter(vm_of(L), co);
        lua_pop(L, 1);
        lua_resetthread(co);
        budget_leave(vm_of(L), before);
        lua_xmove(co, L, 1);
    }
    return lua_error(L);
}

static int
base_wrap(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

/* Stack: function, handler, results or the error. */
static int
finish_xpcall(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    if (status == LUA_OK || status == LUA_YIELD) {
        lua_pushboolean(L, true);
        lua_replace(L, 2);
        return lua_gettop(L) - 1;
    }
    lua_pushboolean(L, false);
    lua_replace(L, 1);
    lua_call(L, 1, 1);
    return 2;
}

static int
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
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/* string.rep: the loop of nothing, 2^60 times, is what the original would not end. */
static int
base_rep(lua_State *L)
{
    size_t size, between = 0;
    luaL_checklstring(L, 1, &size);
    luaL_optlstring(L, 3, "", &between);
    lua_Integer count = luaL_checkinteger(L, 2);
    if (size + between == 0 || count <= 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if ((lua_Unsigned)count > BUDGET_MEMORY / (size + between))
        return luaL_error(L, "string.rep: the result is larger than %d MiB", BUDGET_MEMORY >> 20);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

/* table.move insert remove concat: what a length may claim is bounded, and only real ones count. */
static int
base_table(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    if (luaL_getmetafield(L, 1, "__len") != LUA_TNIL)
        return luaL_error(L, "a table with its own __len can't stand here");
    if (lua_toboolean(L, lua_upvalueindex(2)) &&
        luaL_optinteger(L, 3, 0) - luaL_optinteger(L, 2, 0) > 10000000)
        return luaL_error(L, "table.move: more than 10,000,000 entries");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static void
replace_function(lua_State *L, int globals, const char *library, const char *name,
                 lua_CFunction function)
{
    lua_getfield(L, globals, library);
    lua_getfield(L, -1, name);
    lua_pushboolean(L, strcmp(name, "move") == 0);
    lua_pushcclosure(L, function, 2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

void
bind_base_open(lua_State *L, int globals)
{
    static const struct {
        const char *library, *name;
        lua_CFunction function;
    } rows[] = {
        {LUA_COLIBNAME, "resume", base_resume}, {LUA_COLIBNAME, "wrap", base_wrap},
        {LUA_STRLIBNAME, "rep", base_rep},      {LUA_TABLIBNAME, "move", base_table},
        {LUA_TABLIBNAME, "insert", base_table}, {LUA_TABLIBNAME, "remove", base_table},
        {LUA_TABLIBNAME, "concat", base_table}, {LUA_TABLIBNAME, "sort", base_table},
    };
    for (size_t i = 0; i < countof(rows); i++)
        replace_function(L, globals, rows[i].library, rows[i].name, rows[i].function);
    lua_pushcfunction(L, base_xpcall);
    lua_setfield(L, globals, "xpcall");
    lua_pushcfunction(L, base_setmetatable);
    lua_setfield(L, globals, "setmetatable");
}
