#include "base/option.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct retry {
    int64_t max;
    int64_t first;
};

struct target {
    bool quiet;
    int64_t port;
    int64_t timeout;
    int64_t limit;
    const char *url;
    const char *token;
    int format;
    struct option_list tables;
    const struct value *headers;
    struct retry retry;
};

static const char *const formats[] = {"json", "text", "debezium", NULL};

static const struct option retry_rows[] = {
    {.name = "max",
     .kind = OPTION_INT,
     .offset = offsetof(struct retry, max),
     .fallback = "5",
     .max = 100,
     .help = "attempts"},
    {.name = "first",
     .kind = OPTION_DURATION,
     .offset = offsetof(struct retry, first),
     .flags = OPTION_REQUIRED,
     .help = "first wait"},
};

static const struct option rows[] = {
    {.name = "url",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct target, url),
     .flags = OPTION_REQUIRED,
     .help = "where to send"},
    {.name = "quiet", .kind = OPTION_BOOL, .offset = offsetof(struct target, quiet)},
    {.name = "port",
     .kind = OPTION_INT,
     .offset = offsetof(struct target, port),
     .fallback = "8080",
     .min = 1,
     .max = 65535},
    {.name = "timeout",
     .kind = OPTION_DURATION,
     .offset = offsetof(struct target, timeout),
     .fallback = "30s",
     .min = 1000000,
     .max = INT64_C(3600000000)},
    {.name = "limit",
     .kind = OPTION_SIZE,
     .offset = offsetof(struct target, limit),
     .fallback = "1MiB",
     .min = 1024,
     .max = INT64_MAX},
    {.name = "token",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct target, token),
     .flags = OPTION_SECRET_OK},
    {.name = "format",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct target, format),
     .choices = formats,
     .fallback = "text"},
    {.name = "tables",
     .kind = OPTION_LIST,
     .offset = offsetof(struct target, tables),
     .fallback = "*"},
    {.name = "headers", .kind = OPTION_MAP, .offset = offsetof(struct target, headers)},
    {.name = "retry",
     .kind = OPTION_GROUP,
     .offset = offsetof(struct target, retry),
     .rows = retry_rows,
     .row_count = countof(retry_rows)},
    {.name = "rate", .kind = OPTION_INT, .offset = SIZE_MAX / 2, .flags = OPTION_LATER},
};

#define text(literal)                                                                              \
    {                                                                                              \
        .kind = VALUE_TEXT, .text = { literal, sizeof(literal) - 1 }                               \
    }
#define integer(number)                                                                            \
    {                                                                                              \
        .kind = VALUE_INT, .integer = (number)                                                     \
    }
#define map_of(array)                                                                              \
    {                                                                                              \
        .kind = VALUE_MAP, .count = countof(array), .pairs = (array)                               \
    }
#define pair(name, ...)                                                                            \
    {                                                                                              \
        {name, sizeof(name) - 1}, __VA_ARGS__                                                      \
    }

static int
setup(void **state)
{
    static struct arena arena;
    arena_init(&arena, 0);
    *state = &arena;
    return 0;
}

static int
teardown(void **state)
{
    arena_release(*state);
    return 0;
}

