/* `check`: the server, the role's rights, and how long a stopped Tidegate may stay stopped. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "source/postgres/check_part.h"

#define NEWEST       180000                 /* the newest server that is tested: 18 */
#define SHORT_SPAN   600                    /* seconds in which a rate says little */
#define HOURS_WANTED 24                     /* below that, a weekend is too long */
#define GIB          (1024.0 * 1024 * 1024) /* what max_slot_wal_keep_size calls GB */

static const char facts_sql[] =
    "SELECT current_user AS role, current_database() AS database,"
    " current_setting('wal_level') AS wal_level,"
    " coalesce(current_setting('idle_replication_slot_timeout', true), '') AS slot_timeout,"
    " pg_catalog.pg_is_in_recovery() AS standby, r.rolsuper AS superuser,"
    " r.rolreplication AS replicates,"
    " pg_catalog.has_database_privilege(current_database(), 'CREATE') AS creates,"
    " EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'rds_replication') AS rds,"
    " coalesce((SELECT pg_catalog.pg_has_role(m.oid, 'MEMBER') FROM pg_catalog.pg_roles m"
    "  WHERE m.rolname = 'rds_replication'), false) AS rds_member,"
    " current_setting('max_replication_slots') AS slots,"
    " (SELECT count(*) FROM pg_catalog.pg_replication_slots) AS slots_used,"
    " current_setting('max_wal_senders') AS senders,"
    " (SELECT count(*) FROM pg_catalog.pg_stat_replication) AS senders_used,"
    " (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep,"
    " (SELECT wal_bytes FROM pg_catalog.pg_stat_wal) AS wal_bytes,"
    " (SELECT extract(epoch FROM now() - stats_reset) FROM pg_catalog.pg_stat_wal) AS wal_span"
    " FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";

int
pg_check_facts(struct pg_checking *c, struct error *err)
{
    struct pg_facts *f = &c->facts;
    PGresult *r = pg_query(&c->session, "look at the server", facts_sql, err);
    if (!r)
        return -1;
    *f = (struct pg_facts){
        .user = arena_text(&c->arena, pg_text(r, 0, "role")),
        .database = arena_text(&c->arena, pg_text(r, 0, "database")),
        .wal_level = arena_text(&c->arena, pg_text(r, 0, "wal_level")),
        .slot_timeout = arena_text(&c->arena, pg_text(r, 0, "slot_timeout")),
        .standby = pg_bool(r, 0, "standby"),
        .superuser = pg_bool(r, 0, "superuser"),
        .replicates = pg_bool(r, 0, "superuser") || pg_bool(r, 0, "replicates") ||
                      pg_bool(r, 0, "rds_member"),
        .creates = pg_bool(r, 0, "creates"),
        .rds = pg_bool(r, 0, "rds"),
        .slots = pg_int(r, 0, "slots"),
        .slots_used = pg_int(r, 0, "slots_used"),
        .senders = pg_int(r, 0, "senders"),
        .senders_used = pg_int(r, 0, "senders_used"),
        .keep = pg_int(r, 0, "keep"),
        .wal_bytes = strtod(pg_text(r, 0, "wal_bytes"), NULL),
        .wal_span = strtod(pg_text(r, 0, "wal_span"), NULL),
    };
    if (f->keep > 0)
        f->keep *= 1024 * 1024;
    PQclear(r);
    return 0;
}

static void
check_version(struct pg_checking *c)
{
    int major = c->session.version / 10000;
    char label[256];
    pg_session_label(c->plan, label, sizeof label);
    if (major > NEWEST / 10000)
        pg_check_say(c, CHECK_WARNING,
                     arena_printf(&c->arena,
                                  "%s: PostgreSQL %d is newer than what was tested (14 to %d)",
                                  label, major, NEWEST / 10000),
                     "look for a newer Tidegate");
    else
        pg_check_say(c, CHECK_OK,
                     arena_printf(&c->arena, "%s: PostgreSQL %d.%d, as role \"%s\"", label, major,
                                  c->session.version % 10000, c->facts.user),
                     "");
}

static void
check_standby(struct pg_checking *c)
{
    if (!c->facts.standby)
        return;
    bool possible = c->session.version >= 160000 && c->options->publication;
    pg_check_say(c, possible ? CHECK_WARNING : CHECK_ERROR,
                 possible
                     ? "this server is a standby: its slot is lost when the primary removes rows"
                       " that it still needs, and is not there after a failover"
                     : "this server is a standby: publications can only be made on the primary",
                 "name the primary in `host`, or set target_session_attrs = \"read-write\"");
}

static void
check_wal_level(struct pg_checking *c)
{
    if (strcmp(c->facts.wal_level, "logical") == 0) {
        pg_check_say(c, CHECK_OK, "wal_level is logical", "");
        return;
    }
    const char *what =
        arena_printf(&c->arena, "wal_level is %s: the log does not tell rows", c->facts.wal_level);
    pg_check_say(c, CHECK_ERROR, what,
                 c->facts.rds
                     ? "set rds.logical_replication = 1 in the parameter group, then restart"
                     : "ALTER SYSTEM SET wal_level = logical; -- then restart the server");
}

