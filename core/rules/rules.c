/* A generation: scripts loaded into one VM, their rules compiled, and what is known of how they do.
 */
#include "rules/rules_private.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/text.h"

/* Makes a problem of a script known: to the caller, and to rules_status. */
struct report {
    struct rules *rules;
    rules_problem *problem;
    void *context;
};

static void
report_script(const struct report *report, const char *script, const struct error *err)
{
    struct rules *r = report->rules;
    struct rules_broken *broken = arena_zero(&r->arena, sizeof(*broken));
    broken->script = arena_text(&r->arena, script);
    error_text(err, broken->problem, sizeof(broken->problem));
    struct rules_broken **last = &r->broken;
    while (*last)
        last = &(*last)->next;
    *last = broken;
    if (report->problem)
        report->problem(report->context, script, err);
}

static const char *
suggest_module(const struct rules_world *world, struct slice path)
{
    return text_suggest(path, world->modules, world->module_count, sizeof(*world->modules));
}

/* For vm_host. */
static int
find_module(void *context, struct slice path, struct slice *text, struct error *err)
{
    const struct rules_world *world = &((struct rules *)context)->world;
    for (size_t i = 0; i < world->module_count; i++) {
        if (!slice_is(path, world->modules[i].path))
            continue;
        *text = world->modules[i].text;
        if (text->data)
            return 0;
        return error_set(err, ERROR_DATA, "require: %s can't be read", path.data);
    }
    const char *near = suggest_module(world, path);
    error_set(err, ERROR_DATA, "require: there is no module %s", path.data);
    if (near)
        return error_hint(err, "did you mean %s?", near);
    return error_hint(err, "modules stand below scripts/lib: require(\"a.b\") is "
                           "scripts/lib/a/b.lua");
}

static void
load_scripts(const struct report *report, const struct rules_script *scripts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct error err = {0};
        if (vm_load(report->rules->vm, scripts[i].path, scripts[i].text, &err) != 0)
            report_script(report, scripts[i].path, &err);
    }
}

/* A script stands or falls as a whole: a rule beside a broken one does not run either. */
static void
unload_script(struct rules *r, const char *script)
{
    for (size_t i = 0; i < r->count; i++) {
        struct rule *rule = &r->list[i];
        if (strcmp(rule->origin->script, script) != 0)
            continue;
        rule->loaded = false;
        if (!rule->problem[0])
            snprintf(rule->problem, sizeof(rule->problem),
                     "another rule of %s has a problem; a script loads as a whole", script);
    }
}

static void
compile_rules(const struct report *report)
{
    struct rules *r = report->rules;
    const struct vm_rule *origins;
    r->count = vm_rules(r->vm, &origins);
    r->list = memory_zero((r->count + 1) * sizeof(*r->list));
    r->candidates = memory_zero((r->count / 64 + 1) * sizeof(*r->candidates));
    for (size_t i = 0; i < r->count; i++) {
        struct error err = {0};
        struct rule *rule = &r->list[i];
        rule->loaded = true;
        if (rule_compile(&origins[i], &r->world, &r->arena, rule, &err) == 0)
            continue;
        rule->loaded = false;
        error_text(&err, rule->problem, sizeof(rule->problem));
        if (report->problem)
            report->problem(report->context, origins[i].script, &err);
    }
    for (size_t i = 0; i < r->count; i++)
        if (!r->list[i].loaded)
            unload_script(r, r->list[i].origin->script);
}

