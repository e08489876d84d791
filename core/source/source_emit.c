/* From events to batches, and batches to the sink. */
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "source/source_run.h"

static struct source *
source_of(struct source_context *context)
{
    return container_of(context, struct source, context);
}

static size_t
row_size(const struct row *row)
{
    size_t size = 0;
    for (unsigned i = 0; row->present && i < row->count; i++) {
        if (row->cells[i].kind >= CELL_DECIMAL)
            size += row->cells[i].text.size;
    }
    return size;
}

static size_t
rows_size(const struct event *e)
{
    return row_size(&e->rows[EVENT_NEW]) + row_size(&e->rows[EVENT_OLD]);
}

static void
forget_above(struct row *row, struct cell *cells, size_t largest)
{
    for (unsigned i = 0; row->present && i < row->count; i++) {
        if (cells[i].kind >= CELL_DECIMAL && cells[i].text.size > largest)
            cells[i] = (struct cell){.kind = CELL_UNKNOWN};
    }
}

/* Takes the largest cells out of a row that passes max_row, until it fits. */
static void
shrink(struct source *s, struct event *e, struct arena *arena)
{
    size_t size = rows_size(e), limit = (size_t)s->plan.common.max_row;
    struct cell *cells[2];
    for (int i = 0; i < 2; i++) {
        size_t bytes = e->rows[i].count * sizeof *cells[i];
        cells[i] = arena_alloc(arena, bytes + 1);
        if (e->rows[i].present)
            memcpy(cells[i], e->rows[i].cells, bytes);
        e->rows[i].cells = cells[i];
    }
    for (size_t largest = limit / 2; rows_size(e) > limit; largest /= 2) {
        for (int i = 0; i < 2; i++)
            forget_above(&e->rows[i], cells[i], largest);
    }
    log_warning(s->component,
                "a row of %.*s.%.*s takes %zu bytes, max_row is %zu: its big cells are unknown in "
                "event %.*s",
                (int)e->schema->schema.size, e->schema->schema.data, (int)e->schema->table.size,
                e->schema->table.data, size, limit, (int)e->position.size, e->position.data);
}

/* Wrong on purpose, in builds that tests must find wrong: two neighbours change places. */
static void
sabotage_order(struct source *s)
{
    struct buffer *records = &s->batch->records;
    if (!sabotage("source.swap_events") || s->emitted % 500 != 499 || s->batch->count < 2)
        return;
    size_t first = s->marks[1] - s->marks[0], second = records->size - s->marks[1];
    char *copy = memory_slice((struct slice){records->data + s->marks[0], first});
    memmove(records->data + s->marks[0], records->data + s->marks[1], second);
    memcpy(records->data + s->marks[0] + second, copy, first);
    free(copy);
}

static int
add(struct source *s, const struct event *e, struct error *err)
{
    struct event own = *e;
    own.epoch = s->context.epoch;
    if (s->batch && s->batch->count)
        fault_point("source.mid_batch");
    if (!s->batch)
        s->batch = batch_new(s->plan.name, s->context.epoch);
    s->marks[0] = s->marks[1];
    s->marks[1] = s->batch->records.size;
    if (batch_add(s->batch, &own, err) != 0)
        return -1;
    sabotage_order(s);
    s->emitted++;
    pthread_mutex_lock(&s->lock);
    s->status.events++;
    s->status.last_event = e->ts;
    pthread_mutex_unlock(&s->lock);
    return 0;
}

/* Wrong on purpose as well: how often this event is added. */
static int
sabotaged_count(const struct source *s)
{
    (void)s;
    if (sabotage("source.drop_event") && s->emitted % 500 == 499)
        return 0;
    return sabotage("source.double_event") && s->emitted % 500 == 499 ? 2 : 1;
}

/* What was read is in the batch: from here on this is where it can be cut. */
static void
move_cut(struct source *s, struct slice position)
{
    buffer_reset(&s->cut);
    buffer_slice(&s->cut, position);
    if (!s->tail_changed)
        return;
    buffer_reset(&s->tail);
    buffer_slice(&s->tail, buffer_view(&s->next_tail));
    s->tail_changed = false;
}

static int
emit_times(struct source *s, const struct event *e, int times, struct error *err)
{
    s->emitted += times == 0;
    for (; times > 0; times--) {
        if (add(s, e, err) != 0)
            return -1;
    }
    return 0;
}

static int
emit_shrunk(struct source *s, const struct event *e, int times, struct error *err)
{
    struct arena arena;
    struct event own = *e;
    arena_init(&arena, 0);
    shrink(s, &own, &arena);
    int result = emit_times(s, &own, times, err);
    arena_release(&arena);
    return result;
}

