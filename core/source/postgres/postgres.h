/* PostgreSQL as a source: logical decoding by the server's own plugin pgoutput, over libpq. What
 * the server really does, and so what all of this rests on: design/sources.md §4.
 *
 *   connect…, query, quote          a session with the server, through libpq's own options
 *   catalog, publication, slot      what must exist before anything is read, and what proves
 *                                   continuity; ddl_trigger by option
 *   stream                          the copy-both stream: messages in, status out
 *   pgoutput, type, value           bytes to messages, texts to cells
 *   position                        where reading stands, as it stands in the journal
 *   relation, transaction, statement  messages to events, each with its place in the log
 *   watch, visible                  looks at the catalog while the stream goes on
 *   check, installed                the commands that work on the database */
#ifndef SOURCE_POSTGRES_POSTGRES_H
#define SOURCE_POSTGRES_POSTGRES_H

#include "source/source_driver.h"

enum pg_tls_mode { PG_TLS_DEFAULT, PG_TLS_OFF, PG_TLS_UNVERIFIED, PG_TLS_CA, PG_TLS_FULL };
enum pg_ddl { PG_DDL_RELATION, PG_DDL_TRIGGER };

struct pg_tls {
    int mode; /* enum pg_tls_mode */
    const char *ca, *cert, *key, *crl;
};

/* Filled from the rows in postgres.c. Absent texts are NULL. */
struct pg_options {
    const char *url; /* a URL or "key=value …" as libpq reads it; fields below win over it */
    const char *host, *port, *user, *password, *database, *service, *passfile;
    const char *target_session_attrs;
    struct pg_tls tls;
    int64_t connect_timeout; /* µs, for one try of one host */
    const char *slot;        /* somebody else's name; NULL: ours */
    const char *publication; /* somebody else's, used as it is; NULL: ours, two of them */
    int ddl;                 /* enum pg_ddl */
    bool messages;           /* logical messages become events */
    int64_t heartbeat;       /* µs */
};

extern const struct source_driver postgres_source;

#endif
