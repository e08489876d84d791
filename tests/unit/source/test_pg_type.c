#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "event/schema.h"
#include "source/postgres/type_part.h"

static struct pg_types *types;

static int
set_up(void **state)
{
    (void)state;
    types = pg_types_new();
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    pg_types_free(types);
    return 0;
}

/* A row of the catalog's answer. */
struct answer {
    const char *oid, *base, *element, *delimiter, *name;
};

static PGresult *
result_of(const struct answer *rows, int count)
{
    static const char *const names[] = {"oid", "base", "element", "delimiter", "name"};
    PGresAttDesc columns[countof(names)] = {0};
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    for (size_t i = 0; i < countof(names); i++)
        columns[i].name = (char *)(uintptr_t)names[i];
    assert_true(PQsetResultAttrs(result, countof(names), columns));
    for (int i = 0; i < count; i++) {
        const char *fields[] = {rows[i].oid, rows[i].base, rows[i].element, rows[i].delimiter,
                                rows[i].name};
        for (int k = 0; k < (int)countof(names); k++)
            assert_true(
                PQsetvalue(result, i, k, (char *)(uintptr_t)fields[k], (int)strlen(fields[k])));
    }
    return result;
}

static void
take(const struct answer *rows, int count)
{
    PGresult *result = result_of(rows, count);
    pg_types_take(types, result);
    PQclear(result);
}

