#include "channel/channel.h"

#include <unistd.h>

#include "base/clock.h"
#include "channel/memory.h"
#include "support/channel_rig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static int
setup(void **state)
{
    static struct channel_rig rig;
    channel_rig_init(&rig);
    *state = &rig;
    return 0;
}

static int
teardown(void **state)
{
    channel_rig_release(*state);
    memory_forget();
    return 0;
}

static void
drivers_are_found_by_name(void **state)
{
    size_t count;
    const struct channel_driver *const *list = channel_drivers(&count);
    (void)state;
    assert_true(count >= 4);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(channel_driver_find(slice_of(list[i]->name)), list[i]);
        assert_non_null(list[i]->summary);
        assert_true(!list[i]->request != !list[i]->deliver);
    }
    assert_null(channel_driver_find(slice_literal("telepathy")));
    assert_null(channel_driver_find(slice_literal("")));
}

static void
classes_have_names(void **state)
{
    (void)state;
    assert_string_equal(channel_class_name(CHANNEL_DELIVERED), "delivered");
    assert_string_equal(channel_class_name(CHANNEL_BROKEN), "broken");
}

static void
defaults_are_those_of_the_design(void **state)
{
    struct channel_rig *rig = *state;
    const struct channel_common *c = &rig->plan.common;
    assert_int_equal(channel_rig_start(rig, "null", "{}"), 0);
    assert_int_equal(c->shape.format, FORMAT_NATIVE);
    assert_int_equal(c->shape.decimals, NUMBER_STRING);
    assert_int_equal(c->shape.bigints, NUMBER_NUMBER);
    assert_int_equal(c->shape.column_count, 0);
    assert_false(c->allow_private);
    assert_int_equal(c->order, ORDER_KEY);
    assert_int_equal(c->concurrency, 32);
    assert_int_equal(c->attempts, 20);
    assert_int_equal(c->max_age, 3 * 86400 * CLOCK_SECOND);
    assert_int_equal(c->max_bytes, INT64_C(4) << 30);
    assert_int_equal(c->backoff.first, CLOCK_SECOND);
    assert_int_equal(c->backoff.max, 600 * CLOCK_SECOND);
    assert_int_equal(c->timeout, 30 * CLOCK_SECOND);
    assert_int_equal(c->breaker.failures, 50);
    assert_int_equal(c->breaker.probe, 5 * CLOCK_SECOND);
}

static void
options_reach_the_shape_and_the_driver(void **state)
{
    struct channel_rig *rig = *state;
    const struct event_shape *shape = &rig->plan.common.shape;
    assert_int_equal(channel_rig_start(rig, "memory",
                                       "{'type': 'memory', 'format': 'debezium', 'code': 7,"
                                       " 'columns': ['id', 'name'], 'bigints': 'string',"
                                       " 'decimals': 'number', 'order': 'strict',"
                                       " 'backoff': {'first': '5ms'}}"),
                     0);
    assert_int_equal(shape->format, FORMAT_DEBEZIUM);
    assert_int_equal(shape->bigints, NUMBER_STRING);
    assert_int_equal(shape->decimals, NUMBER_NUMBER);
    assert_int_equal(shape->column_count, 2);
    assert_string_equal(shape->columns[1], "name");
    assert_int_equal(rig->plan.common.order, ORDER_STRICT);
    assert_int_equal(rig->plan.common.backoff.first, 5000);
    assert_int_equal(rig->plan.common.backoff.max, 600 * CLOCK_SECOND);
    assert_int_equal(channel_rig_send(rig, MESSAGE_TEXT, "x", NULL).code, 7);
}

static void
wrong_options_are_named(void **state)
{
    static const struct {
        const char *type, *json, *says;
        enum error_class class;
    } cases[] = {
        {"null", "{'paht': 'x'}", "paht", ERROR_CONFIG},
        {"file", "{'paht': 'x'}", "path", ERROR_CONFIG},
        {"file", "{}", "path", ERROR_CONFIG},
        {"file", "{'path': ''}", "path is empty", ERROR_CONFIG},
        {"null", "{'concurrency': 0}", "concurrency", ERROR_CONFIG},
        {"null", "{'concurrency': 1000000}", "concurrency", ERROR_CONFIG},
        {"null", "{'order': 'random'}", "order", ERROR_CONFIG},
        {"null", "{'timeout': '0s'}", "timeout", ERROR_CONFIG},
        {"null", "{'backoff': {'first': '1h', 'max': '1m'}}", "backoff.first", ERROR_CONFIG},
        {"null", "{'backoff': {'max': '100000000d'}}", "backoff.max", ERROR_CONFIG},
        {"null", "{'breaker': {'probe': '100000000d'}}", "breaker.probe", ERROR_CONFIG},
        {"null", "{'rate': '5/s'}", "rate", ERROR_REFUSED},
        {"null", "{'batch': {}}", "batch", ERROR_REFUSED},
        {"null", "{'join': 'array'}", "join", ERROR_REFUSED},
        {"webhook", "{}", "url", ERROR_CONFIG},
        {"webhook", "{'url': 'http://a/', 'signing_secret': 'x'}", "signing_secret", ERROR_REFUSED},
    };
    struct channel_rig *rig = *state;
    for (size_t i = 0; i < countof(cases); i++) {
        rig->err = (struct error){0};
        assert_int_equal(channel_rig_start(rig, cases[i].type, cases[i].json), -1);
        assert_int_equal(rig->err.class, cases[i].class);
        assert_non_null(strstr(rig->err.message, cases[i].says));
        channel_free(rig->channel);
        rig->channel = NULL;
    }
}

