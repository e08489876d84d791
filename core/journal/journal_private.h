/* What the files of this folder share.
 *
 * Three kinds of state: what never changes after journal_open; what `lock` guards (held for a few
 * memory accesses, never over a system call that can wait on a disk); and the writer's own, which
 * only the store thread touches. A group lives in the writer until its sync, then journal_sync
 * publishes it under the lock in one step: so nobody ever sees a block that is not durable. */
#ifndef JOURNAL_JOURNAL_PRIVATE_H
#define JOURNAL_JOURNAL_PRIVATE_H

#include "journal/journal.h"
#include "journal/ring.h"
#include "journal/segment.h"
#include "journal/table.h"
#include "journal/window.h"

enum { JOURNAL_WAKES = 32 };

/* The store thread's. Numbers run ahead of the journal's by the group that is not yet synced. */
struct writer {
    struct segment *segment; /* the last of the list */
    int fd;                  /* its file; -1 until the first write of this run */
    int64_t offset;
    uint64_t next_lsn;
    uint64_t next_block;
    uint64_t next_segment;
    uint64_t group; /* number of the first block of this group */
    uint64_t chain; /* checksum of the newest block in the segment, else its seed */
    int64_t seen;   /* highest time of an event or a write so far */
    struct source_table sources;
    struct kept **pending; /* the group's blocks */
    size_t pending_count, pending_capacity;
    bool spent;  /* the next write begins a new segment */
    bool broken; /* the last write failed, and with it its group */
    struct buffer header;
};

struct journal {
    char *folder;
    uint8_t id[SEGMENT_ID];
    char id_text[2 * SEGMENT_ID + 1];
    int64_t segment_bytes;

    pthread_mutex_t lock;
    struct segment **segments; /* oldest first; never empty; the last is the writer's */
    size_t segment_count, segment_capacity;
    struct segment *trimmed; /* files to be unlinked or reused, oldest first */
    char *spare;             /* path of a prepared file, or NULL */
    uint64_t next_file;      /* names spare and fresh files */
    int64_t position;        /* how far the writer's segment is used */
    struct ring ring;
    struct source_table sources;
    uint64_t next_lsn;   /* one past the newest committed event */
    uint64_t next_block; /* one past the newest committed block */
    struct wake *wakes[JOURNAL_WAKES];

    struct writer writer;
};

/* Sets the hint that names the way out of a damaged journal. Returns -1. */
int journal_hint(struct error *err);

/* The file names of a journal's folder. */
struct listing {
    char **segments; /* newest first */
    size_t count;
    char **spares;
    size_t spare_count;
    char **others; /* files in the making */
    size_t other_count;
};

int listing_read(const char *folder, struct listing *out, struct error *err) must_check;
void listing_release(struct listing *l);

/* Fills in `segments`, `sources`, the numbers, `spare` and the writer from what stands in the
 * folder; removes what no longer belongs to the journal. With no segment there: 0 and segment_count
 * 0. */
int recover(struct journal *j, const struct listing *files, struct error *err) must_check;

/* One past the highest lsn that may ever have been given, judging by all files that can be read. */
uint64_t recover_salvage(const char *folder, const struct listing *files);

/* Adds a segment at the end of the list, under the lock. */
void segments_push(struct journal *j, struct segment *s);

/* A path "folder/kind-n" that no other file has. Takes the lock. */
char *journal_new_path(struct journal *j, const char *kind);

/* Moves `s`, no longer in the list of segments, to the trimmed ones; under the lock. */
void journal_doom(struct journal *j, struct segment *s);

/* Frees `s` once its file is removed and nobody has it open; under the lock. */
void journal_drop(struct segment *s);

#endif
