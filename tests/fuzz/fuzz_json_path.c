/* A path (the first line) and a document (the rest). Whatever they are, the walk stays inside, and
 * in what is JSON it finds what the tree of the same document has there. */
#include "base/json.h"
#include "event/json_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
place_of(struct slice step)
{
    size_t place = 0;
    for (size_t i = 0; i < step.size; i++) {
        if (step.data[i] < '0' || step.data[i] > '9' || place > SIZE_MAX / 100)
            return 0;
        place = place * 10 + (size_t)(step.data[i] - '0');
    }
    return place;
}

static const struct value *
step_into(const struct value *v, struct slice step)
{
    const struct value *found = NULL;
    size_t place = place_of(step);
    if (v->kind == VALUE_LIST)
        return place && place <= v->count ? &v->items[place - 1] : NULL;
    for (size_t i = 0; v->kind == VALUE_MAP && i < v->count; i++)
        if (slice_equal(v->pairs[i].key, step))
            found = &v->pairs[i].value;
    return found;
}

static const struct value *
tree_find(const struct value *v, struct slice path)
{
    while (v && path.size) {
        const char *dot = memchr(path.data, '.', path.size);
        struct slice step = {path.data, dot ? (size_t)(dot - path.data) : path.size};
        size_t taken = dot ? step.size + 1 : step.size;
        path = (struct slice){path.data + taken, path.size - taken};
        v = step_into(v, step);
    }
    return v;
}

/* The same value by both ways, as a text. */
static void
check_same(const struct value *expected, struct slice json, struct arena *arena)
{
    struct buffer a, b;
    struct value found;
    struct error err = {0};
    buffer_init(&a, 1 << 26);
    buffer_init(&b, 1 << 26);
    ensure(json_parse(json, arena, &found, &err) == 0);
    json_value(&a, expected);
    json_value(&b, &found);
    ensure(slice_equal(buffer_view(&a), buffer_view(&b)));
    buffer_release(&a);
    buffer_release(&b);
}

static void
check_cell(const struct value *expected, const struct cell *cell)
{
    static const enum cell_kind kinds[] = {
        [VALUE_NULL] = CELL_NULL,       [VALUE_BOOL] = CELL_BOOL, [VALUE_INT] = CELL_INT,
        [VALUE_DECIMAL] = CELL_DECIMAL, [VALUE_TEXT] = CELL_TEXT, [VALUE_LIST] = CELL_DOCUMENT,
        [VALUE_MAP] = CELL_DOCUMENT};
    ensure(cell->kind == kinds[expected->kind] ||
           (cell->kind == CELL_NULL && expected->kind == VALUE_DECIMAL)); /* beyond any exponent */
    if (cell->kind == CELL_TEXT)
        ensure(slice_equal(cell->text, expected->text));
    if (cell->kind == CELL_INT)
        ensure(cell->integer == expected->integer);
    if (cell->kind == CELL_BOOL)
        ensure((cell->integer != 0) == expected->boolean);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *line = size ? memchr(text, '\n', size) : NULL;
    if (!line)
        return 0;
    struct slice path = {text, (size_t)(line - text)};
    struct slice document = {line + 1, size - path.size - 1}, json;
    struct arena arena;
    struct buffer scratch;
    struct error err = {0};
    struct value tree;
    struct cell cell, whole = {.kind = CELL_DOCUMENT, .text = document};
    arena_init(&arena, 0);
    buffer_init(&scratch, 1 << 26);
    bool found = json_path_find(document, path, &json);
    json_path_read(&whole, path, &scratch, &cell);
    ensure(found || cell.kind == CELL_NULL);
    if (json_parse(document, &arena, &tree, &err) == 0) {
        const struct value *expected = tree_find(&tree, path);
        ensure(found == (expected != NULL));
        if (found) {
            check_cell(expected, &cell);
            check_same(expected, json, &arena);
        }
    }
    buffer_release(&scratch);
    arena_release(&arena);
    return 0;
}
