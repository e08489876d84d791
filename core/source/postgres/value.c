#include "source/postgres/value_part.h"

#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"

#define EXACT_DIGITS 15 /* so many decimal digits fit a double's 53 bits */
#define EXACT_POWER  22 /* the largest power of ten that a double holds exactly */

static inline bool
is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static inline const char *
skip_digits(const char *at, const char *end)
{
    while (at < end && is_digit(*at))
        at++;
    return at;
}

static bool
read_bool(const struct pg_type *type, struct slice text, struct arena *arena, struct cell *out)
{
    (void)type, (void)arena;
    out->kind = CELL_BOOL;
    out->integer = text.size == 1 && text.data[0] == 't';
    return text.size == 1 && (text.data[0] == 't' || text.data[0] == 'f');
}

static bool
read_int(const struct pg_type *type, struct slice text, struct arena *arena, struct cell *out)
{
    const char *at = text.data, *end = slice_end(text);
    bool negative = text.size && *at == '-';
    uint64_t value = 0;
    (void)type, (void)arena;
    at += negative;
    if (at == end || end - at > 19 || (*at == '0' && text.size > 1))
        return false;
    for (; at < end; at++) {
        if (!is_digit(*at))
            return false;
        value = value * 10 + (uint64_t)(*at - '0');
    }
    out->kind = CELL_INT;
    out->integer = negative ? (int64_t)(0 - value) : (int64_t)value;
    return value <= (uint64_t)INT64_MAX + negative;
}

/* A float as the server prints it: ± digits, point, digits, exponent. */
struct number {
    bool negative;
    uint64_t digits; /* all of them as one integer; true only while `count` ≤ EXACT_DIGITS */
    size_t count;
    int exponent; /* of the last digit */
};

static bool
scan_exponent(const char *at, const char *end, int *exponent)
{
    int value = 0;
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end || end - at > 4 || skip_digits(at, end) != end)
        return false;
    for (; at < end; at++)
        value = value * 10 + (*at - '0');
    *exponent += negative ? -value : value;
    return true;
}

static bool
scan_number(struct slice text, struct number *out)
{
    const char *at = text.data, *end = slice_end(text), *point = NULL;
    *out = (struct number){.negative = text.size && *at == '-'};
    at += out->negative;
    for (; at < end && (is_digit(*at) || (*at == '.' && !point)); at++) {
        if (*at == '.') {
            point = at;
            continue;
        }
        out->digits = out->digits * 10 + (uint64_t)(*at - '0');
        out->count++;
        out->exponent -= point != NULL;
    }
    if (out->count == 0)
        return false;
    return at == end || (*at == 'e' && scan_exponent(at + 1, end, &out->exponent));
}

