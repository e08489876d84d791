/* Readers: behind and ahead, ring and disk, across segments, while others write, trim and reuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "event/codec.h"
#include "support/event_make.h"
#include "support/journal_make.h"

enum { SEGMENT = 16 * 1024, BYTES = 600, BLOCKS = 200 };

static struct error err;

static int
setup(void **state)
{
    *state = folder_make("reader");
    err = (struct error){0};
    return 0;
}

static int
teardown(void **state)
{
    folder_remove(*state);
    return 0;
}

static struct journal *
open_with(const char *folder, int64_t ring)
{
    struct journal_options options = {folder, SEGMENT, ring};
    struct journal *j = journal_open(&options, &err);
    if (!j)
        fail_msg("%s", err.message);
    return j;
}

/* Block n has n % 3 events (so every third is a tick) and every 50th is larger than a segment. */
static unsigned
events_of(unsigned n)
{
    return n % 3;
}

static size_t
bytes_of(unsigned n)
{
    return n % 50 == 49 ? 3 * SEGMENT : BYTES;
}

/* The first lsn of block n. */
static uint64_t
lsn_of(unsigned n)
{
    uint64_t lsn = 1;
    for (unsigned i = 1; i < n; i++)
        lsn += events_of(i);
    return lsn;
}

static void
put(struct journal *j, unsigned from, unsigned to)
{
    for (unsigned n = from; n <= to; n++) {
        struct batch *b = batch_make("shop", n, events_of(n), bytes_of(n));
        assert_int_equal(journal_write(j, b, &err), 0);
        batch_free(b);
        if (n % 4 == 0 || n == to)
            assert_int_equal(journal_sync(j, &err), 0);
    }
}

static void
expect_block(struct journal_reader *r, unsigned n)
{
    struct journal_block block;
    if (journal_read(r, &block, &err) != 1)
        fail_msg("block %u is not there: %s", n, err.message);
    const char *differs = batch_differs(&block, "shop", n, events_of(n), bytes_of(n));
    if (differs)
        fail_msg("block %u has another %s", n, differs);
    assert_int_equal(block.first_lsn, lsn_of(n));
    assert_true(block.written > 0);
}

static void
expect_end(struct journal_reader *r)
{
    struct journal_block block;
    assert_int_equal(journal_read(r, &block, &err), 0);
}

/* Which block journal_read gives for an lsn. */
static unsigned
holder_of(uint64_t lsn)
{
    unsigned n = 1;
    while (lsn_of(n) + events_of(n) <= lsn)
        n++;
    return n;
}

static const int64_t rings[] = {1, 4000, 20000, 8 * 1024 * 1024};

static void
test_ring_and_disk_give_the_same(void **state)
{
    struct journal *j = open_with(*state, 0);
    put(j, 1, BLOCKS);
    journal_close(j);
    for (size_t i = 0; i < countof(rings); i++) {
        j = open_with(*state, rings[i]);
        unsigned from = BLOCKS + 1 + 60 * (unsigned)i;
        put(j, from, from + 59);
        struct journal_reader *r = journal_reader_open(j);
        for (unsigned n = 1; n <= from + 59; n++)
            expect_block(r, n);
        expect_end(r);
        journal_reader_close(r);
        journal_close(j);
    }
}

static void
test_seek_every_lsn(void **state)
{
    for (size_t i = 0; i < countof(rings); i++) {
        char *folder = folder_make("seek");
        struct journal *j = open_with(folder, rings[i]);
        put(j, 1, BLOCKS);
        struct journal_reader *r = journal_reader_open(j);
        for (uint64_t lsn = 1; lsn <= journal_newest(j); lsn++) {
            unsigned n = holder_of(lsn);
            journal_seek(r, lsn);
            expect_block(r, n);
            if (n < BLOCKS)
                expect_block(r, n + 1);
        }
        journal_seek(r, 0);
        expect_block(r, 1);
        journal_reader_close(r);
        journal_close(j);
        folder_remove(folder);
    }
    (void)state;
}

