/* The event: one change of one row, the only type that all stages share. It is made by a source,
 * immutable once journalled, and read lazily: the header is decoded, rows only where touched.
 *
 * A cell is a value, NULL, or one of three ways of not being there, which stay apart from decoder
 * to JSON (design/sources.md §1): UNCHANGED (the log left it out because it did not change),
 * UNKNOWN (it may have changed and the log has no value), ABSENT (not a column of this image). */
#ifndef EVENT_EVENT_H
#define EVENT_EVENT_H

#include "event/schema.h"

/* Stored; never renumber. */
enum event_op {
    EVENT_INSERT = 1,
    EVENT_UPDATE,
    EVENT_DELETE,
    EVENT_TRUNCATE,
    EVENT_READ, /* a row of a snapshot */
    EVENT_DDL,
    EVENT_MESSAGE,
    EVENT_GAP, /* something is known to be missing here */
};

#define EVENT_OPS 9 /* one past the last; bit `1 << op` in masks */

/* "insert" … or NULL; and back: 0 when it is no op. */
const char *event_op_name(enum event_op op);
enum event_op event_op_parse(struct slice name);

/* Stored; never renumber. */
enum cell_kind {
    CELL_ABSENT = 0,
    CELL_NULL,
    CELL_UNCHANGED,
    CELL_UNKNOWN,
    CELL_BOOL,     /* integer 0 or 1 */
    CELL_INT,      /* integer */
    CELL_FLOAT,    /* real; NaN and infinities kept */
    CELL_DECIMAL,  /* exact text, as decimal_parse reads it, or the server's text (NaN …) */
    CELL_TEXT,     /* valid UTF-8 */
    CELL_BYTES,    /* anything */
    CELL_DOCUMENT, /* JSON text on one line */
    CELL_TIME,     /* ISO 8601 text; integer = microseconds since 1970 UTC if has_us */
};

struct cell {
    uint8_t kind;
    bool has_us;
    union {
        int64_t integer;
        double real;
    };
    struct slice text; /* DECIMAL TEXT BYTES DOCUMENT TIME */
};

static inline bool
cell_is_value(const struct cell *cell)
{
    return cell->kind >= CELL_BOOL;
}

/* Same kind and same bytes (floats by their bits): what "changed" means. Two absents are equal. */
bool cell_equal(const struct cell *a, const struct cell *b);

/* Appends the exact text of a value: digits of numbers, true/false, text, bytes as lower-case hex;
 * nothing for NULL and the three ways of not being there. */
void cell_print(const struct cell *cell, struct buffer *out);

/* One image of a row. `cells` has `count` entries in column order; shorter than the schema means
 * that the rest is ABSENT. */
struct row {
    bool present;
    uint16_t count;
    const struct cell *cells;
};

enum event_image { EVENT_NEW, EVENT_OLD };

/* What a source fills in and the journal gives back. All slices are on loan from whoever made it.
 */
struct event {
    uint64_t lsn; /* 0 until it is journalled */
    uint32_t epoch;
    enum event_op op;
    int64_t ts; /* commit time (SQLite: statement time), microseconds since 1970 UTC */
    const struct schema *schema;
    struct slice position; /* the driver's text; unique within source and epoch */
    struct slice tx_id;    /* empty: the source has no transactions */
    uint32_t tx_index;     /* 0-based place in its transaction */
    bool tx_last;
    struct row rows[2]; /* by enum event_image; after decoding, filled by event_row */

    struct slice ddl;     /* JSON {kind, sql, added, removed, retyped}; DDL only */
    struct slice gap;     /* JSON {reason, from_lsn, to_lsn, count}; GAP only */
    struct slice prefix;  /* MESSAGE */
    struct slice content; /* MESSAGE, bytes */
    struct slice meta;    /* JSON that the writer attached to its transaction, or empty */

    /* Private to codec.c: the encoded rows and where decoded cells go. */
    struct slice encoded[2];
    struct arena *arena;
};

/* The image, decoded at first touch; `present` false where the event has none. Never NULL. Not
 * thread-safe: an event belongs to one thread. */
const struct row *event_row(struct event *e, enum event_image image);

/* e.row: the new image, or the old one of a delete. */
const struct row *event_subject(struct event *e);

/* The cell of a column as it stands in that image; an absent cell where there is none. Never NULL.
 */
const struct cell *event_cell(struct event *e, enum event_image image, unsigned column);

/* As event_cell, but an unchanged cell of the new image takes the old image's value if that is
 * there. What readers use. */
const struct cell *event_value(struct event *e, enum event_image image, unsigned column);

/* Did this column change in this update? */
enum change { CHANGE_NO, CHANGE_YES, CHANGE_UNKNOWN };
enum change event_changed(struct event *e, unsigned column);

/* "source:epoch:position", dots in the source's name written ~, into `out`. Epoch 0, which only a gap
 * of the journal itself has, is left out. */
void event_id(const struct event *e, struct buffer *out);

/* The canonical text of the key: the values joined in key order by `,`, with `\` before `\` and
 * `,`; NULL as nothing. Empty without a key. `image`: after a key change EVENT_NEW has the new one.
 */
void event_key(struct event *e, enum event_image image, struct buffer *out);

/* The cell of the key's column at `place` (0-based, below key_count) in that image. Where the image
 * does not have it the other one helps out: a log that leaves a key column out of one image says
 * that it is the same in both. Never NULL. */
const struct cell *event_key_cell(struct event *e, enum event_image image, unsigned place);

/* The image that e.key and the ordering key are read from: the old one of a delete. */
static inline enum event_image
event_key_image(const struct event *e)
{
    return e->op == EVENT_DELETE ? EVENT_OLD : EVENT_NEW;
}

/* 64-bit hash of source, schema, table and key: the default ordering key of messages. Of all
 * without a key the table decides. Never 0. */
uint64_t event_key_hash(struct event *e);

#endif
