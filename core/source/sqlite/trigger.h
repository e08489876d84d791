/* The SQL of what capture puts into a user's database for each captured table: its triggers. Only
 * text is made here; sync.c runs it, check.c prints it.
 *
 * Why pending: with recursive_triggers off, REPLACE and UPDATE OR REPLACE remove rows without
 * firing a delete trigger. So BEFORE INSERT and BEFORE UPDATE copy the rows that the new row may
 * replace (a superset does no harm) into _tidegate_pending; AFTER INSERT and AFTER UPDATE log a
 * delete for each copy whose place the new row took or whose row no longer exists.
 *
 * Every trigger keeps the copies true: an update changes the copy, a delete removes it. So copies
 * that stay behind (OR IGNORE, UPSERT) and triggers that fire inside others can't mislead; the
 * newest PENDING_KEPT of a table are kept. Two things can come between:
 * - Foreign keys act before AFTER triggers. While a row is being updated or deleted its copy is
 *   marked busy (column b), so that what these actions fire does not take it for replaced.
 * - Ours being the newest, BEFORE triggers of the user run after our copying, and may make the very
 *   row that is then replaced: where a table has one, every new row is copied too.
 * What no trigger can mend: a row whose own update makes a foreign key of its table change or
 * delete that very row (it refers to itself, or to the row that it replaces). Its changes are all
 * logged, but late or in another order.
 *
 * Nothing here is newer than SQLite 3.8, and no statement of ours depends on its ON CONFLICT
 * clause, because the one of the user's statement would replace it. */
#ifndef SOURCE_SQLITE_TRIGGER_H
#define SOURCE_SQLITE_TRIGGER_H

#include "source/sqlite/table.h"

#define PENDING_KEPT 32

enum trigger_kind {
    TRIGGER_BEFORE_INSERT,
    TRIGGER_BEFORE_UPDATE,
    TRIGGER_BEFORE_DELETE, /* only where foreign keys refer to the table */
    TRIGGER_AFTER_INSERT,
    TRIGGER_AFTER_UPDATE,
    TRIGGER_AFTER_DELETE,
    /* Made later than the two that log, and so fired before them: */
    TRIGGER_REPLACED_BY_INSERT,
    TRIGGER_REPLACED_BY_UPDATE,
    TRIGGER_KINDS,
};

/* The unquoted name of a trigger. */
void trigger_name(struct buffer *out, enum trigger_kind kind, const char *table);

/* The kind of one of our triggers by its name, or TRIGGER_KINDS; *table is what its name says. */
enum trigger_kind trigger_kind_of(const char *name, const char **table);

/* Does the table need that trigger? */
bool trigger_needed(enum trigger_kind kind, const struct table *table);

/* CREATE TRIGGER … without a semicolon at its end. `ver` stands in each row it logs. */
void trigger_text(struct buffer *out, enum trigger_kind kind, const struct table *table,
                  int64_t ver);

/* Cells that the log needs for one row of the table: new and old ones. */
size_t trigger_width(const struct table *table);

/* The time of the statement, in milliseconds. */
#define TRIGGER_NOW "CAST((julianday('now')-2440587.5)*86400000 AS INTEGER)"

#endif