static void
test_at_the_end(void **state)
{
    for (size_t i = 0; i < countof(rings); i++) {
        char *folder = folder_make("end");
        struct journal *j = open_with(folder, rings[i]);
        struct journal_reader *r = journal_reader_open(j);
        journal_seek(r, 1);
        expect_end(r);
        put(j, 1, 1);
        expect_block(r, 1);
        expect_end(r);
        put(j, 2, 3); /* the third is a tick */
        journal_seek(r, 4);
        expect_end(r);
        put(j, 4, 9);
        expect_block(r, 4);
        for (unsigned n = 5; n <= 9; n++)
            expect_block(r, n);
        journal_seek(r, journal_newest(j) + 1);
        expect_end(r);
        put(j, 10, 12);
        for (unsigned n = 10; n <= 12; n++)
            expect_block(r, n);
        expect_end(r);
        journal_reader_close(r);
        journal_close(j);
        folder_remove(folder);
    }
    (void)state;
}

/* A tick written after a seek past the newest event is given, with the clock it brings. */
static void
test_ticks_reach_a_waiting_reader(void **state)
{
    struct journal *j = open_with(*state, 0);
    struct journal_reader *r = journal_reader_open(j);
    put(j, 1, 2);
    journal_seek(r, 4);
    expect_end(r);
    put(j, 3, 3);
    expect_block(r, 3);
    journal_reader_close(r);
    journal_close(j);
}

static void
test_lsn_beyond_the_newest(void **state)
{
    struct journal *j = open_with(*state, 0);
    struct journal_reader *r = journal_reader_open(j);
    put(j, 1, 2);
    journal_seek(r, lsn_of(8));
    expect_end(r);
    put(j, 3, 20);
    for (unsigned n = 8; n <= 20; n++)
        expect_block(r, n);
    journal_reader_close(r);
    journal_close(j);
}

/* What a reader was given stays whole while the ring moves on. */
static void
test_given_block_stays(void **state)
{
    struct journal *j = open_with(*state, 4000);
    struct journal_reader *r = journal_reader_open(j);
    struct journal_block block;
    put(j, 1, 2);
    journal_seek(r, 2);
    assert_int_equal(journal_read(r, &block, &err), 1);
    put(j, 3, 100);
    assert_null(batch_differs(&block, "shop", 2, events_of(2), bytes_of(2)));
    journal_reader_close(r);
    journal_close(j);
}

static void
housekeep(struct journal *j)
{
    int did;
    while ((did = journal_housekeep(j, &err)) == 1)
        ;
    assert_int_equal(did, 0);
}

/* Trimmed under a reader that stands in the middle: it goes on with the oldest that is kept, also
 * when the file that it had open is written anew. */
static void
test_trim_while_reading(void **state)
{
    for (size_t i = 0; i < countof(rings); i++) {
        char *folder = folder_make("trim");
        struct journal *j = open_with(folder, rings[i]);
        struct journal_reader *r = journal_reader_open(j);
        struct journal_block block;
        put(j, 1, BLOCKS);
        for (unsigned n = 1; n <= 10; n++)
            expect_block(r, n);
        uint64_t oldest = journal_trim(j, lsn_of(150));
        assert_true(oldest > lsn_of(50) && oldest <= lsn_of(150));
        housekeep(j);
        put(j, BLOCKS + 1, BLOCKS + 60); /* into reused files */
        assert_int_equal(journal_read(r, &block, &err), 1);
        assert_int_equal(block.first_lsn, oldest);
        journal_seek(r, 5);
        assert_int_equal(journal_read(r, &block, &err), 1);
        assert_int_equal(block.first_lsn, oldest);
        unsigned n = holder_of(oldest);
        journal_seek(r, oldest);
        for (; n <= BLOCKS + 60; n++)
            expect_block(r, n);
        expect_end(r);
        journal_reader_close(r);
        housekeep(j);
        journal_close(j);
        folder_remove(folder);
    }
    (void)state;
}

