#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/power.h"

enum { SLURP_STEP = 64 * 1024 };

/* What a refusal of the system means for the caller; ENOSPC and EDQUOT are error_errno's. */
static enum error_class
class_of(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return ERROR_MISSING;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERROR_DENIED;
    case EFBIG:
        return ERROR_FULL;
    default:
        return ERROR_IO;
    }
}

#define fail(err, ...) error_errno((err), class_of(errno), errno, __VA_ARGS__)

int
file_open(const char *path, int flags, struct error *err)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, 0600);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return fail(err, "cannot open %s", path);
    return fd;
}

void
file_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* Drops `done` bytes from the front of the list; the number of parts that are left. */
static int
parts_advance(struct iovec *list, int count, size_t done)
{
    int gone = 0;
    while (gone < count && done >= list[gone].iov_len)
        done -= list[gone++].iov_len;
    memmove(list, list + gone, (size_t)(count - gone) * sizeof(*list));
    if (gone < count) {
        list->iov_base = (char *)list->iov_base + done;
        list->iov_len -= done;
    }
    return count - gone;
}

int
file_write_parts(int fd, const struct slice *parts, int count, int64_t offset, const char *path,
                 struct error *err)
{
    struct iovec list[FILE_PARTS];
    size_t size = 0;
    ensure(count <= FILE_PARTS);
    for (int i = 0; i < count; i++) {
        list[i] = (struct iovec){(void *)parts[i].data, parts[i].size};
        size += parts[i].size;
    }
    power_will_write(fd, offset, size);
    count = parts_advance(list, count, 0);
    while (count > 0) {
        ssize_t n = pwritev(fd, list, count, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, "cannot write %s at byte %lld", path, (long long)offset);
        offset += n;
        count = parts_advance(list, count, (size_t)n);
    }
    return 0;
}

int
file_write(int fd, const void *data, size_t size, int64_t offset, const char *path,
           struct error *err)
{
    struct slice part = {data, size};
    return file_write_parts(fd, &part, 1, offset, path, err);
}

int64_t
file_read(int fd, void *data, size_t size, int64_t offset, const char *path, struct error *err)
{
    size_t got = 0;
    while (got < size) {
        ssize_t n = pread(fd, (char *)data + got, size - got, offset + (int64_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(err, "cannot read %s at byte %lld", path,
                        (long long)(offset + (int64_t)got));
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (int64_t)got;
}

int
file_sync(int fd, const char *path, struct error *err)
{
    while (fdatasync(fd) != 0)
        if (errno != EINTR)
            return fail(err, "cannot sync %s", path);
    power_synced(fd);
    return 0;
}

int
file_truncate(int fd, int64_t size, const char *path, struct error *err)
{
    while (ftruncate(fd, size) != 0)
        if (errno != EINTR)
            return fail(err, "cannot set the size of %s to %lld", path, (long long)size);
    return 0;
}

int
file_sync_folder(const char *path, struct error *err)
{
    int fd = file_open(path, O_RDONLY | O_DIRECTORY, err);
    int result;
    if (fd < 0)
        return -1;
    do
        result = fsync(fd);
    while (result != 0 && errno == EINTR);
    /* Some network and FUSE file systems have no such call and keep names by themselves. */
    if (result != 0 && errno != EINVAL)
        fail(err, "cannot sync the folder %s", path);
    else
        result = 0;
    close(fd);
    return result;
}

int
file_unlink(const char *path, struct error *err)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return fail(err, "cannot remove %s", path);
    return 0;
}

static int
slurp_from(int fd, const char *path, struct buffer *out, struct error *err)
{
    for (int64_t offset = 0;;) {
        size_t step = out->limit - out->size < SLURP_STEP ? out->limit - out->size : SLURP_STEP;
        char more;
        int64_t n;
        if (step == 0) {
            n = file_read(fd, &more, 1, offset, path, err);
            if (n <= 0)
                return (int)n;
            return error_set(err, ERROR_DATA, "%s is larger than %zu bytes", path, out->limit);
        }
        n = file_read(fd, buffer_extend(out, step), step, offset, path, err);
        out->size -= n < 0 ? step : step - (size_t)n;
        if (n <= 0)
            return (int)n;
        offset += n;
    }
}

int
file_slurp(const char *path, struct buffer *out, struct error *err)
{
    int fd = file_open(path, O_RDONLY, err);
    int result;
    if (fd < 0)
        return -1;
    result = slurp_from(fd, path, out, err);
    file_close(fd);
    return result;
}

/* The folder that holds `path`, in `out`. */
static const char *
folder_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ".";
    snprintf(out, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return out;
}

static int
write_whole(const char *path, struct slice content, struct error *err)
{
    int fd = file_open(path, O_WRONLY | O_CREAT | O_TRUNC, err);
    int result;
    if (fd < 0)
        return -1;
    result = file_write(fd, content.data, content.size, 0, path, err);
    if (result == 0)
        result = file_sync(fd, path, err);
    file_close(fd);
    return result;
}

int
file_replace(const char *path, struct slice content, struct error *err)
{
    char fresh[PATH_MAX], folder[PATH_MAX];
    if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
        return error_set(err, ERROR_USAGE, "the path %.200s… is too long", path);
    if (write_whole(fresh, content, err) != 0)
        goto failed;
    if (rename(fresh, path) != 0) {
        fail(err, "cannot replace %s", path);
        goto failed;
    }
    return file_sync_folder(folder_of(path, folder), err);
failed:
    unlink(fresh);
    return -1;
}

int
file_make_folder(const char *path, struct error *err)
{
    char folder[PATH_MAX];
    struct stat info;
    if (mkdir(path, 0700) == 0)
        return file_sync_folder(folder_of(path, folder), err);
    if (errno != EEXIST)
        return fail(err, "cannot make the folder %s", path);
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return 0;
    return error_set(err, ERROR_IO, "%s stands where a folder should be", path);
}

int64_t
file_free_space(const char *path, int64_t *total)
{
    struct statvfs info;
    if (statvfs(path, &info) != 0)
        return -1;
    if (total)
        *total = (int64_t)(info.f_blocks * info.f_frsize);
    return (int64_t)(info.f_bavail * info.f_frsize);
}
