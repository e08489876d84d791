#include "support/journal_make.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EPOCH = 3, WATERMARK_STEP = 1000 };

char *
folder_make(const char *name)
{
    const char *base = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof(path), "%s/tidegate-%s-XXXXXX", base && *base ? base : "/tmp", name);
    ensure(mkdtemp(path));
    return memory_text(path);
}

static int
remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

void
folder_remove(char *path)
{
    nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(path);
}

/* Half repeats, half does not, so that large ones are compressed but not to nothing. */
static void
fill(struct buffer *out, const char *source, unsigned number, unsigned count, size_t bytes)
{
    uint64_t random = number * UINT64_C(0x9e3779b97f4a7c15) + count;
    for (unsigned i = 0; i < count; i++)
        buffer_printf(out, "%s#%u.%u;", source, number, i);
    while (count > 0 && out->size < bytes) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        buffer_byte(out, (uint8_t)(random >> 56));
        buffer_byte(out, 'x');
    }
}

static void
position_of(char out[32], unsigned number)
{
    snprintf(out, 32, "at-%u", number);
}

struct batch *
batch_make(const char *source, unsigned number, unsigned count, size_t bytes)
{
    struct batch *b = batch_new(source, EPOCH);
    char position[32];
    fill(&b->records, source, number, count, bytes);
    b->count = count;
    b->first_ts = b->last_ts = count ? (int64_t)number * WATERMARK_STEP : 0;
    position_of(position, number);
    batch_seal(b, slice_of(position), (int64_t)number * WATERMARK_STEP);
    return b;
}

const char *
batch_differs(const struct journal_block *block, const char *source, unsigned number,
              unsigned count, size_t bytes)
{
    struct buffer records;
    char position[32];
    bool same;
    position_of(position, number);
    buffer_init(&records, BATCH_MAX);
    fill(&records, source, number, count, bytes);
    same = slice_equal(buffer_view(&records), block->records);
    buffer_release(&records);
    if (!slice_is(block->source, source))
        return "source";
    if (!slice_is(block->position, position))
        return "position";
    if (block->count != count)
        return "count";
    if (block->epoch != EPOCH)
        return "epoch";
    if (block->watermark != (int64_t)number * WATERMARK_STEP)
        return "watermark";
    return same ? NULL : "records";
}
