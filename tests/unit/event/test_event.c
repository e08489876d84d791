#include "event/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "support/event_make.h"

static const struct schema *
orders(void)
{
    return event_make_schema("shop.eu", "main", "orders", "id:int:key", "status:text",
                             "total:decimal:null", "note:text:null");
}

static void
assert_text(struct buffer *b, const char *expected)
{
    assert_string_equal(buffer_cstring(b), expected);
    buffer_reset(b);
}

static void
op_names_read_back(void **state)
{
    (void)state;
    for (int op = EVENT_INSERT; op < EVENT_OPS; op++) {
        assert_non_null(event_op_name(op));
        assert_int_equal(event_op_parse(slice_of(event_op_name(op))), op);
    }
    assert_null(event_op_name(0));
    assert_null(event_op_name(EVENT_OPS));
    assert_int_equal(event_op_parse(slice_of("upsert")), 0);
    assert_int_equal(event_op_parse(slice_of("")), 0);
    assert_int_equal(event_op_parse(slice_of("Insert")), 0);
}

static void
cells_are_equal_by_kind_and_bytes(void **state)
{
    static const char *const distinct[] = {
        "absent", "null",  "unchanged", "unknown", "true", "false",       "0",     "1",   "0.0",
        "-0.0",   "1.0",   "nan",       "1.0m",    "1m",   "'1'",         "''",    "'A'", "'a'",
        "x''",    "x'00'", "x'61'",     "{}",      "[]",   "@2026-01-01", "@2026",
    };
    (void)state;
    for (size_t i = 0; i < countof(distinct); i++)
        for (size_t k = 0; k < countof(distinct); k++) {
            struct cell a = event_make_cell(distinct[i]), b = event_make_cell(distinct[k]);
            assert_int_equal(cell_equal(&a, &b), i == k);
        }
}

static void
cells_print_their_exact_text(void **state)
{
    static const struct {
        const char *cell, *text;
    } rows[] = {
        {"absent", ""},
        {"null", ""},
        {"unchanged", ""},
        {"unknown", ""},
        {"true", "true"},
        {"false", "false"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"1.5", "1.5"},
        {"nan", "NaN"},
        {"inf", "Infinity"},
        {"-inf", "-Infinity"},
        {"00012.500m", "00012.500"},
        {"'it''", "it'"},
        {"x'00fF'", "00ff"},
        {"{\"a\":1}", "{\"a\":1}"},
        {"@2026-11-21", "2026-11-21"},
    };
    struct buffer out;
    (void)state;
    buffer_init(&out, 1000);
    for (size_t i = 0; i < countof(rows); i++) {
        struct cell cell = event_make_cell(rows[i].cell);
        cell_print(&cell, &out);
        assert_text(&out, rows[i].text);
    }
    buffer_release(&out);
}

static void
missing_images_and_columns_are_absent(void **state)
{
    struct event e =
        event_make(EVENT_INSERT, orders(), "1", event_make_row("1", "'new'"), event_make_none());
    (void)state;
    assert_int_equal(event_cell(&e, EVENT_NEW, 1)->kind, CELL_TEXT);
    assert_int_equal(event_cell(&e, EVENT_NEW, 2)->kind, CELL_ABSENT);
    assert_int_equal(event_cell(&e, EVENT_NEW, 60000)->kind, CELL_ABSENT);
    assert_int_equal(event_cell(&e, EVENT_OLD, 0)->kind, CELL_ABSENT);
    assert_false(event_row(&e, EVENT_OLD)->present);
    assert_ptr_equal(event_subject(&e), event_row(&e, EVENT_NEW));
    e.op = EVENT_DELETE;
    assert_ptr_equal(event_subject(&e), event_row(&e, EVENT_OLD));
}

static void
unchanged_cells_take_the_old_value(void **state)
{
    static const struct {
        const char *new, *old;
        enum cell_kind kind;
    } rows[] = {
        {"unchanged", "'a'", CELL_TEXT},
        {"unchanged", "null", CELL_NULL},
        {"unchanged", "absent", CELL_UNCHANGED},
        {"unchanged", "unknown", CELL_UNCHANGED},
        {"unknown", "'a'", CELL_UNKNOWN},
        {"absent", "'a'", CELL_ABSENT},
        {"null", "'a'", CELL_NULL},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct event e = event_make(EVENT_UPDATE, orders(), "1", event_make_row("1", rows[i].new),
                                    event_make_row("1", rows[i].old));
        assert_int_equal(event_value(&e, EVENT_NEW, 1)->kind, rows[i].kind);
        assert_int_equal(event_cell(&e, EVENT_NEW, 1)->kind, event_make_cell(rows[i].new).kind);
    }
}

static void
change_is_known_only_with_both_values(void **state)
{
    static const struct {
        const char *new, *old;
        enum change change;
    } rows[] = {
        {"'a'", "'a'", CHANGE_NO},
        {"'a'", "'A'", CHANGE_YES},
        {"'a'", "null", CHANGE_YES},
        {"null", "null", CHANGE_NO},
        {"1", "1.0", CHANGE_YES},
        {"unchanged", "absent", CHANGE_NO},
        {"unchanged", "'a'", CHANGE_NO},
        {"unknown", "'a'", CHANGE_UNKNOWN},
        {"'a'", "absent", CHANGE_UNKNOWN},
        {"'a'", "unknown", CHANGE_UNKNOWN},
        {"'a'", "unchanged", CHANGE_UNKNOWN},
        {"absent", "absent", CHANGE_UNKNOWN},
    };
    struct event e;
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        e = event_make(EVENT_UPDATE, orders(), "1", event_make_row("1", rows[i].new),
                       event_make_row("1", rows[i].old));
        assert_int_equal(event_changed(&e, 1), rows[i].change);
    }
    e = event_make(EVENT_UPDATE, orders(), "1", event_make_row("1", "'a'"), event_make_none());
    assert_int_equal(event_changed(&e, 1), CHANGE_UNKNOWN);
    e.op = EVENT_INSERT;
    assert_int_equal(event_changed(&e, 1), CHANGE_NO);
}

