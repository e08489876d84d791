/* `where`: conditions on e.row, evaluated in C. Compiled once per rule into a tree, bound to column
 * numbers once per schema, and then asked of each event without a single allocation. language.md
 * §2.
 *
 * Answers are yes, no, or unknown where the log does not carry a value that the answer hangs on:
 * `no` and anything is no, `yes` or anything is yes, and the opposite of unknown is unknown. */
#ifndef RULES_WHERE_H
#define RULES_WHERE_H

#include "event/json_path.h"
#include "rules/literal.h"

#define WHERE_DEPTH 32 /* conditions inside conditions */

enum condition_op {
    CONDITION_EQ, /* is one of the literals */
    CONDITION_NE,
    CONDITION_GT,
    CONDITION_GE,
    CONDITION_LT,
    CONDITION_LE,
    CONDITION_BETWEEN, /* two literals, both included */
    CONDITION_LIKE,
    CONDITION_ILIKE,
    CONDITION_ALL, /* from here on of conditions */
    CONDITION_ANY,
    CONDITION_NOT,
    CONDITION_CHANGED_TO,
    CONDITION_CHANGED_FROM,
};

/* What such a condition does with its literals. */
static inline enum literal_use
condition_use(enum condition_op op)
{
    if (op == CONDITION_LIKE || op == CONDITION_ILIKE)
        return LITERAL_PATTERN;
    return op == CONDITION_EQ || op == CONDITION_NE ? LITERAL_EQUAL : LITERAL_ORDER;
}

struct condition {
    enum condition_op op;
    uint16_t name;  /* what it looks at, in where.names; of ALL, ANY and NOT without meaning */
    uint32_t count; /* of literals or parts */
    union {
        struct literal *literals;
        struct condition *parts;
    };
};

/* What conditions ask of a name. */
enum where_use {
    WHERE_ROW = 1,  /* its value in e.row */
    WHERE_TO = 2,   /* changed_to: of an update also the old value */
    WHERE_FROM = 4, /* changed_from: of an update both values, of a delete the old one */
};

struct where_name {
    struct slice name; /* a column, or a path into one */
    unsigned uses;     /* enum where_use */
};

struct where {
    struct condition *conditions; /* joined by AND, none of them ALL */
    uint32_t count;               /* 0: matches all */
    struct where_name *names;     /* each once */
    uint32_t name_count;
};

/* A name on one schema. */
struct where_place {
    uint16_t column;
    struct slice path; /* into the document of the column; empty: the column itself */
};

enum verdict { VERDICT_NO, VERDICT_YES, VERDICT_UNKNOWN };

/* The `where` of a rule: a table of columns, or any_of, all_of, not_ over such tables. Everything
 * is copied into `arena`. */
int where_compile(const struct value *table, struct arena *arena, struct where *out,
                  struct error *err) must_check;

/* The column of that name, which is no path, for messages with "did you mean"; -1 with err. */
int where_column(const struct schema *schema, struct slice name, struct error *err) must_check;

/* Fills places[0…name_count-1]; checks literals and conditions against types. Paths point into the
 * names. */
int where_bind(const struct where *w, const struct schema *schema, struct where_place *places,
               struct error *err) must_check;

/* One event under test; whoever asks may keep it for as many wheres as it likes. */
struct where_look {
    struct event *event;
    enum event_image image;   /* that is looked at now */
    int32_t unknown;          /* a column that made the answer unknown; -1: none */
    struct buffer *scratch;   /* for texts inside documents */
    const struct cell *whole; /* the document that `inside` was found in; NULL: none yet */
    const char *path;         /* where it was found */
    struct cell inside;
};

static inline void
where_look_init(struct where_look *look, struct event *e, struct buffer *scratch)
{
    look->event = e;
    look->image = event_key_image(e);
    look->unknown = -1;
    look->scratch = scratch;
    look->whole = NULL;
}

/* The cell that conditions look at: of the new row, or of the old one for a delete. A place inside
 * a document holds what stands there, NULL when nothing does; on loan until the next call. */
const struct cell *where_cell(struct where_look *look, const struct where_place *place);

/* Can a condition be decided by this cell? NULL can. */
static inline bool
where_knows(const struct cell *cell)
{
    return cell->kind == CELL_NULL || cell_is_value(cell);
}

/* The event must have a row. After VERDICT_UNKNOWN look->unknown is a column of the schema. */
enum verdict where_test(const struct where *w, const struct where_place *places,
                        struct where_look *look);

#endif
