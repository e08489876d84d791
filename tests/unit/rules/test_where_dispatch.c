/* Conditions as rules have them: what is sent, what fails for want of an old value, what the log
 * says of it, and conditions where none belongs. */
#include "rules/rules.h"

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

static const struct schema *
orders(void)
{
    return event_make_schema("shop", "main", "orders", "id:int:key", "status:text:null",
                             "total:decimal:null", "meta:document:null");
}

static void
report(void *context, const char *script, const struct error *err)
{
    char text[2048];
    (void)context;
    fail_msg("%s: %s", script, error_text(err, text, sizeof(text)));
}

static struct rules *
load(const char *inside)
{
    char text[1024];
    struct rules_script script = {"scripts/a.lua", {0}};
    struct error err = {0};
    snprintf(text, sizeof(text), "rule('r', { on = 'shop:orders', %s })", inside);
    script.text = slice_of(text);
    struct rules *r = rules_new(&world, &script, 1, report, NULL, &err);
    assert_non_null(r);
    return r;
}

/* What a rule does with one event: 's'ends, 'r'ejects or 'f'ails; its error into `words`. */
static char
outcome(struct rules *r, struct event *e, char words[512])
{
    struct rule_status *before, *after;
    struct outbox_draft *d = outbox_draft_new(NULL);
    struct error err = {0};
    assert_int_equal(rules_status(r, &before), 1);
    assert_int_equal(rules_event(r, e, d, &err), 0);
    assert_int_equal(rules_status(r, &after), 1);
    char result = after->failed > before->failed ? 'f' : outbox_draft_count(d) ? 's' : 'r';
    if (words)
        snprintf(words, 512, "%s", after->last_error);
    free(before);
    free(after);
    outbox_draft_free(d);
    return result;
}

#define SEATS(n) "{\"plan\":{\"name\":\"pro\",\"seats\":" #n "}}"

static void
rules_find_their_rows(void **state)
{
    static const struct {
        const char *rule;
        const char *outcomes; /* of the five events below */
    } rows[] = {
        {"where = { status = changed_to('paid') }", "srrrs"},
        {"where = { status = changed_from('open') }", "srrrr"},
        {"where = { status = changed_from('paid') }", "rrsrr"},
        {"where = { status = not_('paid') }", "rrrsr"},
        {"where = { status = like('p%'), total = between(10, '10.50') }", "sssrr"},
        {"where = { ['meta.plan.seats'] = gt(10) }", "rsssr"},
        {"where = { ['meta.plan.seats'] = changed_to(gt(10)) }", "rsrsr"},
        {"where = { ['meta.plan.seats'] = changed_to(gt(10)) }, ops = 'delete'", "rrrrr"},
        {"where = { ['meta.plan.name'] = null }", "rrrrs"},
        {"where = any_of({ total = gt(100) }, { status = is_null() })", "rrrsr"},
        {"when = function(e) return (e:get('meta.plan.seats') or 0) > 10 end", "rsssr"},
    };
    struct row a = event_make_row("1", "'open'", "10.00m", SEATS(5)),
               b = event_make_row("1", "'paid'", "10.00m", SEATS(5)),
               c = event_make_row("1", "'paid'", "10.50m", SEATS(11)),
               d = event_make_row("1", "null", "1000m", SEATS(12)),
               e = event_make_row("1", "'paid'", "0.1m", "null"), none = event_make_none();
    struct event events[] = {event_make(EVENT_UPDATE, orders(), "1", b, a),
                             event_make(EVENT_UPDATE, orders(), "2", c, b),
                             event_make(EVENT_DELETE, orders(), "3", none, c),
                             event_make(EVENT_INSERT, orders(), "4", d, none),
                             event_make(EVENT_INSERT, orders(), "5", e, none)};
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char text[512], got[8] = "", words[512];
        snprintf(text, sizeof(text), "notify = 'ops', %s", rows[i].rule);
        struct rules *r = load(text);
        for (size_t k = 0; k < countof(events); k++)
            got[k] = outcome(r, &events[k], words);
        if (strcmp(got, rows[i].outcomes) != 0)
            fail_msg("%s: %s, not %s: %s", rows[i].rule, got, rows[i].outcomes, words);
        rules_free(r);
    }
}

