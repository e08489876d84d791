#include "source/postgres/postgres.h"
#include <stdio.h>
#include "base/log.h"
#include "source/postgres/check.h"
#include "source/postgres/ddl_trigger.h"
#include "source/postgres/slot.h"
#include "source/postgres/state.h"

#define READ_LIMIT (CLOCK_SECOND / 20) /* one call of next, about */
#define SILENCE    (60 * CLOCK_SECOND) /* of the server: the connection is given up */
#define ASKED_WAIT (CLOCK_SECOND / 5)  /* between heartbeats that the server asked for */

static const char *const tls_modes[] = {"default", "off", "unverified", "ca", "full", NULL};
static const char *const ddl_kinds[] = {"relation", "trigger", NULL};

static const struct option tls_rows[] = {
    {.name = "mode",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct pg_tls, mode),
     .fallback = "default",
     .choices = tls_modes,
     .help = "default: full, but to this machine only if the server insists; full: certificate and "
             "name are verified; ca: the name is not; unverified: encrypted only; off"},
    {.name = "ca",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct pg_tls, ca),
     .flags = OPTION_PATH,
     .help = "file with the certificates that are trusted; without it the system's"},
    {.name = "cert",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct pg_tls, cert),
     .flags = OPTION_PATH,
     .help = "file with our own certificate"},
    {.name = "key",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct pg_tls, key),
     .flags = OPTION_PATH,
     .help = "file with its private key, readable to its owner alone"},
    {.name = "crl",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct pg_tls, crl),
     .flags = OPTION_PATH,
     .help = "file with revoked certificates"},
};

#define TEXT_ROW(field, flag, words)                                                               \
    {                                                                                              \
        .name = #field, .kind = OPTION_TEXT, .offset = offsetof(struct pg_options, field),         \
        .flags = (flag), .help = (words)                                                           \
    }

static const struct option rows[] = {
    TEXT_ROW(url, OPTION_SECRET_OK,
             "postgresql://user:password@host:port/database, or \"host=… dbname=…\", with any "
             "parameter of libpq; the fields below win over it"),
    TEXT_ROW(host, 0, "name, address or socket folder; several with commas"),
    TEXT_ROW(port, OPTION_NUMBER_OK, "5432; several with commas"),
    TEXT_ROW(user, 0, "a role with the right REPLICATION"),
    TEXT_ROW(password, OPTION_SECRET_OK, "without it ~/.pgpass or `passfile`"),
    TEXT_ROW(database, 0, "the database to capture"),
    TEXT_ROW(service, 0, "a section of the connection service file"),
    TEXT_ROW(passfile, OPTION_PATH, "a file like ~/.pgpass"),
    TEXT_ROW(target_session_attrs, 0,
             "which of several hosts: any, read-write, primary, standby, prefer-standby"),
    {.name = "tls",
     .kind = OPTION_GROUP,
     .offset = offsetof(struct pg_options, tls),
     .rows = tls_rows,
     .row_count = countof(tls_rows),
     .help = "how the connection is encrypted"},
    {.name = "connect_timeout",
     .kind = OPTION_DURATION,
     .offset = offsetof(struct pg_options, connect_timeout),
     .fallback = "10s",
     .min = CLOCK_SECOND / 10,
     .max = 600 * CLOCK_SECOND,
     .help = "for one try of one host"},
    TEXT_ROW(slot, 0, "a replication slot of this name instead of our own"),
    TEXT_ROW(publication, 0, "a publication of this name, used as it is, instead of our own two"),
    {.name = "ddl",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct pg_options, ddl),
     .fallback = "relation",
     .choices = ddl_kinds,
     .help =
         "where ddl events come from: relation: what the next row of a table shows; trigger: an "
         "event trigger, which a superuser must be able to make, adds each statement"},
    {.name = "messages",
     .kind = OPTION_BOOL,
     .offset = offsetof(struct pg_options, messages),
     .fallback = "true",
     .help = "logical messages (pg_logical_emit_message) become events"},
    {.name = "heartbeat",
     .kind = OPTION_DURATION,
     .offset = offsetof(struct pg_options, heartbeat),
     .fallback = "10s",
     .min = CLOCK_SECOND / 10,
     .max = 3600 * CLOCK_SECOND,
     .help = "how often, at most, an idle source lets the server forget its log"},
};

