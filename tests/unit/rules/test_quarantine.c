/* Rules that fail again and again, and scripts that fill the VM. */
#include "rules/rules_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/log.h"
#include "support/event_make.h"
#include "unit/rules/fake_outbox.h"

static const char *const sources[] = {"shop"};
static const char *const schemas[] = {"main"};
static const struct rules_world world = {.sources = sources,
                                         .source_schemas = schemas,
                                         .source_count = 1,
                                         .channel = fake_channel,
                                         .channel_suggest = fake_suggest};

static void
report(void *context, const char *script, const struct error *err)
{
    char text[2048];
    (void)context;
    fail_msg("%s: %s", script, error_text(err, text, sizeof(text)));
}

static struct rules *
load(const struct rules_script *scripts, size_t count)
{
    struct error err = {0};
    struct rules *r = rules_new(&world, scripts, count, report, NULL, &err);
    assert_non_null(r);
    return r;
}

static struct rules *
load_one(const char *text)
{
    struct rules_script script = {"scripts/a.lua", slice_of(text)};
    return load(&script, 1);
}

/* An insert with that id and lsn; how many messages it made. */
static size_t
handle(struct rules *r, unsigned number)
{
    const struct schema *schema = event_make_schema("shop", "main", "orders", "id:int:key");
    char id[16];
    struct error err = {0};
    snprintf(id, sizeof(id), "%u", number);
    struct event e = event_make(EVENT_INSERT, schema, "17", event_make_row(id), event_make_none());
    struct outbox_draft *d = outbox_draft_new(NULL);
    e.lsn = number;
    assert_int_equal(rules_event(r, &e, d, &err), 0);
    size_t count = outbox_draft_count(d);
    outbox_draft_free(d);
    return count;
}

static struct rule_status
status_of(struct rules *r, size_t place)
{
    struct rule_status *list, one;
    assert_true(rules_status(r, &list) > place);
    one = list[place];
    free(list);
    return one;
}

static void
twenty_failures_in_a_row_begin_it(void **state)
{
    struct rules *r =
        load_one("on('bad', 'shop:orders', 'insert', function(e)\n"
                 "  if e.new.id < 100 then error('no') end send('ops', 'x') end)\n"
                 "on('good', 'shop:orders', 'insert', function(e) send('ops', 'y') end)");
    (void)state;
    for (unsigned i = 1; i <= QUARANTINE_FAILURES; i++) {
        assert_false(status_of(r, 0).quarantined);
        assert_int_equal(handle(r, i), 1);
    }
    assert_true(status_of(r, 0).quarantined);
    for (unsigned i = 101; i <= 130; i++)
        assert_int_equal(handle(r, i), 1); /* not tried, though it would pass; the other goes on */
    struct rule_status s = status_of(r, 0);
    assert_int_equal(s.held, 30);
    assert_int_equal(s.held_first, 101);
    assert_int_equal(s.held_last, 130);
    assert_int_equal(s.failed, QUARANTINE_FAILURES + 30);
    assert_false(status_of(r, 1).quarantined);
    rules_free(r);
}

static void
one_event_a_minute_is_tried_and_one_success_ends_it(void **state)
{
    struct rules *r = load_one("on('bad', 'shop:orders', 'insert', function(e)\n"
                               "  if e.new.id < 100 then error('no') end send('ops', 'x') end)");
    struct quarantine *q = &r->list[0].quarantine;
    (void)state;
    for (unsigned i = 1; i <= QUARANTINE_FAILURES; i++)
        handle(r, i);
    assert_true(q->retry > clock_mono() + QUARANTINE_RETRY - 10 * CLOCK_SECOND);
    q->retry = clock_mono(); /* a minute later */
    handle(r, 50);           /* tried, fails again */
    assert_true(q->active && q->retry > clock_mono());
    assert_int_equal(handle(r, 150), 0);
    assert_int_equal(status_of(r, 0).held, 1);
    q->retry = clock_mono();
    assert_int_equal(handle(r, 151), 1);
    assert_false(status_of(r, 0).quarantined);
    assert_int_equal(status_of(r, 0).held_first, 150); /* still told */
    assert_int_equal(handle(r, 152), 1);
    for (unsigned i = 1; i < QUARANTINE_FAILURES; i++) /* it begins from nothing again */
        handle(r, i);
    assert_false(status_of(r, 0).quarantined);
    rules_free(r);
}

