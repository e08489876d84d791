#include "base/option.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"

enum { SHOWN_BYTES = 80, LISTED_BYTES = 400 };

static const char *const kind_names[] = {
    [OPTION_BOOL] = "boolean", [OPTION_INT] = "whole number", [OPTION_DURATION] = "duration",
    [OPTION_SIZE] = "size",    [OPTION_TEXT] = "text",        [OPTION_CHOICE] = "choice",
    [OPTION_LIST] = "list",    [OPTION_MAP] = "map",          [OPTION_GROUP] = "group",
};

/* How a value of each kind is written, for messages. */
static const char *const kind_examples[] = {
    [OPTION_BOOL] = "true or false",
    [OPTION_INT] = "a number such as 5",
    [OPTION_DURATION] = "\"30s\" or \"5m\"",
    [OPTION_SIZE] = "\"64KiB\" or \"10MB\"",
    [OPTION_TEXT] = "a text in quotes",
    [OPTION_CHOICE] = "a text in quotes",
    [OPTION_LIST] = "a list of texts such as {\"a\", \"b\"}",
    [OPTION_MAP] = "{ key = value }",
    [OPTION_GROUP] = "{ key = value }",
};

/* Where we are: `path` is "" or the groups around, "retry." */
struct place {
    const char *what;
    const char *path;
    struct arena *arena;
    struct error *err;
};

/* The field to fill and what it is filled from; kinds point into it. */
struct field {
    const struct place *place;
    const struct option *row;
    void *at;
};

typedef int field_setter(const struct field *f, const struct value *value);

static const char *
shown(const struct field *f, struct slice text)
{
    struct slice start = text_truncate(text, SHOWN_BYTES);
    return arena_printf(f->place->arena, "%.*s%s", (int)start.size, start.data ? start.data : "",
                        start.size < text.size ? "…" : "");
}

static const char *
article(const char *noun)
{
    return strchr("aeiou", *noun) ? "an" : "a";
}

/* `timeout: "5x" is not a duration; write it as …`, or `timeout: a list is …`. */
static int
wrong_value(const struct field *f, const struct value *value)
{
    const char *kind = kind_names[f->row->kind];
    const char *given = value_kind_name(value->kind);
    const struct place *p = f->place;
    if (value->kind == VALUE_TEXT)
        return error_set(p->err, ERROR_CONFIG, "%s: %s%s: \"%s\" is not %s %s; write it as %s",
                         p->what, p->path, f->row->name, shown(f, value->text), article(kind), kind,
                         kind_examples[f->row->kind]);
    return error_set(p->err, ERROR_CONFIG, "%s: %s%s: a %s is not %s %s; write it as %s", p->what,
                     p->path, f->row->name, given, article(kind), kind,
                     kind_examples[f->row->kind]);
}

static char *
limit_text(const struct option *row, int64_t limit, char out[CLOCK_TEXT_SIZE])
{
    if (row->kind == OPTION_DURATION)
        return duration_format(limit, out);
    if (row->kind == OPTION_SIZE)
        return size_format(limit, out);
    snprintf(out, CLOCK_TEXT_SIZE, "%" PRId64, limit);
    return out;
}

static int
set_number(const struct field *f, int64_t number)
{
    char given[CLOCK_TEXT_SIZE], min[CLOCK_TEXT_SIZE], max[CLOCK_TEXT_SIZE];
    const struct option *row = f->row;
    const struct place *p = f->place;
    if ((row->min == 0 && row->max == 0) || (number >= row->min && number <= row->max)) {
        *(int64_t *)f->at = number;
        return 0;
    }
    limit_text(row, number, given);
    limit_text(row, row->min, min);
    limit_text(row, row->max, max);
    if (row->max == INT64_MAX)
        return error_set(p->err, ERROR_CONFIG, "%s: %s%s: %s is too small; at least %s is needed",
                         p->what, p->path, row->name, given, min);
    return error_set(p->err, ERROR_CONFIG, "%s: %s%s: %s is not between %s and %s", p->what,
                     p->path, row->name, given, min, max);
}

/* Texts are taken for every kind, since env() and defaults give nothing else. */
static int
set_bool(const struct field *f, const struct value *value)
{
    bool is_true = value->kind == VALUE_TEXT && slice_is(value->text, "true");
    bool is_false = value->kind == VALUE_TEXT && slice_is(value->text, "false");
    if (value->kind != VALUE_BOOL && !is_true && !is_false)
        return wrong_value(f, value);
    *(bool *)f->at = value->kind == VALUE_BOOL ? value->boolean : is_true;
    return 0;
}

