/* When the next try is: back-off with full jitter for a message, breaker and pauses for a channel.
 */
#include <stdio.h>

#include "base/hash.h"
#include "base/log.h"
#include "outbox/queue.h"

#define RETRY_AFTER_MOST (24 * 3600 * CLOCK_SECOND) /* what a receiver may ask for */
#define RETRY_SPREAD     CLOCK_SECOND               /* after a Retry-After */

static int64_t
jitter(int64_t most)
{
    return most > 0 ? (int64_t)(random_u64() % ((uint64_t)most + 1)) : 0;
}

static int64_t
asked_delay(int64_t retry_after)
{
    return retry_after < RETRY_AFTER_MOST ? retry_after : RETRY_AFTER_MOST;
}

/* `attempts`: that failed so far, at least 1. */
int64_t
retry_delay(const struct channel_common *common, int attempts, int64_t retry_after)
{
    int64_t most = common->backoff.first;
    for (int i = 1; i < attempts && most < common->backoff.max; i++)
        most = most > INT64_MAX / 2 ? INT64_MAX : most * 2;
    if (most > common->backoff.max)
        most = common->backoff.max;
    if (retry_after <= 0)
        return jitter(most);
    return asked_delay(retry_after) + jitter(most < RETRY_SPREAD ? most : RETRY_SPREAD);
}

static void
close_breaker(struct outbox_queue *q)
{
    q->breaker = BREAKER_CLOSED;
    q->probe_at = 0;
    q->reason[0] = '\0';
    q->allowed = 1;
    q->dirty = true;
    log_info(q->component, "works again");
}

void
retry_succeeded(struct outbox_queue *q)
{
    q->failures = 0;
    q->reason[0] = '\0';
    if (q->breaker)
        close_breaker(q);
    else if (q->allowed < SIZE_MAX)
        q->allowed++;
}

void
retry_break(struct outbox_queue *q, const struct channel_answer *answer, bool disabled)
{
    int64_t wait = q->common.breaker.probe;
    if (asked_delay(answer->retry_after) > wait)
        wait = asked_delay(answer->retry_after);
    if (!q->breaker)
        log_warning(q->component, "%s: %s; its messages wait",
                    disabled ? "disabled by its receiver" : "broken", answer->reason);
    q->breaker = disabled ? BREAKER_DISABLED : BREAKER_OPEN;
    q->probe_at = clock_now() + wait;
    q->dirty = true;
    snprintf(q->reason, sizeof(q->reason), "%s", answer->reason);
}

void
retry_pause(struct outbox_queue *q, int64_t delay, const char *reason)
{
    int64_t until = clock_mono() + delay;
    if (until > q->throttled_until)
        q->throttled_until = until;
    q->allowed = 1;
    snprintf(q->reason, sizeof(q->reason), "%.*s", (int)sizeof(q->reason) - 1, reason);
}

/* A receiver that says when is not broken, it is busy: all pause for it. */
void
retry_failed(struct outbox_queue *q, const struct channel_answer *answer)
{
    q->failed++;
    if (answer->retry_after > 0) {
        retry_pause(q, asked_delay(answer->retry_after), answer->reason);
        if (q->breaker)
            retry_break(q, answer, false);
        return;
    }
    q->failures++;
    snprintf(q->reason, sizeof(q->reason), "%s", answer->reason);
    if (q->breaker || (q->common.breaker.failures && q->failures >= q->common.breaker.failures))
        retry_break(q, answer, false);
}

size_t
retry_room(const struct outbox_queue *q, size_t room, int64_t now, int64_t mono)
{
    if (mono < q->throttled_until || q->breaker == BREAKER_DISABLED)
        return 0;
    if (q->breaker)
        return q->in_flight || now < q->probe_at || !room ? 0 : 1;
    size_t left = q->allowed > q->in_flight ? q->allowed - q->in_flight : 0;
    return room < left ? room : left;
}
