#include "source/postgres/connect_params.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "source/postgres/connect_tls.h"

/* Texts become exact and nothing waits long. Each of them may be set by any role. */
#define OUR_SETTINGS                                                                               \
    "-c DateStyle=ISO -c IntervalStyle=iso_8601 -c TimeZone=UTC -c extra_float_digits=3 "          \
    "-c bytea_output=hex -c lc_monetary=C -c search_path=pg_catalog -c statement_timeout=30s "     \
    "-c client_min_messages=warning -c idle_session_timeout=0 "                                    \
    "-c idle_in_transaction_session_timeout=0 -c default_transaction_read_only=off -c "            \
    "lock_timeout="

/* A new slot waits for each transaction that runs; one that gave up would begin to wait anew, and
 * beside long transactions never end. */
static const char *const lock_timeouts[] = {[PG_SQL] = "10s", [PG_REPLICATION] = "0"};

/* What notices a dead peer within a minute; for what the user did not set. */
static const struct {
    const char *keyword, *value;
} fallbacks[] = {
    {"fallback_application_name", "tidegate"},
    {"keepalives_idle", "30"},
    {"keepalives_interval", "10"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "60000"},
};

void
pg_params_set(struct pg_params *params, const char *keyword, const char *value)
{
    size_t at = 0;
    while (at < params->count && strcmp(params->keywords[at], keyword) != 0)
        at++;
    if (at == params->count && value) {
        ensure(params->count < PG_PARAMS);
        params->keywords[params->count++] = keyword;
    }
    if (at < params->count)
        params->values[at] = value;
}

const char *
pg_params_get(const struct pg_params *params, const char *keyword)
{
    for (size_t i = 0; i < params->count; i++)
        if (strcmp(params->keywords[i], keyword) == 0)
            return params->values[i] ? params->values[i] : "";
    return "";
}

/* What libpq finds wrong with a URL, in words that hold nothing of it: each of its own may hold a
 * part of the password. */
static const struct {
    const char *theirs, *ours;
} url_faults[] = {
    {"invalid percent-encoded", "a % in it is not followed by two hexadecimal digits"},
    {"forbidden value %00", "it holds %00"},
    {"missing \"=\"", "it is neither a URL (postgresql://…) nor a list of key=value"},
    {"extra key/value separator", "a parameter behind the ? has two ="},
    {"missing key/value separator", "a parameter behind the ? has no ="},
    {"invalid URI query parameter", "a parameter behind the ? is unknown to libpq"},
    {"invalid connection option", "a key in it is unknown to libpq"},
    {"unterminated quoted string", "a quote in it is not closed"},
    {"end of string reached", "the ] of an IPv6 address is missing"},
    {"IPv6 host address may not be empty", "the IPv6 address is empty"},
    {"unexpected character", "something stands between the ] of an IPv6 address and its port"},
};

#define URL_HINT                                                                                   \
    "write postgresql://USER@HOST:PORT/DATABASE and set `password` apart; in a URL @ is %%40, / "  \
    "%%2F, : %%3A, ? %%3F, # %%23, %% %%25"

static int
url_refused(const struct source_plan *plan, const char *fault, struct error *err)
{
    error_set(err, ERROR_CONFIG, "source \"%s\": `url` cannot be read: %s", plan->name, fault);
    return error_hint(err, URL_HINT);
}

/* An unescaped @ or / in a password makes libpq take its rest for host, port or database, and then
 * show it. */
static bool
url_is_torn(const char *url)
{
    const char *at = strstr(url, "://");
    if (!at)
        return false;
    at += 3;
    at += strcspn(at, "@/");
    at += *at == '@';
    return memchr(at, '@', strcspn(at, "?")) != NULL;
}

