#include "support/http_receiver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/clock.h"

enum { EVENTS = 256, READ_AT_ONCE = 64 * 1024, REQUEST_MOST = 64 << 20 };
#define PATIENCE (10 * CLOCK_SECOND)

struct connection {
    struct connection *next;
    int fd;
    struct buffer in;
    struct buffer out;
    int64_t due;  /* when to send what is in `out`; 0: at once */
    bool endless; /* sends filler when `out` is gone */
    bool closing; /* when `out` is gone */
    bool closed;
};

struct http_receiver {
    struct thread thread;
    int listener, epoll, port;
    struct wake wake;
    _Atomic bool quit;
    struct connection *connections; /* the thread's */
    size_t delayed;                 /* the same */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct http_behaviour behaviour; /* mutex, and all below */
    bool keep;
    size_t requests, accepted;
    struct http_received *kept;
    size_t kept_count, kept_room;
    struct arena arena;
};

static void
watch(struct http_receiver *r, int fd, void *tag, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = tag};
    ensure(epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void
end_connection(struct http_receiver *r, struct connection *c, bool reset)
{
    struct linger linger = {.l_onoff = 1};
    if (c->closed)
        return;
    if (reset)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    if (c->due)
        r->delayed--;
    c->due = 0;
    c->closed = true;
    close(c->fd);
}

static void
sweep(struct http_receiver *r, bool all)
{
    for (struct connection **at = &r->connections; *at;) {
        struct connection *c = *at;
        if (all)
            end_connection(r, c, false);
        if (!c->closed) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        buffer_release(&c->in);
        buffer_release(&c->out);
        free(c);
    }
}

static void
push(struct http_receiver *r, struct connection *c)
{
    while (!c->closed && c->due == 0) {
        ssize_t done;
        if (c->out.size == 0 && c->endless)
            memset(buffer_extend(&c->out, 4096), 'x', 4096);
        if (c->out.size == 0)
            break;
        done = send(c->fd, c->out.data, c->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0 && errno == EAGAIN)
            return;
        if (done < 0) {
            end_connection(r, c, false);
            return;
        }
        memmove(c->out.data, c->out.data + done, c->out.size - (size_t)done);
        c->out.size -= (size_t)done;
    }
    if (c->due == 0 && c->closing)
        end_connection(r, c, false);
}

static void
write_good(struct buffer *out, const struct http_behaviour *b)
{
    const char *body = b->body ? b->body : "ok";
    int status = b->status ? b->status : 200;
    buffer_printf(out, "HTTP/1.1 %d Status\r\n%s", status, b->headers ? b->headers : "");
    if (status != 204)
        buffer_printf(out, "Content-Length: %zu\r\n", strlen(body));
    buffer_text(out, "\r\n");
    if (status != 204)
        buffer_text(out, body);
}

static void
respond(struct http_receiver *r, struct connection *c, const struct http_behaviour *b)
{
    static const char *const canned[] = {
        [HTTP_FAULT_HALF_HEAD] = "HTTP/1.1 200 OK\r\nContent-Le",
        [HTTP_FAULT_HALF_BODY] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        [HTTP_FAULT_GARBAGE] = "\x01\x02 this is no HTTP at all\r\n\r\n",
        [HTTP_FAULT_HUGE] = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        [HTTP_FAULT_HUGE_HEAD] = "HTTP/1.1 200 OK\r\nX-Long: ",
        [HTTP_FAULT_CLOSE_IDLE] = NULL,
    };
    const char *text = canned[b->fault];
    if (b->fault == HTTP_FAULT_SILENT)
        return;
    if (b->fault == HTTP_FAULT_RESET) {
        end_connection(r, c, true);
        return;
    }
    if (text)
        buffer_text(&c->out, text);
    else if (b->fault != HTTP_FAULT_CUT)
        write_good(&c->out, b);
    c->endless = b->fault == HTTP_FAULT_HUGE || b->fault == HTTP_FAULT_HUGE_HEAD;
    c->closing = b->fault != HTTP_FAULT_NONE && !c->endless;
    if (b->delay && !c->due) {
        c->due = clock_mono() + b->delay;
        r->delayed++;
    }
}

static void
keep_request(struct http_receiver *r, struct slice head, struct slice body)
{
    size_t line = (size_t)((const char *)memmem(head.data, head.size, "\r\n", 2) - head.data);
    if (r->kept_count == r->kept_room) {
        r->kept_room = r->kept_room ? 2 * r->kept_room : 64;
        r->kept = memory_grow(r->kept, r->kept_room * sizeof(*r->kept));
    }
    struct slice rest = {head.data + line + 2, head.size - line - 2};
    r->kept[r->kept_count++] = (struct http_received){
        .line = arena_slice(&r->arena, (struct slice){head.data, line}).data,
        .headers = arena_slice(&r->arena, rest).data,
        .body = arena_slice(&r->arena, body),
        .at = clock_now(),
    };
}

static void
count_request(struct http_receiver *r, struct slice head, struct slice body,
              struct http_behaviour *b)
{
    pthread_mutex_lock(&r->mutex);
    *b = r->behaviour;
    if (r->behaviour.times > 0 && --r->behaviour.times == 0)
        r->behaviour = (struct http_behaviour){0};
    r->requests++;
    if (r->keep) {
        keep_request(r, head, body);
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->mutex);
}

static size_t
content_length(struct slice head)
{
    static const char name[] = "\r\ncontent-length:";
    for (const char *at = head.data; at + sizeof(name) < slice_end(head); at++)
        if (*at == '\r' && !strncasecmp(at, name, sizeof(name) - 1))
            return strtoul(at + sizeof(name) - 1, NULL, 10);
    return 0;
}

static void
serve(struct http_receiver *r, struct connection *c)
{
    size_t done = 0;
    while (!c->closed) {
        struct slice left = {c->in.data + done, c->in.size - done};
        const char *end = left.size ? memmem(left.data, left.size, "\r\n\r\n", 4) : NULL;
        struct http_behaviour b;
        struct slice head, body;
        if (!end)
            break;
        head = (struct slice){left.data, (size_t)(end - left.data) + 2};
        body = (struct slice){end + 4, content_length(head)};
        if (left.size < head.size + 2 + body.size)
            break;
        count_request(r, head, body, &b);
        respond(r, c, &b);
        done += head.size + 2 + body.size;
    }
    if (c->closed)
        return;
    if (done > 0)
        memmove(c->in.data, c->in.data + done, c->in.size - done);
    c->in.size -= done;
    push(r, c);
}

/* Everything there is: a descriptor that is watched for edges says so only once. */
static void
pull(struct http_receiver *r, struct connection *c)
{
    char bytes[READ_AT_ONCE];
    while (!c->closed) {
        ssize_t got = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            break;
        if (got <= 0)
            end_connection(r, c, false);
        else
            buffer_append(&c->in, bytes, (size_t)got);
        if (got > 0 && (size_t)got < sizeof(bytes))
            break; /* what comes now makes an edge of its own */
    }
    if (!c->closed && c->in.size > 0)
        serve(r, c);
}

static void
admit(struct http_receiver *r)
{
    int fd = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    struct connection *c;
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    c = memory_zero(sizeof(*c));
    c->fd = fd;
    buffer_init(&c->in, REQUEST_MOST);
    buffer_init(&c->out, REQUEST_MOST);
    c->next = r->connections;
    r->connections = c;
    watch(r, fd, c, EPOLLIN | EPOLLOUT | EPOLLET);
    pthread_mutex_lock(&r->mutex);
    r->accepted++;
    pthread_mutex_unlock(&r->mutex);
}

static int
release_delayed(struct http_receiver *r)
{
    int64_t now = clock_mono(), due = INT64_MAX;
    for (struct connection *c = r->delayed ? r->connections : NULL; c; c = c->next) {
        if (c->due == 0)
            continue;
        if (c->due > now) {
            due = c->due < due ? c->due : due;
            continue;
        }
        c->due = 0;
        r->delayed--;
        push(r, c);
    }
    return due == INT64_MAX ? -1 : (int)((due - now) / 1000 + 1);
}

static void
handle(struct http_receiver *r, const struct epoll_event *event)
{
    struct connection *c = event->data.ptr;
    if (!c) {
        wake_clear(&r->wake);
    } else if ((void *)c == r) {
        admit(r);
    } else if (!c->closed) {
        pull(r, c);
        if (!c->closed)
            push(r, c);
    }
}

static void
run(void *arg)
{
    struct http_receiver *r = arg;
    struct epoll_event events[EVENTS];
    while (!atomic_load(&r->quit)) {
        int wait = release_delayed(r);
        int count = epoll_wait(r->epoll, events, EVENTS, wait);
        for (int i = 0; i < count; i++)
            handle(r, &events[i]);
        sweep(r, false);
    }
    sweep(r, true);
}

static void
listen_on_any_port(struct http_receiver *r)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ensure(bind(r->listener, (struct sockaddr *)&address, size) == 0);
    ensure(listen(r->listener, 1024) == 0);
    ensure(getsockname(r->listener, (struct sockaddr *)&address, &size) == 0);
    r->port = ntohs(address.sin_port);
}

