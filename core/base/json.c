#include "base/json.h"

#include <math.h>

#include "yyjson/yyjson.h"

/* What a byte of a string asks for: 0 goes out as it is, 'u' as \u00XX, 'm' begins a multibyte
 * character, any other value stands after a backslash. */
static const char escapes[256] = {
    ['\0'] = 'u',          ['\x01'] = 'u', ['\x02'] = 'u', ['\x03'] = 'u', ['\x04'] = 'u',
    ['\x05'] = 'u',        ['\x06'] = 'u', ['\a'] = 'u',   ['\b'] = 'b',   ['\t'] = 't',
    ['\n'] = 'n',          ['\v'] = 'u',   ['\f'] = 'f',   ['\r'] = 'r',   ['\x0e'] = 'u',
    ['\x0f'] = 'u',        ['\x10'] = 'u', ['\x11'] = 'u', ['\x12'] = 'u', ['\x13'] = 'u',
    ['\x14'] = 'u',        ['\x15'] = 'u', ['\x16'] = 'u', ['\x17'] = 'u', ['\x18'] = 'u',
    ['\x19'] = 'u',        ['\x1a'] = 'u', ['\x1b'] = 'u', ['\x1c'] = 'u', ['\x1d'] = 'u',
    ['\x1e'] = 'u',        ['\x1f'] = 'u', ['"'] = '"',    ['\\'] = '\\',  ['\x7f'] = 'u',
    [0x80 ... 0xff] = 'm',
};

static const char hex[] = "0123456789abcdef";

/* The length of the valid UTF-8 character at `at`, 0 when there is none. */
static size_t
character_size(const uint8_t *at, size_t left)
{
    uint8_t low = 0x80, high = 0xbf;
    size_t size;
    if (at[0] >= 0xc2 && at[0] <= 0xdf)
        size = 2;
    else if (at[0] >= 0xe0 && at[0] <= 0xef)
        size = 3;
    else if (at[0] >= 0xf0 && at[0] <= 0xf4)
        size = 4;
    else
        return at[0] < 0x80;
    if (at[0] == 0xe0)
        low = 0xa0; /* shorter forms exist */
    else if (at[0] == 0xed)
        high = 0x9f; /* surrogates */
    else if (at[0] == 0xf0)
        low = 0x90;
    else if (at[0] == 0xf4)
        high = 0x8f; /* beyond U+10FFFF */
    if (left < size || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    return size;
}

static void
write_code(struct buffer *out, uint8_t code)
{
    char text[6] = {'\\', 'u', '0', '0', hex[code >> 4], hex[code & 15]};
    buffer_append(out, text, sizeof(text));
}

/* U+0080 to U+009F: a terminal takes them as commands, so they never go out as they are. */
static bool
is_c1(const char *at, size_t size)
{
    return size == 2 && (uint8_t)at[0] == 0xc2 && (uint8_t)at[1] < 0xa0;
}

/* Appends what the special byte at `at` asks for; returns how many bytes of the text it took. */
static size_t
write_special(struct buffer *out, const char *at, size_t left)
{
    uint8_t byte = (uint8_t)*at;
    char kind = escapes[byte];
    if (kind == 'm') {
        size_t size = character_size((const uint8_t *)at, left);
        if (is_c1(at, size)) {
            write_code(out, (uint8_t)at[1]);
            return size;
        }
        buffer_append(out, size ? at : "\xef\xbf\xbd", size ? size : 3);
        return size ? size : 1;
    }
    if (kind == 'u') {
        write_code(out, byte);
    } else {
        char text[2] = {'\\', kind};
        buffer_append(out, text, sizeof(text));
    }
    return 1;
}

void
json_inside(struct buffer *out, struct slice text)
{
    size_t from = 0;
    if (text.size == 0)
        return;
    for (size_t i = 0; i < text.size;) {
        if (escapes[(uint8_t)text.data[i]] == 0) {
            i++;
            continue;
        }
        buffer_append(out, text.data + from, i - from);
        i += write_special(out, text.data + i, text.size - i);
        from = i;
    }
    buffer_append(out, text.data + from, text.size - from);
}

void
json_string(struct buffer *out, struct slice text)
{
    buffer_byte(out, '"');
    json_inside(out, text);
    buffer_byte(out, '"');
}

void
json_int(struct buffer *out, int64_t value)
{
    char text[20];
    size_t at = sizeof(text);
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        text[--at] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude > 0);
    if (value < 0)
        text[--at] = '-';
    buffer_append(out, text + at, sizeof(text) - at);
}

