#include "workspace/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"

#define SCRIPT_DEPTH  8
#define LOCK_PATIENCE CLOCK_SECOND

static bool
exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static int
absolute(const char *path, char *out, struct error *err)
{
    struct stat st;
    if (realpath(path, out)) {
        if (stat(out, &st) == 0 && S_ISDIR(st.st_mode))
            return 0;
        return error_set(err, ERROR_USAGE, "workspace %s is not a folder", path);
    }
    error_errno(err, errno == ENOENT ? ERROR_MISSING : ERROR_IO, errno, "workspace %s", path);
    return error_hint(err, "make one with: tidegate init %s", path);
}

int
folder_locate(const char *given, bool create, char *out, struct error *err)
{
    char path[PATH_MAX];
    const char *home = getenv("TIDEGATE_HOME");
    if (given)
        return absolute(given, out, err);
    if (exists("tidegate.lua"))
        return absolute(".", out, err);
    const char *below = home && *home ? "" : "/.tidegate";
    if (*below)
        home = getenv("HOME");
    if (!home || !*home)
        return error_set(err, ERROR_MISSING,
                         "no workspace is named, and there is no home folder for one");
    if (snprintf(path, sizeof(path), "%s%s", home, below) >= (int)sizeof(path))
        return error_set(err, ERROR_USAGE, "the path of the workspace is too long: %s", home);
    if (create && !exists(path) && mkdir(path, 0700) != 0)
        return error_errno(err, ERROR_IO, errno, "make the workspace %s", path);
    return absolute(path, out, err);
}

/* Locks and mmap of a network file system can't be trusted with a journal. Magic numbers:
 * statfs(2). */
static int
refuse_network(const char *path, struct error *err)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } kinds[] = {{0x6969, "NFS"},     {0xff534d42, "CIFS"}, {0xfe534d42, "SMB"}, {0x517b, "SMB"},
                 {0x5346414f, "AFS"}, {0x00c36400, "Ceph"}, {0x01021997, "9P"}};
    struct statfs fs;
    if (statfs(path, &fs) != 0)
        return error_errno(err, ERROR_IO, errno, "%s", path);
    for (size_t i = 0; i < countof(kinds); i++)
        if ((unsigned long)fs.f_type == kinds[i].magic) {
            error_set(err, ERROR_CONFIG, "%s is on a network file system (%s)", path,
                      kinds[i].name);
            return error_hint(err, "put the workspace on a local disk");
        }
    return 0;
}

int
folder_prepare_data(const char *folder, struct error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/data", folder);
    if (file_make_folder(path, err) != 0)
        return -1;
    return refuse_network(path, err);
}

static int
read_holder(const char *path)
{
    struct buffer text;
    buffer_init(&text, 64);
    int pid = file_slurp(path, &text, NULL) == 0 ? atoi(buffer_cstring(&text)) : 0;
    buffer_release(&text);
    return pid;
}

/* A command that looks at the files holds the lock for a moment, and must not make a start fail.
 * Returns 0 or an errno. */
static int
take_lock(int fd)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    int64_t end = clock_mono() + LOCK_PATIENCE;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK || clock_mono() > end)
            return errno;
        nanosleep(&pause, NULL);
    }
    return 0;
}

int
folder_lock(const char *folder, struct error *err)
{
    char path[PATH_MAX], text[32];
    snprintf(path, sizeof(path), "%s/data/lock", folder);
    int fd = file_open(path, O_RDWR | O_CREAT, err);
    if (fd < 0)
        return -1;
    int refused = take_lock(fd);
    if (refused) {
        close(fd);
        if (refused != EWOULDBLOCK)
            return error_errno(err, ERROR_IO, refused, "lock %s", path);
        error_set(err, ERROR_BUSY, "workspace %s is in use by process %d", folder,
                  read_holder(path));
        error_hint(err, "stop it with: tidegate stop -C %s", folder);
        return -1;
    }
    int size = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (file_truncate(fd, 0, path, err) != 0 ||
        file_write(fd, text, (size_t)size, 0, path, err) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void
folder_unlock(int fd)
{
    if (fd >= 0)
        close(fd);
}

int
folder_holder(const char *folder)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/data/lock", folder);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return 0;
    bool held = flock(fd, LOCK_EX | LOCK_NB) != 0;
    close(fd);
    return held ? read_holder(path) : 0;
}

int
folder_read_script(const char *path, struct buffer *out, struct error *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        if (errno == ENOENT)
            return 0;
        return error_errno(err, ERROR_DENIED, errno, "read %s", path);
    }
    if (st.st_mode & (S_IWGRP | S_IWOTH)) {
        error_set(err, ERROR_DENIED, "%s can be written by others, who could then run code here",
                  path);
        return error_hint(err, "chmod go-w %s", path);
    }
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_DATA, "%s is no regular file", path);
    return file_slurp(path, out, err) == 0 ? 1 : -1;
}

struct listing {
    const char *folder;
    struct arena *arena;
    const char **paths;
    size_t count, room;
};

