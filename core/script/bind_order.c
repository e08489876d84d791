/* What would differ between two runs of the same rule on the same event, made the same: the order
 * of pairs, and random numbers (language.md §6). */
#include <math.h>
#include "base/hash.h"
#include "event/event.h"
#include "script/script_private.h"

/* A key, by what it is sorted by: numbers, then texts, then all others as they come. */
struct order_key {
    enum { KEY_NUMBER, KEY_TEXT, KEY_OTHER } kind;
    uint32_t place; /* in the list of keys as they came, from 1 */
    union {
        long double number; /* holds every integer and every float exactly */
        struct slice text;  /* anchored by that list */
    };
};

static struct order_key
key_of(lua_State *L, int index)
{
    struct order_key key = {.kind = KEY_OTHER};
    int type = lua_type(L, index);
    if (type == LUA_TNUMBER) {
        key.kind = KEY_NUMBER;
        key.number = lua_isinteger(L, index) ? (long double)lua_tointeger(L, index)
                                             : (long double)lua_tonumber(L, index);
    } else if (type == LUA_TSTRING) {
        key.kind = KEY_TEXT;
        key.text.data = lua_tolstring(L, index, &key.text.size);
    }
    return key;
}

static int
compare_keys(const void *a, const void *b)
{
    const struct order_key *left = a, *right = b;
    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    if (left->kind == KEY_NUMBER && left->number != right->number)
        return left->number < right->number ? -1 : 1;
    int order = left->kind == KEY_TEXT ? slice_compare(left->text, right->text) : 0;
    return order ? order : (left->place > right->place) - (left->place < right->place);
}

/* Does next() give the keys in order already? So it is with lists. Counts them. */
static bool
is_ordered(lua_State *L, struct vm *vm, size_t *count)
{
    struct order_key before = {.kind = KEY_NUMBER, .number = -INFINITY};
    bool ordered = true;
    *count = 0;
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        struct order_key key = key_of(L, -2);
        budget_steps(L, &vm->budget, 1);
        key.place = (uint32_t)++ * count;
        ordered = ordered && compare_keys(&before, &key) < 0;
        before = key;
    }
    return ordered;
}

/* Iterator: upvalues are keys as they came, their order, how many, and the next one. */
static int
next_ordered(lua_State *L)
{
    const struct order_key *order = lua_touserdata(L, lua_upvalueindex(2));
    lua_Integer count = lua_tointeger(L, lua_upvalueindex(3));
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(4));
    luaL_checktype(L, 1, LUA_TTABLE);
    while (at < count) {
        lua_rawgeti(L, lua_upvalueindex(1), order[at++].place);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, 1) != LUA_TNIL) { /* nil: removed on the way */
            lua_pushinteger(L, at);
            lua_replace(L, lua_upvalueindex(4));
            return 2;
        }
        lua_pop(L, 2);
    }
    lua_pushnil(L);
    return 1;
}

static void
push_ordered(lua_State *L, struct vm *vm, size_t count)
{
    lua_createtable(L, (int)count, 0);
    struct order_key *order = lua_newuserdatauv(L, count * sizeof(*order), 0);
    size_t n = 0;
    for (lua_pushnil(L); n < count && lua_next(L, 1); lua_pop(L, 1), n++) {
        budget_steps(L, &vm->budget, 1);
        order[n] = key_of(L, -2);
        order[n].place = (uint32_t)n + 1;
        lua_pushvalue(L, -2);
        lua_rawseti(L, 2, (lua_Integer)n + 1);
    }
    lua_settop(L, 3);
    qsort(order, n, sizeof(*order), compare_keys);
    lua_pushinteger(L, (lua_Integer)n);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_ordered, 4);
}

static int
order_pairs(lua_State *L)
{
    size_t count = 0;
    luaL_checkany(L, 1);
    if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 3);
        return 3;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (is_ordered(L, vm_of(L), &count))
        lua_pushvalue(L, lua_upvalueindex(1));
    else
        push_ordered(L, vm_of(L), count);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

/* xoshiro256**, seeded anew for each call of a rule. */
static uint64_t
rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static uint64_t
draw(uint64_t *s)
{
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

/* From event and rule; at load from the script's path. */
static void
seed(struct vm *vm)
{
    struct slice name = slice_of(vm->phase == PHASE_LOAD ? vm->script : vm->rule);
    uint64_t from = hash64(name.data, name.size);
    if (vm->event) {
        buffer_reset(&vm->scratch);
        event_id(vm->event, &vm->scratch);
        from = hash64_seed(buffer_view(&vm->scratch).data, vm->scratch.size, from);
    }
    for (uint64_t i = 0; i < countof(vm->random); i++)
        vm->random[i] = hash64_seed(&i, sizeof(i), from);
    vm->seeded = true;
}

/* One of 0 … most, all equally likely. */
static uint64_t
draw_below(uint64_t *s, uint64_t most)
{
    uint64_t mask = most ? UINT64_MAX >> __builtin_clzll(most) : 0, value;
    do
        value = draw(s) & mask;
    while (value > most);
    return value;
}

static int
order_random(lua_State *L)
{
    struct vm *vm = vm_of(L);
    int count = lua_gettop(L);
    if (!vm->seeded)
        seed(vm);
    if (count == 0) {
        lua_pushnumber(L, (lua_Number)(draw(vm->random) >> 11) * 0x1p-53);
        return 1;
    }
    if (count > 2)
        return luaL_error(L, "wrong number of arguments");
    lua_Integer first = luaL_checkinteger(L, 1), low = count == 2 ? first : 1;
    lua_Integer high = count == 2 ? luaL_checkinteger(L, 2) : first;
    if (count == 1 && first == 0) {
        lua_pushinteger(L, (lua_Integer)draw(vm->random));
        return 1;
    }
    luaL_argcheck(L, low <= high, count, "interval is empty");
    uint64_t offset = draw_below(vm->random, (uint64_t)high - (uint64_t)low);
    lua_pushinteger(L, (lua_Integer)(offset + (uint64_t)low));
    return 1;
}

void
bind_order_open(lua_State *L, int globals)
{
    lua_getfield(L, globals, "next");
    lua_pushcclosure(L, order_pairs, 1);
    lua_setfield(L, globals, "pairs");
    lua_getfield(L, globals, LUA_MATHLIBNAME);
    lua_pushcfunction(L, order_random);
    lua_setfield(L, -2, "random");
    lua_pop(L, 1);
}
