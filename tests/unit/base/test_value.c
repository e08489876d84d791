#include "base/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct value items[] = {
    {.kind = VALUE_TEXT, .text = slice_literal("x")},
    {.kind = VALUE_CALL, .text = slice_literal("gt"), .count = 0},
};

static struct value_pair pairs[] = {
    {slice_literal("text"), {.kind = VALUE_TEXT, .text = slice_literal("hello")}},
    {slice_literal("int"), {.kind = VALUE_INT, .integer = -5}},
    {slice_literal("yes"), {.kind = VALUE_BOOL, .boolean = true}},
    {slice_literal("list"), {.kind = VALUE_LIST, .count = countof(items), .items = items}},
};

static const struct value map = {.kind = VALUE_MAP, .count = countof(pairs), .pairs = pairs};

static void
keys_are_found_by_name_and_kind(void **state)
{
    const struct value no_map = {.kind = VALUE_LIST, .count = countof(items), .items = items};
    (void)state;
    assert_string_equal(value_text(&map, "text", "no"), "hello");
    assert_string_equal(value_text(&map, "int", "no"), "no");
    assert_null(value_text(&map, "absent", NULL));
    assert_true(value_int(&map, "int", 7) == -5);
    assert_true(value_int(&map, "text", 7) == 7);
    assert_true(value_bool(&map, "yes", false));
    assert_true(value_bool(&map, "absent", true));
    assert_null(value_get(&map, "tex"));
    assert_null(value_get(NULL, "text"));
    assert_null(value_get(&no_map, "text"));
}

static void
copies_share_nothing(void **state)
{
    struct arena a;
    struct value copy;
    const struct value *list;
    (void)state;
    arena_init(&a, 0);
    copy = value_copy(&map, &a);
    assert_int_equal(copy.count, map.count);
    assert_ptr_not_equal(copy.pairs, map.pairs);
    assert_string_equal(value_text(&copy, "text", NULL), "hello");
    assert_ptr_not_equal(value_text(&copy, "text", NULL), value_text(&map, "text", NULL));
    list = value_get(&copy, "list");
    assert_non_null(list);
    assert_int_equal(list->count, 2);
    assert_string_equal(list->items[0].text.data, "x");
    assert_string_equal(list->items[1].text.data, "gt");
    arena_release(&a);
}

static void
each_kind_has_a_name(void **state)
{
    (void)state;
    for (int kind = VALUE_NIL; kind <= VALUE_SECRET; kind++)
        assert_true(strlen(value_kind_name((enum value_kind)kind)) > 2);
    assert_string_equal(value_kind_name(VALUE_TEXT), "text");
    assert_string_equal(value_kind_name(VALUE_LIST), "list");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_by_name_and_kind),
        cmocka_unit_test(copies_share_nothing),
        cmocka_unit_test(each_kind_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
