#include "source/postgres/ddl_trigger.h"
#include <stdio.h>
#include "base/hash.h"
#include "source/postgres/quote.h"

#define SETTING "search_path=pg_catalog, pg_temp"

/* Runs as whoever changes the table, with nobody's names but the system's, and may fail by no
 * means: what goes wrong in it is a line in the server's log. Every permanent table is told of, a
 * partition as its root; the reader knows which it captures. The content is bytes, since that of a
 * logical message is never converted from the database's encoding. The prefix is the source's own:
 * several of them may have their triggers in one database.
 *
 * EXCEPTION makes it a subtransaction, whose changes the server merges with the others by place,
 * and a message has the place at which it ends, which is where the next change begins: an empty
 * message behind the others keeps them in front of a row that follows. */
static const char body[] =
    "    change record;\n"
    "BEGIN\n"
    "    IF tg_event = 'sql_drop' THEN\n"
    "        FOR change IN\n"
    "            SELECT json_build_object('kind', tg_tag, 'sql', left(current_query(), 65536),\n"
    "                       'schema', d.schema_name, 'table', d.object_name,\n"
    "                       'oid', d.objid::bigint) AS content\n"
    "            FROM pg_event_trigger_dropped_objects() d\n"
    "            WHERE d.object_type = 'table' AND d.objsubid = 0 AND NOT d.is_temporary\n"
    "            ORDER BY d.objid\n"
    "        LOOP\n"
    "            PERFORM pg_logical_emit_message(true, prefix,\n"
    "                                            convert_to(change.content::text, 'UTF8'));\n"
    "        END LOOP;\n"
    "    ELSE\n"
    "        FOR change IN\n"
    "            SELECT json_build_object('kind', tg_tag, 'sql', left(current_query(), 65536),\n"
    "                       'schema', n.nspname, 'table', t.relname, 'oid', t.oid::bigint,\n"
    "                       'columns', (SELECT json_agg(json_build_array(a.attname,\n"
    "                               format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum)\n"
    "                           FROM pg_attribute a\n"
    "                           WHERE a.attrelid = t.oid AND a.attnum > 0\n"
    "                               AND NOT a.attisdropped AND (a.attgenerated = ''\n"
    "                                   OR a.attgenerated = 's' AND\n"
    "                                   current_setting('server_version_num')::int >= 180000)))\n"
    "                       AS content\n"
    "            FROM (SELECT DISTINCT coalesce(pg_partition_root(c.objid), c.objid) AS oid\n"
    "                  FROM pg_event_trigger_ddl_commands() c\n"
    "                  WHERE c.classid = 'pg_class'::regclass\n"
    "                      AND c.object_type IN ('table', 'table column')) touched\n"
    "            JOIN pg_class t ON t.oid = touched.oid\n"
    "                AND t.relpersistence = 'p' AND t.relkind IN ('r', 'p')\n"
    "            JOIN pg_namespace n ON n.oid = t.relnamespace\n"
    "            ORDER BY t.oid\n"
    "        LOOP\n"
    "            PERFORM pg_logical_emit_message(true, prefix,\n"
    "                                            convert_to(change.content::text, 'UTF8'));\n"
    "        END LOOP;\n"
    "    END IF;\n"
    "    IF found THEN\n"
    "        PERFORM pg_logical_emit_message(true, prefix, ''::bytea);\n"
    "    END IF;\n"
    "EXCEPTION WHEN OTHERS THEN\n"
    "    RAISE LOG 'tidegate: a changed table could not be told of: %', sqlerrm;\n"
    "END\n";

/* Objects of one database-wide name each; the function stands in a schema of its own, out of the
 * way of search paths and of the user's tables. */
static const struct trigger {
    const char *suffix, *event, *tags;
} triggers[] = {
    {"_ddl", "ddl_command_end",
     "'ALTER TABLE', 'CREATE SCHEMA', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO'"},
    {"_drop", "sql_drop", "'DROP TABLE', 'DROP SCHEMA', 'DROP OWNED'"},
};

/* One pass over what is there. */
struct planning {
    struct pg_session *s;
    char base[PG_NAME];
    struct buffer sql;
    pg_statement *each;
    void *context;
    struct error *err;
};

static void
name_trigger(const char *base, const char *suffix, char out[PG_NAME])
{
    size_t room = PG_NAME - 1 - strlen(suffix), size = strlen(base);
    if (size <= room)
        snprintf(out, PG_NAME, "%s%s", base, suffix);
    else
        snprintf(out, PG_NAME, "%.*s_%08x%s", (int)room - 9, base, (unsigned)hash64(base, size),
                 suffix);
}

