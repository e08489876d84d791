/* What commands ask of a workspace: one function an operation, the same whether it runs inside the
 * daemon (asked over the socket) or in the command itself on the files of a folder that nothing
 * runs in. Arguments come as a map of plain values, answers go out as JSON objects, one a row. */
#ifndef SERVER_OPERATION_H
#define SERVER_OPERATION_H

#include "workspace/workspace.h"

/* Where rows go. */
struct reply {
    /* One JSON object. -1 when nobody listens any more: the operation then ends early. */
    int (*row)(struct reply *reply, struct slice json);
    /* Has the asker gone away? For operations that follow. */
    bool (*closed)(struct reply *reply);
};

typedef int operation_run(struct workspace *w, const struct value *arguments, struct reply *reply,
                          struct error *err);

struct operation {
    const char *name;
    operation_run *run;
    bool live; /* needs the running daemon */
};

/* The operation of that name, or NULL. */
const struct operation *operation_find(const char *name);

operation_run operation_status, operation_events, operation_tail, operation_journal_status,
    operation_journal_trim, operation_sources, operation_sources_remove, operation_consumers,
    operation_rules, operation_channels, operation_triggers, operation_dead_list,
    operation_dead_retry, operation_dead_drop, operation_stop;

#endif
