#include "rules/wording.h"
#include <inttypes.h>
#include <stdio.h>
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "event/template.h"

/* The fields of a message and of options. Which may stand where, and which are no templates. */
enum { IN_MESSAGE = 1, IN_OPTIONS = 2, IN_SEND = 4, IS_BODY = 8, IS_SHAPE = 16, IS_HEADERS = 32 };

static const struct {
    const char *name;
    unsigned flags;
} fields[] = {
    {"text", IN_MESSAGE | IS_BODY},
    {"body", IN_MESSAGE | IS_BODY},
    {"html", IN_MESSAGE},
    {"title", IN_MESSAGE | IN_OPTIONS | IN_SEND},
    {"subject", IN_MESSAGE | IN_OPTIONS | IN_SEND},
    {"key", IN_MESSAGE | IN_OPTIONS | IN_SEND},
    {"topic", IN_MESSAGE | IN_OPTIONS | IN_SEND},
    {"headers", IN_MESSAGE | IN_OPTIONS | IN_SEND | IS_HEADERS},
    {"format", IN_OPTIONS | IN_SEND | IS_SHAPE},
    {"columns", IN_OPTIONS | IN_SEND | IS_SHAPE},
};

/* The row of that name which may stand there, or -1 with err. */
static int
find_field(struct slice name, unsigned place, const char *what, struct error *err)
{
    const char *names[countof(fields)];
    size_t count = 0;
    for (size_t i = 0; i < countof(fields); i++) {
        if (!(fields[i].flags & place))
            continue;
        if (slice_is(name, fields[i].name))
            return (int)i;
        names[count++] = fields[i].name;
    }
    const char *near = text_suggest(name, names, count, sizeof(names[0]));
    error_set(err, ERROR_DATA, "%s has no field \"%.*s\"", what, (int)name.size, name.data);
    return near ? error_hint(err, "did you mean \"%s\"?", near) : -1;
}

static struct template *
compile_text(const struct value *v, const char *what, struct error *err)
{
    if (v->kind == VALUE_TEXT)
        return template_compile(v->text, what, err);
    error_set(err, ERROR_DATA, "%s: a template is a text, not a %s", what,
              value_kind_name(v->kind));
    return NULL;
}

static int
add_headers(const struct value *v, struct arena *arena, struct wording *out, struct error *err)
{
    if (v->kind != VALUE_MAP)
        return error_set(err, ERROR_DATA, "headers is a table of names and templates, not a %s",
                         value_kind_name(v->kind));
    if (out->headers)
        return error_set(err, ERROR_DATA, "headers stands in message and in options");
    out->headers = arena_zero(arena, (v->count + 1) * sizeof(*out->headers));
    for (size_t i = 0; i < v->count; i++) {
        const char *name = arena_slice(arena, v->pairs[i].key).data;
        struct template *template = compile_text(&v->pairs[i].value, name, err);
        if (!template)
            return error_context(err, "headers");
        out->headers[out->header_count++] = (struct wording_field){name, template};
    }
    return 0;
}

