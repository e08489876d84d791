/* Messages a second into the outbox (rules to committed block) and out of it (taken, answered,
 * marked), alone and with a million waiting on a dead channel. Goals: 200,000 each, within 10 % of
 * that. BENCH_MESSAGES (1000000)  BENCH_DEAD (1000000) */
#include "unit/outbox/rig.h"

enum { BATCH = 2000, TAKE = 1024, RUNS = 5, EVENTS = 20000 };

struct figures {
    double append, take, event;
};

static const struct event_shape native = {.format = FORMAT_NATIVE};

static unsigned
setting(const char *name, unsigned fallback)
{
    const char *text = getenv(name);
    return text ? (unsigned)strtoul(text, NULL, 10) : fallback;
}

static double
rate(unsigned messages, int64_t began)
{
    return messages * 1e6 / (double)(clock_mono() - began);
}

/* A unit for each batch, as a consumer commits them; not waited for, as a consumer goes on. */
static void
append(struct rig *r, struct outbox_queue *q, unsigned count, bool events)
{
    struct wake wake;
    rig_must(wake_init(&wake, &rig_error) == 0);
    struct store_producer *producer = store_producer_open(r->store, "bench", 0, &wake);
    uint64_t number = 0;
    for (unsigned at = 0; at < count; at += BATCH) {
        struct rig_unit *unit = memory_zero(sizeof(*unit));
        unit->draft = outbox_draft_new(r->outbox);
        for (unsigned i = at; i < at + BATCH; i++) {
            if (events)
                rig_put_event(unit->draft, q, i % EVENTS + 1, &native);
            else
                rig_put(unit->draft, q, i, i);
        }
        unit->work = (struct store_work){
            .run = rig_run, .done = rig_done, .bytes = outbox_draft_bytes(unit->draft)};
        while (!store_give_work(producer, &unit->work, &number))
            wake_wait(&wake, CLOCK_SECOND);
    }
    while (store_committed(producer) < number)
        wake_wait(&wake, CLOCK_SECOND);
    store_producer_close(producer);
    wake_release(&wake);
}

/* As a channel's thread does. */
static void
take(struct outbox_queue *q, unsigned count)
{
    static struct delivery *list[TAKE];
    for (unsigned done = 0; done < count;) {
        size_t taken = queue_take(q, list, TAKE);
        rig_must(taken > 0);
        for (size_t i = 0; i < taken; i++)
            queue_answer(q, list[i], &(struct channel_answer){.class = CHANNEL_DELIVERED});
        queue_turn(q);
        done += (unsigned)taken;
    }
    rig_settle(q);
}

static struct figures
measure(struct rig *r, unsigned messages)
{
    struct figures f;
    int64_t began = clock_mono();
    append(r, r->q, messages, false);
    f.append = rate(messages, began);
    began = clock_mono();
    take(r->q, messages);
    f.take = rate(messages, began);
    append(r, r->q, messages, true);
    began = clock_mono();
    take(r->q, messages);
    f.event = rate(messages, began);
    return f;
}

static int
by_value(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}

static double
median(double values[RUNS])
{
    qsort(values, RUNS, sizeof(*values), by_value);
    return values[RUNS / 2];
}

static void
start(struct rig *r, unsigned dead)
{
    rig_init(r);
    r->queue_count = RIG_QUEUES;
    r->store_options.segment_bytes = 0;
    rig_open(r);
    r->q->in_order = true;
    rig_journal(r, 0, EVENTS, 1000, 100);
    append(r, r->queues[RIG_QUEUES - 1], dead, false);
}

static struct figures
report(double rates[3][RUNS], const char *when)
{
    struct figures f = {median(rates[0]), median(rates[1]), median(rates[2])};
    printf("outbox, %s: append %.0f messages/s, take %.0f messages/s, "
           "take of events read and printed %.0f messages/s\n",
           when, f.append, f.take, f.event);
    return f;
}

/* Both in turn, so that what else the machine does meets both. */
int
main(void)
{
    unsigned messages = setting("BENCH_MESSAGES", 1000000) / BATCH * BATCH;
    unsigned dead = setting("BENCH_DEAD", 1000000) / BATCH * BATCH;
    struct rig rigs[2];
    double rates[2][3][RUNS];
    start(&rigs[0], 0);
    start(&rigs[1], dead);
    for (unsigned run = 0; run < RUNS; run++) {
        for (unsigned i = 0; i < 2; i++) {
            struct figures f = measure(&rigs[i], messages);
            rates[i][0][run] = f.append;
            rates[i][1][run] = f.take;
            rates[i][2][run] = f.event;
        }
    }
    struct figures alone = report(rates[0], "alone");
    printf("outbox: %u messages wait on a dead channel\n", dead);
    struct figures beside = report(rates[1], "beside it");
    printf("outbox: append %.2f, take %.2f of what it does alone\n", beside.append / alone.append,
           beside.take / alone.take);
    rig_release(&rigs[0]);
    rig_release(&rigs[1]);
    return 0;
}
