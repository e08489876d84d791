#include "script/script_private.h"

static void
check_name(lua_State *L, const char *kind, const char *name, size_t size)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    if (size == 0 || size > 63 || strspn(name, allowed) != size)
        luaL_error(L, "%s \"%s\": a name has 1 to 63 letters, digits, _ - or .", kind, name);
    if (strcmp(kind, "source") == 0 &&
        (strcmp(name, "tidegate") == 0 || strcmp(name, "journal") == 0))
        luaL_error(L, "source \"%s\": this name is reserved for Tidegate's own events", name);
}

static void
check_twice(lua_State *L, const struct vm *vm, const char *kind, const char *name)
{
    for (size_t i = 0; i < vm->declared_count; i++)
        if (strcmp(vm->declared[i].kind, kind) == 0 && strcmp(vm->declared[i].name, name) == 0)
            luaL_error(L, "%s%s%s%s is declared twice (first at line %d)", kind, *name ? " \"" : "",
                       name, *name ? "\"" : "", vm->declared[i].line);
}

static int
declare(lua_State *L, const char *kind, const char *name, int index)
{
    struct vm *vm = vm_of(L);
    luaL_checktype(L, index, LUA_TTABLE);
    check_twice(L, vm, kind, name);
    struct declaration d = {
        .kind = kind, .name = arena_text(vm->declared_in, name), .line = line_of_caller(L)};
    convert_value(L, index, vm->declared_in, kind, &d.table);
    if (d.table.kind != VALUE_MAP && d.table.count)
        return luaL_error(L, "%s: options have names: { name = value, … }", kind);
    d.table.kind = VALUE_MAP;
    if (vm->declared_count == vm->declared_room) {
        vm->declared_room = vm->declared_room ? vm->declared_room * 2 : 16;
        vm->declared = memory_grow(vm->declared, vm->declared_room * sizeof(*vm->declared));
    }
    vm->declared[vm->declared_count++] = d;
    return 0;
}

static int
declare_named(lua_State *L, const char *kind)
{
    size_t size;
    const char *name = luaL_checklstring(L, 1, &size);
    check_name(L, kind, name, size);
    if (lua_type(L, 2) != LUA_TTABLE)
        return luaL_error(L, "%s(\"%s\", { … }): a table of options belongs after the name", kind,
                          name);
    return declare(L, kind, name, 2);
}

static int
bind_declare_source(lua_State *L)
{
    return declare_named(L, "source");
}

static int
bind_declare_channel(lua_State *L)
{
    return declare_named(L, "channel");
}

static int
bind_declare_settings(lua_State *L)
{
    return declare(L, "settings", "", 1);
}

/* env(name[, default]) */
static int
bind_declare_env(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const char *value = getenv(name);
    if (value)
        lua_pushstring(L, value);
    else if (!lua_isnoneornil(L, 2))
        lua_pushvalue(L, 2);
    else
        return luaL_error(
            L, "the environment has no %s; set it, or give a default: env(\"%s\", \"…\")", name,
            name);
    return 1;
}

static const luaL_Reg functions[] = {
    {"source", bind_declare_source},
    {"channel", bind_declare_channel},
    {"settings", bind_declare_settings},
    {"env", bind_declare_env},
    {NULL, NULL},
};

void
bind_declare_open(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
    luaL_setfuncs(L, functions, 0);
    lua_pop(L, 1);
}

int
declare_load(const char *path, struct slice text, struct arena *arena, struct declaration **out,
             size_t *count, struct error *err)
{
    struct vm *vm = vm_new_for(NULL, arena, err);
    if (!vm)
        return -1;
    int result = vm_load(vm, path, text, err);
    if (result == 0) {
        *count = vm->declared_count;
        *out = arena_zero(arena, (*count ? *count : 1) * sizeof(**out));
        if (*count)
            memcpy(*out, vm->declared, *count * sizeof(**out));
    } else if (err && err->class == ERROR_DATA) {
        err->class = ERROR_CONFIG;
    }
    free(vm->declared);
    vm_free(vm);
    return result;
}
