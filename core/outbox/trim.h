/* Keeps a dead channel from holding the journal: before a trim, references to what goes are
 * rewritten into copies of the event. The housekeeping thread reads and encodes; the store thread
 * swaps rows. */
#ifndef OUTBOX_TRIM_H
#define OUTBOX_TRIM_H

#include "outbox/outbox.h"

struct trim;

struct trim *trim_new(struct outbox *o);
void trim_free(struct trim *t);

#endif
