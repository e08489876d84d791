#include "rules/rule.h"

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

/* What was reported while loading. */
struct reports {
    char text[8192];
    size_t count;
};

static void
report(void *context, const char *script, const struct error *err)
{
    struct reports *r = context;
    char text[2048];
    size_t used = strlen(r->text);
    (void)script;
    snprintf(r->text + used, sizeof(r->text) - used, "%s\n", error_text(err, text, sizeof(text)));
    r->count++;
}

static struct rules *
load(const char *text, struct reports *reports)
{
    struct rules_script script = {"scripts/a.lua", slice_of(text)};
    struct error err = {0};
    memset(reports, 0, sizeof(*reports));
    struct rules *r = rules_new(&world, &script, 1, report, reports, &err);
    if (!r)
        fail_msg("%s", err.message);
    return r;
}

/* Every way to get a rule wrong, and what is said about it. `rule` is the inside of the table. */
static void
wrong_rules_are_refused_with_help(void **state)
{
    static const struct {
        const char *rule, *words[3];
    } rows[] = {
        {"notify = 'ops'", {"needs on", "source:schema.table"}},
        {"on = 'shop:orders'", {"needs notify or run", "run = function"}},
        {"on = 'shop:orders', wehn = 1, notify = 'ops'", {"unknown key \"wehn\"", "\"when\""}},
        {"on = 'shop:orders', xyzzy = 1, notify = 'ops'", {"unknown key \"xyzzy\""}},
        {"on = 'orders', notify = 'ops'", {"on: pattern \"orders\" names no source"}},
        {"on = 'shpo:orders', notify = 'ops'", {"no source \"shpo\"", "\"shop\""}},
        {"on = 5, notify = 'ops'", {"on is a text or a list of texts, not a whole number"}},
        {"on = {}, notify = 'ops'", {"on is a text or a list"}},
        {"on = { 'shop:a', 5 }, notify = 'ops'", {"on: entry 2 is no text"}},
        {"on = 'shop:orders', ops = 'upsert', notify = 'ops'", {"\"upsert\" is no operation"}},
        {"on = 'shop:orders', ops = 'updte', notify = 'ops'", {"did you mean \"update\"?"}},
        {"on = 'shop:orders', ops = { 'insert', 'insert' }, notify = 'ops'", {"\"insert\" twice"}},
        {"on = 'shop:orders', notify = 'opps'",
         {"notify: there is no channel \"opps\"", "\"ops\""}},
        {"on = 'shop:orders', notify = 'pager'", {"no channel \"pager\"", "channel(\"pager\""}},
        {"on = 'shop:orders', notify = { 'ops', 'ops' }", {"notify names \"ops\" twice"}},
        {"on = 'shop:orders', notify = 5", {"notify is a text or a list"}},
        {"on = 'shop:orders', notify = 'ops', when = 'x'", {"when is a function, not a text"}},
        {"on = 'shop:orders', run = true", {"run is a function, not a"}},
        {"on = 'shop:orders', run = print, notify = 'ops'", {"run replaces notify", "send("}},
        {"on = 'shop:orders', notify = 'ops', where = 'x'", {"where is a table of columns"}},
        {"on = 'shop:orders', notify = 'ops', where = { a = { 1, 2 } }", {"where: a", "one_of"}},
        {"on = 'shop:orders', notify = 'ops', where = { a = gt(null) }", {"gt(null)"}},
        {"on = 'shop:orders', notify = 'ops', message = gt(5)",
         {"message: gt is a condition, and those belong in where", "column = gt(…)"}},
        {"on = 'shop:orders', notify = 'ops', message = { text = like('x') }",
         {"message: like is a condition"}},
        {"on = 'shop:orders', notify = 'ops', changed = changed_to('paid')",
         {"changed: changed_to is a condition"}},
        {"on = 'shop:orders', notify = 'ops', changed = true", {"changed is a text or a list"}},
        {"on = 'shop:orders', notify = 'ops', columns = {}", {"columns is a text or a list"}},
        {"on = 'shop:orders', notify = 'ops', enabled = 'no'", {"enabled is true or false"}},
        {"on = 'shop:orders', notify = 'ops', summary = 5", {"summary is a text"}},
        {"on = 'shop:orders', notify = 'ops', message = 5", {"message: a template"}},
        {"on = 'shop:orders', notify = 'ops', message = '{{id'", {"message: "}},
        {"on = 'shop:orders', notify = 'ops', message = '{{id | uper}}'", {"did you mean upper?"}},
        {"on = 'shop:orders', notify = 'ops', message = { subject = 'x' }",
         {"message has no text"}},
        {"on = 'shop:orders', notify = 'ops', message = { txt = 'x' }", {"\"txt\"", "\"text\""}},
        {"on = 'shop:orders', notify = 'ops', message = { text = 'x', body = 'y' }", {"both"}},
        {"on = 'shop:orders', notify = 'ops', message = { text = 5 }", {"text: a template"}},
        {"on = 'shop:orders', notify = 'ops', message = { by = {} }",
         {"message: by is a table of channels"}},
        {"on = 'shop:orders', notify = 'ops', message = { by = { ops = 'x' }, text = 'y' }",
         {"message: by stands alone"}},
        {"on = 'shop:orders', notify = 'ops', message = { by = { ops = { by = { ops = 'x' } } } }",
         {"message: by.ops: a by in a by"}},
        {"on = 'shop:orders', notify = 'ops', message = { by = { ops = 5 } }",
         {"message: by.ops: a template, a table"}},
        {"on = 'shop:orders', notify = 'ops', message = { by = { ops = '{{id' } }",
         {"message: by.ops: "}},
        {"on = 'shop:orders', notify = 'ops', message = { by = { ops = { txt = 'x' } } }",
         {"message: by.ops: ", "\"text\""}},
        {"on = 'shop:orders', notify = { 'ops', 'out' }, message = { by = { ops = 'x' } }",
         {"message: by says nothing for channel \"out\"", "default = "}},
        {"on = 'shop:orders', notify = 'ops', message = { by = { opps = 'x', default = 'y' } }",
         {"message: by.opps is neither a channel of notify nor the type of one"}},
        {"on = 'shop:orders', notify = 'ops', options = 5", {"options is a table"}},
        {"on = 'shop:orders', notify = 'ops', options = { kee = 'x' }", {"\"kee\"", "\"key\""}},
        {"on = 'shop:orders', notify = 'ops', options = { format = 'xml' }",
         {"\"xml\" is no format"}},
        {"on = 'shop:orders', notify = 'ops', options = { headers = 5 }", {"headers is a table"}},
        {"on = 'shop:orders', notify = 'ops', message = { text = 'x', key = 'a' }, options = { key "
         "= "
         "'b' }",
         {"key stands in message and in options"}},
        {"on = 'shop:orders', notify = 'ops', message = 'x', options = { format = 'debezium' }",
         {"format and columns go with an event"}},
        {"'shop:orders'", {"a rule is a table of named values"}},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char text[1024];
        struct reports reports;
        snprintf(text, sizeof(text), "\nrule('r', { %s })", rows[i].rule);
        struct rules *r = load(text, &reports);
        if (reports.count != 1 || !strstr(reports.text, "scripts/a.lua:2"))
            fail_msg("%s: %zu problems: %s", rows[i].rule, reports.count, reports.text);
        for (size_t k = 0; k < countof(rows[i].words) && rows[i].words[k]; k++)
            if (!strstr(reports.text, rows[i].words[k]))
                fail_msg("%s: \"%s\" is not in: %s", rows[i].rule, rows[i].words[k], reports.text);
        rules_free(r);
    }
}

