/* Hears that somebody wrote to the database: inotify on its folder, because -wal and -journal come
 * and go and a watch on a file would die with it. */
#ifndef SOURCE_SQLITE_WATCH_H
#define SOURCE_SQLITE_WATCH_H

#include "base/error.h"

struct watch {
    int fd; /* readable when something happened; -1 when there is no watch: then only polling helps
             */
    char name[256];     /* of the database in its folder */
    char journal[4200]; /* path of the rollback journal */
};

int watch_open(struct watch *w, const char *path, struct error *err) must_check;
void watch_close(struct watch *w);

/* Takes what was heard; true when any of it was about the database, its -wal or its -journal. */
bool watch_heard(struct watch *w);

/* A transaction in rollback mode is in the middle of its commit, or was left there: reading now
 * would take the lock that its writer needs. The journal is deleted, cut or zeroed at the end. */
enum watch_commit {
    WATCH_NO_COMMIT,
    WATCH_MAYBE_COMMIT, /* the header of the journal is zero, as before the sync of a commit and as
                           after one in mode PERSIST; it was written within the last WATCH_FRESH */
    WATCH_IN_COMMIT,
};
#define WATCH_FRESH (20 * 1000) /* µs */

enum watch_commit watch_in_commit(const struct watch *w);

#endif
