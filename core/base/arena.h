/* Memory with one lifetime: many small allocations, one release. A decoder resets its arena per
 * transaction or block and so never calls malloc in steady state. Not thread-safe: one owner. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/base.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunk; /* the newest; older ones hang below it */
    size_t chunk_size;
};

/* Prepares an empty arena that grows by chunks of `chunk_size` bytes (0: 4 KiB). No allocation yet. */
void arena_init(struct arena *a, size_t chunk_size);
void arena_release(struct arena *a); /* frees all; the arena may be used again */
void arena_reset(struct arena *a);   /* forgets all, keeps the largest chunk */

void *arena_alloc(struct arena *a, size_t size); /* aligned for any type, not zeroed; never NULL */
void *arena_zero(struct arena *a, size_t size);
char *arena_text(struct arena *a, const char *text);
struct slice arena_slice(struct arena *a, struct slice slice); /* a NUL-terminated copy */
char *arena_printf(struct arena *a, const char *format, ...) printf_like(2, 3);

#endif