static void
keys_not_built_are_refused_by_name(void **state)
{
    static const char *const keys[] = {"batch",     "key",       "consumer", "throttle", "dedupe",
                                       "digest",    "quiet",     "escalate", "resolve",  "on_timer",
                                       "on_commit", "retention", "formerly"};
    (void)state;
    for (size_t i = 0; i < countof(keys); i++) {
        char text[256], words[64];
        struct reports reports;
        snprintf(text, sizeof(text), "rule('r', { on = 'shop:a', notify = 'ops', %s = 1 })",
                 keys[i]);
        snprintf(words, sizeof(words), "rule \"r\": %s is not built yet", keys[i]);
        struct rules *r = load(text, &reports);
        if (!strstr(reports.text, words))
            fail_msg("%s: %s", keys[i], reports.text);
        rules_free(r);
    }
}

static void
a_script_stands_or_falls_as_a_whole(void **state)
{
    static const struct rules_script scripts[] = {
        {"scripts/a.lua", {0}}, {"scripts/b.lua", {0}}, {"scripts/c.lua", {0}}};
    static const char *const texts[] = {
        ("rule('good', { on = 'shop:a', notify = 'ops' })\nrule('bad', { on = 'shop:a' })\n"
         "rule('worse', {})"),
        "rule('fine', { on = 'shop:a', notify = 'ops' })",
        "rule('x', { on = 'shop:a', notify = 'ops' })\nerror('no')",
    };
    struct rules_script list[3];
    struct reports reports = {0};
    struct rule_status *status;
    struct error err = {0};
    (void)state;
    memcpy(list, scripts, sizeof(list));
    for (size_t i = 0; i < countof(list); i++)
        list[i].text = slice_of(texts[i]);
    struct rules *r = rules_new(&world, list, countof(list), report, &reports, &err);
    assert_non_null(r);
    assert_int_equal(reports.count, 3); /* every problem of every script */
    assert_non_null(strstr(reports.text, "scripts/a.lua:2: rule \"bad\": a rule needs notify"));
    assert_non_null(strstr(reports.text, "scripts/a.lua:3: rule \"worse\": a rule needs on"));
    assert_non_null(strstr(reports.text, "scripts/c.lua:2: no"));
    size_t count = rules_status(r, &status);
    assert_int_equal(count, 5);
    assert_string_equal(status[0].name, "a/good");
    assert_false(status[0].loaded);
    assert_non_null(strstr(status[0].problem, "another rule of scripts/a.lua"));
    assert_false(status[1].loaded);
    assert_non_null(strstr(status[1].problem, "needs notify or run"));
    assert_string_equal(status[3].name, "b/fine");
    assert_true(status[3].loaded);
    assert_string_equal(status[3].problem, "");
    assert_int_equal(status[3].line, 1);
    assert_string_equal(status[4].name, "scripts/c.lua");
    assert_false(status[4].loaded);
    free(status);
    rules_free(r);
}

