#include "rules/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/clock.h"
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
                             "total:decimal:null", "city:text:null");
}

static struct event
insert(const char *status, const char *total)
{
    struct event e = event_make(EVENT_INSERT, orders(), "17",
                                event_make_row("1", status, total, "'Bonn'"), event_make_none());
    e.lsn = 7;
    return e;
}

static struct event
update(const char *was, const char *status)
{
    struct event e =
        event_make(EVENT_UPDATE, orders(), "18", event_make_row("1", status, "5.00m", "'Bonn'"),
                   event_make_row("1", was, "5.00m", "'Bonn'"));
    e.lsn = 8;
    return e;
}

static void
report(void *context, const char *script, const struct error *err)
{
    char text[2048];
    (void)context;
    fail_msg("%s: %s", script, error_text(err, text, sizeof(text)));
}

static struct rules *
load(const char *text)
{
    struct rules_script script = {"scripts/a.lua", slice_of(text)};
    struct error err = {0};
    struct rules *r = rules_new(&world, &script, 1, report, NULL, &err);
    assert_non_null(r);
    return r;
}

static struct outbox_draft *
draft_of(struct rules *r, struct event *e)
{
    struct error err = {0};
    struct outbox_draft *d = outbox_draft_new(NULL);
    assert_int_equal(rules_event(r, e, d, &err), 0);
    return d;
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

/* "channel=body|options;" of each message; events as the shape's columns. */
static void
print_draft(const struct outbox_draft *d, char *out, size_t size)
{
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < d->count && used < size; i++) {
        const struct fake_message *m = &d->list[i];
        used += (size_t)snprintf(out + used, size - used, "%s=%s%s%s%s;", m->channel,
                                 m->kind == MESSAGE_EVENT   ? "event"
                                 : m->kind == MESSAGE_TABLE ? "table"
                                                            : "",
                                 m->body, *m->options ? "|" : "", m->options);
    }
}

