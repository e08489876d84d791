/* The stored form of messages: a block of records, one after the other, read in order. Compact,
 * because each message of a stream is written and read once: an event is kept as a reference into
 * the journal, rule names and shapes stand once in a block, lsn and time as differences.
 *
 * A row of out_parked holds a block of one record. What is read back may be damaged, so reading
 * checks everything. Pure functions; one owner at a time. */
#ifndef OUTBOX_RECORD_H
#define OUTBOX_RECORD_H

#include "base/buffer.h"
#include "base/error.h"

#define RECORD_VERSION 1
#define RECORD_CACHE   64

/* Where the content is. Stored in the flags of a record; never renumber. */
enum record_form {
    RECORD_REFERENCE, /* in the journal, by lsn */
    RECORD_COPY,      /* here, as the journal's record: the journal no longer has it, or soon */
    RECORD_BODY,      /* here, as text */
};

struct record {
    uint8_t id[16];
    uint8_t kind; /* enum message_kind */
    uint8_t form; /* enum record_form */
    uint32_t ordinal;
    uint32_t epoch; /* COPY */
    uint64_t lsn;
    int64_t created;
    uint64_t key;
    uint64_t shape; /* REFERENCE and COPY: number in out_shape */
    struct slice rule;
    struct slice event_id; /* BODY */
    struct slice body;     /* BODY: the text; COPY: the encoded event */
    struct slice options;  /* or empty */
};

/* What the writer remembers of a block: the last values, and where names were defined. */
struct record_writer {
    uint64_t lsn;
    int64_t created;
    size_t event_id, event_id_size; /* offset in the block of the last one; size 0: none */
    uint32_t rules, shapes;         /* defined so far */
    struct {
        size_t offset;
        uint32_t size, index; /* size 0: unused */
    } rule_cache[RECORD_CACHE];
    struct {
        uint64_t number;
        uint32_t index;
        bool used;
    } shape_cache[4];
};

/* Begins a block in an empty buffer. `written`: wall clock, µs, when the messages were made: their
 * age counts from it. */
void record_begin(struct record_writer *w, struct buffer *out, int64_t written);
/* Past the buffer's limit `out->failed` is set. */
void record_write(struct record_writer *w, struct buffer *out, const struct record *record);
/* Makes the writer what it was when `block` was all that had been written. */
int record_rewind(struct record_writer *w, struct slice block, struct error *err) must_check;

/* A block of one record. */
void record_single(struct buffer *out, int64_t written, const struct record *record);

struct record_reader {
    struct scan scan;
    int64_t written;
    uint64_t lsn;
    int64_t created;
    struct slice event_id;
    struct slice *rules; /* owned */
    uint64_t *shapes;    /* owned */
    uint32_t rule_count, shape_count;
};

/* Slices of records point into `block`. Release also after a failure. */
int record_open(struct record_reader *r, struct slice block, struct error *err) must_check;
/* 1 and the record, 0 at the end, -1 with ERROR_CORRUPT. */
int record_read(struct record_reader *r, struct record *out, struct error *err) must_check;
void record_release(struct record_reader *r);

#endif
