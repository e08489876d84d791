#include "source/postgres/transaction.h"
#include <inttypes.h>
#include <stdio.h>
#include "base/json.h"
#include "base/log.h"
#include "source/postgres/ddl_trigger.h"
#include "source/postgres/state.h"
#include "source/postgres/statement.h"

#define ITEM_CHUNK ((size_t)1 << 14)

void
pg_transaction_init(struct pg_transaction *tx)
{
    memset(tx, 0, sizeof *tx);
    buffer_init(&tx->meta, 1 << 24);
    buffer_init(&tx->text, 256);
    for (int i = 0; i < 2; i++)
        arena_init(&tx->items[i].arena, ITEM_CHUNK);
}

static void
drop_item(struct pg_item *item)
{
    PQfreemem(item->bytes);
    item->bytes = NULL;
}

void
pg_transaction_release(struct pg_transaction *tx)
{
    for (int i = 0; i < 2; i++) {
        drop_item(&tx->items[i]);
        arena_release(&tx->items[i].arena);
    }
    buffer_release(&tx->meta);
    buffer_release(&tx->text);
    memset(tx, 0, sizeof *tx);
}

struct slice
pg_state_mark(struct pg_state *state)
{
    buffer_reset(&state->mark);
    pg_position_write(&state->at, &state->mark);
    state->given = state->at.confirm;
    return buffer_view(&state->mark);
}

void
pg_state_attach(struct source_context *context)
{
    struct pg_state *state = context->state;
    buffer_reset(&state->tail_bytes);
    pg_tail_write(&state->tail, &state->tail_bytes);
    source_attach(context, buffer_view(&state->tail_bytes));
}

/* The place of the next item becomes the place up to which all is read. */
static void
move_inside(struct pg_state *state)
{
    const struct pg_transaction *tx = &state->transaction;
    state->at.place = tx->next;
    state->at.xid = tx->xid;
    state->at.hash = tx->hash;
    state->at.extra = 0;
}

/* The event that was held back goes out: everything before the item at hand is then read. */
static int
emit_held(struct source_context *context, bool last, struct error *err)
{
    struct pg_state *state = context->state;
    struct pg_transaction *tx = &state->transaction;
    if (!tx->held)
        return 0;
    struct pg_item *item = &tx->items[tx->free ^ 1];
    tx->held = false;
    item->event.tx_last = last;
    int result = source_emit(context, &item->event, pg_state_mark(state), err);
    drop_item(item);
    return result;
}

static int
lost_half(const struct source_context *context, const char *how, struct error *err)
{
    const struct pg_state *state = context->state;
    char lsn[PG_LSN_TEXT];
    return error_set(err, ERROR_LOST, "transaction %u at %s was read up to its change %u, and %s",
                     state->resume.xid, pg_lsn_format(state->resume.place.lsn, lsn),
                     state->resume.place.index, how);
}

static int
prove_half(const struct source_context *context, struct error *err)
{
    const struct pg_state *state = context->state;
    if (state->transaction.hash == state->resume.hash)
        return 0;
    return lost_half(context, "its changes are other ones now", err);
}

/* Is the item at hand one that was not journalled before? */
static int
is_due(struct source_context *context, bool *due, struct error *err)
{
    struct pg_state *state = context->state;
    struct pg_transaction *tx = &state->transaction;
    *due = !tx->whole;
    if (!tx->partial)
        return 0;
    *due = pg_place_compare(&tx->next, &state->resume.place) >= 0;
    if (!*due)
        return 0;
    tx->partial = false;
    return prove_half(context, err);
}

static void
pass_row(struct pg_transaction *tx, uint64_t hash)
{
    tx->hash = hash;
    tx->next.index++;
    tx->next.part = 0;
    tx->ordinal++;
}

static void
pass_part(struct pg_transaction *tx)
{
    tx->next.part++;
    tx->ordinal++;
}

static uint64_t
hash_after(const struct pg_transaction *tx, struct slice message)
{
    return tx->whole ? 0 : pg_position_hash(tx->hash, message);
}

/* What an event inside of the transaction has from it, copied into the item's arena: it may be held
 * back while the transaction goes on. */
