/* Our pattern matcher beside stock Lua's: the same answers, or the same errors, to very many random
 * patterns and subjects; and what stock Lua cannot do. */
#include <lauxlib.h>
#include <lualib.h>
#include "base/clock.h"
#include "script/script_private.h"
#include "unit/script/rig.h"

static lua_State *stock;
static uint64_t random_state = 20261121;

static unsigned
pick(unsigned below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % below;
}

struct text {
    char data[64];
    size_t size;
};

/* Pieces that make patterns; a good part of what they make is malformed. */
static void
make_pattern(struct text *out)
{
    static const char *const pieces[] = {
        "a",    "b",     ".",           "%a", "%w", "%d", "%S",     "[ab]", "[^a]",  "[%a-z]",
        "(",    ")",     "()",          "%1", "%2", "*",  "+",      "-",    "?",     "^",
        "$",    "%b()",  "%f",          "[",  "]",  "%",  "[a-",    "%0",   "[^%s]", "%f[a",
        "[]]",  "%bxx",  "x",           "1",  " ",  "%.", "%f[%w]", "(a",   "b)",    "(.-)",
        "(a*)", "[%w_]", "[\x80-\xff]", "%z", "%G", "%P", "[^]",    "%b",
    };
    unsigned count = 1 + pick(7);
    out->size = 0;
    for (unsigned i = 0; i < count; i++) {
        const char *piece = pieces[pick(countof(pieces))];
        memcpy(out->data + out->size, piece, strlen(piece));
        out->size += strlen(piece);
    }
}

static void
make_subject(struct text *out)
{
    static const char letters[] = "aaabbbab1x ()_.]\xc3\xa4\t\0Z";
    out->size = pick(16);
    for (size_t i = 0; i < out->size; i++)
        out->data[i] = letters[pick(sizeof(letters) - 1)];
}

/* All that a call gives, as one text. Strings are quoted, so that nothing is lost. */
static const char collect[] =
    "local find, match, gmatch, gsub, format = ...\n"
    "local function all(...) local t = {} for i = 1, select('#', ...) do local v = select(i, ...)\n"
    "  t[i] = type(v) == 'string' and format('%q', v) or tostring(v) end\n"
    "  return table.concat(t, ',') end\n"
    "return function(s, p, r, n)\n"
    "  local out = {}\n"
    "  local function add(...) out[#out + 1] = all(...) end\n"
    "  add(pcall(find, s, p)) add(pcall(find, s, p, n)) add(pcall(match, s, p, -n))\n"
    "  add(pcall(find, s, p, n, true))\n"
    "  add(pcall(function() for a, b, c in gmatch(s, p) do add(a, b, c) end end))\n"
    "  add(pcall(function() for a, b, c in gmatch(s, p, n) do add(a, b, c) end end))\n"
    "  add(pcall(gsub, s, p, r)) add(pcall(gsub, s, p, r, n))\n"
    "  add(pcall(gsub, s, p, { a = 1, ab = 'x', b = false }))\n"
    "  add(pcall(gsub, s, p, function(a, b) if b then return b end if a == 'a' then return nil end "
    "return a end))\n"
    "  return table.concat(out, ';')\n"
    "end";

/* Leaves the comparing function on the stack, around the functions of that string library. */
static void
push_collect(lua_State *L, int library)
{
    static const char *const names[] = {"find", "match", "gmatch", "gsub", "format"};
    assert_int_equal(luaL_loadstring(L, collect), LUA_OK);
    lua_pushcfunction(L, luaopen_base); /* the comparing text itself runs with stock functions */
    lua_newtable(L);
    lua_pop(L, 2);
    for (size_t i = 0; i < countof(names); i++)
        lua_getfield(L, library, names[i]);
    assert_int_equal(lua_pcall(L, (int)countof(names), 1, 0), LUA_OK);
}