static int
set_from_url(struct pg_params *params, const struct source_plan *plan, struct error *err)
{
    const struct pg_options *options = plan->options;
    char *message = NULL;
    const char *fault = "libpq does not take it";
    if (!options->url)
        return 0;
    if (url_is_torn(options->url))
        return url_refused(plan, "it holds an @ too many, perhaps of the password", err);
    PQconninfoOption *parsed = PQconninfoParse(options->url, &message);
    for (size_t i = 0; !parsed && message && i < countof(url_faults); i++)
        if (strstr(message, url_faults[i].theirs))
            fault = url_faults[i].ours;
    PQfreemem(message);
    if (!parsed)
        return url_refused(plan, fault, err);
    for (PQconninfoOption *option = parsed; option->keyword; option++)
        if (option->val)
            pg_params_set(params, arena_text(&params->arena, option->keyword),
                          arena_text(&params->arena, option->val));
    PQconninfoFree(parsed);
    return 0;
}

static void
set_from_fields(struct pg_params *params, const struct pg_options *options)
{
    const struct {
        const char *keyword, *value;
    } fields[] = {
        {"host", options->host},          {"port", options->port},
        {"user", options->user},          {"password", options->password},
        {"dbname", options->database},    {"service", options->service},
        {"passfile", options->passfile},  {"target_session_attrs", options->target_session_attrs},
        {"sslrootcert", options->tls.ca}, {"sslcert", options->tls.cert},
        {"sslkey", options->tls.key},     {"sslcrl", options->tls.crl},
    };
    if (options->host)
        pg_params_set(params, "hostaddr", NULL);
    for (size_t i = 0; i < countof(fields); i++)
        if (fields[i].value)
            pg_params_set(params, fields[i].keyword, fields[i].value);
}

/* Our own last word behind the user's options, for both kinds of sessions. */
static void
set_ours(struct pg_params *params, const struct pg_view *view, enum pg_purpose purpose)
{
    const char *theirs = pg_view_get(view, "options");
    for (size_t i = 0; i < countof(fallbacks); i++)
        if (!*pg_view_get(view, fallbacks[i].keyword))
            pg_params_set(params, fallbacks[i].keyword, fallbacks[i].value);
    /* A look for Kerberos encryption costs a round trip and would take the place of TLS. */
    if (strcmp(pg_view_get(view, "gssencmode"), "prefer") == 0 &&
        !*pg_params_get(params, "gssencmode"))
        pg_params_set(params, "gssencmode", "disable");
    pg_params_set(params, "client_encoding", "UTF8");
    pg_params_set(params, "replication", purpose == PG_REPLICATION ? "database" : NULL);
    pg_params_set(params, "options",
                  arena_printf(&params->arena, "%s%s" OUR_SETTINGS "%s", theirs, *theirs ? " " : "",
                               lock_timeouts[purpose]));
}

/* The next part of a comma list, in the arena; *list moves on, NULL behind the last. */
static const char *
take_part(struct pg_params *params, const char **list)
{
    size_t size = strcspn(*list, ",");
    const char *part = arena_slice(&params->arena, (struct slice){*list, size}).data;
    *list = (*list)[size] == ',' ? *list + size + 1 : NULL;
    return part;
}

static size_t
count_parts(const char *list)
{
    size_t count = *list != '\0';
    for (; *list; list++)
        count += *list == ',';
    return count;
}

static bool
port_is_valid(const char *port)
{
    size_t digits = strspn(port, "0123456789");
    long number = strtol(port, NULL, 10);
    return digits == strlen(port) && digits <= 5 && number >= 1 && number <= 65535;
}

/* How many hosts the lists name, 0 when they do not match. */
static size_t
count_hosts(const struct source_plan *plan, const struct pg_view *view, struct error *err)
{
    size_t names = count_parts(pg_view_get(view, "host"));
    size_t addresses = count_parts(pg_view_get(view, "hostaddr"));
    size_t ports = count_parts(pg_view_get(view, "port")), hosts = names ? names : addresses;
    if (hosts == 0)
        hosts = 1;
    if (addresses && addresses != hosts)
        error_set(err, ERROR_CONFIG, "source \"%s\": %zu hosts and %zu addresses do not match",
                  plan->name, hosts, addresses);
    else if (ports > 1 && ports != hosts)
        error_set(err, ERROR_CONFIG, "source \"%s\": %zu hosts and %zu ports do not match",
                  plan->name, hosts, ports);
    else
        return hosts;
    error_hint(err, addresses && addresses != hosts ? "give one `hostaddr` for each host"
                                                    : "give one port for all hosts, or one for "
                                                      "each");
    return 0;
}