static void
describe(struct pg_transaction *tx, struct pg_item *item, const char *suffix, struct event *e)
{
    buffer_reset(&tx->text);
    pg_place_print(&tx->next, &tx->text);
    buffer_text(&tx->text, suffix);
    e->position = arena_slice(&item->arena, buffer_view(&tx->text));
    e->ts = tx->time;
    e->tx_id = (struct slice){tx->id, tx->id_size};
    e->tx_index = tx->ordinal;
    if (tx->meta.size)
        e->meta = arena_slice(&item->arena, buffer_view(&tx->meta));
}

/* A table that is seen in a new form: the tail learns it, and a ddl event tells of it before the
 * row. */
static int
tell_form(struct source_context *context, struct pg_item *item, struct pg_relation *r,
          struct error *err)
{
    struct pg_state *state = context->state;
    struct pg_known *known = pg_tail_find(&state->tail, r->oid);
    if (!known)
        known = pg_tail_add(&state->tail, r->oid);
    known->schema = r->schema->number;
    known->flags &= ~(uint32_t)PG_KNOWN_ANNOUNCED;
    pg_state_attach(context);
    r->dirty = false;
    if (r->ddl.size == 0)
        return 0;
    struct event e = {.op = EVENT_DDL, .schema = r->schema, .ddl = buffer_view(&r->ddl)};
    describe(&state->transaction, item, "-d1", &e);
    int result = source_emit(context, &e, pg_state_mark(state), err);
    buffer_reset(&r->ddl);
    return result;
}

int
pg_transaction_hold(struct source_context *context, struct pg_item *item, struct pg_relation *r,
                    struct error *err)
{
    struct pg_state *state = context->state;
    struct pg_transaction *tx = &state->transaction;
    move_inside(state);
    if (emit_held(context, false, err) != 0)
        return -1;
    if (r && r->dirty && tell_form(context, item, r, err) != 0)
        return -1;
    describe(tx, item, "", &item->event);
    tx->held = true;
    tx->free ^= 1;
    return 0;
}

static int
lost_proof(const struct source_context *context, const char *what, uint64_t lsn, struct error *err)
{
    const struct pg_state *state = context->state;
    char at[PG_LSN_TEXT], end[PG_LSN_TEXT];
    return error_set(
        err, ERROR_LOST,
        "the log up to %s is not the one that was read: %s %s; the server was restored "
        "from a backup",
        pg_lsn_format(state->resume.confirm, end), what, pg_lsn_format(lsn, at));
}

/* All that was read came again, and nothing else did. */
static void
proved(struct pg_state *state)
{
    state->proving = false;
    state->stream.confirmed = state->resume.confirm;
}

/* Up to where all that may come again is known. */
static uint64_t
known_end(const struct pg_position *resume)
{
    return resume->place.lsn > resume->confirm ? resume->place.lsn : resume->confirm;
}

/* Between the newest thing that was read and the end of what is known there was nothing. */
static bool
was_empty(const struct pg_position *resume, uint64_t lsn)
{
    bool message = resume->place.lsn > resume->confirm;
    return message ? lsn >= resume->confirm && lsn < resume->place.lsn
                   : lsn > resume->place.lsn && lsn < resume->confirm;
}

/* The slot is older than what was read, as after a crash of the server, or as in a backup that was
 * restored: only the log itself can tell which. */
static int
prove_begin(struct source_context *context, const struct pgoutput_begin *begin, struct error *err)
{
    struct pg_state *state = context->state;
    const struct pg_position *resume = &state->resume;
    uint64_t lsn = begin->commit_lsn;
    bool same = resume->place.stage == PG_STAGE_WHOLE && begin->xid == resume->xid &&
                (uint64_t)begin->time == resume->hash;
    if (state->expecting && lsn == resume->place.lsn && same)
        state->expecting = false;
    if (was_empty(resume, lsn))
        return lost_proof(context, "new is a transaction at", lsn, err);
    if (state->expecting && lsn >= resume->place.lsn)
        return lost_proof(context, "gone is what stood at", resume->place.lsn, err);
    if (!state->expecting && lsn >= known_end(resume))
        proved(state);
    return 0;
}

