/* The SQLite files of a workspace: how each is opened, which format it has, and what happens to one
 * of another format. A newer one is refused; an older one is copied beside itself and then migrated
 * in one transaction, so that a kill leaves either the old or the new. */
#ifndef STORE_DATABASE_H
#define STORE_DATABASE_H

#include "store/sql.h"

#define DATABASE_FORMAT_CONFIG 1

/* A kind of file. `steps[i]` turns format i + 1 into i + 2; there are format - 1 of them. */
struct database_kind {
    int format;
    const char *create; /* SQL of the newest format, for a new file */
    const char *const *steps;
};

/* Opens or makes the file for reading and writing, mode 0600, with our pragmas. NULL with err: of a
 * newer format ERROR_REFUSED, damaged or not ours ERROR_CORRUPT. Close with sql_close. */
sqlite3 *database_open(const char *path, const struct database_kind *kind,
                       struct error *err) must_check;

/* `folder`/tidegate.db and `folder`/config.db. Both have a table meta(name, value). */
sqlite3 *database_store_open(const char *folder, struct error *err) must_check;
sqlite3 *database_config_open(const char *folder, struct error *err) must_check;

/* A connection that can only read, and never runs a checkpoint. */
sqlite3 *database_reader(const char *path, struct error *err) must_check;

/* A second connection for checkpoints: writes, but never on close. */
sqlite3 *database_keeper(const char *path, struct error *err) must_check;

/* The text of that name in meta, into `out`; 1 when there, 0 when not, -1. */
int database_meta(sqlite3 *db, const char *name, char *out, size_t size,
                  struct error *err) must_check;
int database_set_meta(sqlite3 *db, const char *name, const char *value,
                      struct error *err) must_check;

#endif
