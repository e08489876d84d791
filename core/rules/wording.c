#include "rules/wording_part.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "event/template.h"

static const struct wording_row rows[] = {
    {"text", IN_MESSAGE | IS_BODY, TEMPLATE_PLAIN},
    {"body", IN_MESSAGE | IS_BODY, TEMPLATE_PLAIN},
    {"html", IN_MESSAGE, TEMPLATE_HTML},
    {"title", IN_MESSAGE | IN_OPTIONS | IN_SEND, TEMPLATE_LINE},
    {"subject", IN_MESSAGE | IN_OPTIONS | IN_SEND, TEMPLATE_LINE},
    {"key", IN_MESSAGE | IN_OPTIONS | IN_SEND, TEMPLATE_DATA},
    {"topic", IN_MESSAGE | IN_OPTIONS | IN_SEND, TEMPLATE_DATA},
    {"headers", IN_MESSAGE | IN_OPTIONS | IN_SEND | IS_HEADERS, TEMPLATE_DATA},
    {"format", IN_OPTIONS | IN_SEND | IS_SHAPE, TEMPLATE_DATA},
    {"columns", IN_OPTIONS | IN_SEND | IS_SHAPE, TEMPLATE_DATA},
};

const struct wording_row *
wording_row(struct slice name, unsigned place, const char *what, struct error *err)
{
    const char *names[countof(rows)];
    size_t count = 0;
    for (size_t i = 0; i < countof(rows); i++) {
        if (!(rows[i].flags & place))
            continue;
        if (slice_is(name, rows[i].name))
            return &rows[i];
        names[count++] = rows[i].name;
    }
    const char *near = text_suggest(name, names, count, sizeof(names[0]));
    error_set(err, ERROR_DATA, "%s has no field \"%.*s\"", what, (int)name.size, name.data);
    if (near)
        error_hint(err, "did you mean \"%s\"?", near);
    return NULL;
}

static struct template *
compile_text(const struct value *v, const char *what, const struct wording_home *home,
             struct error *err)
{
    struct template_source source = {v->text, what, home->script, home->host};
    if (v->kind == VALUE_TEXT)
        return template_compile_for(&source, err);
    error_set(err, ERROR_DATA, "%s: a template is a text, not a %s", what,
              value_kind_name(v->kind));
    return NULL;
}

static int
add_headers(const struct value *v, const struct wording_home *home, struct wording *out,
            struct error *err)
{
    if (v->kind != VALUE_MAP)
        return error_set(err, ERROR_DATA, "headers is a table of names and templates, not a %s",
                         value_kind_name(v->kind));
    if (out->headers)
        return error_set(err, ERROR_DATA, "headers stands in message and in options");
    out->headers = arena_zero(home->arena, (v->count + 1) * sizeof(*out->headers));
    for (size_t i = 0; i < v->count; i++) {
        const char *name = arena_slice(home->arena, v->pairs[i].key).data;
        struct template *template = compile_text(&v->pairs[i].value, name, home, err);
        if (!template)
            return error_context(err, "headers");
        out->headers[out->header_count++] = (struct wording_field){name, template, TEMPLATE_DATA};
    }
    return 0;
}

static int
set_columns(const struct value *v, const struct wording_home *home, struct wording *out,
            struct error *err)
{
    size_t n = v->kind == VALUE_LIST ? v->count : 1;
    const struct value *items = v->kind == VALUE_LIST ? v->items : v;
    const char **columns = arena_alloc(home->arena, (n + 1) * sizeof(*columns));
    for (size_t i = 0; i < n; i++) {
        if (items[i].kind != VALUE_TEXT)
            return error_set(err, ERROR_DATA, "columns is a list of texts");
        columns[i] = arena_slice(home->arena, items[i].text).data;
    }
    out->columns = columns;
    out->column_count = n;
    return 0;
}

int
wording_format(struct slice name, struct error *err)
{
    size_t count = 0;
    for (; event_format_names[count]; count++)
        if (slice_is(name, event_format_names[count]))
            return (int)count;
    const char *near = text_suggest(name, event_format_names, count, sizeof(char *));
    error_set(err, ERROR_DATA, "\"%.*s\" is no format that an event can have", (int)name.size,
              name.data);
    return near ? error_hint(err, "did you mean \"%s\"?", near) : -1;
}

static int
set_shape(const char *name, const struct value *v, const struct wording_home *home,
          struct wording *out, struct error *err)
{
    if (strcmp(name, "columns") == 0)
        return set_columns(v, home, out, err);
    if (v->kind != VALUE_TEXT)
        return error_set(err, ERROR_DATA, "format is a text, not a %s", value_kind_name(v->kind));
    out->format = arena_slice(home->arena, v->text).data;
    return wording_format(v->text, err) < 0 ? -1 : 0;
}

