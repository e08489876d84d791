#include "outbox/record.h"

#include <stdlib.h>
#include "base/hash.h"
#include "channel/channel.h"

enum {
    FLAG_KIND = 0x03,
    FLAG_OPTIONS = 0x04,
    FLAG_COPY = 0x08,
    FLAG_BODY = 0x10,
    FLAG_SAME_EVENT = 0x20, /* the event id is that of the record before */
    FLAG_KNOWN = 0x3f,
};

void
record_begin(struct record_writer *w, struct buffer *out, int64_t written)
{
    *w = (struct record_writer){0};
    buffer_byte(out, RECORD_VERSION);
    buffer_signed(out, written);
}

/* The place of a name in the cache: two names may share it, then one is defined twice. */
static unsigned
rule_place(struct slice rule)
{
    return (unsigned)(hash64(rule.data, rule.size) % RECORD_CACHE);
}

static void
write_rule(struct record_writer *w, struct buffer *out, struct slice rule)
{
    unsigned place = rule_place(rule);
    size_t size = w->rule_cache[place].size;
    if (size && size == rule.size &&
        memcmp(out->data + w->rule_cache[place].offset, rule.data, size) == 0) {
        buffer_varint(out, w->rule_cache[place].index);
        return;
    }
    buffer_varint(out, w->rules);
    buffer_lenslice(out, rule);
    w->rule_cache[place].offset = out->size - rule.size;
    w->rule_cache[place].size = (uint32_t)rule.size;
    w->rule_cache[place].index = w->rules++;
}

static void
remember_shape(struct record_writer *w, uint64_t number, uint32_t index)
{
    unsigned place = number % countof(w->shape_cache);
    w->shape_cache[place].number = number;
    w->shape_cache[place].index = index;
    w->shape_cache[place].used = true;
}

static void
write_shape(struct record_writer *w, struct buffer *out, uint64_t number)
{
    unsigned place = number % countof(w->shape_cache);
    if (w->shape_cache[place].used && w->shape_cache[place].number == number) {
        buffer_varint(out, w->shape_cache[place].index);
        return;
    }
    buffer_varint(out, w->shapes);
    buffer_u64(out, number);
    remember_shape(w, number, w->shapes++);
}

static bool
same_event(const struct record_writer *w, const struct buffer *out, struct slice event_id)
{
    return w->event_id_size && w->event_id_size == event_id.size &&
           memcmp(out->data + w->event_id, event_id.data, event_id.size) == 0;
}

static uint8_t
flags_of(const struct record_writer *w, const struct buffer *out, const struct record *record)
{
    uint8_t flags = record->kind & FLAG_KIND;
    flags |= record->options.size ? FLAG_OPTIONS : 0;
    flags |= record->form == RECORD_COPY ? FLAG_COPY : 0;
    flags |= record->form == RECORD_BODY ? FLAG_BODY : 0;
    if (record->form == RECORD_BODY && same_event(w, out, record->event_id))
        flags |= FLAG_SAME_EVENT;
    return flags;
}

static void
write_body(struct record_writer *w, struct buffer *out, const struct record *record, uint8_t flags)
{
    if (record->form != RECORD_BODY) {
        write_shape(w, out, record->shape);
        if (record->form == RECORD_COPY) {
            buffer_varint(out, record->epoch);
            buffer_lenslice(out, record->body);
        }
        return;
    }
    if (!(flags & FLAG_SAME_EVENT)) {
        buffer_lenslice(out, record->event_id);
        w->event_id = out->size - record->event_id.size;
        w->event_id_size = record->event_id.size;
    }
    buffer_lenslice(out, record->body);
}

void
record_write(struct record_writer *w, struct buffer *out, const struct record *record)
{
    if (out->failed)
        return;
    uint8_t flags = flags_of(w, out, record);
    buffer_byte(out, flags);
    buffer_append(out, record->id, sizeof(record->id));
    write_rule(w, out, record->rule);
    buffer_varint(out, record->ordinal);
    buffer_signed(out, (int64_t)(record->lsn - w->lsn));
    buffer_signed(out, (int64_t)((uint64_t)record->created - (uint64_t)w->created));
    buffer_u64(out, record->key);
    write_body(w, out, record, flags);
    if (record->options.size)
        buffer_lenslice(out, record->options);
    w->lsn = record->lsn;
    w->created = record->created;
}

void
record_single(struct buffer *out, int64_t written, const struct record *record)
{
    struct record_writer writer;
    record_begin(&writer, out, written);
    record_write(&writer, out, record);
}

int
record_open(struct record_reader *r, struct slice block, struct error *err)
{
    *r = (struct record_reader){.scan = scan_of(block)};
    uint8_t version = scan_byte(&r->scan);
    if (version != RECORD_VERSION)
        return error_set(err, ERROR_CORRUPT, "outbox block has the unknown form %u", version);
    r->written = scan_signed(&r->scan);
    if (r->scan.failed)
        return error_set(err, ERROR_CORRUPT, "outbox block is cut off in its header");
    return 0;
}

