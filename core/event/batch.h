/* A batch is what one block of the journal holds: events of one source, the source's position after
 * them, and its watermark. The source's thread encodes, compresses and hashes it, so that the store
 * thread only has to write. Built by one thread, then moved through the store; never shared.
 *
 *     struct batch *b = batch_new("shop", epoch);
 *     batch_add(b, &event);                      … until batch_full(b) or nothing more is there
 *     batch_seal(b, position, watermark);
 *     if (!sink->give(sink->context, b, &unit)) … try again later; b is still ours
 */
#ifndef EVENT_BATCH_H
#define EVENT_BATCH_H

#include "event/event.h"

#define BATCH_BYTES    (128 * 1024)         /* a batch is full from here on */
#define BATCH_MAX      (1024 * 1024 * 1024) /* nothing larger can be encoded */
#define BATCH_COMPRESS 4096                 /* zstd level 1 from this size on */

struct batch {
    char *source; /* owned */
    uint32_t epoch;
    uint32_t count;    /* events */
    int64_t watermark; /* the source had read all that was visible in its log at this time (µs) */
    int64_t first_ts, last_ts; /* lowest and highest ts of the events; 0 without events */
    struct buffer position; /* resume position after the batch: bytes that only the driver reads */
    struct buffer records;  /* encoded events, plain */
    const struct schema **schemas; /* each schema used, once */
    size_t schema_count;
    /* After batch_seal: */
    bool sealed;
    struct buffer body; /* `records` as it will be written: compressed or the same bytes */
    uint64_t body_hash; /* XXH3 of body */
    bool compressed;
};

struct batch *batch_new(const char *source, uint32_t epoch);
void batch_free(struct batch *b);

/* Encodes one more event. ERROR_FULL when it would pass BATCH_MAX. */
int batch_add(struct batch *b, const struct event *e, struct error *err) must_check;

static inline bool
batch_full(const struct batch *b)
{
    return b->records.size >= BATCH_BYTES;
}

/* Copies `position` (at most 16 MiB), compresses, hashes. No event can be added afterwards. A batch
 * without events is a tick. */
void batch_seal(struct batch *b, struct slice position, int64_t watermark);

/* Bytes it takes in queues and on disk, near enough. */
size_t batch_bytes(const struct batch *b);

/* The reverse of sealing: plain records of a body of `plain_size` bytes, appended to `out`, at most
 * out->limit. ERROR_CORRUPT when it is not what was sealed, or larger than that; `out` is then as
 * it was. */
int batch_open_body(struct slice body, bool compressed, size_t plain_size, struct buffer *out,
                    struct error *err) must_check;

#endif
