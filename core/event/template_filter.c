/* The filters by name, and those for texts and lists. */
#include "base/decimal.h"
#include "base/json.h"
#include "base/text.h"
#include "event/event_json.h"
#include "event/json_path.h"
#include "event/template_part.h"

#define PLACES_MAX   99
#define TRUNCATE_MAX 1000000

struct buffer *
template_scratch(struct template_scratch *scratch)
{
    struct buffer *b = &scratch->text[scratch->turn ^= 1];
    buffer_reset(b);
    return b;
}

bool
template_prints_nothing(const struct cell *cell)
{
    return !cell_is_value(cell) || (cell->kind == CELL_TEXT && cell->text.size == 0);
}

struct slice
template_printed(const struct cell *cell, struct template_scratch *scratch)
{
    if (cell->kind >= CELL_DECIMAL && cell->kind != CELL_BYTES)
        return cell->text;
    struct buffer *b = template_scratch(scratch);
    cell_print(cell, b);
    return buffer_view(b);
}

void
template_becomes(struct template_value *value, enum cell_kind kind, struct slice text)
{
    value->cell = (struct cell){.kind = (uint8_t)kind, .text = text};
}

static void
apply_text(struct filter_run *f, void (*convert)(struct buffer *, struct slice))
{
    if (template_prints_nothing(&f->value->cell))
        return;
    struct slice text = template_printed(&f->value->cell, f->scratch);
    struct buffer *out = template_scratch(f->scratch);
    convert(out, text);
    template_becomes(f->value, CELL_TEXT, buffer_view(out));
}

static void
apply_upper(struct filter_run *f)
{
    apply_text(f, text_upper);
}

static void
apply_lower(struct filter_run *f)
{
    apply_text(f, text_lower);
}

static void
put_trimmed(struct buffer *out, struct slice text)
{
    buffer_slice(out, text_trim(text));
}

static void
apply_trim(struct filter_run *f)
{
    apply_text(f, put_trimmed);
}

static void
apply_replace(struct filter_run *f)
{
    struct slice from = f->arguments[0].text, to = f->arguments[1].text;
    if (template_prints_nothing(&f->value->cell) || from.size == 0)
        return;
    struct slice text = template_printed(&f->value->cell, f->scratch);
    struct buffer *out = template_scratch(f->scratch);
    const char *at = text.data, *end = slice_end(text);
    for (const char *found; at < end && !out->failed; at = found + from.size) {
        if (!(found = memmem(at, (size_t)(end - at), from.data, from.size)))
            break;
        buffer_append(out, at, (size_t)(found - at));
        buffer_slice(out, to);
    }
    buffer_append(out, at, (size_t)(end - at));
    template_becomes(f->value, CELL_TEXT, buffer_view(out));
}

static void
apply_default(struct filter_run *f)
{
    if (template_prints_nothing(&f->value->cell))
        f->value->cell = f->arguments[0];
}

/* The character at `at`, of valid UTF-8; `*at` moves behind it. */
static uint32_t
next_point(const char **at, const char *end)
{
    uint8_t first = (uint8_t) * (*at)++;
    uint32_t point = first < 0xc0 ? first : first < 0xe0 ? first & 0x1f : first & 0x0f;
    while (*at < end && ((uint8_t) * *at & 0xc0) == 0x80)
        point = point << 6 | (uint32_t)((uint8_t) * (*at)++ & 0x3f);
    return point & 0x1fffff;
}

/* Does the character belong to the one before it? Marks, joiners, variants, skin tones, tags. */
static bool
belongs_before(uint32_t point)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x0300, 0x036f},   {0x0483, 0x0489}, {0x0591, 0x05bd},   {0x064b, 0x065f},
        {0x093a, 0x094d},   {0x0e31, 0x0e31}, {0x0e34, 0x0e3a},   {0x0e47, 0x0e4e},
        {0x1ab0, 0x1aff},   {0x1dc0, 0x1dff}, {0x200d, 0x200d},   {0x20d0, 0x20ff},
        {0xfe00, 0xfe0f},   {0xfe20, 0xfe2f}, {0x1f3fb, 0x1f3ff}, {0xe0020, 0xe007f},
        {0xe0100, 0xe01ef},
    };
    for (size_t i = 0; i < countof(ranges); i++)
        if (point >= ranges[i].first && point <= ranges[i].last)
            return true;
    return false;
}

