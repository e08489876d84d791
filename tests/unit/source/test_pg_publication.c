/* What is made in the database is named so that no two workspaces or sources meet, within the rules
 * of PostgreSQL; and a timeline's history says where a server left the one that was read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "source/postgres/publication.h"
#include "source/postgres/slot.h"

static struct source_plan
plan_of(const char *workspace, const char *source, const struct pg_options *options)
{
    return (struct source_plan){.name = source,
                                .driver = &postgres_source,
                                .options = (void *)(uintptr_t)options,
                                .workspace_id = workspace};
}

#define LONG "a_name_of_a_source_that_is_much_longer_than_any_name_in_postgres"

/* Plain names stay as they are; `start` is then the whole. Others end in _ and 16 digits of a hash.
 */
static const struct {
    const char *source, *start;
    bool hashed;
} names[] = {
    {"shop", "tidegate_w1_shop", false},
    {"shop_2", "tidegate_w1_shop_2", false},
    {"Shop", "tidegate_w1_shop_", true},
    {"shop-eu", "tidegate_w1_shop_eu_", true},
    {"sh\"op", "tidegate_w1_sh_op_", true},
    {"caf\xc3\xa9", "tidegate_w1_caf___", true},
    {"shop_keyless", "tidegate_w1_shop_keyless_", true},
    {LONG, "tidegate_w1_a_name_of_a_source_that_is", true},
    {"a234567890123456789012345678901234567890123", /* 55 bytes in all: just fits */
     "tidegate_w1_a234567890123456789012345678901234567890123", false},
    {"a2345678901234567890123456789012345678901234", "tidegate_w1_a2345678901234567890123456",
     true},
};

static void
assert_allowed(const char *name)
{
    assert_true(strlen(name) <= 63);
    assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(name));
}

static void
assert_named(const char *name, const char *start, bool hashed)
{
    size_t size = strlen(start);
    assert_allowed(name);
    assert_int_equal(strncmp(name, start, size), 0);
    assert_int_equal(strlen(name),
                     hashed ? (start[size - 1] == '_' ? size + 16 : size + 17) : size);
    if (hashed)
        assert_int_equal(strspn(name + strlen(name) - 16, "0123456789abcdef"), 16);
}

static void
test_names(void **state)
{
    (void)state;
    struct pg_options none = {0};
    for (size_t i = 0; i < countof(names); i++) {
        struct source_plan plan = plan_of("w1", names[i].source, &none);
        char keyed[PG_NAME], keyless[PG_NAME], slot[PG_NAME], expected[PG_NAME + 16];
        pg_publication_name(&plan, false, keyed);
        pg_publication_name(&plan, true, keyless);
        pg_slot_name(&plan, slot);
        assert_named(keyed, names[i].start, names[i].hashed);
        assert_allowed(keyless);
        snprintf(expected, sizeof expected, "%s_keyless", keyed);
        assert_string_equal(keyless, expected);
        assert_string_equal(slot, keyed);
    }
}

/* No two of these share a name, with and without _keyless. */
static void
test_names_differ(void **state)
{
    (void)state;
    static const char *const sources[] = {"shop",
                                          "Shop",
                                          "shop_keyless",
                                          "shop_keyless_keyless",
                                          "shop-1",
                                          "shop_1",
                                          LONG,
                                          LONG "2",
                                          "shop\xff",
                                          "sHop",
                                          ""};
    static const char *const workspaces[] = {"w1", "w2"};
    struct pg_options none = {0};
    char made[2 * 2 * countof(sources)][PG_NAME];
    size_t count = 0;
    for (size_t i = 0; i < countof(sources) * 4; i++) {
        struct source_plan plan = plan_of(workspaces[i / 2 % 2], sources[i / 4], &none);
        pg_publication_name(&plan, i % 2, made[count]);
        for (size_t k = 0; k < count; k++)
            assert_string_not_equal(made[k], made[count]);
        count++;
    }
}

