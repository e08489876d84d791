/* TLS is verified by default to every host but this machine (design/operation.md §4), where libpq
 * alone would not verify at all. */
#ifndef SOURCE_POSTGRES_CONNECT_TLS_H
#define SOURCE_POSTGRES_CONNECT_TLS_H

#include "source/postgres/connect_view.h"

/* Sets sslmode and sslrootcert, params->sslmode and params->weak. Hosts must be known. In order:
 * the field `tls.mode`; a sslmode of URL, service or environment; verify-full where there is a
 * `tls.ca` or another machine among the hosts; else allow: what stays on this machine is encrypted
 * only if the server insists. "prefer" of a service or the environment is libpq's default, and
 * cannot be told from none. */
void pg_tls_set(struct pg_params *params, const struct pg_options *options,
                const struct pg_view *view);

#endif
