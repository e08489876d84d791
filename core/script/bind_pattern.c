#include "script/bind_pattern.h"
#include <pthread.h>

#define OPEN_STILL  (-1) /* a capture whose end was not seen */
#define ONLY_PLACE  (-2) /* (): the place, not a text */
#define ESCAPE      '%'
#define CLASS_NAMES "acdglpsuwxz"

/* The first three take one character, as often as `how` says. */
enum node_kind {
    NODE_CHAR,
    NODE_ANY,
    NODE_SET,
    NODE_OPEN,
    NODE_PLACE,
    NODE_CLOSE,
    NODE_PAIR,  /* %bxy */
    NODE_EDGE,  /* %f[set] */
    NODE_AGAIN, /* %1 */
    NODE_END,   /* $ */
    NODE_WRONG, /* malformed: raises */
    NODE_DONE,
};

enum node_how { HOW_ONCE, HOW_MAYBE, HOW_MANY, HOW_SOME, HOW_FEW };

static const char *const wrongs[] = {
    "malformed pattern (ends with '%')",
    "malformed pattern (missing ']')",
    "malformed pattern (missing arguments to '%b')",
    "missing '[' after '%f' in pattern",
};
enum { WRONG_END, WRONG_SET, WRONG_PAIR, WRONG_EDGE };

static uint8_t classes[sizeof(CLASS_NAMES) - 1][32];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool
set_has(const uint8_t *set, unsigned char c)
{
    return set[c >> 3] & (1 << (c & 7));
}

static void
set_add(uint8_t *set, unsigned from, unsigned to)
{
    for (unsigned c = from; c <= to; c++)
        set[c >> 3] |= (uint8_t)(1 << (c & 7));
}

static void
set_join(uint8_t *set, const uint8_t *other, bool negated)
{
    for (int i = 0; i < 32; i++)
        set[i] |= negated ? (uint8_t)~other[i] : other[i];
}

/* ASCII, whatever the locale: the same event must match in the same way everywhere. */
static void
make_classes(void)
{
    static const struct {
        char class;
        uint8_t from, to;
    } ranges[] = {
        {'a', 'A', 'Z'}, {'a', 'a', 'z'}, {'c', 0, 31},      {'c', 127, 127}, {'d', '0', '9'},
        {'g', '!', '~'}, {'l', 'a', 'z'}, {'p', '!', '/'},   {'p', ':', '@'}, {'p', '[', '`'},
        {'p', '{', '~'}, {'s', ' ', ' '}, {'s', '\t', '\r'}, {'u', 'A', 'Z'}, {'w', '0', '9'},
        {'w', 'A', 'Z'}, {'w', 'a', 'z'}, {'x', '0', '9'},   {'x', 'A', 'F'}, {'x', 'a', 'f'},
        {'z', 0, 0},
    };
    for (size_t i = 0; i < countof(ranges); i++)
        set_add(classes[strchr(CLASS_NAMES, ranges[i].class) - CLASS_NAMES], ranges[i].from,
                ranges[i].to);
}

void
bind_pattern_open(void)
{
    pthread_once(&once, make_classes);
}

/* What %c stands for: a class, its opposite for a capital, or c itself. */
static void
set_add_escaped(uint8_t *set, unsigned char c)
{
    bool upper = c >= 'A' && c <= 'Z';
    const char *at = c ? strchr(CLASS_NAMES, upper ? c + 32 : c) : NULL;
    if (at)
        set_join(set, classes[at - CLASS_NAMES], upper);
    else
        set_add(set, c, c);
}

/* Nodes and entries of the trail are at most one a byte; sets begin with [ or %. */
size_t
bind_pattern_room(struct slice text)
{
    size_t sets = 0;
    for (size_t i = 0; i < text.size; i++)
        sets += text.data[i] == '[' || text.data[i] == ESCAPE;
    return (text.size + 1) * (sizeof(struct pattern_trail) + sizeof(struct pattern_node)) +
           sets * 32;
}

/* Behind the set that begins at `at`, or NULL if it has no end. */
static const char *
set_end(const char *at, const char *end)
{
    at++;
    if (at < end && *at == '^')
        at++;
    do { /* the first one may be a ] */
        if (at == end)
            return NULL;
        if (*at++ == ESCAPE && at < end)
            at++;
    } while (at == end || *at != ']');
    return at + 1;
}