static void
three_kills_in_a_row_begin_it(void **state)
{
    struct rules *r =
        load_one("on('slow', 'shop:orders', 'insert', function(e)\n"
                 "  if e.new.id < 100 then while true do end end send('ops', 'x') end)");
    (void)state;
    handle(r, 1);
    handle(r, 2);
    assert_int_equal(handle(r, 101), 1); /* not in a row */
    handle(r, 3);
    handle(r, 4);
    assert_false(status_of(r, 0).quarantined);
    handle(r, 5);
    assert_true(status_of(r, 0).quarantined);
    assert_non_null(strstr(status_of(r, 0).last_error, "more than 500 ms of CPU time"));
    assert_int_equal(handle(r, 102), 0);
    rules_free(r);
}

static void
what_the_log_lacks_does_not_count(void **state)
{
    struct quarantine q = {0};
    struct error err = {0};
    (void)state;
    error_set(&err, ERROR_DATA, "old value not in log: x");
    for (int i = 0; i < 100; i++)
        quarantine_failed(&q, "r", &err);
    assert_false(q.active);
}

/* A script that keeps 1 MiB more of each event: its neighbour goes on, and it is named. */
static const struct rules_script leaking[] = {
    {"scripts/big.lua", {0}}, {"scripts/leak.lua", {0}}, {"scripts/other.lua", {0}}};
static const char *const leaking_texts[] = {
    "local kept = {} for i = 1, 6 do kept[i] = ('x'):rep(5000000) .. i end\n"
    "on('r', 'shop:orders', 'insert', function(e) if #kept ~= 6 then error('lost') end end)",
    "local kept, all = {}, {}\n"
    "on('r', 'shop:orders', 'insert', function(e)\n"
    "  kept[#kept + 1] = ('x'):rep(1 << 20) .. #kept all[#kept] = coroutine.wrap(print) end)",
    "local n = 0\n"
    "on('r', 'shop:orders', 'insert', function(e) n = n + 1 send('ops', 'n' .. n) end)"};

static void
a_full_vm_is_loaded_anew(void **state)
{
    struct rules_script scripts[countof(leaking)];
    (void)state;
    for (size_t i = 0; i < countof(leaking); i++)
        scripts[i] = (struct rules_script){leaking[i].path, slice_of(leaking_texts[i])};
    struct rules *r = load(scripts, countof(scripts));
    struct vm *before = r->vm;
    unsigned event = 1;
    for (; event <= 60 && r->vm == before; event++)
        assert_int_equal(handle(r, event), 1);
    assert_ptr_not_equal(r->vm, before);
    assert_true(vm_memory(r->vm) < 40 << 20);
    assert_int_equal(r->list[0].quarantine.grown, 0); /* it holds more, but did not grow */
    assert_int_not_equal(r->list[1].quarantine.grown, 0);
    assert_int_equal(r->list[2].quarantine.grown, 0);
    assert_false(status_of(r, 1).quarantined);
    before = r->vm;
    for (unsigned i = 0; i <= 60 && r->vm == before; i++)
        assert_int_equal(handle(r, ++event), 1);
    assert_ptr_not_equal(r->vm, before);
    assert_true(status_of(r, 1).quarantined);
    before = r->vm;
    for (unsigned i = 0; i <= 100; i++) /* its neighbours go on, and nothing grows any more */
        assert_int_equal(handle(r, ++event), 1);
    assert_ptr_equal(r->vm, before);
    for (size_t i = 0; i < countof(scripts); i += 2)
        assert_int_equal(status_of(r, i).failed, 0);
    rules_free(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twenty_failures_in_a_row_begin_it),
        cmocka_unit_test(one_event_a_minute_is_tried_and_one_success_ends_it),
        cmocka_unit_test(three_kills_in_a_row_begin_it),
        cmocka_unit_test(what_the_log_lacks_does_not_count),
        cmocka_unit_test(a_full_vm_is_loaded_anew),
    };
    struct log_options quiet = {.level = LOG_ERROR, .path = "/dev/null", .keep = 1};
    struct error err = {0};
    if (log_open(&quiet, &err) != 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
