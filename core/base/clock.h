/* Time in one unit, microseconds: `clock_now` counts since 1970 UTC and may jump, `clock_mono`
 * never goes back and is for waits and durations. Also the texts of times, durations and sizes.
 * All functions may be called from any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/buffer.h"
#include "base/error.h"

#define CLOCK_SECOND    INT64_C(1000000)
#define CLOCK_TEXT_SIZE 40

int64_t clock_now(void);
int64_t clock_mono(void);

/* RFC 3339 UTC with six decimals, "2026-11-21T06:42:00.000001Z", into `out`; returns `out`. Years
 * outside 0001–9999 take ISO 8601's expanded form, "-000043-03-15T…": year 0 is 1 BC. */
char *clock_format(int64_t us, char out[CLOCK_TEXT_SIZE]);

/* RFC 3339 to microseconds, and what clock_format writes. A space may stand for the T; without zone
 * it is UTC; a date alone is its midnight; digits past the sixth decimal are dropped. 0 or -1. */
int clock_parse(struct slice text, int64_t *us) must_check;

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar, any year (0 is 1 BC). 0, or
 * -1 when there is no such day. */
int clock_days(int64_t year, int month, int day, int64_t *days) must_check;

/* A time's parts, UTC: month 1–12, weekday 1 (Monday) – 7, yearday 1–366. */
struct clock_parts {
    int64_t year; /* 0 is 1 BC */
    int month, day, hour, minute, second, us, weekday, yearday;
};
struct clock_parts clock_split(int64_t us);

/* Appends the time as `format` says, in strftime's words: %Y %m %d %H %M %S %F %T %a %b …, %f for
 * microseconds, %L for milliseconds, %s for seconds since 1970. UTC, English names. 0, or -1 when
 * the format has a word that is none. */
int clock_print(int64_t us, struct slice format, struct buffer *out, struct error *err) must_check;

/* RFC 3339, or a time ago such as "2h" (see duration_parse), relative to clock_now. */
int clock_parse_when(struct slice text, int64_t *us, struct error *err) must_check;

/* "250ms", "10s", "5m", "168h", "7d", "1h30m" to microseconds; units us ms s m h d w, larger first.
 * Exact integers or decimals ("1.5s"); 0 alone needs no unit; never negative. 0 or -1. */
int duration_parse(struct slice text, int64_t *us) must_check;

/* "64KiB", "10GiB", "1.5MB", "4096" to bytes; KiB MiB GiB TiB are powers of 1024, kB MB GB TB of
 * 1000; part of a byte is dropped. 0 or -1. */
int size_parse(struct slice text, int64_t *bytes) must_check;

/* For people: "1.5 s", "3 min", "168 h" / "10.0 GiB", "512 B". Returns `out`. */
char *duration_format(int64_t us, char out[CLOCK_TEXT_SIZE]);
char *size_format(int64_t bytes, char out[CLOCK_TEXT_SIZE]);

#endif
