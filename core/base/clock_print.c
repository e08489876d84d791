#include <inttypes.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"

static struct tm
split(int64_t us, int64_t *rest)
{
    struct tm tm = {0};
    *rest = us % CLOCK_SECOND + (us % CLOCK_SECOND < 0 ? CLOCK_SECOND : 0);
    time_t seconds = (time_t)(us / CLOCK_SECOND - (us % CLOCK_SECOND < 0));
    gmtime_r(&seconds, &tm);
    return tm;
}

struct clock_parts
clock_split(int64_t us)
{
    int64_t rest;
    struct tm tm = split(us, &rest);
    return (struct clock_parts){
        .year = tm.tm_year + INT64_C(1900),
        .month = tm.tm_mon + 1,
        .day = tm.tm_mday,
        .hour = tm.tm_hour,
        .minute = tm.tm_min,
        .second = tm.tm_sec,
        .us = (int)rest,
        .weekday = tm.tm_wday ? tm.tm_wday : 7,
        .yearday = tm.tm_yday + 1,
    };
}

/* strftime's own, of those that do not ask for the machine's place or zone. */
static const char passed_on[] = "aAbBdeFGgHIjkmMpRSTuUVwWyY";

static bool
print_one(char conversion, const struct tm *tm, int64_t us, int64_t rest, struct buffer *out)
{
    char format[3] = {'%', conversion, 0}, text[64];
    switch (conversion) {
    case '%':
        buffer_byte(out, '%');
        return true;
    case 'f':
        buffer_printf(out, "%06" PRId64, rest);
        return true;
    case 'L':
        buffer_printf(out, "%03" PRId64, rest / 1000);
        return true;
    case 's':
        buffer_printf(out, "%" PRId64, us / CLOCK_SECOND - (us % CLOCK_SECOND < 0));
        return true;
    case 'z':
        buffer_text(out, "+0000");
        return true;
    case 'Z':
        buffer_text(out, "UTC");
        return true;
    default:
        if (!conversion || !strchr(passed_on, conversion))
            return false;
        buffer_append(out, text, strftime(text, sizeof(text), format, tm));
        return true;
    }
}

int
clock_print(int64_t us, struct slice format, struct buffer *out, struct error *err)
{
    int64_t rest;
    struct tm tm = split(us, &rest);
    for (size_t i = 0; i < format.size && !out->failed; i++) {
        if (format.data[i] != '%') {
            buffer_byte(out, (uint8_t)format.data[i]);
            continue;
        }
        char conversion = ++i < format.size ? format.data[i] : 0;
        if (print_one(conversion, &tm, us, rest, out))
            continue;
        error_set(err, ERROR_DATA, "\"%%%.*s\" is no part of a format of times", conversion != 0,
                  format.data + (conversion ? i : 0));
        return error_hint(err,
                          "such as %%Y-%%m-%%d %%H:%%M:%%S, %%f for microseconds, %%%% for %%");
    }
    return 0;
}
