#include "base/big.h"
#include "base/decimal.h"

#define QUOTIENT_PLACES 20

static const struct big one = {.count = 1, .limb = {1}};

static int
too_long(struct error *err)
{
    error_set(err, ERROR_DATA, "decimal result needs more than %d digits", DECIMAL_DIGITS);
    return error_hint(err, "round the operands first: x:round(n)");
}

/* `scratch` digits with `scale` become a decimal in `arena`. Zeros at the end go where they would
 * pass a limit: the value stays the same. */
static int
finish(const uint8_t *scratch, size_t count, int64_t scale, struct arena *arena,
       struct decimal *out)
{
    while (count > 0 && (count > DECIMAL_DIGITS || scale > DECIMAL_DIGITS) &&
           scratch[count - 1] == 0) {
        count--;
        scale--;
    }
    if (count == 0)
        scale = scale < 0 ? 0 : scale > DECIMAL_DIGITS ? DECIMAL_DIGITS : scale;
    if (count > DECIMAL_DIGITS || scale > DECIMAL_DIGITS || scale < -DECIMAL_DIGITS)
        return -1;
    uint8_t *digits = arena_alloc(arena, count);
    if (count > 0)
        memcpy(digits, scratch, count);
    *out = (struct decimal){false, (int32_t)scale, (uint32_t)count, digits};
    return 0;
}

static int
finish_big(const struct big *value, int64_t scale, bool negative, struct arena *arena,
           struct decimal *out)
{
    uint8_t scratch[BIG_DIGITS];
    size_t count = big_write(value, scratch);
    if (finish(scratch, count, scale, arena, out) != 0)
        return -1;
    out->negative = negative && out->count > 0;
    return 0;
}

/* Both as whole numbers of one scale, the larger one, which is returned. */
static int32_t
align(const struct decimal *a, const struct decimal *b, struct big *x, struct big *y)
{
    int32_t scale = a->scale > b->scale ? a->scale : b->scale;
    big_read(x, a->digits, a->count, (size_t)(scale - a->scale));
    big_read(y, b->digits, b->count, (size_t)(scale - b->scale));
    return scale;
}

int
decimal_add(const struct decimal *a, const struct decimal *b, struct arena *arena,
            struct decimal *out, struct error *err)
{
    struct big x, y;
    int32_t scale = align(a, b, &x, &y);
    bool negative = a->negative;
    if (a->negative == b->negative) {
        big_add(&x, &x, &y);
    } else if (big_compare(&x, &y) >= 0) {
        big_subtract(&x, &x, &y);
    } else {
        big_subtract(&x, &y, &x);
        negative = b->negative;
    }
    return finish_big(&x, scale, negative, arena, out) == 0 ? 0 : too_long(err);
}

int
decimal_subtract(const struct decimal *a, const struct decimal *b, struct arena *arena,
                 struct decimal *out, struct error *err)
{
    struct decimal minus = *b;
    minus.negative = !b->negative && b->count > 0;
    return decimal_add(a, &minus, arena, out, err);
}

int
decimal_multiply(const struct decimal *a, const struct decimal *b, struct arena *arena,
                 struct decimal *out, struct error *err)
{
    struct big x, y, product;
    big_read(&x, a->digits, a->count, 0);
    big_read(&y, b->digits, b->count, 0);
    big_multiply(&product, &x, &y);
    bool negative = a->negative != b->negative;
    int64_t scale = (int64_t)a->scale + b->scale;
    return finish_big(&product, scale, negative, arena, out) == 0 ? 0 : too_long(err);
}

static int
divide_by_zero(struct error *err)
{
    return error_set(err, ERROR_DATA, "decimal division by zero");
}

/* Without the zeros that end its fraction: 1/4 is 0.25 and not 0.25000000000000000000. */
static void
shorten(struct decimal *a)
{
    while (a->scale > 0 && a->count > 0 && a->digits[a->count - 1] == 0) {
        a->count--;
        a->scale--;
    }
    if (a->count == 0)
        a->scale = 0;
}

int
decimal_divide(const struct decimal *a, const struct decimal *b, struct arena *arena,
               struct decimal *out, struct error *err)
{
    struct big x, y, quotient, rest;
    if (b->count == 0)
        return divide_by_zero(err);
    int64_t shift = (int64_t)QUOTIENT_PLACES - a->scale + b->scale;
    big_read(&x, a->digits, a->count, shift > 0 ? (size_t)shift : 0);
    big_read(&y, b->digits, b->count, shift < 0 ? (size_t)-shift : 0);
    big_divide(&x, &y, &quotient, &rest);
    big_add(&rest, &rest, &rest);
    if (big_compare(&rest, &y) >= 0) {
        big_add(&quotient, &quotient, &one);
    }
    if (finish_big(&quotient, QUOTIENT_PLACES, a->negative != b->negative, arena, out) != 0)
        return too_long(err);
    shorten(out);
    return 0;
}

int
decimal_floor_divide(const struct decimal *a, const struct decimal *b, struct arena *arena,
                     struct decimal *out, struct error *err)
{
    struct big x, y, quotient, rest;
    if (b->count == 0)
        return divide_by_zero(err);
    align(a, b, &x, &y);
    big_divide(&x, &y, &quotient, &rest);
    bool negative = a->negative != b->negative;
    if (negative && rest.count > 0) {
        big_add(&quotient, &quotient, &one);
    }
    return finish_big(&quotient, 0, negative, arena, out) == 0 ? 0 : too_long(err);
}

int
decimal_modulo(const struct decimal *a, const struct decimal *b, struct arena *arena,
               struct decimal *out, struct error *err)
{
    struct big x, y, quotient, rest;
    if (b->count == 0)
        return divide_by_zero(err);
    int32_t scale = align(a, b, &x, &y);
    big_divide(&x, &y, &quotient, &rest);
    if (a->negative != b->negative && rest.count > 0)
        big_subtract(&rest, &y, &rest);
    return finish_big(&rest, scale, b->negative, arena, out) == 0 ? 0 : too_long(err);
}

/* Keeps the first `count` digits of `scratch` plus one in the last place when the next is 5 or
 * more; returns the new count. scratch[-1] is writable: the carry may need a place of its own. */
static size_t
round_digits(uint8_t **scratch, size_t count, bool up)
{
    if (!up)
        return count;
    uint8_t *digits = *scratch;
    size_t i = count;
    while (i > 0 && digits[i - 1] == 9)
        digits[--i] = 0;
    if (i > 0) {
        digits[i - 1]++;
        return count;
    }
    *scratch = digits - 1;
    digits[-1] = 1;
    return count + 1;
}

int
decimal_round(const struct decimal *a, int places, struct arena *arena, struct decimal *out,
              struct error *err)
{
    uint8_t room[1 + 3 * DECIMAL_DIGITS] = {0};
    uint8_t *digits = room + 1;
    if (places < 0 || places > DECIMAL_DIGITS)
        return error_set(err, ERROR_DATA, "round takes 0 to %d places, not %d", DECIMAL_DIGITS,
                         places);
    size_t count = a->count;
    if (count > 0)
        memcpy(digits, a->digits, count);
    if (count > 0 && a->scale <= places) {
        count += (size_t)(places - a->scale);
    } else if (count > 0) {
        size_t drop = (size_t)(a->scale - places);
        bool up = drop <= count && a->digits[count - drop] >= 5;
        count = round_digits(&digits, drop < count ? count - drop : 0, up);
    }
    if (count > DECIMAL_DIGITS || finish(digits, count, places, arena, out) != 0)
        return too_long(err);
    out->negative = a->negative && count > 0;
    return 0;
}
