#include "server/http.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"

struct http_server {
    struct MHD_Daemon *daemon;
    _Atomic(struct workspace *) workspace;
};

static enum MHD_Result
answer(struct MHD_Connection *connection, unsigned status, const char *text)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result
answer_live(struct http_server *s, struct MHD_Connection *connection)
{
    (void)s;
    return answer(connection, MHD_HTTP_OK, "live\n");
}

static enum MHD_Result
answer_ready(struct http_server *s, struct MHD_Connection *connection)
{
    struct workspace *w = atomic_load(&s->workspace);
    if (w && workspace_ready(w))
        return answer(connection, MHD_HTTP_OK, "ready\n");
    return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                  "not ready: a source does not stream yet; see: tidegate status\n");
}

static const struct {
    const char *path;
    enum MHD_Result (*answer)(struct http_server *s, struct MHD_Connection *connection);
} pages[] = {{"/livez", answer_live}, {"/readyz", answer_ready}};

/* What a path belongs to, for the one line that names what is missing. */
static const char *
missing_part(const char *path)
{
    if (strncmp(path, "/api", 4) == 0)
        return "the REST API";
    if (strncmp(path, "/metrics", 8) == 0)
        return "the metrics page";
    return "the web UI";
}

static enum MHD_Result
handle(void *context, struct MHD_Connection *connection, const char *url, const char *method,
       const char *version, const char *upload, size_t *upload_size, void **state)
{
    (void)version;
    (void)upload;
    static char seen;
    struct http_server *s = context;
    if (!*state) { /* headers only; a body may follow and is read to its end unlooked at */
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_size) {
        *upload_size = 0;
        return MHD_YES;
    }
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    for (size_t i = 0; reads && i < countof(pages); i++)
        if (strcmp(pages[i].path, url) == 0)
            return pages[i].answer(s, connection);
    char text[128];
    snprintf(text, sizeof(text), "%s is not built yet; this version serves /livez and /readyz\n",
             missing_part(url));
    return answer(connection, MHD_HTTP_NOT_FOUND, text);
}

/* The inode of the listening TCP socket on `port`, from the kernel's table; 0: none is seen. */
static unsigned long
listening_inode(const char *table, int64_t port)
{
    char line[512];
    unsigned long found = 0;
    FILE *file = fopen(table, "re");
    while (file && !found && fgets(line, sizeof(line), file)) {
        unsigned long inode;
        unsigned local, state;
        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*s %*s %lu", &local, &state,
                   &inode) == 3 &&
            local == (unsigned)port && state == 0x0a)
            found = inode;
    }
    if (file)
        fclose(file);
    return found;
}

static bool
process_has(const char *pid, unsigned long inode)
{
    char folder[300], path[600], target[64], wanted[64];
    bool found = false;
    snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
    snprintf(folder, sizeof(folder), "/proc/%s/fd", pid);
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && !found && (e = readdir(dir));) {
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        ssize_t size = readlink(path, target, sizeof(target) - 1);
        found = size > 0 && (target[size] = 0, strcmp(target, wanted) == 0);
    }
    if (dir)
        closedir(dir);
    return found;
}

/* "process 1234 (name)" of whoever listens on the port, as far as we may see it. */
static void
name_holder(int64_t port, char *out, size_t size)
{
    unsigned long inode = listening_inode("/proc/net/tcp", port);
    if (!inode)
        inode = listening_inode("/proc/net/tcp6", port);
    snprintf(out, size, "another process");
    DIR *proc = inode ? opendir("/proc") : NULL;
    for (struct dirent *e; proc && (e = readdir(proc));) {
        if (atoi(e->d_name) <= 0 || !process_has(e->d_name, inode))
            continue;
        char path[300], name[64] = "?";
        snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
        FILE *file = fopen(path, "re");
        if (file && fgets(name, sizeof(name), file))
            name[strcspn(name, "\n")] = 0;
        if (file)
            fclose(file);
        snprintf(out, size, "process %d (%s)", atoi(e->d_name), name);
        break;
    }
    if (proc)
        closedir(proc);
}

static int
port_failed(int64_t port, int number, struct error *err)
{
    char holder[128];
    if (number != EADDRINUSE)
        return error_errno(err, ERROR_SYSTEM, number, "listen on port %d", (int)port);
    name_holder(port, holder, sizeof(holder));
    error_set(err, ERROR_SYSTEM, "port %d is taken by %s", (int)port, holder);
    return error_hint(err, "choose another one: tidegate start -p %d",
                      (int)(port < 65535 ? port + 1 : port - 1));
}

static int
listen_on(const char *bind_to, int64_t port, struct error *err)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (port < 1 || port > 65535)
        return error_set(err, ERROR_USAGE, "port %lld is not between 1 and 65535", (long long)port);
    if (strcmp(bind_to, "localhost") == 0)
        bind_to = "127.0.0.1";
    if (inet_pton(AF_INET, bind_to, &a.sin_addr) != 1)
        return error_set(err, ERROR_CONFIG, "bind: \"%s\" is not an IPv4 address", bind_to);
    if ((ntohl(a.sin_addr.s_addr) >> 24) != 127) {
        error_set(err, ERROR_REFUSED,
                  "bind: %s is not a loopback address, and logins are not built yet", bind_to);
        return error_hint(err, "bind = \"127.0.0.1\", and a proxy with a login before it");
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), yes = 1;
    if (fd < 0)
        return error_errno(err, ERROR_SYSTEM, errno, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 64) != 0) {
        int number = errno;
        close(fd);
        return port_failed(port, number, err);
    }
    return fd;
}

struct http_server *
http_open(const char *bind_to, int64_t port, struct error *err)
{
    int fd = listen_on(bind_to, port, err);
    if (fd < 0)
        return NULL;
    struct http_server *s = memory_zero(sizeof(*s));
    s->daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, (uint16_t)port, NULL, NULL,
                         handle, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, 64u,
                         MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)32768, MHD_OPTION_END);
    if (s->daemon)
        return s;
    close(fd);
    free(s);
    error_set(err, ERROR_SYSTEM, "the web server could not be started on port %d", (int)port);
    return NULL;
}

void
http_serve(struct http_server *s, struct workspace *w)
{
    atomic_store(&s->workspace, w);
}

void
http_close(struct http_server *s)
{
    if (!s)
        return;
    MHD_stop_daemon(s->daemon); /* closes the listening socket */
    free(s);
}
