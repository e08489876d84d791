/* A web server for tests, HTTP/1.1 on a free port of 127.0.0.1, on a thread of its own. It answers
 * 200 until told to misbehave. Fast enough to measure with. Any thread may ask. */
#ifndef SUPPORT_HTTP_RECEIVER_H
#define SUPPORT_HTTP_RECEIVER_H

#include "base/thread.h"

enum http_fault {
    HTTP_FAULT_NONE,
    HTTP_FAULT_CUT,        /* closes without an answer */
    HTTP_FAULT_RESET,      /* the same, by a reset */
    HTTP_FAULT_HALF_HEAD,  /* half of the headers, then closes */
    HTTP_FAULT_HALF_BODY,  /* less of a body than announced, then closes */
    HTTP_FAULT_GARBAGE,    /* bytes that are no HTTP */
    HTTP_FAULT_HUGE,       /* a body without end */
    HTTP_FAULT_HUGE_HEAD,  /* headers without end */
    HTTP_FAULT_SILENT,     /* never answers */
    HTTP_FAULT_CLOSE_IDLE, /* answers well, then closes the kept-alive connection */
};

struct http_behaviour {
    int status;          /* 0: 200 */
    const char *headers; /* whole lines, each ending in \r\n; NULL: none */
    const char *body;    /* NULL: "ok" */
    int64_t delay;       /* µs before the answer */
    enum http_fault fault;
    unsigned times; /* so many requests, then well again; 0: from now on */
};

struct http_received {
    const char *line;    /* "POST /hook HTTP/1.1" */
    const char *headers; /* whole lines */
    struct slice body;   /* NUL-terminated */
    int64_t at;          /* clock_now when it was there as a whole */
};

struct http_receiver;

struct http_receiver *http_receiver_new(void); /* dies if it can't */
void http_receiver_free(struct http_receiver *r);
int http_receiver_port(const struct http_receiver *r);
void http_receiver_keep(struct http_receiver *r, bool keep); /* requests; on at first */
void http_receiver_behave(struct http_receiver *r, const struct http_behaviour *b); /* copied */

size_t http_receiver_requests(struct http_receiver *r);
size_t http_receiver_connections(struct http_receiver *r);
bool http_receiver_wait(struct http_receiver *r, size_t requests); /* false after 10 s */
/* The request of that number, from 0; lasts as long as the receiver. */
struct http_received http_receiver_request(struct http_receiver *r, size_t number);
/* The value of a header of a request, copied into `out`; "" when there is none. */
char *http_received_header(const struct http_received *request, const char *name, char *out,
                           size_t size);

#endif
