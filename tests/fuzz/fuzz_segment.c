/* Arbitrary bytes as the newest segment of a journal: opening, reading, seeking, writing on and
 * resetting end in events or an error, and what was opened once opens again.
 *
 * The first byte of an input says how far its bytes are taken as they are: without a bit the
 * checksum or number that guards the next layer is made right, so that the bytes behind it are met
 * too. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "journal/journal_private.h"

enum {
    AS_IS = 1,         /* change nothing */
    OWN_NUMBERS = 2,   /* blocks keep their numbers, lsns and chain */
    OWN_HASH = 4,      /* blocks keep their body hash */
    SIZES = 64 * 1024, /* of a segment, at least */
    HEADER = 24,       /* where the checked part of a segment's header begins */
};

#define LAST (SEGMENT_LAST / 2) /* leaves room to write on and to reset */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
put(char *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (char)(value >> (8 * i));
}

static uint64_t
get(const char *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)(uint8_t)at[i] << (8 * i);
    return value;
}

struct chain {
    uint64_t segment, number, lsn, previous, seed;
};

/* Makes the block at `at` vouch for itself; its size, 0 when there is no room for one. */
static size_t
seal_block(char *at, size_t room, int flags, struct chain *chain)
{
    uint64_t size, body, checksum;
    if (room < BLOCK_FIXED)
        return 0;
    size = get(at + 16, 4);
    if (size < BLOCK_FIXED || size > room)
        return 0;
    body = get(at + 24, 8);
    if (body > room - size)
        return 0;
    memcpy(at, block_magic, sizeof(block_magic));
    if (!(flags & OWN_HASH))
        put(at + 40, hash64(at + size, body), 8);
    if (!(flags & OWN_NUMBERS)) {
        put(at + 48, chain->segment, 8);
        put(at + 56, chain->number, 8);
        put(at + 64, chain->number, 8);
        put(at + 72, chain->previous, 8);
        put(at + 80, chain->lsn, 8);
    }
    checksum = hash64_seed(at + 16, size - 16, chain->seed);
    put(at + 8, checksum, 8);
    chain->number++;
    chain->lsn += get(at + 88, 4);
    chain->previous = checksum;
    return size + body;
}

static void
seal(char *file, size_t size, int flags)
{
    struct chain chain;
    uint64_t header = get(file + 12, 4);
    if (header < HEADER + 80 || header > size)
        put(file + 12, header = HEADER + 84, 4);
    put(file + HEADER, 1, 8);
    put(file + HEADER + 16, get(file + HEADER + 16, 8) & LAST, 8);
    put(file + HEADER + 56, size, 8);
    put(file + 16, hash64(file + HEADER, header - HEADER), 8);
    chain.segment = 1;
    chain.lsn = get(file + HEADER + 16, 8);
    chain.number = get(file + HEADER + 24, 8);
    chain.seed = chain.previous = get(file + HEADER + 32, 8);
    for (size_t at = (header + 4095) / 4096 * 4096, step; at < size; at += step) {
        step = seal_block(file + at, size - at, flags, &chain);
        if (step == 0)
            return;
    }
}

/* A folder of this process, made for each input: libFuzzer ends without atexit. */
static const char *
folder(void)
{
    static char path[200];
    if (!path[0])
        snprintf(path, sizeof(path), "%s/tidegate-fuzz-%ld",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid());
    return path;
}

static void
clear_folder(void)
{
    struct error err;
    struct listing l;
    ensure(listing_read(folder(), &l, &err) == 0);
    for (size_t i = 0; i < l.count + l.spare_count + l.other_count; i++) {
        const char *name = i < l.count                   ? l.segments[i]
                           : i < l.count + l.spare_count ? l.spares[i - l.count]
                                                         : l.others[i - l.count - l.spare_count];
        char *file = segment_path(folder(), "%s", name);
        unlink(file);
        free(file);
    }
    listing_release(&l);
}

static void
write_file(const char *file, size_t size)
{
    uint64_t lsn = size > HEADER + 24 ? get(file + HEADER + 16, 8) & LAST : 1;
    uint64_t number = size > HEADER + 24 ? get(file + HEADER, 8) & LAST : 1;
    char *name =
        segment_path(folder(), "%020lu-%010lu.segment", (unsigned long)lsn, (unsigned long)number);
    FILE *out = fopen(name, "wb");
    ensure(out && fwrite(file, 1, size, out) == size && fclose(out) == 0);
    free(name);
}

/* Reads to the end or to an error; the blocks must be in order. */
static void
read_all(struct journal *j, uint64_t lsn)
{
    struct journal_reader *r = journal_reader_open(j);
    struct journal_block block;
    struct error err = {0};
    uint64_t next = journal_oldest(j);
    int got;
    journal_seek(r, lsn);
    while ((got = journal_read(r, &block, &err)) == 1) {
        ensure(block.first_lsn >= next);
        next = block.first_lsn + block.count;
        ensure(next <= journal_newest(j) + 1);
    }
    ensure(got == 0 || err.class == ERROR_CORRUPT);
    ensure(got < 0 || next == journal_newest(j) + 1 || lsn > journal_oldest(j));
    journal_reader_close(r);
}

static struct journal *
open_it(struct error *err)
{
    struct journal_options options = {folder(), SIZES, 10000};
    return journal_open(&options, err);
}

/* One more block, which must be there after opening again. */
static void
write_on(struct journal *j)
{
    struct error err = {0};
    struct batch *b = batch_new("fuzz", 1);
    uint64_t newest = journal_newest(j);
    buffer_text(&b->records, "abc");
    b->count = 3;
    batch_seal(b, slice_literal("p"), 1);
    ensure(journal_write(j, b, &err) == 0 && journal_sync(j, &err) == 0);
    ensure(journal_newest(j) == newest + 3);
    batch_free(b);
    journal_close(j);
    j = open_it(&err);
    ensure(j && journal_newest(j) == newest + 3);
    journal_close(j);
}

static void
try_journal(void)
{
    struct error err = {0};
    struct journal_source *sources;
    struct journal *j = open_it(&err);
    size_t count;
    if (!j) {
        ensure(err.class == ERROR_CORRUPT || err.class == ERROR_REFUSED);
        ensure(journal_reset(folder(), 7, &err) == 0);
        j = open_it(&err);
        ensure(j);
    }
    count = journal_source_list(j, &sources);
    for (size_t i = 0; i < count; i++)
        free(sources[i].position);
    free(sources);
    read_all(j, 0);
    read_all(j, journal_newest(j) / 2 + 1);
    journal_find_time(j, 1000, &err);
    write_on(j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t file_size = size > 4096 ? size - 1 : 4096;
    char *file;
    if (size == 0)
        return 0;
    file = memory_zero(file_size);
    memcpy(file, data + 1, size - 1);
    if (!(data[0] & AS_IS))
        seal(file, file_size, data[0]);
    ensure(mkdir(folder(), 0700) == 0 || errno == EEXIST);
    clear_folder();
    write_file(file, file_size);
    try_journal();
    clear_folder();
    rmdir(folder());
    free(file);
    return 0;
}
