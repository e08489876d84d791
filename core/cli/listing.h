/* A list for people: columns as wide as what is in them, numbers to the right, nothing that a
 * stranger's value could do to the terminal. */
#ifndef CLI_LISTING_H
#define CLI_LISTING_H

#include "cli/cli.h"

#define LISTING_COLUMNS 12

struct listing {
    const struct cli_column *columns;
    size_t column_count;
    struct arena arena;
    const char **cells; /* row by row */
    size_t count, room; /* rows */
    size_t widths[LISTING_COLUMNS];
    bool numbers[LISTING_COLUMNS]; /* all cells are numbers */
};

void listing_init(struct listing *t, const struct cli_column *columns, size_t count);
void listing_release(struct listing *t);
void listing_add(struct listing *t, const struct value *row);
void listing_print(const struct listing *t,
                 FILE *out); /* "nothing to list" on stderr when it is empty */

/* A value as one cell's text. */
const char *listing_text(struct arena *arena, const struct value *value);

#endif
