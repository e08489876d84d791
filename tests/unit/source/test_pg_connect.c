/* What can be known of a connection without a server: parameters, TLS, labels, refused options, and
 * the words for each way in which connecting fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "source/postgres/connect_answer.h"
#include "source/postgres/connect_failure.h"
#include "source/postgres/query.h"

static char folder[256];

/* A file of the test's folder; the text stands until the next call of the same slot. */
static const char *
path_of(int slot, const char *name)
{
    static char paths[4][512];
    snprintf(paths[slot], sizeof paths[slot], "%s/%s", folder, name);
    return paths[slot];
}

static void
write_file(const char *name, const char *text, mode_t mode)
{
    const char *path = path_of(3, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    chmod(path, mode);
}

static const char *const environment[] = {
    "PGHOST",    "PGPORT",        "PGUSER",        "PGPASSWORD", "PGDATABASE", "PGSERVICE",
    "PGOPTIONS", "PGSSLROOTCERT", "PGSERVICEFILE", "PGSSLMODE",  "PGPASSFILE", "PGAPPNAME",
};

static int
setup(void **state)
{
    const char *base = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof folder, "%s/pg_connect.XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    for (size_t i = 0; i < countof(environment); i++)
        unsetenv(environment[i]);
    setenv("HOME", folder, 1);
    write_file("ca.pem", "", 0600);
    write_file("key.pem", "", 0600);
    write_file("pass", "*:*:*:*:x", 0600);
    write_file("loosepass", "*:*:*:*:x", 0644);
    write_file("services",
               "[shop]\nhost=db1.example,db2.example\nport=5433\ndbname=shop\nuser=tide\n"
               "sslmode=verify-ca\noptions=-c geqo=off\n[plain]\nhost=10.0.0.5\n",
               0600);
    setenv("PGSERVICEFILE", path_of(0, "services"), 1);
    return 0;
}

static int
teardown(void **state)
{
    static const char *const names[] = {"ca.pem", "key.pem", "pass", "loosepass", "services"};
    (void)state;
    for (size_t i = 0; i < countof(names); i++)
        unlink(path_of(0, names[i]));
    return rmdir(folder);
}

static struct source_plan
plan_of(struct pg_options *options)
{
    return (struct source_plan){.name = "shop", .options = options};
}

static void
build(struct pg_params *params, struct pg_options *options, enum pg_purpose purpose)
{
    struct source_plan plan = plan_of(options);
    struct error err = {0};
    if (pg_params_build(params, &plan, purpose, &err) != 0)
        fail_msg("%s: %s", err.message, err.cause);
}

/* The value of a parameter for these options, in static memory. */
static const char *
value_of(struct pg_options options, const char *keyword)
{
    static char value[512];
    struct pg_params params;
    build(&params, &options, PG_SQL);
    snprintf(value, sizeof value, "%s", pg_params_get(&params, keyword));
    pg_params_release(&params);
    return value;
}

static void
test_overlay(void **state)
{
    struct pg_options url = {.url = "postgresql://tide:s%40c@db:5433/shop?application_name=mine"};
    struct pg_options both = url;
    (void)state;
    assert_string_equal(value_of(url, "user"), "tide");
    assert_string_equal(value_of(url, "password"), "s@c");
    assert_string_equal(value_of(url, "dbname"), "shop");
    assert_string_equal(value_of(url, "application_name"), "mine");
    both.user = "other";
    both.database = "stock";
    both.target_session_attrs = "primary";
    assert_string_equal(value_of(both, "user"), "other");
    assert_string_equal(value_of(both, "dbname"), "stock");
    assert_string_equal(value_of(both, "password"), "s@c");
    assert_string_equal(value_of(both, "target_session_attrs"), "primary");
    struct pg_options words = {.url = "host=db user=tide password='a b' dbname=shop"};
    assert_string_equal(value_of(words, "password"), "a b");
}

static void
test_ours(void **state)
{
    struct pg_options plain = {.host = "db", .user = "u", .database = "d"};
    struct pg_options own = {.url = "host=db user=u dbname=d options='-c work_mem=8MB' "
                                    "replication=true client_encoding=LATIN1 gssencmode=require "
                                    "keepalives_idle=5"};
    struct pg_params params;
    (void)state;
    assert_non_null(strstr(value_of(plain, "options"), "-c TimeZone=UTC"));
    assert_non_null(strstr(value_of(plain, "options"), "-c lock_timeout=10s"));
    assert_string_equal(value_of(plain, "fallback_application_name"), "tidegate");
    assert_string_equal(value_of(plain, "gssencmode"), "disable");
    assert_string_equal(value_of(plain, "keepalives_idle"), "30");
    assert_string_equal(value_of(own, "gssencmode"), "require");
    assert_string_equal(value_of(own, "keepalives_idle"), "5");
    assert_string_equal(value_of(own, "client_encoding"), "UTF8");
    assert_string_equal(value_of(own, "replication"), "");
    assert_memory_equal(value_of(own, "options"), "-c work_mem=8MB -c DateStyle=ISO ", 33);
    build(&params, &own, PG_REPLICATION);
    assert_string_equal(pg_params_get(&params, "replication"), "database");
    assert_non_null(strstr(pg_params_get(&params, "options"), "-c bytea_output=hex"));
    assert_non_null(strstr(pg_params_get(&params, "options"), "-c lock_timeout=0"));
    pg_params_release(&params);
}

static const struct {
    struct pg_options options;
    const char *sslmode;
    bool weak;
} tls_examples[] = {
    {{.host = "localhost"}, "allow", false},
    {{.host = "127.0.0.1"}, "allow", false},
    {{.host = "127.9.9.9,::1,/run/postgresql"}, "allow", false},
    {{.host = "/run/postgresql"}, "allow", false},
    {{.host = "@abstract"}, "allow", false},
    {{.host = "::ffff:127.0.0.1"}, "allow", false},
    {{.host = NULL}, "allow", false},
    {{.host = "db.example"}, "verify-full", false},
    {{.host = "localhost.example"}, "verify-full", false},
    {{.host = "128.0.0.1"}, "verify-full", false},
    {{.host = "::2"}, "verify-full", false},
    {{.host = "localhost,db.example"}, "verify-full", false},
    {{.url = "host=localhost hostaddr=10.0.0.1"}, "verify-full", false},
    {{.url = "host=db.example hostaddr=127.0.0.1"}, "allow", false},
    {{.url = "postgresql://db.example/shop?sslmode=require"}, "require", true},
    {{.url = "postgresql://db.example/shop?sslmode=disable"}, "disable", true},
    {{.url = "postgresql://db.example/shop?sslmode=prefer"}, "prefer", true},
    {{.url = "postgresql://localhost/shop?sslmode=disable"}, "disable", false},
    {{.host = "localhost", .tls.mode = PG_TLS_FULL}, "verify-full", false},
    {{.host = "db.example", .tls.mode = PG_TLS_OFF}, "disable", true},
    {{.host = "db.example", .tls.mode = PG_TLS_UNVERIFIED}, "require", true},
    {{.host = "db.example", .tls.mode = PG_TLS_CA}, "verify-ca", true},
    {{.url = "postgresql://db.example/shop?sslmode=disable", .tls.mode = PG_TLS_FULL},
     "verify-full",
     false},
    {{.host = "localhost", .tls.ca = "/ca.pem"}, "verify-full", false},
    {{.service = "shop"}, "verify-ca", true},
    {{.service = "plain"}, "verify-full", false},
};

static void
test_tls(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(tls_examples); i++) {
        struct pg_options options = tls_examples[i].options;
        struct pg_params params;
        options.user = "u";
        build(&params, &options, PG_SQL);
        assert_string_equal(pg_params_get(&params, "sslmode"), tls_examples[i].sslmode);
        assert_int_equal(params.weak, tls_examples[i].weak);
        pg_params_release(&params);
    }
}

