#include "event/json_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/event_make.h"

static void
a_path_leads_to_a_value(void **state)
{
    static const struct {
        const char *document, *path, *found; /* NULL: nothing */
    } rows[] = {
        {"{\"a\":1}", "a", "1"},
        {"{\"a\":1}", "", "{\"a\":1}"},
        {" { \"a\" : 1 } ", "a", "1"},
        {"{\"a\":1}", "b", NULL},
        {"{\"a\":1}", "A", NULL},
        {"{\"a\":1,\"ab\":2}", "ab", "2"},
        {"{\"ab\":2}", "a", NULL},
        {"{}", "a", NULL},
        {"{\"a\":{\"b\":{\"c\":[3]}}}", "a.b.c", "[3]"},
        {"{\"a\":{\"b\":{\"c\":[3]}}}", "a.b.c.1", "3"},
        {"{\"a\":{\"b\":{\"c\":[3]}}}", "a.b.c.1.d", NULL},
        {"{\"a\":{\"b\":2},\"b\":1}", "b", "1"},
        {"{\"x\":{\"a\":1}}", "a", NULL}, /* not of an inner object */
        {"{\"x\":\"a\",\"y\":1}", "a", NULL},
        {"{\"x\":\"{\\\"a\\\":1}\",\"a\":2}", "a", "2"}, /* brackets inside strings */
        {"{\"x\":[\"]}\",\"\\\\\"],\"a\":2}", "a", "2"},
        {"{\"a\":1,\"a\":2}", "a", "2"}, /* the last counts */
        {"{\"a\":{\"b\":1},\"a\":{}}", "a.b", NULL},
        {"[10,20,30]", "1", "10"},
        {"[10,20,30]", "3", "30"},
        {"[10,20,30]", "0", NULL},
        {"[10,20,30]", "4", NULL},
        {"[10,20,30]", "-1", NULL},
        {"[10,20,30]", "x", NULL},
        {"[10,20,30]", "18446744073709551617", NULL},
        {"[]", "1", NULL},
        {"[[1,2],[3,4]]", "2.1", "3"},
        {"[{\"a\":1},{\"a\":2}]", "2.a", "2"},
        {"{\"1\":\"one\"}", "1", "\"one\""}, /* a number is a key in an object */
        {"{\"k\\u00e9y\":1}", "k\xc3\xa9y", "1"},
        {"{\"a\\\"b\":1}", "a\"b", "1"},
        {"{\"a\\nb\":1}", "a\nb", "1"},
        {"{\"\\ud83d\\ude00\":1}", "\xf0\x9f\x98\x80", "1"},
        {"{\"a\\u0062\":1}", "abc", NULL},
        {"{\"a\\u0062c\":1}", "ab", NULL},
        {"{\"a\":null}", "a", "null"},
        {"{\"a\":true}", "a", "true"},
        {"{\"a\":\"x\"}", "a", "\"x\""},
        {"5", "", "5"},
        {"5", "a", NULL},
        {"\"a\"", "a", NULL},
        /* what is no JSON */
        {"", "", NULL},
        {"", "a", NULL},
        {"{", "a", NULL},
        {"{\"a\"", "a", NULL},
        {"{\"a\":", "a", NULL},
        {"{\"a\":1", "a", "1"},
        {"{\"a\\", "a", NULL},
        {"{\"a\":\"\\", "a", NULL},
        {"[1", "1", "1"},
        {"[,]", "1", NULL},
        {"{a:1}", "a", NULL},
        {"{\"a\" 1}", "a", NULL},
        {"plain text", "a", NULL},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct slice found = {0};
        /* of its own size, so that a sanitizer sees a read beyond it */
        size_t size = strlen(rows[i].document);
        char *copy = memory_alloc(size + 1);
        memcpy(copy, rows[i].document, size);
        copy[size] = '}';
        bool any = json_path_find((struct slice){copy, size}, slice_of(rows[i].path), &found);
        if (any != (rows[i].found != NULL) || (any && !slice_is(found, rows[i].found)))
            fail_msg("%s at \"%s\": %.*s", rows[i].document, rows[i].path, (int)found.size,
                     found.data);
        free(copy);
    }
}

static void
a_value_is_the_cell_that_a_column_would_have(void **state)
{
    static const struct {
        const char *json, *cell; /* as event_make_cell takes it */
    } rows[] = {
        {"null", "null"},
        {"true", "true"},
        {"false", "false"},
        {"0", "0"},
        {"-17", "-17"},
        {"9223372036854775807", "9223372036854775807"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"9223372036854775808", "9223372036854775808m"},
        {"1.0", "1.0m"},
        {"12.50", "12.50m"},
        {"1e3", "1e3m"},
        {"0.1000000000000000055", "0.1000000000000000055m"},
        {"\"paid\"", "'paid'"},
        {"\"\"", "''"},
        {"\"a\\\"b\\\\c\\/d\"", "'a\"b\\c/d'"},
        {"\"\\u00fc\\n\\t\"", "'\xc3\xbc\n\t'"},
        {"\"\\u20ac\"", "'\xe2\x82\xac'"},
        {"\"x\\ud83d\\ude00y\"", "'x\xf0\x9f\x98\x80y'"},
        {"\"\\ud83d\"", "'\xef\xbf\xbd'"},
        {"\"\\ude00\"", "'\xef\xbf\xbd'"},
        {"\"\\ud83dx\"", "'\xef\xbf\xbdx'"},
        {"\"\\ud83d\\u0041\"", "'\xef\xbf\xbd\x41'"},
        {"\"\\u12\"", "'\xef\xbf\xbd"
                      "12'"},
        {"{\"a\":1}", "{\"a\":1}"},
        {"[1]", "[1]"},
        {"nul", "null"},
        {"truely", "null"},
        {"-", "null"},
        {"1x", "null"},
        {"", "null"},
        {"\"", "null"},
    };
    struct buffer scratch;
    (void)state;
    buffer_init(&scratch, 1 << 20);
    for (size_t i = 0; i < countof(rows); i++) {
        struct cell got, wanted = event_make_cell(rows[i].cell);
        json_path_cell(slice_of(rows[i].json), &scratch, &got);
        if (!cell_equal(&got, &wanted))
            fail_msg("%s: kind %u, \"%.*s\"", rows[i].json, got.kind, (int)got.text.size,
                     got.text.data);
    }
    buffer_release(&scratch);
}

