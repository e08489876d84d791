/* Names and values become SQL that means them and nothing else. */
#include "source/postgres/quote.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define TEXT(text)                                                                                 \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

struct example {
    struct slice in;
    const char *name, *text;
};

static const struct example examples[] = {
    {TEXT("shop"), "\"shop\"", "'shop'"},
    {TEXT(""), "\"\"", "''"},
    {TEXT("Two Words"), "\"Two Words\"", "'Two Words'"},
    {TEXT("a\"b"), "\"a\"\"b\"", "'a\"b'"},
    {TEXT("it's"), "\"it's\"", "'it''s'"},
    {TEXT("'"), "\"'\"", "''''"},
    {TEXT("\""), "\"\"\"\"", "'\"'"},
    {TEXT("c:\\dir"), "\"c:\\dir\"", "E'c:\\\\dir'"},
    {TEXT("\\'"), "\"\\'\"", "E'\\\\'''"},
    {TEXT("x'); drop table t; --"), "\"x'); drop table t; --\"", "'x''); drop table t; --'"},
    {TEXT("größe"), "\"größe\"", "'größe'"},
    {TEXT("line\nbreak"), "\"line\nbreak\"", "'line\nbreak'"},
    {TEXT("cut\0here"), "\"cuthere\"", "'cuthere'"},
    {{NULL, 0}, "\"\"", "''"},
};

static void
test_examples(void **state)
{
    struct buffer out;
    (void)state;
    buffer_init(&out, 1024);
    for (size_t i = 0; i < countof(examples); i++) {
        pg_quote_name(&out, examples[i].in);
        assert_string_equal(buffer_cstring(&out), examples[i].name);
        buffer_reset(&out);
        pg_quote_text(&out, examples[i].in);
        assert_string_equal(buffer_cstring(&out), examples[i].text);
        buffer_reset(&out);
    }
    buffer_release(&out);
}

static void
test_table(void **state)
{
    struct buffer out;
    (void)state;
    buffer_init(&out, 1024);
    pg_quote_table(&out, slice_literal("my.schema"), slice_literal("or\"ders"));
    assert_string_equal(buffer_cstring(&out), "\"my.schema\".\"or\"\"ders\"");
    buffer_release(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