void
json_double(struct buffer *out, double value)
{
    char room[512];
    yyjson_alc alc;
    if (!isfinite(value)) {
        buffer_text(out, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    yyjson_val number = {.tag = YYJSON_TYPE_NUM | YYJSON_SUBTYPE_REAL, .uni.f64 = value};
    ensure(yyjson_alc_pool_init(&alc, room, sizeof(room)));
    size_t size = 0;
    char *text = yyjson_val_write_opts(&number, 0, &alc, &size, NULL);
    ensure(text);
    buffer_append(out, text, size);
}

void
json_base64(struct buffer *out, struct slice bytes)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *in = (const uint8_t *)bytes.data;
    buffer_byte(out, '"');
    char *to = buffer_extend(out, (bytes.size + 2) / 3 * 4);
    for (size_t i = 0; to && i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t word = (uint32_t)in[i] << 16;
        word |= left > 1 ? (uint32_t)in[i + 1] << 8 : 0;
        word |= left > 2 ? in[i + 2] : 0;
        *to++ = letters[word >> 18];
        *to++ = letters[word >> 12 & 63];
        *to++ = left > 1 ? letters[word >> 6 & 63] : '=';
        *to++ = left > 2 ? letters[word & 63] : '=';
    }
    buffer_byte(out, '"');
}

void
json_comma(struct buffer *out)
{
    if (out->size > 0 && !memchr("[{:,", out->data[out->size - 1], 4))
        buffer_byte(out, ',');
}

void
json_key(struct buffer *out, const char *key)
{
    json_comma(out);
    json_string(out, slice_of(key));
    buffer_byte(out, ':');
}

static void write_value(struct buffer *out, const struct value *value, int depth);

/* `depth` counts the brackets around a value; false, and the buffer failed, when one more is too
 * many. */
static bool
may_open(struct buffer *out, int depth)
{
    out->failed = out->failed || depth >= JSON_DEPTH;
    return !out->failed;
}

static void
write_list(struct buffer *out, const struct value *value, int depth)
{
    if (!may_open(out, depth))
        return;
    buffer_byte(out, '[');
    for (size_t i = 0; i < value->count; i++) {
        if (i > 0)
            buffer_byte(out, ',');
        write_value(out, &value->items[i], depth + 1);
    }
    buffer_byte(out, ']');
}

static void
write_map(struct buffer *out, const struct value *value, int depth)
{
    if (!may_open(out, depth))
        return;
    buffer_byte(out, '{');
    for (size_t i = 0; i < value->count; i++) {
        if (i > 0)
            buffer_byte(out, ',');
        json_string(out, value->pairs[i].key);
        buffer_byte(out, ':');
        write_value(out, &value->pairs[i].value, depth + 1);
    }
    buffer_byte(out, '}');
}

/* gt(5) is {"call":"gt","items":[5]}. */
static void
write_call(struct buffer *out, const struct value *value, int depth)
{
    buffer_text(out, "{\"call\":");
    json_string(out, value->text);
    buffer_text(out, ",\"items\":");
    write_list(out, value, depth + 1);
    buffer_byte(out, '}');
}

static void
write_value(struct buffer *out, const struct value *value, int depth)
{
    switch (value->kind) {
    case VALUE_NIL:
    case VALUE_NULL:
        buffer_text(out, "null");
        break;
    case VALUE_BOOL:
        buffer_text(out, value->boolean ? "true" : "false");
        break;
    case VALUE_INT:
        json_int(out, value->integer);
        break;
    case VALUE_FLOAT:
        json_double(out, value->real);
        break;
    case VALUE_DECIMAL:
        buffer_slice(out, value->text);
        break;
    case VALUE_TEXT:
        json_string(out, value->text);
        break;
    case VALUE_LIST:
        write_list(out, value, depth);
        break;
    case VALUE_MAP:
        write_map(out, value, depth);
        break;
    case VALUE_CALL:
        write_call(out, value, depth);
        break;
    case VALUE_FUNCTION:
        buffer_text(out, "{\"function\":true}");
        break;
    case VALUE_SECRET:
        buffer_text(out, "{\"secret\":");
        json_string(out, value->text);
        buffer_byte(out, '}');
        break;
    }
}

void
json_value(struct buffer *out, const struct value *value)
{
    write_value(out, value, 0);
}