struct http_receiver *
http_receiver_new(void)
{
    struct http_receiver *r = memory_zero(sizeof(*r));
    struct error err;
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->changed, NULL);
    arena_init(&r->arena, 0);
    r->keep = true;
    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    listen_on_any_port(r);
    ensure(wake_init(&r->wake, &err) == 0);
    watch(r, r->listener, r, EPOLLIN);
    watch(r, r->wake.fd, NULL, EPOLLIN);
    ensure(thread_start(&r->thread, "receiver", run, r, &err) == 0);
    return r;
}

void
http_receiver_free(struct http_receiver *r)
{
    atomic_store(&r->quit, true);
    wake_poke(&r->wake);
    thread_join(&r->thread);
    close(r->listener);
    close(r->epoll);
    wake_release(&r->wake);
    arena_release(&r->arena);
    free(r->kept);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}

int
http_receiver_port(const struct http_receiver *r)
{
    return r->port;
}

void
http_receiver_keep(struct http_receiver *r, bool keep)
{
    pthread_mutex_lock(&r->mutex);
    r->keep = keep;
    pthread_mutex_unlock(&r->mutex);
}

void
http_receiver_behave(struct http_receiver *r, const struct http_behaviour *b)
{
    pthread_mutex_lock(&r->mutex);
    r->behaviour = *b;
    if (b->headers)
        r->behaviour.headers = arena_text(&r->arena, b->headers);
    if (b->body)
        r->behaviour.body = arena_text(&r->arena, b->body);
    pthread_mutex_unlock(&r->mutex);
}

