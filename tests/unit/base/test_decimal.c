#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/decimal.h"

static struct arena arena;

static char *
printed(const struct decimal *d)
{
    struct buffer b;
    buffer_init(&b, 8192);
    decimal_print(d, &b);
    char *text = arena_text(&arena, buffer_cstring(&b));
    buffer_release(&b);
    return text;
}

static struct decimal
parsed(const char *text)
{
    struct decimal d;
    if (decimal_parse(slice_of(text), &arena, &d) != 0)
        fail_msg("no decimal: %s", text);
    return d;
}

static void
test_parse_and_print(void **state)
{
    static const struct {
        const char *text, *print;
        int scale;
    } rows[] = {
        {"0", "0", 0},           {"-0", "0", 0},
        {"-0.00", "0.00", 2},    {"12.50", "12.50", 2},
        {"-12.50", "-12.50", 2}, {"+.5", "0.5", 1},
        {"5.", "5", 0},          {"1e3", "1000", -3},
        {"1E-3", "0.001", 3},    {"1.50e1", "15.0", 1},
        {"000123", "123", 0},    {"0.00123", "0.00123", 5},
        {"1.5e+2", "150", -1},   {"0e5", "0", 0},
        {"100", "100", 0},       {"0012.30e-4", "0.001230", 6},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct decimal d = parsed(rows[i].text);
        if (strcmp(printed(&d), rows[i].print) != 0 || d.scale != rows[i].scale)
            fail_msg("%s printed as %s, scale %d", rows[i].text, printed(&d), (int)d.scale);
    }
}

static void
test_refuses_what_is_no_number(void **state)
{
    static const char *const texts[] = {
        "",        "-",    "+",   ".",        "e5",  "1e",  "1e+",   "1.2.3",          " 1",
        "1 ",      "0x10", "NaN", "Infinity", "1,5", "--1", "1e5.5", "1e999999999999", "1e1001",
        "1e-1001",
    };
    struct decimal d;
    (void)state;
    for (size_t i = 0; i < countof(texts); i++) {
        if (decimal_parse(slice_of(texts[i]), &arena, &d) == 0)
            fail_msg("took %s", texts[i]);
    }
    char digits[DECIMAL_DIGITS + 2];
    memset(digits, '7', sizeof(digits));
    struct slice most = {digits, DECIMAL_DIGITS};
    struct slice over = {digits, DECIMAL_DIGITS + 1};
    assert_int_equal(decimal_parse(most, &arena, &d), 0);
    assert_int_equal(decimal_parse(over, &arena, &d), -1);
}

static void
test_compare(void **state)
{
    /* Ascending; those of one line are equal. */
    static const char *const rows[][4] = {
        {"-1e900"},
        {"-1000.5", "-1000.500"},
        {"-2", "-2.0", "-0.2e1"},
        {"-1.99"},
        {"-1e-900"},
        {"0", "-0.0", "0e5", ".0"},
        {"1e-900"},
        {"0.1", "0.10", "1e-1", ".1"},
        {"0.11"},
        {"1", "1.0", "001", "10e-1"},
        {"9.99"},
        {"10", "1e1", "10.000"},
        {"100", "1e2", "100.", "0.1e3"},
        {"100.01"},
        {"9007199254740993"},
        {"10000000000000000.01"},
        {"10000000000000000.02"},
        {"123456789012345678901234567890", "123456789012345678901234567890.0"},
        {"1e900"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows) * 4; i++) {
        for (size_t k = 0; k < countof(rows) * 4; k++) {
            const char *a = rows[i / 4][i % 4];
            const char *b = rows[k / 4][k % 4];
            if (!a || !b)
                continue;
            int want = (i / 4 > k / 4) - (i / 4 < k / 4);
            int order = 99;
            struct decimal x = parsed(a), y = parsed(b);
            if (!decimal_compare_text(slice_of(a), slice_of(b), &order) || order != want)
                fail_msg("%s against %s as text: %d, not %d", a, b, order, want);
            if (decimal_compare(&x, &y) != want)
                fail_msg("%s against %s: not %d", a, b, want);
        }
    }
    int order = 7;
    assert_false(decimal_compare_text(slice_of("NaN"), slice_of("1"), &order));
    assert_false(decimal_compare_text(slice_of("1"), slice_of(""), &order));
}

