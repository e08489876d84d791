#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
times_print_and_read_back(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {1, "1970-01-01T00:00:00.000001Z"},
        {INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z"},
        {INT64_C(1795243320000001), "2026-11-21T06:42:00.000001Z"},
        {INT64_C(-2203977600000000), "1900-02-28T00:00:00.000000Z"},
        {INT64_C(-2203891200000000), "1900-03-01T00:00:00.000000Z"}, /* 1900 was no leap year */
        {INT64_C(-62135596800000000), "0001-01-01T00:00:00.000000Z"},
        {INT64_C(-62135596800000001), "+000000-12-31T23:59:59.999999Z"},
        {INT64_C(-63461923200000000), "-000042-12-22T00:00:00.000000Z"},
        {INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z"},
        {INT64_C(253402300800000000), "+010000-01-01T00:00:00.000000Z"},
        {INT64_MAX, "+294247-01-10T04:00:54.775807Z"},
        {INT64_MIN, "-290308-12-21T19:59:05.224192Z"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char text[CLOCK_TEXT_SIZE];
        int64_t us = 42;
        assert_string_equal(clock_format(rows[i].us, text), rows[i].text);
        assert_int_equal(clock_parse(slice_of(rows[i].text), &us), 0);
        assert_true(us == rows[i].us);
    }
}

static void
times_are_read_in_all_their_forms(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"1970-01-01", 0},
        {"1970-01-01 00:00", 0},
        {"1970-01-01t00:00:01z", 1000000},
        {"1970-01-01 00:00:01.5", 1500000},
        {"1970-01-01T00:00:00.1234567Z", 123456},
        {"1970-01-01T01:00:00+01:00", 0},
        {"1970-01-01T01:00:00+01", 0},
        {"1970-01-01T05:30:00+0530", 0},
        {"1969-12-31T19:00:00-05:00", 0},
        {"1970-01-01T00:00:00+00:19:32", -1172000000},
        {"1972-06-30T23:59:60Z", INT64_C(78796800000000)},
        {"0000-02-29", INT64_C(-62162121600000000)},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        int64_t us = 42;
        assert_int_equal(clock_parse(slice_of(rows[i].text), &us), 0);
        assert_true(us == rows[i].us);
    }
}

static void
days_are_counted_in_any_year(void **state)
{
    static const struct {
        int64_t year;
        int month, day;
        int64_t days; /* INT64_MIN: no such day */
    } rows[] = {
        {1970, 1, 1, 0},          {1969, 12, 31, -1},      {2000, 2, 29, 11016},
        {0, 3, 1, -719468},       {-4712, 1, 1, -2440550}, {5874897, 12, 31, INT64_C(2145042905)},
        {1900, 2, 29, INT64_MIN}, {-1, 2, 29, INT64_MIN},  {2026, 0, 1, INT64_MIN},
        {2026, 13, 1, INT64_MIN}, {2026, 1, 0, INT64_MIN}, {2026, 4, 31, INT64_MIN},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        int64_t days = INT64_MIN;
        int rc = clock_days(rows[i].year, rows[i].month, rows[i].day, &days);
        assert_int_equal(rc, rows[i].days == INT64_MIN ? -1 : 0);
        assert_true(days == rows[i].days);
    }
}

static void
what_is_no_time_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "now",
        "1970",
        "1970-01",
        "1970-1-1",
        "1970-13-01",
        "1970-00-01",
        "1970-02-29",
        "1900-02-29",
        "1970-04-31",
        "0000-00-00 00:00:00",
        "70-01-01",
        "10000-01-01",
        "+10000-01-01",
        "1970-01-01T",
        "1970-01-01T24:00:00",
        "1970-01-01T00:60:00",
        "1970-01-01T00:00:61",
        "1970-01-01T00:00:00.",
        "1970-01-01T00:00:00Zx",
        "1970-01-01T00:00:00+1",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+01:",
        "1970-01-01 ",
        " 1970-01-01",
        "1970-01-01Z",
        "+294247-01-10T04:00:54.775808Z",
        "-290308-12-21T19:59:05.224191Z",
        "+999999-01-01",
        "-999999-12-31",
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        int64_t us = 42;
        if (clock_parse(slice_of(rows[i]), &us) == 0)
            fail_msg("\"%s\" was read as a time", rows[i]);
        assert_true(us == 42);
    }
    assert_int_equal(clock_parse((struct slice){NULL, 0}, &(int64_t){0}), -1);
    assert_int_equal(clock_parse(slice_literal("1970-01-01\0"), &(int64_t){0}), -1);
}

