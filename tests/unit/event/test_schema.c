#include "event/schema.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "support/event_make.h"

static const char *const shop_orders[] = {"shop", "main", "orders"};

static const struct schema *
make_in(struct schema_set *set, const char *const names[3], const char *const *columns)
{
    return event_make_schema_in(set, "sqlite", names, columns);
}

#define make_orders(set, ...) make_in(set, shop_orders, (const char *[]){__VA_ARGS__, NULL})

static void
equal_drafts_are_one_schema(void **state)
{
    struct schema_set *set = schema_set_new(NULL, NULL);
    const struct schema *first = make_orders(set, "id:int:key", "status:text:null");
    const struct schema *again = make_orders(set, "id:int:key", "status:text:null");
    (void)state;
    assert_ptr_equal(first, again);
    assert_ptr_equal(schema_get(set, first->number, NULL), first);
    assert_int_equal(first->column_count, 2);
    assert_int_equal(first->columns[1].flags, COLUMN_NULLABLE);
    assert_true(slice_is(first->table, "orders"));
    assert_int_equal(first->table.data[first->table.size], 0);
    schema_set_free(set);
}

static void
each_property_has_a_part_in_the_number(void **state)
{
    static const struct {
        const char *driver;
        const char *names[3];
        const char *column;
    } rows[] = {
        {"sqlite", {"shop", "main", "orders"}, "id:int"},
        {"mysql", {"shop", "main", "orders"}, "id:int"},
        {"sqlite", {"shup", "main", "orders"}, "id:int"},
        {"sqlite", {"shop", "temp", "orders"}, "id:int"},
        {"sqlite", {"shop", "main", "order"}, "id:int"},
        {"sqlite", {"shop", "main", "orders"}, "ix:int"},
        {"sqlite", {"shop", "main", "orders"}, "id:any"},
        {"sqlite", {"shop", "main", "orders"}, "id:int:key"},
        {"sqlite", {"shop", "main", "orders"}, "id:int:null"},
        {"sqlite", {"shop", "main", "orders"}, "id:int:generated"},
        {"sqlite", {"shop", "main", "orders"}, "id:int:type=BIGINT"},
        {"sqlite", {"shop", "mainorders", ""}, "id:int"},
    };
    struct schema_set *set = schema_set_new(NULL, NULL);
    uint64_t numbers[countof(rows)];
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *columns[] = {rows[i].column, NULL};
        numbers[i] = event_make_schema_in(set, rows[i].driver, rows[i].names, columns)->number;
        for (size_t k = 0; k < i; k++)
            assert_true(numbers[i] != numbers[k]);
    }
    schema_set_free(set);
}

static void
key_is_in_key_order(void **state)
{
    struct schema_set *set = schema_set_new(NULL, NULL);
    const struct schema *schema =
        make_orders(set, "a:int:key3", "b:int", "c:int:key1", "d:int:key2");
    (void)state;
    assert_int_equal(schema->key_count, 3);
    assert_int_equal(schema->key[0], 2);
    assert_int_equal(schema->key[1], 3);
    assert_int_equal(schema->key[2], 0);
    schema_set_free(set);
}

static void
unsound_drafts_are_refused(void **state)
{
    static const uint16_t keys[][3] = {{1, 1, 0}, {1, 3, 0}, {2, 0, 0}, {1, 2, 4}};
    static struct column many[SCHEMA_COLUMNS + 1];
    struct schema_set *set = schema_set_new(NULL, NULL);
    struct schema draft = {.table = slice_literal("t"), .columns = many};
    (void)state;
    for (size_t i = 0; i < countof(keys); i++) {
        struct error err = {0};
        struct column columns[3] = {{.key = keys[i][0]}, {.key = keys[i][1]}, {.key = keys[i][2]}};
        struct schema bad = {.column_count = 3, .columns = columns};
        assert_null(schema_intern(set, &bad, &err));
        assert_int_equal(err.class, ERROR_DATA);
    }
    for (size_t i = 0; i < countof(many); i++)
        many[i].name = many[i].type = slice_of("");
    draft.column_count = SCHEMA_COLUMNS;
    assert_non_null(schema_intern(set, &draft, NULL));
    draft.column_count = SCHEMA_COLUMNS + 1;
    assert_null(schema_intern(set, &draft, NULL));
    schema_set_free(set);
}

