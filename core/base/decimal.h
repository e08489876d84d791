/* Exact decimal numbers, for money and numeric columns: text in, text out, no rounding but where
 * asked. A decimal has at most DECIMAL_DIGITS significant digits and a scale of at most that much
 * either way; what passes it is an error, never an approximation. design/language.md §5.
 *
 * A struct decimal is a value without pointers to the heap when small: digits stand in `arena`
 * memory that the caller names. Pure functions, any thread. */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

#define DECIMAL_DIGITS 1000

struct decimal {
    bool negative;
    int32_t scale;         /* value = digits × 10^-scale; may be negative */
    uint32_t count;        /* digits in use; zero has count 0 */
    const uint8_t *digits; /* 0–9, most significant first, no leading zeros */
};

/* Parses "-12.50", "1e10", "+.5"; nothing around it. Trailing zeros are kept in `scale`. 0 or -1. */
int decimal_parse(struct slice text, struct arena *arena, struct decimal *out) must_check;
struct decimal decimal_from_int(int64_t value, struct arena *arena);
/* The shortest decimal that reads back as the same double. NaN and infinities are -1. */
int decimal_from_double(double value, struct arena *arena, struct decimal *out) must_check;

int decimal_compare(const struct decimal *a, const struct decimal *b); /* <0, 0, >0; exact */

/* Compares two number texts without allocating; false when either is no number. The hot path of
 * `where`: works on the digits as they stand. */
bool decimal_compare_text(struct slice a, struct slice b, int *order);

int decimal_add(const struct decimal *a, const struct decimal *b, struct arena *arena,
                struct decimal *out, struct error *err) must_check;
int decimal_subtract(const struct decimal *a, const struct decimal *b, struct arena *arena,
                     struct decimal *out, struct error *err) must_check;
int decimal_multiply(const struct decimal *a, const struct decimal *b, struct arena *arena,
                     struct decimal *out, struct error *err) must_check;
/* To 20 places after the point, half up (away from zero). Division by zero is an error. */
int decimal_divide(const struct decimal *a, const struct decimal *b, struct arena *arena,
                   struct decimal *out, struct error *err) must_check;
/* Floor division and the remainder with the sign of `b`, as Lua's // and %. */
int decimal_floor_divide(const struct decimal *a, const struct decimal *b, struct arena *arena,
                         struct decimal *out, struct error *err) must_check;
int decimal_modulo(const struct decimal *a, const struct decimal *b, struct arena *arena,
                   struct decimal *out, struct error *err) must_check;
/* Rounded half up (away from zero) to `places` after the point (0–1000), padded with zeros to it. */
int decimal_round(const struct decimal *a, int places, struct arena *arena, struct decimal *out,
                  struct error *err) must_check;

void decimal_print(const struct decimal *a, struct buffer *out); /* plain digits, no exponent */
double decimal_double(const struct decimal *a);                  /* nearest */
bool decimal_int(const struct decimal *a, int64_t *out);         /* true when whole and in range */

/* What a numeric text becomes in Lua: 1 int (in *integer), 2 double (14 significant digits hold it
 * after trailing zeros; in *real), 3 decimal; 0 when it is no number (NaN, Infinity: server text). */
int decimal_classify(struct slice text, int64_t *integer, double *real);

#endif