/* Publications first, then the slot: a publication that is newer than the slot's position does not
 * exist for the log before it. */
static int
prepare(struct source_context *context, struct error *err)
{
    struct pg_state *state = context->state;
    const struct pg_options *options = context->plan->options;
    struct pg_session *session = &state->stream.session;
    struct pg_tables *tables = &state->watch.tables;
    bool changed = false;
    state->watch.announce = true;
    state->watch.looked_at = clock_now();
    if (options->ddl == PG_DDL_TRIGGER && pg_ddl_trigger_sync(session, err) != 0)
        return -1;
    if (pg_catalog_read(session, tables, err) != 0)
        return -1;
    if (!pg_watch_may_sync(context))
        return 0;
    if (pg_publication_sync(session, tables, context->component, &changed, err) != 0)
        return -1;
    if (!changed)
        return 0;
    pg_catalog_release(tables);
    return pg_catalog_read(session, tables, err);
}

static void
name_options(const struct source_context *context, struct pg_tail *tail)
{
    const struct pg_state *state = context->state;
    struct buffer list;
    buffer_init(&list, sizeof tail->publications);
    pg_publication_list(context->plan, &list);
    snprintf(tail->publications, sizeof tail->publications, "%s", buffer_cstring(&list));
    buffer_release(&list);
    snprintf(tail->slot, sizeof tail->slot, "%s", state->slot);
}

/* The first time, or after history was given up: where the slot begins is journalled at once, so
 * that from here on continuity can be proved. */
static int
begin(struct source_context *context, const struct pg_server *server, uint64_t *start,
      struct error *err)
{
    struct pg_state *state = context->state;
    const struct pg_options *options = context->plan->options;
    const struct pg_tables *tables = &state->watch.tables;
    if (prepare(context, err) != 0 ||
        pg_slot_begin(&state->stream.session, state->slot, !options->slot, start, err) != 0)
        return -1;
    state->at = (struct pg_position){.confirm = *start,
                                     .extra = 1, /* 0-g1 is the gap that may come first */
                                     .system = server->system,
                                     .timeline = server->timeline};
    name_options(context, &state->tail);
    for (size_t i = 0; i < tables->count; i++) {
        if (tables->items[i].in_publication)
            pg_tail_add(&state->tail, tables->items[i].oid)->partitions =
                tables->items[i].partitions;
    }
    pg_state_attach(context);
    source_advance(context, pg_state_mark(state));
    return 0;
}

/* Tables that are captured no longer: should they be again, that is told. */
static void
forget_unwanted(struct source_context *context)
{
    struct pg_state *state = context->state;
    struct error ignored = {0};
    for (size_t i = state->tail.count; i-- > 0;) {
        const struct pg_known *known = &state->tail.known[i];
        if (known->schema == 0)
            continue;
        const struct schema *s = schema_get(context->plan->schemas, known->schema, &ignored);
        if (s && !source_wants(context->plan, s->schema, s->table))
            pg_tail_remove(&state->tail, known->oid);
    }
}

/* The end of the log now: what was made before stands before it. */
static int
end_of_log(struct pg_session *session, uint64_t *end, struct error *err)
{
    PGresult *row = pg_query(session, "read the end of the log", PG_END_OF_LOG, err);
    if (!row)
        return -1;
    int result = pg_end_of_log(row, end, err);
    PQclear(row);
    return result;
}

