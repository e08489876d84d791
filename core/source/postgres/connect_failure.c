#include "source/postgres/connect_failure.h"
#include <stdio.h>
#include <sys/stat.h>
#include "source/postgres/connect_answer.h"
#include "source/postgres/query.h"
#include "source/postgres/quote.h"

/* The first row that fits. `state` is the server's, "" for libpq's own words; `routine` of the
 * server and `words` must be as said, where they are. In the texts stand for the try: {where} host
 * and port, {role} and {database} quoted, {hba} the line that pg_hba.conf lacks, {pass} the
 * password file. */
static const struct rule {
    const char *state, *routine, *words;
    enum error_class class;
    const char *message, *hint;
} rules[] = {
    {"28P01", NULL, NULL, ERROR_DENIED, "{where} refused the password of role {role}",
     "correct `user` and `password` (without `password`: the line in {pass}); the server says the "
     "same of a role that does not exist; ALTER ROLE {role} PASSWORD '…'; sets another"},
    {"28000", NULL, "pg_hba.conf", ERROR_DENIED,
     "pg_hba.conf of {where} does not let role {role} in from here",
     "add the line  {hba}  to the server's pg_hba.conf, above any that rejects, then SELECT "
     "pg_reload_conf();"},
    {"28000", "ClientAuthentication", NULL, ERROR_DENIED,
     "{where} demands a client certificate for role {role}",
     "give one that the server's ssl_ca_file has signed: tls = { cert = \"…\", key = \"…\" }"},
    {"28000", NULL, "permitted to log in", ERROR_DENIED, "role {role} may not log in at {where}",
     "ALTER ROLE {role} LOGIN;"},
    {"28000", "InitializeSessionUserId", NULL, ERROR_DENIED,
     "role {role} does not exist at {where}, or may not log in",
     "correct `user`, or CREATE ROLE {role} LOGIN REPLICATION PASSWORD '…';"},
    {"28", NULL, NULL, ERROR_DENIED, "{where} does not let role {role} in",
     "see the server's log for the line of pg_hba.conf that decided; a line for a password is  "
     "{hba}"},
    {"3D000", NULL, NULL, ERROR_CONFIG, "the database {database} does not exist at {where}",
     "correct `database`, or CREATE DATABASE {database};"},
    {"42501", "CheckMyDatabase", NULL, ERROR_DENIED,
     "role {role} may not connect to the database {database} at {where}",
     "GRANT CONNECT ON DATABASE {database} TO {role};"},
    {"42501", "InitPostgres", NULL, ERROR_DENIED, "role {role} may not replicate from {where}",
     "ALTER ROLE {role} REPLICATION;"},
    {"42501", NULL, NULL, ERROR_DENIED, "{where} refused a setting to role {role}",
     "take it out of `options` (URL, service or PGOPTIONS)"},
    {"42704", NULL, NULL, ERROR_CONFIG, "{where} does not know a setting",
     "take it out of `options` (URL, service or PGOPTIONS)"},
    {"22023", NULL, NULL, ERROR_CONFIG, "{where} refused the value of a setting",
     "correct it in `options` (URL, service or PGOPTIONS)"},
    {"08P01", NULL, "startup parameter", ERROR_CONFIG,
     "{where} is a pooler that takes no `options`",
     "name the server itself in `host` and `port`: poolers such as PgBouncer carry no replication"},
    {"53300", NULL, "max_wal_senders", ERROR_BUSY, "{where} has no WAL sender left",
     "end one that SELECT * FROM pg_stat_replication; shows, or ALTER SYSTEM SET max_wal_senders "
     "= 20; and restart the server"},
    {"53300", "InitializeSessionUserId", NULL, ERROR_BUSY,
     "role {role} has used up its connections at {where}",
     "ALTER ROLE {role} CONNECTION LIMIT -1;"},
    {"53300", "CheckMyDatabase", NULL, ERROR_BUSY,
     "the database {database} at {where} has used up its connections",
     "ALTER DATABASE {database} CONNECTION LIMIT -1;"},
    {"53300", NULL, NULL, ERROR_BUSY, "{where} has no connection left",
     "close some that SELECT * FROM pg_stat_activity; shows, or raise max_connections and restart "
     "the server"},
    {"55000", "CheckMyDatabase", NULL, ERROR_CONFIG,
     "the database {database} at {where} takes no connections",
     "ALTER DATABASE {database} ALLOW_CONNECTIONS true;"},
    {"57P03", NULL, NULL, ERROR_UNREACHABLE, "{where} takes no connections now",
     "the server is starting up, shutting down or recovering: its log says how far it is"},
    {"57P", NULL, NULL, ERROR_UNREACHABLE, "{where} ended the connection", "see the server's log"},
    {"0A000", NULL, "protocol", ERROR_CONFIG, "{where} is older than PostgreSQL 14",
     "upgrade the server"},

    {"", NULL, "no password supplied", ERROR_DENIED,
     "{where} wants a password of role {role}, and none is given",
     "set `password = \"…\"` or `password = env(\"…\")`, or put a line "
     "HOST:PORT:DATABASE:ROLE:PASSWORD into {pass}"},
    {"", NULL, "Connection refused", ERROR_UNREACHABLE, "nothing listens at {where}",
     "start the server, or correct `host` and `port`; to be reached from another machine its "
     "listen_addresses must name more than localhost"},
    {"", NULL, "No such file or directory", ERROR_UNREACHABLE, "nothing listens at {where}",
     "start the server, or correct `host` and `port`: SHOW unix_socket_directories; there says "
     "where its socket is"},
    {"", NULL, "Permission denied", ERROR_DENIED, "{where} may not be opened by this user",
     "SHOW unix_socket_permissions; on the server, and the rights of the folder, decide"},
    {"", NULL, "No route to host", ERROR_UNREACHABLE, "there is no way to {where}",
     "check `host`, the network of this machine, and firewalls"},
    {"", NULL, "unreachable", ERROR_UNREACHABLE, "there is no way to {where}",
     "check `host`, the network of this machine, and firewalls"},
    {"", NULL, "timed out", ERROR_UNREACHABLE, "{where} did not answer",
     "check `host` and `port`, and whether a firewall stands between"},
    {"", NULL, "does not support SSL", ERROR_CONFIG, "{where} offers no TLS",
     "give the server a certificate and ALTER SYSTEM SET ssl = on; or, where nobody can listen, "
     "tls = { mode = \"off\" }"},
    {"", NULL, "certificate verify failed", ERROR_CONFIG,
     "the certificate of {where} is not trusted",
     "name the certificate of the authority that signed it, or the server's own if it signed "
     "itself: tls = { ca = \"…\" }; until now {root} decides"},
    {"", NULL, "does not match host name", ERROR_CONFIG,
     "the certificate of {where} is for another name",
     "set `host` to a name in the certificate, or have one made for this name; tls = { mode = "
     "\"ca\" } takes any name that the authority signed"},
    {"", NULL, "root certificate file", ERROR_CONFIG,
     "the certificates to trust for {where} cannot be read", "correct tls = { ca = \"…\" }"},
    {"", NULL, "group or world access", ERROR_CONFIG, "others may read the key for {where}",
     "chmod 600 the file of tls = { key = \"…\" }"},
    {"", NULL, "private key", ERROR_CONFIG, "the key of the client certificate for {where} fails",
     "tls = { cert = \"…\", key = \"…\" } must belong together; a key with a passphrase needs "
     "sslpassword in the URL"},
    {"", NULL, "certificate file", ERROR_CONFIG, "a certificate for {where} cannot be read",
     "correct tls = { cert = \"…\" }"},
    {"", NULL, "alert", ERROR_DENIED, "{where} does not take the client certificate, or its TLS",
     "the certificate of tls = { cert = \"…\" } must be signed by an authority in the server's "
     "ssl_ca_file and be valid today; see the server's log"},
    {"", NULL, "hot standby mode", ERROR_UNREACHABLE,
     "{where} is not what `target_session_attrs` wants",
     "name all servers in `host`, or correct `target_session_attrs`"},
    {"", NULL, "read-", ERROR_UNREACHABLE, "{where} is not what `target_session_attrs` wants",
     "name all servers in `host`, or correct `target_session_attrs`"},
    {"", NULL, "response to SSL negotiation", ERROR_CONFIG, "{where} is not a PostgreSQL server",
     "correct `host` and `port`"},
    {"", NULL, "expected authentication request", ERROR_CONFIG,
     "{where} is not a PostgreSQL server", "correct `host` and `port`"},
    {"", NULL, "channel binding", ERROR_CONFIG, "{where} cannot bind the password to TLS",
     "channel_binding=require needs TLS and a SCRAM password"},
    {"", NULL, "authentication", ERROR_CONFIG,
     "{where} wants a way of proving who {role} is that libpq does not have here",
     "choose another method in the server's pg_hba.conf:  {hba}"},
    {"", NULL, "invalid", ERROR_CONFIG, "libpq does not take an option for {where}",
     "correct the URL, the service, or the environment of Tidegate"},
    {"", NULL, "closed the connection", ERROR_UNREACHABLE,
     "{where} ended the connection before login", "see the server's log; is it PostgreSQL?"},
};

