/* References into the journal: they print as they were stored to be, and a dead channel holds no
 * trimming, since what goes is copied before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "outbox/trim.h"
#include "unit/outbox/rig.h"

static const struct event_shape native = {.format = FORMAT_NATIVE};
static const struct event_shape narrow = {
    .format = FORMAT_NATIVE, .columns = (const char *const[]){"id"}, .column_count = 1};

static bool
holds(struct slice body, const char *text)
{
    return memmem(body.data, body.size, text, strlen(text)) != NULL;
}

/* Is this event n, of lsn n + 1, whole or with its id only? */
static void
check_event(const struct delivery *delivery, unsigned n, bool whole)
{
    char text[64];
    snprintf(text, sizeof(text), "\"lsn\":%u,", n + 1);
    assert_true(holds(delivery->body, text));
    snprintf(text, sizeof(text), "\"id\":%u%s", n, whole ? "," : "}");
    assert_true(holds(delivery->body, text));
    assert_int_equal(holds(delivery->body, "\"note\""), whole);
    snprintf(text, sizeof(text), "shop:1:%u", n);
    assert_true(slice_is(delivery->event_id, text));
    assert_int_equal(delivery->lsn, n + 1);
    assert_int_equal(delivery->kind, MESSAGE_EVENT);
}

static void
send_events(struct rig *r, unsigned from, unsigned to)
{
    struct outbox_draft *d = outbox_draft_new(r->outbox);
    for (unsigned n = from; n < to; n++)
        rig_put_event(d, r->q, n + 1, n % 2 ? &native : &narrow);
    rig_commit(r, d);
}

static void
take_events(struct rig *r, unsigned from, unsigned to)
{
    struct delivery *list[64];
    unsigned n = from;
    while (n < to) {
        size_t count = queue_take(r->q, list, to - n < 64 ? to - n : 64);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++, n++) {
            check_event(list[i], n, n % 2);
            rig_answer(r->q, list[i], CHANNEL_DELIVERED);
        }
    }
}

static void
test_reference(void **state)
{
    struct rig *r = *state;
    rig_open(r);
    rig_journal(r, 0, 500, 7, 20);
    send_events(r, 0, 300);
    take_events(r, 0, 300);
    rig_reopen(r); /* the shapes come from their table */
    send_events(r, 300, 500);
    take_events(r, 300, 500);
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_shape"), 2);
}

/* Out of order within the journal, from a table of retries. */
static void
test_reference_retried(void **state)
{
    struct rig *r = *state;
    struct delivery *list[64];
    r->common.backoff.first = 0;
    r->common.breaker.failures = 0;
    rig_open(r);
    rig_journal(r, 0, 64, 10, 20);
    send_events(r, 0, 64);
    for (unsigned left = 64; left > 0;) {
        size_t count = queue_take(r->q, list, 64);
        for (size_t i = 0; i < count; i++) {
            unsigned n = (unsigned)list[i]->lsn - 1;
            check_event(list[i], n, n % 2);
            bool good = list[i]->attempt > (int)(n * 7 % 5);
            rig_answer(r->q, list[i], good ? CHANNEL_DELIVERED : CHANNEL_RETRY);
            left -= good;
        }
        rig_settle(r->q);
    }
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_parked"), 0);
}

