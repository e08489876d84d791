#include "base/decimal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define INT64_DIGITS   19
#define DOUBLE_DIGITS  14  /* significant digits that a numeric may have and still be a Lua float */
#define DOUBLE_TOP     308 /* 0.d × 10^308 is always finite, whatever the digits */
#define DOUBLE_BOTTOM  (-306)
#define EXACT_POWER    22 /* the largest power of ten that a double holds exactly */
#define EXPONENT_LIMIT 100000000

/* A number as it stands in a text: ± 0.HEADTAIL × 10^top. Leading zeros and the zeros that end the
 * digits are left out; zero has neither head nor tail. Two runs, because a point may stand between.
 */
struct number {
    bool negative;
    int32_t top;
    struct slice head;
    struct slice tail;
};

static const double exact_powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

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

static struct slice
without_leading_zeros(struct slice digits)
{
    while (digits.size > 0 && digits.data[0] == '0') {
        digits.data++;
        digits.size--;
    }
    return digits;
}

static struct slice
without_final_zeros(struct slice digits)
{
    while (digits.size > 0 && digits.data[digits.size - 1] == '0')
        digits.size--;
    return digits;
}

/* "e+10" at `at` up to `end`, or nothing. False when it is something else. */
static bool
scan_exponent(const char *at, const char *end, int32_t *exponent)
{
    *exponent = 0;
    if (at == end)
        return true;
    if (*at != 'e' && *at != 'E')
        return false;
    at++;
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end || skip_digits(at, end) != end)
        return false;
    for (; at < end; at++) {
        *exponent = *exponent * 10 + (*at - '0');
        if (*exponent > EXPONENT_LIMIT)
            return false;
    }
    if (negative)
        *exponent = -*exponent;
    return true;
}

/* The parts of a number text as they were written. */
struct parts {
    bool negative;
    struct slice whole;
    struct slice fraction;
    int32_t exponent;
};

static bool
split(struct slice text, struct parts *out)
{
    if (text.size == 0 || text.size > EXPONENT_LIMIT)
        return false;
    const char *at = text.data;
    const char *end = text.data + text.size;
    out->negative = *at == '-';
    if (*at == '-' || *at == '+')
        at++;
    const char *start = at;
    at = skip_digits(at, end);
    out->whole = (struct slice){start, (size_t)(at - start)};
    out->fraction = (struct slice){at, 0};
    if (at < end && *at == '.') {
        start = at + 1;
        at = skip_digits(start, end);
        out->fraction = (struct slice){start, (size_t)(at - start)};
    }
    if (out->whole.size + out->fraction.size == 0)
        return false;
    return scan_exponent(at, end, &out->exponent);
}

static bool
number_scan(struct slice text, struct number *out)
{
    struct parts p;
    if (!split(text, &p))
        return false;
    out->negative = p.negative;
    out->head = without_leading_zeros(p.whole);
    out->tail = without_final_zeros(p.fraction);
    out->top = p.exponent + (int32_t)out->head.size;
    if (out->tail.size == 0) {
        out->head = without_final_zeros(out->head);
    } else if (out->head.size == 0) {
        struct slice rest = without_leading_zeros(out->tail);
        out->top -= (int32_t)(out->tail.size - rest.size);
        out->tail = rest;
    }
    return true;
}

static inline size_t
number_digits(const struct number *n)
{
    return n->head.size + n->tail.size;
}

/* The digits of two numbers with equal `top`, run by run: the points may stand apart. */
static int
compare_digits(const struct number *a, const struct number *b)
{
    struct slice as[2] = {a->head, a->tail};
    struct slice bs[2] = {b->head, b->tail};
    size_t i = 0, k = 0;
    for (;;) {
        while (i < 2 && as[i].size == 0)
            i++;
        while (k < 2 && bs[k].size == 0)
            k++;
        if (i == 2 || k == 2)
            return (i < 2) - (k < 2);
        size_t run = as[i].size < bs[k].size ? as[i].size : bs[k].size;
        int order = memcmp(as[i].data, bs[k].data, run);
        if (order)
            return order < 0 ? -1 : 1;
        as[i] = (struct slice){as[i].data + run, as[i].size - run};
        bs[k] = (struct slice){bs[k].data + run, bs[k].size - run};
    }
}

