#include "base/clock.h"
#include "base/text.h"
#include "script/script_private.h"

static int
open_all(lua_State *L)
{
    struct vm *vm = lua_touserdata(L, 1);
    /* The fixed slots must exist before luaL_ref hands out numbers of its own. */
    for (int slot = SLOT_HANDLER; slot < SLOT_LAST; slot++) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, LUA_REGISTRYINDEX, slot);
    }
    gate_open(L);
    sandbox_open(L);
    bind_decimal_open(L);
    bind_log_open(L);
    bind_rule_open(L);
    bind_filter_open(L);
    if (vm->declared_in) {
        bind_declare_open(L);
        return 0;
    }
    bind_json_open(L);
    bind_time_open(L);
    bind_row_open(L);
    bind_event_open(L);
    return 0;
}

struct vm *
vm_new_for(const struct vm_host *host, struct arena *declared_in, struct error *err)
{
    struct vm *vm = memory_zero(sizeof(*vm));
    vm->budget.memory_most = SIZE_MAX;
    vm->lua = lua_newstate(budget_alloc, vm);
    if (!vm->lua) {
        free(vm);
        error_set(err, ERROR_SYSTEM, "no memory for a Lua state");
        return NULL;
    }
    *(struct vm **)lua_getextraspace(vm->lua) = vm;
    if (host)
        vm->host = *host;
    vm->declared_in = declared_in;
    arena_init(&vm->arena, 0);
    arena_init(&vm->call, 0);
    buffer_init(&vm->scratch, 8 * 1024 * 1024);
    buffer_init(&vm->rendering, 8 * 1024 * 1024);
    lua_pushcfunction(vm->lua, open_all);
    lua_pushlightuserdata(vm->lua, vm);
    if (lua_pcall(vm->lua, 1, 0, 0) != LUA_OK) {
        error_set(err, ERROR_INTERNAL, "the Lua state could not be set up: %s",
                  lua_tostring(vm->lua, -1));
        vm_free(vm);
        return NULL;
    }
    lua_gc(vm->lua, LUA_GCGEN, 0, 0);
    return vm;
}

struct vm *
vm_new(const struct vm_host *host, struct error *err)
{
    return vm_new_for(host, NULL, err);
}

void
vm_free(struct vm *vm)
{
    if (!vm)
        return;
    lua_close(vm->lua);
    arena_release(&vm->arena);
    arena_release(&vm->call);
    buffer_release(&vm->scratch);
    buffer_release(&vm->rendering);
    free(vm->filters);
    free(vm->rules);
    free(vm->texts);
    free(vm->required);
    free(vm);
}

/* "scripts/eu/orders.lua" → "eu/orders"; other paths lose only their ".lua". */
static const char *
stem_of(struct vm *vm, const char *path)
{
    struct slice s = slice_of(path);
    static const char folder[] = "scripts/";
    if (s.size > sizeof(folder) - 1 && memcmp(s.data, folder, sizeof(folder) - 1) == 0)
        s.data += sizeof(folder) - 1, s.size -= sizeof(folder) - 1;
    if (s.size > 4 && memcmp(s.data + s.size - 4, ".lua", 4) == 0)
        s.size -= 4;
    return arena_slice(&vm->arena, s).data;
}

void
vm_remember_text(struct vm *vm, const char *path, struct slice text)
{
    for (size_t i = 0; i < vm->text_count; i++)
        if (strcmp(vm->texts[i].path, path) == 0 && slice_equal(vm->texts[i].text, text))
            return;
    if (vm->text_count == vm->text_room) {
        vm->text_room = vm->text_room ? vm->text_room * 2 : 8;
        vm->texts = memory_grow(vm->texts, vm->text_room * sizeof(*vm->texts));
    }
    vm->texts[vm->text_count++] =
        (struct vm_text){arena_text(&vm->arena, path), arena_slice(&vm->arena, text)};
}

/* Compiles, gives the chunk its own _ENV, runs it. Stack: light userdata of struct vm_text. */
static int
load_body(lua_State *L)
{
    const struct vm_text *t = lua_touserdata(L, 1);
    const char *chunk = lua_pushfstring(L, "@%s", t->path);
    if (luaL_loadbufferx(L, t->text.data, t->text.size, chunk, "t") != LUA_OK)
        return lua_error(L);
    sandbox_environment(L); /* chunk, env */
    lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 0);
    return 0;
}

int
vm_load(struct vm *vm, const char *path, struct slice text, struct error *err)
{
    size_t rules_before = vm->rule_count, texts_before = vm->text_count;
    size_t filters_before = vm->filter_count;
    struct vm_text loaded;
    vm->script = arena_text(&vm->arena, path);
    vm->stem = stem_of(vm, path);
    vm->anonymous = 0;
    vm_remember_text(vm, vm->script, text);
    loaded = (struct vm_text){vm->script, text};
    vm->phase = PHASE_LOAD;
    vm->null_column = (struct slice){0};
    vm->seeded = false;
    size_t had = vm->budget.memory;
    budget_begin(vm, BUDGET_LOAD_MS, had < BUDGET_MEMORY ? BUDGET_MEMORY - had : 0);
    int result = gate_run(vm, load_body, &loaded, err);
    budget_end(vm);
    vm->phase = PHASE_NONE;
    vm->script = NULL;
    if (result != 0) {
        vm->rule_count = rules_before;
        vm->filter_count = filters_before;
        vm->text_count = texts_before; /* lines are quoted from what runs */
    }
    return result;
}

