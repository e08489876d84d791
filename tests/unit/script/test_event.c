/* The event and its rows as scripts see them. */
#include "unit/script/rig.h"

static void
fields_and_methods(void **state)
{
    static const struct rig_row rows[] = {
        {"e", "shop:1:17"},
        {"e.id", "shop:1:17"},
        {"e.lsn", "7"},
        {"e.op", "update"},
        {"e.source", "shop"},
        {"e.driver", "sqlite"},
        {"e.schema", "main"},
        {"e.table", "orders"},
        {"e.ts", "1795243320000001"},
        {"e.position", "17"},
        {"e.tx.id .. e.tx.index .. tostring(e.tx.last)", "tx92true"},
        {"e.key.id", "1"},
        {"e.meta.user", "ann"},
        {"e.ddl", "nil"},
        {"e.gap", "nil"},
        {"e.prefix", "nil"},
        {"e.content", "nil"},
        {"e.new.status", "shipped"},
        {"e.old.status", "packed"},
        {"e.row.status", "shipped"},
        {"e.new.id + 1", "2"},
        {"math.type(e.new.id)", "integer"},
        {"e.new.total", "12.5"},
        {"e.new.paid == true", "true"},
        {"e.new.weight * 2", "3.0"},
        {"#e.new.photo", "2"},
        {"e.new.made", "2026-11-21T06:42:00Z"},
        {"e.new.note", "nil"},
        {"e.new.doc.a[2]", "2.5"},
        {"e.new.doc.a[3] == null", "true"},
        {"#e.new.doc.empty", "0"},
        {"e:get('doc.a.2')", "2.5"},
        {"math.type(e:get('doc.a.1'))", "integer"},
        {"e:get('doc.a.3')", "nil"},
        {"e:get('doc.a.5')", "nil"},
        {"e:get('doc.x.y.z')", "nil"},
        {"e:get('doc.a.2.x')", "nil"},
        {"#e:get('doc.a')", "4"},
        {"#e:get('doc.empty')", "0"},
        {"e:get('doc').a[2]", "2.5"},
        {"e:get('status')", "shipped"},
        {"e:get('total')", "12.5"},
        {"e:get('note')", "nil"},
        {"e:changed('status')", "true"},
        {"e:changed('total')", "false"},
        {"e:changed('big')", "false"},
        {"e:was('status')", "packed"},
        {"e:was('status', 'packed')", "true"},
        {"e:was('status', 'open')", "false"},
        {"e:was('note', null)", "true"},
        {"e:was('note', nil)", "true"},
        {"e:was('total', 12.5)", "true"},
        {"e:was('total', decimal('12.50'))", "true"},
        {"e:was('total', decimal('12.51'))", "false"},
        {"e:was('total', '12.50')", "false"},
        {"e:was('status', decimal(1))", "false"},
        {"e:changed()", "true"},
        {"e:changed('total', 'status')", "true"},
        {"e:changed('total', 'paid')", "false"},
        {"e:text('total')", "12.50"},
        {"e:text('note')", "nil"},
        {"e:text('photo')", "00ff"},
        {"e:is_null('note')", "true"},
        {"e:is_null('status')", "false"},
        {"e:is_unchanged('big')", "true"},
        {"e:is_unknown('old')", "true"},
        {"e:has('note')", "true"},
        {"e:has('big')", "false"},
        {"e:has('old')", "false"},
        {"e:json():match('\"op\":\"update\"')", "\"op\":\"update\""},
        {"e:json('debezium'):match('\"op\":\"u\"')", "\"op\":\"u\""},
        {"type(e)", "userdata"},
        {"e == e", "true"},
    };
    struct event e = rig_event();
    (void)state;
    rig_check(&e, rows, countof(rows));
}

