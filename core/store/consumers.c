/* Consumers: who reads the journal, how far each is, and who holds its trimming. The table is the
 * truth; the mirror in memory is what retention and status look at. */
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "store/inside.h"

/* Under the mirror's lock. */
static struct consumer_entry *
find(struct store *s, const char *name)
{
    for (size_t i = 0; i < s->consumers.count; i++)
        if (strcmp(s->consumers.entries[i].is.name, name) == 0)
            return &s->consumers.entries[i];
    return NULL;
}

/* Puts the entry into the mirror, under its lock. */
static struct consumer_entry *
put(struct store *s, const struct store_consumer *is)
{
    struct mirror *m = &s->consumers;
    struct consumer_entry *e = find(s, is->name);

    if (!e) {
        m->entries = memory_grow(m->entries, (m->count + 1) * sizeof(*m->entries));
        e = &m->entries[m->count++];
        e->open = false;
    }
    e->is = *is;
    return e;
}

static struct store_consumer
from_row(sqlite3_stmt *q)
{
    struct store_consumer c = {
        .checkpoint = (uint64_t)sqlite3_column_int64(q, 1),
        .enabled = sqlite3_column_int(q, 2) != 0,
        .seen = sqlite3_column_int64(q, 3),
    };

    snprintf(c.name, sizeof(c.name), "%s", (const char *)sqlite3_column_text(q, 0));
    return c;
}

int
consumers_load(struct store *s, struct error *err)
{
    sqlite3_stmt *q =
        sql_statement(s->db, "SELECT name, checkpoint, enabled, seen FROM consumers", err);
    int got = q ? 1 : -1;

    while (got == 1 && (got = sql_step(q, err)) == 1) {
        struct store_consumer c = from_row(q);
        put(s, &c);
    }
    return got;
}

void
consumers_release(struct store *s)
{
    free(s->consumers.entries);
}

uint64_t
consumers_highest(struct store *s)
{
    uint64_t highest = 0;

    pthread_mutex_lock(&s->consumers.lock);
    for (size_t i = 0; i < s->consumers.count; i++)
        if (s->consumers.entries[i].is.checkpoint > highest)
            highest = s->consumers.entries[i].is.checkpoint;
    pthread_mutex_unlock(&s->consumers.lock);
    return highest;
}

/* One that runs and has read everything was seen just now, however long nothing happened. */
static bool
holds(const struct store *s, struct consumer_entry *e, uint64_t newest, int64_t now)
{
    if (e->open && e->is.checkpoint >= newest)
        e->is.seen = now;
    if (!e->is.enabled || e->is.checkpoint >= newest)
        return false;
    return strcmp(e->is.name, "main") == 0 || s->options.consumer_expiry <= 0 ||
           now - e->is.seen <= s->options.consumer_expiry;
}

uint64_t
consumers_hold(struct store *s, char name[64])
{
    uint64_t lowest = journal_newest(s->journal), newest = lowest;
    int64_t now = clock_now();

    name[0] = '\0';
    pthread_mutex_lock(&s->consumers.lock);
    for (size_t i = 0; i < s->consumers.count; i++) {
        struct consumer_entry *e = &s->consumers.entries[i];
        if (!holds(s, e, newest, now) || e->is.checkpoint >= lowest)
            continue;
        lowest = e->is.checkpoint;
        memcpy(name, e->is.name, sizeof(e->is.name));
    }
    pthread_mutex_unlock(&s->consumers.lock);
    return lowest;
}

/* A change to one consumer, as a unit. */
struct edit {
    struct store_work work;
    const char *sql; /* ?1 name, ?2 lsn or flag, ?3 now */
    const char *name;
    int64_t value;
};

static int
run_change(struct store_work *work, sqlite3 *db, struct error *err)
{
    struct edit *c = container_of(work, struct edit, work);
    sqlite3_stmt *q = sql_statement(db, c->sql, err);

    if (!q)
        return -1;
    sqlite3_bind_text(q, 1, c->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, c->value);
    sqlite3_bind_int64(q, 3, clock_now());
    return sql_step(q, err);
}

static void
done_change(struct store_work *work, const struct error *err)
{
    (void)work;
    (void)err;
}

static int
change(struct store *s, const char *sql, const char *name, int64_t value, struct error *err)
{
    struct edit c = {
        .work = {.run = run_change, .done = done_change, .essential = true},
        .sql = sql,
        .name = name,
        .value = value,
    };

    return store_run_now(s, &c.work, err);
}

static int
check_name(const char *name, struct error *err)
{
    if (name[0] != '\0' && strlen(name) < sizeof(((struct store_consumer *)0)->name))
        return 0;
    error_set(err, ERROR_CONFIG, "a consumer cannot be called \"%.80s\"", name);
    return error_hint(err, "use 1 to 63 bytes");
}

int
store_consumer_open(struct store *s, const char *name, struct store_consumer *out,
                    struct error *err)
{
    uint64_t newest = journal_newest(s->journal);
    struct store_consumer fresh = {.enabled = true, .checkpoint = newest, .seen = clock_now()};