static bool
other_options(const struct source_context *context)
{
    const struct pg_state *state = context->state;
    struct pg_tail now;
    pg_tail_init(&now);
    name_options(context, &now);
    bool other = strcmp(now.publications, state->tail.publications) != 0;
    if (other)
        log_debug(context->component, "reading with %s up to now, then with %s",
                  state->tail.publications, now.publications);
    pg_tail_release(&now);
    return other;
}

/* With a transaction half read, it is read to its end with the options and tables that it began
 * with. Other publications than those that the log was read through may be younger than the place
 * where reading goes on, and for the server do not exist there: so it goes on with the old ones to
 * the end that the log has now. */
static int
keep_options(struct source_context *context, bool other, struct error *err)
{
    struct pg_state *state = context->state;
    state->reopen = state->half || other;
    if (!state->half)
        forget_unwanted(context);
    return other ? end_of_log(&state->stream.session, &state->reopen_at, err) : 0;
}

/* Does what the slot will send follow what was read before? */
static int
prove(struct source_context *context, const struct pg_server *server, struct error *err)
{
    struct pg_state *state = context->state;
    struct slice tail;
    if (pg_position_is_newer(buffer_view(context->position)))
        return error_set(err, ERROR_REFUSED,
                         "the position of source \"%s\" was stored by a newer Tidegate",
                         context->plan->name);
    if (pg_position_read(buffer_view(context->position), &state->at, &tail) != 0 ||
        pg_tail_read(tail, &state->tail) != 0)
        return error_set(err, ERROR_LOST,
                         "the stored position of source \"%s\" is not one of the "
                         "driver postgres",
                         context->plan->name);
    if (pg_slot_prove(&state->stream.session, state->slot, state->tail.slot, &state->at, server,
                      err) != 0)
        return -1;
    return pg_publication_prove(&state->stream.session, state->tail.publications, err);
}

/* From where the log is asked for. A slot that is older than what was read, as after a crash of the
 * server, is read from its own place: what was read must come again, and nothing else. With a
 * transaction half read that one is the proof. */
static int
choose_start(struct source_context *context, uint64_t *start, struct error *err)
{
    struct pg_state *state = context->state;
    const struct pg_position *at = &state->at;
    struct pg_slot slot;
    *start = at->confirm;
    if (state->half)
        return 0;
    if (pg_slot_read(&state->stream.session, state->slot, &slot, err) != 0)
        return -1;
    if (slot.confirmed > at->confirm)
        return error_set(err, ERROR_LOST,
                         "replication slot \"%s\" was moved on by somebody else just now",
                         state->slot);
    *start = slot.confirmed > state->tail.floor ? slot.confirmed : state->tail.floor;
    state->proving = *start < at->confirm || *start < at->place.lsn;
    /* A transaction stands where its commit begins, a message where it ends. */
    bool message = at->place.stage == PG_STAGE_MESSAGE;
    state->expecting =
        state->proving && (message ? at->place.lsn > *start : at->place.lsn >= *start);
    return 0;
}

static int
resume(struct source_context *context, const struct pg_server *server, uint64_t *start,
       struct error *err)
{
    struct pg_state *state = context->state;
    if (prove(context, server, err) != 0)
        return -1;
    state->at.timeline = server->timeline;
    state->half = state->at.place.stage == PG_STAGE_OPEN;
    state->reopen = other_options(context);
    if (prepare(context, err) != 0 || keep_options(context, state->reopen, err) != 0)
        return -1;
    pg_state_attach(context);
    return choose_start(context, start, err);
}

static void
init_state(struct source_context *context)
{
    struct pg_state *state = context->state;
    const struct pg_options *options = context->plan->options;
    memset(state, 0, sizeof *state);
    state->open = true;
    state->stream.session.plan = context->plan;
    state->stream.session.source = context;
    pg_watch_init(&state->watch, context->plan, context);
    pg_relations_init(&state->relations);
    pg_transaction_init(&state->transaction);
    pg_tail_init(&state->tail);
    state->types = pg_types_new();
    buffer_init(&state->mark, 256);
    buffer_init(&state->tail_bytes, 1 << 24);
    if (options->slot)
        snprintf(state->slot, sizeof state->slot, "%s", options->slot);
    else
        pg_slot_name(context->plan, state->slot);
}

