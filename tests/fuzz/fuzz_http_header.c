/* A header line made of any name and value is one line, or is refused. Input: name, 0, value. */
#include "channel/http_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *split = size ? memchr(data, 0, size) : NULL;
    size_t name = split ? (size_t)(split - data) : size;
    struct value_pair pair = {.key = {(const char *)data, name}, .value = {.kind = VALUE_TEXT}};
    struct error err = {0};
    struct arena arena;
    const char *line;
    if (split)
        pair.value.text = (struct slice){(const char *)split + 1, size - name - 1};
    arena_init(&arena, 0);
    line = http_header_line(&arena, &pair, &err);
    if (line) {
        size_t sign = strcspn(line, ":;");
        ensure(!strpbrk(line, "\r\n") && sign == name && line[sign]);
        ensure(line[sign] == ';' || strlen(line) == name + 2 + pair.value.text.size);
        ensure(http_header_same(line, line));
    } else {
        ensure(err.class == ERROR_DATA && err.message[0]);
    }
    arena_release(&arena);
    return 0;
}
