/* Templates as rules use them: filters of scripts, escaping by channel and field, the rule's clock.
 */
#include "rules/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "support/event_make.h"
#include "unit/rules/fake_outbox.h"

static const char *const sources[] = {"shop"};
static const char *const schemas[] = {"main"};
static const struct rules_world world = {.sources = sources,
                                         .source_schemas = schemas,
                                         .source_count = 1,
                                         .channel = fake_channel,
                                         .channel_suggest = fake_suggest};
static const struct schema *orders;
static char problem_text[2048];

static struct event
update(void)
{
    struct event e = event_make(
        EVENT_UPDATE, orders, "18",
        event_make_row("1", "'a<b>@here'", "1234.5m", "{\"n\":[1,2]}", "@2026-11-21T03:42:00Z"),
        event_make_row("1", "'open'", "5m", "null", "@2026-11-21T03:42:00Z"));
    e.lsn = 8;
    return e;
}

static void
note(void *context, const char *script, const struct error *err)
{
    (void)context;
    (void)script;
    error_text(err, problem_text, sizeof(problem_text));
}

static struct rules *
load(const char *const *texts, size_t count)
{
    static const char *const paths[] = {"scripts/a.lua", "scripts/b.lua"};
    struct rules_script scripts[countof(paths)];
    struct error err = {0};
    for (size_t i = 0; i < count; i++)
        scripts[i] = (struct rules_script){paths[i], slice_of(texts[i])};
    problem_text[0] = '\0';
    struct rules *r = rules_new(&world, scripts, count, note, NULL, &err);
    assert_non_null(r);
    return r;
}

/* What the first rule of these scripts sends, as "channel=body|options;", or "!why not". */
static const char *
sent_by(const char *const *texts, size_t count)
{
    static char text[4096];
    struct rules *r = load(texts, count);
    struct event e = update();
    struct error err = {0};
    struct outbox_draft *d = outbox_draft_new(NULL);
    struct rule_status *list;
    size_t size = 0;
    assert_int_equal(rules_event(r, &e, d, &err), 0);
    size_t rules = rules_status(r, &list);
    text[0] = '\0';
    for (size_t i = 0; i < d->count; i++)
        size +=
            (size_t)snprintf(text + size, sizeof(text) - size, "%s=%s%s%s;", d->list[i].channel,
                             d->list[i].body, *d->list[i].options ? "|" : "", d->list[i].options);
    for (size_t i = 0; i < rules; i++)
        if (list[i].problem[0] || list[i].last_error[0])
            size += (size_t)snprintf(text + size, sizeof(text) - size, "!%s%s", list[i].problem,
                                     list[i].last_error);
    free(list);
    outbox_draft_free(d);
    rules_free(r);
    return text;
}

#define SENDS(message) "rule('r', { on = 'shop:orders', notify = 'ops', message = " message " })\n"
#define RUNS(body)                                                                                 \
    "rule('r', { on = 'shop:orders', run = function(e) send('ops', " body ") end })\n"

