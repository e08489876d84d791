#include "base/big.h"

#define BIG_BASE UINT32_C(1000000000)

static const uint32_t powers[BIG_LIMB_DIGITS] = {1,      10,      100,      1000,     10000,
                                                 100000, 1000000, 10000000, 100000000};

static void
trim(struct big *a)
{
    while (a->count > 0 && a->limb[a->count - 1] == 0)
        a->count--;
}

void
big_read(struct big *out, const uint8_t *digits, size_t count, size_t zeros)
{
    ensure(count + zeros <= BIG_DIGITS);
    out->count = (count + zeros + BIG_LIMB_DIGITS - 1) / BIG_LIMB_DIGITS;
    memset(out->limb, 0, out->count * sizeof(out->limb[0]));
    for (size_t i = 0; i < count; i++) {
        size_t place = zeros + i;
        out->limb[place / BIG_LIMB_DIGITS] +=
            digits[count - 1 - i] * powers[place % BIG_LIMB_DIGITS];
    }
    trim(out);
}

size_t
big_write(const struct big *a, uint8_t out[BIG_DIGITS])
{
    size_t size = 0;
    for (size_t i = a->count; i-- > 0;) {
        for (size_t k = BIG_LIMB_DIGITS; k-- > 0;) {
            uint8_t digit = (uint8_t)(a->limb[i] / powers[k] % 10);
            if (size > 0 || digit > 0)
                out[size++] = digit;
        }
    }
    return size;
}

int
big_compare(const struct big *a, const struct big *b)
{
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    for (size_t i = a->count; i-- > 0;) {
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i] ? -1 : 1;
    }
    return 0;
}

void
big_add(struct big *out, const struct big *a, const struct big *b)
{
    if (a->count < b->count) {
        const struct big *swap = a;
        a = b;
        b = swap;
    }
    size_t count = a->count;
    uint32_t carry = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t sum = a->limb[i] + (i < b->count ? b->limb[i] : 0) + carry;
        carry = sum >= BIG_BASE;
        out->limb[i] = carry ? sum - BIG_BASE : sum;
    }
    if (carry) {
        ensure(count < BIG_LIMBS);
        out->limb[count++] = 1;
    }
    out->count = count;
}

void
big_subtract(struct big *out, const struct big *a, const struct big *b)
{
    uint32_t borrow = 0;
    size_t count = a->count;
    for (size_t i = 0; i < count; i++) {
        uint32_t take = (i < b->count ? b->limb[i] : 0) + borrow;
        borrow = a->limb[i] < take;
        out->limb[i] = borrow ? a->limb[i] + BIG_BASE - take : a->limb[i] - take;
    }
    ensure(borrow == 0);
    out->count = count;
    trim(out);
}

void
big_multiply(struct big *out, const struct big *a, const struct big *b)
{
    ensure(a->count + b->count <= BIG_LIMBS);
    out->count = a->count + b->count;
    memset(out->limb, 0, out->count * sizeof(out->limb[0]));
    for (size_t i = 0; i < a->count; i++) {
        uint64_t carry = 0;
        for (size_t k = 0; k < b->count; k++) {
            carry += (uint64_t)a->limb[i] * b->limb[k] + out->limb[i + k];
            out->limb[i + k] = (uint32_t)(carry % BIG_BASE);
            carry /= BIG_BASE;
        }
        out->limb[i + b->count] = (uint32_t)carry;
    }
    trim(out);
}

/* a × factor into `out`, one limb longer than `a` whatever its value (Knuth's algorithm wants it).
 */
static void
scale_up(struct big *out, const struct big *a, uint32_t factor)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < a->count; i++) {
        carry += (uint64_t)a->limb[i] * factor;
        out->limb[i] = (uint32_t)(carry % BIG_BASE);
        carry /= BIG_BASE;
    }
    ensure(a->count < BIG_LIMBS);
    out->limb[a->count] = (uint32_t)carry;
    out->count = a->count + 1;
}

static uint32_t
divide_small(struct big *out, const struct big *a, uint32_t divisor)
{
    uint64_t rest = 0;
    for (size_t i = a->count; i-- > 0;) {
        rest = rest * BIG_BASE + a->limb[i];
        out->limb[i] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
    out->count = a->count;
    trim(out);
    return (uint32_t)rest;
}

/* Takes `guess` × v from the limbs of u that start at `at`; gives one v back while that was too
 * much. Returns the digit of the quotient that proved right. */
static uint32_t
take_multiple(struct big *u, const struct big *v, size_t at, uint32_t guess)
{
    int64_t carry = 0;
    for (size_t i = 0; i <= v->count; i++) {
        uint64_t product = i < v->count ? (uint64_t)guess * v->limb[i] : 0;
        carry += (int64_t)u->limb[at + i] - (int64_t)product;
        int64_t limb = carry % (int64_t)BIG_BASE;
        carry /= (int64_t)BIG_BASE;
        if (limb < 0) {
            limb += BIG_BASE;
            carry--;
        }
        u->limb[at + i] = (uint32_t)limb;
    }
    while (carry < 0) {
        guess--;
        uint32_t up = 0;
        for (size_t i = 0; i <= v->count; i++) {
            uint32_t sum = u->limb[at + i] + (i < v->count ? v->limb[i] : 0) + up;
            up = sum >= BIG_BASE;
            u->limb[at + i] = up ? sum - BIG_BASE : sum;
        }
        carry += up;
    }
    return guess;
}

/* Knuth, The Art of Computer Programming 4.3.1, algorithm D. */
static void
divide_long(const struct big *a, const struct big *b, struct big *quotient, struct big *rest)
{
    struct big u, v;
    uint32_t factor = BIG_BASE / (b->limb[b->count - 1] + 1);
    scale_up(&u, a, factor);
    scale_up(&v, b, factor);
    v.count--; /* its top is zero: the factor was chosen so */
    size_t n = v.count;
    quotient->count = a->count - n + 1;
    for (size_t j = quotient->count; j-- > 0;) {
        uint64_t top = (uint64_t)u.limb[j + n] * BIG_BASE + u.limb[j + n - 1];
        uint64_t guess = top / v.limb[n - 1];
        uint64_t over = top % v.limb[n - 1];
        while (guess >= BIG_BASE ||
               (over < BIG_BASE && guess * v.limb[n - 2] > over * BIG_BASE + u.limb[j + n - 2])) {
            guess--;
            over += v.limb[n - 1];
        }
        quotient->limb[j] = take_multiple(&u, &v, j, (uint32_t)guess);
    }
    trim(quotient);
    u.count = n;
    trim(&u);
    ensure(divide_small(rest, &u, factor) == 0);
}

void
big_divide(const struct big *a, const struct big *b, struct big *quotient, struct big *rest)
{
    ensure(b->count > 0);
    if (big_compare(a, b) < 0) {
        quotient->count = 0;
        rest->count = a->count;
        memcpy(rest->limb, a->limb, a->count * sizeof(a->limb[0]));
    } else if (b->count == 1) {
        rest->limb[0] = divide_small(quotient, a, b->limb[0]);
        rest->count = 1;
        trim(rest);
    } else {
        divide_long(a, b, quotient, rest);
    }
}