static void
test_trusted_certificates(void **state)
{
    struct pg_options remote = {.host = "db.example", .user = "u"}, own = remote;
    (void)state;
    own.tls.ca = "/our/ca.pem";
    assert_string_equal(value_of(own, "sslrootcert"), "/our/ca.pem");
    assert_string_not_equal(value_of(remote, "sslrootcert"), path_of(0, ".postgresql/root.crt"));
    mkdir(path_of(0, ".postgresql"), 0700);
    write_file(".postgresql/root.crt", "", 0600);
    assert_string_equal(value_of(remote, "sslrootcert"), path_of(0, ".postgresql/root.crt"));
    unlink(path_of(0, ".postgresql/root.crt"));
    rmdir(path_of(0, ".postgresql"));
}

static void
test_hosts(void **state)
{
    struct pg_options lists = {.host = "a,b,/sock", .port = "1,2,3", .user = "u"};
    struct pg_options one_port = {.host = "a,b", .port = "9", .user = "u"};
    struct pg_options addresses = {.url = "hostaddr=10.0.0.1,10.0.0.2 user=u"};
    struct pg_params params;
    (void)state;
    build(&params, &lists, PG_SQL);
    assert_int_equal(params.host_count, 3);
    assert_string_equal(params.hosts[1].name, "b");
    assert_string_equal(params.hosts[1].port, "2");
    assert_true(pg_host_is_socket(&params.hosts[2]));
    assert_string_equal(params.database, "u");
    pg_params_release(&params);
    build(&params, &one_port, PG_SQL);
    assert_string_equal(params.hosts[0].port, "9");
    assert_string_equal(params.hosts[1].port, "9");
    pg_params_release(&params);
    build(&params, &addresses, PG_SQL);
    assert_int_equal(params.host_count, 2);
    assert_string_equal(params.hosts[1].name, "10.0.0.2");
    assert_string_equal(params.hosts[1].address, "10.0.0.2");
    assert_string_equal(params.hosts[1].port, "5432");
    pg_params_release(&params);
}

