/* `check`: what Tidegate makes in the database, or was told to use: publications, slot, event
 * trigger.
 */
#include <inttypes.h>
#include <stdio.h>
#include "base/clock.h"
#include "source/postgres/check_part.h"
#include "source/postgres/ddl_trigger.h"
#include "source/postgres/quote.h"

static int
read_publication(struct pg_checking *c, struct pg_published *p, struct error *err)
{
    const char *sql = arena_printf(
        &c->arena,
        "SELECT pg_catalog.pg_has_role(pubowner, 'USAGE') AS owned, pubviaroot AS via_root,"
        " pubinsert AND pubupdate AND pubdelete AND pubtruncate AS whole"
        " FROM pg_catalog.pg_publication WHERE pubname = %s",
        pg_check_literal(c, p->name));
    PGresult *r = pg_query(&c->session, "look at the publications", sql, err);
    if (!r)
        return -1;
    p->exists = PQntuples(r) > 0;
    p->owned = p->exists && pg_bool(r, 0, "owned");
    p->via_root = p->exists && pg_bool(r, 0, "via_root");
    p->whole = p->exists && pg_bool(r, 0, "whole");
    PQclear(r);
    return 0;
}

/* A workspace that never ran has no names of its own yet. */
int
pg_check_names(struct pg_checking *c, struct error *err)
{
    bool named = c->options->publication != NULL;
    c->slot = (struct pg_slot){.safe_bytes = -1};
    c->publication_count = named ? 1 : c->started ? 2 : 0;
    for (size_t i = 0; i < c->publication_count; i++) {
        pg_publication_name(c->plan, i > 0, c->publications[i].name);
        if (read_publication(c, &c->publications[i], err) != 0)
            return -1;
    }
    if (!c->started && !c->options->slot)
        return 0;
    pg_slot_name(c->plan, c->slot_name);
    return pg_slot_read(&c->session, c->slot_name, &c->slot, err);
}

/* --- publications --- */

const char *
pg_check_creation(struct pg_checking *c, const char *name)
{
    struct buffer sql;
    buffer_init(&sql, 1 << 20);
    buffer_text(&sql, "CREATE PUBLICATION ");
    pg_quote_name(&sql, slice_of(name));
    for (size_t i = 0; i < c->tables.count; i++) {
        buffer_text(&sql, i ? ", " : " FOR TABLE ");
        pg_quote_table(&sql, c->tables.items[i].schema, c->tables.items[i].name);
    }
    buffer_text(&sql, " WITH (publish_via_partition_root = true);");
    const char *kept = arena_text(&c->arena, buffer_cstring(&sql));
    buffer_release(&sql);
    return kept;
}

static bool
any_partitioned(const struct pg_checking *c)
{
    for (size_t i = 0; i < c->tables.count; i++)
        if (c->tables.items[i].partitioned)
            return true;
    return false;
}

static void
check_named(struct pg_checking *c, const struct pg_published *p)
{
    const char *name = pg_check_name(c, p->name);
    if (!p->exists) {
        pg_check_say(c, CHECK_ERROR,
                     arena_printf(&c->arena,
                                  "publication \"%s\", which the source names, does not"
                                  " exist",
                                  p->name),
                     pg_check_creation(c, p->name));
        return;
    }
    if (!p->whole)
        pg_check_say(
            c, CHECK_WARNING,
            arena_printf(&c->arena, "publication \"%s\" leaves out some operations", p->name),
            arena_printf(&c->arena,
                         "ALTER PUBLICATION %s SET (publish = 'insert, update, delete,"
                         " truncate');",
                         name));
    if (!p->via_root && any_partitioned(c))
        pg_check_say(c, CHECK_WARNING,
                     arena_printf(&c->arena,
                                  "publication \"%s\" shows rows of partitions under the"
                                  " partition's name, which is not captured",
                                  p->name),
                     arena_printf(&c->arena,
                                  "ALTER PUBLICATION %s SET (publish_via_partition_root = true);",
                                  name));
    pg_check_say(
        c, CHECK_OK,
        arena_printf(&c->arena, "publication \"%s\" is there, and is used as it is", p->name), "");
}

