/* Two numbers, parted by a line break: text and parsed forms must compare alike, and arithmetic
 * must satisfy its own laws. */
#include "base/decimal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
sign(int order)
{
    return (order > 0) - (order < 0);
}

static void
check_printed(const struct decimal *d, struct arena *arena)
{
    struct buffer out;
    struct decimal back;
    buffer_init(&out, 4096);
    decimal_print(d, &out);
    ensure(!out.failed);
    if (decimal_parse(buffer_view(&out), arena, &back) == 0)
        ensure(decimal_compare(d, &back) == 0);
    else
        ensure(out.size > DECIMAL_DIGITS);
    buffer_release(&out);
}

static void
check_laws(const struct decimal *a, const struct decimal *b, struct arena *arena)
{
    struct error err = {0};
    struct decimal sum, back, quotient, rest;
    if (decimal_add(a, b, arena, &sum, &err) == 0 &&
        decimal_subtract(&sum, b, arena, &back, &err) == 0)
        ensure(decimal_compare(&back, a) == 0);
    if (b->count > 0 && decimal_floor_divide(a, b, arena, &quotient, &err) == 0 &&
        decimal_modulo(a, b, arena, &rest, &err) == 0 &&
        decimal_multiply(&quotient, b, arena, &back, &err) == 0 &&
        decimal_add(&back, &rest, arena, &back, &err) == 0)
        ensure(decimal_compare(&back, a) == 0);
    if (decimal_divide(a, b, arena, &quotient, &err) == 0)
        check_printed(&quotient, arena);
    if (decimal_round(a, 2, arena, &back, &err) == 0)
        ensure(back.scale == 2);
}

static void
check_class(struct slice text, const struct decimal *d, struct arena *arena)
{
    int64_t integer = 0, whole = 0;
    double real = 0;
    struct decimal back;
    int class = decimal_classify(text, &integer, &real);
    ensure(class != 0);
    ensure((class == 1) == decimal_int(d, &whole));
    ensure(class != 1 || whole == integer);
    if (class == 2) {
        ensure(real == decimal_double(d));
        ensure(decimal_from_double(real, arena, &back) == 0);
        ensure(decimal_compare(d, &back) == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *cut = size ? memchr(text, '\n', size) : NULL;
    struct slice x = {text, cut ? (size_t)(cut - text) : size};
    struct slice y = {cut ? cut + 1 : "7", cut ? size - x.size - 1 : 1};
    struct arena arena;
    struct decimal a, b;
    int order = 0;
    arena_init(&arena, 0);
    bool compared = decimal_compare_text(x, y, &order);
    if (decimal_parse(x, &arena, &a) == 0 && decimal_parse(y, &arena, &b) == 0) {
        ensure(compared && sign(order) == sign(decimal_compare(&a, &b)));
        check_printed(&a, &arena);
        check_class(x, &a, &arena);
        check_laws(&a, &b, &arena);
        check_laws(&b, &a, &arena);
    }
    arena_release(&arena);
    return 0;
}
