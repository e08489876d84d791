/* A tree of plain values: what a Lua declaration or a JSON request says, free of Lua and of JSON.
 * tidegate.lua, rules, and requests over the socket all become this and are checked against option
 * tables (option.h). Values live in an arena and are never changed after they are made. */
#ifndef BASE_VALUE_H
#define BASE_VALUE_H

#include "base/arena.h"

enum value_kind {
    VALUE_NIL,
    VALUE_NULL, /* the `null` of Lua and JSON */
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_DECIMAL, /* exact text */
    VALUE_TEXT,
    VALUE_LIST,
    VALUE_MAP,  /* string keys, in order of the source where known, else sorted */
    VALUE_CALL, /* a marked construct such as gt(5): `text` is its name, `items` its arguments */
    VALUE_FUNCTION, /* a Lua function: `integer` is its registry reference in the VM it came from */
    VALUE_SECRET,   /* an opaque handle: `text` is the secret's name, never its content */
};

struct value_pair;

struct value {
    enum value_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double real;
    };
    struct slice text;
    size_t count; /* of items or pairs */
    union {
        struct value *items;
        struct value_pair *pairs;
    };
};

struct value_pair {
    struct slice key;
    struct value value;
};

/* The value of `key` in a map; NULL when it is absent or `map` is not a map. */
const struct value *value_get(const struct value *map, const char *key);

/* The text of `key`, or `fallback` when absent or no text. NUL-terminated if the maker copied it
 * by arena_slice, as all makers of ours do. */
const char *value_text(const struct value *map, const char *key, const char *fallback);
int64_t value_int(const struct value *map, const char *key, int64_t fallback);
bool value_bool(const struct value *map, const char *key, bool fallback);

/* A deep copy into `arena`, texts NUL-terminated. Recurses: makers of values bound their depth. */
struct value value_copy(const struct value *value, struct arena *arena);

const char *value_kind_name(enum value_kind kind); /* "text", "list" … for messages */

#endif
