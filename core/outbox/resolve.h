/* From a stored record to what is sent. An event that stands as a reference is found in the journal
 * by its lsn, with a reader of one's own, and printed in the shape it was stored with. */
#ifndef OUTBOX_RESOLVE_H
#define OUTBOX_RESOLVE_H

#include "base/arena.h"
#include "channel/channel.h"
#include "journal/journal.h"
#include "outbox/record.h"
#include "outbox/shape.h"

struct resolver {
    struct journal *journal;
    struct schema_set *schemas;
    struct shapes *shapes;
    struct journal_reader *reader; /* opened at first use */
    struct arena arena;
    struct journal_block block; /* the one read last; count 0: none */
    struct scan rest;           /* of it, after the offsets known so far */
    uint32_t *offsets;
    uint32_t known, capacity;
};

void resolver_init(struct resolver *r, struct journal *journal, struct schema_set *schemas,
                   struct shapes *shapes);
void resolver_release(struct resolver *r);

/* The journal's record of an event, until the next call, and its epoch: 1, 0 when the journal no
 * longer has it, -1. */
int resolver_find(struct resolver *r, uint64_t lsn, struct slice *record, uint32_t *epoch,
                  struct error *err) must_check;

/* Fills in all of `out` but attempt and driver. The body goes into `text` where it has to be
 * printed; the rest points into the record. 1, 0 when its event is gone, -1. */
int resolver_delivery(struct resolver *r, const struct record *record, struct buffer *text,
                      struct delivery *out, struct error *err) must_check;

#endif
