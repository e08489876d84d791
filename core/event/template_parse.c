/* A template's text into its compiled form. Every mistake that can be seen without a table is found
 * here, with the line it stands on. */
#include "base/clock.h"
#include "base/decimal.h"
#include "base/text.h"
#include "event/template_part.h"

struct parser {
    const struct template_source *source;
    struct template *t;
    struct slice text;
    const char *at, *end;
    size_t open[TEMPLATE_SECTIONS]; /* places of the sections around */
    size_t depth;
    size_t scope; /* as of struct place */
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

/* The bare name, or what stands behind "event.", where a path may follow. */
static bool
find_field(struct slice name, bool bare, struct subject *s)
{
    const char *dot = bare ? NULL : memchr(name.data, '.', name.size);
    struct slice first = {name.data, dot ? (size_t)(dot - name.data) : name.size};
    for (unsigned i = 0; i < template_field_count; i++) {
        const char *known = bare ? template_fields[i].builtin : template_fields[i].name;
        if (!known || !*known || !slice_is(first, known))
            continue;
        s->kind = SUBJECT_FIELD;
        s->field = i;
        s->path = dot ? (struct slice){dot + 1, name.size - first.size - 1} : (struct slice){0};
        return true;
    }
    return false;
}

static int
no_field(struct parser *p, struct slice name)
{
    error_set(p->err, ERROR_DATA, "an event has no \"%.*s\"", template_shown(name), name.data);
    const char *near =
        text_suggest(name, template_fields, template_field_count, sizeof(template_fields[0]));
    return near && *near ? error_hint(p->err, "did you mean event.%s?", near) : -1;
}

static int
no_param(struct parser *p, struct slice name)
{
    error_set(p->err, ERROR_REFUSED, "{{%.*s}}: parameters are not built yet", template_shown(name),
              name.data);
    return error_hint(p->err, "they come with packs; write the value itself");
}

static bool
within_changed(const struct parser *p)
{
    for (size_t i = 0; i < p->depth; i++)
        if (p->t->places[p->open[i]].kind == PLACE_CHANGED)
            return true;
    return false;
}

static bool
find_change(const struct parser *p, struct slice name, struct subject *s)
{
    static const char *const names[] = {
        [CHANGE_COLUMN] = "column", [CHANGE_OLD] = "old", [CHANGE_NEW] = "new"};
    for (size_t i = 0; i < countof(names) && within_changed(p); i++) {
        if (!slice_is(name, names[i]))
            continue;
        s->kind = SUBJECT_CHANGE;
        s->change = (enum subject_change)i;
        return true;
    }
    return false;
}

static int
take_element(struct parser *p, struct slice name, struct subject *s)
{
    s->kind = SUBJECT_ELEMENT;
    s->path = (struct slice){name.data + 1, name.size - 1};
    if (p->scope != TEMPLATE_NO_SCOPE)
        return 0;
    error_set(p->err, ERROR_DATA, "{{%.*s}} stands in no section", template_shown(name), name.data);
    return error_hint(p->err, "it is an entry of the list around: {{#items}}{{.}} {{/items}}");
}

static void
note_name(struct template *t, const struct subject *s)
{
    for (size_t i = 0; i < t->name_count; i++) {
        if (t->names[i].row == s->row && slice_equal(t->names[i].name, s->name))
            return;
    }
    ensure(t->name_count < t->name_room);
    t->names[t->name_count++] = (struct template_name){s->row, s->name};
}

static int
take_column(struct parser *p, struct slice name, struct subject *s)
{
    struct slice rest = name;
    s->kind = SUBJECT_COLUMN;
    s->row = TEMPLATE_ROW;
    s->scoped = p->scope != TEMPLATE_NO_SCOPE;
    for (size_t i = 0; i < countof(row_prefixes); i++) {
        if (cut_prefix(&rest, row_prefixes[i].prefix)) {
            s->row = row_prefixes[i].row;
            s->scoped = false;
            break;
        }
    }
    s->name = rest;
    if (rest.size == 0)
        return error_set(p->err, ERROR_DATA, "{{%.*s}} lacks a column's name", template_shown(name),
                         name.data);
    note_name(p->t, s);
    return 0;
}

/* What the name in a place means. */
static int
resolve(struct parser *p, struct slice name, struct subject *s)
{
    struct slice rest = name;
    *s = (struct subject){.name = name};
    if (*name.data == '.')
        return take_element(p, name, s);
    if (find_change(p, name, s))
        return 0;
    if (find_field(name, true, s)) {
        s->scoped = p->scope != TEMPLATE_NO_SCOPE;
        return 0;
    }
    if (cut_prefix(&rest, "event."))
        return find_field(rest, false, s) ? 0 : no_field(p, rest);
    if (cut_prefix(&rest, "param."))
        return no_param(p, name);
    return take_column(p, name, s);
}

/* The closing quote of the text that begins at `at`, or `end`. */
static const char *
find_quote(const char *at, const char *end)
{
    char quote = *at;
    for (at++; at < end && *at != quote; at++)
        at += *at == '\\' && at + 1 < end;
    return at;
}

/* A text in quotes, a backslash taking the next character as itself. */
static int
take_words(struct parser *p, struct cell *out)
{
    const char *close = find_quote(p->at, p->end);
    char *words = arena_alloc(&p->t->arena, (size_t)(close - p->at));
    size_t size = 0;
    if (close == p->end)
        return error_set(p->err, ERROR_DATA, "a text in brackets has no closing quote");
    for (p->at++; p->at < close; p->at++) {
        p->at += *p->at == '\\';
        words[size++] = *p->at;
    }
    p->at++;
    *out = (struct cell){.kind = CELL_TEXT, .text = {words, size}};
    return 0;
}

static int
take_number(struct parser *p, struct cell *out)
{
    const char *from = p->at;
    int64_t integer;
    double real;
    while (p->at < p->end && memchr("+-.0123456789", *p->at, 13))
        p->at++;
    struct slice text = {from, (size_t)(p->at - from)};
    int form = decimal_classify(text, &integer, &real);
    if (form == 0)
        return error_set(p->err, ERROR_DATA, "\"%.*s\" is no number", template_shown(text), from);
    *out = form == 1 ? (struct cell){.kind = CELL_INT, .integer = integer}
                     : (struct cell){.kind = CELL_DECIMAL, .text = text};
    return 0;
}

static int
take_argument(struct parser *p, struct argument *a)
{
    skip_space(p);
    if (p->at < p->end && (*p->at == '"' || *p->at == '\''))
        return take_words(p, &a->cell);
    if (p->at < p->end && memchr("+-0123456789", *p->at, 12))
        return take_number(p, &a->cell);
    const char *from = p->at;
    while (p->at < p->end && !memchr(",()|{}\"'\r\n", *p->at, 10))
        p->at++;
    struct slice name = text_trim((struct slice){from, (size_t)(p->at - from)});
    if (name.size == 0)
        return error_set(p->err, ERROR_DATA, "nothing stands in brackets where something should");
    struct subject *s = arena_alloc(&p->t->arena, sizeof(*s));
    a->subject = s;
    return resolve(p, name, s);
}

/* From behind the opening bracket, or a single literal without brackets. */
static int
take_arguments(struct parser *p, struct filter_use *use)
{
    skip_space(p);
    bool open = next_is(p, "(");
    if (!open && (p->at == p->end || !memchr("\"'0123456789", *p->at, 12)))
        return 0;
    use->arguments = arena_zero(&p->t->arena, TEMPLATE_ARGUMENTS * sizeof(*use->arguments));
    for (p->at += open;; p->at++) {
        if (use->argument_count == TEMPLATE_ARGUMENTS)
            return error_set(p->err, ERROR_DATA, "%.*s: at most %d values in brackets",
                             template_shown(use->name), use->name.data, TEMPLATE_ARGUMENTS);
        skip_space(p);
        if (open && use->argument_count == 0 && next_is(p, ")"))
            break;
        if (take_argument(p, &use->arguments[use->argument_count++]) != 0)
            return -1;
        skip_space(p);
        if (!open || !next_is(p, ","))
            break;
    }
    if (open && !next_is(p, ")"))
        return error_set(p->err, ERROR_DATA, "%.*s lacks its closing bracket",
                         template_shown(use->name), use->name.data);
    p->at += open;
    return 0;
}

static bool
fits(const struct filter *filter, char letter, const struct argument *a)
{
    if (letter == 'n')
        return !a->subject && a->cell.kind == CELL_INT && a->cell.integer >= 0 &&
               a->cell.integer <= filter->most;
    if (letter == 'f')
        return !a->subject && a->cell.kind == CELL_TEXT;
    return letter == 'v' || a->subject || a->cell.kind == CELL_TEXT;
}

static int
wrong_arguments(struct parser *p, const struct filter *filter)
{
    if (!*filter->takes)
        return error_set(p->err, ERROR_DATA, "%s takes nothing in brackets", filter->name);
    error_set(p->err, ERROR_DATA, "%s does not take that in brackets", filter->name);
    if (strchr(filter->takes, 'n'))
        return error_hint(p->err, "such as %s, with a number from 0 to %d", filter->usage,
                          filter->most);
    return error_hint(p->err, "such as %s", filter->usage);
}

static int
check_format(struct parser *p, const struct filter *filter, struct slice format)
{
    struct buffer scratch;
    buffer_init(&scratch, TEMPLATE_BYTES * 16);
    int result = clock_print(0, format, &scratch, p->err);
    if (result == 0 && scratch.failed)
        result = error_set(p->err, ERROR_DATA, "a format that is too long");
    buffer_release(&scratch);
    return result == 0 ? 0 : error_context(p->err, "%s", filter->name);
}

static int
check_arguments(struct parser *p, const struct filter *filter, const struct filter_use *use)
{
    size_t count = 0;
    bool optional = false;
    for (const char *letter = filter->takes; *letter; letter++) {
        if (*letter == '?') {
            optional = true;
            continue;
        }
        if (count == use->argument_count)
            return optional ? 0 : wrong_arguments(p, filter);
        const struct argument *a = &use->arguments[count++];
        if (!fits(filter, *letter, a))
            return wrong_arguments(p, filter);
        if (*letter == 'f' && check_format(p, filter, a->cell.text) != 0)
            return -1;
    }
    return count == use->argument_count ? 0 : wrong_arguments(p, filter);
}

static int
check_order(struct parser *p, const struct filter *before, const struct filter_use *use)
{
    bool escapes = use->filter && use->filter->escapes;
    if (before && (before->last || (before->escapes && !escapes)))
        return error_set(p->err, ERROR_DATA,
                         "%s cannot follow %s: it would take apart what that made",
                         use->filter ? use->filter->name : "a script's filter", before->name);
    return 0;
}

static int
take_filter(struct parser *p, struct filter_use *use)
{
    const struct template_host *host = p->source->host;
    skip_space(p);
    const char *from = p->at;
    while (p->at < p->end && !memchr(" \t\r\n|(){}\"',", *p->at, 12))
        p->at++;
    use->name = (struct slice){from, (size_t)(p->at - from)};
    use->filter = template_filter(use->name);
    if (!use->filter && host)
        use->custom = host->find(host->context, p->source->script, use->name);
    if (!use->filter && !use->custom)
        return template_no_filter(use->name, host != NULL, p->err);
    if (take_arguments(p, use) != 0)
        return -1;
    return use->filter ? check_arguments(p, use->filter, use) : 0;
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
        if (place->filter_count == TEMPLATE_FILTERS)
            return error_set(p->err, ERROR_DATA, "a place may have %d filters", TEMPLATE_FILTERS);
        if (!place->filters)
            place->filters = arena_zero(&p->t->arena, TEMPLATE_FILTERS * sizeof(*place->filters));
        p->at++;
        struct filter_use *use = &place->filters[place->filter_count++];
        if (take_filter(p, use) != 0 ||
            check_order(p, place->filter_count > 1 ? use[-1].filter : NULL, use) != 0)
            return -1;
    }
}

