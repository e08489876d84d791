#include "server/operation.h"

#include <signal.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/json.h"

#define ROW_LIMIT (256 * 1024 * 1024)

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

void
row_begin(struct row_writer *w, struct reply *reply)
{
    w->reply = reply;
    buffer_init(&w->json, ROW_LIMIT);
    buffer_byte(&w->json, '{');
}

int
row_end(struct row_writer *w)
{
    buffer_byte(&w->json, '}');
    int result = w->json.failed ? -1 : w->reply->row(w->reply, buffer_view(&w->json));
    buffer_release(&w->json);
    return result;
}

void
row_slice(struct row_writer *w, const char *key, struct slice value)
{
    json_key(&w->json, key);
    json_string(&w->json, value);
}

void
row_text(struct row_writer *w, const char *key, const char *value)
{
    json_key(&w->json, key);
    if (value)
        json_string(&w->json, slice_of(value));
    else
        buffer_text(&w->json, "null");
}

void
row_int(struct row_writer *w, const char *key, int64_t value)
{
    json_key(&w->json, key);
    json_int(&w->json, value);
}

void
row_bool(struct row_writer *w, const char *key, bool value)
{
    json_key(&w->json, key);
    buffer_text(&w->json, value ? "true" : "false");
}

void
row_time(struct row_writer *w, const char *key, int64_t us)
{
    char text[CLOCK_TEXT_SIZE];
    row_text(w, key, us ? clock_format(us, text) : NULL);
}

void
row_error(struct row_writer *w, const char *key, const struct error *err)
{
    json_key(&w->json, key);
    if (!err || err->class == ERROR_NONE) {
        buffer_text(&w->json, "null");
        return;
    }
    buffer_byte(&w->json, '{');
    row_text(w, "class", error_class_name(err->class));
    row_text(w, "message", err->message);
    if (err->cause[0])
        row_text(w, "cause", err->cause);
    if (err->hint[0])
        row_text(w, "hint", err->hint);
    row_int(w, "exit", error_exit_code(err->class));
    buffer_byte(&w->json, '}');
}
