/* The whole queue against a model: random messages, answers, trims and stops, among them kills in
 * the middle of a step. In the end every message was delivered or is dead, first arrivals of a key
 * rise, ids never change, and the cursor never passed a message that was neither. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/outbox/rig.h"

enum { MESSAGES = 40000, KEYS = 60, LIVES = 60, STEPS = 250, ATTEMPTS = 6 };

/* What the world has seen: it outlives the process that is killed. */
struct ledger {
    uint64_t seed;
    unsigned sent;      /* drafts up to here may be committed */
    unsigned committed; /* and up to here are */
    unsigned lives, cleanly;
    bool calm; /* all is delivered from now on */
    bool failed;
    char failure[256];
    struct {
        uint32_t arrivals;
        uint64_t key;
        bool dead;
        bool freed; /* it died once; a kill may have forgotten that after a later one went out */
    } messages[MESSAGES];
    int64_t newest[KEYS]; /* the newest first arrival of each key */
};

static struct ledger *ledger;

static unsigned
any(unsigned most)
{
    ledger->seed = ledger->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((ledger->seed >> 33) % most);
}

static void
wrong(const char *what, unsigned number)
{
    if (!ledger->failed)
        snprintf(ledger->failure, sizeof(ledger->failure), "%s: message %u, life %u", what, number,
                 ledger->lives);
    ledger->failed = true;
}

static void
send_some(struct rig *r)
{
    unsigned count = 1 + any(any(10) ? 20 : 1500);
    if (ledger->committed + count > MESSAGES)
        return;
    struct outbox_draft *d = outbox_draft_new(r->outbox);
    for (unsigned i = ledger->committed; i < ledger->committed + count; i++) {
        ledger->messages[i].key = any(2) ? any(KEYS) : any(3); /* some are hot */
        rig_put(d, r->q, ledger->messages[i].key + 1, i);
        if (any(40) == 0) { /* a rule that fails */
            size_t mark = outbox_draft_mark(d);
            rig_put(d, r->q, 1, MESSAGES + 1);
            outbox_draft_cut(d, mark);
        }
    }
    ledger->sent = ledger->committed + count;
    rig_commit_as(r, d, any(4) == 0);
    ledger->committed = ledger->sent;
}

/* A start finds out whether the last transaction was committed. */
static void
find_committed(struct rig *r)
{
    int64_t newest =
        rig_sql(r, "SELECT max((SELECT ifnull(max(first_seq + n - 1), 0) FROM out_block),"
                   " (SELECT ifnull(max(done_seq), 0) FROM out_cursor))");
    if (newest != ledger->committed && newest != ledger->sent)
        wrong("neither committed nor not", (unsigned)newest);
    ledger->committed = ledger->sent = (unsigned)newest;
}

static void
check_delivery(const struct delivery *delivery)
{
    unsigned number = rig_number(delivery), id;
    char text[40];
    if (number >= ledger->committed) {
        wrong("sent before its transaction", number);
        return;
    }
    uint8_t bytes[16] = {0};
    memcpy(bytes, &number, sizeof(id));
    if (strcmp(message_id_text(bytes, text), delivery->id) != 0)
        wrong("another id", number);
    if (ledger->messages[number].dead)
        wrong("sent although dead", number);
}

static void
arrive(unsigned number)
{
    int64_t *newest = &ledger->newest[ledger->messages[number].key];
    if (ledger->messages[number].arrivals++ == 0) {
        if (*newest > (int64_t)number && !ledger->messages[number].freed)
            wrong("overtook an earlier one of its key", number);
        *newest = number;
    }
}

static enum channel_class
answer_for(unsigned mood)
{
    static const unsigned good[] = {100, 90, 50, 0};
    unsigned n = any(100);
    if (ledger->calm || n < good[mood])
        return CHANNEL_DELIVERED;
    n = any(100);
    return n < 70 ? CHANNEL_RETRY : n < 90 ? CHANNEL_BROKEN : CHANNEL_REJECT;
}

static bool
deliver_one(struct outbox_queue *q, struct delivery *delivery, unsigned mood)
{
    unsigned number = rig_number(delivery);
    enum channel_class class = answer_for(mood);
    check_delivery(delivery);
    if (class == CHANNEL_DELIVERED)
        arrive(number);
    if (class == CHANNEL_REJECT)
        ledger->messages[number].dead = true;
    if (class == CHANNEL_REJECT || delivery->attempt >= ATTEMPTS)
        ledger->messages[number].freed = true;
    rig_answer(q, delivery, class);
    return class == CHANNEL_DELIVERED;
}

/* A channel that keeps the order of a list delivers nothing behind the first that fails. */
static void
deliver_list(struct outbox_queue *q, struct delivery **list, size_t count, unsigned mood)
{
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        if (good)
            good = deliver_one(q, list[i], mood);
        else
            rig_answer(q, list[i], CHANNEL_BROKEN);
    }
}

/* A rejection that a kill forgot is no dead letter. */
static int
mark_dead(void *context, const struct outbox_dead *dead)
{
    unsigned number = 0;
    (void)context;
    for (size_t i = 0; i < dead->body.size; i++)
        number = number * 10 + (unsigned)(dead->body.data[i] - '0');
    ledger->messages[number].dead = true;
    return 0;
}

static void
find_dead(struct rig *r)
{
    for (unsigned i = 0; i < MESSAGES; i++)
        ledger->messages[i].dead = false;
    rig_must(outbox_dead_list(r->outbox, &(struct outbox_filter){0}, mark_dead, NULL, &rig_error) ==
             0);
}

