#include "base/text.h"
#include "event/template_part.h"

#include <stdio.h>
#include <stdlib.h>

#define PLACES_MAX  99 /* number(n) */
#define FILTERS_MAX 8  /* in one place */

struct parser {
    struct template *t;
    const char *at;
    const char *end;
    struct error *err;
};

static const struct {
    const char *prefix;
    enum template_row row;
} row_prefixes[] = {
    {"row.", TEMPLATE_ROW},
    {"new.", TEMPLATE_NEW},
    {"old.", TEMPLATE_OLD},
    {"key.", TEMPLATE_KEY},
};

static bool
next_is(const struct parser *p, const char *text)
{
    size_t size = strlen(text);
    return (size_t)(p->end - p->at) >= size && memcmp(p->at, text, size) == 0;
}

static void
skip_space(struct parser *p)
{
    while (p->at < p->end && memchr(" \t\r\n", *p->at, 4))
        p->at++;
}

static bool
cut_prefix(struct slice *text, const char *prefix)
{
    size_t size = strlen(prefix);
    if (text->size < size || memcmp(text->data, prefix, size) != 0)
        return false;
    *text = (struct slice){text->data + size, text->size - size};
    return true;
}

static int
shown(struct slice text)
{
    return (int)text_truncate(text, 80).size;
}

/* The bare name or "event." field; false when there is none of that name. */
static bool
find_field(struct slice name, bool bare, struct place *place)
{
    for (unsigned i = 0; i < template_field_count; i++) {
        const char *known = bare ? template_fields[i].builtin : template_fields[i].name;
        if (known && slice_is(name, known)) {
            place->kind = PLACE_FIELD;
            place->field = i;
            return true;
        }
    }
    return false;
}

static int
no_field(struct parser *p, struct slice name)
{
    error_set(p->err, ERROR_DATA, "an event has no \"%.*s\"", shown(name), name.data);
    const char *near =
        text_suggest(name, template_fields, template_field_count, sizeof(template_fields[0]));
    return near ? error_hint(p->err, "did you mean event.%s?", near) : -1;
}

/* What the name in a place means. */
static int
resolve(struct parser *p, struct slice name, struct place *place)
{
    struct slice rest = name;
    if (find_field(name, true, place))
        return 0;
    if (cut_prefix(&rest, "event."))
        return find_field(rest, false, place) ? 0 : no_field(p, rest);
    if (cut_prefix(&rest, "param.")) {
        error_set(p->err, ERROR_REFUSED, "{{%.*s}}: parameters are not built yet", shown(name),
                  name.data);
        return error_hint(p->err, "they come with packs; write the value itself");
    }
    place->kind = PLACE_COLUMN;
    place->row = TEMPLATE_ROW;
    for (size_t i = 0; i < countof(row_prefixes); i++) {
        if (cut_prefix(&rest, row_prefixes[i].prefix)) {
            place->row = row_prefixes[i].row;
            break;
        }
    }
    place->name = rest;
    if (rest.size == 0)
        return error_set(p->err, ERROR_DATA, "{{%.*s}} lacks a column's name", shown(name),
                         name.data);
    return 0;
}

/* A text in quotes, a backslash taking the next character as itself. */
static int
take_words(struct parser *p, struct slice *out)
{
    char quote = p->at < p->end ? *p->at : '\0';
    if (quote != '"' && quote != '\'')
        return error_set(p->err, ERROR_DATA, "default needs a text in quotes: default(\"–\")");
    char *words = arena_alloc(&p->t->arena, (size_t)(p->end - p->at));
    size_t size = 0;
    for (p->at++; p->at < p->end && *p->at != quote; p->at++) {
        if (*p->at == '\\' && p->at + 1 < p->end)
            p->at++;
        words[size++] = *p->at;
    }
    if (p->at == p->end)
        return error_set(p->err, ERROR_DATA, "the text of default has no closing quote");
    p->at++;
    *out = (struct slice){words, size};
    return 0;
}

static int
take_count(struct parser *p, int *out)
{
    const char *from = p->at;
    *out = 0;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9' && *out <= PLACES_MAX; p->at++)
        *out = *out * 10 + (*p->at - '0');
    if (p->at == from || *out > PLACES_MAX)
        return error_set(p->err, ERROR_DATA, "number needs its places, 0 to %d: number(2)",
                         PLACES_MAX);
    return 0;
}

static int
take_argument(struct parser *p, struct filter_use *use)
{
    skip_space(p);
    bool open = next_is(p, "(");
    if (use->filter->takes == FILTER_PLAIN)
        return open ? error_set(p->err, ERROR_DATA, "%s takes nothing in brackets",
                                use->filter->name)
                    : 0;
    p->at += open;
    skip_space(p);
    int result = use->filter->takes == FILTER_WORDS ? take_words(p, &use->words)
                                                    : take_count(p, &use->count);
    if (result != 0)
        return -1;
    skip_space(p);
    if (open && !next_is(p, ")"))
        return error_set(p->err, ERROR_DATA, "%s lacks its closing bracket", use->filter->name);
    p->at += open;
    return 0;
}

static int
take_filter(struct parser *p, struct filter_use *use)
{
    skip_space(p);
    const char *from = p->at;
    while (p->at < p->end && !memchr(" \t\r\n|(){}", *p->at, 9))
        p->at++;
    use->filter = template_filter((struct slice){from, (size_t)(p->at - from)}, p->err);
    return use->filter ? take_argument(p, use) : -1;
}

