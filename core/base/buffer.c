#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 64, VARINT_BYTES = 10 };

void
buffer_init(struct buffer *b, size_t limit)
{
    ensure(limit < SIZE_MAX / 2);
    *b = (struct buffer){.limit = limit};
}

void
buffer_release(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){.limit = b->limit};
}

void
buffer_reset(struct buffer *b)
{
    b->size = 0;
    b->failed = false;
}

/* Room for `size` more bytes and a NUL behind them, which the limit does not count. */
static bool
reserve(struct buffer *b, size_t size)
{
    size_t capacity;
    if (b->failed || size > b->limit - b->size) {
        b->failed = true;
        return false;
    }
    if (b->size + size < b->capacity)
        return true;
    capacity = b->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : b->capacity * 2;
    if (capacity > b->limit + 1)
        capacity = b->limit + 1;
    if (capacity < b->size + size + 1)
        capacity = b->size + size + 1;
    b->data = memory_grow(b->data, capacity);
    b->capacity = capacity;
    return true;
}

char *
buffer_extend(struct buffer *b, size_t size)
{
    if (!reserve(b, size))
        return NULL;
    b->size += size;
    return b->data + b->size - size;
}

void
buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args, again;
    int size;
    if (!reserve(b, 0))
        return;
    va_start(args, format);
    va_copy(again, args);
    size = vsnprintf(b->data + b->size, b->capacity - b->size, format, args);
    ensure(size >= 0);
    if ((size_t)size >= b->capacity - b->size && reserve(b, (size_t)size))
        vsnprintf(b->data + b->size, (size_t)size + 1, format, again);
    buffer_extend(b, (size_t)size);
    va_end(again);
    va_end(args);
}

void
buffer_u32(struct buffer *b, uint32_t value)
{
    char *to = buffer_extend(b, 4);
    for (int i = 0; to && i < 4; i++)
        to[i] = (char)(value >> (8 * i));
}

void
buffer_u64(struct buffer *b, uint64_t value)
{
    char *to = buffer_extend(b, 8);
    for (int i = 0; to && i < 8; i++)
        to[i] = (char)(value >> (8 * i));
}

void
buffer_varint(struct buffer *b, uint64_t value)
{
    char bytes[VARINT_BYTES];
    size_t size = 0;
    while (value >= 0x80) {
        bytes[size++] = (char)(value | 0x80);
        value >>= 7;
    }
    bytes[size++] = (char)value;
    buffer_append(b, bytes, size);
}

void
buffer_signed(struct buffer *b, int64_t value)
{
    buffer_varint(b, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

void
buffer_lenslice(struct buffer *b, struct slice slice)
{
    buffer_varint(b, slice.size);
    buffer_slice(b, slice);
}

char *
buffer_cstring(struct buffer *b)
{
    static char empty[1];
    if (!reserve(b, 0))
        return empty;
    b->data[b->size] = '\0';
    return b->data;
}

char *
buffer_take(struct buffer *b, size_t *size)
{
    char *bytes = b->failed ? memory_text("") : (buffer_cstring(b), b->data);
    if (size)
        *size = b->failed ? 0 : b->size;
    if (b->failed)
        free(b->data);
    *b = (struct buffer){.limit = b->limit};
    return bytes;
}

struct slice
scan_bytes(struct scan *s, size_t size)
{
    struct slice bytes = {s->at, size};
    if (s->failed || size > (size_t)(s->end - s->at)) {
        scan_fail(s);
        return slice_of("");
    }
    s->at += size;
    return bytes;
}

static uint64_t
scan_fixed(struct scan *s, size_t size)
{
    struct slice bytes = scan_bytes(s, size);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size; i++)
        value |= (uint64_t)(uint8_t)bytes.data[i] << (8 * i);
    return value;
}

uint8_t
scan_byte_end(struct scan *s)
{
    return (uint8_t)scan_fixed(s, 1);
}

uint32_t
scan_u32(struct scan *s)
{
    return (uint32_t)scan_fixed(s, 4);
}

uint64_t
scan_u64(struct scan *s)
{
    return scan_fixed(s, 8);
}

uint64_t
scan_varint_long(struct scan *s)
{
    uint64_t value = 0;
    for (int i = 0; i < VARINT_BYTES && s->at < s->end && !s->failed; i++) {
        uint8_t byte = (uint8_t)*s->at++;
        if (i == VARINT_BYTES - 1 && byte > 1)
            break; /* more than 64 bits */
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80)
            return value;
    }
    scan_fail(s);
    return 0;
}

int64_t
scan_signed(struct scan *s)
{
    uint64_t value = scan_varint(s);
    return (int64_t)((value >> 1) ^ (value & 1 ? UINT64_MAX : 0));
}

struct slice
scan_lenslice(struct scan *s)
{
    uint64_t size = scan_varint(s);
    return scan_bytes(s, (size_t)size);
}
