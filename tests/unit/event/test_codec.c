#include "event/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "support/event_make.h"

static const struct schema *
everything(void)
{
    return event_make_schema("shop", "main", "everything", "a:any:key", "b:any", "c:any", "d:any",
                             "e:any", "f:any", "g:any", "h:any", "i:any", "j:any", "k:any", "l:any",
                             "m:any", "n:any", "o:any");
}

static struct row
full_row(void)
{
    return event_make_row("absent", "null", "unchanged", "unknown", "true", "false",
                          "-9223372036854775808", "9223372036854775807", "nan", "12.50m", "'tëxt'",
                          "x'00ff'", "{\"a\":[1,null]}", "@2026-11-21T06:42:00Z", "@24:00:00");
}

static void
assert_slice(struct slice a, struct slice b)
{
    assert_int_equal(a.size, b.size);
    assert_true(slice_equal(a, b));
}

static void
assert_row(struct event *a, struct event *b, enum event_image image)
{
    const struct row *x = event_row(a, image), *y = event_row(b, image);
    assert_int_equal(x->present, y->present);
    assert_int_equal(x->count, y->count);
    for (unsigned i = 0; i < x->count; i++) {
        assert_true(cell_equal(&x->cells[i], &y->cells[i]));
        assert_int_equal(x->cells[i].has_us, y->cells[i].has_us);
        if (x->cells[i].has_us)
            assert_true(x->cells[i].integer == y->cells[i].integer);
    }
}

static void
assert_event(struct event *a, struct event *b)
{
    assert_int_equal(a->op, b->op);
    assert_true(a->ts == b->ts);
    assert_ptr_equal(a->schema, b->schema);
    assert_slice(a->position, b->position);
    assert_slice(a->tx_id, b->tx_id);
    assert_int_equal(a->tx_index, b->tx_index);
    assert_int_equal(a->tx_last, b->tx_last);
    assert_slice(a->ddl, b->ddl);
    assert_slice(a->gap, b->gap);
    assert_slice(a->prefix, b->prefix);
    assert_slice(a->content, b->content);
    assert_slice(a->meta, b->meta);
    assert_row(a, b, EVENT_NEW);
    assert_row(a, b, EVENT_OLD);
}

static struct event
decode(struct scan *s, struct arena *arena)
{
    struct event e;
    struct error err = {0};
    if (codec_decode(s, event_make_set(), arena, &e, &err) != 0)
        fail_msg("%s", err.message);
    return e;
}

/* One of each shape that an event can have. */
static size_t
samples(struct event out[8])
{
    struct row none = event_make_none(), full = full_row(), empty = {.present = true};
    out[0] = event_make(EVENT_INSERT, everything(), "", full, none);
    out[1] = event_make(EVENT_UPDATE, everything(), "17", full, event_make_row("1"));
    out[1].tx_id = slice_of("0-1-99");
    out[1].tx_index = UINT32_MAX;
    out[2] = event_make(EVENT_DELETE, everything(), "18", none, full);
    out[2].tx_last = true;
    out[2].ts = INT64_MIN;
    out[3] = event_make(EVENT_READ, everything(), "19-s1", empty, empty);
    out[3].ts = INT64_MAX;
    out[4] = event_make(EVENT_TRUNCATE, everything(), "20", none, none);
    out[4].meta = slice_of("{\"user\":1}");
    out[5] = event_make(EVENT_DDL, everything(), "21-d1", none, none);
    out[5].ddl = slice_of("{\"kind\":\"alter\"}");
    out[6] = event_make(EVENT_MESSAGE, everything(), "22", none, none);
    out[6].prefix = slice_of("p");
    out[6].content = (struct slice){"\0\xff", 2};
    out[7] = event_make(EVENT_GAP, everything(), "23-g1", none, none);
    out[7].gap = slice_of("{\"reason\":\"lost\"}");
    return 8;
}

static void
events_read_back_as_they_were(void **state)
{
    struct event events[8], back;
    size_t count = samples(events);
    struct buffer records;
    struct arena arena;
    struct scan s;
    (void)state;
    buffer_init(&records, 1 << 20);
    arena_init(&arena, 0);
    for (size_t i = 0; i < count; i++)
        codec_encode(&events[i], &records);
    s = scan_of(buffer_view(&records));
    for (size_t i = 0; i < count; i++) {
        back = decode(&s, &arena);
        assert_int_equal(back.lsn, 0);
        assert_event(&back, &events[i]);
    }
    assert_ptr_equal(s.at, s.end);
    arena_release(&arena);
    buffer_release(&records);
}