void
record_release(struct record_reader *r)
{
    free(r->rules);
    free(r->shapes);
    r->rules = NULL;
    r->shapes = NULL;
    r->rule_count = r->shape_count = 0;
}

/* Tables double at each power of two, so that a block of one record has room for one. */
static void *
room_for(void *table, uint32_t count, size_t size)
{
    if (count & (count - 1))
        return table;
    return memory_grow(table, (count ? (size_t)count * 2 : 1) * size);
}

static struct slice
read_rule(struct record_reader *r)
{
    uint64_t index = scan_varint(&r->scan);
    if (r->scan.failed || index > r->rule_count) {
        scan_fail(&r->scan);
        return (struct slice){"", 0};
    }
    if (index == r->rule_count) {
        r->rules = room_for(r->rules, r->rule_count, sizeof(*r->rules));
        r->rules[r->rule_count++] = scan_lenslice(&r->scan);
    }
    return r->rules[index];
}

static uint64_t
read_shape(struct record_reader *r)
{
    uint64_t index = scan_varint(&r->scan);
    if (r->scan.failed || index > r->shape_count) {
        scan_fail(&r->scan);
        return 0;
    }
    if (index == r->shape_count) {
        r->shapes = room_for(r->shapes, r->shape_count, sizeof(*r->shapes));
        r->shapes[r->shape_count++] = scan_u64(&r->scan);
    }
    return r->shapes[index];
}

static void
read_body(struct record_reader *r, struct record *out, uint8_t flags)
{
    if (!(flags & FLAG_BODY)) {
        out->shape = read_shape(r);
        out->form = flags & FLAG_COPY ? RECORD_COPY : RECORD_REFERENCE;
        if (out->form == RECORD_COPY) {
            out->epoch = (uint32_t)scan_varint(&r->scan);
            out->body = scan_lenslice(&r->scan);
        }
        return;
    }
    out->form = RECORD_BODY;
    if (!(flags & FLAG_SAME_EVENT))
        r->event_id = scan_lenslice(&r->scan);
    out->event_id = r->event_id;
    out->body = scan_lenslice(&r->scan);
}

static bool
flags_sound(uint8_t flags)
{
    if (flags & ~FLAG_KNOWN || !(flags & FLAG_KIND))
        return false;
    if (flags & FLAG_BODY)
        return !(flags & FLAG_COPY);
    return (flags & FLAG_KIND) == MESSAGE_EVENT && !(flags & FLAG_SAME_EVENT);
}

static void
read_fields(struct record_reader *r, struct record *out, uint8_t flags)
{
    *out = (struct record){.kind = flags & FLAG_KIND};
    struct slice id = scan_bytes(&r->scan, sizeof(out->id));
    if (id.size == sizeof(out->id))
        memcpy(out->id, id.data, sizeof(out->id));
    out->rule = read_rule(r);
    out->ordinal = (uint32_t)scan_varint(&r->scan);
    out->lsn = r->lsn += (uint64_t)scan_signed(&r->scan);
    r->created = (int64_t)((uint64_t)r->created + (uint64_t)scan_signed(&r->scan));
    out->created = r->created;
    out->key = scan_u64(&r->scan);
    read_body(r, out, flags);
    if (flags & FLAG_OPTIONS)
        out->options = scan_lenslice(&r->scan);
}

int
record_read(struct record_reader *r, struct record *out, struct error *err)
{
    if (!r->scan.failed && r->scan.at == r->scan.end)
        return 0;
    uint8_t flags = scan_byte(&r->scan);
    if (!r->scan.failed && flags_sound(flags))
        read_fields(r, out, flags);
    else
        scan_fail(&r->scan);
    if (r->scan.failed)
        return error_set(err, ERROR_CORRUPT, "outbox block has a damaged record");
    return 1;
}

static void
remember(struct record_writer *w, struct slice block, const struct record_reader *r,
         const struct record *record)
{
    for (; w->rules < r->rule_count; w->rules++) {
        struct slice rule = r->rules[w->rules];
        unsigned place = rule_place(rule);
        w->rule_cache[place].offset = (size_t)(rule.data - block.data);
        w->rule_cache[place].size = (uint32_t)rule.size;
        w->rule_cache[place].index = w->rules;
    }
    for (; w->shapes < r->shape_count; w->shapes++)
        remember_shape(w, r->shapes[w->shapes], w->shapes);
    if (record->form == RECORD_BODY) {
        w->event_id = (size_t)(record->event_id.data - block.data);
        w->event_id_size = record->event_id.size;
    }
    w->lsn = record->lsn;
    w->created = record->created;
}

int
record_rewind(struct record_writer *w, struct slice block, struct error *err)
{
    struct record_reader reader;
    struct record record;
    *w = (struct record_writer){0};
    int got = record_open(&reader, block, err);
    while (got == 0 && (got = record_read(&reader, &record, err)) > 0) {
        remember(w, block, &reader, &record);
        got = 0;
        if (reader.scan.at == reader.scan.end)
            break;
    }
    record_release(&reader);
    return got;
}
