#include "source/postgres/position.h"

#include <endian.h>
#include <stdlib.h>

#include "base/hash.h"

/* The head: version, stage, 2 zero bytes, then the fields below in this order, 8 zero bytes. Stored
 * in every block of the journal: a new layout takes a new version. */
enum { HEAD_VERSION = 1, TAIL_VERSION = 2 };
enum {
    AT_VERSION = 0,
    AT_STAGE = 1,
    AT_SPARE = 2,
    AT_XID = 4,
    AT_LSN = 8,
    AT_INDEX = 16,
    AT_PART = 20,
    AT_HASH = 24,
    AT_CONFIRM = 32,
    AT_SYSTEM = 40,
    AT_TIMELINE = 48,
    AT_EXTRA = 52,
    AT_SPARE_END = 56,
};

/* Of one stored table: how far its oid is from the one before, its flags and what is there of it,
 * and that. */
enum { KNOWN_SCHEMA = 1, KNOWN_PARTITIONS = 2, KNOWN_FLAGS_SHIFT = 2 };
enum { KNOWN_BYTES_MIN = 2, KNOWN_FIRST_ROOM = 16 };

static void
store32(char *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof(value));
}

static void
store64(char *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof(value));
}

static uint32_t
load32(const char *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof(value));
    return le32toh(value);
}

static uint64_t
load64(const char *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof(value));
    return le64toh(value);
}

void
pg_position_write(const struct pg_position *position, struct buffer *out)
{
    char *head = buffer_extend(out, PG_POSITION_HEAD);
    if (!head)
        return;
    memset(head, 0, PG_POSITION_HEAD);
    head[AT_VERSION] = HEAD_VERSION;
    head[AT_STAGE] = (char)position->place.stage;
    store32(head + AT_XID, position->xid);
    store64(head + AT_LSN, position->place.lsn);
    store32(head + AT_INDEX, position->place.index);
    store32(head + AT_PART, position->place.part);
    store64(head + AT_HASH, position->hash);
    store64(head + AT_CONFIRM, position->confirm);
    store64(head + AT_SYSTEM, position->system);
    store32(head + AT_TIMELINE, position->timeline);
    store32(head + AT_EXTRA, position->extra);
}

static bool
is_head(struct slice bytes)
{
    return bytes.size >= PG_POSITION_HEAD && bytes.data[AT_VERSION] == HEAD_VERSION &&
           (uint8_t)bytes.data[AT_STAGE] <= PG_STAGE_WHOLE && !bytes.data[AT_SPARE] &&
           !bytes.data[AT_SPARE + 1] && !load64(bytes.data + AT_SPARE_END);
}

bool
pg_position_is_newer(struct slice bytes)
{
    return bytes.size >= PG_POSITION_HEAD && (uint8_t)bytes.data[AT_VERSION] > HEAD_VERSION;
}

int
pg_position_read(struct slice bytes, struct pg_position *out, struct slice *tail)
{
    const char *head = bytes.data;
    if (!is_head(bytes))
        return -1;
    *out = (struct pg_position){
        .place = {.lsn = load64(head + AT_LSN),
                  .stage = (uint8_t)head[AT_STAGE],
                  .index = load32(head + AT_INDEX),
                  .part = load32(head + AT_PART)},
        .xid = load32(head + AT_XID),
        .hash = load64(head + AT_HASH),
        .confirm = load64(head + AT_CONFIRM),
        .extra = load32(head + AT_EXTRA),
        .system = load64(head + AT_SYSTEM),
        .timeline = load32(head + AT_TIMELINE),
    };
    *tail = (struct slice){head + PG_POSITION_HEAD, bytes.size - PG_POSITION_HEAD};
    return 0;
}