/* Asks the guard until it lets go; how often it took. */
static unsigned
guard_until(struct rig *r, uint64_t wanted)
{
    struct store_trim_guard guard = outbox_trim_guard(r->outbox);
    uint64_t before = 0;
    for (unsigned asked = 1; asked < 20000; asked++) {
        uint64_t allowed = guard.allow(guard.context, wanted);
        assert_true(allowed >= before && allowed <= wanted);
        before = allowed;
        if (allowed == wanted)
            return asked;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    fail_msg("the guard held %llu", (unsigned long long)before);
    return 0;
}

static uint64_t
trim_below(struct rig *r, uint64_t lsn)
{
    assert_true(guard_until(r, lsn) > 0);
    return journal_trim(store_journal(r->store), lsn);
}

/* Blocks of references become pieces of copies of at most a unit's size; what is delivered is the
 * same. */
static void
test_blocks_are_rewritten(void **state)
{
    struct rig *r = *state;
    enum { EVENTS = 6000, TRIM = 5000 };
    rig_open(r);
    rig_journal(r, 0, EVENTS, 50, 1000);
    send_events(r, 0, EVENTS);
    assert_int_equal(rig_sql(r, "SELECT min(min_lsn) FROM out_block"), 1);
    uint64_t oldest = trim_below(r, TRIM);
    assert_true(oldest > 1000 && oldest <= TRIM);
    assert_int_equal(rig_sql(r, "SELECT sum(n) FROM out_block"), EVENTS);
    assert_int_equal(rig_sql(r, "SELECT min(n) > 0 AND max(bytes) < 262144 + 4096 FROM out_block"),
                     1);
    assert_true(rig_status(r, 0).bytes == rig_sql(r, "SELECT sum(bytes) FROM out_block"));
    assert_true(rig_sql(r, "SELECT count(*) FROM out_block WHERE min_lsn = 0") > 10);
    /* The ring still has the references: they are read again as copies. */
    take_events(r, 0, EVENTS / 2);
    rig_settle(r->q);
    rig_reopen(r);
    take_events(r, EVENTS / 2, EVENTS);
    rig_settle(r->q);
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_block"), 0);
}

static void
test_parked_are_rewritten(void **state)
{
    struct rig *r = *state;
    enum { EVENTS = 1500 };
    struct delivery *list[64];
    r->common.breaker.failures = 0;
    r->common.backoff.first = r->common.backoff.max = 3600 * CLOCK_SECOND;
    rig_open(r);
    rig_journal(r, 0, EVENTS, 50, 2000);
    rig_journal(r, EVENTS, EVENTS + 2000, 50, 2000);
    send_events(r, 0, EVENTS);
    size_t count;
    while ((count = queue_take(r->q, list, 64)) > 0)
        for (size_t i = 0; i < count; i++)
            rig_answer(r->q, list[i], i % 2 ? CHANNEL_RETRY : CHANNEL_REJECT);
    rig_settle(r->q);
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_parked WHERE min_lsn > 0"), EVENTS);
    assert_true(trim_below(r, EVENTS) > EVENTS / 2);
    assert_int_equal(rig_sql(r, "SELECT min(min_lsn) FROM out_parked WHERE min_lsn > 0"), EVENTS);
    rig_reopen(r);
    struct parked *parked;
    TAILQ_FOREACH(parked, &r->q->parked, link)
    parked->next_at = 1;
    assert_int_equal(outbox_dead_retry(r->outbox, &(struct outbox_filter){0}, &rig_error),
                     EVENTS / 2);
    bool seen[EVENTS] = {false};
    unsigned total = 0;
    while ((count = queue_take(r->q, list, 64)) > 0)
        for (size_t i = 0; i < count; i++, total++) {
            unsigned n = (unsigned)list[i]->lsn - 1;
            check_event(list[i], n, n % 2);
            assert_false(seen[n]);
            seen[n] = true;
            rig_answer(r->q, list[i], CHANNEL_DELIVERED);
        }
    assert_int_equal(total, EVENTS);
}

/* Rewritten in its block while it is under way: the row that it gets holds the event. */
static void
test_parked_after_the_rewrite(void **state)
{
    struct rig *r = *state;
    struct delivery *list[1];
    r->common.backoff.first = 0;
    rig_open(r);
    rig_journal(r, 0, 3000, 50, 1000);
    send_events(r, 0, 1);
    assert_int_equal(queue_take(r->q, list, 1), 1);
    assert_true(trim_below(r, 2500) > 1);
    rig_answer(r->q, list[0], CHANNEL_RETRY);
    rig_settle(r->q);
    assert_int_equal(rig_sql(r, "SELECT min_lsn FROM out_parked"), 0);
    take_events(r, 0, 1);
}

static int
trim_once(unsigned what, void *context, void *statement, void *text)
{
    struct rig *r = context;
    (void)what;
    (void)text;
    if (!strstr(sqlite3_sql(statement), "SELECT message FROM out_parked"))
        return 0;
    sqlite3_trace_v2(r->q->reader, 0, NULL, NULL);
    assert_true(trim_below(r, 2500) > 1);
    return 0;
}

/* Rewritten and trimmed between the reading of its row and the look into the journal. */
static void
test_parked_is_rewritten_while_read(void **state)
{
    struct rig *r = *state;
    struct delivery *list[1];
    r->common.backoff.first = 0;
    rig_open(r);
    rig_journal(r, 0, 3000, 50, 1000);
    send_events(r, 0, 1);
    assert_int_equal(queue_take(r->q, list, 1), 1);
    rig_answer(r->q, list[0], CHANNEL_RETRY);
    rig_settle(r->q);
    rig_reopen(r);
    sqlite3_trace_v2(r->q->reader, SQLITE_TRACE_PROFILE, trim_once, r);
    take_events(r, 0, 1);
}

static int
deny(void *context, int what, const char *a, const char *b, const char *c, const char *d)
{
    (void)context, (void)what, (void)a, (void)b, (void)c, (void)d;
    return SQLITE_DENY;
}

/* Its event is gone, and whether its row was rewritten can't be read now: it waits. */
static void
test_unreadable_is_not_lost(void **state)
{
    struct rig *r = *state;
    struct delivery *list[1];
    rig_open(r);
    rig_journal(r, 0, 3000, 50, 1000);
    send_events(r, 0, 1);
    assert_true(trim_below(r, 2500) > 1);
    sqlite3_set_authorizer(r->q->reader, deny, NULL);
    assert_int_equal(queue_take(r->q, list, 1), 0);
    assert_int_equal(rig_status(r, 0).dead, 0);
    sqlite3_set_authorizer(r->q->reader, NULL, NULL);
    r->q->throttled_until = 0;
    take_events(r, 0, 1);
}

/* Blocks that grew in the table while they were in memory leave nothing behind in the count. */
static void
test_bytes_of_rewritten_blocks(void **state)
{
    struct rig *r = *state;
    struct delivery *list[1];
    rig_open(r);
    rig_journal(r, 0, 3000, 50, 1000);
    send_events(r, 0, 1000);
    assert_int_equal(queue_take(r->q, list, 1), 1);
    assert_true(trim_below(r, 2500) > 1);
    rig_answer(r->q, list[0], CHANNEL_DELIVERED);
    assert_int_equal(rig_drain(r->q), 999);
    rig_settle(r->q);
    assert_int_equal(r->q->bytes, 0);
}

/* Dead letters that grow into copies weigh what they are. */
static void
test_bytes_of_rewritten_dead(void **state)
{
    struct rig *r = *state;
    struct delivery *list[1];
    rig_open(r);
    rig_journal(r, 0, 3000, 50, 1000);
    send_events(r, 0, 100);
    while (queue_take(r->q, list, 1) > 0)
        rig_answer(r->q, list[0], CHANNEL_REJECT);
    rig_settle(r->q);
    assert_true(trim_below(r, 2500) > 1);
    pthread_mutex_lock(&r->q->lock); /* the store thread counted it */
    int64_t counted = r->q->dead_bytes;
    pthread_mutex_unlock(&r->q->lock);
    assert_int_equal(counted, rig_sql(r, "SELECT sum(length(message)) FROM out_parked"));
}

/* A block that lost its records holds trimming and is said; it ends nothing. */
static void
test_empty_block(void **state)
{
    struct rig *r = *state;
    sqlite3 *db;
    char path[512];
    rig_open(r);
    rig_journal(r, 0, 3000, 50, 1000);
    send_events(r, 0, 10);
    snprintf(path, sizeof(path), "%s/tidegate.db", r->folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_exec(db, "UPDATE out_block SET data = x'0100'", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    struct store_trim_guard guard = outbox_trim_guard(r->outbox);
    assert_int_equal(guard.allow(guard.context, 2500), 1);
}

/* Trimmed by force: no event, no message, and it says why. */
static void
test_lost(void **state)
{
    struct rig *r = *state;
    struct delivery *list[1];
    rig_open(r);
    rig_journal(r, 0, 3000, 50, 1000);
    send_events(r, 0, 1);
    assert_true(journal_trim(store_journal(r->store), 2500) > 1);
    assert_int_equal(queue_take(r->q, list, 1), 0);
    rig_settle(r->q);
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_parked WHERE state = 3 AND reason ="
                                " 'its event was trimmed from the journal'"),
                     1);
    assert_int_equal(guard_until(r, 2500) > 0, 1); /* and it holds nothing */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reference, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_reference_retried, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_blocks_are_rewritten, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_parked_are_rewritten, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_parked_after_the_rewrite, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_parked_is_rewritten_while_read, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(test_unreadable_is_not_lost, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_bytes_of_rewritten_blocks, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_bytes_of_rewritten_dead, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_empty_block, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_lost, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests_name("trim", tests, NULL, NULL);
}
