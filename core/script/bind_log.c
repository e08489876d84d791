/* log.debug info warn error, and print: lines in Tidegate's own log under the name of the rule.
 * A rule that logs each event must not fill the disk: it has so many lines a second, and the count
 * of the others. */
#include "base/clock.h"
#include "base/hash.h"
#include "script/script_private.h"

#define LINES_PER_SECOND 20
#define LINE_BYTES       8192 /* no log line is longer */

/* What a log line says of its origin: "rule/orders/big", or "script/orders" while it loads. */
static const char *
component_of(const struct vm *vm, char *out, size_t size)
{
    bool loads = vm->phase == PHASE_LOAD && vm->stem;
    const char *name = loads ? vm->stem : vm->rule;
    if (!name)
        return "script";
    snprintf(out, size, "%s/%s", loads ? "script" : "rule", name);
    return out;
}

static bool
may_log(struct vm *vm, enum log_level level, const char *component)
{
    struct vm_log_rate *rate = &vm->log_rates[hash64(component, strlen(component)) % VM_LOG_RATES];
    int64_t now = clock_mono();
    if (now - rate->since >= CLOCK_SECOND) {
        if (rate->left_out)
            log_write(level, component, "%u lines more within a second were left out",
                      rate->left_out);
        *rate = (struct vm_log_rate){.since = now};
    }
    if (rate->lines < LINES_PER_SECOND) {
        rate->lines++;
        return true;
    }
    rate->left_out++;
    return false;
}

/* Stack: a table. Leaves its JSON. */
static int
table_json(lua_State *L)
{
    struct buffer *b = &vm_of(L)->scratch;
    buffer_reset(b);
    convert_json(L, 1, b, "log");
    lua_pushlstring(L, buffer_view(b).data, b->size);
    return 1;
}

/* Pushes the argument as text: tables as JSON, where they have one. */
static void
push_text(lua_State *L, int index)
{
    enum event_image image;
    if (bind_row_is(L, index, &image) && vm_of(L)->event) {
        bind_row_push_table(L, vm_of(L)->event, image);
        lua_replace(L, index);
    }
    if (lua_type(L, index) == LUA_TTABLE && luaL_getmetafield(L, index, "__tostring") == LUA_TNIL) {
        lua_pushcfunction(L, table_json);
        lua_pushvalue(L, index);
        if (lua_pcall(L, 1, 1, 0) == LUA_OK)
            return;
        lua_pop(L, 1);
    }
    luaL_tolstring(L, index, NULL);
}

static void
push_joined(lua_State *L, int count)
{
    luaL_checkstack(L, 4, "log");
    lua_pushliteral(L, "");
    for (int i = 1; i <= count && lua_rawlen(L, -1) < LINE_BYTES; i++) {
        push_text(L, i);
        lua_pushstring(L, i > 1 ? " " : "");
        lua_insert(L, -2);
        lua_concat(L, 3);
    }
}

/* log.info("%d rows", n): a text with % before further values is a format. */
static void
push_line(lua_State *L)
{
    int count = lua_gettop(L);
    bool format = count > 1 && lua_type(L, 1) == LUA_TSTRING && strchr(lua_tostring(L, 1), '%');
    if (!format) {
        push_joined(L, count);
        return;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
    lua_getfield(L, -1, LUA_STRLIBNAME);
    lua_getfield(L, -1, "format");
    lua_insert(L, 1);
    lua_pop(L, 2);
    lua_call(L, count, 1);
}

/* Upvalue: the level. */
static int
bind_log_write(lua_State *L)
{
    struct vm *vm = vm_of(L);
    enum log_level level = (enum log_level)lua_tointeger(L, lua_upvalueindex(1));
    char text[160];
    const char *component = component_of(vm, text, sizeof(text));
    if (level > log_threshold || !may_log(vm, level, component))
        return 0;
    push_line(L);
    log_write(level, component, "%s", lua_tostring(L, -1));
    return 0;
}

void
bind_log_open(lua_State *L)
{
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = {
        {"debug", LOG_DEBUG}, {"info", LOG_INFO}, {"warn", LOG_WARNING}, {"error", LOG_ERROR}};
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
    lua_newtable(L);
    for (size_t i = 0; i < countof(levels); i++) {
        lua_pushinteger(L, levels[i].level);
        lua_pushcclosure(L, bind_log_write, 1);
        lua_setfield(L, -2, levels[i].name);
    }
    lua_setfield(L, -2, "log");
    lua_pushinteger(L, LOG_INFO);
    lua_pushcclosure(L, bind_log_write, 1);
    lua_setfield(L, -2, "print");
    lua_pop(L, 1);
}
