/* Lua's patterns, matched by our own machine, so that no pattern can hold a thread beyond its
 * budget: matching counts its steps and asks the budget each 1,024 of them. It means what stock
 * Lua's patterns mean, except that no pattern is "too complex". A pattern is translated once into
 * nodes that are passed from left to right; since nothing repeats a group, what can be tried again
 * is at most one entry a node, and matching needs neither recursion nor memory of its own. */
#ifndef SCRIPT_BIND_PATTERN_H
#define SCRIPT_BIND_PATTERN_H

#include "script/script_private.h"

#define PATTERN_CAPTURES 32

struct pattern_node {
    uint8_t kind, how;
    uint8_t a, b;
    uint32_t set; /* which of the pattern's sets */
};

/* What can be tried again, or must be undone on the way back. */
struct pattern_trail {
    uint32_t node, capture;
    const char *at, *least;
};

struct bind_pattern {
    struct pattern_node *nodes;
    struct pattern_trail *trail;
    uint8_t (*sets)[32];
    uint32_t count, set_count;
};

/* A subject under match. The texts are on loan: they stay on the Lua stack. */
struct bind_match {
    lua_State *lua;
    struct budget *budget;
    const struct bind_pattern *pattern;
    const char *start, *end; /* of the subject */
    uint32_t depth;          /* entries of the trail */
    int level;               /* captures */
    struct {
        const char *at;
        ptrdiff_t size; /* or one of the marks in bind_pattern.c */
    } captures[PATTERN_CAPTURES];
};

void bind_pattern_open(void);

/* Bytes that bind_pattern_make wants as `room`, aligned as a pointer. */
size_t bind_pattern_room(struct slice text);
/* Without the leading ^. Never fails: what is malformed raises when matching comes to it. */
void bind_pattern_make(struct slice text, void *room, struct bind_pattern *out);

void bind_match_init(struct bind_match *m, lua_State *L, const struct bind_pattern *pattern,
                     struct slice subject);
/* Where the match that begins at `at` ends, or NULL. May raise. */
const char *bind_match_at(struct bind_match *m, const char *at);
/* The first match from `*at` on (only there when `anchored`); `*at` becomes its start. */
const char *bind_match_find(struct bind_match *m, const char **at, bool anchored);
/* Pushes capture `index`; without captures 0 is the whole match. May raise. */
void bind_match_push(struct bind_match *m, int index, const char *from, const char *to);
/* Pushes all captures, or the whole match if there are none and `from` is given; how many. */
int bind_match_push_all(struct bind_match *m, const char *from, const char *to);

#endif
