/* require("a.b"): what scripts/lib/a/b.lua returns. A module runs once for each script that asks
 * for it, in that script's _ENV, so that each script has its own copy and spoils nobody else's.
 * Texts come from the host; nothing here reads files. */
#include "script/script_private.h"

#define FOLDER     "scripts/lib/"
#define NAME_BYTES 100
#define PATH_BYTES (NAME_BYTES + 32)
#define CHAIN      32   /* modules that the message of a cycle names */
#define MOST       1000 /* modules that one VM's scripts ask for */

/* Parts of letters, digits, _ and -, joined by single dots. */
static bool
is_name(struct slice name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    bool part = false;
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '.' ? !part : !memchr(allowed, name.data[i], sizeof(allowed) - 1))
            return false;
        part = name.data[i] != '.';
    }
    return part && name.size <= NAME_BYTES;
}

static void
make_path(lua_State *L, struct slice name, char path[PATH_BYTES])
{
    if (!is_name(name))
        luaL_error(L,
                   "require: \"%s\" is no name of a module; require(\"a.b\") is " FOLDER "a/b.lua",
                   name.data);
    snprintf(path, PATH_BYTES, FOLDER "%s.lua", name.data);
    for (size_t i = 0; i < name.size; i++)
        if (path[sizeof(FOLDER) - 1 + i] == '.')
            path[sizeof(FOLDER) - 1 + i] = '/';
}

static void
note_required(lua_State *L, const char *path)
{
    struct vm *vm = vm_of(L);
    for (size_t i = 0; i < vm->required_count; i++)
        if (strcmp(vm->required[i].script, vm->script) == 0 &&
            strcmp(vm->required[i].module, path) == 0)
            return;
    if (vm->required_count == MOST)
        luaL_error(L, "require: more than %d modules", MOST);
    if (vm->required_count == vm->required_room) {
        vm->required_room = vm->required_room ? vm->required_room * 2 : 16;
        vm->required = memory_grow(vm->required, vm->required_room * sizeof(*vm->required));
    }
    vm->required[vm->required_count++] =
        (struct vm_required){vm->script, arena_text(&vm->arena, path)};
}

/* Raises when the module is under way already: its main function is among the callers. */
static void
refuse_cycle(lua_State *L, const char *path)
{
    lua_Debug where = {0};
    const char *chain[CHAIN];
    size_t count = 0;
    bool found = false;
    for (int level = 1; !found && count < CHAIN && lua_getstack(L, level, &where); level++) {
        lua_getinfo(L, "S", &where);
        if (strcmp(where.what, "main") != 0 || strncmp(where.source, "@" FOLDER, sizeof(FOLDER)))
            continue;
        chain[count++] = where.source + sizeof("@scripts/") - 1;
        found = strcmp(where.source + 1, path) == 0;
    }
    if (!found)
        return;
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    for (; count > 0; count--) {
        luaL_addstring(&text, chain[count - 1]);
        luaL_addstring(&text, " → ");
    }
    luaL_addstring(&text, path + sizeof("scripts/") - 1);
    luaL_pushresult(&text);
    luaL_error(L, "require: modules require each other in a circle: %s", lua_tostring(L, -1));
}

/* Leaves the compiled text on the stack. */
static void
compile(lua_State *L, const char *path)
{
    struct vm *vm = vm_of(L);
    struct slice text;
    struct error err = {0};
    if (!vm->host.module)
        luaL_error(L, "require is not possible here");
    if (vm->host.module(vm->host.context, slice_of(path), &text, &err) != 0)
        raise_error(L, &err);
    vm_remember_text(vm, path, text);
    lua_pushfstring(L, "@%s", path);
    if (luaL_loadbufferx(L, text.data, text.size, lua_tostring(L, -1), "t") == LUA_OK)
        return;
    luaL_where(L, 1); /* "scripts/a.lua:3: " */
    lua_pushfstring(L, "%s; it is required at %s", lua_tostring(L, -2), lua_tostring(L, -1));
    lua_pushlstring(L, lua_tostring(L, -1), lua_rawlen(L, -1) - (lua_rawlen(L, -2) ? 2 : 0));
    lua_error(L);
}

/* Upvalues: the script's _ENV; {name -> what the module returned}. */
static int
bind_require_require(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct slice name;
    name.data = luaL_checklstring(L, 1, &name.size);
    lua_settop(L, 1);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL)
        return 1;
    if (vm->phase != PHASE_LOAD)
        return luaL_error(L,
                          "require(\"%s\") inside a handler: a module is loaded at the top level "
                          "of a script; write there: local x = require(\"%s\")",
                          name.data, name.data);
    char path[PATH_BYTES];
    make_path(L, name, path);
    note_required(L, path);
    refuse_cycle(L, path);
    compile(L, path);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_setupvalue(L, -2, 1);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1)) {
        lua_pushboolean(L, true);
        lua_replace(L, -2);
    }
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawset(L, lua_upvalueindex(2));
    return 1;
}

void
bind_require_environment(lua_State *L, int env)
{
    lua_pushvalue(L, env);
    lua_newtable(L);
    lua_pushcclosure(L, bind_require_require, 2);
    lua_setfield(L, env, "require");
}
