/* Paths into documents: `meta.plan.seats` is a column and what stands inside it. A step is a key of
 * an object or the place of a list's entry, counted from 1 as in Lua. Of a key that stands twice
 * the last counts, as in Lua and PostgreSQL.
 *
 * The walk goes over the JSON text as it stands: nothing is allocated, no tree is built, and what
 * is not on the path is passed over unread. Any bytes are safe; of those that are no JSON something
 * or nothing may be found. Pure functions, any thread. language.md §2. */
#ifndef EVENT_JSON_PATH_H
#define EVENT_JSON_PATH_H

#include "event/event.h"

/* The column that a name means, and the path behind it: a column of the whole name comes first
 * (`*path` is empty then), else the longest one that ends before a dot. `*path` points into `name`.
 * -1 with ERROR_DATA, and "did you mean": no such column, a column whose values are never
 * documents, or no sound path. */
int json_path_column(const struct schema *schema, struct slice name, struct slice *path,
                     struct error *err) must_check;

/* The JSON text of what stands at `path` (empty: the whole), a part of `document`; false: nothing
 * stands there. */
bool json_path_find(struct slice document, struct slice path, struct slice *out);

/* The entries of a list, or the values of an object, one after another. `*at` is 0 at first; false
 * when there is none left. */
bool json_path_next(struct slice document, size_t *at, struct slice *out);

/* A JSON text as a cell: null, true and false, integers within int64, other numbers as DECIMAL,
 * texts, and objects and lists as DOCUMENT. The cell points into `json`, or into `scratch`, which
 * is overwritten, where a text has escapes. What is no JSON is NULL. */
void json_path_cell(struct slice json, struct buffer *scratch, struct cell *out);

/* Both in one for a cell that is a document, or a text that holds one: NULL where nothing stands.
 */
void json_path_read(const struct cell *document, struct slice path, struct buffer *scratch,
                    struct cell *out);

#endif
