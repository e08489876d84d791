/* What a real server sent (PostgreSQL 15, recorded with tests/fuzz/record_pgoutput.py) reads as
 * what was done there, and nothing that is shorter, longer or otherwise wrong is taken for a
 * message. */
#include "source/postgres/pgoutput.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define COMMIT_TIME INT64_C(0x303c556f60f2e) /* µs since 2000 */

static struct arena arena;
static char text[4096];
static size_t text_size;

static void
add(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_size += (size_t)vsnprintf(text + text_size, sizeof(text) - text_size, format, args);
    va_end(args);
    assert_true(text_size < sizeof(text));
}

static void
add_tuple(const char *name, const struct pgoutput_tuple *tuple)
{
    if (!tuple->present)
        return;
    add(" %s%s", name, tuple->key_only ? "(key)" : "");
    for (unsigned i = 0; i < tuple->count; i++) {
        const struct pgoutput_value *value = &tuple->values[i];
        if (value->kind == PGOUTPUT_TEXT)
            add(" [%.*s]", (int)value->text.size, value->text.data);
        else
            add(" %s", value->kind == PGOUTPUT_NULL ? "null" : "unchanged");
        assert_true(value->kind == PGOUTPUT_TEXT || value->text.size == 0);
    }
}

static void
add_relation(const struct pgoutput_relation *relation)
{
    add("%u %.*s.%.*s %c", relation->oid, (int)relation->schema.size, relation->schema.data,
        (int)relation->table.size, relation->table.data, relation->identity);
    for (unsigned i = 0; i < relation->count; i++) {
        const struct pgoutput_column *column = &relation->columns[i];
        add(" %.*s%s:%u", (int)column->name.size, column->name.data, column->key ? "*" : "",
            column->type);
        if (column->modifier != -1)
            add("(%d)", column->modifier);
    }
}

static void
add_truncate(const struct pgoutput_truncate *truncate)
{
    add("%s%s", truncate->cascade ? "cascade " : "", truncate->restart_identity ? "restart " : "");
    for (uint32_t i = 0; i < truncate->count; i++)
        add("%s%u", i ? " " : "", truncate->relations[i]);
}

static void
add_logical(const struct pgoutput_logical *logical)
{
    add("%s %llX '%.*s' '", logical->transactional ? "inside" : "outside",
        (unsigned long long)logical->lsn, (int)logical->prefix.size, logical->prefix.data);
    for (size_t i = 0; i < logical->content.size; i++)
        add(logical->content.data[i] < ' ' ? "\\%d" : "%c", logical->content.data[i]);
    add("'");
}

/* A message as text, to be compared as one. */
static const char *
print(const struct pgoutput_message *m)
{
    text_size = 0;
    add("%c ", m->kind);
    if (m->kind == PGOUTPUT_BEGIN)
        add("%llX %+lld %u", (unsigned long long)m->begin.commit_lsn,
            (long long)(m->begin.time - PG_EPOCH - COMMIT_TIME), m->begin.xid);
    else if (m->kind == PGOUTPUT_COMMIT)
        add("%llX %llX %+lld", (unsigned long long)m->commit.commit_lsn,
            (unsigned long long)m->commit.end_lsn,
            (long long)(m->commit.time - PG_EPOCH - COMMIT_TIME));
    else if (m->kind == PGOUTPUT_RELATION)
        add_relation(&m->relation);
    else if (m->kind == PGOUTPUT_TYPE)
        add("%u %.*s.%.*s", m->type.oid, (int)m->type.schema.size, m->type.schema.data,
            (int)m->type.name.size, m->type.name.data);
    else if (m->kind == PGOUTPUT_TRUNCATE)
        add_truncate(&m->truncate);
    else if (m->kind == PGOUTPUT_MESSAGE)
        add_logical(&m->logical);
    else if (m->kind != PGOUTPUT_ORIGIN) {
        add("%u", m->change.relation);
        add_tuple("old", &m->change.old_row);
        add_tuple("new", &m->change.new_row);
    }
    return text;
}

