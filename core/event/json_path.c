#include "event/json_path.h"
#include "base/decimal.h"

static int
unknown_column(const struct schema *schema, struct slice name, struct error *err)
{
    char label[256];
    schema_label(schema, label, sizeof(label));
    error_set(err, ERROR_DATA, "%s has no column \"%.*s\"", label, (int)name.size, name.data);
    struct slice near = schema_suggest(schema, name);
    const char *dot = memchr(name.data, '.', name.size);
    if (!near.size && dot)
        near = schema_suggest(schema, (struct slice){name.data, (size_t)(dot - name.data)});
    return near.size ? error_hint(err, "did you mean \"%.*s\"?", (int)near.size, near.data) : -1;
}

static int
check_path(const struct column *column, struct slice name, struct slice path, struct error *err)
{
    if (column->family != FAMILY_DOCUMENT && column->family != FAMILY_ANY) {
        error_set(err, ERROR_DATA, "\"%.*s\" is a path, and column \"%.*s\" holds no documents",
                  (int)name.size, name.data, (int)column->name.size, column->name.data);
        return error_hint(err, "paths lead into columns of JSON");
    }
    if (memchr(path.data, '[', path.size)) {
        error_set(err, ERROR_DATA, "\"%.*s\" is no path", (int)name.size, name.data);
        return error_hint(err, "an entry of a list is a number after a dot: \"items.1\" is the "
                               "first");
    }
    for (size_t i = 0; i <= path.size; i++)
        if ((i == 0 || path.data[i - 1] == '.') && (i == path.size || path.data[i] == '.'))
            return error_set(err, ERROR_DATA, "\"%.*s\" is no path: nothing stands beside a dot",
                             (int)name.size, name.data);
    return 0;
}

int
json_path_column(const struct schema *schema, struct slice name, struct slice *path,
                 struct error *err)
{
    int column = schema_column(schema, name);
    *path = (struct slice){0};
    for (size_t i = name.size; column < 0 && i > 0; i--) {
        if (name.data[i - 1] != '.')
            continue;
        column = schema_column(schema, (struct slice){name.data, i - 1});
        *path = (struct slice){name.data + i, name.size - i};
    }
    if (column < 0)
        return unknown_column(schema, name, err);
    if (path->data && check_path(&schema->columns[column], name, *path, err) != 0)
        return -1;
    return column;
}

static const char *
skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
    return at;
}

/* Behind the quote that closes the string at `at`, or NULL. */
static const char *
skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        at += *at == '\\' && at + 1 < end;
    return at < end ? at + 1 : NULL;
}

static const char *
skip_nested(const char *at, const char *end)
{
    size_t depth = 0;
    while (at && at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
            continue;
        }
        depth += *at == '{' || *at == '[';
        depth -= *at == '}' || *at == ']';
        at++;
        if (depth == 0)
            return at;
    }
    return NULL;
}

