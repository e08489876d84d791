/* What others may ask of a source: start, stop, pause, status. The thread itself is source_loop.c.
 */
#include "source/source_run.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"

/* Where reading will go on, until the first block of this run says so. */
static void
show_position(struct source *s, struct slice position)
{
    struct buffer text;
    if (position.size == 0)
        return;
    buffer_init(&text, sizeof s->status.position);
    s->plan.driver->describe(position, &text);
    snprintf(s->status.position, sizeof s->status.position, "%s", buffer_cstring(&text));
    buffer_release(&text);
}

static void
copy_resume(struct source *s, const struct source_resume *resume)
{
    buffer_init(&s->cut, 1 << 24);
    buffer_init(&s->tail, 1 << 24);
    buffer_init(&s->next_tail, 1 << 24);
    buffer_init(&s->joined, 1 << 24);
    buffer_init(&s->durable, 1 << 24);
    buffer_slice(&s->cut, resume->position);
    buffer_slice(&s->durable, resume->position);
    s->watermark = resume->watermark;
    s->plan.resume.position = (struct slice){"", 0};
    s->context.epoch = resume->epoch ? resume->epoch : 1;
    s->gap = resume->gap.size > 0;
    if (s->gap)
        error_set(&s->lost, ERROR_LOST, "%.*s", (int)resume->gap.size, resume->gap.data);
    s->context.position = &s->durable;
    s->status.epoch = s->context.epoch;
    s->status.watermark = resume->watermark;
    show_position(s, resume->position);
}

struct source *
source_new(const struct source_plan *plan, struct error *err)
{
    if (source_plan_check(plan, err) != 0)
        return NULL;
    struct source *s = memory_zero(sizeof *s);
    if (wake_init(&s->wake, err) != 0) {
        free(s);
        return NULL;
    }
    s->plan = *plan;
    ensure(asprintf(&s->component, "source/%s", plan->name) > 0);
    ensure(pthread_mutex_init(&s->lock, NULL) == 0);
    copy_resume(s, &plan->resume);
    s->context.plan = &s->plan;
    s->context.component = s->component;
    s->context.state = memory_zero(plan->driver->state_size);
    s->status.state = SOURCE_STOPPED;
    s->status.since = clock_now();
    return s;
}

int
source_start(struct source *s, struct error *err)
{
    char name[16];
    snprintf(name, sizeof name, "src:%s", s->plan.name);
    atomic_store(&s->stop, false);
    source_set_state(s, SOURCE_CONNECTING, NULL);
    return thread_start(&s->thread, name, source_loop, s, err);
}

void
source_stop(struct source *s)
{
    atomic_store(&s->stop, true);
    wake_poke(&s->wake);
}

void
source_join(struct source *s)
{
    thread_join(&s->thread);
}

void
source_free(struct source *s)
{
    if (!s)
        return;
    source_stop(s);
    source_join(s);
    for (size_t i = 0; i < s->given_count; i++)
        free(s->given[i].position);
    free(s->given);
    if (s->batch)
        batch_free(s->batch);
    buffer_release(&s->cut);
    buffer_release(&s->tail);
    buffer_release(&s->next_tail);
    buffer_release(&s->joined);
    buffer_release(&s->durable);
    wake_release(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s->context.state);
    free(s->component);
    free(s);
}

struct wake *
source_wake(struct source *s)
{
    return &s->wake;
}

void
source_pause(struct source *s, bool paused)
{
    atomic_store(&s->paused, paused);
    wake_poke(&s->wake);
}

void
source_request_tick(struct source *s)
{
    atomic_store(&s->tick, true);
    wake_poke(&s->wake);
}

void
source_status(struct source *s, struct source_status *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->status;
    pthread_mutex_unlock(&s->lock);
}

const char *
source_name(const struct source *s)
{
    return s->plan.name;
}

void
source_set_state(struct source *s, enum source_state state, const struct error *why)
{
    pthread_mutex_lock(&s->lock);
    if (s->status.state != state)
        s->status.since = clock_now();
    s->status.state = state;
    s->status.epoch = s->context.epoch;
    if (why)
        s->status.error = *why;
    else if (state == SOURCE_STREAMING)
        s->status.error.class = ERROR_NONE;
    pthread_mutex_unlock(&s->lock);
}
