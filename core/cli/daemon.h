/* A workspace run to its end in this process: what `start` and `demo` share. Main thread. */
#ifndef CLI_DAEMON_H
#define CLI_DAEMON_H

#include "base/error.h"

struct daemon_options {
    const char *folder; /* absolute */
    int64_t port;       /* 0: settings.port */
    bool any_port;      /* take the next free one, up to 100 further */
    int64_t run_for;    /* µs; 0: until a signal */
    /* Called once everything has started, with the port; may be NULL. */
    void (*ready)(void *context, const char *folder, int64_t port, size_t problems);
    void *context;
};

/* Opens, binds, starts, waits for SIGINT or SIGTERM (SIGHUP reopens the log), stops within 5 s. */
int daemon_run(const struct daemon_options *options, struct error *err) must_check;

/* The file that leads from a port to the workspace of its daemon (design/operation.md §2). */
int daemon_find_port(int64_t port, char *folder, size_t size, struct error *err) must_check;

#endif
