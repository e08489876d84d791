/* Reading: from the ring while the reader keeps up, else from the segment's file through a handle
 * of its own. The lock is held only to look up where the next block stands. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"
#include "journal/journal_private.h"

enum { PLAIN_KEEP = 4 * 1024 * 1024 }; /* more memory than this is given back at the next call */

/* Where a block begins. */
struct mark {
    uint64_t segment;
    uint64_t block;
    uint64_t lsn; /* the block's first */
    int64_t at;
};

struct journal_reader {
    struct journal *journal;
    uint64_t next;     /* number of the block to be read next */
    uint64_t wanted;   /* blocks that end at or below this lsn are skipped; 0: none */
    bool placed;       /* false: `next` is yet to be found for `wanted` */
    struct kept *kept; /* the block given last, if it came from the ring */

    struct mark known; /* the block after the one looked at last */
    struct mark given; /* that one: whoever seeks often seeks near by */

    struct segment *segment; /* whose file is open, or NULL */
    uint64_t limit;          /* one past its newest committed block */
    struct window window;
    struct buffer plain;
};

struct journal_reader *
journal_reader_open(struct journal *j)
{
    struct journal_reader *r = memory_zero(sizeof(*r));
    r->journal = j;
    window_init(&r->window);
    buffer_init(&r->plain, BLOCK_BODY_MAX);
    return r;
}

/* Lets go of the open file; under the lock. */
static void
leave_segment(struct journal_reader *r)
{
    if (!r->segment)
        return;
    r->segment->handles--;
    journal_drop(r->segment);
    r->segment = NULL;
}

void
journal_reader_close(struct journal_reader *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->journal->lock);
    leave_segment(r);
    pthread_mutex_unlock(&r->journal->lock);
    kept_give(r->kept);
    window_release(&r->window);
    buffer_release(&r->plain);
    free(r);
}

void
journal_seek(struct journal_reader *r, uint64_t lsn)
{
    r->wanted = lsn;
    r->placed = false;
}

