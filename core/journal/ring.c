#include "journal/ring.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

static struct slice
store(char **at, struct slice from)
{
    struct slice to = {*at, from.size};
    if (from.size)
        memcpy(*at, from.data, from.size);
    *at += from.size;
    return to;
}

struct kept *
kept_new(const struct block *b, const struct batch *batch, int64_t offset, bool with_records)
{
    struct slice records = with_records ? buffer_view(&batch->records) : (struct slice){"", 0};
    size_t bytes = sizeof(struct kept) + b->source.size + b->position.size + records.size;
    struct kept *k = memory_alloc(bytes);
    char *at = k->data;
    *k = (struct kept){
        .number = b->number,
        .first_lsn = b->first_lsn,
        .count = b->count,
        .epoch = b->epoch,
        .watermark = b->watermark,
        .written = b->written,
        .segment = b->segment,
        .offset = offset,
        .size = block_size(b),
        .whole = with_records,
        .bytes = bytes,
    };
    atomic_init(&k->refs, 1);
    k->source = store(&at, b->source);
    k->position = store(&at, b->position);
    k->records = store(&at, records);
    return k;
}

struct kept *
kept_take(struct kept *k)
{
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    return k;
}

void
kept_give(struct kept *k)
{
    if (k && atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) == 1)
        free(k);
}

void
ring_init(struct ring *r, size_t limit)
{
    *r = (struct ring){
        .slots = memory_zero(FIRST_CAPACITY * sizeof(struct kept *)),
        .capacity = FIRST_CAPACITY,
        .limit = limit,
    };
}

static struct kept **
slot(const struct ring *r, uint64_t number)
{
    return &r->slots[number & (r->capacity - 1)];
}

static void
drop_oldest(struct ring *r)
{
    struct kept **oldest = slot(r, r->first);
    r->bytes -= (*oldest)->bytes;
    kept_give(*oldest);
    *oldest = NULL;
    r->first++;
}

void
ring_release(struct ring *r)
{
    while (r->first < r->next)
        drop_oldest(r);
    free(r->slots);
    *r = (struct ring){0};
}

static void
widen(struct ring *r)
{
    struct ring wide = *r;
    wide.capacity = r->capacity * 2;
    wide.slots = memory_zero(wide.capacity * sizeof(*wide.slots));
    for (uint64_t n = r->first; n < r->next; n++)
        *slot(&wide, n) = *slot(r, n);
    free(r->slots);
    *r = wide;
}

void
ring_push(struct ring *r, struct kept *k)
{
    if (k->number != r->next) {
        while (r->first < r->next)
            drop_oldest(r);
        r->first = r->next = k->number;
    }
    while (r->first < r->next && r->bytes + k->bytes > r->limit)
        drop_oldest(r);
    if (r->next - r->first == r->capacity)
        widen(r);
    *slot(r, r->next++) = k;
    r->bytes += k->bytes;
}

struct kept *
ring_peek(const struct ring *r, uint64_t number)
{
    return number >= r->first && number < r->next ? *slot(r, number) : NULL;
}

uint64_t
ring_find(const struct ring *r, uint64_t lsn)
{
    uint64_t low = r->first, high = r->next;
    if (low == high || (*slot(r, low))->first_lsn > lsn)
        return 0;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct kept *k = *slot(r, middle);
        if (k->first_lsn + k->count > lsn)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}
