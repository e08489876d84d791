#include "base/base.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
slices_compare_bytewise(void **state)
{
    static const struct {
        struct slice a, b;
        int order;
    } rows[] = {
        {slice_literal(""), slice_literal(""), 0},
        {{NULL, 0}, slice_literal(""), 0},
        {slice_literal("a"), slice_literal("b"), -1},
        {slice_literal("a"), slice_literal("ab"), -1},
        {slice_literal("ab"), slice_literal("a"), 1},
        {slice_literal("\xff"), slice_literal("a"), 1},
        {slice_literal("a\0b"), slice_literal("a\0c"), -1},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        int order = slice_compare(rows[i].a, rows[i].b);
        assert_int_equal((order > 0) - (order < 0), rows[i].order);
        assert_int_equal(slice_equal(rows[i].a, rows[i].b), rows[i].order == 0);
    }
    assert_true(slice_is(slice_literal("text"), "text"));
    assert_false(slice_is(slice_literal("text"), "tex"));
    assert_int_equal(slice_of(NULL).size, 0);
    assert_null(slice_end((struct slice){NULL, 0}));
}

static void
memory_is_never_null(void **state)
{
    char *text = memory_slice(slice_literal("a\0b"));
    char *empty = memory_slice((struct slice){NULL, 0});
    char *zero = memory_zero(16);
    (void)state;
    assert_memory_equal(text, "a\0b", 4);
    assert_string_equal(empty, "");
    for (int i = 0; i < 16; i++)
        assert_int_equal(zero[i], 0);
    zero = memory_grow(zero, 0);
    assert_non_null(zero);
    free(text);
    free(empty);
    free(zero);
    text = memory_alloc(0);
    assert_non_null(text);
    free(text);
}

static void
bugs_end_the_process_with_their_place(void **state)
{
    char said[4096];
    int ends[2], status;
    size_t size = 0;
    ssize_t got;
    pid_t child;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        ensure(1 + 1 == 3);
        _exit(0);
    }
    close(ends[1]);
    while (size < sizeof(said) - 1 &&
           (got = read(ends[0], said + size, sizeof(said) - 1 - size)) > 0)
        size += (size_t)got;
    said[size] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(said, "test_memory.c"));
    assert_non_null(strstr(said, "1 + 1 == 3 does not hold"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare_bytewise),
        cmocka_unit_test(memory_is_never_null),
        cmocka_unit_test(bugs_end_the_process_with_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
