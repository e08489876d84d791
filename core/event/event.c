#include "event/event.h"

#include <math.h>

#include "base/hash.h"
#include "base/json.h"
#include "event/codec.h"

static const char *const op_names[EVENT_OPS] = {
    [EVENT_INSERT] = "insert",     [EVENT_UPDATE] = "update", [EVENT_DELETE] = "delete",
    [EVENT_TRUNCATE] = "truncate", [EVENT_READ] = "read",     [EVENT_DDL] = "ddl",
    [EVENT_MESSAGE] = "message",   [EVENT_GAP] = "gap",
};

static const struct cell absent = {.kind = CELL_ABSENT};

const char *
event_op_name(enum event_op op)
{
    return (unsigned)op < EVENT_OPS ? op_names[op] : NULL;
}

enum event_op
event_op_parse(struct slice name)
{
    for (int op = EVENT_INSERT; op < EVENT_OPS; op++)
        if (slice_is(name, op_names[op]))
            return (enum event_op)op;
    return (enum event_op)0;
}

bool
cell_equal(const struct cell *a, const struct cell *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case CELL_ABSENT:
    case CELL_NULL:
    case CELL_UNCHANGED:
    case CELL_UNKNOWN:
        return true;
    case CELL_BOOL:
    case CELL_INT:
        return a->integer == b->integer;
    case CELL_FLOAT: /* by bits: NaN equals itself, 0.0 and -0.0 differ */
        return memcmp(&a->real, &b->real, sizeof(a->real)) == 0;
    default:
        return slice_equal(a->text, b->text);
    }
}

static void
print_real(double value, struct buffer *out)
{
    if (isnan(value))
        buffer_text(out, "NaN");
    else if (isinf(value))
        buffer_text(out, value < 0 ? "-Infinity" : "Infinity");
    else
        json_double(out, value);
}

static void
print_hex(struct slice bytes, struct buffer *out)
{
    static const char digits[] = "0123456789abcdef";
    char *to = buffer_extend(out, bytes.size * 2);
    for (size_t i = 0; to && i < bytes.size; i++) {
        uint8_t byte = (uint8_t)bytes.data[i];
        to[2 * i] = digits[byte >> 4];
        to[2 * i + 1] = digits[byte & 15];
    }
}

void
cell_print(const struct cell *cell, struct buffer *out)
{
    switch (cell->kind) {
    case CELL_ABSENT:
    case CELL_NULL:
    case CELL_UNCHANGED:
    case CELL_UNKNOWN:
        break;
    case CELL_BOOL:
        buffer_text(out, cell->integer ? "true" : "false");
        break;
    case CELL_INT:
        json_int(out, cell->integer);
        break;
    case CELL_FLOAT:
        print_real(cell->real, out);
        break;
    case CELL_BYTES:
        print_hex(cell->text, out);
        break;
    default:
        buffer_slice(out, cell->text);
    }
}

const struct row *
event_row(struct event *e, enum event_image image)
{
    if (e->encoded[image].data)
        codec_decode_row(e, image);
    return &e->rows[image];
}

const struct row *
event_subject(struct event *e)
{
    return event_row(e, event_key_image(e));
}

const struct cell *
event_cell(struct event *e, enum event_image image, unsigned column)
{
    const struct row *row = event_row(e, image);
    return row->present && column < row->count ? &row->cells[column] : &absent;
}

/* A value or NULL: something that can be read and compared. */
static bool
is_known(const struct cell *cell)
{
    return cell->kind == CELL_NULL || cell_is_value(cell);
}

const struct cell *
event_value(struct event *e, enum event_image image, unsigned column)
{
    const struct cell *cell = event_cell(e, image, column);
    if (image == EVENT_NEW && cell->kind == CELL_UNCHANGED) {
        const struct cell *old = event_cell(e, EVENT_OLD, column);
        if (is_known(old))
            return old;
    }
    return cell;
}

enum change
event_changed(struct event *e, unsigned column)
{
    const struct cell *new, *old;
    if (e->op != EVENT_UPDATE)
        return CHANGE_NO;
    new = event_cell(e, EVENT_NEW, column);
    if (new->kind == CELL_UNCHANGED)
        return CHANGE_NO;
    old = event_cell(e, EVENT_OLD, column);
    if (!is_known(new) || !is_known(old))
        return CHANGE_UNKNOWN;
    return cell_equal(new, old) ? CHANGE_NO : CHANGE_YES;
}

void
event_id(const struct event *e, struct buffer *out)
{
    struct slice source = e->schema->source;
    char *to = buffer_extend(out, source.size);
    for (size_t i = 0; to && i < source.size; i++)
        to[i] = source.data[i] == '.' ? '~' : source.data[i];
    buffer_byte(out, ':');
    if (e->epoch) { /* sources count from 1; a gap of the journal itself has none */
        json_int(out, e->epoch);
        buffer_byte(out, ':');
    }
    buffer_slice(out, e->position);
}

const struct cell *
event_key_cell(struct event *e, enum event_image image, unsigned place)
{
    unsigned column = e->schema->key[place];
    const struct cell *cell = event_value(e, image, column);
    if (is_known(cell))
        return cell;
    return event_value(e, image == EVENT_NEW ? EVENT_OLD : EVENT_NEW, column);
}

static void
print_escaped(struct slice text, struct buffer *out)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\\' || text.data[i] == ',')
            buffer_byte(out, '\\');
        buffer_byte(out, (uint8_t)text.data[i]);
    }
}

void
event_key(struct event *e, enum event_image image, struct buffer *out)
{
    for (unsigned i = 0; i < e->schema->key_count; i++) {
        const struct cell *cell = event_key_cell(e, image, i);
        if (i > 0)
            buffer_byte(out, ',');
        if (cell->kind >= CELL_DECIMAL && cell->kind != CELL_BYTES)
            print_escaped(cell->text, out);
        else
            cell_print(cell, out);
    }
}

static uint64_t
hash_more(uint64_t hash, struct slice text)
{
    return hash64_seed(text.data, text.size, hash);
}

static uint64_t
hash_cell(uint64_t hash, const struct cell *cell)
{
    if (cell->kind >= CELL_DECIMAL)
        return hash_more(hash, cell->text);
    if (cell_is_value(cell)) /* the 8 bytes of integer or real */
        return hash64_seed(&cell->integer, sizeof(cell->integer), hash);
    return hash_more(hash, slice_of(""));
}

uint64_t
event_key_hash(struct event *e)
{
    const struct schema *schema = e->schema;
    enum event_image image = event_key_image(e);
    bool has_row = e->rows[EVENT_NEW].present || e->rows[EVENT_OLD].present;
    uint64_t hash = hash_more(0, schema->source);
    hash = hash_more(hash_more(hash, schema->schema), schema->table);
    for (unsigned i = 0; has_row && i < schema->key_count; i++)
        hash = hash_cell(hash, event_key_cell(e, image, i));
    return hash ? hash : 1;
}
