/* The state of one running SQLite source; shared by the files of this folder. */
#ifndef SOURCE_SQLITE_STATE_H
#define SOURCE_SQLITE_STATE_H

#include "base/clock.h"
#include "source/sqlite/chain.h"
#include "source/sqlite/changelog.h"
#include "source/sqlite/sqlite.h"
#include "source/sqlite/version.h"
#include "source/sqlite/watch.h"

/* One row that was read and not yet emitted. */
struct reader_row {
    int64_t id, ts;
    int op;
    size_t version;      /* index into versions */
    size_t offset, size; /* its bytes in raw */
};

#define READER_ROWS  1000
#define READER_BYTES (1024 * 1024) /* a read ends behind the row that passes it */

struct reader {
    sqlite3_stmt *begin, *commit, *meta, *rows;
    struct version *versions;
    size_t version_count, version_room;
    struct buffer raw;
    struct reader_row read[READER_ROWS];
    size_t count;
    struct arena arena; /* cells of the row being emitted */
    struct chain chain;
    uint64_t breaks; /* changes that did not begin where the one before them ended */
    int64_t reported_at;
};

struct state {
    sqlite3 *db;
    char path[4096];
    uint64_t device, inode; /* of the file that is open */
    struct changelog_meta meta;
    struct changelog_position at; /* the newest row that was emitted */
    int64_t confirmed;            /* id of the newest durable row */
    int64_t cookie;               /* PRAGMA schema_version that the triggers were compared at */
    bool compare;                 /* the schema changed: compare triggers with tables */
    bool wal;
    bool more;    /* the last read left something to do */
    bool stopped; /* the log reached its limit: the triggers log nothing more */
    struct watch watch;
    struct reader reader;
    int64_t active_at; /* clock_mono of the last row read */
    int64_t again_at;  /* clock_mono of the next look though nothing was heard; 0: none */
    unsigned again;    /* looks since something was heard */
    unsigned busy;     /* times in a row that a lock was met */
    int64_t busy_since;
    int64_t commit_since; /* a rollback journal stands since; 0: none */
    int64_t mode_at;      /* when the journal mode was asked */
    int64_t pruned_at;
};

/* reader.c: reads at most READER_ROWS into memory in one transaction that ends before it returns;
 * *ended: the log's end was seen. Nothing is waited for: ERROR_BUSY when locked. */
int reader_open(struct state *state, struct error *err) must_check;
void reader_close(struct state *state);
int reader_read(struct source_context *context, bool *ended, struct error *err) must_check;
/* Emits what was read. */
int reader_emit(struct source_context *context, struct error *err) must_check;
/* The hash of the row of that id, as it stands in positions; -1 with ERROR_LOST when it is gone. */
int reader_hash(struct source_context *context, int64_t id, int64_t *ver, uint64_t *hash,
                struct error *err) must_check;

/* open.c: opens the file of the plan's options; every way in which it can be wrong has a message of
 * its own. The caller closes *db also on failure. */
int open_file(const struct source_plan *plan, sqlite3 **db, struct error *err) must_check;
/* Has the file at the path become another one? */
bool open_replaced(const struct state *state);
/* Log, triggers and position: makes what is missing, proves that reading goes on where it was. */
int open_log(struct source_context *context, struct error *err) must_check;
/* Compares triggers with tables again and mends them. ERROR_BUSY when somebody is writing. */
int open_compare(struct source_context *context, bool fresh, struct error *err) must_check;

/* prune.c: removes some of the rows that are confirmed, if it is a good moment. True when more
 * could be removed at once. Never waits, never fails: what is not removed now is removed later. */
bool prune(struct source_context *context);

#endif
