#include "event/codec.h"

/* A record, in this order:
 *
 *     length    varint, of all that follows
 *     op        byte
 *     flags     byte, enum flag
 *     schema    its number, 8 bytes
 *     ts        signed varint
 *     position  length and bytes
 *     tx        if FLAG_TX: id as length and bytes, index as varint
 *     new, old  if FLAG_NEW, FLAG_OLD: length and bytes of an image
 *     extras    if FLAG_EXTRA: ddl, gap, prefix, content, meta, each length and bytes
 *
 * An image is a varint count of cells, then per cell a tag (kind, and TAG_SET where the kind has a
 * bit of its own) and what the kind needs. Encoding measures first, so that lengths are exact and
 * the buffer is extended once. */

enum flag {
    FLAG_TX = 1,
    FLAG_TX_LAST = 2,
    FLAG_NEW = 4,
    FLAG_OLD = 8,
    FLAG_EXTRA = 16,
    FLAGS = 31,
};

#define TAG_KIND   0x0f
#define TAG_SET    0x10 /* BOOL: true; TIME: has_us */
#define HEAD_BYTES 10   /* op, flags, schema number */

static inline uint64_t
zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static inline size_t
varint_size(uint64_t value)
{
    return (size_t)(70 - __builtin_clzll(value | 1)) / 7;
}

static inline char *
put_varint(char *to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (char)(value | 0x80);
        value >>= 7;
    }
    *to++ = (char)value;
    return to;
}

static inline char *
put_u64(char *to, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        to[i] = (char)(value >> (8 * i));
    return to + 8;
}

static inline size_t
slice_size(struct slice slice)
{
    return varint_size(slice.size) + slice.size;
}

static inline char *
put_slice(char *to, struct slice slice)
{
    to = put_varint(to, slice.size);
    if (slice.size)
        memcpy(to, slice.data, slice.size);
    return to + slice.size;
}

static inline size_t
cell_size(const struct cell *cell)
{
    switch (cell->kind) {
    case CELL_INT:
        return 1 + varint_size(zigzag(cell->integer));
    case CELL_FLOAT:
        return 1 + 8;
    case CELL_TIME:
        return 1 + (cell->has_us ? varint_size(zigzag(cell->integer)) : 0) + slice_size(cell->text);
    case CELL_DECIMAL:
    case CELL_TEXT:
    case CELL_BYTES:
    case CELL_DOCUMENT:
        return 1 + slice_size(cell->text);
    default:
        return 1;
    }
}

static inline char *
put_cell(char *to, const struct cell *cell)
{
    uint64_t bits;
    switch (cell->kind) {
    case CELL_BOOL:
        *to++ = (char)(CELL_BOOL | (cell->integer ? TAG_SET : 0));
        return to;
    case CELL_INT:
        *to++ = CELL_INT;
        return put_varint(to, zigzag(cell->integer));
    case CELL_FLOAT:
        *to++ = CELL_FLOAT;
        memcpy(&bits, &cell->real, sizeof(bits));
        return put_u64(to, bits);
    case CELL_TIME:
        *to++ = (char)(CELL_TIME | (cell->has_us ? TAG_SET : 0));
        if (cell->has_us)
            to = put_varint(to, zigzag(cell->integer));
        return put_slice(to, cell->text);
    case CELL_DECIMAL:
    case CELL_TEXT:
    case CELL_BYTES:
    case CELL_DOCUMENT:
        *to++ = (char)cell->kind;
        return put_slice(to, cell->text);
    default:
        *to++ = (char)cell->kind;
        return to;
    }
}

/* Size of an image without its own length; 0: the event has none. */
static size_t
image_size(const struct event *e, enum event_image image)
{
    const struct row *row = &e->rows[image];
    size_t size = varint_size(row->count);
    if (!row->present)
        return 0;
    if (e->encoded[image].data)
        return e->encoded[image].size;
    for (unsigned i = 0; i < row->count; i++)
        size += cell_size(&row->cells[i]);
    return size;
}

