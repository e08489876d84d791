/* One event through the rules that it concerns. Each rule is a unit of its own: what it sent stays
 * only if it came to its end (language.md §1). */
#include <stdlib.h>
#include "base/fault.h"
#include "base/log.h"
#include "channel/channel_driver.h"
#include "event/template.h"
#include "rules/fields.h"
#include "rules/rules_private.h"

/* The rules thread is the only writer of counters; others read them. */
static void
count(_Atomic uint64_t *counter, uint64_t more)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + more, memory_order_relaxed);
}

static struct slice
event_id_of(struct rules *r, struct event *e)
{
    if (!r->event_id.size)
        event_id(e, &r->event_id);
    return buffer_view(&r->event_id);
}

/* What Tidegate says of a channel of its own never goes out through that channel (language.md §13).
 */
static bool
complains_about(struct event *e, struct slice channel)
{
    if (!slice_is(e->schema->source, "tidegate"))
        return false;
    const struct cell *subject = event_value(e, EVENT_NEW, 0);
    bool of_channel =
        slice_is(e->schema->table, "channel_broken") || slice_is(e->schema->table, "dead_letter");
    return of_channel && subject->kind == CELL_TEXT && slice_equal(subject->text, channel);
}

/* Puts one message into the draft under the limits that hold for all of a rule. */
static int
put(struct rules *r, struct outbox_message *m, struct slice channel, struct error *err)
{
    struct rules_run *run = &r->run;
    const char *name = run->rule->origin->name;
    if (complains_about(run->event, channel))
        return 0;
    if (run->sends >= RULES_SENDS)
        return error_set(err, ERROR_DATA, "more than %d messages for one event", RULES_SENDS);
    run->bytes += m->body.size + m->options.size;
    if (run->bytes > RULES_SENT)
        return error_set(err, ERROR_DATA, "messages of more than %d MiB for one event",
                         RULES_SENT >> 20);
    m->event_id = event_id_of(r, run->event);
    m->rule = slice_of(name);
    m->ordinal = run->sends++;
    m->lsn = run->event->lsn;
    m->created = run->event->ts;
    if (!m->key_hash)
        m->key_hash = event_key_hash(run->event);
    struct hash128 id = message_id(m->event_id, r->consumer, m->rule, channel, m->ordinal);
    memcpy(m->id, id.bytes, sizeof(m->id));
    return outbox_put(run->draft, m, err);
}

/* An event goes as a reference into the journal; a gap of the journal itself is in none, so its
 * text goes along. */
static void
set_event(struct rules *r, struct outbox_message *m, const struct event_shape *shape)
{
    m->kind = MESSAGE_EVENT;
    m->shape = shape;
    if (r->run.event->lsn)
        return;
    buffer_reset(&r->json);
    event_json(r->run.event, shape, &r->json);
    m->body = buffer_view(&r->json);
}

static int
check_body(struct slice body, struct error *err)
{
    if (body.size > RULES_BODY)
        return error_set(err, ERROR_DATA, "a message of %zu bytes is larger than %d MiB", body.size,
                         RULES_BODY >> 20);
    return 0;
}

static bool
same_shape(const struct event_shape *a, const struct event_shape *b)
{
    if (a->format != b->format || a->decimals != b->decimals || a->bigints != b->bigints ||
        a->column_count != b->column_count || !a->columns != !b->columns)
        return false;
    for (size_t i = 0; i < a->column_count; i++)
        if (strcmp(a->columns[i], b->columns[i]) != 0)
            return false;
    return true;
}

/* The one shape of that content, since messages point to shapes until they are stored. */
static const struct event_shape *
keep_shape(struct rules *r, const struct event_shape *shape, struct error *err)
{
    for (size_t i = 0; i < r->shape_count; i++)
        if (same_shape(r->shapes[i], shape))
            return r->shapes[i];
    if (r->shape_count == RULES_SHAPES) {
        error_set(err, ERROR_DATA, "send: more than %d different formats and columns",
                  RULES_SHAPES);
        return NULL;
    }
    struct event_shape *kept = arena_alloc(&r->arena, sizeof(*kept));
    const char **columns = arena_alloc(&r->arena, (shape->column_count + 1) * sizeof(*columns));
    *kept = *shape;
    for (size_t i = 0; i < shape->column_count; i++)
        columns[i] = arena_text(&r->arena, shape->columns[i]);
    if (shape->columns)
        kept->columns = columns;
    return r->shapes[r->shape_count++] = kept;
}

