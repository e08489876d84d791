/* With real threads: rules commit, the store marks, channels of both kinds of order deliver, and
 * commands look on. For the sanitizers as much as for what comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "channel/channel_driver.h"
#include "channel/memory.h"
#include "unit/outbox/rig.h"

enum { MESSAGES = 30000, EACH = 300, KEYS = 500, CHANNELS = 2 };

static const char *const options[CHANNELS] = {
    "{\"fail_every\":7,\"backoff\":{\"first\":\"1ms\",\"max\":\"2ms\"}}",
    "{\"fail_times\":20,\"class\":\"broken\",\"breaker\":{\"probe\":\"2ms\"}}",
};

struct flow {
    struct rig rig;
    struct arena arena;
    struct channel_plan plans[CHANNELS];
    struct channel *channels[CHANNELS];
};

static void
plan_channel(struct flow *f, unsigned i)
{
    static const char *const names[CHANNELS] = {"ops", "billing"};
    struct value map;
    f->plans[i] =
        (struct channel_plan){.name = names[i], .driver = channel_driver_find(slice_of("memory"))};
    assert_non_null(f->plans[i].driver);
    assert_int_equal(json_parse(slice_of(options[i]), &f->arena, &map, &rig_error), 0);
    if (channel_plan_apply(&f->plans[i], &map, &f->arena, names[i], &rig_error) != 0)
        fail_msg("%s", rig_error.message);
}

static void
start_channels(struct flow *f)
{
    for (unsigned i = 0; i < CHANNELS; i++) {
        f->rig.queues[i]->common = f->plans[i].common;
        f->plans[i].feed = outbox_feed(f->rig.queues[i]);
        f->channels[i] = channel_new(&f->plans[i], &rig_error);
        assert_non_null(f->channels[i]);
        outbox_bind(f->rig.queues[i], f->channels[i]);
        assert_int_equal(channel_start(f->channels[i], &rig_error), 0);
    }
}

static void
stop(struct flow *f)
{
    for (unsigned i = 0; i < CHANNELS; i++)
        channel_stop(f->channels[i]);
    for (unsigned i = 0; i < CHANNELS; i++) {
        outbox_bind(f->rig.queues[i], NULL);
        channel_free(f->channels[i]);
    }
    rig_close(&f->rig, true);
}

static void
send_all(struct flow *f, unsigned from, unsigned to)
{
    for (unsigned at = from; at < to; at += EACH) {
        struct outbox_draft *d = outbox_draft_new(f->rig.outbox);
        struct outbox_status *list;
        for (unsigned i = at; i < at + EACH; i++) {
            rig_put(d, f->rig.queues[0], i % KEYS + 1, i);
            rig_put(d, f->rig.queues[1], i % KEYS + 1, i);
        }
        rig_commit(&f->rig, d);
        assert_int_equal(outbox_status_list(f->rig.outbox, &list), CHANNELS);
        free(list);
    }
}

static unsigned
number_of(struct slice body)
{
    struct delivery delivery = {.body = body};
    return rig_number(&delivery);
}

/* All came, the first arrivals of each key in order. What came twice is counted. */
static size_t
check_channel(const char *name)
{
    struct memory_message m;
    bool *seen = memory_zero(MESSAGES);
    int64_t newest[KEYS];
    size_t repeats = 0, count = memory_count(name);
    for (unsigned k = 0; k < KEYS; k++)
        newest[k] = -1;
    for (size_t i = 0; i < count; i++) {
        assert_true(memory_message(name, i, &m));
        unsigned number = number_of(m.body);
        assert_true(number < MESSAGES);
        repeats += seen[number];
        if (!seen[number]) {
            assert_true(newest[number % KEYS] < (int64_t)number);
            newest[number % KEYS] = number;
        }
        seen[number] = true;
    }
    assert_int_equal(count - repeats, MESSAGES);
    free(seen);
    return repeats;
}

static void
test_flow(void **state)
{
    (void)state;
    struct flow f = {.plans = {{0}}};
    arena_init(&f.arena, 0);
    rig_init(&f.rig);
    f.rig.queue_count = CHANNELS;
    for (unsigned i = 0; i < CHANNELS; i++)
        plan_channel(&f, i);
    for (unsigned half = 0; half < 2; half++) {
        rig_open(&f.rig);
        start_channels(&f);
        send_all(&f, half * MESSAGES / 2, (half + 1) * MESSAGES / 2);
        if (half == 1) {
            assert_true(memory_wait("ops", MESSAGES, 60 * CLOCK_SECOND));
            assert_true(memory_wait("billing", MESSAGES, 60 * CLOCK_SECOND));
        }
        stop(&f);
    }
    /* Both ends were clean, so nothing went out twice. */
    assert_int_equal(check_channel("ops"), 0);
    assert_int_equal(check_channel("billing"), 0);
    rig_open(&f.rig);
    assert_int_equal(rig_sql(&f.rig, "SELECT count(*) FROM out_block"), 0);
    assert_int_equal(rig_sql(&f.rig, "SELECT count(*) FROM out_parked"), 0);
    rig_release(&f.rig);
    memory_forget();
    arena_release(&f.arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flow),
    };
    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
