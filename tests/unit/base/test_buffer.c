#include "base/buffer.h"

#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void
varints_read_back(void **state)
{
    static const struct {
        uint64_t value;
        size_t bytes;
    } rows[] = {
        {0, 1},     {1, 1},          {127, 1},       {128, 2},         {16383, 2},
        {16384, 3}, {UINT32_MAX, 5}, {INT64_MAX, 9}, {1ull << 63, 10}, {UINT64_MAX, 10},
    };
    struct buffer b;
    (void)state;
    buffer_init(&b, 100);
    for (size_t i = 0; i < countof(rows); i++) {
        struct scan s;
        buffer_reset(&b);
        buffer_varint(&b, rows[i].value);
        assert_int_equal(b.size, rows[i].bytes);
        s = scan_of(buffer_view(&b));
        assert_true(scan_varint(&s) == rows[i].value);
        assert_false(s.failed);
        assert_ptr_equal(s.at, s.end);
    }
    buffer_release(&b);
}

static void
signed_varints_read_back(void **state)
{
    static const struct {
        int64_t value;
        size_t bytes;
    } rows[] = {{0, 1},   {-1, 1}, {1, 1},          {-64, 1},        {64, 2},
                {-65, 2}, {63, 1}, {INT64_MAX, 10}, {INT64_MIN, 10}, {-1000000, 3}};
    struct buffer b;
    (void)state;
    buffer_init(&b, 100);
    for (size_t i = 0; i < countof(rows); i++) {
        struct scan s;
        buffer_reset(&b);
        buffer_signed(&b, rows[i].value);
        assert_int_equal(b.size, rows[i].bytes);
        s = scan_of(buffer_view(&b));
        assert_true(scan_signed(&s) == rows[i].value);
        assert_false(s.failed);
    }
    buffer_release(&b);
}

static void
bad_varints_latch(void **state)
{
    static const struct slice rows[] = {
        slice_literal(""),
        {NULL, 0},
        slice_literal("\x80"),
        slice_literal("\xff\xff\xff"),
        slice_literal("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),         /* 65 bits */
        slice_literal("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00"),     /* 11 bytes */
        slice_literal("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), /* 12 bytes */
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct scan s = scan_of(rows[i]);
        assert_int_equal(scan_varint(&s), 0);
        assert_true(s.failed);
        assert_ptr_equal(s.at, s.end);
        assert_int_equal(scan_byte(&s), 0);
        assert_int_equal(scan_lenslice(&s).size, 0);
    }
}

static void
fixed_integers_are_little_endian(void **state)
{
    struct buffer b;
    struct scan s;
    (void)state;
    buffer_init(&b, 100);
    buffer_byte(&b, 0xfe);
    buffer_u32(&b, 0x80000001u);
    buffer_u64(&b, 0x8000000000000002ull);
    assert_memory_equal(b.data, "\xfe\x01\0\0\x80\x02\0\0\0\0\0\0\x80", 13);
    s = scan_of(buffer_view(&b));
    assert_int_equal(scan_byte(&s), 0xfe);
    assert_true(scan_u32(&s) == 0x80000001u);
    assert_true(scan_u64(&s) == 0x8000000000000002ull);
    assert_false(s.failed);
    assert_true(scan_u32(&s) == 0);
    assert_true(s.failed);
    buffer_release(&b);
}

static void
lengths_that_lie_latch(void **state)
{
    struct buffer b;
    struct scan s;
    (void)state;
    buffer_init(&b, 100);
    buffer_lenslice(&b, slice_literal("abc"));
    buffer_lenslice(&b, (struct slice){NULL, 0});
    s = scan_of(buffer_view(&b));
    assert_true(slice_is(scan_lenslice(&s), "abc"));
    assert_true(slice_is(scan_lenslice(&s), ""));
    assert_false(s.failed);
    buffer_reset(&b);
    buffer_varint(&b, UINT64_MAX);
    buffer_text(&b, "abc");
    s = scan_of(buffer_view(&b));
    assert_int_equal(scan_lenslice(&s).size, 0);
    assert_true(s.failed);
    s = scan_of(slice_literal("ab"));
    assert_int_equal(scan_bytes(&s, 3).size, 0);
    assert_true(s.failed);
    buffer_release(&b);
}

static void
the_limit_is_exact_and_latches(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 5);
    buffer_text(&b, "12345");
    assert_false(b.failed);
    assert_string_equal(buffer_cstring(&b), "12345");
    buffer_byte(&b, '6');
    assert_true(b.failed);
    assert_null(buffer_extend(&b, 0));
    assert_string_equal(buffer_cstring(&b), "");
    buffer_reset(&b);
    buffer_text(&b, "1234");
    buffer_text(&b, "56"); /* does not fit, so nothing of it is taken */
    assert_true(b.failed);
    assert_int_equal(b.size, 4);
    buffer_release(&b);
    buffer_init(&b, 0);
    assert_string_equal(buffer_cstring(&b), "");
    assert_false(b.failed);
    buffer_byte(&b, 'x');
    assert_true(b.failed);
    buffer_release(&b);
}

static void
formatting_grows_or_latches(void **state)
{
    struct buffer b;
    (void)state;
    buffer_init(&b, 300);
    buffer_printf(&b, "%s-%d", "a", 1);
    buffer_printf(&b, "%0200d", 7);
    assert_false(b.failed);
    assert_int_equal(b.size, 203);
    assert_int_equal(b.data[202], '7');
    buffer_printf(&b, "%0200d", 7);
    assert_true(b.failed);
    assert_int_equal(b.size, 203);
    buffer_reset(&b);
    buffer_printf(&b, "%0300d", 1); /* exactly the limit */
    assert_false(b.failed);
    assert_int_equal(b.size, 300);
    buffer_release(&b);
}

static void
bytes_are_moved_out(void **state)
{
    struct buffer b;
    size_t size;
    char *bytes;
    (void)state;
    buffer_init(&b, 10);
    buffer_append(&b, "a\0b", 3);
    bytes = buffer_take(&b, &size);
    assert_int_equal(size, 3);
    assert_memory_equal(bytes, "a\0b", 4);
    free(bytes);
    assert_int_equal(b.size, 0);
    bytes = buffer_take(&b, NULL);
    assert_string_equal(bytes, "");
    free(bytes);
    buffer_text(&b, "12345678901");
    bytes = buffer_take(&b, &size);
    assert_string_equal(bytes, "");
    assert_int_equal(size, 0);
    free(bytes);
    assert_false(b.failed);
    buffer_release(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_read_back),
        cmocka_unit_test(signed_varints_read_back),
        cmocka_unit_test(bad_varints_latch),
        cmocka_unit_test(fixed_integers_are_little_endian),
        cmocka_unit_test(lengths_that_lie_latch),
        cmocka_unit_test(the_limit_is_exact_and_latches),
        cmocka_unit_test(formatting_grows_or_latches),
        cmocka_unit_test(bytes_are_moved_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