int
pg_transaction_reach(struct source_context *context, uint64_t end, struct error *err)
{
    struct pg_state *state = context->state;
    const struct pg_position *resume = &state->resume;
    if (state->transaction.open)
        return 0;
    if (state->half && end > resume->place.lsn)
        return lost_half(context, "it is not in the log any more", err);
    if (!state->proving)
        return 0;
    /* A message stands where it ends, a transaction where its commit begins. */
    bool passed = resume->place.stage == PG_STAGE_MESSAGE ? end >= resume->place.lsn
                                                          : end > resume->place.lsn;
    if (state->expecting && passed)
        return lost_proof(context, "gone is what stood at", resume->place.lsn, err);
    if (!state->expecting && end >= known_end(resume))
        proved(state);
    return 0;
}

static int
take_begin(struct source_context *context, struct pg_item *item, struct slice message,
           struct error *err)
{
    (void)message;
    struct pg_state *state = context->state;
    struct pg_transaction *tx = &state->transaction;
    const struct pgoutput_begin *begin = &item->message.begin;
    const struct pg_place *resume = &state->resume.place;
    if (tx->open)
        return error_set(err, ERROR_CORRUPT, "a transaction begins inside of another one");
    if (state->proving && prove_begin(context, begin, err) != 0)
        return -1;
    tx->next = (struct pg_place){.lsn = begin->commit_lsn, .stage = PG_STAGE_OPEN};
    tx->open = true;
    tx->xid = begin->xid;
    tx->time = begin->time;
    tx->id_size = (size_t)snprintf(tx->id, sizeof tx->id, "%" PRIu32, begin->xid);
    tx->hash = 0;
    tx->ordinal = 0;
    tx->begins++;
    buffer_reset(&tx->meta);
    tx->partial = state->half && begin->commit_lsn == resume->lsn;
    tx->whole = !tx->partial && pg_place_compare(&tx->next, resume) < 0;
    if (tx->partial && begin->xid != state->resume.xid)
        return lost_half(context, "another transaction stands there now", err);
    if (state->half && begin->commit_lsn > resume->lsn)
        return lost_half(context, "it is not in the log any more", err);
    return 0;
}

static int
take_commit(struct source_context *context, struct pg_item *item, struct slice message,
            struct error *err)
{
    (void)message;
    struct pg_state *state = context->state;
    struct pg_transaction *tx = &state->transaction;
    const struct pgoutput_commit *commit = &item->message.commit;
    if (!tx->open || commit->commit_lsn != tx->next.lsn)
        return error_set(err, ERROR_CORRUPT, "a commit does not end the transaction before it");
    bool due;
    if (is_due(context, &due, err) != 0)
        return -1;
    if (tx->partial)
        return lost_half(context, "it is shorter now", err);
    tx->open = false;
    state->half = state->half && commit->commit_lsn < state->resume.place.lsn;
    if (!tx->whole) {
        state->at.place = (struct pg_place){.lsn = commit->commit_lsn, .stage = PG_STAGE_WHOLE};
        state->at.xid = tx->xid;
        state->at.hash = (uint64_t)tx->time;
        state->at.extra = 0;
    }
    if (commit->end_lsn > state->at.confirm)
        state->at.confirm = commit->end_lsn;
    return emit_held(context, true, err);
}

static int
find_relation(struct source_context *context, uint32_t oid, struct pg_relation **out,
              struct error *err)
{
    struct pg_state *state = context->state;
    *out = pg_relations_find(&state->relations, oid);
    if (*out && state->transaction.open)
        return 0;
    return error_set(err, ERROR_CORRUPT, "a row of relation %u came before its description", oid);
}

static int
take_change(struct source_context *context, struct pg_item *item, struct slice message,
            struct error *err)
{
    static const enum event_op ops[128] = {[PGOUTPUT_INSERT] = EVENT_INSERT,
                                           [PGOUTPUT_UPDATE] = EVENT_UPDATE,
                                           [PGOUTPUT_DELETE] = EVENT_DELETE};
    struct pg_state *state = context->state;
    const struct pgoutput_change *change = &item->message.change;
    struct pg_relation *r;
    bool due;
    if (find_relation(context, change->relation, &r, err) != 0 || is_due(context, &due, err) != 0)
        return -1;
    if (due && r->wanted) {
        item->event = (struct event){.op = ops[item->message.kind], .schema = r->schema};
        if (pg_relation_row(r, &change->new_row, &item->arena, &item->event.rows[EVENT_NEW], err) !=
                0 ||
            pg_relation_row(r, &change->old_row, &item->arena, &item->event.rows[EVENT_OLD], err) !=
                0 ||
            pg_transaction_hold(context, item, r, err) != 0)
            return -1;
    }
    pass_row(&state->transaction, hash_after(&state->transaction, message));
    return 0;
}

