/* The table schemas(number, encoded): filled by the store thread in the transaction of the group
 * whose blocks name them, read by whoever meets a number for the first time. */
#include <stdlib.h>
#include "store/database.h"
#include "store/inside.h"

/* The place of `number` among the known ones, or where it would stand. */
static size_t
place_of(const struct store *s, uint64_t number)
{
    size_t low = 0, high = s->known_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->known[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool
is_known(const struct store *s, uint64_t number)
{
    size_t at = place_of(s, number);

    return at < s->known_count && s->known[at] == number;
}

static void
remember(struct store *s, uint64_t number)
{
    size_t at = place_of(s, number);

    if (at < s->known_count && s->known[at] == number)
        return;
    s->known = memory_grow(s->known, (s->known_count + 1) * sizeof(*s->known));
    memmove(s->known + at + 1, s->known + at, (s->known_count - at) * sizeof(*s->known));
    s->known[at] = number;
    s->known_count++;
}

static int
load_numbers(struct store *s, struct error *err)
{
    sqlite3_stmt *q = sql_statement(s->db, "SELECT number FROM schemas", err);
    int got = q ? 1 : -1;

    while (got == 1 && (got = sql_step(q, err)) == 1)
        remember(s, (uint64_t)sqlite3_column_int64(q, 0));
    return got;
}

static int
read_encoded(sqlite3 *db, uint64_t number, struct buffer *out, struct error *err)
{
    sqlite3_stmt *q = sql_statement(db, "SELECT encoded FROM schemas WHERE number = ?", err);

    if (!q)
        return -1;
    sqlite3_bind_int64(q, 1, (int64_t)number);
    int got = sql_step(q, err);
    if (got == 1)
        buffer_append(out, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0));
    sqlite3_reset(q);
    if (got != 0)
        return got == 1 ? 0 : -1;
    error_set(err, ERROR_CORRUPT, "the schema %016llx is not in tidegate.db",
              (unsigned long long)number);
    return error_hint(err, "tidegate.db is older than the journal: " STORE_MEND);
}

/* schema_load: any thread that reads events. */
static int
load(void *context, uint64_t number, struct buffer *out, struct error *err)
{
    struct store *s = context;

    pthread_mutex_lock(&s->loader_lock);
    int result = read_encoded(s->loader, number, out, err);
    pthread_mutex_unlock(&s->loader_lock);
    return result;
}

int
schemas_open(struct store *s, struct error *err)
{
    s->loader = database_reader(s->path, err);
    if (!s->loader || load_numbers(s, err) != 0)
        return -1;
    s->schemas = schema_set_new(load, s);
    return 0;
}

void
schemas_close(struct store *s)
{
    if (s->schemas)
        schema_set_free(s->schemas);
    sql_close(s->loader);
    free(s->known);
}

bool
schemas_missing(const struct store *s, const struct batch *batch)
{
    for (size_t i = 0; i < batch->schema_count; i++)
        if (!is_known(s, batch->schemas[i]->number))
            return true;
    return false;
}

static int
insert(sqlite3 *db, const struct schema *schema, struct error *err)
{
    sqlite3_stmt *q = sql_statement(db, "INSERT OR IGNORE INTO schemas VALUES(?, ?)", err);

    if (!q)
        return -1;
    sqlite3_bind_int64(q, 1, (int64_t)schema->number);
    sqlite3_bind_blob64(q, 2, schema->encoded.data, schema->encoded.size, SQLITE_STATIC);
    return sql_step(q, err);
}

int
schemas_insert(struct store *s, const struct batch *batch, struct error *err)
{
    for (size_t i = 0; i < batch->schema_count; i++)
        if (!is_known(s, batch->schemas[i]->number) && insert(s->db, batch->schemas[i], err) != 0)
            return -1;
    return 0;
}

void
schemas_remember(struct store *s, const struct batch *batch)
{
    for (size_t i = 0; i < batch->schema_count; i++)
        remember(s, batch->schemas[i]->number);
}
