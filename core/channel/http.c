#include "channel/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"

/* A body beyond READ_MOST is not read: status and excerpt are all that counts. Headers beyond
 * HEADERS_MOST are an attack. */
enum { READ_MOST = 64 * 1024, HEADERS_MOST = 128 * 1024, TEXT_MOST = 1 << 30 };
#define CONNECT_MOST (10 * CLOCK_SECOND)
#define RETRY_MOST   (30 * 86400)

#define set(easy, option, value) ensure(curl_easy_setopt((easy), (option), (value)) == CURLE_OK)

static size_t
on_body(char *data, size_t one, size_t size, void *context)
{
    struct http_attempt *a = context;
    (void)one;
    if (a->received < sizeof(a->excerpt)) {
        size_t room = sizeof(a->excerpt) - a->received;
        memcpy(a->excerpt + a->received, data, size < room ? size : room);
    }
    a->received += size;
    return a->received > READ_MOST ? 0 : size;
}

/* Also sees where headers end: curl takes an answer that breaks off within them for a whole one. */
static size_t
on_header(char *data, size_t one, size_t size, void *context)
{
    struct http_attempt *a = context;
    (void)one;
    a->headers += size;
    if (size > 0 && (data[0] == '\r' || data[0] == '\n'))
        a->complete = true;
    else if (size >= 5 && !memcmp(data, "HTTP/", 5))
        a->complete = false; /* what came before was an interim answer */
    return a->headers > HEADERS_MOST ? 0 : size;
}

static long
milliseconds(int64_t us)
{
    return us < 1000 ? 1 : (long)(us / 1000);
}

/* What is the same for every message of the channel. QUICK_EXIT: a resolver that hangs must not
 * hold up the transfer thread when its request times out. */