/* Slots and senders alike: `used` of `room`, and whether one of them is ours already. */
static void
check_places(struct pg_checking *c, const char *setting, int64_t used, int64_t room, bool ours)
{
    const char *what =
        arena_printf(&c->arena, "%s: %" PRId64 " of %" PRId64 " are in use", setting, used, room);
    if (used < room || ours)
        pg_check_say(c, CHECK_OK, what, "");
    else
        pg_check_say(c, CHECK_ERROR, arena_printf(&c->arena, "%s, none is left", what),
                     arena_printf(&c->arena,
                                  "ALTER SYSTEM SET %s = %" PRId64 "; -- then restart the server",
                                  setting, room + 10));
}

int
pg_check_server(struct pg_checking *c, struct error *err)
{
    const struct pg_facts *f = &c->facts;
    (void)err;
    check_version(c);
    check_standby(c);
    check_wal_level(c);
    check_places(c, "max_replication_slots", f->slots_used, f->slots, c->slot.exists);
    check_places(c, "max_wal_senders", f->senders_used, f->senders, c->slot.active_pid != 0);
    return 0;
}

/* The right is there: does pg_hba.conf let such a session in, and is there a place? */
static void
try_replication(struct pg_checking *c)
{
    struct pg_session s = {0};
    struct error why = {0};
    if (pg_session_open(&s, c->plan, NULL, PG_REPLICATION, &why) == 0)
        pg_check_say(c, CHECK_OK,
                     arena_printf(&c->arena, "role \"%s\" may replicate", c->facts.user), "");
    else
        pg_check_say_error(c, &why);
    pg_session_close(&s);
}

int
pg_check_rights(struct pg_checking *c, struct error *err)
{
    const struct pg_facts *f = &c->facts;
    const char *user = pg_check_name(c, f->user);
    bool full = f->senders_used >= f->senders; /* said already */
    (void)err;
    if (!f->replicates)
        pg_check_say(c, CHECK_ERROR,
                     arena_printf(&c->arena, "role \"%s\" has no right to replicate", f->user),
                     f->rds ? arena_printf(&c->arena, "GRANT rds_replication TO %s;", user)
                            : arena_printf(&c->arena, "ALTER ROLE %s REPLICATION;", user));
    else if (!full)
        try_replication(c);
    return 0;
}

/* What to allow: two days of log at the measured rate, 10 GB at least. */
static const char *
keep_statement(struct pg_checking *c, double rate)
{
    double wanted = rate * 48 * 3600 / GIB;
    int64_t size = wanted < 10 || c->facts.wal_span < SHORT_SPAN ? 10 : (int64_t)wanted + 1;
    return arena_printf(&c->arena,
                        "ALTER SYSTEM SET max_slot_wal_keep_size = '%" PRId64
                        "GB'; SELECT pg_reload_conf();",
                        size);
}

static const char *
rate_text(struct pg_checking *c, double rate)
{
    char size[CLOCK_TEXT_SIZE], span[CLOCK_TEXT_SIZE];
    return arena_printf(&c->arena, "the log grows by %s an hour (pg_stat_wal, over the last %s)",
                        size_format((int64_t)(rate * 3600), size),
                        duration_format((int64_t)(c->facts.wal_span * 1e6), span));
}

static void
check_idle_timeout(struct pg_checking *c)
{
    if (!*c->facts.slot_timeout || strcmp(c->facts.slot_timeout, "0") == 0)
        return;
    pg_check_say(c, CHECK_WARNING,
                 arena_printf(&c->arena,
                              "idle_replication_slot_timeout is %s: a Tidegate that is stopped for"
                              " longer loses its slot",
                              c->facts.slot_timeout),
                 "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();");
}

int
pg_check_room(struct pg_checking *c, struct error *err)
{
    const struct pg_facts *f = &c->facts;
    double rate = f->wal_span > 0 ? f->wal_bytes / f->wal_span : 0;
    (void)err;
    check_idle_timeout(c);
    if (f->keep < 0) {
        pg_check_say(
            c, CHECK_WARNING,
            arena_printf(&c->arena,
                         "max_slot_wal_keep_size is not limited: a stopped Tidegate can fill"
                         " the server's disk; %s",
                         rate_text(c, rate)),
            keep_statement(c, rate));
        return 0;
    }
    char size[CLOCK_TEXT_SIZE];
    int64_t left = c->slot.exists && c->slot.safe_bytes >= 0 ? c->slot.safe_bytes : f->keep;
    double hours = rate > 0 ? (double)left / rate / 3600 : 1e6;
    bool few = hours < HOURS_WANTED && f->wal_span >= SHORT_SPAN;
    pg_check_say(
        c, few ? CHECK_WARNING : CHECK_OK,
        arena_printf(&c->arena,
                     "%s%.0f hours left before loss if Tidegate is stopped: the server keeps"
                     " %s for it, and %s",
                     hours > 1e4 ? "more than " : "about ", hours > 1e4 ? 1e4 : hours,
                     size_format(left, size), rate_text(c, rate)),
        few ? keep_statement(c, rate) : "");
    return 0;
}
