/* Quarantine of a rule: one that fails again and again, or that the budget had to end again and
 * again, would hold up all others. It is tried with one event a minute until one ends well; the
 * others are not tried, and the range of their lsns is kept, so that they can be replayed. A new
 * version of the script begins without (language.md §10). */
#ifndef RULES_QUARANTINE_H
#define RULES_QUARANTINE_H

#include <stdatomic.h>
#include "base/clock.h"
#include "base/error.h"

enum {
    QUARANTINE_FAILURES = 20, /* in a row */
    QUARANTINE_KILLS = 3,     /* budget failures in a row */
};

#define QUARANTINE_RETRY (60 * CLOCK_SECOND)  /* until one event is tried again */
#define QUARANTINE_GROWN (600 * CLOCK_SECOND) /* within it a script may fill the VM once */

struct quarantine {
    /* Written by the rules thread, read by any. */
    _Atomic bool active;
    _Atomic uint64_t held, first, last; /* events not tried: how many, and their lsns */
    /* Rules thread only; clock_mono. */
    unsigned failures, kills; /* in a row */
    int64_t retry;            /* when one event is tried again */
    int64_t grown;            /* when its script was last named as the one that filled the VM */
};

struct rules;
struct rule_status;

/* Is this event not to be tried? Counts it then. */
bool quarantine_holds(struct quarantine *q, uint64_t lsn);
/* After each event that was tried; `rule` names it in the log. */
void quarantine_failed(struct quarantine *q, const char *rule, const struct error *err);
void quarantine_passed(struct quarantine *q, const char *rule);
void quarantine_status(struct quarantine *q, struct rule_status *out);

/* Between two events, when the VM is full: loads all scripts anew, names the one that grew most,
 * and the second time within ten minutes puts its rules into quarantine. */
void quarantine_renew(struct rules *r);

#endif
