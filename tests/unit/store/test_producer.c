/* Queues: bounds, turns, lazy work, wake-ups, closing; and three producers in a ring, which must
 * never come to a stop. */
#include "rig.h"

#include "store/store.h"

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
    return 0;
}

/* A job that keeps the store thread busy until it is let go: what is given meanwhile is one group.
 */
struct gate {
    struct job job;
    atomic_bool entered, open;
};

static int
gate_run(struct store_work *work, sqlite3 *db, struct error *err)
{
    struct gate *g = container_of(work, struct gate, job.work);

    (void)db;
    (void)err;
    atomic_store(&g->entered, true);
    while (!atomic_load(&g->open))
        sched_yield();
    return 0;
}

static void
gate_shut(struct gate *g, struct store_producer *p)
{
    g->job = job_make(0);
    g->job.work.run = gate_run;
    g->entered = g->open = false;
    assert_true(store_give_work(p, &g->job.work, NULL));
    rig_until(atomic_load(&g->entered));
}

static void
test_numbers_rise_and_commit(void **state)
{
    struct rig *r = *state;
    uint64_t unit;
    struct job jobs[3];

    rig_start(r);
    struct store_producer *p = store_producer_open(r->store, "p", 0, NULL);
    for (int i = 0; i < 3; i++) {
        jobs[i] = job_make(i);
        assert_true(store_give_work(p, &jobs[i].work, &unit));
        assert_int_equal(unit, i + 1);
        assert_int_equal(jobs[i].work.unit, i + 1);
    }
    rig_until(store_committed(p) == 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(jobs[i].done, 1);
    store_producer_close(p);
}

static void
test_full_queue_answers_false_and_wakes(void **state)
{
    struct rig *r = *state;
    struct wake wake;
    static struct gate gate;

    rig_start(r);
    assert_int_equal(wake_init(&wake, &r->err), 0);
    struct store_producer *other = store_producer_open(r->store, "other", 0, NULL);
    struct store_producer *p = store_producer_open(r->store, "p", 10000, &wake);
    gate_shut(&gate, other);
    assert_true(give(p, 1, 1, 50000)); /* larger than the queue, but alone */
    assert_false(give(p, 2, 1, 100));
    assert_false(wake_wait(&wake, 0));
    atomic_store(&gate.open, true);
    assert_true(wake_wait(&wake, 10 * CLOCK_SECOND));
    rig_until(store_committed(p) == 1);
    assert_true(give(p, 2, 1, 100));
    store_producer_close(p);
    store_producer_close(other);
    wake_release(&wake);
}

/* How far another producer was when this one's unit was done. */
struct look {
    struct job job;
    struct store_producer *other;
    uint64_t committed;
};

static void
look_done(struct store_work *work, const struct error *err)
{
    struct look *l = container_of(work, struct look, job.work);

    l->committed = store_committed(l->other);
    job_done(work, err);
}

/* A greedy producer's queue is full; another's small unit is in the next group all the same. */
static void
test_producers_are_served_in_turn(void **state)
{
    struct rig *r = *state;
    static struct gate gate;
    struct look small = {.job = job_make(1)};

    rig_start(r);
    struct store_producer *other = store_producer_open(r->store, "other", 0, NULL);
    struct store_producer *greedy = store_producer_open(r->store, "greedy", 0, NULL);
    gate_shut(&gate, other);
    unsigned units = 0;
    while (give(greedy, units + 1, 1, 40000))
        units++;
    assert_true(units > 40);
    small.other = greedy;
    small.job.work.done = look_done;
    assert_true(store_give_work(other, &small.job.work, NULL));
    uint64_t before = r->store->groups;
    atomic_store(&gate.open, true);
    rig_until(atomic_load(&small.job.done));
    assert_true(small.committed <= 11);
    rig_until(store_committed(greedy) == units);
    assert_true(r->store->groups - before >= units / 12);
    store_producer_close(greedy);
    store_producer_close(other);
}

static void
test_a_large_unit_gets_its_group(void **state)
{
    struct rig *r = *state;
    static struct look last;
    static struct gate gate;

    last.job = job_make(1);

    rig_start(r);
    struct store_producer *a = store_producer_open(r->store, "a", 0, NULL);
    struct store_producer *b = store_producer_open(r->store, "b", 0, NULL);
    gate_shut(&gate, a);
    for (unsigned i = 1; i <= 30; i++)
        assert_true(give(a, i, 1, 60000));
    last.other = b;
    last.job.work.done = look_done;
    assert_true(store_give_work(a, &last.job.work, NULL));
    assert_true(give(b, 100, 1, 2 * STORE_GROUP));
    atomic_store(&gate.open, true);
    rig_until(store_committed(b) == 1);
    rig_until(store_committed(a) == 32);
    assert_int_equal(last.committed, 1); /* long before the other's backlog was over */
    store_producer_close(a);
    store_producer_close(b);
}

static void
test_lazy_work_waits_alone_and_rides_along(void **state)
{
    struct rig *r = *state;
    struct job lazy = job_make(1), second = job_make(2), urgent = job_make(3);

    lazy.work.lazy = second.work.lazy = true;
    rig_start(r);
    struct store_producer *p = store_producer_open(r->store, "p", 0, NULL);
    struct store_producer *q = store_producer_open(r->store, "q", 0, NULL);
    int64_t start = clock_mono();
    assert_true(store_give_work(p, &lazy.work, NULL));
    rig_until(atomic_load(&lazy.done));
    int64_t took = clock_mono() - start;
    assert_true(took >= STORE_LAZY);
    assert_true(took < 20 * STORE_LAZY);
    start = clock_mono();
    assert_true(store_give_work(p, &second.work, NULL));
    uint64_t before = r->store->syncs;
    assert_true(store_give_work(q, &urgent.work, NULL));
    rig_until(atomic_load(&second.done) && atomic_load(&urgent.done));
    assert_true(clock_mono() - start < STORE_LAZY || r->store->syncs == before + 1);
    store_producer_close(p);
    store_producer_close(q);
}

static void
test_close_waits_for_the_last_unit(void **state)
{
    struct rig *r = *state;
    struct job jobs[50];

    rig_start(r);
    struct store_producer *p = store_producer_open(r->store, "p", 0, NULL);
    for (int i = 0; i < 50; i++) {
        jobs[i] = job_make(i);
        jobs[i].work.lazy = i % 2;
        assert_true(store_give_work(p, &jobs[i].work, NULL));
    }
    store_producer_close(p);
    for (int i = 0; i < 50; i++)
        assert_int_equal(jobs[i].done, 1);
}

static void
test_stop_commits_what_is_queued(void **state)
{
    struct rig *r = *state;
    struct job jobs[50], late = job_make(99);

    rig_open(r);
    struct store_producer *p = store_producer_open(r->store, "p", 0, NULL);
    for (int i = 0; i < 50; i++) {
        jobs[i] = job_make(i);
        jobs[i].work.lazy = true;
        assert_true(store_give_work(p, &jobs[i].work, NULL));
    }
    assert_true(give(p, 1, 2, 200));
    assert_int_equal(store_start(r->store, &r->err), 0);
    store_stop(r->store);
    for (int i = 0; i < 50; i++)
        assert_int_equal(jobs[i].done, 1);
    assert_int_equal(journal_newest(store_journal(r->store)), 2);
    assert_false(store_give_work(p, &late.work, NULL));
    store_producer_close(p);
}

static void
test_a_store_that_never_ran_gives_up_its_work(void **state)
{
    struct rig *r = *state;
    struct job job = job_make(1);

    rig_open(r);
    struct store_producer *p = store_producer_open(r->store, "p", 0, NULL);
    assert_true(store_give_work(p, &job.work, NULL));
    assert_true(give(p, 1, 2, 200));
    store_producer_close(p);
    assert_int_equal(job.given_up, 1);
}

static void
test_sink(void **state)
{
    struct rig *r = *state;
    uint64_t unit = 0;

    rig_start(r);
    struct store_producer *p = store_producer_open(r->store, "shop", 0, NULL);
    struct source_sink sink = store_sink(p);
    assert_true(sink.give(sink.context, batch_make("shop", 1, 0, 0), &unit)); /* a tick */
    assert_int_equal(unit, 1);
    rig_until(sink.committed(sink.context) == 1);
    assert_int_equal(journal_newest(store_journal(r->store)), 0);
    store_producer_close(p);
}

/* Three threads, each of which works only on what the one before it had committed, through queues
 * so small that they are always full. */
enum { RING = 3, ROUNDS = 2000 };

struct ring_member {
    struct ring_member *before;
    struct store *store;
    struct store_producer *producer;
    struct wake wake;
    struct thread thread;
    struct wake *after;
    bool batches;
};

struct ring_work {
    struct store_work work;
    struct wake *after;
};

static int
ring_run(struct store_work *work, sqlite3 *db, struct error *err)
{
    (void)work;
    return sql_exec(db, "CREATE TABLE IF NOT EXISTS ring(n)", err);
}

static void
ring_done(struct store_work *work, const struct error *err)
{
    struct ring_work *w = container_of(work, struct ring_work, work);

    ensure(!err);
    wake_poke(w->after);
    free(w);
}

static bool
ring_give(struct ring_member *m, unsigned n)
{
    if (m->batches)
        return give(m->producer, n, 1, 700);
    struct ring_work *w = memory_zero(sizeof(*w));
    w->after = m->after;
    w->work =
        (struct store_work){.run = ring_run, .done = ring_done, .bytes = 700, .lazy = n % 97 == 0};
    if (store_give_work(m->producer, &w->work, NULL))
        return true;
    free(w);
    return false;
}

static void
ring_body(void *arg)
{
    struct ring_member *m = arg;

    for (unsigned n = 1; n <= ROUNDS; n++) {
        while (m->before && store_committed(m->before->producer) < n)
            wake_wait(&m->wake, 10000);
        while (!ring_give(m, n))
            wake_wait(&m->wake, 20 * CLOCK_SECOND);
        wake_poke(m->after);
    }
}

static void
test_three_producers_in_a_ring(void **state)
{
    struct rig *r = *state;
    struct ring_member ring[RING] = {0};

    rig_start(r);
    for (int i = 0; i < RING; i++) {
        ring[i].store = r->store;
        ring[i].before = i ? &ring[i - 1] : NULL;
        ring[i].after = &ring[(i + 1) % RING].wake;
        ring[i].batches = i == 0;
        assert_int_equal(wake_init(&ring[i].wake, &r->err), 0);
        ring[i].producer = store_producer_open(r->store, "ring", 2500, &ring[i].wake);
    }
    for (int i = 0; i < RING; i++)
        assert_int_equal(thread_start(&ring[i].thread, "ring", ring_body, &ring[i], &r->err), 0);
    for (int i = 0; i < RING; i++)
        rig_until(store_committed(ring[i].producer) == ROUNDS);
    for (int i = 0; i < RING; i++) {
        thread_join(&ring[i].thread);
        store_producer_close(ring[i].producer);
    }
    store_stop(r->store);
    for (int i = 0; i < RING; i++)
        wake_release(&ring[i].wake);
    assert_int_equal(journal_newest(store_journal(r->store)), ROUNDS);
}

int
main(void)
{
#define row(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        row(test_numbers_rise_and_commit),
        row(test_full_queue_answers_false_and_wakes),
        row(test_producers_are_served_in_turn),
        row(test_a_large_unit_gets_its_group),
        row(test_lazy_work_waits_alone_and_rides_along),
        row(test_close_waits_for_the_last_unit),
        row(test_stop_commits_what_is_queued),
        row(test_a_store_that_never_ran_gives_up_its_work),
        row(test_sink),
        row(test_three_producers_in_a_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
