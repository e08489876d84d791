/* Consumers: checkpoints, the mirror, who holds trimming. */
#include "rig.h"

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

static void
fill(struct rig *r, unsigned events)
{
    struct store_producer *p = store_producer_open(r->store, "shop", 0, NULL);

    assert_true(give(p, 1, events, events * 10));
    store_producer_close(p);
}

static struct store_consumer
open_consumer(struct rig *r, const char *name)
{
    struct store_consumer c = {0};

    assert_int_equal(store_consumer_open(r->store, name, &c, &r->err), 0);
    return c;
}

/* A unit that moves a checkpoint, as the rules do it. */
struct move {
    struct store_work work;
    struct store *store;
    const char *name;
    uint64_t lsn;
};

static int
move_run(struct store_work *work, sqlite3 *db, struct error *err)
{
    struct move *m = container_of(work, struct move, work);

    return store_checkpoint(db, m->name, m->lsn, err);
}

static void
move_done(struct store_work *work, const struct error *err)
{
    struct move *m = container_of(work, struct move, work);

    if (!err)
        store_checkpoint_done(m->store, m->name, m->lsn);
}

static int
move(struct rig *r, const char *name, uint64_t lsn)
{
    struct move m = {
        .work = {.run = move_run, .done = move_done}, .store = r->store, .name = name, .lsn = lsn};

    return store_run_now(r->store, &m.work, &r->err);
}

static uint64_t
checkpoint_of(struct rig *r, const char *name)
{
    struct store_consumer *list;
    size_t count = store_consumer_list(r->store, &list);
    uint64_t lsn = UINT64_MAX;

    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            lsn = list[i].checkpoint;
    free(list);
    return lsn;
}

static void
test_new_one_begins_at_the_newest(void **state)
{
    struct rig *r = *state;

    rig_start(r);
    assert_int_equal(open_consumer(r, "main").checkpoint, 0);
    fill(r, 7);
    struct store_consumer late = open_consumer(r, "late");
    assert_int_equal(late.checkpoint, 7);
    assert_true(late.enabled);
    assert_true(late.seen > 0);
    assert_int_equal(open_consumer(r, "main").checkpoint, 0);
}

static void
test_checkpoint_outlives_a_restart(void **state)
{
    struct rig *r = *state;

    rig_start(r);
    open_consumer(r, "main");
    fill(r, 7);
    assert_int_equal(move(r, "main", 5), 0);
    assert_int_equal(checkpoint_of(r, "main"), 5);
    assert_int_equal(move(r, "nobody", 5), -1);
    assert_int_equal(r->err.class, ERROR_MISSING);
    rig_close(r);
    rig_start(r);
    assert_int_equal(checkpoint_of(r, "main"), 5);
    assert_int_equal(open_consumer(r, "main").checkpoint, 5);
}

static void
test_names(void **state)
{
    struct rig *r = *state;
    struct store_consumer c;
    char longest[65];

    rig_start(r);
    memset(longest, 'a', 64);
    longest[64] = '\0';
    assert_int_equal(store_consumer_open(r->store, longest, &c, &r->err), -1);
    assert_int_equal(store_consumer_open(r->store, "", &c, &r->err), -1);
    assert_int_equal(store_consumer_open(r->store, longest + 1, &c, &r->err), 0);
    assert_string_equal(c.name, longest + 1);
}

static void
test_enable_reset_remove(void **state)
{
    struct rig *r = *state;
    struct store_consumer *list;

    rig_start(r);
    open_consumer(r, "main");
    open_consumer(r, "other");
    fill(r, 7);
    assert_int_equal(store_consumer_reset(r->store, "main", 4, &r->err), 0);
    assert_int_equal(checkpoint_of(r, "main"), 4);
    assert_int_equal(store_consumer_reset(r->store, "main", 8, &r->err), -1);
    assert_int_equal(store_consumer_reset(r->store, "nobody", 1, &r->err), -1);
    assert_int_equal(r->err.class, ERROR_MISSING);
    assert_int_equal(store_consumer_enable(r->store, "main", false, &r->err), 0);
    assert_int_equal(store_consumer_remove(r->store, "other", &r->err), 0);
    assert_int_equal(store_consumer_remove(r->store, "other", &r->err), -1);
    rig_close(r);
    rig_start(r);
    assert_int_equal(store_consumer_list(r->store, &list), 1);
    assert_string_equal(list[0].name, "main");
    assert_false(list[0].enabled);
    assert_int_equal(list[0].checkpoint, 4);
    free(list);
}

static void
test_who_holds(void **state)
{
    struct rig *r = *state;
    char name[64];

    rig_start(r);
    assert_int_equal(consumers_hold(r->store, name), 0);
    open_consumer(r, "main");
    open_consumer(r, "other");
    fill(r, 9);
    assert_int_equal(move(r, "main", 6), 0);
    assert_int_equal(move(r, "other", 3), 0);
    assert_int_equal(consumers_hold(r->store, name), 3);
    assert_string_equal(name, "other");
    assert_int_equal(store_consumer_enable(r->store, "other", false, &r->err), 0);
    assert_int_equal(consumers_hold(r->store, name), 6);
    assert_string_equal(name, "main");
    assert_int_equal(move(r, "main", 9), 0);
    assert_int_equal(consumers_hold(r->store, name), 9);
    assert_string_equal(name, "");
}

/* One that nobody runs and that was not seen for long holds no more; main does always. */
static void
test_expiry(void **state)
{
    struct rig *r = *state;
    char name[64];

    r->options.consumer_expiry = 1000;
    rig_start(r);
    open_consumer(r, "main");
    open_consumer(r, "other");
    fill(r, 9);
    assert_int_equal(move(r, "main", 6), 0);
    assert_int_equal(move(r, "other", 3), 0);
    rig_until(consumers_hold(r->store, name) == 6);
    assert_string_equal(name, "main");
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    assert_int_equal(consumers_hold(r->store, name), 6);
}

int
main(void)
{
#define row(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        row(test_new_one_begins_at_the_newest),
        row(test_checkpoint_outlives_a_restart),
        row(test_names),
        row(test_enable_reset_remove),
        row(test_who_holds),
        row(test_expiry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