/* Decimal digits with an optional minus, within int64. */
static bool
parse_int(struct slice text, int64_t *out)
{
    bool minus = text.size > 0 && text.data[0] == '-';
    int64_t value = 0;
    if (text.size == minus)
        return false;
    for (size_t i = minus; i < text.size; i++) {
        int digit = text.data[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, minus ? -digit : digit, &value))
            return false;
    }
    *out = value;
    return true;
}

static int
set_int(const struct field *f, const struct value *value)
{
    int64_t number = value->integer;
    bool whole = value->kind == VALUE_INT;
    if (value->kind == VALUE_TEXT)
        whole = parse_int(value->text, &number);
    if (value->kind == VALUE_FLOAT && value->real >= -0x1p53 && value->real <= 0x1p53) {
        number = (int64_t)value->real;
        whole = (double)number == value->real;
    }
    return whole ? set_number(f, number) : wrong_value(f, value);
}

static int
set_duration(const struct field *f, const struct value *value)
{
    int64_t us = 0;
    bool zero = value->kind == VALUE_INT && value->integer == 0;
    if (!zero && (value->kind != VALUE_TEXT || duration_parse(value->text, &us) != 0))
        return wrong_value(f, value);
    return set_number(f, us);
}

static int
set_size(const struct field *f, const struct value *value)
{
    int64_t bytes = value->integer;
    bool number = value->kind == VALUE_INT && value->integer >= 0;
    if (!number && (value->kind != VALUE_TEXT || size_parse(value->text, &bytes) != 0))
        return wrong_value(f, value);
    return set_number(f, bytes);
}

static int
refuse_secret(const struct field *f)
{
    const struct place *p = f->place;
    if (f->row->flags & OPTION_SECRET_OK)
        return error_set(p->err, ERROR_REFUSED,
                         "%s: %s%s: secret() is not built yet; use env() instead", p->what, p->path,
                         f->row->name);
    return error_set(p->err, ERROR_CONFIG, "%s: %s%s: secret() is not accepted here", p->what,
                     p->path, f->row->name);
}

/* A NUL inside would cut the text silently wherever C reads it. */
static bool
is_plain_text(const struct value *value)
{
    return value->kind == VALUE_TEXT &&
           (value->text.size == 0 || !memchr(value->text.data, '\0', value->text.size));
}

static int
set_text(const struct field *f, const struct value *value)
{
    if (value->kind == VALUE_SECRET)
        return refuse_secret(f);
    if (value->kind == VALUE_INT && (f->row->flags & OPTION_NUMBER_OK)) {
        *(const char **)f->at = arena_printf(f->place->arena, "%lld", (long long)value->integer);
        return 0;
    }
    if (!is_plain_text(value))
        return wrong_value(f, value);
    *(const char **)f->at = arena_slice(f->place->arena, value->text).data;
    return 0;
}

static void
list_choices(struct buffer *out, const char *const *choices)
{
    for (size_t i = 0; choices[i]; i++)
        buffer_printf(out, "%s%s", i ? ", " : "", choices[i]);
}