static void
test_classify(void **state)
{
    static const struct {
        const char *text;
        int class;
        int64_t integer;
        double real;
    } rows[] = {
        {"0", 1, 0, 0},
        {"-0.00", 1, 0, 0},
        {"12", 1, 12, 0},
        {"12.00", 1, 12, 0},
        {"-120e-1", 1, -12, 0},
        {"1.5e3", 1, 1500, 0},
        {"9223372036854775807", 1, INT64_MAX, 0},
        {"-9223372036854775808.000", 1, INT64_MIN, 0},
        {"9223372036854775808", 3, 0, 0},
        {"-9223372036854775809", 3, 0, 0},
        {"18446744073709551616", 3, 0, 0},
        {"100000000000000000000", 2, 0, 1e20},
        {"0.1", 2, 0, 0.1},
        {"-12.50", 2, 0, -12.5},
        {"12345678901234", 1, 12345678901234, 0},
        {"123456789012.34", 2, 0, 123456789012.34},
        {"1234567890123.45", 3, 0, 0},
        {"0.00000000000000000000000000012345678901234", 2, 0, 1.2345678901234e-28},
        {"1.2345678901234e300", 2, 0, 1.2345678901234e300},
        {"1e400", 3, 0, 0},
        {"1e-400", 3, 0, 0},
        {"NaN", 0, 0, 0},
        {"Infinity", 0, 0, 0},
        {"", 0, 0, 0},
        {"12a", 0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        int64_t integer = 0;
        double real = 0;
        int class = decimal_classify(slice_of(rows[i].text), &integer, &real);
        if (class != rows[i].class || integer != rows[i].integer || real != rows[i].real)
            fail_msg("%s: class %d integer %lld real %.17g", rows[i].text, class,
                     (long long)integer, real);
    }
}

typedef int operation(const struct decimal *, const struct decimal *, struct arena *,
                      struct decimal *, struct error *);

static const struct {
    char sign;
    operation *run;
} operations[] = {
    {'+', decimal_add},    {'-', decimal_subtract},     {'*', decimal_multiply},
    {'/', decimal_divide}, {'f', decimal_floor_divide}, {'%', decimal_modulo},
};

static operation *
operation_of(char sign)
{
    for (size_t i = 0; i < countof(operations); i++) {
        if (operations[i].sign == sign)
            return operations[i].run;
    }
    fail();
    return NULL;
}

static void
test_arithmetic(void **state)
{
    static const struct {
        const char *a;
        char sign;
        const char *b, *result; /* NULL: an error */
    } rows[] = {
        {"0.1", '+', "0.2", "0.3"},
        {"1.50", '+', "-1.5", "0.00"},
        {"999999999", '+', "1", "1000000000"},
        {"-5", '+', "7.25", "2.25"},
        {"5", '-', "7.25", "-2.25"},
        {"0", '-', "0", "0"},
        {"1e1000", '+', "1", NULL},
        {"1e1000", '+', "1e1000", "2 and a thousand zeros"},
        {"12.5", '*', "-4", "-50.0"},
        {"123456789123456789", '*', "987654321987654321", "121932631356500531347203169112635269"},
        {"0", '*', "-4.2", "0.0"},
        {"1", '/', "3", "0.33333333333333333333"},
        {"2", '/', "3", "0.66666666666666666667"},
        {"-2", '/', "3", "-0.66666666666666666667"},
        {"1", '/', "4", "0.25"},
        {"10.00", '/', "2.00", "5"},
        {"1", '/', "0", NULL},
        {"1e-1000", '/', "1e1000", "0"},
        {"100000000000000000000000000000000000000000", '/', "300000000000000000000000000007",
         "333333333333.33333333333333332556"},
        {"7", 'f', "2", "3"},
        {"-7", 'f', "2", "-4"},
        {"7", 'f', "-2", "-4"},
        {"-7", 'f', "-2", "3"},
        {"7.5", 'f', "0.5", "15"},
        {"7", '%', "2", "1"},
        {"-7", '%', "2", "1"},
        {"7", '%', "-2", "-1"},
        {"-7", '%', "-2", "-1"},
        {"7.75", '%', "0.5", "0.25"},
        {"6", '%', "-2", "0"},
        {"6", '%', "0", NULL},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct decimal a = parsed(rows[i].a), b = parsed(rows[i].b), result;
        struct error err = {0};
        int rc = operation_of(rows[i].sign)(&a, &b, &arena, &result, &err);
        assert_int_equal(rc, rows[i].result ? 0 : -1);
        if (rc != 0)
            assert_int_equal(err.class, ERROR_DATA);
        else if (strlen(printed(&result)) == 1001)
            assert_int_equal(printed(&result)[0], rows[i].result[0]);
        else
            assert_string_equal(printed(&result), rows[i].result);
    }
}

/* a = (a // b) × b + a % b for long numbers of random digits: division against multiplication. */
static void
test_division_agrees_with_multiplication(void **state)
{
    (void)state;
    srand(20);
    for (int round = 0; round < 2000; round++) {
        char text[2][260];
        for (int k = 0; k < 2; k++) {
            int size = 1 + rand() % (k ? 120 : 250);
            for (int i = 0; i < size; i++)
                text[k][i] = (char)('0' + (rand() % 4 ? rand() % 10 : rand() % 2 * 9));
            text[k][size] = 0;
        }
        struct decimal a = parsed(text[0]), b = parsed(text[1]), q, r, back;
        struct error err = {0};
        if (b.count == 0)
            continue;
        assert_int_equal(decimal_floor_divide(&a, &b, &arena, &q, &err), 0);
        assert_int_equal(decimal_modulo(&a, &b, &arena, &r, &err), 0);
        assert_true(decimal_compare(&r, &b) < 0);
        assert_int_equal(decimal_multiply(&q, &b, &arena, &back, &err), 0);
        assert_int_equal(decimal_add(&back, &r, &arena, &back, &err), 0);
        if (decimal_compare(&a, &back) != 0)
            fail_msg("%s / %s = %s rest %s", text[0], text[1], printed(&q), printed(&r));
        arena_reset(&arena);
    }
}

static void
test_round(void **state)
{
    static const struct {
        const char *text;
        int places;
        const char *result;
    } rows[] = {
        {"2.5", 0, "3"},        {"-2.5", 0, "-3"},         {"2.4999", 0, "2"},
        {"1.005", 2, "1.01"},   {"9.995", 2, "10.00"},     {"99.5", 0, "100"},
        {"5", 2, "5.00"},       {"1e3", 1, "1000.0"},      {"0.004", 2, "0.00"},
        {"-0.004", 2, "0.00"},  {"0.5", 0, "1"},           {"0.05", 0, "0"},
        {"0", 3, "0.000"},      {"12.345", 5, "12.34500"}, {"0.95", 1, "1.0"},
        {"1e-1000", 2, "0.00"},
    };
    struct error err = {0};
    struct decimal out;
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct decimal d = parsed(rows[i].text);
        assert_int_equal(decimal_round(&d, rows[i].places, &arena, &out, &err), 0);
        assert_string_equal(printed(&out), rows[i].result);
    }
    struct decimal d = parsed("12");
    assert_int_equal(decimal_round(&d, -1, &arena, &out, &err), -1);
    assert_int_equal(decimal_round(&d, 1001, &arena, &out, &err), -1);
    assert_int_equal(decimal_round(&d, 999, &arena, &out, &err), -1); /* 1,001 digits */
    assert_int_equal(decimal_round(&d, 998, &arena, &out, &err), 0);
}

