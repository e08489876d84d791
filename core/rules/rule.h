/* One rule: the table that a script registered, checked and compiled. Everything that can be known
 * without a table's schema is decided here, so that a rule that loads is sound. language.md §1. */
#ifndef RULES_RULE_H
#define RULES_RULE_H

#include <stdatomic.h>
#include "rules/pattern.h"
#include "rules/quarantine.h"
#include "rules/where.h"
#include "rules/wording.h"

/* A channel of `notify`, found at load. */
struct rule_target {
    struct slice name;
    struct outbox_queue *queue;
    const struct event_shape *shape; /* how an event is printed for it */
    const struct wording *wording;   /* what it is sent */
    const struct channel_driver *driver;
};

struct rule {
    const struct vm_rule *origin; /* the VM's: name, script, line */
    bool enabled;
    bool loaded; /* false: it, or another rule of its script, has a problem */
    struct pattern *patterns;
    size_t pattern_count;
    unsigned ops; /* bits `1 << op` */
    struct slice *changed;
    size_t changed_count;
    struct where where;
    const struct value *when, *run; /* functions or NULL */
    struct wording wording;
    struct rule_target *targets;
    size_t target_count;
    const char *const *columns; /* what its messages carry; NULL: all */
    size_t column_count;

    /* Written by the rules thread, read by any. */
    _Atomic uint64_t matched, sent, answered, failed; /* answered: events with at least one send */
    /* Under the lock of rules. */
    char problem[512], last_error[512];
    int64_t last_failed;
    /* Rules thread only. */
    int64_t logged; /* when its last failure was logged, clock_mono */
    struct quarantine quarantine;
};

/* `out` must be zero. Messages begin with script and line. Release also after a failure. */
int rule_compile(const struct vm_rule *origin, const struct rules_world *world, struct arena *arena,
                 struct rule *out, struct error *err) must_check;
void rule_release(struct rule *rule);

/* A channel by name, or -1 with a suggestion. */
int rule_channel(const struct rules_world *world, struct slice name, struct outbox_queue **queue,
                 const struct channel_plan **plan, struct error *err) must_check;

/* Do people read what goes there? Then a table is text and fields, not JSON. */
bool rule_is_human(const struct channel_driver *driver);

/* A shape like that of the channel, narrowed to `columns` (NULL: all that the channel has). */
const struct event_shape *rule_shape(const struct event_shape *channel, const char *const *columns,
                                     size_t count, struct arena *arena);

/* Does the rule listen to events of this op and schema? */
bool rule_listens(const struct rule *rule, const struct rules_world *world,
                  const struct schema *schema, enum event_op op);

#endif
