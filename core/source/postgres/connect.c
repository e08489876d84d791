#include "source/postgres/connect.h"
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "source/postgres/connect_failure.h"
#include "source/postgres/query.h"

#define SET_FORMATS                                                                                \
    "SET DateStyle = ISO; SET IntervalStyle = iso_8601; SET TimeZone = UTC; "                      \
    "SET extra_float_digits = 3; SET bytea_output = hex; SET lc_monetary = 'C'; "                  \
    "SET search_path = pg_catalog"

#define PIECE 100 /* ms between two looks at whether the source is being stopped */

static bool
given_up(const struct pg_session *s)
{
    return s->source && source_stopping(s->source);
}

bool
pg_session_wait(const struct pg_session *s, short events)
{
    struct pollfd fd = {.fd = PQsocket(s->conn), .events = events};
    poll(&fd, 1, PIECE);
    return !given_up(s);
}

void
pg_session_close(struct pg_session *s)
{
    PQfinish(s->conn);
    s->conn = NULL;
}

static int
stopped(const struct pg_session *s, struct error *err)
{
    return error_set(err, ERROR_UNREACHABLE, "source \"%s\" is being stopped", s->plan->name);
}

static int
timed_out(const struct pg_try *try, const PGconn *conn, struct error *err)
{
    char time[CLOCK_TEXT_SIZE];
    bool met = PQstatus(conn) != CONNECTION_STARTED;
    error_set(err, ERROR_UNREACHABLE, "source \"%s\": %s:%s did not answer within %s",
              try->plan->name, try->host->name, try->host->port,
              duration_format(try->params->timeout, time));
    return error_hint(err, met ? "something takes connections there, but does not speak as "
                                 "PostgreSQL does: check `port`, and whether the server hangs"
                               : "check `host` and `port`, and whether a firewall stands between; "
                                 "`connect_timeout` says how long to wait");
}

