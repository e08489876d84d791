#include "rules/fields.h"
#include <stdio.h>
#include "channel/channel_driver.h"

/* What the outbox and the event's printer take for themselves, whatever the channel. */
static bool
is_ours(struct slice field)
{
    static const char *const names[] = {"text", "body", "key", "format", "columns"};
    for (size_t i = 0; i < countof(names); i++)
        if (slice_is(field, names[i]))
            return true;
    return false;
}

static bool
is_of_use(const struct channel_driver *driver, struct slice field)
{
    const char *const *names = driver ? driver->fields : NULL;
    for (size_t i = 0; names && names[i]; i++)
        if (slice_is(field, names[i]))
            return true;
    return !names || is_ours(field);
}

static int
refuse(const struct channel_driver *driver, struct slice field, struct error *err)
{
    char list[128] = "key";
    const char *const *names = driver->fields;
    for (size_t i = 0; names[i]; i++)
        snprintf(list + strlen(list), sizeof(list) - strlen(list), " %s", names[i]);
    error_set(err, ERROR_DATA, "a %s channel has no use for \"%.*s\"", driver->name,
              (int)field.size, field.data);
    return error_hint(err, "beside the text it takes: %s", list);
}

/* Does any of the channels that get what this one gets have a use for it? */
static int
check_field(const struct rule *rule, const struct rule_target *one, const char *field,
            struct error *err)
{
    for (size_t i = 0; i < rule->target_count; i++)
        if (rule->targets[i].wording == one->wording &&
            is_of_use(rule->targets[i].driver, slice_of(field)))
            return 0;
    return refuse(one->driver, slice_of(field), err);
}

int
fields_check_rule(const struct rule *rule, struct error *err)
{
    for (size_t i = 0; i < rule->target_count; i++) {
        const struct rule_target *target = &rule->targets[i];
        const struct wording *w = target->wording;
        for (size_t k = 0; k < w->field_count; k++)
            if (check_field(rule, target, w->fields[k].name, err) != 0)
                return -1;
        if (w->header_count && check_field(rule, target, "headers", err) != 0)
            return -1;
    }
    return 0;
}

int
fields_check_send(const struct channel_driver *driver, const struct value *map, struct error *err)
{
    for (size_t i = 0; map && i < map->count; i++)
        if (!is_of_use(driver, map->pairs[i].key))
            return refuse(driver, map->pairs[i].key, err);
    return 0;
}
