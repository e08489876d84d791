#include "support/sqlite_fixture.h"
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"

#define PATIENCE 20 /* seconds */

static void
give_up(struct sqlite_fixture *f, const char *what)
{
    struct source_status status = {0};
    char text[2048] = "";
    if (f->source)
        source_status(f->source, &status);
    error_text(&status.error, text, sizeof text);
    fprintf(stderr, "%s: source is %s, %zu events, %s\n", what, source_state_name(status.state),
            f->sink.count, text);
    for (size_t i = f->sink.count > 5 ? f->sink.count - 5 : 0; i < f->sink.count; i++)
        fprintf(stderr, "  %s\n", f->sink.events[i].json);
    ensure_failed(what, __FILE__, __LINE__);
}

void
sqlite_fixture_open(struct sqlite_fixture *f, const char *mode)
{
    const char *tmp = getenv("TMPDIR");
    *f = (struct sqlite_fixture){0};
    snprintf(f->folder, sizeof f->folder, "%s/tidegate-XXXXXX", tmp ? tmp : "/tmp");
    ensure(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/shop.db", f->folder);
    ensure(sqlite3_open(f->path, &f->db) == SQLITE_OK);
    sqlite3_busy_timeout(f->db, 10000);
    sqlite_fixture_exec(f, "PRAGMA journal_mode = %s; PRAGMA synchronous = OFF", mode);
    fake_sink_init(&f->sink);
    f->options =
        (struct sqlite_options){.path = f->path, .log_limit = 1000000, .prune_above = 100000};
    f->tables[0] = "*";
    f->plan = (struct source_plan){.name = "shop",
                                   .driver = &sqlite_source,
                                   .options = &f->options,
                                   .workspace_id = "w1",
                                   .schemas = f->sink.schemas,
                                   .sink = fake_sink_of(&f->sink)};
    f->plan.common.tables = (struct option_list){f->tables, 1};
    f->plan.common.max_row = 128 << 20;
}

static void
remove_folder(const char *folder)
{
    DIR *entries = opendir(folder);
    struct dirent *entry;
    char path[512];
    while (entries && (entry = readdir(entries))) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    if (entries)
        closedir(entries);
    rmdir(folder);
}

void
sqlite_fixture_close(struct sqlite_fixture *f)
{
    sqlite_fixture_stop(f);
    sqlite3_close(f->db);
    fake_sink_release(&f->sink);
    remove_folder(f->folder);
}

void
sqlite_fixture_exec(struct sqlite_fixture *f, const char *sql, ...)
{
    va_list args;
    va_start(args, sql);
    char *text = sqlite3_vmprintf(sql, args);
    va_end(args);
    if (sqlite3_exec(f->db, text, NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "%s\n%s\n", text, sqlite3_errmsg(f->db));
        ensure_failed("statement", __FILE__, __LINE__);
    }
    sqlite3_free(text);
}

void
sqlite_fixture_start_until(struct sqlite_fixture *f, enum source_state state)
{
    struct error err = {0};
    f->plan.resume = fake_sink_resume(&f->sink);
    f->source = source_new(&f->plan, &err);
    if (!f->source)
        ensure_failed(err.message, __FILE__, __LINE__);
    f->sink.wake = source_wake(f->source);
    ensure(source_start(f->source, &err) == 0);
    sqlite_fixture_until(f, state);
}

void
sqlite_fixture_start(struct sqlite_fixture *f)
{
    sqlite_fixture_start_until(f, SOURCE_STREAMING);
    sqlite_fixture_settle(f);
}

void
sqlite_fixture_stop(struct sqlite_fixture *f)
{
    if (!f->source)
        return;
    source_stop(f->source);
    source_join(f->source);
    f->sink.wake = NULL;
    source_free(f->source);
    f->source = NULL;
}

const char *
sqlite_fixture_wait(struct sqlite_fixture *f, size_t count)
{
    if (!fake_sink_wait(&f->sink, count, PATIENCE))
        give_up(f, "events did not come");
    return f->sink.events[count - 1].json;
}

void
sqlite_fixture_until(struct sqlite_fixture *f, enum source_state state)
{
    struct source_status status;
    int64_t end = clock_mono() + PATIENCE * CLOCK_SECOND;
    for (source_status(f->source, &status); status.state != state;
         source_status(f->source, &status)) {
        if (clock_mono() > end)
            give_up(f, source_state_name(state));
        usleep(1000);
    }
}

void
sqlite_fixture_settle(struct sqlite_fixture *f)
{
    pthread_mutex_lock(&f->sink.lock);
    size_t ticks = f->sink.ticks;
    pthread_mutex_unlock(&f->sink.lock);
    source_request_tick(f->source);
    if (!fake_sink_wait_ticks(&f->sink, ticks + 1, PATIENCE))
        give_up(f, "a tick did not come");
}

int64_t
sqlite_fixture_int(struct sqlite_fixture *f, const char *sql)
{
    sqlite3_stmt *row;
    ensure(sqlite3_prepare_v2(f->db, sql, -1, &row, NULL) == SQLITE_OK);
    ensure(sqlite3_step(row) == SQLITE_ROW);
    int64_t value = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return value;
}
