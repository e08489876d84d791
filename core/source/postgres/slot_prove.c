/* Continuity: every way in which the log at hand is not the one that was read before. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "source/postgres/slot.h"

struct proof {
    struct pg_session *s;
    const char *name, *old_name;
    const struct pg_position *position;
    const struct pg_server *server;
    char upto[PG_LSN_TEXT]; /* how far was read, for people */
};

/* The newest byte of the log that what was read rests on. */
static uint64_t
read_up_to(const struct pg_position *position)
{
    return position->place.lsn > position->confirm ? position->place.lsn : position->confirm;
}

static int
prove_server(const struct proof *p, struct error *err)
{
    if (p->position->system == p->server->system)
        return 0;
    return error_set(err, ERROR_LOST,
                     "this is another server: its system identifier is %" PRIu64
                     ", what was read before came from %" PRIu64,
                     p->server->system, p->position->system);
}

/* One line of a history file: "1<tab>0/15A2B40<tab>reason". */
static bool
read_fork(const char *line, uint32_t *timeline, uint64_t *lsn)
{
    char *end, text[PG_LSN_TEXT];
    *timeline = (uint32_t)strtoul(line, &end, 10);
    if (end == line)
        return false; /* a comment, or empty */
    end += strspn(end, " \t");
    snprintf(text, sizeof text, "%.*s", (int)strcspn(end, " \t\r\n"), end);
    return pg_lsn_parse(text, lsn) == 0;
}

int
pg_timeline_fork(const char *history, uint32_t timeline, uint64_t *lsn)
{
    uint32_t parent;
    for (const char *line = history; *line; line += *line == '\n') {
        if (read_fork(line, &parent, lsn) && parent == timeline)
            return 0;
        line += strcspn(line, "\n");
    }
    return -1;
}

/* Is all that was read older than the fork? A commit at its place is not in the older part. */
static bool
forked_above(const struct pg_position *position, uint64_t fork)
{
    bool commit = position->place.stage != PG_STAGE_MESSAGE;
    return position->confirm <= fork &&
           (commit ? position->place.lsn < fork : position->place.lsn <= fork);
}

static int
prove_history(const struct proof *p, const char *history, struct error *err)
{
    uint64_t fork;
    char at[PG_LSN_TEXT];
    uint32_t old = p->position->timeline;
    if (pg_timeline_fork(history, old, &fork) != 0)
        return error_set(err, ERROR_LOST,
                         "the server is on timeline %u, which does not come from timeline %u, of"
                         " which was read up to %s",
                         p->server->timeline, old, p->upto);
    if (forked_above(p->position, fork))
        return 0;
    return error_set(err, ERROR_LOST,
                     "the server is on timeline %u, which left timeline %u at %s, and what was read"
                     " ends at %s: it went on without changes that were already read",
                     p->server->timeline, old, pg_lsn_format(fork, at), p->upto);
}

static int
ask_standby(const struct proof *p, bool *standby, struct error *err)
{
    PGresult *row = pg_query(p->s, "ask whether this is a standby",
                             "SELECT pg_catalog.pg_is_in_recovery() AS standby", err);
    if (!row)
        return -1;
    *standby = pg_bool(row, 0, "standby");
    PQclear(row);
    return 0;
}

static int
older_timeline(const struct proof *p, struct error *err)
{
    bool standby;
    if (ask_standby(p, &standby, err) != 0)
        return -1;
    if (standby)
        return error_set(err, ERROR_BUSY,
                         "the standby is still on timeline %u, and what was read up to %s was on"
                         " timeline %u: waiting for it",
                         p->server->timeline, p->upto, p->position->timeline);
    return error_set(err, ERROR_LOST,
                     "the server is on timeline %u, and what was read up to %s was on the newer"
                     " timeline %u: this is an older copy, or another branch",
                     p->server->timeline, p->upto, p->position->timeline);
}

static int
prove_timeline(const struct proof *p, struct error *err)
{
    char sql[64];
    if (p->position->timeline == p->server->timeline)
        return 0;
    if (p->position->timeline > p->server->timeline)
        return older_timeline(p, err);
    snprintf(sql, sizeof sql, "TIMELINE_HISTORY %u", p->server->timeline);
    PGresult *row = pg_query(p->s, "read the timeline's history", sql, err);
    if (!row)
        return -1;
    int result = prove_history(p, pg_text(row, 0, "content"), err);
    PQclear(row);
    return result;
}

