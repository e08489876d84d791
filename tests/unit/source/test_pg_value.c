#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/json.h"
#include "event/event_json.h"
#include "source/postgres/value.h"

enum {
    BOOL = 16,
    BYTEA = 17,
    CHAR = 18,
    INT8 = 20,
    INT2VECTOR = 22,
    INT4 = 23,
    TEXT = 25,
    OID = 26,
    OIDVECTOR = 30,
    JSON = 114,
    FLOAT4 = 700,
    FLOAT8 = 701,
    MONEY = 790,
    BOOLS = 1000,
    BYTEAS = 1001,
    INT2VECTORS = 1006,
    INTS = 1007,
    TEXTS = 1009,
    INT8S = 1016,
    BOXES = 1020,
    FLOATS = 1022,
    BPCHAR = 1042,
    DATE = 1082,
    TIME = 1083,
    TIMESTAMP = 1114,
    TIMESTAMPS = 1115,
    DATES = 1182,
    TIMESTAMPTZ = 1184,
    TIMESTAMPTZS = 1185,
    INTERVAL = 1186,
    NUMERICS = 1231,
    TIMETZ = 1266,
    VARBIT = 1562,
    NUMERIC = 1700,
    UUID = 2950,
    JSONBS = 3807,
    JSONB = 3802,
    INT4RANGE = 3904,
    MONEYS = 791,
};

static struct pg_types *types;
static struct arena arena;

/* The cell of a text that stands at the very end of its memory, so that a read past it is seen. */
static struct cell
cell_of(uint32_t oid, struct slice text)
{
    const struct pg_type *type = pg_types_find(types, oid);
    char *tight = memory_alloc(text.size ? text.size : 1);
    struct cell cell;
    assert_non_null(type);
    if (text.size)
        memcpy(tight, text.data, text.size);
    pg_value_cell(type, (struct slice){tight, text.size}, &arena, &cell);
    if (cell.kind >= CELL_DECIMAL)
        cell.text = arena_slice(&arena, cell.text);
    free(tight);
    return cell;
}

/* Kind, text and microseconds in one line. */
static char *
shown(const struct cell *cell)
{
    static const char *const names[] = {
        [CELL_BOOL] = "bool",         [CELL_INT] = "int",   [CELL_FLOAT] = "float",
        [CELL_DECIMAL] = "decimal",   [CELL_TEXT] = "text", [CELL_BYTES] = "bytes",
        [CELL_DOCUMENT] = "document", [CELL_TIME] = "time",
    };
    struct buffer b;
    buffer_init(&b, 1 << 20);
    buffer_printf(&b, "%s ", names[cell->kind]);
    cell_print(cell, &b);
    if (cell->has_us)
        buffer_printf(&b, " us %lld", (long long)cell->integer);
    char *text = arena_text(&arena, buffer_cstring(&b));
    buffer_release(&b);
    return text;
}

struct row_expected {
    uint32_t oid;
    const char *text, *expected;
};

static void
check_rows(const struct row_expected *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct cell cell = cell_of(rows[i].oid, slice_of(rows[i].text));
        if (strcmp(shown(&cell), rows[i].expected) != 0)
            fail_msg("%u %s: %s, expected %s", (unsigned)rows[i].oid, rows[i].text, shown(&cell),
                     rows[i].expected);
    }
}

