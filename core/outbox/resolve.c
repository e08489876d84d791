#include "outbox/resolve.h"

#include <stdlib.h>
#include "event/codec.h"
#include "outbox/outbox.h"

void
resolver_init(struct resolver *r, struct journal *journal, struct schema_set *schemas,
              struct shapes *shapes)
{
    *r = (struct resolver){.journal = journal, .schemas = schemas, .shapes = shapes};
    arena_init(&r->arena, 0);
}

void
resolver_release(struct resolver *r)
{
    if (r->reader)
        journal_reader_close(r->reader);
    r->reader = NULL;
    arena_release(&r->arena);
    free(r->offsets);
    r->offsets = NULL;
}

static bool
in_block(const struct resolver *r, uint64_t lsn)
{
    return lsn >= r->block.first_lsn && lsn - r->block.first_lsn < r->block.count;
}

/* Reads on to the block that holds the lsn. Mostly it is the next one: messages rise in lsn. */
static int
read_block(struct resolver *r, uint64_t lsn, struct error *err)
{
    if (!r->reader)
        r->reader = journal_reader_open(r->journal);
    bool next = r->block.count && lsn == r->block.first_lsn + r->block.count;
    if (!next)
        journal_seek(r->reader, lsn);
    int got;
    do {
        r->block.count = 0;
        got = journal_read(r->reader, &r->block, err);
    } while (got > 0 && r->block.count == 0);
    r->known = 0;
    r->rest = scan_of(r->block.records);
    if (got > 0 && in_block(r, lsn))
        return 1;
    r->block.count = 0;
    return got < 0 ? -1 : 0;
}

static void
remember_offset(struct resolver *r)
{
    if (r->known == r->capacity) {
        r->capacity = r->capacity ? r->capacity * 2 : 256;
        r->offsets = memory_grow(r->offsets, r->capacity * sizeof(*r->offsets));
    }
    r->offsets[r->known++] = (uint32_t)(r->rest.at - r->block.records.data);
}

static int
peek(struct scan *scan, struct slice *record, struct error *err)
{
    uint64_t schema;
    enum event_op op;
    return codec_peek(scan, &schema, &op, record, err);
}

static int
find_in_block(struct resolver *r, uint32_t place, struct slice *record, struct error *err)
{
    while (r->known <= place) {
        remember_offset(r);
        if (peek(&r->rest, record, err) != 0)
            return -1;
    }
    struct scan scan = scan_of(r->block.records);
    scan.at += r->offsets[place];
    return peek(&scan, record, err) == 0 ? 1 : -1;
}

int
resolver_find(struct resolver *r, uint64_t lsn, struct slice *record, uint32_t *epoch,
              struct error *err)
{
    if (!in_block(r, lsn)) {
        if (lsn < journal_oldest(r->journal))
            return 0;
        int got = read_block(r, lsn, err);
        if (got <= 0)
            return got;
    }
    *epoch = r->block.epoch;
    int got = find_in_block(r, (uint32_t)(lsn - r->block.first_lsn), record, err);
    if (got < 0)
        r->block.count = 0;
    return got;
}

/* Body and event id stand behind each other in `text`, which may move while it grows. */
static int
print_event(struct event *e, const struct event_shape *shape, struct buffer *text,
            struct delivery *out, struct error *err)
{
    buffer_reset(text);
    event_json(e, shape, text);
    size_t body = text->size;
    event_id(e, text);
    if (text->failed)
        return error_set(err, ERROR_DATA, "event %llu is too large to print",
                         (unsigned long long)e->lsn);
    out->body = (struct slice){text->data, body};
    out->event_id = (struct slice){text->data + body, text->size - body};
    return 1;
}

static int
deliver_event(struct resolver *r, const struct record *record, struct buffer *text,
              struct delivery *out, struct error *err)
{
    struct slice bytes = record->body;
    uint32_t epoch = record->epoch;
    if (record->form == RECORD_REFERENCE) {
        int got = resolver_find(r, record->lsn, &bytes, &epoch, err);
        if (got <= 0)
            return got;
    }
    const struct event_shape *shape = shapes_find(r->shapes, record->shape);
    if (!shape)
        return error_set(err, ERROR_CORRUPT, "outbox shape %llu is not stored",
                         (unsigned long long)record->shape);
    struct scan scan = scan_of(bytes);
    struct event e = {0};
    arena_reset(&r->arena);
    if (codec_decode(&scan, r->schemas, &r->arena, &e, err) != 0)
        return -1;
    e.lsn = record->lsn;
    e.epoch = epoch;
    return print_event(&e, shape, text, out, err);
}

int
resolver_delivery(struct resolver *r, const struct record *record, struct buffer *text,
                  struct delivery *out, struct error *err)
{
    message_id_text(record->id, out->id);
    out->event_id = record->event_id;
    out->rule = record->rule;
    out->lsn = record->lsn;
    out->created = record->created;
    out->kind = (enum message_kind)record->kind;
    out->body = record->body;
    out->options = record->options;
    out->driver = NULL;
    return record->form == RECORD_BODY ? 1 : deliver_event(r, record, text, out, err);
}
