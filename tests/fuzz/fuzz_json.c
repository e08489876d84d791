/* Two readers of JSON, ours without a tree and yyjson: they must agree on what is JSON, and what we
 * write must read back. */
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};
    struct error err = {0};
    struct arena arena;
    struct buffer once, twice;
    struct value value, again;
    arena_init(&arena, 0);
    buffer_init(&once, 1 << 26);
    buffer_init(&twice, 1 << 26);
    int compact = json_compact(text, &once, &err);
    ensure(compact == json_parse(text, &arena, &value, &err));
    if (compact == 0) {
        ensure(once.size <= size);
        ensure(json_compact(buffer_view(&once), &twice, &err) == 0);
        ensure(slice_equal(buffer_view(&once), buffer_view(&twice)));
        buffer_reset(&once);
        json_value(&once, &value);
        ensure(json_parse(buffer_view(&once), &arena, &again, &err) == 0);
        buffer_reset(&twice);
        json_value(&twice, &again);
        ensure(slice_equal(buffer_view(&once), buffer_view(&twice)));
    }
    buffer_release(&once);
    buffer_reset(&twice); /* whatever the bytes, a string of them is JSON */
    json_string(&twice, text);
    ensure(json_parse(buffer_view(&twice), &arena, &value, &err) == 0);
    buffer_release(&twice);
    arena_release(&arena);
    return 0;
}