/* The nearest double. Where digits and power of ten are both exact, one operation gives it. */
static double
number_value(const struct number *n, struct slice text)
{
    static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    char copy[64];
    double value = (double)n->digits;
    if (n->count <= EXACT_DIGITS && n->exponent >= -EXACT_POWER && n->exponent <= EXACT_POWER) {
        value = n->exponent < 0 ? value / powers[-n->exponent] : value * powers[n->exponent];
        return n->negative ? -value : value;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return strtod(copy, NULL);
}

/* A real is read as a double too: 0.1 stays 0.1, as its shortest text says. */
static bool
read_float(const struct pg_type *type, struct slice text, struct arena *arena, struct cell *out)
{
    struct number number;
    (void)type, (void)arena;
    out->kind = CELL_FLOAT;
    if (scan_number(text, &number)) {
        out->real = text.size < 64 ? number_value(&number, text) : HUGE_VAL;
        return isfinite(out->real);
    }
    out->real = slice_is(text, "NaN") ? NAN : text.size && *text.data == '-' ? -HUGE_VAL : HUGE_VAL;
    return isnan(out->real) || slice_is(text, "Infinity") || slice_is(text, "-Infinity");
}

static bool
read_numeric(const struct pg_type *type, struct slice text, struct arena *arena, struct cell *out)
{
    const char *at = text.data, *end = slice_end(text), *digits;
    (void)type, (void)arena;
    out->kind = CELL_DECIMAL;
    out->text = text;
    if (text.size == 0)
        return false;
    digits = at + (*at == '-');
    at = skip_digits(digits, end);
    if (at == digits)
        return slice_is(text, "NaN") || slice_is(text, "Infinity") || slice_is(text, "-Infinity");
    if (at < end && *at == '.') {
        digits = at + 1;
        at = skip_digits(digits, end);
    }
    return at == end && at > digits;
}

/* Copies "1,234" without its commas, which must part exactly three digits; NULL when it is anything
 * else: with another locale the comma would be the point. */
static char *
copy_groups(struct slice text, char *to)
{
    for (size_t i = 0; i < text.size; i++) {
        bool comma = (text.size - i) % 4 == 0;
        if (comma ? text.data[i] != ',' || i == 0 : !is_digit(text.data[i]))
            return NULL;
        if (!comma)
            *to++ = text.data[i];
    }
    return text.size ? to : NULL;
}

/* "-$1,234.50", as with lc_monetary = C. */
static bool
read_money(const struct pg_type *type, struct slice text, struct arena *arena, struct cell *out)
{
    bool negative = text.size && text.data[0] == '-';
    struct slice rest = {text.data + negative, text.size - negative};
    const char *point = text.size ? memchr(text.data, '.', text.size) : NULL;
    char *copy, *to;
    (void)type;
    if (rest.size < 2 || rest.data[0] != '$' || !point || slice_end(text) - point < 2 ||
        skip_digits(point + 1, slice_end(text)) != slice_end(text))
        return false;
    copy = to = arena_alloc(arena, text.size);
    if (negative)
        *to++ = '-';
    to = copy_groups((struct slice){rest.data + 1, (size_t)(point - rest.data - 1)}, to);
    if (!to)
        return false;
    memcpy(to, point, (size_t)(slice_end(text) - point));
    to += slice_end(text) - point;
    out->kind = CELL_DECIMAL;
    out->text = (struct slice){copy, (size_t)(to - copy)};
    return true;
}

/* The value of a hex digit, with DIGIT so that anything else is told apart. */
enum { DIGIT = 0x10 };
static const uint8_t nibbles[256] = {
    ['0'] = DIGIT,      ['1'] = DIGIT | 1,  ['2'] = DIGIT | 2,  ['3'] = DIGIT | 3,
    ['4'] = DIGIT | 4,  ['5'] = DIGIT | 5,  ['6'] = DIGIT | 6,  ['7'] = DIGIT | 7,
    ['8'] = DIGIT | 8,  ['9'] = DIGIT | 9,  ['a'] = DIGIT | 10, ['b'] = DIGIT | 11,
    ['c'] = DIGIT | 12, ['d'] = DIGIT | 13, ['e'] = DIGIT | 14, ['f'] = DIGIT | 15,
    ['A'] = DIGIT | 10, ['B'] = DIGIT | 11, ['C'] = DIGIT | 12, ['D'] = DIGIT | 13,
    ['E'] = DIGIT | 14, ['F'] = DIGIT | 15,
};

static bool
read_hex(struct slice digits, struct arena *arena, struct cell *out)
{
    size_t size = digits.size / 2;
    char *bytes = arena_alloc(arena, size);
    uint8_t sound = DIGIT;
    for (size_t i = 0; i < size; i++) {
        uint8_t high = nibbles[(uint8_t)digits.data[2 * i]];
        uint8_t low = nibbles[(uint8_t)digits.data[2 * i + 1]];
        sound &= high & low;
        bytes[i] = (char)(uint8_t)(high << 4 | (low & 15));
    }
    out->text = (struct slice){bytes, size};
    return digits.size % 2 == 0 && sound;
}

/* The byte that a backslash at `at` announces: itself, or three octal digits. -1: neither. */
static int
escaped_byte(const char *at, const char *end, size_t *size)
{
    int value = 0;
    *size = 2;
    if (end - at >= 2 && at[1] == '\\')
        return '\\';
    *size = 4;
    if (end - at < 4)
        return -1;
    for (int i = 1; i < 4; i++) {
        if (at[i] < '0' || at[i] > '7')
            return -1;
        value = value * 8 + (at[i] - '0');
    }
    return value < 256 ? value : -1;
}

/* The old format, which a server sends that did not take our bytea_output. */
static bool
read_escaped(struct slice text, struct arena *arena, struct cell *out)
{
    char *bytes = arena_alloc(arena, text.size), *to = bytes;
    size_t size;
    for (const char *at = text.data, *end = slice_end(text); at < end; at += size) {
        int byte = *at == '\\' ? escaped_byte(at, end, &size) : (size = 1, (uint8_t)*at);
        if (byte < 0)
            return false;
        *to++ = (char)(uint8_t)byte;
    }
    out->text = (struct slice){bytes, (size_t)(to - bytes)};
    return true;
}

static bool
read_bytes(const struct pg_type *type, struct slice text, struct arena *arena, struct cell *out)
{
    (void)type;
    out->kind = CELL_BYTES;
    if (text.size >= 2 && text.data[0] == '\\' && text.data[1] == 'x')
        return read_hex((struct slice){text.data + 2, text.size - 2}, arena, out);
    return read_escaped(text, arena, out);
}

/* Re-spacing only takes bytes away, so the buffer stands in the arena and never grows. */
static bool
read_json(const struct pg_type *type, struct slice text, struct arena *arena, struct cell *out)
{
    struct buffer line = {
        .data = arena_alloc(arena, text.size + 1),
        .capacity = text.size + 1,
        .limit = text.size,
    };
    (void)type;
    if (json_compact(text, &line, NULL) != 0)
        return false;
    out->kind = CELL_DOCUMENT;
    out->text = buffer_view(&line);
    return true;
}

static bool
read_text(const struct pg_type *type, struct slice text, struct arena *arena, struct cell *out)
{
    (void)type, (void)arena;
    out->kind = text_is_utf8(text) ? CELL_TEXT : CELL_BYTES;
    out->text = text;
    return true;
}

static pg_value_reader *const readers[] = {
    [PG_FORM_TEXT] = read_text,
    [PG_FORM_BOOL] = read_bool,
    [PG_FORM_INT] = read_int,
    [PG_FORM_FLOAT] = read_float,
    [PG_FORM_NUMERIC] = read_numeric,
    [PG_FORM_MONEY] = read_money,
    [PG_FORM_BYTES] = read_bytes,
    [PG_FORM_JSON] = read_json,
    [PG_FORM_DATE] = pg_value_date,
    [PG_FORM_TIME] = pg_value_time,
    [PG_FORM_TIMESTAMP] = pg_value_timestamp,
    [PG_FORM_TIMESTAMPTZ] = pg_value_timestamptz,
    [PG_FORM_INTERVAL] = pg_value_interval,
    [PG_FORM_ARRAY] = pg_value_list,
    [PG_FORM_VECTOR] = pg_value_list,
};

void
pg_value_cell(const struct pg_type *type, struct slice text, struct arena *arena, struct cell *out)
{
    if (!text.data)
        text.data = ""; /* C forbids to add even 0 to NULL */
    *out = (struct cell){0};
    if (readers[type->form](type, text, arena, out))
        return;
    *out = (struct cell){0};
    read_text(type, text, arena, out);
}
