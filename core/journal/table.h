/* Where each source stands: epoch, position and watermark after a certain block. Each segment
 * begins with such a table, so that start-up reads one segment and trimming loses no position of a
 * quiet source. Not thread-safe. */
#ifndef JOURNAL_TABLE_H
#define JOURNAL_TABLE_H

#include "journal/block.h"
#include "journal/journal.h"

#define TABLE_MAX (64 * 1024 * 1024) /* bytes of an encoded table */

struct source_table {
    struct journal_source *entries;
    size_t count;
};

void table_release(struct source_table *t);
void table_copy(struct source_table *to, const struct source_table *from); /* `to` is replaced */

/* NULL when the source is unknown. On loan until the table changes. */
const struct journal_source *table_find(const struct source_table *t, struct slice name);

/* Moves an entry (its name is cut to fit; a longer one is refused where blocks are made). */
void table_set(struct source_table *t, struct slice name, const struct journal_source *to);

void table_encode(const struct source_table *t, struct buffer *out);
/* Replaces `t`; false when the bytes are no table. */
bool table_decode(struct source_table *t, struct slice bytes);

#endif
