/* A list for people: columns as wide as what is in them, numbers to the right, nothing that a
 * stranger's value could do to the terminal. */
#ifndef CLI_COLUMNS_H
#define CLI_COLUMNS_H

#include "cli/cli.h"

#define COLUMNS_MOST 12

struct columns {
    const struct cli_column *columns;
    size_t column_count;
    struct arena arena;
    const char **cells; /* row by row */
    size_t count, room; /* rows */
    size_t widths[COLUMNS_MOST];
    bool numbers[COLUMNS_MOST]; /* all cells are numbers */
};

void columns_init(struct columns *t, const struct cli_column *columns, size_t count);
void columns_release(struct columns *t);
void columns_add(struct columns *t, const struct value *row);
void columns_print(const struct columns *t,
                 FILE *out); /* "nothing to list" on stderr when it is empty */

/* A value as one cell's text. */
const char *columns_text(struct arena *arena, const struct value *value);

#endif
