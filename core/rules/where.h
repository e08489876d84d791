/* `where`: conditions on columns of e.row, joined by AND, evaluated in C. Compiled once per rule,
 * bound to column numbers once per schema. language.md §2. */
#ifndef RULES_WHERE_H
#define RULES_WHERE_H

#include "rules/literal.h"

enum condition_op {
    CONDITION_EQ,
    CONDITION_NE,
    CONDITION_GT,
    CONDITION_GE,
    CONDITION_LT,
    CONDITION_LE
};

struct condition {
    struct slice column;
    enum condition_op op;
    uint32_t count; /* of literals: EQ is one of them; the others have one */
    struct literal *literals;
};

struct where {
    struct condition *conditions;
    uint32_t count; /* 0: matches all */
};

/* UNKNOWN: the log does not carry a value that the answer hangs on. */
enum verdict { VERDICT_NO, VERDICT_YES, VERDICT_UNKNOWN };

/* From the table of a rule, a VALUE_MAP. Everything is copied into `arena`. */
int where_compile(const struct value *table, struct arena *arena, struct where *out,
                  struct error *err) must_check;

/* The column of a condition by name, for messages with "did you mean"; -1 with err. */
int where_column(const struct schema *schema, struct slice name, struct error *err) must_check;

/* Fills columns[0…count-1] with the column numbers of the conditions; checks literals against
 * types. */
int where_bind(const struct where *w, const struct schema *schema, uint16_t *columns,
               struct error *err) must_check;

/* The cell that conditions look at: of the new row, or of the old one for a delete. */
const struct cell *where_cell(struct event *e, unsigned column);

/* Can a condition be decided by this cell? NULL can. */
static inline bool
where_knows(const struct cell *cell)
{
    return cell->kind == CELL_NULL || cell_is_value(cell);
}

enum verdict condition_test(const struct condition *c, const struct cell *cell);

/* One false condition is a no whatever the others are. `*unknown`: a column that made it UNKNOWN.
 */
enum verdict where_test(const struct where *w, const uint16_t *columns, struct event *e,
                        unsigned *unknown);

#endif