size_t
vm_rules(const struct vm *vm, const struct vm_rule **out)
{
    *out = vm->rules;
    return vm->rule_count;
}

size_t
vm_required(const struct vm *vm, const struct vm_required **out)
{
    *out = vm->required;
    return vm->required_count;
}

void
vm_name(struct vm *vm, const char *rule, const char *const *columns, size_t count)
{
    vm->rule = rule;
    vm->columns = columns;
    vm->column_count = count;
}

size_t
vm_memory(const struct vm *vm)
{
    return (size_t)lua_gc(vm->lua, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(vm->lua, LUA_GCCOUNTB);
}

/* A line a second at most: what is slow is slow at every event. */
static void
warn_slow(struct vm *vm)
{
    unsigned used = budget_used(vm);
    if (used < BUDGET_WARN_MS)
        return;
    int64_t now = clock_mono();
    if (vm->warned && now - vm->warned < CLOCK_SECOND)
        return;
    vm->warned = now;
    buffer_reset(&vm->scratch);
    event_id(vm->event, &vm->scratch);
    struct slice id = text_truncate(buffer_view(&vm->scratch), 200);
    log_warning("rules",
                "rule %s, event %.*s: the call took %u ms of CPU time; at %d ms it is ended",
                vm->rule ? vm->rule : "?", (int)id.size, id.data, used, BUDGET_CALL_MS);
}

/* What is not garbage and larger than all scripts may have: those above make a new VM. */
static void
check_memory(struct vm *vm)
{
    if (vm->budget.memory <= BUDGET_MEMORY)
        return;
    lua_gc(vm->lua, LUA_GCCOLLECT);
    vm->full = vm->budget.memory > BUDGET_MEMORY;
}

/* Calls a registered function with the event object: nothing here can raise outside the gate. */
static int
call_handler(struct vm *vm, enum vm_phase phase, const struct value *function, struct event *e,
             int results, struct error *err)
{
    ensure(function->kind == VALUE_FUNCTION);
    vm->phase = phase;
    vm->event = e;
    vm->seeded = false;
    vm->null_column = (struct slice){0};
    lua_rawgeti(vm->lua, LUA_REGISTRYINDEX, SLOT_HANDLER);
    lua_rawgeti(vm->lua, LUA_REGISTRYINDEX, function->integer);
    lua_rawgeti(vm->lua, LUA_REGISTRYINDEX, SLOT_EVENT);
    budget_begin(vm, BUDGET_CALL_MS, BUDGET_CALL);
    int result = gate_enter(vm, 1, results, err);
    if (!budget_end(vm))
        warn_slow(vm);
    vm->phase = PHASE_NONE;
    return result;
}

static void
call_end(struct vm *vm)
{
    vm->event = NULL;
    lua_settop(vm->lua, 0);
    check_memory(vm);
}

int
vm_when(struct vm *vm, const struct value *function, struct event *e, bool *answer,
        struct error *err)
{
    int result = call_handler(vm, PHASE_WHEN, function, e, 1, err);
    if (result == 0) {
        int type = lua_type(vm->lua, -1);
        *answer = lua_toboolean(vm->lua, -1);
        if (type != LUA_TBOOLEAN && type != LUA_TNIL)
            result = error_set(err, ERROR_DATA, "when returned a %s; it must return true or false",
                               lua_typename(vm->lua, type));
    }
    call_end(vm);
    return result;
}

int
vm_run(struct vm *vm, const struct value *function, struct event *e, struct error *err)
{
    int result = call_handler(vm, PHASE_RUN, function, e, 0, err);
    call_end(vm);
    return result;
}

static int
message_body(lua_State *L)
{
    struct vm *vm = vm_of(L);
    buffer_reset(&vm->scratch);
    convert_json(L, 2, &vm->scratch, "message");
    return 0;
}

/* The returned value is at the top of the stack. */
static int
message_take(struct vm *vm, struct vm_message *out, struct error *err)
{
    lua_State *L = vm->lua;
    switch (lua_type(L, -1)) {
    case LUA_TNIL:
        out->kind = VM_NOTHING;
        return 0;
    case LUA_TSTRING: {
        size_t size;
        const char *text = lua_tolstring(L, -1, &size);
        out->kind = VM_SAYS_TEXT;
        buffer_reset(&vm->scratch);
        buffer_append(&vm->scratch, text, size);
        break;
    }
    case LUA_TTABLE:
        out->kind = VM_SAYS_TABLE;
        lua_pushcfunction(L, message_body);
        lua_pushnil(L);
        lua_pushvalue(L, -3);
        if (gate_call(vm, 2, 0, err) != 0)
            return -1;
        break;
    default:
        if (!bind_event_is(L, -1))
            return error_set(err, ERROR_DATA,
                             "message returned a %s; it must return a string, a table, the event, "
                             "or nil for \"do not send\"",
                             luaL_typename(L, -1));
        out->kind = VM_SAYS_EVENT;
        return 0;
    }
    out->body = buffer_view(&vm->scratch);
    if (vm->scratch.failed)
        return error_set(err, ERROR_DATA, "the message is larger than 8 MiB");
    return 0;
}

int
vm_message(struct vm *vm, const struct value *function, struct event *e, struct vm_message *out,
           struct error *err)
{
    *out = (struct vm_message){0};
    int result = call_handler(vm, PHASE_MESSAGE, function, e, 1, err);
    if (result == 0)
        result = message_take(vm, out, err);
    call_end(vm);
    return result;
}
