/* What the disk of this machine does, to read the other figures by: the time of a synced 4 KiB
 * write, appended to a file that was written before (a log's common case). Prints its median and
 * 99th percentile in µs. Argument: the folder. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"

enum { WRITES = 2000, PAGE = 4096 };

static int
compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int
measure(int fd, const char *path, int64_t *took, struct error *err)
{
    static char page[PAGE];
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < WRITES; i++) {
            int64_t begin = clock_mono();
            if (file_write(fd, page, PAGE, (int64_t)i * PAGE, path, err) != 0 ||
                (pass && file_sync(fd, path, err) != 0))
                return -1;
            took[i] = clock_mono() - begin;
        }
        if (!pass && file_sync(fd, path, err) != 0)
            return -1;
    }
    qsort(took, WRITES, sizeof(*took), compare);
    return 0;
}

int
main(int count, char **words)
{
    static int64_t took[WRITES];
    char path[512];
    struct error err;
    snprintf(path, sizeof(path), "%s/bench-disk-XXXXXX", count > 1 ? words[1] : "/tmp");
    int fd = mkstemp(path);
    ensure(fd >= 0);
    int result = measure(fd, path, took, &err);
    file_close(fd);
    ensure(file_unlink(path, &err) == 0 && result == 0);
    printf("disk: %lld us median, %lld us p99 of a synced 4 KiB write\n",
           (long long)took[WRITES / 2], (long long)took[WRITES * 99 / 100]);
    return 0;
}