static void
null_swallows_everything(void **state)
{
    struct channel_rig *rig = *state;
    assert_int_equal(channel_rig_start(rig, "null", "{}"), 0);
    assert_string_equal(channel_name(rig->channel), "rig");
    for (int i = 0; i < 5000; i++)
        fake_feed_add(rig->feed, MESSAGE_TEXT, "x", NULL);
    channel_poke(rig->channel);
    assert_true(fake_feed_wait(rig->feed, 5000));
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(fake_feed_answer(rig->feed, i).class, CHANNEL_DELIVERED);
}

static void
memory_keeps_what_it_is_given(void **state)
{
    struct channel_rig *rig = *state;
    struct memory_message m;
    assert_int_equal(channel_rig_start(rig, "memory", "{}"), 0);
    channel_rig_send(rig, MESSAGE_TEXT, "hello", "{\"a\":1}");
    channel_rig_send(rig, MESSAGE_TABLE, "{}", NULL);
    assert_true(memory_wait("rig", 2, CLOCK_SECOND));
    assert_int_equal(memory_count("rig"), 2);
    assert_true(memory_message("rig", 0, &m));
    assert_string_equal(m.id, fake_feed_id(rig->feed, 0));
    assert_string_equal(m.body.data, "hello");
    assert_string_equal(m.options.data, "{\"a\":1}");
    assert_string_equal(m.rule.data, "orders/big");
    assert_string_equal(m.event_id.data, "shop:1:0");
    assert_int_equal(m.kind, MESSAGE_TEXT);
    assert_int_equal(m.attempt, 1);
    assert_false(memory_message("rig", 2, &m));
    assert_false(memory_wait("rig", 3, 1000));
    assert_int_equal(memory_count("another"), 0);
}

static void
memory_fails_on_purpose(void **state)
{
    static const struct {
        const char *json;
        int attempts[4]; /* of four messages until they are done, at most 3 each */
        enum channel_class last[4];
        size_t kept;
    } cases[] = {
        {"{'fail_times': 2}", {3, 3, 3, 3}, {0, 0, 0, 0}, 4},
        {"{'fail_every': 2, 'class': 'reject'}",
         {1, 1, 1, 1},
         {CHANNEL_DELIVERED, CHANNEL_REJECT, CHANNEL_DELIVERED, CHANNEL_REJECT},
         2},
        {"{'fail_times': 1, 'class': 'broken'}", {2, 1, 1, 1}, {0, 0, 0, 0}, 4},
        {"{'fail_times': 9, 'code': 503, 'retry_after': '3s'}",
         {3, 3, 3, 3},
         {CHANNEL_RETRY, CHANNEL_RETRY, CHANNEL_RETRY, CHANNEL_RETRY},
         0},
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct channel_rig rig;
        channel_rig_init(&rig);
        fake_feed_repeat(rig.feed, 3);
        assert_int_equal(channel_rig_start(&rig, "memory", cases[i].json), 0);
        for (size_t m = 0; m < 4; m++) {
            struct channel_answer answer = channel_rig_send(&rig, MESSAGE_TEXT, "x", NULL);
            assert_int_equal(fake_feed_attempts(rig.feed, m), cases[i].attempts[m]);
            assert_int_equal(answer.class, cases[i].last[m]);
            if (answer.class == CHANNEL_RETRY) {
                assert_int_equal(answer.code, 503);
                assert_int_equal(answer.retry_after, 3 * CLOCK_SECOND);
                assert_string_equal(answer.reason, "failed on purpose");
            }
        }
        assert_int_equal(memory_count("rig"), cases[i].kept);
        channel_rig_release(&rig);
        memory_forget();
    }
}

static void
memory_can_reorder(void **state)
{
    struct channel_rig *rig = *state;
    struct memory_message m;
    for (int i = 0; i < 3; i++)
        fake_feed_add(rig->feed, MESSAGE_TEXT, "x", NULL);
    assert_int_equal(channel_rig_start(rig, "memory", "{'reorder': true}"), 0);
    assert_true(fake_feed_wait(rig->feed, 3));
    assert_true(memory_message("rig", 0, &m));
    assert_string_equal(m.id, fake_feed_id(rig->feed, 2));
}

