/* A session with the server. Everything that libpq can be told (several hosts, services, password
 * files, certificates, SCRAM, target_session_attrs) is left to libpq; this module only builds its
 * parameters from the source's options, makes TLS verified by default (design/operation.md §4),
 * passes the settings that make texts exact (design/sources.md §4), and turns what went wrong into
 * one clear error.
 *
 * Nothing here blocks for long while the source is being stopped: waits look at source_stopping ten
 * times a second. A session belongs to one thread. */
#ifndef SOURCE_POSTGRES_CONNECT_H
#define SOURCE_POSTGRES_CONNECT_H

#include <libpq-fe.h>
#include "source/postgres/postgres.h"

#define PG_OLDEST 140000 /* server_version_num of the oldest server that is supported */

struct pg_session {
    PGconn *conn; /* NULL: closed */
    const struct source_plan *plan;
    const struct source_context *source; /* asked whether to give up; NULL (commands): never */
    int version;                         /* server_version_num, 150018 for 15.18 */
    char state[6];                       /* SQLSTATE of the last failed statement, or "" */
    size_t host;                         /* which of the plan's hosts it is with */
};

enum pg_purpose {
    PG_SQL,         /* an ordinary session */
    PG_REPLICATION, /* replication=database: the simple protocol alone, and replication commands */
};

/* Connects, within connect_timeout a try; each address of each host is one. Only the system's
 * look-up of a name may take longer. Fails with UNREACHABLE (nothing there, or not yet; also when
 * the source is being stopped), DENIED (password, pg_hba.conf, certificate refused, no right to
 * replicate: with the statement or line that mends it), CONFIG (URL or option wrong, unknown
 * database, TLS not offered, certificate of the server not trusted, server older than 14), BUSY (no
 * connection or WAL sender left). Never
 * shows a password, whatever libpq says. `s` must be zero or closed. */
int pg_session_open(struct pg_session *s, const struct source_plan *plan,
                    const struct source_context *source, enum pg_purpose purpose,
                    struct error *err) must_check;
/* The same, PG_SQL, to the very host that `other` is with: of several only that one has the log
 * that is read. */
int pg_session_open_beside(struct pg_session *s, const struct pg_session *other,
                           struct error *err) must_check;
void pg_session_close(struct pg_session *s); /* safe on a closed one */

/* Waits up to 100 ms for `events` (POLLIN, POLLOUT) on the connection. False: the source is being
 * stopped. */
bool pg_session_wait(const struct pg_session *s, short events);

/* "host:port, database", for messages; without secrets. Works before and after connecting. Returns
 * `out`. */
char *pg_session_label(const struct source_plan *plan, char *out, size_t size);

/* What can be said of the options without a server: both `url` and `service` unreadable, a URL that
 * libpq refuses (its own words never show the URL: it may hold a password), a port that is no
 * number, a missing certificate file. ERROR_CONFIG. */
int pg_options_check(const struct source_plan *plan, struct error *err) must_check;

#endif
