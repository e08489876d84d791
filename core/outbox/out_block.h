/* A block of messages of one channel in memory, from the draft to the last answer, and the ring
 * that hands committed blocks to the channel's thread without a detour through SQLite. */
#ifndef OUTBOX_OUT_BLOCK_H
#define OUTBOX_OUT_BLOCK_H

#include <sys/queue.h>
#include "outbox/record.h"

#define BLOCK_BYTES      (128 * 1024)      /* a block is full from here on */
#define BLOCK_MAX        ((size_t)1 << 30) /* nothing larger can be stored */
#define BLOCK_RING_BYTES (4 * 1024 * 1024)

struct out_block {
    STAILQ_ENTRY(out_block) link;
    uint64_t first_seq; /* given inside the transaction */
    uint32_t count;
    uint32_t loaded;  /* records taken into the window, or skipped */
    uint32_t live;    /* of these not done */
    uint64_t min_lsn; /* the lowest that a reference names; 0: none */
    struct record_reader reader;
    struct buffer data;
};

struct out_block *out_block_new(void);
struct out_block *out_block_clone(const struct out_block *block);
void out_block_free(struct out_block *block);

static inline uint64_t
out_block_last(const struct out_block *block)
{
    return block->first_seq + block->count - 1;
}

/* The committed blocks that the reader wants next, as far as they fit; what does not fit is read
 * from SQLite, and the ring begins again when the reader has caught up. Under the queue's lock. */
struct out_ring {
    STAILQ_HEAD(out_block_list, out_block) blocks;
    size_t bytes;
    uint64_t end;    /* the newest seq in it */
    uint64_t newest; /* committed */
    uint64_t wanted; /* the first seq that the reader has not fetched */
};

void out_ring_init(struct out_ring *r);
void out_ring_release(struct out_ring *r);
void out_ring_publish(struct out_ring *r, struct out_block *block); /* takes ownership */
struct out_block *
out_ring_fetch(struct out_ring *r); /* the block that begins with `wanted`, or NULL */

#endif