static void
an_old_value_that_is_not_in_the_log_fails_the_rule(void **state)
{
    static const struct {
        const char *where, *old, *new;
        char outcome;
    } rows[] = {
        {"{ status = changed_to('paid') }", "absent", "'paid'", 'f'},
        {"{ status = changed_to('paid') }", "absent", "'open'", 'r'},
        {"{ status = changed_to('paid') }", "absent", "unchanged", 'r'},
        {"{ status = changed_from('paid') }", "absent", "'open'", 'f'},
        {"{ status = changed_from('paid') }", "absent", "'paid'", 'r'},
        {"{ status = 'paid' }", "absent", "unchanged", 'f'},
        {"{ status = 'paid' }", "'paid'", "unchanged", 's'},
        {"{ id = 2, status = 'paid' }", "absent", "unchanged", 'r'},
        {"{ id = 1, status = any_of('x', changed_to('paid')) }", "absent", "'paid'", 'f'},
        {"any_of({ id = 1 }, { status = changed_to('paid') })", "absent", "'paid'", 's'},
        {"not_({ status = changed_to('paid') })", "absent", "'paid'", 'f'},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char text[256], words[512];
        snprintf(text, sizeof(text), "notify = 'ops', where = %s", rows[i].where);
        struct rules *r = load(text);
        struct event e =
            event_make(EVENT_UPDATE, orders(), "1", event_make_row("1", rows[i].new, "1m", "null"),
                       event_make_row("1", rows[i].old));
        char got = outcome(r, &e, words);
        if (got != rows[i].outcome)
            fail_msg("%s from %s to %s: %c", rows[i].where, rows[i].old, rows[i].new, got);
        if (got == 'f' && !strstr(words, "old value not in log: main.orders does not carry column "
                                         "\"status\""))
            fail_msg("%s: %s", rows[i].where, words);
        rules_free(r);
    }
}

/* A rule that asks for what the log never has goes on failing: it is not quarantined for it. */
static void
missing_old_values_do_not_lead_to_quarantine(void **state)
{
    struct rules *r = load("notify = 'ops', where = { status = changed_to('paid') }");
    struct event unknown =
        event_make(EVENT_UPDATE, orders(), "1", event_make_row("1", "'paid'", "1m", "null"),
                   event_make_row("1"));
    struct event known =
        event_make(EVENT_UPDATE, orders(), "2", event_make_row("1", "'paid'", "1m", "null"),
                   event_make_row("1", "'open'", "1m", "null"));
    (void)state;
    for (int i = 0; i < 50; i++)
        assert_int_equal(outcome(r, &unknown, NULL), 'f');
    assert_int_equal(outcome(r, &known, NULL), 's');
    rules_free(r);
}

static void
conditions_do_not_belong_in_handlers(void **state)
{
    static const char *const rules[] = {
        "notify = 'ops', when = function(e) return e.new.total == gt(5) end",
        "run = function(e) send('ops', { total = like('x') }) end",
    };
    (void)state;
    for (size_t i = 0; i < countof(rules); i++) {
        char words[512];
        struct rules *r = load(rules[i]);
        struct event e = event_make(EVENT_INSERT, orders(), "1",
                                    event_make_row("1", "'paid'", "1m", "null"), event_make_none());
        assert_int_equal(outcome(r, &e, words), 'f');
        if (!strstr(words, "is a condition for where"))
            fail_msg("%s: %s", rules[i], words);
        rules_free(r);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_find_their_rows),
        cmocka_unit_test(an_old_value_that_is_not_in_the_log_fails_the_rule),
        cmocka_unit_test(missing_old_values_do_not_lead_to_quarantine),
        cmocka_unit_test(conditions_do_not_belong_in_handlers),
    };
    struct log_options quiet = {.level = LOG_ERROR, .path = "/dev/null", .keep = 1};
    struct error err = {0};
    if (log_open(&quiet, &err) != 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
