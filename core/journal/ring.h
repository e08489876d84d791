/* The newest committed blocks in memory, 8 MiB of them, so that readers that keep up never touch
 * the disk. Blocks are counted references: a reader keeps what it was given while the ring moves
 * on. The ring itself is guarded by the journal's lock. */
#ifndef JOURNAL_RING_H
#define JOURNAL_RING_H

#include <stdatomic.h>
#include "journal/block.h"

/* A block in memory, and where it stands on disk. Immutable once made. */
struct kept {
    atomic_int refs;
    uint64_t number;
    uint64_t first_lsn;
    uint32_t count;
    uint32_t epoch;
    int64_t watermark;
    int64_t written;
    uint64_t segment;
    int64_t offset, size; /* in the segment's file */
    bool whole;           /* false: too large to be kept; `records` is on disk only */
    struct slice source, position, records;
    size_t bytes; /* what it weighs in the ring */
    char data[];
};

/* With one reference. `with_records` false leaves the records on disk. */
struct kept *kept_new(const struct block *b, const struct batch *batch, int64_t offset,
                      bool with_records);
struct kept *kept_take(struct kept *k);
void kept_give(struct kept *k); /* NULL is fine */

struct ring {
    struct kept **slots; /* block n stands in slot n & (capacity - 1) */
    uint64_t capacity;   /* a power of two */
    uint64_t first;      /* number of the oldest block kept */
    uint64_t next;       /* one past the newest; first == next: empty */
    size_t bytes, limit;
};

void ring_init(struct ring *r, size_t limit);
void ring_release(struct ring *r);

/* Takes the reference over; its number must follow the newest, else the ring begins anew with it.
 */
void ring_push(struct ring *r, struct kept *k);

/* The block of that number or NULL; on loan. */
struct kept *ring_peek(const struct ring *r, uint64_t number);

/* The number of the first block that ends above `lsn`; 0 when the ring cannot know (it begins above
 * `lsn`, or is empty). */
uint64_t ring_find(const struct ring *r, uint64_t lsn);

#endif
