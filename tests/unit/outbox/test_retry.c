/* Retry: how long until the next try, when a channel counts as broken, and that a start changes
 * neither. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/outbox/rig.h"

#define HOUR (3600 * CLOCK_SECOND)

static const struct {
    const char *name;
    int attempts;
    int64_t first, max, retry_after, least, most;
} delays[] = {
    {"first", 1, CLOCK_SECOND, HOUR, 0, 0, CLOCK_SECOND},
    {"doubles", 4, CLOCK_SECOND, HOUR, 0, 0, 8 * CLOCK_SECOND},
    {"up to the ceiling", 40, CLOCK_SECOND, HOUR, 0, 0, HOUR},
    {"no overflow", 2000, INT64_MAX / 3, INT64_MAX, 0, 0, INT64_MAX},
    {"what was asked for", 1, CLOCK_SECOND, HOUR, 30 * CLOCK_SECOND, 30 * CLOCK_SECOND,
     31 * CLOCK_SECOND},
    {"at most a day", 1, CLOCK_SECOND, HOUR, INT64_MAX, 24 * HOUR, 24 * HOUR + CLOCK_SECOND},
    {"none", 3, 0, 0, 0, 0, 0},
};

static void
test_delay(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(delays); i++) {
        struct channel_common common = {.backoff = {delays[i].first, delays[i].max}};
        int64_t low = INT64_MAX, high = 0;
        for (unsigned n = 0; n < 2000; n++) {
            int64_t delay = retry_delay(&common, delays[i].attempts, delays[i].retry_after);
            low = delay < low ? delay : low;
            high = delay > high ? delay : high;
        }
        int64_t spread = delays[i].most - delays[i].least;
        if (low < delays[i].least || high > delays[i].most)
            fail_msg("%s: %lld to %lld", delays[i].name, (long long)low, (long long)high);
        /* Full jitter: all of the range is used. */
        assert_true(low - delays[i].least <= spread / 50);
        assert_true(delays[i].most - high <= spread / 50);
    }
}

/* Takes until something comes; the wait is what the queue itself asks for. */
static size_t
take_wait(struct outbox_queue *q, struct delivery **list, size_t room)
{
    for (int i = 0; i < 20000; i++) {
        size_t count = queue_take(q, list, room);
        int64_t left = queue_turn(q) - clock_mono();
        if (count)
            return count;
        left = left > 1000 ? 1000 : left;
        if (left > 0)
            nanosleep(&(struct timespec){.tv_nsec = left * 1000}, NULL);
    }
    return 0;
}

static void
test_attempts(void **state)
{
    struct rig *r = *state;
    struct delivery *list[2];
    r->common.attempts = 4;
    r->common.backoff.first = 1000;
    rig_open(r);
    rig_send(r, 0, 1, 1);
    for (int attempt = 1; attempt <= 4; attempt++) {
        assert_int_equal(take_wait(r->q, list, 2), 1);
        assert_int_equal(list[0]->attempt, attempt);
        rig_answer(r->q, list[0], CHANNEL_RETRY);
        if (attempt == 2)
            rig_reopen(r); /* the count goes on where it was */
    }
    assert_int_equal(queue_take(r->q, list, 2), 0);
    struct outbox_status status = rig_status(r, 0);
    assert_int_equal(status.dead, 1);
    assert_int_equal(status.waiting, 0);
    rig_settle(r->q);
    assert_int_equal(rig_sql(r, "SELECT attempts FROM out_parked WHERE state = 3"), 4);
    assert_int_equal(rig_sql(r, "SELECT done_seq FROM out_cursor"), 1);
}

/* The time of the next try is the wall clock's, and a start keeps it. */
static void
test_schedule_survives(void **state)
{
    struct rig *r = *state;
    struct delivery *list[4];
    r->common.backoff.first = r->common.backoff.max = HOUR;
    rig_open(r);
    rig_send(r, 0, 2, 1);
    assert_int_equal(queue_take(r->q, list, 4), 1);
    rig_answer(r->q, list[0], CHANNEL_RETRY);
    rig_settle(r->q);
    assert_int_equal(queue_take(r->q, list, 4), 0);
    int64_t next_at = rig_status(r, 0).next_at;
    assert_true(next_at > clock_now() && next_at <= clock_now() + HOUR);
    assert_true(next_at == rig_sql(r, "SELECT next_at FROM out_parked"));
    rig_reopen(r);
    assert_int_equal(queue_take(r->q, list, 4), 0);
    assert_true(rig_status(r, 0).next_at == next_at);
    assert_int_equal(rig_status(r, 0).retrying, 1);
    assert_int_equal(rig_status(r, 0).waiting, 2);
}