/* The set between [ and ], both included. */
static uint32_t
make_set(struct bind_pattern *p, const char *at, const char *end)
{
    uint8_t *set = p->sets[p->set_count];
    const char *last = end - 1;
    bool negated = at[1] == '^';
    memset(set, 0, 32);
    for (at += negated ? 2 : 1; at < last; at++) {
        if (*at == ESCAPE) {
            set_add_escaped(set, (unsigned char)*++at);
        } else if (at[1] == '-' && at + 2 < last) {
            set_add(set, (unsigned char)at[0], (unsigned char)at[2]);
            at += 2;
        } else {
            set_add(set, (unsigned char)*at, (unsigned char)*at);
        }
    }
    for (int i = 0; negated && i < 32; i++)
        set[i] = (uint8_t)~set[i];
    return p->set_count++;
}

static uint32_t
make_class(struct bind_pattern *p, unsigned char c)
{
    memset(p->sets[p->set_count], 0, 32);
    set_add_escaped(p->sets[p->set_count], c);
    return p->set_count++;
}

static const char *
make_wrong(struct pattern_node *n, int wrong)
{
    n->kind = NODE_WRONG;
    n->a = (uint8_t)wrong;
    return NULL;
}

/* One character that matches itself, any, a class or a set; returns what is behind it. */
static const char *
make_single(struct bind_pattern *p, struct pattern_node *n, const char *at, const char *end)
{
    static const char signs[] = "?*+-";
    if (*at == ESCAPE) {
        if (at + 1 == end)
            return make_wrong(n, WRONG_END);
        n->kind = NODE_SET;
        n->set = make_class(p, (unsigned char)at[1]);
        at += 2;
    } else if (*at == '[') {
        const char *behind = set_end(at, end);
        if (!behind)
            return make_wrong(n, WRONG_SET);
        n->kind = NODE_SET;
        n->set = make_set(p, at, behind);
        at = behind;
    } else {
        n->kind = *at == '.' ? NODE_ANY : NODE_CHAR;
        n->a = (uint8_t)*at++;
    }
    const char *sign = at < end ? memchr(signs, *at, sizeof(signs) - 1) : NULL;
    n->how = sign ? (uint8_t)(HOW_MAYBE + (sign - signs)) : HOW_ONCE;
    return sign ? at + 1 : at;
}

static const char *
make_edge(struct bind_pattern *p, struct pattern_node *n, const char *at, const char *end)
{
    const char *behind;
    if (at == end || *at != '[')
        return make_wrong(n, WRONG_EDGE);
    if (!(behind = set_end(at, end)))
        return make_wrong(n, WRONG_SET);
    n->kind = NODE_EDGE;
    n->set = make_set(p, at, behind);
    return behind;
}

/* %b, %f and %1; other escapes stand for one character. */
static const char *
make_escape(struct bind_pattern *p, struct pattern_node *n, const char *at, const char *end)
{
    unsigned char c = at + 1 < end ? (unsigned char)at[1] : 0;
    if (c == 'f')
        return make_edge(p, n, at + 2, end);
    if (c >= '0' && c <= '9') {
        n->kind = NODE_AGAIN;
        n->a = c;
        return at + 2;
    }
    if (c != 'b')
        return make_single(p, n, at, end);
    if (end - at < 4)
        return make_wrong(n, WRONG_PAIR);
    n->kind = NODE_PAIR;
    n->a = (uint8_t)at[2];
    n->b = (uint8_t)at[3];
    return at + 4;
}

static const char *
make_node(struct bind_pattern *p, struct pattern_node *n, const char *at, const char *end)
{
    *n = (struct pattern_node){0};
    if (*at == '(') {
        bool place = at + 1 < end && at[1] == ')';
        n->kind = place ? NODE_PLACE : NODE_OPEN;
        return at + (place ? 2 : 1);
    }
    if (*at == ')') {
        n->kind = NODE_CLOSE;
        return at + 1;
    }
    if (*at == '$' && at + 1 == end) {
        n->kind = NODE_END;
        return at + 1;
    }
    if (*at == ESCAPE)
        return make_escape(p, n, at, end);
    return make_single(p, n, at, end);
}