static int
set_columns(const struct value *v, struct arena *arena, struct wording *out, struct error *err)
{
    size_t n = v->kind == VALUE_LIST ? v->count : 1;
    const struct value *items = v->kind == VALUE_LIST ? v->items : v;
    const char **columns = arena_alloc(arena, (n + 1) * sizeof(*columns));
    for (size_t i = 0; i < n; i++) {
        if (items[i].kind != VALUE_TEXT)
            return error_set(err, ERROR_DATA, "columns is a list of texts");
        columns[i] = arena_slice(arena, items[i].text).data;
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
set_shape(const char *name, const struct value *v, struct arena *arena, struct wording *out,
          struct error *err)
{
    if (strcmp(name, "columns") == 0)
        return set_columns(v, arena, out, err);
    if (v->kind != VALUE_TEXT)
        return error_set(err, ERROR_DATA, "format is a text, not a %s", value_kind_name(v->kind));
    out->format = arena_slice(arena, v->text).data;
    return wording_format(v->text, err) < 0 ? -1 : 0;
}

static int
add_field(const char *name, const struct value *v, struct wording *out, struct error *err)
{
    for (size_t i = 0; i < out->field_count; i++)
        if (strcmp(out->fields[i].name, name) == 0)
            return error_set(err, ERROR_DATA, "%s stands in message and in options", name);
    struct template *template = compile_text(v, name, err);
    if (!template)
        return -1;
    out->fields[out->field_count++] = (struct wording_field){name, template};
    return 0;
}

static int
add_one(const struct value_pair *pair, unsigned place, struct arena *arena, struct wording *out,
        struct error *err)
{
    const char *what = place == IN_MESSAGE ? "message" : "options";
    int row = find_field(pair->key, place, what, err);
    if (row < 0)
        return -1;
    if (fields[row].flags & IS_HEADERS)
        return add_headers(&pair->value, arena, out, err);
    if (fields[row].flags & IS_SHAPE)
        return set_shape(fields[row].name, &pair->value, arena, out, err);
    if (!(fields[row].flags & IS_BODY))
        return add_field(fields[row].name, &pair->value, out, err);
    if (out->body)
        return error_set(err, ERROR_DATA, "message has both text and body");
    out->body = compile_text(&pair->value, fields[row].name, err);
    return out->body ? 0 : -1;
}

static int
compile_table(const struct value *message, struct arena *arena, struct wording *out,
              struct error *err)
{
    if (value_get(message, "by"))
        return error_set(err, ERROR_REFUSED, "a message by channel ({ by = … }) is not built yet");
    for (size_t i = 0; i < message->count; i++)
        if (add_one(&message->pairs[i], IN_MESSAGE, arena, out, err) != 0)
            return -1;
    if (out->body)
        return 0;
    error_set(err, ERROR_DATA, "message has no text");
    return error_hint(err, "message = { text = \"…\", subject = \"…\" }");
}

static int
compile_message(const struct value *message, struct arena *arena, struct wording *out,
                struct error *err)
{
    if (!message)
        return 0;
    out->kind = WORDING_TEXT;
    switch (message->kind) {
    case VALUE_TEXT:
        out->body = compile_text(message, "template", err);
        return out->body ? 0 : -1;
    case VALUE_MAP:
        return compile_table(message, arena, out, err);
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

int
wording_compile(const struct value *message, const struct value *options, struct arena *arena,
                struct wording *out, struct error *err)
{
    *out = (struct wording){.kind = WORDING_EVENT};
    out->fields = arena_zero(arena, countof(fields) * sizeof(*out->fields));
    if (compile_message(message, arena, out, err) != 0)
        return error_context(err, "message");
    if (!options)
        return 0;
    if (options->kind != VALUE_MAP)
        return error_set(err, ERROR_DATA, "options is a table of templates, not a %s",
                         value_kind_name(options->kind));
    for (size_t i = 0; i < options->count; i++)
        if (add_one(&options->pairs[i], IN_OPTIONS, arena, out, err) != 0)
            return error_context(err, "options");
    if ((out->format || out->columns) && out->kind == WORDING_TEXT)
        return error_set(err, ERROR_DATA,
                         "options: format and columns go with an event, and message is a text");
    return 0;
}

void
wording_release(struct wording *w)
{
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
render_field(const struct wording_field *field, struct event *e, struct buffer *scratch,
             struct buffer *out, struct error *err)
{
    buffer_reset(scratch);
    if (template_render(field->template, e, TEMPLATE_PLAIN, scratch, err) != 0)
        return -1;
    json_key(out, field->name);
    json_string(out, buffer_view(scratch));
    return 0;
}

static int
render_headers(const struct wording *w, struct event *e, struct buffer *scratch, struct buffer *out,
               struct error *err)
{
    if (!w->header_count)
        return 0;
    json_key(out, "headers");
    buffer_byte(out, '{');
    for (size_t i = 0; i < w->header_count; i++)
        if (render_field(&w->headers[i], e, scratch, out, err) != 0)
            return error_context(err, "headers");
    buffer_byte(out, '}');
    return 0;
}

static int
render_options(const struct wording *w, struct event *e, struct buffer *out, uint64_t *key_hash,
               struct error *err)
{
    struct buffer scratch;
    int result = 0;
    buffer_init(&scratch, 1 << 20);
    buffer_byte(out, '{');
    for (size_t i = 0; i < w->field_count && result == 0; i++) {
        result = render_field(&w->fields[i], e, &scratch, out, err);
        if (result == 0 && strcmp(w->fields[i].name, "key") == 0)
            *key_hash = wording_key_hash(buffer_view(&scratch));
    }
    if (result == 0)
        result = render_headers(w, e, &scratch, out, err);
    buffer_byte(out, '}');
    if (result == 0 && out->failed)
        result = error_set(err, ERROR_DATA, "the options of a message are larger than 1 MiB");
    buffer_release(&scratch);
    return result;
}

int
wording_render(const struct wording *w, struct event *e, struct buffer *body,
               struct buffer *options, uint64_t *key_hash, struct error *err)
{
    if (w->body && template_render(w->body, e, TEMPLATE_PLAIN, body, err) != 0)
        return -1;
    if (!w->field_count && !w->header_count)
        return 0;
    return render_options(w, e, options, key_hash, err);
}

static bool
is_scalar(const struct value *v)
{
    return v->kind == VALUE_TEXT || v->kind == VALUE_INT || v->kind == VALUE_FLOAT ||
           v->kind == VALUE_DECIMAL || v->kind == VALUE_BOOL;
}

/* Texts and numbers become texts, so that every driver finds one kind of value. */
static void
put_scalar(struct buffer *out, const char *name, const struct value *v, struct buffer *scratch)
{
    buffer_reset(scratch);
    if (v->kind == VALUE_TEXT)
        buffer_slice(scratch, v->text);
    else
        json_value(scratch, v);
    json_key(out, name);
    json_string(out, buffer_view(scratch));
}

static int
put_headers(struct buffer *out, const struct value *v, struct buffer *scratch, struct error *err)
{
    if (v->kind != VALUE_MAP)
        return error_set(err, ERROR_DATA, "headers is a table of names and texts, not a %s",
                         value_kind_name(v->kind));
    json_key(out, "headers");
    buffer_byte(out, '{');
    for (size_t i = 0; i < v->count; i++) {
        if (!is_scalar(&v->pairs[i].value))
            return error_set(err, ERROR_DATA, "headers: \"%s\" is a text, not a %s",
                             v->pairs[i].key.data, value_kind_name(v->pairs[i].value.kind));
        put_scalar(out, v->pairs[i].key.data, &v->pairs[i].value, scratch);
    }
    buffer_byte(out, '}');
    return 0;
}

static int
put_option(const struct value_pair *pair, struct buffer *out, struct buffer *scratch,
           struct wording_shape *shape, struct error *err)
{
    const struct value *v = &pair->value;
    int row = find_field(pair->key, IN_SEND, "options", err);
    if (row < 0)
        return -1;
    if (fields[row].flags & IS_HEADERS)
        return put_headers(out, v, scratch, err);
    if (slice_is(pair->key, "columns")) {
        shape->columns = v;
        return 0;
    }
    if (!is_scalar(v))
        return error_set(err, ERROR_DATA, "%s is a text, not a %s", fields[row].name,
                         value_kind_name(v->kind));
    if (fields[row].flags & IS_SHAPE)
        shape->format = v;
    else
        put_scalar(out, fields[row].name, v, scratch);
    return 0;
}

int
wording_options(const struct value *map, struct buffer *out, uint64_t *key_hash,
                struct wording_shape *shape, struct error *err)
{
    struct buffer scratch;
    int result = 0;
    if (map->kind != VALUE_MAP)
        return error_set(err, ERROR_DATA, "options is a table of named values");
    buffer_init(&scratch, 1 << 20);
    buffer_byte(out, '{');
    for (size_t i = 0; i < map->count && result == 0; i++) {
        result = put_option(&map->pairs[i], out, &scratch, shape, err);
        if (result == 0 && slice_is(map->pairs[i].key, "key"))
            *key_hash = wording_key_hash(buffer_view(&scratch));
    }
    buffer_byte(out, '}');
    if (result == 0 && (out->failed || scratch.failed))
        result = error_set(err, ERROR_DATA, "the options of a message are larger than 1 MiB");
    if (out->size == 2) /* "{}": only what shapes the event */
        buffer_reset(out);
    buffer_release(&scratch);
    return result;
}