static const struct recorded {
    const char *hex;
    const char *read;
} recorded[] = {
    {"42000000000152cce0000303c556f60f2e000002e9", "B 152CCE0 +0 745"},
    {"4300000000000152cce0000000000152cd10000303c556f60f2e", "C 152CCE0 152CD10 +0"},
    {"4f0000000000abcdef666172206177617900", "O "},
    {"52000040097075626c6963006f7264657273006400040169640000000017ffffffff0073746174757300000004130"
     "000"
     "001800746f74616c00000006a4000c0006006e6f74650000000019ffffffff",
     "R 16393 public.orders d id*:23 status:1043(24) total:1700(786438) note:25"},
    {"52000040197075626c69630077686f6c65006600020169640000000017ffffffff016e6f74650000000019fffffff"
     "f",
     "R 16409 public.whole f id*:23 note*:25"},
    {"520000401e7075626c69630062795f696e6465780069000300610000000017ffffffff01620000000017ffffffff0"
     "063"
     "0000000019ffffffff",
     "R 16414 public.by_index i a:23 b*:23 c:25"},
    {"52000040247075626c6963006b65796c6573730064000200610000000017ffffffff00620000000019ffffffff",
     "R 16420 public.keyless d a:23 b:25"},
    {"52000040297075626c6963006e6f6e6500640000", "R 16425 public.none d"},
    {"520000402c5765226972643b2064726f70003c7363726970743e0064000201d09ad0bbd18ed1870000000017fffff"
     "fff"
     "016220630000000019ffffffff",
     "R 16428 We\"ird; drop.<script> d \xd0\x9a\xd0\xbb\xd1\x8e\xd1\x87*:23 b c*:25"},
    {"59000040017075626c6963006d6f6f6400", "Y 16385 public.mood"},
    {"590000400600696e743400", "Y 16390 pg_catalog.int4"},
    {"49000040094e00047400000001326e6e7400000000", "I 16393 new [2] null null []"},
    {"49000040114e00067400000001317400000004676c6164740000000133740000001a323032362d30312d303220303"
     "33a"
     "30343a30352e3637382b303074000000065c7830306666740000000a7b312c4e554c4c2c337d",
     "I 16401 new [1] [glad] [3] [2026-01-02 03:04:05.678+00] [\\x00ff] [{1,NULL,3}]"},
    {"49000040294e0000", "I 16425 new"},
    {"55000040094e0004740000000131740000000470616964740000000531322e353075",
     "U 16393 new [1] [paid] [12.50] unchanged"},
    {"55000040094b00047400000001326e6e6e4e00047400000001376e6e7400000000",
     "U 16393 old(key) [2] null null null new [7] null null []"},
    {"55000040194f0002740000000133740000000573686f72744e00027400000001336e",
     "U 16409 old [3] [short] new [3] null"},
    {"44000040094b00047400000001376e6e6e", "D 16393 old(key) [7] null null null"},
    {"44000040194f00027400000001336e", "D 16409 old [3] null"},
    {"5400000001000000401e", "T 16414"},
    {"5400000002010000403300004039", "T cascade 16435 16441"},
    {"5400000002020000403900004019", "T restart 16441 16409"},
    {"5400000002030000403300004039", "T cascade restart 16435 16441"},
    {"4d000000000001534490746964656761746500000000076174206f6e6365",
     "M outside 1534490 'tidegate' 'at once'"},
    {"4d0100000000015344c8000000000400010203", "M inside 15344C8 '' '\\0\\1\\2\\3'"},
};

/* The bytes of `hex` and `more` behind them, in memory that ends where they do: the caller frees.
 */
static struct slice
unhex(const char *hex, size_t more)
{
    size_t size = strlen(hex) / 2;
    char *bytes = memory_zero(size + more + !(size + more));
    for (size_t i = 0; i < size; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        bytes[i] = (char)byte;
    }
    return (struct slice){bytes, size + more};
}

static void
assert_corrupt(struct slice bytes)
{
    struct pgoutput_message m;
    struct error err = {0};
    assert_int_equal(pgoutput_decode(bytes, &arena, &m, &err), -1);
    assert_int_equal(err.class, ERROR_CORRUPT);
    assert_true(err.message[0]);
    assert_int_equal(pgoutput_decode(bytes, &arena, &m, NULL), -1);
    arena_reset(&arena);
}

static void
messages_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(recorded); i++) {
        struct slice bytes = unhex(recorded[i].hex, 0);
        struct pgoutput_message m;
        struct error err = {0};
        assert_int_equal(pgoutput_decode(bytes, &arena, &m, &err), 0);
        assert_string_equal(print(&m), recorded[i].read);
        assert_int_equal(err.class, ERROR_NONE);
        arena_reset(&arena);
        free((char *)bytes.data);
    }
}

static void
cut_messages_are_corrupt(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(recorded); i++) {
        struct slice whole = unhex(recorded[i].hex, 0);
        for (size_t size = 0; size < whole.size; size++) {
            char *part = memory_alloc(size + !size);
            memcpy(part, whole.data, size);
            assert_corrupt((struct slice){part, size});
            free(part);
        }
        free((char *)whole.data);
    }
    assert_corrupt((struct slice){NULL, 0});
}

