#include "template_rig.h"

#include "base/json.h"

static const struct schema *single;

/* The value, given as event_make_cell has it, in the column v; c is another column. */
static struct event
event_of(struct cell cell)
{
    static struct cell cells[2];
    cells[0] = cell;
    cells[1] = event_make_cell("'JPY'");
    struct row row = {.present = true, .count = 2, .cells = cells};
    return event_make(EVENT_INSERT, single, "17", row, event_make_none());
}

static const char *
filtered(const char *literal, const char *filters, enum template_escape escape)
{
    char text[400];
    struct event e = event_of(event_make_cell(literal));
    struct template_call call = {.event = &e, .escape = escape, .now = RIG_NOW, .space = rig_space};
    snprintf(text, sizeof(text), "{{v | %s}}", filters);
    return rig_render(text, &call);
}

struct row_of_filter {
    const char *value, *filters, *text;
};

static void
expect(const struct row_of_filter *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = filtered(rows[i].value, rows[i].filters, TEMPLATE_PLAIN);
        if (strcmp(text, rows[i].text) != 0)
            fail_msg("%s | %s: \"%s\", not \"%s\"", rows[i].value, rows[i].filters, text,
                     rows[i].text);
    }
}

#define E_ACUTE  "\xc3\xa9"
#define ELLIPSIS "\xe2\x80\xa6"
#define FAMILY                                                                                     \
    "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7"  /* woman, joiner, girl: one to the eye */
#define THUMB    "\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd" /* thumb and skin tone */
#define FLAG_CH  "\xf0\x9f\x87\xa8\xf0\x9f\x87\xad"
#define E_MARKED "e\xcc\x81" /* e and a combining accent */

static void
test_texts(void **state)
{
    static const struct row_of_filter rows[] = {
        {"'Bern'", "upper", "BERN"},
        {"'\xc3\xa9t\xc3\xa9'", "upper", "\xc3\x89T\xc3\x89"},
        {"'BERN'", "lower", "bern"},
        {"12", "upper", "12"},
        {"null", "upper", ""},
        {"'  a b\t'", "trim", "a b"},
        {"'   '", "trim", ""},
        {"'   '", "trim | default(\"none\")", "none"},
        {"'a-b-c'", "replace(\"-\", \"+\")", "a+b+c"},
        {"'aaa'", "replace(\"aa\", \"b\")", "ba"},
        {"'abc'", "replace(\"x\", \"y\")", "abc"},
        {"'abc'", "replace(\"\", \"y\")", "abc"},
        {"'abc'", "replace('abc', '')", ""},
        {"'aJPYb'", "replace(c, '-')", "a-b"},
        {"1234", "replace('2', '-')", "1-34"},
        {"null", "replace('a', 'b')", ""},
        {"null", "default(\"x\")", "x"},
        {"''", "default(\"x\")", "x"},
        {"0", "default(\"x\")", "0"},
        {"false", "default(\"x\")", "false"},
        {"null", "default(c)", "JPY"},
        {"null", "default(5)", "5"},
        {"null", "default(1.50) | number(1)", "1.5"},
        {"absent", "default('-') | upper", "-"},
        {"x'00ff'", "upper", "00FF"},
        {"x'00ff'", "base64", "AP8="},
        {"'abc'", "base64", "YWJj"},
        {"12", "base64", "MTI="},
        {"null", "base64", ""},
    };
    (void)state;
    expect(rows, countof(rows));
}

