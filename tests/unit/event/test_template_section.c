#include "template_rig.h"

static const struct schema *orders, *loose;

#define ITEMS                                                                                      \
    "[{\"sku\":\"A-1\",\"qty\":2,\"tags\":[\"x\",\"y\"]},{\"sku\":\"B<2\",\"qty\":1.50,\"tags\":[" \
    "],"                                                                                           \
    "\"id\":null}]"
#define META "{\"plan\":{\"seats\":25,\"name\":\"Team\"},\"on\":false,\"city\":\"\",\"a.b\":1}"

static struct event
update(void)
{
    return event_make(EVENT_UPDATE, orders, "17",
                      event_make_row("7", "'paid'", "12.50m", "null", ITEMS, META, "true"),
                      event_make_row("7", "'open'", "12.50m", "'Bern'", ITEMS, META, "true"));
}

static const char *
render(const char *text, struct event *e)
{
    struct template_call call = {.event = e, .now = RIG_NOW, .space = rig_space};
    return rig_render(text, &call);
}

static void
expect(const char *const (*rows)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct event e = update();
        const char *text = render(rows[i][0], &e);
        if (strcmp(text, rows[i][1]) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", rows[i][0], text, rows[i][1]);
    }
}

static void
test_paths(void **state)
{
    static const char *const rows[][2] = {
        {"{{meta.plan.seats}} {{meta.plan.name | upper}}", "25 TEAM"},
        {"{{meta.plan}}", "{\"seats\":25,\"name\":\"Team\"}"},
        {"{{items.1.sku}} {{items.2.qty}} {{items.2.qty | number(0)}}", "A-1 1.50 2"},
        {"[{{items.3.sku}}{{items.0}}{{meta.nope}}{{meta.plan.seats.x}}]", "[]"},
        {"{{new.meta.plan.seats}} {{old.meta.plan.seats}} {{row.meta.on}}", "25 25 false"},
        {"{{meta.nope | default(\"–\")}}", "–"},
        {"{{items.1.tags | join}} {{items | count}}", "x, y 2"},
        {"{{status | default(meta.plan.name)}} {{city | default(meta.plan.name)}}", "paid Team"},
        {"{{status.x}}",
         "!a.lua:3: \"status.x\" is a path, and column \"status\" holds no documents"},
        {"{{items.1..sku}}", "!a.lua:3: \"items.1..sku\" is no path: nothing stands beside a dot"},
        {"{{metta.plan}}", "!a.lua:3: {{metta.plan}}: table main.orders has no such column"},
        {"{{event.meta.user}}", ""},
    };
    (void)state;
    expect(rows, countof(rows));
    struct event e = update();
    e.meta = slice_of("{\"user\":{\"name\":\"Ann\"}}");
    assert_string_equal(
        render("{{event.meta.user.name}} {{#event.meta}}{{user.name}}{{/event.meta}}", &e),
        "Ann Ann");
}

static void
test_present_and_absent(void **state)
{
    static const char *const rows[][2] = {
        {"{{#status}}a{{/status}}{{^status}}b{{/status}}", "a"},
        {"{{#city}}a{{/city}}{{^city}}b{{/city}}", "b"},
        {"{{#status}}{{.}} {{.}}{{/status}}", "paid paid"},
        {"{{#status}}{{#.}}{{.}}{{/.}}{{/status}}", "paid"},
        {"{{#old.city}}from {{.}}{{/old.city}}", "from Bern"},
        {"{{#paid}}yes{{/paid}}{{#meta.on}}on{{/meta.on}}{{^meta.on}}off{{/meta.on}}", "yesoff"},
        {"{{#meta.city}}x{{/meta.city}}{{^meta.city}}no city{{/meta.city}}", "no city"},
        {"{{#meta.nope}}x{{/meta.nope}}{{^meta.nope}}y{{/meta.nope}}", "y"},
        {"{{#meta}}{{plan.seats}} {{id}} {{.plan.name}} [{{.id}}]{{/meta}}", "25 7 Team []"},
        {"{{#meta.plan}}{{seats}} {{status}}{{/meta.plan}}", "25 paid"},
        {"{{#status}}{{#paid}}{{id}}{{/paid}}{{/status}}", "7"},
        {"{{#event.tx}}x{{/event.tx}}{{^event.tx}}no tx{{/event.tx}}", "no tx"},
        {"{{#count}}{{count}}{{/count}}", "1"},
        {"{{^status}}{{nope}}{{/status}}",
         "!a.lua:3: {{nope}}: table main.orders has no such column"},
    };
    (void)state;
    expect(rows, countof(rows));
}