/* Goes through the steps of connecting until libpq is content, has failed, or time is up. */
static int
follow(struct pg_session *s, const struct pg_try *try, struct error *err)
{
    int64_t deadline = clock_mono() + try->params->timeout;
    PostgresPollingStatusType step = PGRES_POLLING_WRITING;
    while (PQstatus(s->conn) != CONNECTION_BAD) {
        struct pollfd fd = {.fd = PQsocket(s->conn),
                            .events = step == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        int ready = poll(&fd, 1, PIECE);
        if (given_up(s))
            return stopped(s, err);
        if (ready > 0)
            step = PQconnectPoll(s->conn);
        if (step == PGRES_POLLING_OK)
            return 0;
        if (step == PGRES_POLLING_FAILED)
            break;
        if (clock_mono() > deadline)
            return timed_out(try, s->conn, err);
    }
    return pg_connect_failed(try, PQerrorMessage(s->conn), err);
}

/* Notices of the server would go to stderr. */
static void
keep_notice(void *context, const PGresult *notice)
{
    const char *name = context;
    const char *text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    char component[128];
    snprintf(component, sizeof component, "source/%s", name);
    log_debug(component, "the server says: %s", text ? text : "");
}

static int
check_version(struct pg_session *s, struct error *err)
{
    char label[256];
    s->version = PQserverVersion(s->conn);
    if (s->version >= PG_OLDEST)
        return 0;
    error_set(err, ERROR_CONFIG,
              "source \"%s\": %s is PostgreSQL %d, and the oldest supported is %d", s->plan->name,
              pg_session_label(s->plan, label, sizeof label), s->version / 10000,
              PG_OLDEST / 10000);
    return error_hint(err, "upgrade the server");
}

/* libpq sends PGDATESTYLE and PGTZ of the environment behind our settings, and a pooler may drop
 * them: what the server reports tells. */
static int
check_settings(struct pg_session *s, struct error *err)
{
    static const char *const reported[][2] = {
        {"DateStyle", "ISO"}, {"IntervalStyle", "iso_8601"}, {"TimeZone", "UTC"}};
    bool right = true;
    for (size_t i = 0; i < countof(reported); i++) {
        const char *value = PQparameterStatus(s->conn, reported[i][0]);
        right &= value && strncmp(value, reported[i][1], strlen(reported[i][1])) == 0;
    }
    if (right)
        return 0;
    return pg_run(s, "set the formats of texts", SET_FORMATS, err);
}

/* A database without an encoding holds any bytes. Asked for UTF-8, its server refuses a text that
 * is none, and with it the stream for good: it shall send what it has. */
static int
check_encoding(struct pg_session *s, struct error *err)
{
    const char *encoding = PQparameterStatus(s->conn, "server_encoding");
    if (!encoding || strcmp(encoding, "SQL_ASCII") != 0)
        return 0;
    return pg_run(s, "set the encoding", "SET client_encoding = SQL_ASCII", err);
}

static int
try_address(struct pg_session *s, const struct pg_try *try, const char *address, struct error *err)
{
    struct pg_params params = *try->params; /* its lists are copied, what they point to is not */
    pg_params_set(&params, "host", try->host->name);
    pg_params_set(&params, "hostaddr", address);
    pg_params_set(&params, "port", try->host->port);
    s->conn = PQconnectStartParams(params.keywords, params.values, 0);
    if (!s->conn)
        return error_set(err, ERROR_FULL, "source \"%s\": libpq has no memory", s->plan->name);
    PQsetErrorVerbosity(s->conn, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(s->conn, keep_notice, (void *)(uintptr_t)s->plan->name);
    if (follow(s, try, err) == 0 && check_version(s, err) == 0 && check_settings(s, err) == 0 &&
        check_encoding(s, err) == 0)
        return 0;
    pg_session_close(s);
    return -1;
}

static int
unknown_host(const struct pg_try *try, int code, struct error *err)
{
    error_set(err, ERROR_UNREACHABLE, "source \"%s\": the host \"%s\" is not known",
              try->plan->name, try->host->name);
    error_cause(err, "%s", code == EAI_SYSTEM ? "the resolver failed" : gai_strerror(code));
    return error_hint(err, "correct `host`, or the name service of this machine");
}

/* Looks the name up and tries each of its addresses: one that is dead must not hide another. */
static int
try_name(struct pg_session *s, const struct pg_try *try, struct error *err)
{
    struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    char address[NI_MAXHOST];
    int result = -1, code = getaddrinfo(try->host->name, NULL, &wanted, &found);
    if (code != 0)
        return unknown_host(try, code, err);
    for (struct addrinfo *at = found; at && result != 0; at = at->ai_next) {
        code = getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof address, NULL, 0,
                           NI_NUMERICHOST);
        if (code != 0) {
            unknown_host(try, code, err);
            continue;
        }
        result = try_address(s, try, address, err);
        if (result != 0 && (err->class != ERROR_UNREACHABLE || given_up(s)))
            break;
    }
    freeaddrinfo(found);
    return result;
}

static int
try_host(struct pg_session *s, const struct pg_try *try, struct error *err)
{
    if (pg_host_is_socket(try->host) || try->host->address)
        return try_address(s, try, try->host->address, err);
    return try_name(s, try, err);
}

/* What became of each host, when none could be used. */
struct failures {
    struct error told; /* the refusal that ended it, else the first */
    struct buffer words;
    size_t count;
};

static void
add_failure(struct failures *all, const struct error *one, const struct source_plan *plan)
{
    size_t prefix = strlen("source \"\": ") + strlen(plan->name);
    if (all->count == 0 || one->class != ERROR_UNREACHABLE)
        all->told = *one;
    if (all->count++ > 0)
        buffer_text(&all->words, "; ");
    buffer_text(&all->words, strlen(one->message) > prefix ? one->message + prefix : "");
}

static void
report_failures(struct failures *all, const struct source_plan *plan, struct error *err)
{
    *err = all->told;
    if (all->count < 2)
        return;
    error_set(err, all->told.class, "source \"%s\": no host can be used: %s", plan->name,
              buffer_cstring(&all->words));
    error_hint(err, "%s", all->told.hint);
}

/* As libpq does it: what cannot be reached, or is not what target_session_attrs wants, makes room
 * for the next one; a refusal is final. */
static int
try_hosts(struct pg_session *s, struct pg_try *try, struct error *err)
{
    struct failures all = {0};
    int result = -1;
    buffer_init(&all.words, 4096);
    for (size_t i = 0; result != 0 && i < try->params->host_count; i++) {
        struct error one = {0};
        try->host = &try->params->hosts[i];
        result = try_host(s, try, &one);
        if (result != 0)
            add_failure(&all, &one, try->plan);
        else
            s->host = i;
        if (one.class != ERROR_UNREACHABLE || given_up(s))
            break;
    }
    if (result != 0)
        report_failures(&all, try->plan, err);
    buffer_release(&all.words);
    return result;
}

/* libpq would look for a standby among the hosts that it is given, and it is given one at a time.
 */
static int
try_all(struct pg_session *s, struct pg_try *try, struct pg_params *params, struct error *err)
{
    if (strcmp(params->target, "prefer-standby") != 0)
        return try_hosts(s, try, err);
    pg_params_set(params, "target_session_attrs", "standby");
    if (try_hosts(s, try, err) == 0)
        return 0;
    if (err->class != ERROR_UNREACHABLE || given_up(s))
        return -1;
    pg_params_set(params, "target_session_attrs", "any");
    return try_hosts(s, try, err);
}

static void
warn_of_weak_tls(const struct pg_params *params, const struct source_plan *plan)
{
    char component[128];
    if (!params->weak)
        return;
    snprintf(component, sizeof component, "source/%s", plan->name);
    log_warning(component,
                "TLS to another machine with sslmode=%s: who stands between can read and change "
                "all of it; tls = { mode = \"full\" } verifies the server",
                params->sslmode);
}

int
pg_session_open(struct pg_session *s, const struct source_plan *plan,
                const struct source_context *source, enum pg_purpose purpose, struct error *err)
{
    struct pg_params params;
    *s = (struct pg_session){.plan = plan, .source = source};
    int result = pg_options_check(plan, err);
    if (result != 0)
        return -1;
    result = pg_params_build(&params, plan, purpose, err);
    if (result == 0) {
        struct pg_try try = {.plan = plan, .params = &params, .purpose = purpose};
        warn_of_weak_tls(&params, plan);
        result = try_all(s, &try, &params, err);
    }
    pg_params_release(&params);
    return result;
}

int
pg_session_open_beside(struct pg_session *s, const struct pg_session *other, struct error *err)
{
    struct pg_params params;
    *s = (struct pg_session){.plan = other->plan, .source = other->source};
    int result = pg_params_build(&params, other->plan, PG_SQL, err);
    if (result == 0) {
        struct pg_try try = {.plan = other->plan, .params = &params, .purpose = PG_SQL};
        ensure(other->host < params.host_count);
        params.hosts += other->host;
        params.host_count = 1;
        pg_params_set(&params, "target_session_attrs", "any");
        result = try_hosts(s, &try, err);
        s->host = other->host;
    }
    pg_params_release(&params);
    return result;
}

/* One host of a list stands for all in a short text. */
char *
pg_session_label(const struct source_plan *plan, char *out, size_t size)
{
    struct pg_params params;
    struct error ignored = {0};
    snprintf(out, size, "PostgreSQL");
    if (pg_params_build(&params, plan, PG_SQL, &ignored) == 0)
        snprintf(out, size, "%s:%s%s, %s", params.hosts[0].name, params.hosts[0].port,
                 params.host_count > 1 ? " …" : "", params.database);
    pg_params_release(&params);
    return out;
}
