#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/json.h"

static struct arena arena;
static struct buffer out;

static const char *
written(void)
{
    return buffer_cstring(&out);
}

static void
test_string_escapes(void **state)
{
    static const struct {
        const char *text, *json;
    } rows[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"say \"hi\" \\ / \b\f\n\r\t\x01\x1f",
         "\"say \\\"hi\\\" \\\\ / \\b\\f\\n\\r\\t\\u0001\\u001f\""},
        {"Käse €5 \xf0\x9f\x94\x94", "\"Käse €5 \xf0\x9f\x94\x94\""},
        {"a\xff"
         "b\xc3",
         "\"a\xef\xbf\xbd"
         "b\xef\xbf\xbd\""},
        {"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                 /* overlong */
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* surrogate */
        {"\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"</script>\x7f", "\"</script>\\u007f\""},
        {"\xc2\x80\xc2\x9b\xc2\xa0", "\"\\u0080\\u009b\xc2\xa0\""},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        buffer_reset(&out);
        json_string(&out, slice_of(rows[i].text));
        assert_string_equal(written(), rows[i].json);
    }
    buffer_reset(&out);
    json_string(&out, (struct slice){"a\0b", 3});
    assert_string_equal(written(), "\"a\\u0000b\"");
}

static void
test_numbers_and_base64(void **state)
{
    (void)state;
    buffer_reset(&out);
    buffer_byte(&out, '[');
    json_int(&out, INT64_MIN);
    static const double doubles[] = {0.1, 1, -2.5e-7, 1e21, NAN, INFINITY, -INFINITY, 1.0 / 3};
    for (size_t i = 0; i < countof(doubles); i++) {
        json_comma(&out);
        json_double(&out, doubles[i]);
    }
    assert_string_equal(written(), "[-9223372036854775808,0.1,1.0,-2.5e-7,1e21,\"NaN\","
                                   "\"Infinity\",\"-Infinity\",0.3333333333333333");
    static const char *const base64[] = {"\"\"", "\"Zg==\"", "\"Zm8=\"", "\"Zm9v\"",
                                         "\"Zm9vYg==\""};
    for (size_t i = 0; i < countof(base64); i++) {
        buffer_reset(&out);
        json_base64(&out, (struct slice){"foob", i});
        assert_string_equal(written(), base64[i]);
    }
}

static void
test_keys_and_commas(void **state)
{
    (void)state;
    buffer_reset(&out);
    buffer_byte(&out, '{');
    json_key(&out, "a");
    json_int(&out, 1);
    json_key(&out, "b\"");
    buffer_byte(&out, '[');
    json_comma(&out);
    json_int(&out, 2);
    json_comma(&out);
    json_int(&out, 3);
    buffer_text(&out, "]}");
    assert_string_equal(written(), "{\"a\":1,\"b\\\"\":[2,3]}");
}

/* What both readers must say about a text: its compact form, or NULL for "no JSON". */
static const struct {
    const char *text, *compact;
} texts[] = {
    {"null", "null"},
    {" [ 1 , 2.50 , 1E+05 , -0 ] \n", "[1,2.50,1E+05,-0]"},
    {"{ \"b\" : 1 , \"a\" : { } , \"b\" : [ ] }", "{\"b\":1,\"a\":{},\"b\":[]}"},
    {"123456789012345678901234567890.123456789", "123456789012345678901234567890.123456789"},
    {"\"a\\u00e9\\ud83d\\ude00 \\/ \\n\"", "\"a\\u00e9\\ud83d\\ude00 \\/ \\n\""},
    {"[[[]],[{}],{\"a\":[true,false]}]", "[[[]],[{}],{\"a\":[true,false]}]"},
    {"{\"\":\" spaces  stay \"}", "{\"\":\" spaces  stay \"}"},
    {"\"a\x7f\xc2\x9b\xc2\xa0\"", "\"a\\u007f\\u009b\xc2\xa0\""},
    {"", NULL},
    {" ", NULL},
    {"nul", NULL},
    {"nullx", NULL},
    {"[1,]", NULL},
    {"[,1]", NULL},
    {"[1 2]", NULL},
    {"{\"a\":1,}", NULL},
    {"{\"a\"}", NULL},
    {"{\"a\" 1}", NULL},
    {"{a:1}", NULL},
    {"[1}", NULL},
    {"[1", NULL},
    {"]", NULL},
    {"1 2", NULL},
    {"01", NULL},
    {"-", NULL},
    {"-01", NULL},
    {"+1", NULL},
    {".5", NULL},
    {"5.", NULL},
    {"1e", NULL},
    {"1e+", NULL},
    {"NaN", NULL},
    {"\"a", NULL},
    {"\"\\", NULL},
    {"\"\\x\"", NULL},
    {"\"\\u12g4\"", NULL},
    {"\"\\ud800\"", NULL},
    {"\"\\ud800\\u0041\"", NULL},
    {"\"\\udc00\"", NULL},
    {"\"tab\there\"", NULL},
    {"\"\xff\"", NULL},
    {"\"\xed\xa0\x80\"", NULL},
    {"[1] /* no */", NULL},
    {"\xef\xbb\xbf[]", NULL},
};

