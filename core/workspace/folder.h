/* The workspace as a folder: which one is meant, what is in it, who may write it, and the lock that
 * keeps two daemons apart. design/operation.md §1. */
#ifndef WORKSPACE_FOLDER_H
#define WORKSPACE_FOLDER_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

/* The folder that is meant: `given`, else the current one if it has a tidegate.lua, else
 * $TIDEGATE_HOME, else ~/.tidegate. As an absolute path in `out` (PATH_MAX bytes). `create` makes
 * the last two on first use; otherwise a folder that does not exist is ERROR_MISSING. */
int folder_locate(const char *given, bool create, char *out, struct error *err) must_check;

/* Makes data/ (0700) and refuses network file systems. */
int folder_prepare_data(const char *folder, struct error *err) must_check;

/* Takes data/lock for the life of the process: the descriptor, or -1 with ERROR_BUSY naming the pid
 * that holds it. */
int folder_lock(const char *folder, struct error *err) must_check;
void folder_unlock(int fd);
/* Who holds it: pid, or 0 when nobody does. */
int folder_holder(const char *folder);

/* Reads a Lua file of the user: 1 read, 0 there is none, -1. Refused when others than owner and
 * root may write it, when it is no regular file, or when it is larger than out->limit. */
int folder_read_script(const char *path, struct buffer *out, struct error *err) must_check;

/* The rule scripts below FOLDER/scripts, sorted by path, by the rules of language.md §9: not lib/,
 * not *_test.lua, not names that begin with . or _ or end in .disabled, not folders with a
 * pack.lua. Paths ("scripts/orders.lua") live in `arena`; returns how many, or -1: unreadable, too
 * deep, or a folder that everybody may write. */
int folder_scripts(const char *folder, struct arena *arena, const char *const **out,
                   struct error *err) must_check;

/* Likewise the modules that scripts may require: FOLDER/scripts/lib, with the folders in it. */
int folder_modules(const char *folder, struct arena *arena, const char *const **out,
                   struct error *err) must_check;

/* Path of the daemon's socket: data/tidegate.sock, or one in a short private folder when that
 * passes 107 bytes. */
int folder_socket(const char *folder, char out[108], struct error *err) must_check;

#endif
