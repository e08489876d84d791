/* What a channel type must bring. A driver is one const struct with its options declared in it; to
 * add one: a file in this folder and a line in plan.c's array.
 *
 * Two transports: a *plain* driver has a thread of its own and delivers a list at a time, blocking;
 * an *http* driver only shapes a request and, if it wants, reads the answer: sending, timeouts,
 * keep-alive, HTTP/2, Retry-After and the gate of operation.md §5 are http.c's. */
#ifndef CHANNEL_CHANNEL_DRIVER_H
#define CHANNEL_CHANNEL_DRIVER_H

#include "channel/channel.h"
#include "event/template.h"

struct channel_context {
    const struct channel_plan *plan;
    void *state;           /* plan->driver->state_size bytes, zeroed */
    const char *component; /* for the log: "channel/NAME" */
};

#define HTTP_HEADERS 48

/* How a server's certificate is checked. */
struct http_tls {
    const char *ca; /* file of the authorities that count; NULL: the system's */
    bool unverified;
};

/* An outgoing request of one attempt. `arena` and `text` are the attempt's own: what is made in
 * them, and the delivery, stay valid until the answer; nothing is copied. */
struct http_request {
    struct arena *arena;
    struct buffer *text; /* empty; for a body that must be made */
    const char *method;
    const char *url;
    struct slice body;
    const char *headers[HTTP_HEADERS]; /* "Name: value", or "Name;" without a value; NULL ends */
    struct http_tls tls;
};

struct http_response {
    int status;           /* 0: none, see `failure` */
    struct slice excerpt; /* the first 512 bytes of the body */
    const char *failure;  /* what happened when there was no complete response; else NULL */
    bool refused;         /* by the gate, or by us because of the certificate: no try will pass */
    int64_t retry_after;  /* µs; 0: not asked */
};

struct channel_driver {
    const char *name;
    const char *summary;       /* one line */
    bool human;                /* a message without text gets a readable default text */
    enum template_escape text; /* what it writes texts in: how values in them are escaped */
    const char *const *fields; /* what it makes use of in a message beside its text, of html title
                                  subject topic headers; NULL-terminated; NULL: all of them */
    const struct option *options;
    size_t option_count;
    size_t options_size;
    size_t state_size;
    unsigned take_most; /* plain: at most this many messages a call */
    bool in_order; /* plain: where one of a list fails, none behind it is delivered; so a list may
                      hold several messages of one ordering key */

    /* Checks what can be checked before the first message (plain: opens). May be NULL. http: called
     * by channel_new. Plain: called by channel_start and again, after close, when a delivery
     * answered BROKEN; ERROR_CONFIG and ERROR_REFUSED keep the channel from starting. */
    int (*open)(struct channel_context *context, struct error *err);
    void (*close)(struct channel_context *context); /* may be NULL; safe twice */

    /* plain: one of deliver and request is set. answers[i] belongs to list[i]; all filled in. */
    void (*deliver)(struct channel_context *context, struct delivery *const *list, size_t count,
                    struct channel_answer *answers);

    /* http: shapes one attempt into `out`. Failing rejects the message. Transfer thread. */
    int (*request)(struct channel_context *context, const struct delivery *delivery,
                   struct http_request *out, struct error *err);
    /* http: may change what http_classify made of the response. NULL: as it is. */
    void (*respond)(struct channel_context *context, const struct http_response *response,
                    struct channel_answer *answer);
};

/* The answer of that class; the reason is escaped for people and cut to fit. */
void channel_answer_set(struct channel_answer *answer, enum channel_class class, int code,
                        const char *format, ...) printf_like(4, 5);

/* A message as one JSON value for machines: events and tables as they are, text as
 * {"id","event","rule","ts","text"}. */
void channel_message_json(const struct delivery *delivery, struct buffer *out);

/* 2xx delivered; 429 and 503 with Retry-After, 408, 425, 5xx and no answer: retry; 410 and what we
 * refused ourselves: broken; other 4xx and redirects: reject. */
void http_classify(const struct http_response *response, struct channel_answer *answer);

#endif
