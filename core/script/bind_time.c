/* time: the rule's clock, and texts of times. All in microseconds since 1970 UTC, as e.ts. There is
 * no other clock, so that a replay gives the same answers. */
#include "base/clock.h"
#include "script/script_private.h"

/* A time as a number of microseconds, or as the text that a column has. */
static int64_t
check_time(lua_State *L, int index)
{
    int64_t us;
    if (lua_type(L, index) == LUA_TNUMBER)
        return luaL_checkinteger(L, index);
    struct slice text;
    text.data = luaL_checklstring(L, index, &text.size);
    if (clock_parse(text, &us) != 0)
        luaL_error(L, "\"%s\" is no time such as 2026-11-21T06:42:00Z", text.data);
    return us;
}

/* time.now(): the clock at the event that is handled. */
static int
bind_time_now(lua_State *L)
{
    const struct event *e = vm_of(L)->event;
    if (!e)
        return luaL_error(L, "time.now works only inside a handler: a rule's clock is that of its "
                             "events");
    lua_pushinteger(L, e->ts);
    return 1;
}

static int
bind_time_us(lua_State *L)
{
    lua_pushinteger(L, check_time(L, 1));
    return 1;
}

/* time.parse(text): as time.us, but nil for what is no time. */
static int
bind_time_parse(lua_State *L)
{
    int64_t us;
    struct slice text;
    text.data = luaL_checklstring(L, 1, &text.size);
    if (clock_parse(text, &us) == 0)
        lua_pushinteger(L, us);
    else
        lua_pushnil(L);
    return 1;
}

/* time.format(us or text [, format]): RFC 3339 without a format. */
static int
bind_time_format(lua_State *L)
{
    int64_t us = check_time(L, 1);
    struct buffer *b = &vm_of(L)->scratch;
    struct error err = {0};
    struct slice format;
    char text[CLOCK_TEXT_SIZE];
    buffer_reset(b);
    if (lua_isnoneornil(L, 2)) {
        lua_pushstring(L, clock_format(us, text));
        return 1;
    }
    format.data = luaL_checklstring(L, 2, &format.size);
    if (clock_print(us, format, b, &err) != 0)
        return raise_error(L, &err);
    if (b->failed)
        return luaL_error(L, "time.format: the text is larger than %d MiB", (int)(b->limit >> 20));
    lua_pushlstring(L, buffer_view(b).data, b->size);
    return 1;
}

/* time.date(us or text): its parts. */
static int
bind_time_date(lua_State *L)
{
    struct clock_parts parts = clock_split(check_time(L, 1));
    const struct {
        const char *name;
        int64_t value;
    } fields[] = {
        {"year", parts.year}, {"month", parts.month},     {"day", parts.day},
        {"hour", parts.hour}, {"minute", parts.minute},   {"second", parts.second},
        {"us", parts.us},     {"weekday", parts.weekday}, {"yearday", parts.yearday},
    };
    lua_createtable(L, 0, countof(fields));
    for (size_t i = 0; i < countof(fields); i++) {
        lua_pushinteger(L, fields[i].value);
        lua_setfield(L, -2, fields[i].name);
    }
    return 1;
}

/* time.duration("5m"): in microseconds. */
static int
bind_time_duration(lua_State *L)
{
    int64_t us;
    struct slice text;
    text.data = luaL_checklstring(L, 1, &text.size);
    if (duration_parse(text, &us) != 0)
        return luaL_error(L, "\"%s\" is no duration such as 250ms, 5m, 1h30m or 7d", text.data);
    lua_pushinteger(L, us);
    return 1;
}

static const luaL_Reg functions[] = {
    {"now", bind_time_now},
    {"us", bind_time_us},
    {"parse", bind_time_parse},
    {"format", bind_time_format},
    {"date", bind_time_date},
    {"duration", bind_time_duration},
    {NULL, NULL},
};

void
bind_time_open(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
    luaL_newlib(L, functions);
    lua_setfield(L, -2, "time");
    lua_pop(L, 1);
}
