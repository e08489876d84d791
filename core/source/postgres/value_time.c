/* Times as ISO 8601. The server's texts have a space where ISO has a T, "+00" where it has a Z, and
 * " BC" behind years before the first, which become the expanded form of clock_format. */
#include "base/clock.h"
#include "source/postgres/value_part.h"

#define MINUTE (60 * CLOCK_SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

#define YEAR_DIGITS 7  /* dates end in the year 5874897 */
#define DATE_ROOM   20 /* "+5874897-12-31" */

/* A cursor over text that must match piece by piece. */
struct reader {
    const char *at, *end;
};

/* A point in time as its text says it. */
struct moment {
    int64_t year; /* 0 is 1 BC */
    int month, day;
    struct slice date;  /* as it stood, without BC */
    struct slice clock; /* "06:42:00.5"; empty in a date */
    struct slice zone;  /* "+00"; empty where there is none */
    int64_t time, east; /* µs since midnight, µs that the zone is ahead */
};

static bool
take(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool
at_digit(const struct reader *r)
{
    return r->at < r->end && (unsigned char)(*r->at - '0') < 10;
}

/* Two digits, at most `max`. */
static bool
take_two(struct reader *r, int max, int *out)
{
    if (r->end - r->at < 2 || (unsigned char)(r->at[0] - '0') >= 10 ||
        (unsigned char)(r->at[1] - '0') >= 10)
        return false;
    *out = (r->at[0] - '0') * 10 + (r->at[1] - '0');
    r->at += 2;
    return *out <= max;
}

/* Four digits, or more that do not begin with a zero; there is no year 0. */
static bool
take_year(struct reader *r, int64_t *year)
{
    const char *from = r->at;
    *year = 0;
    while (at_digit(r) && r->at - from < YEAR_DIGITS)
        *year = *year * 10 + (*r->at++ - '0');
    return *year > 0 && (r->at - from == 4 || (r->at - from > 4 && *from != '0'));
}

static bool
take_date(struct reader *r, struct moment *out)
{
    const char *from = r->at;
    if (!take_year(r, &out->year) || !take(r, '-') || !take_two(r, 12, &out->month) ||
        !take(r, '-') || !take_two(r, 31, &out->day))
        return false;
    out->date = (struct slice){from, (size_t)(r->at - from)};
    return true;
}

/* Up to six digits after the point. */
static bool
take_fraction(struct reader *r, int64_t *us)
{
    int64_t unit = CLOCK_SECOND / 10;
    if (!take(r, '.'))
        return true;
    if (!at_digit(r))
        return false;
    for (; at_digit(r) && unit > 0; unit /= 10)
        *us += unit * (*r->at++ - '0');
    return true;
}

static bool
take_clock(struct reader *r, struct moment *out)
{
    const char *from = r->at;
    int hour, minute, second;
    int64_t fraction = 0;
    if (!take_two(r, 24, &hour) || !take(r, ':') || !take_two(r, 59, &minute) || !take(r, ':') ||
        !take_two(r, 59, &second) || !take_fraction(r, &fraction))
        return false;
    out->time = hour * HOUR + minute * MINUTE + second * CLOCK_SECOND + fraction;
    out->clock = (struct slice){from, (size_t)(r->at - from)};
    return out->time <= DAY;
}

/* ±HH, ±HH:MM or ±HH:MM:SS. */
static bool
take_zone(struct reader *r, struct moment *out)
{
    const char *from = r->at;
    int hour, minute = 0, second = 0;
    bool west = take(r, '-');
    if ((!west && !take(r, '+')) || !take_two(r, 15, &hour) ||
        (take(r, ':') && !take_two(r, 59, &minute)) || (take(r, ':') && !take_two(r, 59, &second)))
        return false;
    out->east = hour * HOUR + minute * MINUTE + second * CLOCK_SECOND;
    out->east = west ? -out->east : out->east;
    out->zone = (struct slice){from, (size_t)(r->at - from)};
    return true;
}

/* Takes " BC" from the end. */
static bool
take_era(struct reader *r)
{
    bool before = r->end - r->at > 3 && memcmp(r->end - 3, " BC", 3) == 0;
    r->end -= before ? 3 : 0;
    return before;
}

enum parts { DATE_ONLY, WITH_CLOCK, WITH_ZONE };

static bool
read_moment(struct slice text, enum parts parts, struct moment *out)
{
    struct reader r = {text.data, slice_end(text)};
    bool before;
    *out = (struct moment){0};
    if (text.size == 0)
        return false;
    before = take_era(&r);
    if (!take_date(&r, out))
        return false;
    if (before)
        out->year = 1 - out->year;
    if (parts >= WITH_CLOCK && (!take(&r, ' ') || !take_clock(&r, out) || out->time == DAY))
        return false;
    return (parts < WITH_ZONE || take_zone(&r, out)) && r.at == r.end;
}

/* Microseconds since 1970, where int64 holds them. False when there is no such day. */
static bool
set_us(const struct moment *m, struct cell *out)
{
    int64_t days, us;
    if (clock_days(m->year, m->month, m->day, &days) != 0)
        return false;
    out->has_us = !__builtin_mul_overflow(days, DAY, &us) &&
                  !__builtin_add_overflow(us, m->time - m->east, &us);
    out->integer = out->has_us ? us : 0;
    return true;
}

static char *
put(char *to, struct slice text)
{
    if (text.size)
        memcpy(to, text.data, text.size);
    return to + text.size;
}

/* The sign and at least six digits of the year, then month and day as they stood. */
static char *
put_expanded(char *to, const struct moment *m)
{
    struct slice rest = {slice_end(m->date) - 6, 6};
    int64_t year = m->year < 0 ? -m->year : m->year;
    int width = year > 999999 ? YEAR_DIGITS : 6;
    *to++ = m->year < 0 ? '-' : '+';
    for (int i = width; i-- > 0; year /= 10)
        to[i] = (char)('0' + year % 10);
    return put(to + width, rest);
}

static struct slice
print_moment(const struct moment *m, struct arena *arena)
{
    char *text = arena_alloc(arena, DATE_ROOM + 1 + m->clock.size + m->zone.size), *to;
    to = m->year >= 1 && m->year <= 9999 ? put(text, m->date) : put_expanded(text, m);
    if (m->clock.size) {
        *to++ = 'T';
        to = put(to, m->clock);
    }
    if (slice_is(m->zone, "+00"))
        *to++ = 'Z';
    else
        to = put(to, m->zone);
    return (struct slice){text, (size_t)(to - text)};
}

/* Also an interval's, since 17. */
static bool
is_infinite(struct slice text)
{
    return slice_is(text, "infinity") || slice_is(text, "-infinity");
}

/* A time that has no place in the calendar: the server's own text. */
static bool
keep(struct slice text, struct cell *out)
{
    out->kind = CELL_TIME;
    out->text = text;
    return true;
}

static bool
read_calendar(struct slice text, enum parts parts, struct arena *arena, struct cell *out)
{
    struct moment m;
    if (!read_moment(text, parts, &m))
        return is_infinite(text) && keep(text, out);
    out->kind = CELL_TIME;
    if (!set_us(&m, out))
        return false;
    bool as_it_stands = parts == DATE_ONLY && m.year >= 1 && m.year <= 9999;
    out->text = as_it_stands ? text : print_moment(&m, arena);
    return true;
}

bool
pg_value_date(const struct pg_type *type, struct slice text, struct arena *arena, struct cell *out)
{
    (void)type;
    return read_calendar(text, DATE_ONLY, arena, out);
}

bool
pg_value_timestamp(const struct pg_type *type, struct slice text, struct arena *arena,
                   struct cell *out)
{
    (void)type;
    return read_calendar(text, WITH_CLOCK, arena, out);
}

bool
pg_value_timestamptz(const struct pg_type *type, struct slice text, struct arena *arena,
                     struct cell *out)
{
    (void)type;
    return read_calendar(text, WITH_ZONE, arena, out);
}

/* With or without zone, which stays: it is part of the value. */
bool
pg_value_time(const struct pg_type *type, struct slice text, struct arena *arena, struct cell *out)
{
    struct reader r = {text.data, slice_end(text)};
    struct moment m = {0};
    (void)type, (void)arena;
    if (!take_clock(&r, &m) || (r.at < r.end && !take_zone(&r, &m)))
        return false;
    return r.at == r.end && keep(text, out);
}

/* "P1Y2M-3DT4H5M6.5S": the server's text is ISO 8601 already. */
bool
pg_value_interval(const struct pg_type *type, struct slice text, struct arena *arena,
                  struct cell *out)
{
    static const char letters[] = "0123456789-.YMDTHS";
    (void)type, (void)arena;
    if (is_infinite(text))
        return keep(text, out);
    if (text.size < 3 || text.data[0] != 'P')
        return false;
    for (size_t i = 1; i < text.size; i++)
        if (!memchr(letters, text.data[i], sizeof(letters) - 1))
            return false;
    return keep(text, out);
}
