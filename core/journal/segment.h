/* One file of the journal. It begins with a header that is synced before the file gets its name, so
 * whatever has the name of a segment has a whole header, or was damaged later. The header names the
 * journal, the segment before it, and its first lsn and block; blocks of earlier segments at or
 * past that block do not count. Blocks begin on the next page, so that no block is ever written
 * into the header's page.
 *
 *   <first lsn>-<number>.segment   a segment            spare-<n>   a file written in full, ready
 *   fresh-<n>                      a file in the making: removed at the next start
 */
#ifndef JOURNAL_SEGMENT_H
#define JOURNAL_SEGMENT_H

#include "journal/table.h"

#define SEGMENT_PAGE 4096
#define SEGMENT_ID   16
#define SEGMENT_LAST (UINT64_MAX / 4) /* no lsn or number that is higher was ever given */

struct segment {
    uint64_t number;      /* rises with each segment of the folder, holes allowed */
    uint64_t previous;    /* number of the segment before it; 0: there was none */
    uint64_t first_lsn;   /* the next lsn when it was begun */
    uint64_t first_block; /* the next block then */
    uint64_t seed;        /* secret: of the checksums of its blocks */
    int64_t begun;        /* µs */
    int64_t seen;         /* highest time of an event or a write in all blocks before it */
    int64_t size;         /* of the file */
    uint8_t id[SEGMENT_ID];

    char *path;
    int64_t start; /* where blocks begin */
    int64_t end;   /* where committed blocks end, as far as known: never less (journal's lock) */
    bool failed;   /* a write or sync failed: never synced or used again */
    bool trimmed;  /* not part of the journal any more (journal's lock) */
    bool removed;  /* its file is gone; freed with the last handle (journal's lock) */
    int handles;   /* readers that have it open (journal's lock) */
    struct segment *next; /* in the list of trimmed ones */
};

void segment_free(struct segment *s);

/* Bytes before the first block, with a table of `table` bytes. */
int64_t segment_start(size_t table);

/* "folder/name": caller frees. */
char *segment_path(const char *folder, const char *format, ...) printf_like(2, 3);

/* True when `name` is that of a segment. */
bool segment_parse_name(const char *name, uint64_t *first_lsn, uint64_t *number);

/* Reads and checks the header of the file `name`; `table` may be NULL. NULL on failure: damage is
 * ERROR_CORRUPT, a newer format ERROR_REFUSED. */
struct segment *segment_load(const char *folder, const char *name, struct source_table *table,
                             struct error *err) must_check;

/* Makes a file of `size` bytes at `path`; with `fill` written in full and synced, else only
 * allocated. The descriptor, or -1 with the file removed. */
int segment_allocate(const char *path, int64_t size, bool fill, struct error *err) must_check;

/* Makes the file at `from` (open as fd, s->size bytes) the segment `s`: header, sync, rename to a
 * name of its own (s->path, owned), sync of the folder. On failure the file is removed. */
int segment_begin(struct segment *s, int fd, const char *from, struct slice table,
                  struct error *err) must_check;

#endif