/* One rule (the inside of its table), one insert {1, 'paid', 1000.50, 'Bonn'}: what is sent. */
static void
rules_send_what_they_say(void **state)
{
    static const struct {
        const char *rule, *sent;
    } rows[] = {
        {"notify = 'ops'", "ops=event;"},
        {"notify = { 'ops', 'out' }", "ops=event;out=event;"},
        {"notify = 'ops', where = { status = 'paid' }", "ops=event;"},
        {"notify = 'ops', where = { status = 'open' }", ""},
        {"notify = 'ops', where = { total = gt(1000) }, changed = { 'status' }", "ops=event;"},
        {"notify = 'ops', ops = 'update'", ""},
        {"notify = 'ops', ops = '*'", "ops=event;"},
        {"notify = 'ops', enabled = false", ""},
        {"notify = 'ops', when = function(e) return e.new.status == 'paid' end", "ops=event;"},
        {"notify = 'ops', when = function(e) return false end", ""},
        {"notify = 'ops', when = function(e) return nil end", ""},
        {"notify = 'ops', message = '{{operation}} {{id}} for {{total | number(1)}}'",
         "ops=INSERT 1 for 1000.5;"},
        {"notify = { 'ops', 'out' }, message = 'x'", "ops=x;out=x;"},
        {"notify = 'ops', message = { text = '{{id}}', subject = 'Order {{id}}', title = 'T' }",
         "ops=1|{\"subject\":\"Order 1\",\"title\":\"T\"};"},
        {"notify = 'ops', message = { body = 'b' }", "ops=b;"},
        {"notify = 'ops', message = 'x', options = { key = '{{city}}', headers = { ['X-Id'] = "
         "'{{id}}' } }",
         "ops=x|{\"key\":\"Bonn\",\"headers\":{\"X-Id\":\"1\"}};"},
        {"notify = 'ops', options = { topic = 'o.{{city}}' }", "ops=event|{\"topic\":\"o.Bonn\"};"},
        {"notify = 'ops', message = function(e) return 'id ' .. e.new.id end", "ops=id 1;"},
        {"notify = 'ops', message = function(e) return { id = e.new.id, list = {} } end",
         "ops=table{\"id\":1,\"list\":{}};"},
        {"notify = 'ops', message = function(e) return e end", "ops=event;"},
        {"notify = 'ops', message = function(e) return nil end", ""},
        {"run = function(e) send('ops', 'a'); send('out', { b = 1 }); send('ops', e) end",
         "ops=a;out=table{\"b\":1};ops=event;"},
        {"run = function(e) send('ops', render('{{city | upper}}', e)) end", "ops=BONN;"},
        {"run = function(e) send('ops', 'x', { key = 5, subject = 's' }) end",
         "ops=x|{\"key\":\"5\",\"subject\":\"s\"};"},
        {"run = function(e) send('ops', e, { format = 'debezium', columns = { 'id' } }) end",
         "ops=event;"},
        {"run = function(e) end", ""},
        /* each channel its own: by name, else by type, else the default */
        {"notify = { 'ops', 'out', 'people' }, message = { by = { ops = 'o {{id}}', memory = 'm', "
         "default = { text = 'd', title = '{{city}}' } } }",
         "ops=o 1;out=m;people=d|{\"title\":\"Bonn\"};"},
        {"notify = { 'ops', 'out' }, message = { by = { ops = function(e) return nil end, "
         "default = function(e) return e end } }, options = { topic = 't{{id}}' }",
         "out=event|{\"topic\":\"t1\"};"},
        {"notify = { 'out', 'ops', 'billing' }, options = { columns = 'id' }, "
         "message = { by = { ops = 'x', default = function(e) return e end } }",
         "out=event;ops=x;billing=event;"},
        /* a table for people is text and fields; for programs it is the JSON */
        {"notify = { 'people', 'ops' }, message = function(e) return { text = 'n ' .. e.new.id, "
         "title = 5 } end",
         "people=n 1|{\"title\":\"5\"};ops=table{\"text\":\"n 1\",\"title\":5};"},
        {"notify = 'people', options = { topic = 't', title = 'o' }, "
         "message = function(e) return { body = 12, title = 'm', headers = { a = 'b' } } end",
         "people=12|{\"headers\":{\"a\":\"b\"},\"title\":\"m\",\"topic\":\"t\"};"},
        {"columns = { 'id', 'city' }, notify = 'out', "
         "message = function(e) return e:row_table() end",
         "out=table{\"city\":\"Bonn\",\"id\":1};"},
        {"columns = 'id', run = function(e) send('ops', (e:json():gsub('.*\"new\":', "
         "''):gsub(',\"o.*', '')"
         ")) end",
         "ops={\"id\":1};"},
        {"run = function(e) send('plain', e, { key = 'k', columns = 'id', format = 'native' }) end",
         "plain=event|{\"key\":\"k\"};"},
        {"notify = { 'plain', 'people' }, message = { text = 'x', title = 't', key = 'k' }",
         "plain=x|{\"key\":\"k\",\"title\":\"t\"};people=x|{\"key\":\"k\",\"title\":\"t\"};"},
        {"run = function(e) send('people', { text = 'a', html = '<b>' }, { key = 'k' }) end",
         "people=a|{\"html\":\"<b>\",\"key\":\"k\"};"},
        {"run = function(e) send('people', { text = 'a' }) send('ops', { text = 'a' }) end",
         "people=a;ops=table{\"text\":\"a\"};"},
        /* masking */
        {"notify = 'out', message = function(e) local row = e:row_table() row.city = '***' "
         "row.total = null return row end",
         "out=table{\"city\":\"***\",\"id\":1,\"status\":\"paid\",\"total\":null};"},
        /* what fails sends nothing */
        {"notify = 'ops', where = { statsu = 'paid' }", ""},
        {"notify = 'ops', message = '{{statsu}}'", ""},
        {"run = function(e) send('ops', 'a'); error('no') end", ""},
        {"run = function(e) send('ops', 'a'); send('nope', 'b') end", ""},
        {"run = function(e) send('ops', 'a'); pcall(send, 'nope', 'b') end", ""},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char text[1024], sent[4096];
        snprintf(text, sizeof(text), "rule('r', { on = 'shop:orders', %s })", rows[i].rule);
        struct rules *r = load(text);
        struct event e = insert("'paid'", "1000.50m");
        struct outbox_draft *d = draft_of(r, &e);
        print_draft(d, sent, sizeof(sent));
        if (strcmp(sent, rows[i].sent) != 0)
            fail_msg("%s: sent %s (%s)", rows[i].rule, sent, status_of(r, 0).last_error);
        outbox_draft_free(d);
        rules_free(r);
    }
}

