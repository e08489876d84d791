/* Folders and batches for tests of the journal and of what stands on it. A made batch is decided by
 * its source and number, so that a test can tell what it reads from what it should read. */
#ifndef SUPPORT_JOURNAL_MAKE_H
#define SUPPORT_JOURNAL_MAKE_H

#include "journal/journal.h"

/* A new empty folder below $TMPDIR (or /tmp); the caller frees the path. */
char *folder_make(const char *name);
/* Removes the folder with the files in it (and in folders in it), and frees the path. */
void folder_remove(char *path);

/* A sealed batch of `count` made-up records of about `bytes` in all, not to be decoded: the test
 * compares bytes. Ticks have count 0. */
struct batch *batch_make(const char *source, unsigned number, unsigned count, size_t bytes);

/* Is this what batch_make made? The name of what differs, or NULL. */
const char *batch_differs(const struct journal_block *block, const char *source, unsigned number,
                          unsigned count, size_t bytes);

#endif