/* Behind the value at `at`, or NULL when it has no end. */
static const char *
skip_value(const char *at, const char *end)
{
    const char *start = at;
    if (at == end)
        return NULL;
    if (*at == '"')
        return skip_string(at, end);
    if (*at == '{' || *at == '[')
        return skip_nested(at, end);
    while (at < end && !memchr(",}] \n\t\r", *at, 7))
        at++;
    return at > start ? at : NULL;
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at `at`, or -1. */
static int32_t
read_unit(const char *at, const char *end)
{
    int32_t unit = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static size_t
encode(int32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)((0xf00 >> size) | point);
    return size;
}

/* What follows `\u` at `*at`, one character with both halves of a surrogate pair; a half alone, or
 * what are no digits, is U+FFFD. */
static int32_t
read_point(const char **at, const char *end)
{
    int32_t unit = read_unit(*at, end);
    if (unit < 0)
        return 0xfffd;
    *at += 4;
    if (unit < 0xd800 || unit > 0xdfff)
        return unit;
    int32_t low =
        end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u' ? read_unit(*at + 2, end) : -1;
    if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return 0xfffd;
    *at += 6;
    return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

/* The bytes that stand at `*at` inside a string, one escape or one byte, and moves on. */
static size_t
take_character(const char **at, const char *end, char out[4])
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char c = *(*at)++;
    if (c == '\\' && *at < end) {
        c = *(*at)++;
        if (c == 'u')
            return encode(read_point(at, end), out);
        const char *found = memchr(from, c, sizeof(from) - 1);
        c = found ? to[found - from] : c;
    }
    out[0] = c;
    return 1;
}

static bool
has_escape(struct slice inside)
{
    return inside.size && memchr(inside.data, '\\', inside.size);
}

/* Is this the text that stands between two quotes? */
static bool
inside_is(struct slice inside, struct slice wanted)
{
    if (!has_escape(inside))
        return slice_equal(inside, wanted);
    const char *at = inside.data, *end = slice_end(inside);
    while (at < end) {
        char bytes[4];
        size_t size = take_character(&at, end, bytes);
        if (size > wanted.size || memcmp(bytes, wanted.data, size) != 0)
            return false;
        wanted.data += size;
        wanted.size -= size;
    }
    return wanted.size == 0;
}

/* All members are looked at, since the last of one name counts. */
static bool
find_member(struct slice object, struct slice key, struct slice *out)
{
    const char *at = skip_space(object.data + 1, slice_end(object)), *end = slice_end(object);
    bool found = false;
    while (at < end && *at == '"') {
        const char *name = at + 1;
        if (!(at = skip_string(at, end)))
            return false;
        struct slice inside = {name, (size_t)(at - 1 - name)};
        at = skip_space(at, end);
        if (at == end || *at != ':')
            return false;
        const char *value = skip_space(at + 1, end);
        if (!(at = skip_value(value, end)))
            return false;
        if (inside_is(inside, key)) {
            *out = (struct slice){value, (size_t)(at - value)};
            found = true;
        }
        at = skip_space(at, end);
        if (at < end && *at == ',')
            at = skip_space(at + 1, end);
    }
    return found;
}

/* A list's place, from 1; 0 when the step is no number. */
static size_t
place_of(struct slice step)
{
    size_t place = 0;
    for (size_t i = 0; i < step.size; i++) {
        if (step.data[i] < '0' || step.data[i] > '9' || place > UINT32_MAX)
            return 0;
        place = place * 10 + (size_t)(step.data[i] - '0');
    }
    return place;
}

static bool
find_entry(struct slice list, struct slice step, struct slice *out)
{
    const char *at = skip_space(list.data + 1, slice_end(list)), *end = slice_end(list);
    size_t place = place_of(step);
    while (place && at < end && *at != ']') {
        const char *value = at;
        if (!(at = skip_value(value, end)))
            return false;
        if (--place == 0) {
            *out = (struct slice){value, (size_t)(at - value)};
            return true;
        }
        at = skip_space(at, end);
        if (at < end && *at == ',')
            at = skip_space(at + 1, end);
    }
    return false;
}

static struct slice
take_step(struct slice *path)
{
    const char *dot = memchr(path->data, '.', path->size);
    struct slice step = {path->data, dot ? (size_t)(dot - path->data) : path->size};
    size_t taken = dot ? step.size + 1 : step.size;
    *path = (struct slice){path->data + taken, path->size - taken};
    return step;
}

bool
json_path_find(struct slice document, struct slice path, struct slice *out)
{
    const char *end = slice_end(document);
    const char *at = skip_space(document.data, end);
    /* The end of what is only passed through need not be looked for. */
    const char *behind = at < end ? path.size ? end : skip_value(at, end) : NULL;
    if (!behind)
        return false;
    *out = (struct slice){at, (size_t)(behind - at)};
    while (path.size) {
        struct slice step = take_step(&path);
        bool found = *out->data == '{'   ? find_member(*out, step, out)
                     : *out->data == '[' ? find_entry(*out, step, out)
                                         : false;
        if (!found)
            return false;
    }
    return true;
}

/* Behind a member's key and colon, or NULL. */
static const char *
skip_key(const char *at, const char *end)
{
    if (at >= end || *at != '"' || !(at = skip_string(at, end)))
        return NULL;
    at = skip_space(at, end);
    return at < end && *at == ':' ? skip_space(at + 1, end) : NULL;
}

bool
json_path_next(struct slice document, size_t *at, struct slice *out)
{
    const char *end = slice_end(document), *start = skip_space(document.data, end);
    if (start >= end || (*start != '[' && *start != '{'))
        return false;
    const char *value = skip_space(*at ? document.data + *at : start + 1, end);
    if (*at && value < end && *value == ',')
        value = skip_space(value + 1, end);
    if (value < end && *start == '{' && !(value = skip_key(value, end)))
        return false;
    const char *behind = value < end && *value != ']' ? skip_value(value, end) : NULL;
    if (!behind)
        return false;
    *out = (struct slice){value, (size_t)(behind - value)};
    *at = (size_t)(behind - document.data);
    return true;
}

static struct slice
unescaped(struct slice inside, struct buffer *scratch)
{
    const char *at = inside.data, *end = slice_end(inside);
    buffer_reset(scratch);
    while (at < end) {
        const char *plain = at;
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        at = escape ? escape : end;
        buffer_append(scratch, plain, (size_t)(at - plain));
        if (at < end) {
            char bytes[4];
            size_t size = take_character(&at, end, bytes);
            buffer_append(scratch, bytes, size);
        }
    }
    return buffer_view(scratch);
}

static void
read_number(struct slice json, struct cell *out)
{
    double real;
    bool whole = !memchr(json.data, '.', json.size) && !memchr(json.data, 'e', json.size) &&
                 !memchr(json.data, 'E', json.size);
    int form = decimal_classify(json, &out->integer, &real);
    if (form == 0)
        return;
    out->kind = whole && form == 1 ? CELL_INT : CELL_DECIMAL;
    out->text = out->kind == CELL_DECIMAL ? json : out->text;
}

void
json_path_cell(struct slice json, struct buffer *scratch, struct cell *out)
{
    *out = (struct cell){.kind = CELL_NULL};
    if (json.size == 0)
        return;
    if (*json.data == '"' && json.size > 1) {
        struct slice inside = {json.data + 1, json.size - 2};
        out->kind = CELL_TEXT;
        out->text = has_escape(inside) ? unescaped(inside, scratch) : inside;
    } else if (*json.data == '{' || *json.data == '[') {
        out->kind = CELL_DOCUMENT;
        out->text = json;
    } else if (slice_is(json, "true") || slice_is(json, "false")) {
        out->kind = CELL_BOOL;
        out->integer = *json.data == 't';
    } else if (*json.data == '-' || (*json.data >= '0' && *json.data <= '9')) {
        read_number(json, out);
    }
}

void
json_path_read(const struct cell *document, struct slice path, struct buffer *scratch,
               struct cell *out)
{
    struct slice json;
    bool may_hold = document->kind == CELL_DOCUMENT || document->kind == CELL_TEXT;
    *out = (struct cell){.kind = CELL_NULL};
    if (may_hold && json_path_find(document->text, path, &json))
        json_path_cell(json, scratch, out);
}
