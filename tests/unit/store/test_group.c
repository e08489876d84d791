/* Groups: the order of database and journal, what happens when either refuses, and units that fail
 * by themselves. */
#include "rig.h"

#include "support/event_make.h"

static int
setup(void **state)
{
    struct rig *r = memory_zero(sizeof(*r));

    rig_init(r);
    *state = r;
    return 0;
}

static int
teardown(void **state)
{
    rig_release(*state);
    free(*state);
    unsetenv("TIDEGATE_FAULT");
    fault_reload();
    return 0;
}

static void
plan_fault(const char *fault)
{
    setenv("TIDEGATE_FAULT", fault, 1);
    fault_reload();
}

/* What the journal had when the unit was done. */
struct witness {
    struct job job;
    struct journal *journal;
    uint64_t newest;
};

static void
witness_done(struct store_work *work, const struct error *err)
{
    struct witness *w = container_of(work, struct witness, job.work);

    w->newest = journal_newest(w->journal);
    job_done(work, err);
}

static void
test_database_first_then_journal(void **state)
{
    struct rig *r = *state;
    struct witness w = {.job = job_make(1)};

    rig_open(r);
    w.job.work.done = witness_done;
    w.journal = store_journal(r->store);
    struct store_producer *p = store_producer_open(r->store, "p", 0, NULL);
    assert_true(give(p, 1, 5, 500));
    assert_true(store_give_work(p, &w.job.work, NULL));
    assert_int_equal(store_start(r->store, &r->err), 0);
    rig_until(store_committed(p) == 2);
    assert_int_equal(w.job.done, 1);
    assert_int_equal(w.newest, 0); /* one group; its block came after its work */
    assert_int_equal(journal_newest(w.journal), 5);
    assert_int_equal(r->store->groups, 1);
    assert_int_equal(r->store->syncs, 2);
    store_producer_close(p);
}

/* The commit is refused once: nothing of the group counts, the journal is not tried, and all of it
 * is committed later. */
static void
test_refused_commit_is_tried_again(void **state)
{
    struct rig *r = *state;
    struct job job = job_make(1);
    struct wake wake;

    plan_fault("store.before_commit:1:error");
    rig_open(r);
    assert_int_equal(wake_init(&wake, &r->err), 0);
    struct store_producer *p = store_producer_open(r->store, "p", 0, &wake);
    assert_true(store_give_work(p, &job.work, NULL));
    assert_true(give(p, 1, 5, 500));
    assert_int_equal(store_start(r->store, &r->err), 0);
    rig_until(store_committed(p) == 2);
    assert_int_equal(job.runs, 2);
    assert_int_equal(job.done, 1);
    assert_int_equal(rig_number(r, "SELECT count(*) FROM t"), 1);
    assert_int_equal(journal_newest(store_journal(r->store)), 5);
    rig_until(store_allows_work(r->store));
    assert_true(wake_wait(&wake, CLOCK_SECOND));
    store_producer_close(p);
    store_stop(r->store);
    wake_release(&wake);
}

/* The sync is refused once: the work is committed and done, its number waits for the block before
 * it. */
static void
test_refused_sync_is_tried_again(void **state)
{
    struct rig *r = *state;
    struct job job = job_make(1);

    plan_fault("journal.before_sync:1:error");
    rig_open(r);
    struct store_producer *p = store_producer_open(r->store, "p", 0, NULL);
    assert_true(give(p, 1, 5, 500));
    assert_true(store_give_work(p, &job.work, NULL));
    assert_int_equal(store_start(r->store, &r->err), 0);
    rig_until(atomic_load(&job.done));
    rig_until(store_committed(p) == 2);
    assert_int_equal(job.runs, 1);
    assert_int_equal(journal_newest(store_journal(r->store)), 5);
    store_producer_close(p);
    rig_close(r);
    rig_open(r);
    assert_int_equal(journal_newest(store_journal(r->store)), 5);
}

static void
test_refused_write_keeps_the_order(void **state)
{
    struct rig *r = *state;
    struct journal_block block;

    plan_fault("journal.mid_group:3:error");
    rig_start(r);
    struct store_producer *p = store_producer_open(r->store, "shop", 0, NULL);
    for (unsigned i = 1; i <= 20; i++)
        assert_true(give(p, i, 2, 900));
    rig_until(store_committed(p) == 20);
    struct journal_reader *reader = journal_reader_open(store_journal(r->store));
    journal_seek(reader, 1);
    for (unsigned i = 1; i <= 20; i++) {
        assert_int_equal(journal_read(reader, &block, &r->err), 1);
        assert_null(batch_differs(&block, "shop", i, 2, 900));
    }
    assert_int_equal(journal_read(reader, &block, &r->err), 0);
    journal_reader_close(reader);
    store_producer_close(p);
}

