#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
callers_add_context_to_what_callees_set(void **state)
{
    struct error err = {0};
    char text[256];
    (void)state;
    assert_int_equal(error_set(&err, ERROR_CONFIG, "port %d is taken", 80), -1);
    assert_int_equal(error_cause(&err, "address in use"), -1);
    assert_int_equal(error_hint(&err, "choose another with --port"), -1);
    assert_int_equal(error_context(&err, "start %s", "shop"), -1);
    assert_int_equal(err.class, ERROR_CONFIG);
    assert_string_equal(err.message, "start shop: port 80 is taken");
    assert_non_null(strstr(err.file, "test_error.c"));
    assert_string_equal(
        error_text(&err, text, sizeof(text)),
        "start shop: port 80 is taken: address in use (choose another with --port)");
    assert_string_equal(error_text(&err, text, 6), "start");
    assert_string_equal(error_text(&err, text, 1), "");
}

static void
a_new_error_forgets_the_old_one(void **state)
{
    struct error err = {0};
    (void)state;
    error_set(&err, ERROR_IO, "first");
    error_cause(&err, "cause");
    error_hint(&err, "hint");
    error_set(&err, ERROR_DATA, "second: %s", err.message);
    assert_string_equal(err.message, "second: first");
    assert_string_equal(err.cause, "");
    assert_string_equal(err.hint, "");
}

static void
nobody_need_listen(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, ERROR_IO, "x"), -1);
    assert_int_equal(error_errno(NULL, ERROR_IO, EIO, "x"), -1);
    assert_int_equal(error_context(NULL, "x"), -1);
    assert_int_equal(error_cause(NULL, "x"), -1);
    assert_int_equal(error_hint(NULL, "x"), -1);
}

static void
a_full_disk_is_a_class_of_its_own(void **state)
{
    static const struct {
        int number;
        enum error_class class;
    } rows[] = {{EIO, ERROR_IO}, {ENOSPC, ERROR_FULL}, {EDQUOT, ERROR_FULL}};
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct error err = {0};
        assert_int_equal(error_errno(&err, ERROR_IO, rows[i].number, "write %s", "f"), -1);
        assert_int_equal(err.class, rows[i].class);
        assert_string_equal(err.message, "write f");
        assert_string_equal(err.cause, strerror(rows[i].number));
    }
}

static void
long_texts_are_cut_at_whole_characters(void **state)
{
    struct error err = {0};
    char text[2001];
    (void)state;
    memset(text, 'a', sizeof(text));
    for (size_t i = 1; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[2000] = '\0';
    error_set(&err, ERROR_DATA, "%s", text);
    /* One `a`, then 511 whole characters of two bytes: all 1023 bytes that fit. */
    assert_int_equal(strlen(err.message), 1023);
    error_set(&err, ERROR_DATA, "x%s", text);
    assert_int_equal(strlen(err.message), 1022);
    error_context(&err, "%s", text);
    assert_int_equal(strlen(err.message), 1023);
}

static void
texts_of_strangers_cannot_drive_a_terminal(void **state)
{
    struct error err = {0};
    char text[128];
    (void)state;
    error_set(&err, ERROR_DATA, "bad\x1b[2J\nname");
    assert_string_equal(error_text(&err, text, sizeof(text)), "bad\\x1b[2J\\nname");
}

static void
each_class_has_a_name_and_an_exit_code(void **state)
{
    static const int codes[] = {0, 64, 65, 66, 69, 70, 71, 74, 74, 74, 75, 77, 78, 69, 65, 64};
    (void)state;
    for (size_t i = 0; i < countof(codes); i++) {
        assert_int_equal(error_exit_code((enum error_class)i), codes[i]);
        assert_true(strlen(error_class_name((enum error_class)i)) > 1);
    }
    assert_string_equal(error_class_name(ERROR_UNREACHABLE), "unreachable");
    assert_string_equal(error_class_name(ERROR_REFUSED), "refused");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callers_add_context_to_what_callees_set),
        cmocka_unit_test(a_new_error_forgets_the_old_one),
        cmocka_unit_test(nobody_need_listen),
        cmocka_unit_test(a_full_disk_is_a_class_of_its_own),
        cmocka_unit_test(long_texts_are_cut_at_whole_characters),
        cmocka_unit_test(texts_of_strangers_cannot_drive_a_terminal),
        cmocka_unit_test(each_class_has_a_name_and_an_exit_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
