/* Each change of a row must begin where the one before it ended. A break means that a change was
 * not logged (triggers switched off, PRAGMA writable_schema), or two in another order (a row whose
 * own update makes a foreign key change it): it is reported, because nobody else would notice. Only
 * the newest rows are remembered, in a table of fixed size. */
#ifndef SOURCE_SQLITE_CHAIN_H
#define SOURCE_SQLITE_CHAIN_H

#include "event/event.h"

#define CHAIN_ROWS 4096 /* a power of two */

struct chain {
    struct {
        uint64_t key; /* hash of schema and key; 0: unused */
        uint64_t row; /* hash of the newest image; 0: the row was deleted */
    } rows[CHAIN_ROWS];
};

/* Follows one change. False when its old image is not what the row was last seen as. A row of a
 * table without key is never wrong. */
bool chain_follow(struct chain *chain, const struct event *e);

#endif
