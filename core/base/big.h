/* Natural numbers of bounded size, the engine below decimal arithmetic: limbs of nine decimal
 * digits, so that reading and printing digits is a matter of slicing and not of division. Only
 * decimal_arith.c uses it. Pure functions, any thread, no allocation. */
#ifndef BASE_BIG_H
#define BASE_BIG_H

#include "base/base.h"

#define BIG_LIMB_DIGITS 9
#define BIG_DIGITS      3600 /* the most that any operation on two decimals can meet, with room */
#define BIG_LIMBS       (BIG_DIGITS / BIG_LIMB_DIGITS)

struct big {
    size_t count;             /* limbs in use; no zero limb on top, so zero has count 0 */
    uint32_t limb[BIG_LIMBS]; /* least significant first, each below 10^9 */
};

/* `count` digits (0–9, most significant first) times 10^`zeros`; both together ≤ BIG_DIGITS. */
void big_read(struct big *out, const uint8_t *digits, size_t count, size_t zeros);
/* The digits, most significant first, without leading zeros; returns how many (0 for zero). */
size_t big_write(const struct big *a, uint8_t out[BIG_DIGITS]);

int big_compare(const struct big *a, const struct big *b);
/* `out` may be `a` or `b` in these two. big_subtract needs a ≥ b. */
void big_add(struct big *out, const struct big *a, const struct big *b);
void big_subtract(struct big *out, const struct big *a, const struct big *b);
/* `out` is neither `a` nor `b`. */
void big_multiply(struct big *out, const struct big *a, const struct big *b);
/* a = quotient × b + rest, 0 ≤ rest < b; b is not zero; all four are different. */
void big_divide(const struct big *a, const struct big *b, struct big *quotient, struct big *rest);

#endif
