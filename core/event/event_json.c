#include "event/event_json.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "event/event_json_part.h"

#define EXACT_DOUBLE (INT64_C(1) << 53) /* up to here every reader's double holds an integer */

const char *const event_format_names[] = {"native", "debezium", NULL};
const char *const number_style_names[] = {"string", "number", NULL};

const struct event_shape event_shape_default = {
    .format = FORMAT_NATIVE,
    .decimals = NUMBER_STRING,
    .bigints = NUMBER_NUMBER,
};

static const char *
skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* Is it a number as JSON writes it? Servers also say NaN, Infinity, or leave out a zero. */
static bool
is_json_number(struct slice text)
{
    const char *at = text.data, *end = text.data + text.size, *digits;
    if (text.size == 0)
        return false;
    at += *at == '-';
    digits = at;
    at = skip_digits(at, end);
    if (at == digits || (*digits == '0' && at > digits + 1))
        return false;
    if (at < end && *at == '.') {
        digits = ++at;
        at = skip_digits(at, end);
        if (at == digits)
            return false;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        digits = at;
        at = skip_digits(at, end);
        if (at == digits)
            return false;
    }
    return at == end;
}

static void
print_integer(int64_t value, enum number_style style, struct buffer *out)
{
    bool quoted = style == NUMBER_STRING && (value > EXACT_DOUBLE || value < -EXACT_DOUBLE);
    if (quoted)
        buffer_byte(out, '"');
    json_int(out, value);
    if (quoted)
        buffer_byte(out, '"');
}

static void
print_decimal(struct slice text, enum number_style style, struct buffer *out)
{
    if (style == NUMBER_NUMBER && is_json_number(text))
        buffer_slice(out, text);
    else
        json_string(out, text);
}

/* Sources give documents that are sound JSON, but a reader of ours must never get a broken line. */
static void
print_document(struct slice text, struct buffer *out)
{
    size_t start = out->size;
    if (json_compact(text, out, NULL) == 0)
        return;
    out->size = start;
    json_string(out, text);
}

/* `decimals` apart from the shape: an unsigned integer above 2^63 is a decimal cell of an INT
 * column and follows `bigints`. */
static void
print_cell(const struct cell *cell, const struct event_shape *shape, enum number_style decimals,
           struct buffer *out)
{
    switch (cell->kind) {
    case CELL_BOOL:
        buffer_text(out, cell->integer ? "true" : "false");
        break;
    case CELL_INT:
        print_integer(cell->integer, shape->bigints, out);
        break;
    case CELL_FLOAT:
        json_double(out, cell->real);
        break;
    case CELL_DECIMAL:
        print_decimal(cell->text, decimals, out);
        break;
    case CELL_TEXT:
    case CELL_TIME:
        json_string(out, cell->text);
        break;
    case CELL_BYTES:
        json_base64(out, cell->text);
        break;
    case CELL_DOCUMENT:
        print_document(cell->text, out);
        break;
    default:
        put(out, "null");
    }
}

void
cell_json(const struct cell *cell, const struct event_shape *shape, struct buffer *out)
{
    print_cell(cell, shape, shape->decimals, out);
}

static bool
is_wanted(const struct event_shape *shape, const struct column *column)
{
    for (size_t i = 0; i < shape->column_count; i++)
        if (slice_is(column->name, shape->columns[i]))
            return true;
    return !shape->columns;
}

/* `"name":value` of an object that is empty as long as `out` ends at `start`. */
static void
print_member(const struct cell *cell, const struct column *column, const struct event_shape *shape,
             size_t start, struct buffer *out)
{
    if (out->size > start)
        buffer_byte(out, ',');
    json_string(out, column->name);
    buffer_byte(out, ':');
    print_cell(cell, shape, column->family == FAMILY_INT ? shape->bigints : shape->decimals, out);
}

void
json_part_image(struct event *e, const struct event_shape *shape, enum event_image image,
                struct buffer *out)
{
    const struct row *row = event_row(e, image);
    size_t start;
    if (!row->present) {
        put(out, "null");
        return;
    }
    buffer_byte(out, '{');
    start = out->size;
    for (unsigned i = 0; i < row->count && i < e->schema->column_count; i++) {
        const struct cell *cell = &row->cells[i];
        const struct column *column = &e->schema->columns[i];
        if (cell->kind == CELL_UNCHANGED)
            cell = event_value(e, image, i);
        if ((cell_is_value(cell) || cell->kind == CELL_NULL) && is_wanted(shape, column))
            print_member(cell, column, shape, start, out);
    }
    buffer_byte(out, '}');
}

static void
print_key(struct event *e, const struct event_shape *shape, struct buffer *out)
{
    const struct schema *schema = e->schema;
    size_t start;
    if (schema->key_count == 0 || !event_subject(e)->present) {
        put(out, "null");
        return;
    }
    buffer_byte(out, '{');
    start = out->size;
    for (unsigned i = 0; i < schema->key_count; i++) {
        const struct cell *cell = event_key_cell(e, event_key_image(e), i);
        const struct column *column = &schema->columns[schema->key[i]];
        if ((cell_is_value(cell) || cell->kind == CELL_NULL) && is_wanted(shape, column))
            print_member(cell, column, shape, start, out);
    }
    buffer_byte(out, '}');
}

/* Appends the column's name to a list whose `key` stands before the first name only. */
static void
print_listed(const struct column *column, struct slice key, size_t start, struct buffer *out)
{
    if (out->size == start)
        buffer_slice(out, key);
    else
        buffer_byte(out, ',');
    json_string(out, column->name);
}

static bool
row_has(const struct row *row, enum cell_kind kind)
{
    for (unsigned i = 0; i < row->count; i++)
        if (row->cells[i].kind == kind)
            return true;
    return false;
}

