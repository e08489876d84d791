/* Records: every form comes back as it went in, a block can be cut and written on, and damage is
 * noticed, never followed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "channel/channel.h"
#include "outbox/record.h"

static struct error err;

static const struct record samples[] = {
    {.kind = MESSAGE_EVENT,
     .form = RECORD_REFERENCE,
     .lsn = 17,
     .created = 1700000000000000,
     .key = 0xfeedfacecafebeef,
     .shape = 9,
     .rule = {"main/orders", 11},
     .id = {1, 2, 3}},
    {.kind = MESSAGE_EVENT,
     .form = RECORD_REFERENCE,
     .lsn = 18,
     .created = 1700000000000001,
     .key = 1,
     .shape = 13,
     .rule = {"main/orders", 11},
     .ordinal = 3},
    {.kind = MESSAGE_TEXT,
     .form = RECORD_BODY,
     .lsn = 18,
     .created = -62135596800000000,
     .key = UINT64_MAX,
     .rule = {"main/other", 10},
     .event_id = {"shop:1:77", 9},
     .body = {"hello", 5},
     .options = {"{\"a\":1}", 7}},
    {.kind = MESSAGE_TABLE,
     .form = RECORD_BODY,
     .lsn = 18,
     .created = INT64_MAX,
     .key = 0,
     .rule = {"main/orders", 11},
     .event_id = {"shop:1:77", 9},
     .body = {"{}", 2}},
    {.kind = MESSAGE_EVENT,
     .form = RECORD_COPY,
     .lsn = 3,
     .created = 0,
     .epoch = 7,
     .shape = 9,
     .rule = {"", 0},
     .body = {"\0\1\2", 3},
     .options = {"{}", 2}},
    {.kind = MESSAGE_EVENT,
     .form = RECORD_BODY,
     .lsn = UINT64_MAX,
     .created = INT64_MIN,
     .rule = {"main/orders", 11},
     .event_id = {"journal:ab:1-5", 14},
     .body = {"{\"op\":\"gap\"}", 12},
     .ordinal = UINT32_MAX},
    {.kind = MESSAGE_TEXT, .form = RECORD_BODY, .lsn = 0, .rule = {"main/orders", 11}},
};

static void
check_equal(const struct record *got, const struct record *want)
{
    assert_memory_equal(got->id, want->id, sizeof(got->id));
    assert_int_equal(got->kind, want->kind);
    assert_int_equal(got->form, want->form);
    assert_int_equal(got->ordinal, want->ordinal);
    assert_int_equal(got->epoch, want->epoch);
    assert_true(got->lsn == want->lsn && got->created == want->created);
    assert_true(got->key == want->key && got->shape == want->shape);
    assert_true(slice_equal(got->rule, want->rule));
    assert_true(slice_equal(got->event_id, want->event_id));
    assert_true(slice_equal(got->body, want->body));
    assert_true(slice_equal(got->options, want->options));
}

static void
write_samples(struct buffer *out, struct record_writer *writer, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        record_write(writer, out, &samples[i % countof(samples)]);
}

static void
check_samples(struct slice block, size_t count)
{
    struct record_reader reader;
    struct record record;
    assert_int_equal(record_open(&reader, block, &err), 0);
    assert_int_equal(reader.written, 1234567);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(record_read(&reader, &record, &err), 1);
        check_equal(&record, &samples[i % countof(samples)]);
    }
    assert_int_equal(record_read(&reader, &record, &err), 0);
    record_release(&reader);
}

static void
test_round_trip(void **state)
{
    (void)state;
    struct buffer block;
    struct record_writer writer;
    buffer_init(&block, 1 << 20);
    record_begin(&writer, &block, 1234567);
    write_samples(&block, &writer, 0, 1000);
    check_samples(buffer_view(&block), 1000);
    buffer_release(&block);
}

static void
test_single(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(samples); i++) {
        struct buffer block;
        struct record_reader reader;
        struct record record;
        buffer_init(&block, 1 << 20);
        record_single(&block, -5, &samples[i]);
        assert_int_equal(record_open(&reader, buffer_view(&block), &err), 0);
        assert_int_equal(reader.written, -5);
        assert_int_equal(record_read(&reader, &record, &err), 1);
        check_equal(&record, &samples[i]);
        assert_int_equal(record_read(&reader, &record, &err), 0);
        record_release(&reader);
        buffer_release(&block);
    }
}

/* More names than the writer remembers: some are defined twice, all come back. */
static void
test_many_names(void **state)
{
    (void)state;
    enum { NAMES = 1000, RECORDS = 5000 };
    struct buffer block;
    struct record_writer writer;
    struct record_reader reader;
    struct record record;
    char name[32];
    buffer_init(&block, 1 << 22);
    record_begin(&writer, &block, 1);
    for (unsigned i = 0; i < RECORDS; i++) {
        snprintf(name, sizeof(name), "pack/rule-%u", i * 7 % NAMES);
        record_write(
            &writer, &block,
            &(struct record){
                .kind = MESSAGE_EVENT, .rule = slice_of(name), .shape = i * 11 % 37, .lsn = i});
    }
    assert_int_equal(record_open(&reader, buffer_view(&block), &err), 0);
    for (unsigned i = 0; i < RECORDS; i++) {
        snprintf(name, sizeof(name), "pack/rule-%u", i * 7 % NAMES);
        assert_int_equal(record_read(&reader, &record, &err), 1);
        assert_true(slice_is(record.rule, name));
        assert_true(record.shape == i * 11 % 37 && record.lsn == i);
    }
    assert_int_equal(record_read(&reader, &record, &err), 0);
    record_release(&reader);
    buffer_release(&block);
}