static void
test_truncate_tears_no_character(void **state)
{
    static const struct row_of_filter rows[] = {
        {"'abcdef'", "truncate(6)", "abcdef"},
        {"'abcdef'", "truncate(5)", "abcd" ELLIPSIS},
        {"'abcdef'", "truncate(1)", ELLIPSIS},
        {"'abcdef'", "truncate(0)", ""},
        {"'abcdef'", "truncate(5, '...')", "ab..."},
        {"'abcdef'", "truncate(2, '...')", ".."},
        {"'abcdef'", "truncate(3, '')", "abc"},
        {"'abcdef'", "truncate(5, c)", "abJPY"},
        {"''", "truncate(0)", ""},
        {"null", "truncate(3)", ""},
        {"123456", "truncate(3)", "12" ELLIPSIS},
        {"'" E_ACUTE E_ACUTE E_ACUTE "'", "truncate(3)", E_ACUTE E_ACUTE E_ACUTE},
        {"'" E_ACUTE E_ACUTE E_ACUTE "'", "truncate(2)", E_ACUTE ELLIPSIS},
        {"'a" E_MARKED "bcd'", "truncate(3)", "a" ELLIPSIS},
        {"'a" E_MARKED "bcd'", "truncate(4)", "a" E_MARKED ELLIPSIS},
        {"'a" FAMILY "bc'", "truncate(4)", "a" ELLIPSIS},
        {"'a" FAMILY "bc'", "truncate(5)", "a" FAMILY ELLIPSIS},
        {"'" THUMB "ab'", "truncate(2)", ELLIPSIS},
        {"'" FLAG_CH FLAG_CH "ab'", "truncate(4)", FLAG_CH ELLIPSIS},
        {"'" FLAG_CH FLAG_CH "ab'", "truncate(5)", FLAG_CH FLAG_CH ELLIPSIS},
    };
    (void)state;
    expect(rows, countof(rows));
}

static void
test_numbers_are_exact(void **state)
{
    static const struct row_of_filter rows[] = {
        {"2.5m", "number(0)", "3"},
        {"-2.5m", "number(0)", "-3"},
        {"2.4999999999999999999999m", "number(0)", "2"},
        {"1.005m", "number(2)", "1.01"},
        {"1.005", "number(2)", "1.01"},
        {"0.045m", "number(2)", "0.05"},
        {"99999999999999999999.995m", "number(2)", "100000000000000000000.00"},
        {"7", "number(2)", "7.00"},
        {"'7.125'", "number(2)", "7.13"},
        {"'seven'", "number(2)", "seven"},
        {"nan", "number(2)", "NaN"},
        {"true", "number(2)", "true"},
        {"null", "number(2)", ""},
        {"9223372036854775807", "number(1)", "9223372036854775807.0"},
        {"1234.505m", "money('EUR')", "1,234.51 EUR"},
        {"1234.505m", "money('eur')", "1,234.51 EUR"},
        {"1234.505m", "money(c)", "1,235 JPY"},
        {"1234.5055m", "money('KWD')", "1,234.506 KWD"},
        {"1234.5m", "money('CLF')", "1,234.5000 CLF"},
        {"1234.5m", "money('$')", "$1,234.50"},
        {"-1234.5m", "money('$')", "-$1,234.50"},
        {"-1234567.891m", "money('USD')", "-1,234,567.89 USD"},
        {"12345678901234567890.12m", "money('USD')", "12,345,678,901,234,567,890.12 USD"},
        {"-0.001m", "money('USD')", "0.00 USD"},
        {"0", "money('USD')", "0.00 USD"},
        {"999", "money('USD')", "999.00 USD"},
        {"1000", "money('JPY')", "1,000 JPY"},
        {"999.995m", "money('USD')", "1,000.00 USD"},
        {"12", "money('')", "12.00"},
        {"12", "money('E1R')", "E1R12.00"},
        {"'a lot'", "money('USD')", "a lot"},
        {"null", "money('USD')", ""},
        {"1234.5m", "money('USD') | lower | truncate(9)", "1,234.50" ELLIPSIS},
    };
    (void)state;
    expect(rows, countof(rows));
}

