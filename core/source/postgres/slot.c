#include "source/postgres/slot.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "source/postgres/quote.h"

int
pg_server_identify(struct pg_session *replication, struct pg_server *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    PGresult *row = pg_query(replication, "identify the server", "IDENTIFY_SYSTEM", err);
    if (!row)
        return -1;
    out->system = strtoull(pg_text(row, 0, "systemid"), NULL, 10);
    out->timeline = (uint32_t)pg_int(row, 0, "timeline");
    bool sound =
        out->system && out->timeline && pg_lsn_parse(pg_text(row, 0, "xlogpos"), &out->lsn) == 0;
    PQclear(row);
    if (sound)
        return 0;
    return error_set(err, ERROR_IO, "source \"%s\": the server's IDENTIFY_SYSTEM makes no sense",
                     replication->plan->name);
}

static const char slot_sql[] =
    "SELECT s.plugin, s.database, s.database = pg_catalog.current_database() AS here, s.active_pid,"
    " s.confirmed_flush_lsn, s.restart_lsn, s.wal_status, s.safe_wal_size, s.temporary, "
    "s.two_phase,"
    " %s AS invalid, %s AND pg_catalog.pg_is_in_recovery() AS synced FROM "
    "pg_catalog.pg_replication_slots s WHERE s.slot_name = ";

/* Why the server gave a slot up: its own word from 17 on. */
static const char *
invalid_expression(int version)
{
    if (version >= 170000)
        return "s.invalidation_reason";
    if (version >= 160000)
        return "CASE WHEN s.conflicting THEN 'conflicting' WHEN s.wal_status = 'lost' THEN"
               " 'wal_removed' END";
    return "CASE WHEN s.wal_status = 'lost' THEN 'wal_removed' END";
}

static void
take_slot(const PGresult *row, struct pg_slot *out)
{
    out->exists = true;
    snprintf(out->plugin, sizeof out->plugin, "%s", pg_text(row, 0, "plugin"));
    snprintf(out->database, sizeof out->database, "%s", pg_text(row, 0, "database"));
    out->here = pg_bool(row, 0, "here");
    out->active_pid = (int)pg_int(row, 0, "active_pid");
    if (pg_lsn_parse(pg_text(row, 0, "confirmed_flush_lsn"), &out->confirmed) != 0)
        out->confirmed = 0;
    if (pg_lsn_parse(pg_text(row, 0, "restart_lsn"), &out->restart) != 0)
        out->restart = 0;
    snprintf(out->wal_status, sizeof out->wal_status, "%s", pg_text(row, 0, "wal_status"));
    if (!pg_is_null(row, 0, "safe_wal_size"))
        out->safe_bytes = pg_int(row, 0, "safe_wal_size");
    out->temporary = pg_bool(row, 0, "temporary");
    out->two_phase = pg_bool(row, 0, "two_phase");
    snprintf(out->invalid, sizeof out->invalid, "%s", pg_text(row, 0, "invalid"));
    out->synced = pg_bool(row, 0, "synced");
}

int
pg_slot_read(struct pg_session *s, const char *name, struct pg_slot *out, struct error *err)
{
    struct buffer sql;
    *out = (struct pg_slot){.safe_bytes = -1};
    buffer_init(&sql, 1 << 12);
    buffer_printf(&sql, slot_sql, invalid_expression(s->version),
                  s->version >= 170000 ? "s.synced" : "false");
    pg_quote_text(&sql, slice_of(name));
    PGresult *row = pg_query(s, "read the replication slot", buffer_cstring(&sql), err);
    buffer_release(&sql);
    if (!row)
        return -1;
    if (PQntuples(row) == 1)
        take_slot(row, out);
    PQclear(row);
    return 0;
}

/* SELECT function('name'rest) */
static int
call_function(struct pg_session *s, const char *what, const char *function, const char *name,
              const char *rest, struct error *err)
{
    struct buffer sql;
    buffer_init(&sql, 1 << 12);
    buffer_printf(&sql, "SELECT pg_catalog.%s(", function);
    pg_quote_text(&sql, slice_of(name));
    buffer_printf(&sql, "%s)", rest);
    int result = pg_run(s, what, buffer_cstring(&sql), err);
    buffer_release(&sql);
    return result;
}

