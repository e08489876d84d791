/* A compiled template and an event into a text. Nothing is allocated but what `out` and the scratch
 * need to grow. */
#include <stdlib.h>

#include "event/json_path.h"
#include "event/template_part.h"

#define SCRATCH_LIMIT ((size_t)16 << 20)
#define PLACE_WORK    32

static void
scratch_init(struct template_scratch *scratch)
{
    buffer_init(&scratch->text[0], SCRATCH_LIMIT);
    buffer_init(&scratch->text[1], SCRATCH_LIMIT);
    arena_init(&scratch->arena, 512);
    scratch->turn = 0;
}

static void
scratch_release(struct template_scratch *scratch)
{
    buffer_release(&scratch->text[0]);
    buffer_release(&scratch->text[1]);
    arena_release(&scratch->arena);
}

static void
scratch_reset(struct template_scratch *scratch)
{
    buffer_reset(&scratch->text[0]);
    buffer_reset(&scratch->text[1]);
    arena_reset(&scratch->arena);
}

struct template_space *
template_space_new(void)
{
    struct template_space *space = memory_zero(sizeof(*space));
    scratch_init(&space->value);
    scratch_init(&space->argument);
    return space;
}

void
template_space_free(struct template_space *space)
{
    if (!space)
        return;
    scratch_release(&space->value);
    scratch_release(&space->argument);
    free(space);
}

/* What a filter has made is for one kind of place; where it stands as it is. */
static bool
stands(const struct template_value *value, enum template_escape escape)
{
    if (!value->formed || value->form == escape)
        return value->formed;
    bool exact = value->form == TEMPLATE_JSON || value->form == TEMPLATE_URL;
    return exact &&
           (escape == TEMPLATE_PLAIN || escape == TEMPLATE_LINE || escape == TEMPLATE_DATA);
}

static void
write_value(struct render *r, const struct template_value *value)
{
    enum template_escape escape = r->call->escape;
    if (!cell_is_value(&value->cell))
        return;
    struct slice text = template_printed(&value->cell, &r->space->value);
    if (!stands(value, escape)) {
        template_escape(r->out, text, escape);
        return;
    }
    if (escape == TEMPLATE_SLACK || escape == TEMPLATE_PLAIN || escape == TEMPLATE_LINE)
        template_guard(r->out, text);
    buffer_slice(r->out, text);
}

static bool
has_default(const struct place *place)
{
    for (size_t i = 0; i < place->filter_count; i++) {
        if (place->filters[i].filter && *place->filters[i].filter->takes == 'v')
            return true;
    }
    return false;
}

static int
render_value(struct render *r, const struct place *place, struct error *err)
{
    struct template_value value = {0};
    struct template_scratch *scratch = &r->space->value;
    struct found found;
    scratch_reset(scratch);
    scratch_reset(&r->space->argument);
    if (template_find(r, &place->subject, scratch, &found, err) != 0)
        return -1;
    if (found.unknown_old && !has_default(place))
        return template_no_old(r, place->subject.name, err);
    template_found_cell(&found, scratch, &value.cell);
    if (template_filters(r, place, &value, err) != 0)
        return -1;
    size_t before = r->out->size;
    write_value(r, &value);
    return template_work(r, r->out->size - before, err);
}

static int render_range(struct render *r, size_t from, size_t to, struct error *err);

/* The places of a section, within `frame`. */
static int
render_within(struct render *r, const struct place *section, struct frame frame, struct error *err)
{
    size_t start = (size_t)(section - r->t->places);
    ensure(r->depth < TEMPLATE_SECTIONS);
    r->frames[r->depth++] = frame;
    int result = render_range(r, start + 1, section->other, err);
    r->depth--;
    return result;
}

static bool
may_show(const struct template_call *call, struct slice column)
{
    for (size_t i = 0; i < call->column_count; i++)
        if (slice_is(column, call->columns[i]))
            return true;
    return call->columns == NULL;
}