int
source_emit(struct source_context *context, const struct event *e, struct slice position,
            struct error *err)
{
    struct source *s = source_of(context);
    bool fits = rows_size(e) <= (size_t)s->plan.common.max_row;
    int times = sabotaged_count(s);
    if ((fits ? emit_times(s, e, times, err) : emit_shrunk(s, e, times, err)) != 0)
        return -1;
    move_cut(s, position);
    if (!s->batch || !batch_full(s->batch) || source_hand_over(s, false) == 0)
        return 0;
    return error_set(err, ERROR_BUSY, "source \"%s\" is stopping", s->plan.name);
}

void
source_attach(struct source_context *context, struct slice tail)
{
    struct source *s = source_of(context);
    buffer_reset(&s->next_tail);
    buffer_slice(&s->next_tail, tail);
    s->tail_changed = true;
}

void
source_advance(struct source_context *context, struct slice position)
{
    struct source *s = source_of(context);
    move_cut(s, position);
    s->advanced = true;
}

bool
source_stopping(const struct source_context *context)
{
    const char *inside = (const char *)context;
    return atomic_load(&((const struct source *)(inside - offsetof(struct source, context)))->stop);
}

void
source_watermark(struct source_context *context, int64_t us)
{
    struct source *s = source_of(context);
    s->proved = true;
    if (us > s->watermark)
        s->watermark = us;
}

static void
remember(struct source *s, uint64_t unit)
{
    if (s->given_count == s->given_room) {
        s->given_room = s->given_room ? s->given_room * 2 : 16;
        s->given = memory_grow(s->given, s->given_room * sizeof *s->given);
    }
    struct slice position = buffer_view(&s->joined);
    s->given[s->given_count++] = (struct source_given){unit, memory_slice(position), position.size};
    struct buffer text;
    buffer_init(&text, sizeof s->status.position);
    if (position.size)
        s->plan.driver->describe(position, &text);
    pthread_mutex_lock(&s->lock);
    s->status.batches++;
    s->status.watermark = s->watermark;
    snprintf(s->status.position, sizeof s->status.position, "%s", buffer_cstring(&text));
    pthread_mutex_unlock(&s->lock);
    buffer_release(&text);
}

int
source_hand_over(struct source *s, bool tick)
{
    if (!s->batch && !tick && !s->advanced)
        return 0;
    if (!s->batch)
        s->batch = batch_new(s->plan.name, s->context.epoch);
    struct batch *batch = s->batch;
    uint64_t unit;
    bool full = false;
    buffer_reset(&s->joined);
    buffer_slice(&s->joined, buffer_view(&s->cut));
    buffer_slice(&s->joined, buffer_view(&s->tail));
    batch_seal(batch, buffer_view(&s->joined), s->watermark);
    s->batch = NULL;
    s->advanced = false;
    fault_point("source.before_give");
    while (!s->plan.sink.give(s->plan.sink.context, batch, &unit)) {
        if (atomic_load(&s->stop)) {
            batch_free(batch);
            return -1;
        }
        if (!full)
            source_set_state(s, SOURCE_PAUSED, NULL);
        full = true;
        source_wait(s, CLOCK_SECOND);
    }
    remember(s, unit);
    if (full)
        source_set_state(s, SOURCE_STREAMING, NULL);
    return 0;
}

int
source_take_commits(struct source *s, struct error *err)
{
    uint64_t unit = s->plan.sink.committed(s->plan.sink.context);
    size_t done = 0;
    if (sabotage("source.confirm_early"))
        unit = UINT64_MAX;
    while (done < s->given_count && s->given[done].unit <= unit)
        done++;
    if (done == 0)
        return 0;
    buffer_reset(&s->durable);
    buffer_append(&s->durable, s->given[done - 1].position, s->given[done - 1].size);
    for (size_t i = 0; i < done; i++)
        free(s->given[i].position);
    s->given_count -= done;
    memmove(s->given, s->given + done, s->given_count * sizeof *s->given);
    fault_point("source.before_confirm");
    if (!s->open || s->durable.size == 0)
        return 0;
    return s->plan.driver->confirm(&s->context, buffer_view(&s->durable), err);
}

int
source_emit_gap(struct source *s, struct error *err)
{
    struct schema draft = {.source = slice_of(s->plan.name),
                           .driver = slice_of(s->plan.driver->name)};
    const struct schema *schema = schema_intern(s->plan.schemas, &draft, err);
    if (!schema)
        return -1;
    struct buffer gap;
    buffer_init(&gap, 1 << 20);
    buffer_text(&gap, "{\"reason\":");
    json_string(&gap, slice_of(s->lost.message));
    buffer_text(&gap, "}");
    /* Everything after it has a greater position; the epoch is new. Where the log goes on, the
     * driver has already said. */
    struct event e = {.op = EVENT_GAP,
                      .ts = clock_now(),
                      .schema = schema,
                      .position = slice_literal("0-g1"),
                      .gap = buffer_view(&gap)};
    struct slice at = buffer_view(&s->cut);
    char *copy = memory_slice(at);
    int result = source_emit(&s->context, &e, (struct slice){copy, at.size}, err);
    free(copy);
    buffer_release(&gap);
    return result;
}