static void
columns_are_found_in_narrow_and_wide_tables(void **state)
{
    static const unsigned widths[] = {0, 1, 8, 9, 100, SCHEMA_COLUMNS};
    static char names[SCHEMA_COLUMNS][16];
    static struct column columns[SCHEMA_COLUMNS];
    struct schema_set *set = schema_set_new(NULL, NULL);
    (void)state;
    for (int i = 0; i < SCHEMA_COLUMNS; i++) {
        snprintf(names[i], sizeof(names[i]), "c%d", i);
        columns[i] = (struct column){.name = slice_of(names[i]), .type = slice_of("")};
    }
    for (size_t w = 0; w < countof(widths); w++) {
        struct schema draft = {.column_count = (uint16_t)widths[w], .columns = columns};
        const struct schema *schema = schema_intern(set, &draft, NULL);
        for (unsigned i = 0; i < widths[w]; i++) {
            assert_int_equal(schema_column(schema, slice_of(names[i])), i);
            assert_int_equal(schema_column(&draft, slice_of(names[i])), i);
        }
        assert_int_equal(schema_column(schema, slice_of("C0")), -1);
        assert_int_equal(schema_column(schema, slice_of("")), -1);
        assert_int_equal(schema_column(schema, slice_of("c2000")), -1);
    }
    schema_set_free(set);
}

static void
misspelt_columns_are_suggested(void **state)
{
    struct schema_set *set = schema_set_new(NULL, NULL);
    const struct schema *schema = make_orders(set, "id:int:key", "status:text", "amount:decimal");
    (void)state;
    assert_true(slice_is(schema_suggest(schema, slice_of("statsu")), "status"));
    assert_int_equal(schema_suggest(schema, slice_of("zzzzzz")).size, 0);
    schema_set_free(set);
}

static void
labels_name_the_table_or_the_source(void **state)
{
    static const struct {
        const char *names[3];
        const char *label;
    } rows[] = {
        {{"shop", "main", "orders"}, "main.orders"},
        {{"shop", "", "orders"}, "orders"},
        {{"shop", "", ""}, "shop"},
        {{"shop", "main", "a-name-that-is-cut"}, "main.a-name-tha"},
    };
    struct schema_set *set = schema_set_new(NULL, NULL);
    char label[16];
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *none[] = {NULL};
        assert_string_equal(schema_label(make_in(set, rows[i].names, none), label, sizeof(label)),
                            rows[i].label);
    }
    schema_set_free(set);
}

static void
encoded_form_gives_the_same_schema(void **state)
{
    struct schema_set *set = schema_set_new(NULL, NULL), *other = schema_set_new(NULL, NULL);
    const struct schema *schema =
        make_orders(set, "a:any:key2:type=VARCHAR(10)", "b:time:null:generated", "c:bytes:key");
    const struct schema *copy = schema_decode(other, schema->encoded, NULL);
    (void)state;
    assert_non_null(copy);
    assert_ptr_not_equal(copy, schema);
    assert_true(copy->number == schema->number);
    assert_true(slice_is(copy->driver, "sqlite"));
    assert_true(slice_is(copy->columns[0].type, "VARCHAR(10)"));
    assert_int_equal(copy->columns[1].family, FAMILY_TIME);
    assert_int_equal(copy->key[0], 2);
    schema_set_free(set);
    schema_set_free(other);
}

static void
damaged_bytes_are_refused_or_another_schema(void **state)
{
    struct schema_set *set = schema_set_new(NULL, NULL);
    const struct schema *schema = make_orders(set, "id:int:key", "b:text:null");
    char bytes[256];
    size_t size = schema->encoded.size;
    (void)state;
    assert_true(size < sizeof(bytes));
    for (size_t cut = 0; cut < size; cut++) {
        struct error err = {0};
        assert_null(schema_decode(set, (struct slice){schema->encoded.data, cut}, &err));
        assert_int_equal(err.class, ERROR_CORRUPT);
    }
    for (size_t i = 0; i < size * 8; i++) {
        const struct schema *other;
        memcpy(bytes, schema->encoded.data, size);
        bytes[i / 8] ^= (char)(1 << i % 8);
        other = schema_decode(set, (struct slice){bytes, size}, NULL);
        assert_ptr_not_equal(other, schema);
    }
    memcpy(bytes, schema->encoded.data, size);
    bytes[size] = 0;
    assert_null(schema_decode(set, (struct slice){bytes, size + 1}, NULL));
    schema_set_free(set);
}

