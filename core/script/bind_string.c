/* Functions of the string library whose time or memory only their arguments bound, written again:
 * they ask the budget as they go, and no result is larger than BUDGET_TEXT. */
#include "script/bind_pattern.h"

static int
raise_large(lua_State *L, const char *name)
{
    return luaL_error(L, "string.%s: the result is larger than %d MiB", name, BUDGET_TEXT >> 20);
}

/* string.rep(s, n [, sep]): the result by doubling. */
static int
string_rep(lua_State *L)
{
    struct slice s, between;
    struct buffer *out = &vm_of(L)->scratch;
    s.data = luaL_checklstring(L, 1, &s.size);
    lua_Integer count = luaL_checkinteger(L, 2);
    between.data = luaL_optlstring(L, 3, "", &between.size);
    size_t unit = s.size + between.size;
    if (unit == 0 || count <= 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if (count == 1) {
        lua_settop(L, 1);
        return 1;
    }
    if ((lua_Unsigned)count > (BUDGET_TEXT + between.size) / unit)
        return raise_large(L, "rep");
    size_t size = (size_t)count * unit - between.size;
    buffer_reset(out);
    char *at = buffer_extend(out, size + between.size);
    if (!at)
        return raise_large(L, "rep");
    memcpy(at, s.data, s.size);
    memcpy(at + s.size, between.data, between.size);
    for (size_t done = unit; done < size; done *= 2)
        memcpy(at + done, at, done < size - done ? done : size - done);
    lua_pushlstring(L, at, size);
    return 1;
}

/* Where a search begins, from 0; larger than `size` when it begins behind the end. */
static size_t
take_start(lua_State *L, int index, size_t size)
{
    lua_Integer at = luaL_optinteger(L, index, 1);
    if (at > 0)
        return (lua_Unsigned)at - 1 > size ? size + 1 : (size_t)at - 1;
    if (at == 0 || at < -(lua_Integer)size)
        return 0;
    return size - (size_t)-at;
}

static bool
has_specials(struct slice pattern)
{
    static const char specials[] = "^$*+?.([%-";
    for (size_t i = 0; i < pattern.size; i++)
        if (memchr(specials, pattern.data[i], sizeof(specials) - 1))
            return true;
    return false;
}

static int
find_plain(lua_State *L, struct slice subject, struct slice wanted, size_t start)
{
    const char *at = memmem(subject.data + start, subject.size - start, wanted.data, wanted.size);
    size_t passed = at ? (size_t)(at - subject.data) - start : subject.size - start;
    budget_steps(L, &vm_of(L)->budget, passed / 16 + 1);
    if (!at) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, at - subject.data + 1);
    lua_pushinteger(L, at - subject.data + (lua_Integer)wanted.size);
    return 2;
}

/* Room for patterns as people write them; longer ones take a userdata. */
struct small_room {
    _Alignas(struct pattern_trail) char bytes[1536];
};

static void
make_pattern(lua_State *L, struct slice text, struct small_room *small, struct bind_pattern *out)
{
    size_t room = bind_pattern_room(text);
    bind_pattern_make(text, room <= sizeof(*small) ? small : lua_newuserdatauv(L, room, 0), out);
}

static bool
take_anchor(struct slice *pattern)
{
    bool anchored = pattern->size && *pattern->data == '^';
    pattern->data += anchored;
    pattern->size -= anchored;
    return anchored;
}

static int
search(lua_State *L, bool find)
{
    struct slice subject, text;
    struct small_room small;
    struct bind_pattern pattern;
    struct bind_match match;
    subject.data = luaL_checklstring(L, 1, &subject.size);
    text.data = luaL_checklstring(L, 2, &text.size);
    size_t start = take_start(L, 3, subject.size);
    if (start > subject.size) {
        lua_pushnil(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || !has_specials(text)))
        return find_plain(L, subject, text, start);
    bool anchored = take_anchor(&text);
    make_pattern(L, text, &small, &pattern);
    bind_match_init(&match, L, &pattern, subject);
    const char *from = subject.data + start, *to = bind_match_find(&match, &from, anchored);
    if (!to) {
        lua_pushnil(L);
        return 1;
    }
    if (!find)
        return bind_match_push_all(&match, from, to);
    lua_pushinteger(L, from - subject.data + 1);
    lua_pushinteger(L, to - subject.data);
    return bind_match_push_all(&match, NULL, NULL) + 2;
}

static int
string_find(lua_State *L)
{
    return search(L, true);
}

static int
string_match(lua_State *L)
{
    return search(L, false);
}

/* The state of one gmatch; its pattern's room follows. Upvalues: subject, pattern, this. */
struct walk {
    struct bind_pattern pattern;
    struct slice subject;
    const char *at, *last; /* NULL: behind the end */
};

static int
walk_next(lua_State *L)
{
    struct walk *walk = lua_touserdata(L, lua_upvalueindex(3));
    struct bind_match match;
    bind_match_init(&match, L, &walk->pattern, walk->subject);
    for (const char *from = walk->at; from && from <= match.end; from++) {
        const char *to = bind_match_find(&match, &from, false);
        if (!to)
            return 0;
        if (to == walk->last)
            continue;
        walk->at = walk->last = to;
        return bind_match_push_all(&match, from, to);
    }
    return 0;
}

