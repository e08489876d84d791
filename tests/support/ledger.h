/* What a writer really did to a SQLite database: every change of a row, seen by SQLite's preupdate
 * hook in the writer's own process and so independent of any trigger. Rows that a REPLACE removes
 * and rows that cascades touch are there too. Changes that are rolled back are taken out again. */
#ifndef SUPPORT_LEDGER_H
#define SUPPORT_LEDGER_H

#ifndef SQLITE_ENABLE_PREUPDATE_HOOK
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#endif
#include <sqlite3.h>
#include "base/buffer.h"

struct ledger_entry {
    char table[64];
    int op;        /* 1 insert, 2 update, 3 delete: as enum event_op */
    char *old_row; /* bytes as ledger_value writes them; NULL: none */
    char *new_row;
    size_t old_size, new_size;
};

struct ledger {
    sqlite3 *db;
    struct ledger_entry *entries;
    size_t count, room;
};

void ledger_open(struct ledger *l, sqlite3 *db); /* begins to watch */
void ledger_close(struct ledger *l);
void ledger_add(struct ledger *l, const char *table, int op, struct slice old_row,
                struct slice new_row);
void ledger_cut(struct ledger *l, size_t count); /* a rollback: forgets all but the first `count` */

/* Appends a value with its storage class. */
void ledger_value(struct buffer *out, sqlite3_value *value);

/* One line for people. */
void ledger_print(const struct ledger_entry *e, struct buffer *out);

#endif
