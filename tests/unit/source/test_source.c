/* The thread of a source with a driver that does what the test says: back-off, states, policies,
 * keepalives, order of confirmations, ticks. */
#include "source/source_driver.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "support/fake_sink.h"

/* What the driver does and what was asked of it; the thread writes, the test reads. */
static struct {
    atomic_int fail_open; /* so many times, with `class` */
    atomic_int fail_next;
    atomic_int events; /* to emit */
    atomic_int opens, closes, keepalives, confirms;
    atomic_long confirmed;
    enum error_class class;
    int64_t at;
} fake;

static int
fake_open(struct source_context *context, struct error *err)
{
    fake.opens++;
    if (fake.fail_open > 0) {
        fake.fail_open--;
        return error_set(err, fake.class, "cannot open");
    }
    struct scan scan = scan_of(buffer_view(context->position));
    fake.at = context->position->size ? (int64_t)scan_u64(&scan) : 0;
    return 0;
}

static int
emit_one(struct source_context *context, struct error *err)
{
    static const struct column columns[] = {{.name = {"n", 1}}};
    struct schema draft = {.source = slice_literal("fake"),
                           .driver = slice_literal("fake"),
                           .schema = slice_literal("s"),
                           .table = slice_literal("t"),
                           .columns = columns,
                           .column_count = 1};
    const struct schema *schema = schema_intern(context->plan->schemas, &draft, err);
    struct cell cell = {.kind = CELL_INT, .integer = ++fake.at};
    char text[24];
    int size = snprintf(text, sizeof text, "%lld", (long long)fake.at);
    struct event e = {.op = EVENT_INSERT,
                      .ts = clock_now(),
                      .schema = schema,
                      .position = {text, (size_t)size},
                      .rows = {[EVENT_NEW] = {true, 1, &cell}}};
    struct buffer position;
    buffer_init(&position, 64);
    buffer_u64(&position, (uint64_t)fake.at);
    int result = source_emit(context, &e, buffer_view(&position), err);
    buffer_release(&position);
    return result;
}

static enum source_next
fake_next(struct source_context *context, struct error *err)
{
    if (fake.events > 0) {
        fake.events--;
        return emit_one(context, err) == 0 ? SOURCE_READ : SOURCE_ERROR;
    }
    if (fake.fail_next > 0) {
        fake.fail_next--;
        error_set(err, fake.class, "cannot read");
        return SOURCE_ERROR;
    }
    source_watermark(context, clock_now());
    return SOURCE_IDLE;
}

static int
fake_waits(struct source_context *context, struct pollfd *fds, int room, int64_t *timeout_us)
{
    (void)context, (void)fds, (void)room;
    *timeout_us = 1000;
    return 0;
}

static int
fake_confirm(struct source_context *context, struct slice position, struct error *err)
{
    struct scan scan = scan_of(position);
    (void)context, (void)err;
    fake.confirms++;
    fake.confirmed = (long)scan_u64(&scan);
    return 0;
}

static int
fake_keepalive(struct source_context *context, struct error *err)
{
    (void)context, (void)err;
    fake.keepalives++;
    return 0;
}

static void
fake_close(struct source_context *context)
{
    (void)context;
    fake.closes++;
}

static void
fake_describe(struct slice position, struct buffer *out)
{
    struct scan scan = scan_of(position);
    buffer_printf(out, "%llu", (unsigned long long)scan_u64(&scan));
}

static const struct source_driver driver = {.name = "fake",
                                            .state_size = 1,
                                            .open = fake_open,
                                            .next = fake_next,
                                            .waits = fake_waits,
                                            .confirm = fake_confirm,
                                            .keepalive = fake_keepalive,
                                            .close = fake_close,
                                            .describe = fake_describe};

struct rig {
    struct fake_sink sink;
    struct source_plan plan;
    struct source *source;
};

static void
start(struct rig *r, int policy)
{
    struct error err = {0};
    fake_sink_init(&r->sink);
    r->plan = (struct source_plan){.name = "fake",
                                   .driver = &driver,
                                   .workspace_id = "w",
                                   .schemas = r->sink.schemas,
                                   .sink = fake_sink_of(&r->sink)};
    r->plan.common.max_row = 1 << 20;
    r->plan.common.on_lost = policy;
    r->source = source_new(&r->plan, &err);
    assert_non_null(r->source);
    r->sink.wake = source_wake(r->source);
    assert_int_equal(source_start(r->source, &err), 0);
}

static void
stop(struct rig *r)
{
    source_stop(r->source);
    source_join(r->source);
    r->sink.wake = NULL;
    source_free(r->source);
    fake_sink_release(&r->sink);
}

static struct source_status
until(struct rig *r, enum source_state state)
{
    struct source_status status;
    int64_t end = clock_mono() + 20 * CLOCK_SECOND;
    for (source_status(r->source, &status); status.state != state;
         source_status(r->source, &status)) {
        assert_true(clock_mono() < end);
        usleep(500);
    }
    return status;
}

static void
until_number(const atomic_int *number, int least)
{
    int64_t end = clock_mono() + 20 * CLOCK_SECOND;
    while (*number < least) {
        assert_true(clock_mono() < end);
        usleep(500);
    }
}

static void reset_fake(enum error_class class)
{
    memset(&fake, 0, sizeof fake);
    fake.class = class;
}