static void
header_decode_touches_no_row(void **state)
{
    struct event events[8], back;
    struct buffer records;
    struct arena arena;
    struct scan s;
    (void)state;
    samples(events);
    buffer_init(&records, 1 << 20);
    arena_init(&arena, 0);
    codec_encode(&events[1], &records);
    s = scan_of(buffer_view(&records));
    back = decode(&s, &arena);
    assert_null(arena.chunk);
    assert_true(back.rows[EVENT_NEW].present && back.rows[EVENT_OLD].present);
    assert_int_equal(event_row(&back, EVENT_OLD)->count, 1);
    assert_non_null(arena.chunk);
    assert_non_null(back.encoded[EVENT_NEW].data); /* the other image is still untouched */
    arena_release(&arena);
    buffer_release(&records);
}

static void
untouched_rows_are_copied_when_encoded_again(void **state)
{
    struct event events[8], back;
    struct buffer first, second;
    struct arena arena;
    struct scan s;
    size_t count = samples(events);
    (void)state;
    buffer_init(&first, 1 << 20);
    buffer_init(&second, 1 << 20);
    arena_init(&arena, 0);
    for (size_t i = 0; i < count; i++)
        for (int touch = 0; touch < 2; touch++) {
            buffer_reset(&first);
            buffer_reset(&second);
            codec_encode(&events[i], &first);
            s = scan_of(buffer_view(&first));
            back = decode(&s, &arena);
            if (touch)
                event_row(&back, EVENT_NEW);
            codec_encode(&back, &second);
            assert_slice(buffer_view(&first), buffer_view(&second));
        }
    arena_release(&arena);
    buffer_release(&first);
    buffer_release(&second);
}

static void
peek_gives_op_schema_and_bytes(void **state)
{
    struct event events[8], back;
    size_t count = samples(events);
    struct buffer records;
    struct arena arena;
    struct scan s;
    (void)state;
    buffer_init(&records, 1 << 20);
    arena_init(&arena, 0);
    for (size_t i = 0; i < count; i++)
        codec_encode(&events[i], &records);
    s = scan_of(buffer_view(&records));
    for (size_t i = 0; i < count; i++) {
        struct slice record;
        struct scan one;
        uint64_t schema;
        enum event_op op;
        assert_int_equal(codec_peek(&s, &schema, &op, &record, NULL), 0);
        assert_int_equal(op, events[i].op);
        assert_true(schema == everything()->number);
        one = scan_of(record);
        back = decode(&one, &arena);
        assert_ptr_equal(one.at, one.end);
        assert_event(&back, &events[i]);
    }
    assert_ptr_equal(s.at, s.end);
    arena_release(&arena);
    buffer_release(&records);
}

static void
a_full_buffer_takes_nothing(void **state)
{
    struct event events[8];
    struct buffer records;
    (void)state;
    samples(events);
    buffer_init(&records, 1 << 20);
    codec_encode(&events[0], &records);
    records.limit = records.size + 10;
    codec_encode(&events[4], &records);
    assert_true(records.failed);
    assert_int_equal(records.size, records.limit - 10);
    buffer_release(&records);
}

/* Every cut and every flipped bit either fails as corrupt or gives an event that can be touched. */
static void
damaged_records_are_refused_or_readable(void **state)
{
    struct event events[8], back;
    size_t count = samples(events);
    struct buffer record;
    struct arena arena;
    (void)state;
    buffer_init(&record, 1 << 20);
    arena_init(&arena, 0);
    for (size_t i = 0; i < count; i++) {
        buffer_reset(&record);
        codec_encode(&events[i], &record);
        for (size_t cut = 0; cut < record.size; cut++) {
            struct error err = {0};
            struct scan s = scan_of((struct slice){record.data, cut});
            assert_int_equal(codec_decode(&s, event_make_set(), &arena, &back, &err), -1);
            assert_int_equal(err.class, ERROR_CORRUPT);
        }
        for (size_t bit = 0; bit < record.size * 8; bit++) {
            struct scan s = scan_of(buffer_view(&record));
            record.data[bit / 8] ^= (char)(1 << bit % 8);
            if (codec_decode(&s, event_make_set(), &arena, &back, NULL) == 0) {
                assert_true(event_row(&back, EVENT_NEW)->count <= back.schema->column_count);
                assert_true(event_row(&back, EVENT_OLD)->count <= back.schema->column_count);
            }
            record.data[bit / 8] ^= (char)(1 << bit % 8);
        }
        arena_reset(&arena);
    }
    arena_release(&arena);
    buffer_release(&record);
}

