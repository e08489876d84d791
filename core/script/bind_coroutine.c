/* Coroutines that the budget can follow: the signal that ends a call has to know which one runs,
 * and nothing of a script's may go on after that. */
#include "script/script_private.h"

/* A coroutine that ended while the call was out of time has its hooks off for good, so nothing may
 * ever run in it again, not even what it has to close. Only its own extra space can say so without
 * memory. */
static void
bury(lua_State *co)
{
    *(struct vm **)lua_getextraspace(co) = NULL;
}

static bool
is_buried(lua_State *co)
{
    return vm_of(co) == NULL;
}

/* After something ran in `co` and failed, with its error on L. */
static void
check_expired(lua_State *L, lua_State *co)
{
    if (vm_of(L)->budget.expired && lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD)
        bury(co);
    budget_rethrow(L);
}

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
        check_expired(L, co);
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
coroutine_resume(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "coroutine");
    int results = resume(L, co, lua_gettop(L) - 1);
    lua_pushboolean(L, results >= 0);
    lua_insert(L, results >= 0 ? -(results + 1) : -2);
    return results >= 0 ? results + 1 : 2;
}

/* Runs what the coroutine has to close; on failure false, and the error on L. */
static bool
reset(lua_State *L, lua_State *co)
{
    struct vm *vm = vm_of(L);
    if (is_buried(co)) {
        lua_pushliteral(L, "the coroutine was ended by the budget of an earlier call");
        return false;
    }
    lua_State *before = budget_enter(vm, co);
    int status = lua_resetthread(co);
    budget_leave(vm, before);
    if (status == LUA_OK)
        return true;
    lua_xmove(co, L, 1);
    if (vm->budget.expired)
        bury(co);
    budget_rethrow(L);
    return false;
}

static int
call_wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int results = resume(L, co, lua_gettop(L));
    if (results >= 0)
        return results;
    int status = lua_status(co);
    if (status != LUA_OK && status != LUA_YIELD && !is_buried(co)) {
        lua_pop(L, 1);
        if (reset(L, co)) /* an error stays one, even when all is closed */
            lua_pushnil(L);
    }
    return lua_error(L);
}

static int
coroutine_wrap(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

/* Only what does not run can be closed. */
static void
check_idle(lua_State *L, lua_State *co)
{
    lua_Debug where;
    if (co == L)
        luaL_error(L, "cannot close a running coroutine");
    if (lua_status(co) == LUA_OK && lua_getstack(co, 0, &where))
        luaL_error(L, "cannot close a normal coroutine");
}

static int
coroutine_close(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "coroutine");
    check_idle(L, co);
    bool closed = reset(L, co);
    lua_pushboolean(L, closed);
    if (closed)
        return 1;
    lua_insert(L, -2);
    return 2;
}

static const luaL_Reg functions[] = {
    {"resume", coroutine_resume},
    {"wrap", coroutine_wrap},
    {"close", coroutine_close},
    {NULL, NULL},
};

void
bind_coroutine_open(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
}