static void
test_compact_and_parse_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(texts); i++) {
        struct error err = {0};
        struct value value;
        buffer_reset(&out);
        int compact = json_compact(slice_of(texts[i].text), &out, &err);
        int parse = json_parse(slice_of(texts[i].text), &arena, &value, &err);
        if (compact != parse || (compact == 0) != (texts[i].compact != NULL))
            fail_msg("%s: compact %d, parse %d", texts[i].text, compact, parse);
        if (compact == 0)
            assert_string_equal(written(), texts[i].compact);
        else
            assert_int_equal(err.class, ERROR_DATA);
    }
}

static void
test_compact_names_the_byte(void **state)
{
    struct error err = {0};
    (void)state;
    buffer_reset(&out);
    assert_int_equal(json_compact(slice_of("{\"a\": tru}"), &out, &err), -1);
    assert_string_equal(err.message, "invalid JSON at byte 6: no JSON value");
}

static void
test_depth_is_bounded(void **state)
{
    static char deep[2 * JSON_DEPTH + 2];
    struct error err = {0};
    struct value value;
    (void)state;
    for (int over = 0; over < 2; over++) {
        size_t levels = (size_t)JSON_DEPTH + (size_t)over;
        memset(deep, '[', levels);
        memset(deep + levels, ']', levels);
        buffer_reset(&out);
        assert_int_equal(json_compact((struct slice){deep, 2 * levels}, &out, &err), -over);
        assert_int_equal(json_parse((struct slice){deep, 2 * levels}, &arena, &value, &err), -over);
        if (over)
            continue;
        buffer_reset(&out);
        json_value(&out, &value);
        assert_false(out.failed);
        assert_int_equal(out.size, 2 * levels);
        struct value outer = {.kind = VALUE_LIST, .count = 1, .items = &value};
        json_value(&out, &outer);
        assert_true(out.failed);
    }
}

static void
test_compact_says_when_the_buffer_is_full(void **state)
{
    struct buffer small;
    struct error err = {0};
    (void)state;
    buffer_init(&small, 4);
    assert_int_equal(json_compact(slice_of("[1,2,3]"), &small, &err), -1);
    assert_int_equal(err.class, ERROR_FULL);
    buffer_release(&small);
}

static void
test_parse_keeps_digits_and_order(void **state)
{
    struct error err = {0};
    struct value v;
    (void)state;
    assert_int_equal(json_parse(slice_of("{\"z\":9223372036854775807,\"a\":9223372036854775808,"
                                         "\"f\":1.0,\"e\":1e2,\"s\":\"x\\u0000y\",\"n\":null,"
                                         "\"b\":true,\"l\":[-5]}"),
                                &arena, &v, &err),
                     0);
    assert_int_equal(v.kind, VALUE_MAP);
    assert_int_equal(v.count, 8);
    assert_true(slice_is(v.pairs[0].key, "z"));
    assert_int_equal(v.pairs[0].value.kind, VALUE_INT);
    assert_true(v.pairs[0].value.integer == INT64_MAX);
    assert_int_equal(v.pairs[1].value.kind, VALUE_DECIMAL);
    assert_string_equal(v.pairs[1].value.text.data, "9223372036854775808");
    assert_int_equal(v.pairs[2].value.kind, VALUE_DECIMAL);
    assert_string_equal(v.pairs[2].value.text.data, "1.0");
    assert_int_equal(v.pairs[3].value.kind, VALUE_DECIMAL);
    assert_int_equal(v.pairs[4].value.text.size, 3);
    assert_int_equal(v.pairs[5].value.kind, VALUE_NULL);
    assert_true(value_bool(&v, "b", false));
    assert_int_equal(value_get(&v, "l")->items[0].integer, -5);
    buffer_reset(&out);
    json_value(&out, &v);
    assert_string_equal(written(),
                        "{\"z\":9223372036854775807,\"a\":9223372036854775808,\"f\":1.0,\"e\":1e2,"
                        "\"s\":\"x\\u0000y\",\"n\":null,\"b\":true,\"l\":[-5]}");
}

static void
test_value_never_shows_a_secret_or_breaks_json(void **state)
{
    struct value five = {.kind = VALUE_INT, .integer = 5};
    struct value items[] = {
        {.kind = VALUE_SECRET, .text = slice_literal("slack")},
        {.kind = VALUE_CALL, .text = slice_literal("gt"), .count = 1, .items = &five},
        {.kind = VALUE_FUNCTION, .integer = 3},
        {.kind = VALUE_NIL},
        {.kind = VALUE_FLOAT, .real = 0.5},
    };
    struct value list = {.kind = VALUE_LIST, .count = countof(items), .items = items};
    struct error err = {0};
    struct value back;
    (void)state;
    buffer_reset(&out);
    json_value(&out, &list);
    assert_string_equal(written(), "[{\"secret\":\"slack\"},{\"call\":\"gt\",\"items\":[5]},"
                                   "{\"function\":true},null,0.5]");
    assert_int_equal(json_parse(buffer_view(&out), &arena, &back, &err), 0);
}

static int
start(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    buffer_init(&out, 1 << 20);
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    arena_release(&arena);
    buffer_release(&out);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_string_escapes),
        cmocka_unit_test(test_numbers_and_base64),
        cmocka_unit_test(test_keys_and_commas),
        cmocka_unit_test(test_compact_and_parse_agree),
        cmocka_unit_test(test_compact_names_the_byte),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_compact_says_when_the_buffer_is_full),
        cmocka_unit_test(test_parse_keeps_digits_and_order),
        cmocka_unit_test(test_value_never_shows_a_secret_or_breaks_json),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
