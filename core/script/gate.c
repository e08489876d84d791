#include "script/script_private.h"

/* Finds the first "path:line:" of a loaded text in `message`: the text and the line's number. */
static const struct vm_text *
locate(const struct vm *vm, const char *message, int *line)
{
    const struct vm_text *found = NULL;
    const char *first = NULL;
    for (size_t i = 0; i < vm->text_count; i++) {
        const struct vm_text *t = &vm->texts[i];
        size_t size = strlen(t->path);
        const char *at = strstr(message, t->path);
        if (!at || at[size] != ':' || atoi(at + size + 1) <= 0 || (first && at > first))
            continue;
        *line = atoi(at + size + 1);
        found = t;
        first = at;
    }
    return found;
}

static struct slice
source_line(struct slice text, int line)
{
    const char *at = text.data, *end = text.data + text.size;
    for (; line > 1 && at < end; at++)
        line -= *at == '\n';
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    struct slice found = {at, (size_t)((stop ? stop : end) - at)};
    while (found.size && (*found.data == ' ' || *found.data == '\t'))
        found.data++, found.size--;
    return found;
}

/* Lua's own words when something was done to a nil. */
static bool
is_about_nil(const char *message)
{
    static const char *const signs[] = {"nil value", "with nil", "nil with", "got nil",
                                        "got no value"};
    for (size_t i = 0; i < countof(signs); i++)
        if (strstr(message, signs[i]))
            return true;
    return false;
}

/* Which image was asked for something, though the event has none? NULL when that was not it. */
static const char *
missing_image(const struct vm *vm, const char *message)
{
    if (!vm->event)
        return NULL;
    if (strstr(message, "(field 'new')") && !event_row(vm->event, EVENT_NEW)->present)
        return "new";
    if (strstr(message, "(field 'old')") && !event_row(vm->event, EVENT_OLD)->present)
        return "old";
    return NULL;
}

static void
set_error(struct vm *vm, const char *message, struct error *err)
{
    error_set(err, ERROR_DATA, "%s", message);
    int line = 0;
    const struct vm_text *t = locate(vm, message, &line);
    if (t) {
        struct slice source = source_line(t->text, line);
        if (source.size)
            error_cause(err, "line %d is: %.*s", line, (int)(source.size > 300 ? 300 : source.size),
                        source.data);
    }
    const char *image = missing_image(vm, message);
    if (image)
        error_hint(err, "e.%s is nil for %s; e.row is the row of any operation that has one", image,
                   event_op_name(vm->event->op));
    else if (vm->null_column.size && is_about_nil(message))
        error_hint(err,
                   "column \"%.*s\" is NULL here; test it first: e.new.%.*s ~= nil, or "
                   "e:is_null(\"%.*s\")",
                   (int)vm->null_column.size, vm->null_column.data, (int)vm->null_column.size,
                   vm->null_column.data, (int)vm->null_column.size, vm->null_column.data);
}

/* Keeps the traceback, and the error as it is: what a script says of it with __tostring runs later,
 * where the budget can end it. */
static int
handle_message(lua_State *L)
{
    struct vm *vm = vm_of(L);
    luaL_traceback(L, L, NULL, 1);
    const char *trace = lua_tostring(L, -1);
    snprintf(vm->traceback, sizeof(vm->traceback), "%s", trace ? trace : "");
    lua_settop(L, 1);
    return 1;
}

/* An error object as text, by its own __tostring if it has one. */
static int
describe(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING || lua_type(L, 1) == LUA_TNUMBER ||
        luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL)
        luaL_tolstring(L, 1, NULL);
    else
        lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    return 1;
}

/* The error on top as text, under the budget of the call that failed; of a call that is out of time
 * nothing but that is said. */
static int
take_text(struct vm *vm, char *out, size_t size)
{
    lua_State *L = vm->lua;
    char words[64];
    int status = LUA_OK;
    if (lua_type(L, -1) != LUA_TSTRING) {
        lua_pushcfunction(L, describe);
        lua_insert(L, -2);
        status = lua_pcall(L, 1, 1, 0); /* an error in there is a text too, or is named below */
    }
    const char *text =
        lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error whose __tostring fails";
    budget_words(vm, words, sizeof(words));
    if (vm->budget.expired && !strstr(text, words))
        text = words;
    snprintf(out, size, "%s", text);
    return status;
}

void
gate_open(lua_State *L)
{
    lua_pushcfunction(L, handle_message);
    lua_rawseti(L, LUA_REGISTRYINDEX, SLOT_HANDLER);
}

int
gate_enter(struct vm *vm, int nargs, int nresults, struct error *err)
{
    lua_State *L = vm->lua;
    int status = lua_pcall(L, nargs, nresults, lua_gettop(L) - nargs - 1);
    if (status == LUA_OK)
        return 0;
    char message[sizeof(err->message)] = "";
    if (status == LUA_ERRMEM || take_text(vm, message, sizeof(message)) == LUA_ERRMEM) {
        error_set(err, ERROR_BUDGET, "more memory than a call may use (%d MiB; %d MiB all scripts)",
                  BUDGET_CALL >> 20, BUDGET_MEMORY >> 20);
    } else {
        set_error(vm, message, err);
        if (vm->budget.expired && err)
            err->class = ERROR_BUDGET;
    }
    lua_pop(L, 1);
    if (vm->budget.memory >
        BUDGET_MEMORY / 2) /* what failed here must not fail the next call too */
        lua_gc(L, LUA_GCCOLLECT);
    return -1;
}

int
gate_call(struct vm *vm, int nargs, int nresults, struct error *err)
{
    lua_State *L = vm->lua;
    int base = lua_gettop(L) - nargs;
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_HANDLER);
    lua_insert(L, base);
    int result = gate_enter(vm, nargs, nresults, err);
    lua_remove(L, base);
    return result;
}

int
gate_run(struct vm *vm, lua_CFunction body, void *arg, struct error *err)
{
    lua_pushcfunction(vm->lua, body);
    lua_pushlightuserdata(vm->lua, arg);
    return gate_call(vm, 1, 0, err);
}

int
raise_error(lua_State *L, const struct error *err)
{
    char text[1600];
    luaL_where(L, 1);
    lua_pushstring(L, error_text(err, text, sizeof(text)));
    lua_concat(L, 2);
    return lua_error(L);
}

int
line_of_script(lua_State *L)
{
    lua_Debug where = {0};
    const char *script = vm_of(L)->script;
    for (int level = 1; script && lua_getstack(L, level, &where); level++) {
        lua_getinfo(L, "Sl", &where);
        if (where.currentline > 0 && where.source[0] == '@' &&
            strcmp(where.source + 1, script) == 0)
            return where.currentline;
    }
    return line_of_caller(L);
}

int
line_of_caller(lua_State *L)
{
    lua_Debug where = {0};
    for (int level = 1; lua_getstack(L, level, &where); level++) {
        lua_getinfo(L, "l", &where);
        if (where.currentline > 0) /* C functions such as pcall have none */
            return where.currentline;
    }
    return 0;
}
