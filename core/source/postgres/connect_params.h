/* What libpq is told: the URL, the source's other options over it, and what Tidegate sets itself.
 * libpq fills in services, its environment variables and its own defaults; the same look at them
 * decides how strict TLS must be and which hosts there are. Everything lives in the arena. */
#ifndef SOURCE_POSTGRES_CONNECT_PARAMS_H
#define SOURCE_POSTGRES_CONNECT_PARAMS_H

#include "base/arena.h"
#include "source/postgres/connect.h"

#define PG_PARAMS 64 /* libpq 15 knows 42 */

/* One host of the list, tried alone: so a host that never answers costs its own time only. */
struct pg_host {
    const char *name;    /* a name or an address; "/folder" or "@name" is a Unix socket */
    const char *address; /* hostaddr; NULL: `name` has to be looked up */
    const char *port;
};

struct pg_params {
    struct arena arena;
    /* For PQconnectStartParams, NULL-terminated; host, hostaddr and port are set for each try. */
    const char *keywords[PG_PARAMS + 1];
    const char *values[PG_PARAMS + 1];
    size_t count;

    struct pg_host *hosts;
    size_t host_count;
    const char *user, *database, *sslmode;
    const char *passfile; /* NULL: none was given, and the user has none */
    const char *target;   /* target_session_attrs */
    bool weak;            /* TLS to another machine, and weaker than verify-full */
    int64_t timeout;      /* µs for one try */
};

/* ERROR_CONFIG, never with what stands in the URL. Release it in any case. */
int pg_params_build(struct pg_params *params, const struct source_plan *plan,
                    enum pg_purpose purpose, struct error *err) must_check;
void pg_params_release(struct pg_params *params);

/* Adds the parameter or replaces it; NULL removes it. Both are borrowed. */
void pg_params_set(struct pg_params *params, const char *keyword, const char *value);
const char *pg_params_get(const struct pg_params *params, const char *keyword); /* "" if not set */

bool pg_host_is_socket(const struct pg_host *host);
bool pg_host_is_local(const struct pg_host *host); /* a socket, or loopback */

#endif
