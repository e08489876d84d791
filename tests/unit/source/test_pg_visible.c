#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "source/postgres/visible.h"

static void
test_snapshots(void **state)
{
    static const struct {
        const char *snapshot;
        uint32_t xid;
        int held;
    } rows[] = {
        {"750:750:", 749, 0},
        {"750:750:", 750, 1}, /* began after the newest that ended */
        {"750:750:", 751, 1},
        {"740:750:740,745", 740, 1},
        {"740:750:740,745", 745, 1},
        {"740:750:740,745", 744, 0},
        {"740:750:740,745", 3, 0},
        {"4294967300:4294967310:4294967300,4294967305", 4, 1}, /* the next epoch */
        {"4294967300:4294967310:4294967300,4294967305", 5, 0},
        {"4294967300:4294967310:4294967300,4294967305", 14, 1},
        {"4294967300:4294967310:4294967300", 4294967295u, 0},
        {"4294967290:4294967299:4294967290", 4294967290u, 1},
        {"", 1, -1},
        {"1", 1, -1},
        {"1:", 1, -1},
        {"1:2", 1, 0},
        {"1:2:x", 1, -1},
        {"a:b:c", 1, -1},
        {"1:2:1;2", 1, -1},
        {"-1:2:", 1, -1},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++)
        if (pg_snapshot_holds(rows[i].snapshot, rows[i].xid) != rows[i].held)
            fail_msg("%s, %u", rows[i].snapshot, (unsigned)rows[i].xid);
}

static void
test_no_question_without_transaction(void **state)
{
    struct pg_session closed = {0};
    struct error err = {0};
    (void)state;
    assert_int_equal(pg_visible_wait(&closed, 0, &err), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_no_question_without_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
