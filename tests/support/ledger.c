#include "support/ledger.h"
#include <stdio.h>
#include <stdlib.h>

void
ledger_value(struct buffer *out, sqlite3_value *value)
{
    int class = sqlite3_value_type(value);
    const void *data = class == SQLITE_BLOB ? sqlite3_value_blob(value) : NULL;
    double real = class == SQLITE_FLOAT ? sqlite3_value_double(value) : 0;
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    buffer_byte(out, (uint8_t) class);
    if (class == SQLITE_INTEGER)
        buffer_u64(out, (uint64_t)sqlite3_value_int64(value));
    else if (class == SQLITE_FLOAT)
        buffer_u64(out, bits);
    else if (class == SQLITE_TEXT)
        data = sqlite3_value_text(value);
    if (class == SQLITE_TEXT || class == SQLITE_BLOB) {
        size_t size = (size_t)sqlite3_value_bytes(value);
        buffer_lenslice(out, (struct slice){size ? data : "", size});
    }
}

static void
take_row(sqlite3 *db, int (*get)(sqlite3 *, int, sqlite3_value **), struct buffer *out)
{
    int count = sqlite3_preupdate_count(db);
    for (int i = 0; i < count; i++) {
        sqlite3_value *value = NULL;
        ensure(get(db, i, &value) == SQLITE_OK);
        ledger_value(out, value);
    }
}

void
ledger_add(struct ledger *l, const char *table, int op, struct slice old_row, struct slice new_row)
{
    if (l->count == l->room) {
        l->room = l->room ? l->room * 2 : 256;
        l->entries = memory_grow(l->entries, l->room * sizeof *l->entries);
    }
    struct ledger_entry *e = &l->entries[l->count++];
    *e = (struct ledger_entry){.op = op, .old_size = old_row.size, .new_size = new_row.size};
    snprintf(e->table, sizeof e->table, "%s", table);
    e->old_row = op == 1 ? NULL : memory_slice(old_row);
    e->new_row = op == 3 ? NULL : memory_slice(new_row);
}

static void
changed(void *context, sqlite3 *db, int op, const char *schema, const char *table,
        sqlite3_int64 before, sqlite3_int64 after)
{
    struct ledger *l = context;
    struct buffer old_row, new_row;
    (void)before, (void)after;
    if (strcmp(schema, "main") != 0 || strncmp(table, "_tidegate_", 10) == 0 ||
        strncmp(table, "sqlite_", 7) == 0)
        return;
    buffer_init(&old_row, 1 << 24);
    buffer_init(&new_row, 1 << 24);
    if (op != SQLITE_INSERT)
        take_row(db, sqlite3_preupdate_old, &old_row);
    if (op != SQLITE_DELETE)
        take_row(db, sqlite3_preupdate_new, &new_row);
    int number = op == SQLITE_INSERT ? 1 : op == SQLITE_UPDATE ? 2 : 3;
    ledger_add(l, table, number, buffer_view(&old_row), buffer_view(&new_row));
    buffer_release(&old_row);
    buffer_release(&new_row);
}

void
ledger_open(struct ledger *l, sqlite3 *db)
{
    *l = (struct ledger){.db = db};
    sqlite3_preupdate_hook(db, changed, l);
}

void
ledger_cut(struct ledger *l, size_t count)
{
    while (l->count > count) {
        l->count--;
        free(l->entries[l->count].old_row);
        free(l->entries[l->count].new_row);
    }
}

void
ledger_close(struct ledger *l)
{
    if (l->db)
        sqlite3_preupdate_hook(l->db, NULL, NULL);
    ledger_cut(l, 0);
    free(l->entries);
    *l = (struct ledger){0};
}

static void
print_row(struct slice row, struct buffer *out)
{
    struct scan scan = scan_of(row);
    buffer_text(out, "(");
    while (scan.at < scan.end && !scan.failed) {
        int class = scan_byte(&scan);
        if (class == SQLITE_INTEGER)
            buffer_printf(out, "%lld ", (long long)scan_u64(&scan));
        else if (class == SQLITE_FLOAT)
            buffer_printf(out, "real:%llx ", (unsigned long long)scan_u64(&scan));
        else if (class == SQLITE_NULL)
            buffer_text(out, "NULL ");
        else {
            struct slice text = scan_lenslice(&scan);
            buffer_printf(out, "%c'%.*s' ", class == SQLITE_BLOB ? 'x' : 't', (int)text.size,
                          text.data);
        }
    }
    buffer_text(out, ")");
}

void
ledger_print(const struct ledger_entry *e, struct buffer *out)
{
    buffer_printf(out, "%s %s ",
                  e->op == 1   ? "insert"
                  : e->op == 2 ? "update"
                               : "delete",
                  e->table);
    if (e->old_row)
        print_row((struct slice){e->old_row, e->old_size}, out);
    buffer_text(out, " -> ");
    if (e->new_row)
        print_row((struct slice){e->new_row, e->new_size}, out);
}