/* The seqs that have a row. */
static bool *
list_parked(struct rig *r)
{
    sqlite3_stmt *rows = NULL;
    bool *parked = memory_zero(MESSAGES + 1);
    sqlite3 *db = store_reader(r->store, &rig_error);
    rig_must(db && sqlite3_prepare_v2(db, "SELECT seq FROM out_parked", -1, &rows, NULL) == 0);
    while (sqlite3_step(rows) == SQLITE_ROW)
        parked[sqlite3_column_int64(rows, 0)] = true;
    sqlite3_finalize(rows);
    sql_close(db);
    return parked;
}

/* All below the cursor, and all that it says of above, is delivered, parked or dead; and none has a
 * row before an earlier one of its key that has none and is not done. */
static void
check_cursor(struct rig *r)
{
    bool *parked = list_parked(r), open[KEYS] = {false};
    for (uint64_t seq = 1; seq <= r->q->done_seq + QUEUE_WINDOW && seq <= ledger->committed;
         seq++) {
        uint64_t bit = seq - r->q->done_seq - 1;
        uint64_t key = ledger->messages[seq - 1].key;
        bool passed = seq <= r->q->done_seq || r->q->above[bit / 8] & 1u << bit % 8;
        if (passed && !parked[seq] && !ledger->messages[seq - 1].arrivals)
            wrong("the cursor passed it", (unsigned)seq - 1);
        if (parked[seq] && open[key] && !ledger->messages[seq - 1].freed)
            wrong("parked before an earlier one of its key", (unsigned)seq - 1);
        if (!passed)
            open[key] = true;
    }
    free(parked);
}

static void
step(struct rig *r, struct delivery **held, size_t *held_count, unsigned mood)
{
    struct delivery *list[300];
    if (any(3) == 0)
        send_some(r);
    size_t count = queue_take(r->q, list, 1 + any(300));
    if (r->q->in_order) {
        deliver_list(r->q, list, count, mood);
        count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (*held_count < 64 && any(8) == 0)
            held[(*held_count)++] = list[i];
        else
            deliver_one(r->q, list[i], mood);
    }
    while (*held_count && any(3))
        deliver_one(r->q, held[--*held_count], mood);
    queue_turn(r->q);
}

/* One process: it ends cleanly, or in the middle of something. */
static void
live(struct rig *r, bool last)
{
    struct delivery *held[64];
    size_t held_count = 0;
    unsigned steps = 1 + any(STEPS), mood = any(4);
    bool cleanly = last || any(4) == 0;
    r->common.order = ORDER_KEY;
    rig_open(r);
    r->q->in_order = any(2);
    find_committed(r);
    find_dead(r);
    check_cursor(r);
    if (!cleanly && any(2) == 0)
        alarm(1); /* a kill from outside, some time */
    for (unsigned i = 0; i < steps && !ledger->failed; i++) {
        step(r, held, &held_count, mood);
        if (any(20) == 0)
            mood = any(4);
    }
    while (last && !ledger->failed && (held_count || rig_status(r, 0).waiting)) {
        while (held_count)
            deliver_one(r->q, held[--held_count], 0);
        step(r, held, &held_count, 0);
    }
    if (!cleanly && !ledger->failed)
        raise(SIGKILL);
    for (size_t i = 0; i < held_count; i++)
        deliver_one(r->q, held[i], mood);
    ledger->cleanly++;
    rig_close(r, true);
}

static void
run_life(struct rig *r, bool last)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        live(r, last);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    ledger->lives++;
    if (ledger->failed)
        fail_msg("%s", ledger->failure);
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGALRM)
        fail_msg("life %u ended by signal %d", ledger->lives, WTERMSIG(status));
    if (last)
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
check_end(struct rig *r)
{
    uint64_t arrivals = 0;
    unsigned dead = 0;
    rig_open(r);
    find_dead(r);
    for (unsigned i = 0; i < ledger->committed; i++) {
        arrivals += ledger->messages[i].arrivals;
        dead += ledger->messages[i].dead;
        if (!ledger->messages[i].arrivals && !ledger->messages[i].dead)
            fail_msg("message %u is lost", i);
    }
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_block"), 0);
    assert_int_equal(rig_sql(r, "SELECT count(*) FROM out_parked WHERE state <> 3"), 0);
    assert_int_equal(rig_sql(r, "SELECT done_seq FROM out_cursor"), ledger->committed);
    print_message("  %u messages, %llu arrivals, %u dead, %u lives, %u ended cleanly\n",
                  ledger->committed, (unsigned long long)arrivals, dead, ledger->lives,
                  ledger->cleanly);
    assert_true(ledger->committed > 1000 && arrivals >= ledger->committed - dead);
}

static void
run_model(uint64_t seed)
{
    struct rig r;
    rig_init(&r);
    r.common.attempts = ATTEMPTS;
    r.common.backoff.first = 500;
    r.common.backoff.max = 5000;
    r.common.breaker.failures = 30;
    r.common.breaker.probe = 1000;
    memset(ledger, 0, sizeof(*ledger));
    for (unsigned i = 0; i < KEYS; i++)
        ledger->newest[i] = -1;
    ledger->seed = seed;
    for (unsigned i = 0; i < LIVES; i++)
        run_life(&r, false);
    ledger->calm = true;
    run_life(&r, true);
    check_end(&r);
    rig_release(&r);
}

static void
test_lives(void **state)
{
    (void)state;
    const char *given = getenv("MODEL_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20261121;
    ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(ledger, MAP_FAILED);
    print_message("  MODEL_SEED=%llu\n", (unsigned long long)seed);
    run_model(seed);
    munmap(ledger, sizeof(*ledger));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lives),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
