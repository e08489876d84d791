/* libpq's own resolution of a service, its environment variables, its files and its defaults,
 * looked at before any host is called. */
#ifndef SOURCE_POSTGRES_CONNECT_VIEW_H
#define SOURCE_POSTGRES_CONNECT_VIEW_H

#include "source/postgres/connect_params.h"

struct pg_view {
    PQconninfoOption *options;
    char default_host[128]; /* where libpq goes without a host: its folder of Unix sockets */
};

/* ERROR_CONFIG when the service, or the file that should hold it, is not there. Close it when 0. */
int pg_view_open(struct pg_view *view, const struct pg_params *params,
                 const struct source_plan *plan, struct error *err) must_check;
void pg_view_close(struct pg_view *view);
const char *pg_view_get(const struct pg_view *view, const char *keyword); /* "" if not set */

/* The user's own file of that name if it is there, else NULL. libpq asks the user's entry for the
 * home folder, newer ones ask HOME: both are looked at. */
const char *pg_home_file(struct arena *arena, const char *name);

#endif
