/* A VM that holds too much after a full collection is loaded anew from the texts that it runs, and
 * the script that grew most is found: what each script holds now is weighed against what it holds
 * when it has just been loaded. In normal running this costs nothing. */
#include "base/hash.h"
#include "script/script_private.h"

/* Rough bytes of an object besides its content. */
enum { WEIGHT_TABLE = 56, WEIGHT_ENTRY = 32, WEIGHT_OBJECT = 40, WEIGHT_THREAD = 1000 };

/* Walks what can be reached; the stack of vm->lua holds at 1 this, at 2 the objects that wait. */
struct scale {
    struct vm *vm;
    const void **seen; /* a hash set, half empty at least */
    size_t seen_count, seen_room;
    lua_Integer waiting;
    size_t bytes;
    size_t *weights; /* out: one for each rule; a script's is with its first rule */
};

static size_t
place_of(const struct scale *s, const void *object)
{
    size_t at = hash64(&object, sizeof(object)) & (s->seen_room - 1);
    while (s->seen[at] && s->seen[at] != object)
        at = (at + 1) & (s->seen_room - 1);
    return at;
}

static void
grow_seen(struct scale *s)
{
    const void **old = s->seen;
    size_t room = s->seen_room;
    s->seen_room = room ? room * 2 : 4096;
    s->seen = memory_zero(s->seen_room * sizeof(*s->seen));
    for (size_t i = 0; i < room; i++)
        if (old[i])
            s->seen[place_of(s, old[i])] = old[i];
    free(old);
}

static bool
is_new(struct scale *s, const void *object)
{
    if (s->seen_count * 2 >= s->seen_room)
        grow_seen(s);
    size_t at = place_of(s, object);
    if (s->seen[at])
        return false;
    s->seen[at] = object;
    s->seen_count++;
    return true;
}

/* Takes the value on top: what has content of its own waits for its turn. */
static void
see(struct scale *s)
{
    lua_State *L = s->vm->lua;
    int type = lua_type(L, -1);
    bool object = type == LUA_TSTRING || type == LUA_TTABLE || type == LUA_TFUNCTION ||
                  type == LUA_TUSERDATA || type == LUA_TTHREAD;
    if (!object || !is_new(s, lua_topointer(L, -1))) {
        lua_pop(L, 1);
    } else if (type == LUA_TSTRING) {
        s->bytes += lua_rawlen(L, -1) + WEIGHT_OBJECT;
        lua_pop(L, 1);
    } else {
        lua_rawseti(L, 2, ++s->waiting);
    }
}

/* The object is at index 3, here and below. */
static void
see_meta(struct scale *s)
{
    if (lua_getmetatable(s->vm->lua, 3))
        see(s);
}

static void
see_table(struct scale *s)
{
    lua_State *L = s->vm->lua;
    s->bytes += WEIGHT_TABLE;
    for (lua_pushnil(L); lua_next(L, 3);) {
        s->bytes += WEIGHT_ENTRY;
        see(s);
        lua_pushvalue(L, -1);
        see(s);
    }
    see_meta(s);
}

static void
see_function(struct scale *s)
{
    s->bytes += WEIGHT_OBJECT;
    for (int i = 1; lua_getupvalue(s->vm->lua, 3, i); i++)
        see(s);
}

static void
see_userdata(struct scale *s)
{
    lua_State *L = s->vm->lua;
    s->bytes += lua_rawlen(L, 3) + WEIGHT_OBJECT;
    for (int i = 1; lua_getiuservalue(L, 3, i) != LUA_TNONE; i++)
        see(s);
    lua_pop(L, 1);
    see_meta(s);
}

/* A coroutine that waits: the variables of all its functions. */
static void
see_thread(struct scale *s)
{
    lua_State *L = s->vm->lua, *co = lua_tothread(L, 3);
    lua_Debug where;
    s->bytes += WEIGHT_THREAD;
    if (co == L || !lua_checkstack(co, 2))
        return;
    for (int i = lua_gettop(co); i > 0; i--) {
        lua_pushvalue(co, i);
        lua_xmove(co, L, 1);
        see(s);
    }
    for (int level = 0; lua_getstack(co, level, &where); level++)
        for (int i = 1; lua_getlocal(co, &where, i); i++) {
            lua_xmove(co, L, 1);
            see(s);
        }
}

static void
drain(struct scale *s)
{
    static void (*const kinds[LUA_NUMTYPES])(struct scale *) = {
        [LUA_TTABLE] = see_table,
        [LUA_TFUNCTION] = see_function,
        [LUA_TUSERDATA] = see_userdata,
        [LUA_TTHREAD] = see_thread,
    };
    lua_State *L = s->vm->lua;
    while (s->waiting > 0) {
        lua_rawgeti(L, 2, s->waiting);
        lua_pushnil(L);
        lua_rawseti(L, 2, s->waiting--);
        kinds[lua_type(L, 3)](s);
        lua_settop(L, 2);
    }
}

static void
see_functions(struct scale *s, const struct value *v)
{
    if (v->kind == VALUE_FUNCTION) {
        lua_rawgeti(s->vm->lua, LUA_REGISTRYINDEX, v->integer);
        see(s);
    }
    for (size_t i = 0; i < v->count && (v->kind == VALUE_LIST || v->kind == VALUE_CALL); i++)
        see_functions(s, &v->items[i]);
    for (size_t i = 0; i < v->count && v->kind == VALUE_MAP; i++)
        see_functions(s, &v->pairs[i].value);
}

static size_t
first_of_script(const struct vm *vm, const char *script)
{
    size_t i = 0;
    while (strcmp(vm->rules[i].script, script) != 0)
        i++;
    return i;
}