static void
halting_takes_nothing_more(void **state)
{
    struct channel_rig *rig = *state;
    assert_int_equal(channel_rig_start(rig, "null", "{}"), 0);
    channel_rig_send(rig, MESSAGE_TEXT, "x", NULL);
    channel_halt(rig->channel);
    channel_halt(rig->channel);
    channel_stop(rig->channel);
    fake_feed_add(rig->feed, MESSAGE_TEXT, "x", NULL);
    channel_poke(rig->channel);
    channel_stop(rig->channel);
    assert_int_equal(fake_feed_taken(rig->feed), 1);
}

/* A driver whose opening and delivering follow a plan. */
static struct {
    int opened, closed, delivered;
    bool opens;
    enum channel_class class;
} fickle;

static int
fickle_open(struct channel_context *context, struct error *err)
{
    assert_int_equal(*(int *)context->state, 0);
    fickle.opened++;
    *(int *)context->state = 1;
    return fickle.opens ? 0 : error_set(err, ERROR_UNREACHABLE, "nobody there");
}

static void
fickle_close(struct channel_context *context)
{
    fickle.closed++;
    *(int *)context->state = 0;
}

static void
fickle_deliver(struct channel_context *context, struct delivery *const *list, size_t count,
               struct channel_answer *answers)
{
    (void)list;
    assert_int_equal(*(int *)context->state, 1);
    fickle.delivered++;
    for (size_t i = 0; i < count; i++)
        answers[i] = (struct channel_answer){.class = fickle.class};
}

static const struct channel_driver fickle_driver = {
    .name = "fickle",
    .state_size = sizeof(int),
    .open = fickle_open,
    .close = fickle_close,
    .deliver = fickle_deliver,
};

static void
a_broken_driver_is_opened_again(void **state)
{
    struct channel_rig *rig = *state;
    struct channel_answer answer;
    memset(&fickle, 0, sizeof(fickle));
    rig->plan.driver = &fickle_driver;
    rig->plan.feed = fake_feed_feed(rig->feed);
    rig->channel = channel_new(&rig->plan, &rig->err);
    assert_int_equal(fickle.opened, 0);
    assert_int_equal(channel_start(rig->channel, &rig->err), 0); /* unreachable is no failure */
    assert_int_equal(fickle.opened, 1);
    answer = channel_rig_send(rig, MESSAGE_TEXT, "x", NULL);
    assert_int_equal(answer.class, CHANNEL_BROKEN);
    assert_string_equal(answer.reason, "channel \"rig\": nobody there");
    assert_int_equal(fickle.delivered, 0);
    fickle.opens = true;
    assert_int_equal(channel_rig_send(rig, MESSAGE_TEXT, "x", NULL).class, CHANNEL_DELIVERED);
    fickle.class = CHANNEL_RETRY;
    assert_int_equal(channel_rig_send(rig, MESSAGE_TEXT, "x", NULL).class, CHANNEL_RETRY);
    assert_int_equal(fickle.opened, 3);
    fickle.class = CHANNEL_BROKEN;
    assert_int_equal(channel_rig_send(rig, MESSAGE_TEXT, "x", NULL).class, CHANNEL_BROKEN);
    fickle.class = CHANNEL_DELIVERED;
    assert_int_equal(channel_rig_send(rig, MESSAGE_TEXT, "x", NULL).class, CHANNEL_DELIVERED);
    assert_int_equal(fickle.opened, 4);
    channel_stop(rig->channel);
    assert_int_equal(fickle.closed, 4);
}

static void
reasons_are_escaped_and_cut(void **state)
{
    struct channel_answer answer;
    char text[600];
    (void)state;
    channel_answer_set(&answer, CHANNEL_RETRY, 5, "%s", "a\x1b[2Jb\nc");
    assert_string_equal(answer.reason, "a\\x1b[2Jb\\nc");
    assert_int_equal(answer.code, 5);
    memset(text, 'y', sizeof(text));
    memcpy(text + 252, "\xe2\x82\xac", 3); /* a character over the edge */
    memcpy(text + 255, "\xe2\x82\xac", 3);
    text[sizeof(text) - 1] = '\0';
    channel_answer_set(&answer, CHANNEL_REJECT, 0, "%s", text);
    assert_int_equal(strlen(answer.reason), 255);
    assert_memory_equal(answer.reason + 252, "\xe2\x82\xac", 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drivers_are_found_by_name),
        cmocka_unit_test(classes_have_names),
        cmocka_unit_test_setup_teardown(defaults_are_those_of_the_design, setup, teardown),
        cmocka_unit_test_setup_teardown(options_reach_the_shape_and_the_driver, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_options_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(null_swallows_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_keeps_what_it_is_given, setup, teardown),
        cmocka_unit_test(memory_fails_on_purpose),
        cmocka_unit_test_setup_teardown(memory_can_reorder, setup, teardown),
        cmocka_unit_test_setup_teardown(halting_takes_nothing_more, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_driver_is_opened_again, setup, teardown),
        cmocka_unit_test(reasons_are_escaped_and_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
