#include "rules/rule.h"
#include "base/text.h"
#include "channel/channel_driver.h"
#include "rules/fields.h"

/* What the keys of a rule's table are read into. */
struct maker {
    const struct rules_world *world;
    struct arena *arena;
    struct rule *rule;
    const struct value *notify, *message, *options;
};

/* A text, or a list of texts without repetition. */
static int
take_texts(struct maker *m, const struct value *v, const char *key, struct slice **out,
           size_t *count, struct error *err)
{
    size_t n = v->kind == VALUE_LIST ? v->count : 1;
    const struct value *items = v->kind == VALUE_LIST ? v->items : v;
    if (v->kind != VALUE_LIST && v->kind != VALUE_TEXT)
        return error_set(err, ERROR_DATA, "%s is a text or a list of texts, not a %s", key,
                         value_kind_name(v->kind));
    if (n == 0)
        return error_set(err, ERROR_DATA, "%s is empty", key);
    *out = arena_alloc(m->arena, n * sizeof(**out));
    for (size_t i = 0; i < n; i++) {
        if (items[i].kind != VALUE_TEXT || items[i].text.size == 0)
            return error_set(err, ERROR_DATA, "%s: entry %zu is no text", key, i + 1);
        for (size_t k = 0; k < i; k++)
            if (slice_equal(items[k].text, items[i].text))
                return error_set(err, ERROR_DATA, "%s names \"%.*s\" twice", key,
                                 (int)items[i].text.size, items[i].text.data);
        (*out)[i] = arena_slice(m->arena, items[i].text);
    }
    *count = n;
    return 0;
}

static int
take_function(const struct value *v, const char *key, const struct value **out, struct error *err)
{
    if (v->kind != VALUE_FUNCTION)
        return error_set(err, ERROR_DATA, "%s is a function, not a %s", key,
                         value_kind_name(v->kind));
    *out = v;
    return 0;
}

static int
take_on(struct maker *m, const struct value *v, struct error *err)
{
    struct slice *texts;
    struct rule *rule = m->rule;
    if (take_texts(m, v, "on", &texts, &rule->pattern_count, err) != 0)
        return -1;
    rule->patterns = arena_zero(m->arena, rule->pattern_count * sizeof(*rule->patterns));
    for (size_t i = 0; i < rule->pattern_count; i++)
        if (pattern_parse(texts[i], m->world, &rule->patterns[i], err) != 0)
            return error_context(err, "on");
    return 0;
}

static int
unknown_op(struct slice name, struct error *err)
{
    const char *names[EVENT_OPS];
    size_t count = 0;
    for (int op = EVENT_INSERT; op < EVENT_OPS; op++)
        names[count++] = event_op_name((enum event_op)op);
    const char *near = text_suggest(name, names, count, sizeof(names[0]));
    error_set(err, ERROR_DATA, "ops: \"%.*s\" is no operation", (int)name.size, name.data);
    if (near)
        return error_hint(err, "did you mean \"%s\"?", near);
    return error_hint(err, "insert update delete truncate read ddl message gap, or \"*\" for all");
}

static int
take_ops(struct maker *m, const struct value *v, struct error *err)
{
    struct slice *texts;
    size_t count;
    if (take_texts(m, v, "ops", &texts, &count, err) != 0)
        return -1;
    m->rule->ops = 0;
    for (size_t i = 0; i < count; i++) {
        enum event_op op = event_op_parse(texts[i]);
        if (slice_is(texts[i], "*"))
            m->rule->ops |= (1u << EVENT_OPS) - 2;
        else if (op)
            m->rule->ops |= 1u << op;
        else
            return unknown_op(texts[i], err);
    }
    return 0;
}

static int
take_changed(struct maker *m, const struct value *v, struct error *err)
{
    return take_texts(m, v, "changed", &m->rule->changed, &m->rule->changed_count, err);
}

static int
take_where(struct maker *m, const struct value *v, struct error *err)
{
    return where_compile(v, m->arena, &m->rule->where, err);
}

static int
take_when(struct maker *m, const struct value *v, struct error *err)
{
    return take_function(v, "when", &m->rule->when, err);
}

static int
take_run(struct maker *m, const struct value *v, struct error *err)
{
    return take_function(v, "run", &m->rule->run, err);
}

static const char *const *
names_of(struct maker *m, const struct slice *texts, size_t count)
{
    const char **names = arena_alloc(m->arena, count * sizeof(*names));
    for (size_t i = 0; i < count; i++)
        names[i] = texts[i].data;
    return names;
}

static int
take_columns(struct maker *m, const struct value *v, struct error *err)
{
    struct slice *texts;
    if (take_texts(m, v, "columns", &texts, &m->rule->column_count, err) != 0)
        return -1;
    m->rule->columns = names_of(m, texts, m->rule->column_count);
    return 0;
}