static void
only_documents_and_texts_are_walked(void **state)
{
    static const struct {
        const char *cell, *value;
    } rows[] = {
        {"{\"a\":{\"b\":5}}", "5"},
        {"{\"a\":5}", "null"},
        {"[1]", "null"},
        {"null", "null"},
        {"'{\"a\":{\"b\":5}}'", "5"},
        {"'paid'", "null"},
        {"''", "null"},
        {"17", "null"},
        {"1.5m", "null"},
        {"x'7b7d'", "null"},
        {"true", "null"},
    };
    struct buffer scratch;
    (void)state;
    buffer_init(&scratch, 1 << 20);
    for (size_t i = 0; i < countof(rows); i++) {
        struct cell document = event_make_cell(rows[i].cell), got;
        struct cell wanted = event_make_cell(rows[i].value);
        json_path_read(&document, slice_literal("a.b"), &scratch, &got);
        if (!cell_equal(&got, &wanted))
            fail_msg("%s: kind %u", rows[i].cell, got.kind);
    }
    buffer_release(&scratch);
}

static void
a_name_is_a_column_or_a_path_into_one(void **state)
{
    static const struct {
        const char *name, *column, *path; /* no column: an error that has `path`, and the hint */
        const char *hint;
    } rows[] = {
        {"id", "id", "", NULL},
        {"meta", "meta", "", NULL},
        {"meta.plan", "meta", "plan", NULL},
        {"meta.plan.seats", "meta", "plan.seats", NULL},
        {"meta.dotted", "meta.dotted", "", NULL},
        {"meta.dotted.x", "meta.dotted", "x", NULL},
        {"meta.dottedx", "meta", "dottedx", NULL},
        {"any.a.1", "any", "a.1", NULL},
        {"met.plan", NULL, "main.t has no column \"met.plan\"", "\"meta\""},
        {"idd", NULL, "main.t has no column \"idd\"", "\"id\""},
        {"xyzzyqq.b", NULL, "has no column", ""},
        {"id.plan", NULL, "\"id.plan\" is a path, and column \"id\" holds no documents", "JSON"},
        {"meta.", NULL, "\"meta.\" is no path", ""},
        {"meta..a", NULL, "\"meta..a\" is no path", ""},
        {"meta.a.", NULL, "\"meta.a.\" is no path", ""},
        {"meta.a[1]", NULL, "is no path", "\"items.1\""},
        {".meta", NULL, "has no column \".meta\"", ""},
        {"", NULL, "has no column", ""},
    };
    const struct schema *schema = event_make_schema(
        "shop", "main", "t", "id:int:key", "meta:document", "meta.dotted:document", "any:any");
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct slice path;
        struct error err = {0};
        int column = json_path_column(schema, slice_of(rows[i].name), &path, &err);
        if (!rows[i].column) {
            if (column >= 0 || !strstr(err.message, rows[i].path) ||
                !strstr(err.hint, rows[i].hint))
                fail_msg("%s: %d %s (%s)", rows[i].name, column, err.message, err.hint);
        } else if (column < 0 || !slice_is(schema->columns[column].name, rows[i].column) ||
                   !slice_is(path, rows[i].path)) {
            fail_msg("%s: column %d, %.*s; %s", rows[i].name, column, (int)path.size, path.data,
                     err.message);
        }
    }
}

static void
entries_come_one_after_another(void **state)
{
    static const struct {
        const char *document, *entries;
    } rows[] = {
        {"[]", ""},
        {" [ ] ", ""},
        {"[1, \"a,]\" ,[2,3] , {\"x\":[4]},null]", "1;\"a,]\";[2,3];{\"x\":[4]};null;"},
        {"{}", ""},
        {"{\"a\" : 1,\"b\":{\"c\":2} , \"\":\"}\"}", "1;{\"c\":2};\"}\";"},
        {"{\"a\":1,\"a\":2}", "1;2;"},
        {"12", ""},
        {"\"[1]\"", ""},
        {"", ""},
        {"[1,", "1;"},
        {"[1,[2", "1;"},
        {"{\"a\"", ""},
        {"{\"a\":", ""},
        {"{1:2}", ""},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct slice entry;
        struct buffer out;
        size_t at = 0;
        buffer_init(&out, 1000);
        while (json_path_next(slice_of(rows[i].document), &at, &entry)) {
            buffer_slice(&out, entry);
            buffer_byte(&out, ';');
        }
        assert_string_equal(buffer_cstring(&out), rows[i].entries);
        buffer_release(&out);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_leads_to_a_value),
        cmocka_unit_test(a_value_is_the_cell_that_a_column_would_have),
        cmocka_unit_test(only_documents_and_texts_are_walked),
        cmocka_unit_test(a_name_is_a_column_or_a_path_into_one),
        cmocka_unit_test(entries_come_one_after_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
