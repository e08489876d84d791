#include "source/postgres/check.h"
#include "source/postgres/check_part.h"
#include "source/postgres/quote.h"

void
pg_check_say(struct pg_checking *c, enum check_level level, const char *what, const char *mend)
{
    c->report->finding(c->report->context, level, what, mend);
}

void
pg_check_say_error(struct pg_checking *c, const struct error *err)
{
    struct error plain = *err;
    char text[2048];
    plain.hint[0] = '\0';
    pg_check_say(c, CHECK_ERROR, error_text(&plain, text, sizeof text), err->hint);
}

static const char *
keep_buffer(struct pg_checking *c, struct buffer *text)
{
    const char *kept = arena_text(&c->arena, buffer_cstring(text));
    buffer_release(text);
    return kept;
}

const char *
pg_check_name(struct pg_checking *c, const char *name)
{
    struct buffer text;
    buffer_init(&text, 1 << 12);
    pg_quote_name(&text, slice_of(name));
    return keep_buffer(c, &text);
}

const char *
pg_check_literal(struct pg_checking *c, const char *name)
{
    struct buffer text;
    buffer_init(&text, 1 << 12);
    pg_quote_text(&text, slice_of(name));
    return keep_buffer(c, &text);
}

const char *
pg_check_table(struct pg_checking *c, struct slice schema, struct slice table)
{
    struct buffer text;
    buffer_init(&text, 1 << 12);
    pg_quote_table(&text, schema, table);
    return keep_buffer(c, &text);
}

static int
read_tables(struct pg_checking *c, struct error *err)
{
    return pg_catalog_read(&c->session, &c->tables, err);
}

static void
check_all(struct pg_checking *c)
{
    static pg_check_part *const parts[] = {
        pg_check_facts,  pg_check_names,        pg_check_candidates, read_tables,
        pg_check_server, pg_check_rights,       pg_check_room,       pg_check_patterns,
        pg_check_tables, pg_check_publications, pg_check_slot,       pg_check_ddl,
    };
    const size_t reading = 4; /* the first ones; the others rest on what they read */
    for (size_t i = 0; i < countof(parts); i++) {
        struct error err = {0};
        if (parts[i](c, &err) == 0)
            continue;
        pg_check_say_error(c, &err);
        if (err.class == ERROR_UNREACHABLE || i < reading)
            return;
    }
}

int
pg_check(const struct source_plan *plan, const struct source_report *report, struct error *err)
{
    struct error own = {0};
    struct pg_checking c = {.plan = plan,
                            .options = plan->options,
                            .report = report,
                            .started = plan->workspace_id && *plan->workspace_id};
    (void)err;
    arena_init(&c.arena, 0);
    if (pg_options_check(plan, &own) != 0 ||
        pg_session_open(&c.session, plan, NULL, PG_SQL, &own) != 0)
        pg_check_say_error(&c, &own);
    else
        check_all(&c);
    pg_session_close(&c.session);
    pg_catalog_release(&c.tables);
    arena_release(&c.arena);
    return 0;
}

int
pg_check_schemas(const struct source_plan *plan, source_visit_schema *visit, void *context,
                 struct error *err)
{
    struct pg_session s = {0};
    struct pg_tables tables = {0};
    int result = pg_session_open(&s, plan, NULL, PG_SQL, err);
    if (result == 0)
        result = pg_catalog_read(&s, &tables, err);
    if (result == 0)
        result = pg_catalog_schemas(&s, &tables, visit, context, err);
    pg_session_close(&s);
    pg_catalog_release(&tables);
    return result;
}
