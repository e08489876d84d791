/* What is left after a kill or a power cut, and what of it counts (design/storage.md §2). Only the
 * newest segment is read: blocks of the others were synced before it began. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "journal/journal_private.h"

enum { SEARCH_STEP = 1024 * 1024, REWRITE_STEP = 1024 * 1024 };

int
journal_hint(struct error *err)
{
    return error_hint(err, "restore a backup, or begin an empty journal with: tidegate reset "
                           "--journal (events that were not yet handled are lost)");
}

static int
remove_file(const struct journal *j, const char *name, struct error *err)
{
    char *path = segment_path(j->folder, "%s", name);
    int result = file_unlink(path, err);
    free(path);
    return result;
}

/* Where the magic of a block begins in `bytes`, or NULL. */
static const char *
find_magic(struct slice bytes)
{
    const char *end = bytes.data + bytes.size - sizeof(block_magic) + 1;
    for (const char *at = bytes.data; at < end; at++) {
        at = memchr(at, block_magic[0], (size_t)(end - at));
        if (!at)
            return NULL;
        if (memcmp(at, block_magic, sizeof(block_magic)) == 0)
            return at;
    }
    return NULL;
}

/* The first header at or past `offset` that vouches for itself. 1: found, 0: there is none, -1. */
static int
find_header(struct window *w, const struct segment *s, int64_t *offset, struct block *b,
            struct error *err)
{
    while (*offset + BLOCK_FIXED <= w->end) {
        enum block_state state = BLOCK_BAD;
        struct slice view;
        const char *hit;
        if (window_view(w, *offset, sizeof(block_magic), &view, err) != 0)
            return -1;
        if (view.size < sizeof(block_magic))
            return 0;
        hit = find_magic(view);
        if (!hit) {
            *offset += (int64_t)(view.size - sizeof(block_magic) + 1);
            continue;
        }
        *offset += hit - view.data;
        if (window_header(w, s, *offset, b, &state, err) != 0)
            return -1;
        if (state == BLOCK_GOOD && b->segment == s->number)
            return 1;
        *offset += 1;
    }
    return 0;
}

/* How far a walk through the newest segment has come. */
struct walk {
    struct window window;
    struct segment *segment;
    int64_t offset;
    int64_t group_offset; /* where the newest group begins */
    uint64_t group;
};

static bool
follows(const struct journal *j, const struct walk *walk, const struct block *b)
{
    const struct writer *w = &j->writer;
    return b->segment == walk->segment->number && b->number == w->next_block &&
           b->previous == w->chain && b->first_lsn == w->next_lsn &&
           (b->group == b->number || (b->group == walk->group && walk->group != 0)) &&
           b->source.size > 0 && b->source.size < sizeof(((struct journal_source *)0)->name);
}

static void
apply_block(struct source_table *t, const struct block *b)
{
    struct journal_source to = {
        .epoch = b->epoch,
        .watermark = b->watermark,
        .lsn = b->count ? block_next_lsn(b) - 1 : 0,
        .position = (char *)b->position.data,
        .position_size = b->position.size,
    };
    table_set(t, b->source, &to);
}

static void
accept(struct journal *j, struct walk *walk, const struct block *b)
{
    struct writer *w = &j->writer;
    int64_t newest = b->last_ts > b->written ? b->last_ts : b->written;
    apply_block(&w->sources, b);
    if (b->group == b->number)
        walk->group_offset = walk->offset;
    walk->group = b->group;
    walk->offset += block_size(b);
    w->seen = newest > w->seen ? newest : w->seen;
    w->chain = b->checksum;
    w->next_block = b->number + 1;
    w->next_lsn = block_next_lsn(b);
}

static int
refuse_newer(const struct walk *walk, struct error *err)
{
    error_set(err, ERROR_REFUSED, "journal segment %s has blocks of a newer format",
              walk->segment->path);
    return error_hint(err, "use the newer Tidegate that wrote it");
}

