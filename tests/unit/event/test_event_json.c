#include "event/event_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/json.h"
#include "support/event_make.h"

#define HEAD(op)                                                                                   \
    "{\"id\":\"shop:1:17\",\"lsn\":42,\"source\":\"shop\",\"driver\":\"sqlite\","                  \
    "\"schema\":\"main\",\"table\":\"orders\",\"op\":\"" op "\","                                  \
    "\"ts\":\"2026-11-21T06:42:00.000001Z\",\"ts_us\":1795243320000001,"

static const struct schema *
orders(void)
{
    return event_make_schema("shop", "main", "orders", "id:int:key", "status:text", "total:decimal",
                             "note:text");
}

static struct event
make(enum event_op op, struct row new, struct row old)
{
    struct event e = event_make(op, orders(), "17", new, old);
    e.lsn = 42;
    return e;
}

static void
assert_valid(struct slice text)
{
    struct buffer compact;
    struct error err = {0};
    buffer_init(&compact, 1 << 20);
    if (json_compact(text, &compact, &err) != 0)
        fail_msg("%s in %.*s", err.message, (int)text.size, text.data);
    assert_int_equal(compact.size, text.size); /* on one line, without spaces */
    buffer_release(&compact);
}

static void
assert_json(struct event *e, const struct event_shape *shape, const char *expected)
{
    struct buffer out;
    buffer_init(&out, 1 << 20);
    event_json(e, shape, &out);
    assert_string_equal(buffer_cstring(&out), expected);
    assert_valid(buffer_view(&out));
    buffer_release(&out);
}

static void
assert_native(struct event e, const char *expected)
{
    assert_json(&e, &event_shape_default, expected);
}

static void
native_rows(void **state)
{
    struct row none = event_make_none();
    struct row paid = event_make_row("1", "'paid'", "12.50m", "null");
    struct row open = event_make_row("1", "'open'", "12.50m", "'x'");
    (void)state;
    assert_native(make(EVENT_INSERT, paid, none),
                  HEAD("insert") "\"key\":{\"id\":1},\"new\":{\"id\":1,\"status\":\"paid\","
                                 "\"total\":\"12.50\",\"note\":null},\"old\":null,"
                                 "\"position\":\"17\"}");
    assert_native(make(EVENT_UPDATE, paid, open),
                  HEAD("update") "\"key\":{\"id\":1},\"new\":{\"id\":1,\"status\":\"paid\","
                                 "\"total\":\"12.50\",\"note\":null},\"old\":{\"id\":1,"
                                 "\"status\":\"open\",\"total\":\"12.50\",\"note\":\"x\"},"
                                 "\"changed\":[\"status\",\"note\"],\"position\":\"17\"}");
    assert_native(make(EVENT_DELETE, none, event_make_row("1")),
                  HEAD("delete") "\"key\":{\"id\":1},\"new\":null,\"old\":{\"id\":1},"
                                 "\"position\":\"17\"}");
    assert_native(make(EVENT_READ, event_make_row("1"), none),
                  HEAD("read") "\"key\":{\"id\":1},\"new\":{\"id\":1},\"old\":null,"
                               "\"position\":\"17\"}");
    assert_native(make(EVENT_TRUNCATE, none, none),
                  HEAD("truncate") "\"key\":null,\"new\":null,\"old\":null,\"position\":\"17\"}");
}

