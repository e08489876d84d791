/* Lists for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/json.h"
#include "cli/columns.h"

static const struct cli_column columns[] = {{"name", "NAME"}, {"n", "N"}, {"note", "NOTE"}};

/* The list of these rows as it is printed to a file; the caller frees it. */
static char *
printed(const char *const *rows)
{
    struct columns t;
    struct arena arena;
    char *text;
    size_t size;
    FILE *out = tmpfile();
    assert_non_null(out);
    arena_init(&arena, 0);
    columns_init(&t, columns, countof(columns));
    for (; *rows; rows++) {
        struct value row;
        struct error err = {0};
        assert_int_equal(json_parse(slice_of(*rows), &arena, &row, &err), 0);
        columns_add(&t, &row);
    }
    columns_print(&t, out);
    columns_release(&t);
    arena_release(&arena);
    size = (size_t)ftell(out);
    rewind(out);
    text = memory_zero(size + 1);
    assert_int_equal(fread(text, 1, size, out), size);
    fclose(out);
    return text;
}

static void
columns_are_as_wide_as_what_is_in_them(void **state)
{
    static const struct {
        const char *const rows[4];
        const char *text;
    } rows[] = {
        {{NULL}, ""},
        {{"{\"name\":\"a\",\"n\":1,\"note\":\"x\"}"}, "NAME  N  NOTE\na     1  x\n"},
        {{"{\"name\":\"longer\",\"n\":1}", "{\"name\":\"b\",\"n\":1000,\"note\":null}"},
         "NAME       N  NOTE\nlonger     1  \nb       1000  \n"},
        {{"{\"name\":\"tëxt\",\"n\":\"1\",\"note\":true}"}, "NAME  N  NOTE\ntëxt  1  yes\n"},
        {{"{\"name\":[1,2],\"n\":{\"a\":1},\"note\":1.5}"},
         "NAME   N        NOTE\n[1,2]  {\"a\":1}  1.5\n"},
        {{"{}"}, "NAME  N  NOTE\n         \n"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char *text = printed(rows[i].rows);
        if (strcmp(text, rows[i].text) != 0)
            fail_msg("row %zu: [%s]", i, text);
        free(text);
    }
}

/* What a database holds must not move the cursor or paint the terminal. */
static void
values_cannot_reach_the_terminal(void **state)
{
    static const char *const rows[] = {
        "{\"name\":\"\\u001b[31mred\\u0007\\r\\n\\u0000\\u009b2J\",\"n\":1,\"note\":\"\"}", NULL};
    (void)state;
    char *text = printed(rows);
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 32 && *p != '\n')
            fail_msg("%02x in [%s]", *p, text);
    size_t lines = 0;
    for (const char *p = text; (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 2);
    assert_null(strstr(text, "\xc2\x9b"));
    free(text);
}

static void
a_long_value_is_cut_at_a_character(void **state)
{
    struct arena arena;
    char *huge = memory_zero(100001);
    (void)state;
    for (size_t i = 0; i < 100000; i += 2)
        memcpy(huge + i, "ä", 2);
    struct value v = {.kind = VALUE_TEXT, .text = slice_of(huge)};
    arena_init(&arena, 0);
    const char *cell = columns_text(&arena, &v);
    assert_true(strlen(cell) < 4096);
    assert_int_equal(strlen(cell) % 2, 0);
    assert_string_equal(columns_text(&arena, NULL), "");
    arena_release(&arena);
    free(huge);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_what_is_in_them),
        cmocka_unit_test(values_cannot_reach_the_terminal),
        cmocka_unit_test(a_long_value_is_cut_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