/* The columns that send() names, as a list of texts in `arena`. */
static int
take_columns(const struct value *v, const struct schema *schema, struct arena *arena,
             struct event_shape *shape, struct error *err)
{
    size_t n = v->kind == VALUE_LIST ? v->count : 1;
    const struct value *items = v->kind == VALUE_LIST ? v->items : v;
    const char **columns = arena_alloc(arena, (n + 1) * sizeof(*columns));
    for (size_t i = 0; i < n; i++) {
        if (items[i].kind != VALUE_TEXT)
            return error_set(err, ERROR_DATA, "send: columns is a list of texts");
        if (where_column(schema, items[i].text, err) < 0)
            return error_context(err, "send: columns");
        columns[i] = items[i].text.data;
    }
    *shape = *rule_shape(shape, columns, n, arena);
    return 0;
}

static const struct event_shape *
send_shape(struct rules *r, const struct channel_plan *plan, const struct wording_shape *wanted,
           struct error *err)
{
    const struct rule *rule = r->run.rule;
    const struct schema *schema = r->run.event->schema;
    struct event_shape shape = plan->common.shape;
    struct arena scratch;
    const struct event_shape *kept = NULL;
    int format = 0;
    arena_init(&scratch, 0);
    if (wanted->format) {
        format = wording_format(wanted->format->text, err);
        shape.format = (enum event_format)format;
    }
    shape = *rule_shape(&shape, rule->columns, rule->column_count, &scratch);
    if (format >= 0 &&
        (!wanted->columns || take_columns(wanted->columns, schema, &scratch, &shape, err) == 0))
        kept = keep_shape(r, &shape, err);
    arena_release(&scratch);
    return kept;
}

/* The template of that text, kept compiled: scripts render the same few again and again. */
static struct template *
rendered(struct rules *r, struct slice text, struct error *err)
{
    const char *script = r->run.rule ? r->run.rule->origin->script : NULL;
    struct template_source source = {text, "render", script, script ? &r->filters : NULL};
    uint64_t hash = hash64(text.data, text.size) ^ (uintptr_t)script;
    struct rules_rendered *kept = &r->rendered[hash % RULES_RENDERED];
    if (kept->template && kept->hash == hash && kept->script == script &&
        slice_equal((struct slice){kept->text, kept->size}, text))
        return kept->template;
    struct template *template = template_compile_for(&source, err);
    if (!template)
        return NULL;
    template_free(kept->template);
    free(kept->text);
    *kept = (struct rules_rendered){hash, script, memory_slice(text), text.size, template};
    return template;
}

void
dispatch_release(struct rules *r)
{
    for (size_t i = 0; i < RULES_RENDERED; i++) {
        template_free(r->rendered[i].template);
        free(r->rendered[i].text);
    }
}

/* People read text: of a table that a script made, one field is the text, the others options. */
static int
fit_table(struct rules *r, const struct channel_driver *driver, struct outbox_message *m,
          struct error *err)
{
    buffer_reset(&r->json);
    buffer_reset(&r->fields);
    const struct wording_split split = {m->body, m->options, driver, &r->json, &r->fields};
    if (wording_table(&split, &m->key_hash, err) != 0)
        return -1;
    m->kind = MESSAGE_TEXT;
    m->body = buffer_view(&r->json);
    m->options = buffer_view(&r->fields);
    return 0;
}

static int
send_message(struct rules *r, const struct vm_send *send, struct error *err)
{
    struct outbox_message m = {0};
    const struct channel_plan *plan;
    struct wording_shape shape = {0};
    ensure(r->run.rule && send->event == r->run.event);
    if (rule_channel(&r->world, send->channel, &m.queue, &plan, err) != 0)
        return error_context(err, "send");
    buffer_reset(&r->options);
    if (fields_check_send(plan->driver, send->options, err) != 0)
        return error_context(err, "send");
    if (send->options && wording_options(send->options, &r->options, &m.key_hash, &shape, err) != 0)
        return error_context(err, "send");
    m.options = buffer_view(&r->options);
    if (send->kind == VM_EVENT) {
        const struct event_shape *kept = send_shape(r, plan, &shape, err);
        if (!kept)
            return -1;
        set_event(r, &m, kept);
    } else {
        if (shape.format || shape.columns)
            return error_set(err, ERROR_DATA, "send: format and columns go with an event only");
        m.kind = send->kind == VM_TEXT ? MESSAGE_TEXT : MESSAGE_TABLE;
        m.body = send->body;
        if (check_body(m.body, err) != 0)
            return error_context(err, "send");
        if (m.kind == MESSAGE_TABLE && rule_is_human(plan->driver) &&
            fit_table(r, plan->driver, &m, err) != 0)
            return error_context(err, "send");
    }
    return put(r, &m, send->channel, err);
}