static void
what_is_not_there_fails_closed(void **state)
{
    static const struct rig_row rows[] = {
        {"e.new.statsu", "!main.orders has no column \"statsu\"; did you mean \"status\"?"},
        {"e.old.xyzzy", "!main.orders has no column \"xyzzy\""},
        {"e.new[1]", "!has no column \"1\""},
        {"e:changed('statsu')", "!did you mean \"status\"?"},
        {"e:was('statsu', 1)", "!did you mean \"status\"?"},
        {"e:text('statsu')", "!did you mean"},
        {"e:has('statsu')", "!did you mean"},
        {"e.nwe", "!an event has no field \"nwe\""},
        {"e.status", "!e.new.status"},
        {"e.new.big", "!did not change, and the log does not carry its value; ask e:has(\"big\")"},
        {"e.new.old", "!may have changed, and the log does not carry its value"},
        {"e.old.big", "!is not part of this image"},
        {"e:changed('old')", "!old value not in log"},
        {"e:was('big')", "!old value not in log"},
        {"e.changed('status')", "!call methods with a colon"},
        {"e:get('doc.a[1]')", "!is no path"},
        {"e:get('total.x')", "!column \"total\" holds no documents"},
        {"e:get('docc.a')", "!has no column \"docc.a\""},
        {"e:get('docc.a')", "!\"doc\""},
        {"e:get('big.x')", "!holds no documents"},
        {"e:get('big')",
         "!did not change, and the log does not carry its value; ask e:has(\"big\")"},
        {"e:get('old')", "!may have changed"},
        {"e:get(nil)", "!string expected"},
        {"e:text('big')", "!did not change, and the log does not carry its value; ask e:has"},
        {"e:text('old')", "!may have changed"},
        {"e:changed('status', 'old')", "!old value not in log: column \"old\""},
        {"e:row_table().statsu.x", "!attempt to index a nil value"},
        {"e:json('xml')", "!\"xml\" is no format that an event can have"},
        {"e:json('nativ')", "!did you mean \"native\"?"},
        {"rawset(e, 'x', 1)", "!table expected"},
        {"getmetatable(e)", "false"},
        {"getmetatable(e.new)", "false"},
        {"setmetatable(e.new, {})", "!table expected"},
    };
    struct event e = rig_event();
    (void)state;
    rig_check(&e, rows, countof(rows));
    assert_non_null(strstr(rig_run(&e, "e.new.status = 'x'"), "rows are read-only"));
    assert_non_null(strstr(rig_run(&e, "e.op = 'x'"), "events are read-only"));
    assert_non_null(strstr(rig_run(&e, "e.new = nil"), "events are read-only"));
}

static void
a_null_is_named_when_it_is_used(void **state)
{
    static const char *const bodies[] = {
        "return e.new.note < 'x'", "return e.new.note + 1", "return e.new.note .. 'x'",
        "return e.new.note.a",     "return #e.new.note",    "return ('x'):rep(e.new.note)"};
    struct event e = rig_event();
    (void)state;
    for (size_t i = 0; i < countof(bodies); i++) {
        const char *wrong = rig_run(&e, bodies[i]);
        if (!wrong ||
            !strstr(wrong, "column \"note\" is NULL here; test it first: e.new.note ~= nil"))
            fail_msg("%s: %s", bodies[i], wrong ? wrong : "worked");
        if (!strstr(wrong, "line 2 is: return "))
            fail_msg("%s: %s", bodies[i], wrong);
    }
    /* nothing is blamed that was not the reason */
    const char *wrong = rig_run(&e, "local _ = e.new.note; error('own words')");
    assert_null(strstr(wrong, "is NULL here"));
    wrong = rig_run(&e, "local x; return x + 1");
    assert_null(strstr(wrong, "is NULL here"));
}

static void
images_depend_on_the_operation(void **state)
{
    const struct schema *schema = event_make_schema("shop", "main", "t", "id:int:key", "s:text");
    static const struct rig_row inserted[] = {{"e.old", "nil"},
                                              {"e.old.id", "!e.old is nil for insert"},
                                              {"e.new.id", "1"},
                                              {"e.row.id", "1"},
                                              {"e:changed('s')", "false"},
                                              {"e:was('s')", "nil"},
                                              {"e:was('s', 'a')", "false"},
                                              {"e.key.id", "1"}};
    static const struct rig_row deleted[] = {
        {"e.new", "nil"},         {"e.old.id", "1"},
        {"e.row.s", "a"},         {"e:text('s')", "a"},
        {"e:row_table().s", "a"}, {"e:changed()", "false"},
        {"e.key.id", "1"},        {"e.new.id", "!e.new is nil for delete; e.row is the row of"}};
    static const struct rig_row ddl[] = {{"e.new", "nil"},
                                         {"e.row", "nil"},
                                         {"e:row_table()", "nil"},
                                         {"e.ddl.kind", "alter"},
                                         {"e.op", "ddl"}};
    static const struct rig_row message[] = {{"e.prefix .. e.content", "pc"}, {"e.key", "nil"}};
    struct event e =
        event_make(EVENT_INSERT, schema, "1", event_make_row("1", "'a'"), event_make_none());
    (void)state;
    rig_check(&e, inserted, countof(inserted));
    e = event_make(EVENT_DELETE, schema, "1", event_make_none(), event_make_row("1", "'a'"));
    rig_check(&e, deleted, countof(deleted));
    e = event_make(EVENT_DDL, schema, "1", event_make_none(), event_make_none());
    e.ddl = slice_literal("{\"kind\":\"alter\"}");
    rig_check(&e, ddl, countof(ddl));
    e = event_make(EVENT_MESSAGE, event_make_schema("shop", "", "", NULL), "1", event_make_none(),
                   event_make_none());
    e.prefix = slice_literal("p");
    e.content = slice_literal("c");
    rig_check(&e, message, countof(message));
}

