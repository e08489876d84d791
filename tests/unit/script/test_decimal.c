/* Exact numbers in scripts: language.md §5. */
#include "unit/script/rig.h"

static void
arithmetic_is_exact(void **state)
{
    static const struct rig_row rows[] = {
        {"decimal('10000000000000000.01') + 1", "10000000000000001.01"},
        {"1 + decimal('10000000000000000.01')", "10000000000000001.01"},
        {"decimal('0.1') + decimal('0.2')", "0.3"},
        {"decimal('0.1') + 0.2", "0.3"},
        {"decimal('1.10') - 1", "0.10"},
        {"decimal('1.5') * decimal('1.5')", "2.25"},
        {"decimal(1) / 3", "0.33333333333333333333"},
        {"decimal(2) / 3", "0.66666666666666666667"},
        {"decimal('7') // 2", "3"},
        {"decimal('-7') // 2", "-4"},
        {"decimal('-7') % 3", "2"},
        {"decimal('7') % -3", "-2"},
        {"-decimal('1.50')", "-1.50"},
        {"-decimal('0.00')", "0.00"},
        {"decimal('2.345'):round(2)", "2.35"},
        {"decimal('-2.345'):round(2)", "-2.35"},
        {"decimal('2.5'):round()", "3"},
        {"decimal('2'):round(2)", "2.00"},
        {"decimal('2.5'):number()", "2.5"},
        {"math.type(decimal('2.00'):number())", "integer"},
        {"decimal('9223372036854775807') + 1", "9223372036854775808"},
        {"decimal('1e3')", "1000"},
        {"decimal(0.1)", "0.1"},
        {"decimal(decimal('5'))", "5"},
        {"'sum: ' .. decimal('1.50')", "sum: 1.50"},
        {"decimal('1.50') .. '!'", "1.50!"},
        {"type(decimal(1))", "userdata"},
    };
    struct event e = rig_event();
    (void)state;
    rig_check(&e, rows, countof(rows));
}

static void
comparison_is_exact(void **state)
{
    static const struct rig_row rows[] = {
        {"decimal('10000000000000000.01') < decimal('10000000000000000.02')", "true"},
        {"decimal('10000000000000000.01') == decimal('10000000000000000.010')", "true"},
        {"decimal('10000000000000000.01') == decimal('10000000000000000.02')", "false"},
        {"decimal('1.0') < 2", "true"},
        {"2 <= decimal('2.00')", "true"},
        {"decimal('0.1') <= 0.1", "true"},
        {"decimal('0.1') >= 0.1", "true"},
        {"decimal('0.10000000000000001') > 0.1", "true"},
        {"decimal('9007199254740993') > 9007199254740992", "true"},
        {"decimal('1') < math.huge", "true"},
        {"decimal('1') > -math.huge", "true"},
        {"math.huge > decimal('1')", "true"},
        {"decimal('1') < 0/0", "false"},
        {"decimal('1') >= 0/0", "false"},
        {"decimal('1') == 1", "false"}, /* Lua asks nobody when the types differ */
    };
    struct event e = rig_event();
    (void)state;
    rig_check(&e, rows, countof(rows));
}

static void
what_is_no_number_is_an_error(void **state)
{
    static const struct rig_row rows[] = {
        {"decimal('12,5')", "!\"12,5\" is no number"},
        {"decimal('')", "!is no number"},
        {"decimal(' 1')", "!is no number"},
        {"decimal(nil)", "!a nil value is no number"},
        {"decimal({})", "!a table value is no number"},
        {"decimal(true)", "!a boolean value is no number"},
        {"decimal(0/0)", "!is no number that a decimal can hold"},
        {"decimal(1/0)", "!is no number that a decimal can hold"},
        {"decimal(('9'):rep(1001))", "!at most 1000 digits"},
        {"decimal(1) / 0", "!division by zero"},
        {"decimal(1) % 0", "!division by zero"},
        {"decimal(1) // 0", "!division by zero"},
        {"decimal(('9'):rep(600)) * decimal(('9'):rep(600))", "!digits"},
        {"decimal(1) < '2'", "!attempt to compare a decimal with a string"},
        {"decimal(1) + {}", "!a table value is no number"},
        {"decimal(1):round(-1)", "!round takes 0 to"},
        {"decimal(1):round(1001)", "!round takes 0 to"},
        {"getmetatable(decimal(1))", "false"},
    };
    struct event e = rig_event();
    (void)state;
    rig_check(&e, rows, countof(rows));
}

/* What a numeric column is in Lua: integer, float, or decimal. */
static void
columns_take_the_simplest_exact_type(void **state)
{
    static const struct {
        const char *cell, *type, *text;
    } rows[] = {
        {"1000.00m", "integer", "1000"},
        {"-5m", "integer", "-5"},
        {"9223372036854775807m", "integer", "9223372036854775807"},
        {"9223372036854775808m", "decimal", "9223372036854775808"},
        {"12.50m", "float", "12.5"},
        {"0.1m", "float", "0.1"},
        {"123456789012.34m", "float", "123456789012.34"},
        {"1234567890123.45m", "decimal", "1234567890123.45"},
        {"10000000000000000.01m", "decimal", "10000000000000000.01"},
        {"NaNm", "nil", "NaN"},
    };
    const struct schema *schema = event_make_schema("shop", "main", "n", "n:decimal:key");
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct event e =
            event_make(EVENT_INSERT, schema, "1", event_make_row(rows[i].cell), event_make_none());
        char expected[128];
        const char *wrong = rig_run(&e, "local n = e.new.n\n"
                                        "send('x', (type(n) == 'userdata' and 'decimal' or "
                                        "tostring(math.type(n))) .. ' ' .. tostring(n))");
        snprintf(expected, sizeof(expected), "x=%s %s;", rows[i].type, rows[i].text);
        if (wrong)
            fail_msg("%s: %s", rows[i].cell, wrong);
        assert_string_equal(buffer_cstring(&rig_sent), expected);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_is_exact),
        cmocka_unit_test(comparison_is_exact),
        cmocka_unit_test(what_is_no_number_is_an_error),
        cmocka_unit_test(columns_take_the_simplest_exact_type),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