static void
test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *publication, *list, *literals;
    } cases[] = {
        {NULL, "\"tidegate_w1_shop\",\"tidegate_w1_shop_keyless\"",
         "'tidegate_w1_shop', 'tidegate_w1_shop_keyless'"},
        {"theirs", "\"theirs\"", "'theirs'"},
        {"The\"irs, 'all'", "\"The\"\"irs, 'all'\"", "'The\"irs, ''all'''"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct pg_options options = {.publication = cases[i].publication};
        struct source_plan plan = plan_of("w1", "shop", &options);
        struct buffer text;
        buffer_init(&text, 4096);
        pg_publication_list(&plan, &text);
        assert_string_equal(buffer_cstring(&text), cases[i].list);
        buffer_reset(&text);
        pg_publication_literals(&plan, &text);
        assert_string_equal(buffer_cstring(&text), cases[i].literals);
        buffer_release(&text);
    }
}

static void
test_named_slot(void **state)
{
    (void)state;
    struct pg_options options = {.slot = "theirs"};
    struct source_plan plan = plan_of("w1", "shop", &options);
    char name[PG_NAME];
    pg_slot_name(&plan, name);
    assert_string_equal(name, "theirs");
    pg_publication_name(&plan, false, name);
    assert_string_equal(name, "tidegate_w1_shop");
}

static void
test_timeline_fork(void **state)
{
    (void)state;
    static const char history[] = "1\t0/3000000\tno recovery target specified\n\n"
                                  "# a comment\n2\t16/B374D848\tbefore 2000-01-01 00:00:00\n"
                                  "10 A/0\n";
    static const struct {
        const char *text;
        uint32_t timeline;
        int found;
        uint64_t lsn;
    } cases[] = {
        {history, 1, 0, 0x3000000},
        {history, 2, 0, 0x16B374D848},
        {history, 10, 0, 0xA00000000},
        {history, 3, -1, 0},
        {"", 1, -1, 0},
        {"1\tnonsense\tx\n", 1, -1, 0},
        {"1", 1, -1, 0},
        {"1\t", 1, -1, 0},
        {"-1\t0/1\n", 1, -1, 0},
        {"1\t0/123456789012345678901234567890\n", 1, -1, 0},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        uint64_t lsn = 0;
        assert_int_equal(pg_timeline_fork(cases[i].text, cases[i].timeline, &lsn), cases[i].found);
        if (cases[i].found == 0)
            assert_int_equal(lsn, cases[i].lsn);
    }
}

static void
test_slot_refusals(void **state)
{
    (void)state;
    static const struct {
        struct pg_slot slot;
        enum error_class class;
        const char *words;
    } cases[] = {
        {{.exists = false}, ERROR_NONE, ""},
        {{.exists = true, .plugin = "pgoutput", .here = true}, ERROR_NONE, ""},
        {{.exists = true, .plugin = ""}, ERROR_CONFIG, "physical"},
        {{.exists = true, .plugin = "test_decoding", .here = true}, ERROR_CONFIG, "test_decoding"},
        {{.exists = true, .plugin = "pgoutput", .database = "other"}, ERROR_CONFIG, "\"other\""},
        {{.exists = true, .plugin = "pgoutput", .here = true, .temporary = true},
         ERROR_CONFIG,
         "temporary"},
        {{.exists = true, .plugin = "pgoutput", .here = true, .two_phase = true},
         ERROR_CONFIG,
         "two_phase"},
        {{.exists = true, .plugin = "pgoutput", .here = true, .synced = true},
         ERROR_CONFIG,
         "primary"},
        {{.exists = true, .plugin = "pgoutput", .here = true, .active_pid = 4711},
         ERROR_BUSY,
         "4711"},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct error err = {0};
        int expected = cases[i].class == ERROR_NONE ? 0 : -1;
        assert_int_equal(pg_slot_refuse(&cases[i].slot, "s", &err), expected);
        assert_int_equal(err.class, cases[i].class);
        assert_non_null(strstr(err.message, cases[i].words));
        assert_int_equal(err.hint[0] != '\0', expected != 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),         cmocka_unit_test(test_names_differ),
        cmocka_unit_test(test_lists),         cmocka_unit_test(test_named_slot),
        cmocka_unit_test(test_timeline_fork), cmocka_unit_test(test_slot_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
