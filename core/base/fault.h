/* Tools of proof: named places where a test may kill the process, wrong turns that a test must
 * catch, and a disk that forgets what was not synced. Compiled in only with TIDEGATE_PROOF; in the
 * installed binary every macro here is nothing.
 *
 *   TIDEGATE_FAULT=name:N    kills the process (SIGKILL) at the Nth passage of that point, after
 *                            appending the name to $TIDEGATE_FAULT_LOG
 *           name:N:late      the same, but that thread hangs there for 300 ms before, while the
 *                            others go on
 *           name:N:error     makes fault_fails(name) true there once
 *           name:N:errors    and from there on
 *   TIDEGATE_SABOTAGE=name   makes sabotage(name) true
 *   TIDEGATE_POWER=seed      fault kills also lose a random part, page by page, of what was written
 *                            but not synced (base/file.h and SQLite through the VFS of
 * base/power.c)
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "base/base.h"

/* Every point there is; names outside this list are a bug. */
#define FAULT_POINTS(X)                                                                            \
    X("source.mid_batch")      /* between two rows of one batch */                                 \
    X("source.before_give")    /* a batch is sealed, not handed over */                            \
    X("source.before_confirm") /* the block is durable, the source not yet told */                 \
    X("journal.mid_group")     /* part of a group's blocks is written, nothing synced */           \
    X("journal.before_sync")   /* a whole group is written, not synced */                          \
    X("journal.after_sync")    /* synced, nobody told */                                           \
    X("store.before_commit")   /* work has run, SQLite has not committed */                        \
    X("store.after_commit")    /* SQLite committed, blocks of the group not yet written */         \
    X("rules.after_send")      /* a rule has sent, its unit is not yet handed to the store */      \
    X("outbox.after_commit")   /* messages are durable, none taken */                              \
    X("outbox.after_take")     /* messages are taken, none handed to the channel */                \
    X("outbox.before_mark")    /* delivered, the mark not yet committed */                         \
    X("segment.prepare")       /* a segment is being prepared */                                   \
    X("journal.trim")          /* between two unlinks */

/* Wrong on purpose; each must be caught by the harness. */
#define SABOTAGES(X)                                                                               \
    X("store.synchronous_off")   /* neither SQLite nor journal sync */                             \
    X("source.confirm_early")    /* the source confirms before the block is durable */             \
    X("source.drop_event")       /* one event in 500 is left out */                                \
    X("source.double_event")     /* one event in 500 is emitted twice */                           \
    X("source.swap_events")      /* two neighbours change places now and then */                   \
    X("outbox.send_uncommitted") /* messages are sent before the transaction that holds them */    \
    X("outbox.skip_mark")        /* delivered messages above a failed one are forgotten */

#ifdef TIDEGATE_PROOF
void fault_pass(const char *name);
bool fault_check(const char *name);
bool sabotage_on(const char *name);
void
fault_reload(void); /* reads the environment again: for unit tests, while no other thread runs */
#define fault_point(name) fault_pass(name)
#define fault_fails(name) fault_check(name)
#define sabotage(name)    sabotage_on(name)
#else
#define fault_point(name) ((void)0)
#define fault_fails(name) false
#define sabotage(name)    false
#endif

#endif
