#include <limits.h>
#include "base/clock.h"
#include "base/thread.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "server/control.h"
#include "workspace/folder.h"

#define STOP_WAIT (10 * CLOCK_SECOND)
#define STOP_LOOK (20 * 1000)

static int
ignore_row(void *context, const struct value *row, struct slice json)
{
    (void)context;
    (void)row;
    (void)json;
    return 0;
}

/* The daemon's lock tells when it is gone. */
static int
wait_for_end(const char *folder, struct error *err)
{
    struct wake never;
    if (wake_init(&never, err) != 0)
        return -1;
    int64_t end = clock_mono() + STOP_WAIT;
    while (folder_holder(folder) && clock_mono() < end)
        wake_wait(&never, STOP_LOOK);
    wake_release(&never);
    int pid = folder_holder(folder);
    if (pid)
        return error_set(err, ERROR_BUSY, "process %d did not stop within 10 s; kill -9 %d is safe",
                         pid, pid);
    return 0;
}

/* One that is about to run, or about to end, holds the folder and does not listen. */
static int
nobody_answers(const char *folder, struct error *err)
{
    int pid = folder_holder(folder);
    if (!pid)
        return error_set(err, ERROR_UNREACHABLE, "no daemon runs in %s", folder);
    error_set(err, ERROR_BUSY, "process %d holds %s and does not answer", pid, folder);
    return error_hint(err, "it may be starting or stopping: try again; or: kill %d", pid);
}

int
cli_stop(struct cli *cli, struct error *err)
{
    char folder[PATH_MAX];
    int64_t port = cli_given_port(cli);
    bool by_port = port && !cli->workspace && !cli_text(cli, "dir");
    int result = 0;
    if ((by_port ? daemon_find_port(port, folder, sizeof(folder), err)
                 : cli_folder(cli, false, folder, err)) != 0)
        return -1;
    if (control_ask(folder, "stop", NULL, ignore_row, NULL, &result, err) == 0)
        return nobody_answers(folder, err);
    /* One that ends before its answer is out has obeyed as well. */
    if (result != 0 && err->class != ERROR_UNREACHABLE)
        return -1;
    *err = (struct error){0};
    if (wait_for_end(folder, err) != 0)
        return -1;
    fprintf(stderr, "stopped %s\n", folder);
    return 0;
}
