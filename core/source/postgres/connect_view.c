#include "source/postgres/connect_view.h"
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* There is no call that resolves and does not connect. So one parameter is made wrong, and libpq
 * ends after it has filled in all others. The one that is hidden by this is looked at by nobody
 * here. */
#define WRONG_KEYWORD "ssl_max_protocol_version"
#define WRONG_VALUE   "resolve only"

const char *
pg_view_get(const struct pg_view *view, const char *keyword)
{
    for (const PQconninfoOption *at = view->options; at && at->keyword; at++)
        if (strcmp(at->keyword, keyword) == 0)
            return at->val ? at->val : "";
    return "";
}

void
pg_view_close(struct pg_view *view)
{
    PQconninfoFree(view->options);
    view->options = NULL;
}

/* libpq's words name the service and the file, and hold nothing else. */
static int
unresolved(const struct pg_params *params, const struct source_plan *plan, const PGconn *conn,
           struct error *err)
{
    const char *text = conn ? PQerrorMessage(conn) : "out of memory";
    const char *service = pg_params_get(params, "service");
    if (*service)
        error_set(err, ERROR_CONFIG, "source \"%s\": the service \"%s\" cannot be read", plan->name,
                  service);
    else
        error_set(err, ERROR_CONFIG, "source \"%s\": libpq's defaults cannot be read", plan->name);
    error_cause(err, "%.*s", (int)strcspn(text, "\n"), text);
    return error_hint(err, "services stand in ~/.pg_service.conf of the user who runs Tidegate, in "
                           "the file that PGSERVICEFILE names, or in pg_service.conf of "
                           "PostgreSQL's folder");
}

/* libpq looks at some values before it comes to the wrong one. */
static int
refused(const struct source_plan *plan, const PGconn *conn, struct error *err)
{
    const char *text = PQerrorMessage(conn);
    if (strstr(text, WRONG_VALUE) || strncmp(text, "invalid ", strlen("invalid ")) != 0)
        return 0;
    error_set(err, ERROR_CONFIG, "source \"%s\": libpq does not take an option", plan->name);
    error_cause(err, "%.*s", (int)strcspn(text, "\n"), text);
    return error_hint(err, "correct the URL, the service, or the environment of Tidegate");
}

int
pg_view_open(struct pg_view *view, const struct pg_params *params, const struct source_plan *plan,
             struct error *err)
{
    struct pg_params probe = *params;
    int result;
    pg_params_set(&probe, WRONG_KEYWORD, WRONG_VALUE);
    pg_params_set(&probe, "password", "none"); /* or it reads password files, and complains */
    PGconn *conn = PQconnectStartParams(probe.keywords, probe.values, 0);
    view->options = PQconninfo(conn);
    snprintf(view->default_host, sizeof view->default_host, "%s", conn ? PQhost(conn) : "");
    if (strcmp(pg_view_get(view, WRONG_KEYWORD), WRONG_VALUE) != 0)
        result = unresolved(params, plan, conn, err);
    else
        result = refused(plan, conn, err);
    if (result != 0)
        pg_view_close(view);
    PQfinish(conn);
    return result;
}

const char *
pg_home_file(struct arena *arena, const char *name)
{
    struct passwd entry, *found = NULL;
    char text[1024];
    const char *homes[2] = {getenv("HOME")};
    if (getpwuid_r(geteuid(), &entry, text, sizeof text, &found) == 0 && found)
        homes[1] = entry.pw_dir;
    for (size_t i = 0; i < countof(homes); i++) {
        if (!homes[i] || !*homes[i])
            continue;
        const char *path = arena_printf(arena, "%s/%s", homes[i], name);
        if (access(path, F_OK) == 0)
            return path;
    }
    return NULL;
}