static void
native_names_what_an_image_lacks(void **state)
{
    struct row unchanged = event_make_row("1", "'paid'", "unchanged", "unknown");
    (void)state;
    /* No old row: which columns changed is not known. */
    assert_native(make(EVENT_UPDATE, unchanged, event_make_none()),
                  HEAD("update") "\"key\":{\"id\":1},\"new\":{\"id\":1,\"status\":\"paid\"},"
                                 "\"old\":null,\"changed\":null,\"unchanged\":[\"total\"],"
                                 "\"unknown\":[\"note\"],\"position\":\"17\"}");
    /* The old row has the value: it is carried and not named. */
    assert_native(make(EVENT_UPDATE, unchanged, event_make_row("1", "'open'", "9m", "'x'")),
                  HEAD("update") "\"key\":{\"id\":1},\"new\":{\"id\":1,\"status\":\"paid\","
                                 "\"total\":\"9\"},\"old\":{\"id\":1,\"status\":\"open\","
                                 "\"total\":\"9\",\"note\":\"x\"},\"changed\":[\"status\"],"
                                 "\"unknown\":[\"note\"],\"position\":\"17\"}");
    /* An old row of the key alone says nothing of the rest. */
    assert_native(make(EVENT_UPDATE, event_make_row("2", "'paid'"), event_make_row("1")),
                  HEAD("update") "\"key\":{\"id\":2},\"new\":{\"id\":2,\"status\":\"paid\"},"
                                 "\"old\":{\"id\":1},\"changed\":null,\"position\":\"17\"}");
    /* Nothing changed: an empty list is left out. */
    assert_native(make(EVENT_UPDATE, event_make_row("1"), event_make_row("1")),
                  HEAD("update") "\"key\":{\"id\":1},\"new\":{\"id\":1},\"old\":{\"id\":1},"
                                 "\"position\":\"17\"}");
}

static void
native_transaction_and_meta(void **state)
{
    struct event e = make(EVENT_INSERT, event_make_row("1"), event_make_none());
    (void)state;
    e.tx_id = slice_of("0-1-5");
    e.tx_index = 3;
    e.tx_last = true;
    e.meta = slice_of("{ \"user\": \"ann\" }");
    assert_native(e, HEAD("insert") "\"key\":{\"id\":1},\"new\":{\"id\":1},\"old\":null,"
                                    "\"tx\":{\"id\":\"0-1-5\",\"index\":3,\"last\":true},"
                                    "\"position\":\"17\",\"meta\":{\"user\":\"ann\"}}");
}

#define ROWLESS "\"key\":null,\"new\":null,\"old\":null,\"position\":\"17\","

static void
native_events_without_rows(void **state)
{
    struct event e = make(EVENT_DDL, event_make_none(), event_make_none());
    (void)state;
    e.ddl = slice_of("{\"kind\":\"alter\",\"sql\":null}");
    assert_native(e, HEAD("ddl") ROWLESS "\"ddl\":{\"kind\":\"alter\",\"sql\":null}}");
    e = make(EVENT_GAP, event_make_none(), event_make_none());
    e.gap = slice_of("{\"reason\":\"lost\",\"from_lsn\":null,\"to_lsn\":null,\"count\":null}");
    assert_native(e, HEAD("gap") ROWLESS "\"gap\":{\"reason\":\"lost\",\"from_lsn\":null,"
                                         "\"to_lsn\":null,\"count\":null}}");
    e = make(EVENT_MESSAGE, event_make_none(), event_make_none());
    e.prefix = slice_of("audit");
    e.content = slice_of("a \"b\"");
    assert_native(e, HEAD("message") ROWLESS
                  "\"message\":{\"prefix\":\"audit\",\"content\":\"a \\\"b\\\"\"}}");
    e.content = (struct slice){"\0\xff", 2};
    assert_native(e, HEAD("message") ROWLESS "\"message\":{\"prefix\":\"audit\","
                                             "\"content\":\"AP8=\",\"encoding\":\"base64\"}}");
}

static void
events_of_no_table_have_null_names(void **state)
{
    static const char *const names[] = {"shop", "", ""};
    static const char *const none[] = {NULL};
    struct event e =
        event_make(EVENT_TRUNCATE, event_make_schema_in(event_make_set(), "", names, none), "1",
                   event_make_none(), event_make_none());
    (void)state;
    assert_native(e, "{\"id\":\"shop:1:1\",\"lsn\":0,\"source\":\"shop\",\"driver\":null,"
                     "\"schema\":null,\"table\":null,\"op\":\"truncate\","
                     "\"ts\":\"2026-11-21T06:42:00.000001Z\",\"ts_us\":1795243320000001,"
                     "\"key\":null,\"new\":null,\"old\":null,\"position\":\"1\"}");
}

