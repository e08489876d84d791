/* Writing: blocks, groups and the change from one segment to the next. Store thread only. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/hash.h"
#include "journal/journal_private.h"

/* A block larger than a quarter of the ring would push out what readers are about to read. */
enum { RING_SHARE = 4 };

static void
drop_group(struct writer *w)
{
    for (size_t i = 0; i < w->pending_count; i++)
        kept_give(w->pending[i]);
    w->pending_count = 0;
}

/* Back to what is committed, in a new segment: what this group left behind does not count there. */
static void
fail_group(struct journal *j)
{
    struct writer *w = &j->writer;
    drop_group(w);
    w->spent = true;
    pthread_mutex_lock(&j->lock);
    w->segment->failed = true;
    pthread_mutex_unlock(&j->lock);
    w->next_lsn = j->next_lsn; /* only this thread writes it */
    w->next_block = j->next_block;
    table_copy(&w->sources, &j->sources);
}

static int
sync_segment(struct writer *w, struct error *err)
{
    ensure(!w->spent);
    if (fault_fails("journal.before_sync"))
        return error_errno(err, ERROR_IO, EIO, "cannot sync %s", w->segment->path);
    if (sabotage("store.synchronous_off"))
        return 0;
    return file_sync(w->fd, w->segment->path, err);
}

/* A file of at least `size` bytes: the prepared one, or one made here and now. Its path in `path`.
 */
static int
take_file(struct journal *j, int64_t *size, char **path, struct error *err)
{
    char *spare = NULL;
    pthread_mutex_lock(&j->lock);
    if (*size <= j->segment_bytes) {
        *size = j->segment_bytes;
        spare = j->spare;
        j->spare = NULL;
    }
    pthread_mutex_unlock(&j->lock);
    *path = spare ? spare : journal_new_path(j, "fresh");
    return spare ? file_open(spare, O_RDWR, err) : segment_allocate(*path, *size, false, err);
}

/* Puts the new segment at the end of the list; those that hold nothing below its first block go. */
static void
adopt(struct journal *j, struct segment *s)
{
    pthread_mutex_lock(&j->lock);
    while (j->segment_count > 0 && j->segments[j->segment_count - 1]->first_block >= s->first_block)
        journal_doom(j, j->segments[--j->segment_count]);
    segments_push(j, s);
    j->position = s->start;
    pthread_mutex_unlock(&j->lock);
}

/* The newest segment that holds blocks below `block`, which a new segment comes after. */
static uint64_t
number_before(struct journal *j, uint64_t block)
{
    uint64_t number = 0;
    pthread_mutex_lock(&j->lock);
    for (size_t i = j->segment_count; i-- > 0 && number == 0;)
        if (j->segments[i]->first_block < block)
            number = j->segments[i]->number;
    pthread_mutex_unlock(&j->lock);
    return number;
}

static struct segment *
plan_segment(struct journal *j)
{
    struct writer *w = &j->writer;
    struct segment *s = memory_zero(sizeof(*s));
    s->number = w->next_segment++;
    s->previous = number_before(j, w->next_block);
    s->first_lsn = w->next_lsn;
    s->first_block = w->next_block;
    s->seed = random_u64();
    s->begun = clock_now();
    s->seen = w->seen;
    memcpy(s->id, j->id, sizeof(s->id));
    return s;
}

