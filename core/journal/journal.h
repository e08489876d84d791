/* The journal: Tidegate's own durable, ordered log of events, as a folder of segment files
 * (design/storage.md §2). It is the one place that gives out lsns: 1, 2, 3 … without holes, each
 * final once it can be seen. Blocks carry the source's position, so events and position become
 * durable together.
 *
 * Who calls what: the store thread writes (write, sync, abandon, trim); readers pull from any
 * thread, each with a reader of its own; the housekeeping thread prepares and unlinks segments.
 * Nothing here blocks on another thread. */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include "base/thread.h"
#include "event/batch.h"

#define JOURNAL_FORMAT  1
#define JOURNAL_SEGMENT (64 * 1024 * 1024)
#define JOURNAL_RING    (8 * 1024 * 1024)

struct journal;
struct journal_reader;

struct journal_options {
    const char *folder;
    int64_t segment_bytes; /* 0: JOURNAL_SEGMENT; tests use less */
    int64_t ring_bytes;    /* 0: JOURNAL_RING */
};

/* Opens the folder, made if missing, and recovers: what was not synced is cut, corruption is
 * ERROR_CORRUPT and names `reset --journal`, a newer format is refused. Reads one segment. */
struct journal *journal_open(const struct journal_options *options, struct error *err) must_check;
void journal_close(struct journal *j);

/* Begins an empty journal in a folder that holds one (its segments are removed) with a new id and
 * the next lsn after `newest`. The journal must not be open. */
int journal_reset(const char *folder, uint64_t newest, struct error *err) must_check;

/* Writing: store thread. Blocks written since the last sync form a group; they exist only once
 * journal_sync returned 0. After a failure nothing of the group counts (all of it must be written
 * again) and the next write goes to a new segment; so it is after journal_abandon. */
int journal_write(struct journal *j, const struct batch *batch, struct error *err) must_check;
int journal_sync(struct journal *j, struct error *err) must_check;
void journal_abandon(struct journal *j);

/* What is durable: any thread. */
uint64_t journal_newest(struct journal *j); /* 0: nothing yet */
uint64_t journal_oldest(struct journal *j); /* of the oldest event kept; newest + 1 when empty */
int64_t journal_bytes(struct journal *j);
const char *journal_id(struct journal *j);             /* 32 hex digits; another after each reset */
uint64_t journal_distance(uint64_t from, uint64_t to); /* events in (from, to] */

/* Where each source stands. Copies, any thread. */
struct journal_source {
    char name[64];
    uint32_t epoch;
    int64_t watermark;
    uint64_t lsn;   /* of its newest event; 0: none */
    char *position; /* free() it */
    size_t position_size;
};
/* 0 and the copy, or -1 when the journal does not know that source. */
int journal_source_get(struct journal *j, const char *name, struct journal_source *out);
size_t journal_source_list(struct journal *j,
                           struct journal_source **out); /* free each position, then the list */

/* Reading. A reader stands between two blocks; it pulls from the ring of the newest blocks, else
 * from disk with a handle of its own. One thread at a time. */
struct journal_block {
    uint64_t first_lsn; /* of its first event; of a tick: the next event's */
    uint32_t count;     /* 0: a tick */
    struct slice source;
    uint32_t epoch;
    int64_t watermark;
    int64_t written; /* when the store wrote it, µs */
    struct slice position;
    struct slice records; /* plain, for codec_decode; valid until the next call on this reader */
};

struct journal_reader *journal_reader_open(struct journal *j);
void journal_reader_close(struct journal_reader *r);
/* The next block read will be the one that holds `lsn`, or the first after it. An lsn that was
 * trimmed: the oldest there is (compare with journal_oldest for the gap). */
void journal_seek(struct journal_reader *r, uint64_t lsn);
/* 1 and the block, 0 when there is nothing newer, -1. */
int journal_read(struct journal_reader *r, struct journal_block *out, struct error *err) must_check;
/* Pokes `wake` after each sync that made blocks visible; NULL ends it. At most 32 at once. */
void journal_subscribe(struct journal *j, struct wake *wake);
void journal_unsubscribe(struct journal *j, struct wake *wake);

/* The first lsn of the first block that holds an event with ts ≥ `us`, or was written then or
 * later; newest + 1 when there is none, 0 when reading failed. Any thread. */
uint64_t journal_find_time(struct journal *j, int64_t us, struct error *err);

/* Housekeeping: prepares the next segment when there is none ready; unlinks or reuses one segment
 * that was trimmed. 1: did something, 0: nothing to do, -1. Housekeeping thread only. */
int journal_housekeep(struct journal *j, struct error *err) must_check;
/* The same without preparing: never takes room on the disk. */
int journal_sweep(struct journal *j, struct error *err) must_check;

/* Lets go of whole segments all of whose events are below `lsn`. The segment under writing stays.
 * Any thread. Returns the oldest lsn kept from now on. */
uint64_t journal_trim(struct journal *j, uint64_t lsn);

/* The oldest whole segment: what retention looks at. False when only one is left. Any thread. */
struct journal_segment_info {
    uint64_t first_lsn, last_lsn;
    int64_t last_written; /* µs */
    int64_t bytes;
};
bool journal_oldest_segment(struct journal *j, struct journal_segment_info *out);

#endif
