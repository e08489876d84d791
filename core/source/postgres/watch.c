#include "source/postgres/watch.h"
#include <inttypes.h>
#include <poll.h>
#include "base/json.h"
#include "base/log.h"
#include "event/ddl.h"
#include "source/postgres/state.h"

#define CATALOG_EVERY (10 * CLOCK_SECOND)
#define CATALOG_SOON  CLOCK_SECOND
#define END_EVERY     (10 * CLOCK_SECOND) /* … while nothing happens */
#define END_SOON      CLOCK_SECOND        /* … after events */
#define PAGE          8192 /* of the server's log; a larger one is a multiple of it */
#define PAGE_HEADER   40
#define FAILED_WAIT   (10 * CLOCK_SECOND)

void
pg_watch_init(struct pg_watch *watch, const struct source_plan *plan,
              const struct source_context *source)
{
    int64_t now = clock_mono();
    memset(watch, 0, sizeof *watch);
    watch->session.plan = plan;
    watch->session.source = source;
    watch->catalog_at = now + CATALOG_EVERY;
    watch->end_at = now + END_SOON;
}

void
pg_watch_release(struct pg_watch *watch)
{
    pg_session_close(&watch->session);
    pg_catalog_release(&watch->tables);
    watch->asked = PG_ASK_NOTHING;
}

void
pg_watch_stir(struct pg_watch *watch)
{
    int64_t soon = clock_mono() + END_SOON;
    if (watch->end_at > soon)
        watch->end_at = soon;
}

void
pg_watch_look(struct pg_watch *watch)
{
    watch->catalog_at = clock_mono();
    watch->hasty = true;
}

/* A question under way is dropped, and its session with it if the answer is not there yet. */
static void
drop_question(struct pg_watch *watch)
{
    PGconn *conn = watch->session.conn;
    while (watch->asked && !PQisBusy(conn)) {
        PGresult *result = PQgetResult(conn);
        PQclear(result);
        if (!result)
            watch->asked = PG_ASK_NOTHING;
    }
    if (watch->asked)
        pg_session_close(&watch->session);
    watch->asked = PG_ASK_NOTHING;
}

int
pg_watch_session(struct pg_watch *watch, struct pg_session **out, struct error *err)
{
    *out = &watch->session;
    drop_question(watch);
    if (watch->session.conn && PQstatus(watch->session.conn) == CONNECTION_OK)
        return 0;
    const struct pg_state *state = watch->session.source->state;
    pg_session_close(&watch->session);
    return pg_session_open_beside(&watch->session, &state->stream.session, err);
}

/* Says it once, and tries again later. */
static void
failed(struct source_context *context, struct error *why)
{
    struct pg_watch *watch = &((struct pg_state *)context->state)->watch;
    log_failure(watch->complained ? LOG_DEBUG : LOG_WARNING, context->component, why);
    watch->complained = true;
    pg_session_close(&watch->session);
    watch->asked = PG_ASK_NOTHING;
    watch->catalog_at = watch->end_at = clock_mono() + FAILED_WAIT;
}

static void
ask(struct source_context *context, enum pg_question question, const char *sql)
{
    struct pg_watch *watch = &((struct pg_state *)context->state)->watch;
    struct pg_session *session;
    struct error why = {0};
    if (pg_watch_session(watch, &session, &why) != 0) {
        failed(context, &why);
        return;
    }
    watch->asked_at = clock_now();
    if (!PQsendQuery(session->conn, sql)) {
        pg_query_failed(session, NULL, "ask for what has changed", &why);
        failed(context, &why);
        return;
    }
    watch->asked = question;
}

static void
ask_what_is_due(struct source_context *context)
{
    struct pg_watch *watch = &((struct pg_state *)context->state)->watch;
    int64_t now = clock_mono();
    struct buffer sql;
    buffer_init(&sql, 1 << 20);
    if (now >= watch->catalog_at) {
        watch->catalog_at = now + CATALOG_EVERY;
        pg_catalog_query(context->plan, &sql);
        ask(context, PG_ASK_CATALOG, buffer_cstring(&sql));
    } else if (now >= watch->end_at || (context->tick && !watch->goal)) {
        watch->end_at = now + END_EVERY;
        ask(context, PG_ASK_END, PG_END_OF_LOG);
    }
    buffer_release(&sql);
}

