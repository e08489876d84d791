#include "rules/literal.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/decimal.h"
#include "base/hash.h"

#define EXACT_INTEGER (INT64_C(1) << 53) /* up to here doubles hold every integer */

static int
sign(int order)
{
    return (order > 0) - (order < 0);
}

/* The nearest double and where its shortest decimal stands to the number, so that floats can be
 * compared as doubles and still exactly. */
static void
set_real(struct literal *l)
{
    struct arena scratch;
    struct decimal number, nearest;
    l->real = strtod(l->number.data, NULL);
    if (isinf(l->real)) {
        l->bias = l->real > 0 ? 1 : -1;
        return;
    }
    arena_init(&scratch, 0);
    if (decimal_parse(l->number, &scratch, &number) == 0 &&
        decimal_from_double(l->real, &scratch, &nearest) == 0)
        l->bias = (int8_t)sign(decimal_compare(&nearest, &number));
    arena_release(&scratch);
}

static bool
is_whole(const struct decimal *d)
{
    for (int32_t i = 0; i < d->scale && (uint32_t)i < d->count; i++)
        if (d->digits[d->count - 1 - (uint32_t)i] != 0)
            return false;
    return true;
}

/* Gives the literal its readings as a number, if `text` (NUL-terminated) is one. */
static void
read_number(struct literal *l, struct slice text)
{
    struct arena scratch;
    struct decimal number;
    double real;
    arena_init(&scratch, 0);
    l->has_number = decimal_parse(text, &scratch, &number) == 0;
    l->is_whole = l->has_number && is_whole(&number);
    arena_release(&scratch);
    if (!l->has_number)
        return;
    l->number = text;
    l->has_integer = decimal_classify(text, &l->integer, &real) == 1;
    set_real(l);
}

static int
read_float(struct literal *l, double real, struct arena *arena, struct error *err)
{
    struct decimal d;
    struct buffer text;
    if (!isfinite(real))
        return error_set(err, ERROR_DATA, "NaN and infinity can't be compared with");
    if (decimal_from_double(real, arena, &d) != 0)
        return error_set(err, ERROR_DATA, "this number can't be compared with");
    buffer_init(&text, 4096);
    decimal_print(&d, &text);
    read_number(l, arena_slice(arena, buffer_view(&text)));
    buffer_release(&text);
    return 0;
}

int
literal_make(const struct value *value, struct arena *arena, struct literal *out, struct error *err)
{
    *out = (struct literal){.kind = value->kind};
    switch (value->kind) {
    case VALUE_NULL:
        return 0;
    case VALUE_BOOL:
        out->has_integer = true;
        out->integer = value->boolean;
        return 0;
    case VALUE_INT:
        read_number(out, slice_of(arena_printf(arena, "%" PRId64, value->integer)));
        return 0;
    case VALUE_FLOAT:
        return read_float(out, value->real, arena, err);
    case VALUE_DECIMAL:
        read_number(out, arena_slice(arena, value->text));
        if (!out->has_number)
            return error_set(err, ERROR_DATA, "this number can't be compared with");
        return 0;
    case VALUE_TEXT:
        out->text = arena_slice(arena, value->text);
        read_number(out, out->text);
        out->has_time = clock_parse(out->text, &out->time) == 0;
        return 0;
    default:
        return error_set(err, ERROR_DATA, "a %s is no value to compare with",
                         value_kind_name(value->kind));
    }
}

static bool
is_truth(const struct literal *l)
{
    if (l->kind == VALUE_TEXT)
        return slice_is(l->text, "true") || slice_is(l->text, "false");
    return l->kind == VALUE_BOOL || (l->has_integer && (l->integer == 0 || l->integer == 1));
}

static bool
truth(const struct literal *l)
{
    return l->kind == VALUE_TEXT ? slice_is(l->text, "true") : l->integer != 0;
}

/* Times of day and intervals have no place on the time line; their texts are compared. */
static bool
is_time(const struct literal *l)
{
    if (l->kind != VALUE_TEXT || l->text.size < 2)
        return false;
    const char *t = l->text.data;
    bool clock = l->text.size >= 5 && t[2] == ':';
    if (slice_is(l->text, "infinity") || slice_is(l->text, "-infinity"))
        return true;
    return l->has_time || clock || t[0] == 'P' || (t[0] == '-' && t[1] == 'P');
}