void
pg_ddl_trigger_schema(const struct source_plan *plan, char out[PG_NAME])
{
    struct pg_options options = *(const struct pg_options *)plan->options;
    struct source_plan own = *plan;
    options.publication = NULL; /* somebody else's name is none of ours */
    own.options = &options;
    pg_publication_name(&own, false, out);
}

static void
begin_planning(struct planning *p, struct pg_session *s, struct error *err)
{
    p->s = s;
    p->err = err;
    pg_ddl_trigger_schema(s->plan, p->base);
    buffer_init(&p->sql, 1 << 16);
}

void
pg_ddl_trigger_prefix(const struct source_plan *plan, char out[PG_DDL_PREFIX_SIZE])
{
    char base[PG_NAME];
    pg_ddl_trigger_schema(plan, base);
    snprintf(out, PG_DDL_PREFIX_SIZE, PG_DDL_PREFIX ".%s", base);
}

/* The name in it needs no quotes: letters, digits and _. */
static void
put_body(const struct planning *p, struct buffer *out)
{
    char prefix[PG_DDL_PREFIX_SIZE];
    pg_ddl_trigger_prefix(p->s->plan, prefix);
    buffer_printf(out, "\nDECLARE\n    prefix constant text := '%s';\n%s", prefix, body);
}

static void
put_name(struct planning *p, const char *name)
{
    pg_quote_name(&p->sql, slice_of(name));
}

static int
hand_over(struct planning *p)
{
    int result = p->each(p->context, buffer_cstring(&p->sql));
    buffer_reset(&p->sql);
    return result;
}

/* Columns: schema, function (both: is it there), current (is the function as it should be). */
static PGresult *
ask_function(struct planning *p)
{
    struct buffer wanted;
    buffer_init(&wanted, 1 << 16);
    put_body(p, &wanted);
    buffer_reset(&p->sql);
    buffer_text(&p->sql, "SELECT n.oid IS NOT NULL AS schema, p.oid IS NOT NULL AS function,"
                         " coalesce(p.prosrc = ");
    pg_quote_text(&p->sql, buffer_view(&wanted));
    buffer_release(&wanted);
    buffer_text(&p->sql,
                " AND p.proconfig = ARRAY['" SETTING "'] AND NOT p.prosecdef"
                " AND p.prolang = (SELECT oid FROM pg_catalog.pg_language"
                " WHERE lanname = 'plpgsql'), false) AS current"
                " FROM (SELECT 1) one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = ");
    pg_quote_text(&p->sql, slice_of(p->base));
    buffer_text(&p->sql, " LEFT JOIN pg_catalog.pg_proc p ON p.pronamespace = n.oid"
                         " AND p.proname = 'ddl' AND p.pronargs = 0");
    PGresult *result =
        pg_query(p->s, "look for the event trigger's function", buffer_cstring(&p->sql), p->err);
    buffer_reset(&p->sql);
    return result;
}

/* A row if it is there; its column `good`: as it should be. */
static PGresult *
ask_trigger(struct planning *p, const struct trigger *t, const char *name)
{
    buffer_reset(&p->sql);
    buffer_printf(&p->sql,
                  "SELECT e.evtevent = '%s' AND e.evtenabled IN ('O', 'A')"
                  " AND e.evttags = ARRAY[%s] AND f.proname = 'ddl' AND n.nspname = ",
                  t->event, t->tags);
    pg_quote_text(&p->sql, slice_of(p->base));
    buffer_text(&p->sql,
                " AS good FROM pg_catalog.pg_event_trigger e"
                " JOIN pg_catalog.pg_proc f ON f.oid = e.evtfoid"
                " JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace WHERE e.evtname = ");
    pg_quote_text(&p->sql, slice_of(name));
    PGresult *result =
        pg_query(p->s, "look for the event trigger", buffer_cstring(&p->sql), p->err);
    buffer_reset(&p->sql);
    return result;
}

static int
make_function(struct planning *p)
{
    buffer_text(&p->sql, "CREATE OR REPLACE FUNCTION ");
    put_name(p, p->base);
    buffer_text(&p->sql, ".ddl() RETURNS event_trigger LANGUAGE plpgsql"
                         " SET search_path = pg_catalog, pg_temp AS $tidegate$");
    put_body(p, &p->sql);
    buffer_text(&p->sql, "$tidegate$;");
    return hand_over(p);
}