static void
given_values_are_stored(void **state)
{
    static struct value names[] = {text("public.a"), text("public.b")};
    static struct value_pair headers[] = {pair("X-Key", text("v"))};
    static struct value_pair retry[] = {pair("max", integer(7)), pair("first", text("2s"))};
    static struct value_pair pairs[] = {
        pair("url", text("http://x")),
        pair("quiet", {.kind = VALUE_BOOL, .boolean = true}),
        pair("port", integer(9)),
        pair("timeout", text("5m")),
        pair("limit", integer(4096)),
        pair("format", text("debezium")),
        pair("tables", {.kind = VALUE_LIST, .count = 2, .items = names}),
        pair("headers", map_of(headers)),
        pair("retry", map_of(retry)),
        pair("token", {.kind = VALUE_NIL}),
        pair("type", text("http")),
    };
    static const struct value map = map_of(pairs);
    static const char *const skip[] = {"type", NULL};
    struct target t;
    struct error err = {0};
    memset(&t, 0xaa, sizeof(t));
    if (option_apply(rows, countof(rows), &map, &t, skip, *state, "channel \"ops\"", &err) != 0)
        fail_msg("%s", err.message);
    assert_string_equal(t.url, "http://x");
    assert_ptr_not_equal(t.url, pairs[0].value.text.data);
    assert_true(t.quiet);
    assert_true(t.port == 9 && t.timeout == 300000000 && t.limit == 4096 && t.format == 2);
    assert_int_equal(t.tables.count, 2);
    assert_string_equal(t.tables.items[1], "public.b");
    assert_string_equal(value_text(t.headers, "X-Key", NULL), "v");
    assert_true(t.retry.max == 7 && t.retry.first == 2000000);
    assert_null(t.token);
}

/* Also the test of all defaults: a bad one would be an error here. */
static void
absent_values_take_their_defaults(void **state)
{
    static struct value_pair pairs[] = {pair("url", text("u"))};
    static const struct value map = map_of(pairs);
    struct target t;
    struct error err = {0};
    memset(&t, 0xaa, sizeof(t));
    if (option_apply(rows, countof(rows), &map, &t, NULL, *state, "x", &err) != 0)
        fail_msg("%s", err.message);
    assert_false(t.quiet);
    assert_true(t.port == 8080 && t.timeout == 30000000 && t.limit == 1 << 20 && t.format == 1);
    assert_null(t.token);
    assert_null(t.headers);
    assert_int_equal(t.tables.count, 1);
    assert_string_equal(t.tables.items[0], "*");
    assert_true(t.retry.max == 5 && t.retry.first == 0); /* not required in an absent group */
}

static void
a_bad_default_is_an_error(void **state)
{
    static const struct option bad[] = {
        {.name = "wait", .kind = OPTION_DURATION, .fallback = "5x"}};
    int64_t wait;
    struct error err = {0};
    assert_int_equal(option_apply(bad, 1, NULL, &wait, NULL, *state, "x", &err), -1);
    assert_non_null(strstr(err.message, "wait: \"5x\" is not a duration"));
}

static void
texts_stand_for_every_kind(void **state)
{
    static struct value_pair pairs[] = {
        pair("url", text("")),       pair("quiet", text("true")), pair("port", text("443")),
        pair("limit", text("2KiB")), pair("tables", text("a.b")), pair("timeout", text("1h")),
    };
    static const struct value map = map_of(pairs);
    struct target t;
    struct error err = {0};
    if (option_apply(rows, countof(rows), &map, &t, NULL, *state, "x", &err) != 0)
        fail_msg("%s", err.message);
    assert_string_equal(t.url, "");
    assert_true(t.quiet && t.port == 443 && t.limit == 2048);
    assert_int_equal(t.tables.count, 1);
    assert_string_equal(t.tables.items[0], "a.b");
}

static struct value mixed_items[] = {text("a"), integer(1)};
static struct value_pair bad_retry[] = {pair("max", integer(101))};
static struct value_pair unknown_retry[] = {pair("maxx", integer(1))};
static struct value_pair short_retry[] = {pair("max", integer(1))};

