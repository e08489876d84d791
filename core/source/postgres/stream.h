/* The copy-both stream of START_REPLICATION: frames in, status out. Source: PostgreSQL
 * documentation, "Streaming Replication Protocol". No LSN is ever sent to the server but that of a
 * durable block. */
#ifndef SOURCE_POSTGRES_STREAM_H
#define SOURCE_POSTGRES_STREAM_H

#include "source/postgres/connect.h"

struct pg_stream {
    struct pg_session session;
    uint64_t confirmed; /* durable: what the server may forget; goes out with each status */
    uint64_t told;      /* … as it was last sent */
    int64_t told_at;    /* clock_mono of the last status */
    int64_t looked_at;  /* … of the last look whether it has one */
    int64_t heard_at;   /* … of the last word of the server */
    bool unsent;        /* libpq holds bytes that the socket did not take */
    uint64_t end;       /* the server's log is read up to here, if no transaction is open */
    bool missed;        /* the server said that a publication is missing where it reads */
    bool asked;         /* the server wants an answer … */
    uint64_t asked_end; /* … and had read its log up to here: it may be shutting down, and then
                           waits until this is confirmed */
};

/* START_REPLICATION from `start`. BUSY with the pid when the slot is in use. */
int pg_stream_start(struct pg_stream *stream, const char *slot, const char *publications,
                    uint64_t start, struct error *err) must_check;

/* Reads on until about `limit` µs have passed or nothing more is there: *idle says which. */
int pg_stream_read(struct source_context *context, int64_t limit, bool *idle,
                   struct error *err) must_check;

/* Sends a status now; `reply` asks for a keepalive in return. Never waits. */
int pg_stream_status(struct pg_stream *stream, bool reply, struct error *err) must_check;
/* The same when something is due: after a confirmation, and every few seconds. */
int pg_stream_keep(struct pg_stream *stream, struct error *err) must_check;
int64_t pg_stream_due(const struct pg_stream *stream); /* µs until pg_stream_keep has work */

#endif