static bool
fits(const struct literal *l, enum type_family family, enum literal_use use)
{
    if (use == LITERAL_PATTERN)
        return family == FAMILY_TEXT || family == FAMILY_ANY;
    switch (family) {
    case FAMILY_INT: /* 4.5 has integers on either side, but is none */
        return (l->has_number && (l->is_whole || use == LITERAL_ORDER)) || l->kind == VALUE_BOOL;
    case FAMILY_FLOAT:
    case FAMILY_DECIMAL:
        return l->has_number;
    case FAMILY_BOOL:
        return is_truth(l);
    case FAMILY_TEXT:
    case FAMILY_BYTES:
        return l->kind == VALUE_TEXT;
    case FAMILY_DOCUMENT:
        return false;
    case FAMILY_TIME:
        return is_time(l);
    default:
        return true;
    }
}

/* What the values of a column are called, and what to compare them with. */
static const struct {
    const char *name, *hint;
} families[] = {
    [FAMILY_INT] = {"integers", "write a whole number, or a text that is one exactly"},
    [FAMILY_FLOAT] = {"floating-point numbers", "write a number, or a text that is one"},
    [FAMILY_DECIMAL] = {"decimal numbers", "write a number, or a text: \"1000.50\""},
    [FAMILY_BOOL] = {"true or false", "write true or false"},
    [FAMILY_TEXT] = {"text", "write the value in quotes"},
    [FAMILY_BYTES] = {"bytes", "write the value in quotes"},
    [FAMILY_DOCUMENT] = {"documents", NULL},
    [FAMILY_TIME] = {"times", "write a time in quotes: \"2026-11-21T06:42:00Z\""},
};

static int
refuse(const struct literal *l, const struct column *column, enum literal_use use,
       struct error *err)
{
    const char *quote = l->kind == VALUE_TEXT ? "\"" : "";
    struct slice shown = l->kind == VALUE_TEXT ? l->text : l->number;
    int width = (int)column->name.size;
    if (l->kind == VALUE_BOOL)
        shown = slice_of(l->integer ? "true" : "false");
    if (use == LITERAL_PATTERN) {
        error_set(err, ERROR_DATA, "column \"%.*s\" holds %s, and like is for texts", width,
                  column->name.data, families[column->family].name);
        return error_hint(err, "use gt, lt or between, or when for Lua code");
    }
    error_set(err, ERROR_DATA, "column \"%.*s\" holds %s, and %s%.*s%s is none", width,
              column->name.data, families[column->family].name, quote,
              (int)(shown.size > 100 ? 100 : shown.size), shown.data, quote);
    if (column->family == FAMILY_DOCUMENT)
        return error_hint(err, "ask for a value inside it: [\"%.*s.key\"] = …",
                          width > 100 ? 100 : width, column->name.data);
    return error_hint(err, "%s", families[column->family].hint);
}

int
literal_check(const struct literal *l, const struct column *column, enum literal_use use,
              struct error *err)
{
    if (l->kind == VALUE_NULL || fits(l, column->family, use))
        return 0;
    return refuse(l, column, use, err);
}

static int
compare_real(double cell, const struct literal *l)
{
    if (!l->has_number || isnan(cell))
        return LITERAL_APART;
    if (cell != l->real)
        return cell < l->real ? -1 : 1;
    return l->bias;
}

static int
compare_integer(int64_t cell, const struct literal *l)
{
    char text[24];
    int order;
    if (l->has_integer)
        return (cell > l->integer) - (cell < l->integer);
    if (!l->has_number)
        return LITERAL_APART;
    if (cell >= -EXACT_INTEGER && cell <= EXACT_INTEGER)
        return compare_real((double)cell, l);
    int size = snprintf(text, sizeof(text), "%" PRId64, cell);
    if (!decimal_compare_text((struct slice){text, (size_t)size}, l->number, &order))
        return LITERAL_APART;
    return order;
}

/* The server's words for numbers without digits: an infinity has its place, NaN has none. */
static int
compare_decimal(struct slice cell, const struct literal *l)
{
    int order;
    if (!l->has_number)
        return LITERAL_APART;
    if (decimal_compare_text(cell, l->number, &order))
        return order;
    if (slice_is(cell, "Infinity"))
        return 1;
    return slice_is(cell, "-Infinity") ? -1 : LITERAL_APART;
}

static int
compare_time(const struct cell *cell, const struct literal *l)
{
    if (l->kind != VALUE_TEXT)
        return LITERAL_APART;
    if (cell->has_us && l->has_time)
        return (cell->integer > l->time) - (cell->integer < l->time);
    if (l->has_time && slice_is(cell->text, "infinity"))
        return 1;
    if (l->has_time && slice_is(cell->text, "-infinity"))
        return -1;
    return cell->has_us || l->has_time ? LITERAL_APART : sign(slice_compare(cell->text, l->text));
}

