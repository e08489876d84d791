/* The header of a block: what stands before each batch in a segment. It vouches for itself (a
 * checksum, seeded with the segment's secret seed, so that no row of a database can pass for a
 * block), for its body (by its hash), and for all before it in the segment (`previous` is the
 * checksum of the block before, so that what an earlier life of the file left behind never
 * continues a chain).
 *
 * All integers are little-endian. Foreign bytes are checked; nothing here allocates but encode. */
#ifndef JOURNAL_BLOCK_H
#define JOURNAL_BLOCK_H

#include "base/buffer.h"
#include "event/batch.h"

#define BLOCK_FIXED      144                /* bytes of the header that are always there */
#define BLOCK_HEADER_MAX (32 * 1024 * 1024) /* with source, position and schemas */
#define BLOCK_BODY_MAX   ((uint64_t)BATCH_MAX + 16 * 1024 * 1024)

extern const char block_magic[8];

struct block {
    uint64_t checksum;
    uint32_t header_size;
    uint64_t body_size; /* as it stands in the file */
    uint64_t plain_size;
    uint64_t body_hash;
    bool compressed;
    uint64_t segment;  /* number of the segment that it was written for */
    uint64_t number;   /* of the block: 1, 2, 3 … through all segments */
    uint64_t group;    /* number of the first block of its group: those before it were synced */
    uint64_t previous; /* checksum of the block before it in the segment, else the segment's seed */
    uint64_t first_lsn; /* of a tick: the next event's */
    uint32_t count;
    uint32_t epoch;
    int64_t watermark;
    int64_t written;
    int64_t first_ts, last_ts;
    struct slice source;
    struct slice position;
    struct slice schemas; /* `schema_count` numbers of 8 bytes */
    uint32_t schema_count;
};

/* Appends the header; sets checksum and header_size. 0, or -1 when source, position or schemas are
 * larger than a header may be. */
int block_encode(struct block *b, uint64_t seed, struct buffer *out, struct error *err) must_check;

enum block_state {
    BLOCK_GOOD,
    BLOCK_SHORT, /* header_size is set to how many bytes are needed to tell */
    BLOCK_BAD,
    BLOCK_NEWER, /* whole, but of a format that a newer Tidegate writes */
};

/* Reads a header; the slices point into `bytes`. The body is not looked at. */
enum block_state block_decode(struct slice bytes, uint64_t seed, struct block *out);

static inline int64_t
block_size(const struct block *b)
{
    return (int64_t)(b->header_size + b->body_size);
}

/* One past the newest lsn after this block. */
static inline uint64_t
block_next_lsn(const struct block *b)
{
    return b->first_lsn + b->count;
}

#endif