static int
set_choice(const struct field *f, const struct value *value)
{
    const char *const *choices = f->row->choices;
    const struct place *p = f->place;
    struct buffer names;
    const char *near;
    size_t count = 0;
    if (value->kind != VALUE_TEXT)
        return wrong_value(f, value);
    for (; choices[count]; count++) {
        if (slice_is(value->text, choices[count])) {
            *(int *)f->at = (int)count;
            return 0;
        }
    }
    near = text_suggest(value->text, choices, count, sizeof(*choices));
    buffer_init(&names, LISTED_BYTES);
    list_choices(&names, choices);
    error_set(p->err, ERROR_CONFIG, "%s: %s%s: \"%s\" is not one of %s%s%s%s", p->what, p->path,
              f->row->name, shown(f, value->text), buffer_cstring(&names),
              near ? " — did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    buffer_release(&names);
    return -1;
}

/* `number` counts from 1, as in Lua. */
static int
wrong_item(const struct field *f, size_t number, const struct value *item)
{
    const struct place *p = f->place;
    const char *given =
        item->kind == VALUE_TEXT ? "text with a zero byte" : value_kind_name(item->kind);
    return error_set(p->err, ERROR_CONFIG, "%s: %s%s[%zu]: a %s is not a text; write it as %s",
                     p->what, p->path, f->row->name, number, given, kind_examples[OPTION_TEXT]);
}

static int
set_list(const struct field *f, const struct value *value)
{
    struct arena *arena = f->place->arena;
    const struct value *items = value->kind == VALUE_TEXT ? value : value->items;
    size_t count = value->kind == VALUE_TEXT ? 1 : value->count;
    const char **texts;
    if (value->kind == VALUE_MAP && value->count == 0)
        count = 0; /* Lua's {} is both */
    else if (value->kind != VALUE_LIST && value->kind != VALUE_TEXT)
        return wrong_value(f, value);
    texts = arena_zero(arena, (count + 1) * sizeof(*texts));
    for (size_t i = 0; i < count; i++) {
        if (!is_plain_text(&items[i]))
            return wrong_item(f, i + 1, &items[i]);
        texts[i] = arena_slice(arena, items[i].text).data;
    }
    *(struct option_list *)f->at = (struct option_list){texts, count};
    return 0;
}

static bool
is_map(const struct value *value)
{
    return value->kind == VALUE_MAP || (value->kind == VALUE_LIST && value->count == 0);
}

static int
set_map(const struct field *f, const struct value *value)
{
    struct value *copy;
    if (!is_map(value))
        return wrong_value(f, value);
    copy = arena_alloc(f->place->arena, sizeof(*copy));
    *copy = value_copy(value, f->place->arena);
    copy->kind = VALUE_MAP;
    *(const struct value **)f->at = copy;
    return 0;
}

static int apply_rows(const struct place *p, const struct option *group, const struct value *map,
                      void *target);
static int check_keys(const struct place *p, const struct option *group, const struct value *map,
                      const char *const *skip);

/* `value` is NULL when the group is absent: its defaults hold, and nothing in it is required. */
static int
set_group(const struct field *f, const struct value *value)
{
    struct place inside = *f->place;
    if (value && !is_map(value))
        return wrong_value(f, value);
    inside.path = arena_printf(inside.arena, "%s%s.", f->place->path, f->row->name);
    if (value && check_keys(&inside, f->row, value, NULL) != 0)
        return -1;
    return apply_rows(&inside, f->row, value, f->at);
}

static const struct kind {
    field_setter *set;
    size_t size; /* of the field, for zeroing */
} kinds[] = {
    [OPTION_BOOL] = {set_bool, sizeof(bool)},
    [OPTION_INT] = {set_int, sizeof(int64_t)},
    [OPTION_DURATION] = {set_duration, sizeof(int64_t)},
    [OPTION_SIZE] = {set_size, sizeof(int64_t)},
    [OPTION_TEXT] = {set_text, sizeof(const char *)},
    [OPTION_CHOICE] = {set_choice, sizeof(int)},
    [OPTION_LIST] = {set_list, sizeof(struct option_list)},
    [OPTION_MAP] = {set_map, sizeof(const struct value *)},
    [OPTION_GROUP] = {set_group, 0},
};

static int
set_absent(const struct field *f, bool required)
{
    const struct option *row = f->row;
    const struct place *p = f->place;
    struct value fallback = {.kind = VALUE_TEXT};
    if (required && (row->flags & OPTION_REQUIRED))
        return error_set(p->err, ERROR_CONFIG, "%s: option \"%s%s\" is missing: %s", p->what,
                         p->path, row->name, row->help ? row->help : kind_names[row->kind]);
    if (row->flags & OPTION_LATER)
        return 0; /* may have no field at all */
    if (row->kind == OPTION_GROUP)
        return set_group(f, NULL);
    memset(f->at, 0, kinds[row->kind].size);
    if (!row->fallback)
        return 0;
    fallback.text = slice_of(row->fallback);
    return kinds[row->kind].set(f, &fallback);
}

static int
apply_rows(const struct place *p, const struct option *group, const struct value *map, void *target)
{
    for (size_t i = 0; i < group->row_count; i++) {
        const struct option *row = &group->rows[i];
        const struct field f = {p, row, (char *)target + row->offset};
        const struct value *value = value_get(map, row->name);
        int result;
        ensure((size_t)row->kind < countof(kinds));
        if (value && value->kind != VALUE_NIL)
            result = kinds[row->kind].set(&f, value);
        else
            result = set_absent(&f, map != NULL);
        if (result != 0)
            return -1;
    }
    return 0;
}

static int
unknown_key(const struct place *p, const struct option *group, struct slice key)
{
    const struct field f = {.place = p};
    const char *name = shown(&f, key);
    const char *near = text_suggest(key, group->rows, group->row_count, sizeof(*group->rows));
    struct buffer names;
    if (near)
        return error_set(p->err, ERROR_CONFIG,
                         "%s: unknown option \"%s%s\" — did you mean \"%s%s\"?", p->what, p->path,
                         name, p->path, near);
    error_set(p->err, ERROR_CONFIG, "%s: unknown option \"%s%s\"", p->what, p->path, name);
    buffer_init(&names, LISTED_BYTES);
    for (size_t i = 0; i < group->row_count; i++)
        if (!(group->rows[i].flags & OPTION_LATER))
            buffer_printf(&names, "%s%s", names.size ? ", " : "", group->rows[i].name);
    if (!names.failed)
        error_hint(p->err, "the options are %s", buffer_cstring(&names));
    buffer_release(&names);
    return -1;
}

static bool
is_skipped(const char *const *skip, struct slice key)
{
    for (; skip && *skip; skip++)
        if (slice_is(key, *skip))
            return true;
    return false;
}

static int
check_keys(const struct place *p, const struct option *group, const struct value *map,
           const char *const *skip)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct value_pair *pair = &map->pairs[i];
        const struct option *row = option_find(group->rows, group->row_count, pair->key);
        if (is_skipped(skip, pair->key))
            continue;
        if (!row)
            return unknown_key(p, group, pair->key);
        if (row->flags & OPTION_LATER)
            return error_set(p->err, ERROR_REFUSED,
                             "%s: option \"%s%s\" is not built yet; remove it", p->what, p->path,
                             row->name);
        if (value_get(map, row->name) != &pair->value)
            return error_set(p->err, ERROR_CONFIG, "%s: option \"%s%s\" is given twice", p->what,
                             p->path, row->name);
    }
    return 0;
}