static size_t
read_count(struct http_receiver *r, const size_t *count)
{
    pthread_mutex_lock(&r->mutex);
    size_t value = *count;
    pthread_mutex_unlock(&r->mutex);
    return value;
}

size_t
http_receiver_requests(struct http_receiver *r)
{
    return read_count(r, &r->requests);
}

size_t
http_receiver_connections(struct http_receiver *r)
{
    return read_count(r, &r->accepted);
}

bool
http_receiver_wait(struct http_receiver *r, size_t requests)
{
    int64_t end = clock_now() + PATIENCE;
    struct timespec until = {end / CLOCK_SECOND, end % CLOCK_SECOND * 1000};
    bool reached;
    int late = 0;
    pthread_mutex_lock(&r->mutex);
    while (r->requests < requests && late == 0)
        late = pthread_cond_timedwait(&r->changed, &r->mutex, &until);
    reached = r->requests >= requests;
    pthread_mutex_unlock(&r->mutex);
    return reached;
}

struct http_received
http_receiver_request(struct http_receiver *r, size_t number)
{
    pthread_mutex_lock(&r->mutex);
    ensure(number < r->kept_count);
    struct http_received request = r->kept[number];
    pthread_mutex_unlock(&r->mutex);
    return request;
}

char *
http_received_header(const struct http_received *request, const char *name, char *out, size_t size)
{
    size_t length = strlen(name);
    *out = '\0';
    for (const char *at = request->headers; *at; at = strchr(at, '\n') + 1)
        if (!strncasecmp(at, name, length) && at[length] == ':') {
            at += length + 1;
            at += strspn(at, " ");
            snprintf(out, size, "%.*s", (int)strcspn(at, "\r"), at);
            return out;
        }
    return out;
}
