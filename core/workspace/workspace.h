/* The workspace: everything of one folder wired together, started and stopped in the right order
 * (design/storage.md §11). Opened whole by the daemon; opened offline by commands that work on the
 * files while no daemon runs. One per process. */
#ifndef WORKSPACE_WORKSPACE_H
#define WORKSPACE_WORKSPACE_H

#include "outbox/outbox.h"
#include "rules/rules.h"
#include "workspace/config.h"

struct workspace;

/* A problem of configuration or scripts that does not stop the rest. */
struct workspace_problem {
    char where[256]; /* "scripts/orders.lua", "tidegate.lua", "source \"shop\"" */
    struct error error;
};

struct workspace_options {
    const char *folder; /* absolute */
    bool offline;       /* no threads, no channels, no sources: for commands */
};

/* Reads configuration and scripts, takes the lock, opens store and outbox. For the daemon a wrong
 * tidegate.lua is ERROR_CONFIG (all problems are in workspace_problems); a wrong script is a
 * problem, the others run. NULL on failure with nothing left open. */
struct workspace *workspace_open(const struct workspace_options *options,
                                 struct error *err) must_check;
/* Starts store, channels, consumers, sources, in this order. */
int workspace_start(struct workspace *w, struct error *err) must_check;
/* Stops in the order of design/storage.md §11. Safe when start failed half-way. */
void workspace_stop(struct workspace *w);
void workspace_close(struct workspace *w);

const char *workspace_folder(const struct workspace *w);
const struct config *workspace_config(const struct workspace *w);
struct store *workspace_store(struct workspace *w);
struct outbox *workspace_outbox(struct workspace *w);
struct rules *workspace_rules(struct workspace *w); /* NULL offline */
/* The port that was bound, for status. Before workspace_start. */
void workspace_set_port(struct workspace *w, int64_t port);
int64_t workspace_started(const struct workspace *w); /* µs; 0: not running */
bool workspace_ready(
    struct workspace *w); /* started, and no source is still connecting for the first time */
/* Has every source shown what becomes of it: streaming, or why not? */
bool workspace_settled(struct workspace *w);
size_t workspace_problems(const struct workspace *w, const struct workspace_problem **out);

/* The sources that run, by place; NULL past the last. Offline there are none. */
struct source *workspace_source(struct workspace *w, size_t index);
struct consumer *workspace_consumer(struct workspace *w);

/* The plan of a configured source, for checks and listings without running it: fills `out`, whose
 * texts live as long as the workspace. False: no such source. */
bool workspace_source_plan(struct workspace *w, const char *name, struct source_plan *out);

/* Reads configuration and scripts only, without lock or store: for `check`. Problems go to
 * `problem`. The compiled rules are handed out; nothing is sent by them. */
struct scripts;
struct checker;
struct workspace_check {
    struct config config;
    struct rules *rules;
    size_t problems;
    struct scripts *scripts; /* private, like the next */
    struct checker *checker;
};
typedef void workspace_report(void *context, const char *where, const struct error *err);
int workspace_check(const char *folder, workspace_report *report, void *context,
                    struct workspace_check *out, struct error *err) must_check;
void workspace_check_release(struct workspace_check *check);

#endif
