/* Re-spacing JSON without building anything: documents of rows pass here by the gigabyte, so there
 * is no tree and no allocation, only a cursor, a stack of bits and whole runs copied. It accepts
 * exactly what yyjson accepts (the fuzz target fuzz_json holds both against each other). */
#include "base/json.h"
#include "base/text.h"

struct compactor {
    const char *start;
    const char *at;
    const char *end;
    const char *wrong; /* what is wrong at `at`; NULL so far */
    struct buffer *out;
    int depth;
    uint8_t objects[JSON_DEPTH / 8]; /* a bit for each open bracket: is it an object? */
};

static bool
fail(struct compactor *c, const char *wrong)
{
    if (!c->wrong)
        c->wrong = wrong;
    return false;
}

static inline bool
is_space(char ch)
{
    return ch == ' ' || ch == '\n' || ch == '\r' || ch == '\t';
}

static inline bool
is_digit(char ch)
{
    return (unsigned char)(ch - '0') < 10;
}

static void
skip_space(struct compactor *c)
{
    while (c->at < c->end && is_space(*c->at))
        c->at++;
}

static bool
next_is(struct compactor *c, char ch)
{
    return c->at < c->end && *c->at == ch;
}

/* Four hex digits at `at`; -1 when there are none. */
static int32_t
hex4(const char *at, const char *end)
{
    int32_t value = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char ch = at[i];
        char lower = (char)(ch | 0x20);
        if (!is_digit(ch) && (lower < 'a' || lower > 'f'))
            return -1;
        value = value * 16 + (is_digit(ch) ? ch - '0' : lower - 'a' + 10);
    }
    return value;
}

/* After "\u": one unit, or two that make a surrogate pair. */
static bool
take_unicode(struct compactor *c)
{
    int32_t unit = hex4(c->at, c->end);
    if (unit < 0)
        return fail(c, "bad \\u escape");
    c->at += 4;
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    if (unit >= 0xdc00 || c->end - c->at < 6 || c->at[0] != '\\' || c->at[1] != 'u')
        return fail(c, "half of a surrogate pair");
    int32_t low = hex4(c->at + 2, c->end);
    if (low < 0xdc00 || low > 0xdfff)
        return fail(c, "half of a surrogate pair");
    c->at += 6;
    return true;
}

static bool
take_escape(struct compactor *c)
{
    c->at++;
    if (c->at == c->end)
        return fail(c, "unclosed string");
    char kind = *c->at++;
    if (kind == 'u')
        return take_unicode(c);
    if (!memchr("\"\\/bfnrt", kind, 8)) {
        c->at--;
        return fail(c, "unknown escape in a string");
    }
    return true;
}

/* DEL and U+0080 to U+009F, which terminals take as commands, become escapes as in json_inside. */
static void
copy_tame(struct buffer *out, struct slice text)
{
    size_t from = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        bool c1 = byte == 0xc2 && (unsigned char)text.data[i + 1] < 0xa0;
        if (!c1 && byte != 0x7f)
            continue;
        buffer_append(out, text.data + from, i - from);
        i += c1;
        buffer_printf(out, "\\u00%02x", (unsigned char)text.data[i]);
        from = i + 1;
    }
    buffer_append(out, text.data + from, text.size - from);
}

static bool
take_string(struct compactor *c)
{
    const char *from = c->at++;
    bool ascii = true, tame = true;
    while (c->at < c->end && *c->at != '"') {
        unsigned char byte = (unsigned char)*c->at;
        if (byte < 0x20)
            return fail(c, "control character in a string");
        ascii = ascii && byte < 0x80;
        tame = tame && byte != 0x7f && byte != 0xc2;
        if (byte != '\\')
            c->at++;
        else if (!take_escape(c))
            return false;
    }
    if (c->at == c->end)
        return fail(c, "unclosed string");
    struct slice text = {from, (size_t)(++c->at - from)};
    if (!ascii && !text_is_utf8(text)) {
        c->at = from;
        return fail(c, "invalid UTF-8 in a string");
    }
    if (tame)
        buffer_slice(c->out, text);
    else
        copy_tame(c->out, text);
    return true;
}

static bool
skip_digits(struct compactor *c)
{
    const char *from = c->at;
    while (c->at < c->end && is_digit(*c->at))
        c->at++;
    return c->at > from || fail(c, "a digit is missing");
}

