/* What a channel type must bring. A driver is one const struct with its options declared in it; to add
 * one: a file in this folder and a line in channel.c's array.
 *
 * Two transports: a *plain* driver has a thread of its own and delivers a list at a time, blocking; an
 * *http* driver only shapes a request and, if it wants, reads the answer: sending, timeouts, keep-alive,
 * HTTP/2, Retry-After and the gate of operation.md §5 are http.c's. */
#ifndef CHANNEL_CHANNEL_DRIVER_H
#define CHANNEL_CHANNEL_DRIVER_H

#include "channel/channel.h"

struct channel_context {
    const struct channel_plan *plan;
    void *state;           /* plan->driver->state_size bytes, zeroed */
    const char *component; /* for the log: "channel/NAME" */
};

/* An outgoing request. Texts are copied by http.c before `request` 's buffers are reused. */
struct http_request {
    const char *method;
    const char *url;
    struct slice body;
    const char *headers[16]; /* "Name: value"; NULL ends */
};

struct http_response {
    int status;             /* 0: none, see `failure` */
    struct slice excerpt;   /* the first 512 bytes of the body */
    const char *failure;    /* curl's words when there was no response; else NULL */
    int64_t retry_after;    /* µs; 0: not asked */
};

struct channel_driver {
    const char *name;
    const char *summary; /* one line */
    bool human;          /* a message without text gets a readable default text */
    const struct option *options;
    size_t option_count;
    size_t options_size;
    size_t state_size;
    unsigned take_most;  /* plain: at most this many messages a call */

    /* Checks what can be checked before the first message (plain: opens). May be NULL. Plain: called
     * again, after close, when a delivery answered BROKEN. */
    int (*open)(struct channel_context *context, struct error *err);
    void (*close)(struct channel_context *context); /* may be NULL; safe twice */

    /* plain: one of deliver and request is set. answers[i] belongs to list[i]; all filled in. */
    void (*deliver)(struct channel_context *context, struct delivery *const *list, size_t count,
                    struct channel_answer *answers);

    /* http: shapes one attempt into `out`; text goes into `scratch`, valid until the next call. */
    int (*request)(struct channel_context *context, const struct delivery *delivery,
                   struct buffer *scratch, struct http_request *out, struct error *err);
    /* http: may change what http_classify made of the response. NULL: as it is. */
    void (*respond)(struct channel_context *context, const struct http_response *response,
                    struct channel_answer *answer);
};

/* 2xx delivered; 429 and 503 with Retry-After, 408, 425, 5xx and no answer: retry; 410 broken; other
 * 4xx and redirects: reject. */
void http_classify(const struct http_response *response, struct channel_answer *answer);

#endif