static void
test_timeout(void **state)
{
    struct pg_options field = {.host = "a", .user = "u", .connect_timeout = 3 * CLOCK_SECOND};
    struct pg_options url = {.url = "host=a user=u connect_timeout=7",
                             .connect_timeout = 3 * CLOCK_SECOND};
    struct pg_params params;
    (void)state;
    build(&params, &field, PG_SQL);
    assert_int_equal(params.timeout, 3 * CLOCK_SECOND);
    pg_params_release(&params);
    build(&params, &url, PG_SQL);
    assert_int_equal(params.timeout, 7 * CLOCK_SECOND);
    pg_params_release(&params);
}

static void
test_service(void **state)
{
    struct pg_options service = {.service = "shop"}, over = {.service = "shop", .host = "here"};
    struct pg_params params;
    (void)state;
    build(&params, &service, PG_SQL);
    assert_int_equal(params.host_count, 2);
    assert_string_equal(params.hosts[1].name, "db2.example");
    assert_string_equal(params.hosts[1].port, "5433");
    assert_string_equal(params.user, "tide");
    assert_memory_equal(pg_params_get(&params, "options"), "-c geqo=off -c DateStyle", 24);
    pg_params_release(&params);
    build(&params, &over, PG_SQL);
    assert_int_equal(params.host_count, 1);
    assert_string_equal(params.hosts[0].name, "here");
    pg_params_release(&params);
}

static const struct {
    struct pg_options options;
    const char *label;
} labels[] = {
    {{.host = "db", .port = "5433", .user = "tide", .database = "shop"}, "db:5433, shop"},
    {{.host = "a,b", .user = "tide", .database = "shop"}, "a:5432 …, shop"},
    {{.url = "postgresql://tide:hush@db/shop"}, "db:5432, shop"},
    {{.url = "postgresql://tide:hush@db"}, "db:5432, tide"},
    {{.url = "postgresql://tide:hush@hush@db"}, "PostgreSQL"},
    {{.service = "shop"}, "db1.example:5433 …, shop"},
    {{.service = "none"}, "PostgreSQL"},
};

static void
test_labels(void **state)
{
    char label[256], tiny[8];
    (void)state;
    for (size_t i = 0; i < countof(labels); i++) {
        struct pg_options options = labels[i].options;
        struct source_plan plan = plan_of(&options);
        assert_string_equal(pg_session_label(&plan, label, sizeof label), labels[i].label);
        assert_int_equal(strlen(pg_session_label(&plan, tiny, sizeof tiny)), 7);
    }
}

