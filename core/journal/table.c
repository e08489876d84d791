#include "journal/table.h"

#include <stdlib.h>

void
table_release(struct source_table *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->entries[i].position);
    free(t->entries);
    *t = (struct source_table){0};
}

static char *
copy_position(const struct journal_source *from)
{
    return memory_slice((struct slice){from->position, from->position_size});
}

void
table_copy(struct source_table *to, const struct source_table *from)
{
    struct source_table copy = {memory_alloc(from->count * sizeof(*copy.entries)), from->count};
    for (size_t i = 0; i < from->count; i++) {
        copy.entries[i] = from->entries[i];
        copy.entries[i].position = copy_position(&from->entries[i]);
    }
    table_release(to);
    *to = copy;
}

static struct journal_source *
entry_of(const struct source_table *t, struct slice name)
{
    for (size_t i = 0; i < t->count; i++)
        if (slice_is(name, t->entries[i].name))
            return &t->entries[i];
    return NULL;
}

const struct journal_source *
table_find(const struct source_table *t, struct slice name)
{
    return entry_of(t, name);
}

static struct journal_source *
entry_add(struct source_table *t, struct slice name)
{
    struct journal_source *entry;
    size_t size = name.size < sizeof(entry->name) ? name.size : sizeof(entry->name) - 1;
    t->entries = memory_grow(t->entries, (t->count + 1) * sizeof(*t->entries));
    entry = &t->entries[t->count++];
    *entry = (struct journal_source){0};
    memcpy(entry->name, name.data, size);
    return entry;
}

void
table_set(struct source_table *t, struct slice name, const struct journal_source *to)
{
    struct journal_source *entry = entry_of(t, name);
    if (!entry)
        entry = entry_add(t, name);
    entry->epoch = to->epoch;
    entry->watermark = to->watermark;
    if (to->lsn)
        entry->lsn = to->lsn;
    free(entry->position);
    entry->position = copy_position(to);
    entry->position_size = to->position_size;
}

void
table_encode(const struct source_table *t, struct buffer *out)
{
    buffer_u32(out, (uint32_t)t->count);
    for (size_t i = 0; i < t->count; i++) {
        const struct journal_source *entry = &t->entries[i];
        buffer_lenslice(out, slice_of(entry->name));
        buffer_varint(out, entry->epoch);
        buffer_signed(out, entry->watermark);
        buffer_varint(out, entry->lsn);
        buffer_lenslice(out, (struct slice){entry->position, entry->position_size});
    }
}

bool
table_decode(struct source_table *t, struct slice bytes)
{
    struct scan s = scan_of(bytes);
    uint32_t count = scan_u32(&s);
    table_release(t);
    for (uint32_t i = 0; i < count && !s.failed; i++) {
        struct slice name = scan_lenslice(&s), position;
        struct journal_source entry = {0};
        entry.epoch = (uint32_t)scan_varint(&s);
        entry.watermark = scan_signed(&s);
        entry.lsn = scan_varint(&s);
        position = scan_lenslice(&s);
        entry.position = (char *)position.data;
        entry.position_size = position.size;
        if (s.failed || name.size == 0 || name.size >= sizeof(entry.name) ||
            memchr(name.data, 0, name.size) || entry_of(t, name))
            return false;
        table_set(t, name, &entry);
    }
    return !s.failed && s.at == s.end;
}
