#include "base/text.h"
#include "script/script_private.h"

/* The functions of Lua's base library that scripts get; everything else of it stays away. */
static const char *const base_names[] = {
    "assert",       "error",    "getmetatable", "ipairs", "next",   "pairs",
    "pcall",        "rawequal", "rawget",       "rawlen", "rawset", "select",
    "setmetatable", "tonumber", "tostring",     "type",   "xpcall", "_VERSION",
};

static const luaL_Reg libraries[] = {
    {LUA_STRLIBNAME, luaopen_string},   {LUA_TABLIBNAME, luaopen_table},
    {LUA_MATHLIBNAME, luaopen_math},    {LUA_UTF8LIBNAME, luaopen_utf8},
    {LUA_COLIBNAME, luaopen_coroutine},
};

/* Fields of those libraries that do not fit a sandbox: bytecode, and randomness that can't be
 * replayed. */
static const char *const removed[][2] = {
    {LUA_STRLIBNAME, "dump"},
    {LUA_MATHLIBNAME, "randomseed"},
};

/* Words of the design that are not built yet: named, so that a script is refused in plain words. */
static const char *const later[] = {
    "every", "state", "timer", "lookup", "lookup_all", "http", "secret", "channel_type", "param",
};
static const char *const later_declare[] = {"consumer", "pack", "secret", "sources_from_env"};

static const char *
find_later(const struct vm *vm, const char *name)
{
    const char *const *list = vm->declared_in ? later_declare : later;
    size_t count = vm->declared_in ? countof(later_declare) : countof(later);
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], name) == 0)
            return list[i];
    return NULL;
}

/* Names that Lua programmers expect and that stay out for good. */
static bool
is_forbidden(const char *name)
{
    static const char *const names[] = {"io",       "os",     "debug",      "package", "load",
                                        "loadfile", "dofile", "loadstring", "_G"};
    for (size_t i = 0; i < countof(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* The nearest name among the shared globals; pushes it, or nil. */
static const char *
suggest_global(lua_State *L, const char *name)
{
    const char *names[128];
    size_t count = 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
    for (lua_pushnil(L); lua_next(L, -2) && count < countof(names); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING)
            names[count++] = lua_tostring(L, -2);
    return text_suggest(slice_of(name), names, count, sizeof(names[0]));
}

/* __index of an _ENV: upvalue 1 is the table of shared globals. A library there is what the copies
 * of later scripts are made from, so it is never handed out: `_ENV.string = nil` is no way to it.
 */
static int
global_read(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (!lua_isnil(L, -1) && !lua_istable(L, -1))
        return 1;
    const char *name = luaL_tolstring(L, 2, NULL);
    if (find_later(vm_of(L), name))
        return luaL_error(L, "%s is not built yet; this version can't run a script that uses it",
                          name);
    if (is_forbidden(name))
        return luaL_error(L, "%s is not available in scripts", name);
    const char *near = suggest_global(L, name);
    if (near)
        return luaL_error(L, "\"%s\" is not declared; did you mean \"%s\"?", name, near);
    return luaL_error(L, "\"%s\" is not declared; write: local %s = …", name, name);
}

static int
global_write(lua_State *L)
{
    const char *name = luaL_tolstring(L, 2, NULL);
    return luaL_error(L, "\"%s\" is not declared; write: local %s = …", name, name);
}

static void
copy_fields(lua_State *L, int from, int to)
{
    for (lua_pushnil(L); lua_next(L, from);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, to);
    }
}

static void
open_libraries(lua_State *L, int globals)
{
    for (size_t i = 0; i < countof(libraries); i++) {
        luaL_requiref(L, libraries[i].name, libraries[i].func, 0);
        for (size_t k = 0; k < countof(removed); k++)
            if (strcmp(removed[k][0], libraries[i].name) == 0) {
                lua_pushnil(L);
                lua_setfield(L, -2, removed[k][1]);
            }
        lua_setfield(L, globals, libraries[i].name);
    }
    bind_base_open(L, globals);
    /* ("x"):upper() must not be a way to the table that all scripts share. */
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_newtable(L);
    lua_getfield(L, globals, LUA_STRLIBNAME);
    copy_fields(L, lua_gettop(L), lua_gettop(L) - 1);
    lua_pop(L, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

/* Weak tables are off. A table with weak keys can make one collection take time quadratic in its
 * entries, where no hook and no check of ours comes by (20,000 entries: 1.6 s; a script has room
 * for 100,000). setmetatable refuses the field by name, but could not see one that comes later. So
 * the name that Lua itself looks up, an interned string that lives as long as the state, gets a
 * text that is not its hash's: no string that a script makes can ever be this one. */
static void
close_weak_tables(lua_State *L)
{
    static const char unreachable[] = "\1\2\3\4\5";
    char *name = (char *)(uintptr_t)lua_pushliteral(L, "__mode");
    memcpy(name, unreachable, sizeof(unreachable) - 1);
    lua_pop(L, 1);
}

void
sandbox_open(lua_State *L)
{
    close_weak_tables(L);
    lua_newtable(L);
    int globals = lua_gettop(L);
    luaL_requiref(L, LUA_GNAME, luaopen_base, 0);
    for (size_t i = 0; i < countof(base_names); i++) {
        lua_getfield(L, -1, base_names[i]);
        lua_setfield(L, globals, base_names[i]);
    }
    lua_pop(L, 1);
    open_libraries(L, globals);
    lua_rawseti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
}

/* Every script has its own copies of the library tables, so that it can poison only itself. */
void
sandbox_environment(lua_State *L)
{
    lua_newtable(L);
    int env = lua_gettop(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
    int globals = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, globals); lua_pop(L, 1)) {
        if (!lua_istable(L, -1))
            continue;
        lua_pushvalue(L, -2);
        lua_newtable(L);
        copy_fields(L, lua_gettop(L) - 2, lua_gettop(L));
        lua_rawset(L, env);
    }
    if (!vm_of(L)->declared_in)
        bind_require_environment(L, env);
    lua_newtable(L); /* metatable */
    lua_pushvalue(L, globals);
    lua_pushcclosure(L, global_read, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, global_write);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, env);
    lua_settop(L, env);
}
