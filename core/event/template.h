/* Templates: the texts of messages with places for an event's values (design/language.md §4).
 *
 *     Order {{id}} for {{amount | number(2)}} in {{city | default("–")}}
 *
 * A bare name is a column of the event's row, except the built-in names operation op schema_name
 * table_name source key ddl. `row.x new.x old.x key.x` say which row; `event.x` is about the event:
 * id lsn op source driver schema table ts ts_us tx position key ddl meta prefix content.
 * Filters: upper lower number(n) default(text) json. NULL, absent, unchanged without an old value
 * and unknown print nothing.
 *
 * A template is compiled once and then only read: any number of threads may share it. */
#ifndef EVENT_TEMPLATE_H
#define EVENT_TEMPLATE_H

#include "event/event.h"

#define TEMPLATE_BYTES (64 * 1024) /* the longest text of a template */

struct template;

/* Where the rendered text goes, which decides how values are escaped. What the template itself says
 * is never touched, nor is what the filter `json` made: that stands as a JSON value of its own. */
enum template_escape {
    TEMPLATE_PLAIN, /* people read it: control characters but newline and tab are left out */
    TEMPLATE_JSON,  /* it is JSON, and places stand inside its strings */
};

/* `where` is "file:line" for messages. `text` and `where` are copied. NULL with ERROR_DATA, or
 * ERROR_REFUSED for what the design names and is not built yet. */
struct template *template_compile(struct slice text, const char *where,
                                  struct error *err) must_check;
void template_free(struct template *t); /* NULL is fine */

/* Does this table have every column that is named? ERROR_DATA with "did you mean" if not. */
int template_check(const struct template *t, const struct schema *schema,
                   struct error *err) must_check;

/* Which row a named column is of. */
enum template_row {
    TEMPLATE_ROW, /* bare, or row.x */
    TEMPLATE_NEW,
    TEMPLATE_OLD,
    TEMPLATE_KEY, /* also has to be a column of the key */
};

struct template_name {
    enum template_row row;
    struct slice name;
};

/* The columns that are named, each once a row, in order of appearance; returns how many. The list
 * lives as long as the template. */
size_t template_names(const struct template *t, const struct template_name **out);

/* Does it print an old value? Then a table whose log has none gets a problem, not an empty text. */
bool template_needs_old(const struct template *t);

/* Appends the text for one event. -1 leaves `out` as it was: ERROR_DATA when the event's table
 * lacks a column, or an update's log did not carry an old value that is asked for without a
 * default; ERROR_FULL when out->limit is reached. */
int template_render(const struct template *t, struct event *e, enum template_escape escape,
                    struct buffer *out, struct error *err) must_check;

#endif
