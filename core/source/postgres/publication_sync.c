#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "source/postgres/publication_plan.h"
#include "source/postgres/quote.h"
#include "source/postgres/slot.h"
#include "source/postgres/state.h"

/* The publication that a statement of ours names, with its quotes: it holds no spaces. */
static struct slice
publication_in(const char *sql)
{
    const char *name = strstr(sql, "PUBLICATION ") + strlen("PUBLICATION ");
    return (struct slice){name, strcspn(name, " ")};
}

/* What a refused statement needs, by its first word. */
static int
mend_denied(struct pg_session *s, const char *sql, struct error *err)
{
    struct buffer text;
    struct slice user = slice_of(PQuser(s->conn)), database = slice_of(PQdb(s->conn));
    buffer_init(&text, 1 << 12);
    if (strncmp(sql, "CREATE", 6) == 0) {
        buffer_text(&text, "GRANT CREATE ON DATABASE ");
        pg_quote_name(&text, database);
        buffer_text(&text, " TO ");
    } else {
        buffer_text(&text, "ALTER PUBLICATION ");
        buffer_slice(&text, publication_in(sql));
        buffer_text(&text, " OWNER TO ");
    }
    pg_quote_name(&text, user);
    error_hint(err, "%s", buffer_cstring(&text));
    buffer_release(&text);
    return -1;
}

static int
run_one(struct pg_session *s, const char *sql, struct error *err)
{
    struct error ignored = {0};
    bool table = strncmp(sql, "ALTER TABLE", 11) == 0;
    if (pg_run(s, table ? "set a replica identity" : "bring the publication up to date", sql,
               err) == 0)
        return 0;
    if (strncmp(sql, "BEGIN", 5) == 0 && pg_run(s, "roll back", "ROLLBACK", &ignored) != 0)
        return -1; /* the connection is gone, and so is the transaction */
    if (err->class == ERROR_DENIED && !table)
        return mend_denied(s, sql, err);
    if (err->class == ERROR_DENIED || !err->hint[0])
        error_hint(err, "%s", sql);
    return -1;
}

static bool
in_recovery(struct pg_session *s, bool *standby, struct error *err)
{
    PGresult *rows = pg_query(s, "ask whether this is a standby",
                              "SELECT pg_catalog.pg_is_in_recovery() AS standby", err);
    *standby = rows && pg_bool(rows, 0, "standby");
    PQclear(rows);
    return rows != NULL;
}

static int
refuse_standby(struct pg_session *s, const struct pg_statements *statements, struct error *err)
{
    error_set(err, ERROR_MISSING,
              "source \"%s\" reads from a standby, where nothing can be altered, and %s",
              s->plan->name,
              statements->creates ? "its publications do not exist yet"
                                  : "its publications are not up to date");
    if (statements->count == 1)
        return error_hint(err, "run on the primary: %s", statements->items[0]);
    return error_hint(err, "run the %zu statements of `tidegate check` on the primary, first: %s",
                      statements->count, statements->items[0]);
}

/* A lock that is waited for makes all who come later wait behind it: rather try again. What is made
 * must be on disk before the slot is moved behind it. */
static const char settings_sql[] = "SET lock_timeout = '3s'; SET synchronous_commit = on";
static const char reset_sql[] = "RESET lock_timeout; RESET synchronous_commit";

/* The log before a publication was made can't be read through it. */
static int
renew_slot(struct pg_session *s, const char *component, struct error *err)
{
    struct pg_slot slot;
    char name[PG_NAME];
    pg_slot_name(s->plan, name);
    if (pg_slot_read(s, name, &slot, err) != 0)
        return -1;
    bool usable = slot.exists && slot.here && strcmp(slot.plugin, "pgoutput") == 0 &&
                  !slot.active_pid && !slot.invalid[0] && slot.confirmed;
    if (!usable)
        return 0; /* who begins with it says what is wrong */
    log_warning(component,
                "replication slot \"%s\" is older than its publications, which were"
                " made now: it begins here",
                name);
    return pg_slot_renew(s, name, err);
}

static int
run_all(struct pg_session *s, const struct pg_statements *statements, const char *component,
        struct error *err)
{
    struct error ignored = {0};
    int result = pg_run(s, "prepare the session", settings_sql, err);
    for (size_t i = 0; result == 0 && i < statements->count; i++) {
        log_info(component, "altering the database: %s", statements->items[i]);
        result = run_one(s, statements->items[i], err);
    }
    bool fresh = s->source && s->source->position->size == 0;
    if (result == 0 && statements->creates && fresh)
        result = renew_slot(s, component, err);
    if (pg_run(s, "reset the session", reset_sql, &ignored) != 0 && result == 0)
        log_failure(LOG_DEBUG, component, &ignored);
    return result;
}

