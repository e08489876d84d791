/* json, time and log as scripts see them. */
#include "unit/script/rig.h"

#include <unistd.h>
#include "base/file.h"
#include "base/log.h"

static void
json_goes_both_ways(void **state)
{
    static const struct rig_row rows[] = {
        {"json.encode({ b = 1, a = { 2, 'x', true, null }, c = 1.5 })",
         "{\"a\":[2,\"x\",true,null],\"b\":1,\"c\":1.5}"},
        {"json.encode({})", "{}"},
        {"json.encode('a\"b')", "\"a\\\"b\""},
        {"json.encode(5) .. json.encode(true) .. json.encode(null) .. json.encode(nil)",
         "5truenullnull"},
        {"json.encode(decimal('12.50'))", "12.50"},
        {"json.encode(json.decode('{\"z\":[],\"a\":{}}'))", "{\"a\":{},\"z\":[]}"},
        {"json.encode(e.new.doc)", "{\"a\":[1,2.5,null,{}],\"empty\":[]}"},
        {"json.encode({ a = { 1, {} }, b = json.decode('[]'), c = 'x:y,{' }, { indent = 2 })",
         "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": [],\n  \"c\": \"x:y,{\"\n}"},
        {"json.encode({ a = '\\\\\"' }, { indent = 1 })", "{\n \"a\": \"\\\\\\\"\"\n}"},
        {"json.encode({ 1 }, { indent = 0 })", "[1]"},
        {"json.decode('[1, 2.5, 1e2]')[3]", "100"},
        {"math.type(json.decode('1.0'))", "integer"},
        {"math.type(json.decode('2.5'))", "float"},
        {"json.decode('10000000000000000.01')", "10000000000000000.01"},
        {"type(json.decode('10000000000000000.01'))", "userdata"},
        {"json.decode('null') == json.null and json.null == null", "true"},
        {"#json.decode('[]')", "0"},
        {"json.decode('{\"a\":{\"b\":[null]}}').a.b[1] == null", "true"},
        {"json.decode('\"\\\\u00e9\"')", "é"},
        {"#json.decode(json.encode('\\0'))", "1"},
        {"json.encode(print)", "!json.encode: a function can't be sent"},
        {"json.encode({ [1] = 1, [3] = 2 })", "!json.encode: a table has either keys"},
        {"json.encode({ a = 1, 2 })", "!json.encode: a table has either keys"},
        {"json.encode({ 0/0 })", "!json.encode: NaN is no number"},
        {"json.encode(e)", "!json.encode: an event or row can't stand here"},
        {"json.encode()", "!bad argument #1 to 'encode'"},
        {"json.encode({}, { indnt = 1 })", "!no option \"indnt\""},
        {"json.encode({}, { indent = 9 })", "!from 0 to 8"},
        {"json.encode({}, { indent = 'x' })", "!from 0 to 8"},
        {"json.encode({}, 2)", "!table expected"},
        {"json.decode('{')", "!json.decode: "},
        {"json.decode('')", "!json.decode: "},
        {"json.decode(nil)", "!bad argument #1 to 'decode'"},
        {"json.decode('[' .. ('['):rep(600))", "!json.decode: "},
        {"(function() local t = {} t.t = t return json.encode(t) end)()", "!nest deeper than 64"},
    };
    struct event e = rig_event();
    (void)state;
    rig_check(&e, rows, countof(rows));
    assert_null(rig_load("scripts/j.lua", "assert(json.decode('[1]')[1] == 1)"));
}