/* Each fails the event, sends nothing, and says why. */
static void
what_fails_says_why(void **state)
{
    static const struct {
        const char *rule, *words[3];
    } rows[] = {
        {"notify = 'ops', where = { statsu = 1 }",
         {"no column \"statsu\"", "did you mean \"status\"?"}},
        {"notify = 'ops', where = { total = true }", {"and true is none"}},
        {"notify = 'ops', message = '{{statsu}}'", {"statsu", "status"}},
        {"notify = 'ops', when = function(e) return 5 end",
         {"when returned a number", "true or false"}},
        {"notify = 'ops', when = function(e) return e.new.statsu == 1 end",
         {"scripts/a.lua:1", "no column \"statsu\"", "did you mean \"status\"?"}},
        {"notify = 'ops', when = function(e) return e.new.city < 5 end",
         {"scripts/a.lua:1", "attempt to compare"}},
        {"notify = 'ops', when = function(e) send('ops', 'x') return true end",
         {"send works only in run"}},
        {"notify = 'ops', message = function(e) return 5 end", {"message returned a number"}},
        {"notify = 'ops', message = function(e) return { f = print } end", {"can't be sent"}},
        {"notify = 'ops', message = function(e) return ('x'):rep(1048577) end",
         {"a message of 1048577 bytes is larger than 1 MiB"}},
        {"run = function(e) send('opps', 'x') end",
         {"no channel \"opps\"", "did you mean \"ops\"?"}},
        {"run = function(e) send('ops', ('x'):rep(1048577)) end", {"larger than 1 MiB"}},
        {"run = function(e) for i = 1, 1001 do send('ops', 'x') end end",
         {"more than 1000 messages"}},
        {"run = function(e) local s = ('x'):rep(1048576) for i = 1, 17 do send('ops', s) end end",
         {"more than 16 MiB"}},
        {"run = function(e) send('ops', 'x', { subjct = 's' }) end", {"\"subjct\"", "\"subject\""}},
        {"run = function(e) send('ops', 'x', { key = {} }) end", {"key is a text"}},
        {"run = function(e) send('ops', 'x', { columns = { 'id' } }) end",
         {"go with an event only"}},
        {"run = function(e) send('ops', e, { columns = { 'idd' } }) end",
         {"no column \"idd\"", "\"id\""}},
        {"run = function(e) send('ops', e, { format = 'natve' }) end", {"\"natve\"", "\"native\""}},
        {"run = function(e) send('ops', e, { headers = { a = {} } }) end", {"headers: \"a\""}},
        {"run = function(e) render('{{idd}}', e) end", {"idd"}},
        {"run = function(e) send('people', { txt = 'x', text = 'y' }) end",
         {"send: message has no field \"txt\"", "\"text\""}},
        {"run = function(e) send('people', { subject = 'x' }) end",
         {"send: a message for people is a table with a text", "{ text = "}},
        {"run = function(e) send('people', { 'x' }) end", {"is a table with a text"}},
        {"run = function(e) send('people', { text = 'x', body = 'y' }) end", {"not both"}},
        {"run = function(e) send('people', { text = { 1 } }) end", {"text is a text, not a list"}},
        {"notify = 'people', message = function(e) return e:row_table() end",
         {"message: a message for people"}},
        {"run = function(e) send('people', { text = 'x', subject = 'y' }) end",
         {"send: a chat channel has no use for \"subject\"", "it takes: key title html"}},
        {"run = function(e) send('plain', 'x', { topic = 't' }) end",
         {"send: a pipe channel has no use for \"topic\"", "it takes: key)"}},
        {"run = function(e) send('plain', e, { key = 'k', columns = 'id', format = 'native', "
         "headers = {} }) end",
         {"no use for \"headers\""}},
        {"notify = 'people', message = function(e) return { text = 'x', subject = 'y' } end",
         {"message: a chat channel has no use for \"subject\""}},
        {"notify = { 'ops', 'out' }, message = { by = { ops = 'x', out = '{{statsu}}' } }",
         {"by.out: ", "statsu", "status"}},
        {"notify = { 'ops', 'out' }, message = { by = { ops = 'x', out = function(e) return 5 end "
         "} }",
         {"message returned a number"}},
        {"run = function(e) render('{{id', e) end", {"render"}},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char text[1024];
        snprintf(text, sizeof(text), "rule('r', { on = 'shop:orders', %s })", rows[i].rule);
        struct rules *r = load(text);
        struct event e = insert("'paid'", "1000.50m");
        struct outbox_draft *d = draft_of(r, &e);
        struct rule_status status = status_of(r, 0);
        assert_int_equal(outbox_draft_count(d), 0);
        if (status.failed != 1 || status.sent || !status.last_failed)
            fail_msg("%s: did not fail", rows[i].rule);
        for (size_t k = 0; k < countof(rows[i].words) && rows[i].words[k]; k++)
            if (!strstr(status.last_error, rows[i].words[k]))
                fail_msg("%s: \"%s\" is not in: %s", rows[i].rule, rows[i].words[k],
                         status.last_error);
        outbox_draft_free(d);
        rules_free(r);
    }
}