/* A running source asks every few seconds: a list is told once. */
static bool
was_told(struct pg_session *s, struct slice names)
{
    struct pg_state *state = s->source ? s->source->state : NULL;
    if (!state)
        return false;
    uint64_t digest = hash64(names.data, names.size);
    bool told = state->left_out == digest;
    state->left_out = digest;
    return told;
}

static int
check_left_out(struct pg_session *s, struct pg_statements *statements, const char *component,
               struct error *err)
{
    if (statements->left_out_count == 0)
        return 0;
    struct slice names = text_truncate(buffer_view(&statements->left_out), 400);
    const char *more = names.size < statements->left_out.size ? " …" : "";
    if (statements->published) {
        if (was_told(s, buffer_view(&statements->left_out)))
            return 0;
        log_warning(component,
                    "not captured, since \"%s\" does not own them: %.*s%s (for each, its owner or a"
                    " superuser runs what this is for the first: %s)",
                    PQuser(s->conn), (int)names.size, names.data, more, statements->mend);
        return 0;
    }
    error_set(err, ERROR_DENIED,
              "source \"%s\" captures nothing: user \"%s\" does not own %.*s%s, and only the owner"
              " may add a table to a publication",
              s->plan->name, PQuser(s->conn), (int)names.size, names.data, more);
    return error_hint(err, "as a superuser: %s", statements->mend);
}

static int
sync(struct pg_session *s, struct pg_statements *statements, const char *component, bool *changed,
     struct error *err)
{
    bool standby = false;
    if (statements->count) {
        if (!in_recovery(s, &standby, err))
            return -1;
        if (standby)
            return refuse_standby(s, statements, err);
        if (run_all(s, statements, component, err) != 0)
            return -1;
        *changed = true;
    }
    return check_left_out(s, statements, component, err);
}

int
pg_publication_sync(struct pg_session *s, const struct pg_tables *tables, const char *component,
                    bool *changed, struct error *err)
{
    struct pg_statements statements;
    *changed = false;
    int result = pg_statements_find(s, tables, &statements, err);
    if (result == 0)
        result = sync(s, &statements, component, changed, err);
    pg_statements_release(&statements);
    return result;
}

/* The next name of a list as START_REPLICATION takes it; false: it has ended. */
static bool
next_name(const char **at, char out[PG_NAME])
{
    size_t size = 0;
    const char *from = *at + strspn(*at, ",");
    if (*from != '"')
        return false;
    for (from++; *from && (*from != '"' || from[1] == '"'); from++) {
        if (size + 1 < PG_NAME)
            out[size++] = *from;
        from += *from == '"';
    }
    out[size] = '\0';
    *at = from + (*from == '"');
    return true;
}

static int
find_publication(struct pg_session *s, const char *name, struct error *err)
{
    struct buffer sql;
    buffer_init(&sql, 1 << 12);
    buffer_text(&sql, "SELECT p.pubname FROM pg_catalog.pg_publication p WHERE p.pubname = ");
    pg_quote_text(&sql, slice_of(name));
    PGresult *rows = pg_query(s, "read the publications", buffer_cstring(&sql), err);
    buffer_release(&sql);
    bool there = rows && PQntuples(rows) > 0;
    PQclear(rows);
    if (!rows || there)
        return rows ? 0 : -1;
    return error_set(err, ERROR_LOST,
                     "publication \"%s\" is gone: changes since it was dropped cannot be read from"
                     " the log",
                     name);
}

int
pg_publication_prove(struct pg_session *s, const char *list, struct error *err)
{
    char name[PG_NAME];
    while (next_name(&list, name)) {
        if (find_publication(s, name, err) != 0)
            return -1;
    }
    return 0;
}

bool
pg_publication_missed(const PGresult *result)
{
    const char *state = pg_query_state(result);
    const char *routine = result ? PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION) : NULL;
    if (!routine)
        return false;
    return (strcmp(state, "42704") == 0 && strcmp(routine, "get_publication_oid") == 0) ||
           (strcmp(state, "55000") == 0 && strcmp(routine, "LoadPublications") == 0);
}