int
pg_end_of_log(const PGresult *result, uint64_t *end, struct error *err)
{
    if (pg_lsn_parse(pg_text(result, 0, "lsn"), end) != 0)
        return error_set(err, ERROR_CORRUPT, "the server's end of the log is no LSN");
    /* Records never begin inside of a page's header, where the end may point. */
    if (*end % PAGE <= PAGE_HEADER)
        *end -= *end % PAGE;
    return 0;
}

static int
take_end(struct source_context *context, const PGresult *result, struct error *err)
{
    struct pg_state *state = context->state;
    struct pg_watch *watch = &state->watch;
    if (pg_end_of_log(result, &watch->goal, err) != 0)
        return -1;
    watch->goal_at = watch->asked_at;
    /* Where it has nothing to send it says how far it has read only when it is asked. */
    return pg_stream_status(&state->stream, true, err);
}

/* Is what was told last, with the list of known tables behind it, in a durable block? */
static bool
is_told(const struct source_context *context)
{
    const struct pg_state *state = context->state;
    struct pg_position ignored;
    struct slice tail;
    return pg_position_read(buffer_view(context->position), &ignored, &tail) == 0 &&
           slice_equal(tail, buffer_view(&state->tail_bytes));
}

static bool
any_missing(const struct pg_state *state)
{
    for (size_t i = 0; i < state->watch.tables.count; i++) {
        const struct pg_table *table = &state->watch.tables.items[i];
        const struct pg_known *known = pg_tail_find(&state->tail, table->oid);
        if (!table->in_publication && known && !(known->flags & PG_KNOWN_TOLD))
            return true;
    }
    return false;
}

bool
pg_watch_may_sync(struct source_context *context)
{
    struct pg_state *state = context->state;
    struct pg_watch *watch = &state->watch;
    watch->missed = watch->missed && !is_told(context);
    if (state->reopen) /* these are not the publications that the log is read through */
        return true;
    if (!watch->missed && !any_missing(state))
        return true;
    watch->catalog_at = clock_mono() + CATALOG_SOON;
    return false;
}

static int
take_tables(struct source_context *context, const PGresult *result, struct error *err)
{
    struct pg_watch *watch = &((struct pg_state *)context->state)->watch;
    struct pg_tables tables = {0};
    bool changed = false;
    if (pg_catalog_take(context->plan, result, &tables, err) != 0)
        return -1;
    pg_catalog_release(&watch->tables);
    watch->tables = tables;
    watch->looked_at = watch->asked_at;
    watch->end_at = clock_mono(); /* what was found is told once the log is read up to here */
    watch->announce = true;
    watch->forget = !watch->hasty;
    watch->hasty = false;
    if (!pg_watch_may_sync(context))
        return 0;
    if (pg_publication_sync(&watch->session, &watch->tables, context->component, &changed, err) !=
        0)
        return -1;
    if (changed)
        watch->catalog_at = clock_mono(); /* what was added is told of once the catalog says so */
    return 0;
}

static int
take_answer(struct source_context *context, PGresult *result, struct error *err)
{
    struct pg_watch *watch = &((struct pg_state *)context->state)->watch;
    enum pg_question asked = watch->asked;
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        return pg_query_failed(&watch->session, result, "ask for what has changed", err);
    drop_question(watch);
    if (asked == PG_ASK_END)
        return take_end(context, result, err);
    if (take_tables(context, result, err) != 0)
        return -1;
    watch->complained = false;
    return 0;
}

static void
look_for_answer(struct source_context *context)
{
    struct pg_watch *watch = &((struct pg_state *)context->state)->watch;
    struct error why = {0};
    if (!PQconsumeInput(watch->session.conn)) {
        pg_query_failed(&watch->session, NULL, "ask for what has changed", &why);
        failed(context, &why);
        return;
    }
    if (PQisBusy(watch->session.conn))
        return;
    PGresult *result = PQgetResult(watch->session.conn);
    int taken = take_answer(context, result, &why);
    PQclear(result);
    if (taken != 0)
        failed(context, &why);
}

