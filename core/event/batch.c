#include "event/batch.h"

#include <pthread.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/hash.h"
#include "event/codec.h"

#define ZSTD_LEVEL     1
#define POSITION_BYTES (16 << 20)
#define STRUCT_BYTES   256 /* what a batch takes beside its bytes */

/* Working memory of zstd, a few hundred KiB: made once per thread, freed when the thread ends. */
struct zstd {
    ZSTD_CCtx *compress;
    ZSTD_DCtx *decompress;
};

static pthread_key_t zstd_key;
static pthread_once_t zstd_once = PTHREAD_ONCE_INIT;

static void
zstd_free(void *memory)
{
    struct zstd *zstd = memory;
    ZSTD_freeCCtx(zstd->compress);
    ZSTD_freeDCtx(zstd->decompress);
    free(zstd);
}

static void
zstd_make_key(void)
{
    ensure(pthread_key_create(&zstd_key, zstd_free) == 0);
}

static struct zstd *
zstd_here(void)
{
    struct zstd *zstd;
    pthread_once(&zstd_once, zstd_make_key);
    zstd = pthread_getspecific(zstd_key);
    if (!zstd) {
        zstd = memory_zero(sizeof(*zstd));
        ensure(pthread_setspecific(zstd_key, zstd) == 0);
    }
    return zstd;
}

struct batch *
batch_new(const char *source, uint32_t epoch)
{
    struct batch *b = memory_zero(sizeof(*b));
    b->source = memory_text(source);
    b->epoch = epoch;
    buffer_init(&b->position, POSITION_BYTES);
    buffer_init(&b->records, BATCH_MAX);
    buffer_init(&b->body, BATCH_MAX);
    return b;
}

void
batch_free(struct batch *b)
{
    if (!b)
        return;
    buffer_release(&b->position);
    buffer_release(&b->records);
    buffer_release(&b->body);
    free(b->schemas);
    free(b->source);
    free(b);
}

static void
add_schema(struct batch *b, const struct schema *schema)
{
    size_t count = b->schema_count;
    for (size_t i = count; i > 0; i--) /* the newest first: events of a table come in runs */
        if (b->schemas[i - 1] == schema)
            return;
    if ((count & (count - 1)) == 0) /* full at each power of two */
        b->schemas = memory_grow(b->schemas, (count ? 2 * count : 1) * sizeof(*b->schemas));
    b->schemas[b->schema_count++] = schema;
}

int
batch_add(struct batch *b, const struct event *e, struct error *err)
{
    ensure(!b->sealed);
    codec_encode(e, &b->records);
    if (b->records.failed) {
        b->records.failed = false; /* nothing was appended */
        return error_set(err, ERROR_FULL, "an event at %.*s does not fit a batch of %d bytes",
                         (int)e->position.size, e->position.data, BATCH_MAX);
    }
    add_schema(b, e->schema);
    if (b->count == 0 || e->ts < b->first_ts)
        b->first_ts = e->ts;
    if (b->count == 0 || e->ts > b->last_ts)
        b->last_ts = e->ts;
    b->count++;
    return 0;
}

/* Into the body, if that makes it smaller. */
static bool
compress(struct batch *b)
{
    struct zstd *zstd = zstd_here();
    size_t room = b->records.size - 1, size;
    char *to = buffer_extend(&b->body, room);
    if (!zstd->compress)
        zstd->compress = ZSTD_createCCtx();
    ensure(to && zstd->compress);
    size =
        ZSTD_compressCCtx(zstd->compress, to, room, b->records.data, b->records.size, ZSTD_LEVEL);
    b->body.size = ZSTD_isError(size) ? 0 : size;
    return b->body.size > 0;
}

void
batch_seal(struct batch *b, struct slice position, int64_t watermark)
{
    ensure(!b->sealed);
    b->sealed = true;
    b->watermark = watermark;
    buffer_slice(&b->position, position);
    ensure(!b->position.failed);
    b->compressed = b->records.size >= BATCH_COMPRESS && compress(b);
    if (!b->compressed)
        buffer_slice(&b->body, buffer_view(&b->records));
    b->body_hash = hash64(b->body.data, b->body.size);
}

size_t
batch_bytes(const struct batch *b)
{
    return STRUCT_BYTES + b->position.size + b->records.size + b->body.size;
}

static int
corrupt(struct error *err, const char *what)
{
    return error_set(err, ERROR_CORRUPT, "a block's records cannot be read: %s", what);
}

static int
decompress(struct slice body, size_t plain_size, struct buffer *out, struct error *err)
{
    struct zstd *zstd = zstd_here();
    size_t before = out->size, size;
    char *to;
    if (ZSTD_getFrameContentSize(body.data, body.size) != plain_size)
        return corrupt(err, "another size was compressed");
    to = buffer_extend(out, plain_size);
    if (!zstd->decompress)
        zstd->decompress = ZSTD_createDCtx();
    ensure(to && zstd->decompress);
    size = ZSTD_decompressDCtx(zstd->decompress, to, plain_size, body.data, body.size);
    if (size == plain_size)
        return 0;
    out->size = before;
    return corrupt(err, ZSTD_isError(size) ? ZSTD_getErrorName(size) : "it is too short");
}

int
batch_open_body(struct slice body, bool compressed, size_t plain_size, struct buffer *out,
                struct error *err)
{
    if (out->failed || plain_size > out->limit - out->size)
        return corrupt(err, "more than may be held in memory");
    if (compressed)
        return decompress(body, plain_size, out, err);
    if (body.size != plain_size)
        return corrupt(err, "its size is wrong");
    buffer_slice(out, body);
    return 0;
}
