/* Filters for numbers and times. What is no number, or no time, stays as it is: a message with a
 * strange word in it says more than no message. */
#include <math.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "base/text.h"
#include "event/template_part.h"

static bool
as_decimal(const struct cell *cell, struct arena *arena, struct decimal *out)
{
    switch (cell->kind) {
    case CELL_INT:
        *out = decimal_from_int(cell->integer, arena);
        return true;
    case CELL_FLOAT:
        return decimal_from_double(cell->real, arena, out) == 0;
    case CELL_DECIMAL:
    case CELL_TEXT: /* SQLite keeps numbers as text where a column is declared so */
        return decimal_parse(cell->text, arena, out) == 0;
    default:
        return false;
    }
}

static bool
rounded(struct filter_run *f, int places, struct decimal *out)
{
    struct decimal number;
    return as_decimal(&f->value->cell, &f->scratch->arena, &number) &&
           decimal_round(&number, places, &f->scratch->arena, out, NULL) == 0;
}

void
template_number(struct filter_run *f)
{
    struct decimal number;
    if (!rounded(f, (int)f->arguments[0].integer, &number))
        return;
    struct buffer *out = template_scratch(f->scratch);
    decimal_print(&number, out);
    template_becomes(f->value, CELL_DECIMAL, buffer_view(out));
}

/* ISO 4217: how many places a currency has, where it is not two. */
static int
places_of(const char code[3])
{
    static const char none[] = "BIFCLPDJFGNFISKJPYKMFKRWPYGRWFUGXUYIVNDVUVXAFXOFXPF";
    static const char three[] = "BHDIQDJODKWDLYDOMRTND";
    for (size_t i = 0; i + 3 < sizeof(none); i += 3)
        if (memcmp(none + i, code, 3) == 0)
            return 0;
    for (size_t i = 0; i + 3 < sizeof(three); i += 3)
        if (memcmp(three + i, code, 3) == 0)
            return 3;
    return memcmp(code, "CLF", 3) == 0 || memcmp(code, "UYW", 3) == 0 ? 4 : 2;
}

/* A code such as EUR, in capitals; false: a sign such as $, or nothing. */
static bool
as_code(struct slice currency, char code[3])
{
    if (currency.size != 3)
        return false;
    for (size_t i = 0; i < 3; i++) {
        code[i] = currency.data[i] & ~0x20;
        if (code[i] < 'A' || code[i] > 'Z' || (uint8_t)currency.data[i] > 'z')
            return false;
    }
    return true;
}

/* Commas between thousands. */
static void
print_grouped(const struct decimal *number, struct template_scratch *scratch, struct buffer *out)
{
    struct buffer *digits = template_scratch(scratch);
    struct decimal positive = *number;
    positive.negative = false;
    decimal_print(&positive, digits);
    struct slice text = buffer_view(digits);
    const char *point = memchr(text.data, '.', text.size);
    size_t whole = point ? (size_t)(point - text.data) : text.size;
    for (size_t i = 0; i < text.size; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0)
            buffer_byte(out, ',');
        buffer_byte(out, (uint8_t)text.data[i]);
    }
}

void
template_money(struct filter_run *f)
{
    struct decimal number;
    struct slice currency = text_trim(f->arguments[0].text);
    char code[3];
    bool named = as_code(currency, code);
    if (!rounded(f, named ? places_of(code) : 2, &number))
        return;
    struct buffer *out = template_scratch(f->scratch);
    if (number.negative && number.count > 0)
        buffer_byte(out, '-');
    if (!named)
        buffer_slice(out, currency);
    print_grouped(&number, f->scratch, out);
    if (named) {
        buffer_byte(out, ' ');
        buffer_append(out, code, 3);
    }
    f->scratch->turn ^= 1; /* `out` is what the next filter reads */
    template_becomes(f->value, CELL_TEXT, buffer_view(out));
}

/* A number counts since 1970; how large it is tells the unit. */
static bool
number_time(double number, int64_t *us)
{
    double size = fabs(number);
    double unit = size < 1e11 ? 1e6 : size < 1e14 ? 1e3 : 1;
    if (!(size * unit < 9e18))
        return false;
    *us = (int64_t)floor(number * unit);
    return true;
}

static bool
integer_time(int64_t number, int64_t *us)
{
    uint64_t size = number < 0 ? -(uint64_t)number : (uint64_t)number;
    int64_t unit = size < 100000000000 ? 1000000 : size < 100000000000000 ? 1000 : 1;
    *us = number * unit;
    return true;
}

static bool
as_time(const struct cell *cell, struct arena *arena, int64_t *us)
{
    struct decimal number;
    switch (cell->kind) {
    case CELL_TIME:
        *us = cell->integer;
        return cell->has_us || clock_parse(cell->text, us) == 0;
    case CELL_TEXT:
        return clock_parse(cell->text, us) == 0;
    case CELL_INT:
        return integer_time(cell->integer, us);
    case CELL_FLOAT:
        return number_time(cell->real, us);
    case CELL_DECIMAL:
        return decimal_parse(cell->text, arena, &number) == 0 &&
               number_time(decimal_double(&number), us);
    default:
        return false;
    }
}

static void
print_time(struct filter_run *f, struct slice format)
{
    int64_t us;
    if (!as_time(&f->value->cell, &f->scratch->arena, &us))
        return;
    struct buffer *out = template_scratch(f->scratch);
    if (clock_print(us, f->count ? f->arguments[0].text : format, out, NULL) == 0)
        template_becomes(f->value, CELL_TEXT, buffer_view(out));
}

void
template_date(struct filter_run *f)
{
    print_time(f, slice_literal("%Y-%m-%d"));
}

void
template_time(struct filter_run *f)
{
    print_time(f, slice_literal("%H:%M:%S"));
}

void
template_ago(struct filter_run *f)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{31557600, "year"}, {2629800, "month"}, {86400, "day"},
                 {3600, "hour"},     {60, "minute"},     {1, "second"}};
    int64_t us, since;
    size_t unit = 0;
    if (!as_time(&f->value->cell, &f->scratch->arena, &us) ||
        __builtin_sub_overflow(f->now, us, &since) || since == INT64_MIN)
        return;
    bool future = since < 0;
    int64_t seconds = (future ? -since : since) / CLOCK_SECOND;
    struct buffer *out = template_scratch(f->scratch);
    while (unit < countof(units) && seconds < units[unit].seconds)
        unit++;
    if (unit == countof(units)) {
        buffer_text(out, "just now");
    } else {
        long long count = (long long)(seconds / units[unit].seconds);
        buffer_printf(out, future ? "in %lld %s%s" : "%lld %s%s ago", count, units[unit].name,
                      count == 1 ? "" : "s");
    }
    template_becomes(f->value, CELL_TEXT, buffer_view(out));
}