static int
take_name(struct parser *p, struct slice *name)
{
    const char *from = p->at;
    while (p->at < p->end && !memchr("|{}\r\n", *p->at, 5))
        p->at++;
    *name = text_trim((struct slice){from, (size_t)(p->at - from)});
    skip_space(p);
    if (!next_is(p, "}}") && !next_is(p, "|"))
        return error_set(p->err, ERROR_DATA, "the place {{%.*s lacks its closing }}",
                         template_shown(*name), name->data);
    return name->size ? 0 : error_set(p->err, ERROR_DATA, "a place {{}} lacks a name");
}

static int
take_value(struct parser *p, struct place *place)
{
    struct slice name;
    place->kind = PLACE_VALUE;
    if (take_name(p, &name) != 0 || resolve(p, name, &place->subject) != 0 ||
        take_filters(p, place) != 0)
        return -1;
    p->at += 2;
    return 0;
}

/* Behind {{# or {{^. */
static int
open_section(struct parser *p, struct place *place, bool inverted)
{
    struct slice name;
    if (take_name(p, &name) != 0)
        return -1;
    if (!next_is(p, "}}"))
        return error_set(p->err, ERROR_DATA, "{{#%.*s: a section has no filters",
                         template_shown(name), name.data);
    if (slice_is(name, "events"))
        return error_set(p->err, ERROR_REFUSED,
                         "{{#events}}: digests, which have it, are not built yet");
    if (p->depth == TEMPLATE_SECTIONS)
        return error_set(p->err, ERROR_DATA, "sections may stand %d deep in each other",
                         TEMPLATE_SECTIONS);
    place->kind = slice_is(name, "changed") ? PLACE_CHANGED : PLACE_SECTION;
    place->inverted = inverted;
    place->text = name;
    p->t->lists_changes |= place->kind == PLACE_CHANGED;
    if (place->kind == PLACE_SECTION && resolve(p, name, &place->subject) != 0)
        return -1;
    size_t index = (size_t)(place - p->t->places);
    p->open[p->depth++] = index;
    if (place->kind == PLACE_SECTION && !inverted)
        p->scope = index;
    p->at += 2;
    return 0;
}