static int
driver_open(struct source_context *context, struct error *err)
{
    struct pg_state *state = context->state;
    struct pg_session *session = &state->stream.session;
    struct pg_server server;
    uint64_t start;
    init_state(context);
    if (pg_session_open(session, context->plan, context, PG_REPLICATION, err) != 0 ||
        pg_server_identify(session, &server, err) != 0)
        return -1;
    bool fresh = context->position->size == 0;
    if ((fresh ? begin(context, &server, &start, err) : resume(context, &server, &start, err)) != 0)
        return -1;
    state->resume = state->at;
    state->stream.confirmed = state->stream.told = start;
    state->stream.end = state->given = state->at.confirm;
    state->beaten_at = clock_mono();
    return pg_stream_start(&state->stream, state->slot, state->tail.publications, start, err);
}

static void
driver_close(struct source_context *context)
{
    struct pg_state *state = context->state;
    struct error ignored = {0};
    if (!state->open)
        return;
    state->open = false;
    struct pg_stream *stream = &state->stream;
    if (stream->session.conn && stream->confirmed > stream->told)
        (void)!pg_stream_status(stream, false, &ignored);
    pg_session_close(&stream->session);
    pg_watch_release(&state->watch);
    pg_transaction_release(&state->transaction);
    pg_relations_release(&state->relations);
    pg_tail_release(&state->tail);
    pg_types_free(state->types);
    buffer_release(&state->mark);
    buffer_release(&state->tail_bytes);
}

static bool
between_transactions(const struct pg_state *state)
{
    return !state->transaction.open && !state->half && !state->proving;
}

/* How far the log is read, with nothing of it left to emit. */
static uint64_t
read_up_to(const struct pg_state *state)
{
    uint64_t end = state->stream.end;
    return end > state->at.confirm ? end : state->at.confirm;
}

static void
prove_watermark(struct source_context *context)
{
    struct pg_state *state = context->state;
    struct pg_watch *watch = &state->watch;
    if (watch->goal == 0 || read_up_to(state) < watch->goal)
        return;
    source_watermark(context, watch->goal_at);
    watch->proved_at = watch->goal_at;
    pg_watch_forget(context);
    watch->goal = 0;
}

static int64_t
beat_wait(const struct pg_state *state, const struct source_plan *plan)
{
    const struct pg_options *options = plan->options;
    bool asked = state->stream.asked_end > state->given;
    return asked && options->heartbeat > ASKED_WAIT ? ASKED_WAIT : options->heartbeat;
}

/* Nothing for us in what was read: the server may forget it all the same. A server that shuts down
 * waits for that. */
static void
beat(struct source_context *context)
{
    struct pg_state *state = context->state;
    int64_t now = clock_mono();
    if (read_up_to(state) <= state->given ||
        now < state->beaten_at + beat_wait(state, context->plan))
        return;
    state->beaten_at = now;
    state->at.confirm = read_up_to(state);
    source_advance(context, pg_state_mark(state));
}

/* It is asked for a word every ten seconds. After a pause of ours it has as long again. */
static int
check_silence(struct source_context *context, struct error *err)
{
    struct pg_stream *stream = &((struct pg_state *)context->state)->stream;
    int64_t now = clock_mono(), since = now - stream->heard_at;
    if (now - stream->looked_at > SILENCE / 2)
        stream->heard_at = now;
    stream->looked_at = now;
    if (since < SILENCE || stream->heard_at == now)
        return 0;
    return error_set(err, ERROR_UNREACHABLE, "the server has not said anything for %d s",
                     (int)(since / CLOCK_SECOND));
}

