#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/json.h"
#include "event/template.h"
#include "support/event_make.h"

static const struct schema *orders, *pairs;
static struct buffer out;
static struct template_space *space; /* the same for all, as in a rules thread */

#define NOW INT64_C(1795243320000001) /* 2026-11-21T06:42:00.000001Z */

#define LAMP "\xf0\x9f\x94\x94"

static const char *
render_as(const char *text, struct event *e, enum template_escape escape)
{
    struct error err = {0};
    struct template *t = template_compile(slice_of(text), "scripts/a.lua:3", &err);
    if (!t)
        fail_msg("%s: %s", text, err.message);
    struct template_call call = {.event = e, .escape = escape, .now = NOW, .space = space};
    buffer_reset(&out);
    if (template_render(t, &call, &out, &err) != 0)
        fail_msg("%s: %s", text, err.message);
    template_free(t);
    return buffer_cstring(&out);
}

static const char *
render(const char *text, struct event *e)
{
    return render_as(text, e, TEMPLATE_PLAIN);
}

static struct event
update(void)
{
    return event_make(
        EVENT_UPDATE, orders, "17",
        event_make_row("7", "'paid'", "1234.505m", "'Bern'", "null", "unchanged", "'k'"),
        event_make_row("7", "'open'", "12.50m", "'Basel'", "null", "'long text'", "'k'"));
}

