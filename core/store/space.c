/* The disk: how much is free, the reserve that is given up when nothing is, and pressure, the one
 * number that says who has to wait. Each mark is left behind at twice its height. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "store/inside.h"

#define MARK    (INT64_C(256) * 1024 * 1024)
#define OPENING (1024 * 1024) /* more than it takes to open what is there */

static int64_t
mark_of(const struct store *s)
{
    int64_t set = atomic_load(&s->disk_mark), share = s->disk_total / 50;

    return set > 0 ? set : share > MARK ? share : MARK;
}

/* Small disks keep an eighth. */
static int64_t
reserve_size(const struct store *s)
{
    return s->disk_total / 8 < STORE_RESERVE ? s->disk_total / 8 / 4096 * 4096 : STORE_RESERVE;
}

static void
describe_disk(const struct store *s, char out[256])
{
    char have[CLOCK_TEXT_SIZE], want[CLOCK_TEXT_SIZE];

    snprintf(out, 256,
             "%s free on the disk of %.80s, below the mark of %s: %s wait until twice that is free;"
             " free space or lower settings.disk_mark",
             size_format(s->disk_free, have), s->folder,
             size_format(s->disk_lower ? mark_of(s) / 2 : mark_of(s), want),
             s->disk_lower ? "sources, rules and sends" : "sources");
}

static enum store_pressure
judge(const struct store *s)
{
    if (s->disk_failed || s->disk_lower)
        return STORE_DISK_FULL;
    if (s->disk_low)
        return STORE_DISK_LOW;
    return s->journal_full ? STORE_JOURNAL_FULL : STORE_OK;
}

static void
describe(struct store *s, enum store_pressure pressure)
{
    s->reason[0] = '\0';
    if (pressure == STORE_JOURNAL_FULL)
        memcpy(s->reason, s->journal_reason, sizeof(s->reason));
    else if (s->disk_failed)
        memcpy(s->reason, s->failed_reason, sizeof(s->reason));
    else if (pressure != STORE_OK)
        describe_disk(s, s->reason);
}

/* Under the lock; true when it changed. */
static bool
update(struct store *s, char reason[256])
{
    enum store_pressure before = (enum store_pressure)atomic_load(&s->pressure), now = judge(s);

    describe(s, now);
    memcpy(reason, s->reason, 256);
    atomic_store(&s->pressure, now);
    return now != before;
}

static void
announce(struct store *s, const char *reason)
{
    if (reason[0])
        log_warning("store", "%s", reason);
    else
        log_info("store", "there is room again, work goes on");
    producers_poke(s);
}

void
space_failed(struct store *s, const struct error *err)
{
    char reason[256], text[512];

    error_text(err, text, sizeof(text));
    pthread_mutex_lock(&s->lock);
    s->disk_failed = true;
    s->failed_at = clock_mono();
    s->disk_spent = err->class == ERROR_FULL;
    snprintf(s->failed_reason, sizeof(s->failed_reason),
             "%.180s: everything waits and is tried again", text);
    bool changed = update(s, reason);
    pthread_mutex_unlock(&s->lock);
    if (changed)
        log_error("store", "%s", reason);
    wake_poke(&s->keeper_wake);
}

void
space_journal(struct store *s, bool full, const char *text)
{
    char reason[256];

    pthread_mutex_lock(&s->lock);
    s->journal_full = full;
    snprintf(s->journal_reason, sizeof(s->journal_reason), "%s", text);
    bool changed = update(s, reason);
    pthread_mutex_unlock(&s->lock);
    if (changed)
        announce(s, reason);
}

static void
reserve_path(const struct store *s, char *out, size_t size)
{
    snprintf(out, size, "%s/reserve", s->folder);
}

/* Really allocated, which is looked at: a file system that compresses keeps zeros in nothing. */
static int
fill(int fd, int64_t size, const char *path, struct error *err)
{
    struct stat info;
    int number = posix_fallocate(fd, 0, size);

    if (number != 0)
        return error_errno(err, ERROR_IO, number, "allocate %s", path);
    if (fstat(fd, &info) == 0 && (int64_t)info.st_blocks * 512 >= size)
        return 0;
    return error_set(err, ERROR_IO, "%s takes less room than it should", path);
}

static void
make_reserve(struct store *s)
{
    char path[4096];
    struct error err = {0};

    reserve_path(s, path, sizeof(path));
    int fd = file_open(path, O_RDWR | O_CREAT, &err);
    int result = fd < 0 ? -1 : fill(fd, reserve_size(s), path, &err);
    file_close(fd);
    if (result != 0) {
        log_failure(LOG_DEBUG, "store", &err);
        unlink(path);
    }
    s->reserve = result == 0;
}

static void
drop_reserve(struct store *s)
{
    char path[4096];

    reserve_path(s, path, sizeof(path));
    s->reserve = false;
    if (unlink(path) != 0)
        return;
    log_warning("store", "%s is given up, so that trimming can make room", path);
    producers_poke(s); /* what makes room can run now */
}

/* The reserve that an earlier run has left is there for this one: to be given up at once, where not
 * even the files can be opened without it, or later. */
void
space_open(struct store *s)
{
    char path[4096];
    struct stat info;
    int64_t free_bytes = file_free_space(s->folder, NULL);

    reserve_path(s, path, sizeof(path));
    s->reserve = stat(path, &info) == 0;
    if (s->reserve && free_bytes >= 0 && free_bytes < OPENING)
        drop_reserve(s);
}

/* Every threshold is crossed upwards at twice its height. */
static bool
still_low(bool was, int64_t room, int64_t mark)
{
    return room < (was ? 2 * mark : mark);
}

/* A missing reserve is not free: it is made again first. */
static int64_t
room_of(const struct store *s)
{
    int64_t owed = s->reserve ? 0 : reserve_size(s);

    return s->disk_free > owed ? s->disk_free - owed : 0;
}

static bool
measure(struct store *s, char reason[256])
{
    int64_t total = 0, free_bytes = file_free_space(s->folder, &total);

    pthread_mutex_lock(&s->lock);
    if (free_bytes >= 0) {
        s->disk_free = free_bytes;
        s->disk_total = total;
    }
    int64_t mark = mark_of(s), room = room_of(s);
    s->disk_low = still_low(s->disk_low, room, mark);
    s->disk_lower = still_low(s->disk_lower, room, mark / 2);
    /* A quota or a fault shows only when it is tried again, which is not to be a busy loop. */
    if (s->disk_failed && room >= mark && clock_mono() - s->failed_at >= STORE_RETRY)
        s->disk_failed = false;
    bool changed = update(s, reason);
    pthread_mutex_unlock(&s->lock);
    return changed;
}

void
space_look(struct store *s)
{
    char reason[256];

    pthread_mutex_lock(&s->lock);
    bool spent = s->disk_failed && s->disk_spent;
    pthread_mutex_unlock(&s->lock);
    if (spent && s->reserve)
        drop_reserve(s);
    bool changed = measure(s, reason);
    if (!s->reserve && reserve_size(s) > 0 && atomic_load(&s->pressure) < STORE_DISK_LOW)
        make_reserve(s);
    if (changed)
        announce(s, reason);
}
