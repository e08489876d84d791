#include "server/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/json.h"
#include "base/log.h"
#include "server/line.h"
#include "server/row.h"
#include "workspace/folder.h"

#define CONNECTIONS  16
#define REQUEST_MAX  (1024 * 1024)
#define REQUEST_WAIT 10           /* s; who says nothing for so long gives up the place */
#define ACCEPT_PAUSE (100 * 1000) /* µs; when no descriptor is left */

struct connection {
    struct control *control;
    struct thread thread;
    int fd;     /* -1: the place is free */
    bool ended; /* its thread has nothing more to do; joined by the accepting thread */
    struct reply reply;
};

struct control {
    struct workspace *workspace;
    char path[108];
    int fd;
    struct wake stop;
    struct thread thread;
    pthread_mutex_t lock; /* of the connections' places */
    struct connection connections[CONNECTIONS];
};

static int
send_line(int fd, const char *before, struct slice json, const char *after)
{
    struct buffer line;
    buffer_init(&line, json.size + 64);
    buffer_text(&line, before);
    buffer_slice(&line, json);
    buffer_text(&line, after);
    int result = line_send(fd, buffer_view(&line));
    buffer_release(&line);
    return result;
}

static int
reply_row(struct reply *reply, struct slice json)
{
    struct connection *c = container_of(reply, struct connection, reply);
    return send_line(c->fd, "{\"row\":", json, "}\n");
}

/* Gone when it hung up, or when the daemon stops. */
static bool
reply_closed(struct reply *reply)
{
    struct connection *c = container_of(reply, struct connection, reply);
    struct pollfd p = {.fd = c->fd, .events = POLLIN | POLLRDHUP};
    return poll(&p, 1, 0) > 0;
}

static void
send_outcome(struct connection *c, int result, const struct error *err)
{
    if (result == 0) {
        send_line(c->fd, "{\"done\":true}\n", (struct slice){0}, "");
        return;
    }
    struct row_writer row = {0};
    buffer_init(&row.json, 16 * 1024);
    buffer_byte(&row.json, '{');
    row_error(&row, "error", err);
    send_line(c->fd, "", buffer_view(&row.json), "}\n");
    buffer_release(&row.json);
}

static int
serve_request(struct connection *c, struct slice line, struct error *err)
{
    struct arena arena;
    struct value request;
    arena_init(&arena, 0);
    int result = json_parse(line, &arena, &request, err);
    if (result == 0) {
        const char *name = value_text(&request, "operation", "");
        const struct operation *operation = operation_find(name);
        const struct value *arguments = value_get(&request, "arguments");
        result = operation
                     ? operation->run(c->control->workspace, arguments, &c->reply, err)
                     : error_set(err, ERROR_USAGE, "this daemon knows no operation \"%s\"", name);
    }
    arena_release(&arena);
    return result;
}

static void
serve(void *arg)
{
    struct connection *c = arg;
    struct buffer line;
    struct error err = {0};
    struct timeval wait = {.tv_sec = REQUEST_WAIT};
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    buffer_init(&line, REQUEST_MAX);
    if (line_receive(c->fd, &line) > 0)
        send_outcome(c, serve_request(c, buffer_view(&line), &err), &err);
    buffer_release(&line);
    pthread_mutex_lock(&c->control->lock);
    shutdown(c->fd, SHUT_RDWR);
    c->ended = true;
    pthread_mutex_unlock(&c->control->lock);
}

/* Joins what has ended, so that its place is free. Accepting thread. */
static void
sweep(struct control *control)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &control->connections[i];
        pthread_mutex_lock(&control->lock);
        bool ended = c->fd >= 0 && c->ended;
        pthread_mutex_unlock(&control->lock);
        if (!ended)
            continue;
        thread_join(&c->thread);
        close(c->fd);
        c->fd = -1;
    }
}

static void
take_connection(struct control *control, int fd)
{
    struct error err = {0};
    sweep(control);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &control->connections[i];
        if (c->fd >= 0)
            continue;
        *c = (struct connection){
            .control = control, .fd = fd, .reply = {.row = reply_row, .closed = reply_closed}};
        if (thread_start(&c->thread, "control", serve, c, &err) == 0)
            return;
        c->fd = -1;
        break;
    }
    static const char busy[] =
        "{\"error\":{\"class\":\"busy\",\"message\":\"too many commands at once; "
        "try again\",\"exit\":75}}\n";
    line_send(fd, slice_literal(busy));
    close(fd);
}

static void
accept_loop(void *arg)
{
    struct control *control = arg;
    struct pollfd fds[2] = {{.fd = control->fd, .events = POLLIN},
                            {.fd = control->stop.fd, .events = POLLIN}};
    while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
        if (fds[1].revents)
            return;
        int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            take_connection(control, fd);
        else if (wake_wait(&control->stop, ACCEPT_PAUSE))
            return;
    }
}

static int
bind_socket(struct control *c, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, c->path, sizeof(c->path));
    unlink(c->path); /* of a daemon that was killed: the lock is ours */
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Nobody can connect before it listens, so the mode is in time; umask() is other threads' too.
     */
    if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        chmod(c->path, 0600) != 0 || listen(c->fd, CONNECTIONS) != 0)
        return error_errno(err, ERROR_SYSTEM, errno, "socket %s", c->path);
    return 0;
}

struct control *
control_open(struct workspace *w, struct error *err)
{
    struct control *c = memory_zero(sizeof(*c));
    c->workspace = w;
    c->fd = -1;
    c->stop.fd = -1;
    pthread_mutex_init(&c->lock, NULL);
    for (size_t i = 0; i < CONNECTIONS; i++)
        c->connections[i].fd = -1;
    if (folder_socket(workspace_folder(w), c->path, err) == 0 && wake_init(&c->stop, err) == 0 &&
        bind_socket(c, err) == 0 && thread_start(&c->thread, "control", accept_loop, c, err) == 0)
        return c;
    control_close(c);
    return NULL;
}

void
control_close(struct control *c)
{
    if (!c)
        return;
    if (c->thread.running) {
        wake_poke(&c->stop);
        thread_join(&c->thread);
        unlink(c->path);
    }
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (c->connections[i].fd >= 0)
            shutdown(c->connections[i].fd, SHUT_RDWR);
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (c->connections[i].fd >= 0) {
            thread_join(&c->connections[i].thread);
            close(c->connections[i].fd);
        }
    if (c->fd >= 0)
        close(c->fd);
    if (c->stop.fd >= 0)
        wake_release(&c->stop);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
