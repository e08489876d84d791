/* Dead letters: who becomes one, how they are found, put back and dropped, and what is kept of
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/outbox/rig.h"

/* What was listed, as "channel:seq ". */
struct listing {
    char text[1024];
    struct outbox_dead last;
    char body[64];
    size_t stop_after;
    size_t count;
};

static int
list_one(void *context, const struct outbox_dead *dead)
{
    struct listing *l = context;
    size_t at = strlen(l->text);
    snprintf(l->text + at, sizeof(l->text) - at, "%s%s:%llu", at ? " " : "", dead->channel,
             (unsigned long long)dead->seq);
    l->last = *dead;
    snprintf(l->body, sizeof(l->body), "%.*s", (int)dead->body.size, dead->body.data);
    return ++l->count == l->stop_after ? 1 : 0;
}

static const char *
list(struct rig *r, const struct outbox_filter *filter, struct listing *l)
{
    *l = (struct listing){.count = 0};
    assert_int_equal(outbox_dead_list(r->outbox, filter, list_one, l, &rig_error), 0);
    return l->text;
}

/* Messages 0 to 4 of the first queue, 10 to 14 of the second; the odd ones are rejected, the others
 * delivered. */
static void
kill_some(struct rig *r)
{
    for (unsigned queue = 0; queue < 2; queue++) {
        struct delivery *out[8];
        struct outbox_draft *d = outbox_draft_new(r->outbox);
        for (unsigned i = 0; i < 5; i++)
            rig_put(d, r->queues[queue], i + 1, queue * 10 + i);
        rig_commit(r, d);
        assert_int_equal(queue_take(r->queues[queue], out, 8), 5);
        for (unsigned i = 0; i < 5; i++)
            rig_answer(r->queues[queue], out[i], i % 2 ? CHANNEL_REJECT : CHANNEL_DELIVERED);
        rig_settle(r->queues[queue]);
    }
}

static const struct {
    struct outbox_filter filter;
    const char *found;
} filters[] = {
    {{0}, "billing:2 billing:4 ops:2 ops:4"},
    {{.channel = "ops"}, "ops:2 ops:4"},
    {{.channel = "nobody"}, ""},
    {{.rule = "main/rule"}, "billing:2 billing:4 ops:2 ops:4"},
    {{.rule = "main/r*"}, "billing:2 billing:4 ops:2 ops:4"},
    {{.rule = "main/other"}, ""},
    {{.id = "msg_0b000000000000000000000000000000"}, "billing:2"},
    {{.limit = 3}, "billing:2 billing:4 ops:2"},
    {{.older_than = 1}, ""},
    {{.older_than = INT64_MAX, .channel = "billing"}, "billing:2 billing:4"},
};

static void
test_list(void **state)
{
    struct rig *r = *state;
    struct listing l;
    r->queue_count = 2;
    rig_open(r);
    kill_some(r);
    for (size_t i = 0; i < countof(filters); i++)
        assert_string_equal(list(r, &filters[i].filter, &l), filters[i].found);
    list(r, &(struct outbox_filter){.channel = "ops", .limit = 1}, &l);
    assert_string_equal(l.last.rule, "main/rule");
    assert_string_equal(l.last.event_id, "shop:1:9");
    assert_string_equal(l.last.reason, "on purpose");
    assert_string_equal(l.last.id, "msg_01000000000000000000000000000000");
    assert_string_equal(l.body, "1");
    assert_int_equal(l.last.attempts, 1);
    assert_int_equal(l.last.lsn, 2);
    assert_true(l.last.first_at > clock_now() - 60 * CLOCK_SECOND);
    l = (struct listing){.stop_after = 2};
    assert_int_equal(
        outbox_dead_list(r->outbox, &(struct outbox_filter){0}, list_one, &l, &rig_error), 1);
    assert_int_equal(l.count, 2);
}

static void
test_retry(void **state)
{
    struct rig *r = *state;
    struct delivery *out[8];
    struct listing l;
    r->queue_count = 2;
    rig_open(r);
    kill_some(r);
    assert_int_equal(
        outbox_dead_retry(r->outbox, &(struct outbox_filter){.channel = "ops"}, &rig_error), 2);
    assert_int_equal(rig_status(r, 0).dead, 0);
    assert_int_equal(rig_status(r, 1).dead, 2);
    assert_int_equal(queue_take(r->q, out, 8), 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(out[i]->attempt, 1);
        assert_true(rig_number(out[i]) == 1 || rig_number(out[i]) == 3);
        rig_answer(r->q, out[i], rig_number(out[i]) == 1 ? CHANNEL_DELIVERED : CHANNEL_REJECT);
    }
    rig_settle(r->q);
    assert_string_equal(list(r, &(struct outbox_filter){.channel = "ops"}, &l), "ops:4");
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_parked WHERE channel = 'ops'"), 1);
    assert_int_equal(
        outbox_dead_retry(r->outbox, &(struct outbox_filter){.channel = "nobody"}, &rig_error), 0);
    /* Put back, then stopped: it goes out after the start. */
    assert_int_equal(
        outbox_dead_retry(r->outbox, &(struct outbox_filter){.channel = "ops"}, &rig_error), 1);
    rig_reopen(r);
    assert_int_equal(rig_drain(r->q), 1);
}

