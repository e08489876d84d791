#include "source/sqlite/check.h"
#include <stdio.h>
#include "base/text.h"
#include "source/sqlite/state.h"
#include "source/sqlite/sync.h"
#include "source/sqlite/trigger.h"

/* One run of `check` or `triggers`. */
struct checking {
    const struct source_plan *plan;
    const struct source_report *report;
    sqlite3 *db;
    struct arena arena;
    struct changelog_meta meta;
    struct error *err;
};

static void
say(struct checking *c, enum check_level level, const char *what, const char *mend)
{
    c->report->finding(c->report->context, level, what, mend);
}

static void
say_error(struct checking *c, enum check_level level, const struct error *err)
{
    struct error plain = *err;
    char text[2048];
    plain.hint[0] = '\0';
    say(c, level, error_text(&plain, text, sizeof text), err->hint);
}

static const char *
printed(struct checking *c, const char *name)
{
    struct buffer text;
    buffer_init(&text, 1 << 16);
    text_printable(&text, slice_of(name), false);
    const char *copy = arena_text(&c->arena, buffer_cstring(&text));
    buffer_release(&text);
    return copy;
}

/* --- check --- */

static int
check_mode(struct checking *c)
{
    sqlite3_stmt *row = call_prepare(c->db, "PRAGMA main.journal_mode", "read the mode", c->err);
    if (!row)
        return -1;
    int found = call_step(row, "read the mode", c->err);
    const char *mode = arena_text(&c->arena, found == 1 ? call_text(row, 0) : "");
    sqlite3_finalize(row);
    if (strcmp(mode, "wal") == 0)
        say(c, CHECK_OK, "the database is in WAL mode", "");
    else
        say(c, CHECK_WARNING,
            arena_printf(&c->arena,
                         "the database is in %s mode: a reader can make a commit fail with"
                         " SQLITE_BUSY, so each writer needs a busy_timeout",
                         mode),
            "PRAGMA journal_mode = WAL");
    say(c, CHECK_OK,
        "writers need a busy_timeout, and BEGIN IMMEDIATE for transactions that read first: capture"
        " now and then writes for a moment",
        "PRAGMA busy_timeout = 5000");
    return found < 0 ? -1 : 0;
}

static void
check_log(struct checking *c)
{
    if (!c->meta.there) {
        say(c, CHECK_OK, "there is no change log yet: it is made when the source starts", "");
        return;
    }
    int64_t rows = c->meta.last ? c->meta.last - c->meta.first + 1 : 0;
    int64_t room = c->meta.stop - c->meta.last;
    const char *what = arena_printf(&c->arena, "the change log holds %lld rows, room for %lld more",
                                    (long long)rows, (long long)(room > 0 ? room : 0));
    if (room <= 0)
        say(c, CHECK_ERROR, what,
            "start the source with on_lost = \"accept\": changes were not logged");
    else
        say(c, room < rows ? CHECK_WARNING : CHECK_OK, what,
            room < rows ? "keep the source running, or raise its `log_limit`" : "");
}

/* A pattern that no table matches; the nearest name helps where it is a slip. */
static void
check_pattern(struct checking *c, const char *pattern, const char **names, size_t count)
{
    struct source_plan one = *c->plan;
    one.common.tables = (struct option_list){&pattern, 1};
    one.common.exclude.count = 0;
    for (size_t i = 0; i < count; i++) {
        if (source_wants(&one, slice_literal("main"), slice_of(names[i])))
            return;
    }
    const char *near = text_suggest(slice_of(pattern), names, count, sizeof *names);
    say(c, CHECK_WARNING,
        arena_printf(&c->arena,
                     "no table matches \"%s\" (views and virtual tables cannot be captured)",
                     printed(c, pattern)),
        near ? arena_printf(&c->arena, "did you mean \"%s\"?", printed(c, near))
             : "correct `tables` of the source, or make the table");
}

