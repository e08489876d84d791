/* What the channel's thread leaves for others, and when it must look again. */
#include <stdio.h>

#include "outbox/queue.h"

static const char *
state_of(const struct outbox_queue *q, const char **reason)
{
    *reason = q->reason;
    if (q->mark_error.class != ERROR_NONE) {
        *reason = q->mark_error.message;
        return "broken";
    }
    if (q->breaker)
        return q->breaker == BREAKER_DISABLED ? "disabled" : "broken";
    if (park_crowded(q)) {
        *reason = "10,000 messages wait for another try";
        return "broken";
    }
    if (q->throttled_until > clock_mono())
        return "throttled";
    *reason = "";
    return "ok";
}

/* The parked stand nearly in the order of their age. */
static int64_t
oldest_of(const struct outbox_queue *q)
{
    const struct parked *parked = TAILQ_FIRST(&q->parked);
    int64_t oldest = parked ? parked->first_at : 0;
    if (q->done_seq == q->loaded_seq)
        return oldest;
    int64_t bottom = out_window_slot(q, q->done_seq + 1)->record.created;
    return oldest && oldest < bottom ? oldest : bottom;
}

void
queue_publish(struct outbox_queue *q)
{
    pthread_mutex_lock(&q->lock);
    struct outbox_status *s = &q->status;
    const char *reason, *state = state_of(q, &reason);
    snprintf(s->state, sizeof(s->state), "%s", state);
    snprintf(s->reason, sizeof(s->reason), "%.255s", reason);
    q->loaded_waiting = q->undone + q->parked_count;
    q->loaded_to = q->loaded_seq + q->above_left;
    q->loaded_bytes = q->parked_bytes;
    s->retrying = q->parked_count - q->held_count;
    s->held = q->held_count;
    s->delivered = q->delivered;
    s->failed = q->failed;
    s->oldest = oldest_of(q);
    s->next_at = q->next_due == INT64_MAX ? 0 : q->next_due;
    pthread_mutex_unlock(&q->lock);
}

/* When a take could give something that it does not give now, as far as time decides. */
static int64_t
next_chance(struct outbox_queue *q, int64_t mono)
{
    int64_t now = clock_now();
    if (q->expiring)
        return mono;
    if (q->throttled_until > mono)
        return q->throttled_until;
    if (q->breaker == BREAKER_DISABLED)
        return INT64_MAX;
    if (q->breaker)
        return q->in_flight ? INT64_MAX : mono + (q->probe_at - now);
    if (!retry_room(q, 1, now, mono))
        return INT64_MAX;
    if (!q->in_flight && queue_first_ready(q))
        return mono;
    return q->next_due == INT64_MAX ? INT64_MAX : mono + (q->next_due - now);
}

static int64_t
next_turn(struct outbox_queue *q, int64_t mono)
{
    bool work = q->undone || q->parked_count || queue_behind(q);
    pthread_mutex_lock(&q->lock);
    bool dead = q->dead > 0;
    pthread_mutex_unlock(&q->lock);
    if (!work)
        return dead ? mono + QUEUE_PATIENCE : INT64_MAX;
    if (!store_allows_work(q->outbox->store))
        return mono + QUEUE_HICCUP;
    int64_t at = next_chance(q, mono);
    /* What is under way wakes the channel by its answer; its own room may be what is lacking. */
    if (q->in_flight && at < mono + QUEUE_BREATH)
        at = mono + QUEUE_BREATH;
    return at < mono + QUEUE_PATIENCE ? at : mono + QUEUE_PATIENCE;
}

int64_t
queue_turn(void *context)
{
    struct outbox_queue *q = context;
    bool sound = queue_adopt(q), late = false;
    if (sound && (mark_pending(q) || mark_wants_prune(q)))
        late = q->marks - q->seen >= QUEUE_MARKS || !mark_give(q);
    queue_publish(q);
    int64_t mono = clock_mono();
    if (!sound)
        return INT64_MAX;
    int64_t at = next_turn(q, mono);
    /* Killing more would only make the marks longer that the store has no room for. */
    return late && (q->expiring || at > mono + QUEUE_AGAIN) ? mono + QUEUE_AGAIN : at;
}
