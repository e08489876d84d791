#include "base/text.h"
#include "event/event_json.h"
#include "script/script_private.h"

struct event *
bind_event_check(lua_State *L, int index)
{
    struct vm *vm = vm_of(L);
    if (!bind_event_is(L, index))
        luaL_error(
            L, "an event belongs here, not a %s; call methods with a colon: e:changed(\"status\")",
            luaL_typename(L, index));
    if (!vm->event)
        luaL_error(L, "an event can only be read while it is handled; keep the values instead");
    return vm->event;
}

bool
bind_event_is(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TUSERDATA && luaL_testudata(L, index, "tidegate.event");
}

static void
push_slice(lua_State *L, struct slice s)
{
    lua_pushlstring(L, s.data ? s.data : "", s.size);
}

static int
field_id(lua_State *L, struct event *e)
{
    struct buffer *b = &vm_of(L)->scratch;
    buffer_reset(b);
    event_id(e, b);
    push_slice(L, buffer_view(b));
    return 1;
}

static int
field_lsn(lua_State *L, struct event *e)
{
    lua_pushinteger(L, (lua_Integer)e->lsn);
    return 1;
}

static int
field_op(lua_State *L, struct event *e)
{
    lua_pushstring(L, event_op_name(e->op));
    return 1;
}

static int
field_source(lua_State *L, struct event *e)
{
    push_slice(L, e->schema->source);
    return 1;
}

static int
field_driver(lua_State *L, struct event *e)
{
    push_slice(L, e->schema->driver);
    return 1;
}

static int
field_schema(lua_State *L, struct event *e)
{
    push_slice(L, e->schema->schema);
    return 1;
}

static int
field_table(lua_State *L, struct event *e)
{
    push_slice(L, e->schema->table);
    return 1;
}

static int
field_ts(lua_State *L, struct event *e)
{
    lua_pushinteger(L, e->ts);
    return 1;
}

static int
field_tx(lua_State *L, struct event *e)
{
    if (!e->tx_id.size) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, 3);
    push_slice(L, e->tx_id);
    lua_setfield(L, -2, "id");
    lua_pushinteger(L, e->tx_index);
    lua_setfield(L, -2, "index");
    lua_pushboolean(L, e->tx_last);
    lua_setfield(L, -2, "last");
    return 1;
}

static int
field_position(lua_State *L, struct event *e)
{
    push_slice(L, e->position);
    return 1;
}

static int
push_image(lua_State *L, struct event *e, enum event_image image)
{
    if (event_row(e, image)->present)
        lua_rawgeti(L, LUA_REGISTRYINDEX, image == EVENT_NEW ? SLOT_ROW_NEW : SLOT_ROW_OLD);
    else
        lua_pushnil(L);
    return 1;
}

static int
field_new(lua_State *L, struct event *e)
{
    return push_image(L, e, EVENT_NEW);
}

static int
field_old(lua_State *L, struct event *e)
{
    return push_image(L, e, EVENT_OLD);
}

static int
field_row(lua_State *L, struct event *e)
{
    return push_image(L, e, event_subject(e) == event_row(e, EVENT_OLD) ? EVENT_OLD : EVENT_NEW);
}

/* {column = value} of the key; nil for a table without one. */
static int
field_key(lua_State *L, struct event *e)
{
    const struct schema *s = e->schema;
    if (s->key_count == 0) {
        lua_pushnil(L);
        return 1;
    }
    enum event_image image = event_row(e, EVENT_NEW)->present ? EVENT_NEW : EVENT_OLD;
    lua_createtable(L, 0, s->key_count);
    for (unsigned i = 0; i < s->key_count; i++) {
        push_slice(L, s->columns[s->key[i]].name);
        bind_row_push_cell(L, event_value(e, image, s->key[i]));
        lua_rawset(L, -3);
    }
    return 1;
}

static int
push_json(lua_State *L, struct slice json)
{
    if (json.size)
        convert_push_json(L, json);
    else
        lua_pushnil(L);
    return 1;
}

static int
field_ddl(lua_State *L, struct event *e)
{
    return push_json(L, e->ddl);
}

static int
field_gap(lua_State *L, struct event *e)
{
    return push_json(L, e->gap);
}

static int
field_meta(lua_State *L, struct event *e)
{
    return push_json(L, e->meta);
}

