#include "rules/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "support/event_make.h"

static const char *const sources[] = {"shop", "shop.eu", "docs"};
static const char *const schemas[] = {"public", "main", NULL};
static const struct rules_world world = {
    .sources = sources, .source_schemas = schemas, .source_count = 3};

static struct pattern
parse(const char *text)
{
    struct pattern p;
    struct error err = {0};
    if (pattern_parse(slice_of(text), &world, &p, &err) != 0)
        fail_msg("%s: %s", text, err.message);
    return p;
}

static void
patterns_match_tables(void **state)
{
    static const struct {
        const char *pattern, *source, *schema, *table;
        bool matches;
    } rows[] = {
        {"shop:public.orders", "shop", "public", "orders", true},
        {"shop:public.orders", "shop", "public", "order", false},
        {"shop:public.orders", "shop", "private", "orders", false},
        {"shop:public.orders", "docs", "public", "orders", false},
        {"shop:orders", "shop", "public", "orders", true},
        {"shop:orders", "shop", "private", "orders", false},
        {"shop.eu:orders", "shop.eu", "main", "orders", true},
        {"shop.eu:orders", "shop.eu", "public", "orders", false},
        {"shop:o*", "shop", "public", "orders", true},
        {"shop:o*", "shop", "private", "orders", false},
        {"shop:*", "shop", "public", "orders", true},
        {"shop:*", "shop", "private", "anything", true},
        {"shop:*", "shop.eu", "main", "orders", false},
        {"shop:*.orders", "shop", "private", "orders", true},
        {"shop:p?blic.[no]rders", "shop", "public", "orders", true},
        {"*:orders", "shop", "public", "orders", true},
        {"*:orders", "shop.eu", "main", "orders", true},
        {"*:orders", "shop.eu", "public", "orders", false},
        {"*:orders", "docs", "", "orders", false},
        {"shop*:*", "shop.eu", "x", "y", true},
        {"shop:Orders", "shop", "public", "orders", false},
        {"docs:db.orders", "docs", "db", "orders", true},
        {"shop:a\\.b", "shop", "public", "a.b", true},
        {"shop:[.]x", "shop", "public", ".x", true},
        {"shop:a.b.c", "shop", "a", "b.c", true},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct pattern p = parse(rows[i].pattern);
        const struct schema *s =
            event_make_schema(rows[i].source, rows[i].schema, rows[i].table, "id:int:key");
        if (pattern_match(&p, &world, s, EVENT_INSERT) != rows[i].matches)
            fail_msg("%s on %s:%s.%s", rows[i].pattern, rows[i].source, rows[i].schema,
                     rows[i].table);
    }
}

static void
gaps_reach_every_pattern_of_their_source(void **state)
{
    struct pattern orders = parse("shop:public.orders"), docs = parse("docs:db.*");
    const struct schema *shop = event_make_schema("shop", "", "", NULL);
    const struct schema *journal = event_make_schema("journal", "", "", NULL);
    (void)state;
    assert_true(pattern_match(&orders, &world, shop, EVENT_GAP));
    assert_false(pattern_match(&docs, &world, shop, EVENT_GAP));
    assert_false(pattern_match(&orders, &world, shop, EVENT_MESSAGE));
    assert_true(pattern_match(&orders, &world, journal, EVENT_GAP));
    assert_true(pattern_match(&docs, &world, journal, EVENT_GAP));
    struct pattern all = parse("shop:*");
    assert_true(pattern_match(&all, &world, shop, EVENT_MESSAGE));
}

static void
wrong_patterns_are_errors_that_help(void **state)
{
    static const struct {
        const char *pattern, *message, *hint;
    } rows[] = {
        {"orders", "names no source", "shop:orders"},
        {"public.orders", "names no source", "shop:public.orders"},
        {"", "names no source", ""},
        {":orders", "empty part", ""},
        {"shop:", "empty part", "source:*"},
        {"shop:.orders", "empty part", ""},
        {"shop:public.", "empty part", ""},
        {"shpo:orders", "no source \"shpo\"", "did you mean \"shop\"?"},
        {"warehouse:orders", "no source \"warehouse\"", "source(\"warehouse\""},
        {"docs:orders", "no default schema", "docs:SCHEMA.orders"},
        {"tidegate:main.dead_letter", "no events of source \"tidegate\"", ""},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct pattern p;
        struct error err = {0};
        assert_int_equal(pattern_parse(slice_of(rows[i].pattern), &world, &p, &err), -1);
        if (!strstr(err.message, rows[i].message) || !strstr(err.hint, rows[i].hint))
            fail_msg("%s: %s (%s)", rows[i].pattern, err.message, err.hint);
    }
}

static void
tables_of_a_source(void **state)
{
    static const struct {
        const char *pattern, *source, *tables;
    } rows[] = {
        {"shop:public.orders", "shop", "public.orders"},
        {"shop:orders", "shop", "public.orders"},
        {"shop:*", "shop", "*.*"},
        {"*:o*", "shop.eu", "main.o*"},
        {"*:o*", "docs", NULL},
        {"shop:orders", "docs", NULL},
    };
    struct arena arena;
    (void)state;
    arena_init(&arena, 0);
    for (size_t i = 0; i < countof(rows); i++) {
        struct pattern p = parse(rows[i].pattern);
        const char *tables = pattern_tables(&p, &world, rows[i].source, &arena);
        if (!rows[i].tables)
            assert_null(tables);
        else
            assert_string_equal(tables, rows[i].tables);
    }
    arena_release(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_tables),
        cmocka_unit_test(gaps_reach_every_pattern_of_their_source),
        cmocka_unit_test(wrong_patterns_are_errors_that_help),
        cmocka_unit_test(tables_of_a_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