static void
test_places(void **state)
{
    static const struct {
        const char *template, *text;
    } rows[] = {
        {"", ""},
        {"no places { } }} {x}", "no places { } }} {x}"},
        {LAMP " *{{operation}}* on `{{schema_name}}.{{table_name}}`: order {{id}} for "
              "{{amount | number(2)}}",
         LAMP " *UPDATE* on `main.orders`: order 7 for 1234.51"},
        {"{{op}} {{source}} {{ key }}", "update shop 7"},
        {"{{status}} {{new.status}} {{old.status}} {{row.status}} {{key.id}}",
         "paid paid open paid 7"},
        {"{{amount}}", "1234.505"},
        {"{{row.key}} {{key}}", "k 7"},
        {"[{{note}}]", "[]"},
        {"{{note | default(\"–\")}}{{note|default('}}')}}", "–}}"},
        {"{{note | default('it\\'s') | upper}}", "IT'S"},
        {"{{status | default(\"x\")}}", "paid"},
        {"{{body}}", "long text"}, /* unchanged: the old row has it */
        {"{{city | upper}} {{city|lower}} {{id|upper}}", "BERN bern 7"},
        {"{{amount | number(0)}} {{id | number(2)}} {{city | number(2)}} [{{note | number(2)}}]",
         "1235 7.00 Bern []"},
        {"{{city | json}} {{amount | json}} {{note | json}} {{id | json}}",
         "\"Bern\" \"1234.505\" null 7"},
        {"{{event.op}} {{event.table}} {{event.schema}} {{event.driver}} {{event.ts}} "
         "{{event.ts_us}} {{event.id}} {{event.lsn}} {{event.position}} [{{event.tx}}]",
         "update orders main sqlite 2026-11-21T06:42:00.000001Z 1795243320000001 shop:1:17 0 17 "
         "[]"},
        {"{\"a\":{\"b\":{{id}}}}", "{\"a\":{\"b\":7}}"},
        {"{{\tid\n}}", "7"},
        {"[{{ddl}}]", "[]"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct event e = update();
        assert_string_equal(render(rows[i].template, &e), rows[i].text);
    }
}

static void
test_delete_reads_the_old_row(void **state)
{
    struct event e =
        event_make(EVENT_DELETE, orders, "18", event_make_none(),
                   event_make_row("9", "'open'", "absent", "absent", "absent", "absent", "absent"));
    (void)state;
    assert_string_equal(
        render("{{operation}} {{id}} {{status}} {{old.id}} [{{new.id}}{{amount}}]", &e),
        "DELETE 9 open 9 []");
}

static void
test_composite_key(void **state)
{
    struct event e =
        event_make(EVENT_INSERT, pairs, "19", event_make_row("'x,y'", "2", "1"), event_make_none());
    (void)state;
    assert_string_equal(render("{{key}} {{key.b}}", &e), "2,x\\,y 2");
}

static void
test_ddl_is_one_readable_line(void **state)
{
    struct event e = event_make(EVENT_DDL, orders, "20", event_make_none(), event_make_none());
    (void)state;
    e.ddl = slice_of("{\"kind\":\"alter\",\"sql\":\"ALTER\",\"added\":[\"a\",\"b\"],"
                     "\"removed\":[],\"retyped\":[\"c\"]}");
    assert_string_equal(render("{{ddl}}", &e), "alter main.orders: added a, b; retyped c");
    e.ddl = slice_of("{\"kind\":\"drop\",\"sql\":\" DROP TABLE\\n\\t orders \"}");
    assert_string_equal(render("{{ddl}}", &e), "drop main.orders: DROP TABLE orders");
}

static void
test_hostile_values_are_escaped(void **state)
{
    struct row row = event_make_row("7", "'paid'", "1m", "''", "null", "null", "null");
    struct cell cells[7];
    struct slice nasty = slice_literal("a\"b\\c\n\x1b[31m\x7f\xc2\x9b"
                                       "1\xc3\xa9\rz\0\t.");
    (void)state;
    memcpy(cells, row.cells, sizeof(cells));
    cells[3] = (struct cell){.kind = CELL_TEXT, .text = nasty};
    row.cells = cells;
    struct event e = event_make(EVENT_INSERT, orders, "21", row, event_make_none());
    assert_string_equal(render("{{city}}", &e), "a\"b\\c\n[31m1\xc3\xa9z\t.");
    struct arena arena;
    struct value value;
    struct error err = {0};
    arena_init(&arena, 0);
    render_as("{\"city\":\"{{city}}\",\"again\":{{city | json}}}", &e, TEMPLATE_JSON);
    assert_int_equal(json_parse(buffer_view(&out), &arena, &value, &err), 0);
    assert_true(slice_equal(value_get(&value, "city")->text, nasty));
    assert_true(slice_equal(value_get(&value, "again")->text, nasty));
    arena_release(&arena);
}

static void
test_refused_templates(void **state)
{
    static const struct {
        const char *template;
        enum error_class class;
        const char *message, *hint;
    } rows[] = {
        {"{{", ERROR_DATA, "lacks its closing }}", ""},
        {"{{id", ERROR_DATA, "lacks its closing }}", ""},
        {"{{id}", ERROR_DATA, "lacks its closing }}", ""},
        {"{{id\n{{id}}", ERROR_DATA, "lacks its closing }}", ""},
        {"{{}}", ERROR_DATA, "lacks a name", ""},
        {"{{ | upper}}", ERROR_DATA, "lacks a name", ""},
        {"{{new.}}", ERROR_DATA, "lacks a column's name", ""},
        {"{{id | }}", ERROR_DATA, "no filter \"\"", ""},
        {"{{id | uper}}", ERROR_DATA, "no filter \"uper\"", "did you mean upper?"},
        {"{{id | frobnicate}}", ERROR_DATA, "no filter \"frobnicate\"",
         "there are upper lower trim"},
        {"{{id | money}}", ERROR_DATA, "money does not take that", "money(\"EUR\")"},
        {"{{id | number}}", ERROR_DATA, "number does not take that",
         "number(2), with a number from 0"},
        {"{{id | number(100)}}", ERROR_DATA, "number does not take that", "0 to 99"},
        {"{{id | number(-1)}}", ERROR_DATA, "number does not take that", ""},
        {"{{id | number(1.5)}}", ERROR_DATA, "number does not take that", ""},
        {"{{id | number(id)}}", ERROR_DATA, "number does not take that", ""},
        {"{{id | number(1,2)}}", ERROR_DATA, "number does not take that", ""},
        {"{{id | number(1-2)}}", ERROR_DATA, "\"1-2\" is no number", ""},
        {"{{id | replace(\"a\")}}", ERROR_DATA, "replace does not take that",
         "replace(\"a\", \"b\")"},
        {"{{id | replace(1, 2)}}", ERROR_DATA, "replace does not take that", ""},
        {"{{id | replace(\"a\",)}}", ERROR_DATA, "nothing stands in brackets", ""},
        {"{{id | replace(\"a\",\"b\",\"c\",\"d\",\"e\")}}", ERROR_DATA, "at most 4 values", ""},
        {"{{id | date(\"%Q\")}}", ERROR_DATA, "date: \"%Q\" is no part", "%Y-%m-%d"},
        {"{{id | date(\"%\")}}", ERROR_DATA, "date: ", ""},
        {"{{id | date(city)}}", ERROR_DATA, "date does not take that", ""},
        {"{{id | date(\"%Y\" x)}}", ERROR_DATA, "closing bracket", ""},
        {"{{id | number(2}}", ERROR_DATA, "closing bracket", ""},
        {"{{id | upper(2)}}", ERROR_DATA, "takes nothing in brackets", ""},
        {"{{id | default()}}", ERROR_DATA, "default does not take that", "default(\"–\")"},
        {"{{id | default(\"x)}}", ERROR_DATA, "no closing quote", ""},
        {"{{id | json | upper}}", ERROR_DATA, "upper cannot follow json", ""},
        {"{{id | html | truncate(3)}}", ERROR_DATA, "truncate cannot follow html", ""},
        {"{{id | url | url}}", ERROR_DATA, "url cannot follow url", ""},
        {"{{id upper}} {{id | upper lower}}", ERROR_DATA, "closing }}", ""},
        {"{{id|upper|upper|upper|upper|upper|upper|upper|upper|upper}}", ERROR_DATA, "8 filters",
         ""},
        {"{{#events}}x{{/events}}", ERROR_REFUSED, "digests, which have it, are not built yet", ""},
        {"{{#id}}x", ERROR_DATA, "{{#id}} is not closed", "{{/id}}"},
        {"{{^id}}x", ERROR_DATA, "{{^id}} is not closed", "{{/id}}"},
        {"x{{/id}}", ERROR_DATA, "{{/id}} closes no section", ""},
        {"{{#id}}{{/city}}", ERROR_DATA, "{{/city}} does not close {{#id}}", "write {{/id}}"},
        {"{{#id}}{{#city}}{{/id}}{{/city}}", ERROR_DATA, "{{/id}} does not close {{#city}}", ""},
        {"{{#id | upper}}{{/id}}", ERROR_DATA, "has no filters", ""},
        {"{{#id}}{{/id | upper}}", ERROR_DATA, "has no filters", ""},
        {"{{#}}{{/}}", ERROR_DATA, "lacks a name", ""},
        {"{{#id", ERROR_DATA, "lacks its closing }}", ""},
        {"{{.}}", ERROR_DATA, "{{.}} stands in no section", "{{#items}}"},
        {"{{.sku}}", ERROR_DATA, "{{.sku}} stands in no section", ""},
        {"{{#changed}}{{.}}{{/changed}}", ERROR_DATA, "stands in no section", ""},
        {"{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}{{#a}}", ERROR_DATA, "8 deep", ""},
        {"{{param.limit}}", ERROR_REFUSED, "parameters are not built yet", ""},
        {"{{event.positon}}", ERROR_DATA, "no \"positon\"", "event.position"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct error err = {0};
        assert_null(template_compile(slice_of(rows[i].template), "a.lua:3", &err));
        if (err.class != rows[i].class || !strstr(err.message, rows[i].message) ||
            !strstr(err.hint, rows[i].hint) || strncmp(err.message, "a.lua:3: ", 9) != 0)
            fail_msg("%s: %s (%s)", rows[i].template, err.message, err.hint);
    }
    struct error err = {0};
    assert_null(template_compile(slice_of("one\ntwo {{id | x}}"), "a.lua:3", &err));
    assert_non_null(strstr(err.message, "line 2 of the template"));
    char *long_text = calloc(1, TEMPLATE_BYTES + 1);
    memset(long_text, 'x', TEMPLATE_BYTES + 1);
    assert_null(template_compile((struct slice){long_text, TEMPLATE_BYTES + 1}, "a", &err));
    struct template *t = template_compile((struct slice){long_text, TEMPLATE_BYTES}, "a", &err);
    assert_non_null(t);
    template_free(t);
    free(long_text);
}

static void
test_check_against_a_schema(void **state)
{
    static const struct {
        const char *template, *message, *hint;
    } rows[] = {
        {"{{operation}} {{id}} {{new.city}} {{old.city}} {{key.id}} {{event.ts}}", NULL, NULL},
        {"{{amuont}}", "a.lua:3: {{amuont}}: table main.orders has no such column", "{{amount}}"},
        {"{{old.ctiy}}", "no such column", "{{city}}"},
        {"{{column_name}}", "no such column", "put a column's name here"},
        {"{{operatoin}}", "no such column", "{{operation}}"},
        {"{{key.city}}", "not in the table's key", "{{city}}"},
        {"{{City}}", "no such column", "{{city}}"},
        {"{{city | default(ctiy)}}", "{{ctiy}}: table main.orders has no such column", "{{city}}"},
        {"{{#ctiy}}x{{/ctiy}}", "{{ctiy}}: table main.orders has no such column", "{{city}}"},
        {"{{#city}}{{amuont}}{{/city}}", "no such column", "{{amount}}"},
        {"{{^city}}{{amuont}}{{/city}}", "no such column", "{{amount}}"},
        {"{{#changed}}{{column}} {{old}} {{new}} {{count}}{{/changed}}", NULL, NULL},
        {"{{#changed}}{{colum}}{{/changed}}", "no such column", "did you mean {{column}}?"},
        {"{{column}}", "no such column", ""},
        {"{{city.zip}}", "column \"city\" holds no documents", "JSON"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct error err = {0};
        struct template *t = template_compile(slice_of(rows[i].template), "a.lua:3", &err);
        assert_non_null(t);
        int result = template_check(t, orders, &err);
        assert_int_equal(result, rows[i].message ? -1 : 0);
        if (result != 0 &&
            (!strstr(err.message, rows[i].message) || !strstr(err.hint, rows[i].hint)))
            fail_msg("%s: %s (%s)", rows[i].template, err.message, err.hint);
        template_free(t);
    }
}

static void
test_names(void **state)
{
    struct error err = {0};
    const struct template_name *names;
    (void)state;
    struct template *t = template_compile(
        slice_of("{{id}} {{op}} {{row.id}} {{new.id}} {{event.id}} {{old.x y}} {{id}}"), "a", &err);
    assert_int_equal(template_names(t, &names), 3);
    assert_int_equal(names[0].row, TEMPLATE_ROW);
    assert_true(slice_is(names[0].name, "id"));
    assert_int_equal(names[1].row, TEMPLATE_NEW);
    assert_int_equal(names[2].row, TEMPLATE_OLD);
    assert_true(slice_is(names[2].name, "x y"));
    assert_true(template_needs_old(t));
    template_free(t);
    t = template_compile(slice_of("{{id}} {{event.id}}"), "a", &err);
    assert_false(template_needs_old(t));
    template_free(t);
}

static void
expect_failure(const char *text, struct event *e, size_t limit, const char *message)
{
    struct error err = {0};
    struct buffer small;
    buffer_init(&small, limit);
    buffer_text(&small, "kept");
    struct template *t = template_compile(slice_of(text), "a.lua:3", &err);
    assert_non_null(t);
    struct template_call call = {.event = e};
    assert_int_equal(template_render(t, &call, &small, &err), -1);
    if (!strstr(err.message, message))
        fail_msg("%s: %s", text, err.message);
    assert_false(small.failed);
    assert_true(slice_is(buffer_view(&small), "kept"));
    template_free(t);
    buffer_release(&small);
}

static void
test_render_fails_closed(void **state)
{
    struct event e = update();
    (void)state;
    expect_failure("{{id}} {{amuont}}", &e, 100, "no such column");
    expect_failure("{{body}} is more than there is room for", &e, 20, "larger than 20 bytes");
    e.rows[EVENT_OLD] = event_make_none();
    expect_failure("{{id}} {{old.status}}", &e, 100, "old value not in log");
    assert_string_equal(render("{{old.status | default(\"?\")}} [{{body}}]", &e), "? []");
    e.op = EVENT_INSERT; /* it has no old row, so nothing is missing */
    assert_string_equal(render("[{{old.status}}]", &e), "[]");
}

static int
start(void **state)
{
    (void)state;
    orders =
        event_make_schema("shop", "main", "orders", "id:int:key", "status:text", "amount:decimal",
                          "city:text", "note:text:null", "body:text:null", "key:text");
    pairs = event_make_schema("shop", "main", "pairs", "a:text:key2", "b:int:key1", "c:int");
    buffer_init(&out, 1 << 20);
    space = template_space_new();
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    buffer_release(&out);
    template_space_free(space);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_delete_reads_the_old_row),
        cmocka_unit_test(test_composite_key),
        cmocka_unit_test(test_ddl_is_one_readable_line),
        cmocka_unit_test(test_hostile_values_are_escaped),
        cmocka_unit_test(test_refused_templates),
        cmocka_unit_test(test_check_against_a_schema),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_render_fails_closed),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
