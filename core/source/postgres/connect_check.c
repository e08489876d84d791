/* What can be said of the options before any server is called. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "source/postgres/connect_params.h"

static const struct {
    const char *keyword, *option;
} files[] = {
    {"sslrootcert", "tls.ca"}, {"sslcert", "tls.cert"},  {"sslkey", "tls.key"},
    {"sslcrl", "tls.crl"},     {"passfile", "passfile"},
};

/* Other things than paths: "system", and keys that an engine holds. */
static bool
is_path(const char *value)
{
    return *value && strcmp(value, "system") != 0 && (*value == '/' || !strchr(value, ':'));
}

static int
check_files(const struct pg_params *params, const struct source_plan *plan, struct error *err)
{
    for (size_t i = 0; i < countof(files); i++) {
        const char *path = pg_params_get(params, files[i].keyword);
        if (!is_path(path) || access(path, R_OK) == 0)
            continue;
        error_errno(err, ERROR_CONFIG, errno, "source \"%s\": cannot read %s", plan->name, path);
        return error_hint(err, "correct `%s`%s", files[i].option,
                          errno == EACCES ? ", or let the user who runs Tidegate read it" : "");
    }
    return 0;
}

/* libpq would leave it out and say so on the terminal alone. */
static int
check_passfile(const struct pg_params *params, const struct source_plan *plan, struct error *err)
{
    struct stat info;
    const char *path = pg_params_get(params, "passfile");
    if (!*path || stat(path, &info) != 0 || !(info.st_mode & (S_IRWXG | S_IRWXO)))
        return 0;
    error_set(err, ERROR_CONFIG, "source \"%s\": others may read the password file %s", plan->name,
              path);
    return error_hint(err, "chmod 600 %s", path);
}

static int
check_tls(const struct source_plan *plan, struct error *err)
{
    const struct pg_tls *tls = &((const struct pg_options *)plan->options)->tls;
    bool off = tls->mode == PG_TLS_OFF, unverified = tls->mode == PG_TLS_UNVERIFIED;
    if ((off && (tls->ca || tls->cert || tls->key || tls->crl)) ||
        (unverified && (tls->ca || tls->crl))) {
        error_set(err, ERROR_CONFIG,
                  "source \"%s\": tls.mode = \"%s\" has no use for the files beside it", plan->name,
                  off ? "off" : "unverified");
        return error_hint(err, "leave out `mode`, which then verifies, or the files");
    }
    if (!tls->key || tls->cert)
        return 0;
    error_set(err, ERROR_CONFIG, "source \"%s\": tls.key needs tls.cert", plan->name);
    return error_hint(err, "tls = { cert = \"…\", key = \"…\" }");
}

static int
check_target(const struct pg_params *params, const struct source_plan *plan, struct error *err)
{
    static const char *const targets[] = {"any",     "read-write", "read-only",
                                          "primary", "standby",    "prefer-standby"};
    for (size_t i = 0; i < countof(targets); i++)
        if (strcmp(params->target, targets[i]) == 0)
            return 0;
    error_set(err, ERROR_CONFIG, "source \"%s\": target_session_attrs cannot be \"%s\"", plan->name,
              params->target);
    return error_hint(err, "any, read-write, read-only, primary, standby or prefer-standby");
}

int
pg_options_check(const struct source_plan *plan, struct error *err)
{
    struct pg_params params;
    if (check_tls(plan, err) != 0)
        return -1;
    int result = pg_params_build(&params, plan, PG_SQL, err);
    if (result == 0)
        result = check_files(&params, plan, err);
    if (result == 0)
        result = check_passfile(&params, plan, err);
    if (result == 0)
        result = check_target(&params, plan, err);
    pg_params_release(&params);
    return result;
}