/* Real events, through the codec. */
static void
test_events_come_back(void **state)
{
    const struct schema *schema =
        event_make_schema("shop", "main", "orders", "id:int:key", "status:text");
    struct journal *j = open_with(*state, 0);
    struct event made[3];
    for (int i = 0; i < 3; i++) {
        made[i] = event_make(EVENT_INSERT, schema, i == 1 ? "18" : "17",
                             event_make_row("1", "'paid'"), event_make_none());
    }
    struct batch *b = event_make_batch("shop", made, countof(made), "19");
    assert_int_equal(journal_write(j, b, &err), 0);
    assert_int_equal(journal_sync(j, &err), 0);
    batch_free(b);
    struct journal_reader *r = journal_reader_open(j);
    struct journal_block block;
    assert_int_equal(journal_read(r, &block, &err), 1);
    assert_int_equal(block.count, 3);
    struct scan scan = scan_of(block.records);
    struct arena arena;
    arena_init(&arena, 0);
    for (int i = 0; i < 3; i++) {
        struct event e;
        assert_int_equal(codec_decode(&scan, event_make_set(), &arena, &e, &err), 0);
        assert_true(slice_equal(e.position, made[i].position));
        assert_int_equal(event_value(&e, EVENT_NEW, 0)->integer, 1);
        assert_true(slice_is(event_value(&e, EVENT_NEW, 1)->text, "paid"));
    }
    assert_true(scan.at == scan.end);
    arena_release(&arena);
    journal_reader_close(r);
    journal_close(j);
}

/* One writer, one housekeeper that also trims, three readers: one from the start, one that seeks
 * here and there, one that waits for wake-ups. Each block that anyone gets is whole and in order.
 */
enum { CONCURRENT = 1500 };

struct shared {
    struct journal *journal;
    atomic_bool done;
    atomic_uint failures;
    atomic_uint read;
};

static void
complain(struct shared *s, const char *what, const struct error *e)
{
    if (atomic_fetch_add(&s->failures, 1) == 0)
        fprintf(stderr, "%s: %s\n", what, e ? e->message : "");
}

/* The number of a made block stands in its position; 0 when it is not what was made. */
static unsigned
check_made(const struct journal_block *block)
{
    char text[16] = "";
    size_t size = block->position.size < 15 ? block->position.size : 15;
    memcpy(text, block->position.data, size);
    unsigned n = (unsigned)strtoul(text + 3, NULL, 10);
    return batch_differs(block, "shop", n, events_of(n), bytes_of(n)) ? 0 : n;
}

static void
write_all(void *arg)
{
    struct shared *s = arg;
    struct error e;
    for (unsigned n = 1; n <= CONCURRENT; n++) {
        struct batch *b = batch_make("shop", n, events_of(n), bytes_of(n));
        if (journal_write(s->journal, b, &e) != 0 ||
            (n % 3 == 0 && journal_sync(s->journal, &e) != 0))
            complain(s, "write", &e);
        batch_free(b);
    }
    if (journal_sync(s->journal, &e) != 0)
        complain(s, "sync", &e);
    atomic_store(&s->done, true);
}

static void
read_on(void *arg)
{
    struct shared *s = arg;
    struct journal_reader *r = journal_reader_open(s->journal);
    struct journal_block block;
    struct error e = {0};
    unsigned before = 0;
    for (;;) {
        bool done = atomic_load(&s->done);
        int got = journal_read(r, &block, &e);
        if (got < 0) {
            complain(s, "read", &e);
            break;
        }
        if (got == 0 && done)
            break;
        if (got == 0)
            continue;
        unsigned n = check_made(&block);
        if (n <= before)
            complain(s, "order", NULL);
        before = n;
        atomic_fetch_add(&s->read, 1);
    }
    if (before != CONCURRENT)
        complain(s, "the last block is not there", NULL);
    journal_reader_close(r);
}

