#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "workspace/folder.h"

#define LOG_BYTES (10 * 1000 * 1000)
#define LOG_KEEP  9 /* beside the one being written */

static void
say_ready(void *context, const char *folder, int64_t port, size_t problems)
{
    (void)context;
    fprintf(stderr, "Tidegate %s runs %s on http://127.0.0.1:%d\n", TIDEGATE_VERSION, folder,
            (int)port);
    char path[PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s/tidegate.lua", folder);
    if (access(path, F_OK) != 0)
        fprintf(stderr, "There is no %s, so nothing is captured; make one: tidegate init %s\n",
                path, folder);
    if (problems)
        fprintf(stderr, "%zu problem%s: tidegate status -C %s\n", problems,
                problems == 1 ? "" : "s", folder);
}

static int
open_log(struct cli *cli, const char *path, struct error *err)
{
    struct log_options options = {
        .level = LOG_INFO, .path = path, .max_bytes = LOG_BYTES, .keep = LOG_KEEP};
    const char *level = cli_text(cli, "log-level");
    options.json = path || !isatty(STDERR_FILENO);
    if (level && log_level_parse(slice_of(level), &options.level) != 0)
        return error_set(err, ERROR_USAGE, "--log-level %s: levels are error, warning, info, debug",
                         level);
    return log_open(&options, err);
}

/* What the background process tells the waiting one. */
struct outcome {
    struct error error; /* class ERROR_NONE: ready */
    int64_t port;
    size_t problems;
};

static void
tell(int fd, const struct outcome *outcome)
{
    if (write(fd, outcome, sizeof(*outcome)) != (ssize_t)sizeof(*outcome))
        log_warning("main", "nobody waits for the start any more");
    close(fd);
}

struct background {
    int fd; /* to the waiting process; -1 once told */
};

static void
ready_in_background(void *context, const char *folder, int64_t port, size_t problems)
{
    struct background *b = context;
    (void)folder;
    tell(b->fd, &(struct outcome){.port = port, .problems = problems});
    b->fd = -1;
}

static int
become_background(struct cli *cli, const char *folder, int fd)
{
    struct outcome outcome = {0};
    struct error *err = &outcome.error;
    struct background b = {fd};
    char path[PATH_MAX + 32];
    setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    snprintf(path, sizeof(path), "%s/data/tidegate.log", folder);
    struct daemon_options options = {.folder = folder, .ready = ready_in_background, .context = &b};
    int result = cli_port(cli, &options.port, err);
    if (result == 0)
        result = folder_prepare_data(folder, err);
    if (result == 0)
        result = open_log(cli, path, err);
    dup2(null, STDERR_FILENO);
    if (result == 0)
        result = daemon_run(&options, err);
    if (result != 0 && b.fd >= 0)
        tell(b.fd, &outcome);
    else if (result != 0)
        log_failure(LOG_ERROR, "main", err);
    return result == 0 ? 0 : error_exit_code(err->class);
}

static int
start_background(struct cli *cli, const char *folder, struct error *err)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return error_errno(err, ERROR_SYSTEM, errno, "pipe");
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, ERROR_SYSTEM, errno, "fork");
    if (pid == 0) {
        close(fds[0]);
        _exit(become_background(cli, folder, fds[1]));
    }
    struct outcome outcome = {0};
    close(fds[1]);
    ssize_t got = read(fds[0], &outcome, sizeof(outcome));
    close(fds[0]);
    if (got != (ssize_t)sizeof(outcome))
        return error_set(err, ERROR_INTERNAL,
                         "the daemon ended while it started; see data/tidegate.log");
    if (outcome.error.class != ERROR_NONE) {
        *err = outcome.error;
        waitpid(pid, NULL, 0);
        return -1;
    }
    say_ready(NULL, folder, outcome.port, outcome.problems);
    return 0;
}

int
cli_start(struct cli *cli, struct error *err)
{
    char folder[PATH_MAX];
    if (cli_folder(cli, true, folder, err) != 0)
        return -1;
    if (cli_flag(cli, "daemon"))
        return start_background(cli, folder, err);
    if (open_log(cli, NULL, err) != 0)
        return -1;
    struct daemon_options options = {.folder = folder, .ready = say_ready};
    if (cli_port(cli, &options.port, err) != 0)
        return -1;
    return daemon_run(&options, err);
}