static int
walk_blocks(struct journal *j, struct walk *walk, struct error *err)
{
    for (;;) {
        enum block_state state;
        struct slice body;
        struct block b;
        if (window_block(&walk->window, walk->segment, walk->offset, &b, &body, &state, err) != 0)
            return -1;
        if (state == BLOCK_NEWER)
            return refuse_newer(walk, err);
        if (state != BLOCK_GOOD || !follows(j, walk, &b))
            return 0;
        accept(j, walk, &b);
    }
}

/* From the first bad block on all is cut, unless a later block shows that it had been synced. */
static int
check_cut(const struct journal *j, struct walk *walk, struct error *err)
{
    uint64_t bad = j->writer.next_block;
    int64_t offset = walk->offset;
    uint64_t cut = 0;
    struct block b;
    int found;
    while ((found = find_header(&walk->window, walk->segment, &offset, &b, err)) == 1) {
        if (b.group > bad) {
            error_set(err, ERROR_CORRUPT,
                      "journal segment %s is damaged: block %" PRIu64
                      " at byte %lld was synced and "
                      "is not whole (block %" PRIu64 " after it is)",
                      walk->segment->path, bad, (long long)walk->offset, b.number);
            return journal_hint(err);
        }
        cut += b.number >= bad;
        offset += 1;
    }
    if (found < 0)
        return -1;
    if (cut > 0)
        log_info("journal", "cut %" PRIu64 " blocks that were never synced, from block %" PRIu64,
                 cut, bad);
    return 0;
}

/* What the page cache shows of the newest group may never have reached the disk (a kill before the
 * sync, or a sync that failed), and an earlier failure may have marked its pages clean. So it is
 * written again before it counts. */
static int
make_durable(struct walk *walk, struct error *err)
{
    struct window *window = &walk->window;
    int fd = file_open(walk->segment->path, O_RDWR, err);
    int result = fd < 0 ? -1 : 0;
    for (int64_t at = walk->group_offset; at < walk->offset && result == 0;) {
        int64_t step = walk->offset - at < REWRITE_STEP ? walk->offset - at : REWRITE_STEP;
        struct slice bytes;
        result = window_view(window, at, step, &bytes, err);
        if (result == 0 && (int64_t)bytes.size < step)
            result = error_set(err, ERROR_IO, "%s shrank while it was read", walk->segment->path);
        if (result == 0)
            result = file_write(fd, bytes.data, (size_t)step, at, walk->segment->path, err);
        at += step;
    }
    if (result == 0)
        result = file_sync(fd, walk->segment->path, err);
    file_close(fd);
    return result;
}

static int
walk_newest(struct journal *j, struct segment *s, struct error *err)
{
    struct walk walk = {.segment = s, .offset = s->start, .group_offset = s->start};
    int result;
    window_init(&walk.window);
    result = window_open(&walk.window, s->path, err);
    walk.window.end = s->size;
    if (result == 0)
        result = walk_blocks(j, &walk, err);
    if (result == 0)
        result = check_cut(j, &walk, err);
    if (result == 0)
        result = make_durable(&walk, err);
    if (result == 0)
        result = file_sync_folder(j->folder, err);
    window_release(&walk.window);
    s->end = walk.offset;
    j->writer.offset = walk.offset;
    return result;
}

static void
start_writer(struct journal *j, struct segment *s)
{
    struct writer *w = &j->writer;
    w->segment = s;
    w->next_lsn = s->first_lsn;
    w->next_block = s->first_block;
    w->next_segment = s->number + 1;
    w->chain = s->seed;
    w->seen = s->seen;
}

/* Takes one more file, older than all before it: it belongs to the journal if the one after it
 * names it. Else it is a leftover: of an earlier journal, or of a segment whose first sync failed.
 */
