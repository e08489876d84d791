/* A break in the chain of a row's images is noticed, and nothing else is. */
#include "source/sqlite/chain.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct column columns[] = {{.name = {"id", 2}, .key = 1}, {.name = {"v", 1}}};
static const uint16_t key[] = {0};
static const struct schema keyed = {
    .number = 7, .columns = columns, .column_count = 2, .key = key, .key_count = 1};
static const struct schema keyless = {.number = 8, .columns = columns, .column_count = 2};

/* An event with these values; -1: no such image. Floats and ints of one value are different. */
static bool
follow(struct chain *chain, const struct schema *schema, int64_t before[2], int64_t after[2])
{
    struct cell cells[2][2];
    struct event e = {.schema = schema,
                      .op = before && after ? EVENT_UPDATE
                            : after         ? EVENT_INSERT
                                            : EVENT_DELETE};
    int64_t *values[2] = {[EVENT_NEW] = after, [EVENT_OLD] = before};
    for (int image = 0; image < 2; image++) {
        for (int i = 0; values[image] && i < 2; i++)
            cells[image][i] = (struct cell){.kind = CELL_INT, .integer = values[image][i]};
        e.rows[image] = (struct row){values[image] != NULL, 2, cells[image]};
    }
    return chain_follow(chain, &e);
}

#define ROW(...) ((int64_t[2]){__VA_ARGS__})

static void
test_whole_chain(void **state)
{
    struct chain *chain = memory_zero(sizeof *chain);
    (void)state;
    assert_true(follow(chain, &keyed, NULL, ROW(1, 1)));
    assert_true(follow(chain, &keyed, ROW(1, 1), ROW(1, 2)));
    assert_true(follow(chain, &keyed, ROW(1, 2), ROW(2, 2)));
    assert_true(follow(chain, &keyed, NULL, ROW(1, 9)));
    assert_true(follow(chain, &keyed, ROW(2, 2), NULL));
    assert_true(follow(chain, &keyed, NULL, ROW(2, 5)));
    /* Not seen before: nothing is known. */
    assert_true(follow(chain, &keyed, ROW(50, 3), ROW(50, 4)));
    free(chain);
}

static void
test_breaks(void **state)
{
    struct chain *chain = memory_zero(sizeof *chain);
    (void)state;
    assert_true(follow(chain, &keyed, NULL, ROW(1, 1)));
    assert_false(follow(chain, &keyed, ROW(1, 7), ROW(1, 8)));
    assert_true(follow(chain, &keyed, ROW(1, 8), NULL));
    assert_false(follow(chain, &keyed, ROW(1, 8), NULL));
    assert_true(follow(chain, &keyed, NULL, ROW(1, 1)));
    assert_false(follow(chain, &keyed, NULL, ROW(1, 2)));
    free(chain);
}

static void
test_without_key(void **state)
{
    struct chain *chain = memory_zero(sizeof *chain);
    (void)state;
    assert_true(follow(chain, &keyless, NULL, ROW(1, 1)));
    assert_true(follow(chain, &keyless, NULL, ROW(1, 1)));
    assert_true(follow(chain, &keyless, ROW(1, 3), ROW(1, 1)));
    free(chain);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole_chain),
                                       cmocka_unit_test(test_breaks),
                                       cmocka_unit_test(test_without_key)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
