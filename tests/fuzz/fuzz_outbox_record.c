/* Blocks of the outbox: whatever is in the file must end as records or as a damaged block, and what
 * can be read must come out the same after it was written again. */
#include <stdlib.h>

#include "outbox/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All records that can be read, written again. */
static int
copy_block(struct slice block, struct buffer *out, unsigned *count)
{
    struct error err = {0};
    struct record_reader reader;
    struct record_writer writer;
    struct record record;
    int got = record_open(&reader, block, &err);
    *count = 0;
    if (got == 0) {
        record_begin(&writer, out, reader.written);
        while ((got = record_read(&reader, &record, &err)) > 0) {
            record_write(&writer, out, &record);
            ++*count;
        }
    }
    record_release(&reader);
    return got;
}

static void
check_rewind(struct slice block)
{
    struct error err = {0};
    struct record_writer writer;
    (void)!record_rewind(&writer, block, &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer once, twice;
    unsigned first, second;
    struct slice block = {(const char *)data, size};
    buffer_init(&once, (size_t)1 << 28);
    buffer_init(&twice, (size_t)1 << 28);
    copy_block(block, &once, &first);
    if (once.size && !once.failed) {
        ensure(copy_block(buffer_view(&once), &twice, &second) == 0);
        ensure(first == second);
        ensure(slice_equal(buffer_view(&once), buffer_view(&twice)));
    }
    check_rewind(block);
    buffer_release(&once);
    buffer_release(&twice);
    return 0;
}