void
bind_pattern_make(struct slice text, void *room, struct bind_pattern *out)
{
    const char *at = text.data, *end = text.data + text.size;
    *out = (struct bind_pattern){.trail = room};
    out->nodes = (struct pattern_node *)(out->trail + text.size + 1);
    out->sets = (uint8_t(*)[32])(out->nodes + text.size + 1);
    while (at && at < end)
        at = make_node(out, &out->nodes[out->count++], at, end);
    if (at) /* what is malformed is the last node */
        out->nodes[out->count] = (struct pattern_node){.kind = NODE_DONE};
}

void
bind_match_init(struct bind_match *m, lua_State *L, const struct bind_pattern *pattern,
                struct slice subject)
{
    m->lua = L;
    m->budget = &vm_of(L)->budget;
    m->pattern = pattern;
    m->start = subject.data;
    m->end = subject.data + subject.size;
    m->level = 0;
    m->depth = 0;
}

static struct pattern_trail *
push(struct bind_match *m, const struct pattern_node *n)
{
    struct pattern_trail *t = &m->pattern->trail[m->depth++];
    t->node = (uint32_t)(n - m->pattern->nodes);
    return t;
}

static bool
takes(const struct bind_match *m, const struct pattern_node *n, const char *at)
{
    if (at >= m->end)
        return false;
    if (n->kind == NODE_CHAR)
        return (uint8_t)*at == n->a;
    return n->kind == NODE_ANY || set_has(m->pattern->sets[n->set], (unsigned char)*at);
}

/* Behind the longest run of what the node takes, at most `most` characters. */
static const char *
run_end(struct bind_match *m, const struct pattern_node *n, const char *at, size_t most)
{
    const char *from = at;
    if (n->kind == NODE_ANY)
        at += (size_t)(m->end - at) < most ? (size_t)(m->end - at) : most;
    else
        while ((size_t)(at - from) < most && takes(m, n, at))
            at++;
    budget_steps(m->lua, m->budget, (size_t)(at - from));
    return at;
}

static const char *
pass_single(struct bind_match *m, const struct pattern_node *n, const char *at)
{
    if (n->how == HOW_ONCE)
        return takes(m, n, at) ? at + 1 : NULL;
    if (n->how == HOW_FEW) {
        push(m, n)->at = at;
        return at;
    }
    const char *least = n->how == HOW_SOME ? at + 1 : at;
    if (n->how == HOW_SOME && !takes(m, n, at))
        return NULL;
    at = run_end(m, n, least, n->how == HOW_MAYBE ? 1 : SIZE_MAX);
    if (at > least) {
        struct pattern_trail *t = push(m, n);
        t->at = at;
        t->least = least;
    }
    return at;
}

static const char *
pass_open(struct bind_match *m, const struct pattern_node *n, const char *at)
{
    if (m->level >= PATTERN_CAPTURES)
        luaL_error(m->lua, "too many captures");
    m->captures[m->level].at = at;
    m->captures[m->level++].size = n->kind == NODE_PLACE ? ONLY_PLACE : OPEN_STILL;
    push(m, n);
    return at;
}

static const char *
pass_close(struct bind_match *m, const struct pattern_node *n, const char *at)
{
    int i = m->level - 1;
    while (i >= 0 && m->captures[i].size != OPEN_STILL)
        i--;
    if (i < 0)
        luaL_error(m->lua, "invalid pattern capture");
    m->captures[i].size = at - m->captures[i].at;
    push(m, n)->capture = (uint32_t)i;
    return at;
}

static const char *
pass_pair(struct bind_match *m, const struct pattern_node *n, const char *at)
{
    const char *from = at;
    size_t open = 1;
    if (at >= m->end || (uint8_t)*at != n->a)
        return NULL;
    while (++at < m->end) {
        if ((uint8_t)*at == n->b) {
            if (--open == 0)
                break;
        } else if ((uint8_t)*at == n->a) {
            open++;
        }
    }
    budget_steps(m->lua, m->budget, (size_t)(at - from));
    return at < m->end ? at + 1 : NULL;
}

static const char *
pass_edge(struct bind_match *m, const struct pattern_node *n, const char *at)
{
    const uint8_t *set = m->pattern->sets[n->set];
    unsigned char before = at == m->start ? 0 : (unsigned char)at[-1];
    unsigned char here = at == m->end ? 0 : (unsigned char)*at;
    return !set_has(set, before) && set_has(set, here) ? at : NULL;
}