static void
errors_say_what_where_and_how_to_mend(void **state)
{
    static const struct {
        const char *key;
        struct value value;
        enum error_class class;
        const char *message;
    } cases[] = {
        {"urll", text("u"), ERROR_CONFIG, "unknown option \"urll\" — did you mean \"url\"?"},
        {"completely", text("u"), ERROR_CONFIG, "unknown option \"completely\""},
        {"timeout", text("5x"), ERROR_CONFIG,
         "timeout: \"5x\" is not a duration; write it as \"30s\" or \"5m\""},
        {"timeout", integer(5), ERROR_CONFIG,
         "timeout: a whole number is not a duration; write it as \"30s\" or \"5m\""},
        {"timeout", text("1ms"), ERROR_CONFIG, "timeout: 1 ms is not between 1 s and 1 h"},
        {"timeout", integer(0), ERROR_CONFIG, "timeout: 0 us is not between 1 s and 1 h"},
        {"limit", text("1B"), ERROR_CONFIG, "limit: 1 B is too small; at least 1.0 KiB is needed"},
        {"limit", integer(-1), ERROR_CONFIG,
         "limit: a whole number is not a size; write it as \"64KiB\" or \"10MB\""},
        {"limit", text("10 MB"), ERROR_CONFIG,
         "limit: \"10 MB\" is not a size; write it as \"64KiB\" or \"10MB\""},
        {"port", integer(0), ERROR_CONFIG, "port: 0 is not between 1 and 65535"},
        {"port", integer(65536), ERROR_CONFIG, "port: 65536 is not between 1 and 65535"},
        {"port", text("80a"), ERROR_CONFIG,
         "port: \"80a\" is not a whole number; write it as a number such as 5"},
        {"port", text("9223372036854775808"), ERROR_CONFIG,
         "port: \"9223372036854775808\" is not a whole number; write it as a number such as 5"},
        {"port",
         {.kind = VALUE_FLOAT, .real = 1.5},
         ERROR_CONFIG,
         "port: a number is not a whole number; write it as a number such as 5"},
        {"quiet", text("yes"), ERROR_CONFIG,
         "quiet: \"yes\" is not a boolean; write it as true or false"},
        {"url",
         {.kind = VALUE_NULL},
         ERROR_CONFIG,
         "url: a null is not a text; write it as a text in quotes"},
        {"url", text("a\0b"), ERROR_CONFIG, "url: "},
        {"url",
         {.kind = VALUE_SECRET, .text = slice_literal("k")},
         ERROR_CONFIG,
         "url: secret() is not accepted here"},
        {"token",
         {.kind = VALUE_SECRET, .text = slice_literal("k")},
         ERROR_REFUSED,
         "token: secret() is not built yet; use env() instead"},
        {"format", text("xml"), ERROR_CONFIG, "format: \"xml\" is not one of json, text, debezium"},
        {"format", text("jsn"), ERROR_CONFIG,
         "format: \"jsn\" is not one of json, text, debezium — did you mean \"json\"?"},
        {"format", integer(1), ERROR_CONFIG,
         "format: a whole number is not a choice; write it as a text in quotes"},
        {"tables",
         {.kind = VALUE_LIST, .count = 2, .items = mixed_items},
         ERROR_CONFIG,
         "tables[2]: a whole number is not a text; write it as a text in quotes"},
        {"headers", text("x"), ERROR_CONFIG,
         "headers: \"x\" is not a map; write it as { key = value }"},
        {"retry", text("x"), ERROR_CONFIG,
         "retry: \"x\" is not a group; write it as { key = value }"},
        {"retry", map_of(bad_retry), ERROR_CONFIG, "retry.max: 101 is not between 0 and 100"},
        {"retry", map_of(unknown_retry), ERROR_CONFIG,
         "unknown option \"retry.maxx\" — did you mean \"retry.max\"?"},
        {"retry", map_of(short_retry), ERROR_CONFIG,
         "option \"retry.first\" is missing: first wait"},
        {"rate", integer(5), ERROR_REFUSED, "option \"rate\" is not built yet; remove it"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct value_pair pairs[] = {pair("url", text("u")),
                                     {slice_of(cases[i].key), cases[i].value}};
        bool only = strcmp(cases[i].key, "url") == 0;
        struct value map = {.kind = VALUE_MAP, .count = only ? 1 : 2, .pairs = pairs + only};
        char expected[1024];
        struct target t;
        struct error err = {0};
        snprintf(expected, sizeof(expected), "channel \"ops\": %s", cases[i].message);
        assert_int_equal(
            option_apply(rows, countof(rows), &map, &t, NULL, *state, "channel \"ops\"", &err), -1);
        if (strncmp(err.message, expected, strlen(expected)) != 0)
            fail_msg("expected: %s\ngiven: %s", expected, err.message);
        assert_int_equal(err.class, cases[i].class);
    }
}

static void
missing_and_double_keys_are_errors(void **state)
{
    static struct value_pair pairs[] = {pair("url", text("u")), pair("url", text("v"))};
    static const struct value twice = map_of(pairs);
    static struct value items[] = {text("u")};
    static const struct value list = {.kind = VALUE_LIST, .count = 1, .items = items};
    static const struct value empty_list = {.kind = VALUE_LIST};
    struct target t;
    struct error err = {0};
    assert_int_equal(option_apply(rows, countof(rows), NULL, &t, NULL, *state, "x", &err), -1);
    assert_string_equal(err.message, "x: option \"url\" is missing: where to send");
    assert_int_equal(option_apply(rows, countof(rows), &twice, &t, NULL, *state, "x", &err), -1);
    assert_string_equal(err.message, "x: option \"url\" is given twice");
    assert_int_equal(option_apply(rows, countof(rows), &list, &t, NULL, *state, "x", &err), -1);
    assert_string_equal(err.message, "x: the options are a list; write them as { key = value }");
    assert_int_equal(option_apply(rows, 0, &empty_list, &t, NULL, *state, "x", &err), 0);
}

static void
unknown_keys_without_a_neighbour_list_the_options(void **state)
{
    static struct value_pair pairs[] = {pair("completely", text("u"))};
    static const struct value map = map_of(pairs);
    struct target t;
    struct error err = {0};
    assert_int_equal(option_apply(rows, countof(rows), &map, &t, NULL, *state, "x", &err), -1);
    assert_string_equal(err.hint, "the options are url, quiet, port, timeout, limit, token, "
                                  "format, tables, headers, retry");
}

static void
long_values_are_shown_shortened(void **state)
{
    char endless[5000];
    struct value_pair pairs[] = {pair("url", {.kind = VALUE_TEXT}),
                                 pair("timeout", {.kind = VALUE_TEXT})};
    const struct value map = map_of(pairs);
    struct target t;
    struct error err = {0};
    memset(endless, '9', sizeof(endless));
    pairs[0].value.text = slice_of("u");
    pairs[1].value.text = (struct slice){endless, sizeof(endless)};
    assert_int_equal(option_apply(rows, countof(rows), &map, &t, NULL, *state, "x", &err), -1);
    assert_non_null(strstr(err.message, "99…\" is not a duration; write it as"));
    assert_true(strlen(err.message) < 200);
}

static void
rows_are_found_and_explained(void **state)
{
    struct buffer out;
    const char *help;
    (void)state;
    assert_ptr_equal(option_find(rows, countof(rows), slice_literal("port")), &rows[2]);
    assert_null(option_find(rows, countof(rows), slice_literal("por")));
    assert_string_equal(option_kind_name(OPTION_DURATION), "duration");
    buffer_init(&out, 1 << 16);
    option_help(rows, countof(rows), &out);
    help = buffer_cstring(&out);
    assert_non_null(strstr(help, "where to send (required)\n"));
    assert_non_null(strstr(help, ": json, text, debezium (default text)\n"));
    assert_non_null(strstr(help, "  retry.max "));
    assert_non_null(strstr(help, "(may be a secret)\n"));
    assert_null(strstr(help, "rate"));
    buffer_release(&out);
}

#define option_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        option_test(given_values_are_stored),
        option_test(absent_values_take_their_defaults),
        option_test(a_bad_default_is_an_error),
        option_test(texts_stand_for_every_kind),
        option_test(errors_say_what_where_and_how_to_mend),
        option_test(missing_and_double_keys_are_errors),
        option_test(unknown_keys_without_a_neighbour_list_the_options),
        option_test(long_values_are_shown_shortened),
        option_test(rows_are_found_and_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
