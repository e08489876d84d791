/* The first byte picks a type of PostgreSQL, the rest is the text that a hostile server sends for
 * it. What comes out must keep its kind's promise, and say the same as the text where another
 * reader of ours can tell. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "source/postgres/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint32_t oids[] = {
    16,   17,   20,   22,   25,   114,  701,  790,  1000, 1001, 1006, 1007, 1009, 1022, 1020,
    1082, 1083, 1114, 1184, 1185, 1186, 1231, 1266, 1700, 3802, 3807, 199,  791,  1183, 1187,
};

static void
check_document(struct slice text)
{
    struct error err = {0};
    struct buffer again;
    buffer_init(&again, text.size);
    ensure(json_compact(text, &again, &err) == 0);
    ensure(slice_equal(buffer_view(&again), text));
    buffer_release(&again);
}

static void
check_printed(const struct cell *cell, struct slice text)
{
    struct buffer out;
    buffer_init(&out, 64);
    cell_print(cell, &out);
    ensure(slice_equal(buffer_view(&out), text));
    buffer_release(&out);
}

static void
check_real(double value, struct slice text)
{
    char *copy = memory_slice(text);
    double other = strtod(copy, NULL);
    ensure(isnan(value) ? isnan(other) : memcmp(&value, &other, sizeof(value)) == 0);
    free(copy);
}

static void
check_time(const struct cell *cell)
{
    int64_t us;
    ensure(text_is_utf8(cell->text));
    if (cell->has_us)
        ensure(clock_parse(cell->text, &us) == 0 && us == cell->integer);
}

static void
check_cell(const struct cell *cell, struct slice text)
{
    switch (cell->kind) {
    case CELL_BOOL:
        ensure(slice_is(text, cell->integer ? "t" : "f"));
        break;
    case CELL_INT:
        check_printed(cell, text);
        break;
    case CELL_FLOAT:
        check_real(cell->real, text);
        break;
    case CELL_DOCUMENT:
        check_document(cell->text);
        break;
    case CELL_TIME:
        check_time(cell);
        break;
    case CELL_BYTES:
        break;
    default:
        ensure(cell->kind == CELL_TEXT || cell->kind == CELL_DECIMAL);
        ensure(text_is_utf8(cell->text));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pg_types *types;
    struct arena arena;
    struct cell cell;
    if (!types)
        types = pg_types_new();
    if (size == 0)
        return 0;
    struct slice text = {(const char *)data + 1, size - 1};
    arena_init(&arena, 0);
    pg_value_cell(pg_types_find(types, oids[data[0] % countof(oids)]), text, &arena, &cell);
    check_cell(&cell, text);
    arena_release(&arena);
    return 0;
}