static void
a_time_may_be_said_as_long_ago(void **state)
{
    struct error err = {0};
    int64_t us, before = clock_now();
    (void)state;
    assert_int_equal(clock_parse_when(slice_literal("2h"), &us, &err), 0);
    assert_in_range(us - before + 7200 * CLOCK_SECOND, 0, 60 * CLOCK_SECOND);
    assert_int_equal(clock_parse_when(slice_literal("1970-01-01T00:00:01Z"), &us, &err), 0);
    assert_true(us == CLOCK_SECOND);
    assert_int_equal(clock_parse_when(slice_literal("yesterday"), &us, &err), -1);
    assert_int_equal(err.class, ERROR_USAGE);
    assert_non_null(strstr(err.message, "\"yesterday\" is not a time"));
}

static void
durations_are_exact(void **state)
{
    static const struct {
        const char *text;
        int64_t us; /* -1: refused */
    } rows[] = {
        {"0", 0},
        {"0s", 0},
        {"1us", 1},
        {"250ms", 250000},
        {"10s", 10000000},
        {"1.5s", 1500000},
        {"0.000001s", 1},
        {"5m", 300000000},
        {"1h30m", INT64_C(5400000000)},
        {"1h1m1s1ms1us", INT64_C(3661001001)},
        {"168h", INT64_C(604800000000)},
        {"7d", INT64_C(604800000000)},
        {"1w", INT64_C(604800000000)},
        {"9223372036854775807us", INT64_MAX},
        {"9223372036854775808us", -1},
        {"100000000w", -1},
        {"9223372036854s9223372036854ms9223372036854775807us", -1},
        {"0.0000001s", -1},
        {"", -1},
        {"5", -1},
        {"00", -1},
        {"5x", -1},
        {"s", -1},
        {"-5s", -1},
        {"+5s", -1},
        {"5 s", -1},
        {" 5s", -1},
        {"5s ", -1},
        {"1.s", -1},
        {".5s", -1},
        {"1..5s", -1},
        {"1e3s", -1},
        {"5S", -1},
        {"30m1h", -1},
        {"1h1h", -1},
        {"1h30", -1},
        {"1h0", -1},
        {"1us1us", -1},
        {"99999999999999999999s", -1},
        {"1.1234567890123456789s", -1},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        int64_t us = -1;
        int result = duration_parse(slice_of(rows[i].text), &us);
        if (result != (rows[i].us < 0 ? -1 : 0) || us != rows[i].us)
            fail_msg("\"%s\" gave %d, %lld", rows[i].text, result, (long long)us);
    }
    assert_int_equal(duration_parse((struct slice){NULL, 0}, &(int64_t){0}), -1);
}

static void
sizes_count_bytes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes; /* -1: refused */
    } rows[] = {
        {"0", 0},
        {"4096", 4096},
        {"1B", 1},
        {"64KiB", 65536},
        {"1.5MB", 1500000},
        {"1kB", 1000},
        {"10GiB", INT64_C(10737418240)},
        {"1TiB", INT64_C(1099511627776)},
        {"2TB", INT64_C(2000000000000)},
        {"1.3GiB", INT64_C(1395864371)},
        {"9223372036854775807", INT64_MAX},
        {"9223372036854775808", -1},
        {"8388608TiB", -1},
        {"9999999999999999999.999999999999999999TiB", -1},
        {"", -1},
        {"KiB", -1},
        {"64kib", -1},
        {"64K", -1},
        {"64 KiB", -1},
        {"-1", -1},
        {"1KiB1B", -1},
        {"0x10", -1},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        int64_t bytes = -1;
        int result = size_parse(slice_of(rows[i].text), &bytes);
        if (result != (rows[i].bytes < 0 ? -1 : 0) || bytes != rows[i].bytes)
            fail_msg("\"%s\" gave %d, %lld", rows[i].text, result, (long long)bytes);
    }
}