static void
test_one_poisonous_unit(void **state)
{
    struct rig *r = *state;
    struct job jobs[9];

    rig_open(r);
    struct store_producer *p = store_producer_open(r->store, "p", 0, NULL);
    struct store_producer *shop = store_producer_open(r->store, "shop", 0, NULL);
    for (int i = 0; i < 9; i++) {
        jobs[i] = job_make(i + 1);
        jobs[i].fails = i == 4 ? -1 : i == 2 ? 1 : 0; /* one fails for ever, one only in company */
        assert_true(store_give_work(p, &jobs[i].work, NULL));
    }
    assert_true(give(shop, 1, 5, 500));
    assert_int_equal(store_start(r->store, &r->err), 0);
    rig_until(store_committed(p) == 9 && store_committed(shop) == 1);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(jobs[i].given_up, i == 4);
        assert_int_equal(jobs[i].done, i != 4);
        assert_true(i == 0 || jobs[i].order > jobs[i - 1].order);
    }
    assert_int_equal(rig_number(r, "SELECT count(*) * 100 + sum(number) FROM t"), 800 + 45 - 5);
    assert_int_equal(journal_newest(store_journal(r->store)), 5);
    assert_true(store_allows_work(r->store));
    store_producer_close(p);
    store_producer_close(shop);
}

/* An error of its own class "full" is not the disk's: it must not stop the stream. */
static int
own_ceiling(struct store_work *work, sqlite3 *db, struct error *err)
{
    (void)work;
    (void)db;
    return error_set(err, ERROR_FULL, "a ceiling of its own");
}

static int
ends_transaction(struct store_work *work, sqlite3 *db, struct error *err)
{
    (void)work;
    return sql_exec(db, "COMMIT", err);
}

static void
test_run_now_and_wrong_units(void **state)
{
    struct rig *r = *state;
    struct job good = job_make(1), full = job_make(2), commits = job_make(3);

    full.work.run = own_ceiling;
    commits.work.run = ends_transaction;
    rig_start(r);
    assert_int_equal(store_run_now(r->store, &good.work, &r->err), 0);
    assert_int_equal(store_run_now(r->store, &full.work, &r->err), -1);
    assert_int_equal(r->err.class, ERROR_FULL);
    assert_int_equal(store_run_now(r->store, &commits.work, &r->err), -1);
    assert_int_equal(r->err.class, ERROR_INTERNAL);
    assert_int_equal(good.done + full.given_up + commits.given_up, 3);
    assert_true(store_allows_work(r->store));
}

static void
test_run_now_does_not_wait_for_a_disk(void **state)
{
    struct rig *r = *state;
    struct job job = job_make(1), again = job_make(2);

    plan_fault("store.before_commit:1:error");
    rig_start(r);
    assert_int_equal(store_run_now(r->store, &job.work, &r->err), -1);
    assert_int_equal(r->err.class, ERROR_FULL);
    assert_int_equal(job.given_up, 1);
    rig_until(store_allows_work(r->store));
    assert_int_equal(store_run_now(r->store, &again.work, &r->err), 0);
}

/* A disk that never takes anything: the end comes all the same, and everyone is told. */
static void
test_stop_on_a_dead_disk(void **state)
{
    struct rig *r = *state;
    struct job jobs[3];

    plan_fault("store.before_commit:1:errors");
    rig_start(r);
    struct store_producer *p = store_producer_open(r->store, "p", 0, NULL);
    for (int i = 0; i < 3; i++) {
        jobs[i] = job_make(i);
        assert_true(store_give_work(p, &jobs[i].work, NULL) || i > 0);
    }
    rig_until(!store_allows_work(r->store));
    store_stop(r->store);
    assert_int_equal(jobs[0].given_up, 1);
    assert_int_equal(jobs[0].done, 0);
    store_producer_close(p);
}

static void
test_close_on_a_dead_disk(void **state)
{
    struct rig *r = *state;
    struct job job = job_make(1);

    plan_fault("store.before_commit:1:errors");
    rig_start(r);
    struct store_producer *p = store_producer_open(r->store, "p", 0, NULL);
    assert_true(store_give_work(p, &job.work, NULL));
    rig_until(!store_allows_work(r->store));
    store_producer_close(p);
    assert_int_equal(job.given_up, 1);
}

/* Schemas stand in the database before a block that names them is in the journal. */
static void
test_schemas_of_a_group(void **state)
{
    struct rig *r = *state;
    const struct schema *a = event_make_schema("shop", "main", "a", "id:int:key");
    const struct schema *b = event_make_schema("shop", "main", "b", "id:int:key");
    struct event events[] = {
        event_make(EVENT_INSERT, a, "1", event_make_row("1"), event_make_none()),
        event_make(EVENT_INSERT, b, "2", event_make_row("2"), event_make_none()),
    };
    struct job bad = job_make(1);

    plan_fault("journal.before_sync:1:error");
    bad.fails = -1;
    rig_open(r);
    struct store_producer *p = store_producer_open(r->store, "p", 0, NULL);
    assert_true(store_give_batch(p, event_make_batch("shop", events, 2, "2"), NULL));
    assert_true(store_give_work(p, &bad.work, NULL));
    assert_int_equal(store_start(r->store, &r->err), 0);
    rig_until(atomic_load(&bad.given_up));
    assert_int_equal(rig_number(r, "SELECT count(*) FROM schemas"), 2);
    rig_until(store_committed(p) == 2);
    assert_int_equal(journal_newest(store_journal(r->store)), 2);
    store_producer_close(p);
}

int
main(void)
{
#define row(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        row(test_database_first_then_journal),
        row(test_refused_commit_is_tried_again),
        row(test_refused_sync_is_tried_again),
        row(test_refused_write_keeps_the_order),
        row(test_one_poisonous_unit),
        row(test_run_now_and_wrong_units),
        row(test_run_now_does_not_wait_for_a_disk),
        row(test_stop_on_a_dead_disk),
        row(test_close_on_a_dead_disk),
        row(test_schemas_of_a_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
