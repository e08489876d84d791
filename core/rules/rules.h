/* Rules: what a user's scripts registered, compiled for matching in C, and the consumer loop that
 * reads the journal, decides, and hands messages and checkpoint to the store as one unit
 * (design/storage.md §4, language.md §1–§3). Lua is entered only for `when`, `run` and message
 * functions of rules whose table, operation, changed columns and conditions match. */
#ifndef RULES_RULES_H
#define RULES_RULES_H

#include "outbox/outbox.h"
#include "script/vm.h"

struct rules; /* one generation of compiled rules with its VM */

/* A script as given: path as in messages ("scripts/orders.lua") and its text. */
struct rules_script {
    const char *path;
    struct slice text;
};

/* What rules may name. */
struct rules_world {
    struct outbox *outbox;
    const char *const *sources;        /* names, for "did you mean" */
    const char *const *source_schemas; /* the default schema of each; NULL: none */
    size_t source_count;
    /* The queue of a channel and what its driver is; false: no such channel. */
    bool (*channel)(void *context, struct slice name, struct outbox_queue **queue,
                    const struct channel_plan **plan);
    const char *(*channel_suggest)(void *context, struct slice name); /* or NULL */
    const struct rules_script *modules; /* what scripts may require; on loan for rules_new */
    size_t module_count;
    const struct template_host *filters; /* of scripts, for templates; rules_new sets it */
    void *context;
};

/* Compiles all scripts into one generation, in the order given (by path). Every problem of every
 * script is reported, not just the first; the good scripts are loaded all the same, and of one with
 * a problem no rule runs. NULL only when no VM could be made. */
typedef void rules_problem(void *context, const char *script, const struct error *err);
struct rules *rules_new(const struct rules_world *world, const struct rules_script *scripts,
                        size_t count, rules_problem *problem, void *context,
                        struct error *err) must_check;
void rules_free(struct rules *r);

/* Checks all that can be checked against a table's schema: columns in where, changed, columns,
 * templates; literals against types. Reports through `problem`; the number of problems. */
size_t rules_check_schema(struct rules *r, const struct schema *schema, rules_problem *problem,
                          void *context);

/* For a table whose log carries no old rows (only the key of a deleted one): the rules that need
 * them by `changed`, {{old.x}}, or a condition on deletes. They run all the same, and fail on the
 * events that they cannot decide. `mend` is the statement that makes the log carry them. */
size_t rules_check_old_values(struct rules *r, const struct schema *schema, const char *mend,
                              rules_problem *problem, void *context);

/* The table patterns "schema.table" that rules name for a source: what it captures without
 * `tables`. The list is on loan. */
size_t rules_tables(struct rules *r, const char *source, const char *const **out);

/* One event through all rules, into the draft: the matcher, then the VM. Rules thread only. */
int rules_event(struct rules *r, struct event *e, struct outbox_draft *draft,
                struct error *err) must_check;

struct rule_status {
    const char *name, *script;
    int line;
    bool loaded;       /* false: it has a problem that keeps it from running */
    char problem[512]; /* or "" */
    uint64_t matched, sent, rejected, failed;
    char last_error[512];
    int64_t last_failed; /* µs */
    /* Quarantine: one event a minute is tried; the others, of which these are the first and last
     * lsn, count as failed. The newest one, or the one before. */
    bool quarantined;
    uint64_t held, held_first, held_last;
};
size_t rules_status(struct rules *r, struct rule_status **out); /* a copy, any thread; free() */

/* The consumer loop on its own thread. */
struct consumer;
struct consumer_plan {
    const char *name; /* "main" */
    struct store *store;
    struct outbox *outbox;
    struct rules *rules;
};
struct consumer *consumer_new(const struct consumer_plan *plan, struct error *err) must_check;
int consumer_start(struct consumer *c, struct error *err) must_check;
void consumer_stop(struct consumer *c); /* ends after the current event; drops the running batch */
void consumer_free(struct consumer *c);

struct consumer_status {
    uint64_t position;        /* newest lsn read and decided */
    uint64_t checkpoint;      /* newest lsn committed */
    uint64_t events, entered; /* since start: seen; calls into Lua */
    uint64_t corrupt;         /* since start: records that could not be read and were set aside */
    struct error error;       /* why it does not move; class ERROR_NONE otherwise */
};
void consumer_status(struct consumer *c, struct consumer_status *out);

#endif
