/* Trimming whole segments, and preparing the next one before it is needed. Files are unlinked,
 * reused and filled on the housekeeping thread: each would stop every source on the store thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/file.h"
#include "journal/journal_private.h"

/* A file is prepared once a quarter of the one under writing is used: an idle journal stays small.
 */
enum { PREPARE_AT = 4 };

char *
journal_new_path(struct journal *j, const char *kind)
{
    uint64_t n;
    pthread_mutex_lock(&j->lock);
    n = j->next_file++;
    pthread_mutex_unlock(&j->lock);
    return segment_path(j->folder, "%s-%" PRIu64, kind, n);
}

void
journal_doom(struct journal *j, struct segment *s)
{
    struct segment **at = &j->trimmed;
    while (*at)
        at = &(*at)->next;
    *at = s;
    s->next = NULL;
    s->trimmed = true;
}

void
journal_drop(struct segment *s)
{
    if (s->removed && s->handles == 0)
        segment_free(s);
}

uint64_t
journal_trim(struct journal *j, uint64_t lsn)
{
    uint64_t oldest;
    size_t gone = 0;
    pthread_mutex_lock(&j->lock);
    if (lsn > j->next_lsn)
        lsn = j->next_lsn;
    while (gone + 1 < j->segment_count && j->segments[gone + 1]->first_lsn <= lsn &&
           j->segments[gone + 1]->first_block <= j->next_block)
        journal_doom(j, j->segments[gone++]);
    j->segment_count -= gone;
    memmove(j->segments, j->segments + gone, j->segment_count * sizeof(*j->segments));
    oldest = j->segments[0]->first_lsn;
    pthread_mutex_unlock(&j->lock);
    return oldest;
}

bool
journal_oldest_segment(struct journal *j, struct journal_segment_info *out)
{
    bool found;
    pthread_mutex_lock(&j->lock);
    found = j->segment_count > 1;
    if (found)
        *out = (struct journal_segment_info){
            .first_lsn = j->segments[0]->first_lsn,
            .last_lsn = j->segments[1]->first_lsn - 1,
            .last_written = j->segments[1]->begun,
            .bytes = j->segments[0]->size,
        };
    pthread_mutex_unlock(&j->lock);
    return found;
}

/* The next file to be dealt with, and whether it may serve again. */
static struct segment *
take_trimmed(struct journal *j, bool *reuse)
{
    struct segment *s;
    pthread_mutex_lock(&j->lock);
    s = j->trimmed;
    if (s) {
        j->trimmed = s->next;
        *reuse = !j->spare && !s->failed && s->handles == 0 && s->size == j->segment_bytes;
    }
    pthread_mutex_unlock(&j->lock);
    return s;
}

static void
put_back(struct journal *j, struct segment *s)
{
    pthread_mutex_lock(&j->lock);
    s->next = j->trimmed;
    j->trimmed = s;
    pthread_mutex_unlock(&j->lock);
}

static void
offer_spare(struct journal *j, char *path)
{
    pthread_mutex_lock(&j->lock);
    ensure(!j->spare); /* only this thread makes spares */
    j->spare = path;
    pthread_mutex_unlock(&j->lock);
}

static int
sync_names(struct journal *j, struct error *err)
{
    if (fault_fails("journal.trim"))
        return error_errno(err, ERROR_IO, EIO, "cannot sync the folder %s", j->folder);
    return file_sync_folder(j->folder, err);
}

/* One file at a time, each synced with the folder, so that no power cut leaves a hole among
 * segments. Only then may a file serve again: its old name, if that came back, would stand before a
 * new content. */
static int
remove_trimmed(struct journal *j, struct segment *s, bool reuse, struct error *err)
{
    char *spare = reuse ? journal_new_path(j, "spare") : NULL;
    int result;
    if (!reuse)
        result = file_unlink(s->path, err);
    else if ((result = rename(s->path, spare)) != 0)
        error_errno(err, ERROR_IO, errno, "cannot rename %s", s->path);
    if (result != 0) {
        free(spare);
        put_back(j, s);
        return -1;
    }
    fault_point("journal.trim");
    result = sync_names(j, err);
    if (spare && result == 0) {
        offer_spare(j, spare);
    } else if (spare) {
        remove(spare);
        free(spare);
    }
    pthread_mutex_lock(&j->lock);
    s->removed = true;
    journal_drop(s);
    pthread_mutex_unlock(&j->lock);
    return result == 0 ? 1 : -1;
}

static bool
wants_spare(struct journal *j)
{
    const struct segment *newest;
    int64_t used;
    bool wants;
    pthread_mutex_lock(&j->lock);
    newest = j->segments[j->segment_count - 1];
    used = j->position - newest->start;
    wants = !j->spare && used > 0 && used >= (newest->size - newest->start) / PREPARE_AT;
    pthread_mutex_unlock(&j->lock);
    return wants;
}

static int
prepare(struct journal *j, struct error *err)
{
    char *fresh = journal_new_path(j, "fresh");
    char *spare = journal_new_path(j, "spare");
    int result = -1;
    int fd = segment_allocate(fresh, j->segment_bytes, true, err);
    file_close(fd);
    if (fd >= 0 && rename(fresh, spare) != 0) {
        error_errno(err, ERROR_IO, errno, "cannot rename %s", fresh);
        remove(fresh);
    } else if (fd >= 0) {
        offer_spare(j, spare);
        spare = NULL;
        result = 1;
    }
    free(fresh);
    free(spare);
    return result;
}

int
journal_sweep(struct journal *j, struct error *err)
{
    bool reuse = false;
    struct segment *s = take_trimmed(j, &reuse);
    return s ? remove_trimmed(j, s, reuse, err) : 0;
}

int
journal_housekeep(struct journal *j, struct error *err)
{
    int did = journal_sweep(j, err);
    return did == 0 && wants_spare(j) ? prepare(j, err) : did;
}
