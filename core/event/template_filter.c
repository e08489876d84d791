#include <stdio.h>

#include "base/decimal.h"
#include "base/text.h"
#include "event/event_json.h"
#include "event/template_part.h"

struct buffer *
template_scratch(struct template_scratch *scratch)
{
    struct buffer *b = &scratch->text[scratch->turn ^= 1];
    buffer_reset(b);
    return b;
}

static bool
prints_nothing(const struct cell *cell)
{
    return !cell_is_value(cell) || (cell->kind == CELL_TEXT && cell->text.size == 0);
}

/* What the cell prints, without a copy where it is a text already. */
static struct slice
printed(const struct cell *cell, struct template_scratch *scratch)
{
    if (cell->kind >= CELL_DECIMAL && cell->kind != CELL_BYTES)
        return cell->text;
    struct buffer *b = template_scratch(scratch);
    cell_print(cell, b);
    return buffer_view(b);
}

static void
becomes(struct template_value *value, enum cell_kind kind, struct slice text)
{
    value->cell = (struct cell){.kind = (uint8_t)kind, .text = text};
}

static void
apply_case(void (*convert)(struct buffer *, struct slice), struct template_scratch *scratch,
           struct template_value *value)
{
    if (prints_nothing(&value->cell))
        return;
    struct slice text = printed(&value->cell, scratch);
    struct buffer *out = template_scratch(scratch);
    convert(out, text);
    becomes(value, CELL_TEXT, buffer_view(out));
}

static void
apply_upper(const struct slice *words, int count, struct template_scratch *scratch,
            struct template_value *value)
{
    (void)words;
    (void)count;
    apply_case(text_upper, scratch, value);
}

static void
apply_lower(const struct slice *words, int count, struct template_scratch *scratch,
            struct template_value *value)
{
    (void)words;
    (void)count;
    apply_case(text_lower, scratch, value);
}

static void
apply_default(const struct slice *words, int count, struct template_scratch *scratch,
              struct template_value *value)
{
    (void)count;
    (void)scratch;
    if (prints_nothing(&value->cell))
        becomes(value, CELL_TEXT, *words);
}

static bool
as_decimal(const struct cell *cell, struct arena *arena, struct decimal *out)
{
    switch (cell->kind) {
    case CELL_INT:
        *out = decimal_from_int(cell->integer, arena);
        return true;
    case CELL_FLOAT:
        return decimal_from_double(cell->real, arena, out) == 0;
    case CELL_DECIMAL:
    case CELL_TEXT: /* SQLite keeps numbers as text where a column is declared so */
        return decimal_parse(cell->text, arena, out) == 0;
    default:
        return false;
    }
}

/* What is no number (a text, NaN) stays as it is: a message with a strange word in it says more
 * than no message. */
static void
apply_number(const struct slice *words, int count, struct template_scratch *scratch,
             struct template_value *value)
{
    struct decimal number, rounded;
    (void)words;
    if (!as_decimal(&value->cell, &scratch->arena, &number) ||
        decimal_round(&number, count, &scratch->arena, &rounded, NULL) != 0)
        return;
    struct buffer *out = template_scratch(scratch);
    decimal_print(&rounded, out);
    becomes(value, CELL_DECIMAL, buffer_view(out));
}

static void
apply_json(const struct slice *words, int count, struct template_scratch *scratch,
           struct template_value *value)
{
    static const struct event_shape shape = {.bigints = NUMBER_NUMBER};
    struct buffer *out = template_scratch(scratch);
    (void)words;
    (void)count;
    cell_json(&value->cell, &shape, out);
    becomes(value, CELL_TEXT, buffer_view(out));
    value->whole = true;
}

static const struct filter filters[] = {
    {.name = "upper", .apply = apply_upper},
    {.name = "lower", .apply = apply_lower},
    {.name = "number", .takes = FILTER_COUNT, .apply = apply_number},
    {.name = "default", .takes = FILTER_WORDS, .apply = apply_default},
    {.name = "json", .last = true, .apply = apply_json},
};

static const char *const later[] = {"ago",   "base64", "date",     "html", "money",
                                    "slack", "time",   "truncate", "url"};

const struct filter *
template_filter(struct slice name, struct error *err)
{
    int size = name.size < 64 ? (int)name.size : 64;
    for (size_t i = 0; i < countof(filters); i++) {
        if (slice_is(name, filters[i].name))
            return &filters[i];
    }
    for (size_t i = 0; i < countof(later); i++) {
        if (slice_is(name, later[i])) {
            error_set(err, ERROR_REFUSED, "the filter %s is not built yet", later[i]);
            error_hint(err, "there are upper, lower, number(n), default(text) and json");
            return NULL;
        }
    }
    error_set(err, ERROR_DATA, "there is no filter \"%.*s\"", size, name.data);
    const char *near = text_suggest(name, filters, countof(filters), sizeof(filters[0]));
    if (near)
        error_hint(err, "did you mean %s?", near);
    else
        error_hint(err, "there are upper, lower, number(n), default(text) and json; filters of "
                        "your own are not built yet");
    return NULL;
}