static void
test_reconnects(void **state)
{
    static const enum error_class classes[] = {ERROR_UNREACHABLE, ERROR_BUSY, ERROR_IO, ERROR_FULL,
                                               ERROR_INTERNAL};
    (void)state;
    for (size_t i = 0; i < countof(classes); i++) {
        struct rig r;
        reset_fake(classes[i]);
        fake.fail_open = 2;
        fake.events = 1;
        start(&r, SOURCE_FAIL);
        assert_true(fake_sink_wait(&r.sink, 1, 20));
        assert_int_equal(fake.opens, 3);
        assert_int_equal(fake.closes, 2);
        fake.fail_next = 1;
        until_number(&fake.opens, 4);
        fake.events = 1;
        assert_true(fake_sink_wait(&r.sink, 2, 20));
        assert_int_equal(event_cell(&r.sink.events[1].event, EVENT_NEW, 0)->integer, 2);
        stop(&r);
    }
}

static void
test_waits_for_a_person(void **state)
{
    static const struct {
        enum error_class class;
        enum source_state state;
    } rows[] = {{ERROR_CONFIG, SOURCE_FAILED},
                {ERROR_DENIED, SOURCE_FAILED},
                {ERROR_MISSING, SOURCE_FAILED},
                {ERROR_DATA, SOURCE_FAILED},
                {ERROR_LOST, SOURCE_LOST}};
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct rig r;
        reset_fake(rows[i].class);
        fake.fail_open = 1000;
        start(&r, SOURCE_FAIL);
        struct source_status status = until(&r, rows[i].state);
        assert_string_equal(status.error.message, "cannot open");
        assert_int_equal(fake.opens, 1);
        stop(&r);
    }
}

/* Lost in the middle: what was read before is handed over first, in the old epoch. */
static void
test_accept(void **state)
{
    struct rig r;
    (void)state;
    reset_fake(ERROR_LOST);
    fake.events = 3;
    fake.fail_next = 1;
    start(&r, SOURCE_ACCEPT);
    assert_true(fake_sink_wait(&r.sink, 4, 20));
    assert_int_equal(r.sink.events[2].event.epoch, 1);
    assert_int_equal(r.sink.events[3].event.op, EVENT_GAP);
    assert_int_equal(r.sink.events[3].event.epoch, 2);
    assert_non_null(strstr(r.sink.events[3].json, "\"reason\":\"cannot read\""));
    fake.events = 1;
    assert_true(fake_sink_wait(&r.sink, 5, 20));
    assert_int_equal(event_cell(&r.sink.events[4].event, EVENT_NEW, 0)->integer, 1);
    stop(&r);
}

static void
test_confirms_only_what_is_durable(void **state)
{
    struct rig r;
    (void)state;
    reset_fake(ERROR_NONE);
    start(&r, SOURCE_FAIL);
    r.sink.hold = true;
    fake.events = 5;
    assert_true(fake_sink_wait(&r.sink, 5, 20));
    source_request_tick(r.source);
    assert_true(fake_sink_wait_ticks(&r.sink, 1, 20));
    assert_int_equal(fake.confirms, 0);
    fake_sink_commit(&r.sink);
    until_number(&fake.confirms, 1);
    assert_int_equal(fake.confirmed, 5);
    struct source_status status;
    source_status(r.source, &status);
    assert_string_equal(status.position, "5");
    assert_int_equal(status.events, 5);
    assert_true(status.watermark > 0);
    stop(&r);
}

static void
test_keepalive_while_full(void **state)
{
    struct rig r;
    (void)state;
    reset_fake(ERROR_NONE);
    start(&r, SOURCE_FAIL);
    until(&r, SOURCE_STREAMING);
    fake_sink_set_full(&r.sink, true);
    fake.events = 1;
    until(&r, SOURCE_PAUSED);
    until_number(&fake.keepalives, 2);
    fake_sink_set_full(&r.sink, false);
    assert_true(fake_sink_wait(&r.sink, 1, 20));
    until(&r, SOURCE_STREAMING);
    stop(&r);
}

/* A failure while batches are not yet durable: it reads on behind them, neither twice nor never. */
static void
test_reconnect_waits_for_commits(void **state)
{
    struct rig r;
    (void)state;
    reset_fake(ERROR_UNREACHABLE);
    start(&r, SOURCE_FAIL);
    until(&r, SOURCE_STREAMING);
    r.sink.hold = true;
    fake.events = 3;
    fake.fail_next = 1;
    assert_true(fake_sink_wait(&r.sink, 3, 20));
    until_number(&fake.closes, 1);
    assert_int_equal(fake.opens, 1);
    fake_sink_commit(&r.sink);
    fake.events = 1;
    assert_true(fake_sink_wait(&r.sink, 4, 20));
    assert_int_equal(event_cell(&r.sink.events[3].event, EVENT_NEW, 0)->integer, 4);
    r.sink.hold = false;
    fake_sink_commit(&r.sink);
    stop(&r);
}

static void
test_stops_at_once(void **state)
{
    struct rig r;
    (void)state;
    reset_fake(ERROR_UNREACHABLE);
    fake.fail_open = 100000;
    start(&r, SOURCE_FAIL);
    until_number(&fake.opens, 4);
    int64_t before = clock_mono();
    stop(&r);
    assert_true(clock_mono() - before < 2 * CLOCK_SECOND);
}

/* What is lost for ever is not tried without pause, nor does the epoch run away. */
static void
test_accept_backs_off(void **state)
{
    struct rig r;
    (void)state;
    reset_fake(ERROR_LOST);
    fake.fail_open = 1000000;
    start(&r, SOURCE_ACCEPT);
    until_number(&fake.opens, 3);
    usleep(300000);
    assert_true(fake.opens < 50);
    stop(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reconnects),
        cmocka_unit_test(test_waits_for_a_person),
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_accept_backs_off),
        cmocka_unit_test(test_confirms_only_what_is_durable),
        cmocka_unit_test(test_keepalive_while_full),
        cmocka_unit_test(test_reconnect_waits_for_commits),
        cmocka_unit_test(test_stops_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
