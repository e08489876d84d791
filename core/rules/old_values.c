/* Which rules need an old row, where a table's log carries none (design/language.md §2)? Functions
 * cannot be seen through: what they ask for shows when they run. */
#include <stdio.h>
#include "event/template.h"
#include "rules/rules_private.h"

static bool
is_key(const struct schema *schema, struct slice name)
{
    int column = schema_column(schema, name);
    return column >= 0 && schema->columns[column].key > 0;
}

/* The first old value that a template prints and that such a log lacks. A delete's log has the key.
 */
static bool
prints_old(const struct template *t, const struct schema *schema, bool update, struct slice *name)
{
    const struct template_name *names;
    size_t count = t ? template_names(t, &names) : 0;
    for (size_t i = 0; i < count; i++) {
        if (names[i].row != TEMPLATE_OLD || (!update && is_key(schema, names[i].name)))
            continue;
        *name = names[i].name;
        return true;
    }
    return false;
}

static bool
wording_prints_old(const struct wording *w, const struct schema *schema, bool update,
                   struct slice *name)
{
    if (prints_old(w->body, schema, update, name))
        return true;
    for (size_t i = 0; i < w->field_count; i++)
        if (prints_old(w->fields[i].template, schema, update, name))
            return true;
    for (size_t i = 0; i < w->header_count; i++)
        if (prints_old(w->headers[i].template, schema, update, name))
            return true;
    for (size_t i = 0; i < w->choice_count; i++)
        if (wording_prints_old(w->choices[i].wording, schema, update, name))
            return true;
    return false;
}

/* What compares the old row of an update with the new one, as a format of its name; or NULL. */
static const char *
compares_rows(const struct rule *rule, struct slice *name)
{
    const struct where *w = &rule->where;
    if (rule->changed_count) {
        *name = rule->changed[0];
        return "changed = \"%.*s\" compares with the old row of an update";
    }
    for (uint32_t i = 0; i < w->name_count; i++) {
        *name = w->names[i].name;
        if (w->names[i].uses & WHERE_TO)
            return "where = { %.*s = changed_to(…) } compares with the old row of an update";
        if (w->names[i].uses & WHERE_FROM)
            return "where = { %.*s = changed_from(…) } compares with the old row of an update";
    }
    return NULL;
}

static bool
wording_lists_changes(const struct wording *w)
{
    bool found = w->body && template_lists_changes(w->body);
    for (size_t i = 0; i < w->field_count; i++)
        found |= template_lists_changes(w->fields[i].template);
    for (size_t i = 0; i < w->header_count; i++)
        found |= template_lists_changes(w->headers[i].template);
    for (size_t i = 0; i < w->choice_count; i++)
        found |= wording_lists_changes(w->choices[i].wording);
    return found;
}

/* A condition looks at the old row of a delete, of which the log has the key alone. */
static bool
tests_deleted(const struct where *w, const struct schema *schema, struct slice *name)
{
    for (uint32_t i = 0; i < w->name_count; i++) {
        if (is_key(schema, w->names[i].name) || w->names[i].uses == WHERE_TO)
            continue;
        *name = w->names[i].name;
        return true;
    }
    return false;
}

/* What of the rule needs an old value, as a phrase; false: nothing that can be seen. */
static bool
needs_old(const struct rule *rule, const struct rules_world *world, const struct schema *schema,
          char *phrase, size_t size)
{
    bool update = rule_listens(rule, world, schema, EVENT_UPDATE);
    bool delete = rule_listens(rule, world, schema, EVENT_DELETE);
    struct slice name = {0};
    const char *form = update ? compares_rows(rule, &name) : NULL;
    if (!form && (update || delete) && wording_prints_old(&rule->wording, schema, update, &name))
        form = "{{old.%.*s}} prints from the old row";
    if (!form && update && wording_lists_changes(&rule->wording))
        form = "{{#changed}} compares with the old row of an update%.*s";
    if (!form && delete &&tests_deleted(&rule->where, schema, &name))
        form = "where = { %.*s = … } looks at the old row of a delete";
    if (form)
        snprintf(phrase, size, form, (int)name.size, name.data);
    return form != NULL;
}

size_t
rules_check_old_values(struct rules *r, const struct schema *schema, const char *mend,
                       rules_problem *problem, void *context)
{
    size_t problems = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct rule *rule = &r->list[i];
        struct error err = {0};
        char phrase[256], label[256];
        if (!rule->enabled || !rule->loaded ||
            !needs_old(rule, &r->world, schema, phrase, sizeof(phrase)))
            continue;
        error_set(&err, ERROR_DATA, "%s, and the log of table %s does not carry it", phrase,
                  schema_label(schema, label, sizeof(label)));
        error_hint(&err, "%s", mend);
        rules_name(rule, &err);
        problems++;
        problem(context, rule->origin->script, &err);
    }
    return problems;
}