int
literal_compare(const struct cell *cell, const struct literal *l)
{
    switch (cell->kind) {
    case CELL_INT:
        return compare_integer(cell->integer, l);
    case CELL_FLOAT:
        return compare_real(cell->real, l);
    case CELL_DECIMAL:
        return compare_decimal(cell->text, l);
    case CELL_BOOL:
        return is_truth(l) ? (cell->integer != 0) - truth(l) : LITERAL_APART;
    case CELL_TEXT:
    case CELL_BYTES:
        return l->kind == VALUE_TEXT ? sign(slice_compare(cell->text, l->text)) : LITERAL_APART;
    case CELL_TIME:
        return compare_time(cell, l);
    default:
        return LITERAL_APART;
    }
}

/* Which reading a key stands for. */
enum reading {
    READ_INTEGER = 1,
    READ_REAL,
    READ_DECIMAL,
    READ_TEXT,
    READ_TRUTH,
    READ_TIME,
};

static uint64_t
key_of(enum reading reading, uint64_t bits)
{
    uint64_t key = (bits ^ (uint64_t)reading << 56) * UINT64_C(0x9e3779b97f4a7c15);
    return key ^ key >> 32;
}

static uint64_t
key_of_real(double real)
{
    uint64_t bits;
    real += 0.0; /* -0 and 0 are equal */
    memcpy(&bits, &real, sizeof(bits));
    return key_of(READ_REAL, bits);
}

/* "+12" of an exponent; bounded, since a cell may hold anything. */
static int64_t
read_exponent(const char *at, const char *end)
{
    int64_t value = 0;
    bool negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    for (; at < end && value < 1000000; at++)
        value = value * 10 + (*at - '0');
    return negative ? -value : value;
}

/* The same for every text of one number: its sign, its digits without zeros at either end, and the
 * place of the first. */
static uint64_t
key_of_decimal(struct slice text)
{
    uint64_t hash = 0, kept = 0;
    int64_t place = 0, exponent = 0;
    bool point = false, any = false;
    const char *at = text.data, *end = slice_end(text);
    bool negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            point = true;
            continue;
        }
        any |= *at != '0';
        place += any ? !point : -(int64_t)point;
        hash = any ? hash * 31 + (uint64_t)(*at - '0') + 1 : 0;
        kept = *at != '0' ? hash : kept;
    }
    if (at < end)
        exponent = read_exponent(at + 1, end);
    if (!any)
        return key_of(READ_DECIMAL, 0);
    return key_of(READ_DECIMAL, kept * 2654435761u + (uint64_t)(place + exponent) * 2 + negative);
}

size_t
literal_keys(const struct literal *l, uint64_t keys[LITERAL_KEYS])
{
    size_t count = 0;
    if (l->has_integer)
        keys[count++] = key_of(READ_INTEGER, (uint64_t)l->integer);
    if (l->has_number && l->bias == 0)
        keys[count++] = key_of_real(l->real);
    if (l->has_number)
        keys[count++] = key_of_decimal(l->number);
    if (l->kind == VALUE_TEXT)
        keys[count++] = hash64_seed(l->text.data, l->text.size, READ_TEXT);
    if (is_truth(l))
        keys[count++] = key_of(READ_TRUTH, truth(l));
    if (l->has_time)
        keys[count++] = key_of(READ_TIME, (uint64_t)l->time);
    return count;
}

bool
literal_cell_key(const struct cell *cell, uint64_t *key)
{
    switch (cell->kind) {
    case CELL_INT:
        *key = key_of(READ_INTEGER, (uint64_t)cell->integer);
        return true;
    case CELL_FLOAT:
        *key = key_of_real(cell->real);
        return true;
    case CELL_DECIMAL:
        *key = key_of_decimal(cell->text);
        return true;
    case CELL_BOOL:
        *key = key_of(READ_TRUTH, cell->integer != 0);
        return true;
    case CELL_TEXT:
    case CELL_BYTES:
        *key = hash64_seed(cell->text.data, cell->text.size, READ_TEXT);
        return true;
    case CELL_TIME:
        *key = cell->has_us ? key_of(READ_TIME, (uint64_t)cell->integer)
                            : hash64_seed(cell->text.data, cell->text.size, READ_TEXT);
        return true;
    default:
        return false;
    }
}