/* The policy's own hint says how to go on; this one also says how it does not happen again. */
static int
hint_lost(const struct proof *p, const char *mend, struct error *err)
{
    return error_hint(err,
                      "%s; to go on with a gap from here: on_lost = \"accept\" in source \"%s\""
                      " of tidegate.lua, and start again",
                      mend, p->s->plan->name);
}

static int
prove_valid(const struct proof *p, const struct pg_slot *slot, struct error *err)
{
    if (!slot->invalid[0] && strcmp(slot->wal_status, "lost") != 0)
        return 0;
    bool removed = !slot->invalid[0] || strcmp(slot->invalid, "wal_removed") == 0;
    error_set(err, ERROR_LOST, "replication slot \"%s\" is lost: the server %s (read up to %s)",
              p->name, removed ? "removed log that was not read yet" : "gave it up", p->upto);
    if (slot->invalid[0])
        error_cause(err, "%s", slot->invalid);
    if (removed)
        return hint_lost(p,
                         "raise it, so that this does not come again: ALTER SYSTEM SET"
                         " max_slot_wal_keep_size = -1",
                         err);
    if (strcmp(slot->invalid, "idle_timeout") == 0)
        return hint_lost(p,
                         "so that this does not come again: ALTER SYSTEM SET"
                         " idle_replication_slot_timeout = 0",
                         err);
    return -1;
}

/* A standby that was started again has first to replay what it had before: it is only behind. */
static int
prove_end(const struct proof *p, struct error *err)
{
    char end[PG_LSN_TEXT];
    bool standby;
    if (read_up_to(p->position) <= p->server->lsn)
        return 0;
    if (ask_standby(p, &standby, err) != 0)
        return -1;
    pg_lsn_format(p->server->lsn, end);
    if (standby)
        return error_set(err, ERROR_BUSY,
                         "the standby has its primary's log up to %s, and was read"
                         " up to %s before: waiting for it",
                         end, p->upto);
    return error_set(err, ERROR_LOST,
                     "what was read ends at %s, the server's log at %s: it was restored from a"
                     " backup, or a server took over that had not received everything",
                     p->upto, end);
}

/* Of several hosts it may be the wrong one that answers. */
static int
prove_missing(const struct proof *p, struct error *err)
{
    bool standby;
    if (ask_standby(p, &standby, err) != 0)
        return -1;
    if (standby) {
        error_set(err, ERROR_BUSY,
                  "replication slot \"%s\" is not on this server, which is a standby", p->name);
        return error_hint(err,
                          "to read from the primary alone: target_session_attrs = \"primary\"");
    }
    return error_set(err, ERROR_LOST,
                     "replication slot \"%s\" is missing: it was dropped, or this server was"
                     " restored or took over without it (read up to %s)",
                     p->name, p->upto);
}

static int
prove_slot(const struct proof *p, struct error *err)
{
    struct pg_slot slot;
    char at[PG_LSN_TEXT];
    if (strcmp(p->name, p->old_name) != 0)
        return error_set(err, ERROR_LOST,
                         "the replication slot is \"%s\" now, and what was read up to %s came from"
                         " \"%s\"",
                         p->name, p->upto, p->old_name);
    if (pg_slot_read(p->s, p->name, &slot, err) != 0)
        return -1;
    if (!slot.exists)
        return prove_missing(p, err);
    if (pg_slot_refuse(&slot, p->name, err) != 0 || prove_valid(p, &slot, err) != 0 ||
        prove_end(p, err) != 0)
        return -1;
    if (slot.confirmed && slot.confirmed <= p->position->confirm)
        return 0;
    return error_set(err, ERROR_LOST,
                     "replication slot \"%s\" stands at %s, and what was read ends at %s: somebody"
                     " else read from it, or it was made again",
                     p->name, pg_lsn_format(slot.confirmed, at), p->upto);
}

int
pg_slot_prove(struct pg_session *replication, const char *name, const char *old_slot,
              const struct pg_position *position, const struct pg_server *server, struct error *err)
{
    struct proof p = {.s = replication,
                      .name = name,
                      .old_name = old_slot,
                      .position = position,
                      .server = server};
    pg_lsn_format(read_up_to(position), p.upto);
    if (prove_server(&p, err) != 0 || prove_timeline(&p, err) != 0)
        return -1;
    return prove_slot(&p, err);
}
