#include "base/json.h"
#include "base/text.h"
#include "event/event_json.h"
#include "source/postgres/value_part.h"

#define DIMENSIONS  6 /* PostgreSQL's own limit */
#define ROOM        2048
#define EXPANSION   8  /* a list is never so many times longer than the array's text … */
#define EXTRA_BYTES 64 /* … and these */

/* A cursor over an array's text. */
struct array_scan {
    const char *at, *end;
    const struct pg_type *element;
    struct arena scratch; /* one element's texts */
    struct buffer *out;
};

static bool
next_is(const struct array_scan *a, char c)
{
    return a->at < a->end && *a->at == c;
}

static bool
take(struct array_scan *a, char c)
{
    if (!next_is(a, c))
        return false;
    a->at++;
    return true;
}

static bool
take_bound(struct array_scan *a)
{
    const char *digits;
    take(a, '-');
    digits = a->at;
    while (a->at < a->end && *a->at >= '0' && *a->at <= '9')
        a->at++;
    return a->at > digits;
}

/* "[0:1][-2:3]=", or nothing. */
static bool
skip_bounds(struct array_scan *a)
{
    if (!next_is(a, '['))
        return true;
    while (take(a, '['))
        if (!take_bound(a) || !take(a, ':') || !take_bound(a) || !take(a, ']'))
            return false;
    return take(a, '=');
}

/* How deep the brackets of a sound document nest. */
static int
depth_of(struct slice document)
{
    int depth = 0, deepest = 0;
    bool quoted = false;
    for (size_t i = 0; i < document.size; i++) {
        char c = document.data[i];
        if (c == '"')
            quoted = !quoted;
        else if (quoted)
            i += c == '\\';
        else if (c == '[' || c == '{')
            deepest = ++depth > deepest ? depth : deepest;
        else if (c == ']' || c == '}')
            depth--;
    }
    return deepest;
}

/* A document that nests too deep for a list around it becomes a text, since nobody could read that
 * list. Short ones, which are most, can not. */
static bool
fits_in_list(struct slice document)
{
    return document.size < 2 * (JSON_DEPTH - DIMENSIONS) ||
           depth_of(document) <= JSON_DEPTH - DIMENSIONS;
}

/* Numbers as numbers: what is in a list has no column that says that it is a decimal. */
static void
print_element(const struct pg_type *element, struct slice text, struct arena *scratch,
              struct buffer *out)
{
    static const struct event_shape shape = {.decimals = NUMBER_NUMBER, .bigints = NUMBER_NUMBER};
    struct cell cell;
    pg_value_cell(element, text, scratch, &cell);
    if (cell.kind == CELL_DOCUMENT && !fits_in_list(cell.text))
        cell.kind = CELL_TEXT;
    cell_json(&cell, &shape, out);
    arena_reset(scratch);
}

/* What stands between quotes, without the backslashes. */
static struct slice
unescape(struct array_scan *a, struct slice text)
{
    char *copy = arena_alloc(&a->scratch, text.size), *to = copy;
    for (const char *at = text.data, *end = slice_end(text); at < end; at++) {
        at += *at == '\\';
        *to++ = *at;
    }
    return (struct slice){copy, (size_t)(to - copy)};
}

static bool
take_quoted(struct array_scan *a)
{
    const char *from = ++a->at;
    bool escaped = false;
    while (a->at < a->end && *a->at != '"') {
        if (*a->at == '\\') {
            escaped = true;
            a->at++;
        }
        if (a->at < a->end)
            a->at++;
    }
    if (a->at == a->end)
        return false;
    struct slice text = {from, (size_t)(a->at++ - from)};
    print_element(a->element, escaped ? unescape(a, text) : text, &a->scratch, a->out);
    return true;
}

static bool
take_bare(struct array_scan *a)
{
    const char *from = a->at;
    for (; a->at < a->end && *a->at != a->element->delimiter && *a->at != '}'; a->at++)
        if (*a->at == '{' || *a->at == '"' || *a->at == '\\')
            return false;
    struct slice text = {from, (size_t)(a->at - from)};
    if (slice_is(text, "NULL"))
        buffer_text(a->out, "null");
    else if (text.size)
        print_element(a->element, text, &a->scratch, a->out);
    return text.size;
}

/* From the first brace to the last. Without recursion: a hostile text nests as deep as it likes. */
static bool
take_lists(struct array_scan *a)
{
    for (int depth = 0;;) {
        if (take(a, '{')) {
            buffer_byte(a->out, '[');
            if (++depth > DIMENSIONS)
                return false;
            if (!next_is(a, '}'))
                continue;
        } else if (depth == 0 || !(next_is(a, '"') ? take_quoted(a) : take_bare(a))) {
            return false;
        }
        while (depth > 0 && take(a, '}')) {
            buffer_byte(a->out, ']');
            depth--;
        }
        if (depth == 0)
            return a->at == a->end;
        if (!take(a, a->element->delimiter))
            return false;
        buffer_byte(a->out, ',');
    }
}

int
pg_value_array(const struct pg_type *element, struct slice text, struct buffer *out)
{
    struct array_scan a = {.at = text.data, .end = slice_end(text), .element = element, .out = out};
    arena_init(&a.scratch, 0);
    bool sound = skip_bounds(&a) && take_lists(&a);
    arena_release(&a.scratch);
    return sound ? 0 : -1;
}

int
pg_value_vector(const struct pg_type *element, struct slice text, struct buffer *out)
{
    const char *at = text.data, *end = slice_end(text);
    bool more = text.size > 0;
    struct cell cell;
    buffer_byte(out, '[');
    while (more) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        pg_value_cell(element, (struct slice){at, (size_t)((space ? space : end) - at)}, NULL,
                      &cell);
        if (cell.kind != CELL_INT)
            return -1;
        json_int(out, cell.integer);
        more = space;
        if (more) {
            buffer_byte(out, ',');
            at = space + 1;
        }
    }
    buffer_byte(out, ']');
    return 0;
}

static int
print_list(const struct pg_type *type, struct slice text, struct buffer *out)
{
    int rc = type->form == PG_FORM_VECTOR ? pg_value_vector(type->element, text, out)
                                          : pg_value_array(type->element, text, out);
    return out->failed ? -1 : rc;
}

/* A short list is written on the stack, so that arrays of most rows need no memory but the arena's.
 */
bool
pg_value_list(const struct pg_type *type, struct slice text, struct arena *arena, struct cell *out)
{
    char room[ROOM];
    struct buffer list = {.data = room, .capacity = sizeof(room), .limit = sizeof(room) - 1};
    bool small = text.size < (ROOM - EXTRA_BYTES) / EXPANSION, sound;
    if (!text_is_utf8(text))
        return false;
    if (!small)
        buffer_init(&list, text.size * EXPANSION + EXTRA_BYTES);
    sound = print_list(type, text, &list) == 0;
    out->kind = CELL_DOCUMENT;
    if (sound)
        out->text = arena_slice(arena, buffer_view(&list));
    if (!small)
        buffer_release(&list);
    return sound;
}
