/* A queue: what goes out when, what waits for whom, and where delivery goes on after a start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/outbox/rig.h"

/* What a take of `room` gives, as numbers: "0 1 2". */
static size_t
take_text(struct outbox_queue *q, size_t room, struct delivery **list, char *text)
{
    size_t count = queue_take(q, list, room);
    *text = '\0';
    for (size_t i = 0; i < count; i++)
        text += sprintf(text, "%s%u", i ? " " : "", rig_number(list[i]));
    return count;
}

struct order_case {
    const char *name;
    enum channel_order order;
    bool in_order;
    const char *keys;    /* a letter a message */
    const char *first;   /* of the first take */
    const char *then[8]; /* after the answers, in the order of the first take: "d" delivered, "x"
                            rejected, "r" retry; then what the next take gives; … */
};

static const struct order_case order_cases[] = {
    {"each key", ORDER_KEY, false, "abab", "0 1", {"dd", "2 3", "dd", ""}},
    {"one key", ORDER_KEY, false, "aaa", "0", {"d", "1", "d", "2", "d", ""}},
    {"a retry holds its key only", ORDER_KEY, false, "aabb", "0 2", {"rd", "3", "d", ""}},
    {"a dead letter frees its key", ORDER_KEY, false, "aab", "0 2", {"xd", "1", "d", ""}},
    {"runs of one key", ORDER_KEY, true, "aaba", "0 1 3 2", {"dddd", ""}},
    {"a run that fails in the middle", ORDER_KEY, true, "aab", "0 1 2", {"drd", ""}},
    {"none", ORDER_NONE, false, "aaa", "0 1 2", {"rdd", ""}},
    {"strict", ORDER_STRICT, false, "abc", "0", {"d", "1", "r", ""}},
    {"strict in order", ORDER_STRICT, true, "abc", "0 1 2", {"ddd", ""}},
    {"strict and a dead letter", ORDER_STRICT, false, "abc", "0", {"x", "1", "d", "2", "d", ""}},
};

static void
answer_text(struct outbox_queue *q, struct delivery **list, size_t count, const char *classes)
{
    for (size_t i = 0; i < count; i++)
        rig_answer(q, list[i],
                   classes[i] == 'd'   ? CHANNEL_DELIVERED
                   : classes[i] == 'x' ? CHANNEL_REJECT
                                       : CHANNEL_RETRY);
}

static void
check_order(const struct order_case *c)
{
    struct rig r;
    struct delivery *list[16];
    char text[128];
    rig_init(&r);
    r.common.order = (int)c->order;
    r.common.backoff.first = r.common.backoff.max = 3600 * CLOCK_SECOND;
    rig_open(&r);
    r.q->in_order = c->in_order;
    struct outbox_draft *d = outbox_draft_new(r.outbox);
    for (unsigned i = 0; c->keys[i]; i++)
        rig_put(d, r.q, (uint64_t)c->keys[i], i);
    rig_commit(&r, d);
    size_t count = take_text(r.q, countof(list), list, text);
    assert_string_equal(text, c->first);
    for (unsigned i = 0; c->then[i] && c->then[i + 1]; i += 2) {
        answer_text(r.q, list, count, c->then[i]);
        count = take_text(r.q, countof(list), list, text);
        assert_string_equal(text, c->then[i + 1]);
    }
    rig_release(&r);
}

static void
test_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(order_cases); i++) {
        print_message("  %s\n", order_cases[i].name);
        check_order(&order_cases[i]);
    }
}

static void
test_delivered_leaves_nothing(void **state)
{
    struct rig *r = *state;
    rig_open(r);
    rig_send(r, 0, 20000, 100000);
    assert_int_equal(rig_sql(r, "SELECT sum(n) FROM out_block"), 20000);
    assert_int_equal(rig_drain(r->q), 20000);
    rig_settle(r->q);
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_block"), 0);
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_parked"), 0);
    assert_int_equal(rig_sql(r, "SELECT done_seq FROM out_cursor"), 20000);
    struct outbox_status status = rig_status(r, 0);
    assert_int_equal(status.waiting, 0);
    assert_int_equal(status.bytes, 0);
    assert_int_equal(status.delivered, 20000);
    assert_string_equal(status.state, "ok");
}