static void
describe_lsn(uint64_t lsn, struct buffer *out)
{
    buffer_printf(out, "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
}

void
pg_position_describe(struct slice bytes, struct buffer *out)
{
    struct pg_position at;
    struct slice tail;
    if (pg_position_read(bytes, &at, &tail) != 0) {
        buffer_text(out, bytes.size ? "unreadable" : "");
        return;
    }
    /* Outside of transactions that is what pg_replication_slots shows after the next sync. */
    if (at.place.stage != PG_STAGE_OPEN) {
        describe_lsn(at.confirm > at.place.lsn ? at.confirm : at.place.lsn, out);
        return;
    }
    describe_lsn(at.place.lsn, out);
    buffer_printf(out, ", item %u", at.place.index);
    if (at.place.part)
        buffer_printf(out, ".%u", at.place.part);
}

static int
compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int
pg_place_compare(const struct pg_place *a, const struct pg_place *b)
{
    int order = compare(a->lsn, b->lsn);
    order = order ? order : compare(a->stage, b->stage);
    order = order ? order : compare(a->index, b->index);
    return order ? order : compare(a->part, b->part);
}

/* Digits of `value` in front of `end`; where they begin. By hand: once for each event. */
static char *
put_number(uint64_t value, unsigned base, char *end)
{
    do {
        *--end = "0123456789ABCDEF"[value % base];
        value /= base;
    } while (value);
    return end;
}

void
pg_place_print(const struct pg_place *place, struct buffer *out)
{
    char text[48];
    char *end = text + sizeof(text), *at = end;
    if (place->part) {
        at = put_number(place->part, 10, at);
        *--at = '.';
    }
    if (place->stage == PG_STAGE_MESSAGE)
        *--at = 'm';
    else
        at = put_number(place->index, 10, at);
    *--at = '-';
    at = put_number(place->lsn, 16, at);
    buffer_append(out, at, (size_t)(end - at));
}

uint64_t
pg_position_hash(uint64_t before, struct slice message)
{
    return hash64_seed(message.data, message.size, before);
}

void
pg_tail_init(struct pg_tail *tail)
{
    *tail = (struct pg_tail){0};
}

void
pg_tail_release(struct pg_tail *tail)
{
    free(tail->known);
    pg_tail_init(tail);
}

/* The tail stands in every block: of tables that nothing was heard of yet, 2 or 3 bytes. */
static void
write_known(const struct pg_known *known, uint32_t before, struct buffer *out)
{
    unsigned there =
        (known->schema ? KNOWN_SCHEMA : 0u) | (known->partitions ? KNOWN_PARTITIONS : 0u);
    buffer_varint(out, known->oid - before);
    buffer_varint(out, (uint64_t)known->flags << KNOWN_FLAGS_SHIFT | there);
    if (known->schema)
        buffer_u64(out, known->schema);
    if (known->partitions)
        buffer_u64(out, known->partitions);
}

void
pg_tail_write(const struct pg_tail *tail, struct buffer *out)
{
    buffer_byte(out, TAIL_VERSION);
    buffer_lenslice(out, slice_of(tail->slot));
    buffer_lenslice(out, slice_of(tail->publications));
    buffer_u64(out, tail->floor);
    buffer_varint(out, tail->count);
    for (size_t i = 0; i < tail->count; i++)
        write_known(&tail->known[i], i ? tail->known[i - 1].oid : 0, out);
}

/* A text with its length into `out` of `room` bytes; too long, or with a NUL, is no such text. */
static void
scan_text(struct scan *s, char *out, size_t room)
{
    struct slice text = scan_lenslice(s);
    if (text.size >= room || (text.size && memchr(text.data, '\0', text.size))) {
        scan_fail(s);
        return;
    }
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
}

static uint32_t
scan_varint32(struct scan *s)
{
    uint64_t value = scan_varint(s);
    if (value > UINT32_MAX)
        scan_fail(s);
    return (uint32_t)value;
}

static void
scan_known(struct scan *s, struct pg_tail *out)
{
    uint64_t count = scan_varint(s);
    if (s->failed || count > (size_t)(s->end - s->at) / KNOWN_BYTES_MIN) {
        scan_fail(s);
        return;
    }
    out->room = (size_t)count;
    out->known = count ? memory_alloc(out->room * sizeof(*out->known)) : NULL;
    for (; out->count < count && !s->failed; out->count++) {
        struct pg_known *known = &out->known[out->count];
        uint64_t oid = scan_varint(s), before = out->count ? known[-1].oid : 0;
        uint32_t flags = scan_varint32(s);
        if (oid > UINT32_MAX - before || (out->count && oid == 0))
            scan_fail(s);
        *known =
            (struct pg_known){.oid = (uint32_t)(before + oid), .flags = flags >> KNOWN_FLAGS_SHIFT};
        known->schema = flags & KNOWN_SCHEMA ? scan_u64(s) : 0;
        known->partitions = flags & KNOWN_PARTITIONS ? scan_u64(s) : 0;
    }
}

int
pg_tail_read(struct slice bytes, struct pg_tail *out)
{
    struct scan s = scan_of(bytes);
    struct pg_tail read;
    pg_tail_init(&read);
    if (scan_byte(&s) != TAIL_VERSION)
        return -1;
    scan_text(&s, read.slot, sizeof(read.slot));
    scan_text(&s, read.publications, sizeof(read.publications));
    read.floor = scan_u64(&s);
    scan_known(&s, &read);
    if (s.failed || s.at != s.end) {
        pg_tail_release(&read);
        return -1;
    }
    pg_tail_release(out);
    *out = read;
    return 0;
}

/* Where the entry of `oid` is, or would be put. */
static size_t
known_index(const struct pg_tail *tail, uint32_t oid)
{
    size_t low = 0, high = tail->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tail->known[middle].oid < oid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct pg_known *
pg_tail_find(const struct pg_tail *tail, uint32_t oid)
{
    size_t i = known_index(tail, oid);
    return i < tail->count && tail->known[i].oid == oid ? &tail->known[i] : NULL;
}

struct pg_known *
pg_tail_add(struct pg_tail *tail, uint32_t oid)
{
    size_t i = known_index(tail, oid);
    if (i < tail->count && tail->known[i].oid == oid)
        return &tail->known[i];
    if (tail->count == tail->room) {
        tail->room = tail->room ? tail->room * 2 : KNOWN_FIRST_ROOM;
        tail->known = memory_grow(tail->known, tail->room * sizeof(*tail->known));
    }
    memmove(&tail->known[i + 1], &tail->known[i], (tail->count - i) * sizeof(*tail->known));
    tail->count++;
    tail->known[i] = (struct pg_known){.oid = oid};
    return &tail->known[i];
}

void
pg_tail_remove(struct pg_tail *tail, uint32_t oid)
{
    struct pg_known *known = pg_tail_find(tail, oid);
    if (!known)
        return;
    memmove(known, known + 1,
            (size_t)(tail->known + tail->count - known - 1) * sizeof(*tail->known));
    tail->count--;
}