static void
cells_of_each_kind(void **state)
{
    static const struct {
        const char *cell, *as_default, *other; /* decimals number, bigints string; NULL: the same */
    } rows[] = {
        {"absent", "null", NULL},
        {"null", "null", NULL},
        {"unchanged", "null", NULL},
        {"unknown", "null", NULL},
        {"true", "true", NULL},
        {"false", "false", NULL},
        {"9007199254740992", "9007199254740992", NULL},
        {"9007199254740993", "9007199254740993", "\"9007199254740993\""},
        {"-9223372036854775808", "-9223372036854775808", "\"-9223372036854775808\""},
        {"1.5", "1.5", NULL},
        {"nan", "\"NaN\"", NULL},
        {"-inf", "\"-Infinity\"", NULL},
        {"12.50m", "\"12.50\"", "12.50"},
        {"-0.5e+10m", "\"-0.5e+10\"", "-0.5e+10"},
        {"NaNm", "\"NaN\"", NULL},
        {"+1m", "\"+1\"", NULL},
        {".5m", "\".5\"", NULL},
        {"5.m", "\"5.\"", NULL},
        {"007m", "\"007\"", NULL},
        {"1em", "\"1e\"", NULL},
        {"-m", "\"-\"", NULL},
        {"m", "\"\"", NULL},
        {"'a\"b\\c\n'", "\"a\\\"b\\\\c\\n\"", NULL},
        {"'\xff</script>\xc3\xa9'", "\"\xef\xbf\xbd</script>\xc3\xa9\"", NULL},
        {"x'00ff10'", "\"AP8Q\"", NULL},
        {"{\"a\": [1, 1.50, []]}", "{\"a\":[1,1.50,[]]}", NULL},
        {"{broken", "\"{broken\"", NULL},
        {"@2026-11-21", "\"2026-11-21\"", NULL},
    };
    const struct event_shape other = {.decimals = NUMBER_NUMBER, .bigints = NUMBER_STRING};
    struct buffer out;
    (void)state;
    buffer_init(&out, 1000);
    for (size_t i = 0; i < countof(rows); i++) {
        struct cell cell = event_make_cell(rows[i].cell);
        cell_json(&cell, &event_shape_default, &out);
        assert_string_equal(buffer_cstring(&out), rows[i].as_default);
        buffer_reset(&out);
        cell_json(&cell, &other, &out);
        assert_string_equal(buffer_cstring(&out),
                            rows[i].other ? rows[i].other : rows[i].as_default);
        buffer_reset(&out);
    }
    buffer_release(&out);
}

static void
unsigned_integers_follow_bigints(void **state)
{
    const struct event_shape strings = {.bigints = NUMBER_STRING};
    struct event e = make(EVENT_INSERT, event_make_row("18446744073709551615m", "'a'", "1.0m"),
                          event_make_none());
    (void)state;
    assert_native(e, HEAD("insert") "\"key\":{\"id\":18446744073709551615},"
                                    "\"new\":{\"id\":18446744073709551615,\"status\":\"a\","
                                    "\"total\":\"1.0\"},\"old\":null,\"position\":\"17\"}");
    assert_json(&e, &strings,
                HEAD("insert") "\"key\":{\"id\":\"18446744073709551615\"},"
                               "\"new\":{\"id\":\"18446744073709551615\",\"status\":\"a\","
                               "\"total\":\"1.0\"},\"old\":null,\"position\":\"17\"}");
}

static void
columns_limit_all_that_is_carried(void **state)
{
    static const char *const names[] = {"status", "nosuch"};
    struct event_shape shape = event_shape_default;
    struct event e = make(EVENT_UPDATE, event_make_row("1", "'paid'", "2m", "unknown"),
                          event_make_row("1", "'open'", "1m", "unknown"));
    (void)state;
    shape.columns = names;
    shape.column_count = countof(names);
    assert_json(&e, &shape,
                HEAD("update") "\"key\":{},\"new\":{\"status\":\"paid\"},"
                               "\"old\":{\"status\":\"open\"},\"changed\":[\"status\"],"
                               "\"position\":\"17\"}");
    shape.column_count = 0;
    assert_json(&e, &shape, HEAD("update") "\"key\":{},\"new\":{},\"old\":{},\"position\":\"17\"}");
}

