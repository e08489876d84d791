/* Arrays of PostgreSQL, from both ends: a hostile text must give a sound JSON list or nothing, and
 * what is written as the server writes an array of texts must come back element by element. The
 * first byte picks the type of the elements. */
#include "base/json.h"
#include "base/text.h"
#include "source/postgres/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint32_t oids[] = {16,  17,  20,   22,   25,   114,  603,
                                701, 790, 1082, 1184, 1700, 1007, 1009};

static void
check_list(struct slice list)
{
    struct error err = {0};
    struct buffer again;
    buffer_init(&again, list.size);
    ensure(list.size >= 2 && list.data[0] == '[');
    ensure(json_compact(list, &again, &err) == 0);
    ensure(slice_equal(buffer_view(&again), list));
    buffer_release(&again);
}

static void
check_hostile(const struct pg_type *element, struct slice text)
{
    struct buffer out;
    buffer_init(&out, text.size * 8 + 64);
    if (pg_value_array(element, text, &out) == 0) {
        ensure(!out.failed);
        check_list(buffer_view(&out));
    }
    buffer_release(&out);
}

static void
write_quoted(struct buffer *out, struct slice text)
{
    buffer_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            buffer_byte(out, '\\');
        buffer_byte(out, (uint8_t)text.data[i]);
    }
    buffer_byte(out, '"');
}

/* The elements are parted by line breaks; one that is empty stands for NULL. */
static void
check_round_trip(const struct pg_type *element, struct slice text)
{
    struct buffer array, expected, out;
    const char *at = text.data, *end = slice_end(text);
    size_t limit = text.size * 8 + 64;
    buffer_init(&array, limit);
    buffer_init(&expected, limit);
    buffer_init(&out, limit);
    buffer_text(&array, "[0:9]={");
    buffer_byte(&expected, '[');
    for (bool more = true; more;) {
        const char *line = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        struct slice part = {at, (size_t)((line ? line : end) - at)};
        if (part.size) {
            write_quoted(&array, part);
            json_string(&expected, part);
        } else {
            buffer_text(&array, "NULL");
            buffer_text(&expected, "null");
        }
        more = line;
        at = line ? line + 1 : end;
        buffer_byte(&array, more ? ',' : '}');
        buffer_byte(&expected, more ? ',' : ']');
    }
    ensure(pg_value_array(element, buffer_view(&array), &out) == 0);
    ensure(slice_equal(buffer_view(&out), buffer_view(&expected)));
    buffer_release(&array);
    buffer_release(&expected);
    buffer_release(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pg_types *types;
    if (!types)
        types = pg_types_new();
    if (size == 0)
        return 0;
    struct slice text = {(const char *)data + 1, size - 1};
    check_hostile(pg_types_find(types, oids[data[0] % countof(oids)]), text);
    if (text_is_utf8(text))
        check_round_trip(pg_types_find(types, 25), text);
    return 0;
}