/* Seqs have no holes, whatever is rolled back, and however many drafts share a transaction. */
static void
test_seqs(void **state)
{
    struct rig *r = *state;
    rig_open(r);
    for (unsigned i = 0; i < 10; i++) {
        struct outbox_draft *d = outbox_draft_new(r->outbox);
        rig_put(d, r->q, 1, 2 * i);
        rig_put(d, r->q, 1, 2 * i + 1);
        rig_commit_as(r, d, i % 2);
    }
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_block"), 10);
    assert_int_equal(rig_sql(r, "SELECT max(first_seq + n - 1) FROM out_block"), 20);
    assert_int_equal(rig_sql(r, "SELECT sum(first_seq) FROM out_block"), 100);
    struct delivery *list[1];
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(queue_take(r->q, list, 1), 1);
        assert_int_equal(rig_number(list[0]), i);
        rig_answer(r->q, list[0], CHANNEL_DELIVERED);
    }
    rig_reopen(r);
    rig_send(r, 20, 21, 1);
    assert_int_equal(rig_sql(r, "SELECT first_seq FROM out_block"), 21);
}

static int
run_both(struct store_work *work, sqlite3 *db, struct error *err)
{
    struct rig_unit *unit = container_of(work, struct rig_unit, work);
    return outbox_draft_run(unit[0].draft, db, err) || outbox_draft_run(unit[1].draft, db, err);
}

static void
done_both(struct store_work *work, const struct error *err)
{
    struct rig_unit *unit = container_of(work, struct rig_unit, work);
    assert_null(err);
    outbox_draft_done(unit[0].draft);
    outbox_draft_done(unit[1].draft);
}

static void
test_two_drafts_in_one_transaction(void **state)
{
    struct rig *r = *state;
    rig_open(r);
    struct rig_unit units[2] = {{.work = {.run = run_both, .done = done_both, .bytes = 100}}};
    for (unsigned i = 0; i < 2; i++) {
        units[i].draft = outbox_draft_new(r->outbox);
        rig_put(units[i].draft, r->q, i + 1, i);
    }
    assert_int_equal(store_run_now(r->store, &units[0].work, &rig_error), 0);
    outbox_draft_free(units[0].draft);
    outbox_draft_free(units[1].draft);
    assert_int_equal(rig_sql(r, "SELECT max(first_seq) FROM out_block"), 2);
    assert_int_equal(rig_drain(r->q), 2);
}

static void
test_cut(void **state)
{
    struct rig *r = *state;
    r->queue_count = 2;
    rig_open(r);
    struct outbox_draft *d = outbox_draft_new(r->outbox);
    rig_put(d, r->queues[1], 1, 0);
    size_t empty = outbox_draft_bytes(d), mark = outbox_draft_mark(d);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 1; i < 9000; i++) /* more than a block */
            rig_put(d, r->queues[i % 2], i, 7777);
        assert_int_equal(outbox_draft_count(d), 9000);
        outbox_draft_cut(d, mark);
        assert_int_equal(outbox_draft_count(d), 1);
        assert_int_equal(outbox_draft_bytes(d), empty);
    }
    rig_put(d, r->queues[1], 2, 1);
    rig_commit(r, d);
    struct delivery *list[4];
    assert_int_equal(queue_take(r->queues[0], list, 4), 0);
    assert_int_equal(queue_take(r->queues[1], list, 4), 2);
    assert_int_equal(rig_number(list[0]), 0);
    assert_int_equal(rig_number(list[1]), 1);
    assert_true(slice_is(list[1]->rule, "main/rule"));
    assert_true(slice_is(list[1]->event_id, "shop:1:9"));
    assert_int_equal(list[1]->attempt, 1);
    rig_answer(r->queues[1], list[0], CHANNEL_DELIVERED);
    rig_answer(r->queues[1], list[1], CHANNEL_DELIVERED);
}

/* Every third is delivered before the stop; the others come afterwards, and only they. */
static void
test_restart(void **state)
{
    struct rig *r = *state;
    struct delivery *list[300];
    bool seen[300] = {false};
    rig_open(r);
    rig_send(r, 0, 300, 1000);
    assert_int_equal(queue_take(r->q, list, 300), 300);
    for (unsigned i = 0; i < 300; i += 3)
        rig_answer(r->q, list[i], CHANNEL_DELIVERED);
    rig_reopen(r);
    assert_int_equal(rig_status(r, 0).waiting, 200);
    assert_int_equal(queue_take(r->q, list, 300), 200);
    assert_int_equal(rig_status(r, 0).waiting, 200);
    for (unsigned i = 0; i < 200; i++) {
        assert_false(seen[rig_number(list[i])] || rig_number(list[i]) % 3 == 0);
        seen[rig_number(list[i])] = true;
        rig_answer(r->q, list[i], CHANNEL_DELIVERED);
    }
    rig_settle(r->q);
    assert_int_equal(rig_sql(r, "SELECT done_seq FROM out_cursor"), 300);
    assert_int_equal(rig_sql(r, "SELECT length(done_above) FROM out_cursor"), 0);
}

