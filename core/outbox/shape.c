#include "outbox/shape.h"

#include <stdlib.h>
#include "base/hash.h"
#include "outbox/query.h"

enum { COLUMNS_MAX = 16 * 1024 * 1024 };

/* Nothing is there for "all columns"; a list begins with its count. */
static void
encode_columns(const struct event_shape *shape, struct buffer *out)
{
    if (!shape->columns)
        return;
    buffer_varint(out, shape->column_count);
    for (size_t i = 0; i < shape->column_count; i++)
        buffer_lenslice(out, slice_of(shape->columns[i]));
}

uint64_t
shape_number(const struct event_shape *shape)
{
    uint32_t fixed[3] = {(uint32_t)shape->format, (uint32_t)shape->decimals,
                         (uint32_t)shape->bigints};
    uint64_t number = hash64(fixed, sizeof(fixed));
    if (!shape->columns)
        return number;
    struct buffer columns;
    buffer_init(&columns, COLUMNS_MAX);
    encode_columns(shape, &columns);
    number = hash64_seed(columns.data, columns.size, number);
    buffer_release(&columns);
    return number;
}

static void
copy_columns(struct event_shape *shape, const char *const *columns, size_t count)
{
    const char **copy = memory_zero((count ? count : 1) * sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = memory_text(columns[i]);
    shape->columns = copy;
    shape->column_count = count;
}

struct shape *
shape_copy(uint64_t number, const struct event_shape *shape)
{
    struct shape *copy = memory_zero(sizeof(*copy));
    copy->number = number;
    copy->shape = *shape;
    if (shape->columns)
        copy_columns(&copy->shape, shape->columns, shape->column_count);
    return copy;
}

void
shape_free(struct shape *shape)
{
    for (size_t i = 0; shape->shape.columns && i < shape->shape.column_count; i++)
        free((char *)shape->shape.columns[i]);
    free((void *)shape->shape.columns);
    free(shape);
}

int
shape_store(const struct shape *shape, sqlite3 *db, struct error *err)
{
    struct buffer columns;
    buffer_init(&columns, COLUMNS_MAX);
    encode_columns(&shape->shape, &columns);
    int result = query_do(db, QUERY_SHAPE_PUT, err, "iibii", (int64_t)shape->number,
                          (int64_t)shape->shape.format, buffer_view(&columns),
                          (int64_t)shape->shape.bigints, (int64_t)shape->shape.decimals);
    buffer_release(&columns);
    return result;
}

void
shapes_init(struct shapes *s)
{
    pthread_mutex_init(&s->lock, NULL);
    s->list = NULL;
}

void
shapes_release(struct shapes *s)
{
    while (s->list) {
        struct shape *next = s->list->next;
        shape_free(s->list);
        s->list = next;
    }
    pthread_mutex_destroy(&s->lock);
}

/* The texts must be terminated, so they are copied one by one. */
static int
decode_columns(struct shape *shape, struct slice encoded, struct error *err)
{
    struct scan scan = scan_of(encoded);
    uint64_t count = scan_varint(&scan);
    if (scan.failed || count > encoded.size)
        return error_set(err, ERROR_CORRUPT, "outbox shape has damaged columns");
    char **columns = memory_zero((count ? count : 1) * sizeof(*columns));
    for (uint64_t i = 0; i < count; i++)
        columns[i] = memory_slice(scan_lenslice(&scan));
    shape->shape.columns = (const char *const *)columns;
    shape->shape.column_count = count;
    return scan.failed ? error_set(err, ERROR_CORRUPT, "outbox shape has damaged columns") : 0;
}

static int
load_row(struct shapes *s, sqlite3_stmt *row, struct error *err)
{
    struct event_shape plain = {.format = (enum event_format)sqlite3_column_int(row, 1),
                                .bigints = (enum number_style)sqlite3_column_int(row, 3),
                                .decimals = (enum number_style)sqlite3_column_int(row, 4)};
    struct shape *shape = shape_copy((uint64_t)sqlite3_column_int64(row, 0), &plain);
    struct slice columns = query_blob(row, 2);
    if (columns.size && decode_columns(shape, columns, err) != 0) {
        shape_free(shape);
        return -1;
    }
    shapes_add(s, shape);
    return 0;
}

int
shapes_load(struct shapes *s, sqlite3 *db, struct error *err)
{
    sqlite3_stmt *rows = query_use(db, QUERY_SHAPE_LIST, err, "");
    int got = -1;
    while (rows && (got = sql_step(rows, err)) > 0) {
        if (load_row(s, rows, err) != 0) {
            sqlite3_reset(rows);
            return -1;
        }
    }
    return got;
}

static struct shape *
find_locked(struct shapes *s, uint64_t number)
{
    struct shape *shape = s->list;
    while (shape && shape->number != number)
        shape = shape->next;
    return shape;
}

void
shapes_add(struct shapes *s, struct shape *shape)
{
    pthread_mutex_lock(&s->lock);
    bool known = find_locked(s, shape->number);
    if (!known) {
        shape->next = s->list;
        s->list = shape;
    }
    pthread_mutex_unlock(&s->lock);
    if (known)
        shape_free(shape);
}

const struct event_shape *
shapes_find(struct shapes *s, uint64_t number)
{
    pthread_mutex_lock(&s->lock);
    const struct shape *shape = find_locked(s, number);
    pthread_mutex_unlock(&s->lock);
    return shape ? &shape->shape : NULL;
}
