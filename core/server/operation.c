#include "server/operation.h"

#include <signal.h>
#include <unistd.h>

static const struct operation operations[] = {
    {"status", operation_status, false},
    {"events", operation_events, false},
    {"tail", operation_tail, true},
    {"journal status", operation_journal_status, false},
    {"journal trim", operation_journal_trim, false},
    {"sources", operation_sources, false},
    {"sources remove", operation_sources_remove, false},
    {"consumers", operation_consumers, false},
    {"rules", operation_rules, false},
    {"channels", operation_channels, false},
    {"triggers", operation_triggers, false},
    {"dead list", operation_dead_list, false},
    {"dead retry", operation_dead_retry, false},
    {"dead drop", operation_dead_drop, false},
    {"stop", operation_stop, true},
};

const struct operation *
operation_find(const char *name)
{
    for (size_t i = 0; i < countof(operations); i++)
        if (strcmp(operations[i].name, name) == 0)
            return &operations[i];
    return NULL;
}

int
operation_stop(struct workspace *w, const struct value *arguments, struct reply *reply,
               struct error *err)
{
    (void)w;
    (void)arguments;
    (void)reply;
    (void)err;
    kill(getpid(), SIGTERM);
    return 0;
}
