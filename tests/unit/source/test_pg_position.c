/* Positions are stored for years and compared after every crash: what is written reads back, orders
 * as the log does, and nothing else is taken for one. */
#include "source/postgres/position.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct pg_position full = {
    .place = {UINT64_C(0x1122334455667788), PG_STAGE_OPEN, 0x99aabbcc, 0xddeeff01},
    .xid = 0x02030405,
    .hash = UINT64_C(0x060708090a0b0c0d),
    .confirm = UINT64_C(0x0e0f101112131415),
    .extra = 0x16171819,
    .system = UINT64_C(0x1a1b1c1d1e1f2021),
    .timeline = 0x22232425,
};

static void
assert_same(const struct pg_position *a, const struct pg_position *b)
{
    assert_int_equal(pg_place_compare(&a->place, &b->place), 0);
    assert_int_equal(a->xid, b->xid);
    assert_true(a->hash == b->hash && a->confirm == b->confirm && a->system == b->system);
    assert_int_equal(a->extra, b->extra);
    assert_int_equal(a->timeline, b->timeline);
}

/* The bytes of `full`: a journal written today must be readable for ever. */
static void
head_is_stored_so(void **state)
{
    static const uint8_t stored[PG_POSITION_HEAD] = {
        1,    1,    0,    0,    0x05, 0x04, 0x03, 0x02, 0x88, 0x77, 0x66, 0x55, 0x44,
        0x33, 0x22, 0x11, 0xcc, 0xbb, 0xaa, 0x99, 0x01, 0xff, 0xee, 0xdd, 0x0d, 0x0c,
        0x0b, 0x0a, 0x09, 0x08, 0x07, 0x06, 0x15, 0x14, 0x13, 0x12, 0x11, 0x10, 0x0f,
        0x0e, 0x21, 0x20, 0x1f, 0x1e, 0x1d, 0x1c, 0x1b, 0x1a, 0x25, 0x24, 0x23, 0x22,
        0x19, 0x18, 0x17, 0x16, 0,    0,    0,    0,    0,    0,    0,    0};
    struct pg_position back = {0};
    struct buffer b;
    struct slice tail;
    (void)state;
    buffer_init(&b, 1000);
    pg_position_write(&full, &b);
    assert_int_equal(b.size, PG_POSITION_HEAD);
    assert_memory_equal(b.data, stored, sizeof(stored));
    buffer_text(&b, "tail");
    assert_int_equal(pg_position_read(buffer_view(&b), &back, &tail), 0);
    assert_same(&back, &full);
    assert_true(slice_is(tail, "tail"));
    buffer_release(&b);
}

static void
other_heads_are_refused(void **state)
{
    static const struct {
        size_t at;
        char byte;
    } rows[] = {{0, 0}, {0, 2}, {1, 3}, {1, -1}, {2, 1}, {3, 1}, {56, 1}, {63, 1}};
    struct pg_position out;
    struct buffer b;
    struct slice tail;
    (void)state;
    buffer_init(&b, 1000);
    pg_position_write(&full, &b);
    for (size_t size = 0; size < PG_POSITION_HEAD; size++)
        assert_int_equal(pg_position_read((struct slice){b.data, size}, &out, &tail), -1);
    for (size_t i = 0; i < countof(rows); i++) {
        char before = b.data[rows[i].at];
        b.data[rows[i].at] = rows[i].byte;
        assert_int_equal(pg_position_read(buffer_view(&b), &out, &tail), -1);
        b.data[rows[i].at] = before;
    }
    assert_int_equal(pg_position_read(buffer_view(&b), &out, &tail), 0);
    assert_int_equal(tail.size, 0);
    assert_int_equal(pg_position_read((struct slice){NULL, 0}, &out, &tail), -1);
    buffer_release(&b);
}

static void
people_read_it(void **state)
{
    static const struct {
        struct pg_position position;
        const char *text;
    } rows[] = {
        {{.place = {UINT64_C(0x16B374D848), PG_STAGE_OPEN, 0, 0}}, "16/B374D848, item 0"},
        {{.place = {UINT64_C(0x16B374D848), PG_STAGE_OPEN, 17, 2}, .confirm = 5},
         "16/B374D848, item 17.2"},
        {{.place = {UINT64_C(0x16B374D848), PG_STAGE_WHOLE, 0, 0}, .confirm = 5}, "16/B374D848"},
        {{.place = {0x5, PG_STAGE_WHOLE, 0, 0}, .confirm = UINT64_C(0x100000001)}, "1/1"},
        {{.place = {0xA, PG_STAGE_MESSAGE, 0, 0}}, "0/A"},
    };
    struct buffer b;
    (void)state;
    buffer_init(&b, 1000);
    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer text;
        buffer_init(&text, 1000);
        buffer_reset(&b);
        pg_position_write(&rows[i].position, &b);
        pg_position_describe(buffer_view(&b), &text);
        assert_string_equal(buffer_cstring(&text), rows[i].text);
        buffer_release(&text);
    }
    buffer_reset(&b);
    pg_position_describe(slice_of(""), &b);
    assert_int_equal(b.size, 0);
    pg_position_describe(slice_of("x"), &b);
    assert_string_equal(buffer_cstring(&b), "unreadable");
    buffer_release(&b);
}