/* "@" before a path stands for the test's folder. */
static const struct {
    struct pg_options options;
    const char *message, *told; /* what must stand in the message, and in cause or hint */
} refused[] = {
    {{.url = "postgresql://tide:hush@hush@db/shop"}, "`url` cannot be read: it holds an @", "%40"},
    {{.url = "postgresql://tide:hush/hush@db/shop"}, "`url` cannot be read: it holds an @", "%2F"},
    {{.url = "postgresql://tide:hu?sh@hush@db/shop"}, "`url` cannot be read: it holds an @", ""},
    {{.url = "postgresql://tide:hush%zz@db/shop"}, "two hexadecimal digits", "%25"},
    {{.url = "postgresql://tide:hush%00@db/shop"}, "holds %00", ""},
    {{.url = "postgresql://tide@db/shop?hush=hush"}, "behind the ? is unknown", ""},
    {{.url = "postgresql://tide@db/shop?hush"}, "behind the ? has no =", ""},
    {{.url = "postgresql://tide@db/shop?sslmode=a=hush"}, "behind the ? has two =", ""},
    {{.url = "postgresql://tide@[::1/hush"}, "] of an IPv6 address", ""},
    {{.url = "postgresql://tide@[]/hush"}, "IPv6 address is empty", ""},
    {{.url = "postgresql://tide@[::1]hush/x"}, "between the ]", ""},
    {{.url = "mysql://tide:hush@db/shop"}, "neither a URL", "postgresql://"},
    {{.url = "hush"}, "neither a URL", ""},
    {{.url = "host=db password='hush"}, "a quote in it is not closed", ""},
    {{.url = "host=db password=x hush=1"}, "a key in it is unknown", ""},
    {{.url = "postgresql://tide:x@db:hush/shop"}, "a port is not a number", ""},
    {{.host = "db", .port = "0"}, "a port is not a number", ""},
    {{.host = "db", .port = "65536"}, "a port is not a number", ""},
    {{.host = "db", .port = "54 32"}, "a port is not a number", ""},
    {{.host = "a,b", .port = "1,2,3"}, "2 hosts and 3 ports", ""},
    {{.url = "host=a,b hostaddr=10.0.0.1"}, "2 hosts and 1 addresses", ""},
    {{.service = "none"}, "the service \"none\" cannot be read", "pg_service.conf"},
    {{.url = "postgresql://db/shop?sslmode=loud"}, "does not take an option", "loud"},
    {{.host = "db", .target_session_attrs = "master"}, "cannot be \"master\"", "primary"},
    {{.host = "db", .tls.ca = "@/nix.pem"}, "cannot read", "tls.ca"},
    {{.host = "db", .tls.cert = "@/nix.pem"}, "cannot read", "tls.cert"},
    {{.host = "db", .tls = {.cert = "@/ca.pem", .key = "@/nix.pem"}}, "cannot read", "tls.key"},
    {{.host = "db", .tls.crl = "@/nix.pem"}, "cannot read", "tls.crl"},
    {{.host = "db", .tls.key = "@/key.pem"}, "tls.key needs tls.cert", ""},
    {{.host = "db", .tls = {.mode = PG_TLS_OFF, .ca = "@/ca.pem"}}, "\"off\" has no use", ""},
    {{.host = "db", .tls = {.mode = PG_TLS_UNVERIFIED, .ca = "@/ca.pem"}}, "\"unverified\"", ""},
    {{.host = "db", .passfile = "@/nix"}, "cannot read", "passfile"},
    {{.host = "db", .passfile = "@/loosepass"}, "others may read the password file", "chmod 600"},
};

static void
resolve(const char **path, int slot)
{
    if (*path && **path == '@')
        *path = path_of(slot, *path + 2);
}

static void
test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(refused); i++) {
        struct pg_options options = refused[i].options;
        struct source_plan plan = plan_of(&options);
        struct error err = {0};
        char told[2048];
        resolve(&options.tls.ca, 0);
        resolve(&options.tls.cert, 0);
        resolve(&options.tls.crl, 0);
        resolve(&options.tls.key, 1);
        resolve(&options.passfile, 0);
        assert_int_equal(pg_options_check(&plan, &err), -1);
        assert_int_equal(err.class, ERROR_CONFIG);
        if (!strstr(err.message, refused[i].message))
            fail_msg("%s, not %s", err.message, refused[i].message);
        error_text(&err, told, sizeof told);
        assert_non_null(strstr(told, refused[i].told));
        assert_null(strstr(told, "hush"));
    }
}