static void
test_scalars(void **state)
{
    static const struct row_expected rows[] = {
        {BOOL, "t", "bool true"},
        {BOOL, "f", "bool false"},
        {INT4, "0", "int 0"},
        {INT4, "-2147483648", "int -2147483648"},
        {INT8, "9223372036854775807", "int 9223372036854775807"},
        {INT8, "-9223372036854775808", "int -9223372036854775808"},
        {OID, "4294967295", "int 4294967295"},
        {FLOAT4, "0.1", "float 0.1"},
        {FLOAT4, "3.4028235e+38", "float 3.4028235e38"},
        {FLOAT8, "0.30000000000000004", "float 0.30000000000000004"},
        {FLOAT8, "5e-324", "float 5e-324"},
        {FLOAT8, "1.7976931348623157e+308", "float 1.7976931348623157e308"},
        {FLOAT8, "-0", "float -0.0"},
        {FLOAT8, "1e+15", "float 1000000000000000.0"},
        {FLOAT8, "123456789012345.6", "float 123456789012345.6"},
        {FLOAT8, "1e-07", "float 1e-7"},
        {FLOAT8, "NaN", "float NaN"},
        {FLOAT8, "Infinity", "float Infinity"},
        {FLOAT8, "-Infinity", "float -Infinity"},
        {NUMERIC, "-12.500", "decimal -12.500"},
        {NUMERIC, "0", "decimal 0"},
        {NUMERIC, "NaN", "decimal NaN"},
        {NUMERIC, "-Infinity", "decimal -Infinity"},
        {MONEY, "$0.00", "decimal 0.00"},
        {MONEY, "$1,234.50", "decimal 1234.50"},
        {MONEY, "-$1,234.50", "decimal -1234.50"},
        {MONEY, "-$92,233,720,368,547,758.08", "decimal -92233720368547758.08"},
        {MONEY, "$999.99", "decimal 999.99"},
        {TEXT, "", "text "},
        {TEXT, "a\"b\\ \xd1\x8f\xf0\x9f\x90\x98", "text a\"b\\ \xd1\x8f\xf0\x9f\x90\x98"},
        {TEXT, "NULL", "text NULL"},
        {BPCHAR, "ab   ", "text ab   "},
        {CHAR, "\\303", "text \\303"},
        {VARBIT, "0101", "text 0101"},
        {UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "text a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
        {INT4RANGE, "[1,5)", "text [1,5)"},
        {TEXT, "12345678901\xff", "bytes 3132333435363738393031ff"},
        {BYTEA, "\\x", "bytes "},
        {BYTEA, "\\x00ff7E", "bytes 00ff7e"},
        {BYTEA, "a\\\\b\\000\\377", "bytes 615c6200ff"},
        {JSON, " { \"a\" : [ 1.50 , 1e400,\n null ] }", "document {\"a\":[1.50,1e400,null]}"},
        {JSON, "{\"b\":1,\"a\":2,\"b\":3}", "document {\"b\":1,\"a\":2,\"b\":3}"},
        {JSONB, "null", "document null"},
        {JSONB, "12345678901234567890.10", "document 12345678901234567890.10"},
    };
    (void)state;
    check_rows(rows, countof(rows));
}

static void
test_times(void **state)
{
    static const struct row_expected rows[] = {
        {DATE, "1970-01-01", "time 1970-01-01 us 0"},
        {DATE, "2026-11-21", "time 2026-11-21 us 1795219200000000"},
        {DATE, "0001-01-01", "time 0001-01-01 us -62135596800000000"},
        {DATE, "9999-12-31", "time 9999-12-31 us 253402214400000000"},
        {DATE, "0001-01-01 BC", "time +000000-01-01 us -62167219200000000"},
        {DATE, "0044-03-15 BC", "time -000043-03-15 us -63517824000000000"},
        {DATE, "4714-11-24 BC", "time -004713-11-24 us -210866803200000000"},
        {DATE, "10000-01-01", "time +010000-01-01 us 253402300800000000"},
        {DATE, "5874897-12-31", "time +5874897-12-31"},
        {DATE, "infinity", "time infinity"},
        {DATE, "-infinity", "time -infinity"},
        {TIME, "06:42:00.5", "time 06:42:00.5"},
        {TIME, "24:00:00", "time 24:00:00"},
        {TIMETZ, "06:42:00+05:30", "time 06:42:00+05:30"},
        {TIMETZ, "24:00:00-15:59:59", "time 24:00:00-15:59:59"},
        {TIMETZ, "06:42:00+00", "time 06:42:00+00"},
        {TIMESTAMP, "2026-11-21 06:42:00.5", "time 2026-11-21T06:42:00.5 us 1795243320500000"},
        {TIMESTAMP, "1969-12-31 23:59:59.999999", "time 1969-12-31T23:59:59.999999 us -1"},
        {TIMESTAMP, "2024-02-29 00:00:00", "time 2024-02-29T00:00:00 us 1709164800000000"},
        {TIMESTAMP, "4714-11-24 00:00:00 BC", "time -004713-11-24T00:00:00 us -210866803200000000"},
        {TIMESTAMP, "294276-12-31 23:59:59.999999", "time +294276-12-31T23:59:59.999999"},
        {TIMESTAMP, "294247-01-10 04:00:54.775807",
         "time +294247-01-10T04:00:54.775807 us 9223372036854775807"},
        {TIMESTAMP, "infinity", "time infinity"},
        {TIMESTAMPTZ, "2026-11-21 06:42:00.5+00",
         "time 2026-11-21T06:42:00.5Z us 1795243320500000"},
        {TIMESTAMPTZ, "2026-11-21 12:12:00+05:30",
         "time 2026-11-21T12:12:00+05:30 us 1795243320000000"},
        {TIMESTAMPTZ, "1883-11-18 12:03:57-04:56:02",
         "time 1883-11-18T12:03:57-04:56:02 us -2717650801000000"},
        {TIMESTAMPTZ, "0044-03-15 10:00:00+00 BC",
         "time -000043-03-15T10:00:00Z us -63517788000000000"},
        {TIMESTAMPTZ, "-infinity", "time -infinity"},
        {INTERVAL, "PT0S", "time PT0S"},
        {INTERVAL, "P1Y-2M3DT4H5M-6.5S", "time P1Y-2M3DT4H5M-6.5S"},
        {INTERVAL, "infinity", "time infinity"},
    };
    (void)state;
    check_rows(rows, countof(rows));
}

static void
test_arrays(void **state)
{
    static const struct row_expected rows[] = {
        {INTS, "{}", "document []"},
        {INTS, "{1,NULL,-3}", "document [1,null,-3]"},
        {INTS, "[0:1]={1,2}", "document [1,2]"},
        {INTS, "[-2:-1][5:6]={{1,2},{3,4}}", "document [[1,2],[3,4]]"},
        {INTS, "{{{1}},{{2}}}", "document [[[1]],[[2]]]"},
        {INT8S, "{9223372036854775807}", "document [9223372036854775807]"},
        {BOOLS, "{t,f,NULL}", "document [true,false,null]"},
        {FLOATS, "{0.1,NaN,-Infinity,1}", "document [0.1,\"NaN\",\"-Infinity\",1.0]"},
        {NUMERICS, "{1.50,123456789012345678901234567890,NaN}",
         "document [1.50,123456789012345678901234567890,\"NaN\"]"},
        {MONEYS, "{\"$1,234.50\",$5.00}", "document [1234.50,5.00]"},
        {TEXTS, "{a,\"NULL\",NULL,\"\",\"a\\\"b\\\\\",\"x,y\",\"{z}\",\"\n\"}",
         "document [\"a\",\"NULL\",null,\"\",\"a\\\"b\\\\\",\"x,y\",\"{z}\",\"\\n\"]"},
        {TEXTS, "{\x01\x01\x01\x01}", "document [\"\\u0001\\u0001\\u0001\\u0001\"]"},
        {BYTEAS, "{\"\\\\x00ff\",\"\\\\x\"}", "document [\"AP8=\",\"\"]"},
        {JSONBS, "{\"{\\\"a\\\": 1.50}\",\"null\",NULL,1}", "document [{\"a\":1.50},null,null,1]"},
        {BOXES, "{(1,1),(0,0);(2,2),(1,1)}", "document [\"(1,1),(0,0)\",\"(2,2),(1,1)\"]"},
        {DATES, "{2026-11-21,\"0044-03-15 BC\",infinity}",
         "document [\"2026-11-21\",\"-000043-03-15\",\"infinity\"]"},
        {TIMESTAMPS, "{\"2026-11-21 06:42:00.5\"}", "document [\"2026-11-21T06:42:00.5\"]"},
        {TIMESTAMPTZS, "{\"2026-11-21 06:42:00+00\"}", "document [\"2026-11-21T06:42:00Z\"]"},
        {INT2VECTOR, "", "document []"},
        {INT2VECTOR, "1 2 -3", "document [1,2,-3]"},
        {OIDVECTOR, "4294967295", "document [4294967295]"},
        {INT2VECTORS, "{\"1 2\",3}", "document [[1,2],[3]]"},
        {TEXTS, "{a,\xff}", "bytes 7b612cff7d"},
    };
    (void)state;
    check_rows(rows, countof(rows));
}

/* Each stays text, to the byte. */
static void
test_broken_promises(void **state)
{
    static const struct {
        uint32_t oid;
        const char *texts[24];
    } rows[] = {
        {BOOL, {"", "true", "T", "x", "tt"}},
        {INT4,
         {"", "-", "+1", "01", "-0", "1 ", " 1", "1.0", "1e3", "0x10", "9223372036854775808",
          "-9223372036854775809", "99999999999999999999", "18446744073709551617"}},
        {FLOAT8,
         {"",          "-",
          ".",         "+1",
          "e5",        "1e",
          "1e+",       "1e99999",
          "1e999",     "inf",
          "nan",       "0x1p3",
          "1.2.3",     "1 ",
          "--1",       "infinity",
          "+Infinity", "-NaN",
          "1E5",       "1234567890123456789012345678901234567890123456789012345678901234567890"}},
        {NUMERIC,
         {"", "-", ".5", "5.", "+5", "1e5", "1,5", "nan", "- 1", "--1", "infinity", "1.2.3"}},
        {MONEY,
         {"", "$", "-$", "-", "$5", "$5.", "5.00", "$1234.50", "$1,23.45", "$,234.50", "$1,5",
          "$1.50,00", "($5.00)",
          "\xe2\x82\xac"
          "5.00",
          "$1,,234.00", "--$5.00", "$-5.00"}},
        {BYTEA, {"\\x0", "\\x0g", "\\", "a\\", "\\01", "\\400", "\\089", "\\n"}},
        {JSON, {"", "{", "[1,]", "{\"a\"}", "nul", "1 2", "\"\\ud800\"", "'a'"}},
        {DATE,
         {"",
          "2026",
          "2026-11",
          "2026-02-30",
          "2023-02-29",
          "2026-13-01",
          "2026-00-01",
          "2026-01-00",
          "0000-01-01",
          "026-01-01",
          "02026-01-01",
          "2026/11/21",
          "2026-11-21 ",
          "2026-11-21 BCE",
          " BC",
          "11-21-2026",
          "99999999-01-01",
          "2026-11-21 00:00:00",
          "-2026-11-21",
          "Infinity"}},
        {TIME,
         {"", "6:42:00", "06:42", "25:00:00", "24:00:01", "06:60:00", "06:00:60", "06:42:00.",
          "06:42:00.1234567", "06:42:00Z", "06:42:00 ", "06:42:00+", "06:42:00+5", "06:42:00+16",
          "06:42:00+05:", "06:42:00+05:30:"}},
        {TIMESTAMP,
         {"", "2026-11-21", "2026-11-21T06:42:00", "2026-11-21 24:00:00", "2026-11-21 06:42",
          "2026-11-21 06:42:00+00", "2026-02-30 00:00:00", "2026-11-21 06:42:00  BC", "now"}},
        {TIMESTAMPTZ,
         {"", "2026-11-21 06:42:00", "2026-11-21 06:42:00Z", "2026-11-21 06:42:00 UTC",
          "2026-11-21 06:42:00+00 AD", "2026-11-21 06:42:00+0000"}},
        {INTERVAL, {"", "P", "1 day", "PT", "P1X", "p1y", "-P1Y", "@ 1 day"}},
        {INTS, {"",           "{",       "}",
                "{}}",        "{1",      "{1,}",
                "{,1}",       "{1}{2}",  "{1}x",
                "1",          "[0:1]",   "[0:1]=",
                "[0:1={1,2}", "[0]={1}", "[a:b]={1}",
                "[0:1]{1,2}", "{\"1}",   "{\"1\\\"}",
                "{1\"2\"}",   "{1\\2}",  "{{{{{{{1}}}}}}}",
                "{\"1\"2}",   "{\"1\\"}},
        {INT2VECTOR, {" ", "1 ", " 1", "1  2", "a", "1,2", "{1,2}"}},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        for (size_t k = 0; k < countof(rows[i].texts) && rows[i].texts[k]; k++) {
            struct slice text = slice_of(rows[i].texts[k]);
            struct cell cell = cell_of(rows[i].oid, text);
            bool empty_bytes = rows[i].oid == BYTEA && text.size == 0;
            if ((cell.kind != CELL_TEXT && !empty_bytes) || !slice_equal(cell.text, text))
                fail_msg("%u \"%s\" became %s", (unsigned)rows[i].oid, text.data, shown(&cell));
            assert_false(cell.has_us);
        }
    }
}

/* A NUL inside and an unfinished character must not be taken for anything. */
static void
test_hostile_bytes(void **state)
{
    static const uint32_t oids[] = {BOOL,     INT8, FLOAT8, NUMERIC,   MONEY,
                                    JSON,     DATE, TIME,   TIMESTAMP, TIMESTAMPTZ,
                                    INTERVAL, INTS, TEXT,   INT2VECTOR};
    static const struct slice texts[] = {
        slice_literal("t\0"),          slice_literal("1\0"),   slice_literal("{1}\0"),
        slice_literal("2026-11-21\0"), slice_literal("P1Y\0"),
    };
    (void)state;
    for (size_t i = 0; i < countof(oids); i++) {
        struct cell cell = cell_of(oids[i], slice_literal("\xf0\x9f\x90"));
        assert_int_equal(cell.kind, CELL_BYTES);
        for (size_t k = 0; k < countof(texts); k++) {
            cell = cell_of(oids[i], texts[k]);
            assert_int_equal(cell.kind, CELL_TEXT);
            assert_true(slice_equal(cell.text, texts[k]));
        }
    }
}

static void
test_empty_slice(void **state)
{
    struct cell cell;
    (void)state;
    for (uint32_t oid = 0; oid < 6200; oid++) {
        if (!pg_types_find(types, oid))
            continue;
        pg_value_cell(pg_types_find(types, oid), (struct slice){NULL, 0}, &arena, &cell);
        if (oid == BYTEA)
            assert_int_equal(cell.kind, CELL_BYTES);
        else if (oid == INT2VECTOR || oid == OIDVECTOR)
            assert_int_equal(cell.kind, CELL_DOCUMENT);
        else
            assert_int_equal(cell.kind, CELL_TEXT);
        assert_int_equal(cell.text.size, cell.kind == CELL_DOCUMENT ? 2 : 0);
    }
}

static void
test_thousand_digits(void **state)
{
    char digits[1003];
    (void)state;
    memset(digits, '7', sizeof(digits));
    digits[0] = '-';
    digits[500] = '.';
    struct slice text = {digits, sizeof(digits)};
    struct cell cell = cell_of(NUMERIC, text);
    assert_int_equal(cell.kind, CELL_DECIMAL);
    assert_true(slice_equal(cell.text, text));
}

/* Longer than what fits on the stack, with everything that makes a list grow. */
static void
test_long_array(void **state)
{
    struct buffer text, expected;
    (void)state;
    buffer_init(&text, 1 << 24);
    buffer_init(&expected, 1 << 24);
    buffer_byte(&text, '{');
    buffer_byte(&expected, '[');
    for (int i = 0; i < 100000; i++) {
        buffer_text(&text, i ? ",\x02,NULL,\"a\\\\b\"" : "x");
        buffer_text(&expected, i ? ",\"\\u0002\",null,\"a\\\\b\"" : "\"x\"");
    }
    buffer_byte(&text, '}');
    buffer_byte(&expected, ']');
    struct cell cell = cell_of(TEXTS, buffer_view(&text));
    assert_int_equal(cell.kind, CELL_DOCUMENT);
    assert_true(slice_equal(cell.text, buffer_view(&expected)));
    buffer_release(&text);
    buffer_release(&expected);
}

/* At each length around the border between stack and heap the list must be whole. */
static void
test_array_sizes(void **state)
{
    char text[600];
    (void)state;
    for (size_t size = 3; size < sizeof(text); size++) {
        memset(text, '\x01', size);
        text[0] = '{';
        text[size - 1] = '}';
        struct cell cell = cell_of(TEXTS, (struct slice){text, size});
        assert_int_equal(cell.kind, CELL_DOCUMENT);
        assert_int_equal(cell.text.size, 4 + 6 * (size - 2));
    }
}

/* The deepest document that a list can hold, and one more. */
static void
test_deep_documents(void **state)
{
    enum { DEEPEST = JSON_DEPTH - 6 };
    (void)state;
    for (int depth = DEEPEST; depth <= JSON_DEPTH; depth++) {
        char text[2 * JSON_DEPTH + 16] = "{{{{{{", *at = text + 6;
        memset(at, '[', (size_t)depth);
        memset(at + depth, ']', (size_t)depth);
        strcpy(at + 2 * depth, "}}}}}}");
        memset(text, '{', 6);
        struct cell bare = cell_of(JSONBS, slice_of(text));
        assert_int_equal(bare.kind, CELL_DOCUMENT);
        assert_int_equal(bare.text.size, strlen(text) + (depth > DEEPEST ? 2 : 0));
    }
}

/* A decimal that is no number stays a string even where numbers are wanted. */
static void
test_json_shape(void **state)
{
    struct cell cell = cell_of(NUMERIC, slice_literal("NaN"));
    struct event_shape numbers = event_shape_default;
    struct buffer out;
    (void)state;
    buffer_init(&out, 1024);
    cell_json(&cell, &event_shape_default, &out);
    buffer_byte(&out, ' ');
    numbers.decimals = NUMBER_NUMBER;
    cell_json(&cell, &numbers, &out);
    buffer_byte(&out, ' ');
    cell = cell_of(FLOAT4, slice_literal("0.1"));
    cell_json(&cell, &event_shape_default, &out);
    assert_string_equal(buffer_cstring(&out), "\"NaN\" \"NaN\" 0.1");
    buffer_release(&out);
}

static int
set_up(void **state)
{
    (void)state;
    types = pg_types_new();
    arena_init(&arena, 0);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    pg_types_free(types);
    arena_release(&arena);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),         cmocka_unit_test(test_times),
        cmocka_unit_test(test_arrays),          cmocka_unit_test(test_broken_promises),
        cmocka_unit_test(test_hostile_bytes),   cmocka_unit_test(test_empty_slice),
        cmocka_unit_test(test_thousand_digits), cmocka_unit_test(test_long_array),
        cmocka_unit_test(test_array_sizes),     cmocka_unit_test(test_deep_documents),
        cmocka_unit_test(test_json_shape),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
