/* filter(name, function): what a script adds to the filters of its templates. Such a function gets
 * the value and what stands in brackets, and gives back what is printed; it sees nothing else of
 * the event, and may neither send nor render. */
#include "base/text.h"
#include "event/template.h"
#include "script/script_private.h"

#define NAME_MAX_BYTES 40

static void
check_name(lua_State *L, struct slice name)
{
    bool sound = name.size > 0 && name.size <= NAME_MAX_BYTES;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        sound = sound && (c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (i > 0 && c >= '0' && c <= '9'));
    }
    if (!sound)
        luaL_error(L, "filter: a name has letters, digits and _, at most %d", NAME_MAX_BYTES);
    if (template_has_filter(name))
        luaL_error(L,
                   "filter: \"%s\" is one of the filters that every template has; choose "
                   "another name",
                   name.data);
    if (vm_filter(vm_of(L), vm_of(L)->script, name))
        luaL_error(L, "filter \"%s\" is registered twice in this file", name.data);
}

static int
bind_filter(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct slice name;
    if (vm->phase != PHASE_LOAD)
        return luaL_error(L, "filter belongs at the top level of a script, not inside a handler");
    name.data = luaL_checklstring(L, 1, &name.size);
    check_name(L, name);
    if (lua_type(L, 2) != LUA_TFUNCTION)
        return luaL_error(L,
                          "filter takes (name, function): filter(\"%s\", function(value) return "
                          "value end)",
                          name.data);
    lua_settop(L, 2);
    if (vm->filter_count == vm->filter_room) {
        vm->filter_room = vm->filter_room ? vm->filter_room * 2 : 8;
        vm->filters = memory_grow(vm->filters, vm->filter_room * sizeof(*vm->filters));
    }
    int reference = luaL_ref(L, LUA_REGISTRYINDEX);
    vm->filters[vm->filter_count++] =
        (struct vm_filter){.script = vm->script,
                           .name = arena_slice(&vm->arena, name).data,
                           .function = {.kind = VALUE_FUNCTION, .integer = reference}};
    return 0;
}

void
bind_filter_open(lua_State *L)
{
    if (vm_of(L)->declared_in)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
    lua_pushcfunction(L, bind_filter);
    lua_setfield(L, -2, "filter");
    lua_pop(L, 1);
}

const struct value *
vm_filter(const struct vm *vm, const char *script, struct slice name)
{
    for (size_t i = 0; i < vm->filter_count; i++)
        if (slice_is(name, vm->filters[i].name) && strcmp(vm->filters[i].script, script) == 0)
            return &vm->filters[i].function;
    return NULL;
}

struct job {
    const struct vm_filter_use *use;
    struct buffer *out;
    struct cell *result;
};

/* The value on top of the stack as a cell whose text lies in job->out. */
static void
take_result(lua_State *L, struct job *job)
{
    struct slice text;
    int type = lua_type(L, -1);
    *job->result = (struct cell){.kind = CELL_NULL};
    if (type == LUA_TNIL || null_is(L, -1))
        return;
    if (type == LUA_TBOOLEAN) {
        *job->result = (struct cell){.kind = CELL_BOOL, .integer = lua_toboolean(L, -1)};
    } else if (lua_isinteger(L, -1)) {
        *job->result = (struct cell){.kind = CELL_INT, .integer = lua_tointeger(L, -1)};
    } else if (type == LUA_TNUMBER) {
        *job->result = (struct cell){.kind = CELL_FLOAT, .real = lua_tonumber(L, -1)};
    } else {
        bool number = bind_decimal_text(L, -1, &text);
        if (!number && type != LUA_TSTRING)
            luaL_error(L, "it returned a %s; a filter returns a text, a number, a boolean or nil",
                       luaL_typename(L, -1));
        if (!number)
            text.data = lua_tolstring(L, -1, &text.size);
        if (!text_is_utf8(text))
            luaL_error(L, "it returned bytes that are no UTF-8");
        buffer_slice(job->out, text);
        job->result->kind = number ? CELL_DECIMAL : CELL_TEXT;
        job->result->text = buffer_view(job->out);
    }
}

static int
apply_body(lua_State *L)
{
    struct job *job = lua_touserdata(L, 1);
    const struct vm_filter_use *use = job->use;
    luaL_checkstack(L, (int)use->count + LUA_MINSTACK, NULL);
    lua_rawgeti(L, LUA_REGISTRYINDEX, use->function->integer);
    for (size_t i = 0; i < use->count; i++)
        bind_row_push_cell(L, &use->args[i]);
    lua_call(L, (int)use->count, 1);
    take_result(L, job);
    return 0;
}

/* Within a handler: on the stack of the coroutine that renders, under the handler's own budget. */
static int
apply_within(struct vm *vm, struct job *job, struct error *err)
{
    lua_State *L = vm->budget.running;
    lua_pushcfunction(L, apply_body);
    lua_pushlightuserdata(L, job);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK)
        return 0;
    const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    error_set(err, vm->budget.expired ? ERROR_BUDGET : ERROR_DATA, "%s",
              message ? message : "error without a message");
    lua_pop(L, 1);
    return -1;
}

int
vm_filter_apply(struct vm *vm, const struct vm_filter_use *use, struct buffer *out,
                struct cell *result, struct error *err)
{
    struct job job = {use, out, result};
    enum vm_phase phase = vm->phase;
    int answer;
    ensure(phase != PHASE_FILTER && phase != PHASE_LOAD);
    vm->phase = PHASE_FILTER;
    if (phase == PHASE_NONE) {
        vm->null_column = (struct slice){0};
        budget_begin(vm, use->ms, BUDGET_CALL);
        answer = gate_run(vm, apply_body, &job, err);
        budget_end(vm);
    } else {
        answer = apply_within(vm, &job, err);
    }
    vm->phase = phase;
    return answer;
}
