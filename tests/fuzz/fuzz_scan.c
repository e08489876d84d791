/* Bytes of files and networks through every reader of buffer.h: each input is a list of calls. What
 * is read as a varint writes back to a form that reads as the same. */
#include "base/buffer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_varint(struct scan *s, struct buffer *out)
{
    uint64_t value = scan_varint(s);
    struct scan again;
    buffer_reset(out);
    buffer_varint(out, value);
    buffer_signed(out, (int64_t)value);
    again = scan_of(buffer_view(out));
    ensure(scan_varint(&again) == value && scan_signed(&again) == (int64_t)value);
    ensure(!again.failed && again.at == again.end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scan s = scan_of((struct slice){(const char *)data, size});
    struct buffer out;
    buffer_init(&out, 20);
    while (s.at < s.end && !s.failed) {
        switch (scan_byte(&s) % 5) {
        case 0:
            check_varint(&s, &out);
            break;
        case 1:
            scan_lenslice(&s);
            break;
        case 2:
            scan_bytes(&s, scan_byte(&s));
            break;
        case 3:
            scan_u32(&s);
            break;
        default:
            scan_u64(&s);
        }
        ensure(s.at <= s.end && (!s.failed || s.at == s.end));
    }
    buffer_release(&out);
    return 0;
}