/* Tables that another publication, by the user's own choice, does not hold. */
static void
forget_unpublished(struct pg_state *state)
{
    const struct pg_tables *tables = &state->watch.tables;
    for (size_t i = 0; i < tables->count; i++) {
        if (!tables->items[i].in_publication)
            pg_tail_remove(&state->tail, tables->items[i].oid);
    }
}

/* All that the old options were for is read. */
static enum source_next
change_options(struct source_context *context)
{
    struct pg_state *state = context->state;
    if (other_options(context))
        forget_unpublished(state);
    name_options(context, &state->tail);
    state->at.confirm = state->tail.floor = read_up_to(state);
    pg_state_attach(context);
    source_advance(context, pg_state_mark(state));
    return SOURCE_REOPEN;
}

static enum source_next
driver_next(struct source_context *context, struct error *err)
{
    struct pg_state *state = context->state;
    uint64_t begins = state->transaction.begins;
    bool idle;
    if (between_transactions(state) && pg_watch_announce(context, err) != 0)
        return SOURCE_ERROR;
    if (pg_stream_read(context, READ_LIMIT, &idle, err) != 0 ||
        pg_stream_keep(&state->stream, err) != 0 || (idle && check_silence(context, err) != 0))
        return SOURCE_ERROR;
    if (state->transaction.begins != begins)
        pg_watch_stir(&state->watch);
    if (!between_transactions(state))
        return idle ? SOURCE_IDLE : SOURCE_READ;
    if (state->reopen && read_up_to(state) >= state->reopen_at)
        return change_options(context);
    pg_watch_work(context);
    prove_watermark(context);
    if (!idle)
        return SOURCE_READ;
    beat(context);
    return SOURCE_IDLE;
}

static int
driver_waits(struct source_context *context, struct pollfd *fds, int room, int64_t *timeout_us)
{
    struct pg_state *state = context->state;
    struct pg_stream *stream = &state->stream;
    int64_t due = pg_stream_due(stream), watch = pg_watch_due(&state->watch);
    if (watch < due && between_transactions(state))
        due = watch;
    if (between_transactions(state) && read_up_to(state) > state->given) {
        int64_t beat_left = state->beaten_at + beat_wait(state, context->plan) - clock_mono();
        due = beat_left < due ? beat_left : due;
    }
    if (due < *timeout_us)
        *timeout_us = due < 0 ? 0 : due;
    ensure(room >= 2);
    fds[0] = (struct pollfd){.fd = PQsocket(stream->session.conn),
                             .events = (short)(POLLIN | (stream->unsent ? POLLOUT : 0))};
    return 1 + pg_watch_wait(&state->watch, &fds[1]);
}

static int
driver_confirm(struct source_context *context, struct slice position, struct error *err)
{
    struct pg_state *state = context->state;
    struct pg_position durable;
    struct slice tail;
    if (pg_position_read(position, &durable, &tail) != 0)
        return error_set(err, ERROR_INTERNAL, "a position of another driver was confirmed");
    if (durable.confirm > state->stream.confirmed)
        state->stream.confirmed = durable.confirm;
    return pg_stream_keep(&state->stream, err);
}

static int
driver_keepalive(struct source_context *context, struct error *err)
{
    struct pg_state *state = context->state;
    return pg_stream_status(&state->stream, false, err);
}

const struct source_driver postgres_source = {
    .name = "postgres",
    .summary = "PostgreSQL 14 to 18, from its log by logical decoding (pgoutput)",
    .default_schema = "public",
    .options = rows,
    .option_count = countof(rows),
    .options_size = sizeof(struct pg_options),
    .state_size = sizeof(struct pg_state),
    .has_transactions = true,
    .by_log = true,
    .open = driver_open,
    .next = driver_next,
    .waits = driver_waits,
    .confirm = driver_confirm,
    .keepalive = driver_keepalive,
    .close = driver_close,
    .describe = pg_position_describe,
    .check = pg_check,
    .schemas = pg_check_schemas,
    .installed = pg_installed,
};