static int
take_filters(struct parser *p, struct place *place)
{
    for (;;) {
        skip_space(p);
        if (next_is(p, "}}"))
            return 0;
        if (!next_is(p, "|"))
            return error_set(p->err, ERROR_DATA, "a place lacks its closing }}");
        const struct filter *before =
            place->filter_count ? place->filters[place->filter_count - 1].filter : NULL;
        if (before && before->last)
            return error_set(p->err, ERROR_DATA, "no filter can follow %s", before->name);
        if (place->filter_count == FILTERS_MAX)
            return error_set(p->err, ERROR_DATA, "a place may have %d filters", FILTERS_MAX);
        if (!before)
            place->filters = arena_zero(&p->t->arena, FILTERS_MAX * sizeof(*place->filters));
        p->at++;
        if (take_filter(p, &place->filters[place->filter_count++]) != 0)
            return -1;
    }
}

/* After `{{`, up to and with `}}`. */
static int
take_place(struct parser *p, struct place *place)
{
    skip_space(p);
    if (p->at < p->end && memchr("#^/", *p->at, 3)) {
        error_set(p->err, ERROR_REFUSED, "sections such as {{#events}} are not built yet");
        return error_hint(p->err, "only places such as {{id}} are; use a message function");
    }
    const char *from = p->at;
    while (p->at < p->end && !memchr("|{}\r\n", *p->at, 5))
        p->at++;
    struct slice name = text_trim((struct slice){from, (size_t)(p->at - from)});
    skip_space(p);
    if (!next_is(p, "}}") && !next_is(p, "|"))
        return error_set(p->err, ERROR_DATA, "the place {{%.*s lacks its closing }}", shown(name),
                         name.data);
    if (name.size == 0)
        return error_set(p->err, ERROR_DATA, "a place {{}} lacks a name");
    if (resolve(p, name, place) != 0 || take_filters(p, place) != 0)
        return -1;
    p->at += 2;
    return 0;
}

static void
note_name(struct template *t, const struct place *place)
{
    for (size_t i = 0; i < t->name_count; i++) {
        if (t->names[i].row == place->row && slice_equal(t->names[i].name, place->name))
            return;
    }
    t->names[t->name_count++] = (struct template_name){place->row, place->name};
}

static const char *
find_open(const char *at, const char *end)
{
    const char *found = at < end ? memmem(at, (size_t)(end - at), "{{", 2) : NULL;
    return found ? found : end;
}

static int
line_of(const char *at, struct slice text)
{
    int line = 1;
    for (const char *c = text.data; c < at; c++)
        line += *c == '\n';
    return line;
}

static int
parse(struct parser *p, struct slice text)
{
    struct template *t = p->t;
    while (p->at < p->end) {
        const char *open = find_open(p->at, p->end);
        if (open > p->at) {
            struct slice words = {p->at, (size_t)(open - p->at)};
            t->places[t->place_count++] = (struct place){.kind = PLACE_TEXT, .name = words};
        }
        if (open == p->end)
            return 0;
        struct place *place = &t->places[t->place_count++];
        p->at = open + 2;
        if (take_place(p, place) != 0) {
            int line = line_of(open, text);
            return line > 1 ? error_context(p->err, "%s: line %d of the template", t->where, line)
                            : error_context(p->err, "%s", t->where);
        }
        if (place->kind == PLACE_COLUMN)
            note_name(t, place);
    }
    return 0;
}

static size_t
count_opens(struct slice text)
{
    size_t count = 0;
    const char *end = text.data + text.size;
    for (const char *at = find_open(text.data, end); at < end; at = find_open(at + 2, end))
        count++;
    return count;
}

struct template *
template_compile(struct slice text, const char *where, struct error *err)
{
    if (text.size > TEMPLATE_BYTES) {
        error_set(err, ERROR_DATA, "%s: a template may have %d KiB, this one has %zu bytes", where,
                  TEMPLATE_BYTES / 1024, text.size);
        return NULL;
    }
    struct template *t = memory_zero(sizeof(*t));
    arena_init(&t->arena, 1024);
    t->where = arena_text(&t->arena, where);
    text = arena_slice(&t->arena, text);
    size_t opens = count_opens(text);
    t->places = arena_zero(&t->arena, (2 * opens + 1) * sizeof(*t->places));
    t->names = arena_zero(&t->arena, opens * sizeof(*t->names));
    struct parser p = {.t = t, .at = text.data, .end = text.data + text.size, .err = err};
    if (parse(&p, text) == 0)
        return t;
    template_free(t);
    return NULL;
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
template_needs_old(const struct template *t)
{
    for (size_t i = 0; i < t->name_count; i++) {
        if (t->names[i].row == TEMPLATE_OLD)
            return true;
    }
    return false;
}

static int
suggest_column(const struct schema *schema, struct slice name, struct error *err)
{
    struct slice near = schema_suggest(schema, name);
    if (slice_is(name, "column_name"))
        return error_hint(err, "put a column's name here");
    if (near.size > 0)
        return error_hint(err, "did you mean {{%.*s}}?", shown(near), near.data);
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
    error_set(err, ERROR_DATA, "%s: {{%.*s}}: table %s has no such column", t->where, shown(name),
              name.data, label);
    return suggest_column(schema, name, err);
}

int
template_no_column(const struct template *t, const struct place *place, const struct schema *schema,
                   struct error *err)
{
    return no_column(t, place->name, schema, err);
}

int
template_check(const struct template *t, const struct schema *schema, struct error *err)
{
    for (size_t i = 0; i < t->name_count; i++) {
        const struct template_name *n = &t->names[i];
        int column = schema_column(schema, n->name);
        if (column < 0)
            return no_column(t, n->name, schema, err);
        if (n->row == TEMPLATE_KEY && schema->columns[column].key == 0) {
            error_set(err, ERROR_DATA, "%s: {{key.%.*s}}: this column is not in the table's key",
                      t->where, shown(n->name), n->name.data);
            return error_hint(err, "write {{%.*s}}", shown(n->name), n->name.data);
        }
    }
    return 0;
}
