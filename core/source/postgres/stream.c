#include "source/postgres/stream.h"
#include <poll.h>
#include <unistd.h>
#include "source/postgres/quote.h"
#include "source/postgres/query.h"
#include "source/postgres/state.h"

#define STATUS_EVERY (10 * CLOCK_SECOND)
#define TELL_EVERY   (CLOCK_SECOND / 50) /* at most so often that something was confirmed */
#define LOOK_EVERY   64                  /* messages between looks at the clock */
#define LARGE        64                  /* a transaction of more items comes in bulk … */
#define GATHER       200 /* … and is read in larger pieces after a pause of so many µs */
#define BEHIND       (CLOCK_SECOND / 10)
#define READ_WAIT    (CLOCK_SECOND / 100)
#define STALL        (CLOCK_SECOND / 5) /* in mid-transaction: the server has come to a halt */

/* A server from 18 on only warns, ahead of what follows. */
static void
take_notice(void *context, const PGresult *notice)
{
    struct pg_stream *stream = context;
    stream->missed = stream->missed || pg_publication_missed(notice);
}

static int
lost_publication(struct pg_stream *stream, struct error *err)
{
    error_set(
        err, ERROR_LOST,
        "source \"%s\": a publication of the slot does not exist at the place of the log that "
        "is read next: somebody dropped it, and what was written meanwhile is not to be had",
        stream->session.plan->name);
    return -1;
}

int
pg_stream_start(struct pg_stream *stream, const char *slot, const char *publications,
                uint64_t start, struct error *err)
{
    struct buffer sql;
    char lsn[PG_LSN_TEXT];
    PQsetNoticeReceiver(stream->session.conn, take_notice, stream);
    buffer_init(&sql, 4096);
    buffer_text(&sql, "START_REPLICATION SLOT ");
    pg_quote_name(&sql, slice_of(slot));
    buffer_printf(&sql, " LOGICAL %s (proto_version '1', publication_names ",
                  pg_lsn_format(start, lsn));
    pg_quote_text(&sql, slice_of(publications));
    buffer_text(&sql, ", messages 'true')");
    int result = pg_run(&stream->session, "start reading the slot", buffer_cstring(&sql), err);
    buffer_release(&sql);
    if (result != 0)
        return -1;
    if (PQsetnonblocking(stream->session.conn, 1) != 0)
        return pg_query_failed(&stream->session, NULL, "start reading the slot", err);
    stream->told_at = stream->heard_at = clock_mono();
    return 0;
}

static int
flush(struct pg_stream *stream, struct error *err)
{
    int left = PQflush(stream->session.conn);
    stream->unsent = left == 1;
    return left < 0 ? pg_query_failed(&stream->session, NULL, "send a status", err) : 0;
}

int
pg_stream_status(struct pg_stream *stream, bool reply, struct error *err)
{
    struct buffer status;
    bool silent = clock_mono() - stream->heard_at > STATUS_EVERY;
    buffer_init(&status, 64);
    pg_status_encode(stream->confirmed, clock_now(), reply || silent, &status);
    /* 0: libpq could not even queue it; the next one says the same. */
    int put = PQputCopyData(stream->session.conn, status.data, (int)status.size);
    buffer_release(&status);
    if (put < 0)
        return pg_query_failed(&stream->session, NULL, "send a status", err);
    if (put > 0) {
        stream->told = stream->confirmed;
        stream->asked = false;
    }
    stream->told_at = clock_mono();
    return flush(stream, err);
}

int64_t
pg_stream_due(const struct pg_stream *stream)
{
    int64_t wait = stream->confirmed > stream->told ? TELL_EVERY : STATUS_EVERY;
    int64_t left = stream->told_at + wait - clock_mono();
    return stream->asked || left < 0 ? 0 : left;
}

int
pg_stream_keep(struct pg_stream *stream, struct error *err)
{
    if (pg_stream_due(stream) == 0)
        return pg_stream_status(stream, false, err);
    return stream->unsent ? flush(stream, err) : 0;
}

