/* Retention by age, size and hand, the journal's ceiling, the marks of the disk, the reserve, the
 * WAL. */
#include "rig.h"

#include <sys/stat.h>
#include <unistd.h>

enum { SEGMENT = 64 * 1024 };

static int
setup(void **state)
{
    struct rig *r = memory_zero(sizeof(*r));

    rig_init(r);
    r->options.segment_bytes = SEGMENT;
    *state = r;
    return 0;
}

static int
teardown(void **state)
{
    rig_release(*state);
    free(*state);
    return 0;
}

/* Waits for room as a source does; the number of batches taken before `give` was refused for long.
 */
static unsigned
pump(struct store_producer *p, unsigned from, unsigned count)
{
    unsigned taken = 0;

    for (unsigned n = from; n < from + count; n++, taken++) {
        int64_t end = clock_mono() + CLOCK_SECOND / 2;
        while (!give(p, n, 2, 20000)) {
            if (clock_mono() > end)
                return taken;
            sched_yield();
        }
    }
    return taken;
}

static bool
pressure_is(struct rig *r, enum store_pressure pressure)
{
    struct store_status status;

    store_status(r->store, &status);
    assert_true((status.reason[0] == '\0') == (status.pressure == STORE_OK));
    return status.pressure == pressure;
}

static struct store_producer *
shop(struct rig *r)
{
    return store_producer_open(r->store, "shop", 100000, NULL);
}

static void
consumer(struct rig *r, const char *name)
{
    struct store_consumer c;

    assert_int_equal(store_consumer_open(r->store, name, &c, &r->err), 0);
}

static void
test_size_trims_what_is_read(void **state)
{
    struct rig *r = *state;

    r->options.journal_size = 4 * SEGMENT;
    rig_start(r);
    struct store_producer *p = shop(r);
    assert_int_equal(pump(p, 1, 100), 100);
    store_producer_close(p);
    wake_poke(&r->store->keeper_wake);
    rig_until(journal_bytes(store_journal(r->store)) <= 4 * SEGMENT);
    assert_true(journal_oldest(store_journal(r->store)) > 100);
    assert_int_equal(journal_newest(store_journal(r->store)), 200);
}

static void
test_age_trims_what_is_read(void **state)
{
    struct rig *r = *state;

    r->options.journal_age = 1;
    rig_start(r);
    consumer(r, "main");
    struct store_producer *p = shop(r);
    assert_int_equal(pump(p, 1, 30), 30);
    store_producer_close(p);
    assert_int_equal(journal_oldest(store_journal(r->store)), 1); /* unread: main holds it */
    assert_int_equal(store_consumer_reset(r->store, "main", 60, &r->err), 0);
    wake_poke(&r->store->keeper_wake);
    rig_until(journal_oldest(store_journal(r->store)) > 50);
}

static void
test_ceiling_pauses(void **state)
{
    struct rig *r = *state;
    struct store_status status;
    struct job job = job_make(1);

    r->options.journal_size = 4 * SEGMENT;
    rig_start(r);
    consumer(r, "main");
    struct store_producer *p = shop(r);
    unsigned taken = pump(p, 1, 400);
    assert_true(taken < 100);
    assert_true(pressure_is(r, STORE_JOURNAL_FULL));
    store_status(r->store, &status);
    assert_non_null(strstr(status.reason, "main"));
    assert_int_equal(journal_oldest(store_journal(r->store)), 1);
    assert_true(store_allows_work(r->store)); /* rules must go on, else it stays full */
    assert_int_equal(store_run_now(r->store, &job.work, &r->err), 0);
    uint64_t newest = journal_newest(store_journal(r->store));
    assert_int_equal(store_consumer_reset(r->store, "main", newest, &r->err), 0);
    rig_until(pressure_is(r, STORE_OK));
    assert_int_equal(pump(p, taken + 1, 3), 3);
    store_producer_close(p);
}