static void
times_are_read_and_written(void **state)
{
    static const struct rig_row rows[] = {
        {"time.now() == e.ts", "true"},
        {"time.us(e.new.made)", "1795243320000000"},
        {"time.us('2026-11-21')", "1795219200000000"},
        {"time.us('2026-11-21 07:42:00.5+01:00')", "1795243320500000"},
        {"time.us(7)", "7"},
        {"e.ts - time.us(e.new.made)", "1"},
        {"time.parse('2026-11-21T06:42:00Z')", "1795243320000000"},
        {"time.parse('yesterday')", "nil"},
        {"time.format(e.new.made)", "2026-11-21T06:42:00.000000Z"},
        {"time.format(1795243320123456, '%d.%m.%Y %H:%M:%S.%f %L %a %b %j %s %z %Z %%')",
         "21.11.2026 06:42:00.123456 123 Sat Nov 325 1795243320 +0000 UTC %"},
        {"time.format(-1, '%F %T.%f')", "1969-12-31 23:59:59.999999"},
        {"time.format(0, '')", ""},
        {"time.format('2026-11-21', '%A')", "Saturday"},
        {"time.date(e.new.made).year", "2026"},
        {"json.encode(time.date(1795243320000001))",
         "{\"day\":21,\"hour\":6,\"minute\":42,\"month\":11,\"second\":0,\"us\":1,\"weekday\":6,"
         "\"year\":2026,\"yearday\":325}"},
        {"time.date('2026-11-22').weekday", "7"},
        {"time.duration('5m')", "300000000"},
        {"time.duration('1h30m') == 90 * time.duration('1m')", "true"},
        {"time.us('soon')", "!\"soon\" is no time such as"},
        {"time.us(e.new.note)", "!column \"note\" is NULL here"},
        {"time.us(1.5)", "!no integer representation"},
        {"time.format(0, '%Q')", "!\"%Q\" is no part of a format of times"},
        {"time.format(0, '%')", "!\"%\" is no part of a format of times"},
        {"time.format(0, '%Ey')", "!\"%E\" is no part"},
        {"time.format({})", "!string expected"},
        {"time.duration('5')", "!\"5\" is no duration such as"},
        {"time.duration(5)", "!is no duration"},
        {"time.format(0, ('%A'):rep(2000000))", "!larger than 8 MiB"},
    };
    struct event e = rig_event();
    (void)state;
    rig_check(&e, rows, countof(rows));
    assert_non_null(strstr(rig_load("scripts/t.lua", "local x = time.now()"),
                           "scripts/t.lua:1: time.now works only inside a handler"));
    assert_null(rig_load("scripts/t.lua", "assert(time.duration('1s') == 1000000)"));
}

/* What stands in the log afterwards. */
static const char *
logged(const char *path)
{
    static struct buffer text;
    struct error err = {0};
    log_close();
    buffer_release(&text);
    buffer_init(&text, 1 << 20);
    assert_int_equal(file_slurp(path, &text, &err), 0);
    unlink(path);
    return buffer_cstring(&text);
}

static char *
open_log(enum log_level level)
{
    static char path[128];
    struct error err = {0};
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof(path), "%s/tidegate-log-%d", folder ? folder : "/tmp", (int)getpid());
    struct log_options options = {.level = level, .path = path, .keep = 1, .max_bytes = 1 << 20};
    assert_int_equal(log_open(&options, &err), 0);
    return path;
}

static void
logs_bear_the_rules_name(void **state)
{
    static const char *const words[] = {
        "script/l",  "loads 1", "rule/a/b",        "plain 50% done", "2 rows of orders",
        "warned",    "bad",     "{\\\"a\\\":[1]}", "\\\"id\\\":1",   "x nil true 1.5 shop",
        "printed 1",
    };
    struct event e = rig_event();
    char *path = open_log(LOG_INFO);
    (void)state;
    assert_null(rig_load("scripts/l.lua", "log.info('loads', 1)"));
    vm_name(rig_vm, "a/b", NULL, 0);
    assert_null(rig_run(&e, "log.debug('secret') log.info('plain 50% done')\n"
                            "log.info('%d rows of %s', 2, e.table) log.warn('warned')\n"
                            "log.error('bad') log.info({ a = { 1 } })\n"
                            "log.info('x', nil, true, 1.5, e) print('printed', 1) log.info()\n"
                            "log.info({ f = print }) log.info(e.new)"));
    const char *wrong = rig_run(&e, "log.info('%d', 'x')");
    assert_non_null(strstr(wrong, "bad argument #2"));
    vm_name(rig_vm, NULL, NULL, 0);
    const char *text = logged(path);
    for (size_t i = 0; i < countof(words); i++)
        if (!strstr(text, words[i]))
            fail_msg("\"%s\" is not in: %s", words[i], text);
    assert_null(strstr(text, "secret"));
}

static size_t
count_of(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)); at++)
        n++;
    return n;
}

static void
logs_are_bounded(void **state)
{
    struct event e = rig_event();
    char *path = open_log(LOG_INFO);
    (void)state;
    vm_name(rig_vm, "loud/one", NULL, 0);
    assert_null(rig_run(&e, "for i = 1, 5000 do log.info('again') end"));
    vm_name(rig_vm, "wide/one", NULL, 0);
    assert_null(rig_run(&e, "local t = {} for i = 1, 50000 do t[i] = 'wide' end\n"
                            "log.info(table.unpack(t))"));
    vm_name(rig_vm, "other/one", NULL, 0);
    assert_null(rig_run(&e, "log.info('heard')"));
    vm_name(rig_vm, NULL, NULL, 0);
    const char *text = logged(path);
    assert_in_range(count_of(text, "again"), 20, 200);
    assert_int_equal(count_of(text, "heard"), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_goes_both_ways),
        cmocka_unit_test(times_are_read_and_written),
        cmocka_unit_test(logs_bear_the_rules_name),
        cmocka_unit_test(logs_are_bounded),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