static void
test_lists(void **state)
{
    static const char *const rows[][2] = {
        {"{{#items}}{{qty}} × {{sku}}; {{/items}}", "2 × A-1; 1.50 × B<2; "},
        {"{{#items}}{{.sku}}{{#tags}}[{{.}}]{{/tags}}{{^tags}} none{{/tags}};{{/items}}",
         "A-1[x][y];B<2 none;"},
        {"{{#items}}{{id}},{{/items}}", "7,,"}, /* the second has an id of its own: null */
        {"{{#items}}{{row.id}}{{.id}},{{/items}}", "7,7,"},
        {"{{#items}}{{sku}}{{#tags}}{{sku}}{{.}}{{status}} {{/tags}}{{/items}}",
         "A-1A-1xpaid A-1ypaid B<2"},
        {"{{#items.1.tags}}{{.}}{{/items.1.tags}}", "xy"},
        {"{{#items}}{{.tags | join('+')}}{{tags | count}} {{/items}}", "x+y2 0 "},
        {"{{#items.2.tags}}x{{/items.2.tags}}{{^items.2.tags}}empty{{/items.2.tags}}", "empty"},
        {"{{#items}}{{. | json}}{{/items}}",
         "{\"sku\":\"A-1\",\"qty\":2,\"tags\":[\"x\",\"y\"]}{\"sku\":\"B<2\",\"qty\":1.50,"
         "\"tags\":[],\"id\":null}"},
        {"{{#items}}{{operation}} {{op}} {{/items}}", "UPDATE update UPDATE update "},
        {"{{#items}}{{amount | money(sku)}} {{/items}}", "A-112.50 B<212.50 "},
    };
    (void)state;
    expect(rows, countof(rows));
}

static void
test_changed(void **state)
{
    static const char *const rows[][2] = {
        {"{{#changed}}{{column}}: {{old}} → {{new}}; {{/changed}}",
         "status: open → paid; city: Bern → ; "},
        {"{{#changed}}{{column}}={{new | default('NULL')}} of {{new.id}} {{old.status}} "
         "{{/changed}}",
         "status=paid of 7 open city=NULL of 7 open "},
        {"{{^changed}}nothing{{/changed}}", ""},
        {"{{#items}}{{#changed}}{{sku}} {{column}} {{/changed}}{{/items}}",
         "A-1 status A-1 city B<2 status B<2 city "},
        {"{{#changed}}{{#new}}{{column}}={{.}}{{/new}}{{^new}} no {{column}}{{/new}}{{/changed}}",
         "status=paid no city"},
    };
    static const char *const columns[] = {"id", "city"};
    struct event e = update();
    struct template_call call = {.event = &e, .columns = columns, .column_count = 2};
    (void)state;
    expect(rows, countof(rows));
    assert_string_equal(rig_render("{{#changed}}{{column}} {{/changed}}", &call), "city ");
    call.column_count = 1;
    assert_string_equal(rig_render("{{^changed}}none{{/changed}}", &call), "none");
    e.op = EVENT_INSERT;
    assert_string_equal(render("{{#changed}}x{{/changed}}{{^changed}}-{{/changed}}", &e), "-");
    e = update();
    e.rows[EVENT_OLD] = event_make_none();
    assert_string_equal(render("{{#changed}}x{{/changed}}", &e),
                        "!a.lua:3: {{old.id}}: old value not in log");
    assert_string_equal(render("{{^changed}}x{{/changed}}", &e),
                        "!a.lua:3: {{old.id}}: old value not in log");
    assert_string_equal(render("{{#old.city}}x{{/old.city}}{{^old.city}}y{{/old.city}}", &e), "y");
}

static void
test_a_mark_alone_on_its_line_leaves_no_line(void **state)
{
    static const char *const rows[][2] = {
        {"Items:\n{{#items}}\n- {{sku}}\n{{/items}}\nend", "Items:\n- A-1\n- B<2\nend"},
        {"  {{#items}}  \r\n{{sku}}\n\t{{/items}}", "A-1\nB<2\n"},
        {"{{#status}}\n{{#paid}}\nx\n{{/paid}}\n{{/status}}\n", "x\n"},
        {"a {{#status}}\nx\n{{/status}} b", "a \nx\n b"},
        {"{{#status}}{{#paid}}\nx\n{{/paid}}{{/status}}", "\nx\n"},
        {"{{^status}}\nx\n{{/status}}\ny", "y"},
        {"{{#items}}\n{{/items}}", ""},
        {"{{status}}\n{{id}}\n", "paid\n7\n"},
        {"{{#changed}}\n{{column}}\n{{/changed}}\n", "status\ncity\n"},
    };
    (void)state;
    expect(rows, countof(rows));
}

