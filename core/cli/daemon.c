#include "cli/daemon.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "server/control.h"
#include "server/http.h"
#include "workspace/alarms.h"

#define STOP_MOST   4500000 /* µs; a kill is safe, so is leaving */
#define PORTS_TRIED 100
#define LOOK_EVERY  1000 /* ms between looks for what to alarm about */
#define SETTLE_MOST (5 * CLOCK_SECOND)
#define SETTLE_LOOK (5 * 1000)
#define PORT_PATH   (PATH_MAX + 32)

/* Where port files stand: a folder that only this user can enter. */
static int
port_file(int64_t port, char *out, size_t size, struct error *err)
{
    char folder[PATH_MAX];
    struct stat st;
    const char *base = getenv("XDG_RUNTIME_DIR"), *temp = getenv("TMPDIR");
    bool given = base && *base;
    if (given)
        snprintf(folder, sizeof(folder), "%s", base);
    else
        snprintf(folder, sizeof(folder), "%s/tidegate-%u", temp && *temp ? temp : "/tmp",
                 (unsigned)geteuid());
    if (!given && file_make_folder(folder, err) != 0)
        return -1;
    if (lstat(folder, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & (S_IWGRP | S_IWOTH)))
        return error_set(err, ERROR_DENIED, "%s is not a private folder of this user", folder);
    if (snprintf(out, size, "%s/tidegate-%d", folder, (int)port) >= (int)size)
        return error_set(err, ERROR_USAGE, "the path %s is too long", folder);
    return 0;
}

int
daemon_find_port(int64_t port, char *folder, size_t size, struct error *err)
{
    char path[PORT_PATH];
    struct buffer text;
    if (port_file(port, path, sizeof(path), err) != 0)
        return -1;
    buffer_init(&text, size - 1);
    int result = file_slurp(path, &text, NULL);
    if (result == 0)
        snprintf(folder, size, "%s", buffer_cstring(&text));
    else
        error_set(err, ERROR_UNREACHABLE, "no daemon of this user runs on port %d", (int)port);
    buffer_release(&text);
    return result;
}

static void
leave_now(int signal)
{
    (void)signal;
    _exit(0);
}

static void
leave_failed(int signal)
{
    (void)signal;
    _exit(70); /* EX_SOFTWARE */
}

/* From here on the process ends in time, whatever hangs. */
static void
limit_stopping(bool failed)
{
    struct itimerval limit = {.it_value = {STOP_MOST / 1000000, STOP_MOST % 1000000}};
    signal(SIGALRM, failed ? leave_failed : leave_now);
    setitimer(ITIMER_REAL, &limit, NULL);
}

/* Signals arrive as reads: SIGINT and SIGTERM end, SIGHUP reopens the log. */
static int
open_signals(sigset_t *before)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, before);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error of the write */
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* A second Ctrl-C while it stops must not end the process before its caller has cleaned up. */
static void
forget_signals(int fd)
{
    struct signalfd_siginfo info;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 0) > 0 && read(fd, &info, sizeof(info)) == sizeof(info))
        continue;
}

static void
wait_for_end(int fd, int64_t run_for, struct alarms *alarms)
{
    int64_t end = run_for ? clock_mono() + run_for : INT64_MAX;
    struct signalfd_siginfo info;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (;;) {
        int64_t left = run_for ? (end - clock_mono()) / 1000 : -1;
        if (run_for && left <= 0)
            return;
        if (poll(&p, 1, left >= 0 && left < LOOK_EVERY ? (int)left : LOOK_EVERY) <= 0) {
            alarms_look(alarms);
            continue;
        }
        if (read(fd, &info, sizeof(info)) != sizeof(info))
            continue;
        if (info.ssi_signo != SIGHUP)
            return;
        log_reopen();
        log_info("main",
                 "log reopened; reloading scripts is not built yet, restart to load changes");
    }
}

static struct http_server *
bind_port(const struct daemon_options *options, const struct settings *settings, int64_t *port,
          struct error *err)
{
    int64_t first = options->port ? options->port : settings->port;
    struct http_server *http = NULL;
    for (*port = first; *port < first + (options->any_port ? PORTS_TRIED : 1) && !http; ++*port)
        http = http_open(settings->bind, *port, err);
    --*port;
    return http;
}

/* The running parts, undone in reverse by daemon_end. */
struct daemon {
    struct workspace *workspace;
    struct alarms *alarms;
    struct http_server *http;
    struct control *control;
    char port_path[PORT_PATH];
};

/* "Ready" is said when the sources stream, or when it is known why one does not. */
static void
wait_until_settled(struct workspace *w)
{
    struct wake never;
    if (wake_init(&never, NULL) != 0)
        return;
    int64_t end = clock_mono() + SETTLE_MOST;
    while (!workspace_settled(w) && clock_mono() < end)
        wake_wait(&never, SETTLE_LOOK);
    wake_release(&never);
}

static int
begin(struct daemon *d, const struct daemon_options *options, struct error *err)
{
    int64_t port;
    d->workspace = workspace_open(&(struct workspace_options){.folder = options->folder}, err);
    if (!d->workspace)
        return -1;
    d->http = bind_port(options, &workspace_config(d->workspace)->settings, &port, err);
    if (!d->http)
        return -1;
    workspace_set_port(d->workspace, port);
    d->alarms = alarms_new(d->workspace);
    if (workspace_start(d->workspace, err) != 0 || !(d->control = control_open(d->workspace, err)))
        return -1;
    http_serve(d->http, d->workspace);
    if (port_file(port, d->port_path, sizeof(d->port_path), NULL) == 0 &&
        file_replace(d->port_path, slice_of(options->folder), NULL) != 0)
        d->port_path[0] = 0;
    wait_until_settled(d->workspace);
    const struct workspace_problem *list;
    size_t problems = workspace_problems(d->workspace, &list);
    log_info("main", "started %s on port %d", options->folder, (int)port);
    if (options->ready)
        options->ready(options->context, options->folder, port, problems);
    return 0;
}

static void
end(struct daemon *d, bool failed)
{
    limit_stopping(failed);
    control_close(d->control);
    if (d->http)
        http_serve(d->http, NULL);
    if (d->workspace)
        workspace_stop(d->workspace);
    http_close(d->http);
    alarms_free(d->alarms);
    workspace_close(d->workspace);
    if (d->port_path[0])
        unlink(d->port_path);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
}

int
daemon_run(const struct daemon_options *options, struct error *err)
{
    struct daemon d = {0};
    sigset_t before;
    prctl(PR_SET_DUMPABLE, 0); /* a core would hold rows and, later, secrets */
    int fd = open_signals(&before);
    if (fd < 0)
        return error_errno(err, ERROR_SYSTEM, errno, "signalfd");
    int result = begin(&d, options, err);
    if (result == 0) {
        wait_for_end(fd, options->run_for, d.alarms);
        log_info("main", "stopping");
    }
    end(&d, result != 0);
    forget_signals(fd);
    close(fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}