static void
longer_messages_are_corrupt(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(recorded); i++) {
        struct slice longer = unhex(recorded[i].hex, 1);
        assert_corrupt(longer);
        free((char *)longer.data);
    }
}

static void
wrong_messages_are_corrupt(void **state)
{
    static const char *const rows[] = {
        "43"
        "01"
        "000000000152cce0"
        "000000000152cd10"
        "000303c556f60f2e", /* flags of a Commit */
        "52"
        "00000001"
        "7000"
        "7400"
        "78"
        "0000", /* an identity x */
        "52"
        "00000001"
        "7000"
        "7400"
        "00"
        "0000", /* an identity NUL */
        "52"
        "00000001"
        "7000"
        "7400"
        "64"
        "0001"
        "02"
        "6100"
        "00000017"
        "ffffffff", /* column flags */
        "52"
        "00000001"
        "7000"
        "7474", /* a table's name without an end */
        "52"
        "00000001"
        "7000"
        "7400"
        "64"
        "0001"
        "01"
        "61616161616161616161", /* a column's */
        "52"
        "00000001"
        "7000"
        "7400"
        "64"
        "ffff"
        "01"
        "6100"
        "00000017"
        "ffffffff",
        "59"
        "00000001"
        "7000"
        "74",
        "49"
        "00000001"
        "4e"
        "0001"
        "62"
        "00000001"
        "01", /* a binary value */
        "49"
        "00000001"
        "4e"
        "0001"
        "00", /* a value of kind NUL */
        "49"
        "00000001"
        "4e"
        "0001"
        "74"
        "ffffffff"
        "31", /* its size is below 0 */
        "49"
        "00000001"
        "4e"
        "0001"
        "74"
        "7fffffff"
        "31",
        "49"
        "00000001"
        "4e"
        "ffff"
        "6e",
        "49"
        "00000001"
        "4b"
        "0001"
        "6e", /* an insert without a new row */
        "49"
        "00000001"
        "4f"
        "0001"
        "6e"
        "4e"
        "0001"
        "6e", /* … with an old one */
        "55"
        "00000001"
        "4b"
        "0001"
        "6e", /* an update without a new row */
        "55"
        "00000001"
        "4b"
        "0001"
        "6e"
        "4b"
        "0001"
        "6e",
        "55"
        "00000001"
        "4e"
        "0001"
        "6e"
        "4f"
        "0001"
        "6e",
        "44"
        "00000001"
        "4e"
        "0001"
        "6e", /* a delete without an old row */
        "44"
        "00000001"
        "4b"
        "0001"
        "6e"
        "4e"
        "0001"
        "6e", /* … with a new one */
        "54"
        "ffffffff"
        "00"
        "00000001", /* tables that are not there */
        "54"
        "40000000"
        "00",
        "54"
        "00000001"
        "04"
        "00000001",
        "4d"
        "02"
        "0000000001534490"
        "7000"
        "00000000",
        "4d"
        "00"
        "0000000001534490"
        "7000"
        "ffffffff"
        "00",
        "4d"
        "00"
        "0000000001534490"
        "70",
        "4f"
        "0000000000abcdef"
        "66",
        "53"
        "00000001"
        "01",
        "45",
        "63"
        "00",
        "41"
        "00000001"
        "00000001", /* streamed */
        "62"
        "00",
        "50"
        "00",
        "4b"
        "00",
        "72"
        "00",
        "70"
        "00", /* prepared */
        "00",
        "ff",
        "4e"
        "0000",
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct slice bytes = unhex(rows[i], 0);
        assert_corrupt(bytes);
        free((char *)bytes.data);
    }
}

