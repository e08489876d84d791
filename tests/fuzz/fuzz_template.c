/* Arbitrary text as a template; what compiles is rendered with an event of hostile values. Plain
 * text must come out without control characters of a value, and a value inside a JSON string must
 * never break out of it. */
#include "base/json.h"
#include "event/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COLUMNS 6

static const uint16_t key[] = {0, 1};

static const struct column columns[COLUMNS] = {
    {.name = slice_literal("id"), .key = 1},
    {.name = slice_literal("key"), .key = 2},
    {.name = slice_literal("a")},
    {.name = slice_literal("b")},
    {.name = slice_literal("c")},
    {.name = slice_literal("d.e")},
};

static const struct schema schema = {
    .source = slice_literal("s\x1b[2J"),
    .driver = slice_literal("sqlite"),
    .schema = slice_literal("ma\"in"),
    .table = slice_literal("t\\"),
    .column_count = COLUMNS,
    .key_count = countof(key),
    .columns = columns,
    .key = key,
};

static const struct cell new_cells[COLUMNS] = {
    {.kind = CELL_INT, .integer = INT64_MIN},
    {.kind = CELL_TEXT, .text = slice_literal("\",\\\r\x1b]0;x\x07\xc2\x9b{{id}}")},
    {.kind = CELL_DECIMAL, .text = slice_literal("-99999999999999999999999999.995")},
    {.kind = CELL_FLOAT, .real = 1.7976931348623157e308},
    {.kind = CELL_UNCHANGED},
    {.kind = CELL_BYTES, .text = slice_literal("\0\xff\x1b")},
};

static const struct cell old_cells[COLUMNS] = {
    {.kind = CELL_NULL},
    {.kind = CELL_UNKNOWN},
    {.kind = CELL_DECIMAL, .text = slice_literal("NaN")},
    {.kind = CELL_BOOL, .integer = 1},
    {.kind = CELL_DOCUMENT, .text = slice_literal("{\"x\":[1,\"\\u001b\"]}")},
};

static void
render(const struct template *t, struct event *e, enum template_escape escape)
{
    struct buffer out;
    struct error err = {0};
    buffer_init(&out, 1 << 16);
    if (template_render(t, e, escape, &out, &err) != 0)
        ensure(err.class != ERROR_NONE && out.size == 0);
    ensure(!out.failed);
    buffer_release(&out);
}

static void
check_plain(const struct template *t, struct event *e, struct slice text)
{
    struct buffer out;
    struct error err = {0};
    buffer_init(&out, 1 << 16);
    if (!memchr(text.data, 0x1b, text.size) &&
        template_render(t, e, TEMPLATE_PLAIN, &out, &err) == 0)
        ensure(out.size == 0 || !memchr(out.data, 0x1b, out.size));
    buffer_release(&out);
}

/* A template of one place, put into a JSON string, stays one string. */
static void
check_json(struct event *e, struct slice text)
{
    struct buffer whole, out;
    struct error err = {0};
    struct arena arena;
    struct value value;
    if (text.size < 4 || memcmp(text.data, "{{", 2) != 0 || memchr(text.data, '|', text.size) ||
        memchr(text.data + 2, '{', text.size - 2) ||
        memmem(text.data, text.size, "}}", 2) != text.data + text.size - 2)
        return;
    arena_init(&arena, 0);
    buffer_init(&whole, 1 << 17);
    buffer_init(&out, 1 << 16);
    buffer_byte(&whole, '"');
    buffer_slice(&whole, text);
    buffer_byte(&whole, '"');
    struct template *t = template_compile(buffer_view(&whole), "fuzz:1", &err);
    if (t && template_render(t, e, TEMPLATE_JSON, &out, &err) == 0) {
        ensure(json_parse(buffer_view(&out), &arena, &value, &err) == 0);
        ensure(value.kind == VALUE_TEXT);
    }
    template_free(t);
    buffer_release(&out);
    buffer_release(&whole);
    arena_release(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum event_op ops[] = {EVENT_INSERT, EVENT_UPDATE, EVENT_DELETE, EVENT_DDL};
    struct slice text = {(const char *)data, size};
    struct error err = {0};
    struct template *t = template_compile(text, "fuzz:1", &err);
    if (!t) {
        ensure(err.class == ERROR_DATA || err.class == ERROR_REFUSED);
        return 0;
    }
    int checked = template_check(t, &schema, &err);
    ensure(checked == 0 || err.class == ERROR_DATA);
    for (size_t i = 0; i < countof(ops); i++) {
        struct event e = {.op = ops[i], .schema = &schema, .epoch = 1, .ts = INT64_MAX};
        e.position = slice_of("0/\x1b");
        e.rows[EVENT_NEW] = (struct row){ops[i] <= EVENT_UPDATE, COLUMNS, new_cells};
        e.rows[EVENT_OLD] =
            (struct row){ops[i] == EVENT_DELETE || ops[i] == EVENT_UPDATE, COLUMNS - 1, old_cells};
        e.ddl = slice_of("{\"kind\":\"al\\u001bter\",\"added\":[1,\"x\"],\"sql\":\"\\n\"}");
        e.content = slice_of("\xff\x1b");
        render(t, &e, TEMPLATE_PLAIN);
        render(t, &e, TEMPLATE_JSON);
        check_plain(t, &e, text);
        check_json(&e, text);
    }
    template_free(t);
    return 0;
}