/* One message makes several events: each takes the item that is free, so that the message's own
 * bytes are gone after the second. */
static int
hold_truncated(struct source_context *context, struct pg_relation *r, struct error *err)
{
    struct pg_transaction *tx = &((struct pg_state *)context->state)->transaction;
    struct pg_item *item = &tx->items[tx->free];
    item->event = (struct event){.op = EVENT_TRUNCATE, .schema = r->schema};
    return pg_transaction_hold(context, item, r, err);
}

static int
take_truncate(struct source_context *context, struct pg_item *item, struct slice message,
              struct error *err)
{
    struct pg_transaction *tx = &((struct pg_state *)context->state)->transaction;
    uint32_t count = item->message.truncate.count;
    const uint32_t *oids = item->message.truncate.relations;
    uint64_t hash = hash_after(tx, message);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_relation *r;
        bool due;
        if (find_relation(context, oids[i], &r, err) != 0 || is_due(context, &due, err) != 0)
            return -1;
        if (due && r->wanted && hold_truncated(context, r, err) != 0)
            return -1;
        if (i + 1 < count)
            pass_part(tx);
    }
    pass_row(tx, hash);
    return 0;
}

static const struct schema *
bare_schema(struct source_context *context, struct error *err)
{
    struct schema draft = {.source = slice_of(context->plan->name),
                           .driver = slice_of(context->plan->driver->name)};
    return schema_intern(context->plan->schemas, &draft, err);
}

/* {"…"} that the writer attached: rows after it have it as e.meta. */
static bool
take_meta(struct source_context *context, const struct pgoutput_logical *logical)
{
    struct pg_state *state = context->state;
    struct buffer *meta = &state->transaction.meta;
    struct error why = {0};
    if (!slice_is(logical->prefix, "tidegate") || !logical->transactional)
        return false;
    buffer_reset(meta);
    if (json_compact(logical->content, meta, &why) == 0 && !meta->failed)
        return true;
    buffer_reset(meta);
    log_warning(context->component,
                "a logical message with the prefix \"tidegate\" is not JSON, so it is an event "
                "and no meta: %s",
                why.message);
    return false;
}

static int
message_event(struct source_context *context, const struct pgoutput_logical *logical,
              struct event *e, struct error *err)
{
    *e = (struct event){.op = EVENT_MESSAGE,
                        .schema = bare_schema(context, err),
                        .prefix = logical->prefix,
                        .content = logical->content};
    return e->schema ? 0 : -1;
}

static uint64_t
message_hash(const struct pgoutput_logical *logical)
{
    return pg_position_hash(pg_position_hash(0, logical->prefix), logical->content);
}

/* The same proof as with transactions (prove_begin). */
static int
prove_message(struct source_context *context, const struct pgoutput_logical *logical,
              struct error *err)
{
    struct pg_state *state = context->state;
    const struct pg_position *resume = &state->resume;
    bool same = resume->place.stage == PG_STAGE_MESSAGE && resume->hash == message_hash(logical);
    if (state->expecting && logical->lsn == resume->place.lsn && same)
        state->expecting = false;
    else if (logical->lsn > resume->place.lsn && logical->lsn < resume->confirm)
        return lost_proof(context, "new is a message at", logical->lsn, err);
    if (state->expecting && logical->lsn < resume->place.lsn)
        return 0; /* an older one, that was read as well */
    return pg_transaction_reach(context, logical->lsn, err);
}

static int
emit_lone_message(struct source_context *context, struct pg_item *item, struct error *err)
{
    struct pg_state *state = context->state;
    struct pg_transaction *tx = &state->transaction;
    if (message_event(context, &item->message.logical, &item->event, err) != 0)
        return -1;
    buffer_reset(&tx->text);
    pg_place_print(&state->at.place, &tx->text);
    item->event.position = buffer_view(&tx->text);
    item->event.ts = clock_now();
    return source_emit(context, &item->event, pg_state_mark(state), err);
}