static void
rows_iterate_in_column_order(void **state)
{
    struct event e = rig_event();
    (void)state;
    assert_null(rig_run(&e, "local t = {} for k, v in pairs(e.new) do t[#t + 1] = k end\n"
                            "send('x', table.concat(t, ' '))"));
    assert_string_equal(buffer_cstring(&rig_sent), "x=id status total paid weight doc photo made;");
}

/* A copy to mask values in; the event stays as it is. */
static void
row_tables_are_the_scripts_own(void **state)
{
    struct event e = rig_event();
    (void)state;
    assert_null(rig_run(&e, "local row = e:row_table() row.photo = nil row.status = '***'\n"
                            "row.doc.a[1] = 'x' row.more = { 1 }\n"
                            "assert(row.note == null and row.big == nil and row.old == nil)\n"
                            "assert(e.new.status == 'shipped' and e.new.doc.a[1] == 1)\n"
                            "send('x', row)"));
    assert_string_equal(buffer_cstring(&rig_sent),
                        "x={\"doc\":{\"a\":[\"x\",2.5,null,{}],\"empty\":[]},\"id\":1,"
                        "\"made\":\"2026-11-21T06:42:00Z\",\"more\":[1],\"note\":null,"
                        "\"paid\":true,\"status\":\"***\",\"total\":12.5,\"weight\":1.5};");
}

/* What a script keeps of an event is no copy: the one object shows whatever is handled, also to a
 * coroutine that outlives its handler. */
static void
kept_events_show_the_one_that_is_handled(void **state)
{
    static const char script[] =
        "local kept, resume\n"
        "on('keep', 's:t', nil, function(e)\n"
        "  kept = e\n"
        "  resume = coroutine.wrap(function() coroutine.yield(e.new.id) return e.new.id end)\n"
        "  send('x', tostring(resume()))\n"
        "end)\n"
        "on('use', 's:t', nil, function(e)\n"
        "  send('x', kept.new.id .. ' ' .. resume())\n"
        "end)";
    const struct vm_rule *rules;
    struct event e = rig_event(), other = rig_event();
    struct error err = {0};
    (void)state;
    other.rows[EVENT_NEW] = event_make_row("2");
    assert_null(rig_load("scripts/kept.lua", script));
    size_t count = vm_rules(rig_vm, &rules);
    buffer_reset(&rig_sent);
    assert_int_equal(vm_run(rig_vm, value_get(rules[count - 2].table, "run"), &e, &err), 0);
    assert_int_equal(vm_run(rig_vm, value_get(rules[count - 1].table, "run"), &other, &err), 0);
    assert_string_equal(buffer_cstring(&rig_sent), "x=1;x=2 2;");
}

/* The same row object serves tables of other shapes. */
static void
columns_follow_the_table(void **state)
{
    const struct schema *a = event_make_schema("shop", "main", "a", "x:int:key", "y:int");
    const struct schema *b = event_make_schema("shop", "main", "b", "y:int:key", "x:int");
    static const struct rig_row one[] = {{"e.new.x .. e.new.y", "12"}};
    static const struct rig_row two[] = {{"e.new.x .. e.new.y", "21"}};
    struct event first =
        event_make(EVENT_INSERT, a, "1", event_make_row("1", "2"), event_make_none());
    struct event second =
        event_make(EVENT_INSERT, b, "1", event_make_row("1", "2"), event_make_none());
    (void)state;
    for (int i = 0; i < 3; i++) {
        rig_check(&first, one, 1);
        rig_check(&second, two, 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_and_methods),
        cmocka_unit_test(what_is_not_there_fails_closed),
        cmocka_unit_test(a_null_is_named_when_it_is_used),
        cmocka_unit_test(images_depend_on_the_operation),
        cmocka_unit_test(rows_iterate_in_column_order),
        cmocka_unit_test(row_tables_are_the_scripts_own),
        cmocka_unit_test(kept_events_show_the_one_that_is_handled),
        cmocka_unit_test(columns_follow_the_table),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
