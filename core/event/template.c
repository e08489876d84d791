#include "event/template.h"

#include <stdlib.h>

#include "base/text.h"
#include "event/json_path.h"
#include "event/template_part.h"

struct template *
template_compile_for(const struct template_source *source, struct error *err)
{
    if (source->text.size > TEMPLATE_BYTES) {
        error_set(err, ERROR_DATA, "%s: a template may have %d KiB, this one has %zu bytes",
                  source->where, TEMPLATE_BYTES / 1024, source->text.size);
        return NULL;
    }
    struct template *t = memory_zero(sizeof(*t));
    arena_init(&t->arena, 1024);
    t->where = arena_text(&t->arena, source->where);
    if (template_parse(t, source, arena_slice(&t->arena, source->text), err) == 0)
        return t;
    template_free(t);
    return NULL;
}

struct template *
template_compile(struct slice text, const char *where, struct error *err)
{
    struct template_source source = {.text = text, .where = where};
    // cppcheck-suppress CastIntegerToAddressAtReturn ; it takes the tag for a keyword of C++
    return template_compile_for(&source, err);
}

void
template_free(struct template *t)
{
    if (!t)
        return;
    arena_release(&t->arena);
    free(t);
}

size_t
template_names(const struct template *t, const struct template_name **out)
{
    *out = t->names;
    return t->name_count;
}

bool
template_lists_changes(const struct template *t)
{
    return t->lists_changes;
}

bool
template_needs_old(const struct template *t)
{
    for (size_t i = 0; i < t->name_count; i++) {
        if (t->names[i].row == TEMPLATE_OLD)
            return true;
    }
    return t->lists_changes;
}

int
template_shown(struct slice text)
{
    return (int)text_truncate(text, 80).size;
}

static int
suggest_column(const struct template *t, const struct schema *schema, struct slice name,
               struct error *err)
{
    static const char *const changes[] = {"column", "old", "new"};
    const char *dot = memchr(name.data, '.', name.size);
    struct slice near = schema_suggest(schema, name);
    if (!near.size && dot)
        near = schema_suggest(schema, (struct slice){name.data, (size_t)(dot - name.data)});
    if (slice_is(name, "column_name"))
        return error_hint(err, "put a column's name here");
    if (near.size > 0)
        return error_hint(err, "did you mean {{%.*s}}?", template_shown(near), near.data);
    const char *change =
        t->lists_changes ? text_suggest(name, changes, countof(changes), sizeof(char *)) : NULL;
    if (change)
        return error_hint(err, "did you mean {{%s}}? It stands within {{#changed}}", change);
    for (size_t i = 0; i < template_field_count; i++) {
        const char *known = template_fields[i].builtin;
        if (known && text_suggest(name, &known, 1, sizeof(known)))
            return error_hint(err, "did you mean {{%s}}?", known);
    }
    return -1;
}

static int
no_column(const struct template *t, struct slice name, const struct schema *schema,
          struct error *err)
{
    char label[200];
    schema_label(schema, label, sizeof(label));
    error_set(err, ERROR_DATA, "%s: {{%.*s}}: table %s has no such column", t->where,
              template_shown(name), name.data, label);
    return suggest_column(t, schema, name, err);
}

/* Is it, or the start of it before a dot, a column? */
static bool
begins_with_column(const struct schema *schema, struct slice name)
{
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] == '.' && schema_column(schema, (struct slice){name.data, i}) >= 0)
            return true;
    return false;
}

int
template_column(const struct template *t, const struct subject *subject,
                const struct schema *schema, struct slice *path, struct error *err)
{
    *path = (struct slice){0};
    int column = schema_column(schema, subject->name);
    if (column >= 0)
        return column;
    if (!begins_with_column(schema, subject->name))
        return no_column(t, subject->name, schema, err);
    column = json_path_column(schema, subject->name, path, err);
    return column >= 0 ? column : error_context(err, "%s", t->where);
}

/* Can the section have entries, with fields that no schema names? */
static bool
has_entries(const struct template *t, size_t section, const struct schema *schema)
{
    for (size_t i = section; i != TEMPLATE_NO_SCOPE; i = t->places[i].scope) {
        const struct subject *s = &t->places[i].subject;
        struct slice path;
        if (s->kind == SUBJECT_ELEMENT || (s->kind == SUBJECT_FIELD && !s->scoped))
            return true;
        if (s->kind != SUBJECT_COLUMN)
            continue;
        int column = template_column(t, s, schema, &path, NULL);
        if (column < 0 || schema->columns[column].family == FAMILY_DOCUMENT ||
            schema->columns[column].family == FAMILY_ANY)
            return true;
    }
    return false;
}

static int
check_subject(const struct template *t, const struct subject *s, size_t scope,
              const struct schema *schema, struct error *err)
{
    struct slice path;
    if (s->kind != SUBJECT_COLUMN || (s->scoped && has_entries(t, scope, schema)))
        return 0;
    int column = template_column(t, s, schema, &path, err);
    if (column < 0)
        return -1;
    if (s->row != TEMPLATE_KEY || schema->columns[column].key > 0)
        return 0;
    error_set(err, ERROR_DATA, "%s: {{key.%.*s}}: this column is not in the table's key", t->where,
              template_shown(s->name), s->name.data);
    return error_hint(err, "write {{%.*s}}", template_shown(s->name), s->name.data);
}

static int
check_arguments(const struct template *t, const struct place *place, const struct schema *schema,
                struct error *err)
{
    for (size_t i = 0; i < place->filter_count; i++) {
        const struct filter_use *use = &place->filters[i];
        for (size_t k = 0; k < use->argument_count; k++) {
            const struct subject *s = use->arguments[k].subject;
            if (s && check_subject(t, s, place->scope, schema, err) != 0)
                return -1;
        }
    }
    return 0;
}

int
template_check(const struct template *t, const struct schema *schema, struct error *err)
{
    for (size_t i = 0; i < t->place_count; i++) {
        const struct place *place = &t->places[i];
        if (place->kind != PLACE_VALUE && place->kind != PLACE_SECTION)
            continue;
        if (check_subject(t, &place->subject, place->scope, schema, err) != 0 ||
            check_arguments(t, place, schema, err) != 0)
            return -1;
    }
    return 0;
}