static void
answer_after(struct outbox_queue *q, struct delivery *delivery, int64_t retry_after)
{
    struct channel_answer answer = {
        .class = CHANNEL_RETRY, .code = 429, .retry_after = retry_after, .reason = "slow down"};
    queue_answer(q, delivery, &answer);
}

/* Retry-After stops the whole channel, is no failure of it, and then it begins with one. */
static void
test_throttle(void **state)
{
    struct rig *r = *state;
    struct delivery *list[100];
    r->common.breaker.failures = 3;
    r->common.backoff.first = 1000;
    rig_open(r);
    rig_send(r, 0, 100, 1000);
    assert_int_equal(queue_take(r->q, list, 10), 10);
    int64_t began = clock_mono();
    for (unsigned i = 0; i < 10; i++)
        answer_after(r->q, list[i], 50000);
    assert_int_equal(queue_take(r->q, list, 10), 0);
    assert_string_equal(rig_status(r, 0).state, "throttled");
    assert_string_equal(rig_status(r, 0).reason, "slow down");
    assert_int_equal(take_wait(r->q, list, 10), 1);
    assert_true(clock_mono() - began >= 50000);
    for (size_t more = 2; more <= 8; more *= 2) {
        for (size_t i = 0; i < more / 2; i++)
            rig_answer(r->q, list[i], CHANNEL_DELIVERED);
        assert_int_equal(queue_take(r->q, list, 10), more);
    }
    assert_string_equal(rig_status(r, 0).state, "ok");
}

/* So many failures in a row: the cursor stops, what else fails is not parked, one probe at a time.
 */
static void
test_breaker(void **state)
{
    struct rig *r = *state;
    struct delivery *list[100], *probe;
    r->common.breaker.failures = 10;
    r->common.breaker.probe = 20000;
    r->common.backoff.first = 1000;
    rig_open(r);
    rig_send(r, 0, 1000, 10000);
    assert_int_equal(queue_take(r->q, list, 100), 100);
    for (unsigned i = 0; i < 100; i++)
        rig_answer(r->q, list[i], CHANNEL_RETRY);
    struct outbox_status status = rig_status(r, 0);
    assert_string_equal(status.state, "broken");
    assert_string_equal(status.reason, "on purpose");
    assert_int_equal(status.retrying, 9);
    assert_int_equal(status.waiting, 1000);
    assert_int_equal(queue_take(r->q, list, 100), 0);
    unsigned last = UINT32_MAX;
    for (unsigned n = 0; n < 30; n++) {
        assert_int_equal(take_wait(r->q, &probe, 1), 1);
        assert_int_not_equal(rig_number(probe), last); /* each probe asks with another one */
        assert_int_equal(probe->attempt, rig_number(probe) < 9 ? 2 : 1);
        assert_int_equal(queue_take(r->q, list, 100), 0);
        last = rig_number(probe);
        rig_answer(r->q, probe, n % 2 ? CHANNEL_RETRY : CHANNEL_BROKEN);
    }
    rig_settle(r->q);
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_parked"), 9);
    rig_reopen(r);
    assert_string_equal(rig_status(r, 0).state, "broken");
    assert_int_equal(take_wait(r->q, &probe, 1), 1);
    rig_answer(r->q, probe, CHANNEL_DELIVERED);
    assert_string_equal(rig_status(r, 0).state, "ok");
    size_t rest = 0;
    while (rest < 999) {
        size_t count = take_wait(r->q, list, 100);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++)
            rig_answer(r->q, list[i], CHANNEL_DELIVERED);
        rest += count;
    }
    assert_int_equal(rig_status(r, 0).waiting, 0);
}

/* A rejection comes from a receiver that lives. */
static void
test_rejection_closes(void **state)
{
    struct rig *r = *state;
    struct delivery *list[10];
    r->common.breaker.probe = 1000;
    rig_open(r);
    rig_send(r, 0, 10, 10);
    assert_int_equal(queue_take(r->q, list, 1), 1);
    rig_answer(r->q, list[0], CHANNEL_BROKEN);
    assert_string_equal(rig_status(r, 0).state, "broken");
    assert_int_equal(take_wait(r->q, list, 10), 1);
    rig_answer(r->q, list[0], CHANNEL_REJECT);
    assert_string_equal(rig_status(r, 0).state, "ok");
    assert_int_equal(rig_drain(r->q), 9);
}

