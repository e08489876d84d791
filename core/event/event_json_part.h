/* What the JSON forms of an event have in common: images of rows, lists of columns, the event's id.
 * Only for core/event/event_json*.c. */
#ifndef EVENT_EVENT_JSON_PART_H
#define EVENT_EVENT_JSON_PART_H

#include "base/json.h"
#include "event/event_json.h"

#define put(out, literal) buffer_append((out), "" literal, sizeof(literal) - 1)

/* The image as an object, or null. Cells without a value are left out. */
void json_part_image(struct event *e, const struct event_shape *shape, enum event_image image,
                     struct buffer *out);

/* `,"unchanged":[…]` and `,"unknown":[…]`: columns that an image lacks for that reason; without
 * columns nothing. */
void json_part_missing(struct event *e, const struct event_shape *shape, struct buffer *out);

void json_part_id(const struct event *e, struct buffer *out); /* as a string */

/* A string, or null when it is empty. */
void json_part_name(struct slice name, struct buffer *out);

/* The Debezium envelope; for ops that it has. */
void json_part_debezium(struct event *e, const struct event_shape *shape, struct buffer *out);

#endif
