#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/text.h"

#define MINUTE (60 * CLOCK_SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static int64_t
read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return now.tv_sec * CLOCK_SECOND + now.tv_nsec / 1000;
}

int64_t
clock_now(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t
clock_mono(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t
floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar, and back. Years are counted
 * from March, so that the leap day is the last of its year, in eras of 400 years or 146,097 days.
 */
static int64_t
days_from_date(int64_t year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = floor_divide(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static int64_t
date_from_days(int64_t days, int *month, int *day)
{
    int64_t shifted = days + 719468;
    int64_t era = floor_divide(shifted, 146097);
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1);
    *month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    return year_of_era + era * 400 + (*month <= 2);
}

static char *
put_digits(char *at, int64_t value, int width)
{
    for (int i = width; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + width;
}

/* Each event printed has one, so this is no place for printf. */
char *
clock_format(int64_t us, char out[CLOCK_TEXT_SIZE])
{
    static const char between[] = "-T::";
    int month, day;
    int64_t days = floor_divide(us, DAY);
    int64_t rest = us % DAY + (us % DAY < 0 ? DAY : 0);
    int64_t year = date_from_days(days, &month, &day);
    const int64_t parts[] = {day, rest / HOUR, rest / MINUTE % 60, rest / CLOCK_SECOND % 60};
    char *at = out;
    if (year >= 1 && year <= 9999)
        at = put_digits(at, year, 4);
    else
        at += snprintf(out, CLOCK_TEXT_SIZE, "%+07" PRId64, year);
    *at++ = '-';
    at = put_digits(at, month, 2);
    for (size_t i = 0; i < countof(parts); i++) {
        *at++ = between[i];
        at = put_digits(at, parts[i], 2);
    }
    *at++ = '.';
    at = put_digits(at, rest % CLOCK_SECOND, 6);
    strcpy(at, "Z");
    return out;
}

/* A cursor over text that must match piece by piece; each function steps only over what it took. */
struct reader {
    const char *at;
    const char *end;
};

static bool
take_one_of(struct reader *r, const char *bytes)
{
    if (r->at == r->end || !*r->at || !strchr(bytes, *r->at))
        return false;
    r->at++;
    return true;
}

static bool
at_digit(const struct reader *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

/* Exactly `width` digits, within min..max. */
static bool
take_number(struct reader *r, int width, int min, int max, int *out)
{
    int value = 0;
    for (int i = 0; i < width; i++) {
        if (!at_digit(r))
            return false;
        value = value * 10 + (*r->at++ - '0');
    }
    *out = value;
    return value >= min && value <= max;
}

static int
days_in_month(int64_t year, int month)
{
    static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

int
clock_days(int64_t year, int month, int day, int64_t *days)
{
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return -1;
    *days = days_from_date(year, month, day);
    return 0;
}

static bool
take_date(struct reader *r, int64_t *days)
{
    int year, month, day;
    bool minus = r->at < r->end && *r->at == '-';
    bool expanded = take_one_of(r, "+-");
    if (!take_number(r, expanded ? 6 : 4, 0, 999999, &year))
        return false;
    if (minus)
        year = -year;
    if (!take_one_of(r, "-") || !take_number(r, 2, 1, 12, &month) || !take_one_of(r, "-"))
        return false;
    return take_number(r, 2, 1, 31, &day) && clock_days(year, month, day, days) == 0;
}

/* Digits after the point; those past the sixth are dropped. */
static bool
take_fraction(struct reader *r, int64_t *us)
{
    int64_t unit = CLOCK_SECOND;
    if (!take_one_of(r, "."))
        return true;
    if (!at_digit(r))
        return false;
    for (; at_digit(r); r->at++) {
        unit /= 10;
        *us += unit * (*r->at - '0');
    }
    return true;
}

/* A second of 60 is the leap second; it becomes the start of the next minute. */
static bool
take_time(struct reader *r, int64_t *us)
{
    int hour, minute, second = 0;
    *us = 0;
    if (!take_number(r, 2, 0, 23, &hour) || !take_one_of(r, ":"))
        return false;
    if (!take_number(r, 2, 0, 59, &minute))
        return false;
    if (take_one_of(r, ":") && (!take_number(r, 2, 0, 60, &second) || !take_fraction(r, us)))
        return false;
    *us += hour * HOUR + minute * MINUTE + second * CLOCK_SECOND;
    return true;
}

/* Z, ±HH, ±HHMM, ±HH:MM, or ±HH:MM:SS as servers print it for dates before standard time. */
static bool
take_zone(struct reader *r, int64_t *east)
{
    int hour, minute = 0, second = 0;
    bool minus = r->at < r->end && *r->at == '-';
    *east = 0;
    if (r->at == r->end || take_one_of(r, "Zz"))
        return true;
    if (!take_one_of(r, "+-") || !take_number(r, 2, 0, 23, &hour))
        return false;
    if ((take_one_of(r, ":") || at_digit(r)) && !take_number(r, 2, 0, 59, &minute))
        return false;
    if (take_one_of(r, ":") && !take_number(r, 2, 0, 59, &second))
        return false;
    *east = hour * HOUR + minute * MINUTE + second * CLOCK_SECOND;
    if (minus)
        *east = -*east;
    return true;
}

int
clock_parse(struct slice text, int64_t *us)
{
    struct reader r = {text.data, slice_end(text)};
    int64_t days, time = 0, east = 0, value;
    if (text.size == 0 || !take_date(&r, &days))
        return -1;
    if (r.at < r.end && (!take_one_of(&r, "Tt ") || !take_time(&r, &time) || !take_zone(&r, &east)))
        return -1;
    /* The rest is taken from a day earlier or later so that the very ends of int64 can be read. */
    if (days < 0) {
        days++;
        time -= DAY;
    }
    if (r.at != r.end || __builtin_mul_overflow(days, DAY, &value) ||
        __builtin_add_overflow(value, time - east, &value))
        return -1;
    *us = value;
    return 0;
}

int
clock_parse_when(struct slice text, int64_t *us, struct error *err)
{
    int64_t ago;
    struct slice shown = text_truncate(text, 80);
    if (clock_parse(text, us) == 0)
        return 0;
    if (duration_parse(text, &ago) != 0)
        return error_set(
            err, ERROR_USAGE,
            "\"%.*s\" is not a time; write it as \"2026-11-21T06:42:00Z\", or as a time "
            "ago such as \"2h\"",
            (int)shown.size, shown.data);
    *us = clock_now() - ago;
    return 0;
}

struct unit {
    const char *name;
    int64_t factor;
};

/* One number and one of `units`, or no unit if `bare`. What lies below 1 is an error when `exact`,
 * else dropped. */
struct quantity {
    const struct unit *units;
    size_t count;
    bool exact;
    bool bare;
};

enum { FRACTION_DIGITS = 18, DIGITS = 19 };

/* The digits before and after the point as one integer, and how many stood after it. */
static bool
take_digits(struct reader *r, unsigned __int128 *digits, uint64_t *divisor)
{
    int whole = 0, fraction = 0;
    *digits = 0;
    *divisor = 1;
    for (; at_digit(r) && whole <= DIGITS; whole++)
        *digits = *digits * 10 + (unsigned)(*r->at++ - '0');
    if (take_one_of(r, ".")) {
        for (; at_digit(r) && fraction <= FRACTION_DIGITS; fraction++) {
            *digits = *digits * 10 + (unsigned)(*r->at++ - '0');
            *divisor *= 10;
        }
        if (fraction == 0)
            return false;
    }
    return whole > 0 && whole <= DIGITS && fraction <= FRACTION_DIGITS;
}

static const struct unit *
take_unit(struct reader *r, const struct quantity *q)
{
    const char *start = r->at;
    struct slice name;
    while (r->at < r->end && ((*r->at | 32) >= 'a' && (*r->at | 32) <= 'z'))
        r->at++;
    name = (struct slice){start, (size_t)(r->at - start)};
    for (size_t i = 0; i < q->count; i++)
        if (slice_is(name, q->units[i].name))
            return &q->units[i];
    return NULL;
}

static const struct unit *
take_quantity(struct reader *r, const struct quantity *q, int64_t *out)
{
    static const struct unit one = {"", 1};
    unsigned __int128 digits, value;
    uint64_t divisor;
    const struct unit *unit;
    if (!take_digits(r, &digits, &divisor))
        return NULL;
    unit = r->at == r->end && q->bare ? &one : take_unit(r, q);
    /* 37 digits times a factor below 2^41 can pass 128 bits */
    if (!unit || __builtin_mul_overflow(digits, (unsigned __int128)unit->factor, &value))
        return NULL;
    if ((q->exact && value % divisor != 0) || value / divisor > INT64_MAX)
        return NULL;
    *out = (int64_t)(value / divisor);
    return unit;
}

/* Largest first: parts of a duration must come in that order, each once. */
static const struct unit duration_units[] = {
    {"w", 7 * DAY},      {"d", DAY},   {"h", HOUR}, {"m", MINUTE},
    {"s", CLOCK_SECOND}, {"ms", 1000}, {"us", 1},
};

int
duration_parse(struct slice text, int64_t *us)
{
    struct quantity q = {duration_units, countof(duration_units), true, false};
    struct reader r = {text.data, slice_end(text)};
    int64_t total = 0, part;
    if (slice_is(text, "0")) {
        *us = 0;
        return 0;
    }
    do {
        const struct unit *unit = at_digit(&r) ? take_quantity(&r, &q, &part) : NULL;
        if (!unit || __builtin_add_overflow(total, part, &total))
            return -1;
        q.count -= (size_t)(unit + 1 - q.units);
        q.units = unit + 1;
    } while (r.at < r.end);
    *us = total;
    return 0;
}

int
size_parse(struct slice text, int64_t *bytes)
{
    static const struct unit units[] = {
        {"B", 1},
        {"KiB", INT64_C(1) << 10},
        {"MiB", INT64_C(1) << 20},
        {"GiB", INT64_C(1) << 30},
        {"TiB", INT64_C(1) << 40},
        {"kB", INT64_C(1000)},
        {"MB", INT64_C(1000000)},
        {"GB", INT64_C(1000000000)},
        {"TB", INT64_C(1000000000000)},
    };
    const struct quantity q = {units, countof(units), false, true};
    struct reader r = {text.data, slice_end(text)};
    int64_t value;
    if (!at_digit(&r) || !take_quantity(&r, &q, &value) || r.at != r.end)
        return -1;
    *bytes = value;
    return 0;
}

struct scale {
    const char *name;
    int64_t factor;
    int64_t next; /* of these are one of the next row; 0 in the last */
};

/* The largest unit in which `value` is at least 1, with one decimal. Rounding comes before the
 * choice, so that 59.96 s is "1 min" and never "60.0 s". */
static const struct scale *
choose(const struct scale *scale, int64_t value, int64_t *tenths)
{
    unsigned __int128 size = (unsigned __int128)(value < 0 ? -(__int128)value : value);
    for (;; scale++) {
        unsigned __int128 factor = (unsigned __int128)scale->factor;
        unsigned __int128 rounded = (size * 10 + factor / 2) / factor;
        *tenths = (int64_t)rounded;
        if (!scale->next || rounded < (unsigned __int128)scale->next * 10)
            return scale;
    }
}

char *
duration_format(int64_t us, char out[CLOCK_TEXT_SIZE])
{
    static const struct scale scales[] = {{"us", 1, 1000},
                                          {"ms", 1000, 1000},
                                          {"s", CLOCK_SECOND, 60},
                                          {"min", MINUTE, 60},
                                          {"h", HOUR, 0}};
    int64_t tenths;
    const struct scale *scale = choose(scales, us, &tenths);
    const char *sign = us < 0 ? "-" : "";
    if (tenths % 10 == 0)
        snprintf(out, CLOCK_TEXT_SIZE, "%s%" PRId64 " %s", sign, tenths / 10, scale->name);
    else
        snprintf(out, CLOCK_TEXT_SIZE, "%s%" PRId64 ".%d %s", sign, tenths / 10, (int)(tenths % 10),
                 scale->name);
    return out;
}

char *
size_format(int64_t bytes, char out[CLOCK_TEXT_SIZE])
{
    static const struct scale scales[] = {{"B", 1, 1024},
                                          {"KiB", INT64_C(1) << 10, 1024},
                                          {"MiB", INT64_C(1) << 20, 1024},
                                          {"GiB", INT64_C(1) << 30, 1024},
                                          {"TiB", INT64_C(1) << 40, 0}};
    int64_t tenths;
    const struct scale *scale = choose(scales, bytes, &tenths);
    const char *sign = bytes < 0 ? "-" : "";
    if (scale == scales)
        snprintf(out, CLOCK_TEXT_SIZE, "%s%" PRId64 " B", sign, tenths / 10);
    else
        snprintf(out, CLOCK_TEXT_SIZE, "%s%" PRId64 ".%d %s", sign, tenths / 10, (int)(tenths % 10),
                 scale->name);
    return out;
}