static int
take_older(struct journal *j, const char *name, struct error *err)
{
    struct segment *after = j->segments[j->segment_count - 1];
    struct segment *s = segment_load(j->folder, name, NULL, err);
    bool same, lost;
    if (!s)
        return -1;
    same = memcmp(s->id, j->id, sizeof(s->id)) == 0;
    lost = same ? s->first_block < after->first_block : after->previous != 0;
    if (same && s->number == after->previous && s->first_block <= after->first_block &&
        s->first_lsn <= after->first_lsn) {
        segments_push(j, s);
        return 0;
    }
    if (lost) {
        segment_free(s);
        error_set(err, ERROR_CORRUPT, "the journal in %s has lost segment %" PRIu64, j->folder,
                  after->previous);
        return journal_hint(err);
    }
    segment_free(s);
    return remove_file(j, name, err);
}

static void
reverse(struct segment **list, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct segment *s = list[i];
        list[i] = list[count - 1 - i];
        list[count - 1 - i] = s;
    }
}

/* Keeps one spare of the right size; the others and half-made files go. */
static int
take_spares(struct journal *j, const struct listing *files, struct error *err)
{
    for (size_t i = 0; i < files->other_count; i++)
        if (remove_file(j, files->others[i], err) != 0)
            return -1;
    for (size_t i = 0; i < files->spare_count; i++) {
        char *path = segment_path(j->folder, "%s", files->spares[i]);
        uint64_t n = strtoull(files->spares[i] + strlen("spare-"), NULL, 10);
        struct stat info;
        j->next_file = n >= j->next_file ? n + 1 : j->next_file;
        if (!j->spare && stat(path, &info) == 0 && info.st_size == j->segment_bytes) {
            j->spare = path;
            continue;
        }
        free(path);
        if (remove_file(j, files->spares[i], err) != 0)
            return -1;
    }
    return 0;
}

int
recover(struct journal *j, const struct listing *files, struct error *err)
{
    struct segment *newest;
    if (take_spares(j, files, err) != 0)
        return -1;
    if (files->count == 0)
        return 0;
    newest = segment_load(j->folder, files->segments[0], &j->writer.sources, err);
    if (!newest)
        return -1;
    segments_push(j, newest);
    memcpy(j->id, newest->id, sizeof(j->id));
    start_writer(j, newest);
    for (size_t i = 1; i < files->count; i++)
        if (take_older(j, files->segments[i], err) != 0)
            return -1;
    reverse(j->segments, j->segment_count);
    if (walk_newest(j, newest, err) != 0)
        return -1;
    table_copy(&j->sources, &j->writer.sources);
    j->next_lsn = j->writer.next_lsn;
    j->next_block = j->writer.next_block;
    j->position = j->writer.offset;
    return 0;
}

/* A segment whose blocks cannot be told from their imitations, or not be read, holds fewer events
 * than this. */
#define SALVAGE_UNKNOWN UINT32_MAX

static uint64_t
salvage_unknown(uint64_t first_lsn)
{
    return first_lsn > SEGMENT_LAST ? first_lsn : first_lsn + SALVAGE_UNKNOWN;
}

/* The highest next lsn that any block header of the file shows. */
static uint64_t
salvage_blocks(const struct segment *s)
{
    struct error ignored = {0};
    struct window window;
    struct block b;
    uint64_t next = s->first_lsn;
    int64_t at = s->start;
    int found;
    window_init(&window);
    found = window_open(&window, s->path, &ignored) == 0 ? 1 : -1;
    window.end = s->size;
    while (found == 1 && (found = find_header(&window, s, &at, &b, &ignored)) == 1) {
        next = block_next_lsn(&b) > next ? block_next_lsn(&b) : next;
        at++;
    }
    window_release(&window);
    return found < 0 ? salvage_unknown(next) : next;
}

uint64_t
recover_salvage(const char *folder, const struct listing *files)
{
    uint64_t next = 1;
    for (size_t i = 0; i < files->count; i++) {
        struct error ignored = {0};
        struct segment *s = segment_load(folder, files->segments[i], NULL, &ignored);
        uint64_t lsn = 1, number;
        segment_parse_name(files->segments[i], &lsn, &number);
        lsn = s ? salvage_blocks(s) : salvage_unknown(lsn);
        next = lsn > next ? lsn : next;
        segment_free(s);
    }
    return next;
}
