/* Opening, closing, resetting, and what any thread may ask. */
#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "journal/journal_private.h"

enum { FIRST_SEGMENTS = 16 };

void
segments_push(struct journal *j, struct segment *s)
{
    if (j->segment_count == j->segment_capacity) {
        j->segment_capacity = j->segment_capacity ? 2 * j->segment_capacity : FIRST_SEGMENTS;
        j->segments = memory_grow(j->segments, j->segment_capacity * sizeof(*j->segments));
    }
    j->segments[j->segment_count++] = s;
}

/* Begins the segment of an empty journal: only a header, so that id and next lsn are durable. */
static int
begin_empty(const char *folder, uint64_t first_lsn, uint64_t number, struct error *err)
{
    struct source_table none = {0};
    struct segment s = {
        .number = number,
        .first_lsn = first_lsn,
        .first_block = 1,
        .seed = random_u64(),
        .begun = clock_now(),
    };
    char *path = segment_path(folder, "fresh-begin");
    struct buffer table;
    int result = -1;
    int fd;
    random_bytes(s.id, sizeof(s.id));
    buffer_init(&table, SEGMENT_PAGE);
    table_encode(&none, &table);
    s.size = segment_start(table.size);
    unlink(path);
    fd = segment_allocate(path, s.size, false, err);
    if (fd >= 0)
        result = segment_begin(&s, fd, path, buffer_view(&table), err);
    file_close(fd);
    buffer_release(&table);
    free(s.path);
    free(path);
    return result;
}

static int
open_folder(struct journal *j, struct error *err)
{
    struct listing files;
    int result;
    if (file_make_folder(j->folder, err) != 0 || listing_read(j->folder, &files, err) != 0)
        return -1;
    if (files.count == 0 && begin_empty(j->folder, 1, 1, err) != 0) {
        listing_release(&files);
        return -1;
    }
    if (files.count == 0) {
        listing_release(&files);
        if (listing_read(j->folder, &files, err) != 0)
            return -1;
    }
    result = recover(j, &files, err);
    listing_release(&files);
    return result;
}

struct journal *
journal_open(const struct journal_options *options, struct error *err)
{
    struct journal *j = memory_zero(sizeof(*j));
    int64_t ring = options->ring_bytes ? options->ring_bytes : JOURNAL_RING;
    int64_t size = options->segment_bytes ? options->segment_bytes : JOURNAL_SEGMENT;
    j->folder = memory_text(options->folder);
    j->segment_bytes = (size + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE;
    j->writer.fd = -1;
    pthread_mutex_init(&j->lock, NULL);
    ring_init(&j->ring, (size_t)ring);
    buffer_init(&j->writer.header, BLOCK_HEADER_MAX);
    if (open_folder(j, err) != 0) {
        journal_close(j);
        return NULL;
    }
    hash_hex(j->id, sizeof(j->id), j->id_text);
    return j;
}

void
journal_close(struct journal *j)
{
    if (!j)
        return;
    journal_abandon(j);
    file_close(j->writer.fd);
    for (size_t i = 0; i < j->segment_count; i++)
        segment_free(j->segments[i]);
    while (j->trimmed) {
        struct segment *s = j->trimmed;
        j->trimmed = s->next;
        segment_free(s);
    }
    free(j->segments);
    free(j->spare);
    ring_release(&j->ring);
    table_release(&j->sources);
    table_release(&j->writer.sources);
    free(j->writer.pending);
    buffer_release(&j->writer.header);
    pthread_mutex_destroy(&j->lock);
    free(j->folder);
    free(j);
}

static int
remove_all(const char *folder, char **names, size_t count, struct error *err)
{
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        char *path = segment_path(folder, "%s", names[i]);
        result = file_unlink(path, err);
        free(path);
    }
    return result;
}

/* The new segment stands before the old ones go: a kill in between leaves the old journal or the
 * new one, and what is left of the old is removed at the next start. */
int
journal_reset(const char *folder, uint64_t newest, struct error *err)
{
    struct listing files;
    uint64_t next, lsn, number = 0;
    int result;
    if (file_make_folder(folder, err) != 0 || listing_read(folder, &files, err) != 0)
        return -1;
    next = recover_salvage(folder, &files);
    if (newest >= next)
        next = newest + 1;
    if (files.count > 0)
        segment_parse_name(files.segments[0], &lsn, &number);
    if (next < SEGMENT_LAST && number < SEGMENT_LAST)
        result = begin_empty(folder, next, number + 1, err);
    else
        result = error_set(err, ERROR_CORRUPT,
                           "no journal in %s can go on after lsn %" PRIu64 " and segment %" PRIu64,
                           folder, next - 1, number);
    if (result == 0)
        result = remove_all(folder, files.segments, files.count, err);
    if (result == 0)
        result = remove_all(folder, files.spares, files.spare_count, err);
    if (result == 0)
        result = file_sync_folder(folder, err);
    listing_release(&files);
    return result;
}

uint64_t
journal_newest(struct journal *j)
{
    uint64_t next;
    pthread_mutex_lock(&j->lock);
    next = j->next_lsn;
    pthread_mutex_unlock(&j->lock);
    return next - 1;
}

uint64_t
journal_oldest(struct journal *j)
{
    uint64_t oldest;
    pthread_mutex_lock(&j->lock);
    oldest = j->segments[0]->first_lsn;
    pthread_mutex_unlock(&j->lock);
    return oldest;
}

int64_t
journal_bytes(struct journal *j)
{
    int64_t bytes;
    pthread_mutex_lock(&j->lock);
    bytes = j->position;
    for (size_t i = 0; i + 1 < j->segment_count; i++)
        bytes += j->segments[i]->size;
    for (const struct segment *s = j->trimmed; s; s = s->next)
        bytes += s->size;
    pthread_mutex_unlock(&j->lock);
    return bytes;
}

const char *
journal_id(struct journal *j)
{
    return j->id_text;
}

uint64_t
journal_distance(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

static void
copy_source(struct journal_source *out, const struct journal_source *from)
{
    *out = *from;
    out->position = memory_slice((struct slice){from->position, from->position_size});
}

int
journal_source_get(struct journal *j, const char *name, struct journal_source *out)
{
    const struct journal_source *found;
    pthread_mutex_lock(&j->lock);
    found = table_find(&j->sources, slice_of(name));
    if (found)
        copy_source(out, found);
    pthread_mutex_unlock(&j->lock);
    return found ? 0 : -1;
}

size_t
journal_source_list(struct journal *j, struct journal_source **out)
{
    struct source_table copy = {0};
    pthread_mutex_lock(&j->lock);
    table_copy(&copy, &j->sources);
    pthread_mutex_unlock(&j->lock);
    *out = copy.entries;
    return copy.count;
}

void
journal_subscribe(struct journal *j, struct wake *wake)
{
    size_t i = 0;
    pthread_mutex_lock(&j->lock);
    while (i < JOURNAL_WAKES && j->wakes[i])
        i++;
    ensure(i < JOURNAL_WAKES);
    j->wakes[i] = wake;
    pthread_mutex_unlock(&j->lock);
}

void
journal_unsubscribe(struct journal *j, struct wake *wake)
{
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < JOURNAL_WAKES; i++)
        if (j->wakes[i] == wake)
            j->wakes[i] = NULL;
    pthread_mutex_unlock(&j->lock);
}
