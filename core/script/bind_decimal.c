#include <math.h>
#include "base/decimal.h"
#include "script/script_private.h"

/* A decimal is its exact text; arithmetic parses, computes in the VM's call arena, prints. */
struct decimal_object {
    size_t size;
    char text[];
};

void
bind_decimal_push(lua_State *L, struct slice text)
{
    struct decimal_object *d = lua_newuserdatauv(L, sizeof(*d) + text.size + 1, 0);
    d->size = text.size;
    memcpy(d->text, text.data, text.size);
    d->text[text.size] = 0;
    luaL_setmetatable(L, "tidegate.decimal");
}

void
bind_decimal_number(lua_State *L, struct slice text)
{
    int64_t integer;
    double real;
    switch (decimal_classify(text, &integer, &real)) {
    case 1:
        lua_pushinteger(L, integer);
        break;
    case 2:
        lua_pushnumber(L, real);
        break;
    case 3:
        bind_decimal_push(L, text);
        break;
    default:
        lua_pushlstring(L, text.data, text.size);
    }
}

bool
bind_decimal_text(lua_State *L, int index, struct slice *out)
{
    if (lua_type(L, index) != LUA_TUSERDATA)
        return false;
    const struct decimal_object *d = luaL_testudata(L, index, "tidegate.decimal");
    if (d)
        *out = (struct slice){d->text, d->size};
    return d != NULL;
}

/* Shows the start of it: a text may be long. */
static void
raise_no_number(lua_State *L, int index)
{
    size_t size;
    const char *text = luaL_tolstring(L, index, &size);
    lua_pushlstring(L, text, size > 60 ? 60 : size);
    luaL_error(L, "\"%s%s\" is no number that a decimal can hold (at most %d digits)",
               lua_tostring(L, -1), size > 60 ? "…" : "", DECIMAL_DIGITS);
}

/* Any number of Lua's, or a text that is one; a float counts as its shortest decimal. */
static struct decimal
check_decimal(lua_State *L, int index)
{
    struct arena *arena = &vm_of(L)->call;
    struct decimal d = {0};
    struct slice text;
    int bad = 0;
    if (bind_decimal_text(L, index, &text))
        bad = decimal_parse(text, arena, &d);
    else if (lua_isinteger(L, index))
        d = decimal_from_int(lua_tointeger(L, index), arena);
    else if (lua_type(L, index) == LUA_TNUMBER)
        bad = decimal_from_double(lua_tonumber(L, index), arena, &d);
    else if (lua_type(L, index) == LUA_TSTRING) {
        text.data = lua_tolstring(L, index, &text.size);
        bad = decimal_parse(text, arena, &d);
    } else
        luaL_error(L, "a %s value is no number", luaL_typename(L, index));
    if (bad)
        raise_no_number(L, index);
    return d;
}

static int
push_result(lua_State *L, const struct decimal *d)
{
    struct buffer *b = &vm_of(L)->scratch;
    buffer_reset(b);
    decimal_print(d, b);
    bind_decimal_push(L, buffer_view(b));
    return 1;
}

typedef int decimal_operation(const struct decimal *a, const struct decimal *b, struct arena *arena,
                              struct decimal *out, struct error *err);

static int
operate(lua_State *L, decimal_operation *operation)
{
    struct vm *vm = vm_of(L);
    arena_reset(&vm->call);
    struct decimal a = check_decimal(L, 1), b = check_decimal(L, 2), result;
    struct error err = {0};
    if (operation(&a, &b, &vm->call, &result, &err) != 0)
        return luaL_error(L, "%s", err.message);
    return push_result(L, &result);
}

static int
meta_add(lua_State *L)
{
    return operate(L, decimal_add);
}

static int
meta_sub(lua_State *L)
{
    return operate(L, decimal_subtract);
}

static int
meta_mul(lua_State *L)
{
    return operate(L, decimal_multiply);
}

static int
meta_div(lua_State *L)
{
    return operate(L, decimal_divide);
}

static int
meta_idiv(lua_State *L)
{
    return operate(L, decimal_floor_divide);
}

static int
meta_mod(lua_State *L)
{
    return operate(L, decimal_modulo);
}

static int
meta_unm(lua_State *L)
{
    struct vm *vm = vm_of(L);
    arena_reset(&vm->call);
    struct decimal d = check_decimal(L, 1);
    d.negative = !d.negative && d.count > 0;
    return push_result(L, &d);
}

/* Order of two numbers; an infinite or not-a-number float has its own place. Returns false for NaN.
 */