static bool
fits(const struct rule *rule, const struct pg_answer *answer)
{
    size_t size = strlen(rule->state);
    bool state = size ? strncmp(answer->state, rule->state, size) == 0 : !*answer->state;
    return state && (!rule->routine || strcmp(answer->routine, rule->routine) == 0) &&
           (!rule->words || strstr(answer->words, rule->words));
}

static void
put_where(struct buffer *out, const struct pg_try *try, const struct pg_answer *answer)
{
    const struct pg_host *host = try->host;
    (void)answer;
    buffer_printf(out, pg_host_is_socket(host) ? "%s/.s.PGSQL.%s" : "%s:%s", host->name,
                  host->port);
}

static void
put_role(struct buffer *out, const struct pg_try *try, const struct pg_answer *answer)
{
    (void)answer;
    pg_quote_name(out, slice_of(try->params->user));
}

static void
put_database(struct buffer *out, const struct pg_try *try, const struct pg_answer *answer)
{
    (void)answer;
    pg_quote_name(out, slice_of(try->params->database));
}

/* A logical replication connection is found by the database's own lines, not by "replication". */
static void
put_hba(struct buffer *out, const struct pg_try *try, const struct pg_answer *answer)
{
    char address[64] = "ADDRESS/32";
    const char *mode = try->params->sslmode;
    bool encrypted = strcmp(mode, "require") == 0 || strncmp(mode, "verify-", 7) == 0;
    bool socket = pg_host_is_socket(try->host);
    buffer_text(out, socket ? "local " : encrypted ? "hostssl " : "host ");
    put_database(out, try, answer);
    buffer_byte(out, ' ');
    put_role(out, try, answer);
    (void)pg_answer_address(answer, address, sizeof address);
    if (!socket)
        buffer_printf(out, " %s", address);
    buffer_text(out, " scram-sha-256");
}