static void
test_gone_disables(void **state)
{
    struct rig *r = *state;
    struct delivery *list[10];
    struct channel_answer gone = {.class = CHANNEL_BROKEN, .code = 410, .reason = "410 Gone"};
    r->common.breaker.probe = 0;
    rig_open(r);
    rig_send(r, 0, 10, 10);
    assert_int_equal(queue_take(r->q, list, 1), 1);
    queue_answer(r->q, list[0], &gone);
    assert_string_equal(rig_status(r, 0).state, "disabled");
    assert_int_equal(queue_take(r->q, list, 10), 0);
    assert_true(queue_turn(r->q) > clock_mono() + CLOCK_SECOND);
    rig_reopen(r); /* a start is a new chance */
    assert_int_equal(queue_take(r->q, list, 10), 1);
    rig_answer(r->q, list[0], CHANNEL_DELIVERED);
    assert_int_equal(rig_drain(r->q), 9);
}

/* What waits behind a parked message of its key gets a row only to let the window go on. */
static void
test_held(void **state)
{
    struct rig *r = *state;
    struct delivery *list[512];
    r->common.backoff.first = r->common.backoff.max = HOUR;
    rig_open(r);
    struct outbox_draft *d = outbox_draft_new(r->outbox);
    for (unsigned i = 0; i < 2 * QUEUE_WINDOW; i++)
        rig_put(d, r->q, i % 2 ? 1 : i + 2, i); /* every second has one key */
    rig_commit(r, d);
    assert_int_equal(queue_take(r->q, list, 2), 2);
    rig_answer(r->q, list[0], CHANNEL_DELIVERED);
    assert_int_equal(rig_number(list[1]), 1);
    rig_answer(r->q, list[1], CHANNEL_RETRY);
    assert_int_equal(rig_status(r, 0).held, 0);
    assert_int_equal(rig_drain(r->q), QUEUE_WINDOW - 1);
    struct outbox_status status = rig_status(r, 0);
    assert_int_equal(status.retrying, 1);
    assert_true(status.held > 0 && status.held < QUEUE_WINDOW);
    assert_int_equal(status.waiting, QUEUE_WINDOW);
    rig_settle(r->q);
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_parked WHERE state = 2"), status.held);
    /* Its time comes: all of the key go out, in order, also across a start. */
    rig_close(r, true);
    r->common.backoff.first = 0;
    rig_open(r);
    struct parked *parked = TAILQ_FIRST(&r->q->parked);
    assert_int_equal(parked->item.state, ITEM_RETRY);
    parked->next_at = 1;
    for (unsigned n = 1; n < 2 * QUEUE_WINDOW; n += 2) {
        assert_int_equal(take_wait(r->q, list, 512), 1);
        assert_int_equal(rig_number(list[0]), n);
        rig_answer(r->q, list[0], CHANNEL_DELIVERED);
    }
    rig_settle(r->q);
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_parked"), 0);
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_block"), 0);
}

/* 10,000 parked count as broken: the cursor stops, the parked go on. */
static void
test_crowd(void **state)
{
    struct rig *r = *state;
    struct delivery *list[512];
    enum { SENT = QUEUE_PARKED + 3 * QUEUE_WINDOW };
    r->common.order = ORDER_NONE;
    r->common.breaker.failures = 0;
    r->common.backoff.first = r->common.backoff.max = HOUR;
    rig_open(r);
    rig_send(r, 0, SENT, 1);
    size_t count, failed = 0;
    while ((count = queue_take(r->q, list, 512)) > 0) {
        for (size_t i = 0; i < count; i++)
            rig_answer(r->q, list[i], CHANNEL_RETRY);
        failed += count;
        queue_turn(r->q);
    }
    struct outbox_status status = rig_status(r, 0);
    assert_int_equal(status.retrying, QUEUE_PARKED);
    assert_true(failed >= QUEUE_PARKED && failed < QUEUE_PARKED + 512);
    assert_string_equal(status.state, "broken");
    assert_int_equal(status.waiting, SENT);
    rig_settle(r->q);
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_parked"), QUEUE_PARKED);
    rig_reopen(r);
    struct parked *parked;
    TAILQ_FOREACH(parked, &r->q->parked, link)
    parked->next_at = 1;
    assert_int_equal(rig_drain(r->q), SENT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delay),
        cmocka_unit_test_setup_teardown(test_attempts, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_schedule_survives, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_throttle, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_breaker, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_rejection_closes, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_gone_disables, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_held, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_crowd, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