static void
updates_are_narrowed_by_changed(void **state)
{
    struct rules *r = load("rule('r', { on = 'shop:orders', changed = 'status', notify = 'ops' })");
    struct event rows[] = {update("'open'", "'paid'"),    update("'paid'", "'paid'"),
                           update("'paid'", "unchanged"), update("'open'", "unknown"),
                           update("unknown", "'paid'"),   insert("'paid'", "1m")};
    static const uint64_t sent[] = {1, 0, 0, 0, 0, 1}, failed[] = {0, 0, 0, 1, 1, 0};
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct rule_status before = status_of(r, 0);
        outbox_draft_free(draft_of(r, &rows[i]));
        struct rule_status after = status_of(r, 0);
        assert_int_equal(after.sent - before.sent, sent[i]);
        assert_int_equal(after.failed - before.failed, failed[i]);
    }
    assert_non_null(strstr(status_of(r, 0).last_error, "old value not in log"));
    assert_non_null(strstr(status_of(r, 0).last_error, "\"status\""));
    rules_free(r);
}

static void
one_rule_on_one_event_is_one_unit(void **state)
{
    struct rules *r = load("on('first', 'shop:orders', nil, function(e) send('ops', '1') end)\n"
                           "on('shop:orders', 'insert', function(e) send('ops', '2'); send('out', "
                           "'3'); error('x') end)\n"
                           "rule('last', { on = 'shop:*', notify = 'billing', message = '4' })");
    struct event e = insert("'paid'", "1m");
    struct outbox_draft *d = draft_of(r, &e);
    char sent[256];
    (void)state;
    print_draft(d, sent, sizeof(sent));
    assert_string_equal(sent, "ops=1;billing=4;");
    assert_string_equal(d->list[0].rule, "a/first");
    assert_string_equal(status_of(r, 1).name, "a/#1");
    assert_int_equal(status_of(r, 1).failed, 1);
    assert_int_equal(status_of(r, 1).sent, 0);
    assert_int_equal(status_of(r, 2).sent, 1);
    outbox_draft_free(d);
    rules_free(r);
}

