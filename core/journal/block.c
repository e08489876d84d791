#include "journal/block.h"

#include "base/hash.h"
#include "event/codec.h"
#include "journal/journal.h"

/* The first byte is rare in text and never starts a valid UTF-8 character of a row. */
const char block_magic[8] = {'\xf7', 'T', 'G', 'b', 'l', 'k', '\r', '\n'};

enum { CHECKED_FROM = 16, FLAG_COMPRESSED = 1 };

static void
encode_fixed(const struct block *b, struct buffer *out)
{
    buffer_u32(out, b->header_size);
    buffer_u32(out, JOURNAL_FORMAT | (uint32_t)CODEC_VERSION << 16);
    buffer_u64(out, b->body_size);
    buffer_u64(out, b->plain_size);
    buffer_u64(out, b->body_hash);
    buffer_u64(out, b->segment);
    buffer_u64(out, b->number);
    buffer_u64(out, b->group);
    buffer_u64(out, b->previous);
    buffer_u64(out, b->first_lsn);
    buffer_u32(out, b->count);
    buffer_u32(out, b->epoch);
    buffer_u64(out, (uint64_t)b->watermark);
    buffer_u64(out, (uint64_t)b->written);
    buffer_u64(out, (uint64_t)b->first_ts);
    buffer_u64(out, (uint64_t)b->last_ts);
    buffer_u32(out, b->compressed ? FLAG_COMPRESSED : 0);
    buffer_u32(out, (uint32_t)b->source.size);
    buffer_u32(out, (uint32_t)b->position.size);
    buffer_u32(out, b->schema_count);
}

static void
put_u64(char *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (char)(value >> (8 * i));
}

int
block_encode(struct block *b, uint64_t seed, struct buffer *out, struct error *err)
{
    size_t start = out->size;
    size_t size = BLOCK_FIXED + b->source.size + b->position.size + b->schemas.size;
    ensure(b->schemas.size == (size_t)b->schema_count * 8);
    if (size > BLOCK_HEADER_MAX)
        return error_set(err, ERROR_INTERNAL,
                         "source %.*s gave a position of %zu bytes and %u schemas in one batch",
                         (int)b->source.size, b->source.data, b->position.size, b->schema_count);
    b->header_size = (uint32_t)size;
    buffer_append(out, block_magic, sizeof(block_magic));
    buffer_u64(out, 0);
    encode_fixed(b, out);
    buffer_slice(out, b->source);
    buffer_slice(out, b->position);
    buffer_slice(out, b->schemas);
    ensure(!out->failed && out->size - start == size);
    b->checksum = hash64_seed(out->data + start + CHECKED_FROM, size - CHECKED_FROM, seed);
    put_u64(out->data + start + sizeof(block_magic), b->checksum);
    return 0;
}

static uint32_t
decode_fixed(struct scan *s, struct block *b)
{
    uint32_t flags;
    b->body_size = scan_u64(s);
    b->plain_size = scan_u64(s);
    b->body_hash = scan_u64(s);
    b->segment = scan_u64(s);
    b->number = scan_u64(s);
    b->group = scan_u64(s);
    b->previous = scan_u64(s);
    b->first_lsn = scan_u64(s);
    b->count = scan_u32(s);
    b->epoch = scan_u32(s);
    b->watermark = (int64_t)scan_u64(s);
    b->written = (int64_t)scan_u64(s);
    b->first_ts = (int64_t)scan_u64(s);
    b->last_ts = (int64_t)scan_u64(s);
    flags = scan_u32(s);
    b->compressed = flags & FLAG_COMPRESSED;
    return flags;
}

static void
decode_slices(struct scan *s, struct block *b)
{
    uint32_t source = scan_u32(s);
    uint32_t position = scan_u32(s);
    b->schema_count = scan_u32(s);
    b->source = scan_bytes(s, source);
    b->position = scan_bytes(s, position);
    b->schemas = scan_bytes(s, (size_t)b->schema_count * 8);
}

static bool
sane(const struct block *b, uint32_t flags)
{
    if (flags & ~(uint32_t)FLAG_COMPRESSED)
        return false;
    if (b->body_size > BLOCK_BODY_MAX || b->plain_size > BLOCK_BODY_MAX)
        return false;
    if (!b->compressed && b->body_size != b->plain_size)
        return false;
    return b->number > 0 && b->group > 0 && b->group <= b->number && b->first_lsn > 0 &&
           b->first_lsn <= UINT64_MAX - b->count;
}

enum block_state
block_decode(struct slice bytes, uint64_t seed, struct block *out)
{
    struct scan s = scan_of(bytes);
    uint32_t format, flags;
    *out = (struct block){.header_size = BLOCK_FIXED};
    if (bytes.size < BLOCK_FIXED)
        return BLOCK_SHORT;
    if (memcmp(scan_bytes(&s, sizeof(block_magic)).data, block_magic, sizeof(block_magic)) != 0)
        return BLOCK_BAD;
    out->checksum = scan_u64(&s);
    out->header_size = scan_u32(&s);
    format = scan_u32(&s);
    if (out->header_size < BLOCK_FIXED || out->header_size > BLOCK_HEADER_MAX)
        return BLOCK_BAD;
    if (bytes.size < out->header_size)
        return BLOCK_SHORT;
    if (hash64_seed(bytes.data + CHECKED_FROM, out->header_size - CHECKED_FROM, seed) !=
        out->checksum)
        return BLOCK_BAD;
    if ((format & 0xffff) > JOURNAL_FORMAT || format >> 16 > CODEC_VERSION)
        return BLOCK_NEWER;
    flags = decode_fixed(&s, out);
    decode_slices(&s, out);
    if (s.failed || s.at != bytes.data + out->header_size || !sane(out, flags))
        return BLOCK_BAD;
    return BLOCK_GOOD;
}