static void
test_builtins(void **state)
{
    static const struct {
        uint32_t oid;
        enum pg_form form;
        enum type_family family;
        char delimiter;
        uint32_t element;
        const char *name;
    } rows[] = {
        {16, PG_FORM_BOOL, FAMILY_BOOL, ',', 0, "boolean"},
        {20, PG_FORM_INT, FAMILY_INT, ',', 0, "bigint"},
        {22, PG_FORM_VECTOR, FAMILY_DOCUMENT, ',', 21, "int2vector"},
        {25, PG_FORM_TEXT, FAMILY_TEXT, ',', 0, "text"},
        {28, PG_FORM_TEXT, FAMILY_TEXT, ',', 0, "xid"},
        {30, PG_FORM_VECTOR, FAMILY_DOCUMENT, ',', 26, "oidvector"},
        {600, PG_FORM_TEXT, FAMILY_TEXT, ',', 0, "point"},
        {603, PG_FORM_TEXT, FAMILY_TEXT, ';', 0, "box"},
        {790, PG_FORM_MONEY, FAMILY_DECIMAL, ',', 0, "money"},
        {1006, PG_FORM_ARRAY, FAMILY_DOCUMENT, ',', 22, "int2vector[]"},
        {1007, PG_FORM_ARRAY, FAMILY_DOCUMENT, ',', 23, "integer[]"},
        {1020, PG_FORM_ARRAY, FAMILY_DOCUMENT, ',', 603, "box[]"},
        {1184, PG_FORM_TIMESTAMPTZ, FAMILY_TIME, ',', 0, "timestamp with time zone"},
        {1270, PG_FORM_ARRAY, FAMILY_DOCUMENT, ',', 1266, "time with time zone[]"},
        {3802, PG_FORM_JSON, FAMILY_DOCUMENT, ',', 0, "jsonb"},
        {4536, PG_FORM_TEXT, FAMILY_TEXT, ',', 0, "int8multirange"},
        {6157, PG_FORM_ARRAY, FAMILY_DOCUMENT, ',', 4536, "int8multirange[]"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const struct pg_type *type = pg_types_find(types, rows[i].oid);
        assert_non_null(type);
        assert_int_equal(type->oid, rows[i].oid);
        assert_int_equal(type->form, rows[i].form);
        assert_int_equal(type->family, rows[i].family);
        assert_int_equal(type->delimiter, rows[i].delimiter);
        assert_ptr_equal(type->element,
                         rows[i].element ? pg_types_find(types, rows[i].element) : NULL);
        assert_string_equal(type->name, rows[i].name);
    }
    assert_null(pg_types_find(types, 0));
    assert_null(pg_types_find(types, 16384));
    assert_null(pg_types_find(types, UINT32_MAX));
}

/* What hangs on what comes later in the answer, or stands in the built-in table. */
static void
test_user_types(void **state)
{
    static const struct answer rows[] = {
        {"16400", "0", "16390", ",", "mood[]"}, {"16390", "0", "0", ",", "mood"},
        {"16402", "16401", "0", ",", "scores"}, {"16401", "0", "16403", ",", "score[]"},
        {"16403", "16404", "0", ",", "score"},  {"16404", "23", "0", ",", "small"},
        {"16405", "603", "0", ";", "area"},     {"16406", "0", "16405", ",", "area[]"},
        {"16407", "1231", "0", ",", "prices"},  {"16408", "0", "16407", ",", "prices[]"},
    };
    (void)state;
    take(rows, countof(rows));
    assert_int_equal(pg_types_find(types, 16390)->form, PG_FORM_TEXT);
    assert_ptr_equal(pg_types_find(types, 16400)->element, pg_types_find(types, 16390));
    assert_string_equal(pg_types_find(types, 16400)->name, "mood[]");
    assert_int_equal(pg_types_find(types, 16403)->form, PG_FORM_INT);
    assert_int_equal(pg_types_find(types, 16403)->family, FAMILY_INT);
    assert_string_equal(pg_types_find(types, 16403)->name, "score");
    assert_int_equal(pg_types_find(types, 16402)->form, PG_FORM_ARRAY);
    assert_ptr_equal(pg_types_find(types, 16402)->element, pg_types_find(types, 16403));
    assert_int_equal(pg_types_find(types, 16406)->element->delimiter, ';');
    assert_ptr_equal(pg_types_find(types, 16407)->element, pg_types_find(types, 1700));
    assert_ptr_equal(pg_types_find(types, 16408)->element, pg_types_find(types, 16407));
}

/* A catalog that makes no sense, or whose types were dropped meanwhile, gives texts. */
static void
test_broken_catalog(void **state)
{
    static const struct answer rows[] = {
        {"16500", "16501", "0", ",", "a"}, {"16501", "16500", "0", ",", "b"},
        {"16502", "16502", "0", ",", "c"}, {"16503", "0", "16599", ",", "d[]"},
        {"16504", "16503", "0", ",", "e"}, {"16505", "0", "16505", "", "f"},
        {"23", "25", "0", ",", "integer"}, {"", "x", "-1", "", ""},
        {"16506", "0", "0", ",", "twice"}, {"16506", "23", "0", ",", "twice"},
    };
    static const uint32_t oids[] = {16500, 16599, 16600, 16600, 23};
    (void)state;
    take(rows, countof(rows));
    take(rows, countof(rows));
    for (uint32_t oid = 16500; oid <= 16505; oid++) {
        assert_non_null(pg_types_find(types, oid));
        assert_int_equal(pg_types_find(types, oid)->form, PG_FORM_TEXT);
        assert_int_equal(pg_types_find(types, oid)->family, FAMILY_TEXT);
        assert_null(pg_types_find(types, oid)->element);
    }
    assert_int_equal(pg_types_find(types, 23)->form, PG_FORM_INT);
    pg_types_settle(types, oids, countof(oids));
    assert_int_equal(pg_types_find(types, 16600)->form, PG_FORM_TEXT);
    assert_string_equal(pg_types_find(types, 16600)->name, "");
}

static void
test_no_question_without_need(void **state)
{
    static const uint32_t oids[] = {23, 1007, 2950};
    struct error err = {0};
    (void)state;
    assert_int_equal(pg_types_load(types, NULL, oids, countof(oids), &err), 0);
    assert_int_equal(pg_types_load(types, NULL, NULL, 0, &err), 0);
}

static void
test_pointers_stay(void **state)
{
    const struct pg_type *integer = pg_types_find(types, 23);
    const struct pg_type *first;
    (void)state;
    pg_types_settle(types, &(uint32_t){20000}, 1);
    first = pg_types_find(types, 20000);
    for (uint32_t oid = 30000; oid > 20000; oid--)
        pg_types_settle(types, &oid, 1);
    assert_ptr_equal(pg_types_find(types, 23), integer);
    assert_ptr_equal(pg_types_find(types, 20000), first);
    for (uint32_t oid = 20000; oid <= 30000; oid++)
        assert_int_equal(pg_types_find(types, oid)->oid, oid);
}

/* Modifiers as a server stored them, texts as its format_type printed them. */
static void
test_print(void **state)
{
    static const struct {
        uint32_t oid;
        int32_t modifier;
        const char *text;
    } rows[] = {
        {20, -1, "bigint"},
        {1700, -1, "numeric"},
        {1700, 655366, "numeric(10,2)"},
        {1700, 327684, "numeric(5,0)"},
        {1700, 65538049, "numeric(1000,-3)"},
        {1700, 65537004, "numeric(1000,1000)"},
        {1231, 196617, "numeric(3,5)[]"},
        {1043, -1, "character varying"},
        {1043, 24, "character varying(20)"},
        {1015, 24, "character varying(20)[]"},
        {1042, 5, "character(1)"},
        {1042, 11, "character(7)"},
        {1042, -1, "bpchar"},
        {1014, -1, "bpchar[]"},
        {1014, 7, "character(3)[]"},
        {1560, 1, "bit(1)"},
        {1560, 8, "bit(8)"},
        {1561, 8, "bit(8)[]"},
        {1562, -1, "bit varying"},
        {1562, 9, "bit varying(9)"},
        {18, -1, "\"char\""},
        {19, -1, "name"},
        {1083, -1, "time without time zone"},
        {1083, 0, "time(0) without time zone"},
        {1266, 3, "time(3) with time zone"},
        {1114, 6, "timestamp(6) without time zone"},
        {1114, -1, "timestamp without time zone"},
        {1184, 2, "timestamp(2) with time zone"},
        {1185, 0, "timestamp(0) with time zone[]"},
        {1186, -1, "interval"},
        {1186, 2147418115, "interval(3)"},
        {1186, 327679, "interval year"},
        {1186, 196607, "interval month"},
        {1186, 589823, "interval day"},
        {1186, 67174399, "interval hour"},
        {1186, 134283263, "interval minute"},
        {1186, 268500991, "interval second"},
        {1186, 268435458, "interval second(2)"},
        {1186, 458751, "interval year to month"},
        {1186, 67698687, "interval day to hour"},
        {1186, 201916415, "interval day to minute"},
        {1186, 470351871, "interval day to second"},
        {1186, 470286340, "interval day to second(4)"},
        {1186, 201392127, "interval hour to minute"},
        {1186, 469762049, "interval hour to second(1)"},
        {1186, 402653184, "interval minute to second(0)"},
        {1187, 458751, "interval year to month[]"},
        {700, -1, "real"},
        {701, -1, "double precision"},
        {790, -1, "money"},
        {22, -1, "int2vector"},
        {114, -1, "json"},
        {1009, -1, "text[]"},
    };
    struct buffer out;
    (void)state;
    buffer_init(&out, 1024);
    for (size_t i = 0; i < countof(rows); i++) {
        buffer_reset(&out);
        pg_type_print(pg_types_find(types, rows[i].oid), rows[i].modifier, &out);
        assert_string_equal(buffer_cstring(&out), rows[i].text);
    }
    buffer_release(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_builtins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_user_types, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_broken_catalog, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_question_without_need, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pointers_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_print, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