static int
sign_of(bool negative, bool zero)
{
    return zero ? 0 : negative ? -1 : 1;
}

bool
decimal_compare_text(struct slice a, struct slice b, int *order)
{
    struct number x, y;
    if (!number_scan(a, &x) || !number_scan(b, &y))
        return false;
    int xs = sign_of(x.negative, number_digits(&x) == 0);
    int ys = sign_of(y.negative, number_digits(&y) == 0);
    if (xs != ys || xs == 0)
        *order = (xs > ys) - (xs < ys);
    else if (x.top != y.top)
        *order = x.top > y.top ? xs : -xs;
    else
        *order = xs * compare_digits(&x, &y);
    return true;
}

static uint64_t
accumulate(uint64_t value, struct slice digits)
{
    for (size_t i = 0; i < digits.size; i++)
        value = value * 10 + (uint64_t)(digits.data[i] - '0');
    return value;
}

/* The sign and magnitude as int64; false when out of range. */
static bool
signed_from(uint64_t magnitude, bool negative, int64_t *out)
{
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

/* `n` is whole and at most 19 digits long. */
static bool
number_int(const struct number *n, int64_t *out)
{
    uint64_t magnitude = accumulate(accumulate(0, n->head), n->tail);
    for (size_t i = number_digits(n); i < (size_t)n->top; i++)
        magnitude *= 10;
    return signed_from(magnitude, n->negative, out);
}

/* `n` has at most DOUBLE_DIGITS digits and lies within the normal doubles: nearest double. */
static double
number_double(const struct number *n)
{
    uint64_t digits = accumulate(accumulate(0, n->head), n->tail);
    int32_t exponent = n->top - (int32_t)number_digits(n);
    double value;
    if (exponent >= -EXACT_POWER && exponent <= EXACT_POWER) {
        /* Both operands are exact, so one correctly rounded operation gives the nearest double. */
        double power = exact_powers[exponent < 0 ? -exponent : exponent];
        value = exponent < 0 ? (double)digits / power : (double)digits * power;
    } else {
        char text[48];
        snprintf(text, sizeof(text), "%llue%d", (unsigned long long)digits, (int)exponent);
        value = strtod(text, NULL);
    }
    return n->negative ? -value : value;
}

int
decimal_classify(struct slice text, int64_t *integer, double *real)
{
    struct number n;
    if (!number_scan(text, &n))
        return 0;
    size_t digits = number_digits(&n);
    if (digits == 0) {
        *integer = 0;
        return 1;
    }
    bool whole = n.top > 0 && (size_t)n.top >= digits;
    if (whole && n.top <= INT64_DIGITS && number_int(&n, integer))
        return 1;
    if (digits > DOUBLE_DIGITS || n.top > DOUBLE_TOP || n.top < DOUBLE_BOTTOM)
        return 3;
    *real = number_double(&n);
    return 2;
}

int
decimal_parse(struct slice text, struct arena *arena, struct decimal *out)
{
    struct parts p;
    if (!split(text, &p))
        return -1;
    struct slice whole = without_leading_zeros(p.whole);
    struct slice fraction = p.fraction;
    if (whole.size == 0)
        fraction = without_leading_zeros(fraction);
    int64_t scale = (int64_t)p.fraction.size - p.exponent;
    if (whole.size + fraction.size == 0 && scale < 0)
        scale = 0;
    if (whole.size + fraction.size > DECIMAL_DIGITS || scale > DECIMAL_DIGITS ||
        scale < -DECIMAL_DIGITS)
        return -1;
    size_t count = whole.size + fraction.size;
    uint8_t *digits = arena_alloc(arena, count);
    for (size_t i = 0; i < count; i++) {
        char c = i < whole.size ? whole.data[i] : fraction.data[i - whole.size];
        digits[i] = (uint8_t)(c - '0');
    }
    *out = (struct decimal){p.negative && count > 0, (int32_t)scale, (uint32_t)count, digits};
    return 0;
}

struct decimal
decimal_from_int(int64_t value, struct arena *arena)
{
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    uint8_t reversed[20];
    uint32_t count = 0;
    for (; magnitude > 0; magnitude /= 10)
        reversed[count++] = (uint8_t)(magnitude % 10);
    uint8_t *digits = arena_alloc(arena, count);
    for (uint32_t i = 0; i < count; i++)
        digits[i] = reversed[count - 1 - i];
    return (struct decimal){value < 0, 0, count, digits};
}

int
decimal_from_double(double value, struct arena *arena, struct decimal *out)
{
    if (!isfinite(value))
        return -1;
    char text[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*g", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return decimal_parse(slice_of(text), arena, out);
}

static uint32_t
without_trailing(const struct decimal *a)
{
    uint32_t count = a->count;
    while (count > 0 && a->digits[count - 1] == 0)
        count--;
    return count;
}

int
decimal_compare(const struct decimal *a, const struct decimal *b)
{
    int as = sign_of(a->negative, a->count == 0);
    int bs = sign_of(b->negative, b->count == 0);
    if (as != bs || as == 0)
        return (as > bs) - (as < bs);
    int64_t atop = (int64_t)a->count - a->scale;
    int64_t btop = (int64_t)b->count - b->scale;
    if (atop != btop)
        return atop > btop ? as : -as;
    struct slice x = {(const char *)a->digits, without_trailing(a)};
    struct slice y = {(const char *)b->digits, without_trailing(b)};
    int order = slice_compare(x, y);
    return as * ((order > 0) - (order < 0));
}

static void
print_digits(const struct decimal *a, uint32_t from, uint32_t to, struct buffer *out)
{
    for (uint32_t i = from; i < to; i++)
        buffer_byte(out, (uint8_t)('0' + a->digits[i]));
}

static void
print_zeros(int64_t count, struct buffer *out)
{
    for (int64_t i = 0; i < count; i++)
        buffer_byte(out, '0');
}

void
decimal_print(const struct decimal *a, struct buffer *out)
{
    int64_t whole = (int64_t)a->count - a->scale; /* digits before the point */
    if (a->negative)
        buffer_byte(out, '-');
    if (whole <= 0)
        buffer_byte(out, '0');
    else
        print_digits(a, 0, a->scale > 0 ? (uint32_t)whole : a->count, out);
    if (a->scale <= 0) {
        print_zeros(a->count > 0 ? -(int64_t)a->scale : 0, out);
        return;
    }
    buffer_byte(out, '.');
    print_zeros(whole < 0 ? -whole : 0, out);
    print_digits(a, whole > 0 ? (uint32_t)whole : 0, a->count, out);
}

double
decimal_double(const struct decimal *a)
{
    char text[DECIMAL_DIGITS + 32];
    size_t size = 0;
    if (a->count == 0)
        return 0;
    if (a->negative)
        text[size++] = '-';
    for (uint32_t i = 0; i < a->count; i++)
        text[size++] = (char)('0' + a->digits[i]);
    snprintf(text + size, sizeof(text) - size, "e%d", -(int)a->scale);
    return strtod(text, NULL);
}

bool
decimal_int(const struct decimal *a, int64_t *out)
{
    int64_t top = (int64_t)a->count - a->scale;
    uint32_t count = without_trailing(a);
    if (top > INT64_DIGITS || (int64_t)count > top)
        return count == 0 && (*out = 0, true);
    uint64_t magnitude = 0;
    for (int64_t i = 0; i < top; i++)
        magnitude = magnitude * 10 + (i < (int64_t)count ? a->digits[i] : 0);
    return signed_from(magnitude, a->negative, out);
}