struct rules *
rules_new(const struct rules_world *world, const struct rules_script *scripts, size_t count,
          rules_problem *problem, void *context, struct error *err)
{
    struct rules *r = memory_zero(sizeof(*r));
    struct vm_host host = {
        .context = r, .send = dispatch_send, .render = dispatch_render, .module = find_module};
    struct report report = {r, problem, context};
    r->vm = vm_new(&host, err);
    if (!r->vm) {
        free(r);
        return NULL;
    }
    r->world = *world;
    r->filters = (struct template_host){.context = r, .find = filter_find, .apply = filter_apply};
    r->world.filters = &r->filters;
    r->space = template_space_new();
    r->consumer = slice_literal("main");
    arena_init(&r->arena, 0);
    arena_init(&r->tables, 0);
    pthread_mutex_init(&r->lock, NULL);
    buffer_init(&r->event_id, 1 << 16);
    buffer_init(&r->body, RULES_BODY + 1);
    buffer_init(&r->options, RULES_BODY);
    buffer_init(&r->json, RULES_BODY);
    buffer_init(&r->fields, RULES_BODY);
    load_scripts(&report, scripts, count);
    r->world.modules = NULL;
    r->world.module_count = 0;
    compile_rules(&report);
    return r;
}

static void
free_plans(struct rules *r)
{
    for (size_t i = 0; i < RULES_PLANS; i++)
        for (struct matcher_plan *plan = r->plans[i], *next; plan; plan = next) {
            next = plan->next;
            matcher_plan_free(plan);
        }
}

void
rules_free(struct rules *r)
{
    if (!r)
        return;
    free_plans(r);
    dispatch_release(r);
    for (size_t i = 0; i < r->count; i++)
        rule_release(&r->list[i]);
    free(r->list);
    free(r->candidates);
    vm_free(r->vm);
    template_space_free(r->space);
    buffer_release(&r->event_id);
    buffer_release(&r->body);
    buffer_release(&r->options);
    buffer_release(&r->json);
    buffer_release(&r->fields);
    pthread_mutex_destroy(&r->lock);
    arena_release(&r->tables);
    arena_release(&r->arena);
    free(r);
}

static struct matcher_plan *
find_plan(const struct rules *r, uint64_t schema)
{
    struct matcher_plan *plan = r->plans[schema % RULES_PLANS];
    while (plan && plan->schema->number != schema)
        plan = plan->next;
    return plan;
}

int
rules_name(const struct rule *rule, struct error *err)
{
    const char *slash = strrchr(rule->origin->name, '/');
    return error_context(err, "%s:%d: rule \"%s\"", rule->origin->script, rule->origin->line,
                         slash ? slash + 1 : rule->origin->name);
}

static void
note_problem(struct rules *r, struct rule *rule, struct error *err)
{
    rules_name(rule, err);
    pthread_mutex_lock(&r->lock);
    error_text(err, rule->problem, sizeof(rule->problem));
    pthread_mutex_unlock(&r->lock);
}

struct matcher_plan *
rules_plan(struct rules *r, const struct schema *schema)
{
    struct matcher_plan *plan = find_plan(r, schema->number);
    if (plan)
        return plan;
    plan = matcher_plan_new(r->list, r->count, &r->world, schema);
    for (uint32_t i = 0; i < plan->bound_count; i++) {
        if (!plan->bounds[i].problem)
            continue;
        note_problem(r, plan->bounds[i].rule, plan->bounds[i].problem);
        log_failure(LOG_ERROR, "rules", plan->bounds[i].problem);
    }
    pthread_mutex_lock(&r->lock);
    plan->next = r->plans[schema->number % RULES_PLANS];
    r->plans[schema->number % RULES_PLANS] = plan;
    pthread_mutex_unlock(&r->lock);
    return plan;
}

bool
rules_wants(struct rules *r, uint64_t schema, enum event_op op)
{
    const struct matcher_plan *plan = find_plan(r, schema);
    return !plan || plan->ops[op];
}

size_t
rules_check_schema(struct rules *r, const struct schema *schema, rules_problem *problem,
                   void *context)
{
    size_t problems = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct rule *rule = &r->list[i];
        struct matcher_bound bound = {0};
        struct error err = {0};
        struct arena scratch;
        if (!rule->enabled || !rule->loaded || !matcher_listens(rule, &r->world, schema))
            continue;
        arena_init(&scratch, 0);
        if (matcher_bind(rule, schema, &scratch, &bound, &err) != 0) {
            problems++;
            note_problem(r, rule, &err);
            if (problem)
                problem(context, rule->origin->script, &err);
        }
        arena_release(&scratch);
    }
    return problems;
}

