/* Which message may go: the undone messages of one ordering key, by seq. Only the first of a chain
 * is eligible; the others wait while it is under way, retried or held. `order = "none"` has no
 * chains, `"strict"` has one for all. Channel's thread only. */
#ifndef OUTBOX_CHAIN_H
#define OUTBOX_CHAIN_H

#include <sys/queue.h>
#include "base/base.h"

enum item_state {
    ITEM_NONE,    /* an unused place of the window */
    ITEM_WAITING, /* in the window */
    ITEM_FLIGHT,  /* lent to the channel */
    ITEM_DONE,    /* a place of the window below which others are not done */
    ITEM_RETRY,   /* parked until next_at */
    ITEM_HELD,    /* parked until it is the first of its chain */
};

struct chain;

/* A message that is known in memory and not done. */
struct item {
    uint64_t seq;
    uint64_t key;
    struct item *before, *after; /* of its chain */
    struct chain *chain;         /* NULL: in none */
    TAILQ_ENTRY(item) ready;     /* of the ready list */
    bool is_ready;
    bool parked;   /* a struct parked, else a struct slot */
    uint8_t state; /* enum item_state */
    int attempts;  /* that count against the limit */
};

#define CHAIN_BUCKETS 4096

struct chains {
    struct chain *buckets[CHAIN_BUCKETS];
    struct chain *spare;
};

void chains_release(struct chains *c);
void chain_add(struct chains *c, struct item *item);
/* Takes it out; the one that is first now if that changed, else NULL. */
struct item *chain_remove(struct chains *c, struct item *item);
void chain_replace(struct item *old, struct item *with); /* takes over place, seq and key */

static inline bool
chain_first(const struct item *item)
{
    return !item->chain || !item->before;
}

struct item *chain_head(const struct item *item);

#endif