static void
hostile_names_stay_valid(void **state)
{
    const struct schema *schema = event_make_schema("a\".\\b", "x\n\x1b[31m", "<script>'; drop",
                                                    "\"},{\\:int:key", "\xff\xfe:text");
    struct event e = event_make(EVENT_UPDATE, schema, "\"\\\xc3\n", event_make_row("1", "'\x01'"),
                                event_make_row("2", "'\xed\xa0\x80'"));
    struct event_shape shape = event_shape_default;
    struct buffer out;
    (void)state;
    e.tx_id = slice_of("\"\xff");
    buffer_init(&out, 1 << 16);
    event_json(&e, &shape, &out);
    assert_valid(buffer_view(&out));
    assert_non_null(
        strstr(buffer_cstring(&out), "\"id\":\"a\\\"~\\\\b:1:\\\"\\\\\xef\xbf\xbd\\n\""));
    buffer_reset(&out);
    shape.format = FORMAT_DEBEZIUM;
    event_json(&e, &shape, &out);
    assert_valid(buffer_view(&out));
    buffer_release(&out);
}

#define SOURCE(snapshot, rest)                                                                     \
    "\"source\":{\"version\":\"" TIDEGATE_VERSION "\",\"connector\":\"sqlite\",\"name\":\"shop\"," \
    "\"ts_ms\":1795243320000,\"ts_us\":1795243320000001,\"snapshot\":\"" snapshot "\","            \
    "\"db\":\"\",\"schema\":\"main\",\"table\":\"orders\",\"txId\":null,\"lsn\":42,"               \
    "\"id\":\"shop:1:17\",\"position\":\"17\"" rest "}"

#define TAIL(op)                                                                                   \
    ",\"op\":\"" op "\",\"ts_ms\":1795243320000,\"ts_us\":1795243320000001,\"transaction\":null"

static void
debezium_envelopes(void **state)
{
    static const struct event_shape shape = {.format = FORMAT_DEBEZIUM, .bigints = NUMBER_NUMBER};
    struct row none = event_make_none(), one = event_make_row("1", "'a'");
    struct event e = make(EVENT_INSERT, one, none);
    (void)state;
    assert_json(&e, &shape,
                "{\"before\":null,\"after\":{\"id\":1,\"status\":\"a\"}," SOURCE("false", "")
                    TAIL("c") "}");
    e = make(EVENT_UPDATE, event_make_row("1", "'a'", "unchanged", "unknown"), none);
    assert_json(&e, &shape,
                "{\"before\":null,\"after\":{\"id\":1,\"status\":\"a\"}," SOURCE(
                    "false", ",\"unchanged\":[\"total\"],\"unknown\":[\"note\"]") TAIL("u") "}");
    e = make(EVENT_DELETE, none, one);
    assert_json(&e, &shape,
                "{\"before\":{\"id\":1,\"status\":\"a\"},\"after\":null," SOURCE("false", "")
                    TAIL("d") "}");
    e = make(EVENT_READ, one, none);
    assert_json(&e, &shape,
                "{\"before\":null,\"after\":{\"id\":1,\"status\":\"a\"}," SOURCE("true", "")
                    TAIL("r") "}");
    e = make(EVENT_TRUNCATE, none, none);
    assert_json(&e, &shape, "{\"before\":null,\"after\":null," SOURCE("false", "") TAIL("t") "}");
    e = make(EVENT_MESSAGE, none, none);
    e.prefix = slice_of("p");
    e.content = slice_of("hi");
    assert_json(&e, &shape,
                "{\"before\":null,\"after\":null," SOURCE("false", "")
                    TAIL("m") ",\"message\":{\"prefix\":\"p\",\"content\":\"aGk=\"}}");
}

