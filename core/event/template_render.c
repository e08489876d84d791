#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "event/template_part.h"

#define SCRATCH_LIMIT ((size_t)64 << 20)
#define DDL_NAMES     200 /* bytes of one list in the readable line */

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
};
const size_t template_field_count = countof(template_fields);

struct render {
    const struct template *t;
    struct event *e;
    enum template_escape escape;
    struct buffer *out;
    struct template_scratch scratch;
};

static bool
has_default(const struct place *place)
{
    for (size_t i = 0; i < place->filter_count; i++) {
        if (place->filters[i].filter->takes == FILTER_WORDS)
            return true;
    }
    return false;
}

static int
old_not_in_log(const struct render *r, const struct place *place, struct error *err)
{
    error_set(err, ERROR_DATA, "%s: {{old.%.*s}}: old value not in log", r->t->where,
              (int)text_truncate(place->name, 80).size, place->name.data);
    return error_hint(err, "let the database log old rows, or add | default(\"…\")");
}

static int
column_cell(struct render *r, const struct place *place, struct cell *out, struct error *err)
{
    struct event *e = r->e;
    int column = schema_column(e->schema, place->name);
    if (column < 0) {
        *out = (struct cell){.kind = CELL_ABSENT};
        return e->schema->table.size == 0
                   ? 0 /* an event of no table, such as a gap, has no columns to be wrong about */
                   : template_no_column(r->t, place, e->schema, err);
    }
    bool old = place->row == TEMPLATE_OLD;
    enum event_image image = old                          ? EVENT_OLD
                             : place->row == TEMPLATE_NEW ? EVENT_NEW
                                                          : event_key_image(e);
    *out = *event_value(e, image, (unsigned)column);
    bool known = cell_is_value(out) || out->kind == CELL_NULL;
    if (old && !known && e->op == EVENT_UPDATE && !has_default(place))
        return old_not_in_log(r, place, err);
    return 0;
}

static bool
is_control(const struct slice *text, size_t i)
{
    uint8_t byte = (uint8_t)text->data[i];
    if (byte == 0xc2 && i + 1 < text->size) /* C1: U+0080 to U+009F */
        return (uint8_t)text->data[i + 1] >= 0x80 && (uint8_t)text->data[i + 1] <= 0x9f;
    return (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f;
}

static void
write_plain(struct buffer *out, struct slice text)
{
    size_t from = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (!is_control(&text, i))
            continue;
        buffer_append(out, text.data + from, i - from);
        i += (uint8_t)text.data[i] == 0xc2;
        from = i + 1;
    }
    if (from < text.size)
        buffer_append(out, text.data + from, text.size - from);
}

static void
write_value(struct render *r, const struct template_value *value)
{
    const struct cell *cell = &value->cell;
    if (cell->kind < CELL_DECIMAL || cell->kind == CELL_BYTES)
        cell_print(cell, r->out); /* nothing in it wants escaping */
    else if (r->escape == TEMPLATE_PLAIN)
        write_plain(r->out, cell->text);
    else if (value->whole)
        buffer_slice(r->out, cell->text);
    else
        json_inside(r->out, cell->text);
}

static int
render_place(struct render *r, const struct place *place, struct error *err)
{
    struct template_value value = {0};
    if (place->kind == PLACE_TEXT) {
        buffer_slice(r->out, place->name);
        return 0;
    }
    arena_reset(&r->scratch.arena);
    if (place->kind == PLACE_FIELD)
        template_fields[place->field].get(r->e, &r->scratch, &value.cell);
    else if (column_cell(r, place, &value.cell, err) != 0)
        return -1;
    for (size_t i = 0; i < place->filter_count; i++) {
        const struct filter_use *use = &place->filters[i];
        use->filter->apply(&use->words, use->count, &r->scratch, &value);
    }
    if (r->scratch.text[0].failed || r->scratch.text[1].failed)
        return error_set(err, ERROR_FULL, "%s: a value is larger than %zu bytes", r->t->where,
                         SCRATCH_LIMIT);
    write_value(r, &value);
    return 0;
}

static int
render_places(struct render *r, struct error *err)
{
    for (size_t i = 0; i < r->t->place_count; i++) {
        if (render_place(r, &r->t->places[i], err) != 0)
            return -1;
        if (r->out->failed)
            return error_set(err, ERROR_FULL, "%s: the text is larger than %zu bytes", r->t->where,
                             r->out->limit);
    }
    return 0;
}

int
template_render(const struct template *t, struct event *e, enum template_escape escape,
                struct buffer *out, struct error *err)
{
    struct render r = {.t = t, .e = e, .escape = escape, .out = out};
    size_t start = out->size;
    buffer_init(&r.scratch.text[0], SCRATCH_LIMIT);
    buffer_init(&r.scratch.text[1], SCRATCH_LIMIT);
    arena_init(&r.scratch.arena, 512);
    bool failed_before = out->failed;
    int result = render_places(&r, err);
    if (result != 0) {
        out->size = start;
        out->failed = failed_before;
    }
    buffer_release(&r.scratch.text[0]);
    buffer_release(&r.scratch.text[1]);
    arena_release(&r.scratch.arena);
    return result;
}