static char *
put_image(char *to, const struct event *e, enum event_image image, size_t size)
{
    const struct row *row = &e->rows[image];
    if (!row->present)
        return to;
    if (e->encoded[image].data)
        return put_slice(to, e->encoded[image]);
    to = put_varint(to, size);
    to = put_varint(to, row->count);
    for (unsigned i = 0; i < row->count; i++)
        to = put_cell(to, &row->cells[i]);
    return to;
}

static size_t
extras_size(const struct event *e)
{
    return slice_size(e->ddl) + slice_size(e->gap) + slice_size(e->prefix) +
           slice_size(e->content) + slice_size(e->meta);
}

static char *
put_extras(char *to, const struct event *e)
{
    to = put_slice(to, e->ddl);
    to = put_slice(to, e->gap);
    to = put_slice(to, e->prefix);
    to = put_slice(to, e->content);
    return put_slice(to, e->meta);
}

static unsigned
event_flags(const struct event *e)
{
    return (e->tx_id.size || e->tx_index ? FLAG_TX : 0) | (e->tx_last ? FLAG_TX_LAST : 0) |
           (e->rows[EVENT_NEW].present ? FLAG_NEW : 0) |
           (e->rows[EVENT_OLD].present ? FLAG_OLD : 0) |
           (e->ddl.size || e->gap.size || e->prefix.size || e->content.size || e->meta.size
                ? FLAG_EXTRA
                : 0);
}

void
codec_encode(const struct event *e, struct buffer *out)
{
    unsigned flags = event_flags(e);
    size_t new = image_size(e, EVENT_NEW), old = image_size(e, EVENT_OLD);
    size_t size = HEAD_BYTES + varint_size(zigzag(e->ts)) + slice_size(e->position);
    char *to;
    if (flags & FLAG_TX)
        size += slice_size(e->tx_id) + varint_size(e->tx_index);
    if (flags & FLAG_NEW)
        size += varint_size(new) + new;
    if (flags & FLAG_OLD)
        size += varint_size(old) + old;
    if (flags & FLAG_EXTRA)
        size += extras_size(e);
    to = buffer_extend(out, varint_size(size) + size);
    if (!to)
        return;
    to = put_varint(to, size);
    *to++ = (char)e->op;
    *to++ = (char)flags;
    to = put_u64(to, e->schema->number);
    to = put_varint(to, zigzag(e->ts));
    to = put_slice(to, e->position);
    if (flags & FLAG_TX) {
        to = put_slice(to, e->tx_id);
        to = put_varint(to, e->tx_index);
    }
    to = put_image(to, e, EVENT_NEW, new);
    to = put_image(to, e, EVENT_OLD, old);
    if (flags & FLAG_EXTRA)
        to = put_extras(to, e);
    ensure(to == out->data + out->size);
}

static int
corrupt(struct error *err, const char *what)
{
    return error_set(err, ERROR_CORRUPT, "a record cannot be read: its %s is wrong", what);
}

/* Takes the bytes of the next record, without its length. */
static struct slice
take_record(struct scan *records)
{
    struct slice record = {NULL, 0};
    uint64_t size = scan_varint(records);
    if (!records->failed && size >= HEAD_BYTES && size <= (size_t)(records->end - records->at))
        record = scan_bytes(records, (size_t)size);
    else
        scan_fail(records);
    return record;
}

static void
decode_tx(struct scan *s, struct event *e)
{
    uint64_t index;
    e->tx_id = scan_lenslice(s);
    index = scan_varint(s);
    e->tx_index = (uint32_t)index;
    if (index > UINT32_MAX)
        scan_fail(s);
}

static void
decode_extras(struct scan *s, struct event *e)
{
    e->ddl = scan_lenslice(s);
    e->gap = scan_lenslice(s);
    e->prefix = scan_lenslice(s);
    e->content = scan_lenslice(s);
    e->meta = scan_lenslice(s);
}

