/* Files that must survive a power cut: whole writes, syncs, and folders that know their new files.
 * Everything durable of ours that is not SQLite goes through here, so that a proof build can put a
 * forgetting disk underneath (fault.h). Paths in messages, errno as cause. Any thread. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buffer.h"
#include "base/error.h"

/* Opens with O_CLOEXEC; `flags` as open(2), mode 0600. The descriptor, or -1. */
int file_open(const char *path, int flags, struct error *err) must_check;
void file_close(int fd);
int file_write(int fd, const void *data, size_t size, int64_t offset, const char *path,
               struct error *err) must_check;
/* As file_write, `count` parts (at most FILE_PARTS) one behind the other in one system call. */
#define FILE_PARTS 8
int file_write_parts(int fd, const struct slice *parts, int count, int64_t offset, const char *path,
                     struct error *err) must_check;
/* Reads up to `size` bytes; how many were there (0 at the end), or -1. */
int64_t file_read(int fd, void *data, size_t size, int64_t offset, const char *path,
                  struct error *err) must_check;
int file_sync(int fd, const char *path, struct error *err) must_check; /* fdatasync */
int file_truncate(int fd, int64_t size, const char *path, struct error *err) must_check;
int file_sync_folder(const char *path, struct error *err) must_check;
int file_unlink(const char *path, struct error *err) must_check; /* a missing file is no error */

/* A whole small file into `out` (within its limit) / atomically replaced by write, sync, rename. */
int file_slurp(const char *path, struct buffer *out, struct error *err) must_check;
int file_replace(const char *path, struct slice content, struct error *err) must_check;

int file_make_folder(const char *path, struct error *err) must_check; /* 0700; existing is fine */
int64_t file_free_space(const char *path, int64_t *total);            /* bytes, or -1 */

#endif