static int
check_patterns(struct checking *c)
{
    static const char *const everything[] = {"*"};
    const char **names;
    size_t count;
    struct source_plan all = *c->plan;
    all.common.tables = (struct option_list){everything, 1};
    all.common.exclude.count = 0;
    if (table_list(c->db, &all, &c->arena, &names, &count, c->err) != 0)
        return -1;
    for (size_t i = 0; i < c->plan->common.tables.count; i++)
        check_pattern(c, c->plan->common.tables.items[i], names, count);
    if (c->plan->common.tables.count == 0 && c->plan->rule_table_count == 0)
        say(c, CHECK_WARNING, "no table is captured: `tables` is empty and no rule names one",
            "add tables = { \"*\" } to the source");
    return 0;
}

static void
check_key(struct checking *c, const struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->columns[i].key)
            return;
    }
    say(c, CHECK_WARNING,
        arena_printf(&c->arena, "table %s has no primary key: its events have no key",
                     printed(c, table->name)),
        "make it again with a PRIMARY KEY");
}

static int
check_table(struct checking *c, const char *name)
{
    struct sync sync = {.db = c->db, .plan = c->plan};
    enum sync_state state = SYNC_MISSING;
    struct table table;
    struct error err = {0};
    if (table_read(c->db, c->plan, name, &c->arena, &table, &err) != 0) {
        say_error(c, CHECK_ERROR, &err);
        return 0;
    }
    check_key(c, &table);
    if (c->meta.there && sync_inspect(&sync, &table, &state, c->err) != 0)
        return -1;
    say(c, state == SYNC_GOOD || !c->meta.there ? CHECK_OK : CHECK_WARNING,
        arena_printf(&c->arena, "triggers of table %s: %s", printed(c, name),
                     sync_state_name(state)),
        state == SYNC_GOOD ? ""
                           : arena_printf(&c->arena,
                                          "they are made at start, or by"
                                          " `tidegate triggers %s sync`",
                                          c->plan->name));
    return 0;
}

