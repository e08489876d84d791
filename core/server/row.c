#include "server/row.h"

#include "base/clock.h"
#include "base/json.h"

#define ROW_LIMIT (512 * 1024 * 1024)

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

void
row_journal(struct row_writer *row, struct workspace *w)
{
    struct journal *journal = store_journal(workspace_store(w));
    const struct settings *s = &workspace_config(w)->settings;
    row_bool(row, "enabled", true);
    row_text(row, "id", journal_id(journal));
    row_int(row, "newest_lsn", (int64_t)journal_newest(journal));
    row_int(row, "oldest_lsn", (int64_t)journal_oldest(journal));
    row_int(row, "bytes", journal_bytes(journal));
    row_int(row, "retention_seconds", s->retention.journal / CLOCK_SECOND);
    row_int(row, "retention_bytes", s->retention.journal_size);
}

/* A list operation as an array inside another row. */
struct nested {
    struct reply reply;
    struct row_writer *row;
};

static int
nested_row(struct reply *reply, struct slice json)
{
    struct nested *n = container_of(reply, struct nested, reply);
    json_comma(&n->row->json);
    buffer_slice(&n->row->json, json);
    return 0;
}

void
row_list(struct row_writer *row, const char *key, struct workspace *w, operation_run *list)
{
    struct nested n = {.reply = {.row = nested_row}, .row = row};
    json_key(&row->json, key);
    buffer_byte(&row->json, '[');
    list(w, NULL, &n.reply, NULL);
    buffer_byte(&row->json, ']');
}
