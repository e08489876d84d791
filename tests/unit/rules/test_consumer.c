#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "rules/rules.h"
#include "unit/outbox/rig.h"

/* A store with an outbox, one source's producer, and a consumer with its rules. */
struct bench {
    struct rig rig;
    struct wake wake;
    struct store_producer *source;
    struct rules *rules;
    struct consumer *consumer;
    unsigned made; /* events */
};

static struct channel_plan plan = {.name = "ops"};

static bool
find_channel(void *context, struct slice name, struct outbox_queue **queue,
             const struct channel_plan **found)
{
    struct bench *b = context;
    plan.common.shape = event_shape_default;
    *queue = b->rig.q;
    *found = &plan;
    return slice_is(name, "ops");
}

static void
report(void *context, const char *script, const struct error *err)
{
    (void)context;
    fail_msg("%s: %s", script, err->message);
}

static void
fail_error(const struct error *err)
{
    char text[2200];
    fail_msg("%s", error_text(err, text, sizeof(text)));
}

static void
start(struct bench *b, const char *script)
{
    static const char *const sources[] = {"shop"}, *const schemas[] = {"main"};
    struct rules_world world = {.outbox = b->rig.outbox,
                                .sources = sources,
                                .source_schemas = schemas,
                                .source_count = 1,
                                .channel = find_channel,
                                .context = b};
    struct rules_script file = {"scripts/a.lua", slice_of(script)};
    struct error err = {0};
    b->rules = rules_new(&world, &file, 1, report, NULL, &err);
    assert_non_null(b->rules);
    struct consumer_plan wanted = {"main", b->rig.store, b->rig.outbox, b->rules};
    b->consumer = consumer_new(&wanted, &err);
    if (!b->consumer || consumer_start(b->consumer, &err) != 0)
        fail_error(&err);
}

static void
stop(struct bench *b)
{
    if (b->consumer)
        consumer_stop(b->consumer);
    consumer_free(b->consumer);
    rules_free(b->rules);
    b->consumer = NULL;
    b->rules = NULL;
}

static int
setup(void **state)
{
    struct bench *b = memory_zero(sizeof(*b));
    struct error err = {0};
    struct store_consumer known;
    rig_init(&b->rig);
    rig_open(&b->rig);
    if (wake_init(&b->wake, &err) != 0 ||
        store_consumer_open(b->rig.store, "main", &known, &err) != 0)
        fail_error(&err);
    b->source = store_producer_open(b->rig.store, "source/shop", 0, &b->wake);
    *state = b;
    return 0;
}

static int
teardown(void **state)
{
    struct bench *b = *state;
    stop(b);
    store_producer_close(b->source);
    rig_release(&b->rig);
    wake_release(&b->wake);
    free(b);
    return 0;
}

static const struct schema *
orders(void)
{
    return event_make_schema("shop", "main", "orders", "id:int:key", "note:text");
}

/* Hands the batch over and waits until it is durable. */
static void
give(struct bench *b, struct batch *batch)
{
    uint64_t unit;
    while (!store_give_batch(b->source, batch, &unit))
        wake_wait(&b->wake, CLOCK_SECOND);
    while (store_committed(b->source) < unit)
        wake_wait(&b->wake, CLOCK_SECOND);
}

static struct event
make_event(unsigned id, size_t note)
{
    char number[16], position[16], *text = memory_alloc(note + 3);
    snprintf(number, sizeof(number), "%u", id);
    snprintf(position, sizeof(position), "%u", id);
    uint64_t noise = id;
    for (size_t i = 0; i < note + 2; i++) /* nothing that packs well: segments must fill */
        text[i] = (char)('a' + ((noise = noise * 6364136223846793005u + 1) >> 60));
    text[0] = text[note + 1] = '\'';
    text[note + 2] = 0;
    struct event e = event_make(EVENT_INSERT, orders(), position, event_make_row(number, text),
                                event_make_none());
    free(text);
    return e;
}