static void
test_times(void **state)
{
    static const struct row_of_filter rows[] = {
        {"@2026-11-21T06:42:00.123456Z", "date", "2026-11-21"},
        {"@2026-11-21T06:42:00.123456Z", "time", "06:42:00"},
        {"@2026-11-21T06:42:00.123456Z", "date('%d.%m.%Y %H:%M:%S.%f')",
         "21.11.2026 06:42:00.123456"},
        {"@2026-11-21T06:42:00.123456Z", "date('%a %b %e %L%%')", "Sat Nov 21 123%"},
        {"@2026-11-21T06:42:00+02:00", "date('%F %T')", "2026-11-21 04:42:00"},
        {"'2026-11-21 06:42'", "date('%F %H:%M')", "2026-11-21 06:42"},
        {"'2026-11-21'", "date('%d/%m/%y')", "21/11/26"},
        {"'soon'", "date", "soon"},
        {"0", "date", "1970-01-01"},
        {"1795243320", "date('%F %T')", "2026-11-21 06:42:00"},
        {"1795243320000", "date('%F %T')", "2026-11-21 06:42:00"},
        {"1795243320000001", "date('%F %T.%f')", "2026-11-21 06:42:00.000001"},
        {"-1", "date('%F %T')", "1969-12-31 23:59:59"},
        {"1795243320.5", "date('%T.%L')", "06:42:00.500"},
        {"1795243320.5m", "date('%T.%L')", "06:42:00.500"},
        {"nan", "date", "NaN"},
        {"1e300", "date", "1e300"},
        {"true", "date", "true"},
        {"null", "date", ""},
        {"@2026-11-21T06:42:00.000001Z", "ago", "just now"},
        {"@2026-11-21T06:41:59.000001Z", "ago", "1 second ago"},
        {"@2026-11-21T06:41:01Z", "ago", "59 seconds ago"},
        {"@2026-11-21T06:41:00Z", "ago", "1 minute ago"},
        {"@2026-11-21T03:42:00Z", "ago", "3 hours ago"},
        {"@2026-11-20T06:42:00Z", "ago", "1 day ago"},
        {"@2026-10-25T06:42:00Z", "ago", "27 days ago"},
        {"@2026-10-01T06:42:00Z", "ago", "1 month ago"},
        {"@2024-11-20T06:42:00Z", "ago", "2 years ago"},
        {"@2026-11-21T06:43:00Z", "ago", "in 59 seconds"},
        {"@2026-11-21T08:42:01Z", "ago", "in 2 hours"},
        {"9223372036854775807", "ago", "in 292214 years"},
        {"'soon'", "ago", "soon"},
        {"null", "ago", ""},
        {"null", "ago | default('never')", "never"},
    };
    (void)state;
    expect(rows, countof(rows));
}

static void
test_lists(void **state)
{
    static const struct row_of_filter rows[] = {
        {"[\"a\",\"b\",3]", "join", "a, b, 3"},
        {"[\"a\",\"b\"]", "join(' + ')", "a + b"},
        {"[]", "join", ""},
        {"[\"\\u00e9\\n\",null,true,1.50,{\"x\":1}]", "join('|')",
         E_ACUTE "\n||true|1.50|{\"x\":1}"},
        {"[\"a\",\"b\"]", "join | upper", "A, B"},
        {"[\"a\",\"b\"]", "join(c)", "aJPYb"},
        {"{\"x\":1,\"y\":[2]}", "join", "1, [2]"},
        {"'abc'", "join", "abc"},
        {"null", "join", ""},
        {"[1,2,[3,4]]", "count", "3"},
        {"{\"x\":1}", "count", "1"},
        {"[]", "count", "0"},
        {"'abc'", "count", "abc"},
        {"[1]", "json", "[1]"},
        {"'a\"b'", "json", "\"a\\\"b\""},
        {"null", "json", "null"},
    };
    (void)state;
    expect(rows, countof(rows));
}

#define ZWSP "\xe2\x80\x8b"