static void
amounts_are_printed_for_people(void **state)
{
    static const struct {
        char *(*format)(int64_t amount, char out[CLOCK_TEXT_SIZE]);
        int64_t amount;
        const char *text;
    } rows[] = {
        {duration_format, 0, "0 us"},
        {duration_format, 999, "999 us"},
        {duration_format, 1000, "1 ms"},
        {duration_format, 1500, "1.5 ms"},
        {duration_format, 1500000, "1.5 s"},
        {duration_format, 59949999, "59.9 s"},
        {duration_format, 59960000, "1 min"},
        {duration_format, 180000000, "3 min"},
        {duration_format, INT64_C(604800000000), "168 h"},
        {duration_format, -1500000, "-1.5 s"},
        {duration_format, INT64_MAX, "2562047788 h"},
        {duration_format, INT64_MIN, "-2562047788 h"},
        {size_format, 0, "0 B"},
        {size_format, 512, "512 B"},
        {size_format, 1023, "1023 B"},
        {size_format, 1024, "1.0 KiB"},
        {size_format, 1536, "1.5 KiB"},
        {size_format, 1048575, "1.0 MiB"},
        {size_format, INT64_C(10737418240), "10.0 GiB"},
        {size_format, INT64_MAX, "8388608.0 TiB"},
        {size_format, INT64_MIN, "-8388608.0 TiB"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char text[CLOCK_TEXT_SIZE];
        assert_string_equal(rows[i].format(rows[i].amount, text), rows[i].text);
    }
}

static void
times_print_as_a_format_says(void **state)
{
    static const struct {
        int64_t us;
        const char *format, *text; /* text NULL: refused */
    } rows[] = {
        {0, "%Y-%m-%d %H:%M:%S", "1970-01-01 00:00:00"},
        {INT64_C(1795243320123456), "%d.%m.%y %k:%M %p %f %L", "21.11.26  6:42 AM 123456 123"},
        {INT64_C(1795243320123456), "%A, %e %B %G-W%V-%u, day %j",
         "Saturday, 21 November 2026-W47-6, day 325"},
        {INT64_C(-1), "%F %T.%f %s", "1969-12-31 23:59:59.999999 -1"},
        {INT64_C(-62162121600000000), "%F", "0-02-29"},
        {0, "%z %Z 100%% ä", "+0000 UTC 100% ä"},
        {0, "", ""},
        {0, "%", NULL},
        {0, "%q", NULL},
        {0, "%Ey", NULL},
        {0, "%5d", NULL},
        {0, "%c", NULL},
    };
    struct buffer out;
    (void)state;
    buffer_init(&out, 4096);
    for (size_t i = 0; i < countof(rows); i++) {
        struct error err = {0};
        buffer_reset(&out);
        int result = clock_print(rows[i].us, slice_of(rows[i].format), &out, &err);
        assert_int_equal(result, rows[i].text ? 0 : -1);
        if (rows[i].text)
            assert_string_equal(buffer_cstring(&out), rows[i].text);
        else
            assert_non_null(strstr(err.message, "is no part of a format of times"));
    }
    buffer_release(&out);
    struct clock_parts parts = clock_split(INT64_C(-62162121600000000));
    assert_int_equal(parts.year, 0);
    assert_int_equal(parts.month, 2);
    assert_int_equal(parts.day, 29);
    for (size_t i = 0; i < 2; i++) /* the ends of what there is */
        clock_split(i ? INT64_MAX : INT64_MIN);
}

static void
the_clocks_run(void **state)
{
    int64_t before = clock_mono();
    (void)state;
    while (clock_mono() == before)
        ;
    assert_true(clock_mono() > before);
    assert_true(clock_now() > INT64_C(1700000000) * CLOCK_SECOND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_print_and_read_back),
        cmocka_unit_test(times_are_read_in_all_their_forms),
        cmocka_unit_test(days_are_counted_in_any_year),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(a_time_may_be_said_as_long_ago),
        cmocka_unit_test(durations_are_exact),
        cmocka_unit_test(sizes_count_bytes),
        cmocka_unit_test(amounts_are_printed_for_people),
        cmocka_unit_test(times_print_as_a_format_says),
        cmocka_unit_test(the_clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
