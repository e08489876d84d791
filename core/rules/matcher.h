/* Which rules can an event of this table and op concern? For each schema a plan is made at first
 * sight: the rules that listen to it, their columns resolved, and an index over their conditions,
 * so that a thousand rules on one table cost little more than one. What the index offers is still
 * tested in full; it only never leaves out a rule that could match. Rules thread only. */
#ifndef RULES_MATCHER_H
#define RULES_MATCHER_H

#include "rules/rule.h"

/* A rule on a schema. */
struct matcher_bound {
    struct rule *rule;
    struct where_place *where; /* in order of the names of the rule's where */
    uint16_t *changed;         /* column numbers, in order of the rule's names */
    struct buffer *scratch;    /* of the plan */
    struct error *problem;     /* why it can't be decided on this schema; or NULL */
    bool warned;               /* that old values are not in the log */
};

struct matcher_index; /* of one column */

/* The rules of one op, in order. */
struct matcher_ops {
    uint32_t count, words; /* words: 64 rules each */
    struct matcher_bound **rules;
    uint64_t *always; /* bits of those without an index */
    struct matcher_index *indexes;
    uint32_t index_count;
    struct buffer *scratch; /* of the plan */
    _Atomic uint64_t seen;  /* events; written by the rules thread */
};

struct matcher_plan {
    const struct schema *schema;
    struct arena arena;
    struct buffer scratch; /* texts inside documents, while they are compared */
    struct matcher_bound *bounds;
    uint32_t bound_count;
    struct matcher_ops *ops[EVENT_OPS]; /* NULL: no rule */
    struct matcher_plan *next;          /* of whoever keeps it */
};

/* Rules that do not run (not enabled, not loaded) are left out. Never fails: a rule that does not
 * suit the schema is in with its problem. */
struct matcher_plan *matcher_plan_new(struct rule *rules, size_t count,
                                      const struct rules_world *world, const struct schema *schema);
void matcher_plan_free(struct matcher_plan *plan);

/* Does the rule listen to anything that such a table or source may do? */
bool matcher_listens(const struct rule *rule, const struct rules_world *world,
                     const struct schema *schema);

/* Resolves columns and checks literals, changed, columns and templates; 0, or -1 with err. Arrays
 * in `arena`. Any thread. */
int matcher_bind(const struct rule *rule, const struct schema *schema, struct arena *arena,
                 struct matcher_bound *out, struct error *err) must_check;

/* Sets the bits of the rules to test in set[0…words-1]. */
void matcher_candidates(const struct matcher_ops *ops, struct event *e, uint64_t *set);

/* `changed` and `where`. `*unknown`: a column whose value the log does not carry. */
enum verdict matcher_test(const struct matcher_bound *b, struct event *e, unsigned *unknown);

#endif