static void
test_ceiling_drops_the_oldest(void **state)
{
    struct rig *r = *state;

    r->options.journal_size = 4 * SEGMENT;
    r->options.journal_full = JOURNAL_FULL_DROP_OLDEST;
    rig_start(r);
    consumer(r, "main");
    struct store_producer *p = shop(r);
    assert_int_equal(pump(p, 1, 100), 100);
    wake_poke(&r->store->keeper_wake);
    rig_until(journal_bytes(store_journal(r->store)) <= 4 * SEGMENT);
    assert_true(journal_oldest(store_journal(r->store)) > 100);
    store_producer_close(p);
}

static void
test_trim_by_hand(void **state)
{
    struct rig *r = *state;
    uint64_t oldest = 0;

    rig_start(r);
    consumer(r, "main");
    struct store_producer *p = shop(r);
    assert_int_equal(pump(p, 1, 30), 30);
    store_producer_close(p);
    assert_int_equal(store_consumer_reset(r->store, "main", 20, &r->err), 0);
    assert_int_equal(store_trim(r->store, 50, false, &oldest, &r->err), -1);
    assert_int_equal(r->err.class, ERROR_REFUSED);
    assert_non_null(strstr(r->err.message, "main"));
    assert_true(oldest > 10 && oldest <= 21);
    assert_int_equal(oldest, journal_oldest(store_journal(r->store)));
    assert_int_equal(store_trim(r->store, 15, false, &oldest, &r->err), 0);
    assert_int_equal(store_trim(r->store, 50, true, &oldest, &r->err), 0);
    assert_true(oldest > 40 && oldest <= 50);
}

static void
test_trim_offline(void **state)
{
    struct rig *r = *state;
    uint64_t oldest = 0;

    rig_start(r);
    struct store_producer *p = shop(r);
    assert_int_equal(pump(p, 1, 30), 30);
    store_producer_close(p);
    rig_close(r);
    r->options.offline = true;
    rig_open(r);
    assert_int_equal(store_trim(r->store, 50, false, &oldest, &r->err), 0);
    assert_true(oldest > 40 && oldest <= 50);
}

/* A guard that lets nothing go before it was asked five times. */
struct guard {
    atomic_int asked;
};

static uint64_t
guard_allow(void *context, uint64_t wanted)
{
    struct guard *g = context;

    return atomic_fetch_add(&g->asked, 1) < 5 ? 1 : wanted;
}

static void
test_guard_is_asked_until_it_allows(void **state)
{
    struct rig *r = *state;
    struct guard guard = {0};
    uint64_t oldest = 0;

    rig_open(r);
    store_trim_guard(r->store, (struct store_trim_guard){guard_allow, &guard});
    assert_int_equal(store_start(r->store, &r->err), 0);
    struct store_producer *p = shop(r);
    assert_int_equal(pump(p, 1, 30), 30);
    store_producer_close(p);
    assert_int_equal(guard.asked, 0);
    assert_int_equal(store_trim(r->store, 50, false, &oldest, &r->err), 0);
    assert_true(oldest > 40);
    assert_true(guard.asked > 5);
}

static void
set_mark(struct rig *r, int64_t mark)
{
    atomic_store(&r->store->disk_mark, mark);
    wake_poke(&r->store->keeper_wake);
}

static void
test_marks_of_the_disk(void **state)
{
    struct rig *r = *state;
    struct store_status status;
    struct job small = job_make(1), essential = job_make(2);

    rig_start(r);
    struct wake wake;
    assert_int_equal(wake_init(&wake, &r->err), 0);
    struct store_producer *p = store_producer_open(r->store, "p", 0, &wake);
    store_status(r->store, &status);
    assert_true(status.disk_free > 0);
    int64_t free_bytes = status.disk_free;

    set_mark(r, free_bytes / 2 * 3); /* above what is free, half of it below */
    rig_until(pressure_is(r, STORE_DISK_LOW));
    assert_false(give(p, 1, 1, 100));
    assert_true(store_allows_work(r->store));
    wake_clear(&wake);

    set_mark(r, free_bytes / 4 * 3); /* passed again, but not twice */
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    assert_true(pressure_is(r, STORE_DISK_LOW));

    set_mark(r, free_bytes * 4);
    rig_until(pressure_is(r, STORE_DISK_FULL));
    assert_false(store_allows_work(r->store));
    assert_false(store_give_work(p, &small.work, NULL));
    essential.work.essential = true;
    assert_true(store_give_work(p, &essential.work, NULL));
    rig_until(atomic_load(&essential.done));
    assert_int_equal(store_run_now(r->store, &small.work, &r->err), -1);
    assert_int_equal(r->err.class, ERROR_FULL);

    wake_clear(&wake);
    assert_false(give(p, 1, 1, 100));
    set_mark(r, 1);
    rig_until(pressure_is(r, STORE_OK));
    assert_true(wake_wait(&wake, 10 * CLOCK_SECOND));
    assert_true(give(p, 1, 1, 100));
    store_producer_close(p);
    wake_release(&wake);
}

