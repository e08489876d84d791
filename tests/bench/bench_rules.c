/* What rules cost in CPU time: a Lua condition per event, and an event's whole way in memory
 * (encode, seal, decode, match, draft) with no rule, one, and a thousand of which one matches. The
 * design allows an event 2.5 us from the database to the channel, so a rule that adds a tenth of
 * that keeps the whole path within 1.1 of the path without. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "event/codec.h"
#include "outbox/queue.h"
#include "rules/rules_private.h"
#include "support/event_make.h"

enum { EVENTS = 1000, ROUNDS = 100, REPEATS = 5 };

/* CPU time of this thread, µs: a busy machine must not count. */
static double
cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static struct outbox_queue queue = {.name = "out"};
static struct channel_plan plan = {.name = "out"};

static bool
find_channel(void *context, struct slice name, struct outbox_queue **out,
             const struct channel_plan **found)
{
    (void)context;
    plan.common.shape = event_shape_default;
    *out = &queue;
    *found = &plan;
    return slice_is(name, "out");
}

static void
report(void *context, const char *script, const struct error *err)
{
    (void)context;
    fprintf(stderr, "%s: %s\n", script, err->message);
    exit(1);
}

static struct rules *
load(const char *text)
{
    static const char *const sources[] = {"shop"}, *const schemas[] = {"main"};
    static const struct rules_world world = {
        .sources = sources, .source_schemas = schemas, .source_count = 1, .channel = find_channel};
    struct rules_script script = {"scripts/bench.lua", slice_of(text)};
    struct error err = {0};
    struct rules *r = rules_new(&world, &script, 1, report, NULL, &err);
    ensure(r);
    return r;
}

/* Rows with ids 0 … EVENTS - 1 of a table like those that people have. */
static struct event *
make_events(void)
{
    const struct schema *schema = event_make_schema(
        "shop", "main", "orders", "id:int:key", "customer:int", "status:text", "total:decimal",
        "city:text", "note:text:null", "created:time", "paid:bool", "weight:float", "ref:text");
    struct event *events = memory_alloc(EVENTS * sizeof(*events));
    for (int i = 0; i < EVENTS; i++) {
        char id[16], total[24], ref[32], position[16];
        snprintf(id, sizeof(id), "%d", i);
        snprintf(total, sizeof(total), "%d.%02dm", i * 7 % 5000, i % 100);
        snprintf(ref, sizeof(ref), "'ref-%08d'", i * 7919);
        snprintf(position, sizeof(position), "%d", i);
        struct row row = event_make_row(id, "4711", "'paid'", total, "'Bonn'", "null",
                                        "@2026-11-21T06:42:00Z", "true", "1.5", ref);
        events[i] = event_make(EVENT_INSERT, schema, memory_text(position), row, event_make_none());
        events[i].lsn = (uint64_t)i + 1;
    }
    return events;
}

/* The consumer's way with a block: what no rule listens to is only peeked at. */
static size_t
read_block(struct rules *r, const struct batch *batch, struct outbox *outbox)
{
    struct scan records = scan_of(buffer_view(&batch->records));
    struct outbox_draft *draft = outbox_draft_new(outbox);
    struct arena arena;
    struct error err = {0};
    uint64_t schema, lsn = 0;
    enum event_op op;
    struct slice record;
    arena_init(&arena, 0);
    while (records.at < records.end) {
        ensure(codec_peek(&records, &schema, &op, &record, &err) == 0);
        lsn++;
        if (!rules_wants(r, schema, op))
            continue;
        struct scan one = scan_of(record);
        struct event e;
        ensure(codec_decode(&one, event_make_set(), &arena, &e, &err) == 0);
        e.lsn = lsn;
        e.epoch = 1;
        dispatch_event(r, &e, draft);
        arena_reset(&arena);
    }
    size_t count = outbox_draft_count(draft);
    outbox_draft_free(draft);
    arena_release(&arena);
    return count;
}

/* µs an event for the whole way. */
static double
path(struct rules *r, const struct event *events, struct outbox *outbox, size_t expected)
{
    double best = 1e9;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        double start = cpu_now();
        for (int i = 0; i < ROUNDS; i++) {
            struct batch *batch = event_make_batch("shop", events, EVENTS, "p");
            ensure(read_block(r, batch, outbox) == expected);
            batch_free(batch);
        }
        double took = (cpu_now() - start) / (ROUNDS * EVENTS);
        best = took < best ? took : best;
    }
    return best;
}

/* µs a call for events that lie decoded in memory. */
static double
calls(struct rules *r, struct event *events, struct outbox *outbox)
{
    double best = 1e9;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        struct outbox_draft *draft = outbox_draft_new(outbox);
        double start = cpu_now();
        for (int i = 0; i < ROUNDS; i++)
            for (int k = 0; k < EVENTS; k++)
                dispatch_event(r, &events[k], draft);
        double took = (cpu_now() - start) / (ROUNDS * EVENTS);
        best = took < best ? took : best;
        outbox_draft_free(draft);
    }
    return best;
}

