/* The binary form of an event, as it stands in the journal. Compact, append-only, decoded without
 * copying: texts of a decoded event point into the record. Numbers of kinds and flags are part of
 * the format; a change of the form raises CODEC_VERSION, which each block names. */
#ifndef EVENT_CODEC_H
#define EVENT_CODEC_H

#include "base/arena.h"
#include "event/event.h"

#define CODEC_VERSION 1

/* Appends one record (its length first). `e->lsn` and `e->epoch` are not part of it: the block has
 * both. Rows of a decoded event that nobody touched are copied as they stand. The event's schema is
 * written as its number. Past the buffer's limit nothing is appended and `out->failed` is set. */
void codec_encode(const struct event *e, struct buffer *out);

/* Takes the next record off `records` and decodes its header; rows stay encoded until event_row.
 * `arena` receives cells when they are touched and must outlive the event's use. Foreign bytes:
 * anything wrong is ERROR_CORRUPT. The caller sets lsn and epoch. */
int codec_decode(struct scan *records, struct schema_set *schemas, struct arena *arena,
                 struct event *e, struct error *err) must_check;

/* Only op and schema number of the next record, without touching the rest: for filters that reject
 * most records. Takes the record off and gives its bytes in `record` (for codec_decode). */
int codec_peek(struct scan *records, uint64_t *schema, enum event_op *op, struct slice *record,
               struct error *err) must_check;

/* For event_row: decodes one image into the event's arena. Where its bytes are wrong the cells from
 * there on are UNKNOWN, so that filters fail closed. */
void codec_decode_row(struct event *e, enum event_image image);

#endif
