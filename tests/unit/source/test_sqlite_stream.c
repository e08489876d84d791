/* From a writer's commit to events in a sink: order, images, names, positions, restarts. */
#include "support/sqlite_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static void
test_insert_update_delete(void **state)
{
    (void)state;
    struct sqlite_fixture f;
    sqlite_fixture_open(&f, "wal");
    sqlite_fixture_exec(&f,
                        "CREATE TABLE orders(id INTEGER PRIMARY KEY, status TEXT, amount REAL)");
    sqlite_fixture_start(&f);
    sqlite_fixture_exec(&f, "INSERT INTO orders VALUES (7, 'new', 2)");
    sqlite_fixture_exec(&f, "UPDATE orders SET status = 'NEW'");
    sqlite_fixture_exec(&f, "DELETE FROM orders");
    puts(sqlite_fixture_wait(&f, 1));
    puts(sqlite_fixture_wait(&f, 2));
    puts(sqlite_fixture_wait(&f, 3));
    sqlite_fixture_close(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_insert_update_delete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