static int
plan_function(struct planning *p)
{
    PGresult *found = ask_function(p);
    int result = found ? 0 : -1;
    if (result == 0 && !pg_bool(found, 0, "schema")) {
        buffer_text(&p->sql, "CREATE SCHEMA ");
        put_name(p, p->base);
        buffer_byte(&p->sql, ';');
        result = hand_over(p);
    }
    if (result == 0 && !pg_bool(found, 0, "current"))
        result = make_function(p);
    PQclear(found);
    return result;
}

static int
drop_trigger(struct planning *p, const char *name)
{
    buffer_text(&p->sql, "DROP EVENT TRIGGER ");
    put_name(p, name);
    buffer_byte(&p->sql, ';');
    return hand_over(p);
}

static int
make_trigger(struct planning *p, const struct trigger *t, const char *name)
{
    buffer_text(&p->sql, "CREATE EVENT TRIGGER ");
    put_name(p, name);
    buffer_printf(&p->sql, " ON %s WHEN TAG IN (%s) EXECUTE FUNCTION ", t->event, t->tags);
    put_name(p, p->base);
    buffer_text(&p->sql, ".ddl();");
    return hand_over(p);
}

static int
plan_trigger(struct planning *p, const struct trigger *t)
{
    char name[PG_NAME];
    name_trigger(p->base, t->suffix, name);
    PGresult *found = ask_trigger(p, t, name);
    int result = found ? 0 : -1;
    bool there = found && PQntuples(found) > 0, good = there && pg_bool(found, 0, "good");
    PQclear(found);
    if (result == 0 && there && !good)
        result = drop_trigger(p, name);
    return result == 0 && !good ? make_trigger(p, t, name) : result;
}

int
pg_ddl_trigger_plan(struct pg_session *s, pg_statement *each, void *context, struct error *err)
{
    struct planning p = {.each = each, .context = context};
    begin_planning(&p, s, err);
    int result = plan_function(&p);
    for (size_t i = 0; i < countof(triggers) && result == 0; i++)
        result = plan_trigger(&p, &triggers[i]);
    buffer_release(&p.sql);
    return result;
}

static int
append(void *context, const char *sql)
{
    buffer_text(context, sql);
    buffer_byte(context, '\n');
    return 0;
}

int
pg_ddl_trigger_sync(struct pg_session *s, struct error *err)
{
    struct buffer sql;
    buffer_init(&sql, 1 << 16);
    int result = pg_ddl_trigger_plan(s, append, &sql, err);
    if (result == 0 && sql.size) /* one text is one transaction: all of it or nothing */
        result =
            pg_run(s, "make the event trigger of ddl = \"trigger\"", buffer_cstring(&sql), err);
    buffer_release(&sql);
    if (result != 0 && err && err->class == ERROR_DENIED)
        error_hint(err,
                   "event triggers need a superuser; let one run what `tidegate triggers %s sync"
                   " --sql` prints, or leave ddl = \"trigger\" out",
                   s->plan->name);
    return result;
}

static int
remove_function(struct planning *p)
{
    PGresult *found = ask_function(p);
    int result = found ? 0 : -1;
    if (result == 0 && pg_bool(found, 0, "function")) {
        buffer_text(&p->sql, "DROP FUNCTION ");
        put_name(p, p->base);
        buffer_text(&p->sql, ".ddl();");
        result = hand_over(p);
    }
    if (result == 0 && pg_bool(found, 0, "schema")) {
        buffer_text(&p->sql, "DROP SCHEMA ");
        put_name(p, p->base);
        buffer_byte(&p->sql, ';');
        result = hand_over(p);
    }
    PQclear(found);
    return result;
}

int
pg_ddl_trigger_remove(struct pg_session *s, pg_statement *each, void *context, struct error *err)
{
    struct planning p = {.each = each, .context = context};
    int result = 0;
    begin_planning(&p, s, err);
    for (size_t i = 0; i < countof(triggers) && result == 0; i++) {
        char name[PG_NAME];
        name_trigger(p.base, triggers[i].suffix, name);
        PGresult *found = ask_trigger(&p, &triggers[i], name);
        bool there = found && PQntuples(found) > 0;
        result = found ? 0 : -1;
        PQclear(found);
        if (there)
            result = drop_trigger(&p, name);
    }
    if (result == 0)
        result = remove_function(&p);
    buffer_release(&p.sql);
    return result;
}
