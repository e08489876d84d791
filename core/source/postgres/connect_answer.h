/* libpq's text of a failed connection, taken apart. In its verbose form the server's words stand as
 * "FATAL:  28P01: words", with lines DETAIL and LOCATION below: the state and the routine read the
 * same whatever language the server speaks. Pure functions. */
#ifndef SOURCE_POSTGRES_CONNECT_ANSWER_H
#define SOURCE_POSTGRES_CONNECT_ANSWER_H

#include "base/base.h"

struct pg_answer {
    char state[6];    /* SQLSTATE; "" when the words are libpq's own */
    char words[400];  /* one line, with the detail */
    char routine[64]; /* of the server's code, or "" */
};

/* With sslmode=prefer libpq tries twice and tells both: what says more than that pg_hba.conf has no
 * line for one of the two kinds of connections is kept. */
void pg_answer_read(const char *text, struct pg_answer *out);

/* The first IP address in the words: the one by which the server knows us. False: none is there. */
bool pg_answer_address(const struct pg_answer *answer, char *out, size_t size);

#endif