int
dispatch_send(void *context, const struct vm_send *send, struct error *err)
{
    struct rules *r = context;
    if (send_message(r, send, err) == 0)
        return 0;
    if (!r->run.failed)
        r->failure = *err;
    r->run.failed = true;
    return -1;
}

/* A rule's clock is that of its events, so that a replay gives the same texts. */
static struct template_call
call_of(struct rules *r, struct event *e)
{
    const struct rule *rule = r->run.rule;
    return (struct template_call){.event = e,
                                  .escape = TEMPLATE_PLAIN,
                                  .now = e->ts,
                                  .columns = rule ? rule->columns : NULL,
                                  .column_count = rule ? rule->column_count : 0,
                                  .host = &r->filters,
                                  .space = r->space};
}

int
dispatch_render(void *context, struct slice text, struct event *e, struct buffer *out,
                struct error *err)
{
    struct rules *r = context;
    struct template *template = rendered(r, text, err);
    if (!template || template_check(template, e->schema, err) != 0)
        return -1;
    struct template_call call = call_of(r, e);
    return template_render(template, &call, out, err);
}

static enum template_escape
text_of(const struct rule_target *target)
{
    return target->driver ? target->driver->text : TEMPLATE_PLAIN;
}

/* Fills the message of that target; `*nothing` when a function decided not to send. */
static int
make_message(struct rules *r, const struct rule_target *target, struct outbox_message *m,
             bool *nothing, struct error *err)
{
    const struct wording *w = target->wording;
    struct vm_message said;
    *m = (struct outbox_message){0};
    *nothing = false;
    buffer_reset(&r->body);
    buffer_reset(&r->options);
    struct template_call call = call_of(r, r->run.event);
    call.escape = text_of(target);
    if (wording_render(w, &call, &r->body, &r->options, &m->key_hash, err) != 0)
        return -1;
    m->options = buffer_view(&r->options);
    m->body = buffer_view(&r->body);
    m->kind = w->kind == WORDING_EVENT ? MESSAGE_EVENT : MESSAGE_TEXT;
    if (w->kind == WORDING_FUNCTION) {
        count(&r->entered, 1);
        if (vm_message(r->vm, w->function, r->run.event, &said, err) != 0)
            return -1;
        *nothing = said.kind == VM_NOTHING;
        m->body = said.body;
        m->kind = said.kind == VM_SAYS_TEXT    ? MESSAGE_TEXT
                  : said.kind == VM_SAYS_TABLE ? MESSAGE_TABLE
                                               : MESSAGE_EVENT;
    }
    return check_body(m->body, err);
}

static int
notify(struct rules *r, struct error *err)
{
    const struct rule *rule = r->run.rule;
    const struct rule_target *made_for = NULL;
    struct outbox_message made = {0};
    bool nothing = false;
    for (size_t i = 0; i < rule->target_count; i++) {
        const struct rule_target *target = &rule->targets[i];
        bool same = made_for && made_for->wording == target->wording &&
                    text_of(made_for) == text_of(target);
        if (!same && make_message(r, target, &made, &nothing, err) != 0)
            return error_context(err, "message");
        made_for = target;
        struct outbox_message m = made;
        if (nothing)
            continue;
        m.queue = target->queue;
        if (m.kind == MESSAGE_EVENT)
            set_event(r, &m, target->shape);
        if (m.kind == MESSAGE_TABLE && rule_is_human(target->driver) &&
            fit_table(r, target->driver, &m, err) != 0)
            return error_context(err, "message");
        if (put(r, &m, target->name, err) != 0)
            return -1;
    }
    return 0;
}

