/* Arbitrary bytes as a stored position: a head that reads writes the same bytes again and has a
 * text; a tail that reads holds no more tables than it has bytes, and reads again as written. */
#include "source/postgres/position.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_tail(struct slice bytes)
{
    struct pg_tail tail, again;
    struct buffer written;
    pg_tail_init(&tail);
    pg_tail_init(&again);
    buffer_init(&written, bytes.size + 64);
    if (pg_tail_read(bytes, &tail) == 0) {
        ensure(tail.count <= bytes.size);
        pg_tail_write(&tail, &written); /* shorter than `bytes` where those had long varints */
        ensure(!written.failed && pg_tail_read(buffer_view(&written), &again) == 0);
        ensure(again.count == tail.count && strcmp(again.slot, tail.slot) == 0);
        for (size_t i = 0; i < tail.count; i++)
            ensure(pg_tail_find(&again, tail.known[i].oid)->schema == tail.known[i].schema);
    } else {
        ensure(tail.count == 0 && !tail.known);
    }
    buffer_release(&written);
    pg_tail_release(&again);
    pg_tail_release(&tail);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = {(const char *)data, size}, tail;
    struct pg_position position;
    struct buffer out;
    buffer_init(&out, 1024);
    if (pg_position_read(bytes, &position, &tail) == 0) {
        pg_position_write(&position, &out);
        ensure(out.size == PG_POSITION_HEAD && memcmp(out.data, data, out.size) == 0);
        pg_place_print(&position.place, &out);
        check_tail(tail);
    } else {
        check_tail(bytes);
    }
    pg_position_describe(bytes, &out);
    ensure(!out.failed);
    buffer_release(&out);
    return 0;
}
