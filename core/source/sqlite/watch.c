#include "source/sqlite/watch.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"

#define INTEREST                                                                                   \
    (IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ATTRIB | IN_DELETE_SELF)

int
watch_open(struct watch *w, const char *path, struct error *err)
{
    char folder[4200];
    const char *slash = strrchr(path, '/');
    if (slash)
        snprintf(folder, sizeof folder, "%.*s/", (int)(slash - path), path);
    else
        snprintf(folder, sizeof folder, ".");
    snprintf(w->name, sizeof w->name, "%s", slash ? slash + 1 : path);
    snprintf(w->journal, sizeof w->journal, "%s-journal", path);
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd < 0)
        return error_errno(err, ERROR_SYSTEM, errno, "cannot watch %s", folder);
    if (inotify_add_watch(w->fd, folder, INTEREST) >= 0)
        return 0;
    error_errno(err, ERROR_SYSTEM, errno, "cannot watch %s", folder);
    watch_close(w);
    return error_hint(err, "raise the limit: sysctl fs.inotify.max_user_watches");
}

void
watch_close(struct watch *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

/* The database itself or one of the files that SQLite puts beside it; -shm is memory and tells
 * nothing. */
static bool
is_ours(const struct watch *w, const char *name)
{
    size_t size = strlen(w->name);
    if (strncmp(name, w->name, size) != 0)
        return false;
    return name[size] == '\0' || strcmp(name + size, "-wal") == 0 ||
           strcmp(name + size, "-journal") == 0;
}

bool
watch_heard(struct watch *w)
{
    _Alignas(struct inotify_event) char bytes[16384];
    bool heard = false;
    ssize_t size;
    while (w->fd >= 0 && (size = read(w->fd, bytes, sizeof bytes)) > 0) {
        for (ssize_t at = 0; at < size;) {
            const struct inotify_event *event = (const void *)(bytes + at);
            bool lost = event->mask & (IN_Q_OVERFLOW | IN_IGNORED);
            heard = heard || lost || (event->len && is_ours(w, event->name));
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
    return heard;
}

/* SQLite keeps the journal's header zero until it syncs it, just before it needs the lock that a
 * reader would hold; mode PERSIST zeroes it again at the end. Only time tells these apart. */
enum watch_commit
watch_in_commit(const struct watch *w)
{
    char head[8] = {0};
    static const char zero[8];
    struct stat info = {0};
    int fd = open(w->journal, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return WATCH_NO_COMMIT;
    ssize_t size = read(fd, head, sizeof head);
    bool known = fstat(fd, &info) == 0;
    close(fd);
    if (size == (ssize_t)sizeof head && memcmp(head, zero, sizeof head) != 0)
        return WATCH_IN_COMMIT;
    int64_t written = info.st_mtim.tv_sec * CLOCK_SECOND + info.st_mtim.tv_nsec / 1000;
    int64_t age = clock_now() - written;
    return known && age >= 0 && age < WATCH_FRESH ? WATCH_MAYBE_COMMIT : WATCH_NO_COMMIT;
}