static int
close_section(struct parser *p, struct place *place)
{
    struct slice name;
    if (take_name(p, &name) != 0)
        return -1;
    if (!next_is(p, "}}"))
        return error_set(p->err, ERROR_DATA, "a closing {{/%.*s}} has no filters",
                         template_shown(name), name.data);
    if (p->depth == 0)
        return error_set(p->err, ERROR_DATA, "{{/%.*s}} closes no section", template_shown(name),
                         name.data);
    size_t start = p->open[p->depth - 1];
    struct place *section = &p->t->places[start];
    if (!slice_equal(section->text, name)) {
        error_set(p->err, ERROR_DATA, "{{/%.*s}} does not close {{%c%.*s}}", template_shown(name),
                  name.data, section->inverted ? '^' : '#', template_shown(section->text),
                  section->text.data);
        return error_hint(p->err, "write {{/%.*s}}", template_shown(section->text),
                          section->text.data);
    }
    p->depth--;
    p->scope = section->scope;
    place->kind = PLACE_END;
    place->other = start;
    place->scope = section->scope;
    section->other = (size_t)(place - p->t->places);
    p->at += 2;
    return 0;
}

/* After `{{`, up to and with `}}`. */
static int
take_place(struct parser *p, struct place *place)
{
    place->scope = p->scope;
    skip_space(p);
    if (next_is(p, "#") || next_is(p, "^"))
        return open_section(p, place, *p->at++ == '^');
    if (!next_is(p, "/"))
        return take_value(p, place);
    p->at++;
    return close_section(p, place);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* A section's mark alone on its line takes the line with it: blanks before it, and what follows up
 * to the line's end. `open` is where the mark begins; `words` is the text before it. */
static void
drop_line(struct parser *p, const char *open, struct place *words)
{
    const char *before = open, *behind = p->at;
    while (before > p->text.data && is_blank(before[-1]))
        before--;
    while (behind < p->end && is_blank(*behind))
        behind++;
    if ((before > p->text.data && before[-1] != '\n') || (behind < p->end && *behind != '\n'))
        return;
    if (before < open)
        words->text.size -= (size_t)(open - before);
    p->at = behind < p->end ? behind + 1 : behind;
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
parse_error(struct parser *p, const char *at)
{
    int line = line_of(at, p->text);
    const char *where = p->t->where;
    return line > 1 ? error_context(p->err, "%s: line %d of the template", where, line)
                    : error_context(p->err, "%s", where);
}

static const char *
find_open(const char *at, const char *end)
{
    const char *found = at < end ? memmem(at, (size_t)(end - at), "{{", 2) : NULL;
    return found ? found : end;
}

static int
parse_all(struct parser *p)
{
    struct template *t = p->t;
    while (p->at < p->end) {
        const char *open = find_open(p->at, p->end);
        struct place *words = &t->places[t->place_count++];
        *words = (struct place){.kind = PLACE_TEXT, .text = {p->at, (size_t)(open - p->at)}};
        if (open == p->end)
            return 0;
        struct place *place = &t->places[t->place_count++];
        p->at = open + 2;
        if (take_place(p, place) != 0)
            return parse_error(p, open);
        if (place->kind != PLACE_VALUE)
            drop_line(p, open, words);
    }
    return 0;
}

static int
check_closed(struct parser *p)
{
    if (p->depth == 0)
        return 0;
    const struct place *section = &p->t->places[p->open[p->depth - 1]];
    struct slice name = section->text;
    error_set(p->err, ERROR_DATA, "{{%c%.*s}} is not closed", section->inverted ? '^' : '#',
              template_shown(name), name.data);
    error_hint(p->err, "it ends at {{/%.*s}}", template_shown(name), name.data);
    return parse_error(p, name.data);
}

static size_t
count_of(struct slice text, const char *sign)
{
    size_t count = 0, size = strlen(sign);
    const char *end = text.data + text.size;
    for (const char *at = text.data; at < end; at += size, count++)
        if (!(at = memmem(at, (size_t)(end - at), sign, size)))
            break;
    return count;
}

int
template_parse(struct template *t, const struct template_source *source, struct slice text,
               struct error *err)
{
    size_t opens = count_of(text, "{{");
    struct parser p = {.source = source,
                       .t = t,
                       .text = text,
                       .at = text.data,
                       .end = text.data + text.size,
                       .scope = TEMPLATE_NO_SCOPE,
                       .err = err};
    t->name_room = opens + count_of(text, "(") + count_of(text, ",");
    t->places = arena_zero(&t->arena, (2 * opens + 1) * sizeof(*t->places));
    t->names = arena_zero(&t->arena, t->name_room * sizeof(*t->names));
    return parse_all(&p) == 0 ? check_closed(&p) : -1;
}
