#include "base/power.h"

#ifdef TIDEGATE_PROOF

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, BUCKETS = 4096 };

/* What one page held at the last sync. It belongs to a descriptor or to a file of SQLite. */
struct page {
    struct page *next;
    int fd; /* -1: `file` */
    sqlite3_file *file;
    int64_t number;
    char before[PAGE];
};

/* One file as the rest of this module sees it. */
struct target {
    int fd; /* our own duplicate */
    sqlite3_file *file;
};

/* A file with unsynced pages. It is known by its inode: closing it saves nothing, and any
 * descriptor of it syncs it. The duplicate keeps the inode from being used again. */
struct unsynced {
    struct unsynced *next;
    dev_t device;
    ino_t inode;
    int fd;
};

static struct {
    pthread_once_t once;
    pthread_mutex_t lock;
    bool on;
    uint64_t random;
    struct page *buckets[BUCKETS];
    struct unsynced *files;
} power = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

static void
read_environment(void)
{
    const char *seed = getenv("TIDEGATE_POWER");
    power.on = seed && *seed;
    power.random = power.on ? strtoull(seed, NULL, 10) : 0;
}

static bool
power_on(void)
{
    pthread_once(&power.once, read_environment);
    return power.on;
}

void
power_reload(void)
{
    pthread_once(&power.once, read_environment);
    read_environment();
}

/* splitmix64: the same seed loses the same pages, as far as the threads allow. */
static uint64_t
next_random(void)
{
    uint64_t x = power.random += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static struct page **
bucket_of(struct target t, int64_t number)
{
    uint64_t key = (uint64_t)(uintptr_t)t.file ^ ((uint64_t)(unsigned)t.fd << 32);
    key = (key + (uint64_t)number) * 0x9e3779b97f4a7c15u;
    return &power.buckets[key >> 52];
}

static bool
is_of(const struct page *page, struct target t)
{
    return page->fd == t.fd && page->file == t.file;
}

static bool
known(struct target t, int64_t number)
{
    for (struct page *page = *bucket_of(t, number); page; page = page->next)
        if (page->number == number && is_of(page, t))
            return true;
    return false;
}

/* What stood there; beyond the end of a file stand zeros. */
static void
read_before(struct page *page)
{
    int64_t offset = page->number * PAGE;
    if (page->file) {
        page->file->pMethods->xRead(page->file, page->before, PAGE, offset);
        return;
    }
    ssize_t got = pread(page->fd, page->before, PAGE, offset);
    if (got < 0) /* a descriptor for writing only: assume the file was new */
        memset(page->before, 0, PAGE);
}

/* Under the lock, as forget is. */
static void
remember(struct target t, int64_t offset, int64_t size)
{
    if (size <= 0)
        return;
    for (int64_t number = offset / PAGE; number <= (offset + size - 1) / PAGE; number++) {
        struct page **bucket = bucket_of(t, number);
        struct page *page;
        if (known(t, number))
            continue;
        page = memory_zero(sizeof(*page));
        page->fd = t.fd;
        page->file = t.file;
        page->number = number;
        read_before(page);
        page->next = *bucket;
        *bucket = page;
    }
}

/* Forgets the pages of a file from page `first` on. */
static void
forget(struct target t, int64_t first)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct page **at = &power.buckets[i]; *at;) {
            struct page *page = *at;
            if (!is_of(page, t) || page->number < first) {
                at = &page->next;
                continue;
            }
            *at = page->next;
            free(page);
        }
}

static void
put_back(struct page *page)
{
    int64_t offset = page->number * PAGE;
    if (page->file)
        page->file->pMethods->xWrite(page->file, page->before, PAGE, offset);
    else if (fcntl(page->fd, F_SETFL, fcntl(page->fd, F_GETFL) & ~O_APPEND) !=
                 0 || /* else it appends */
             pwrite(page->fd, page->before, PAGE, offset) != PAGE)
        return; /* the page survives, which a disk may do too */
}

void
power_cut(void)
{
    static const unsigned chances[] = {32, 128, 224, 256}; /* of 256, that a page is lost */
    unsigned chance;
    if (!power_on())
        return;
    pthread_mutex_lock(&power.lock); /* kept: the process ends now */
    chance = chances[next_random() % countof(chances)];
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct page *page = power.buckets[i]; page; page = page->next)
            if (next_random() % 256 < chance)
                put_back(page);
}

