#include "support/fake_sink.h"
#include <stdlib.h>
#include <time.h>
#include "base/clock.h"
#include "event/event_json.h"

void
fake_sink_init(struct fake_sink *sink)
{
    *sink = (struct fake_sink){0};
    pthread_mutex_init(&sink->lock, NULL);
    pthread_cond_init(&sink->changed, NULL);
    arena_init(&sink->arena, 1 << 16);
    buffer_init(&sink->position, 1 << 16);
    sink->schemas = schema_set_new(NULL, NULL);
    sink->epoch = 1;
    sink->events = memory_zero(FAKE_SINK_EVENTS * sizeof *sink->events);
}

void
fake_sink_release(struct fake_sink *sink)
{
    for (size_t i = 0; i < sink->count; i++)
        free(sink->events[i].json);
    for (size_t i = 0; i < sink->kept_count; i++)
        free(sink->kept[i]);
    free(sink->kept);
    free(sink->events);
    arena_release(&sink->arena);
    buffer_release(&sink->position);
    schema_set_free(sink->schemas);
    pthread_mutex_destroy(&sink->lock);
    pthread_cond_destroy(&sink->changed);
}

static void
take_event(struct fake_sink *sink, struct scan *records)
{
    static const struct event_shape shape;
    struct error err = {0};
    struct buffer json;
    ensure(sink->count < FAKE_SINK_EVENTS);
    struct fake_event *out = &sink->events[sink->count];
    *out = (struct fake_event){0};
    if (codec_decode(records, sink->schemas, &sink->arena, &out->event, &err) != 0)
        ensure_failed(err.message, __FILE__, __LINE__);
    out->event.epoch = sink->epoch;
    out->event.lsn = ++sink->count;
    event_row(&out->event, EVENT_NEW);
    event_row(&out->event, EVENT_OLD);
    buffer_init(&json, 1 << 30);
    event_json(&out->event, &shape, &json);
    out->json = buffer_take(&json, NULL);
}

static bool
give(void *context, struct batch *batch, uint64_t *unit)
{
    struct fake_sink *sink = context;
    pthread_mutex_lock(&sink->lock);
    bool taken = !sink->full;
    if (taken) {
        char *records = memory_slice(buffer_view(&batch->records));
        sink->kept = memory_grow(sink->kept, (sink->kept_count + 1) * sizeof *sink->kept);
        sink->kept[sink->kept_count++] = records;
        struct scan scan = scan_of((struct slice){records, batch->records.size});
        sink->epoch = batch->epoch;
        sink->ticks += batch->count == 0;
        for (uint32_t i = 0; i < batch->count; i++)
            take_event(sink, &scan);
        buffer_reset(&sink->position);
        buffer_slice(&sink->position, buffer_view(&batch->position));
        sink->watermark = batch->watermark;
        *unit = ++sink->unit;
        if (!sink->hold)
            sink->committed = sink->unit;
        batch_free(batch);
        pthread_cond_broadcast(&sink->changed);
    }
    bool poke = taken && !sink->hold && sink->wake;
    pthread_mutex_unlock(&sink->lock);
    if (poke)
        wake_poke(sink->wake);
    return taken;
}

static uint64_t
committed(void *context)
{
    struct fake_sink *sink = context;
    pthread_mutex_lock(&sink->lock);
    uint64_t unit = sink->committed;
    pthread_mutex_unlock(&sink->lock);
    return unit;
}

struct source_sink
fake_sink_of(struct fake_sink *sink)
{
    return (struct source_sink){sink, give, committed};
}

static bool
wait_for(struct fake_sink *sink, const size_t *what, size_t count, int seconds)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += seconds;
    pthread_mutex_lock(&sink->lock);
    int code = 0;
    while (*what < count && code == 0)
        code = pthread_cond_timedwait(&sink->changed, &sink->lock, &end);
    bool reached = *what >= count;
    pthread_mutex_unlock(&sink->lock);
    return reached;
}

bool
fake_sink_wait(struct fake_sink *sink, size_t count, int seconds)
{
    return wait_for(sink, &sink->count, count, seconds);
}

bool
fake_sink_wait_ticks(struct fake_sink *sink, size_t count, int seconds)
{
    return wait_for(sink, &sink->ticks, count, seconds);
}

void
fake_sink_commit(struct fake_sink *sink)
{
    pthread_mutex_lock(&sink->lock);
    sink->committed = sink->unit;
    pthread_mutex_unlock(&sink->lock);
    if (sink->wake)
        wake_poke(sink->wake);
}

void
fake_sink_set_full(struct fake_sink *sink, bool full)
{
    pthread_mutex_lock(&sink->lock);
    sink->full = full;
    pthread_mutex_unlock(&sink->lock);
    if (sink->wake)
        wake_poke(sink->wake);
}

struct source_resume
fake_sink_resume(struct fake_sink *sink)
{
    return (struct source_resume){.epoch = sink->epoch,
                                  .position = buffer_view(&sink->position),
                                  .watermark = sink->watermark,
                                  .lsn = sink->count};
}