static bool
is_listed(const char *const *list, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], text) == 0)
            return true;
    return false;
}

size_t
rules_tables(struct rules *r, const char *source, const char *const **out)
{
    size_t room = 0, count = 0;
    for (size_t i = 0; i < r->count; i++)
        room += r->list[i].pattern_count;
    pthread_mutex_lock(&r->lock);
    const char **list = arena_alloc(&r->tables, (room + 1) * sizeof(*list));
    for (size_t i = 0; i < r->count; i++) {
        const struct rule *rule = &r->list[i];
        for (size_t k = 0; k < rule->pattern_count && rule->enabled && rule->loaded; k++) {
            const char *glob = pattern_tables(&rule->patterns[k], &r->world, source, &r->tables);
            if (glob && !is_listed(list, count, glob))
                list[count++] = glob;
        }
    }
    pthread_mutex_unlock(&r->lock);
    *out = list;
    return count;
}

int
rules_event(struct rules *r, struct event *e, struct outbox_draft *draft, struct error *err)
{
    (void)err; /* a rule that fails is counted and named; nothing here can fail as a whole */
    dispatch_event(r, e, draft);
    return 0;
}

/* How many events each rule was asked about, by its place in the list. Under the lock. */
static void
count_seen(const struct rules *r, uint64_t *seen)
{
    for (size_t i = 0; i < RULES_PLANS; i++)
        for (const struct matcher_plan *plan = r->plans[i]; plan; plan = plan->next)
            for (int op = EVENT_INSERT; op < EVENT_OPS; op++) {
                const struct matcher_ops *ops = plan->ops[op];
                for (uint32_t k = 0; ops && k < ops->count; k++)
                    seen[ops->rules[k]->rule - r->list] +=
                        atomic_load_explicit(&ops->seen, memory_order_relaxed);
            }
}

static void
copy_status(struct rule *rule, uint64_t seen, struct rule_status *out)
{
    uint64_t answered = atomic_load_explicit(&rule->answered, memory_order_relaxed);
    out->name = rule->origin->name;
    out->script = rule->origin->script;
    out->line = rule->origin->line;
    out->loaded = rule->loaded;
    out->matched = atomic_load_explicit(&rule->matched, memory_order_relaxed);
    out->sent = atomic_load_explicit(&rule->sent, memory_order_relaxed);
    out->failed = atomic_load_explicit(&rule->failed, memory_order_relaxed);
    out->rejected = seen > answered + out->failed ? seen - answered - out->failed : 0;
    out->last_failed = rule->last_failed;
    quarantine_status(&rule->quarantine, out);
    memcpy(out->problem, rule->problem, sizeof(out->problem));
    memcpy(out->last_error, rule->last_error, sizeof(out->last_error));
}

size_t
rules_status(struct rules *r, struct rule_status **out)
{
    size_t count = r->count;
    for (const struct rules_broken *b = r->broken; b; b = b->next)
        count++;
    struct rule_status *list = memory_zero((count + 1) * sizeof(*list));
    uint64_t *seen = memory_zero((r->count + 1) * sizeof(*seen));
    pthread_mutex_lock(&r->lock);
    count_seen(r, seen);
    for (size_t i = 0; i < r->count; i++)
        copy_status(&r->list[i], seen[i], &list[i]);
    pthread_mutex_unlock(&r->lock);
    free(seen);
    struct rule_status *next = &list[r->count];
    for (const struct rules_broken *b = r->broken; b; b = b->next, next++) {
        next->name = next->script = b->script;
        memcpy(next->problem, b->problem, sizeof(next->problem));
    }
    *out = list;
    return count;
}