static void
messages_carry_what_they_come_from(void **state)
{
    struct rules *r = load("on('r', 'shop:orders', nil, function(e)\n"
                           "  send('ops', 'a'); send('ops', 'a'); send('out', 'b', { key = 'k' })\n"
                           "end)");
    struct event e = insert("'paid'", "1m");
    struct outbox_draft *d = draft_of(r, &e), *again = draft_of(r, &e);
    (void)state;
    assert_int_equal(d->count, 3);
    for (size_t i = 0; i < d->count; i++) {
        const struct fake_message *m = &d->list[i];
        struct hash128 id = message_id(slice_literal("shop:1:17"), slice_literal("main"),
                                       slice_literal("a/r"), slice_of(m->channel), (uint32_t)i);
        char hex[40];
        assert_string_equal(m->id, hash_hex(id.bytes, sizeof(id.bytes), hex));
        assert_string_equal(m->id, again->list[i].id); /* the same on every run */
        assert_string_equal(m->event_id, "shop:1:17");
        assert_string_equal(m->rule, "a/r");
        assert_int_equal(m->ordinal, i);
        assert_int_equal(m->lsn, 7);
        assert_true(m->created == e.ts);
    }
    assert_string_not_equal(d->list[0].id, d->list[1].id);
    assert_true(d->list[0].key_hash == event_key_hash(&e));
    assert_true(d->list[2].key_hash == hash64("k", 1));
    outbox_draft_free(again);
    outbox_draft_free(d);
    rules_free(r);
}

/* A field that none of its channels has a use for keeps a rule from loading. */
static void
fields_must_be_of_use(void **state)
{
    static const struct {
        const char *rule, *words; /* no words: it loads */
    } rows[] = {
        {"notify = 'plain', message = { text = 'x', title = 'y' }",
         "a pipe channel has no use for \"title\" (beside the text it takes: key)"},
        {"notify = { 'plain', 'people' }, message = { text = 'x', title = 'y' }", NULL},
        {"notify = 'plain', message = { text = 'x', key = 'y' }", NULL},
        {"notify = 'plain', options = { columns = 'id', format = 'debezium' }", NULL},
        {"notify = 'plain', options = { headers = { a = 'b' } }", "no use for \"headers\""},
        {"notify = { 'plain', 'people' }, message = { by = { plain = { text = 'x', title = 'y' }, "
         "default = 'z' } }",
         "a pipe channel has no use for \"title\""},
        {"notify = { 'plain', 'people' }, message = { by = { people = { text = 'x', title = 'y' }, "
         "default = 'z' } }",
         NULL},
        {"notify = 'ops', options = { subject = 'any' }", NULL},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char text[512];
        struct error err = {0};
        snprintf(text, sizeof(text), "rule('r', { on = 'shop:orders', %s })", rows[i].rule);
        struct rules_script script = {"scripts/a.lua", slice_of(text)};
        struct rules *r = rules_new(&world, &script, 1, NULL, NULL, &err);
        struct rule_status status = status_of(r, 0);
        assert_int_equal(status.loaded, rows[i].words == NULL);
        if (rows[i].words && !strstr(status.problem, rows[i].words))
            fail_msg("%s: %s", rows[i].rule, status.problem);
        rules_free(r);
    }
}

/* Of a table for people the field key orders, as it does in options. */
static void
keys_of_tables_order_messages(void **state)
{
    struct rules *r = load("on('r', 'shop:orders', nil, function(e)\n"
                           "  send('people', { text = 'a', key = 'k' })\n"
                           "  send('people', { text = 'a', key = 5 })\n"
                           "  send('people', { text = 'a' }, { key = 'o' })\n"
                           "  send('people', { text = 'a', key = 'k' }, { key = 'o' })\n"
                           "  send('people', { text = 'a' })\n"
                           "end)");
    struct event e = insert("'paid'", "1m");
    struct outbox_draft *d = draft_of(r, &e);
    const uint64_t hashes[] = {hash64("k", 1), hash64("5", 1), hash64("o", 1), hash64("k", 1),
                               event_key_hash(&e)};
    (void)state;
    assert_int_equal(d->count, countof(hashes));
    for (size_t i = 0; i < d->count; i++)
        assert_true(d->list[i].key_hash == hashes[i]);
    outbox_draft_free(d);
    rules_free(r);
}

