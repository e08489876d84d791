/* The tables that capture keeps in the user's database:
 *
 *   _tidegate_log      one row a change, in commit order; what the triggers write
 *   _tidegate_pending  rows that a REPLACE may remove; empty or nearly so
 *   _tidegate_meta     one row: whose log it is, its incarnation, where it may not grow further
 *   _tidegate_version  what table each `ver` of a log row means; _tidegate_column: its columns
 *
 * and the position in the log that the journal stores. */
#ifndef SOURCE_SQLITE_CHANGELOG_H
#define SOURCE_SQLITE_CHANGELOG_H

#include "source/sqlite/table.h"

#define CHANGELOG_FORMAT 1
#define CHANGELOG_OWNER  80

/* The row of _tidegate_meta. */
struct changelog_meta {
    bool there; /* false: nothing was ever made here */
    char workspace[CHANGELOG_OWNER];
    char source[CHANGELOG_OWNER];
    uint64_t incarnation; /* random; a new one whenever reading does not go on where it was */
    uint32_t epoch;       /* of the source when this incarnation began … */
    int64_t start;        /* … which it began behind this row */
    int64_t stop;         /* triggers log nothing once a row of this id is there */
    int64_t cookie;       /* PRAGMA schema_version when the triggers were last compared */
    int64_t first, last;  /* lowest and highest id in the log; 0 when it is empty */
    int64_t highest;      /* highest id that was ever given */
};

/* Where reading stands: the newest row that was read. */
struct changelog_position {
    uint64_t incarnation;
    int64_t id; /* 0: before the first row */
    uint64_t hash;
    int64_t ver;
};

/* Reads meta; `there` is false when the tables do not exist. ERROR_CONFIG when the log belongs to
 * another workspace or source, or to a newer format. */
int changelog_meta_read(sqlite3 *db, const struct source_plan *plan, struct changelog_meta *out,
                        struct error *err) must_check;

/* Makes the tables, wide enough for `cells`. Inside a write transaction. */
int changelog_create(sqlite3 *db, const struct source_plan *plan, uint32_t epoch, int64_t limit,
                     struct error *err) must_check;

/* Makes log and pending at least that wide. Inside a write transaction. */
int changelog_widen(sqlite3 *db, size_t log_cells, size_t pending_cells,
                    struct error *err) must_check;

/* A new incarnation that begins behind the newest row. Inside a write transaction. */
int changelog_restart(sqlite3 *db, uint32_t epoch, int64_t limit, struct error *err) must_check;

/* Adds a row of our own (ddl or gap) with one text. Inside a write transaction. */
int changelog_note(sqlite3 *db, int64_t ver, int op, struct slice text,
                   struct error *err) must_check;

void changelog_position_write(const struct changelog_position *position, struct buffer *out);
/* -1 when the bytes are no position of ours. */
int changelog_position_read(struct slice bytes, struct changelog_position *out) must_check;

/* Appends a row as bytes, each cell with its storage class, from column `from` on: what its hash is
 * made of and what events are decoded from. */
void changelog_row_write(sqlite3_stmt *row, int from, int count, struct buffer *out);

/* The SQL that removes everything of ours that is not a trigger. */
extern const char *const changelog_drop[];
extern const size_t changelog_drop_count;

#endif
