#include "source/postgres/statement.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "event/ddl.h"
#include "source/postgres/state.h"

/* The kinds of other sources are one word for tables: create, alter, drop. */
static const char *
short_kind(const char *tag, struct arena *arena)
{
    struct slice text = slice_of(tag);
    const char *space = memchr(text.data, ' ', text.size);
    if (space && strcmp(space, " TABLE") == 0)
        text.size = (size_t)(space - text.data);
    struct buffer lower;
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
draft_after(const struct value *columns, const struct schema *before, struct arena *arena)
{
    struct schema draft = {0};
    struct column *out = arena_zero(arena, (columns->count + 1) * sizeof *out);
    for (size_t i = 0; i < columns->count && i < SCHEMA_COLUMNS; i++) {
        struct column *c = &out[draft.column_count++];
        c->name = pair_text(&columns->items[i], 0);
        c->type = pair_text(&columns->items[i], 1);
        int at = before ? schema_column(before, c->name) : -1;
        if (at >= 0) {
            c->key = before->columns[at].key;
            c->family = before->columns[at].family;
        }
    }
    draft.columns = out;
    return draft;
}

/* The schema of a ddl event on a table that the stream has not told of: its names and types alone.
 */
static const struct schema *
named_schema(struct source_context *context, const struct schema *after, const char *schema,
             const char *table, struct error *err)
{
    struct schema draft = *after;
    draft.source = slice_of(context->plan->name);
    draft.driver = slice_of(context->plan->driver->name);
    draft.schema = slice_of(schema);
    draft.table = slice_of(table);
    return schema_intern(context->plan->schemas, &draft, err);
}

static const struct schema *
known_schema(struct source_context *context, const struct pg_known *known)
{
    struct error ignored = {0};
    if (!known || known->schema == 0)
        return NULL;
    return schema_get(context->plan->schemas, known->schema, &ignored);
}

static int
tell(struct source_context *context, struct pg_item *item, const struct value *told,
     struct error *err)
{
    struct pg_state *state = context->state;
    const char *schema = value_text(told, "schema", ""), *table = value_text(told, "table", "");
    const struct value *columns = value_get(told, "columns"), none = {.kind = VALUE_LIST};
    struct pg_known *known = pg_tail_find(&state->tail, (uint32_t)value_int(told, "oid", 0));
    const struct schema *before = known_schema(context, known);
    bool there = columns && columns->kind == VALUE_LIST;
    struct schema after = draft_after(there ? columns : &none, before, &item->arena);
    struct buffer json;
    after.schema = slice_of(schema);
    after.table = slice_of(table);
    buffer_init(&json, 1 << 24);
    const char *tag = value_text(told, "kind", "");
    /* What the table was before is only known if the stream has told of it. */
    bool unknown = !before && there && strncmp(tag, "CREATE", 6) != 0;
    bool changed =
        ddl_print(unknown ? &after : before, there ? &after : NULL, short_kind(tag, &item->arena),
                  slice_of(value_text(told, "sql", "")), &json);
    item->event = (struct event){
        .op = EVENT_DDL,
        .schema = before ? before : named_schema(context, &after, schema, table, err),
        .ddl = arena_slice(&item->arena, buffer_view(&json))};
    buffer_release(&json);
    if (!item->event.schema || pg_transaction_hold(context, item, NULL, err) != 0)
        return -1;
    if (there && !known)
        known = pg_tail_add(&state->tail, (uint32_t)value_int(told, "oid", 0));
    if (known && changed) {
        known->flags |= PG_KNOWN_ANNOUNCED;
        pg_state_attach(context);
    }
    return 0;
}

int
pg_statement_take(struct source_context *context, struct pg_item *item, struct error *err)
{
    struct value told;
    struct error why = {0};
    if (json_parse(item->message.logical.content, &item->arena, &told, &why) != 0 ||
        told.kind != VALUE_MAP) {
        log_warning(context->component, "a logical message with the prefix tidegate.ddl is not as "
                                        "the event trigger writes it: passed over");
        return 0;
    }
    if (!source_wants(context->plan, slice_of(value_text(&told, "schema", "")),
                      slice_of(value_text(&told, "table", ""))))
        return 0;
    return tell(context, item, &told, err);
}