/* The index of the last segment whose first block is at or below `block`; 0 if all are above. */
static size_t
segment_of_block(const struct journal *j, uint64_t block)
{
    size_t low = 0, high = j->segment_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (j->segments[middle]->first_block <= block)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static size_t
segment_of_lsn(const struct journal *j, uint64_t lsn)
{
    size_t i = j->segment_count - 1;
    while (i > 0 && j->segments[i]->first_lsn > lsn)
        i--;
    return i;
}

/* The block of that segment from which to walk on to the wanted lsn. */
static uint64_t
place_on_disk(struct journal_reader *r, const struct segment *s)
{
    if (r->known.segment == s->number && r->known.lsn <= r->wanted)
        return r->known.block;
    if (r->given.segment == s->number && r->given.lsn <= r->wanted) {
        r->known = r->given;
        return r->known.block;
    }
    return s->first_block;
}

/* Finds the block to begin with, as near as memory can tell; under the lock. */
static void
place(struct journal_reader *r)
{
    const struct journal *j = r->journal;
    r->placed = true;
    if (r->wanted >= j->next_lsn) {
        r->next = j->next_block;
        if (r->wanted == j->next_lsn)
            r->wanted = 0;
        return;
    }
    r->next = ring_find(&j->ring, r->wanted);
    if (r->next == 0)
        r->next = place_on_disk(r, j->segments[segment_of_lsn(j, r->wanted)]);
}

static bool
skipped(struct journal_reader *r, uint64_t first_lsn, uint32_t count)
{
    if (r->wanted == 0)
        return false;
    if (first_lsn + count <= r->wanted)
        return true;
    r->wanted = 0;
    return false;
}

/* Steps over the block at `from`, of `size` bytes, to the one that begins with `next_lsn`. */
static void
step(struct journal_reader *r, struct mark from, int64_t size, uint64_t next_lsn)
{
    r->given = from;
    r->known = (struct mark){from.segment, from.block + 1, next_lsn, from.at + size};
    if (r->next < r->known.block)
        r->next = r->known.block;
}

/* Steps over the block at `known`, whose header is `b`. */
static void
step_known(struct journal_reader *r, const struct block *b)
{
    struct mark from = r->known;
    from.lsn = b->first_lsn;
    step(r, from, block_size(b), block_next_lsn(b));
}

/* What to do next, as the lock shows it. */
enum where { AT_END, IN_RING, ON_DISK };

static void
enter_segment(struct journal_reader *r, struct segment *s)
{
    if (r->segment != s) {
        leave_segment(r);
        r->segment = s;
        s->handles++;
    }
}

static void
choose_segment(struct journal_reader *r, bool *opened)
{
    const struct journal *j = r->journal;
    size_t i = segment_of_block(j, r->next);
    struct segment *s = j->segments[i];
    *opened = r->segment == s && r->window.fd >= 0;
    enter_segment(r, s);
    r->window.end = s->end;
    r->limit = j->next_block;
    if (i + 1 < j->segment_count && j->segments[i + 1]->first_block < r->limit)
        r->limit = j->segments[i + 1]->first_block;
}

static enum where
look(struct journal_reader *r, bool disk_only, bool *opened)
{
    const struct journal *j = r->journal;
    struct kept *k;
    if (!r->placed)
        place(r);
    if (r->next < j->segments[0]->first_block)
        r->next = j->segments[0]->first_block;
    if (r->next >= j->next_block)
        return AT_END;
    k = ring_peek(&j->ring, r->next);
    if (k && k->whole && !disk_only) {
        r->kept = kept_take(k);
        leave_segment(r);
        return IN_RING;
    }
    choose_segment(r, opened);
    return ON_DISK;
}

static int
damaged(const struct journal_reader *r, enum block_state state, struct error *err)
{
    if (state == BLOCK_NEWER) {
        error_set(err, ERROR_REFUSED, "journal segment %s has blocks of a newer format",
                  r->segment->path);
        return error_hint(err, "use the newer Tidegate that wrote it");
    }
    error_set(err, ERROR_CORRUPT,
              "journal segment %s is damaged: block %" PRIu64 " at byte %lld is not whole",
              r->segment->path, r->known.block, (long long)r->known.at);
    return journal_hint(err);
}

static bool
is_known(const struct journal_reader *r, const struct block *b)
{
    return b->segment == r->segment->number && b->number == r->known.block;
}

/* Walks over headers to block `next` and, when an lsn is wanted, on to the block that holds it. 1:
 * `b` is its header, 0: it stands in a later segment, -1. */
static int
walk(struct journal_reader *r, struct block *b, struct error *err)
{
    const struct segment *s = r->segment;
    if (r->known.segment != s->number || r->known.block > r->next)
        r->known = (struct mark){s->number, s->first_block, s->first_lsn, s->start};
    for (;;) {
        enum block_state state;
        if (r->next >= r->limit)
            return 0;
        if (window_header(&r->window, s, r->known.at, b, &state, err) != 0)
            return -1;
        if (state != BLOCK_GOOD || !is_known(r, b))
            return damaged(r, state, err);
        if (r->known.block == r->next && !skipped(r, b->first_lsn, b->count))
            return 1;
        step_known(r, b);
    }
}

static int
give_plain(struct journal_reader *r, const struct block *b, struct slice body,
           struct journal_block *out, struct error *err)
{
    out->records = body;
    if (!b->compressed)
        return 0;
    buffer_reset(&r->plain);
    if (batch_open_body(body, true, (size_t)b->plain_size, &r->plain, err) != 0) {
        error_context(err, "journal segment %s, block %" PRIu64, r->segment->path, b->number);
        return journal_hint(err);
    }
    out->records = buffer_view(&r->plain);
    return 0;
}

static void
describe(const struct block *b, struct journal_block *out)
{
    *out = (struct journal_block){
        .first_lsn = b->first_lsn,
        .count = b->count,
        .source = b->source,
        .epoch = b->epoch,
        .watermark = b->watermark,
        .written = b->written,
        .position = b->position,
    };
}

/* The block at which `walk` stopped, with its body. */
static int
read_body(struct journal_reader *r, struct journal_block *out, struct error *err)
{
    enum block_state state;
    struct slice body;
    struct block b;
    if (window_block(&r->window, r->segment, r->known.at, &b, &body, &state, err) != 0)
        return -1;
    if (state != BLOCK_GOOD || !is_known(r, &b))
        return damaged(r, state, err);
    describe(&b, out);
    if (give_plain(r, &b, body, out, err) != 0)
        return -1;
    step_known(r, &b);
    return 1;
}

/* 1: the file is open, 0: it was trimmed since the look, look again, -1. */
static int
open_segment(struct journal_reader *r, bool opened, struct error *err)
{
    struct error failure;
    bool trimmed;
    if (opened || window_open(&r->window, r->segment->path, &failure) == 0)
        return 1;
    pthread_mutex_lock(&r->journal->lock);
    trimmed = r->segment->trimmed;
    leave_segment(r);
    pthread_mutex_unlock(&r->journal->lock);
    if (!trimmed && err)
        *err = failure;
    return trimmed ? 0 : -1;
}

static enum where
look_locked(struct journal_reader *r, bool disk_only, bool *opened)
{
    enum where where;
    kept_give(r->kept);
    r->kept = NULL;
    window_shrink(&r->window);
    if (r->plain.capacity > PLAIN_KEEP)
        buffer_release(&r->plain);
    pthread_mutex_lock(&r->journal->lock);
    where = look(r, disk_only, opened);
    pthread_mutex_unlock(&r->journal->lock);
    if (where == IN_RING)
        window_close(&r->window);
    return where;
}

static void
give_kept(struct journal_reader *r, struct journal_block *out)
{
    const struct kept *k = r->kept;
    *out = (struct journal_block){
        .first_lsn = k->first_lsn,
        .count = k->count,
        .source = k->source,
        .epoch = k->epoch,
        .watermark = k->watermark,
        .written = k->written,
        .position = k->position,
        .records = k->records,
    };
}

static void
step_kept(struct journal_reader *r, const struct kept *k)
{
    struct mark from = {k->segment, k->number, k->first_lsn, k->offset};
    step(r, from, k->size, k->first_lsn + k->count);
}

int
journal_read(struct journal_reader *r, struct journal_block *out, struct error *err)
{
    for (;;) {
        bool opened = false;
        enum where where = look_locked(r, false, &opened);
        struct block b;
        int found;
        if (where == AT_END)
            return 0;
        if (where == IN_RING) {
            step_kept(r, r->kept);
            if (skipped(r, r->kept->first_lsn, r->kept->count))
                continue;
            give_kept(r, out);
            return 1;
        }
        found = open_segment(r, opened, err);
        if (found > 0)
            found = walk(r, &b, err);
        if (found > 0)
            found = read_body(r, out, err);
        if (found != 0)
            return found;
    }
}

/* Segments whose blocks are all older than `us` are passed over by what the next one has seen. */
static uint64_t
block_before(struct journal *j, int64_t us)
{
    uint64_t block;
    size_t i;
    pthread_mutex_lock(&j->lock);
    i = j->segment_count - 1;
    while (i > 0 && j->segments[i]->seen >= us)
        i--;
    block = j->segments[i]->first_block;
    pthread_mutex_unlock(&j->lock);
    return block;
}

/* 1: `lsn` is found, 0: there is none, -1. */
static int
search_time(struct journal_reader *r, int64_t us, uint64_t *lsn, struct error *err)
{
    for (;;) {
        bool opened = false;
        struct block b;
        int found;
        if (look_locked(r, true, &opened) == AT_END)
            return 0;
        found = open_segment(r, opened, err);
        if (found > 0)
            found = walk(r, &b, err);
        if (found < 0)
            return -1;
        if (found == 0)
            continue;
        *lsn = b.first_lsn;
        if (b.written >= us || (b.count > 0 && b.last_ts >= us))
            return 1;
        step_known(r, &b);
    }
}

uint64_t
journal_find_time(struct journal *j, int64_t us, struct error *err)
{
    struct journal_reader *r = journal_reader_open(j);
    uint64_t lsn = 0;
    int found;
    r->next = block_before(j, us);
    r->placed = true;
    found = search_time(r, us, &lsn, err);
    if (found == 0)
        lsn = journal_newest(j) + 1;
    journal_reader_close(r);
    return found < 0 ? 0 : lsn;
}