static void
read_about(void *arg)
{
    struct shared *s = arg;
    struct journal_reader *r = journal_reader_open(s->journal);
    struct journal_block block;
    struct error e = {0};
    uint64_t random = 1;
    while (!atomic_load(&s->done)) {
        uint64_t newest = journal_newest(s->journal);
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t lsn = newest ? 1 + (random >> 33) % newest : 1;
        journal_seek(r, lsn);
        int got = journal_read(r, &block, &e);
        if (got < 0)
            complain(s, "seek", &e);
        if (got == 1 && (check_made(&block) == 0 || (block.first_lsn > lsn && lsn > newest)))
            complain(s, "another block", NULL);
        if (random % 64 == 0 && journal_find_time(s->journal, clock_now() - 1000, &e) == 0)
            complain(s, "time", &e);
    }
    journal_reader_close(r);
}

static void
read_when_woken(void *arg)
{
    struct shared *s = arg;
    struct journal_reader *r = journal_reader_open(s->journal);
    struct journal_block block;
    struct error e = {0};
    struct wake wake;
    uint64_t next = 1;
    if (wake_init(&wake, &e) != 0)
        complain(s, "wake", &e);
    journal_subscribe(s->journal, &wake);
    while (next < lsn_of(CONCURRENT + 1)) {
        int got = journal_read(r, &block, &e);
        if (got < 0) {
            complain(s, "woken", &e);
            break;
        }
        if (got == 0 && !wake_wait(&wake, 10 * CLOCK_SECOND)) {
            complain(s, "nobody woke the reader", NULL);
            break;
        }
        if (got == 1)
            next = block.first_lsn + block.count;
    }
    journal_unsubscribe(s->journal, &wake);
    wake_release(&wake);
    journal_reader_close(r);
}

static void
keep_house(void *arg)
{
    struct shared *s = arg;
    struct error e = {0};
    while (!atomic_load(&s->done)) {
        struct journal_source source;
        struct journal_segment_info info;
        int did = journal_housekeep(s->journal, &e);
        if (did < 0)
            complain(s, "housekeep", &e);
        if (journal_oldest_segment(s->journal, &info) &&
            info.last_lsn + 400 < journal_newest(s->journal))
            journal_trim(s->journal, info.last_lsn + 1);
        if (journal_source_get(s->journal, "shop", &source) == 0)
            free(source.position);
        if (journal_bytes(s->journal) < 0)
            complain(s, "bytes", NULL);
        if (did == 0)
            usleep(200);
    }
}

static void
test_all_at_once(void **state)
{
    static void (*const bodies[])(void *) = {write_all, read_on, read_about, read_when_woken,
                                             keep_house};
    struct thread threads[countof(bodies)] = {0};
    struct shared s = {.journal = open_with(*state, 30000)};
    for (size_t i = 0; i < countof(bodies); i++)
        assert_int_equal(thread_start(&threads[i], "test", bodies[i], &s, &err), 0);
    for (size_t i = 0; i < countof(bodies); i++)
        thread_join(&threads[i]);
    assert_int_equal(atomic_load(&s.failures), 0);
    assert_true(atomic_load(&s.read) > 100);
    assert_int_equal(journal_newest(s.journal), lsn_of(CONCURRENT + 1) - 1);
    journal_close(s.journal);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_ring_and_disk_give_the_same),
        CASE(test_seek_every_lsn),
        CASE(test_at_the_end),
        CASE(test_ticks_reach_a_waiting_reader),
        CASE(test_lsn_beyond_the_newest),
        CASE(test_given_block_stays),
        CASE(test_trim_while_reading),
        CASE(test_events_come_back),
        CASE(test_all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