static int
add_field(const struct wording_row *row, const struct value *v, const struct wording_home *home,
          struct wording *out, struct error *err)
{
    const char *name = row->name;
    for (size_t i = 0; i < out->field_count; i++)
        if (strcmp(out->fields[i].name, name) == 0)
            return error_set(err, ERROR_DATA, "%s stands in message and in options", name);
    struct template *template = compile_text(v, name, home, err);
    if (!template)
        return -1;
    out->fields[out->field_count++] = (struct wording_field){name, template, row->escape};
    return 0;
}

static int
add_one(const struct value_pair *pair, unsigned place, const struct wording_home *home,
        struct wording *out, struct error *err)
{
    const char *what = place == IN_MESSAGE ? "message" : "options";
    const struct wording_row *row = wording_row(pair->key, place, what, err);
    if (!row)
        return -1;
    if (row->flags & IS_HEADERS)
        return add_headers(&pair->value, home, out, err);
    if (row->flags & IS_SHAPE)
        return set_shape(row->name, &pair->value, home, out, err);
    if (!(row->flags & IS_BODY))
        return add_field(row, &pair->value, home, out, err);
    if (out->body)
        return error_set(err, ERROR_DATA, "message has both text and body");
    out->body = compile_text(&pair->value, row->name, home, err);
    return out->body ? 0 : -1;
}

static int
compile_table(const struct value *message, const struct wording_home *home, struct wording *out,
              struct error *err)
{
    for (size_t i = 0; i < message->count; i++)
        if (add_one(&message->pairs[i], IN_MESSAGE, home, out, err) != 0)
            return -1;
    if (out->body)
        return 0;
    error_set(err, ERROR_DATA, "message has no text");
    return error_hint(err, "message = { text = \"…\", subject = \"…\" }");
}

static int compile_whole(const struct value *message, const struct value *options,
                         const struct wording_home *home, struct wording *out, struct error *err);

/* { by = { ops = …, email = …, default = … } } */
static int
compile_choices(const struct value *message, const struct value *options,
                const struct wording_home *home, struct wording *out, struct error *err)
{
    const struct value *by = value_get(message, "by");
    if (message->count > 1)
        return error_set(err, ERROR_DATA, "by stands alone: put the other fields into its entries");
    if (by->kind != VALUE_MAP || by->count == 0) {
        error_set(err, ERROR_DATA, "by is a table of channels and what each is sent");
        return error_hint(err, "message = { by = { ops = \"…\", default = \"…\" } }");
    }
    out->kind = WORDING_BY;
    out->choices = arena_zero(home->arena, by->count * sizeof(*out->choices));
    for (size_t i = 0; i < by->count; i++) {
        const struct value *v = &by->pairs[i].value;
        struct wording_choice *choice = &out->choices[out->choice_count++];
        choice->name = arena_slice(home->arena, by->pairs[i].key);
        choice->wording = arena_zero(home->arena, sizeof(*choice->wording));
        if (value_get(v, "by"))
            return error_set(err, ERROR_DATA, "by.%s: a by in a by", choice->name.data);
        if (compile_whole(v, options, home, choice->wording, err) != 0)
            return error_context(err, "by.%s", choice->name.data);
    }
    return 0;
}

static int
compile_message(const struct value *message, const struct wording_home *home, struct wording *out,
                struct error *err)
{
    if (!message)
        return 0;
    out->kind = WORDING_TEXT;
    switch (message->kind) {
    case VALUE_TEXT:
        out->body = compile_text(message, "template", home, err);
        return out->body ? 0 : -1;
    case VALUE_MAP:
        return compile_table(message, home, out, err);
    case VALUE_FUNCTION:
        out->kind = WORDING_FUNCTION;
        out->function = message;
        return 0;
    default:
        return error_set(err, ERROR_DATA,
                         "a template, a table of templates or a function belongs here, not a %s",
                         value_kind_name(message->kind));
    }
}

static int
compile_whole(const struct value *message, const struct value *options,
              const struct wording_home *home, struct wording *out, struct error *err)
{
    *out = (struct wording){.kind = WORDING_EVENT};
    out->fields = arena_zero(home->arena, countof(rows) * sizeof(*out->fields));
    int result = message && value_get(message, "by")
                     ? compile_choices(message, options, home, out, err)
                     : compile_message(message, home, out, err);
    if (result != 0)
        return -1;
    if (!options)
        return 0;
    if (options->kind != VALUE_MAP)
        return error_set(err, ERROR_DATA, "options is a table of templates, not a %s",
                         value_kind_name(options->kind));
    for (size_t i = 0; i < options->count; i++)
        if (add_one(&options->pairs[i], IN_OPTIONS, home, out, err) != 0)
            return error_context(err, "options");
    return 0;
}

int
wording_compile(const struct value *message, const struct value *options,
                const struct wording_home *home, struct wording *out, struct error *err)
{
    if (compile_whole(message, options, home, out, err) != 0)
        return message ? error_context(err, "message") : -1;
    if ((out->format || out->columns) && out->kind == WORDING_TEXT)
        return error_set(err, ERROR_DATA,
                         "options: format and columns go with an event, and message is a text");
    return 0;
}

