/* A growing run of bytes with a ceiling. Each buffer says at init how large it may ever get; going
 * over latches `failed`, later appends do nothing, and one check at the end suffices. So no remote
 * input can make us allocate without bound.
 *
 *     struct buffer b;
 *     buffer_init(&b, 1 << 20);
 *     buffer_text(&b, "hello");
 *     if (b.failed) …
 *     buffer_release(&b);
 *
 * Integers are little-endian; varints are LEB128, at most 10 bytes; signed ones are zigzag.
 * Not thread-safe: one owner. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/base.h"

struct buffer {
    char *data;
    size_t size;
    size_t capacity;
    size_t limit;
    bool failed; /* an append passed the limit; what is in `data` is incomplete */
};

void buffer_init(struct buffer *b, size_t limit);
void buffer_release(struct buffer *b); /* frees; the buffer may be initialised again */
void buffer_reset(struct buffer *b);   /* empties and clears `failed`, keeps the memory */

/* `size` writable bytes at the end, counted as written; NULL once failed. */
char *buffer_extend(struct buffer *b, size_t size);

/* Inline while there is room: codecs and JSON append a few bytes at a time. */
static inline void
buffer_append(struct buffer *b, const void *data, size_t size)
{
    char *to;
    if (size < b->capacity - b->size && !b->failed) {
        to = b->data + b->size;
        b->size += size;
    } else {
        to = buffer_extend(b, size);
    }
    if (to && size)
        memcpy(to, data, size);
}

static inline void
buffer_slice(struct buffer *b, struct slice slice)
{
    buffer_append(b, slice.data, slice.size);
}

static inline void
buffer_text(struct buffer *b, const char *text)
{
    buffer_slice(b, slice_of(text));
}

static inline void
buffer_byte(struct buffer *b, uint8_t byte)
{
    buffer_append(b, &byte, 1);
}

void buffer_printf(struct buffer *b, const char *format, ...) printf_like(2, 3);
void buffer_u32(struct buffer *b, uint32_t value);
void buffer_u64(struct buffer *b, uint64_t value);
void buffer_varint(struct buffer *b, uint64_t value);
void buffer_signed(struct buffer *b, int64_t value);
void buffer_lenslice(struct buffer *b, struct slice slice); /* varint length, then the bytes */
char *buffer_cstring(struct buffer *b); /* the bytes, NUL-terminated (not counted); "" if failed */
/* Moves the bytes out, NUL-terminated, and leaves the buffer empty; "" and 0 if it failed. `size`
 * may be NULL. The caller frees. */
char *buffer_take(struct buffer *b, size_t *size);

static inline struct slice
buffer_view(const struct buffer *b)
{
    return (struct slice){b->data ? b->data : "", b->size};
}

/* Reading the same forms from bytes that cannot be trusted: the first read past the end, or a bad
 * varint, latches `failed`; every later read gives zeros and empty slices. */
struct scan {
    const char *at;
    const char *end;
    bool failed;
};

static inline struct scan
scan_of(struct slice bytes)
{
    const char *at = bytes.data ? bytes.data : ""; /* NULL + 0 is undefined in C */
    return (struct scan){at, at + bytes.size, false};
}

/* What was read makes no sense: as if the bytes had ended there. */
static inline void
scan_fail(struct scan *s)
{
    s->failed = true;
    s->at = s->end;
}

uint8_t scan_byte_end(struct scan *s);     /* the slow way of scan_byte */
uint64_t scan_varint_long(struct scan *s); /* … of scan_varint */

static inline uint8_t
scan_byte(struct scan *s)
{
    return s->at < s->end ? (uint8_t)*s->at++ : scan_byte_end(s);
}

/* Most are below 128. */
static inline uint64_t
scan_varint(struct scan *s)
{
    return s->at < s->end && !(*s->at & 0x80) ? (uint8_t)*s->at++ : scan_varint_long(s);
}

uint32_t scan_u32(struct scan *s);
uint64_t scan_u64(struct scan *s);
int64_t scan_signed(struct scan *s);
struct slice scan_bytes(struct scan *s, size_t size);
struct slice scan_lenslice(struct scan *s);

#endif