static void
test_accepted(void **state)
{
    struct pg_options good[] = {
        {.host = "db"},
        {.url = "postgresql://tide:hu%40sh@[::1]:5433/shop?sslmode=verify-full"},
        {.host = "a,b", .port = "1,2", .tls = {.mode = PG_TLS_FULL, .ca = path_of(0, "ca.pem")}},
        {.tls = {.cert = path_of(0, "ca.pem"), .key = path_of(1, "key.pem")}},
        {.passfile = path_of(2, "pass"), .target_session_attrs = "prefer-standby"},
        {.service = "shop"},
        {.url = "postgresql://tide:hush?ing@db/shop"},
        {.url = "postgresql:///shop?host=/run/postgresql"},
    };
    (void)state;
    for (size_t i = 0; i < countof(good); i++) {
        struct source_plan plan = plan_of(&good[i]);
        struct error err = {0};
        if (pg_options_check(&plan, &err) != 0)
            fail_msg("%zu: %s", i, err.message);
    }
}

static const struct {
    const char *text, *state, *words, *routine;
} answers[] = {
    {"connection to server at \"127.0.0.1\", port 1 failed: FATAL:  28P01: password authentication "
     "failed for user \"x\"\nLOCATION:  auth_failed, auth.c:334\n",
     "28P01", "password authentication failed for user \"x\"", "auth_failed"},
    {"connection to server at \"::1\", port 1 failed: ВАЖНО:  42501: нет\nDETAIL:  вот\nHINT:  "
     "x\nLOCATION:  CheckMyDatabase, postinit.c:363\n",
     "42501", "нет: вот", "CheckMyDatabase"},
    {"connection to server at \"h\", port 1 failed: Connection refused\n\tIs the server running?\n",
     "", "Connection refused", ""},
    {"connection to server on socket \"/x\" failed: FATAL:  57P03: starting\n", "57P03", "starting",
     ""},
    {"invalid sslmode value: \"x\"\n", "", "invalid sslmode value: \"x\"", ""},
    {"a:  28P0: no\n", "", "a:  28P0: no", ""},
    {"a:  28p01: no\n", "", "a:  28p01: no", ""},
    {"FATAL:  28000", "", "FATAL:  28000", ""},
    {"", "", "", ""},
    {"x failed: FATAL:  28000: no pg_hba.conf entry a\nLOCATION:  ClientAuthentication, a.c:1\nx "
     "failed: FATAL:  28P01: password\nLOCATION:  auth_failed, a.c:2\n",
     "28P01", "password", "auth_failed"},
    {"x failed: FATAL:  28P01: password\nLOCATION:  auth_failed, a.c:2\nx failed: FATAL:  28000: "
     "no "
     "pg_hba.conf entry a\nLOCATION:  ClientAuthentication, a.c:1\n",
     "28P01", "password", "auth_failed"},
};

static void
test_answers(void **state)
{
    struct pg_answer answer;
    (void)state;
    for (size_t i = 0; i < countof(answers); i++) {
        pg_answer_read(answers[i].text, &answer);
        assert_string_equal(answer.state, answers[i].state);
        assert_string_equal(answer.words, answers[i].words);
        assert_string_equal(answer.routine, answers[i].routine);
    }
}

static void
test_long_answer(void **state)
{
    char text[4096];
    struct pg_answer answer;
    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    memcpy(text, "FATAL:  57P01: ", 15);
    memcpy(text + 2000, "\nDETAIL:  ", 10);
    memcpy(text + 3000, "\nLOCATION:  ", 12);
    pg_answer_read(text, &answer);
    assert_string_equal(answer.state, "57P01");
    assert_int_equal(strlen(answer.words), sizeof answer.words - 1);
    assert_int_equal(strlen(answer.routine), sizeof answer.routine - 1);
}

static void
test_addresses(void **state)
{
    static const struct {
        const char *words, *address;
    } examples[] = {
        {"no pg_hba.conf entry for host \"10.1.2.3\", user \"abc\", database \"d\", no encryption",
         "10.1.2.3/32"},
        {"нет записи: «fe80::1»", "fe80::1/128"},
        {"database \"1.2.3\" from 300.1.1.1", NULL},
        {"", NULL},
    };
    char address[64];
    (void)state;
    for (size_t i = 0; i < countof(examples); i++) {
        struct pg_answer answer = {0};
        snprintf(answer.words, sizeof answer.words, "%s", examples[i].words);
        assert_int_equal(pg_answer_address(&answer, address, sizeof address),
                         examples[i].address != NULL);
        if (examples[i].address)
            assert_string_equal(address, examples[i].address);
    }
}