static bool
take_number(struct compactor *c)
{
    const char *from = c->at;
    if (next_is(c, '-'))
        c->at++;
    bool zero = next_is(c, '0');
    if (!skip_digits(c))
        return false;
    if (zero && c->at - from > 1 + (*from == '-'))
        return fail(c, "a number begins with 0");
    if (next_is(c, '.')) {
        c->at++;
        if (!skip_digits(c))
            return false;
    }
    if (next_is(c, 'e') || next_is(c, 'E')) {
        c->at++;
        if (next_is(c, '+') || next_is(c, '-'))
            c->at++;
        if (!skip_digits(c))
            return false;
    }
    buffer_append(c->out, from, (size_t)(c->at - from));
    return true;
}

static bool
take_word(struct compactor *c, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(c->end - c->at) < size || memcmp(c->at, word, size) != 0)
        return fail(c, "no JSON value");
    c->at += size;
    buffer_append(c->out, word, size);
    return true;
}

static bool
take_scalar(struct compactor *c)
{
    switch (c->at < c->end ? *c->at : '\0') {
    case '"':
        return take_string(c);
    case 't':
        return take_word(c, "true");
    case 'f':
        return take_word(c, "false");
    case 'n':
        return take_word(c, "null");
    case '-':
    case '0' ... '9':
        return take_number(c);
    default:
        return fail(c, c->at < c->end ? "no JSON value" : "the text ends early");
    }
}

static bool
in_object(const struct compactor *c)
{
    return c->objects[(c->depth - 1) / 8] >> ((c->depth - 1) % 8) & 1;
}

static bool
take_key(struct compactor *c)
{
    skip_space(c);
    if (!next_is(c, '"'))
        return fail(c, c->at < c->end ? "a key is missing" : "the text ends early");
    if (!take_string(c))
        return false;
    skip_space(c);
    if (!next_is(c, ':'))
        return fail(c, "a colon is missing");
    c->at++;
    buffer_byte(c->out, ':');
    return true;
}

/* At `[` or `{`. Sets *empty when it closes at once, so that no value follows. */
static bool
open_bracket(struct compactor *c, bool *empty)
{
    char ch = *c->at;
    if (c->depth == JSON_DEPTH)
        return fail(c, "nested too deep");
    uint8_t bit = (uint8_t)(1U << (c->depth % 8));
    uint8_t *byte = &c->objects[c->depth / 8];
    *byte = ch == '{' ? *byte | bit : *byte & (uint8_t)~bit;
    c->depth++;
    c->at++;
    buffer_byte(c->out, (uint8_t)ch);
    skip_space(c);
    *empty = next_is(c, ch == '{' ? '}' : ']');
    return *empty || ch == '[' || take_key(c);
}

/* After a value: closes what ends here. True when another value follows, false at the end of the
 * outermost value or on a failure. */
static bool
more_values(struct compactor *c)
{
    while (c->depth > 0) {
        skip_space(c);
        if (next_is(c, ',')) {
            c->at++;
            buffer_byte(c->out, ',');
            return !in_object(c) || take_key(c);
        }
        if (!next_is(c, in_object(c) ? '}' : ']'))
            return fail(c, "a comma or a closing bracket is missing");
        buffer_byte(c->out, (uint8_t)*c->at++);
        c->depth--;
    }
    return false;
}

static void
run(struct compactor *c)
{
    for (;;) {
        bool empty = false;
        skip_space(c);
        if (next_is(c, '[') || next_is(c, '{')) {
            if (!open_bracket(c, &empty))
                return;
            if (!empty)
                continue;
        } else if (!take_scalar(c)) {
            return;
        }
        if (!more_values(c))
            break;
    }
    skip_space(c);
    if (!c->wrong && c->at < c->end)
        fail(c, "something follows the value");
}

int
json_compact(struct slice text, struct buffer *out, struct error *err)
{
    const char *start = text.size ? text.data : "";
    struct compactor c = {.start = start, .at = start, .end = start + text.size, .out = out};
    run(&c);
    if (c.wrong)
        return error_set(err, ERROR_DATA, "invalid JSON at byte %zu: %s", (size_t)(c.at - c.start),
                         c.wrong);
    if (out->failed)
        return error_set(err, ERROR_FULL, "JSON is larger than %zu bytes", out->limit);
    return 0;
}
