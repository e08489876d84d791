/* What a template can say about an event itself. */
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "event/template_part.h"

#define DDL_NAMES 200 /* bytes of one list in the readable line */

static void
text_cell(struct slice text, struct cell *out)
{
    *out = (struct cell){.kind = text.size ? CELL_TEXT : CELL_NULL, .text = text};
}

static void
int_cell(int64_t value, struct cell *out)
{
    *out = (struct cell){.kind = CELL_INT, .integer = value};
}

static void
get_operation(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    static const char *const names[EVENT_OPS] = {
        [EVENT_INSERT] = "INSERT",     [EVENT_UPDATE] = "UPDATE", [EVENT_DELETE] = "DELETE",
        [EVENT_TRUNCATE] = "TRUNCATE", [EVENT_READ] = "READ",     [EVENT_DDL] = "DDL",
        [EVENT_MESSAGE] = "MESSAGE",   [EVENT_GAP] = "GAP",
    };
    (void)scratch;
    text_cell(slice_of(names[e->op]), out);
}

static void
get_op(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    (void)scratch;
    text_cell(slice_of(event_op_name(e->op)), out);
}

static void
get_source(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    (void)scratch;
    text_cell(e->schema->source, out);
}

static void
get_driver(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    (void)scratch;
    text_cell(e->schema->driver, out);
}

static void
get_schema(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    (void)scratch;
    text_cell(e->schema->schema, out);
}

static void
get_table(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    (void)scratch;
    text_cell(e->schema->table, out);
}

static void
get_key(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    struct buffer *b = template_scratch(scratch);
    event_key(e, event_key_image(e), b);
    text_cell(buffer_view(b), out);
}

static void
get_id(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    struct buffer *b = template_scratch(scratch);
    event_id(e, b);
    text_cell(buffer_view(b), out);
}

static void
get_lsn(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    (void)scratch;
    int_cell((int64_t)e->lsn, out);
}

static void
get_ts(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    char text[CLOCK_TEXT_SIZE];
    struct buffer *b = template_scratch(scratch);
    buffer_text(b, clock_format(e->ts, text));
    text_cell(buffer_view(b), out);
}

static void
get_ts_us(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    (void)scratch;
    int_cell(e->ts, out);
}

static void
get_tx(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    (void)scratch;
    text_cell(e->tx_id, out);
}

static void
get_position(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    (void)scratch;
    text_cell(e->position, out);
}

static void
get_meta(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    (void)scratch;
    text_cell(e->meta, out);
    if (e->meta.size > 0)
        out->kind = CELL_DOCUMENT;
}

static void
get_prefix(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    (void)scratch;
    text_cell(e->prefix, out);
}

static void
get_content(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    (void)scratch;
    text_cell(e->content, out);
    if (e->content.size > 0 && !text_is_utf8(e->content))
        out->kind = CELL_BYTES;
}

/* Of the events that a message is about: digests, which have more, are not built yet. */
static void
get_count(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    (void)e;
    (void)scratch;
    int_cell(1, out);
}

/* " added a, b;" for a list of names that is not empty. True when it wrote. */
static bool
print_names(const struct value *ddl, const char *key, bool first, struct buffer *out)
{
    const struct value *list = value_get(ddl, key);
    if (!list || list->kind != VALUE_LIST || list->count == 0)
        return false;
    buffer_printf(out, "%s %s ", first ? ":" : ";", key);
    size_t start = out->size;
    for (size_t i = 0; i < list->count; i++) {
        if (out->size - start > DDL_NAMES) {
            buffer_printf(out, " and %zu more", list->count - i);
            break;
        }
        buffer_text(out, i ? ", " : "");
        buffer_slice(out, list->items[i].text);
    }
    return true;
}

static void
print_one_line(struct slice text, struct buffer *out)
{
    bool space = false;
    text = text_trim(text);
    for (size_t i = 0; i < text.size; i++) {
        bool blank = memchr(" \t\r\n", text.data[i], 4) != NULL;
        if (!blank || !space)
            buffer_byte(out, blank ? ' ' : (uint8_t)text.data[i]);
        space = blank;
    }
}

/* "alter main.orders: added city; removed zip", or with the statement where no column is named. */
static void
print_ddl(struct event *e, const struct value *ddl, struct buffer *out)
{
    static const char *const lists[] = {"added", "removed", "retyped"};
    char label[256];
    bool any = false;
    buffer_text(out, value_text(ddl, "kind", "change"));
    buffer_printf(out, " %s", schema_label(e->schema, label, sizeof(label)));
    for (size_t i = 0; i < countof(lists); i++)
        any |= print_names(ddl, lists[i], !any, out);
    const struct value *sql = value_get(ddl, "sql");
    if (!any && sql && sql->kind == VALUE_TEXT) {
        buffer_text(out, ": ");
        print_one_line(sql->text, out);
    }
}

static void
get_ddl(struct event *e, struct template_scratch *scratch, struct cell *out)
{
    struct buffer *b = template_scratch(scratch);
    struct value ddl;
    if (e->ddl.size > 0) {
        if (json_parse(e->ddl, &scratch->arena, &ddl, NULL) == 0)
            print_ddl(e, &ddl, b);
        else
            print_one_line(e->ddl, b);
    }
    text_cell(buffer_view(b), out);
}

const struct template_field template_fields[] = {
    {"operation", "operation", get_operation},
    {"op", "op", get_op},
    {"schema", "schema_name", get_schema},
    {"table", "table_name", get_table},
    {"source", "source", get_source},
    {"key", "key", get_key},
    {"ddl", "ddl", get_ddl},
    {"id", NULL, get_id},
    {"lsn", NULL, get_lsn},
    {"driver", NULL, get_driver},
    {"ts", NULL, get_ts},
    {"ts_us", NULL, get_ts_us},
    {"tx", NULL, get_tx},
    {"position", NULL, get_position},
    {"meta", NULL, get_meta},
    {"prefix", NULL, get_prefix},
    {"content", NULL, get_content},
    {"", "count", get_count},
};
const size_t template_field_count = countof(template_fields);
