/* Input: a byte (compressed or not), the size that the plain records are said to have, the body. */
#include "event/batch.h"

#define MEMORY (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scan s = scan_of((struct slice){(const char *)data, size});
    bool compressed = scan_byte(&s) & 1;
    size_t plain_size = scan_u32(&s);
    struct slice body = scan_bytes(&s, (size_t)(s.end - s.at));
    struct buffer out;
    buffer_init(&out, MEMORY);
    if (batch_open_body(body, compressed, plain_size, &out, NULL) == 0)
        ensure(out.size == plain_size);
    else
        ensure(out.size == 0 && !out.failed);
    buffer_release(&out);
    return 0;
}