/* A source whose columns have no types keeps documents as texts. */
static void
test_texts_that_hold_documents(void **state)
{
    static const struct {
        const char *value, *template, *text;
    } rows[] = {
        {"'{\"a\":{\"b\":5}}'", "{{doc.a.b}} {{#doc}}{{a.b}}{{/doc}}", "5 5"},
        {"'[1,2]'", "{{#doc}}<{{.}}>{{/doc}}", "<1><2>"},
        {"'[urgent] call'", "{{#doc}}<{{.}}>{{/doc}}", "<[urgent] call>"},
        {"'[urgent]'", "{{#doc}}<{{.}}>{{/doc}}", "<[urgent]>"},
        {"'plain'", "{{#doc}}{{.}}{{/doc}}{{doc.a}}", "plain"},
        {"[1,\"\\u0041\"]", "{{#doc}}<{{.}}>{{/doc}}", "<1><A>"},
        {"12", "{{#doc}}{{.}}{{/doc}}{{doc.a}}", "12"},
        {"'x'", "{{text | default('-')}}{{#text}}{{.}};{{/text}}", "[1,2][1,2];"},
        {"'x'", "{{#text}}{{typo}}{{/text}}",
         "!a.lua:3: {{typo}}: table main.loose has no such column"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct event e =
            event_make(EVENT_INSERT, loose, "1", event_make_row("1", rows[i].value, "'[1,2]'"),
                       event_make_none());
        assert_string_equal(render(rows[i].template, &e), rows[i].text);
    }
}

static void
test_work_is_bounded(void **state)
{
    static char list[30000];
    size_t size = 0;
    list[size++] = '[';
    for (int i = 0; i < 5000; i++)
        size += (size_t)snprintf(list + size, 4, "%s1", i ? "," : "");
    memcpy(list + size, "]", 2);
    struct event e =
        event_make(EVENT_INSERT, loose, "1", event_make_row("1", list, "''"), event_make_none());
    (void)state;
    assert_string_equal(render("{{#doc}}{{/doc}}", &e), "");
    assert_string_equal(
        render("{{#doc}}{{#row.doc}}{{#row.doc}}{{/row.doc}}{{/row.doc}}{{/doc}}", &e),
        "!a.lua:3: more work than a template may make");
    struct error err = {0};
    struct buffer small;
    struct template *t = template_compile(slice_of("{{#doc}}xx{{/doc}}"), "a", &err);
    struct template_call call = {.event = &e};
    buffer_init(&small, 100);
    assert_int_equal(template_render(t, &call, &small, &err), -1);
    assert_int_equal(err.class, ERROR_FULL);
    assert_int_equal(small.size, 0);
    buffer_release(&small);
    template_free(t);
}

/* A filter of a host's: doubles what it gets, or complains. */
static const void *
host_find(void *context, const char *script, struct slice name)
{
    return strcmp(script, "scripts/a.lua") == 0 && slice_is(name, "twice") ? context : NULL;
}

static int
host_apply(void *context, const void *filter, const struct cell *args, size_t count,
           struct buffer *out, struct cell *result, struct error *err)
{
    assert_ptr_equal(context, filter);
    if (count > 1 && args[1].kind == CELL_TEXT && slice_is(args[1].text, "bad"))
        return error_set(err, ERROR_DATA, "that is bad");
    if (args[0].kind == CELL_INT) {
        *result = (struct cell){.kind = CELL_INT, .integer = args[0].integer * 2};
        return 0;
    }
    cell_print(&args[0], out);
    for (size_t i = 0; i < count; i++)
        cell_print(&args[i], out);
    *result = (struct cell){.kind = CELL_TEXT, .text = buffer_view(out)};
    return 0;
}

static void
test_filters_of_a_host(void **state)
{
    static const char *const rows[][2] = {
        {"{{id | twice | twice | number(1)}}", "28.0"},
        {"{{status | upper | twice | lower}}", "paidpaid"},
        {"{{status | twice('<', 1, 1.50, op)}}", "paidpaid<11.50update"},
        {"[{{city | twice}}]", "[]"},
        {"{{city | twice | default('-') | twice}}", "--"},
        {"{{status | twice('bad')}}", "!a.lua:3: filter twice: that is bad"},
    };
    int anything;
    struct template_host host = {&anything, host_find, host_apply};
    struct event e = update();
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct error err = {0};
        struct template_source source = {slice_of(rows[i][0]), "a.lua:3", "scripts/a.lua", &host};
        struct template_call call = {.event = &e, .host = &host, .space = rig_space};
        struct template *t = template_compile_for(&source, &err);
        assert_non_null(t);
        buffer_reset(&rig_out);
        if (template_render(t, &call, &rig_out, &err) != 0)
            buffer_printf(&rig_out, "!%s", err.message);
        assert_string_equal(buffer_cstring(&rig_out), rows[i][1]);
        template_free(t);
    }
    struct error err = {0};
    struct template_source other = {slice_of("{{id | twice}}"), "a", "scripts/b.lua", &host};
    assert_null(template_compile_for(&other, &err));
    assert_non_null(strstr(err.hint, "what the script itself adds"));
    assert_null(template_compile(other.text, "a", &err)); /* no host: an error at load */
    assert_non_null(strstr(err.hint, "no filters of scripts here"));
    assert_true(template_has_filter(slice_of("money")));
    assert_false(template_has_filter(slice_of("twice")));
}

static int
start(void **state)
{
    orders =
        event_make_schema("shop", "main", "orders", "id:int:key", "status:text", "amount:decimal",
                          "city:text:null", "items:document", "meta:document", "paid:bool");
    loose = event_make_schema("shop", "main", "loose", "id:int:key", "doc:any", "text:text");
    return rig_start(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_present_and_absent),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_a_mark_alone_on_its_line_leaves_no_line),
        cmocka_unit_test(test_texts_that_hold_documents),
        cmocka_unit_test(test_work_is_bounded),
        cmocka_unit_test(test_filters_of_a_host),
    };
    return cmocka_run_group_tests(tests, start, rig_stop);
}
