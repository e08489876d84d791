#include "journal/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/hash.h"
#include "journal/journal_private.h"

static const char magic[8] = {'\xf7', 'T', 'G', 's', 'e', 'g', '\r', '\n'};

enum {
    CHECKED_FROM = 24,
    FIXED = CHECKED_FROM + 8 * 8 + SEGMENT_ID,
    FILL_STEP =
        1024 * 1024, /* synced each, so that a fill is never long in the way of the journal */
};

void
segment_free(struct segment *s)
{
    if (!s)
        return;
    free(s->path);
    free(s);
}

int64_t
segment_start(size_t table)
{
    return (int64_t)((FIXED + table + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE);
}

char *
segment_path(const char *folder, const char *format, ...)
{
    char name[128];
    struct buffer path;
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    buffer_init(&path, 64 * 1024);
    buffer_printf(&path, "%s/%s", folder, name);
    ensure(!path.failed);
    return buffer_take(&path, NULL);
}

bool
segment_parse_name(const char *name, uint64_t *first_lsn, uint64_t *number)
{
    int end = 0;
    return sscanf(name, "%20" SCNu64 "-%20" SCNu64 ".segment%n", first_lsn, number, &end) == 2 &&
           end > 0 && name[end] == '\0';
}

static void
encode(const struct segment *s, struct slice table, struct buffer *out)
{
    struct buffer body;
    buffer_init(&body, TABLE_MAX);
    buffer_u64(&body, s->number);
    buffer_u64(&body, s->previous);
    buffer_u64(&body, s->first_lsn);
    buffer_u64(&body, s->first_block);
    buffer_u64(&body, s->seed);
    buffer_u64(&body, (uint64_t)s->begun);
    buffer_u64(&body, (uint64_t)s->seen);
    buffer_u64(&body, (uint64_t)s->size);
    buffer_append(&body, s->id, sizeof(s->id));
    buffer_slice(&body, table);
    ensure(!body.failed);
    buffer_append(out, magic, sizeof(magic));
    buffer_u32(out, JOURNAL_FORMAT);
    buffer_u32(out, (uint32_t)(CHECKED_FROM + body.size));
    buffer_u64(out, hash64(body.data, body.size));
    buffer_slice(out, buffer_view(&body));
    buffer_release(&body);
}

static void
decode_fields(struct scan *scan, struct segment *s)
{
    s->number = scan_u64(scan);
    s->previous = scan_u64(scan);
    s->first_lsn = scan_u64(scan);
    s->first_block = scan_u64(scan);
    s->seed = scan_u64(scan);
    s->begun = (int64_t)scan_u64(scan);
    s->seen = (int64_t)scan_u64(scan);
    s->size = (int64_t)scan_u64(scan);
    struct slice id = scan_bytes(scan, sizeof(s->id));
    if (!scan->failed)
        memcpy(s->id, id.data, sizeof(s->id));
}

static int
damaged(const struct segment *s, const char *what, struct error *err)
{
    error_set(err, ERROR_CORRUPT, "journal segment %s is damaged: %s", s->path, what);
    return journal_hint(err);
}

/* Reads as much of the file as the header says it has. */
static int
read_header(const struct segment *s, int fd, struct buffer *out, struct error *err)
{
    size_t want = SEGMENT_PAGE;
    for (;;) {
        struct scan scan;
        int64_t got;
        uint32_t format, size;
        buffer_reset(out);
        got = file_read(fd, buffer_extend(out, want), want, 0, s->path, err);
        if (got < 0)
            return -1;
        out->size = (size_t)got;
        if (got < FIXED || memcmp(out->data, magic, sizeof(magic)) != 0)
            return damaged(s, "it does not begin like a segment", err);
        scan = scan_of(buffer_view(out));
        scan_bytes(&scan, sizeof(magic));
        format = scan_u32(&scan);
        size = scan_u32(&scan);
        if (format > JOURNAL_FORMAT) {
            error_set(err, ERROR_REFUSED,
                      "journal segment %s has format %u; this Tidegate reads %d", s->path, format,
                      JOURNAL_FORMAT);
            return error_hint(err, "use the newer Tidegate that wrote it");
        }
        if (size < FIXED || size > CHECKED_FROM + TABLE_MAX)
            return damaged(s, "its header has an impossible size", err);
        if (size <= (uint32_t)got) {
            out->size = size;
            return 0;
        }
        if ((size_t)got < want)
            return damaged(s, "its header is cut short", err);
        want = size;
    }
}

/* The file must be as long as it was made: a shorter one lost events that were synced. */
static int
check_length(const struct segment *s, int fd, struct error *err)
{
    struct stat info;
    char what[128];
    if (fstat(fd, &info) != 0)
        return error_errno(err, ERROR_IO, errno, "cannot look at %s", s->path);
    if (info.st_size >= s->size)
        return 0;
    snprintf(what, sizeof(what), "it has %lld bytes and should have %lld", (long long)info.st_size,
             (long long)s->size);
    return damaged(s, what, err);
}

static bool
countable(uint64_t n)
{
    return n > 0 && n <= SEGMENT_LAST;
}

static int
load_from(struct segment *s, int fd, struct source_table *table, struct error *err)
{
    struct source_table ignored = {0};
    struct buffer header;
    struct scan scan;
    int result = -1;
    buffer_init(&header, SEGMENT_PAGE + TABLE_MAX);
    if (read_header(s, fd, &header, err) != 0)
        goto done;
    scan = scan_of(buffer_view(&header));
    scan_bytes(&scan, sizeof(magic) + 8);
    if (scan_u64(&scan) != hash64(header.data + CHECKED_FROM, header.size - CHECKED_FROM)) {
        damaged(s, "the checksum of its header does not fit", err);
        goto done;
    }
    decode_fields(&scan, s);
    s->start = segment_start(header.size - FIXED);
    s->end = s->size;
    if (!countable(s->number) || !countable(s->first_lsn) || !countable(s->first_block) ||
        s->size < s->start || s->size > INT64_MAX / 2 ||
        !table_decode(table ? table : &ignored, scan_bytes(&scan, (size_t)(scan.end - scan.at)))) {
        damaged(s, "its header makes no sense", err);
        goto done;
    }
    result = check_length(s, fd, err);
done:
    table_release(&ignored);
    buffer_release(&header);
    return result;
}

struct segment *
segment_load(const char *folder, const char *name, struct source_table *table, struct error *err)
{
    struct segment *s = memory_zero(sizeof(*s));
    uint64_t lsn, number;
    int result = -1;
    int fd;
    s->path = segment_path(folder, "%s", name);
    fd = file_open(s->path, O_RDONLY, err);
    if (fd >= 0)
        result = load_from(s, fd, table, err);
    file_close(fd);
    if (result == 0 &&
        (!segment_parse_name(name, &lsn, &number) || lsn != s->first_lsn || number != s->number))
        result = damaged(s, "it has the name of another", err);
    if (result == 0)
        return s;
    segment_free(s);
    return NULL;
}

static int
fill(int fd, const char *path, int64_t size, struct error *err)
{
    char *zeros = memory_zero(FILL_STEP);
    int result = 0;
    for (int64_t at = 0; at < size && result == 0; at += FILL_STEP) {
        int64_t step = size - at < FILL_STEP ? size - at : FILL_STEP;
        result = file_write(fd, zeros, (size_t)step, at, path, err);
        if (result == 0)
            result = file_sync(fd, path, err);
        if (at == 0)
            fault_point("segment.prepare");
    }
    free(zeros);
    return result;
}

/* Not every file system can allocate; there the file is sparse and a full disk shows at the write.
 */
static int
reserve(int fd, const char *path, int64_t size, struct error *err)
{
    int result;
    if (fault_fails("segment.prepare"))
        return error_errno(err, ERROR_IO, ENOSPC, "cannot make %s", path);
    do
        result = fallocate(fd, 0, 0, size);
    while (result != 0 && errno == EINTR);
    if (result == 0)
        return 0;
    if (errno == EOPNOTSUPP || errno == ENOSYS)
        return file_truncate(fd, size, path, err);
    return error_errno(err, errno == EFBIG ? ERROR_FULL : ERROR_IO, errno,
                       "cannot make %s of %lld bytes", path, (long long)size);
}

int
segment_allocate(const char *path, int64_t size, bool full, struct error *err)
{
    int fd = file_open(path, O_RDWR | O_CREAT | O_EXCL, err);
    if (fd < 0)
        return -1;
    if (reserve(fd, path, size, err) == 0 && (!full || fill(fd, path, size, err) == 0))
        return fd;
    file_close(fd);
    unlink(path);
    return -1;
}

int
segment_begin(struct segment *s, int fd, const char *from, struct slice table, struct error *err)
{
    char *copy = memory_text(from);
    char *folder = dirname(copy);
    struct buffer header;
    int result;
    s->start = segment_start(table.size);
    s->end = s->start;
    s->path =
        segment_path(folder, "%020" PRIu64 "-%010" PRIu64 ".segment", s->first_lsn, s->number);
    ensure(s->start <= s->size);
    buffer_init(&header, SEGMENT_PAGE + TABLE_MAX);
    encode(s, table, &header);
    result = file_write(fd, header.data, header.size, 0, from, err);
    if (result == 0)
        result = file_sync(fd, from, err);
    if (result == 0 && rename(from, s->path) != 0)
        result = error_errno(err, ERROR_IO, errno, "cannot rename %s to %s", from, s->path);
    if (result == 0)
        result = file_sync_folder(folder, err);
    if (result != 0) {
        unlink(from);
        unlink(s->path);
    }
    buffer_release(&header);
    free(copy);
    return result;
}