static bool
ends_with(const char *name, const char *end)
{
    size_t a = strlen(name), b = strlen(end);
    return a >= b && strcmp(name + a - b, end) == 0;
}

static bool
is_script(const char *name)
{
    return ends_with(name, ".lua") && !ends_with(name, "_test.lua");
}

static void
list_add(struct listing *l, const char *path)
{
    if (l->count == l->room) {
        l->room = l->room ? l->room * 2 : 16;
        l->paths = memory_grow(l->paths, l->room * sizeof(*l->paths));
    }
    l->paths[l->count++] = path;
}

/* Who may write a folder may replace the scripts in it. A sticky one keeps files their owners'. */
static int
refuse_public(int fd, const char *path, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !(st.st_mode & S_IWOTH) || (st.st_mode & S_ISVTX))
        return 0;
    error_set(err, ERROR_DENIED, "%s can be written by everybody, who could then run code here",
              path);
    return error_hint(err, "chmod o-w %s", path);
}

static int list_folder(struct listing *l, const char *relative, int depth, struct error *err);

static int
list_entry(struct listing *l, const char *relative, const struct dirent *entry, int depth,
           struct error *err)
{
    const char *name = entry->d_name;
    char path[PATH_MAX], pack[PATH_MAX + 16];
    struct stat st;
    if (name[0] == '.' || name[0] == '_' || ends_with(name, ".disabled"))
        return 0;
    if (snprintf(path, sizeof(path), "%s/%s/%s", l->folder, relative, name) >= (int)sizeof(path))
        return error_set(err, ERROR_CONFIG, "the path of the script %s is too long", name);
    if (stat(path, &st) != 0)
        st.st_mode = S_IFREG; /* a link to nothing: reading it says so */
    const char *inner = arena_printf(l->arena, "%s/%s", relative, name);
    if (S_ISREG(st.st_mode) && is_script(name))
        list_add(l, inner);
    snprintf(pack, sizeof(pack), "%s/pack.lua", path);
    bool lib = depth == 0 && strcmp(name, "lib") == 0;
    if (S_ISDIR(st.st_mode) && !lib && !exists(pack))
        return list_folder(l, inner, depth + 1, err);
    return 0;
}

static int
list_folder(struct listing *l, const char *relative, int depth, struct error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", l->folder, relative);
    if (depth > SCRIPT_DEPTH)
        return error_set(err, ERROR_CONFIG, "%s: folders of scripts nest deeper than %d", path,
                         SCRIPT_DEPTH);
    DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT && depth == 0
                   ? 0
                   : error_errno(err, ERROR_IO, errno, "read folder %s", path);
    int result = refuse_public(dirfd(dir), path, err);
    for (struct dirent *entry; result == 0 && (entry = readdir(dir));)
        result = list_entry(l, relative, entry, depth, err);
    closedir(dir);
    return result;
}

static int
compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int
list_sorted(const char *folder, const char *relative, struct arena *arena, const char *const **out,
            struct error *err)
{
    struct listing l = {.folder = folder, .arena = arena};
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", folder, relative);
    bool scripts = strchr(relative, '/') == NULL;
    int result = scripts || exists(path) ? list_folder(&l, relative, !scripts, err) : 0;
    const char **copy = arena_alloc(arena, (l.count + 1) * sizeof(*copy));
    if (l.count)
        memcpy(copy, l.paths, l.count * sizeof(*copy));
    qsort(copy, l.count, sizeof(*copy), compare_paths);
    free(l.paths);
    *out = copy;
    return result == 0 ? (int)l.count : -1;
}

int
folder_scripts(const char *folder, struct arena *arena, const char *const **out, struct error *err)
{
    return list_sorted(folder, "scripts", arena, out, err);
}

int
folder_modules(const char *folder, struct arena *arena, const char *const **out, struct error *err)
{
    return list_sorted(folder, "scripts/lib", arena, out, err);
}

int
folder_socket(const char *folder, char out[108], struct error *err)
{
    char path[PATH_MAX + 32], hex[17];
    if (snprintf(path, sizeof(path), "%s/data/tidegate.sock", folder) < 108) {
        memcpy(out, path, strlen(path) + 1);
        return 0;
    }
    uint64_t hash = hash64(folder, strlen(folder));
    const char *base = getenv("XDG_RUNTIME_DIR");
    snprintf(path, sizeof(path), "%s/tidegate-%u-%s", base && *base ? base : "/tmp",
             (unsigned)geteuid(), hash_hex(&hash, sizeof(hash), hex));
    struct stat st;
    if (file_make_folder(path, err) != 0)
        return -1;
    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & 077))
        return error_set(err, ERROR_DENIED, "%s is not a private folder of this user", path);
    if (strlen(path) + sizeof("/sock") > 108)
        return error_set(err, ERROR_CONFIG, "the path %s is too long for a socket", path);
    memcpy(out, path, strlen(path) + 1);
    strcat(out, "/sock");
    return 0;
}