static int
string_gmatch(lua_State *L)
{
    struct slice subject, text;
    subject.data = luaL_checklstring(L, 1, &subject.size);
    text.data = luaL_checklstring(L, 2, &text.size);
    size_t start = take_start(L, 3, subject.size);
    lua_settop(L, 2);
    struct walk *walk = lua_newuserdatauv(L, sizeof(*walk) + bind_pattern_room(text), 0);
    bind_pattern_make(text, walk + 1, &walk->pattern);
    walk->subject = subject;
    walk->at = start > subject.size ? NULL : subject.data + start;
    walk->last = NULL;
    lua_pushcclosure(L, walk_next, 3);
    return 1;
}

/* One gsub under way. */
struct edit {
    struct bind_match match;
    luaL_Buffer out;
    size_t size; /* bytes in `out` */
    bool changed;
};

static void
put(struct edit *c, const char *at, size_t size)
{
    c->size += size;
    if (c->size > BUDGET_TEXT)
        raise_large(c->match.lua, "gsub");
    luaL_addlstring(&c->out, at, size);
}

static void
put_top(struct edit *c)
{
    c->size += lua_rawlen(c->match.lua, -1);
    if (c->size > BUDGET_TEXT)
        raise_large(c->match.lua, "gsub");
    luaL_addvalue(&c->out);
}

/* The replacement text, with %0 to %9 as captures. */
static void
put_template(struct edit *c, const char *from, const char *to)
{
    lua_State *L = c->match.lua;
    size_t size;
    const char *at = lua_tolstring(L, 3, &size), *end = at + size, *sign;
    for (; (sign = memchr(at, '%', (size_t)(end - at))); at = sign + 2) {
        char kind = sign + 1 < end ? sign[1] : 0;
        put(c, at, (size_t)(sign - at));
        if (kind == '%') {
            put(c, sign, 1);
        } else if (kind == '0') {
            put(c, from, (size_t)(to - from));
        } else if (kind >= '1' && kind <= '9') {
            bind_match_push(&c->match, kind - '1', from, to);
            lua_tostring(L, -1); /* a place becomes its text */
            put_top(c);
        } else {
            luaL_error(L, "invalid use of '%%' in replacement string");
        }
    }
    put(c, at, (size_t)(end - at));
}

static void
put_value(struct edit *c, int type, const char *from, const char *to)
{
    lua_State *L = c->match.lua;
    if (type == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        lua_call(L, bind_match_push_all(&c->match, from, to), 1);
    } else if (type == LUA_TTABLE) {
        bind_match_push(&c->match, 0, from, to);
        lua_gettable(L, 3);
    } else {
        c->changed = true;
        put_template(c, from, to);
        return;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        put(c, from, (size_t)(to - from));
        return;
    }
    if (!lua_isstring(L, -1))
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    lua_tostring(L, -1);
    put_top(c);
    c->changed = true;
}

/* An empty match right behind a match does not count. */
static lua_Integer
change_all(struct edit *c, int type, lua_Integer most, bool anchored)
{
    const char *at = c->match.start, *kept = at, *last = NULL; /* kept: not yet in `out` */
    lua_Integer count = 0;
    while (count < most && at <= c->match.end) {
        const char *from = at, *to = bind_match_find(&c->match, &from, anchored);
        if (!to)
            break;
        if (to == last) {
            at = from + 1;
        } else {
            put(c, kept, (size_t)(from - kept));
            put_value(c, type, from, to);
            kept = at = last = to;
            count++;
        }
        if (anchored)
            break;
    }
    put(c, kept, (size_t)(c->match.end - kept));
    return count;
}

static int
string_gsub(lua_State *L)
{
    struct slice subject, text;
    struct small_room small;
    struct bind_pattern pattern;
    struct edit edit = {.size = 0};
    int type = lua_type(L, 3);
    subject.data = luaL_checklstring(L, 1, &subject.size);
    text.data = luaL_checklstring(L, 2, &text.size);
    luaL_argexpected(L,
                     type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
                         type == LUA_TTABLE,
                     3, "string/function/table");
    lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)subject.size + 1);
    bool anchored = take_anchor(&text);
    lua_settop(L, 4);
    make_pattern(L, text, &small, &pattern);
    bind_match_init(&edit.match, L, &pattern, subject);
    luaL_buffinit(L, &edit.out);
    lua_Integer count = change_all(&edit, type, most, anchored);
    luaL_pushresult(&edit.out);
    if (!edit.changed)
        lua_pushvalue(L, 1);
    lua_pushinteger(L, count);
    return 2;
}

/* Stock Lua's own (upvalue 1) has no loop that its arguments do not fill; only the size is ours. */
static int
string_format(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    if (lua_rawlen(L, -1) > BUDGET_TEXT)
        return raise_large(L, "format");
    return 1;
}

static const luaL_Reg functions[] = {
    {"rep", string_rep},       {"find", string_find}, {"match", string_match},
    {"gmatch", string_gmatch}, {"gsub", string_gsub}, {NULL, NULL},
};

void
bind_string_open(lua_State *L)
{
    bind_pattern_open();
    luaL_setfuncs(L, functions, 0);
    lua_getfield(L, -1, "format");
    lua_pushcclosure(L, string_format, 1);
    lua_setfield(L, -2, "format");
}