static void
test_conversions(void **state)
{
    static const double doubles[] = {0.1, -12.5, 1e300, 5e-324, 1.7976931348623157e308, 0.3, 3};
    static const int64_t integers[] = {0, 1, -1, INT64_MAX, INT64_MIN, 1000};
    struct decimal d;
    (void)state;
    for (size_t i = 0; i < countof(doubles); i++) {
        assert_int_equal(decimal_from_double(doubles[i], &arena, &d), 0);
        assert_true(decimal_double(&d) == doubles[i]);
    }
    assert_int_equal(decimal_from_double(0.1, &arena, &d), 0);
    assert_string_equal(printed(&d), "0.1");
    assert_int_equal(decimal_from_double(NAN, &arena, &d), -1);
    assert_int_equal(decimal_from_double(-INFINITY, &arena, &d), -1);
    for (size_t i = 0; i < countof(integers); i++) {
        int64_t back = 7;
        d = decimal_from_int(integers[i], &arena);
        assert_true(decimal_int(&d, &back));
        assert_true(back == integers[i]);
    }
    int64_t out = 0;
    d = parsed("12.00");
    assert_true(decimal_int(&d, &out));
    assert_int_equal(out, 12);
    static const char *const not_whole[] = {"12.5", "0.1", "9223372036854775808", "1e19", "1e-5"};
    for (size_t i = 0; i < countof(not_whole); i++) {
        d = parsed(not_whole[i]);
        assert_false(decimal_int(&d, &out));
    }
}

static int
start(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_print),
        cmocka_unit_test(test_refuses_what_is_no_number),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_classify),
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_division_agrees_with_multiplication),
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_conversions),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