/* A message outside of transactions has a place of its own, and waits for nothing. */
static int
take_lone_message(struct source_context *context, struct pg_item *item, struct error *err)
{
    struct pg_state *state = context->state;
    const struct pgoutput_logical *logical = &item->message.logical;
    const struct pg_options *options = context->plan->options;
    struct pg_place place = {.lsn = logical->lsn, .stage = PG_STAGE_MESSAGE};
    if (state->proving && prove_message(context, logical, err) != 0)
        return -1;
    if (pg_place_compare(&place, &state->at.place) <= 0)
        return 0;
    if (state->half)
        return lost_half(context, "it is not in the log any more", err);
    state->at.place = place;
    state->at.xid = 0;
    state->at.hash = message_hash(logical);
    state->at.extra = 0;
    return options->messages ? emit_lone_message(context, item, err) : 0;
}

static int
take_message(struct source_context *context, struct pg_item *item, struct slice message,
             struct error *err)
{
    (void)message;
    struct pg_state *state = context->state;
    struct pg_transaction *tx = &state->transaction;
    const struct pgoutput_logical *logical = &item->message.logical;
    const struct pg_options *options = context->plan->options;
    bool due;
    if (!tx->open)
        return take_lone_message(context, item, err);
    if (is_due(context, &due, err) != 0)
        return -1;
    bool meta = take_meta(context, logical);
    if (due && !meta && pg_statement_is(logical->prefix)) {
        if (pg_statement_take(context, item, err) != 0)
            return -1;
    } else if (due && !meta && options->messages) {
        if (message_event(context, logical, &item->event, err) != 0 ||
            pg_transaction_hold(context, item, NULL, err) != 0)
            return -1;
    }
    pass_part(tx);
    return 0;
}

static int
take_relation(struct source_context *context, struct pg_item *item, struct slice message,
              struct error *err)
{
    (void)message;
    return pg_relation_take(context, &item->message.relation, err);
}

/* Type and Origin say nothing that the catalog doesn't. */
static int
take_nothing(struct source_context *context, struct pg_item *item, struct slice message,
             struct error *err)
{
    (void)context;
    (void)item;
    (void)message;
    (void)err;
    return 0;
}

typedef int taker(struct source_context *context, struct pg_item *item, struct slice message,
                  struct error *err);

static taker *const takers[128] = {
    [PGOUTPUT_BEGIN] = take_begin,       [PGOUTPUT_COMMIT] = take_commit,
    [PGOUTPUT_INSERT] = take_change,     [PGOUTPUT_UPDATE] = take_change,
    [PGOUTPUT_DELETE] = take_change,     [PGOUTPUT_TRUNCATE] = take_truncate,
    [PGOUTPUT_RELATION] = take_relation, [PGOUTPUT_MESSAGE] = take_message,
    [PGOUTPUT_TYPE] = take_nothing,      [PGOUTPUT_ORIGIN] = take_nothing,
};

int
pg_transaction_take(struct source_context *context, char *bytes, struct slice message,
                    struct error *err)
{
    struct pg_transaction *tx = &((struct pg_state *)context->state)->transaction;
    struct pg_item *item = &tx->items[tx->free];
    drop_item(item);
    arena_reset(&item->arena);
    item->bytes = bytes;
    if (pgoutput_decode(message, &item->arena, &item->message, err) != 0)
        return -1;
    return takers[item->message.kind](context, item, message, err);
}

int
pg_transaction_announce(struct source_context *context, struct event *e, struct error *err)
{
    struct pg_state *state = context->state;
    char text[64];
    ensure(!state->transaction.open);
    state->at.extra++;
    int size = snprintf(text, sizeof text, "%" PRIX64 "%s-%c%" PRIu32, state->at.place.lsn,
                        state->at.place.stage == PG_STAGE_MESSAGE ? "-m" : "",
                        e->op == EVENT_DDL ? 'd' : 'g', state->at.extra);
    e->position = (struct slice){text, (size_t)size};
    e->ts = clock_now();
    return source_emit(context, e, pg_state_mark(state), err);
}