void
pg_watch_work(struct source_context *context)
{
    struct pg_watch *watch = &((struct pg_state *)context->state)->watch;
    if (watch->asked)
        look_for_answer(context);
    else
        ask_what_is_due(context);
}

/* Those that are known and not listed any more, as a list for SQL; false: there is none. At two
 * looks in a row: what became known after the first may have come and gone since. */
static bool
list_unlisted(struct pg_state *state, struct buffer *sql)
{
    size_t count = 0;
    for (size_t i = 0; i < state->tail.count; i++) {
        struct pg_known *known = &state->tail.known[i];
        bool before = known->flags & PG_KNOWN_UNLISTED;
        known->flags &= ~(uint32_t)PG_KNOWN_UNLISTED;
        if (pg_catalog_find(&state->watch.tables, known->oid))
            continue;
        known->flags |= PG_KNOWN_UNLISTED;
        if (before)
            buffer_printf(sql, "%s%" PRIu32, count++ ? "," : "", known->oid);
    }
    return count > 0;
}

static int
forget_gone(struct source_context *context, const char *oids, struct error *err)
{
    struct pg_state *state = context->state;
    struct pg_session *session;
    struct buffer sql;
    if (pg_watch_session(&state->watch, &session, err) != 0)
        return -1;
    buffer_init(&sql, 1 << 24);
    buffer_printf(&sql,
                  "SELECT k AS oid FROM pg_catalog.unnest('{%s}'::oid[]) AS k WHERE NOT EXISTS"
                  " (SELECT FROM pg_catalog.pg_class c WHERE c.oid = k)",
                  oids);
    PGresult *rows = pg_query(session, "look for dropped tables", buffer_cstring(&sql), err);
    buffer_release(&sql);
    if (!rows)
        return -1;
    for (int row = 0; row < PQntuples(rows); row++)
        pg_tail_remove(&state->tail, (uint32_t)pg_int(rows, row, "oid"));
    if (PQntuples(rows))
        pg_state_attach(context);
    PQclear(rows);
    return 0;
}

void
pg_watch_forget(struct source_context *context)
{
    struct pg_state *state = context->state;
    struct pg_watch *watch = &state->watch;
    struct error why = {0};
    struct buffer oids;
    if (!watch->forget || watch->proved_at <= watch->looked_at)
        return;
    watch->forget = false;
    buffer_init(&oids, 1 << 24);
    if (list_unlisted(state, &oids) && forget_gone(context, buffer_cstring(&oids), &why) != 0)
        failed(context, &why);
    buffer_release(&oids);
}

int
pg_watch_wait(struct pg_watch *watch, struct pollfd *fd)
{
    if (!watch->asked)
        return 0;
    *fd = (struct pollfd){.fd = PQsocket(watch->session.conn), .events = POLLIN};
    return 1;
}

int64_t
pg_watch_due(const struct pg_watch *watch)
{
    int64_t at = watch->catalog_at < watch->end_at ? watch->catalog_at : watch->end_at;
    int64_t left = at - clock_mono();
    return watch->asked ? CLOCK_SECOND : left < 0 ? 0 : left;
}

/* The schema that a table has now, for events that tell of it. */
static int
keep_schema(void *out, const struct captured_table *table)
{
    *(const struct schema **)out = table->schema;
    return 0;
}

static int
present_schema(struct source_context *context, const struct pg_table *table,
               const struct schema **out, struct error *err)
{
    struct pg_watch *watch = &((struct pg_state *)context->state)->watch;
    struct pg_tables one = {.items = (struct pg_table *)(uintptr_t)table, .count = 1};
    struct pg_session *session;
    *out = NULL;
    if (pg_watch_session(watch, &session, err) != 0 ||
        pg_catalog_schemas(session, &one, keep_schema, out, err) != 0)
        return -1;
    return 0; /* dropped meanwhile: none */
}

