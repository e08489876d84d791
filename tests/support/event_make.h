/* Schemas, rows and events for tests, in as few words as a test wants to spend on them.
 *
 *     const struct schema *orders =
 *         event_make_schema("shop", "main", "orders", "id:int:key", "status:text",
 * "total:decimal"); struct event e = event_make(EVENT_UPDATE, orders, "17", event_make_row("1",
 * "'paid'", "12.50m"), event_make_row("1", "'open'", "12.50m"));
 *
 * Everything lives until the process ends. Not thread-safe. A wrong literal ends the test. */
#ifndef SUPPORT_EVENT_MAKE_H
#define SUPPORT_EVENT_MAKE_H

#include "event/batch.h"
#include "event/event.h"

/* The one set of schemas that event_make_schema uses. */
struct schema_set *event_make_set(void);

/* Columns are texts "name:family[:key|:key2 …][:null][:generated][:type=declared]"; the family is
 * any int float decimal bool text bytes document or time. The driver is "sqlite". */
#define event_make_schema(source, schema, table, ...)                                              \
    event_make_schema_in(event_make_set(), "sqlite", (const char *[]){source, schema, table},      \
                         (const char *[]){__VA_ARGS__, NULL})

/* `names`: source, schema, table. `columns` ends with NULL. */
const struct schema *event_make_schema_in(struct schema_set *set, const char *driver,
                                          const char *const names[3], const char *const *columns);

/* A cell of a literal:
 *     absent null unchanged unknown true false
 *     12  1.5  nan  inf  -inf   int and float
 *     12.50m                    decimal (what stands before the m)
 *     'text'  x'00ff'           text (no escapes) and bytes
 *     {"a":1}  [1]              document
 *     @2026-11-21T06:42:00Z     time, with microseconds if it can be read as such */
struct cell event_make_cell(const char *literal);

#define event_make_row(...) event_make_row_of((const char *[]){__VA_ARGS__, NULL})
struct row event_make_row_of(const char *const *literals);
struct row event_make_none(void); /* no such image */

/* ts is 2026-11-21T06:42:00.000001Z, epoch 1, lsn 0, no transaction: set what you need. */
struct event event_make(enum event_op op, const struct schema *schema, const char *position,
                        struct row new, struct row old);

/* A sealed batch of these events. The caller owns it. */
struct batch *event_make_batch(const char *source, const struct event *events, size_t count,
                               const char *position);

#endif
