/* What a table of the user's database looks like, as far as capturing it needs to know: columns,
 * key, and every unique index, because REPLACE removes rows through these without firing a trigger
 * (design/sources.md §3). Read from SQLite's own pragmas; nothing is guessed from CREATE TABLE. */
#ifndef SOURCE_SQLITE_TABLE_H
#define SOURCE_SQLITE_TABLE_H

#include "base/arena.h"
#include "source/source_driver.h"
#include "source/sqlite/call.h"

struct table_column {
    const char *name;
    const char *type;     /* as declared; may be "" */
    const char *fallback; /* text of DEFAULT, or NULL */
    bool not_null;
    bool generated;
    bool captured; /* false: exclude_columns names it */
    int key;       /* 1-based place in the PRIMARY KEY; 0: not in it */
};

/* One column or expression of a unique index. */
struct table_term {
    int column;       /* index into columns; -1: the expression `text`; -2: the rowid */
    const char *text; /* of an expression, COLLATE included */
    const char *collation;
};

struct table_unique {
    struct table_term *terms;
    size_t count;
    const char *where; /* of a partial index, or NULL */
    bool primary;      /* it is the PRIMARY KEY */
    bool simple;       /* stored columns only and no WHERE */
};

struct table {
    const char *name;
    const char *sql; /* CREATE TABLE, as the database keeps it */
    bool without_rowid;
    const char *rowid; /* the name that reaches the rowid; NULL for WITHOUT ROWID */
    bool before;       /* it has BEFORE triggers of somebody else */
    bool parent;       /* foreign keys refer to it */
    struct table_column *columns;
    size_t count;
    size_t captured;
    struct table_unique *uniques;
    size_t unique_count;
};

/* The log holds new and old cells of a row beside three columns of its own, and SQLite allows 2,000
 * columns in a table. */
#define TABLE_COLUMNS 998

/* Reads the table of that name. ERROR_CONFIG when it cannot be captured as it is. */
int table_read(sqlite3 *db, const struct source_plan *plan, const char *name, struct arena *arena,
               struct table *out, struct error *err) must_check;

/* The unique index of the PRIMARY KEY; NULL for a table with a rowid and no such index. */
const struct table_unique *table_primary(const struct table *table);

/* Names of the tables that the plan captures, sorted; ours, SQLite's, views and virtual tables and
 * their shadows are never among them. */
int table_list(sqlite3 *db, const struct source_plan *plan, struct arena *arena,
               const char ***names, size_t *count, struct error *err) must_check;

/* Splits the text of CREATE UNIQUE INDEX: the terms between its parentheses, without ASC and DESC,
 * and what stands behind WHERE (NULL without it). At most `room` terms; returns how many there are,
 * or -1 when the text is not understood. */
int index_split(const char *sql, struct arena *arena, const char **terms, int room,
                const char **where);

#endif