static void
rules_name_the_tables_to_capture(void **state)
{
    static const char text[] = "rule('a', { on = { 'shop:orders', 'shop:x.*' }, notify = 'ops' })\n"
                               "rule('b', { on = '*:orders', notify = 'ops' })\n"
                               "rule('c', { on = 'shop:off', notify = 'ops', enabled = false })\n"
                               "on('shop:c*', 'insert', function(e) end)";
    struct reports reports;
    const char *const *tables;
    struct rules *r = load(text, &reports);
    (void)state;
    assert_string_equal(reports.text, "");
    assert_int_equal(rules_tables(r, "shop", &tables), 3);
    assert_string_equal(tables[0], "main.orders");
    assert_string_equal(tables[1], "x.*");
    assert_string_equal(tables[2], "main.c*");
    assert_int_equal(rules_tables(r, "other", &tables), 0);
    rules_free(r);
}

/* Against a table's schema: what a rule gets wrong about its columns. */
static void
a_schema_shows_what_is_misspelt(void **state)
{
    static const struct {
        const char *rule, *words[3]; /* no words: it is right */
    } rows[] = {
        {"where = { status = 'paid', total = gt('1000.50') }", {0}},
        {"where = { statsu = 'paid' }",
         {"where: main.orders has no column \"statsu\"", "\"status\""}},
        {"where = { total = 'much' }", {"column \"total\" holds decimal numbers", "\"much\""}},
        {"where = { ['doc.plan'] = 1 }", {0}},
        {"where = { ['total.plan'] = 1 }", {"\"total.plan\" is a path", "holds no documents"}},
        {"where = { ['docc.plan'] = 1 }", {"no column \"docc.plan\"", "\"doc\""}},
        {"where = any_of({ status = 'paid' }, { totl = 1 })", {"where: ", "\"total\""}},
        {"where = { status = changed_to('paid'), total = any_of(gt('x'), 5) }",
         {"where: column \"total\" holds decimal numbers, and \"x\" is none"}},
        {"changed = 'doc.plan'", {"changed: \"doc.plan\" is a path", "the column is \"doc\""}},
        {"columns = { 'id', 'doc.plan' }", {"columns: \"doc.plan\" is a path"}},
        {"changed = { 'status', 'totl' }",
         {"changed: main.orders has no column \"totl\"", "\"total\""}},
        {"columns = { 'id', 'stat' }", {"columns: main.orders has no column \"stat\""}},
        {"message = '{{statuss}}'", {"statuss", "status"}},
        {"message = '{{id}} {{status | upper}}'", {0}},
        {"options = { key = '{{idd}}' }", {"idd", "id"}},
        {"options = { headers = { ['X-A'] = '{{idd}}' } }", {"idd"}},
        {"message = { by = { ops = '{{idd}}' } }", {"by.ops: ", "idd"}},
        {"options = { columns = { 'id', 'nope' } }",
         {"columns: main.orders has no column \"nope\""}},
    };
    const struct schema *orders =
        event_make_schema("shop", "main", "orders", "id:int:key", "status:text", "total:decimal",
                          "doc:document:null");
    const struct schema *other = event_make_schema("shop", "main", "other", "x:int:key");
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char text[512];
        struct reports reports;
        snprintf(text, sizeof(text), "rule('r', { on = 'shop:orders', notify = 'ops', %s })",
                 rows[i].rule);
        struct rules *r = load(text, &reports);
        assert_string_equal(reports.text, "");
        assert_int_equal(rules_check_schema(r, other, report, &reports), 0);
        size_t problems = rules_check_schema(r, orders, report, &reports);
        if (problems != (rows[i].words[0] != NULL) || problems != reports.count)
            fail_msg("%s: %s", rows[i].rule, reports.text);
        for (size_t k = 0; k < countof(rows[i].words) && rows[i].words[k]; k++)
            if (!strstr(reports.text, rows[i].words[k]))
                fail_msg("%s: \"%s\" is not in: %s", rows[i].rule, rows[i].words[k], reports.text);
        if (problems)
            assert_non_null(strstr(reports.text, "scripts/a.lua:1: rule \"r\": "));
        rules_free(r);
    }
}