    if (check_name(name, err) != 0)
        return -1;
    if (change(s,
               "INSERT INTO consumers VALUES(?1, ?2, 1, ?3)"
               " ON CONFLICT(name) DO UPDATE SET seen = ?3",
               name, (int64_t)newest, err) != 0)
        return error_context(err, "open the consumer \"%s\"", name);
    snprintf(fresh.name, sizeof(fresh.name), "%s", name);
    pthread_mutex_lock(&s->consumers.lock);
    struct consumer_entry *e = find(s, name);
    if (!e)
        e = put(s, &fresh);
    e->open = true;
    e->is.seen = fresh.seen;
    *out = e->is;
    pthread_mutex_unlock(&s->consumers.lock);
    if (out->checkpoint <= journal_newest(s->journal))
        return 0;
    error_set(err, ERROR_CORRUPT,
              "the consumer \"%s\" has read up to lsn %llu, past the journal's end", name,
              (unsigned long long)out->checkpoint);
    return error_hint(err, STORE_MEND);
}

size_t
store_consumer_list(struct store *s, struct store_consumer **out)
{
    pthread_mutex_lock(&s->consumers.lock);
    size_t count = s->consumers.count;
    *out = memory_alloc((count + 1) * sizeof(**out));
    for (size_t i = 0; i < count; i++)
        (*out)[i] = s->consumers.entries[i].is;
    pthread_mutex_unlock(&s->consumers.lock);
    return count;
}

int
store_checkpoint(sqlite3 *db, const char *consumer, uint64_t lsn, struct error *err)
{
    sqlite3_stmt *q =
        sql_statement(db, "UPDATE consumers SET checkpoint = ?, seen = ? WHERE name = ?", err);

    if (!q)
        return -1;
    sqlite3_bind_int64(q, 1, (int64_t)lsn);
    sqlite3_bind_int64(q, 2, clock_now());
    sqlite3_bind_text(q, 3, consumer, -1, SQLITE_STATIC);
    if (sql_step(q, err) != 0)
        return -1;
    if (sqlite3_changes(db) == 1)
        return 0;
    return error_set(err, ERROR_MISSING, "there is no consumer \"%s\" any more", consumer);
}

void
store_checkpoint_done(struct store *s, const char *consumer, uint64_t lsn)
{
    pthread_mutex_lock(&s->consumers.lock);
    struct consumer_entry *e = find(s, consumer);
    if (e) {
        e->is.checkpoint = lsn;
        e->is.seen = clock_now();
    }
    pthread_mutex_unlock(&s->consumers.lock);
    if (atomic_load_explicit(&s->pressure, memory_order_relaxed) == STORE_JOURNAL_FULL)
        wake_poke(&s->keeper_wake);
}

static int
check_known(struct store *s, const char *name, struct error *err)
{
    pthread_mutex_lock(&s->consumers.lock);
    bool known = find(s, name) != NULL;
    pthread_mutex_unlock(&s->consumers.lock);
    return known ? 0 : error_set(err, ERROR_MISSING, "there is no consumer \"%s\"", name);
}

int
store_consumer_enable(struct store *s, const char *name, bool enabled, struct error *err)
{
    if (check_known(s, name, err) != 0 ||
        change(s, "UPDATE consumers SET enabled = ?2, seen = ?3 WHERE name = ?1", name, enabled,
               err) != 0)
        return -1;
    pthread_mutex_lock(&s->consumers.lock);
    struct consumer_entry *e = find(s, name);
    if (e) {
        e->is.enabled = enabled;
        e->is.seen = clock_now();
    }
    pthread_mutex_unlock(&s->consumers.lock);
    wake_poke(&s->keeper_wake);
    return 0;
}

int
store_consumer_reset(struct store *s, const char *name, uint64_t lsn, struct error *err)
{
    uint64_t newest = journal_newest(s->journal);

    if (check_known(s, name, err) != 0)
        return -1;
    if (lsn > newest)
        return error_set(err, ERROR_DATA, "lsn %llu is past the journal's newest, %llu",
                         (unsigned long long)lsn, (unsigned long long)newest);
    if (change(s, "UPDATE consumers SET checkpoint = ?2, seen = ?3 WHERE name = ?1", name,
               (int64_t)lsn, err) != 0)
        return -1;
    store_checkpoint_done(s, name, lsn);
    return 0;
}

int
store_consumer_remove(struct store *s, const char *name, struct error *err)
{
    struct mirror *m = &s->consumers;

    if (check_known(s, name, err) != 0 ||
        change(s, "DELETE FROM consumers WHERE name = ?1", name, 0, err) != 0)
        return -1;
    pthread_mutex_lock(&m->lock);
    struct consumer_entry *e = find(s, name);
    if (e)
        *e = m->entries[--m->count];
    pthread_mutex_unlock(&m->lock);
    wake_poke(&s->keeper_wake);
    return 0;
}
