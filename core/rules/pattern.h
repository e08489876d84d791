/* Which tables a rule listens to: `source:schema.table` with globs in each part. Without a schema
 * it is the default one of each source; `source:*` is every table of every schema. language.md §1.
 */
#ifndef RULES_PATTERN_H
#define RULES_PATTERN_H

#include "event/event.h"
#include "rules/rules.h"

struct pattern {
    struct slice source; /* a glob */
    struct slice schema; /* a glob; empty: the default one of the source */
    struct slice table;  /* a glob */
    bool everything;     /* source:* */
};

/* Slices of `out` point into `text`. ERROR_DATA for a pattern without a colon, with an empty part,
 * or for a source by name that does not exist. */
int pattern_parse(struct slice text, const struct rules_world *world, struct pattern *out,
                  struct error *err) must_check;

/* Does an event of this op, made by a table or source as `schema` says, belong to the pattern? A
 * gap of a whole source belongs to every pattern of the source, a journal's own gap to every
 * pattern. */
bool pattern_match(const struct pattern *p, const struct rules_world *world,
                   const struct schema *schema, enum event_op op);

/* The glob "schema.table" of what the pattern asks of `source`, in `arena`; NULL when nothing. */
const char *pattern_tables(const struct pattern *p, const struct rules_world *world,
                           const char *source, struct arena *arena);

#endif
