/* Rows as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "server/row.h"

struct kept {
    struct reply reply;
    char text[4096];
    int answer;
};

static int
keep(struct reply *reply, struct slice json)
{
    struct kept *k = container_of(reply, struct kept, reply);
    snprintf(k->text, sizeof(k->text), "%.*s", (int)json.size, json.data);
    return k->answer;
}

static void
fields_become_json(void **state)
{
    struct kept k = {.reply = {.row = keep}};
    struct row_writer row;
    struct error err = {0}, none = {0};
    (void)state;
    error_set(&err, ERROR_CONFIG, "wrong \"thing\"");
    error_hint(&err, "do\nthis");
    row_begin(&row, &k.reply);
    row_text(&row, "text", "a\"b\n\x01");
    row_text(&row, "none", NULL);
    row_slice(&row, "slice", (struct slice){"cut here", 3});
    row_int(&row, "int", INT64_MIN);
    row_bool(&row, "yes", true);
    row_time(&row, "never", 0);
    row_time(&row, "time", INT64_C(1800000000000001));
    row_error(&row, "no", &none);
    row_error(&row, "nothing", NULL);
    row_error(&row, "error", &err);
    assert_int_equal(row_end(&row), 0);
    assert_string_equal(k.text,
                        "{\"text\":\"a\\\"b\\n\\u0001\",\"none\":null,\"slice\":\"cut\","
                        "\"int\":-9223372036854775808,\"yes\":true,\"never\":null,"
                        "\"time\":\"2027-01-15T08:00:00.000001Z\",\"no\":null,\"nothing\":null,"
                        "\"error\":{\"class\":\"config\",\"message\":\"wrong \\\"thing\\\"\","
                        "\"hint\":\"do\\nthis\",\"exit\":78}}");
}

static void
an_empty_row_is_an_object_and_a_listener_may_leave(void **state)
{
    struct kept k = {.reply = {.row = keep}, .answer = -1};
    struct row_writer row;
    (void)state;
    row_begin(&row, &k.reply);
    assert_int_equal(row_end(&row), -1);
    assert_string_equal(k.text, "{}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_become_json),
        cmocka_unit_test(an_empty_row_is_an_object_and_a_listener_may_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