/* The place in the list where the file of `fd` stands, or where the list ends. Under the lock. */
static struct unsynced **
find_unsynced(int fd, struct stat *info)
{
    struct unsynced **at = &power.files;
    ensure(fstat(fd, info) == 0);
    while (*at && ((*at)->device != info->st_dev || (*at)->inode != info->st_ino))
        at = &(*at)->next;
    return at;
}

void
power_will_write(int fd, int64_t offset, size_t size)
{
    struct unsynced **at;
    struct stat info;
    if (!power_on())
        return;
    pthread_mutex_lock(&power.lock);
    at = find_unsynced(fd, &info);
    if (!*at) {
        *at = memory_zero(sizeof(**at));
        (*at)->device = info.st_dev;
        (*at)->inode = info.st_ino;
        (*at)->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        ensure((*at)->fd >= 0);
    }
    remember((struct target){(*at)->fd, NULL}, offset, (int64_t)size);
    pthread_mutex_unlock(&power.lock);
}

void
power_synced(int fd)
{
    struct unsynced **at, *file;
    struct stat info;
    if (!power_on())
        return;
    pthread_mutex_lock(&power.lock);
    at = find_unsynced(fd, &info);
    file = *at;
    if (file) {
        forget((struct target){file->fd, NULL}, 0);
        *at = file->next;
        close(file->fd);
        free(file);
    }
    pthread_mutex_unlock(&power.lock);
}

/* The VFS: SQLite's own one, with a look at writes, syncs and truncations. */
struct shim {
    sqlite3_file base;
    sqlite3_file *real; /* stands right behind */
};

static sqlite3_file *
real_of(sqlite3_file *file)
{
    return ((struct shim *)file)->real;
}

static void
shim_forget(sqlite3_file *file, int64_t first)
{
    pthread_mutex_lock(&power.lock);
    forget((struct target){-1, real_of(file)}, first);
    pthread_mutex_unlock(&power.lock);
}

/* SQLite syncs what matters before it closes; a duplicate would cost it its locks. */
static int
shim_close(sqlite3_file *file)
{
    shim_forget(file, 0);
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int
shim_read(sqlite3_file *file, void *data, int size, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xRead(real_of(file), data, size, offset);
}

static int
shim_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    pthread_mutex_lock(&power.lock);
    remember((struct target){-1, real_of(file)}, offset, size);
    pthread_mutex_unlock(&power.lock);
    return real_of(file)->pMethods->xWrite(real_of(file), data, size, offset);
}

static int
shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    shim_forget(file, (size + PAGE - 1) / PAGE);
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int
shim_sync(sqlite3_file *file, int flags)
{
    int result = real_of(file)->pMethods->xSync(real_of(file), flags);
    if (result == SQLITE_OK)
        shim_forget(file, 0);
    return result;
}

static int
shim_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int
shim_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int
shim_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int
shim_check_lock(sqlite3_file *file, int *out)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int
shim_control(sqlite3_file *file, int op, void *arg)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int
shim_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int
shim_features(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int
shim_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}

static int
shim_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void
shim_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int
shim_shm_unmap(sqlite3_file *file, int delete_it)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete_it);
}

/* Version 2: without xFetch, so that SQLite never maps a file past our eyes. */
static const sqlite3_io_methods shim_methods = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_check_lock,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_features,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

static int
shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    sqlite3_vfs *under = vfs->pAppData;
    struct shim *shim = (struct shim *)file;
    int result;
    shim->real = (sqlite3_file *)(shim + 1);
    shim->real->pMethods = NULL;
    result = under->xOpen(under, name, shim->real, flags, out);
    file->pMethods = shim->real->pMethods ? &shim_methods : NULL;
    return result;
}

void
power_install(void)
{
    static sqlite3_vfs vfs;
    sqlite3_vfs *under;
    if (!power_on() || vfs.zName)
        return;
    under = sqlite3_vfs_find(NULL);
    vfs = *under; /* all but opening is the same, and needs no look */
    vfs.pNext = NULL;
    vfs.szOsFile = (int)sizeof(struct shim) + under->szOsFile;
    vfs.zName = "power";
    vfs.pAppData = under;
    vfs.xOpen = shim_open;
    ensure(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}

#else

/* ISO C wants something in every file. */
typedef int power_is_compiled_out;

#endif