#define AT "connection to server at \"10.0.0.1\", port 5432 failed: "

static const struct {
    const char *text;
    enum error_class class;
    const char *message, *hint; /* what must stand in them */
} failures[] = {
    {AT "FATAL:  28P01: no\n", ERROR_DENIED, "refused the password of role \"ti\"\"de\"",
     "`password`"},
    {AT "FATAL:  28000: no pg_hba.conf entry for host \"10.9.8.7\", user \"x\"\nLOCATION:  "
        "ClientAuthentication, auth.c:1\n",
     ERROR_DENIED, "pg_hba.conf of db:5433 does not let",
     "hostssl \"shop\" \"ti\"\"de\" 10.9.8.7/32 scram-sha-256"},
    {AT "FATAL:  28000: connection requires a valid client certificate\nLOCATION:  "
        "ClientAuthentication, auth.c:1\n",
     ERROR_DENIED, "demands a client certificate", "cert ="},
    {AT "FATAL:  28000: role \"x\" does not exist\nLOCATION:  InitializeSessionUserId, m.c:1\n",
     ERROR_DENIED, "role \"ti\"\"de\" does not exist",
     "CREATE ROLE \"ti\"\"de\" LOGIN REPLICATION"},
    {AT "FATAL:  28000: role \"x\" is not permitted to log in\n", ERROR_DENIED, "may not log in",
     "ALTER ROLE \"ti\"\"de\" LOGIN;"},
    {AT "FATAL:  28000: peer\nLOCATION:  auth_failed, auth.c:1\n", ERROR_DENIED,
     "does not let role", "pg_hba.conf"},
    {AT "FATAL:  3D000: no\n", ERROR_CONFIG, "database \"shop\" does not exist",
     "CREATE DATABASE \"shop\""},
    {AT "FATAL:  42501: no\nLOCATION:  InitPostgres, p.c:1\n", ERROR_DENIED, "may not replicate",
     "ALTER ROLE \"ti\"\"de\" REPLICATION;"},
    {AT "FATAL:  42501: no\nLOCATION:  CheckMyDatabase, p.c:1\n", ERROR_DENIED, "may not connect",
     "GRANT CONNECT ON DATABASE \"shop\" TO \"ti\"\"de\";"},
    {AT "FATAL:  42501: no\nLOCATION:  set_config_option, g.c:1\n", ERROR_DENIED,
     "refused a setting", "options"},
    {AT "FATAL:  42704: no\n", ERROR_CONFIG, "does not know a setting", "options"},
    {AT "FATAL:  53300: number exceeds max_wal_senders (currently 2)\n", ERROR_BUSY,
     "no WAL sender left", "ALTER SYSTEM SET max_wal_senders"},
    {AT "FATAL:  53300: sorry, too many clients already\n", ERROR_BUSY, "no connection left",
     "max_connections"},
    {AT "FATAL:  53300: no\nLOCATION:  InitializeSessionUserId, m.c:1\n", ERROR_BUSY,
     "used up its connections", "ALTER ROLE \"ti\"\"de\" CONNECTION LIMIT"},
    {AT "FATAL:  53300: no\nLOCATION:  CheckMyDatabase, m.c:1\n", ERROR_BUSY,
     "used up its connections", "ALTER DATABASE \"shop\" CONNECTION LIMIT"},
    {AT "FATAL:  55000: no\nLOCATION:  CheckMyDatabase, m.c:1\n", ERROR_CONFIG,
     "takes no connections", "ALLOW_CONNECTIONS"},
    {AT "FATAL:  57P03: the database system is starting up\n", ERROR_UNREACHABLE,
     "takes no connections now", "starting up"},
    {AT "FATAL:  57P01: bye\n", ERROR_UNREACHABLE, "ended the connection", "log"},
    {AT "FATAL:  08P01: unsupported startup parameter: options\n", ERROR_CONFIG, "is a pooler",
     "PgBouncer"},
    {AT "FATAL:  0A000: unsupported frontend protocol 3.0\n", ERROR_CONFIG,
     "older than PostgreSQL 14", "upgrade"},
    {AT "FATAL:  XX000: odd\n", ERROR_IO, "cannot connect to db:5433", ""},
    {AT "fe_sendauth: no password supplied\n", ERROR_DENIED, "wants a password", ".pgpass"},
    {AT "Connection refused\n\tIs", ERROR_UNREACHABLE, "nothing listens at db:5433",
     "listen_addresses"},
    {AT "No route to host\n", ERROR_UNREACHABLE, "no way to db:5433", "network"},
    {AT "Network is unreachable\n", ERROR_UNREACHABLE, "no way to db:5433", "network"},
    {AT "Connection timed out\n", ERROR_UNREACHABLE, "did not answer", "firewall"},
    {AT "server does not support SSL, but SSL was required\n", ERROR_CONFIG, "offers no TLS",
     "ALTER SYSTEM SET ssl = on"},
    {AT "SSL error: certificate verify failed\n", ERROR_CONFIG, "is not trusted", "tls = { ca"},
    {AT "server certificate for \"a\" does not match host name \"b\"\n", ERROR_CONFIG,
     "for another name", "`host`"},
    {AT "private key file \"k\" has group or world access; x\n", ERROR_CONFIG,
     "others may read the key", "chmod 600"},
    {AT "could not load private key file \"k\": bad\n", ERROR_CONFIG, "key of the client", "cert"},
    {AT "could not read certificate file \"c\": bad\n", ERROR_CONFIG, "cannot be read", "cert"},
    {AT "SSL error: tlsv1 alert unknown ca\n", ERROR_DENIED, "does not take the client certificate",
     "ssl_ca_file"},
    {AT "server is in hot standby mode\n", ERROR_UNREACHABLE, "target_session_attrs", "host"},
    {AT "session is read-only\n", ERROR_UNREACHABLE, "target_session_attrs", "host"},
    {AT "received invalid response to SSL negotiation: H\n", ERROR_CONFIG,
     "is not a PostgreSQL server", "port"},
    {AT "server closed the connection unexpectedly\n", ERROR_UNREACHABLE, "before login", "log"},
    {AT "something new\n", ERROR_UNREACHABLE, "cannot connect to db:5433", ""},
    {"", ERROR_UNREACHABLE, "cannot connect to db:5433", ""},
};