static bool
compare(lua_State *L, int *order)
{
    for (int i = 1; i <= 2; i++) {
        if (lua_type(L, i) != LUA_TNUMBER || lua_isinteger(L, i) || isfinite(lua_tonumber(L, i)))
            continue;
        double x = lua_tonumber(L, i);
        *order = (x > 0) == (i == 1) ? 1 : -1;
        return !isnan(x);
    }
    if (lua_type(L, 1) == LUA_TSTRING || lua_type(L, 2) == LUA_TSTRING)
        luaL_error(L, "attempt to compare a decimal with a string; write decimal(\"…\")");
    arena_reset(&vm_of(L)->call);
    struct decimal a = check_decimal(L, 1), b = check_decimal(L, 2);
    *order = decimal_compare(&a, &b);
    return true;
}

static int
meta_eq(lua_State *L)
{
    struct slice unused;
    int order;
    bool both = bind_decimal_text(L, 1, &unused) && bind_decimal_text(L, 2, &unused);
    lua_pushboolean(L, both && compare(L, &order) && order == 0);
    return 1;
}

static int
meta_lt(lua_State *L)
{
    int order;
    bool known = compare(L, &order);
    lua_pushboolean(L, known && order < 0);
    return 1;
}

static int
meta_le(lua_State *L)
{
    int order;
    bool known = compare(L, &order);
    lua_pushboolean(L, known && order <= 0);
    return 1;
}

bool
bind_decimal_same(lua_State *L, int a, int b)
{
    struct slice unused;
    bool decimals[] = {bind_decimal_text(L, a, &unused), bind_decimal_text(L, b, &unused)};
    if ((!decimals[0] && !decimals[1]) || (!decimals[0] && lua_type(L, a) != LUA_TNUMBER) ||
        (!decimals[1] && lua_type(L, b) != LUA_TNUMBER))
        return false;
    a = lua_absindex(L, a);
    b = lua_absindex(L, b);
    lua_pushcfunction(L, meta_le);
    lua_pushvalue(L, a);
    lua_pushvalue(L, b);
    lua_call(L, 2, 1);
    lua_pushcfunction(L, meta_le);
    lua_pushvalue(L, b);
    lua_pushvalue(L, a);
    lua_call(L, 2, 1);
    bool same = lua_toboolean(L, -1) && lua_toboolean(L, -2);
    lua_pop(L, 2);
    return same;
}

static int
meta_tostring(lua_State *L)
{
    struct slice text = {0};
    bind_decimal_text(L, 1, &text);
    lua_pushlstring(L, text.data, text.size);
    return 1;
}

static int
meta_concat(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

static int
method_round(lua_State *L)
{
    struct vm *vm = vm_of(L);
    arena_reset(&vm->call);
    struct decimal d = check_decimal(L, 1), result;
    struct error err = {0};
    lua_Integer places = luaL_optinteger(L, 2, 0);
    if (places < 0 || places > DECIMAL_DIGITS)
        return luaL_error(L, "round takes 0 to %d places", DECIMAL_DIGITS);
    if (decimal_round(&d, (int)places, &vm->call, &result, &err) != 0)
        return luaL_error(L, "%s", err.message);
    return push_result(L, &result);
}

static int
method_number(lua_State *L)
{
    arena_reset(&vm_of(L)->call);
    struct decimal d = check_decimal(L, 1);
    int64_t whole;
    if (decimal_int(&d, &whole))
        lua_pushinteger(L, whole);
    else
        lua_pushnumber(L, decimal_double(&d));
    return 1;
}

static int
decimal_make(lua_State *L)
{
    arena_reset(&vm_of(L)->call);
    struct decimal d = check_decimal(L, 1);
    return push_result(L, &d);
}

static const luaL_Reg meta[] = {
    {"__add", meta_add},
    {"__sub", meta_sub},
    {"__mul", meta_mul},
    {"__div", meta_div},
    {"__idiv", meta_idiv},
    {"__mod", meta_mod},
    {"__unm", meta_unm},
    {"__eq", meta_eq},
    {"__lt", meta_lt},
    {"__le", meta_le},
    {"__tostring", meta_tostring},
    {"__concat", meta_concat},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"round", method_round}, {"number", method_number}, {NULL, NULL}};

void
bind_decimal_open(lua_State *L)
{
    luaL_newmetatable(L, "tidegate.decimal");
    luaL_setfuncs(L, meta, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, SLOT_GLOBALS);
    lua_pushcfunction(L, decimal_make);
    lua_setfield(L, -2, "decimal");
    lua_pop(L, 1);
}
