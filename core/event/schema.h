/* What a table looked like when an event was made: source, names, columns, key. Schemas are
 * interned: one immutable object per schema number, alive until the process ends (there are few, a
 * new one only when a table changes), so that events, batches and threads share plain pointers.
 *
 * A schema's number is the 64-bit hash of source, driver, names, columns, types and key, made by
 * the source thread; it stands in each journalled record, and the store keeps the encoded schema
 * under it. */
#ifndef EVENT_SCHEMA_H
#define EVENT_SCHEMA_H

#include "base/buffer.h"
#include "base/error.h"

#define SCHEMA_COLUMNS 2000

enum column_flag {
    COLUMN_NULLABLE = 1,
    COLUMN_GENERATED = 2,
};

struct column {
    struct slice name;
    struct slice type; /* the database's own name of the type, as declared; may be empty */
    uint8_t family;    /* enum type_family: what its values are, where the database promises it */
    uint8_t flags;     /* enum column_flag */
    uint16_t key;      /* 1-based place in the key; 0: not in the key */
};

/* What the values of a column are. ANY: each cell says so itself (SQLite). Stored; never renumber.
 */
enum type_family {
    FAMILY_ANY = 0,
    FAMILY_INT,
    FAMILY_FLOAT,
    FAMILY_DECIMAL,
    FAMILY_BOOL,
    FAMILY_TEXT,
    FAMILY_BYTES,
    FAMILY_DOCUMENT,
    FAMILY_TIME,
};

struct schema {
    uint64_t number;
    struct slice source; /* name of the source; "tidegate" for our own events */
    struct slice driver;
    struct slice schema; /* "main", "public" … ; empty where an event is of no table */
    struct slice table;  /* empty where an event is of no table */
    uint16_t column_count;
    uint16_t key_count;
    const struct column *columns;
    const uint16_t *key;   /* column indexes in key order */
    struct slice encoded;  /* the stored form, see schema_decode */
    const uint16_t *index; /* private: finds names of wide tables; NULL in drafts */
};

/* The index of a column, or -1. Case-sensitive. Linear for few columns; any thread. */
int schema_column(const struct schema *schema, struct slice name);

/* The nearest column name for "did you mean", or an empty slice. Interned schemas only. */
struct slice schema_suggest(const struct schema *schema, struct slice name);

/* "schema.table" for messages, into `out`; the source's name where an event is of no table. Cut to
 * `size`, always terminated. Returns `out`. */
char *schema_label(const struct schema *schema, char *out, size_t size);

/* The set of all schemas of the process; internally locked. */
struct schema_set;

/* Reads the encoded form of a number nobody has seen yet (the store does it from SQLite); appends
 * it to `out`. 0, or -1 with err when there is none. Called without the set's lock held. */
typedef int schema_load(void *context, uint64_t number, struct buffer *out, struct error *err);

struct schema_set *schema_set_new(schema_load *load, void *context); /* load may be NULL */
void schema_set_free(struct schema_set *set); /* frees every schema: only after all threads ended */

/* The interned schema equal to `draft`; copies what it needs. Of the draft only the names and
 * `columns` count, with the key as columns[].key says (places 1, 2, … each once): number, key,
 * key_count, encoded and index may be left zero. NULL when the draft has more than SCHEMA_COLUMNS
 * columns or no sound key. Any thread. */
const struct schema *schema_intern(struct schema_set *set, const struct schema *draft,
                                   struct error *err) must_check;

/* The schema of that number, loaded if need be; NULL with ERROR_CORRUPT when it is nowhere. */
const struct schema *schema_get(struct schema_set *set, uint64_t number,
                                struct error *err) must_check;

/* Interns what stands in another schema's `encoded`. Foreign bytes: anything wrong is
 * ERROR_CORRUPT. */
const struct schema *schema_decode(struct schema_set *set, struct slice encoded,
                                   struct error *err) must_check;

#endif