static void
test_mentions_never_ping(void **state)
{
    static const struct {
        const char *template, *value, *plain, *slack;
    } rows[] = {
        {"{{v}}", "'<!channel>'", "<" ZWSP "!channel>", "&lt;!channel&gt;"},
        {"{{v}}", "'<@U024BE7LH>'", "<" ZWSP "@U024BE7LH>", "&lt;@U024BE7LH&gt;"},
        {"{{v}}", "'@everyone'", "@" ZWSP "everyone", "@" ZWSP "everyone"},
        {"{{v}}", "'hi @Here!'", "hi @" ZWSP "Here!", "hi @" ZWSP "Here!"},
        {"{{v}}", "'@channel @all'", "@" ZWSP "channel @" ZWSP "all",
         "@" ZWSP "channel @" ZWSP "all"},
        {"{{v}}", "'ann@example.org'", "ann@example.org", "ann@example.org"},
        {"{{v}}", "'a < b > c & d'", "a < b > c & d", "a &lt; b &gt; c &amp; d"},
        {"@{{v}}", "'everyone'", "@" ZWSP "everyone", "@" ZWSP "everyone"},
        {"@{{v}}", "'ann'", "@ann", "@ann"},
        {"<{{v}}|x>", "'!here'", "<" ZWSP "!here|x>", "<" ZWSP "!here|x>"},
        {"<@{{v}}>", "'U1'", "<@U1>", "<@U1>"},
        {"{{v}}everyone", "'@'", "@" ZWSP "everyone", "@" ZWSP "everyone"},
        {"{{v}}one", "'@every'", "@" ZWSP "everyone", "@" ZWSP "everyone"},
        {"{{v}}!here>", "'<'", "<" ZWSP "!here>", "&lt;!here>"},
        {"<!channel> {{v}}", "'x'", "<!channel> x", "<!channel> x"}, /* the author may */
        {"@{{v | slack}}", "'here'", "@" ZWSP "here", "@" ZWSP "here"},
        {"{{v | slack}}", "'<!here>'", "&lt;!here&gt;", "&lt;!here&gt;"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct event e = event_of(event_make_cell(rows[i].value));
        struct template_call call = {.event = &e, .space = rig_space};
        assert_string_equal(rig_render(rows[i].template, &call), rows[i].plain);
        call.escape = TEMPLATE_LINE;
        assert_string_equal(rig_render(rows[i].template, &call), rows[i].plain);
        call.escape = TEMPLATE_SLACK;
        assert_string_equal(rig_render(rows[i].template, &call), rows[i].slack);
    }
}

static void
test_each_destination_escapes(void **state)
{
    static const struct {
        enum template_escape escape;
        const char *filters, *text;
    } rows[] = {
        {TEMPLATE_PLAIN, "trim", "<b a=\"'&'\">\n[0m" E_ACUTE " %/\\\t?"},
        {TEMPLATE_LINE, "trim", "<b a=\"'&'\"> [0m" E_ACUTE " %/\\ ?"},
        {TEMPLATE_DATA, "trim", "<b a=\"'&'\">[0m" E_ACUTE " %/\\?"},
        {TEMPLATE_JSON, "trim", "<b a=\\\"'&'\\\">\\n\\u001b[0m" E_ACUTE " %/\\\\\\t?"},
        {TEMPLATE_HTML, "trim", "&lt;b a=&quot;&#39;&amp;&#39;&quot;&gt;\n[0m" E_ACUTE " %/\\\t?"},
        {TEMPLATE_SLACK, "trim", "&lt;b a=\"'&amp;'\"&gt;\n[0m" E_ACUTE " %/\\\t?"},
        {TEMPLATE_URL, "trim", "%3Cb%20a%3D%22%27%26%27%22%3E%0A%1B%5B0m%C3%A9%20%25%2F%5C%09%3F"},
        /* What a filter made is not made again, */
        {TEMPLATE_HTML, "html", "&lt;b a=&quot;&#39;&amp;&#39;&quot;&gt;\n[0m" E_ACUTE " %/\\\t?"},
        {TEMPLATE_SLACK, "slack", "&lt;b a=\"'&amp;'\"&gt;\n[0m" E_ACUTE " %/\\\t?"},
        {TEMPLATE_URL, "url", "%3Cb%20a%3D%22%27%26%27%22%3E%0A%1B%5B0m%C3%A9%20%25%2F%5C%09%3F"},
        {TEMPLATE_JSON, "json", "\"<b a=\\\"'&'\\\">\\n\\u001b[0m" E_ACUTE " %/\\\\\\t?\""},
        {TEMPLATE_DATA, "json", "\"<b a=\\\"'&'\\\">\\n\\u001b[0m" E_ACUTE " %/\\\\\\t?\""},
        /* but in another place it is a value as any other. */
        {TEMPLATE_HTML, "truncate(4) | slack", "&amp;lt;b " ELLIPSIS},
        {TEMPLATE_JSON, "truncate(4) | slack | json", "\"&lt;b " ELLIPSIS "\""},
        {TEMPLATE_HTML, "truncate(4) | json", "&quot;&lt;b " ELLIPSIS "&quot;"},
    };
    struct cell cell = {.kind = CELL_TEXT,
                        .text = slice_literal("<b a=\"'&'\">\n\x1b[0m" E_ACUTE " %/\\\t?")};
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char text[100];
        struct event e = event_of(cell);
        struct template_call call = {.event = &e, .escape = rows[i].escape, .space = rig_space};
        snprintf(text, sizeof(text), "{{v | %s}}", rows[i].filters);
        assert_string_equal(rig_render(text, &call), rows[i].text);
    }
}