static void
id_names_source_epoch_and_position(void **state)
{
    struct event e = event_make(EVENT_INSERT, orders(), "0/15342B0.1-s1", event_make_row("1"),
                                event_make_none());
    struct buffer out;
    (void)state;
    buffer_init(&out, 1000);
    e.epoch = UINT32_MAX;
    event_id(&e, &out);
    assert_text(&out, "shop~eu:4294967295:0/15342B0.1-s1");
    buffer_release(&out);
}

static void
keys_join_and_escape(void **state)
{
    static const struct {
        const char *cells[3]; /* a is second in the key, b first, c third */
        const char *key;
    } rows[] = {
        {{"1", "2", "3"}, "2,1,3"},
        {{"'x,y'", "'\\'", "''"}, "\\\\,x\\,y,"},
        {{"null", "x'2c5c'", "true"}, "2c5c,,true"},
        {{"1,5m", "1.5", "@12:00"}, "1.5,1\\,5,12:00"},
    };
    const struct schema *schema =
        event_make_schema("shop", "main", "k", "a:any:key2", "b:any:key1", "c:any:key3", "d:any");
    struct buffer out;
    struct event e;
    (void)state;
    buffer_init(&out, 1000);
    for (size_t i = 0; i < countof(rows); i++) {
        const char *const *c = rows[i].cells;
        e = event_make(EVENT_INSERT, schema, "1", event_make_row(c[0], c[1], c[2], "'d'"),
                       event_make_none());
        event_key(&e, EVENT_NEW, &out);
        assert_text(&out, rows[i].key);
    }
    e.schema = event_make_schema("shop", "main", "without", "a:any");
    event_key(&e, EVENT_NEW, &out);
    assert_text(&out, "");
    buffer_release(&out);
}

static void
key_of_either_image_after_a_key_change(void **state)
{
    struct event moved =
        event_make(EVENT_UPDATE, orders(), "1", event_make_row("2", "'a'"), event_make_row("1"));
    struct event stayed =
        event_make(EVENT_UPDATE, orders(), "1", event_make_row("7", "'a'"), event_make_none());
    struct event gone =
        event_make(EVENT_DELETE, orders(), "1", event_make_none(), event_make_row("9"));
    struct buffer out;
    (void)state;
    buffer_init(&out, 1000);
    event_key(&moved, EVENT_NEW, &out);
    assert_text(&out, "2");
    event_key(&moved, EVENT_OLD, &out);
    assert_text(&out, "1");
    event_key(&stayed, EVENT_OLD, &out);
    assert_text(&out, "7");
    event_key(&gone, event_key_image(&gone), &out);
    assert_text(&out, "9");
    buffer_release(&out);
}

static void
key_hash_follows_the_key_alone(void **state)
{
    const struct schema *other = event_make_schema("shop.eu", "main", "items", "id:int:key");
    const struct schema *wider =
        event_make_schema("shop.eu", "main", "orders", "x:text", "id:int:key");
    struct row none = event_make_none(), one = event_make_row("1", "'a'");
    struct event insert = event_make(EVENT_INSERT, orders(), "1", one, none);
    struct event update = event_make(EVENT_UPDATE, orders(), "2", event_make_row("1", "'b'"), one);
    struct event delete = event_make(EVENT_DELETE, orders(), "3", none, event_make_row("1"));
    struct event second = event_make(EVENT_INSERT, orders(), "4", event_make_row("2", "'a'"), none);
    struct event item = event_make(EVENT_INSERT, other, "5", event_make_row("1"), none);
    struct event altered = event_make(EVENT_INSERT, wider, "6", event_make_row("null", "1"), none);
    struct event truncate = event_make(EVENT_TRUNCATE, orders(), "7", none, none);
    uint64_t hash = event_key_hash(&insert);
    (void)state;
    assert_true(hash != 0);
    assert_true(event_key_hash(&update) == hash);
    assert_true(event_key_hash(&delete) == hash);
    assert_true(event_key_hash(&altered) == hash); /* the same row after ALTER TABLE */
    assert_true(event_key_hash(&second) != hash);
    assert_true(event_key_hash(&item) != hash);
    assert_true(event_key_hash(&truncate) != hash);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(op_names_read_back),
        cmocka_unit_test(cells_are_equal_by_kind_and_bytes),
        cmocka_unit_test(cells_print_their_exact_text),
        cmocka_unit_test(missing_images_and_columns_are_absent),
        cmocka_unit_test(unchanged_cells_take_the_old_value),
        cmocka_unit_test(change_is_known_only_with_both_values),
        cmocka_unit_test(id_names_source_epoch_and_position),
        cmocka_unit_test(keys_join_and_escape),
        cmocka_unit_test(key_of_either_image_after_a_key_change),
        cmocka_unit_test(key_hash_follows_the_key_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