/* Inserts with the ids made … made + count - 1, each with a note of so many bytes. */
static void
insert(struct bench *b, unsigned count, size_t note)
{
    struct event *events = memory_alloc(count * sizeof(*events));
    for (unsigned i = 0; i < count; i++)
        events[i] = make_event(b->made++, note);
    give(b, event_make_batch("shop", events, count, "p"));
    free(events);
}

static struct consumer_status
status_of(struct bench *b)
{
    struct consumer_status status;
    consumer_status(b->consumer, &status);
    return status;
}

/* Waits until everything that is in the journal is decided and committed. */
static void
settle(struct bench *b)
{
    uint64_t newest = journal_newest(store_journal(b->rig.store));
    for (int i = 0; i < 10000; i++) {
        if (status_of(b).checkpoint >= newest)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    fail_msg("the checkpoint is at %lu of %lu: %s", (unsigned long)status_of(b).checkpoint,
             (unsigned long)newest, status_of(b).error.message);
}

/* Delivers what waits; the texts, with a blank behind each. */
static void
take(struct bench *b, struct buffer *out)
{
    struct delivery *list[64];
    size_t count;
    while ((count = queue_take(b->rig.q, list, countof(list))) > 0)
        for (size_t i = 0; i < count; i++) {
            buffer_slice(out, list[i]->body);
            buffer_byte(out, ' ');
            rig_answer(b->rig.q, list[i], CHANNEL_DELIVERED);
        }
}

static void
assert_taken(struct bench *b, const char *expected)
{
    struct buffer out;
    buffer_init(&out, 1 << 20);
    take(b, &out);
    assert_string_equal(buffer_cstring(&out), expected);
    buffer_release(&out);
}

/* "0 1 2 … " */
static void
assert_taken_numbers(struct bench *b, unsigned count)
{
    struct buffer expected;
    buffer_init(&expected, 1 << 20);
    for (unsigned i = 0; i < count; i++)
        buffer_printf(&expected, "%u ", i);
    assert_taken(b, buffer_cstring(&expected));
    buffer_release(&expected);
}

static const char all[] = "rule('all', { on = 'shop:orders', notify = 'ops', message = '{{id}}' })";
static const char none[] =
    "rule('none', { on = 'shop:orders', notify = 'ops', where = { id = -1 } })";

static void
messages_and_checkpoint_are_committed(void **state)
{
    struct bench *b = *state;
    start(b, "rule('r', { on = 'shop:orders', where = { id = one_of(3, 12, 29) }, notify = 'ops',\n"
             "  message = '{{id}}' })");
    for (int i = 0; i < 3; i++)
        insert(b, 10, 1);
    settle(b);
    assert_taken(b, "3 12 29 ");
    struct consumer_status status = status_of(b);
    assert_int_equal(status.position, 30);
    assert_int_equal(status.checkpoint, 30);
    assert_int_equal(status.events, 30);
    assert_int_equal(status.entered, 0);
    assert_int_equal(status.error.class, ERROR_NONE);
}

static void
a_checkpoint_without_messages_follows_soon(void **state)
{
    struct bench *b = *state;
    struct store_consumer *list;
    start(b, none);
    insert(b, 10, 1);
    settle(b);
    assert_taken(b, "");
    assert_int_equal(store_consumer_list(b->rig.store, &list), 1);
    assert_int_equal(list[0].checkpoint, 10);
    free(list);
}

static void
tables_that_no_rule_names_are_not_decoded(void **state)
{
    struct bench *b = *state;
    start(b, "on('shop:customers', 'insert', function(e) error('never') end)");
    insert(b, 10, 1);
    settle(b);
    assert_int_equal(status_of(b).events, 10);
    assert_int_equal(status_of(b).entered, 0);
}

static void
a_new_consumer_goes_on_where_the_last_one_was(void **state)
{
    struct bench *b = *state;
    start(b, all);
    insert(b, 5, 1);
    settle(b);
    stop(b);
    insert(b, 5, 1); /* while nobody reads */
    start(b, all);
    insert(b, 5, 1);
    settle(b);
    assert_taken_numbers(b, 15);
}

/* Stopped in the middle again and again: each event is decided once in what is committed. */
static void
stopping_loses_and_repeats_nothing(void **state)
{
    struct bench *b = *state;
    for (int i = 0; i < 20; i++)
        insert(b, 500, 20);
    for (int i = 0; i < 30; i++) {
        start(b, "on('r', 'shop:orders', 'insert', function(e)\n"
                 "  for i = 1, 50 do end send('ops', tostring(e.new.id))\n"
                 "end)");
        nanosleep(&(struct timespec){.tv_nsec = 1000000 * (i % 4)}, NULL);
        stop(b);
    }
    start(b, all);
    settle(b);
    assert_taken_numbers(b, 10000);
}

static void
what_was_trimmed_unread_is_one_gap(void **state)
{
    struct bench *b = *state;
    uint64_t oldest;
    struct error err = {0};
    for (int i = 0; i < 20; i++)
        insert(b, 10, 16000);
    if (store_trim(b->rig.store, 101, true, &oldest, &err) != 0)
        fail_error(&err);
    assert_in_range(oldest, 2, 101);
    start(b, "on('gap', 'shop:orders', 'gap', function(e)\n"
             "  send('ops', e.id .. '/' .. e.gap.from_lsn .. '-' .. e.gap.to_lsn .. '/' .. "
             "e.gap.count)\n"
             "end)\n"
             "rule('last', { on = 'shop:orders', where = { id = 199 }, notify = 'ops', message = "
             "'{{id}}' })");
    settle(b);
    char expected[256];
    snprintf(expected, sizeof(expected), "journal:%s:1-%lu/1-%lu/%lu 199 ",
             journal_id(store_journal(b->rig.store)), (unsigned long)oldest - 1,
             (unsigned long)oldest - 1, (unsigned long)oldest - 1);
    assert_taken(b, expected);
    assert_int_equal(status_of(b).checkpoint, 200);
}

/* A whole gap event goes to a channel in its format, although no journal holds it. */
static void
a_gap_goes_out_as_an_event(void **state)
{
    struct bench *b = *state;
    uint64_t oldest;
    struct error err = {0};
    struct buffer out;
    for (int i = 0; i < 10; i++)
        insert(b, 10, 16000);
    if (store_trim(b->rig.store, 100, true, &oldest, &err) != 0)
        fail_error(&err);
    start(b, "rule('gap', { on = 'shop:orders', ops = 'gap', notify = 'ops' })");
    settle(b);
    buffer_init(&out, 1 << 20);
    take(b, &out);
    assert_non_null(strstr(buffer_cstring(&out), "\"op\":\"gap\""));
    assert_non_null(strstr(buffer_cstring(&out), "\"from_lsn\":1"));
    buffer_release(&out);
}

static void
a_record_that_cannot_be_read_is_set_aside(void **state)
{
    struct bench *b = *state;
    struct batch *batch = batch_new("shop", 1);
    struct error err = {0};
    size_t second = 0;
    for (int i = 0; i < 3; i++) {
        struct event e = make_event(b->made++, 1);
        second = i == 1 ? batch->records.size : second;
        assert_int_equal(batch_add(batch, &e, &err), 0);
    }
    batch->records.data[second + 2] = (char)0xff; /* its flags */
    batch_seal(batch, slice_literal("p"), clock_now());
    start(b, all);
    give(b, batch);
    insert(b, 1, 1);
    settle(b);
    assert_taken(b, "0 2 3 ");
    assert_int_equal(status_of(b).corrupt, 1);
    assert_int_equal(status_of(b).checkpoint, 4);
}

static void
a_block_whose_records_do_not_add_up_is_left(void **state)
{
    struct bench *b = *state;
    struct batch *batch = batch_new("shop", 1);
    struct error err = {0};
    for (int i = 0; i < 3; i++) {
        struct event e = make_event(b->made++, 1);
        assert_int_equal(batch_add(batch, &e, &err), 0);
    }
    batch->records.data[0] = 0x7f; /* a length past what is there */
    batch_seal(batch, slice_literal("p"), clock_now());
    start(b, all);
    give(b, batch);
    insert(b, 1, 1);
    settle(b);
    assert_int_equal(status_of(b).checkpoint, 4);
    assert_true(status_of(b).corrupt >= 1);
    assert_taken(b, "3 ");
}

/* More messages than a unit or the store's queue may hold: cut into units, nothing lost. */
static void
large_output_is_cut_into_units(void **state)
{
    struct bench *b = *state;
    start(b, "on('r', 'shop:orders', 'insert', function(e)\n"
             "  for i = 1, 10 do send('ops', ('y'):rep(30000)) end\n"
             "  send('ops', tostring(e.new.id))\n"
             "end)");
    insert(b, 40, 1);
    settle(b);
    struct outbox_status *list;
    size_t count = outbox_status_list(b->rig.outbox, &list);
    assert_true(count >= 1);
    assert_int_equal(list[0].waiting, 40 * 11);
    free(list);
}

struct statement {
    struct store_work work;
    const char *sql;
};

static int
run_statement(struct store_work *work, sqlite3 *db, struct error *err)
{
    struct statement *s = container_of(work, struct statement, work);
    if (sqlite3_exec(db, s->sql, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    return error_set(err, ERROR_INTERNAL, "%s", sqlite3_errmsg(db));
}

static void
done_statement(struct store_work *work, const struct error *err)
{
    (void)err;
    free(container_of(work, struct statement, work));
}

static void
run_sql(struct bench *b, const char *sql)
{
    struct error err = {0};
    struct statement *s = memory_zero(sizeof(*s));
    s->sql = sql;
    s->work = (struct store_work){.run = run_statement, .done = done_statement, .bytes = 1};
    if (store_run_now(b->rig.store, &s->work, &err) != 0)
        fail_error(&err);
}

/* A unit that the database refuses: said, tried again, and nothing behind it is committed before.
 */
static void
a_refused_unit_is_tried_again(void **state)
{
    struct bench *b = *state;
    run_sql(b, "CREATE TRIGGER no BEFORE INSERT ON out_block BEGIN SELECT RAISE(ABORT, 'no'); END");
    start(b, all);
    insert(b, 5, 1);
    for (int i = 0; i < 10000 && status_of(b).error.class == ERROR_NONE; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_not_equal(status_of(b).error.class, ERROR_NONE);
    insert(b, 5, 1);
    assert_int_equal(status_of(b).checkpoint, 0);
    run_sql(b, "DROP TRIGGER no");
    settle(b);
    assert_int_equal(status_of(b).error.class, ERROR_NONE);
    assert_taken_numbers(b, 10);
}

static void
rules_wait_while_the_disk_is_low(void **state)
{
    struct bench *b = *state;
    insert(b, 5, 1);
    store_producer_close(b->source);
    rig_close(&b->rig, true);
    b->rig.store_options.disk_mark = INT64_MAX / 4;
    rig_open(&b->rig);
    b->source = store_producer_open(b->rig.store, "source/shop", 0, &b->wake);
    start(b, all);
    for (int i = 0; i < 10000 && status_of(b).error.class == ERROR_NONE; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(status_of(b).error.class, ERROR_FULL);
    assert_int_equal(status_of(b).position, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_and_checkpoint_are_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_checkpoint_without_messages_follows_soon, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(tables_that_no_rule_names_are_not_decoded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_consumer_goes_on_where_the_last_one_was, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(stopping_loses_and_repeats_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_trimmed_unread_is_one_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gap_goes_out_as_an_event, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_that_cannot_be_read_is_set_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(a_block_whose_records_do_not_add_up_is_left, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(large_output_is_cut_into_units, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_unit_is_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(rules_wait_while_the_disk_is_low, setup, teardown),
    };
    struct log_options quiet = {.level = LOG_ERROR, .path = "/dev/null", .keep = 1};
    struct error err = {0};
    if (log_open(&quiet, &err) != 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