/* Each of these stands before the next one. */
static void
places_are_in_the_order_of_the_log(void **state)
{
    static const struct pg_place rows[] = {
        {0, PG_STAGE_MESSAGE, 0, 0},
        {7, PG_STAGE_MESSAGE, 0, 0},
        {7, PG_STAGE_OPEN, 0, 0},
        {7, PG_STAGE_OPEN, 0, 1},
        {7, PG_STAGE_OPEN, 1, 0},
        {7, PG_STAGE_OPEN, UINT32_MAX, UINT32_MAX},
        {7, PG_STAGE_WHOLE, 0, 0},
        {8, PG_STAGE_OPEN, 0, 0},
        {UINT64_MAX, PG_STAGE_MESSAGE, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t j = 0; j < countof(rows); j++)
            assert_int_equal(pg_place_compare(&rows[i], &rows[j]), (i > j) - (i < j));
}

static void
places_are_named(void **state)
{
    static const struct {
        struct pg_place place;
        const char *text;
    } rows[] = {
        {{UINT64_C(0x16B374D848), PG_STAGE_OPEN, 17, 0}, "16B374D848-17"},
        {{UINT64_C(0x16B374D848), PG_STAGE_OPEN, 17, 2}, "16B374D848-17.2"},
        {{UINT64_C(0x16B374D848), PG_STAGE_MESSAGE, 0, 0}, "16B374D848-m"},
        {{0, PG_STAGE_OPEN, 0, 0}, "0-0"},
        {{UINT64_MAX, PG_STAGE_OPEN, UINT32_MAX, UINT32_MAX},
         "FFFFFFFFFFFFFFFF-4294967295.4294967295"},
    };
    struct buffer b;
    (void)state;
    buffer_init(&b, 1000);
    for (size_t i = 0; i < countof(rows); i++) {
        buffer_reset(&b);
        pg_place_print(&rows[i].place, &b);
        assert_string_equal(buffer_cstring(&b), rows[i].text);
    }
    buffer_release(&b);
}

static void
hash_tells_transactions_apart(void **state)
{
    struct slice a = slice_literal("Iabc"), b = slice_literal("Iabd"), none = {NULL, 0};
    uint64_t ab = pg_position_hash(pg_position_hash(0, a), b);
    (void)state;
    assert_true(ab == pg_position_hash(pg_position_hash(0, a), b));
    assert_true(ab != pg_position_hash(pg_position_hash(0, b), a));
    assert_true(ab != pg_position_hash(0, slice_of("IabcIabd")));
    assert_true(ab != pg_position_hash(0, b));
    assert_true(pg_position_hash(1, none) != pg_position_hash(2, none));
}

/* A tail with `count` tables, made in an order that is not that of oids. */
static void
fill(struct pg_tail *tail, unsigned count)
{
    strcpy(tail->slot, "tidegate_shop");
    strcpy(tail->publications, "\"tide\"\"gate\",\"t2\"");
    tail->floor = UINT64_C(0x0123456789abcdef);
    for (unsigned i = 0; i < count; i++) {
        uint32_t oid = (i * 7 % count) * 1000003 + 16384;
        struct pg_known *known = pg_tail_add(tail, oid);
        assert_int_equal(known->oid, oid);
        assert_true(known->schema == 0 && known->partitions == 0 && known->flags == 0);
        *known = (struct pg_known){oid, i & 1, ~(uint64_t)i, i % 3 ? (uint64_t)i << 40 : 0};
    }
}

static void
tail_reads_back(void **state)
{
    static const unsigned counts[] = {0, 1, 2, 16, 17, 1000};
    (void)state;
    for (size_t i = 0; i < countof(counts); i++) {
        struct pg_tail tail, back;
        struct buffer b;
        buffer_init(&b, 1 << 20);
        pg_tail_init(&tail);
        pg_tail_init(&back);
        fill(&tail, counts[i]);
        pg_tail_write(&tail, &b);
        pg_tail_add(&back, 5); /* what was there before goes */
        assert_int_equal(pg_tail_read(buffer_view(&b), &back), 0);
        assert_string_equal(back.slot, tail.slot);
        assert_string_equal(back.publications, tail.publications);
        assert_true(back.floor == tail.floor);
        assert_int_equal(back.count, tail.count);
        for (size_t k = 0; k < tail.count; k++) {
            const struct pg_known *known = pg_tail_find(&back, tail.known[k].oid);
            assert_non_null(known);
            assert_memory_equal(known, &tail.known[k], sizeof(*known));
        }
        pg_tail_release(&tail);
        pg_tail_release(&back);
        buffer_release(&b);
    }
}

static void
tables_are_added_found_and_removed(void **state)
{
    struct pg_tail tail;
    (void)state;
    pg_tail_init(&tail);
    assert_null(pg_tail_find(&tail, 7));
    pg_tail_remove(&tail, 7);
    pg_tail_add(&tail, 7)->schema = 70;
    pg_tail_add(&tail, 9)->schema = 90;
    pg_tail_add(&tail, 8)->schema = 80;
    assert_int_equal(pg_tail_add(&tail, 8)->schema, 80);
    assert_int_equal(tail.count, 3);
    pg_tail_remove(&tail, 8);
    assert_null(pg_tail_find(&tail, 8));
    assert_int_equal(pg_tail_find(&tail, 7)->schema, 70);
    assert_int_equal(pg_tail_find(&tail, 9)->schema, 90);
    pg_tail_remove(&tail, 9);
    pg_tail_remove(&tail, 7);
    assert_int_equal(tail.count, 0);
    pg_tail_release(&tail);
}

static void
assert_refused(struct slice bytes)
{
    struct pg_tail out;
    pg_tail_init(&out);
    pg_tail_add(&out, 5);
    assert_int_equal(pg_tail_read(bytes, &out), -1);
    assert_int_equal(out.count, 1); /* untouched */
    pg_tail_release(&out);
}

static void
cut_tails_are_refused(void **state)
{
    struct pg_tail tail;
    struct buffer b;
    (void)state;
    buffer_init(&b, 1 << 20);
    pg_tail_init(&tail);
    fill(&tail, 3);
    pg_tail_write(&tail, &b);
    for (size_t size = 0; size < b.size; size++) {
        struct slice part = {memory_slice((struct slice){b.data, size}), size};
        assert_refused(part);
        free((char *)part.data);
    }
    buffer_byte(&b, 0);
    assert_refused(buffer_view(&b));
    pg_tail_release(&tail);
    buffer_release(&b);
}

static void
wrong_tails_are_refused(void **state)
{
#define LONG8  "xxxxxxxx"
#define LONG64 LONG8 LONG8 LONG8 LONG8 LONG8 LONG8 LONG8 LONG8
#define SCHEMA "12345678"
#define FLOOR  "\0\0\0\0\0\0\0\0"
    static const struct slice rows[] = {
        slice_literal("\3\0\0" FLOOR "\0"),             /* another version */
        slice_literal("\2\1\0\0" FLOOR "\0"),           /* NUL in a name */
        slice_literal("\2\x40" LONG64 "\0" FLOOR "\0"), /* a name without room for NUL */
        slice_literal("\2\0\xff\xff\xff\xff\x0f\0\0"),  /* longer than all */
        slice_literal("\2\0\0" FLOOR
                      "\xff\xff\xff\xff\xff\xff\xff\x7f"),           /* more tables than bytes */
        slice_literal("\2\0\0" FLOOR "\2\5\1" SCHEMA "\0\1" SCHEMA), /* one oid twice */
        slice_literal("\2\0\0" FLOOR "\2\5\1" SCHEMA
                      "\xff\xff\xff\xff\x0f\1" SCHEMA), /* an oid of 33 bits */
        slice_literal("\2\0\0" FLOOR "\1\xff\xff\xff\xff\x1f\0" SCHEMA
                      "\0"), /* an oid of 33 bits */
    };
    struct pg_tail out;
    (void)state;
    for (size_t i = 0; i < countof(rows); i++)
        assert_refused(rows[i]);
    pg_tail_init(&out);
    assert_int_equal(pg_tail_read(slice_literal("\2\0\0" FLOOR "\1\5\1" SCHEMA), &out), 0);
    assert_int_equal(pg_tail_read(slice_literal("\2\0\0" FLOOR "\0"), &out), 0);
    assert_int_equal(out.count, 0);
    pg_tail_release(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_is_stored_so),
        cmocka_unit_test(other_heads_are_refused),
        cmocka_unit_test(people_read_it),
        cmocka_unit_test(places_are_in_the_order_of_the_log),
        cmocka_unit_test(places_are_named),
        cmocka_unit_test(hash_tells_transactions_apart),
        cmocka_unit_test(tail_reads_back),
        cmocka_unit_test(tables_are_added_found_and_removed),
        cmocka_unit_test(cut_tails_are_refused),
        cmocka_unit_test(wrong_tails_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