static void
test_drop(void **state)
{
    struct rig *r = *state;
    struct listing l;
    r->queue_count = 2;
    rig_open(r);
    kill_some(r);
    struct outbox_filter one = {.id = "msg_0b000000000000000000000000000000"};
    assert_int_equal(outbox_dead_drop(r->outbox, &one, &rig_error), 1);
    assert_string_equal(list(r, &(struct outbox_filter){0}, &l), "billing:4 ops:2 ops:4");
    assert_int_equal(outbox_dead_drop(r->outbox, &(struct outbox_filter){0}, &rig_error), 3);
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_parked"), 0);
    assert_int_equal(rig_status(r, 0).dead, 0);
    assert_int_equal(rig_status(r, 1).dead, 0);
}

/* Many: pages and units, with a filter that takes every second. */
static void
test_many(void **state)
{
    struct rig *r = *state;
    struct delivery *out[512];
    size_t count;
    r->common.attempts = 1;
    r->common.breaker.failures = 0;
    rig_open(r);
    rig_send(r, 0, 3000, 100000);
    while ((count = queue_take(r->q, out, 512)) > 0)
        for (size_t i = 0; i < count; i++)
            rig_answer(r->q, out[i], CHANNEL_RETRY);
    rig_settle(r->q);
    assert_int_equal(rig_status(r, 0).dead, 3000);
    struct outbox_filter most = {.limit = 2000};
    assert_int_equal(outbox_dead_retry(r->outbox, &most, &rig_error), 2000);
    assert_int_equal(rig_drain(r->q), 2000);
    rig_settle(r->q);
    assert_int_equal(outbox_dead_drop(r->outbox, &(struct outbox_filter){0}, &rig_error), 1000);
    assert_int_equal(rig_status(r, 0).dead, 0);
    assert_true(r->q->dead_bytes == 0);
}

/* What is too old or too much becomes a dead letter, also while the channel is broken. */
static void
test_ceilings(void **state)
{
    (void)state;
    static const struct {
        int64_t age, bytes;
        bool broken;
        const char *reason;
    } cases[] = {
        {1, INT64_C(1) << 40, false, "older than max_age"},
        {1, INT64_C(1) << 40, true, "older than max_age"},
        {INT64_C(1) << 50, 1, true, "the queue is larger than max_bytes"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct rig r;
        struct delivery *out[8];
        struct listing l;
        rig_init(&r);
        rig_open(&r);
        if (cases[i].broken) {
            rig_send(&r, 0, 1, 1);
            assert_int_equal(queue_take(r.q, out, 1), 1);
            rig_answer(r.q, out[0], CHANNEL_BROKEN);
        }
        rig_send(&r, 1, 1000, 10000);
        r.q->common.max_age = cases[i].age;
        r.q->common.max_bytes = cases[i].bytes;
        for (unsigned n = 0; n < 10; n++)
            assert_int_equal(queue_take(r.q, out, 8), 0);
        rig_settle(r.q);
        unsigned all = cases[i].broken ? 1000 : 999;
        assert_int_equal(rig_status(&r, 0).dead, all);
        assert_int_equal(rig_sql(&r, "SELECT count(*) FROM out_block"), 0);
        list(&r, &(struct outbox_filter){.limit = 1}, &l);
        assert_string_equal(l.last.reason, cases[i].reason);
        rig_release(&r);
    }
}

/* Of the dead so many bytes are kept, and for so long. */
static void
test_prune(void **state)
{
    struct rig *r = *state;
    struct delivery *out[512];
    size_t count;
    r->options.dead_bytes = 10000;
    rig_open(r);
    rig_send(r, 0, 1000, 100000);
    while ((count = queue_take(r->q, out, 512)) > 0)
        for (size_t i = 0; i < count; i++)
            rig_answer(r->q, out[i], CHANNEL_REJECT);
    rig_settle(r->q);
    rig_settle(r->q);
    int64_t bytes = rig_sql(r, "SELECT sum(length(message)) FROM out_parked");
    assert_true(bytes <= 10000 && bytes > 9000);
    assert_int_equal(rig_sql(r, "SELECT max(seq) FROM out_parked"), 1000);
    assert_int_equal(rig_status(r, 0).dead, rig_sql(r, "SELECT count(*) FROM out_parked"));
    assert_true(r->q->dead_bytes == bytes);
    rig_close(r, true);
    r->options.dead_age = 0;
    rig_open(r);
    r->q->pruned_at = -3600 * CLOCK_SECOND;
    rig_settle(r->q);
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_parked"), 0);
    assert_int_equal(rig_status(r, 0).dead, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_list, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_retry, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_drop, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_many, rig_setup, rig_teardown),
        cmocka_unit_test(test_ceilings),
        cmocka_unit_test_setup_teardown(test_prune, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests_name("dead", tests, NULL, NULL);
}
