/* One HTTP request under way: an easy handle with what it needs, used again and again for the
 * messages of one channel, so that a message costs no set-up. The transfer thread's. */
#ifndef CHANNEL_HTTP_H
#define CHANNEL_HTTP_H

#include <curl/curl.h>
#include "channel/channel_driver.h"
#include "channel/http_gate.h"

#define HTTP_EXCERPT 512

struct http_attempt {
    struct http_attempt *next; /* the holder's */
    void *holder;              /* the same */
    struct channel_context *context;
    struct delivery *delivery; /* NULL: idle */
    CURL *easy;

    /* private to http.c */
    struct arena arena;
    struct buffer text;
    struct http_request request;
    struct curl_slist lines[HTTP_HEADERS + 1];
    struct http_gate gate;
    char *url;
    char *method;
    struct http_tls tls;
    char excerpt[HTTP_EXCERPT];
    size_t received; /* bytes of the body */
    size_t headers;  /* bytes of the headers */
    bool complete;   /* the headers of the final answer have ended */
    char failure[CURL_ERROR_SIZE];
};

struct http_attempt *http_attempt_new(struct channel_context *context);
void http_attempt_free(struct http_attempt *a);

/* Shapes the request of a message; -1 when the driver can't. Then add `easy` to a multi handle. */
int http_attempt_begin(struct http_attempt *a, struct delivery *delivery,
                       struct error *err) must_check;
/* What became of it; the attempt is idle again. */
void http_attempt_end(struct http_attempt *a, CURLcode result, struct channel_answer *answer);
void http_attempt_cancel(struct http_attempt *a);

#endif