/* A module's text comes with the world, and its failure names the line that asked. */
static void
scripts_require_modules(void **state)
{
    static const char text[] = "local m = require('money')\n"
                               "rule('r', { on = 'shop:orders', notify = 'ops', message = "
                               "function(e) return m.euro(e.new.total) end })";
    const struct rules_script modules[] = {
        {"scripts/lib/money.lua",
         slice_literal("return { euro = function(n) return n .. ' EUR' end }")},
        {"scripts/lib/unread.lua", {0}},
    };
    struct rules_world with = world;
    struct rules_script script = {"scripts/a.lua", slice_of(text)};
    struct error err = {0};
    (void)state;
    with.modules = modules;
    with.module_count = countof(modules);
    struct rules *r = rules_new(&with, &script, 1, report, NULL, &err);
    struct event e = insert("'paid'", "5m");
    struct outbox_draft *d = draft_of(r, &e);
    assert_int_equal(d->count, 1);
    assert_string_equal(d->list[0].body, "5 EUR");
    outbox_draft_free(d);
    rules_free(r);
    static const struct {
        const char *text, *words[2];
    } wrong[] = {
        {"\nrequire('mony')",
         {"scripts/a.lua:2: require: there is no module scripts/lib/mony.lua",
          "did you mean scripts/lib/money.lua?"}},
        {"require('other.thing')", {"there is no module", "modules stand below scripts/lib"}},
        {"require('unread')", {"scripts/a.lua:1: require: scripts/lib/unread.lua can't be read"}},
    };
    for (size_t i = 0; i < countof(wrong); i++) {
        struct rule_status status;
        script.text = slice_of(wrong[i].text);
        r = rules_new(&with, &script, 1, NULL, NULL, &err);
        status = status_of(r, 0);
        for (size_t k = 0; k < countof(wrong[i].words) && wrong[i].words[k]; k++)
            if (!strstr(status.problem, wrong[i].words[k]))
                fail_msg("%s: %s", wrong[i].text, status.problem);
        rules_free(r);
    }
}