/* What all scripts share weighs nothing. */
static int
weigh_body(lua_State *L)
{
    struct scale *s = lua_touserdata(L, 1);
    lua_newtable(L);
    for (int slot = SLOT_HANDLER; slot < SLOT_LAST; slot++) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, slot);
        see(s);
    }
    drain(s);
    for (size_t i = 0; i < s->vm->rule_count; i++) {
        s->bytes = 0;
        see_functions(s, s->vm->rules[i].table);
        drain(s);
        s->weights[first_of_script(s->vm, s->vm->rules[i].script)] += s->bytes;
    }
    return 0;
}

/* One weight for each rule; all zero when it can't be told. The caller frees. */
static size_t *
weigh(struct vm *vm)
{
    struct scale scale = {.vm = vm};
    struct error ignored = {0};
    scale.weights = memory_zero((vm->rule_count + 1) * sizeof(*scale.weights));
    lua_gc(vm->lua, LUA_GCSTOP);
    if (gate_run(vm, weigh_body, &scale, &ignored) != 0)
        memset(scale.weights, 0, vm->rule_count * sizeof(*scale.weights));
    lua_gc(vm->lua, LUA_GCRESTART);
    free(scale.seen);
    return scale.weights;
}

/* The script of the rule whose weight grew most. Both have the same rules. */
static const char *
find_grown(struct vm *vm, struct vm *fresh)
{
    size_t *now = weigh(vm), *then = weigh(fresh), most = 0;
    const char *script = NULL;
    for (size_t i = 0; i < vm->rule_count; i++)
        if (now[i] > then[i] && now[i] - then[i] > most) {
            most = now[i] - then[i];
            script = vm->rules[i].script;
        }
    free(now);
    free(then);
    return script;
}

/* Do two trees have the same shape? Then, if `take`, the functions in `v` get the numbers that they
 * have in `from`, the tree of another VM. */
static bool
match_functions(struct value *v, const struct value *from, bool take)
{
    if (v->kind != from->kind || v->count != from->count)
        return false;
    if (take && v->kind == VALUE_FUNCTION)
        v->integer = from->integer;
    for (size_t i = 0; i < v->count && (v->kind == VALUE_LIST || v->kind == VALUE_CALL); i++)
        if (!match_functions(&v->items[i], &from->items[i], take))
            return false;
    for (size_t i = 0; i < v->count && v->kind == VALUE_MAP; i++)
        if (!match_functions(&v->pairs[i].value, &from->pairs[i].value, take))
            return false;
    return true;
}

static bool
is_same(const struct vm *vm, const struct vm *fresh)
{
    bool same = fresh->rule_count == vm->rule_count && fresh->filter_count == vm->filter_count;
    for (size_t i = 0; same && i < vm->rule_count; i++)
        same = strcmp(fresh->rules[i].name, vm->rules[i].name) == 0 &&
               match_functions((struct value *)vm->rules[i].table, fresh->rules[i].table, false);
    for (size_t i = 0; same && i < vm->filter_count; i++)
        same = strcmp(fresh->filters[i].name, vm->filters[i].name) == 0;
    return same;
}

static void
take_functions(struct vm *vm, const struct vm *fresh)
{
    for (size_t i = 0; i < vm->rule_count; i++)
        match_functions((struct value *)vm->rules[i].table, fresh->rules[i].table, true);
    for (size_t i = 0; i < vm->filter_count; i++)
        vm->filters[i].function.integer = fresh->filters[i].function.integer;
}

/* Modules come from the texts that run, not from files that may have changed since. */
static int
find_module(void *context, struct slice path, struct slice *text, struct error *err)
{
    const struct vm *vm = context;
    for (size_t i = 0; i < vm->text_count; i++)
        if (slice_is(path, vm->texts[i].path)) {
            *text = vm->texts[i].text;
            return 0;
        }
    return error_set(err, ERROR_MISSING, "%.*s was not loaded before", (int)path.size, path.data);
}

static bool
is_module(const char *path)
{
    static const char folder[] = "scripts/lib/";
    return strncmp(path, folder, sizeof(folder) - 1) == 0;
}

static int
load_again(const struct vm *vm, struct vm *fresh, struct error *err)
{
    for (size_t i = 0; i < vm->text_count; i++)
        if (!is_module(vm->texts[i].path) &&
            vm_load(fresh, vm->texts[i].path, vm->texts[i].text, err) != 0)
            return -1;
    if (!is_same(vm, fresh))
        return error_set(err, ERROR_DATA, "the scripts register other rules this time");
    return 0;
}

/* All but the Lua state and its budget changes places: callers keep pointers into the rules of
 * `vm`, while Lua keeps the address of its own struct. */
static void
exchange(struct vm *vm, struct vm *fresh)
{
    struct vm was = *vm;
    *vm = *fresh;
    *fresh = was;
    fresh->lua = vm->lua;
    fresh->budget = vm->budget;
    vm->lua = was.lua;
    vm->budget = was.budget;
    fresh->bound = NULL;
    fresh->full = false;
}

struct vm *
vm_renew(struct vm *vm, const char **grown, struct error *err)
{
    struct vm_host host = {.context = vm, .module = find_module};
    struct vm *fresh = vm_new(&host, err);
    *grown = NULL;
    vm->full = false; /* on failure the next call finds out again */
    if (!fresh)
        return NULL;
    if (load_again(vm, fresh, err) != 0) {
        vm_free(fresh);
        return NULL;
    }
    *grown = find_grown(vm, fresh);
    take_functions(vm, fresh);
    exchange(vm, fresh);
    vm_free(vm);
    return fresh;
}

bool
vm_is_full(const struct vm *vm)
{
    return vm->full;
}