static void
test_failures(void **state)
{
    struct pg_options options = {
        .host = "db", .port = "5433", .user = "ti\"de", .password = "hush", .database = "shop"};
    struct source_plan plan = plan_of(&options);
    struct pg_params params;
    (void)state;
    build(&params, &options, PG_REPLICATION);
    struct pg_try try = {.plan = &plan, .params = &params, .host = &params.hosts[0]};
    for (size_t i = 0; i < countof(failures); i++) {
        struct error err = {0};
        assert_int_equal(pg_connect_failed(&try, failures[i].text, &err), -1);
        if (!strstr(err.message, failures[i].message))
            fail_msg("%s, not %s", err.message, failures[i].message);
        if (!strstr(err.hint, failures[i].hint))
            fail_msg("%s: %s, not %s", err.message, err.hint, failures[i].hint);
        if (err.class != failures[i].class)
            fail_msg("%s is %s", err.message, error_class_name(err.class));
        assert_null(strstr(err.hint, "{"
                                     "where}"));
        assert_true(strlen(err.hint) < sizeof err.hint - 4);
        assert_null(strstr(err.message, "hush"));
    }
    pg_params_release(&params);
}

static void
test_socket_failures(void **state)
{
    struct pg_options options = {.host = "/run/pg", .user = "u", .database = "d"};
    struct source_plan plan = plan_of(&options);
    struct pg_params params;
    struct error err = {0};
    (void)state;
    build(&params, &options, PG_SQL);
    struct pg_try try = {.plan = &plan, .params = &params, .host = &params.hosts[0]};
    pg_connect_failed(
        &try, "connection to server on socket \"x\" failed: No such file or directory\n", &err);
    assert_non_null(strstr(err.message, "nothing listens at /run/pg/.s.PGSQL.5432"));
    pg_connect_failed(&try, "x failed: FATAL:  28000: no pg_hba.conf entry for host \"[local]\"\n",
                      &err);
    assert_non_null(strstr(err.hint, "  local \"d\" \"u\" scram-sha-256  "));
    pg_params_release(&params);
}

