/* json.encode, json.decode, json.null. */
#include "base/json.h"
#include "script/script_private.h"

#define INDENT_MOST 8

static void
new_line(struct buffer *out, int depth, int indent)
{
    buffer_byte(out, '\n');
    for (int i = 0; i < depth * indent; i++)
        buffer_byte(out, ' ');
}

/* The closing quote of a string that begins at `at`. */
static const char *
string_end(const char *at)
{
    for (at++; *at != '"'; at++)
        at += *at == '\\';
    return at;
}

/* JSON on one line, as json_value writes it, with a line for each member. */
static void
spread(struct slice line, int indent, struct buffer *out)
{
    int depth = 0;
    for (const char *at = line.data, *end = at + line.size; at < end; at++) {
        bool opens = *at == '{' || *at == '[', closes = *at == '}' || *at == ']';
        if (*at == '"') {
            const char *last = string_end(at);
            buffer_append(out, at, (size_t)(last - at));
            at = last;
        } else if (opens && (at[1] == '}' || at[1] == ']')) {
            buffer_byte(out, (uint8_t)*at++);
        } else if (closes) {
            new_line(out, --depth, indent);
        }
        buffer_byte(out, (uint8_t)*at);
        if (opens && !(*at == '}' || *at == ']'))
            new_line(out, ++depth, indent);
        else if (*at == ',')
            new_line(out, depth, indent);
        else if (*at == ':')
            buffer_byte(out, ' ');
    }
}

/* { indent = 2 } at `index`; 0: one line. */
static int
check_indent(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index))
        return 0;
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "indent") != 0)
            luaL_error(L, "json.encode has no option \"%s\"; it has: indent",
                       luaL_tolstring(L, -2, NULL));
    lua_getfield(L, index, "indent");
    int is_number;
    lua_Integer indent = lua_tointegerx(L, -1, &is_number);
    if (!is_number || indent < 0 || indent > INDENT_MOST)
        return luaL_error(L, "json.encode: indent is a number of spaces from 0 to %d", INDENT_MOST);
    return (int)indent;
}

/* json.encode(value [, { indent = n }]) */
static int
bind_json_encode(lua_State *L)
{
    struct buffer *b = &vm_of(L)->scratch;
    luaL_checkany(L, 1);
    int indent = check_indent(L, 2);
    buffer_reset(b);
    convert_json(L, 1, b, "json.encode");
    if (!b->failed && indent) {
        lua_pushlstring(L, b->data, b->size); /* the collector frees it whatever happens */
        struct slice line = buffer_view(b);
        line.data = lua_tolstring(L, -1, &line.size);
        buffer_reset(b);
        spread(line, indent, b);
    }
    if (b->failed)
        return luaL_error(L, "json.encode: the text is larger than %d MiB", (int)(b->limit >> 20));
    lua_pushlstring(L, buffer_view(b).data, b->size);
    return 1;
}

/* json.decode(text) */
static int
bind_json_decode(lua_State *L)
{
    struct slice text;
    struct error err = {0};
    struct vm *vm = vm_of(L);
    struct value value;
    text.data = luaL_checklstring(L, 1, &text.size);
    arena_reset(&vm->call);
    if (json_parse(text, &vm->call, &value, &err) != 0) {
        error_context(&err, "json.decode");
        return raise_error(L, &err);
    }
    convert_push(L, &value);
    return 1;
}

static const luaL_Reg functions[] = {
    {"encode", bind_json_encode}, {"decode", bind_json_decode}, {NULL, NULL}};

void
bind_json_open(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
    luaL_newlib(L, functions);
    null_push(L);
    lua_setfield(L, -2, "null");
    lua_setfield(L, -2, "json");
    lua_pop(L, 1);
}