/* Goes on in a new segment with room for a block of `size` bytes. */
static int
begin_segment(struct journal *j, int64_t size, struct error *err)
{
    struct writer *w = &j->writer;
    struct segment *s = plan_segment(j);
    struct buffer table;
    char *path = NULL;
    int result = -1;
    int fd;
    buffer_init(&table, TABLE_MAX);
    table_encode(&w->sources, &table);
    if (table.failed) {
        error_set(err, ERROR_FULL, "the positions of %zu sources take too much room",
                  w->sources.count);
        goto done;
    }
    s->size = segment_start(table.size) + (size + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE;
    fd = take_file(j, &s->size, &path, err);
    if (fd < 0)
        goto done;
    result = segment_begin(s, fd, path, buffer_view(&table), err);
    if (result != 0) {
        file_close(fd);
        goto done;
    }
    file_close(w->fd);
    adopt(j, s);
    w->fd = fd;
    w->segment = s;
    w->offset = s->start;
    w->chain = s->seed;
    w->group = w->next_block;
    w->spent = false;
done:
    if (result != 0)
        segment_free(s);
    free(path);
    buffer_release(&table);
    return result;
}

/* Room for a block of `size` bytes at the writer's place. Blocks of this group that stand in a full
 * segment are synced there, before a header in the next one says that they were. */
static int
make_room(struct journal *j, int64_t size, struct error *err)
{
    struct writer *w = &j->writer;
    if (!w->spent && w->offset + size <= w->segment->size) {
        if (w->fd < 0)
            w->fd = file_open(w->segment->path, O_RDWR, err);
        return w->fd < 0 ? -1 : 0;
    }
    if (w->pending_count > 0 && sync_segment(w, err) != 0)
        return -1;
    return begin_segment(j, size, err);
}

static void
keep(struct journal *j, struct kept *k)
{
    struct writer *w = &j->writer;
    if (w->pending_count == w->pending_capacity) {
        w->pending_capacity = w->pending_capacity ? 2 * w->pending_capacity : 16;
        w->pending = memory_grow(w->pending, w->pending_capacity * sizeof(struct kept *));
    }
    w->pending[w->pending_count++] = k;
}

/* The numbers of the schemas used, as they stand in a header; in `out`. */
static void
list_schemas(const struct batch *batch, struct buffer *out)
{
    for (size_t i = 0; i < batch->schema_count; i++)
        buffer_u64(out, batch->schemas[i]->number);
}

static struct block
block_of(const struct writer *w, const struct batch *batch, const struct buffer *schemas)
{
    return (struct block){
        .body_size = batch->body.size,
        .plain_size = batch->records.size,
        .body_hash = batch->body_hash,
        .compressed = batch->compressed,
        .segment = w->segment->number,
        .number = w->next_block,
        .group = w->group,
        .previous = w->chain,
        .first_lsn = w->next_lsn,
        .count = batch->count,
        .epoch = batch->epoch,
        .watermark = batch->watermark,
        .written = clock_now(),
        .first_ts = batch->first_ts,
        .last_ts = batch->last_ts,
        .source = slice_of(batch->source),
        .position = buffer_view(&batch->position),
        .schemas = buffer_view(schemas),
        .schema_count = (uint32_t)batch->schema_count,
    };
}

static int
put_block(struct writer *w, struct block *b, const struct batch *batch, struct error *err)
{
    struct slice parts[2];
    buffer_reset(&w->header);
    if (block_encode(b, w->segment->seed, &w->header, err) != 0)
        return -1;
    parts[0] = buffer_view(&w->header);
    parts[1] = buffer_view(&batch->body);
    if (fault_fails("journal.mid_group"))
        return error_errno(err, ERROR_IO, ENOSPC, "cannot write %s", w->segment->path);
    return file_write_parts(w->fd, parts, 2, w->offset, w->segment->path, err);
}

static void
apply_kept(struct source_table *t, const struct kept *k)
{
    struct journal_source to = {
        .epoch = k->epoch,
        .watermark = k->watermark,
        .lsn = k->count ? k->first_lsn + k->count - 1 : 0,
        .position = (char *)k->position.data,
        .position_size = k->position.size,
    };
    table_set(t, k->source, &to);
}

static void
advance(struct journal *j, const struct block *b, const struct batch *batch)
{
    struct writer *w = &j->writer;
    int64_t newest = b->last_ts > b->written ? b->last_ts : b->written;
    struct kept *k =
        kept_new(b, batch, w->offset, batch->records.size <= j->ring.limit / RING_SHARE);
    keep(j, k);
    apply_kept(&w->sources, k);
    w->seen = newest > w->seen ? newest : w->seen;
    w->offset += block_size(b);
    w->chain = b->checksum;
    w->next_block++;
    w->next_lsn = block_next_lsn(b);
}

static int
write_block(struct journal *j, const struct batch *batch, struct error *err)
{
    struct writer *w = &j->writer;
    struct buffer schemas;
    struct block b;
    int64_t size;
    int result;
    size_t name = strlen(batch->source);
    if (name == 0 || name >= sizeof(((struct journal_source *)0)->name))
        return error_set(err, ERROR_INTERNAL, "a source cannot be named \"%.80s\"", batch->source);
    size = (int64_t)(BLOCK_FIXED + name + batch->position.size + 8 * batch->schema_count +
                     batch->body.size);
    if (make_room(j, size, err) != 0)
        return -1;
    buffer_init(&schemas, BLOCK_HEADER_MAX);
    list_schemas(batch, &schemas);
    b = block_of(w, batch, &schemas);
    result = put_block(w, &b, batch, err);
    if (result == 0)
        advance(j, &b, batch);
    buffer_release(&schemas);
    return result;
}

int
journal_write(struct journal *j, const struct batch *batch, struct error *err)
{
    struct writer *w = &j->writer;
    w->broken = false;
    if (w->pending_count == 0)
        w->group = w->next_block;
    if (write_block(j, batch, err) != 0) {
        fail_group(j);
        w->broken = true;
        return -1;
    }
    fault_point("journal.mid_group");
    return 0;
}

/* Makes the group visible, in one step. */
static void
publish(struct journal *j)
{
    struct writer *w = &j->writer;
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0, at = 0; i < w->pending_count; i++) {
        struct kept *k = w->pending[i];
        while (j->segments[at]->number != k->segment)
            at++;
        j->segments[at]->end = k->offset + k->size;
        apply_kept(&j->sources, k);
        ring_push(&j->ring, k);
    }
    w->pending_count = 0;
    j->next_lsn = w->next_lsn;
    j->next_block = w->next_block;
    j->position = w->offset;
    for (size_t i = 0; i < JOURNAL_WAKES; i++)
        if (j->wakes[i])
            wake_poke(j->wakes[i]);
    pthread_mutex_unlock(&j->lock);
}

int
journal_sync(struct journal *j, struct error *err)
{
    struct writer *w = &j->writer;
    if (w->broken) {
        w->broken = false;
        return error_set(err, ERROR_IO, "nothing to sync in %s: a write of the group failed",
                         j->folder);
    }
    if (w->pending_count == 0)
        return 0;
    fault_point("journal.before_sync");
    if (sync_segment(w, err) != 0) {
        fail_group(j);
        return -1;
    }
    fault_point("journal.after_sync");
    publish(j);
    return 0;
}

void
journal_abandon(struct journal *j)
{
    struct writer *w = &j->writer;
    w->broken = false;
    if (w->pending_count > 0)
        fail_group(j);
}