/* Where nothing may be written, what was trimmed is removed all the same. */
static void
test_trimmed_files_go_below_the_mark(void **state)
{
    struct rig *r = *state;
    struct store_status status;

    rig_start(r);
    struct journal *j = store_journal(r->store);
    struct store_producer *p = shop(r);
    assert_int_equal(pump(p, 1, 100), 100);
    store_producer_close(p);
    store_status(r->store, &status);
    set_mark(r, status.disk_free * 4);
    rig_until(pressure_is(r, STORE_DISK_FULL));
    int64_t before = journal_bytes(j);
    assert_true(journal_trim(j, 150) > 100);
    wake_poke(&r->store->keeper_wake);
    rig_until(journal_bytes(j) < before);
}

static bool
reserve_is_there(struct rig *r)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/reserve", r->folder);
    return access(path, F_OK) == 0;
}

static void
test_reserve_goes_and_comes_back(void **state)
{
    struct rig *r = *state;
    struct error full = {0};

    rig_start(r);
    assert_true(reserve_is_there(r));
    error_set(&full, ERROR_FULL, "no space");
    space_failed(r->store, &full);
    assert_false(store_allows_work(r->store));
    rig_until(!reserve_is_there(r));
    rig_until(store_allows_work(r->store));
    rig_until(reserve_is_there(r));
}

/* Work that writes about 200 KiB. */
static int
heavy_run(struct store_work *work, sqlite3 *db, struct error *err)
{
    (void)work;
    return sql_exec(db,
                    "CREATE TABLE IF NOT EXISTS heavy(data);"
                    "INSERT INTO heavy VALUES(randomblob(200000));"
                    "DELETE FROM heavy WHERE rowid < (SELECT max(rowid) FROM heavy) - 50",
                    err);
}

/* Beside a writer that never rests, the WAL is copied and begun anew. */
static void
test_wal_stays_small(void **state)
{
    enum { JOBS = 1500 }; /* about 300 MB */
    struct rig *r = *state;
    struct job *jobs = memory_zero(JOBS * sizeof(*jobs));
    struct store_status status;
    int64_t largest = 0;

    rig_start(r);
    struct store_producer *p = store_producer_open(r->store, "p", 600000, NULL);
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = job_make(i);
        jobs[i].work.run = heavy_run;
        jobs[i].work.bytes = 200000;
        while (!store_give_work(p, &jobs[i].work, NULL))
            sched_yield();
        store_status(r->store, &status);
        largest = status.wal_bytes > largest ? status.wal_bytes : largest;
    }
    store_producer_close(p);
    free(jobs);
    print_message("largest WAL: %lld MiB\n", (long long)largest >> 20);
    assert_true(largest < 64 << 20);
}

int
main(void)
{
#define row(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        row(test_size_trims_what_is_read),
        row(test_age_trims_what_is_read),
        row(test_ceiling_pauses),
        row(test_ceiling_drops_the_oldest),
        row(test_trim_by_hand),
        row(test_trim_offline),
        row(test_guard_is_asked_until_it_allows),
        row(test_marks_of_the_disk),
        row(test_trimmed_files_go_below_the_mark),
        row(test_reserve_goes_and_comes_back),
        row(test_wal_stays_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