static int
check_all(struct checking *c)
{
    const char **names;
    size_t count;
    if (check_mode(c) != 0 || changelog_meta_read(c->db, c->plan, &c->meta, c->err) != 0)
        return -1;
    check_log(c);
    if (check_patterns(c) != 0 ||
        table_list(c->db, c->plan, &c->arena, &names, &count, c->err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (check_table(c, names[i]) != 0)
            return -1;
    }
    if (count)
        say(c, CHECK_OK,
            "ALTER TABLE ... DROP COLUMN of a captured column fails while the triggers are there;"
            " a migration removes them first, and they come back by themselves",
            arena_printf(&c->arena, "tidegate triggers %s remove TABLE --sql", c->plan->name));
    return 0;
}

int
check_database(const struct source_plan *plan, const struct source_report *report,
               struct error *err)
{
    struct error own = {0};
    struct checking c = {.plan = plan, .report = report, .err = &own};
    (void)err;
    arena_init(&c.arena, 0);
    if (open_file(plan, &c.db, &own) != 0 || check_all(&c) != 0)
        say_error(&c, CHECK_ERROR, &own);
    sqlite3_close(c.db);
    arena_release(&c.arena);
    return 0;
}

/* --- triggers --- */

/* All triggers of one table as they should be. */
static const char *
table_sql(struct checking *c, const struct table *table, int64_t ver)
{
    struct buffer sql;
    buffer_init(&sql, 16 << 20);
    for (int kind = 0; kind < TRIGGER_KINDS; kind++) {
        if (!trigger_needed(kind, table))
            continue;
        trigger_text(&sql, kind, table, ver);
        buffer_text(&sql, ";\n");
    }
    const char *copy = arena_text(&c->arena, buffer_cstring(&sql));
    buffer_release(&sql);
    return copy;
}

static int
list_table(struct checking *c, const char *name, bool with_sql)
{
    struct sync sync = {.db = c->db, .plan = c->plan};
    enum sync_state state = SYNC_MISSING;
    struct table table;
    int64_t ver = 0;
    bool ever;
    if (table_read(c->db, c->plan, name, &c->arena, &table, c->err) != 0)
        return -1;
    if (c->meta.there && (sync_inspect(&sync, &table, &state, c->err) != 0 ||
                          version_find(c->db, name, &ver, &ever, c->err) != 0))
        return -1;
    c->report->row(c->report->context, name, sync_state_name(state),
                   with_sql ? table_sql(c, &table, ver) : "");
    return 0;
}

static int
list_installed(struct checking *c, const char *table, bool with_sql)
{
    const char **names;
    size_t count;
    if (table)
        return list_table(c, table, with_sql);
    if (table_list(c->db, c->plan, &c->arena, &names, &count, c->err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (list_table(c, names[i], with_sql) != 0)
            return -1;
    }
    return 0;
}

static bool
changes_something(const char *sql)
{
    static const char *const readers[] = {"SELECT", "PRAGMA", "BEGIN", "COMMIT", "ROLLBACK", "--"};
    for (size_t i = 0; i < countof(readers); i++) {
        if (sqlite3_strnicmp(sql, readers[i], (int)strlen(readers[i])) == 0)
            return false;
    }
    return true;
}

/* Each statement that is run on this connection, with its values. */
static int
traced(unsigned type, void *context, void *statement, void *text)
{
    struct checking *c = context;
    if (type != SQLITE_TRACE_STMT || !changes_something(text))
        return 0;
    char *sql = sqlite3_expanded_sql(statement);
    c->report->row(c->report->context, "statement", "", sql ? sql : text);
    sqlite3_free(sql);
    return 0;
}

static int
sync_installed(struct checking *c)
{
    const struct sqlite_options *options = c->plan->options;
    uint32_t epoch = c->plan->resume.epoch ? c->plan->resume.epoch : 1;
    struct sync sync = {.db = c->db, .plan = c->plan, .fresh = !c->meta.there};
    if (sync.fresh && changelog_create(c->db, c->plan, epoch, options->log_limit, c->err) != 0)
        return -1;
    return sync_run(&sync, c->err);
}

static int
remove_installed(struct checking *c, const char *table)
{
    struct sync sync = {.db = c->db, .plan = c->plan};
    struct table read;
    if (table && table_read(c->db, c->plan, table, &c->arena, &read, c->err) != 0 &&
        c->err->class == ERROR_MISSING)
        return -1;
    return sync_remove(&sync, table, c->err);
}

/* Runs it in one transaction; `print_only` reports the statements and takes everything back. */
static int
change_installed(struct checking *c, enum source_install what, const char *table, bool print_only)
{
    if (call_exec(c->db, "BEGIN IMMEDIATE", "change the triggers", c->err) != 0)
        return -1;
    if (print_only)
        sqlite3_trace_v2(c->db, SQLITE_TRACE_STMT, traced, c);
    int result = what == SOURCE_SYNC ? sync_installed(c) : remove_installed(c, table);
    sqlite3_trace_v2(c->db, 0, NULL, NULL);
    if (result == 0 && !print_only)
        return call_exec(c->db, "COMMIT", "change the triggers", c->err);
    sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

int
check_installed(const struct source_plan *plan, enum source_install what, const char *table,
                bool print_only, const struct source_report *report, struct error *err)
{
    struct checking c = {.plan = plan, .report = report, .err = err};
    arena_init(&c.arena, 0);
    int result = open_file(plan, &c.db, err);
    if (result == 0)
        result = changelog_meta_read(c.db, plan, &c.meta, err);
    if (result == 0 && what == SOURCE_LIST)
        result = list_installed(&c, table, print_only);
    else if (result == 0)
        result = change_installed(&c, what, table, print_only);
    if (result == 0 && what == SOURCE_SYNC && !print_only)
        result = changelog_meta_read(c.db, plan, &c.meta, err) != 0
                     ? -1
                     : list_installed(&c, table, false);
    sqlite3_close(c.db);
    arena_release(&c.arena);
    return result;
}