static bool
is_flag(uint32_t point)
{
    return point >= 0x1f1e6 && point <= 0x1f1ff;
}

/* The longest start of at most `most` characters that ends where a reader sees a character end. */
static struct slice
start_of(struct slice text, size_t most)
{
    const char *end = slice_end(text), *at = text.data, *cut = text.data;
    uint32_t before = 0;
    size_t flags = 0; /* in a row: they come in pairs */
    for (size_t count = 0; at < end; count++) {
        const char *start = at;
        uint32_t point = next_point(&at, end);
        bool torn = belongs_before(point) || before == 0x200d || (is_flag(point) && flags % 2);
        if (!torn)
            cut = start;
        if (count == most)
            return (struct slice){text.data, (size_t)(cut - text.data)};
        flags = is_flag(point) ? flags + 1 : 0;
        before = point;
    }
    return text;
}

static void
apply_truncate(struct filter_run *f)
{
    size_t most = (size_t)f->arguments[0].integer;
    struct slice tail = f->count > 1 ? f->arguments[1].text : slice_literal("\xe2\x80\xa6");
    if (template_prints_nothing(&f->value->cell))
        return;
    struct slice text = template_printed(&f->value->cell, f->scratch);
    if (start_of(text, most).size == text.size)
        return;
    size_t tail_length = text_length(tail);
    struct buffer *out = template_scratch(f->scratch);
    buffer_slice(out, start_of(text, most > tail_length ? most - tail_length : 0));
    buffer_slice(out, most > tail_length ? tail : start_of(tail, most));
    template_becomes(f->value, CELL_TEXT, buffer_view(out));
}

/* A document that is a list or an object; what else there is has no entries. */
static bool
has_entries(const struct cell *cell)
{
    return cell->kind == CELL_DOCUMENT && cell->text.size > 0 && memchr("[{", *cell->text.data, 2);
}

static void
apply_count(struct filter_run *f)
{
    struct slice entry;
    size_t at = 0;
    int64_t count = 0;
    if (!has_entries(&f->value->cell))
        return;
    while (json_path_next(f->value->cell.text, &at, &entry))
        count++;
    f->value->cell = (struct cell){.kind = CELL_INT, .integer = count};
}

static void
apply_join(struct filter_run *f)
{
    struct slice between = f->count > 0 ? f->arguments[0].text : slice_literal(", ");
    struct slice entry, list = f->value->cell.text;
    size_t at = 0;
    if (!has_entries(&f->value->cell))
        return;
    struct buffer *out = template_scratch(f->scratch), *one = template_scratch(f->scratch);
    f->scratch->turn ^= 1; /* `out` is what the next filter reads */
    for (bool first = true; !out->failed && json_path_next(list, &at, &entry); first = false) {
        struct cell cell;
        json_path_cell(entry, one, &cell);
        if (!first)
            buffer_slice(out, between);
        cell_print(&cell, out);
    }
    template_becomes(f->value, CELL_TEXT, buffer_view(out));
}

static void
apply_json(struct filter_run *f)
{
    static const struct event_shape shape = {.bigints = NUMBER_NUMBER};
    struct buffer *out = template_scratch(f->scratch);
    cell_json(&f->value->cell, &shape, out);
    template_becomes(f->value, CELL_TEXT, buffer_view(out));
}

static void
escape_for(struct filter_run *f, enum template_escape escape)
{
    if (template_prints_nothing(&f->value->cell))
        return;
    struct slice text = template_printed(&f->value->cell, f->scratch);
    struct buffer *out = template_scratch(f->scratch);
    template_escape(out, text, escape);
    template_becomes(f->value, CELL_TEXT, buffer_view(out));
}

static void
apply_html(struct filter_run *f)
{
    escape_for(f, TEMPLATE_HTML);
}