static void
check_ours(struct pg_checking *c, const struct pg_published *p)
{
    if (!p->exists)
        pg_check_say(
            c, CHECK_OK,
            arena_printf(&c->arena, "publication \"%s\" is made when the source starts", p->name),
            "");
    else if (!p->owned)
        pg_check_say(c, CHECK_ERROR,
                     arena_printf(&c->arena,
                                  "publication \"%s\" belongs to another role than \"%s\"", p->name,
                                  c->facts.user),
                     arena_printf(&c->arena, "ALTER PUBLICATION %s OWNER TO %s;",
                                  pg_check_name(c, p->name), pg_check_name(c, c->facts.user)));
    else
        pg_check_say(c, CHECK_OK, arena_printf(&c->arena, "publication \"%s\" is there", p->name),
                     "");
}

/* Everything that is missing takes the same right. */
static void
check_creation(struct pg_checking *c)
{
    bool all = c->publication_count > 0;
    for (size_t i = 0; i < c->publication_count; i++)
        all = all && c->publications[i].exists;
    if (all || c->facts.creates)
        return;
    pg_check_say(
        c, CHECK_ERROR,
        arena_printf(&c->arena, "role \"%s\" has no right to make a publication", c->facts.user),
        arena_printf(&c->arena, "GRANT CREATE ON DATABASE %s TO %s;",
                     pg_check_name(c, c->facts.database), pg_check_name(c, c->facts.user)));
}

static int
count_statement(void *context, const char *sql)
{
    (void)sql;
    ++*(size_t *)context;
    return 0;
}

int
pg_check_publications(struct pg_checking *c, struct error *err)
{
    size_t statements = 0;
    if (c->options->publication) {
        check_named(c, &c->publications[0]);
        return 0;
    }
    check_creation(c);
    if (!c->started) {
        pg_check_say(c, CHECK_OK, "publications are made when the source starts", "");
        return 0;
    }
    for (size_t i = 0; i < c->publication_count; i++)
        check_ours(c, &c->publications[i]);
    if (pg_publication_plan(&c->session, &c->tables, count_statement, &statements, err) != 0)
        return -1;
    if (statements && c->publications[0].exists)
        pg_check_say(
            c, CHECK_OK,
            arena_printf(&c->arena,
                         "%zu statement%s will bring the publications up to date"
                         " when the source starts",
                         statements, statements == 1 ? "" : "s"),
            arena_printf(&c->arena, "tidegate triggers %s sync --sql prints them", c->plan->name));
    return 0;
}

/* --- slot --- */

static const char *
drop_slot(struct pg_checking *c)
{
    return arena_printf(&c->arena, "SELECT pg_drop_replication_slot(%s);",
                        pg_check_literal(c, c->slot_name));
}

/* Who reads the slot: a daemon of ours says so by its name. */
static int
check_reader(struct pg_checking *c, struct error *err)
{
    const char *sql =
        arena_printf(&c->arena,
                     "SELECT usename, application_name AS name, client_addr AS address"
                     " FROM pg_catalog.pg_stat_activity WHERE pid = %d",
                     c->slot.active_pid);
    PGresult *r = pg_query(&c->session, "look who reads the slot", sql, err);
    if (!r)
        return -1;
    const char *name = PQntuples(r) ? pg_text(r, 0, "name") : "";
    bool ours = strncmp(name, "tidegate", 8) == 0;
    const char *what =
        arena_printf(&c->arena, "slot \"%s\" is in use by process %d of the server (%s)",
                     c->slot_name, c->slot.active_pid, *name ? name : "unnamed");
    if (ours)
        pg_check_say(c, CHECK_OK, what, "");
    else
        pg_check_say(
            c, CHECK_ERROR, what,
            arena_printf(&c->arena, "SELECT pg_terminate_backend(%d);", c->slot.active_pid));
    PQclear(r);
    return 0;
}

/* How far behind the slot is, and what the server keeps for it. */
static int
check_lag(struct pg_checking *c, struct error *err)
{
    const char *sql = arena_printf(
        &c->arena,
        "SELECT pg_catalog.pg_wal_lsn_diff(e, s.confirmed_flush_lsn)::bigint AS behind,"
        " pg_catalog.pg_wal_lsn_diff(e, s.restart_lsn)::bigint AS kept"
        " FROM pg_catalog.pg_replication_slots s,"
        " (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN"
        "  pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END AS e) now"
        " WHERE s.slot_name = %s",
        pg_check_literal(c, c->slot_name));
    char behind[CLOCK_TEXT_SIZE], kept[CLOCK_TEXT_SIZE];
    PGresult *r = pg_query(&c->session, "look at the slot", sql, err);
    if (!r)
        return -1;
    bool tight = strcmp(c->slot.wal_status, "unreserved") == 0;
    pg_check_say(
        c, tight ? CHECK_WARNING : CHECK_OK,
        arena_printf(&c->arena, "slot \"%s\" is %s behind; the server keeps %s of log for it (%s)",
                     c->slot_name, size_format(pg_int(r, 0, "behind"), behind),
                     size_format(pg_int(r, 0, "kept"), kept),
                     *c->slot.wal_status ? c->slot.wal_status : "state unknown"),
        tight ? "start Tidegate now: the server drops the slot's log at its next checkpoint" : "");
    PQclear(r);
    return 0;
}