static void
print_missing(struct event *e, const struct event_shape *shape, enum cell_kind kind,
              struct buffer *out)
{
    struct slice key = kind == CELL_UNCHANGED ? slice_literal(",\"unchanged\":[")
                                              : slice_literal(",\"unknown\":[");
    size_t start = out->size;
    if (!row_has(event_row(e, EVENT_NEW), kind) && !row_has(event_row(e, EVENT_OLD), kind))
        return;
    for (unsigned i = 0; i < e->schema->column_count; i++)
        if ((event_value(e, EVENT_NEW, i)->kind == kind ||
             event_value(e, EVENT_OLD, i)->kind == kind) &&
            is_wanted(shape, &e->schema->columns[i]))
            print_listed(&e->schema->columns[i], key, start, out);
    if (out->size > start)
        buffer_byte(out, ']');
}

void
json_part_missing(struct event *e, const struct event_shape *shape, struct buffer *out)
{
    print_missing(e, shape, CELL_UNCHANGED, out);
    print_missing(e, shape, CELL_UNKNOWN, out);
}

/* `,"changed":[…]` of an update. Null as soon as one value of the new row has no old one to compare
 * with: a list without that column would say that it did not change. */
static void
print_changed(struct event *e, const struct event_shape *shape, struct buffer *out)
{
    size_t start = out->size;
    for (unsigned i = 0; e->op == EVENT_UPDATE && i < e->schema->column_count; i++) {
        const struct cell *new = event_cell(e, EVENT_NEW, i);
        enum change change;
        if (new->kind == CELL_ABSENT || new->kind == CELL_UNKNOWN ||
            !is_wanted(shape, &e->schema->columns[i]))
            continue;
        change = event_changed(e, i);
        if (change == CHANGE_UNKNOWN) {
            out->size = start;
            put(out, ",\"changed\":null");
            return;
        }
        if (change == CHANGE_YES)
            print_listed(&e->schema->columns[i], slice_literal(",\"changed\":["), start, out);
    }
    if (out->size > start)
        buffer_byte(out, ']');
}

static bool
is_plain(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
            return false;
    return true;
}

void
json_part_id(const struct event *e, struct buffer *out)
{
    size_t start;
    buffer_byte(out, '"');
    start = out->size;
    event_id(e, out);
    if (!out->failed && !is_plain(out->data + start, out->size - start)) {
        char *id = memory_slice((struct slice){out->data + start, out->size - start});
        size_t size = out->size - start;
        out->size = start;
        json_inside(out, (struct slice){id, size});
        free(id);
    }
    buffer_byte(out, '"');
}

void
json_part_name(struct slice name, struct buffer *out)
{
    if (name.size)
        json_string(out, name);
    else
        put(out, "null");
}

static void
print_tx(const struct event *e, struct buffer *out)
{
    if (!e->tx_id.size)
        return;
    put(out, ",\"tx\":{\"id\":");
    json_string(out, e->tx_id);
    put(out, ",\"index\":");
    json_int(out, e->tx_index);
    put(out, ",\"last\":");
    buffer_text(out, e->tx_last ? "true}" : "false}");
}

static void
print_message(const struct event *e, struct buffer *out)
{
    put(out, ",\"message\":{\"prefix\":");
    json_string(out, e->prefix);
    put(out, ",\"content\":");
    if (text_is_utf8(e->content)) {
        json_string(out, e->content);
    } else {
        json_base64(out, e->content);
        put(out, ",\"encoding\":\"base64\"");
    }
    buffer_byte(out, '}');
}

/* What only some events carry. */
static void
print_extras(const struct event *e, struct buffer *out)
{
    if (e->op == EVENT_MESSAGE)
        print_message(e, out);
    if (e->ddl.size) {
        put(out, ",\"ddl\":");
        print_document(e->ddl, out);
    }
    if (e->gap.size) {
        put(out, ",\"gap\":");
        print_document(e->gap, out);
    }
    if (e->meta.size) {
        put(out, ",\"meta\":");
        print_document(e->meta, out);
    }
}

static void
print_head(const struct event *e, struct buffer *out)
{
    char time[CLOCK_TEXT_SIZE];
    put(out, "{\"id\":");
    json_part_id(e, out);
    put(out, ",\"lsn\":");
    json_int(out, (int64_t)e->lsn);
    put(out, ",\"source\":");
    json_string(out, e->schema->source);
    put(out, ",\"driver\":");
    json_part_name(e->schema->driver, out);
    put(out, ",\"schema\":");
    json_part_name(e->schema->schema, out);
    put(out, ",\"table\":");
    json_part_name(e->schema->table, out);
    put(out, ",\"op\":\"");
    buffer_text(out, event_op_name(e->op));
    put(out, "\",\"ts\":\"");
    buffer_text(out, clock_format(e->ts, time));
    put(out, "\",\"ts_us\":");
    json_int(out, e->ts);
}

static void
print_native(struct event *e, const struct event_shape *shape, struct buffer *out)
{
    print_head(e, out);
    put(out, ",\"key\":");
    print_key(e, shape, out);
    put(out, ",\"new\":");
    json_part_image(e, shape, EVENT_NEW, out);
    put(out, ",\"old\":");
    json_part_image(e, shape, EVENT_OLD, out);
    print_changed(e, shape, out);
    json_part_missing(e, shape, out);
    print_tx(e, out);
    put(out, ",\"position\":");
    json_string(out, e->position);
    print_extras(e, out);
    buffer_byte(out, '}');
}

void
event_json(struct event *e, const struct event_shape *shape, struct buffer *out)
{
    if (shape->format == FORMAT_DEBEZIUM && e->op != EVENT_GAP && e->op != EVENT_DDL)
        json_part_debezium(e, shape, out);
    else
        print_native(e, shape, out);
}