/* Cut after any record and written on, a block is what it would have been. */
static void
test_rewind(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    for (size_t cut = 0; cut <= COUNT; cut++) {
        struct buffer block;
        struct record_writer writer;
        buffer_init(&block, 1 << 20);
        record_begin(&writer, &block, 1234567);
        write_samples(&block, &writer, 0, cut);
        size_t size = block.size;
        write_samples(&block, &writer, cut, COUNT);
        block.size = size;
        assert_int_equal(record_rewind(&writer, buffer_view(&block), &err), 0);
        write_samples(&block, &writer, cut, COUNT);
        check_samples(buffer_view(&block), COUNT);
        buffer_release(&block);
    }
}

/* Reads all that can be read; the number of records, or -1. */
static int
read_all(struct slice block)
{
    struct record_reader reader;
    struct record record;
    int count = 0, got = record_open(&reader, block, &err) == 0 ? 1 : -1;
    while (got > 0 && (got = record_read(&reader, &record, &err)) > 0)
        count++;
    if (got < 0)
        assert_int_equal(record_read(&reader, &record, &err), -1);
    record_release(&reader);
    return got < 0 ? -1 : count;
}

static void
test_damage(void **state)
{
    (void)state;
    struct buffer block;
    struct record_writer writer;
    size_t ends[countof(samples) + 1], found = 0;
    buffer_init(&block, 1 << 20);
    record_begin(&writer, &block, 1234567);
    ends[0] = block.size;
    for (size_t i = 0; i < countof(samples); i++) {
        write_samples(&block, &writer, i, i + 1);
        ends[i + 1] = block.size;
    }
    for (size_t size = 0; size <= block.size; size++) {
        char *copy = memory_slice((struct slice){block.data, size}); /* so that ASan sees the end */
        bool whole = size == ends[found];
        assert_int_equal(read_all((struct slice){copy, size}), whole ? (int)found : -1);
        found += whole && found < countof(samples);
        free(copy);
    }
    for (size_t bit = 0; bit < block.size * 8; bit++) {
        block.data[bit / 8] ^= (char)(1 << bit % 8);
        (void)read_all(buffer_view(&block));
        block.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    buffer_release(&block);
}

static void
test_version(void **state)
{
    (void)state;
    struct record_reader reader;
    assert_int_equal(record_open(&reader, slice_literal("\2\0"), &err), -1);
    assert_int_equal(err.class, ERROR_CORRUPT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_single),
        cmocka_unit_test(test_many_names), cmocka_unit_test(test_rewind),
        cmocka_unit_test(test_damage),     cmocka_unit_test(test_version),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