static struct slice
answer(lua_State *L, const struct text *s, const struct text *p, const struct text *r, int n)
{
    struct slice out;
    lua_settop(L, 1);
    lua_pushvalue(L, 1);
    lua_pushlstring(L, s->data, s->size);
    lua_pushlstring(L, p->data, p->size);
    lua_pushlstring(L, r->data, r->size);
    lua_pushinteger(L, n);
    if (lua_pcall(L, 4, 1, 0) != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    out.data = lua_tolstring(L, -1, &out.size);
    return out;
}

static void
same_answers_as_stock_lua(void **state)
{
    static const char *const replacements[] = {"%0", "<%1>", "",   "%%",  "%2",
                                               "-",  "%",    "%x", "%1%1"};
    lua_State *ours = rig_vm->lua;
    int rounds = getenv("ROUNDS") ? atoi(getenv("ROUNDS")) : 60000, good = 0;
    (void)state;
    stock = luaL_newstate();
    luaL_openlibs(stock);
    lua_getglobal(stock, "string");
    push_collect(stock, 1);
    lua_replace(stock, 1);
    luaL_requiref(ours, "_G", luaopen_base, 1);
    lua_rawgeti(ours, LUA_REGISTRYINDEX, SLOT_GLOBALS);
    lua_getfield(ours, -1, "table");
    lua_setglobal(ours, "table");
    lua_getfield(ours, -1, "string");
    push_collect(ours, lua_gettop(ours));
    lua_replace(ours, 1);
    for (int i = 0; i < rounds; i++) {
        struct text s, p, r;
        make_subject(&s);
        make_pattern(&p);
        const char *replacement = replacements[pick(countof(replacements))];
        r.size = strlen(replacement);
        memcpy(r.data, replacement, r.size);
        int n = (int)pick(8) - 2;
        struct slice expected = answer(stock, &s, &p, &r, n), got = answer(ours, &s, &p, &r, n);
        good += memmem(expected.data, expected.size, "malformed", 9) == NULL;
        if (!slice_equal(expected, got))
            fail_msg(
                "subject \"%.*s\" pattern \"%.*s\" replacement \"%s\" n %d\nstock %.*s\nours  %.*s",
                (int)s.size, s.data, (int)p.size, p.data, replacement, n, (int)expected.size,
                expected.data, (int)got.size, got.data);
    }
    assert_true(good > rounds / 3);
    lua_close(stock);
    lua_settop(ours, 0);
}

/* Every set and class against every byte. */
static void
same_classes_as_stock_lua(void **state)
{
    static const struct rig_row rows[] = {
        {"(function() local n = 0 for c = 0, 255 do local s = string.char(c)\n"
         "  for k = 32, 126 do local p = '%' .. string.char(k)\n"
         "    if not ('bf0123456789'):find(string.char(k), 1, true) and s:find(p) then n = n * 31 "
         "% "
         "1000003 + c * k end\n"
         "  end end return n end)()",
         NULL},
    };
    struct event e = rig_event();
    char script[1024];
    (void)state;
    snprintf(script, sizeof(script), "return %s", rows[0].expression);
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    assert_int_equal(luaL_dostring(L, script), LUA_OK);
    struct rig_row row = {rows[0].expression, lua_tostring(L, -1)};
    assert_true(atoi(row.text) > 0);
    rig_check(&e, &row, 1);
    lua_close(L);
}

static void
deep_patterns_are_no_problem(void **state)
{
    static const struct rig_row rows[] = {
        {"#('x'):rep(300000):match('^' .. ('x?'):rep(300) .. '.*$')", "300000"},
        {"('x'):rep(300):match(('x-'):rep(200) .. '$')", "x"},
        {"('a'):rep(100000):find(('a?'):rep(1000) .. 'b', 1, true)", "nil"},
    };
    struct event e = rig_event();
    (void)state;
    rig_check(&e, rows, 1);
    rig_check(&e, rows + 2, 1);
}

static void
long_searches_are_quick(void **state)
{
    static const char body[] =
        "local s, p = ('a'):rep(4000000), ('a'):rep(2000000) .. 'b'\n"
        "assert(not s:find(p, 1, true)) assert(not s:find('b')) assert(not s:match('bcd'))\n"
        "assert(#s:gsub('a', 'b') == #s) send('x', 'ok')\n";
    struct event e = rig_event();
    (void)state;
    int64_t start = clock_mono();
    const char *wrong = rig_run(&e, body);
    if (wrong && !strstr(wrong, "CPU time")) /* a slow build is out of time first */
        fail_msg("%s", wrong);
    assert_true(clock_mono() - start < 5 * CLOCK_SECOND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_answers_as_stock_lua),
        cmocka_unit_test(same_classes_as_stock_lua),
        cmocka_unit_test(deep_patterns_are_no_problem),
        cmocka_unit_test(long_searches_are_quick),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