static void
assert_columns(const struct event_shape *shape, const char *names)
{
    char text[256] = "";
    for (size_t i = 0; i < shape->column_count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", shape->columns[i]);
    assert_string_equal(shape->columns ? text : "all", names);
}

static void
shapes_are_narrowed_by_rule_and_channel(void **state)
{
    struct rules *r =
        load("rule('a', { on = 'shop:orders', notify = { 'out', 'narrow' } })\n"
             "rule('b', { on = 'shop:orders', notify = { 'out', 'narrow' }, columns = { 'id', "
             "'city' } })\n"
             "rule('c', { on = 'shop:orders', notify = 'out', columns = { 'id', 'city' },\n"
             "  options = { format = 'debezium', columns = 'city' } })\n"
             "rule('d', { on = 'shop:orders', columns = { 'id', 'city' }, run = function(e)\n"
             "  send('out', e); send('out', e, { columns = { 'city', 'status' } })\n"
             "  send('out', e, { format = 'debezium' }); send('out', e)\n"
             "end })");
    static const char *const names[] = {"all",      "id status ", "id city ", "id ",     "city ",
                                        "id city ", "city ",      "id city ", "id city "};
    struct event e = insert("'paid'", "1m");
    struct outbox_draft *d = draft_of(r, &e);
    (void)state;
    assert_int_equal(d->count, countof(names));
    for (size_t i = 0; i < d->count; i++)
        assert_columns(d->list[i].shape, names[i]);
    assert_int_equal(d->list[0].shape->format, FORMAT_NATIVE);
    assert_int_equal(d->list[4].shape->format, FORMAT_DEBEZIUM);
    assert_int_equal(d->list[7].shape->format, FORMAT_DEBEZIUM);
    assert_ptr_equal(d->list[5].shape, d->list[8].shape); /* one object for one content */
    outbox_draft_free(d);
    rules_free(r);
}

static void
a_gap_of_the_journal_reaches_rules_that_ask_for_it(void **state)
{
    struct rules *r = load("rule('a', { on = 'shop:orders', notify = 'ops' })\n"
                           "rule('b', { on = 'shop:orders', ops = { 'gap' }, notify = 'ops' })\n"
                           "on('c', 'shop:x', 'gap', function(e) send('out', e.gap.reason) end)");
    const struct schema *schema = event_make_schema("journal", "", "", NULL);
    struct event e = event_make(EVENT_GAP, schema, "abc:5-9", event_make_none(), event_make_none());
    e.epoch = 0;
    e.gap = slice_literal("{\"reason\":\"dropped\",\"count\":5}");
    struct outbox_draft *d = draft_of(r, &e);
    (void)state;
    assert_int_equal(d->count, 2);
    assert_string_equal(d->list[0].event_id, "journal:abc:5-9");
    /* it is in no journal: its text goes along */
    assert_int_equal(d->list[0].kind, MESSAGE_EVENT);
    assert_non_null(strstr(d->list[0].body, "\"id\":\"journal:abc:5-9\""));
    assert_non_null(strstr(d->list[0].body, "\"gap\":{\"reason\":\"dropped\""));
    assert_string_equal(d->list[1].body, "dropped");
    outbox_draft_free(d);
    rules_free(r);
}

static void
conditions_never_match_events_without_rows(void **state)
{
    struct rules *r =
        load("rule('a', { on = 'shop:orders', ops = '*', where = { id = 1 }, notify = 'ops' })\n"
             "rule('b', { on = 'shop:orders', ops = '*', notify = 'out' })");
    struct event e =
        event_make(EVENT_TRUNCATE, orders(), "20", event_make_none(), event_make_none());
    e.lsn = 9;
    struct outbox_draft *d = draft_of(r, &e);
    (void)state;
    assert_int_equal(d->count, 1);
    assert_string_equal(d->list[0].channel, "out");
    assert_int_equal(status_of(r, 0).rejected, 1);
    assert_int_equal(status_of(r, 0).failed, 0);
    outbox_draft_free(d);
    rules_free(r);
}

/* The index must find what testing rule by rule finds: many rules of all kinds against many rows.
 */
static void
an_index_leaves_out_no_rule(void **state)
{
    static const char *const conditions[] = {
        "status = 'paid'",
        "status = 'open'",
        "status = null",
        "status = ne('paid')",
        "status = one_of('paid', 'new', null)",
        "status = gt('m')",
        "total = 5",
        "total = '5.00'",
        "total = gt(4)",
        "total = ge(5)",
        "total = lt('5.01')",
        "total = le(4.99)",
        "total = gt(5)",
        "total = lt(5)",
        "total = ne(5)",
        "total = one_of(1, 5, '1e1')",
        "total = null",
        "total = gt('10000000000000000.01')",
        "id = 1",
        "id = true",
        "id = one_of(2, 3)",
        "total = gt(4), status = 'paid'",
        "total = lt(6), id = gt(0)",
        "city = 'Bonn', total = 5",
    };
    static const char *const statuses[] = {"'paid'", "'open'", "'new'", "null", "''", "unknown"};
    static const char *const totals[] = {"5m",        "5.00m", "4.99m",  "10m",
                                         "null",      "NaNm",  "absent", "10000000000000000.02m",
                                         "-Infinitym"};
    static const char *const ids[] = {"0", "1", "2"};
    char *many = memory_zero(65536);
    struct rules *alone[countof(conditions)];
    (void)state;
    for (size_t i = 0; i < countof(conditions); i++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "rule('r%zu', { on = 'shop:orders', where = { %s }, notify = 'ops', message = "
                 "'%zu' })\n",
                 i, conditions[i], i);
        strcat(many, text);
        alone[i] = load(text);
    }
    struct rules *all = load(many);
    for (size_t n = 0; n < countof(statuses) * countof(totals) * countof(ids); n++) {
        struct event e = insert("null", "null");
        e.rows[EVENT_NEW] =
            event_make_row(ids[n % 3], statuses[n / 3 % 6], totals[n / 18], "'Bonn'");
        char expected[4096] = "", sent[4096], one[4096];
        struct outbox_draft *d = draft_of(all, &e);
        print_draft(d, sent, sizeof(sent));
        outbox_draft_free(d);
        for (size_t i = 0; i < countof(conditions); i++) {
            d = draft_of(alone[i], &e);
            print_draft(d, one, sizeof(one));
            strcat(expected, one);
            outbox_draft_free(d);
        }
        if (strcmp(expected, sent) != 0)
            fail_msg("%s %s %s: %s instead of %s", ids[n % 3], statuses[n / 3 % 6], totals[n / 18],
                     sent, expected);
    }
    for (size_t i = 0; i < countof(conditions); i++) {
        struct rule_status a = status_of(alone[i], 0), b = status_of(all, i);
        assert_int_equal(a.sent, b.sent);
        assert_int_equal(a.failed, b.failed);
        assert_int_equal(a.rejected, b.rejected);
        assert_int_equal(a.matched, b.matched);
        rules_free(alone[i]);
    }
    rules_free(all);
    free(many);
}

