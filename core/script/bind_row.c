#include "script/script_private.h"

/* A row object: which image of the running event it shows. */
struct row_object {
    enum event_image image;
};

void
bind_row_push_cell(lua_State *L, const struct cell *cell)
{
    switch (cell->kind) {
    case CELL_BOOL:
        lua_pushboolean(L, cell->integer != 0);
        break;
    case CELL_INT:
        lua_pushinteger(L, cell->integer);
        break;
    case CELL_FLOAT:
        lua_pushnumber(L, cell->real);
        break;
    case CELL_DECIMAL:
        bind_decimal_number(L, cell->text);
        break;
    case CELL_TEXT:
    case CELL_BYTES:
    case CELL_TIME:
        lua_pushlstring(L, cell->text.data, cell->text.size);
        break;
    case CELL_DOCUMENT:
        convert_push_json(L, cell->text);
        break;
    default:
        lua_pushnil(L);
    }
}

/* Pushes {column name -> index} of the running event's schema, made once a schema. */
static void
push_columns(lua_State *L, const struct schema *schema)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_COLUMNS);
    if (lua_rawgetp(L, -1, schema) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_createtable(L, 0, schema->column_count);
        for (unsigned i = 0; i < schema->column_count; i++) {
            lua_pushlstring(L, schema->columns[i].name.data, schema->columns[i].name.size);
            lua_pushinteger(L, (lua_Integer)i);
            lua_rawset(L, -3);
        }
        lua_pushvalue(L, -1);
        lua_rawsetp(L, -3, schema);
    }
    lua_remove(L, -2);
}

/* Gives row_index the columns of `schema`, once per change of table. */
static void
bind_schema(lua_State *L, struct vm *vm, const struct schema *schema)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_ROW_INDEX);
    push_columns(L, schema);
    lua_setupvalue(L, -2, 1);
    lua_pop(L, 1);
    vm->bound = schema;
}

unsigned
bind_row_column(lua_State *L, int index)
{
    struct vm *vm = vm_of(L);
    const struct schema *schema = vm->event->schema;
    size_t size;
    const char *name = luaL_checklstring(L, index, &size);
    int column = schema_column(schema, (struct slice){name, size});
    if (column >= 0)
        return (unsigned)column;
    struct slice near = schema_suggest(schema, (struct slice){name, size});
    char label[256];
    schema_label(schema, label, sizeof(label));
    if (near.size) {
        lua_pushlstring(L, near.data, near.size);
        luaL_error(L, "%s has no column \"%s\"; did you mean \"%s\"?", label, name,
                   lua_tostring(L, -1));
    }
    luaL_error(L, "%s has no column \"%s\"", label, name);
    return 0;
}

static const char *
why_missing(const struct cell *cell)
{
    switch (cell->kind) {
    case CELL_UNCHANGED:
        return "did not change, and the log does not carry its value";
    case CELL_UNKNOWN:
        return "may have changed, and the log does not carry its value";
    default:
        return "is not part of this image";
    }
}

void
bind_row_check_there(lua_State *L, const struct cell *cell, int name)
{
    if (!cell_is_value(cell) && cell->kind != CELL_NULL)
        luaL_error(L, "column \"%s\" %s; ask e:has(\"%s\") first", lua_tostring(L, name),
                   why_missing(cell), lua_tostring(L, name));
}

/* row.column: the value; upvalue 1: {column name -> index}. A name that the table does not have
 * fails closed. */
static int
row_index(lua_State *L)
{
    struct vm *vm = vm_of(L);
    const struct row_object *row = lua_touserdata(L, 1);
    struct event *e = vm->event;
    if (!e)
        return luaL_error(
            L, "a row can only be read while its event is handled; keep the values instead");
    if (vm->bound != e->schema)
        bind_schema(L, vm, e->schema);
    lua_pushvalue(L, 2);
    unsigned column = lua_rawget(L, lua_upvalueindex(1)) == LUA_TNUMBER
                          ? (unsigned)lua_tointeger(L, -1)
                          : bind_row_column(L, 2);
    const struct cell *cell = event_value(e, row->image, column);
    if (cell->kind == CELL_NULL)
        vm->null_column = e->schema->columns[column].name;
    bind_row_check_there(L, cell, 2);
    bind_row_push_cell(L, cell);
    return 1;
}

static int
row_newindex(lua_State *L)
{
    return luaL_error(L, "rows are read-only");
}

static bool
is_wanted(const struct vm *vm, struct slice column)
{
    for (size_t i = 0; i < vm->column_count; i++)
        if (slice_is(column, vm->columns[i]))
            return true;
    return !vm->columns;
}

void
bind_row_push_table(lua_State *L, struct event *e, enum event_image image)
{
    lua_createtable(L, 0, e->schema->column_count);
    for (unsigned i = 0; i < e->schema->column_count; i++) {
        const struct cell *cell = event_value(e, image, i);
        struct slice name = e->schema->columns[i].name;
        if ((!cell_is_value(cell) && cell->kind != CELL_NULL) || !is_wanted(vm_of(L), name))
            continue;
        lua_pushlstring(L, name.data, name.size);
        if (cell->kind == CELL_NULL)
            null_push(L);
        else
            bind_row_push_cell(L, cell);
        lua_rawset(L, -3);
    }
}

bool
bind_row_is(lua_State *L, int index, enum event_image *image)
{
    if (lua_type(L, index) != LUA_TUSERDATA)
        return false;
    const struct row_object *row = luaL_testudata(L, index, "tidegate.row");
    if (row)
        *image = row->image;
    return row != NULL;
}

/* Iterator of pairs(row): column order, values only; upvalues: row, next column. */
static int
row_next(lua_State *L)
{
    struct vm *vm = vm_of(L);
    const struct row_object *row = lua_touserdata(L, lua_upvalueindex(1));
    unsigned column = (unsigned)lua_tointeger(L, lua_upvalueindex(2));
    if (!vm->event)
        return luaL_error(L, "a row can only be read while its event is handled");
    for (; column < vm->event->schema->column_count; column++) {
        const struct cell *cell = event_value(vm->event, row->image, column);
        if (!cell_is_value(cell))
            continue;
        lua_pushinteger(L, (lua_Integer)column + 1);
        lua_replace(L, lua_upvalueindex(2));
        const struct slice name = vm->event->schema->columns[column].name;
        lua_pushlstring(L, name.data, name.size);
        bind_row_push_cell(L, cell);
        return 2;
    }
    return 0;
}

static int
row_pairs(lua_State *L)
{
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, row_next, 2);
    return 1;
}

static int
row_tostring(lua_State *L)
{
    lua_pushliteral(L, "row");
    return 1;
}

static const luaL_Reg row_meta[] = {
    {"__newindex", row_newindex},
    {"__pairs", row_pairs},
    {"__tostring", row_tostring},
    {NULL, NULL},
};

static void
new_row(lua_State *L, enum event_image image, enum vm_slot slot)
{
    struct row_object *row = lua_newuserdatauv(L, sizeof(*row), 0);
    row->image = image;
    luaL_setmetatable(L, "tidegate.row");
    lua_rawseti(L, LUA_REGISTRYINDEX, slot);
}

void
bind_row_open(lua_State *L)
{
    luaL_newmetatable(L, "tidegate.row");
    luaL_setfuncs(L, row_meta, 0);
    lua_pushnil(L);
    lua_pushcclosure(L, row_index, 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, SLOT_ROW_INDEX);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    new_row(L, EVENT_NEW, SLOT_ROW_NEW);
    new_row(L, EVENT_OLD, SLOT_ROW_OLD);
    lua_newtable(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, SLOT_COLUMNS);
}