/* Where the log carries no old rows, what can be seen to need one is named with its mend. */
static void
a_log_without_old_rows_is_held_against_the_rules(void **state)
{
    static const struct {
        const char *rule, *words; /* no words: it needs none */
    } rows[] = {
        {"where = { status = 'paid' }, ops = { 'insert', 'update' }", NULL},
        {"where = { status = 'paid' }",
         "where = { status = … } looks at the old row of a delete, and the log of table main.orders"
         " does not carry it"},
        {"where = { id = 5 }", NULL},
        {"changed = { 'status' }", "changed = \"status\" compares with the old row of an update"},
        {"changed = { 'status' }, ops = 'insert'", NULL},
        {"where = { status = changed_to('paid') }",
         "where = { status = changed_to(…) } compares with the old row of an update"},
        {"where = not_({ status = any_of('x', changed_from('paid')) })",
         "where = { status = changed_from(…) } compares with the old row of an update"},
        {"where = { status = changed_to('paid') }, ops = { 'insert', 'delete' }", NULL},
        {"where = { status = changed_from('paid') }, ops = 'insert'", NULL},
        {"where = { status = changed_from('paid') }, ops = 'delete'",
         "where = { status = … } looks at the old row of a delete"},
        {"where = any_of({ id = 5 }, { status = like('p%') }), ops = 'delete'",
         "where = { status = … } looks at the old row of a delete"},
        {"where = any_of({ id = 5 }, { id = gt(7) }), ops = 'delete'", NULL},
        {"message = '{{status}} {{new.status}} {{key.id}}'", NULL},
        {"message = '{{old.status}}'", "{{old.status}} prints from the old row"},
        {"message = '{{old.status}}', ops = 'insert'", NULL},
        {"message = '{{old.status}}', ops = 'delete'", "{{old.status}} prints from the old row"},
        {"message = '{{old.id}}', ops = 'delete'", NULL},
        {"message = '{{old.id}}', ops = 'update'", "{{old.id}} prints from the old row"},
        {"message = { text = 'x', subject = '{{old.status}}' }", "{{old.status}}"},
        {"options = { headers = { ['X-A'] = '{{old.status}}' } }", "{{old.status}}"},
        {"message = { by = { ops = '{{old.status}}' } }", "{{old.status}} prints from the old row"},
        {"message = '{{#changed}}{{column}}{{/changed}}'",
         "{{#changed}} compares with the old row"},
        {"message = '{{#changed}}{{column}}{{/changed}}', ops = 'delete'", NULL},
        {"changed = { 'status' }, enabled = false", NULL},
        {"when = function(e) return e:was('status') ~= nil end", NULL}, /* cannot be seen */
    };
    static const char mend[] = "ALTER TABLE \"main\".\"orders\" REPLICA IDENTITY FULL;";
    const struct schema *orders =
        event_make_schema("shop", "main", "orders", "id:int:key", "status:text");
    const struct schema *other = event_make_schema("shop", "main", "other", "x:int:key");
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char text[512];
        struct reports reports;
        snprintf(text, sizeof(text), "\nrule('r', { on = 'shop:orders', notify = 'ops', %s })",
                 rows[i].rule);
        struct rules *r = load(text, &reports);
        assert_string_equal(reports.text, "");
        assert_int_equal(rules_check_old_values(r, other, mend, report, &reports), 0);
        size_t problems = rules_check_old_values(r, orders, mend, report, &reports);
        if (problems != (rows[i].words != NULL) || problems != reports.count)
            fail_msg("%s: %zu: %s", rows[i].rule, problems, reports.text);
        if (problems && (!strstr(reports.text, rows[i].words) || !strstr(reports.text, mend) ||
                         !strstr(reports.text, "scripts/a.lua:2: rule \"r\": ")))
            fail_msg("%s: %s", rows[i].rule, reports.text);
        rules_free(r);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_rules_are_refused_with_help),
        cmocka_unit_test(keys_not_built_are_refused_by_name),
        cmocka_unit_test(a_script_stands_or_falls_as_a_whole),
        cmocka_unit_test(rules_name_the_tables_to_capture),
        cmocka_unit_test(a_schema_shows_what_is_misspelt),
        cmocka_unit_test(a_log_without_old_rows_is_held_against_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