static void
render_keeps_many_templates(void **state)
{
    struct rules *r = load("on('r', 'shop:orders', nil, function(e)\n"
                           "  for i = 1, 900 do\n"
                           "    local text = render(i .. ' {{id}}', e)\n"
                           "    if text ~= i .. ' 1' then error(text) end\n"
                           "  end\n"
                           "  send('ops', render('{{id}} {{city}}', e))\n"
                           "end)");
    struct event e = insert("'paid'", "1m");
    struct outbox_draft *d = draft_of(r, &e);
    (void)state;
    assert_int_equal(d->count, 1);
    assert_string_equal(d->list[0].body, "1 Bonn");
    outbox_draft_free(d);
    rules_free(r);
}

static void
a_rule_over_its_budget_is_set_apart(void **state)
{
    struct rules *r = load("on('loop', 'shop:orders', nil, function(e) while true do end end)\n"
                           "rule('other', { on = 'shop:orders', notify = 'ops' })");
    struct event e = insert("'paid'", "1m");
    (void)state;
    for (int i = 0; i < 3; i++)
        outbox_draft_free(draft_of(r, &e));
    assert_non_null(strstr(status_of(r, 0).last_error, "CPU time in one call"));
    int64_t start = clock_mono();
    for (int i = 0; i < 100; i++)
        outbox_draft_free(draft_of(r, &e));
    assert_true(clock_mono() - start < 20 * CLOCK_SECOND); /* not 100 times half a second */
    assert_int_equal(status_of(r, 0).failed, 103);
    assert_int_equal(status_of(r, 1).sent, 103);
    rules_free(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_send_what_they_say),
        cmocka_unit_test(what_fails_says_why),
        cmocka_unit_test(updates_are_narrowed_by_changed),
        cmocka_unit_test(one_rule_on_one_event_is_one_unit),
        cmocka_unit_test(messages_carry_what_they_come_from),
        cmocka_unit_test(fields_must_be_of_use),
        cmocka_unit_test(keys_of_tables_order_messages),
        cmocka_unit_test(scripts_require_modules),
        cmocka_unit_test(shapes_are_narrowed_by_rule_and_channel),
        cmocka_unit_test(a_gap_of_the_journal_reaches_rules_that_ask_for_it),
        cmocka_unit_test(conditions_never_match_events_without_rows),
        cmocka_unit_test(an_index_leaves_out_no_rule),
        cmocka_unit_test(render_keeps_many_templates),
        cmocka_unit_test(a_rule_over_its_budget_is_set_apart),
    };
    struct log_options quiet = {.level = LOG_ERROR, .path = "/dev/null", .keep = 1};
    struct error err = {0};
    if (log_open(&quiet, &err) != 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_close();
    return failed;
}