/* libpq leaves out a password file that others may read. */
static void
put_pass(struct buffer *out, const struct pg_try *try, const struct pg_answer *answer)
{
    struct stat info;
    const char *path = try->params->passfile;
    (void)answer;
    buffer_text(out, path ? path : "~/.pgpass");
    if (path && stat(path, &info) == 0 && info.st_mode & (S_IRWXG | S_IRWXO))
        buffer_text(out, " (which is not read now, since others may read it: chmod 600)");
}

static void
put_root(struct buffer *out, const struct pg_try *try, const struct pg_answer *answer)
{
    const char *root = pg_params_get(try->params, "sslrootcert");
    (void)answer;
    buffer_text(out, *root ? root : "no file");
}

static const struct {
    const char *name;
    void (*put)(struct buffer *out, const struct pg_try *try, const struct pg_answer *answer);
} places[] = {
    {"{where}", put_where}, {"{role}", put_role}, {"{database}", put_database},
    {"{hba}", put_hba},     {"{pass}", put_pass}, {"{root}", put_root},
};

static void
fill(struct buffer *out, const char *template, const struct pg_try *try,
     const struct pg_answer *answer)
{
    while (*template) {
        size_t size = 0;
        for (size_t i = 0; !size && i < countof(places); i++) {
            if (strncmp(template, places[i].name, strlen(places[i].name)) != 0)
                continue;
            places[i].put(out, try, answer);
            size = strlen(places[i].name);
        }
        if (!size)
            buffer_byte(out, (uint8_t) * template);
        template += size ? size : 1;
    }
}

int
pg_connect_failed(const struct pg_try *try, const char *text, struct error *err)
{
    struct pg_answer answer;
    struct buffer message, hint;
    struct rule rule = {.message = "cannot connect to {where}", .hint = ""};
    pg_answer_read(text, &answer);
    rule.class = pg_state_class(answer.state);
    for (size_t i = countof(rules); i-- > 0;)
        if (fits(&rules[i], &answer))
            rule = rules[i];
    buffer_init(&message, 4096);
    buffer_init(&hint, 4096);
    fill(&message, rule.message, try, &answer);
    fill(&hint, rule.hint, try, &answer);
    error_set(err, rule.class, "source \"%s\": %s", try->plan->name, buffer_cstring(&message));
    error_cause(err, "%s", answer.words);
    error_hint(err, "%s", buffer_cstring(&hint));
    buffer_release(&message);
    buffer_release(&hint);
    return -1;
}
