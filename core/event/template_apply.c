/* A value through the filters of its place. */
#include "event/template_part.h"

static int
no_room(const struct render *r, struct error *err)
{
    return error_set(err, ERROR_FULL, "%s: a value is larger than a template may make it",
                     r->t->where);
}

/* What stands in brackets; its text lives as long as the place. `text`: it has to be one. */
static int
take_argument(struct render *r, const struct argument *a, bool text, struct cell *out,
              struct error *err)
{
    struct template_scratch *scratch = &r->space->argument;
    struct found found;
    *out = a->cell;
    if (a->subject) {
        if (template_find(r, a->subject, scratch, &found, err) != 0)
            return -1;
        if (found.unknown_old)
            return template_no_old(r, a->subject->name, err);
        template_found_cell(&found, scratch, out);
    }
    if (text && out->kind != CELL_TEXT) {
        struct slice printed = template_printed(out, scratch);
        *out = (struct cell){.kind = CELL_TEXT, .text = printed};
    }
    if (a->subject && out->kind >= CELL_DECIMAL)
        out->text = arena_slice(&r->space->value.arena, out->text);
    return scratch->text[0].failed || scratch->text[1].failed ? no_room(r, err) : 0;
}

static bool
wants_text(const struct filter *filter, size_t index)
{
    for (const char *letter = filter ? filter->takes : ""; *letter; letter++)
        if (*letter != '?' && index-- == 0)
            return *letter == 't' || *letter == 'f';
    return false;
}

/* A script's filter need not know NULL: it is not asked about what prints nothing. */
static int
apply_custom(struct render *r, const struct filter_use *use, struct cell *arguments,
             struct template_value *value, struct error *err)
{
    const struct template_host *host = r->call->host;
    struct template_scratch *scratch = &r->space->value;
    struct cell result = {.kind = CELL_NULL};
    if (template_prints_nothing(&value->cell))
        return 0;
    ensure(host && host->apply);
    arguments[0] = value->cell;
    struct buffer *out = template_scratch(scratch);
    if (host->apply(host->context, use->custom, arguments, use->argument_count + 1, out, &result,
                    err) != 0)
        return error_context(err, "%s: filter %.*s", r->t->where, template_shown(use->name),
                             use->name.data);
    value->cell = result;
    return 0;
}

static int
apply(struct render *r, const struct filter_use *use, struct template_value *value,
      struct error *err)
{
    struct cell arguments[1 + TEMPLATE_ARGUMENTS];
    for (size_t i = 0; i < use->argument_count; i++)
        if (take_argument(r, &use->arguments[i], wants_text(use->filter, i), &arguments[1 + i],
                          err) != 0)
            return -1;
    if (!use->filter)
        return apply_custom(r, use, arguments, value, err);
    struct filter_run f = {.value = value,
                           .arguments = &arguments[1],
                           .count = use->argument_count,
                           .scratch = &r->space->value,
                           .now = r->call->now};
    use->filter->apply(&f);
    if (use->filter->escapes) {
        value->formed = true;
        value->form = use->filter->form;
    }
    return 0;
}

int
template_filters(struct render *r, const struct place *place, struct template_value *value,
                 struct error *err)
{
    for (size_t i = 0; i < place->filter_count; i++) {
        if (apply(r, &place->filters[i], value, err) != 0)
            return -1;
        if (r->space->value.text[0].failed || r->space->value.text[1].failed)
            return no_room(r, err);
        if (template_work(r, value->cell.kind >= CELL_DECIMAL ? value->cell.text.size : 0, err))
            return -1;
    }
    return 0;
}