/* The server ended the stream, or the connection broke. */
static int
ended(struct pg_stream *stream, int size, struct error *err)
{
    PGresult *result = size == -1 ? PQgetResult(stream->session.conn) : NULL;
    if (result && PQresultStatus(result) != PGRES_FATAL_ERROR) {
        PQclear(result);
        return error_set(err, ERROR_UNREACHABLE,
                         "the server ended the stream: it is shutting down");
    }
    bool missed = pg_publication_missed(result);
    pg_query_failed(&stream->session, result, "read the log", err);
    PQclear(result);
    return missed ? lost_publication(stream, err) : -1;
}

static int
take_frame(struct source_context *context, char *bytes, size_t size, struct error *err)
{
    struct pg_state *state = context->state;
    struct pg_stream *stream = &state->stream;
    struct pg_frame frame;
    stream->heard_at = clock_mono();
    if (pg_frame_decode((struct slice){bytes, size}, &frame, err) != 0) {
        PQfreemem(bytes);
        return -1;
    }
    if (frame.kind == PG_FRAME_DATA)
        return pg_transaction_take(context, bytes, frame.message, err);
    PQfreemem(bytes);
    stream->asked = stream->asked || frame.reply;
    if (state->transaction.open)
        return 0;
    if (frame.end > stream->end)
        stream->end = frame.end;
    if (frame.reply)
        stream->asked_end = frame.end;
    return pg_transaction_reach(context, frame.end, err);
}

/* Takes what the socket has. TLS may keep the rest of a record back, which poll would not show. */
static int
fill(struct pg_stream *stream, unsigned *empty, bool *more, struct error *err)
{
    *more = ++*empty <= (PQsslInUse(stream->session.conn) ? 3 : 1);
    if (*more && PQconsumeInput(stream->session.conn) == 0)
        return pg_query_failed(&stream->session, NULL, "read the log", err);
    return 0;
}

/* Reading history: what is read was committed a while ago, and nobody waits for it. */
static bool
is_behind(const struct pg_transaction *tx)
{
    return tx->begins > 0 && tx->time < clock_now() - BEHIND;
}

/* The rest of a transaction is on its way: nothing of it is worth handing over before. The server
 * sends each row by itself, so in bulk it costs less to let some gather. False: it has stalled. */
static bool
rest_comes(const struct pg_state *state, int64_t *stalled_at)
{
    const struct pg_transaction *tx = &state->transaction;
    struct pollfd fd = {.fd = PQsocket(state->stream.session.conn), .events = POLLIN};
    int64_t now = clock_mono();
    bool behind = is_behind(tx);
    if (!tx->open && !behind)
        return false;
    if (behind || tx->ordinal > LARGE)
        usleep(GATHER);
    if (!tx->open)
        return poll(&fd, 1, 0) > 0;
    if (*stalled_at == 0)
        *stalled_at = now + STALL;
    return poll(&fd, 1, (int)(READ_WAIT / 1000)) > 0 || now < *stalled_at;
}

static int
take_next(struct source_context *context, char *bytes, int size, struct error *err)
{
    struct pg_stream *stream = &((struct pg_state *)context->state)->stream;
    if (stream->missed) {
        if (size > 0)
            PQfreemem(bytes);
        return lost_publication(stream, err);
    }
    return size < 0 ? ended(stream, size, err) : take_frame(context, bytes, (size_t)size, err);
}

int
pg_stream_read(struct source_context *context, int64_t limit, bool *idle, struct error *err)
{
    struct pg_state *state = context->state;
    struct pg_stream *stream = &state->stream;
    int64_t end = clock_mono() + limit, stalled_at = 0;
    unsigned empty = 0, count = 0;
    bool more = true;
    *idle = false;
    while (++count % LOOK_EVERY || clock_mono() < end) {
        char *bytes = NULL;
        int size = PQgetCopyData(stream->session.conn, &bytes, 1);
        if (size != 0) {
            if (take_next(context, bytes, size, err) != 0)
                return -1;
            empty = 0;
            continue;
        }
        if (fill(stream, &empty, &more, err) != 0)
            return -1;
        if (more)
            continue;
        *idle = !rest_comes(state, &stalled_at);
        if (*idle || clock_mono() >= end)
            return 0;
        empty = 0;
    }
    return 0;
}
