/* Dead letters for the commands: listed through a connection of their own, changed through the
 * store in pieces, so that neither a reader nor a unit lasts long. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "outbox/queue.h"

enum {
    DEAD_PAGE = 64,  /* rows of one read transaction */
    DEAD_UNIT = 512, /* rows changed in one unit */
};

/* A dead letter as it was read, with memory of its own. */
struct letter {
    struct outbox_dead dead;
    uint64_t key;
    struct buffer message;
};

struct visit {
    struct outbox *outbox;
    const struct outbox_filter *filter;
    struct resolver resolver;
    bool wants_body;
    size_t count;
    int (*each)(struct visit *v, struct letter *letter, struct error *err);
    outbox_visit *out;
    void *context;
    struct change_list *changes;
};

static void
copy_text(char *out, size_t size, struct slice text)
{
    snprintf(out, size, "%.*s", (int)(text.size < size ? text.size : size - 1),
             text.data ? text.data : "");
}

static void
read_letter(sqlite3_stmt *row, struct letter *letter)
{
    struct outbox_dead *dead = &letter->dead;
    *dead = (struct outbox_dead){.seq = (uint64_t)sqlite3_column_int64(row, 1),
                                 .attempts = sqlite3_column_int(row, 3),
                                 .first_at = sqlite3_column_int64(row, 4)};
    copy_text(dead->channel, sizeof(dead->channel), query_blob(row, 0));
    copy_text(dead->reason, sizeof(dead->reason), query_blob(row, 6));
    letter->key = (uint64_t)sqlite3_column_int64(row, 2);
    buffer_init(&letter->message, BLOCK_MAX);
    buffer_slice(&letter->message, query_blob(row, 7));
}

/* The rows behind (channel, seq), at most a page: how many, or -1. */
static int
read_page(sqlite3 *db, const char *channel, uint64_t seq, struct letter *page, struct error *err)
{
    sqlite3_stmt *rows =
        query_use(db, QUERY_PARKED_PAGE, err, "sii", channel, (int64_t)seq, (int64_t)DEAD_PAGE);
    int got = -1, count = 0;
    while (rows && (got = sql_step(rows, err)) > 0)
        read_letter(rows, &page[count++]);
    return got < 0 ? -1 : count;
}

static bool
wanted(const struct outbox_filter *filter, const struct outbox_dead *dead)
{
    if (filter->channel && strcmp(filter->channel, dead->channel) != 0)
        return false;
    if (filter->rule && !text_glob(slice_of(filter->rule), slice_of(dead->rule)))
        return false;
    if (filter->id && strcmp(filter->id, dead->id) != 0)
        return false;
    return !filter->older_than || dead->first_at < filter->older_than;
}

/* Decodes the message. One that is damaged is shown by its place and reason alone. */
static void
open_letter(struct letter *letter, struct record *record)
{
    struct record_reader reader;
    struct error ignored = {0};
    *record = (struct record){0};
    if (record_open(&reader, buffer_view(&letter->message), &ignored) != 0 ||
        record_read(&reader, record, &ignored) <= 0)
        *record = (struct record){0};
    record_release(&reader);
    message_id_text(record->id, letter->dead.id);
    copy_text(letter->dead.rule, sizeof(letter->dead.rule), record->rule);
    letter->dead.lsn = record->lsn;
}

/* Body and event id, as far as they can still be had. */
static void
fill_body(struct visit *v, struct letter *letter, const struct record *record, struct buffer *text)
{
    struct error ignored = {0};
    struct delivery delivery = {0};
    if (!record->kind || resolver_delivery(&v->resolver, record, text, &delivery, &ignored) <= 0)
        return;
    letter->dead.body = delivery.body;
    copy_text(letter->dead.event_id, sizeof(letter->dead.event_id), delivery.event_id);
}

static int
visit_letter(struct visit *v, struct letter *letter, struct buffer *text, struct error *err)
{
    struct record record;
    open_letter(letter, &record);
    if (!wanted(v->filter, &letter->dead))
        return 0;
    if (v->wants_body)
        fill_body(v, letter, &record, text);
    v->count++;
    return v->each(v, letter, err);
}

static bool
enough(const struct visit *v)
{
    return v->filter->limit && v->count >= v->filter->limit;
}

static int
visit_page(struct visit *v, struct letter *page, int count, struct error *err)
{
    struct buffer text;
    int result = 0;
    buffer_init(&text, QUEUE_BODY);
    for (int i = 0; i < count; i++) {
        if (result == 0 && !enough(v))
            result = visit_letter(v, &page[i], &text, err);
        buffer_release(&page[i].message);
    }
    buffer_release(&text);
    return result;
}

/* All that match. A visit that answers other than 0 ends it. */
static int
visit_all(struct visit *v, struct error *err)
{
    sqlite3 *db = store_reader(v->outbox->store, err);
    if (!db)
        return -1;
    struct letter *page = memory_alloc(DEAD_PAGE * sizeof(*page));
    char channel[64] = "";
    uint64_t seq = 0;
    int count, result = 0;
    if (v->filter->channel)
        copy_text(channel, sizeof(channel), slice_of(v->filter->channel));
    while (result == 0 && !enough(v) && (count = read_page(db, channel, seq, page, err)) != 0) {
        if (count > 0) {
            memcpy(channel, page[count - 1].dead.channel, sizeof(channel));
            seq = page[count - 1].dead.seq;
            result = visit_page(v, page, count, err);
        } else {
            result = -1;
        }
        if (v->filter->channel && strcmp(channel, v->filter->channel) != 0)
            break;
    }
    free(page);
    sql_close(db);
    return result;
}