static void
values_out_of_range_are_refused(void **state)
{
    static const struct column columns[] = {{.family = FAMILY_TIME + 1}, {.flags = 4}};
    struct schema_set *set = schema_set_new(NULL, NULL);
    struct error err = {0};
    struct buffer wide;
    (void)state;
    for (size_t i = 0; i < countof(columns); i++) {
        struct schema draft = {.column_count = 1, .columns = &columns[i]};
        const struct schema *made = schema_intern(set, &draft, NULL);
        assert_null(schema_decode(set, made->encoded, NULL));
    }
    for (unsigned count = SCHEMA_COLUMNS; count <= SCHEMA_COLUMNS + 1; count++) {
        buffer_init(&wide, 1 << 20);
        buffer_append(&wide, "\1\0\0\0\0", 5);
        buffer_varint(&wide, count);
        for (unsigned i = 0; i < count; i++)
            buffer_append(&wide, "\0\0\0\0\0", 5);
        if (count > SCHEMA_COLUMNS)
            assert_null(schema_decode(set, buffer_view(&wide), &err));
        else
            assert_non_null(schema_decode(set, buffer_view(&wide), NULL));
        buffer_release(&wide);
    }
    assert_int_equal(err.class, ERROR_CORRUPT);
    schema_set_free(set);
}

struct shelf {
    const struct schema *stored;
    uint64_t under; /* its number, or a wrong one */
    int asked;
};

static int
load(void *context, uint64_t number, struct buffer *out, struct error *err)
{
    struct shelf *shelf = context;
    shelf->asked++;
    if (number != shelf->under)
        return error_set(err, ERROR_MISSING, "nothing there");
    buffer_slice(out, shelf->stored->encoded);
    return 0;
}

static void
unseen_numbers_are_loaded_once(void **state)
{
    struct schema_set *set = schema_set_new(NULL, NULL);
    struct shelf shelf = {.stored = make_orders(set, "id:int:key")};
    struct schema_set *other = schema_set_new(load, &shelf);
    struct error err = {0};
    (void)state;
    shelf.under = shelf.stored->number;
    assert_true(schema_get(other, shelf.under, NULL)->number == shelf.under);
    assert_non_null(schema_get(other, shelf.under, NULL));
    assert_int_equal(shelf.asked, 1);
    assert_null(schema_get(other, 7, &err));
    assert_int_equal(err.class, ERROR_CORRUPT);
    shelf.under = 8;
    assert_null(schema_get(other, 8, &err));
    assert_int_equal(err.class, ERROR_CORRUPT);
    assert_null(schema_get(set, 8, NULL)); /* without a loader */
    schema_set_free(other);
    schema_set_free(set);
}

enum { THREADS = 4, TABLES = 300 };

struct crowd {
    struct schema_set *set;
    const struct schema *made[TABLES];
};

static void *
intern_all(void *argument)
{
    struct crowd *crowd = argument;
    for (int i = 0; i < TABLES; i++) {
        char table[24];
        struct schema draft = {.source = slice_of("shop")};
        snprintf(table, sizeof(table), "t%d", i);
        draft.table = slice_of(table);
        crowd->made[i] = schema_intern(crowd->set, &draft, NULL);
        for (int k = 0; k <= i; k++)
            if (schema_get(crowd->set, crowd->made[k]->number, NULL) != crowd->made[k])
                crowd->made[i] = NULL;
    }
    return NULL;
}

static void
threads_share_one_object(void **state)
{
    static struct crowd crowds[THREADS];
    struct schema_set *set = schema_set_new(NULL, NULL);
    pthread_t threads[THREADS];
    (void)state;
    for (int t = 0; t < THREADS; t++) {
        crowds[t].set = set;
        assert_int_equal(pthread_create(&threads[t], NULL, intern_all, &crowds[t]), 0);
    }
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    for (int t = 0; t < THREADS; t++)
        for (int i = 0; i < TABLES; i++) {
            assert_non_null(crowds[t].made[i]);
            assert_ptr_equal(crowds[t].made[i], crowds[0].made[i]);
        }
    schema_set_free(set);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_drafts_are_one_schema),
        cmocka_unit_test(each_property_has_a_part_in_the_number),
        cmocka_unit_test(key_is_in_key_order),
        cmocka_unit_test(unsound_drafts_are_refused),
        cmocka_unit_test(columns_are_found_in_narrow_and_wide_tables),
        cmocka_unit_test(misspelt_columns_are_suggested),
        cmocka_unit_test(labels_name_the_table_or_the_source),
        cmocka_unit_test(encoded_form_gives_the_same_schema),
        cmocka_unit_test(damaged_bytes_are_refused_or_another_schema),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(unseen_numbers_are_loaded_once),
        cmocka_unit_test(threads_share_one_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