static int
take_notify(struct maker *m, const struct value *v, struct error *err)
{
    (void)err;
    m->notify = v;
    return 0;
}

static int
take_message(struct maker *m, const struct value *v, struct error *err)
{
    (void)err;
    m->message = v;
    return 0;
}

static int
take_options(struct maker *m, const struct value *v, struct error *err)
{
    (void)err;
    m->options = v;
    return 0;
}

static int
take_summary(struct maker *m, const struct value *v, struct error *err)
{
    (void)m;
    if (v->kind != VALUE_TEXT)
        return error_set(err, ERROR_DATA, "summary is a text, not a %s", value_kind_name(v->kind));
    return 0;
}

static int
take_enabled(struct maker *m, const struct value *v, struct error *err)
{
    if (v->kind != VALUE_BOOL)
        return error_set(err, ERROR_DATA, "enabled is true or false, not a %s",
                         value_kind_name(v->kind));
    m->rule->enabled = v->boolean;
    return 0;
}

/* Every key that the language has; those without a function are not built yet. */
static const struct {
    const char *name;
    int (*take)(struct maker *m, const struct value *v, struct error *err);
} keys[] = {
    {"on", take_on},           {"ops", take_ops},
    {"changed", take_changed}, {"where", take_where},
    {"when", take_when},       {"run", take_run},
    {"columns", take_columns}, {"notify", take_notify},
    {"message", take_message}, {"options", take_options},
    {"summary", take_summary}, {"enabled", take_enabled},
    {"batch", NULL},           {"key", NULL},
    {"consumer", NULL},        {"throttle", NULL},
    {"dedupe", NULL},          {"digest", NULL},
    {"quiet", NULL},           {"escalate", NULL},
    {"resolve", NULL},         {"on_timer", NULL},
    {"on_commit", NULL},       {"retention", NULL},
    {"formerly", NULL},
};

/* The first condition anywhere in a value, or NULL. */
static const struct value *
find_condition(const struct value *v)
{
    const struct value *found = v->kind == VALUE_CALL ? v : NULL;
    for (size_t i = 0; v->kind == VALUE_LIST && i < v->count && !found; i++)
        found = find_condition(&v->items[i]);
    for (size_t i = 0; v->kind == VALUE_MAP && i < v->count && !found; i++)
        found = find_condition(&v->pairs[i].value);
    return found;
}

/* gt(5) and its like have a meaning only where rows are looked for. */
static int
refuse_condition(const struct value_pair *pair, struct error *err)
{
    const struct value *found = find_condition(&pair->value);
    if (!found || slice_is(pair->key, "where") || slice_is(pair->key, "resolve"))
        return 0;
    int size = (int)found->text.size;
    error_set(err, ERROR_DATA, "%.*s: %.*s is a condition, and those belong in where",
              (int)pair->key.size, pair->key.data, size, found->text.data);
    return error_hint(err, "where = { column = %.*s(…) }", size, found->text.data);
}

static int
take_key(struct maker *m, const struct value_pair *pair, struct error *err)
{
    for (size_t i = 0; i < countof(keys); i++) {
        if (!slice_is(pair->key, keys[i].name))
            continue;
        if (!keys[i].take)
            return error_set(err, ERROR_REFUSED, "%s is not built yet", keys[i].name);
        if (refuse_condition(pair, err) != 0)
            return -1;
        return keys[i].take(m, &pair->value, err);
    }
    const char *near = text_suggest(pair->key, keys, countof(keys), sizeof(keys[0]));
    error_set(err, ERROR_DATA, "unknown key \"%.*s\"", (int)pair->key.size, pair->key.data);
    return near ? error_hint(err, "did you mean \"%s\"?", near) : -1;
}

/* What must stand together, and what may not. */
static int
check_whole(const struct maker *m, struct error *err)
{
    const struct rule *rule = m->rule;
    if (!rule->pattern_count) {
        error_set(err, ERROR_DATA, "a rule needs on: the tables it listens to");
        return error_hint(err, "on = \"source:schema.table\"");
    }
    if (rule->run && (m->notify || m->message || m->options)) {
        error_set(err, ERROR_DATA, "run replaces notify, message and options; keep one of them");
        return error_hint(err, "inside run call send(channel, message, options)");
    }
    if (!rule->run && !m->notify) {
        error_set(err, ERROR_DATA, "a rule needs notify or run: what to do with an event");
        return error_hint(err, "notify = { \"channel\" }, or run = function(e) … end");
    }
    return 0;
}