static void
test_numbers_are_escaped_too(void **state)
{
    (void)state;
    assert_string_equal(filtered("1e21", "trim", TEMPLATE_URL), "1e21");
    assert_string_equal(filtered("x'0a'", "trim", TEMPLATE_URL), "0a");
    assert_string_equal(filtered("-12", "default('')", TEMPLATE_JSON), "-12");
}

static void
test_filters_in_a_row_do_not_disturb_each_other(void **state)
{
    static const struct row_of_filter rows[] = {
        {"'a,b'", "upper | replace(',', ';') | lower | trim | truncate(9) | default(c) | upper",
         "A;B"},
        {"null", "default(event.id) | upper", "SHOP:1:17"},
        {"'x'", "replace('x', event.id) | replace('shop', key) | upper", "X:1:17"},
        {"'x'", "replace('x', event.ts) | truncate(10, event.op)", "2026insert"},
        {"[\"a\"]", "join(event.id) | upper | money('EUR') | replace('A', event.lsn)", "0"},
    };
    (void)state;
    expect(rows, countof(rows));
}

static void
test_results_are_bounded(void **state)
{
    char *big = malloc(200001);
    memset(big, 'a', 200000);
    big[200000] = '\0';
    struct event e = event_of((struct cell){.kind = CELL_TEXT, .text = slice_of(big)});
    struct template_call call = {.event = &e, .space = rig_space};
    (void)state;
    const char *text = rig_render("{{v | replace('a', v) | truncate(3)}}", &call);
    assert_non_null(strstr(text, "!a.lua:3: a value is larger"));
    text = rig_render(
        "{{v | replace('a','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')|replace('a','aa') | upper | "
        "lower "
        "| upper | lower | upper | truncate(3)}}",
        &call);
    assert_non_null(strstr(text, "!a.lua:3: more work than a template may make"));
    free(big);
}

static int
start(void **state)
{
    single = event_make_schema("shop", "main", "t", "v:any:key", "c:any");
    return rig_start(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_truncate_tears_no_character),
        cmocka_unit_test(test_numbers_are_exact),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_mentions_never_ping),
        cmocka_unit_test(test_each_destination_escapes),
        cmocka_unit_test(test_numbers_are_escaped_too),
        cmocka_unit_test(test_filters_in_a_row_do_not_disturb_each_other),
        cmocka_unit_test(test_results_are_bounded),
    };
    return cmocka_run_group_tests(tests, start, rig_stop);
}
