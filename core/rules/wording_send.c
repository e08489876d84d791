/* What scripts say while they run: the options of send(), and tables made for people. */
#include "base/json.h"
#include "rules/fields.h"
#include "rules/wording_part.h"

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
    const struct wording_row *row = wording_row(pair->key, IN_SEND, "options", err);
    if (!row)
        return -1;
    if (row->flags & IS_HEADERS)
        return put_headers(out, v, scratch, err);
    if (slice_is(pair->key, "columns")) {
        shape->columns = v;
        return 0;
    }
    if (!is_scalar(v))
        return error_set(err, ERROR_DATA, "%s is a text, not a %s", row->name,
                         value_kind_name(v->kind));
    if (row->flags & IS_SHAPE)
        shape->format = v;
    else
        put_scalar(out, row->name, v, scratch);
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

/* One field of a script's table. */
static int
put_field(const struct value_pair *pair, struct buffer *body, struct buffer *options,
          struct buffer *scratch, struct error *err)
{
    const struct wording_row *row = wording_row(pair->key, IN_MESSAGE, "message", err);
    if (!row)
        return -1;
    if (row->flags & IS_HEADERS)
        return put_headers(options, &pair->value, scratch, err);
    if (!is_scalar(&pair->value))
        return error_set(err, ERROR_DATA, "%s is a text, not a %s", row->name,
                         value_kind_name(pair->value.kind));
    if (!(row->flags & IS_BODY)) {
        put_scalar(options, row->name, &pair->value, scratch);
        return 0;
    }
    if (body->size)
        return error_set(err, ERROR_DATA, "a message has text or body, not both");
    if (pair->value.kind == VALUE_TEXT)
        buffer_slice(body, pair->value.text);
    else
        json_value(body, &pair->value);
    return 0;
}

static int
split_table(const struct wording_split *split, const struct value *table, const struct value *more,
            struct buffer *scratch, struct error *err)
{
    struct buffer *body = split->body, *options = split->options;
    if (table->kind != VALUE_MAP || !(value_get(table, "text") || value_get(table, "body"))) {
        error_set(err, ERROR_DATA, "a message for people is a table with a text");
        return error_hint(err, "{ text = \"…\", subject = \"…\" }");
    }
    buffer_byte(options, '{');
    for (size_t i = 0; i < table->count; i++)
        if (put_field(&table->pairs[i], body, options, scratch, err) != 0)
            return -1;
    for (size_t i = 0; i < more->count; i++) {
        if (value_get(table, more->pairs[i].key.data))
            continue;
        json_key(options, more->pairs[i].key.data);
        json_value(options, &more->pairs[i].value);
    }
    buffer_byte(options, '}');
    if (options->size == 2)
        buffer_reset(options);
    if (body->failed || options->failed || scratch->failed)
        return error_set(err, ERROR_DATA, "a message is larger than 1 MiB");
    return 0;
}

int
wording_table(const struct wording_split *split, uint64_t *key_hash, struct error *err)
{
    struct value fields_of = {0}, given = {0};
    struct buffer scratch;
    struct arena arena;
    arena_init(&arena, 0);
    buffer_init(&scratch, 1 << 20);
    int result = json_parse(split->table, &arena, &fields_of, err);
    if (result == 0 && split->more.size)
        result = json_parse(split->more, &arena, &given, err);
    if (result == 0)
        result = split_table(split, &fields_of, &given, &scratch, err);
    if (result == 0)
        result = fields_check_send(split->driver, &fields_of, err);
    const struct value *key = value_get(&fields_of, "key");
    if (result == 0 && key) {
        buffer_reset(&scratch);
        if (key->kind == VALUE_TEXT)
            buffer_slice(&scratch, key->text);
        else
            json_value(&scratch, key);
        *key_hash = wording_key_hash(buffer_view(&scratch));
    }
    buffer_release(&scratch);
    arena_release(&arena);
    return result;
}
