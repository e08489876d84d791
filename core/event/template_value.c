/* What a name in a template gives for one event. */
#include "base/json.h"
#include "event/json_path.h"
#include "event/template_part.h"

int
template_work(struct render *r, size_t work, struct error *err)
{
    r->work += work;
    if (r->work <= TEMPLATE_WORK)
        return 0;
    error_set(err, ERROR_BUDGET, "%s: more work than a template may make", r->t->where);
    return error_hint(err, "lists within lists, or long texts through many filters: do it in a "
                           "message function");
}

int
template_no_old(const struct render *r, struct slice name, struct error *err)
{
    error_set(err, ERROR_DATA, "%s: {{old.%.*s}}: old value not in log", r->t->where,
              template_shown(name), name.data);
    return error_hint(err, "let the database log old rows, or add | default(\"…\")");
}

/* A text counts as a document where the column has no type of its own, as in SQLite, and it is one.
 */
static bool
is_document(const struct cell *cell, const struct column *column, struct template_scratch *scratch)
{
    if (cell->kind == CELL_DOCUMENT)
        return true;
    if (cell->kind != CELL_TEXT || column->family != FAMILY_ANY || cell->text.size < 2 ||
        !memchr("[{", *cell->text.data, 2))
        return false;
    return json_compact(cell->text, template_scratch(scratch), NULL) == 0;
}

static void
enter_path(struct render *r, struct slice path, struct found *found)
{
    struct slice document = found->is_json ? found->json : found->cell.text;
    bool may_hold =
        found->is_json || found->cell.kind == CELL_DOCUMENT || found->cell.kind == CELL_TEXT;
    r->work += document.size;
    found->is_json = may_hold && json_path_find(document, path, &found->json);
    found->cell = (struct cell){.kind = CELL_NULL};
}

static int
find_column(struct render *r, const struct subject *s, struct template_scratch *scratch,
            struct found *out, struct error *err)
{
    struct event *e = r->call->event;
    struct slice path;
    if (e->schema->table.size == 0)
        return 0; /* an event of no table, such as a gap, has no columns to be wrong about */
    int column = template_column(r->t, s, e->schema, &path, s->scoped ? NULL : err);
    if (column < 0)
        return s->scoped ? 0 : -1;
    bool old = s->row == TEMPLATE_OLD;
    enum event_image image = old                      ? EVENT_OLD
                             : s->row == TEMPLATE_NEW ? EVENT_NEW
                                                      : event_key_image(e);
    out->cell = *event_value(e, image, (unsigned)column);
    bool known = cell_is_value(&out->cell) || out->cell.kind == CELL_NULL;
    out->unknown_old = old && !known && e->op == EVENT_UPDATE;
    if (path.size) {
        enter_path(r, path, out);
    } else if (is_document(&out->cell, &e->schema->columns[column], scratch)) {
        r->work += out->cell.text.size;
        out->is_json = json_path_find(out->cell.text, (struct slice){0}, &out->json);
    }
    return 0;
}

static int
find_field(struct render *r, const struct subject *s, struct template_scratch *scratch,
           struct found *out)
{
    template_fields[s->field].get(r->call->event, scratch, &out->cell);
    if (s->path.size)
        enter_path(r, s->path, out);
    else if (out->cell.kind == CELL_DOCUMENT)
        enter_path(r, (struct slice){0}, out);
    return 0;
}

static const struct frame *
innermost(const struct render *r, bool change)
{
    for (size_t i = r->depth; i > 0; i--)
        if ((r->frames[i - 1].kind == FRAME_CHANGE) == change)
            return &r->frames[i - 1];
    return NULL;
}

const struct frame *
template_entry(const struct render *r)
{
    return innermost(r, false);
}

static int
find_element(struct render *r, const struct subject *s, struct template_scratch *scratch,
             struct found *out, struct error *err)
{
    const struct frame *frame = template_entry(r);
    if (!frame)
        return 0; /* within {{^x}} there is no entry */
    if (frame->kind == FRAME_SCALAR)
        return s->path.size ? 0 : template_find(r, frame->subject, scratch, out, err);
    r->work += frame->json.size;
    out->is_json = json_path_find(frame->json, s->path, &out->json);
    return 0;
}

static int
find_change(struct render *r, const struct subject *s, struct found *out)
{
    const struct frame *frame = innermost(r, true);
    struct event *e = r->call->event;
    if (!frame)
        return 0;
    if (s->change == CHANGE_COLUMN)
        out->cell =
            (struct cell){.kind = CELL_TEXT, .text = e->schema->columns[frame->column].name};
    else
        out->cell = *event_value(e, s->change == CHANGE_OLD ? EVENT_OLD : EVENT_NEW, frame->column);
    return 0;
}

/* A field of the sections around, the innermost first. */
static bool
find_in_scope(struct render *r, const struct subject *s, struct found *out)
{
    for (size_t i = r->depth; i > 0; i--) {
        const struct frame *frame = &r->frames[i - 1];
        if (frame->kind != FRAME_ENTRY || *frame->json.data != '{')
            continue;
        r->work += frame->json.size;
        out->is_json = json_path_find(frame->json, s->name, &out->json);
        if (out->is_json)
            return true;
    }
    return false;
}

int
template_find(struct render *r, const struct subject *s, struct template_scratch *scratch,
              struct found *out, struct error *err)
{
    *out = (struct found){.cell = {.kind = CELL_ABSENT}};
    if (s->scoped && find_in_scope(r, s, out))
        return 0;
    switch (s->kind) {
    case SUBJECT_FIELD:
        return find_field(r, s, scratch, out);
    case SUBJECT_ELEMENT:
        return find_element(r, s, scratch, out, err);
    case SUBJECT_CHANGE:
        return find_change(r, s, out);
    default:
        return find_column(r, s, scratch, out, err);
    }
}

void
template_found_cell(const struct found *found, struct template_scratch *scratch, struct cell *out)
{
    *out = found->cell;
    if (found->is_json)
        json_path_cell(found->json, template_scratch(scratch), out);
}