static const char *
pass_again(struct bind_match *m, const struct pattern_node *n, const char *at)
{
    int i = n->a - '1';
    if (i < 0 || i >= m->level || m->captures[i].size == OPEN_STILL)
        luaL_error(m->lua, "invalid capture index %%%d", i + 1);
    ptrdiff_t size = m->captures[i].size;
    if (size < 0 || m->end - at < size)
        return NULL;
    budget_steps(m->lua, m->budget, (size_t)size / 16 + 1);
    return memcmp(m->captures[i].at, at, (size_t)size) == 0 ? at + size : NULL;
}

static const char *
pass_end(struct bind_match *m, const struct pattern_node *n, const char *at)
{
    (void)n;
    return at == m->end ? at : NULL;
}

static const char *
pass_wrong(struct bind_match *m, const struct pattern_node *n, const char *at)
{
    luaL_error(m->lua, "%s", wrongs[n->a]);
    return at;
}

static const char *(*const passes[])(struct bind_match *m, const struct pattern_node *n,
                                     const char *at) = {
    pass_single, pass_single, pass_single, pass_open, pass_open,  pass_close,
    pass_pair,   pass_edge,   pass_again,  pass_end,  pass_wrong,
};

/* Goes back to the newest node that can be passed in another way; where that leads, or NULL. */
static const char *
go_back(struct bind_match *m, const struct pattern_node **node)
{
    while (m->depth) {
        struct pattern_trail *t = &m->pattern->trail[m->depth - 1];
        const struct pattern_node *n = *node = &m->pattern->nodes[t->node];
        if (n->kind <= NODE_SET && n->how == HOW_FEW && takes(m, n, t->at))
            return ++t->at;
        if (n->kind <= NODE_SET && n->how != HOW_FEW && t->at > t->least)
            return --t->at;
        if (n->kind == NODE_OPEN || n->kind == NODE_PLACE)
            m->level--;
        else if (n->kind == NODE_CLOSE)
            m->captures[t->capture].size = OPEN_STILL;
        m->depth--;
    }
    return NULL;
}

const char *
bind_match_at(struct bind_match *m, const char *at)
{
    const struct pattern_node *n = m->pattern->nodes;
    m->level = 0;
    m->depth = 0;
    for (; n->kind != NODE_DONE; n++) {
        budget_steps(m->lua, m->budget, 1);
        at = passes[n->kind](m, n, at);
        if (!at && !(at = go_back(m, &n)))
            return NULL;
    }
    return at;
}

const char *
bind_match_find(struct bind_match *m, const char **at, bool anchored)
{
    const struct pattern_node *first = m->pattern->nodes;
    bool plain = first->kind == NODE_CHAR && (first->how == HOW_ONCE || first->how == HOW_SOME);
    for (const char *from = *at; from <= m->end; from++) {
        if (plain && !anchored) {
            const char *next = memchr(from, first->a, (size_t)(m->end - from));
            if (!next)
                return NULL;
            budget_steps(m->lua, m->budget, (size_t)(next - from) / 16);
            from = next;
        }
        const char *to = bind_match_at(m, from);
        *at = from;
        if (to || anchored)
            return to;
    }
    return NULL;
}

void
bind_match_push(struct bind_match *m, int index, const char *from, const char *to)
{
    if (index >= m->level) {
        if (index != 0)
            luaL_error(m->lua, "invalid capture index %%%d", index + 1);
        lua_pushlstring(m->lua, from, (size_t)(to - from));
        return;
    }
    const char *at = m->captures[index].at;
    ptrdiff_t size = m->captures[index].size;
    if (size == OPEN_STILL)
        luaL_error(m->lua, "unfinished capture");
    if (size == ONLY_PLACE)
        lua_pushinteger(m->lua, at - m->start + 1);
    else
        lua_pushlstring(m->lua, at, (size_t)size);
}

int
bind_match_push_all(struct bind_match *m, const char *from, const char *to)
{
    int count = m->level == 0 && from ? 1 : m->level;
    luaL_checkstack(m->lua, count, "too many captures");
    for (int i = 0; i < count; i++)
        bind_match_push(m, i, from, to);
    return count;
}