static int
push_message(lua_State *L, const struct event *e, struct slice text)
{
    if (e->op == EVENT_MESSAGE)
        push_slice(L, text);
    else
        lua_pushnil(L);
    return 1;
}

static int
field_prefix(lua_State *L, struct event *e)
{
    return push_message(L, e, e->prefix);
}

static int
field_content(lua_State *L, struct event *e)
{
    return push_message(L, e, e->content);
}

static const struct {
    const char *name;
    int (*push)(lua_State *L, struct event *e);
} fields[] = {
    {"id", field_id},         {"lsn", field_lsn},
    {"op", field_op},         {"source", field_source},
    {"driver", field_driver}, {"schema", field_schema},
    {"table", field_table},   {"ts", field_ts},
    {"tx", field_tx},         {"position", field_position},
    {"key", field_key},       {"new", field_new},
    {"old", field_old},       {"row", field_row},
    {"ddl", field_ddl},       {"gap", field_gap},
    {"prefix", field_prefix}, {"content", field_content},
    {"meta", field_meta},
};

static int
raise_old_missing(lua_State *L, const char *column)
{
    return luaL_error(
        L,
        "old value not in log: column \"%s\" had a value before that the source's log does "
        "not carry",
        column);
}

/* Does the column at `index` count as changed? Raises when the log does not say. */
static bool
has_changed(lua_State *L, struct event *e, unsigned column)
{
    enum change change = event_changed(e, column);
    if (change == CHANGE_UNKNOWN) {
        struct slice name = e->schema->columns[column].name;
        lua_pushlstring(L, name.data, name.size);
        raise_old_missing(L, lua_tostring(L, -1));
    }
    return change == CHANGE_YES;
}

/* e:changed([column, …]): did any of these change in this update; any at all without names. */
static int
method_changed(lua_State *L)
{
    struct event *e = bind_event_check(L, 1);
    int count = lua_gettop(L);
    bool changed = false;
    for (int i = 2; i <= count; i++)
        changed |= has_changed(L, e, bind_row_column(L, i));
    for (unsigned i = 0; count == 1 && i < e->schema->column_count && !changed; i++)
        changed = event_changed(e, i) == CHANGE_YES;
    for (unsigned i = 0; count == 1 && i < e->schema->column_count && !changed; i++)
        changed = has_changed(L, e, i);
    lua_pushboolean(L, changed);
    return 1;
}

/* e:was(column[, value]): the old value, or whether it was this one. */
static int
method_was(lua_State *L)
{
    struct event *e = bind_event_check(L, 1);
    unsigned column = bind_row_column(L, 2);
    const struct cell *cell = event_cell(e, EVENT_OLD, column);
    bool none = e->op == EVENT_INSERT || e->op == EVENT_READ;
    if (!none && !cell_is_value(cell) && cell->kind != CELL_NULL)
        return raise_old_missing(L, lua_tostring(L, 2));
    bool ask = lua_gettop(L) >= 3;
    bool ask_null = ask && (lua_isnil(L, 3) || null_is(L, 3));
    if (none)
        lua_pushnil(L);
    else
        bind_row_push_cell(L, cell);
    if (!ask)
        return 1;
    bool same = none       ? false
                : ask_null ? lua_isnil(L, -1)
                           : lua_compare(L, 3, lua_gettop(L), LUA_OPEQ) ||
                                 bind_decimal_same(L, 3, lua_gettop(L));
    lua_pushboolean(L, same);
    return 1;
}

static const struct cell *
subject_cell(lua_State *L)
{
    struct event *e = bind_event_check(L, 1);
    unsigned column = bind_row_column(L, 2);
    return event_value(e, e->op == EVENT_DELETE ? EVENT_OLD : EVENT_NEW, column);
}

/* e:text(column): the exact text, or nil for NULL. */
static int
method_text(lua_State *L)
{
    const struct cell *cell = subject_cell(L);
    bind_row_check_there(L, cell, 2);
    if (cell->kind == CELL_NULL) {
        lua_pushnil(L);
        return 1;
    }
    struct buffer *b = &vm_of(L)->scratch;
    buffer_reset(b);
    cell_print(cell, b);
    push_slice(L, buffer_view(b));
    return 1;
}

