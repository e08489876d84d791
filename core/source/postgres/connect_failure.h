/* Why a connection did not come about, as one error with what mends it. libpq gives one text; its
 * verbose form holds SQLSTATE and the server's routine, which read the same in every language. */
#ifndef SOURCE_POSTGRES_CONNECT_FAILURE_H
#define SOURCE_POSTGRES_CONNECT_FAILURE_H

#include "source/postgres/connect_params.h"

/* The try that failed. */
struct pg_try {
    const struct source_plan *plan;
    const struct pg_params *params;
    const struct pg_host *host;
    enum pg_purpose purpose;
};

/* Sets the error from libpq's `text` and returns -1. The texts never hold a password: libpq puts
 * none in, and a URL whose password could be taken for a host is refused before. */
int pg_connect_failed(const struct pg_try *try, const char *text, struct error *err);

#endif