static void
debezium_transaction_and_connector(void **state)
{
    static const struct event_shape shape = {.format = FORMAT_DEBEZIUM};
    static const struct {
        const char *driver, *tx, *connector, *db, *tx_id;
    } rows[] = {
        {"postgres", "571", "\"connector\":\"postgresql\"", "\"db\":\"\"", "\"txId\":571,"},
        {"mysql", "0-1-5", "\"connector\":\"mysql\"", "\"db\":\"main\"", "\"txId\":\"0-1-5\","},
        {"mongodb", "007", "\"connector\":\"mongodb\"", "\"db\":\"main\"", "\"txId\":\"007\","},
        {"sqlserver", "1234567890123456789", "\"connector\":\"sqlserver\"", "\"db\":\"\"",
         "\"txId\":\"1234567890123456789\","},
    };
    static const char *const names[] = {"shop", "main", "orders"};
    static const char *const columns[] = {"id:int:key", NULL};
    struct buffer out;
    (void)state;
    buffer_init(&out, 1 << 16);
    for (size_t i = 0; i < countof(rows); i++) {
        struct event e = make(EVENT_INSERT, event_make_row("1"), event_make_none());
        e.schema = event_make_schema_in(event_make_set(), rows[i].driver, names, columns);
        e.tx_id = slice_of(rows[i].tx);
        e.tx_index = 2;
        e.ts = -1;
        buffer_reset(&out);
        event_json(&e, &shape, &out);
        assert_valid(buffer_view(&out));
        assert_non_null(strstr(buffer_cstring(&out), rows[i].connector));
        assert_non_null(strstr(buffer_cstring(&out), rows[i].db));
        assert_non_null(strstr(buffer_cstring(&out), rows[i].tx_id));
        assert_non_null(strstr(buffer_cstring(&out), "\"ts_ms\":-1,\"ts_us\":-1,"));
        assert_non_null(
            strstr(buffer_cstring(&out), "\"total_order\":3,\"data_collection_order\":null}"));
    }
    buffer_release(&out);
}

static void
debezium_leaves_gap_and_ddl_native(void **state)
{
    static const struct event_shape shape = {.format = FORMAT_DEBEZIUM};
    struct event e = make(EVENT_GAP, event_make_none(), event_make_none());
    (void)state;
    e.gap = slice_of("{}");
    assert_json(&e, &shape, HEAD("gap") ROWLESS "\"gap\":{}}");
    e = make(EVENT_DDL, event_make_none(), event_make_none());
    e.ddl = slice_of("[]");
    assert_json(&e, &shape, HEAD("ddl") ROWLESS "\"ddl\":[]}");
}

static void
a_full_buffer_only_latches(void **state)
{
    struct event e = make(EVENT_UPDATE, event_make_row("1", "'a'", "unchanged", "{\"a\":1}"),
                          event_make_row("1", "unknown"));
    struct event_shape shape = event_shape_default;
    (void)state;
    for (size_t limit = 0; limit < 300; limit++) {
        struct buffer out;
        buffer_init(&out, limit);
        shape.format = limit % 2 ? FORMAT_DEBEZIUM : FORMAT_NATIVE;
        event_json(&e, &shape, &out);
        assert_true(out.failed);
        assert_true(out.size <= limit);
        buffer_release(&out);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(native_rows),
        cmocka_unit_test(native_names_what_an_image_lacks),
        cmocka_unit_test(native_transaction_and_meta),
        cmocka_unit_test(native_events_without_rows),
        cmocka_unit_test(events_of_no_table_have_null_names),
        cmocka_unit_test(cells_of_each_kind),
        cmocka_unit_test(unsigned_integers_follow_bigints),
        cmocka_unit_test(columns_limit_all_that_is_carried),
        cmocka_unit_test(hostile_names_stay_valid),
        cmocka_unit_test(debezium_envelopes),
        cmocka_unit_test(debezium_transaction_and_connector),
        cmocka_unit_test(debezium_leaves_gap_and_ddl_native),
        cmocka_unit_test(a_full_buffer_only_latches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
