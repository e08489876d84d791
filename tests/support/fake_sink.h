/* A sink for tests of sources: keeps every batch that it is given, decodes its events, and says
 * what is durable at once or when the test allows it. */
#ifndef SUPPORT_FAKE_SINK_H
#define SUPPORT_FAKE_SINK_H

#include "event/codec.h"
#include "source/source.h"

#define FAKE_SINK_EVENTS                                                                           \
    65536 /* in all; events never move, so that a test may read the older ones */

struct fake_event {
    struct event event; /* decoded; lives as long as the sink */
    char *json;         /* native form */
};

struct fake_sink {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct wake *wake; /* of the source; poked on commits and when it is not full any more */
    struct schema_set *schemas;
    struct arena arena;
    struct fake_event *events;
    size_t count;
    size_t ticks; /* batches without events */
    char **kept;  /* records that events point into */
    size_t kept_count;
    uint64_t unit, committed;
    _Atomic bool hold; /* commits nothing */
    _Atomic bool full;
    struct buffer position; /* of the newest batch */
    int64_t watermark;
    uint32_t epoch;
};

void fake_sink_init(struct fake_sink *sink);
void fake_sink_release(struct fake_sink *sink);
struct source_sink fake_sink_of(struct fake_sink *sink);

/* Waits until there are that many events; false after `seconds`. */
bool fake_sink_wait(struct fake_sink *sink, size_t count, int seconds);
bool fake_sink_wait_ticks(struct fake_sink *sink, size_t count, int seconds);
void fake_sink_commit(struct fake_sink *sink); /* all that was given */
void fake_sink_set_full(struct fake_sink *sink, bool full);

/* The resume of a source that goes on behind what this sink has. */
struct source_resume fake_sink_resume(struct fake_sink *sink);

#endif