static const struct {
    const char *state;
    enum error_class class;
} states[] = {
    {"", ERROR_UNREACHABLE},      {"08006", ERROR_UNREACHABLE}, {"57P01", ERROR_UNREACHABLE},
    {"57P05", ERROR_UNREACHABLE}, {"57014", ERROR_BUSY},        {"57000", ERROR_IO},
    {"28P01", ERROR_DENIED},      {"42501", ERROR_DENIED},      {"53300", ERROR_BUSY},
    {"55006", ERROR_BUSY},        {"55P03", ERROR_BUSY},        {"3D000", ERROR_CONFIG},
    {"42P01", ERROR_CONFIG},      {"42704", ERROR_CONFIG},      {"53100", ERROR_FULL},
    {"58P01", ERROR_IO},          {"XX000", ERROR_IO},          {"55000", ERROR_IO},
    {"P0001", ERROR_IO},          {"0A000", ERROR_IO},
};

static void
test_states(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(states); i++)
        assert_int_equal(pg_state_class(states[i].state), states[i].class);
}

static void
test_lsn(void **state)
{
    static const char *const bad[] = {"",      "1",     "/",    "1/",          "/1",
                                      "1/2/3", "x/1",   "1/g",  " 1/2",        "1/2 ",
                                      "-1/2",  "0x1/2", "1/ 2", "123456789/1", "1/123456789"};
    static const struct {
        const char *text;
        uint64_t lsn;
    } good[] = {{"0/0", 0},
                {"0/1", 1},
                {"16/B374D848", UINT64_C(0x16B374D848)},
                {"16/b374d848", UINT64_C(0x16B374D848)},
                {"FFFFFFFF/FFFFFFFF", UINT64_MAX}};
    char text[PG_LSN_TEXT];
    uint64_t lsn;
    (void)state;
    for (size_t i = 0; i < countof(bad); i++)
        assert_int_equal(pg_lsn_parse(bad[i], &lsn), -1);
    for (size_t i = 0; i < countof(good); i++) {
        assert_int_equal(pg_lsn_parse(good[i].text, &lsn), 0);
        assert_true(lsn == good[i].lsn);
        if (i != 3)
            assert_string_equal(pg_lsn_format(lsn, text), good[i].text);
    }
}

static void
test_fields(void **state)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc columns[] = {{.name = "n"}, {.name = "yes"}, {.name = "none"}};
    (void)state;
    assert_true(PQsetResultAttrs(result, 3, columns));
    assert_true(PQsetvalue(result, 0, 0, "-42", 3));
    assert_true(PQsetvalue(result, 0, 1, "t", 1));
    assert_true(PQsetvalue(result, 0, 2, NULL, -1));
    assert_int_equal(pg_int(result, 0, "n"), -42);
    assert_string_equal(pg_text(result, 0, "n"), "-42");
    assert_true(pg_bool(result, 0, "yes"));
    assert_false(pg_is_null(result, 0, "yes"));
    assert_true(pg_is_null(result, 0, "none"));
    assert_string_equal(pg_text(result, 0, "none"), "");
    assert_int_equal(pg_int(result, 0, "none"), 0);
    assert_false(pg_bool(result, 0, "none"));
    assert_string_equal(pg_text(result, 0, "missing"), "");
    assert_true(pg_is_null(result, 0, "missing"));
    assert_string_equal(pg_text(result, 1, "n"), "");
    assert_string_equal(pg_query_state(NULL), "");
    PQclear(result);
}

/* Nobody listens on port 1 of this machine. */
static void
test_unreachable(void **state)
{
    struct pg_options options = {
        .host = "127.0.0.1,/nowhere", .port = "1", .user = "u", .connect_timeout = CLOCK_SECOND};
    struct source_plan plan = plan_of(&options);
    struct pg_session s = {0};
    struct error err = {0};
    (void)state;
    assert_int_equal(pg_session_open(&s, &plan, NULL, PG_SQL, &err), -1);
    assert_int_equal(err.class, ERROR_UNREACHABLE);
    assert_string_equal(err.message,
                        "source \"shop\": no host can be used: nothing listens at 127.0.0.1:1; "
                        "nothing listens at /nowhere/.s.PGSQL.1");
    assert_null(s.conn);
    assert_null(pg_query(&s, "look", "SELECT 1", &err));
    assert_int_equal(err.class, ERROR_UNREACHABLE);
    pg_session_close(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlay),
        cmocka_unit_test(test_ours),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_trusted_certificates),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_service),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_long_answer),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_socket_failures),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_lsn),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_unreachable),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