static void
apply_slack(struct filter_run *f)
{
    escape_for(f, TEMPLATE_SLACK);
}

static void
apply_url(struct filter_run *f)
{
    escape_for(f, TEMPLATE_URL);
}

static void
apply_base64(struct filter_run *f)
{
    const struct cell *cell = &f->value->cell;
    if (template_prints_nothing(cell))
        return;
    struct slice bytes = cell->kind == CELL_BYTES ? cell->text : template_printed(cell, f->scratch);
    struct buffer *out = template_scratch(f->scratch);
    json_base64(out, bytes);
    struct slice quoted = buffer_view(out);
    if (!out->failed)
        template_becomes(f->value, CELL_TEXT, (struct slice){quoted.data + 1, quoted.size - 2});
}

static const struct filter filters[] = {
    {.name = "upper", .usage = "upper", .takes = "", .apply = apply_upper},
    {.name = "lower", .usage = "lower", .takes = "", .apply = apply_lower},
    {.name = "trim", .usage = "trim", .takes = "", .apply = apply_trim},
    {.name = "replace", .usage = "replace(\"a\", \"b\")", .takes = "tt", .apply = apply_replace},
    {.name = "truncate",
     .usage = "truncate(80)",
     .takes = "n?t",
     .most = TRUNCATE_MAX,
     .apply = apply_truncate},
    {.name = "default", .usage = "default(\"–\")", .takes = "v", .apply = apply_default},
    {.name = "number",
     .usage = "number(2)",
     .takes = "n",
     .most = PLACES_MAX,
     .apply = template_number},
    {.name = "money", .usage = "money(\"EUR\")", .takes = "t", .apply = template_money},
    {.name = "date", .usage = "date(\"%Y-%m-%d\")", .takes = "?f", .apply = template_date},
    {.name = "time", .usage = "time(\"%H:%M\")", .takes = "?f", .apply = template_time},
    {.name = "ago", .usage = "ago", .takes = "", .apply = template_ago},
    {.name = "join", .usage = "join(\", \")", .takes = "?t", .apply = apply_join},
    {.name = "count", .usage = "count", .takes = "", .apply = apply_count},
    {.name = "json",
     .usage = "json",
     .takes = "",
     .escapes = true,
     .last = true,
     .form = TEMPLATE_JSON,
     .apply = apply_json},
    {.name = "html",
     .usage = "html",
     .takes = "",
     .escapes = true,
     .form = TEMPLATE_HTML,
     .apply = apply_html},
    {.name = "slack",
     .usage = "slack",
     .takes = "",
     .escapes = true,
     .form = TEMPLATE_SLACK,
     .apply = apply_slack},
    {.name = "url",
     .usage = "url",
     .takes = "",
     .escapes = true,
     .last = true,
     .form = TEMPLATE_URL,
     .apply = apply_url},
    {.name = "base64", .usage = "base64", .takes = "", .apply = apply_base64},
};

const struct filter *
template_filter(struct slice name)
{
    for (size_t i = 0; i < countof(filters); i++) {
        if (slice_is(name, filters[i].name))
            return &filters[i];
    }
    return NULL;
}

bool
template_has_filter(struct slice name)
{
    return template_filter(name) != NULL;
}

int
template_no_filter(struct slice name, bool scripts, struct error *err)
{
    char list[300] = "";
    error_set(err, ERROR_DATA, "there is no filter \"%.*s\"", template_shown(name), name.data);
    const char *near = text_suggest(name, filters, countof(filters), sizeof(filters[0]));
    if (near)
        return error_hint(err, "did you mean %s?", near);
    for (size_t i = 0, size = 0; i < countof(filters); i++) {
        size_t length = strlen(filters[i].name);
        memcpy(list + size, filters[i].name, length);
        size += length;
        list[size++] = ' ';
        list[size] = '\0';
    }
    return error_hint(err, "there are %s%s", list,
                      scripts ? "and what the script itself adds: filter(\"name\", function(value) "
                                "return value end)"
                              : "and no filters of scripts here");
}
