/* The JSON forms of an event. One object on one line, no trailing newline. design.md §4.
 *
 * NATIVE: ours, complete. DEBEZIUM: the envelope {before, after, source, op, ts_ms, transaction}
 * that consumers of Debezium know; events that it has no form for (gap, ddl) come as native.
 * Values look the same in both. CloudEvents, Maxwell and row forms are named by the design and come
 * with the delivery work. */
#ifndef EVENT_EVENT_JSON_H
#define EVENT_EVENT_JSON_H

#include "event/event.h"

enum event_format { FORMAT_NATIVE, FORMAT_DEBEZIUM };

extern const char *const event_format_names[]; /* for OPTION_CHOICE, NULL-terminated */

enum number_style { NUMBER_STRING, NUMBER_NUMBER };

extern const char *const number_style_names[]; /* "string", "number", NULL */

/* How a channel or command wants it: its `format`, `decimals`, `bigints` (integers above 2^53),
 * `columns`. Immutable. */
struct event_shape {
    enum event_format format;
    enum number_style decimals; /* default NUMBER_STRING */
    enum number_style bigints;  /* default NUMBER_NUMBER */
    const char *const *columns; /* only these columns, in every image and in the key; NULL: all */
    size_t column_count;
};

/* Everything at its default, all columns. */
extern const struct event_shape event_shape_default;

/* Appends the event. Always valid JSON: bytes that are no UTF-8 become U+FFFD, a document that is
 * no JSON becomes a string. */
void event_json(struct event *e, const struct event_shape *shape, struct buffer *out);

/* One cell as a JSON value; NULL and the ways of not being there print null. */
void cell_json(const struct cell *cell, const struct event_shape *shape, struct buffer *out);

#endif