int
rule_channel(const struct rules_world *world, struct slice name, struct outbox_queue **queue,
             const struct channel_plan **plan, struct error *err)
{
    if (world->channel(world->context, name, queue, plan))
        return 0;
    const char *near = world->channel_suggest ? world->channel_suggest(world->context, name) : NULL;
    error_set(err, ERROR_DATA, "there is no channel \"%.*s\"", (int)name.size, name.data);
    if (near)
        return error_hint(err, "did you mean \"%s\"?", near);
    return error_hint(err, "declare it in tidegate.lua: channel(\"%.*s\", { type = … })",
                      (int)(name.size > 63 ? 63 : name.size), name.data);
}

bool
rule_is_human(const struct channel_driver *driver)
{
    return driver && driver->human;
}

static bool
has_column(const struct event_shape *shape, const char *column)
{
    for (size_t i = 0; i < shape->column_count; i++)
        if (strcmp(shape->columns[i], column) == 0)
            return true;
    return shape->columns == NULL;
}

const struct event_shape *
rule_shape(const struct event_shape *channel, const char *const *columns, size_t count,
           struct arena *arena)
{
    struct event_shape *shape = arena_alloc(arena, sizeof(*shape));
    *shape = *channel;
    if (!columns)
        return shape;
    const char **kept = arena_alloc(arena, (count ? count : 1) * sizeof(*kept));
    shape->columns = kept;
    shape->column_count = 0;
    for (size_t i = 0; i < count; i++)
        if (has_column(channel, columns[i]))
            kept[shape->column_count++] = columns[i];
    return shape;
}

static int
make_target(struct maker *m, struct slice name, struct rule_target *out, struct error *err)
{
    const struct channel_plan *plan;
    struct wording *w = &m->rule->wording;
    out->name = name;
    if (rule_channel(m->world, name, &out->queue, &plan, err) != 0)
        return error_context(err, "notify");
    out->driver = plan->driver;
    out->wording = wording_for(w, name, plan->driver ? plan->driver->name : "", err);
    if (!out->wording)
        return -1;
    struct event_shape shape = plan->common.shape;
    if (w->format)
        shape.format = (enum event_format)wording_format(slice_of(w->format), NULL);
    const struct event_shape *narrowed =
        rule_shape(&shape, m->rule->columns, m->rule->column_count, m->arena);
    out->shape = rule_shape(narrowed, w->columns, w->column_count, m->arena);
    return 0;
}

static int
make_targets(struct maker *m, struct error *err)
{
    struct slice *names;
    struct rule *rule = m->rule;
    if (!m->notify)
        return 0;
    if (take_texts(m, m->notify, "notify", &names, &rule->target_count, err) != 0)
        return -1;
    rule->targets = arena_zero(m->arena, rule->target_count * sizeof(*rule->targets));
    for (size_t i = 0; i < rule->target_count; i++)
        if (make_target(m, names[i], &rule->targets[i], err) != 0)
            return -1;
    if (wording_check_choices(&rule->wording, err) != 0)
        return -1;
    return fields_check_rule(rule, err);
}

static int
compile(struct maker *m, const struct value *table, struct error *err)
{
    if (table->kind != VALUE_MAP)
        return error_set(err, ERROR_DATA, "a rule is a table of named values: { on = … }");
    for (size_t i = 0; i < table->count; i++)
        if (take_key(m, &table->pairs[i], err) != 0)
            return -1;
    if (check_whole(m, err) != 0)
        return -1;
    struct wording_home home = {m->arena, m->rule->origin->script, m->world->filters};
    if (wording_compile(m->message, m->options, &home, &m->rule->wording, err) != 0)
        return -1;
    return make_targets(m, err);
}

int
rule_compile(const struct vm_rule *origin, const struct rules_world *world, struct arena *arena,
             struct rule *out, struct error *err)
{
    struct maker m = {.world = world, .arena = arena, .rule = out};
    const char *slash = strrchr(origin->name, '/');
    out->origin = origin;
    out->enabled = true;
    out->ops = 1u << EVENT_INSERT | 1u << EVENT_UPDATE | 1u << EVENT_DELETE;
    if (compile(&m, origin->table, err) != 0)
        return error_context(err, "%s:%d: rule \"%s\"", origin->script, origin->line,
                             slash ? slash + 1 : origin->name);
    return 0;
}

void
rule_release(struct rule *rule)
{
    wording_release(&rule->wording);
}

bool
rule_listens(const struct rule *rule, const struct rules_world *world, const struct schema *schema,
             enum event_op op)
{
    if (!(rule->ops & 1u << op))
        return false;
    for (size_t i = 0; i < rule->pattern_count; i++)
        if (pattern_match(&rule->patterns[i], world, schema, op))
            return true;
    return false;
}