/* A record made by hand: op, flags, our schema, ts 0, position "", then `rest`. */
static int
decode_by_hand(uint8_t op, uint8_t flags, struct slice rest)
{
    struct buffer body, record;
    struct arena arena;
    struct event e;
    struct scan s;
    int result;
    buffer_init(&body, 1000);
    buffer_init(&record, 1000);
    arena_init(&arena, 0);
    buffer_byte(&body, op);
    buffer_byte(&body, flags);
    buffer_u64(&body, everything()->number);
    buffer_signed(&body, 0);
    buffer_lenslice(&body, slice_of(""));
    buffer_slice(&body, rest);
    buffer_lenslice(&record, buffer_view(&body));
    s = scan_of(buffer_view(&record));
    result = codec_decode(&s, event_make_set(), &arena, &e, NULL);
    arena_release(&arena);
    buffer_release(&body);
    buffer_release(&record);
    return result;
}

static void
headers_out_of_range_are_refused(void **state)
{
    static const struct {
        uint8_t op, flags;
        struct slice rest;
        int result;
    } rows[] = {
        {EVENT_INSERT, 0, {"", 0}, 0},
        {0, 0, {"", 0}, -1},
        {EVENT_OPS, 0, {"", 0}, -1},
        {EVENT_INSERT, 32, {"", 0}, -1},
        {EVENT_INSERT, 128, {"", 0}, -1},
        {EVENT_INSERT, 0, {"x", 1}, -1},                      /* bytes too many */
        {EVENT_INSERT, 1, {"\0\xff\xff\xff\xff\x0f", 6}, 0},  /* tx index 2^32 - 1 */
        {EVENT_INSERT, 1, {"\0\x80\x80\x80\x80\x10", 6}, -1}, /* tx index 2^32 */
        {EVENT_INSERT, 4, {"", 0}, -1},                       /* no image */
        {EVENT_INSERT, 16, {"\0\0\0\0", 4}, -1},              /* four of five extras */
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++)
        assert_int_equal(decode_by_hand(rows[i].op, rows[i].flags, rows[i].rest), rows[i].result);
}

static void
a_damaged_row_is_unknown_from_there_on(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        unsigned known; /* of 15 columns, or of the count */
        unsigned count;
    } rows[] = {
        {"", 0, 0, 15},                /* no count */
        {"\x10", 1, 0, 15},            /* 16 cells of 15 columns */
        {"\x02\x01", 2, 0, 15},        /* more cells than bytes */
        {"\x02\x01\x0f", 3, 1, 2},     /* no such kind */
        {"\x02\x01\x15", 3, 1, 2},     /* a flag that INT does not have */
        {"\x02\x01\x21", 3, 1, 2},     /* an unknown flag */
        {"\x02\x01\x08\x7f", 4, 1, 2}, /* text longer than what is left */
        {"\x01\x01\x01", 3, 0, 1},     /* bytes too many */
        {"\x01\xff\xff\xff\xff\xff\xff", 7, 0, 1},
    };
    struct arena arena;
    (void)state;
    arena_init(&arena, 0);
    for (size_t i = 0; i < countof(rows); i++) {
        struct event e = {.schema = everything(), .arena = &arena, .op = EVENT_INSERT};
        e.rows[EVENT_NEW].present = true;
        e.encoded[EVENT_NEW] = (struct slice){rows[i].bytes, rows[i].size};
        assert_int_equal(event_row(&e, EVENT_NEW)->count, rows[i].count);
        for (unsigned c = 0; c < rows[i].count; c++)
            assert_int_equal(event_cell(&e, EVENT_NEW, c)->kind == CELL_UNKNOWN,
                             c >= rows[i].known);
    }
    arena_release(&arena);
}

static void
unknown_schemas_are_corrupt(void **state)
{
    struct schema_set *other = schema_set_new(NULL, NULL);
    struct event events[8], back;
    struct buffer record;
    struct arena arena;
    struct error err = {0};
    struct scan s;
    (void)state;
    samples(events);
    arena_init(&arena, 0);
    buffer_init(&record, 1 << 20);
    codec_encode(&events[0], &record);
    s = scan_of(buffer_view(&record));
    assert_int_equal(codec_decode(&s, other, &arena, &back, &err), -1);
    assert_int_equal(err.class, ERROR_CORRUPT);
    buffer_release(&record);
    arena_release(&arena);
    schema_set_free(other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_read_back_as_they_were),
        cmocka_unit_test(header_decode_touches_no_row),
        cmocka_unit_test(untouched_rows_are_copied_when_encoded_again),
        cmocka_unit_test(peek_gives_op_schema_and_bytes),
        cmocka_unit_test(a_full_buffer_takes_nothing),
        cmocka_unit_test(damaged_records_are_refused_or_readable),
        cmocka_unit_test(headers_out_of_range_are_refused),
        cmocka_unit_test(a_damaged_row_is_unknown_from_there_on),
        cmocka_unit_test(unknown_schemas_are_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
