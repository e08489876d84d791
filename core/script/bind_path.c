#include "event/json_path.h"
#include "script/script_private.h"

/* The cell of e.row, or raises when the log does not carry it. */
static const struct cell *
readable(lua_State *L, struct event *e, unsigned column)
{
    const struct cell *cell = event_value(e, event_key_image(e), column);
    struct slice name = e->schema->columns[column].name;
    lua_pushlstring(L, name.data, name.size);
    bind_row_check_there(L, cell, lua_gettop(L));
    if (cell->kind == CELL_NULL)
        vm_of(L)->null_column = name;
    return cell;
}

/* e:get("meta.plan.seats"): what stands there in e.row; nil where nothing does, for null, and where
 * a document on the way is NULL. */
int
bind_path_get(lua_State *L)
{
    struct event *e = bind_event_check(L, 1);
    struct buffer *scratch = &vm_of(L)->scratch;
    struct slice name, path;
    struct error err = {0};
    struct cell inside;
    name.data = luaL_checklstring(L, 2, &name.size);
    int column = e->schema->table.size ? json_path_column(e->schema, name, &path, &err) : 0;
    if (column < 0)
        return raise_error(L, &err);
    if (!event_subject(e)->present) {
        lua_pushnil(L);
        return 1;
    }
    const struct cell *cell = readable(L, e, (unsigned)column);
    if (path.size && cell->kind != CELL_NULL) {
        buffer_reset(scratch);
        json_path_read(cell, path, scratch, &inside);
        if (inside.kind == CELL_TEXT && scratch->failed)
            return luaL_error(L, "the text at \"%s\" is larger than 8 MiB", name.data);
        cell = &inside;
    }
    bind_row_push_cell(L, cell);
    return 1;
}
