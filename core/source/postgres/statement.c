#include "source/postgres/statement.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "event/ddl.h"
#include "source/postgres/ddl_trigger.h"
#include "source/postgres/state.h"

#define TOLD_MAX 1000

/* The kinds of other sources: one word. */
static const char *
short_kind(const char *tag, struct arena *arena)
{
    struct slice text = slice_of(tag);
    const char *space = memchr(text.data, ' ', text.size);
    struct buffer lower;
    if (strcmp(tag, "SELECT INTO") == 0)
        return "create";
    if (space)
        text.size = (size_t)(space - text.data);
    buffer_init(&lower, 256);
    text_lower(&lower, text);
    const char *kind = arena_text(arena, buffer_cstring(&lower));
    buffer_release(&lower);
    return kind;
}

static struct slice
pair_text(const struct value *pair, size_t at)
{
    bool there = pair->kind == VALUE_LIST && pair->count > at && pair->items[at].kind == VALUE_TEXT;
    return there ? pair->items[at].text : (struct slice){"", 0};
}

/* The table after the statement, as far as a comparison with `before` needs it. */
static struct schema
draft_after(struct source_context *context, const struct value *told, const struct schema *before,
            struct arena *arena)
{
    const struct value *columns = value_get(told, "columns"), none = {.kind = VALUE_LIST};
    if (!columns || columns->kind != VALUE_LIST)
        columns = &none;
    struct schema draft = {.source = slice_of(context->plan->name),
                           .driver = slice_of(context->plan->driver->name),
                           .schema = slice_of(value_text(told, "schema", "")),
                           .table = slice_of(value_text(told, "table", ""))};
    struct column *out = arena_zero(arena, (columns->count + 1) * sizeof *out);
    draft.columns = out;
    for (size_t i = 0; i < columns->count && draft.column_count < SCHEMA_COLUMNS; i++) {
        struct slice name = pair_text(&columns->items[i], 0);
        if (!source_wants_column(context->plan, draft.table, name))
            continue;
        struct column *c = &out[draft.column_count++];
        c->name = name;
        c->type = pair_text(&columns->items[i], 1);
        int at = before ? schema_column(before, name) : -1;
        if (at >= 0) {
            c->key = before->columns[at].key;
            c->family = before->columns[at].family;
        }
    }
    return draft;
}

static const struct schema *
known_schema(struct source_context *context, const struct pg_known *known)
{
    struct error ignored = {0};
    if (!known || known->schema == 0)
        return NULL;
    return schema_get(context->plan->schemas, known->schema, &ignored);
}

/* A key of which a part is gone is none. */
static const struct schema *
intern_draft(struct source_context *context, struct schema *draft, struct column *columns,
             struct error *err)
{
    struct error ignored = {0};
    const struct schema *made = schema_intern(context->plan->schemas, draft, &ignored);
    for (unsigned i = 0; !made && i < draft->column_count; i++)
        columns[i].key = 0;
    return made ? made : schema_intern(context->plan->schemas, draft, err);
}

/* What was done, as it counts for the table that is captured: a new partition is no new table. */
static const char *
name_kind(const struct value *told, const struct pg_known *known, const struct schema *before,
          const struct schema *after, struct arena *arena)
{
    const char *kind = short_kind(value_text(told, "kind", ""), arena);
    bool same = before && slice_equal(before->table, after->table) &&
                slice_equal(before->schema, after->schema);
    if (strcmp(kind, "create") == 0 && known)
        return "alter";
    return strcmp(kind, "alter") == 0 && before && !same ? "rename" : kind;
}

/* Tables that only a statement told of. Anybody who may connect can write such messages, so they
 * are bounded until the catalog has been looked at. */
static size_t
count_told(const struct pg_tail *tail)
{
    size_t count = 0;
    for (size_t i = 0; i < tail->count; i++)
        count += (tail->known[i].flags & PG_KNOWN_TOLD) != 0;
    return count;
}

/* The tail learns the table's form from the statement: the next one is compared with it, and the
 * stream need not tell of it again. */
static void
learn_form(struct source_context *context, uint32_t oid, const struct schema *form)
{
    struct pg_state *state = context->state;
    bool told = !pg_tail_find(&state->tail, oid);
    if (told && count_told(&state->tail) >= TOLD_MAX)
        return;
    struct pg_known *known = pg_tail_add(&state->tail, oid);
    known->flags |= told ? PG_KNOWN_TOLD : 0u;
    known->schema = form->number;
    known->flags |= PG_KNOWN_ANNOUNCED;
    pg_state_attach(context);
}

static int
tell(struct source_context *context, struct pg_item *item, const struct value *told,
     struct error *err)
{
    struct pg_state *state = context->state;
    int64_t number = value_int(told, "oid", 0);
    uint32_t oid = number > 0 && number <= UINT32_MAX ? (uint32_t)number : 0;
    struct pg_known *known = pg_tail_find(&state->tail, oid);
    const struct schema *before = known_schema(context, known);
    struct schema after = draft_after(context, told, before, &item->arena);
    const char *kind = name_kind(told, known, before, &after, &item->arena);
    bool there = value_get(told, "columns") != NULL;
    /* What the table was before is only known if the stream has told of it. */
    bool unknown = !before && there && strcmp(kind, "create") != 0;
    const struct schema *form =
        there || !before
            ? intern_draft(context, &after, (struct column *)(uintptr_t)after.columns, err)
            : before;
    struct buffer json;
    if (!form)
        return -1;
    buffer_init(&json, 1 << 24);
    bool changed = ddl_print(unknown ? form : before, there ? form : NULL, kind,
                             slice_of(value_text(told, "sql", "")), &json);
    item->event = (struct event){
        .op = EVENT_DDL, .schema = form, .ddl = arena_slice(&item->arena, buffer_view(&json))};
    buffer_release(&json);
    if (pg_transaction_hold(context, item, NULL, err) != 0)
        return -1;
    if (!there || (!changed && before))
        return 0;
    pg_watch_look(&state->watch);
    learn_form(context, oid, form);
    return 0;
}

bool
pg_statement_is(struct slice prefix)
{
    size_t size = strlen(PG_DDL_PREFIX ".");
    return prefix.size > size && memcmp(prefix.data, PG_DDL_PREFIX ".", size) == 0;
}

int
pg_statement_take(struct source_context *context, struct pg_item *item, struct error *err)
{
    const struct pgoutput_logical *logical = &item->message.logical;
    char ours[PG_DDL_PREFIX_SIZE];
    struct value told;
    struct error why = {0};
    pg_ddl_trigger_prefix(context->plan, ours);
    if (!slice_is(logical->prefix, ours) || logical->content.size == 0)
        return 0;
    if (json_parse(logical->content, &item->arena, &told, &why) != 0 || told.kind != VALUE_MAP) {
        log_warning(context->component,
                    "a logical message with the prefix %s is not as the event trigger writes it: "
                    "passed over",
                    ours);
        return 0;
    }
    if (!source_wants(context->plan, slice_of(value_text(&told, "schema", "")),
                      slice_of(value_text(&told, "table", ""))))
        return 0;
    return tell(context, item, &told, err);
}
