#include "outbox/out_block.h"

#include <stdlib.h>

struct out_block *
out_block_new(void)
{
    struct out_block *block = memory_zero(sizeof(*block));
    buffer_init(&block->data, BLOCK_MAX);
    return block;
}

struct out_block *
out_block_clone(const struct out_block *block)
{
    struct out_block *clone = out_block_new();
    clone->first_seq = block->first_seq;
    clone->count = block->count;
    clone->min_lsn = block->min_lsn;
    buffer_slice(&clone->data, buffer_view(&block->data));
    return clone;
}

void
out_block_free(struct out_block *block)
{
    if (!block)
        return;
    record_release(&block->reader);
    buffer_release(&block->data);
    free(block);
}

void
out_ring_init(struct out_ring *r)
{
    *r = (struct out_ring){.wanted = 1};
    STAILQ_INIT(&r->blocks);
}

static struct out_block *
pop(struct out_ring *r)
{
    struct out_block *block = STAILQ_FIRST(&r->blocks);
    STAILQ_REMOVE_HEAD(&r->blocks, link);
    r->bytes -= block->data.size;
    return block;
}

void
out_ring_release(struct out_ring *r)
{
    while (!STAILQ_EMPTY(&r->blocks))
        out_block_free(pop(r));
}

/* Does it follow what the ring holds, or what the reader has, without a hole? */
static bool
fits(const struct out_ring *r, const struct out_block *block)
{
    if (STAILQ_EMPTY(&r->blocks))
        return r->wanted == block->first_seq;
    return r->end + 1 == block->first_seq && r->bytes + block->data.size <= BLOCK_RING_BYTES;
}

void
out_ring_publish(struct out_ring *r, struct out_block *block)
{
    r->newest = out_block_last(block);
    if (!fits(r, block)) {
        out_block_free(block);
        return;
    }
    r->end = out_block_last(block);
    r->bytes += block->data.size;
    STAILQ_INSERT_TAIL(&r->blocks, block, link);
}

struct out_block *
out_ring_fetch(struct out_ring *r)
{
    while (!STAILQ_EMPTY(&r->blocks)) {
        uint64_t first = STAILQ_FIRST(&r->blocks)->first_seq;
        if (first > r->wanted)
            return NULL;
        struct out_block *block = pop(r);
        if (first == r->wanted)
            return block;
        out_block_free(block);
    }
    return NULL;
}