static int
old_value_missing(const struct event *e, unsigned column, struct error *err)
{
    struct slice name = e->schema->columns[column].name;
    char label[256];
    schema_label(e->schema, label, sizeof(label));
    return error_set(err, ERROR_DATA, "old value not in log: %s does not carry column \"%.*s\"",
                     label, (int)name.size, name.data);
}

/* The rule's whole work on the event; `*passed` when its conditions held. */
static int
run_rule(struct rules *r, struct matcher_bound *b, bool *passed, struct error *err)
{
    const struct rule *rule = b->rule;
    struct event *e = r->run.event;
    unsigned unknown = 0;
    if (b->problem) {
        *err = *b->problem;
        return -1;
    }
    enum verdict verdict = matcher_test(b, e, &unknown);
    if (verdict == VERDICT_UNKNOWN)
        return old_value_missing(e, unknown, err);
    *passed = verdict == VERDICT_YES;
    if (*passed && rule->when) {
        count(&r->entered, 1);
        if (vm_when(r->vm, rule->when, e, passed, err) != 0)
            return error_context(err, "when");
    }
    if (!*passed)
        return 0;
    if (!rule->run)
        return notify(r, err);
    count(&r->entered, 1);
    if (vm_run(r->vm, rule->run, e, err) != 0)
        return -1;
    if (!r->run.failed)
        return 0;
    *err = r->failure; /* a pcall around send hides nothing */
    return -1;
}

/* One line a rule and second; of what the log does not carry, one line a rule and table. */
static void
log_failed(struct matcher_bound *b, struct error *err)
{
    struct rule *rule = b->rule;
    int64_t now = clock_mono();
    if (strstr(err->message, "old value not in log")) {
        if (b->warned)
            return;
        b->warned = true;
    } else if (rule->logged && now - rule->logged < CLOCK_SECOND) {
        return;
    } else {
        rule->logged = now;
    }
    log_failure(LOG_WARNING, "rules", err);
}

static void
fail(struct rules *r, struct matcher_bound *b, struct error *err)
{
    struct rule *rule = b->rule;
    struct slice id = event_id_of(r, r->run.event);
    count(&rule->failed, 1);
    pthread_mutex_lock(&r->lock);
    error_text(err, rule->last_error, sizeof(rule->last_error));
    rule->last_failed = clock_now();
    pthread_mutex_unlock(&r->lock);
    error_context(err, "rule %s, event %.*s", rule->origin->name,
                  (int)(id.size > 200 ? 200 : id.size), id.data);
    log_failed(b, err);
}

static void
handle(struct rules *r, struct matcher_bound *b)
{
    struct rules_run *run = &r->run;
    size_t mark = outbox_draft_mark(run->draft);
    bool passed = false;
    if (quarantine_holds(&b->rule->quarantine, run->event->lsn)) {
        count(&b->rule->failed, 1);
        return;
    }
    run->rule = b->rule;
    vm_name(r->vm, b->rule->origin->name, b->rule->columns, b->rule->column_count);
    run->sends = 0;
    run->bytes = 0;
    run->failed = false;
    run->filter_us = 0;
    if (run_rule(r, b, &passed, &r->error) != 0) {
        outbox_draft_cut(run->draft, mark);
        quarantine_failed(&b->rule->quarantine, b->rule->origin->name, &r->error);
        fail(r, b, &r->error);
        return;
    }
    quarantine_passed(&b->rule->quarantine, b->rule->origin->name);
    count(&b->rule->matched, passed);
    if (!run->sends)
        return;
    count(&b->rule->sent, run->sends);
    count(&b->rule->answered, 1);
    fault_point("rules.after_send");
}

void
dispatch_event(struct rules *r, struct event *e, struct outbox_draft *draft)
{
    struct matcher_ops *ops = rules_plan(r, e->schema)->ops[e->op];
    if (!ops)
        return;
    r->run = (struct rules_run){.event = e, .draft = draft};
    buffer_reset(&r->event_id);
    count(&ops->seen, 1);
    matcher_candidates(ops, e, r->candidates);
    for (uint32_t word = 0; word < ops->words; word++)
        for (uint64_t bits = r->candidates[word]; bits; bits &= bits - 1)
            handle(r, ops->rules[word * 64 + (uint32_t)__builtin_ctzll(bits)]);
    r->run = (struct rules_run){0};
    if (vm_is_full(r->vm))
        quarantine_renew(r);
}