static int
render_changed(struct render *r, const struct place *section, struct error *err)
{
    struct event *e = r->call->event;
    bool any = false;
    for (unsigned i = 0; i < e->schema->column_count && e->op == EVENT_UPDATE; i++) {
        struct slice name = e->schema->columns[i].name;
        enum change change = may_show(r->call, name) ? event_changed(e, i) : CHANGE_NO;
        struct frame frame = {.kind = FRAME_CHANGE, .column = i};
        if (change == CHANGE_UNKNOWN)
            return template_no_old(r, name, err);
        any |= change == CHANGE_YES;
        if (change == CHANGE_NO || section->inverted)
            continue;
        if (render_within(r, section, frame, err) != 0)
            return -1;
    }
    return section->inverted && !any
               ? render_range(r, (size_t)(section - r->t->places) + 1, section->other, err)
               : 0;
}

static int
render_list(struct render *r, const struct place *section, struct slice list, struct error *err)
{
    struct frame frame = {.kind = FRAME_ENTRY};
    size_t at = 0;
    if (template_work(r, list.size, err) != 0)
        return -1;
    while (json_path_next(list, &at, &frame.json)) {
        if (render_within(r, section, frame, err) != 0 || template_work(r, PLACE_WORK, err) != 0)
            return -1;
    }
    return 0;
}

static bool
is_present(const struct found *found, struct template_scratch *scratch)
{
    struct slice first;
    struct cell cell;
    size_t at = 0;
    if (found->is_json && found->json.size && *found->json.data == '[')
        return json_path_next(found->json, &at, &first);
    template_found_cell(found, scratch, &cell);
    return !template_prints_nothing(&cell) && !(cell.kind == CELL_BOOL && !cell.integer);
}

static int
render_section(struct render *r, const struct place *section, struct error *err)
{
    struct template_scratch *scratch = &r->space->value;
    struct found found;
    scratch_reset(scratch);
    if (template_find(r, &section->subject, scratch, &found, err) != 0)
        return -1;
    bool present = is_present(&found, scratch);
    if (present == section->inverted)
        return 0;
    if (section->inverted)
        return render_range(r, (size_t)(section - r->t->places) + 1, section->other, err);
    if (found.is_json && *found.json.data == '[')
        return render_list(r, section, found.json, err);
    const struct subject *subject = &section->subject;
    if (!found.is_json && subject->kind == SUBJECT_ELEMENT) /* {{#.}} is the scalar around */
        subject = template_entry(r)->subject;
    struct frame frame = {
        .kind = found.is_json ? FRAME_ENTRY : FRAME_SCALAR, .json = found.json, .subject = subject};
    return render_within(r, section, frame, err);
}

static int
render_place(struct render *r, const struct place *place, struct error *err)
{
    switch (place->kind) {
    case PLACE_TEXT:
        buffer_slice(r->out, place->text);
        return template_work(r, PLACE_WORK + place->text.size, err);
    case PLACE_SECTION:
        return template_work(r, PLACE_WORK, err) == 0 ? render_section(r, place, err) : -1;
    case PLACE_CHANGED:
        return template_work(r, PLACE_WORK, err) == 0 ? render_changed(r, place, err) : -1;
    case PLACE_VALUE:
        return template_work(r, PLACE_WORK, err) == 0 ? render_value(r, place, err) : -1;
    default:
        return 0;
    }
}

static int
render_range(struct render *r, size_t from, size_t to, struct error *err)
{
    for (size_t i = from; i < to; i++) {
        const struct place *place = &r->t->places[i];
        if (render_place(r, place, err) != 0)
            return -1;
        if (r->out->failed)
            return error_set(err, ERROR_FULL, "%s: the text is larger than %zu bytes", r->t->where,
                             r->out->limit);
        if (place->kind == PLACE_SECTION || place->kind == PLACE_CHANGED)
            i = place->other;
    }
    return 0;
}

int
template_render(const struct template *t, const struct template_call *call, struct buffer *out,
                struct error *err)
{
    struct template_space own = {0};
    struct render r = {.t = t, .call = call, .out = out, .space = call->space ? call->space : &own};
    size_t start = out->size;
    bool failed_before = out->failed;
    if (!call->space) {
        scratch_init(&own.value);
        scratch_init(&own.argument);
    }
    int result = render_range(&r, 0, t->place_count, err);
    if (result != 0) {
        out->size = start;
        out->failed = failed_before;
    }
    if (!call->space) {
        scratch_release(&own.value);
        scratch_release(&own.argument);
    }
    return result;
}
