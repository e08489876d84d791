/* Arbitrary text as a template; what compiles is rendered with an event of hostile values, for
 * every destination. Whatever the filters: no value breaks out of a JSON string, opens a tag,
 * begins a new line in a subject, moves a terminal's cursor or pings anybody; and what a rendering
 * leaves in the space that it shares with the next one changes nothing. */
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
    {.name = slice_literal("c"), .family = FAMILY_DOCUMENT},
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
    {.kind = CELL_TEXT,
     .text = slice_literal("\",\\\r\x1b]0;x\x07\xc2\x9b{{id}}<@U1> @everyone\n<")},
    {.kind = CELL_DECIMAL, .text = slice_literal("-99999999999999999999999999.995")},
    {.kind = CELL_FLOAT, .real = 1.7976931348623157e308},
    {.kind = CELL_UNCHANGED},
    {.kind = CELL_TEXT,
     .text = slice_literal("[\"<!here>\\u000a@all\",{\"b\":[1,null,\"@\"]},[]]")},
};

static const struct cell old_cells[COLUMNS] = {
    {.kind = CELL_NULL},
    {.kind = CELL_UNKNOWN},
    {.kind = CELL_DECIMAL, .text = slice_literal("NaN")},
    {.kind = CELL_BOOL, .integer = 1},
    {.kind = CELL_DOCUMENT, .text = slice_literal("{\"x\":[1,\"\\u001b\"]}")},
};

/* A script's filter that hands out what hurts most. */
static const void *
host_find(void *context, const char *script, struct slice name)
{
    (void)script;
    return name.size > 0 && *name.data == 'x' ? context : NULL;
}

static int
host_apply(void *context, const void *filter, const struct cell *args, size_t count,
           struct buffer *out, struct cell *result, struct error *err)
{
    ensure(filter == context);
    if (count > 4)
        return error_set(err, ERROR_DATA, "too much");
    for (size_t i = 0; i < count; i++)
        cell_print(&args[i], out);
    buffer_text(out, "<!channel>@here\x1b\n\"");
    *result = (struct cell){.kind = CELL_TEXT, .text = buffer_view(out)};
    return 0;
}

static const struct template_host host = {(void *)(uintptr_t)&schema, host_find, host_apply};

static bool
has(struct slice text, const char *what)
{
    return memmem(text.data, text.size, what, strlen(what)) != NULL;
}

/* What no value may bring in; where the template has it itself, it proves nothing. */
static const struct {
    const char *sign;
    unsigned escapes; /* bits: where it must not be */
} signs[] = {
    {"\x1b", 1u << TEMPLATE_PLAIN | 1u << TEMPLATE_LINE | 1u << TEMPLATE_DATA |
                 1u << TEMPLATE_HTML | 1u << TEMPLATE_SLACK | 1u << TEMPLATE_URL |
                 1u << TEMPLATE_JSON},
    {"\n", 1u << TEMPLATE_LINE | 1u << TEMPLATE_DATA | 1u << TEMPLATE_URL | 1u << TEMPLATE_JSON},
    {"<", 1u << TEMPLATE_HTML | 1u << TEMPLATE_SLACK | 1u << TEMPLATE_URL},
    {"<!", 1u << TEMPLATE_PLAIN | 1u << TEMPLATE_LINE},
    {"<@", 1u << TEMPLATE_PLAIN | 1u << TEMPLATE_LINE},
    {"@here", 1u << TEMPLATE_PLAIN | 1u << TEMPLATE_LINE | 1u << TEMPLATE_SLACK},
    {"@everyone", 1u << TEMPLATE_PLAIN | 1u << TEMPLATE_LINE | 1u << TEMPLATE_SLACK},
};

static void
check_signs(struct slice text, struct slice rendered, enum template_escape escape)
{
    for (size_t i = 0; i < countof(signs); i++) {
        bool own = has(text, "json") || memchr(text.data, *signs[i].sign, text.size);
        ensure(own || !(signs[i].escapes & 1u << escape) || !has(rendered, signs[i].sign));
    }
}

static void
render(const struct template *t, struct event *e, struct slice text, enum template_escape escape)
{
    static struct template_space *shared;
    struct buffer out, again;
    struct error err = {0};
    struct template_call call = {.event = e, .escape = escape, .now = INT64_MIN, .host = &host};
    buffer_init(&out, 1 << 16);
    buffer_init(&again, 1 << 16);
    shared = shared ? shared : template_space_new();
    int result = template_render(t, &call, &out, &err);
    ensure(result == 0 || (err.class != ERROR_NONE && out.size == 0));
    ensure(!out.failed);
    call.space = shared;
    ensure(template_render(t, &call, &again, &err) == result);
    ensure(slice_equal(buffer_view(&out), buffer_view(&again)));
    if (text.size)
        check_signs(text, buffer_view(&out), escape);
    buffer_release(&again);
    buffer_release(&out);
}

static struct template *
compile(struct slice text, struct error *err)
{
    struct template_source source = {text, "fuzz:1", "scripts/a.lua", &host};
    return template_compile_for(&source, err);
}

/* A template of one place, put into a JSON string, stays one string. */
static void
check_json(struct event *e, struct slice text)
{
    struct buffer whole, out;
    struct error err = {0};
    struct arena arena;
    struct value value;
    struct template_call call = {.event = e, .escape = TEMPLATE_JSON, .host = &host};
    if (text.size < 4 || memcmp(text.data, "{{", 2) != 0 || has(text, "json") ||
        memchr(text.data + 2, '{', text.size - 2) ||
        memmem(text.data, text.size, "}}", 2) != text.data + text.size - 2)
        return;
    arena_init(&arena, 0);
    buffer_init(&whole, 1 << 17);
    buffer_init(&out, 1 << 16);
    buffer_byte(&whole, '"');
    buffer_slice(&whole, text);
    buffer_byte(&whole, '"');
    struct template *t = compile(buffer_view(&whole), &err);
    if (t && template_render(t, &call, &out, &err) == 0) {
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
    struct template *t = compile(text, &err);
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
        e.meta = slice_of("{\"a\":[{\"b\":\"<!here>\"},[],\"\\u001b\"],\"c\":1e400}");
        for (int escape = TEMPLATE_PLAIN; escape <= TEMPLATE_URL; escape++)
            render(t, &e, text, (enum template_escape)escape);
        check_json(&e, text);
    }
    template_free(t);
    return 0;
}