int
option_apply(const struct option *rows, size_t count, const struct value *map, void *target,
             const char *const *skip, struct arena *arena, const char *what, struct error *err)
{
    static const struct value empty = {.kind = VALUE_MAP};
    const struct place p = {what, "", arena, err};
    const struct option all = {.rows = rows, .row_count = count};
    if (!map || map->kind == VALUE_NIL)
        map = &empty;
    if (!is_map(map))
        return error_set(err, ERROR_CONFIG, "%s: the options are a %s; write them as %s", what,
                         value_kind_name(map->kind), kind_examples[OPTION_GROUP]);
    if (check_keys(&p, &all, map, skip) != 0)
        return -1;
    return apply_rows(&p, &all, map, target);
}

const struct option *
option_find(const struct option *rows, size_t count, struct slice name)
{
    for (size_t i = 0; i < count; i++)
        if (slice_is(name, rows[i].name))
            return &rows[i];
    return NULL;
}

const char *
option_kind_name(enum option_kind kind)
{
    ensure((size_t)kind < countof(kind_names));
    return kind_names[kind];
}

static void
help_row(const struct option *row, const char *path, struct buffer *out)
{
    char name[128];
    snprintf(name, sizeof(name), "%s%s", path, row->name);
    buffer_printf(out, "  %-24s %-12s %s", name, kind_names[row->kind], row->help ? row->help : "");
    if (row->choices) {
        buffer_text(out, ": ");
        list_choices(out, row->choices);
    }
    if (row->fallback)
        buffer_printf(out, " (default %s)", row->fallback);
    if (row->flags & OPTION_REQUIRED)
        buffer_text(out, " (required)");
    if (row->flags & OPTION_SECRET_OK)
        buffer_text(out, " (may be a secret)");
    buffer_byte(out, '\n');
}

static void
help_rows(const struct option *rows, size_t count, const char *path, struct buffer *out)
{
    for (size_t i = 0; i < count; i++) {
        char inside[128];
        if (rows[i].flags & OPTION_LATER)
            continue;
        help_row(&rows[i], path, out);
        snprintf(inside, sizeof(inside), "%s%s.", path, rows[i].name);
        help_rows(rows[i].rows, rows[i].row_count, inside, out);
    }
}

void
option_help(const struct option *rows, size_t count, struct buffer *out)
{
    help_rows(rows, count, "", out);
}
