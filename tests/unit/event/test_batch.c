#include "event/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "support/event_make.h"

#include "base/hash.h"
#include "event/codec.h"

static struct event
sample(int i)
{
    const char *table = i % 3 ? "orders" : "items";
    const struct schema *schema = event_make_schema("shop", "main", table, "id:int:key", "s:text");
    struct event e = event_make(EVENT_INSERT, schema, "17", event_make_row("1", "'paid paid paid'"),
                                event_make_none());
    e.ts = 1000 - i;
    return e;
}

static struct batch *
filled(int count)
{
    struct batch *b = batch_new("shop", 3);
    for (int i = 0; i < count; i++) {
        struct event e = sample(i);
        assert_int_equal(batch_add(b, &e, NULL), 0);
    }
    return b;
}

static void
adding_counts_events_times_and_schemas(void **state)
{
    struct batch *b = filled(10);
    (void)state;
    assert_string_equal(b->source, "shop");
    assert_int_equal(b->epoch, 3);
    assert_int_equal(b->count, 10);
    assert_int_equal(b->schema_count, 2);
    assert_int_equal(b->first_ts, 991);
    assert_int_equal(b->last_ts, 1000);
    assert_false(batch_full(b));
    batch_free(b);
}

static void
many_schemas_are_listed_once_each(void **state)
{
    struct batch *b = batch_new("shop", 1);
    (void)state;
    for (int i = 0; i < 400; i++) {
        char table[24];
        struct event e;
        snprintf(table, sizeof(table), "t%d", i % 100);
        e = event_make(EVENT_TRUNCATE, event_make_schema("shop", "main", table, "id:int"), "1",
                       event_make_none(), event_make_none());
        assert_int_equal(batch_add(b, &e, NULL), 0);
    }
    assert_int_equal(b->schema_count, 100);
    batch_free(b);
}

static void
a_batch_is_full_at_its_size(void **state)
{
    struct batch *b = batch_new("shop", 1);
    struct event e = sample(1);
    (void)state;
    while (!batch_full(b))
        assert_int_equal(batch_add(b, &e, NULL), 0);
    assert_in_range(b->records.size, BATCH_BYTES, BATCH_BYTES + 100);
    batch_free(b);
}

static void
an_event_that_does_not_fit_leaves_the_batch_as_it_was(void **state)
{
    struct batch *b = filled(2);
    struct event e = sample(5);
    struct error err = {0};
    size_t size = b->records.size;
    (void)state;
    b->records.limit = size + 5; /* in place of a gibibyte */
    assert_int_equal(batch_add(b, &e, &err), -1);
    assert_int_equal(err.class, ERROR_FULL);
    assert_int_equal(b->count, 2);
    assert_int_equal(b->records.size, size);
    b->records.limit = BATCH_MAX;
    assert_int_equal(batch_add(b, &e, NULL), 0);
    batch_seal(b, slice_of(""), 0);
    assert_int_equal(b->count, 3);
    batch_free(b);
}

static void
assert_opens(const struct batch *b)
{
    struct buffer out;
    buffer_init(&out, 1 << 20);
    buffer_text(&out, "before");
    assert_int_equal(
        batch_open_body(buffer_view(&b->body), b->compressed, b->records.size, &out, NULL), 0);
    assert_int_equal(out.size, 6 + b->records.size);
    if (b->records.size)
        assert_memory_equal(out.data + 6, b->records.data, b->records.size);
    buffer_release(&out);
}

static void
sealed_bodies_open_again(void **state)
{
    static const struct {
        int events;
        bool compressed;
    } rows[] = {{0, false}, {1, false}, {1000, true}};
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct batch *b = filled(rows[i].events);
        batch_seal(b, slice_of("pos"), 77);
        assert_int_equal(b->compressed, rows[i].compressed);
        assert_true(b->body.size <= b->records.size);
        assert_true(b->body_hash == hash64(b->body.data, b->body.size));
        assert_true(slice_is(buffer_view(&b->position), "pos"));
        assert_int_equal(b->watermark, 77);
        assert_true(batch_bytes(b) >= b->body.size + b->records.size);
        assert_opens(b);
        batch_free(b);
    }
}

static void
what_does_not_shrink_is_left_plain(void **state)
{
    static char noise[16 << 10];
    struct event e = sample(1);
    struct cell cells[2] = {{.kind = CELL_INT},
                            {.kind = CELL_BYTES, .text = {noise, sizeof(noise)}}};
    struct batch *b = batch_new("shop", 1);
    uint32_t seed = 1;
    (void)state;
    for (size_t i = 0; i < sizeof(noise); i++) {
        seed = seed * 1664525 + 1013904223;
        noise[i] = (char)(seed >> 24);
    }
    e.rows[EVENT_NEW].cells = cells;
    assert_int_equal(batch_add(b, &e, NULL), 0);
    batch_seal(b, slice_of(""), 0);
    assert_false(b->compressed);
    assert_opens(b);
    batch_free(b);
}

static void
wrong_bodies_are_corrupt(void **state)
{
    struct batch *b = filled(1000);
    struct slice body, plain;
    size_t size;
    (void)state;
    batch_seal(b, slice_of(""), 0);
    body = buffer_view(&b->body);
    plain = buffer_view(&b->records);
    size = b->records.size;
    const struct {
        struct slice body;
        bool compressed;
        size_t size, limit;
    } rows[] = {
        {body, true, size + 1, 1 << 20},
        {body, true, size - 1, 1 << 20},
        {body, true, 0, 1 << 20},
        {body, true, size, size - 1}, /* passes the ceiling */
        {body, true, SIZE_MAX, 1 << 20},
        {body, false, size, 1 << 20},
        {plain, true, size, 1 << 20},
        {{body.data, body.size - 1}, true, size, 1 << 20},
        {{body.data, 3}, true, size, 1 << 20},
        {{"", 0}, true, 0, 1 << 20},
        {{"", 0}, false, 1, 1 << 20},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer out;
        struct error err = {0};
        buffer_init(&out, rows[i].limit);
        assert_int_equal(
            batch_open_body(rows[i].body, rows[i].compressed, rows[i].size, &out, &err), -1);
        assert_int_equal(err.class, ERROR_CORRUPT);
        assert_int_equal(out.size, 0);
        assert_false(out.failed);
        buffer_release(&out);
    }
    batch_free(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adding_counts_events_times_and_schemas),
        cmocka_unit_test(many_schemas_are_listed_once_each),
        cmocka_unit_test(a_batch_is_full_at_its_size),
        cmocka_unit_test(an_event_that_does_not_fit_leaves_the_batch_as_it_was),
        cmocka_unit_test(sealed_bodies_open_again),
        cmocka_unit_test(what_does_not_shrink_is_left_plain),
        cmocka_unit_test(wrong_bodies_are_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
