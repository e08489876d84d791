/* Headers of blocks: what was written is read, anything else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/hash.h"
#include "journal/block.h"
#include "journal/journal.h"

enum { SEED = 4711 };

static struct block
sample(void)
{
    return (struct block){
        .body_size = 100,
        .plain_size = 4000,
        .body_hash = 0x1122334455667788,
        .compressed = true,
        .segment = 3,
        .number = 12,
        .group = 10,
        .previous = 99,
        .first_lsn = 1000,
        .count = 7,
        .epoch = 2,
        .watermark = -5,
        .written = 1795243320000001,
        .first_ts = -1,
        .last_ts = 17,
        .source = slice_literal("shop"),
        .position = slice_literal("0/16B3748\0 17"),
        .schemas = slice_literal("12345678abcdefgh"),
        .schema_count = 2,
    };
}

static struct buffer
encoded(const struct block *block)
{
    struct block b = *block;
    struct buffer out;
    struct error err;
    buffer_init(&out, BLOCK_HEADER_MAX);
    assert_int_equal(block_encode(&b, SEED, &out, &err), 0);
    assert_int_equal(out.size, b.header_size);
    return out;
}

static void
test_round_trip(void **state)
{
    struct block from = sample(), to;
    struct buffer bytes = encoded(&from);
    (void)state;
    assert_int_equal(block_decode(buffer_view(&bytes), SEED, &to), BLOCK_GOOD);
    assert_int_equal(to.body_size, 100);
    assert_int_equal(to.plain_size, 4000);
    assert_int_equal(to.body_hash, from.body_hash);
    assert_true(to.compressed);
    assert_int_equal(to.segment, 3);
    assert_int_equal(to.number, 12);
    assert_int_equal(to.group, 10);
    assert_int_equal(to.previous, 99);
    assert_int_equal(to.first_lsn, 1000);
    assert_int_equal(block_next_lsn(&to), 1007);
    assert_int_equal(to.epoch, 2);
    assert_int_equal(to.watermark, -5);
    assert_int_equal(to.written, from.written);
    assert_int_equal(to.first_ts, -1);
    assert_int_equal(to.last_ts, 17);
    assert_true(slice_equal(to.source, from.source));
    assert_true(slice_equal(to.position, from.position));
    assert_true(slice_equal(to.schemas, from.schemas));
    assert_int_equal(to.schema_count, 2);
    assert_int_equal(block_size(&to), (int64_t)bytes.size + 100);
    buffer_release(&bytes);
}

static void
test_every_flipped_bit_is_seen(void **state)
{
    struct block from = sample(), to;
    struct buffer bytes = encoded(&from);
    (void)state;
    for (size_t i = 0; i < bytes.size * 8; i++) {
        bytes.data[i / 8] ^= (char)(1 << i % 8);
        enum block_state got = block_decode(buffer_view(&bytes), SEED, &to);
        if (got != BLOCK_BAD && got != BLOCK_SHORT)
            fail_msg("bit %zu: state %d", i, got);
        bytes.data[i / 8] ^= (char)(1 << i % 8);
    }
    assert_int_equal(block_decode(buffer_view(&bytes), SEED + 1, &to), BLOCK_BAD);
    buffer_release(&bytes);
}

static void
test_every_cut_asks_for_more(void **state)
{
    struct block from = sample(), to;
    struct buffer bytes = encoded(&from);
    (void)state;
    for (size_t size = 0; size < bytes.size; size++) {
        char *exact = malloc(size + 1); /* so that a sanitizer sees a byte too many */
        memcpy(exact, bytes.data, size);
        struct slice cut = {exact, size};
        assert_int_equal(block_decode(cut, SEED, &to), BLOCK_SHORT);
        assert_true(to.header_size > size && to.header_size <= bytes.size);
        free(exact);
    }
    buffer_release(&bytes);
}

/* The same bytes with a checksum that fits: what a header of ours would never say. */
static enum block_state
decode_resealed(struct buffer *bytes, size_t offset, uint32_t value)
{
    struct block to;
    uint64_t checksum;
    for (int i = 0; i < 4; i++)
        bytes->data[offset + (size_t)i] = (char)(value >> (8 * i));
    checksum = hash64_seed(bytes->data + 16, bytes->size - 16, SEED);
    for (int i = 0; i < 8; i++)
        bytes->data[8 + i] = (char)(checksum >> (8 * i));
    return block_decode(buffer_view(bytes), SEED, &to);
}

static void
test_impossible_fields(void **state)
{
    static const struct {
        size_t offset;
        uint32_t value;
        enum block_state expected;
    } cases[] = {
        {20, JOURNAL_FORMAT + 1, BLOCK_NEWER},
        {20, JOURNAL_FORMAT | 77u << 16, BLOCK_NEWER},
        {28, 1000, BLOCK_BAD},        /* body size above what may be */
        {36, 0xffff, BLOCK_BAD},      /* plain size */
        {48 + 8, 0, BLOCK_BAD},       /* block number below its group */
        {64, 0, BLOCK_BAD},           /* no group */
        {80, 0, BLOCK_BAD},           /* no lsn */
        {128, 2, BLOCK_BAD},          /* an unknown flag */
        {128, 0, BLOCK_BAD},          /* plain, but of two sizes */
        {132, 0xffffffff, BLOCK_BAD}, /* source */
        {136, 0xffffffff, BLOCK_BAD}, /* position */
        {140, 0xffffffff, BLOCK_BAD}, /* schemas */
        {140, 1, BLOCK_BAD},          /* bytes are left over */
        {88, 8, BLOCK_GOOD},          /* the count, to show that resealing works */
    };
    struct block from = sample();
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct buffer bytes = encoded(&from);
        enum block_state got = decode_resealed(&bytes, cases[i].offset, cases[i].value);
        if (got != cases[i].expected)
            fail_msg("case %zu: %d", i, got);
        buffer_release(&bytes);
    }
}

static void
test_lsn_that_overflows(void **state)
{
    struct block from = sample(), to;
    (void)state;
    from.first_lsn = UINT64_MAX - 3;
    struct buffer bytes = encoded(&from);
    assert_int_equal(block_decode(buffer_view(&bytes), SEED, &to), BLOCK_BAD);
    buffer_release(&bytes);
}

static void
test_too_long_a_position(void **state)
{
    struct block b = sample();
    struct buffer out;
    struct error err = {0};
    (void)state;
    buffer_init(&out, BLOCK_HEADER_MAX);
    b.position = (struct slice){calloc(1, BLOCK_HEADER_MAX), BLOCK_HEADER_MAX};
    assert_int_equal(block_encode(&b, SEED, &out, &err), -1);
    assert_int_equal(err.class, ERROR_INTERNAL);
    free((char *)b.position.data);
    buffer_release(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_flipped_bit_is_seen),
        cmocka_unit_test(test_every_cut_asks_for_more),
        cmocka_unit_test(test_impossible_fields),
        cmocka_unit_test(test_lsn_that_overflows),
        cmocka_unit_test(test_too_long_a_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