static void
set_constants(struct http_attempt *a)
{
    const struct channel_common *common = &a->context->plan->common;
    int64_t connect = common->timeout < CONNECT_MOST ? common->timeout : CONNECT_MOST;
    set(a->easy, CURLOPT_PRIVATE, a);
    set(a->easy, CURLOPT_NOSIGNAL, 1L);
    set(a->easy, CURLOPT_QUICK_EXIT, 1L);
    set(a->easy, CURLOPT_USERAGENT, "tidegate/" TIDEGATE_VERSION);
    set(a->easy, CURLOPT_ERRORBUFFER, a->failure);
    set(a->easy, CURLOPT_WRITEFUNCTION, on_body);
    set(a->easy, CURLOPT_WRITEDATA, a);
    set(a->easy, CURLOPT_HEADERFUNCTION, on_header);
    set(a->easy, CURLOPT_HEADERDATA, a);
    set(a->easy, CURLOPT_TIMEOUT_MS, milliseconds(common->timeout));
    set(a->easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(connect));
    set(a->easy, CURLOPT_BUFFERSIZE, 4096L);
    set(a->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    set(a->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    http_gate_apply(&a->gate, a->easy);
}

struct http_attempt *
http_attempt_new(struct channel_context *context)
{
    const struct channel_plan *plan = context->plan;
    struct http_attempt *a = memory_zero(sizeof(*a));
    a->context = context;
    a->easy = curl_easy_init();
    ensure(a->easy);
    arena_init(&a->arena, 0);
    buffer_init(&a->text, TEXT_MOST);
    a->gate.allow_private = plan->allow_private;
    a->gate.allow_link_local = plan->common.allow_private;
    set_constants(a);
    return a;
}

void
http_attempt_free(struct http_attempt *a)
{
    curl_easy_cleanup(a->easy);
    arena_release(&a->arena);
    buffer_release(&a->text);
    free(a->url);
    free(a->method);
    free(a);
}

static void
set_method(struct http_attempt *a, const char *method)
{
    if (a->method && !strcmp(a->method, method))
        return;
    free(a->method);
    a->method = memory_text(method);
    set(a->easy, CURLOPT_POST, 1L);
    set(a->easy, CURLOPT_CUSTOMREQUEST, !strcmp(method, "POST") ? NULL : method);
}

static void
set_url(struct http_attempt *a, const char *url)
{
    if (a->url && !strcmp(a->url, url))
        return;
    free(a->url);
    a->url = memory_text(url);
    set(a->easy, CURLOPT_URL, url);
    /* Rather a stream of an HTTP/2 connection than a connection more; without TLS there is no
     * telling before the first answer, and all would wait for it. */
    set(a->easy, CURLOPT_PIPEWAIT, strncasecmp(url, "https:", 6) ? 0L : 1L);
}

static void
set_tls(struct http_attempt *a, const struct http_tls *tls)
{
    if (a->tls.ca == tls->ca && a->tls.unverified == tls->unverified)
        return;
    a->tls = *tls;
    set(a->easy, CURLOPT_CAINFO, tls->ca);
    if (tls->ca)
        set(a->easy, CURLOPT_CAPATH, NULL);
    set(a->easy, CURLOPT_SSL_VERIFYPEER, tls->unverified ? 0L : 1L);
    set(a->easy, CURLOPT_SSL_VERIFYHOST, tls->unverified ? 0L : 2L);
}

/* The list's nodes stand in the attempt: curl only reads them. "Expect:" takes a header away that
 * would cost large bodies a round trip. */
static void
set_headers(struct http_attempt *a)
{
    const char *const *headers = a->request.headers;
    size_t count = 0;
    a->lines[0].data = (char *)"Expect:";
    while (count < HTTP_HEADERS && headers[count]) {
        a->lines[count].next = &a->lines[count + 1];
        a->lines[count + 1].data = (char *)headers[count];
        count++;
    }
    a->lines[count].next = NULL;
    set(a->easy, CURLOPT_HTTPHEADER, &a->lines[0]);
}

int
http_attempt_begin(struct http_attempt *a, struct delivery *delivery, struct error *err)
{
    struct http_request *r = &a->request;
    arena_reset(&a->arena);
    buffer_reset(&a->text);
    *r = (struct http_request){.arena = &a->arena, .text = &a->text, .method = "POST"};
    if (a->context->plan->driver->request(a->context, delivery, r, err) != 0)
        return -1;
    if (a->text.failed)
        return error_set(err, ERROR_FULL, "the message is larger than 1 GiB");
    set_method(a, r->method);
    set_url(a, r->url);
    set_tls(a, &r->tls);
    set_headers(a);
    set(a->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.size);
    set(a->easy, CURLOPT_POSTFIELDS, r->body.data ? r->body.data : "");
    a->gate.refused[0] = a->failure[0] = '\0';
    a->received = a->headers = 0;
    a->complete = false;
    a->delivery = delivery;
    delivery->driver = a;
    return 0;
}

void
http_attempt_cancel(struct http_attempt *a)
{
    a->delivery->driver = NULL;
    a->delivery = NULL;
}

/* Seconds or a date, curl reads both. */
static int64_t
retry_after(CURL *easy)
{
    curl_off_t seconds = 0;
    if (curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds <= 0)
        return 0;
    return (seconds < RETRY_MOST ? seconds : RETRY_MOST) * CLOCK_SECOND;
}

static bool
is_untrusted(CURLcode result)
{
    return result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CACERT_BADFILE ||
           result == CURLE_SSL_ISSUER_ERROR || result == CURLE_SSL_INVALIDCERTSTATUS;
}

/* An answer that broke off counts as none: the receiver may never have said what its status line
 * promised. One that we stopped reading ourselves counts. */
static bool
is_answered(const struct http_attempt *a, CURLcode result)
{
    return a->complete &&
           (result == CURLE_OK || (result == CURLE_WRITE_ERROR && a->received > READ_MOST));
}

static void
read_response(struct http_attempt *a, CURLcode result, struct http_response *out)
{
    long status = 0;
    if (!is_answered(a, result)) {
        bool gate = a->gate.refused[0] != '\0';
        out->refused = gate || is_untrusted(result);
        out->failure = gate                 ? a->gate.refused
                       : a->failure[0]      ? a->failure
                       : result == CURLE_OK ? "the answer broke off"
                                            : curl_easy_strerror(result);
        return;
    }
    curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
    out->status = (int)status;
    out->excerpt.data = a->excerpt;
    out->excerpt.size = a->received < sizeof(a->excerpt) ? a->received : sizeof(a->excerpt);
    if (status < 200 || status > 299)
        out->retry_after = retry_after(a->easy);
}

void
http_attempt_end(struct http_attempt *a, CURLcode result, struct channel_answer *answer)
{
    const struct channel_driver *driver = a->context->plan->driver;
    struct http_response response = {0};
    read_response(a, result, &response);
    http_classify(&response, answer);
    if (driver->respond)
        driver->respond(a->context, &response, answer);
    http_attempt_cancel(a);
}

static enum channel_class
class_of(const struct http_response *response)
{
    int status = response->status;
    if (response->failure)
        return response->refused ? CHANNEL_BROKEN : CHANNEL_RETRY;
    if (status >= 200 && status <= 299)
        return CHANNEL_DELIVERED;
    if (status == 410)
        return CHANNEL_BROKEN;
    if (status == 408 || status == 425 || status == 429 || status >= 500 || status < 200)
        return CHANNEL_RETRY;
    return CHANNEL_REJECT;
}

void
http_classify(const struct http_response *response, struct channel_answer *answer)
{
    enum channel_class class = class_of(response);
    int status = response->status;
    if (class == CHANNEL_DELIVERED) {
        answer->class = class;
        answer->code = status;
        answer->retry_after = 0;
        answer->reason[0] = '\0';
        return;
    }
    if (response->failure)
        channel_answer_set(answer, class, 0, "%s", response->failure);
    else if (status >= 300 && status <= 399)
        channel_answer_set(answer, class, status,
                           "HTTP %d: redirects are not followed; set url to "
                           "where it leads",
                           status);
    else
        channel_answer_set(answer, class, status, "HTTP %d%s%.*s", status,
                           response->excerpt.size ? ": " : "", (int)response->excerpt.size,
                           response->excerpt.data ? response->excerpt.data : "");
    if (status == 429 || status == 503)
        answer->retry_after = response->retry_after;
}
