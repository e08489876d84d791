/* A SQLite database in a folder of its own, and a source that reads it into a fake sink. */
#ifndef SUPPORT_SQLITE_FIXTURE_H
#define SUPPORT_SQLITE_FIXTURE_H

#include "support/ledger.h"
#include "source/sqlite/sqlite.h"
#include "support/fake_sink.h"

struct sqlite_fixture {
    char folder[64];
    char path[96];
    sqlite3 *db; /* the writer's connection */
    struct fake_sink sink;
    struct sqlite_options options;
    struct source_plan plan;
    const char *tables[4];
    struct source *source;
};

/* Makes folder and database in that journal mode ("wal", "delete" …); captures every table. */
void sqlite_fixture_open(struct sqlite_fixture *f, const char *mode);
void sqlite_fixture_close(struct sqlite_fixture *f);

void sqlite_fixture_exec(struct sqlite_fixture *f, const char *sql, ...);

/* Starts a source behind what the sink has, and waits until it has read the log to its end. */
void sqlite_fixture_start(struct sqlite_fixture *f);
/* Starts it, and waits until it is in that state. */
void sqlite_fixture_start_until(struct sqlite_fixture *f, enum source_state state);
void sqlite_fixture_stop(struct sqlite_fixture *f);

/* Waits for that many events in all and returns the JSON of the last one. */
const char *sqlite_fixture_wait(struct sqlite_fixture *f, size_t count);
/* Waits until the source is in that state. */
void sqlite_fixture_until(struct sqlite_fixture *f, enum source_state state);
/* Waits until the log's end was seen after now. */
void sqlite_fixture_settle(struct sqlite_fixture *f);

int64_t sqlite_fixture_int(struct sqlite_fixture *f, const char *sql);

#endif
