#include "source/postgres/connect_tls.h"
#include <unistd.h>

static const char *const modes[] = {
    [PG_TLS_OFF] = "disable",
    [PG_TLS_UNVERIFIED] = "require",
    [PG_TLS_CA] = "verify-ca",
    [PG_TLS_FULL] = "verify-full",
};

/* Where systems keep the certificates that they trust; libpq 15 does not look there. */
static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
};

static bool
any_remote(const struct pg_params *params)
{
    for (size_t i = 0; i < params->host_count; i++)
        if (!pg_host_is_local(&params->hosts[i]))
            return true;
    return false;
}

static const char *
choose_mode(const struct pg_params *params, const struct pg_options *options,
            const struct pg_view *view, bool remote)
{
    const char *own = pg_params_get(params, "sslmode"), *resolved = pg_view_get(view, "sslmode");
    if (options->tls.mode != PG_TLS_DEFAULT)
        return modes[options->tls.mode];
    if (*own)
        return own;
    if (*resolved && strcmp(resolved, "prefer") != 0)
        return resolved;
    return remote || options->tls.ca ? "verify-full" : "allow";
}

static const char *
choose_root(struct arena *arena)
{
    const char *root = pg_home_file(arena, ".postgresql/root.crt");
    for (size_t i = 0; !root && i < countof(bundles); i++)
        if (access(bundles[i], R_OK) == 0)
            root = bundles[i];
    return root;
}

void
pg_tls_set(struct pg_params *params, const struct pg_options *options, const struct pg_view *view)
{
    bool remote = any_remote(params);
    const char *mode = choose_mode(params, options, view, remote);
    params->sslmode = arena_text(&params->arena, mode);
    params->weak = remote && strcmp(mode, "verify-full") != 0;
    pg_params_set(params, "sslmode", params->sslmode);
    if (strncmp(mode, "verify-", 7) == 0 && !*pg_view_get(view, "sslrootcert"))
        pg_params_set(params, "sslrootcert", choose_root(&params->arena));
}