static int
read_by_another(const char *name, int pid, struct error *err)
{
    error_set(err, ERROR_BUSY, "replication slot \"%s\" is in use by process %d of the server",
              name, pid);
    return error_hint(err,
                      "it goes on by itself when that session ends; SELECT"
                      " pg_terminate_backend(%d) ends it",
                      pid);
}

int
pg_slot_drop(struct pg_session *s, const char *name, struct error *err)
{
    struct pg_slot slot;
    if (pg_slot_read(s, name, &slot, err) != 0)
        return -1;
    if (!slot.exists)
        return 0;
    if (slot.active_pid)
        return read_by_another(name, slot.active_pid, err);
    if (call_function(s, "drop the replication slot", "pg_drop_replication_slot", name, "", err) ==
        0)
        return 0;
    return strcmp(s->state, "42704") == 0 ? 0 : -1; /* somebody else was faster */
}

int
pg_slot_renew(struct pg_session *s, const char *name, struct error *err)
{
    return call_function(s, "move the replication slot to the end of the log",
                         "pg_replication_slot_advance", name,
                         ", CASE WHEN pg_catalog.pg_is_in_recovery() THEN"
                         " pg_catalog.pg_last_wal_replay_lsn() ELSE"
                         " pg_catalog.pg_current_wal_lsn() END",
                         err);
}

/* The statement or option that makes a slot of another kind give way. */
static int
other_kind(const char *name, const char *what, struct error *err)
{
    error_set(err, ERROR_CONFIG, "replication slot \"%s\" %s", name, what);
    return error_hint(err,
                      "name another one in the option `slot`, or, when nobody needs it: SELECT"
                      " pg_drop_replication_slot('%s')",
                      name);
}

int
pg_slot_refuse(const struct pg_slot *slot, const char *name, struct error *err)
{
    char what[160];
    if (!slot->exists)
        return 0;
    if (!slot->plugin[0])
        return other_kind(name, "is a physical one", err);
    if (strcmp(slot->plugin, "pgoutput") != 0) {
        snprintf(what, sizeof what, "was made for the plugin %s, not pgoutput", slot->plugin);
        return other_kind(name, what, err);
    }
    if (!slot->here) {
        snprintf(what, sizeof what, "is of database \"%s\"", slot->database);
        return other_kind(name, what, err);
    }
    if (slot->temporary)
        return other_kind(name, "is temporary: it ends with the session that made it", err);
    if (slot->two_phase)
        return other_kind(name, "was made with two_phase, which is not supported", err);
    if (slot->synced)
        return other_kind(name, "is a copy of the primary's, which only the primary can read", err);
    return slot->active_pid ? read_by_another(name, slot->active_pid, err) : 0;
}

/* --- making one --- */

/* Only the class and the statement: the server's own words stand in the error already. */
static int
explain_create(struct pg_session *s, const char *name, struct error *err)
{
    if (strcmp(s->state, "55000") == 0) {
        err->class = ERROR_CONFIG;
        return error_hint(err, "ALTER SYSTEM SET wal_level = 'logical', max_replication_slots above"
                               " 0, and restart the server");
    }
    if (strcmp(s->state, "53400") == 0) {
        err->class = ERROR_CONFIG;
        return error_hint(err, "ALTER SYSTEM SET max_replication_slots = 20 and restart the server,"
                               " or drop one that nobody reads: SELECT slot_name FROM"
                               " pg_replication_slots WHERE NOT active");
    }
    if (strcmp(s->state, "0A000") == 0) {
        err->class = ERROR_CONFIG;
        return error_hint(err, "a standby cannot make slots before PostgreSQL 16: name the primary,"
                               " or target_session_attrs = \"primary\"");
    }
    if (strcmp(s->state, "42710") == 0) {
        err->class = ERROR_BUSY; /* it was not there a moment ago */
        return error_hint(err, "somebody else made \"%s\" just now", name);
    }
    if (err->class == ERROR_DENIED)
        return error_hint(err, "ALTER ROLE \"%s\" REPLICATION", PQuser(s->conn));
    return -1;
}

/* A slot begins where no older transaction is under way, and the server waits for that without a
 * word. */