/* Are publications of ours there, as after a first start? */
static bool
any_published(const struct pg_checking *c)
{
    for (size_t i = 0; i < c->publication_count; i++) {
        if (c->publications[i].exists && !c->options->publication)
            return true;
    }
    return false;
}

static void
say_missing_slot(struct pg_checking *c)
{
    const char *what =
        *c->slot_name
            ? arena_printf(&c->arena, "slot \"%s\" is made when the source starts", c->slot_name)
            : "the replication slot is made when the source starts";
    if (!c->options->slot && !any_published(c)) {
        pg_check_say(c, CHECK_OK, what, "");
        return;
    }
    if (!c->options->slot) {
        pg_check_say(
            c, CHECK_OK,
            arena_printf(&c->arena,
                         "slot \"%s\" is made when the source starts; if it has run"
                         " before, its slot was dropped: then what was not read is lost, and"
                         " the source waits for on_lost = \"accept\"",
                         c->slot_name),
            "");
        return;
    }
    pg_check_say(c, CHECK_WARNING,
                 arena_printf(&c->arena,
                              "slot \"%s\", which the source names, does not exist; it is"
                              " made when the source starts",
                              c->slot_name),
                 arena_printf(&c->arena,
                              "SELECT pg_create_logical_replication_slot(%s, 'pgoutput');",
                              pg_check_literal(c, c->slot_name)));
}

/* Lost to the server: what was not read is gone for good. */
static void
say_lost_slot(struct pg_checking *c)
{
    const char *why = c->slot.invalid[0] ? c->slot.invalid : "never finished";
    pg_check_say(c, CHECK_ERROR,
                 arena_printf(&c->arena,
                              "slot \"%s\" is lost (%s): changes that were not read yet are"
                              " gone",
                              c->slot_name, why),
                 arena_printf(&c->arena,
                              "%s -- and on_lost = \"accept\": a gap event tells, and"
                              " capture begins anew",
                              drop_slot(c)));
}

int
pg_check_slot(struct pg_checking *c, struct error *err)
{
    struct error other = {0};
    struct pg_slot idle = c->slot;
    idle.active_pid = 0;
    if (!c->slot.exists) {
        say_missing_slot(c);
        return 0;
    }
    if (pg_slot_refuse(&idle, c->slot_name, &other) != 0) {
        pg_check_say(c, CHECK_ERROR, other.message,
                     arena_printf(&c->arena, "%s -- in database \"%s\"; or name another `slot`",
                                  drop_slot(c), c->slot.database));
        return 0;
    }
    if (c->slot.invalid[0] || !c->slot.confirmed) {
        say_lost_slot(c);
        return 0;
    }
    if (c->slot.active_pid && check_reader(c, err) != 0)
        return -1;
    return check_lag(c, err);
}

/* --- the event trigger of ddl = "trigger" --- */

int
pg_check_ddl(struct pg_checking *c, struct error *err)
{
    size_t statements = 0;
    if (c->options->ddl != PG_DDL_TRIGGER)
        return 0;
    if (c->started && pg_ddl_trigger_plan(&c->session, count_statement, &statements, err) != 0)
        return -1;
    if (c->started && statements == 0)
        pg_check_say(c, CHECK_OK, "the event trigger of ddl = \"trigger\" is there", "");
    else if (c->facts.superuser)
        pg_check_say(c, CHECK_OK,
                     "the event trigger of ddl = \"trigger\" is made when the source starts", "");
    else
        pg_check_say(c, CHECK_ERROR,
                     arena_printf(&c->arena,
                                  "role \"%s\" has no right to make the event trigger of"
                                  " ddl = \"trigger\": that takes a superuser",
                                  c->facts.user),
                     arena_printf(&c->arena,
                                  "let a superuser run what this prints: tidegate triggers %s sync"
                                  " --sql",
                                  c->plan->name));
    return 0;
}
