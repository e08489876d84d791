#include "source/postgres/connect_failure.h"
#include <stdio.h>
#include "source/postgres/query.h"

int
pg_connect_failed(const struct pg_try *try, const char *text, struct error *err)
{
    error_set(err, pg_state_class(""), "source \"%s\": cannot connect to %s:%s", try->plan->name,
              try->host->name, try->host->port);
    return error_cause(err, "%.*s", (int)strcspn(text, "\n"), text);
}
int
pg_options_check(const struct source_plan *plan, struct error *err)
{
    (void)plan;
    (void)err;
    return 0;
}