/* One message that never gets an answer: at most a window goes out above it. */
static void
test_window(void **state)
{
    struct rig *r = *state;
    struct delivery *stuck, *list[512];
    rig_open(r);
    rig_send(r, 0, 3 * QUEUE_WINDOW, 1000000);
    assert_int_equal(queue_take(r->q, &stuck, 1), 1);
    assert_int_equal(rig_drain(r->q), QUEUE_WINDOW - 1);
    assert_int_equal(queue_take(r->q, list, 512), 0);
    rig_close(r, true);
    rig_open(r);
    assert_int_equal(queue_take(r->q, &stuck, 1), 1);
    assert_int_equal(rig_number(stuck), 0);
    assert_int_equal(rig_drain(r->q), 0);
    rig_answer(r->q, stuck, CHANNEL_DELIVERED);
    assert_int_equal(rig_drain(r->q), 2 * QUEUE_WINDOW);
}

/* More than the ring holds, then the rest while it is drained: all, in order, none twice. */
static void
test_backlog(void **state)
{
    struct rig *r = *state;
    struct delivery *list[512];
    enum { EACH = 20000, ROUNDS = 12 };
    unsigned next = 0;
    rig_open(r);
    r->q->in_order = true;
    for (unsigned round = 0; round < ROUNDS; round++)
        rig_send(r, round * EACH, (round + 1) * EACH, 1000000);
    assert_true(r->q->ring.bytes <= BLOCK_RING_BYTES);
    assert_true(r->q->bytes > BLOCK_RING_BYTES);
    for (unsigned extra = ROUNDS; next < (ROUNDS + 5) * EACH;) {
        size_t count = queue_take(r->q, list, 512);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(rig_number(list[i]), next++);
            rig_answer(r->q, list[i], CHANNEL_DELIVERED);
        }
        if (extra < ROUNDS + 5 && next > extra * EACH / 2) {
            rig_send(r, extra * EACH, (extra + 1) * EACH, 1000000);
            extra++;
        }
        queue_turn(r->q);
    }
    assert_int_equal(queue_take(r->q, list, 512), 0);
    rig_settle(r->q);
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_block"), 0);
}

static void
test_message_id(void **state)
{
    (void)state;
    static const char *const parts[][4] = {
        {"shop:1:9", "main", "r", "ops"}, {"shop:1:9", "main", "r", "op"},
        {"shop:1:9", "main", "ro", "ps"}, {"shop:1:", "9main", "r", "ops"},
        {"shop:1:8", "main", "r", "ops"}, {"shop:1:9", "other", "r", "ops"},
    };
    struct hash128 ids[countof(parts) + 1];
    char text[40], *large = memory_zero(5000);
    for (size_t i = 0; i < countof(parts); i++)
        ids[i] = message_id(slice_of(parts[i][0]), slice_of(parts[i][1]), slice_of(parts[i][2]),
                            slice_of(parts[i][3]), 1);
    ids[countof(parts)] = message_id(slice_of(parts[0][0]), slice_of(parts[0][1]),
                                     slice_of(parts[0][2]), slice_of(parts[0][3]), 2);
    for (size_t i = 0; i < countof(ids); i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(&ids[i], &ids[k], sizeof(ids[i]));
    struct hash128 same = message_id(slice_literal("shop:1:9"), slice_literal("main"),
                                     slice_literal("r"), slice_literal("ops"), 1);
    assert_memory_equal(&same, &ids[0], sizeof(same));
    assert_int_equal(strlen(message_id_text(same.bytes, text)), 36);
    assert_memory_equal(text, "msg_", 4);
    memset(large, 'x', 4999);
    same = message_id(slice_of(large), slice_of(large), slice_of(""), slice_of(""), 0);
    assert_memory_not_equal(&same, &ids[0], sizeof(same));
    free(large);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test_setup_teardown(test_delivered_leaves_nothing, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_seqs, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_two_drafts_in_one_transaction, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(test_cut, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_restart, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_window, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_backlog, rig_setup, rig_teardown),
        cmocka_unit_test(test_message_id),
    };
    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