static enum event_format
check_format(lua_State *L, int index)
{
    const char *name = luaL_optstring(L, index, event_format_names[0]);
    size_t count = 0;
    for (; event_format_names[count]; count++)
        if (strcmp(event_format_names[count], name) == 0)
            return (enum event_format)count;
    const char *near = text_suggest(slice_of(name), event_format_names, count, sizeof(char *));
    luaL_error(L, "\"%s\" is no format that an event can have%s%s%s", name,
               near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return FORMAT_NATIVE;
}

/* e:json([format]) */
static int
method_json(lua_State *L)
{
    struct event *e = bind_event_check(L, 1);
    struct event_shape shape = event_shape_default;
    shape.format = check_format(L, 2);
    shape.columns = vm_of(L)->columns;
    shape.column_count = vm_of(L)->column_count;
    struct buffer *b = &vm_of(L)->scratch;
    buffer_reset(b);
    event_json(e, &shape, b);
    if (b->failed)
        return luaL_error(L, "the event is larger than 8 MiB as JSON");
    push_slice(L, buffer_view(b));
    return 1;
}

static int
method_is_null(lua_State *L)
{
    lua_pushboolean(L, subject_cell(L)->kind == CELL_NULL);
    return 1;
}

/* Asks the cell as the log carries it, before an old value stands in. */
static int
is_kind(lua_State *L, enum cell_kind kind)
{
    struct event *e = bind_event_check(L, 1);
    unsigned column = bind_row_column(L, 2);
    enum event_image image = e->op == EVENT_DELETE ? EVENT_OLD : EVENT_NEW;
    lua_pushboolean(L, event_cell(e, image, column)->kind == kind);
    return 1;
}

static int
method_is_unchanged(lua_State *L)
{
    return is_kind(L, CELL_UNCHANGED);
}

static int
method_is_unknown(lua_State *L)
{
    return is_kind(L, CELL_UNKNOWN);
}

/* e:has(column): can it be read? NULL can. */
static int
method_has(lua_State *L)
{
    const struct cell *cell = subject_cell(L);
    lua_pushboolean(L, cell_is_value(cell) || cell->kind == CELL_NULL);
    return 1;
}

/* e:row_table(): e.row as a table to change and to send; nil where the event has no row. */
static int
method_row_table(lua_State *L)
{
    struct event *e = bind_event_check(L, 1);
    if (!event_subject(e)->present) {
        lua_pushnil(L);
        return 1;
    }
    bind_row_push_table(L, e, event_subject(e) == event_row(e, EVENT_OLD) ? EVENT_OLD : EVENT_NEW);
    return 1;
}

static const luaL_Reg methods[] = {
    {"changed", method_changed},
    {"was", method_was},
    {"text", method_text},
    {"json", method_json},
    {"is_null", method_is_null},
    {"is_unchanged", method_is_unchanged},
    {"is_unknown", method_is_unknown},
    {"has", method_has},
    {"get", bind_path_get},
    {"row_table", method_row_table},
    {NULL, NULL},
};

/* Upvalue 1: {name -> number of a field, or the method itself}. */
static int
event_index(lua_State *L)
{
    struct vm *vm = vm_of(L);
    lua_pushvalue(L, 2);
    int type = lua_rawget(L, lua_upvalueindex(1));
    if (type == LUA_TFUNCTION)
        return 1;
    if (type != LUA_TNUMBER) {
        const char *name = luaL_tolstring(L, 2, NULL);
        return luaL_error(L, "an event has no field \"%s\"; columns are e.new.%s and e.old.%s",
                          name, name, name);
    }
    if (!vm->event)
        return luaL_error(L,
                          "an event can only be read while it is handled; keep the values instead");
    return fields[lua_tointeger(L, -1)].push(L, vm->event);
}

static int
event_newindex(lua_State *L)
{
    return luaL_error(L, "events are read-only");
}

static int
event_tostring(lua_State *L)
{
    struct event *e = bind_event_check(L, 1);
    return field_id(L, e);
}

void
bind_event_open(lua_State *L)
{
    luaL_newmetatable(L, "tidegate.event");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    for (size_t i = 0; i < countof(fields); i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_setfield(L, -2, fields[i].name);
    }
    lua_pushcclosure(L, event_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, event_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, event_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lua_newuserdatauv(L, 1, 0);
    luaL_setmetatable(L, "tidegate.event");
    lua_rawseti(L, LUA_REGISTRYINDEX, SLOT_EVENT);
}