/* Comma lists, each NULL once it is used up. */
struct host_lists {
    const char *names, *addresses, *ports;
};

/* The next host; an only port stays for all of them. */
static struct pg_host
take_host(struct pg_params *params, struct host_lists *lists, const struct pg_host *before)
{
    struct pg_host host = {.port = before ? before->port : "5432"};
    const char *port = lists->ports ? take_part(params, &lists->ports) : "";
    host.address = lists->addresses ? take_part(params, &lists->addresses) : "";
    host.name = lists->names ? take_part(params, &lists->names) : "";
    if (!*host.name)
        host.name = host.address;
    if (!*host.address)
        host.address = NULL;
    if (*port)
        host.port = port;
    return host;
}

static int
split_hosts(struct pg_params *params, const struct source_plan *plan, const struct pg_view *view,
            struct error *err)
{
    struct host_lists lists = {pg_view_get(view, "host"), pg_view_get(view, "hostaddr"),
                               pg_view_get(view, "port")};
    params->host_count = count_hosts(plan, view, err);
    params->hosts = arena_zero(&params->arena, params->host_count * sizeof *params->hosts);
    for (size_t i = 0; i < params->host_count; i++) {
        struct pg_host *host = &params->hosts[i];
        *host = take_host(params, &lists, i ? host - 1 : NULL);
        if (!*host->name)
            host->name = arena_text(&params->arena, view->default_host);
        if (port_is_valid(host->port))
            continue;
        error_set(err, ERROR_CONFIG, "source \"%s\": a port is not a number from 1 to 65535",
                  plan->name);
        return error_hint(err, "correct `port`, or the number behind the host in `url`");
    }
    return params->host_count ? 0 : -1;
}

static int64_t
timeout_of(const struct pg_params *params, const struct pg_options *options)
{
    int64_t seconds = strtoll(pg_params_get(params, "connect_timeout"), NULL, 10);
    int64_t timeout =
        seconds > 0 && seconds < 3600 ? seconds * CLOCK_SECOND : options->connect_timeout;
    return timeout > 0 ? timeout : 10 * CLOCK_SECOND;
}

static void
keep_view(struct pg_params *params, const struct pg_view *view)
{
    struct arena *arena = &params->arena;
    params->user = arena_text(arena, pg_view_get(view, "user"));
    params->database = arena_text(arena, pg_view_get(view, "dbname"));
    params->passfile = arena_text(arena, pg_view_get(view, "passfile"));
    if (!*params->passfile)
        params->passfile = pg_home_file(arena, ".pgpass");
    params->target = arena_text(arena, pg_view_get(view, "target_session_attrs"));
    if (!*params->database)
        params->database = params->user;
}

int
pg_params_build(struct pg_params *params, const struct source_plan *plan, enum pg_purpose purpose,
                struct error *err)
{
    const struct pg_options *options = plan->options;
    struct pg_view view;
    memset(params, 0, sizeof *params);
    arena_init(&params->arena, 0);
    if (set_from_url(params, plan, err) != 0)
        return -1;
    set_from_fields(params, options);
    if (pg_view_open(&view, params, plan, err) != 0)
        return -1;
    keep_view(params, &view);
    set_ours(params, &view, purpose);
    params->timeout = timeout_of(params, options);
    int result = split_hosts(params, plan, &view, err);
    if (result == 0)
        pg_tls_set(params, options, &view);
    pg_view_close(&view);
    return result;
}

void
pg_params_release(struct pg_params *params)
{
    arena_release(&params->arena);
}

bool
pg_host_is_socket(const struct pg_host *host)
{
    return !host->address && (host->name[0] == '/' || host->name[0] == '@');
}

static bool
is_loopback(const char *text)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, text, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, text, &six) != 1)
        return strcasecmp(text, "localhost") == 0;
    return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
}

/* By what was written, not by what a name server answers: that may be somebody else's word. */
bool
pg_host_is_local(const struct pg_host *host)
{
    return pg_host_is_socket(host) || is_loopback(host->address ? host->address : host->name);
}