/* What follows the schema number. */
static int
decode_rest(struct scan *s, unsigned flags, struct event *e)
{
    e->ts = scan_signed(s);
    e->position = scan_lenslice(s);
    e->tx_last = flags & FLAG_TX_LAST;
    if (flags & FLAG_TX)
        decode_tx(s, e);
    e->rows[EVENT_NEW].present = flags & FLAG_NEW;
    if (flags & FLAG_NEW)
        e->encoded[EVENT_NEW] = scan_lenslice(s);
    e->rows[EVENT_OLD].present = flags & FLAG_OLD;
    if (flags & FLAG_OLD)
        e->encoded[EVENT_OLD] = scan_lenslice(s);
    if (flags & FLAG_EXTRA)
        decode_extras(s, e);
    return s->failed || s->at != s->end ? -1 : 0;
}

int
codec_decode(struct scan *records, struct schema_set *schemas, struct arena *arena, struct event *e,
             struct error *err)
{
    struct slice record = take_record(records);
    struct scan s;
    unsigned op, flags;
    if (!record.data)
        return corrupt(err, "length");
    s = scan_of(record);
    op = scan_byte(&s);
    flags = scan_byte(&s);
    if (!event_op_name(op))
        return corrupt(err, "operation");
    if (flags & ~FLAGS)
        return corrupt(err, "set of flags");
    *e = (struct event){.op = op, .arena = arena};
    e->schema = schema_get(schemas, scan_u64(&s), err);
    if (!e->schema)
        return error_context(err, "read a record");
    return decode_rest(&s, flags, e) == 0 ? 0 : corrupt(err, "content");
}

int
codec_peek(struct scan *records, uint64_t *schema, enum event_op *op, struct slice *record,
           struct error *err)
{
    const char *start = records->at;
    struct slice body = take_record(records);
    struct scan s;
    if (!body.data)
        return corrupt(err, "length");
    s = scan_of(body);
    *op = scan_byte(&s);
    scan_byte(&s); /* flags */
    *schema = scan_u64(&s);
    *record = (struct slice){start, (size_t)(records->at - start)};
    return event_op_name(*op) ? 0 : corrupt(err, "operation");
}

static int
decode_text(struct scan *s, struct cell *cell)
{
    cell->text = scan_lenslice(s);
    return s->failed ? -1 : 0;
}

static int
decode_cell(struct scan *s, struct cell *cell)
{
    unsigned tag = scan_byte(s), kind = tag & TAG_KIND;
    bool set = tag & TAG_SET;
    uint64_t bits;
    *cell = (struct cell){.kind = (uint8_t)kind};
    if (s->failed || (tag & ~(TAG_KIND | TAG_SET)) || kind > CELL_TIME ||
        (set && kind != CELL_BOOL && kind != CELL_TIME))
        return -1;
    switch (kind) {
    case CELL_BOOL:
        cell->integer = set;
        return 0;
    case CELL_INT:
        cell->integer = scan_signed(s);
        break;
    case CELL_FLOAT:
        bits = scan_u64(s);
        memcpy(&cell->real, &bits, sizeof(bits));
        break;
    case CELL_TIME:
        cell->has_us = set;
        if (set)
            cell->integer = scan_signed(s);
        return decode_text(s, cell);
    case CELL_DECIMAL:
    case CELL_TEXT:
    case CELL_BYTES:
    case CELL_DOCUMENT:
        return decode_text(s, cell);
    }
    return s->failed ? -1 : 0;
}

void
codec_decode_row(struct event *e, enum event_image image)
{
    struct scan s = scan_of(e->encoded[image]);
    uint64_t count = scan_varint(&s);
    bool sound = !s.failed && count <= e->schema->column_count && count <= (size_t)(s.end - s.at);
    struct cell *cells;
    if (!sound)
        count = e->schema->column_count;
    cells = arena_alloc(e->arena, (count + 1) * sizeof(*cells));
    for (unsigned i = 0; i < count; i++) {
        sound = sound && decode_cell(&s, &cells[i]) == 0;
        if (!sound)
            cells[i] = (struct cell){.kind = CELL_UNKNOWN};
    }
    for (unsigned i = 0; s.at != s.end && i < count; i++) /* bytes too many: none can be trusted */
        cells[i] = (struct cell){.kind = CELL_UNKNOWN};
    e->rows[image] = (struct row){.present = true, .count = (uint16_t)count, .cells = cells};
    e->encoded[image] = (struct slice){NULL, 0};
}
