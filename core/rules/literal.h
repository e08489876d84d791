/* A value as a rule wrote it, with every reading that a cell may ask of it: number, text, time,
 * truth. What a cell is decides which reading counts, so one literal serves a column of any type,
 * and SQLite's columns whose cells differ. Comparison is exact, whatever the scale. language.md §2.
 */
#ifndef RULES_LITERAL_H
#define RULES_LITERAL_H

#include "base/value.h"
#include "event/event.h"

struct literal {
    enum value_kind kind; /* as written: NULL BOOL INT FLOAT DECIMAL TEXT */
    bool has_integer;     /* whole and within int64; of true and false 1 and 0 */
    bool has_number;
    bool is_whole; /* a number without a fraction, of any size */
    bool has_time;
    int8_t bias; /* where the shortest decimal of `real` stands to the number: -1, 0, 1 */
    int64_t integer;
    int64_t time;        /* µs */
    double real;         /* the double nearest to the number */
    struct slice number; /* its text */
    struct slice text;   /* of a TEXT */
};

/* Texts are copied into `arena`. ERROR_DATA for what is no plain value, and for NaN and infinities.
 */
int literal_make(const struct value *value, struct arena *arena, struct literal *out,
                 struct error *err) must_check;

/* What a condition does with it. */
enum literal_use {
    LITERAL_EQUAL,
    LITERAL_ORDER,
    LITERAL_PATTERN, /* of like and ilike */
};

/* Does it suit this column: can a cell ever equal it, or be on either side of it? ERROR_DATA says
 * what would be right. */
int literal_check(const struct literal *l, const struct column *column, enum literal_use use,
                  struct error *err) must_check;

/* <0, 0, >0: the cell against the literal. LITERAL_APART when they are of different kinds, when the
 * cell is NULL or no value, and for NaN: then nothing but ne holds. */
#define LITERAL_APART 2
int literal_compare(const struct cell *cell, const struct literal *l);

/* Hashes for an index of literals: a cell that equals a literal has one of its keys. The reverse
 * need not hold. False when cells of this kind are never equal to anything. */
#define LITERAL_KEYS 6
size_t literal_keys(const struct literal *l, uint64_t keys[LITERAL_KEYS]);
bool literal_cell_key(const struct cell *cell, uint64_t *key);

#endif