/* Its text goes to people: what was wrong, and where. */
static void
errors_say_where(void **state)
{
    static const struct {
        const char *hex, *says;
    } rows[] = {
        {"", "a message from PostgreSQL is empty"},
        {"53", "a message from PostgreSQL is of kind 0x53, which was not asked for"},
        {"4200", "Begin from PostgreSQL is wrong at byte 1 of 2: it ends early"},
        {"49000000014e00016e00",
         "Insert from PostgreSQL is wrong at byte 9 of 10: bytes follow its end"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct slice bytes = unhex(rows[i].hex, 0);
        struct pgoutput_message m;
        struct error err = {0};
        assert_int_equal(pgoutput_decode(bytes, &arena, &m, &err), -1);
        assert_string_equal(err.message, rows[i].says);
        free((char *)bytes.data);
    }
}

/* The widest table that PostgreSQL can have, and a count that bytes of one value each allow. */
static void
wide_rows_read(void **state)
{
    static const unsigned counts[] = {1, 1600, UINT16_MAX};
    (void)state;
    for (size_t i = 0; i < countof(counts); i++) {
        size_t size = 8 + counts[i];
        char *bytes = memory_alloc(size);
        struct pgoutput_message m;
        memcpy(bytes, "I\0\0\0\1N", 6);
        bytes[6] = (char)(counts[i] >> 8);
        bytes[7] = (char)counts[i];
        memset(bytes + 8, 'n', counts[i]);
        assert_int_equal(pgoutput_decode((struct slice){bytes, size}, &arena, &m, NULL), 0);
        assert_int_equal(m.change.new_row.count, counts[i]);
        assert_int_equal(m.change.new_row.values[counts[i] - 1].kind, PGOUTPUT_NULL);
        assert_false(m.change.old_row.present);
        assert_corrupt((struct slice){bytes, size - 1});
        free(bytes);
    }
}

static void
frames_read(void **state)
{
    static const char keepalive[] = "6b000000000152b370000303c556f66ecf00";
    static const char urgent[] = "6b00000000015346d8000303c556fe153501";
    static const char data[] = "77000000000152cce0000000000152cce0000303c556f66ecf4200";
    struct pg_frame frame;
    struct slice bytes = unhex(keepalive, 0);
    (void)state;
    assert_int_equal(pg_frame_decode(bytes, &frame, NULL), 0);
    assert_int_equal(frame.kind, PG_FRAME_KEEPALIVE);
    assert_true(frame.end == 0x152b370 && frame.sent - PG_EPOCH == INT64_C(0x303c556f66ecf));
    assert_false(frame.reply);
    free((char *)bytes.data);
    bytes = unhex(urgent, 0);
    assert_int_equal(pg_frame_decode(bytes, &frame, NULL), 0);
    assert_true(frame.reply);
    free((char *)bytes.data);
    bytes = unhex(data, 0);
    assert_int_equal(pg_frame_decode(bytes, &frame, NULL), 0);
    assert_int_equal(frame.kind, PG_FRAME_DATA);
    assert_true(frame.start == 0x152cce0 && frame.end == 0x152cce0);
    assert_true(slice_equal(frame.message, (struct slice){"B\0", 2}));
    free((char *)bytes.data);
}

static void
wrong_frames_are_corrupt(void **state)
{
    static const char whole[] = "6b00000000015346d8000303c556fe153501";
    static const char *const rows[] = {
        "",
        "00",
        "78",
        "6b00000000015346d8000303c556fe1535",
        "6b00000000015346d8000303c556fe15350100",
        "6b00000000015346d8000303c556fe153502",
        "77",
        "77000000000152cce0000000000152cce0000303c556f66e",
    };
    (void)state;
    for (size_t i = 0; i < countof(rows) + strlen(whole) / 2; i++) {
        struct slice bytes = unhex(i < countof(rows) ? rows[i] : whole, 0);
        struct pg_frame frame;
        struct error err = {0};
        if (i >= countof(rows))
            bytes.size = i - countof(rows);
        assert_int_equal(pg_frame_decode(bytes, &frame, &err), -1);
        assert_int_equal(err.class, ERROR_CORRUPT);
        free((char *)bytes.data);
    }
}

static void
status_is_written(void **state)
{
    static const char status[] =
        "7200000016b374d84800000016b374d84800000016b374d848000303c556f66ecf";
    struct slice wanted = unhex(status, 1);
    struct buffer b;
    (void)state;
    buffer_init(&b, 100);
    for (int reply = 0; reply < 2; reply++) {
        buffer_reset(&b);
        pg_status_encode(UINT64_C(0x16b374d848), PG_EPOCH + INT64_C(0x303c556f66ecf), reply, &b);
        assert_int_equal(b.size, 34);
        assert_memory_equal(b.data, wanted.data, 33);
        assert_int_equal(b.data[33], reply);
    }
    free((char *)wanted.data);
    buffer_release(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_read),
        cmocka_unit_test(cut_messages_are_corrupt),
        cmocka_unit_test(longer_messages_are_corrupt),
        cmocka_unit_test(wrong_messages_are_corrupt),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(wide_rows_read),
        cmocka_unit_test(frames_read),
        cmocka_unit_test(wrong_frames_are_corrupt),
        cmocka_unit_test(status_is_written),
    };
    arena_init(&arena, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_release(&arena);
    return failed;
}
