/* A list for people: columns as wide as what is in them, numbers to the right, nothing that a
 * stranger's value could do to the terminal. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "cli/cli.h"

#define TABLE_COLUMNS 12

struct table {
    const struct cli_column *columns;
    size_t column_count;
    struct arena arena;
    const char **cells; /* row by row */
    size_t count, room; /* rows */
    size_t widths[TABLE_COLUMNS];
    bool numbers[TABLE_COLUMNS]; /* all cells are numbers */
};

void table_init(struct table *t, const struct cli_column *columns, size_t count);
void table_release(struct table *t);
void table_add(struct table *t, const struct value *row);
void table_print(const struct table *t,
                 FILE *out); /* "nothing to list" on stderr when it is empty */

/* A value as one cell's text. */
const char *table_text(struct arena *arena, const struct value *value);

#endif