static int
tell_captured(struct source_context *context, const struct pg_table *table, struct error *err)
{
    struct pg_state *state = context->state;
    const struct schema *schema;
    struct buffer json;
    if (present_schema(context, table, &schema, err) != 0)
        return -1;
    if (!schema)
        return 0;
    pg_tail_add(&state->tail, table->oid)->partitions = table->partitions;
    pg_state_attach(context);
    buffer_init(&json, 1 << 22);
    ddl_print(NULL, schema, "create", (struct slice){"", 0}, &json);
    struct event e = {.op = EVENT_DDL, .schema = schema, .ddl = buffer_view(&json)};
    int result = pg_transaction_announce(context, &e, err);
    buffer_release(&json);
    return result;
}

static int
announce_gap(struct source_context *context, const struct schema *schema, struct slice gap,
             struct error *err)
{
    struct event e = {.op = EVENT_GAP, .schema = schema, .gap = gap};
    return pg_transaction_announce(context, &e, err);
}

static int
tell_partitions(struct source_context *context, const struct pg_table *table,
                struct pg_known *known, struct error *err)
{
    const struct schema *schema;
    struct buffer json;
    if (present_schema(context, table, &schema, err) != 0)
        return -1;
    if (!schema)
        return 0;
    known->partitions = table->partitions;
    pg_state_attach(context);
    buffer_init(&json, 1 << 22);
    ddl_print(schema, schema, "partitions", (struct slice){"", 0}, &json);
    struct event e = {.op = EVENT_DDL, .schema = schema, .ddl = buffer_view(&json)};
    int result = pg_transaction_announce(context, &e, err);
    buffer_release(&json);
    if (result != 0)
        return -1;
    return announce_gap(
        context, schema,
        slice_literal("{\"reason\":\"the list of partitions changed: rows that were attached or "
                      "detached with a partition are not in the log\"}"),
        err);
}

/* Somebody took it out: should it come back, that is told as of a new table. */
static int
tell_taken_out(struct source_context *context, const struct pg_table *table, struct error *err)
{
    struct pg_state *state = context->state;
    const struct schema *schema;
    if (present_schema(context, table, &schema, err) != 0)
        return -1;
    pg_tail_remove(&state->tail, table->oid);
    pg_state_attach(context);
    if (!schema)
        return 0;
    state->watch.missed = true;
    return announce_gap(
        context, schema,
        slice_literal(
            "{\"reason\":\"the table was taken out of the publication: its changes are not "
            "in the log until it is back\"}"),
        err);
}

static int
tell_table(struct source_context *context, const struct pg_table *table, struct error *err)
{
    struct pg_state *state = context->state;
    struct pg_known *known = pg_tail_find(&state->tail, table->oid);
    bool told = known && (known->flags & PG_KNOWN_TOLD);
    if (!table->in_publication)
        return known && !told ? tell_taken_out(context, table, err) : 0;
    if (told)
        known->flags &= ~(uint32_t)PG_KNOWN_TOLD;
    if (!known)
        return tell_captured(context, table, err);
    if (known->partitions == 0 && table->partitions != 0) { /* the stream told of it first */
        known->partitions = table->partitions;
        pg_state_attach(context);
    }
    return known->partitions != table->partitions ? tell_partitions(context, table, known, err) : 0;
}

int
pg_watch_announce(struct source_context *context, struct error *err)
{
    struct pg_watch *watch = &((struct pg_state *)context->state)->watch;
    struct error why = {0};
    if (!watch->announce || watch->proved_at <= watch->looked_at ||
        ((struct pg_state *)context->state)->reopen)
        return 0;
    watch->announce = false;
    for (size_t i = 0; i < watch->tables.count; i++) {
        if (tell_table(context, &watch->tables.items[i], &why) == 0)
            continue;
        bool later = why.class == ERROR_UNREACHABLE || why.class == ERROR_BUSY;
        if (later && !source_stopping(context)) {
            failed(context, &why);
            watch->announce = true; /* told later */
            return 0;
        }
        *err = why;
        return -1;
    }
    return 0;
}