static char *
many_rules(const char *form, int count)
{
    struct buffer b;
    buffer_init(&b, 1 << 20);
    for (int i = 0; i < count; i++) {
        buffer_printf(&b, "rule('r%d', { on = 'shop:orders', notify = 'out', where = { ", i);
        buffer_printf(&b, form, i);
        buffer_text(&b, " } })\n");
    }
    return buffer_take(&b, NULL);
}

static void
print(const char *name, double value, const char *unit, const char *goal)
{
    printf("%-58s %8.3f %-3s goal %s\n", name, value, unit, goal);
}

static void
bench_many(const char *name, const char *form, const struct event *events, struct outbox *outbox)
{
    char *one = many_rules(form, 1), *thousand = many_rules(form, 1000);
    struct rules *few = load(one), *all = load(thousand);
    double a = path(few, events, outbox, 1), b = path(all, events, outbox, EVENTS);
    print(name, b / a, "x", "<= 2");
    rules_free(few);
    rules_free(all);
    free(one);
    free(thousand);
}

/* What a rule with one condition that no event meets costs, beside an event without rules. */
static void
bench_condition(const char *condition, struct event *events, double without, struct outbox *outbox)
{
    char text[256];
    snprintf(text, sizeof(text),
             "rule('r', { on = 'shop:orders', notify = 'out', where = { %s } })", condition);
    struct rules *r = load(text);
    print(condition, calls(r, events, outbox) - without, "us", "<= 0.25");
    rules_free(r);
}

/* The same rows with a document. */
static struct event *
make_documents(void)
{
    static const char document[] = "{\"plan\":{\"name\":\"pro\",\"seats\":17},"
                                   "\"tags\":[\"new\",\"eu\"],\"note\":\"none\"}";
    const struct schema *schema =
        event_make_schema("shop", "main", "orders", "id:int:key", "meta:document");
    struct event *events = memory_alloc(EVENTS * sizeof(*events));
    for (int i = 0; i < EVENTS; i++) {
        events[i] =
            event_make(EVENT_INSERT, schema, "1", event_make_row("1", document), event_make_none());
        events[i].lsn = (uint64_t)i + 1;
    }
    return events;
}

static void
bench_conditions(struct event *events, double without, struct outbox *outbox)
{
    static const char *const conditions[] = {
        "status = 'open'",
        "total = gt('100000.00')",
        "total = between(100000, '200000.50')",
        "ref = like('%x%')",
        "city = ilike('k%')",
        "status = any_of('open', like('o%'), is_null())",
        "status = changed_to('open')",
    };
    for (size_t i = 0; i < countof(conditions); i++)
        bench_condition(conditions[i], events, without, outbox);
    struct event *documents = make_documents();
    bench_condition("['meta.plan.seats'] = gt(20)", documents, without, outbox);
    bench_condition("['meta.tags.2'] = 'us'", documents, without, outbox);
    free(documents);
}

int
main(void)
{
    static struct outbox outbox;
    struct event *events = make_events();
    struct rules *none = load("");
    struct rules *other = load("rule('r', { on = 'shop:customers', notify = 'out' })");
    struct rules *where = load(
        "rule('r', { on = 'shop:orders', notify = 'out', where = { id = 17, status = 'paid' } })");
    struct rules *cheap = load(
        "rule('r', { on = 'shop:orders', notify = 'out', when = function(e) return false end })");
    struct rules *when = load("rule('r', { on = 'shop:orders', notify = 'out',\n"
                              "  when = function(e) return e.new.status ~= 'paid' end })");
    double base = path(none, events, &outbox, 0), without = calls(other, events, &outbox);
    print("path without rules", base, "us", "-");
    print("one C rule adds to the path", path(where, events, &outbox, 1) - base, "us", "<= 0.25");
    print("one Lua rule adds to the path", path(when, events, &outbox, 0) - base, "us", "<= 0.25");
    print("empty Lua condition, event and rule", calls(cheap, events, &outbox) - without, "us",
          "-");
    print("Lua condition on a column, event and rule", calls(when, events, &outbox) - without, "us",
          "<= 0.15");
    bench_many("1,000 rules (id = n) / one", "id = %d", events, &outbox);
    bench_many("1,000 rules (id = one_of(n, -1)) / one", "id = one_of(%d, -1)", events, &outbox);
    bench_many("1,000 rules (id = changed_to(n)) / one", "id = changed_to(%d)", events, &outbox);
    bench_conditions(events, without, &outbox);
    rules_free(none);
    rules_free(other);
    rules_free(where);
    rules_free(cheap);
    rules_free(when);
    free(events);
    return 0;
}
