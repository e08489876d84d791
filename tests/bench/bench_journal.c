/* The journal beside a bare file on the same disk: appending the same blocks of 128 KiB with a sync
 * each, in turns, then reading them back from segments. BENCH_BLOCKS (4000) of them. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "support/journal_make.h"

enum { BLOCK = 128 * 1024, PART = 64 * 1024 * 1024, RECORDS = 1000 };

struct rates {
    double raw, append, read; /* MB/s */
};

static double
rate(int blocks, int64_t since)
{
    return (double)blocks * BLOCK / (double)(clock_mono() - since);
}

/* As the journal does it: files of 64 MiB that were written in full before they are needed. */
static void
fill_part(int fd, const char *path, struct error *err)
{
    char *zeros = memory_zero(PART);
    ensure(file_write(fd, zeros, PART, 0, path, err) == 0 && file_sync(fd, path, err) == 0);
    free(zeros);
}

static double
measure_raw(const char *folder, const char *bytes, int blocks)
{
    char path[600];
    struct error err;
    int64_t took = 0;
    snprintf(path, sizeof(path), "%s/raw", folder);
    int fd = file_open(path, O_RDWR | O_CREAT, &err);
    ensure(fd >= 0);
    fill_part(fd, path, &err);
    int64_t since = clock_mono();
    for (int i = 0; i < blocks; i++)
        ensure(file_write(fd, bytes, BLOCK, (int64_t)(i % (PART / BLOCK)) * BLOCK, path, &err) ==
                   0 &&
               file_sync(fd, path, &err) == 0);
    took = since;
    double result = rate(blocks, took);
    file_close(fd);
    ensure(file_unlink(path, &err) == 0);
    return result;
}

struct keeper {
    struct journal *journal;
    struct wake stop;
    struct thread thread;
};

/* Housekeeping as in the daemon: on a thread of its own. */
static void
keep_house(void *arg)
{
    struct keeper *k = arg;
    struct error err;
    while (!wake_wait(&k->stop, 2000))
        while (journal_housekeep(k->journal, &err) > 0)
            ;
}

/* Incompressible, so that each block has its full size on disk. */
static struct batch *
make_batch(void)
{
    struct batch *b = batch_new("bench", 1);
    char *bytes = memory_alloc(BLOCK);
    random_bytes(bytes, BLOCK);
    buffer_append(&b->records, bytes, BLOCK);
    free(bytes);
    b->count = RECORDS;
    b->first_ts = b->last_ts = clock_now();
    batch_seal(b, slice_literal("position"), clock_now());
    return b;
}

static double
measure_append(struct journal *j, const struct batch *batch, int blocks)
{
    struct keeper keeper = {.journal = j};
    struct error err;
    ensure(wake_init(&keeper.stop, &err) == 0);
    ensure(thread_start(&keeper.thread, "keeper", keep_house, &keeper, &err) == 0);
    int64_t since = clock_mono();
    for (int i = 0; i < blocks; i++)
        ensure(journal_write(j, batch, &err) == 0 && journal_sync(j, &err) == 0);
    double result = rate(blocks, since);
    wake_poke(&keeper.stop);
    thread_join(&keeper.thread);
    wake_release(&keeper.stop);
    return result;
}

static double
measure_read(struct journal *j, int blocks)
{
    struct journal_reader *reader = journal_reader_open(j);
    struct journal_block block;
    struct error err;
    int count = 0;
    journal_seek(reader, 1);
    int64_t since = clock_mono();
    while (journal_read(reader, &block, &err) == 1)
        count++;
    double result = rate(blocks, since);
    ensure(count == blocks);
    journal_reader_close(reader);
    return result;
}

static struct rates
measure(int blocks)
{
    char *folder = folder_make("bench");
    char *path = memory_alloc(strlen(folder) + 16);
    struct journal_options options = {.folder = path};
    struct batch *batch = make_batch();
    struct rates rates;
    struct error err;
    sprintf(path, "%s/journal", folder);
    rates.raw = measure_raw(folder, batch->body.data, blocks);
    struct journal *j = journal_open(&options, &err);
    ensure(j);
    rates.append = measure_append(j, batch, blocks);
    rates.read = measure_read(j, blocks);
    journal_close(j);
    batch_free(batch);
    free(path);
    folder_remove(folder);
    return rates;
}

int
main(void)
{
    const char *text = getenv("BENCH_BLOCKS");
    int blocks = text ? atoi(text) : 4000;
    for (int run = 0; run < 3; run++) {
        struct rates r = measure(blocks);
        printf("journal: append %.0f MB/s, bare file %.0f MB/s, ratio %.3f, read %.0f MB/s\n",
               r.append, r.raw, r.append / r.raw, r.read);
    }
    return 0;
}
