/* From commit to webhook: commits single rows at a steady rate, receives the webhooks they lead to,
 * and tells how long each took. run.py puts the daemon in between.
 *
 *   bench_latency DATABASE RATE SECONDS SAMPLES
 *
 * DATABASE is a SQLite file or the URL of a PostgreSQL database. Prints "port N" and waits for a
 * line on its input; then it writes, waits for the last webhook, and leaves a line "commit latency"
 * (µs since 1970, µs) a row in the file SAMPLES. The time of a commit is the one at which the
 * application was told that it is done. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#if WITH_POSTGRES
#include <libpq-fe.h>
#endif

#include "base/clock.h"
#include "base/text.h"
#include "support/http_receiver.h"

enum { PATIENCE = 30 };

struct writer {
    const struct database *database;
    sqlite3 *db;
    sqlite3_stmt *insert;
    void *connection;   /* PGconn */
    int64_t *committed; /* by id, from 1 */
    int64_t count, every;
};

/* How rows get in: `insert` returns once the row is committed. */
struct database {
    void (*open)(struct writer *w, const char *path);
    void (*insert)(struct writer *w, int64_t id);
    void (*close)(struct writer *w);
};

static void
open_sqlite(struct writer *w, const char *path)
{
    static const char sql[] = "INSERT INTO orders(id, customer, status, amount, note)"
                              " VALUES(?1, ?1 % 1000, 'paid', ?1 * 1.25, 'a note of some length')";
    ensure(sqlite3_open(path, &w->db) == SQLITE_OK);
    sqlite3_busy_timeout(w->db, 5000);
    ensure(sqlite3_prepare_v2(w->db, sql, -1, &w->insert, NULL) == SQLITE_OK);
}

static void
insert_sqlite(struct writer *w, int64_t id)
{
    sqlite3_reset(w->insert);
    sqlite3_bind_int64(w->insert, 1, id);
    ensure(sqlite3_step(w->insert) == SQLITE_DONE);
}

static void
close_sqlite(struct writer *w)
{
    sqlite3_finalize(w->insert);
    sqlite3_close(w->db);
}

static const struct database sqlite = {open_sqlite, insert_sqlite, close_sqlite};

#if WITH_POSTGRES
static void
run_postgres(struct writer *w, const char *sql)
{
    PGresult *result = PQexec(w->connection, sql);
    ensure(PQresultStatus(result) == PGRES_COMMAND_OK);
    PQclear(result);
}

static void
open_postgres(struct writer *w, const char *path)
{
    w->connection = PQconnectdb(path);
    ensure(PQstatus(w->connection) == CONNECTION_OK);
    run_postgres(w, "PREPARE row(int) AS INSERT INTO orders(id, customer, status, amount, note)"
                    " VALUES($1, $1 % 1000, 'paid', $1 * 1.25, 'a note of some length')");
}

static void
insert_postgres(struct writer *w, int64_t id)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "EXECUTE row(%lld)", (long long)id);
    run_postgres(w, sql);
}

static void
close_postgres(struct writer *w)
{
    PQfinish(w->connection);
}

static const struct database postgres = {open_postgres, insert_postgres, close_postgres};
#else
#define postgres sqlite
#endif

static void
sleep_until(int64_t mono)
{
    struct timespec until = {mono / CLOCK_SECOND, mono % CLOCK_SECOND * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
        ;
}

static void
write_rows(struct writer *w)
{
    int64_t begin = clock_mono();
    for (int64_t id = 1; id <= w->count; id++) {
        sleep_until(begin + id * w->every);
        w->database->insert(w, id);
        w->committed[id] = clock_now();
    }
}

/* The id of the row that a webhook is about; 0: it is about none of ours. */
static int64_t
row_of(const struct http_received *request)
{
    static const char mark[] = "\"new\":{\"id\":";
    const char *at = strstr(request->body.data, mark);
    return at ? strtoll(at + sizeof(mark) - 1, NULL, 10) : 0;
}

static size_t
wait_for_webhooks(struct http_receiver *receiver, size_t count)
{
    for (int i = 0; i < PATIENCE / 10; i++)
        if (http_receiver_wait(receiver, count))
            break;
    return http_receiver_requests(receiver);
}

static void
save(const struct writer *w, struct http_receiver *receiver, size_t requests, const char *path)
{
    FILE *out = fopen(path, "w");
    ensure(out);
    for (size_t i = 0; i < requests; i++) {
        struct http_received request = http_receiver_request(receiver, i);
        int64_t id = row_of(&request);
        if (id > 0 && id <= w->count)
            fprintf(out, "%lld %lld\n", (long long)w->committed[id],
                    (long long)(request.at - w->committed[id]));
    }
    ensure(fclose(out) == 0);
}

int
main(int count, char **words)
{
    struct writer w = {0};
    char line[16];
    if (count != 5) {
        fprintf(stderr, "usage: bench_latency DATABASE RATE SECONDS SAMPLES\n");
        return 64;
    }
    struct http_receiver *receiver = http_receiver_new();
    w.every = CLOCK_SECOND / atoi(words[2]);
    w.count = (int64_t)atoi(words[3]) * atoi(words[2]);
    w.committed = memory_zero((size_t)(w.count + 1) * sizeof(*w.committed));
    printf("port %d\n", http_receiver_port(receiver));
    fflush(stdout);
    ensure(fgets(line, sizeof(line), stdin));
    w.database = strstr(words[1], "://") ? &postgres : &sqlite;
    w.database->open(&w, words[1]);
    write_rows(&w);
    size_t requests = wait_for_webhooks(receiver, (size_t)w.count);
    save(&w, receiver, requests, words[4]);
    printf("latency: %lld commits, %zu webhooks\n", (long long)w.count, requests);
    w.database->close(&w);
    http_receiver_free(receiver);
    free(w.committed);
    return requests >= (size_t)w.count ? 0 : 1;
}