static int
show(struct visit *v, struct letter *letter, struct error *err)
{
    (void)err;
    return v->out(v->context, &letter->dead);
}

static void
visit_init(struct visit *v, struct outbox *o, const struct outbox_filter *filter)
{
    *v = (struct visit){.outbox = o, .filter = filter};
    resolver_init(&v->resolver, store_journal(o->store), store_schemas(o->store), &o->shapes);
}

int
outbox_dead_list(struct outbox *o, const struct outbox_filter *filter, outbox_visit *visit,
                 void *context, struct error *err)
{
    struct visit v;
    visit_init(&v, o, filter);
    v.wants_body = true;
    v.each = show;
    v.out = visit;
    v.context = context;
    int result = visit_all(&v, err);
    resolver_release(&v.resolver);
    return result;
}

/* A dead letter that is to be changed. */
struct target {
    char channel[64];
    uint64_t seq, key;
    size_t bytes;
    bool changed; /* by `run`: it was still there */
};

struct change_list {
    struct target *items;
    size_t count, capacity;
};

static int
note(struct visit *v, struct letter *letter, struct error *err)
{
    (void)err;
    struct change_list *list = v->changes;
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 64;
        list->items = memory_grow(list->items, list->capacity * sizeof(*list->items));
    }
    struct target *target = &list->items[list->count++];
    *target =
        (struct target){.seq = letter->dead.seq, .key = letter->key, .bytes = letter->message.size};
    memcpy(target->channel, letter->dead.channel, sizeof(target->channel));
    return 0;
}

/* A unit over some targets, which the caller keeps: store_run_now returns after `done`. */
struct edit {
    struct store_work work;
    struct outbox *outbox;
    bool retry; /* else drop */
    struct target *targets;
    size_t count;
    int64_t now;
};

static int
run_change(struct store_work *work, sqlite3 *db, struct error *err)
{
    struct edit *edit = container_of(work, struct edit, work);
    for (size_t i = 0; i < edit->count; i++) {
        struct target *target = &edit->targets[i];
        int result = edit->retry ? query_do(db, QUERY_DEAD_RETRY, err, "sii", target->channel,
                                            (int64_t)target->seq, edit->now)
                                 : query_do(db, QUERY_DEAD_DROP, err, "si", target->channel,
                                            (int64_t)target->seq);
        if (result != 0)
            return -1;
        target->changed = sqlite3_changes(db) > 0;
    }
    return 0;
}

static void
tell_queue(struct outbox_queue *q, const struct target *target, bool retry, int64_t now)
{
    struct revived *revived = NULL;
    if (retry) {
        revived = memory_alloc(sizeof(*revived));
        *revived = (struct revived){
            .seq = target->seq, .key = target->key, .first_at = now, .bytes = target->bytes};
    }
    pthread_mutex_lock(&q->lock);
    q->dead--;
    q->dead_bytes -= (int64_t)target->bytes;
    if (revived) {
        revived->next = q->revived;
        q->revived = revived;
    }
    pthread_mutex_unlock(&q->lock);
    queue_poke(q);
}

static void
done_change(struct store_work *work, const struct error *err)
{
    struct edit *edit = container_of(work, struct edit, work);
    for (size_t i = 0; !err && i < edit->count; i++) {
        const struct target *target = &edit->targets[i];
        struct outbox_queue *q =
            target->changed ? outbox_find(edit->outbox, target->channel) : NULL;
        if (q)
            tell_queue(q, target, edit->retry, edit->now);
    }
    free(edit);
}

static int64_t
change_some(struct outbox *o, struct target *targets, size_t count, bool retry, struct error *err)
{
    int64_t changed = 0;
    struct edit *edit = memory_zero(sizeof(*edit));
    *edit = (struct edit){.work = {.run = run_change,
                                   .done = done_change,
                                   .bytes = count * sizeof(*targets),
                                   .essential = true},
                          .outbox = o,
                          .retry = retry,
                          .targets = targets,
                          .count = count,
                          .now = clock_now()};
    if (store_run_now(o->store, &edit->work, err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        changed += targets[i].changed;
    return changed;
}

static int64_t
change_all(struct outbox *o, const struct outbox_filter *filter, bool retry, struct error *err)
{
    struct visit v;
    struct change_list list = {0};
    visit_init(&v, o, filter);
    v.each = note;
    v.changes = &list;
    int64_t total = visit_all(&v, err), changed;
    resolver_release(&v.resolver);
    for (size_t at = 0; total >= 0 && at < list.count; at += DEAD_UNIT) {
        size_t count = list.count - at < DEAD_UNIT ? list.count - at : DEAD_UNIT;
        changed = change_some(o, list.items + at, count, retry, err);
        total = changed < 0 ? -1 : total + changed;
    }
    free(list.items);
    return total;
}

int64_t
outbox_dead_retry(struct outbox *o, const struct outbox_filter *filter, struct error *err)
{
    return change_all(o, filter, true, err);
}

int64_t
outbox_dead_drop(struct outbox *o, const struct outbox_filter *filter, struct error *err)
{
    return change_all(o, filter, false, err);
}
