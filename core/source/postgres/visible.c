#include "source/postgres/visible.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

#define SHORTEST INT64_C(1000)  /* µs between two looks; twice as long each time … */
#define LONGEST  INT64_C(50000) /* … up to this */
#define PATIENCE (10 * CLOCK_SECOND)

/* Takes digits and what must stand behind them. */
static bool
take_number(const char **at, const char *ends, uint64_t *out)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    *out = strtoull(*at, &end, 10);
    *at = end + (*end != '\0');
    return strchr(ends, *end);
}

/* Transaction ids have 32 bits in the log and 64 in a snapshot; those that can meet are less than
 * 2^31 apart. */
int
pg_snapshot_holds(const char *snapshot, uint32_t xid)
{
    uint64_t first, next, open;
    bool held;
    if (!take_number(&snapshot, ":", &first) || !take_number(&snapshot, ":", &next))
        return -1;
    held = (int32_t)(xid - (uint32_t)next) >= 0;
    while (*snapshot) {
        if (!take_number(&snapshot, ",", &open))
            return -1;
        held |= (uint32_t)open == xid;
    }
    return held;
}

/* 1: still open, 0: seen, -1: the error is set. */
static int
look(struct pg_session *s, uint32_t xid, struct error *err)
{
    PGresult *result = pg_query(s, "see what a transaction did",
                                "SELECT pg_catalog.pg_current_snapshot() AS snapshot", err);
    int held = result ? pg_snapshot_holds(pg_text(result, 0, "snapshot"), xid) : -1;
    if (result && held < 0)
        error_set(err, ERROR_CORRUPT, "source \"%s\": the server's snapshot is none",
                  s->plan->name);
    PQclear(result);
    return held;
}

/* The server may be waiting for our own confirmation, as a synchronous standby's: never for ever.
 */
static void
give_up(const struct pg_session *s, uint32_t xid)
{
    if (s->source)
        log_warning(s->source->component,
                    "transaction %" PRIu32 " is in the log, but the server still has it open: its "
                    "new types are read as text; is a synchronous standby missing?",
                    xid);
}

int
pg_visible_wait(struct pg_session *s, uint32_t xid, struct error *err)
{
    int64_t until = clock_mono() + PATIENCE, pause = SHORTEST;
    int held = 0;
    while (xid && (held = look(s, xid, err)) == 1 && clock_mono() < until) {
        struct timespec time = {.tv_nsec = (long)pause * 1000};
        nanosleep(&time, NULL);
        pause = pause * 2 < LONGEST ? pause * 2 : LONGEST;
    }
    if (held == 1)
        give_up(s, xid);
    return held < 0 ? -1 : 0;
}
