/* Webhooks a second to a receiver on the same machine, through the transfer thread, with a feed
 * that costs nothing. BENCH_MESSAGES (200000), BENCH_CONCURRENCY (256), BENCH_BYTES (300). */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "channel/channel_driver.h"
#include "support/fake_feed.h"
#include "support/http_receiver.h"

static int64_t
setting(const char *name, int64_t fallback)
{
    const char *text = getenv(name);
    return text ? strtoll(text, NULL, 10) : fallback;
}

static char *
make_body(size_t size)
{
    char *body = memory_alloc(size + 16);
    snprintf(body, size + 16, "{\"id\":\"%0*d\"}", (int)size, 7);
    return body;
}

static double
cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void
fill(struct channel_plan *plan, struct arena *arena, const char *url)
{
    struct value_pair pairs[2] = {
        {slice_literal("url"), {.kind = VALUE_TEXT, .text = slice_of(url)}},
        {slice_literal("concurrency"),
         {.kind = VALUE_INT, .integer = setting("BENCH_CONCURRENCY", 256)}},
    };
    struct value map = {.kind = VALUE_MAP, .count = 2, .pairs = pairs};
    struct error err;
    plan->driver = channel_driver_find(slice_literal("webhook"));
    ensure(channel_plan_apply(plan, &map, arena, "bench", &err) == 0);
}

/* Most of a second's rate: the feed holds everything before the channel starts. */
static double
measure(struct channel_plan *plan, size_t messages)
{
    struct fake_feed *feed = fake_feed_new();
    char *body = make_body((size_t)setting("BENCH_BYTES", 300));
    struct channel *channel;
    struct error err;
    int64_t start;
    double rate;
    for (size_t i = 0; i < messages; i++)
        fake_feed_add(feed, MESSAGE_EVENT, body, NULL);
    plan->feed = fake_feed_feed(feed);
    channel = channel_new(plan, &err);
    ensure(channel);
    start = clock_mono();
    ensure(channel_start(channel, &err) == 0);
    while (!fake_feed_wait(feed, messages))
        ;
    rate = (double)messages * 1e6 / (double)(clock_mono() - start);
    for (size_t i = 0; i < messages; i++)
        ensure(fake_feed_answer(feed, i).class == CHANNEL_DELIVERED);
    channel_stop(channel);
    channel_free(channel);
    fake_feed_free(feed);
    free(body);
    return rate;
}

int
main(void)
{
    size_t messages = (size_t)setting("BENCH_MESSAGES", 200000);
    struct http_receiver *receiver = http_receiver_new();
    struct channel_plan plan = {.name = "bench", .allow_private = true};
    struct arena arena;
    struct error err;
    char url[64];
    arena_init(&arena, 0);
    http_receiver_keep(receiver, false);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/hook", http_receiver_port(receiver));
    fill(&plan, &arena, url);
    plan.transfer = transfer_new(&err);
    ensure(plan.transfer);
    for (int run = 0; run < 3; run++) {
        double before = cpu_seconds();
        double rate = measure(&plan, messages);
        printf(
            "webhook: %.0f messages/s, %lld in flight, %.1f us of CPU a message (receiver too)\n",
            rate, (long long)plan.common.concurrency,
            (cpu_seconds() - before) * 1e6 / (double)messages);
    }
    printf("webhook: %zu connections\n", http_receiver_connections(receiver));
    transfer_free(plan.transfer);
    http_receiver_free(receiver);
    arena_release(&arena);
    return 0;
}
