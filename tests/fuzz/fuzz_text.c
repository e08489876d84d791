/* Patterns and texts of strangers: any bytes at all, and what must hold of them. */
#include "base/text.h"

#include "base/buffer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was made printable stays as it is, so nothing in it was left to be escaped. */
static void
check_printable(struct slice text, bool keep_lines)
{
    struct buffer once, twice;
    buffer_init(&once, 8 * text.size + 8);
    buffer_init(&twice, 8 * text.size + 8);
    text_printable(&once, text, keep_lines);
    text_printable(&twice, buffer_view(&once), keep_lines);
    ensure(!once.failed && !twice.failed);
    ensure(slice_equal(buffer_view(&once), buffer_view(&twice)));
    ensure(text_is_utf8(buffer_view(&once)));
    buffer_release(&once);
    buffer_release(&twice);
}

static void
check_case(struct slice text)
{
    struct buffer out;
    buffer_init(&out, 2 * text.size + 8);
    text_upper(&out, text);
    ensure(text_length(buffer_view(&out)) == text_length(text));
    buffer_reset(&out);
    text_lower(&out, text);
    ensure(text_length(buffer_view(&out)) == text_length(text));
    buffer_release(&out);
}

/* The first byte says where the pattern ends. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const words[] = {"url", "timeout", "format"};
    struct slice pattern, text;
    size_t cut = size ? data[0] : 0;
    if (size == 0 || size > 4096 || cut > size - 1)
        return 0;
    pattern = (struct slice){(const char *)data + 1, cut};
    text = (struct slice){(const char *)data + 1 + cut, size - 1 - cut};
    if (!text_has_glob(pattern) && !memchr(pattern.data, '\\', pattern.size))
        ensure(text_glob(pattern, text) == slice_equal(pattern, text));
    text_like(pattern, text, true);
    text_suggest(pattern, words, countof(words), sizeof(*words));
    ensure(text_truncate(text, cut).size <= cut || text.size <= cut);
    ensure(!text_is_utf8(text) || text_is_utf8(text_truncate(text, cut)));
    ensure(text_trim(text).size <= text.size);
    check_printable(text, cut & 1);
    check_case(text);
    return 0;
}
