/* Events out of the journal: a stretch of it (events), and what comes (tail). */
#include <stdlib.h>
#include "base/clock.h"
#include "base/text.h"
#include "event/codec.h"
#include "event/event_json.h"
#include "server/operation.h"

#define EVENTS_DEFAULT 20 /* without a starting point: so many of the newest */
#define TAIL_WAIT      (500 * 1000)

struct event_query {
    struct workspace *w;
    struct reply *reply;
    struct event_shape shape;
    struct slice source, table; /* globs; empty: all */
    const struct value *exclude;
    unsigned ops; /* mask; 0: all */
    uint64_t from;
    int64_t limit; /* rows to print; 0: all */
    struct journal_reader *reader;
    struct arena arena;
    struct buffer json;
    bool ended; /* enough, or nobody listens */
};

static bool
table_matches(struct slice pattern, const struct schema *schema)
{
    char label[512];
    schema_label(schema, label, sizeof(label));
    return text_glob(pattern, slice_of(label)) || text_glob(pattern, schema->table);
}

static bool
is_excluded(const struct event_query *q, const struct schema *schema)
{
    const struct value *list = q->exclude;
    if (!list)
        return false;
    if (list->kind == VALUE_TEXT)
        return table_matches(list->text, schema);
    for (size_t i = 0; list->kind == VALUE_LIST && i < list->count; i++)
        if (table_matches(list->items[i].text, schema))
            return true;
    return false;
}

static bool
wants(const struct event_query *q, const struct event *e)
{
    if (q->ops && !(q->ops & 1u << e->op))
        return false;
    if (q->source.size && !text_glob(q->source, e->schema->source))
        return false;
    if (q->table.size && !table_matches(q->table, e->schema))
        return false;
    return !is_excluded(q, e->schema);
}

static void
print_event(struct event_query *q, struct event *e)
{
    buffer_reset(&q->json);
    event_json(e, &q->shape, &q->json);
    if (q->reply->row(q->reply, buffer_view(&q->json)) != 0)
        q->ended = true;
    if (q->limit && --q->limit == 0)
        q->ended = true;
}

static int
print_block(struct event_query *q, const struct journal_block *block, struct error *err)
{
    struct scan records = scan_of(block->records);
    for (uint32_t i = 0; i < block->count && !q->ended; i++) {
        struct event e = {0};
        arena_reset(&q->arena);
        if (codec_decode(&records, store_schemas(workspace_store(q->w)), &q->arena, &e, err) != 0)
            return error_context(err, "event %llu", (unsigned long long)(block->first_lsn + i));
        e.lsn = block->first_lsn + i;
        e.epoch = block->epoch;
        if (e.lsn >= q->from && wants(q, &e))
            print_event(q, &e);
    }
    return 0;
}

/* Prints what there is; 0 at the journal's end or when enough was printed. */
static int
print_available(struct event_query *q, struct error *err)
{
    struct journal_block block;
    int got = 0;
    while (!q->ended && (got = journal_read(q->reader, &block, err)) > 0)
        if (print_block(q, &block, err) != 0)
            return -1;
    return got < 0 ? -1 : 0;
}

static int
parse_ops(const struct value *arguments, unsigned *mask, struct error *err)
{
    const char *text = value_text(arguments, "op", "");
    while (*text) {
        size_t size = strcspn(text, ",");
        enum event_op op = event_op_parse((struct slice){text, size});
        if (!op)
            return error_set(
                err, ERROR_USAGE,
                "--op %.*s: operations are insert, update, delete, truncate, read, ddl, "
                "message, gap",
                (int)size, text);
        *mask |= 1u << op;
        text += size + (text[size] == ',');
    }
    return 0;
}

/* Without a start: the newest, as many as --limit says. Filters apply to these. */
static uint64_t
newest_of(const struct event_query *q, uint64_t oldest, uint64_t newest)
{
    uint64_t wanted = q->limit ? (uint64_t)q->limit : EVENTS_DEFAULT;
    return newest >= oldest && newest - oldest >= wanted ? newest - wanted + 1 : oldest;
}

static int
parse_start(struct event_query *q, const struct value *arguments, bool follow, struct error *err)
{
    struct journal *journal = store_journal(workspace_store(q->w));
    const char *time = value_text(arguments, "from-time", NULL);
    uint64_t newest = journal_newest(journal), oldest = journal_oldest(journal);
    int64_t us, lsn = value_int(arguments, "from-lsn", 0);
    if (lsn > 0)
        q->from = (uint64_t)lsn;
    else if (time) {
        if (clock_parse_when(slice_of(time), &us, err) != 0)
            return error_context(err, "--from-time");
        if ((q->from = journal_find_time(journal, us, err)) == 0)
            return -1;
    } else if (value_bool(arguments, "from-beginning", false))
        q->from = oldest;
    else if (follow)
        q->from = newest + 1;
    else
        q->from = newest_of(q, oldest, newest);
    return 0;
}

static int
query_open(struct event_query *q, const struct value *arguments, bool follow, struct error *err)
{
    const char *format = value_text(arguments, "format", "native");
    q->shape = event_shape_default;
    q->shape.format = strcmp(format, "debezium") == 0 ? FORMAT_DEBEZIUM : FORMAT_NATIVE;
    if (q->shape.format == FORMAT_NATIVE && strcmp(format, "native") != 0)
        return error_set(err, ERROR_USAGE, "--format %s: formats are native and debezium", format);
    q->source = slice_of(value_text(arguments, "source", ""));
    q->table = slice_of(value_text(arguments, "table", ""));
    q->exclude = value_get(arguments, "exclude");
    q->limit = value_int(arguments, "limit", 0);
    if (parse_ops(arguments, &q->ops, err) != 0 || parse_start(q, arguments, follow, err) != 0)
        return -1;
    buffer_init(&q->json, 512 * 1024 * 1024);
    arena_init(&q->arena, 0);
    q->reader = journal_reader_open(store_journal(workspace_store(q->w)));
    journal_seek(q->reader, q->from);
    return 0;
}

static void
query_close(struct event_query *q)
{
    if (!q->reader)
        return;
    journal_reader_close(q->reader);
    buffer_release(&q->json);
    arena_release(&q->arena);
}

int
operation_events(struct workspace *w, const struct value *arguments, struct reply *reply,
                 struct error *err)
{
    struct event_query q = {.w = w, .reply = reply};
    int result = query_open(&q, arguments, false, err);
    if (result == 0)
        result = print_available(&q, err);
    query_close(&q);
    return result;
}

int
operation_tail(struct workspace *w, const struct value *arguments, struct reply *reply,
               struct error *err)
{
    struct event_query q = {.w = w, .reply = reply};
    struct wake wake;
    struct journal *journal = store_journal(workspace_store(w));
    if (query_open(&q, arguments, true, err) != 0 || wake_init(&wake, err) != 0) {
        query_close(&q);
        return -1;
    }
    journal_subscribe(journal, &wake);
    int result;
    while ((result = print_available(&q, err)) == 0 && !q.ended && !reply->closed(reply))
        wake_wait(&wake, TAIL_WAIT);
    journal_unsubscribe(journal, &wake);
    wake_release(&wake);
    query_close(&q);
    return result;
}
