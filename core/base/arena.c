#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_CHUNK = 4096 };

struct arena_chunk {
    struct arena_chunk *older;
    size_t size; /* of `bytes` */
    size_t used;
    alignas(max_align_t) char bytes[];
};

void
arena_init(struct arena *a, size_t chunk_size)
{
    *a = (struct arena){.chunk_size = chunk_size ? chunk_size : DEFAULT_CHUNK};
}

static void
free_chunks(struct arena_chunk *chunk)
{
    while (chunk) {
        struct arena_chunk *older = chunk->older;
        free(chunk);
        chunk = older;
    }
}

void
arena_release(struct arena *a)
{
    free_chunks(a->chunk);
    a->chunk = NULL;
}

void
arena_reset(struct arena *a)
{
    struct arena_chunk **largest = &a->chunk;
    struct arena_chunk *kept;
    if (!a->chunk)
        return;
    for (struct arena_chunk **at = &a->chunk; *at; at = &(*at)->older)
        if ((*at)->size > (*largest)->size)
            largest = at;
    kept = *largest;
    *largest = kept->older;
    free_chunks(a->chunk);
    kept->older = NULL;
    kept->used = 0;
    a->chunk = kept;
}

static struct arena_chunk *
add_chunk(struct arena *a, size_t size)
{
    struct arena_chunk *chunk;
    size_t room = size > a->chunk_size ? size : a->chunk_size;
    ensure(room < SIZE_MAX / 2);
    chunk = memory_alloc(sizeof(*chunk) + room);
    *chunk = (struct arena_chunk){.older = a->chunk, .size = room};
    a->chunk = chunk;
    return chunk;
}

void *
arena_alloc(struct arena *a, size_t size)
{
    const size_t mask = alignof(max_align_t) - 1;
    struct arena_chunk *chunk = a->chunk;
    size_t padded = (size + mask) & ~mask;
    void *memory;
    ensure(padded >= size && a->chunk_size > 0);
    if (!chunk || padded > chunk->size - chunk->used)
        chunk = add_chunk(a, padded);
    memory = chunk->bytes + chunk->used;
    chunk->used += padded;
    return memory;
}

void *
arena_zero(struct arena *a, size_t size)
{
    return memset(arena_alloc(a, size), 0, size);
}

char *
arena_text(struct arena *a, const char *text)
{
    return (char *)arena_slice(a, slice_of(text)).data;
}

struct slice
arena_slice(struct arena *a, struct slice slice)
{
    char *copy = arena_alloc(a, slice.size + 1);
    if (slice.size)
        memcpy(copy, slice.data, slice.size);
    copy[slice.size] = '\0';
    return (struct slice){copy, slice.size};
}

char *
arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    char *text;
    int size;
    va_start(args, format);
    va_copy(again, args);
    size = vsnprintf(NULL, 0, format, args);
    ensure(size >= 0);
    text = arena_alloc(a, (size_t)size + 1);
    vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}
