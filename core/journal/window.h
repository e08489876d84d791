/* A moving view of a segment file for those who read it: recovery, readers, salvage. It reads
 * ahead, never past `end`, and grows to the block that is asked for. One thread at a time. */
#ifndef JOURNAL_WINDOW_H
#define JOURNAL_WINDOW_H

#include "journal/segment.h"

struct window {
    int fd;
    const char *path; /* on loan */
    int64_t end;      /* nothing is read from here on */
    int64_t at;       /* where `bytes` begins in the file */
    struct buffer bytes;
};

void window_init(struct window *w);
void window_release(struct window *w); /* closes the file */
void window_close(struct window *w);   /* closes the file, keeps the memory */
void window_shrink(struct window *w);  /* gives back the memory of a large block; views end */
int window_open(struct window *w, const char *path, struct error *err) must_check;

/* The bytes from `offset` on: at least `size`, or fewer where the file ends. Valid until the next
 * call. */
int window_view(struct window *w, int64_t offset, int64_t size, struct slice *out,
                struct error *err) must_check;

/* The header at `offset` into `b` (its slices are valid until the next call): 0 and the state, or
 * -1 when reading failed. A header that the end cuts off is BLOCK_BAD. */
int window_header(struct window *w, const struct segment *s, int64_t offset, struct block *b,
                  enum block_state *state, struct error *err) must_check;

/* The same with the body, as it stands in the file; a body that is not what was sealed is
 * BLOCK_BAD. */
int window_block(struct window *w, const struct segment *s, int64_t offset, struct block *b,
                 struct slice *body, enum block_state *state, struct error *err) must_check;

#endif