const struct wording *
wording_for(struct wording *w, struct slice channel, const char *type, struct error *err)
{
    const struct slice names[] = {channel, slice_of(type), slice_literal("default")};
    if (w->kind != WORDING_BY)
        return w;
    for (size_t k = 0; k < countof(names); k++)
        for (size_t i = 0; i < w->choice_count; i++)
            if (slice_equal(w->choices[i].name, names[k])) {
                w->choices[i].used = true;
                return w->choices[i].wording;
            }
    error_set(err, ERROR_DATA, "message: by says nothing for channel \"%.*s\"", (int)channel.size,
              channel.data);
    error_hint(err, "add %.*s = …, or default = …; function(e) return e end sends the event itself",
               (int)channel.size, channel.data);
    return NULL;
}

int
wording_check_choices(const struct wording *w, struct error *err)
{
    for (size_t i = 0; i < w->choice_count; i++) {
        if (w->choices[i].used || slice_is(w->choices[i].name, "default"))
            continue;
        error_set(err, ERROR_DATA,
                  "message: by.%s is neither a channel of notify nor the type of one",
                  w->choices[i].name.data);
        return error_hint(err, "its names are those of notify, channel types, and default");
    }
    return 0;
}

void
wording_release(struct wording *w)
{
    for (size_t i = 0; i < w->choice_count; i++)
        if (w->choices[i].wording)
            wording_release(w->choices[i].wording);
    w->choice_count = 0;
    template_free(w->body);
    for (size_t i = 0; i < w->field_count; i++)
        template_free(w->fields[i].template);
    for (size_t i = 0; i < w->header_count; i++)
        template_free(w->headers[i].template);
    w->body = NULL;
    w->field_count = w->header_count = 0;
}

static int
check_fields(const struct wording_field *list, size_t count, const struct schema *schema,
             struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (template_check(list[i].template, schema, err) != 0)
            return -1;
    return 0;
}

int
wording_check(const struct wording *w, const struct schema *schema, struct error *err)
{
    if (w->body && template_check(w->body, schema, err) != 0)
        return error_context(err, "message");
    for (size_t i = 0; i < w->choice_count; i++)
        if (wording_check(w->choices[i].wording, schema, err) != 0)
            return error_context(err, "by.%s", w->choices[i].name.data);
    if (check_fields(w->fields, w->field_count, schema, err) != 0)
        return -1;
    return check_fields(w->headers, w->header_count, schema, err);
}

uint64_t
wording_key_hash(struct slice key)
{
    uint64_t hash = hash64(key.data, key.size);
    return hash ? hash : 1;
}

/* `"name":"rendered"`; the rendered text stays in `scratch`. */
static int
render_field(const struct wording_field *field, const struct template_call *call,
             struct buffer *scratch, struct buffer *out, struct error *err)
{
    struct template_call own = *call;
    own.escape = (enum template_escape)field->escape;
    buffer_reset(scratch);
    if (template_render(field->template, &own, scratch, err) != 0)
        return -1;
    json_key(out, field->name);
    json_string(out, buffer_view(scratch));
    return 0;
}

static int
render_headers(const struct wording *w, const struct template_call *call, struct buffer *scratch,
               struct buffer *out, struct error *err)
{
    if (!w->header_count)
        return 0;
    json_key(out, "headers");
    buffer_byte(out, '{');
    for (size_t i = 0; i < w->header_count; i++)
        if (render_field(&w->headers[i], call, scratch, out, err) != 0)
            return error_context(err, "headers");
    buffer_byte(out, '}');
    return 0;
}

static int
render_options(const struct wording *w, const struct template_call *call, struct buffer *out,
               uint64_t *key_hash, struct error *err)
{
    struct buffer scratch;
    int result = 0;
    buffer_init(&scratch, 1 << 20);
    buffer_byte(out, '{');
    for (size_t i = 0; i < w->field_count && result == 0; i++) {
        result = render_field(&w->fields[i], call, &scratch, out, err);
        if (result == 0 && strcmp(w->fields[i].name, "key") == 0)
            *key_hash = wording_key_hash(buffer_view(&scratch));
    }
    if (result == 0)
        result = render_headers(w, call, &scratch, out, err);
    buffer_byte(out, '}');
    if (result == 0 && out->failed)
        result = error_set(err, ERROR_DATA, "the options of a message are larger than 1 MiB");
    buffer_release(&scratch);
    return result;
}

int
wording_render(const struct wording *w, const struct template_call *call, struct buffer *body,
               struct buffer *options, uint64_t *key_hash, struct error *err)
{
    if (w->body && template_render(w->body, call, body, err) != 0)
        return -1;
    if (!w->field_count && !w->header_count)
        return 0;
    return render_options(w, call, options, key_hash, err);
}
