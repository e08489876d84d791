#include "base/arena.h"

#include <stdalign.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
memory_is_aligned_and_apart(void **state)
{
    static const size_t sizes[] = {0, 1, 7, 16, 33, 100, 5000, 1, 64, 3};
    char *pieces[countof(sizes)];
    struct arena a;
    (void)state;
    arena_init(&a, 64);
    for (size_t i = 0; i < countof(sizes); i++) {
        pieces[i] = arena_alloc(&a, sizes[i]);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        memset(pieces[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < countof(sizes); i++)
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(pieces[i][k], i);
    arena_release(&a);
    assert_non_null(arena_alloc(&a, 10)); /* may be used again */
    arena_release(&a);
}

static void
reset_keeps_the_largest_chunk_only(void **state)
{
    struct arena a;
    char *large;
    (void)state;
    arena_init(&a, 0);
    arena_reset(&a); /* empty: nothing to do */
    arena_alloc(&a, 10);
    large = arena_alloc(&a, 100000);
    arena_alloc(&a, 4096);
    arena_reset(&a);
    assert_ptr_equal(arena_alloc(&a, 50000), large);
    arena_reset(&a);
    assert_ptr_equal(arena_alloc(&a, 100000), large);
    arena_release(&a);
}

static void
copies_are_terminated(void **state)
{
    struct arena a;
    struct slice copy;
    char *zero;
    (void)state;
    arena_init(&a, 32);
    copy = arena_slice(&a, slice_literal("a\0b"));
    assert_int_equal(copy.size, 3);
    assert_memory_equal(copy.data, "a\0b", 4);
    copy = arena_slice(&a, (struct slice){NULL, 0});
    assert_string_equal(copy.data, "");
    assert_string_equal(arena_text(&a, "text"), "text");
    assert_string_equal(arena_text(&a, NULL), "");
    assert_string_equal(arena_printf(&a, "%s %03d", "n", 7), "n 007");
    memset(arena_alloc(&a, 200), 'x', 200);
    arena_reset(&a);
    zero = arena_zero(&a, 200);
    for (int i = 0; i < 200; i++)
        assert_int_equal(zero[i], 0);
    arena_release(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_and_apart),
        cmocka_unit_test(reset_keeps_the_largest_chunk_only),
        cmocka_unit_test(copies_are_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