static void
filters_of_scripts(void **state)
{
    static const char *const rows[][2] = {
        {SENDS("'{{id | double}}'") "filter('double', function(v) return v * 2 end)", "ops=2;"},
        {"filter('shout', function(v, sign, n) return v:upper() .. sign:rep(n) end)\n" SENDS(
             "'{{op | shout(\"!\", 3)}}'"),
         "ops=UPDATE!!!;"},
        {"filter('kind', function(v) return math.type(v) or type(v) end)\n" SENDS(
             "'{{id | kind}} {{op | kind}} {{total | kind}} {{doc | kind}} {{made | kind}}'"),
         "ops=integer string float table string;"},
        {"filter('sum', function(v) return v.n[1] + v.n[2] end)\n" SENDS("'{{doc | sum}}'"),
         "ops=3;"},
        {"filter('tax', function(v) return decimal(v) * decimal('1.19') end)\n" SENDS(
             "'{{total | tax | number(2)}}'"),
         "ops=1469.06;"},
        {"filter('none', function() end) filter('yes', function() return true end)\n" SENDS(
             "'[{{id | none}}] {{id | none | default(\"-\")}} {{id | yes}}'"),
         "ops=[] - true;"},
        {"filter('half', function(v) return v / 2 end)\n" SENDS("'{{id | half}}'"), "ops=0.5;"},
        {"filter('city', function(v) return v .. '!' end)\n" SENDS(
             "'{{doc.nope | city}}{{doc.n.2 | city}}'"),
         "ops=2!;"},
        {"filter('with', function(v, w) return v .. tostring(w) end)\n" SENDS(
             "'{{op | with(id)}} {{op | with(old.doc)}}'"),
         "ops=update1 updatenil;"},
        {"filter('at', function(v) return time.format(v) end)\n" SENDS("'{{made | at}}'"),
         "ops=2026-11-21T03:42:00.000000Z;"},
        /* what a filter gives back is escaped as any value */
        {"filter('bad', function(v) return '\\27[0m@everyone' end)\n" SENDS("'{{id | bad}}'"),
         "ops=[0m@\xe2\x80\x8b"
         "everyone;"},
        {"filter('x', function(v) return v + 1 end)\n" RUNS("render('{{id | x | x}}', e)"),
         "ops=3;"},
        {"filter('x', function(v) return v + 1 end)\n" RUNS(
             "coroutine.wrap(function() return render('{{id | x}}', e) end)()"),
         "ops=2;"},
        {"filter('x', function(v) return time.format(0) .. v end)\n" RUNS(
             "render('{{op}} {{id | x}} {{op}}', e)"),
         "ops=update 1970-01-01T00:00:00.000000Z1 update;"},
        {"filter('x', function(v) error('no') end)\n" RUNS("pcall(render, '{{id | x}}', e) and 'a' "
                                                           "or render('{{id}}', e)"),
         "ops=1;"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *text = sent_by(&rows[i][0], 1);
        if (strcmp(text, rows[i][1]) != 0)
            fail_msg("%s\n%s", rows[i][0], text);
    }
}

static void
what_fails_says_why(void **state)
{
    static const char *const rows[][2] = {
        {SENDS("'{{id | doubel}}'") "filter('double', function(v) return v * 2 end)",
         "there is no filter \"doubel\""},
        {"filter('x', function(v) return v.y.z end)\n" SENDS("'{{doc | x}}'"),
         "filter x: scripts/a.lua:1: attempt to index a nil value"},
        {"filter('x', function(v) return {} end)\n" SENDS("'{{id | x}}'"),
         "it returned a table; a filter returns a text"},
        {"filter('x', function(v) return '\\255' end)\n" SENDS("'{{id | x}}'"), "no UTF-8"},
        {"filter('x', function(v) send('ops', 'x') end)\n" SENDS("'{{id | x}}'"),
         "send works only in run"},
        {"filter('x', function(v) return render('{{id}}', v) end)\n" SENDS("'{{id | x}}'"),
         "render can't be used in a filter"},
        {"filter('x', function(v) return 1 end)\n" RUNS("render('{{id | y}}', e)"),
         "there is no filter \"y\""},
        {"filter('x', function(v) return coroutine.yield() end)\n" SENDS("'{{id | x}}'"), "yield"},
        {"filter('x', function(v) while true do end end)\n" SENDS("'{{id | x}}'"),
         "ms of CPU time"},
        {"filter('x', function(v) while true do end end)\n" RUNS("render('{{id | x}}', e)"),
         "ms of CPU time"},
        {"filter('x', function(v) for i = 1, 4e6 do end return '' end)\n" SENDS(
             "('{{id | x}}'):rep(2000)"),
         "ms of CPU time"},
        {"filter('x', function(v) local t = {} for i = 1, 4e6 do t[i] = i end end)\n" SENDS(
             "'{{id | x}}'"),
         "more memory"},
        {"filter('upper', function(v) return v end)", "one of the filters that every template has"},
        {"filter('x', function(v) end) filter('x', function(v) end)", "registered twice"},
        {"filter('a b', function(v) end)", "letters, digits and _"},
        {"filter('', function(v) end)", "letters, digits and _"},
        {"filter('x', 5)", "filter takes (name, function)"},
        {RUNS("filter('x', print)"), "top level"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *text = sent_by(&rows[i][0], 1);
        if (!strstr(text, rows[i][1]) && !strstr(problem_text, rows[i][1]))
            fail_msg("%s\n%s\n%s", rows[i][0], text, problem_text);
    }
}

static void
each_script_has_its_own(void **state)
{
    static const char *const both[] = {
        "filter('x', function(v) return v + 1 end)\n" RUNS("render('{{id | x}}', e)"),
        "filter('x', function(v) return v + 2 end)\n" RUNS("render('{{id | x}}', e)"),
    };
    static const char *const one[] = {"filter('x', function(v) return v end)",
                                      SENDS("'{{id | x}}'")};
    static const char *const failed[] = {"filter('x', function(v) return v end) error('no')",
                                         SENDS("'{{id | x}}'")};
    (void)state;
    assert_string_equal(sent_by(both, 2), "ops=2;ops=3;");
    assert_non_null(strstr(sent_by(one, 2), "there is no filter \"x\""));
    assert_non_null(strstr(sent_by(failed, 2), "there is no filter \"x\""));
}

#define ZWSP "\xe2\x80\x8b"

static void
values_are_escaped_for_where_they_go(void **state)
{
    static const char *const rows[][2] = {
        {"rule('r', { on = 'shop:orders', notify = { 'ops', 'slack', 'people' }, message = "
         "'{{status}} <!here>' })",
         "ops=a<b>@" ZWSP "here <!here>;slack=a&lt;b&gt;@" ZWSP "here <!here>;people=a<b>@" ZWSP
         "here <!here>;"},
        {SENDS("{ text = '{{op}}', html = '<b>{{status}}</b>', key = '{{status}}', title = "
               "'{{status | replace(\"b\", \"\\\\n\")}}\\n', headers = { a = '{{status}}' } }"),
         "ops=update|{\"html\":\"<b>a&lt;b&gt;@here</b>\",\"key\":\"a<b>@here\",\"title\":"
         "\"a<n>@" ZWSP "here\\n\",\"headers\":{\"a\":\"a<b>@here\"}};"},
        {SENDS("'{{made | ago}}'"), "ops=3 hours ago;"}, /* the rule's clock is the event's */
        {SENDS("'{{#changed}}{{column}} {{/changed}}'"), "ops=status total doc ;"},
        {"rule('r', { on = 'shop:orders', notify = 'ops', columns = { 'id', 'total' }, message = "
         "'{{#changed}}{{column}} {{/changed}}' })",
         "ops=total ;"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *text = sent_by(&rows[i][0], 1);
        if (strcmp(text, rows[i][1]) != 0)
            fail_msg("%s\n%s", rows[i][0], text);
    }
}

static int
start(void **state)
{
    (void)state;
    orders = event_make_schema("shop", "main", "orders", "id:int:key", "status:text",
                               "total:decimal", "doc:document:null", "made:time");
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_of_scripts),
        cmocka_unit_test(what_fails_says_why),
        cmocka_unit_test(each_script_has_its_own),
        cmocka_unit_test(values_are_escaped_for_where_they_go),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
