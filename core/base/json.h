/* JSON: writing it byte by byte into a buffer, and reading it through yyjson into our value tree or
 * into one compact line with every digit kept. Depth and size of what is read are bounded. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/value.h"

#define JSON_DEPTH 512

/* Appends `text` as a JSON string with quotes. Invalid UTF-8 bytes become U+FFFD. */
void json_string(struct buffer *out, struct slice text);
void json_inside(struct buffer *out, struct slice text); /* the same without the quotes */
void json_int(struct buffer *out, int64_t value);
/* Shortest form that reads back the same double, whole ones with .0 so that readers which type
 * numbers do not see an integer; NaN and infinities as the strings "NaN" "Infinity" "-Infinity". */
void json_double(struct buffer *out, double value);
void json_base64(struct buffer *out, struct slice bytes); /* a string with quotes */
/* `"key":`, with a comma before it unless it is the first after `{`. */
void json_key(struct buffer *out, const char *key);
/* A comma unless the last byte is `[`, `{`, `:` or `,` or the buffer is empty. */
void json_comma(struct buffer *out);

/* `text` re-spaced to one line, digits, key order and duplicate keys as they are. ERROR_DATA with the
 * byte offset when it is no JSON or nests deeper than JSON_DEPTH. */
int json_compact(struct slice text, struct buffer *out, struct error *err) must_check;

/* Into a value tree in `arena`: integers within int64 as VALUE_INT, other numbers as VALUE_DECIMAL
 * with the text as it stood. Duplicate keys stay, the first one is what value_get finds. It accepts
 * the same texts as json_compact. */
int json_parse(struct slice text, struct arena *arena, struct value *out,
               struct error *err) must_check;
/* The other way round. A secret shows its name only; a tree deeper than JSON_DEPTH, which no maker
 * of ours makes, latches out->failed. */
void json_value(struct buffer *out, const struct value *value);

#endif