static void
tell_of_waiting(struct pg_session *s, const char *name)
{
    static const char sql[] =
        "SELECT pg_catalog.count(*) AS count, pg_catalog.min(a.xact_start) AS oldest,"
        " (pg_catalog.array_agg(a.pid ORDER BY a.xact_start))[1] AS pid"
        " FROM pg_catalog.pg_stat_activity a WHERE a.backend_xid IS NOT NULL";
    struct error ignored = {0};
    if (!s->source)
        return;
    PGresult *row = pg_query(s, "look at transactions", sql, &ignored);
    if (row && pg_int(row, 0, "count") > 0)
        log_info(s->source->component,
                 "making replication slot \"%s\": the server waits for %s transactions to end, the"
                 " oldest since %s by process %s",
                 name, pg_text(row, 0, "count"), pg_text(row, 0, "oldest"), pg_text(row, 0, "pid"));
    PQclear(row);
}

int
pg_slot_create(struct pg_session *replication, const char *name, uint64_t *start, struct error *err)
{
    struct buffer sql;
    tell_of_waiting(replication, name);
    buffer_init(&sql, 1 << 12);
    buffer_text(&sql, "CREATE_REPLICATION_SLOT ");
    pg_quote_name(&sql, slice_of(name));
    buffer_text(&sql, " LOGICAL pgoutput NOEXPORT_SNAPSHOT"); /* 14 knows no other syntax */
    PGresult *row = pg_query(replication, "make the replication slot", buffer_cstring(&sql), err);
    buffer_release(&sql);
    if (!row)
        return explain_create(replication, name, err);
    int result = pg_lsn_parse(pg_text(row, 0, "consistent_point"), start);
    PQclear(row);
    if (result == 0)
        return 0;
    return error_set(err, ERROR_IO, "the server does not say where replication slot \"%s\" begins",
                     name);
}

/* A publication that is not older than the oldest catalog row that the slot still sees may be
 * missing at the slot's place. It may also be there: so this counts only once history was given up.
 */
static int
publications_newer(struct pg_session *s, const char *name, bool *newer, struct error *err)
{
    struct buffer sql;
    buffer_init(&sql, 1 << 12);
    buffer_text(&sql,
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_publication p WHERE p.pubname IN (");
    pg_publication_literals(s->plan, &sql);
    buffer_text(&sql, ") AND pg_catalog.age(p.xmin) <= pg_catalog.age(s.catalog_xmin)) AS newer"
                      " FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = ");
    pg_quote_text(&sql, slice_of(name));
    PGresult *row = pg_query(s, "compare slot and publications", buffer_cstring(&sql), err);
    buffer_release(&sql);
    *newer = row && pg_bool(row, 0, "newer");
    PQclear(row);
    return row ? 0 : -1;
}

static int
adopt(struct pg_session *s, const char *name, struct pg_slot *slot, struct error *err)
{
    bool newer = false, given_up = s->source && s->source->epoch > 1;
    if (given_up && publications_newer(s, name, &newer, err) != 0)
        return -1;
    if (!newer)
        return 0;
    log_warning(s->source->component,
                "replication slot \"%s\" is moved to the end of the log: at its place a publication"
                " was missing",
                name);
    return pg_slot_renew(s, name, err) != 0 ? -1 : pg_slot_read(s, name, slot, err);
}

int
pg_slot_begin(struct pg_session *replication, const char *name, bool ours, uint64_t *start,
              struct error *err)
{
    struct pg_slot slot;
    if (pg_slot_read(replication, name, &slot, err) != 0 || pg_slot_refuse(&slot, name, err) != 0)
        return -1;
    if (!slot.exists)
        return pg_slot_create(replication, name, start, err);
    bool usable = !slot.invalid[0] && slot.confirmed;
    if (!usable && !ours) {
        error_set(err, ERROR_CONFIG, "replication slot \"%s\" is lost (%s)", name,
                  slot.invalid[0] ? slot.invalid : "never finished");
        return error_hint(err, "SELECT pg_drop_replication_slot('%s'): it is then made anew", name);
    }
    if (!usable)
        return pg_slot_drop(replication, name, err) != 0
                   ? -1
                   : pg_slot_create(replication, name, start, err);
    if (adopt(replication, name, &slot, err) != 0)
        return -1;
    *start = slot.confirmed;
    return 0;
}
