#include "script/script_private.h"

static int
require_phase(lua_State *L, enum vm_phase phase, const char *name)
{
    struct vm *vm = vm_of(L);
    if (vm->phase == phase)
        return 0;
    if (phase == PHASE_LOAD)
        return luaL_error(L, "%s belongs at the top level of a script, not inside a handler", name);
    if (vm->phase == PHASE_LOAD)
        return luaL_error(
            L, "%s works only inside a handler: at top level a script only registers rules", name);
    return luaL_error(L, "%s works only in run: when and message decide, they do not act", name);
}

static struct vm_rule *
new_rule(struct vm *vm)
{
    if (vm->rule_count == vm->rule_room) {
        vm->rule_room = vm->rule_room ? vm->rule_room * 2 : 16;
        vm->rules = memory_grow(vm->rules, vm->rule_room * sizeof(*vm->rules));
    }
    struct vm_rule *rule = &vm->rules[vm->rule_count];
    *rule = (struct vm_rule){.script = vm->script};
    return rule;
}

static void
check_name(lua_State *L, const char *name, size_t size)
{
    if (size == 0 || size > 100)
        luaL_error(L, "a rule's name has 1 to 100 characters");
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] <= ' ' || name[i] == '/' || name[i] == 127)
            luaL_error(L, "rule \"%s\": a name has no spaces, slashes or control characters", name);
}

/* Registers; the rule's table is at `index`. */
static void
register_rule(lua_State *L, const char *name, bool anonymous, int index)
{
    struct vm *vm = vm_of(L);
    const char *full = arena_printf(&vm->arena, "%s/%s", vm->stem, name);
    for (size_t i = 0; i < vm->rule_count; i++)
        if (strcmp(vm->rules[i].name, full) == 0)
            luaL_error(L, "rule \"%s\" is registered twice in this file (first at line %d)", name,
                       vm->rules[i].line);
    struct value *table = arena_zero(&vm->arena, sizeof(*table));
    convert_value(L, index, &vm->arena, full, table);
    struct vm_rule *rule = new_rule(vm);
    rule->name = full;
    rule->line = line_of_script(L);
    rule->anonymous = anonymous;
    rule->table = table;
    vm->rule_count++;
}

/* rule(name, { … }) */
static int
bind_rule_rule(lua_State *L)
{
    require_phase(L, PHASE_LOAD, "rule");
    size_t size;
    const char *name = luaL_checklstring(L, 1, &size);
    check_name(L, name, size);
    if (lua_type(L, 2) != LUA_TTABLE)
        return luaL_error(
            L, "rule \"%s\": a table belongs after the name: rule(\"%s\", { on = … })", name, name);
    register_rule(L, name, false, 2);
    return 0;
}

/* on([name,] pattern, ops, fn): the short form, made into a rule's table. */
static int
bind_rule_on(lua_State *L)
{
    require_phase(L, PHASE_LOAD, "on");
    struct vm *vm = vm_of(L);
    bool named = lua_gettop(L) >= 4;
    int first = named ? 2 : 1;
    if (lua_type(L, first + 2) != LUA_TFUNCTION)
        return luaL_error(L, "on takes ([name,] pattern, operations, function), the function last");
    lua_createtable(L, 0, 3);
    lua_pushvalue(L, first);
    lua_setfield(L, -2, "on");
    lua_pushvalue(L, first + 1);
    lua_setfield(L, -2, "ops");
    lua_pushvalue(L, first + 2);
    lua_setfield(L, -2, "run");
    const char *name;
    if (named) {
        size_t size;
        name = luaL_checklstring(L, 1, &size);
        check_name(L, name, size);
    } else {
        name = arena_printf(&vm->arena, "#%u", ++vm->anonymous);
    }
    register_rule(L, name, !named, lua_gettop(L));
    return 0;
}

static enum vm_body
send_body(lua_State *L, struct vm *vm, struct vm_send *send)
{
    if (lua_type(L, 2) == LUA_TSTRING) {
        send->body.data = lua_tolstring(L, 2, &send->body.size);
        return VM_TEXT;
    }
    if (lua_type(L, 2) == LUA_TTABLE) {
        buffer_reset(&vm->scratch);
        convert_json(L, 2, &vm->scratch, "send");
        if (vm->scratch.failed)
            luaL_error(L, "the message is larger than 8 MiB");
        send->body = buffer_view(&vm->scratch);
        return VM_TABLE;
    }
    if (!bind_event_is(L, 2))
        luaL_error(L, "send takes a string, a table or the event, not a %s", luaL_typename(L, 2));
    return VM_EVENT;
}

/* send(channel, string | table | event [, options]) */
static int
bind_rule_send(lua_State *L)
{
    require_phase(L, PHASE_RUN, "send");
    struct vm *vm = vm_of(L);
    struct vm_send send = {.event = vm->event};
    struct value options;
    struct error err = {0};
    send.channel.data = luaL_checklstring(L, 1, &send.channel.size);
    send.kind = send_body(L, vm, &send);
    if (!lua_isnoneornil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
        if (send.kind != VM_TABLE)
            arena_reset(&vm->call);
        convert_value(L, 3, &vm->call, "send: options", &options);
        send.options = &options;
    }
    if (!vm->host.send)
        return luaL_error(L, "send is not possible here");
    if (vm->host.send(vm->host.context, &send, &err) != 0)
        return raise_error(L, &err);
    return 0;
}

/* render(template, event) */
static int
bind_rule_render(lua_State *L)
{
    struct vm *vm = vm_of(L);
    if (vm->phase == PHASE_LOAD)
        return require_phase(L, PHASE_RUN, "render");
    if (vm->phase == PHASE_FILTER)
        return luaL_error(L, "render can't be used in a filter of a template");
    struct slice text;
    struct error err = {0};
    text.data = luaL_checklstring(L, 1, &text.size);
    struct event *e = bind_event_check(L, 2);
    buffer_reset(&vm->rendering);
    if (!vm->host.render)
        return luaL_error(L, "render is not possible here");
    if (vm->host.render(vm->host.context, text, e, &vm->rendering, &err) != 0)
        return raise_error(L, &err);
    if (vm->rendering.failed)
        return luaL_error(L, "the rendered text is larger than 8 MiB");
    lua_pushlstring(L, buffer_view(&vm->rendering).data, vm->rendering.size);
    return 1;
}

static int
null_tostring(lua_State *L)
{
    lua_pushliteral(L, "null");
    return 1;
}

/* Metatables that mark condition calls and document lists, out of the scripts' reach, since all
 * scripts share them; and the face of `null`. */
static void
open_marks(lua_State *L)
{
    static const enum vm_slot slots[] = {SLOT_CALL_META, SLOT_LIST_META};
    for (size_t i = 0; i < countof(slots); i++) {
        lua_newtable(L);
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
        lua_rawseti(L, LUA_REGISTRYINDEX, slots[i]);
    }
    null_push(L);
    lua_newtable(L);
    lua_pushcfunction(L, null_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static const luaL_Reg functions[] = {
    {"rule", bind_rule_rule},     {"on", bind_rule_on}, {"send", bind_rule_send},
    {"render", bind_rule_render}, {NULL, NULL},
};

void
bind_rule_open(lua_State *L)
{
    open_marks(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
    null_push(L);
    lua_setfield(L, -2, "null");
    if (!vm_of(L)->declared_in) {
        luaL_setfuncs(L, functions, 0);
        bind_condition_open(L);
    }
    lua_pop(L, 1);
}
