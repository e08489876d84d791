/* What can be said of a source without running it: its driver, the options that all sources share,
 * which tables and columns it captures, and the commands that work on its database. */
#include "source/source_driver.h"
#include "base/text.h"
#if WITH_POSTGRES
#include "source/postgres/postgres.h"
#endif
#include "source/sqlite/sqlite.h"

static const struct source_driver *const drivers[] = {
#if WITH_POSTGRES
    &postgres_source,
#endif
    &sqlite_source,
};

const struct source_driver *
source_driver_find(struct slice name)
{
    for (size_t i = 0; i < countof(drivers); i++) {
        if (slice_is(name, drivers[i]->name))
            return drivers[i];
    }
    return NULL;
}

const struct source_driver *const *
source_drivers(size_t *count)
{
    *count = countof(drivers);
    return drivers;
}

static const char *const policies[] = {"fail", "accept", "resnapshot", NULL};
static const char *const captures[] = {"default", "log", "trigger", NULL};
static const char *const old_values[] = {"log", "full", NULL};
static const char *const snapshots[] = {"never", "initial", NULL};

const struct option source_common_rows[] = {
    {.name = "tables",
     .kind = OPTION_LIST,
     .offset = offsetof(struct source_common, tables),
     .help = "tables to capture, as names or globs; without it, those that rules name"},
    {.name = "exclude",
     .kind = OPTION_LIST,
     .offset = offsetof(struct source_common, exclude),
     .help = "tables to leave out, as names or globs"},
    {.name = "exclude_columns",
     .kind = OPTION_LIST,
     .offset = offsetof(struct source_common, exclude_columns),
     .help = "columns to keep out of the journal, as table.column with globs"},
    {.name = "on_lost",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct source_common, on_lost),
     .fallback = "fail",
     .choices = policies,
     .help = "when history cannot be continued: wait for a person, or go on after a gap event"},
    {.name = "max_row",
     .kind = OPTION_SIZE,
     .offset = offsetof(struct source_common, max_row),
     .fallback = "128MiB",
     .min = 1024,
     .max = 512 * 1024 * 1024,
     .help = "a larger row is journalled without its big cells"},
    {.name = "capture",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct source_common, capture),
     .fallback = "default",
     .choices = captures,
     .help = "how changes are found: by the database's log or by triggers"},
    {.name = "snapshot",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct source_common, snapshot),
     .fallback = "never",
     .choices = snapshots,
     .help = "whether rows that are already there are read first"},
    {.name = "old_values",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct source_common, old_values),
     .fallback = "log",
     .choices = old_values,
     .help =
         "log: as the database's log has them; full: Tidegate alters tables so that it has them"},
};
const size_t source_common_row_count = countof(source_common_rows);

/* "schema.table" against a pattern that may leave out the default schema; `*` alone is everything.
 */
static bool
matches(const struct source_plan *plan, struct slice pattern, struct slice schema,
        struct slice table)
{
    const char *standard = plan->driver->default_schema;
    if (slice_is(pattern, "*"))
        return true;
    if (standard && slice_is(schema, standard) && text_glob(pattern, table))
        return true;
    const char *dot = memchr(pattern.data, '.', pattern.size);
    if (!dot)
        return false;
    size_t head = (size_t)(dot - pattern.data);
    struct slice rest = {dot + 1, pattern.size - head - 1};
    return text_glob((struct slice){pattern.data, head}, schema) && text_glob(rest, table);
}

static bool
any_matches(const struct source_plan *plan, struct option_list list, struct slice schema,
            struct slice table)
{
    for (size_t i = 0; i < list.count; i++) {
        if (matches(plan, slice_of(list.items[i]), schema, table))
            return true;
    }
    return false;
}

bool
source_wants(const struct source_plan *plan, struct slice schema, struct slice table)
{
    struct option_list wanted = plan->common.tables;
    if (wanted.count == 0)
        wanted = (struct option_list){plan->rule_tables, plan->rule_table_count};
    return any_matches(plan, wanted, schema, table) &&
           !any_matches(plan, plan->common.exclude, schema, table);
}

static bool
names_column(const struct source_plan *plan, struct slice pattern, struct slice table,
             struct slice column)
{
    const char *dot = memrchr(pattern.data, '.', pattern.size);
    if (!dot)
        return false;
    struct slice head = {pattern.data, (size_t)(dot - pattern.data)};
    struct slice tail = {dot + 1, pattern.size - head.size - 1};
    const char *standard = plan->driver->default_schema;
    if (!text_glob(tail, column))
        return false;
    return text_glob(head, table) || (standard && matches(plan, head, slice_of(standard), table));
}

bool
source_wants_column(const struct source_plan *plan, struct slice table, struct slice column)
{
    for (size_t i = 0; i < plan->common.exclude_columns.count; i++) {
        struct slice pattern = slice_of(plan->common.exclude_columns.items[i]);
        if (names_column(plan, pattern, table, column))
            return false;
    }
    return true;
}

static int
check_capture(const struct source_plan *plan, struct error *err)
{
    const struct source_driver *driver = plan->driver;
    if (plan->common.capture == SOURCE_BY_LOG && !driver->by_log) {
        error_set(err, ERROR_CONFIG, "source \"%s\": %s has no log of changes to read", plan->name,
                  driver->name);
        return error_hint(err, "remove capture = \"log\": capture is by triggers here");
    }
    if (plan->common.capture == SOURCE_BY_TRIGGER && !driver->by_trigger) {
        error_set(err, ERROR_REFUSED, "source \"%s\": capture = \"trigger\" of %s is not built yet",
                  plan->name, driver->name);
        return error_hint(err, "remove it: capture is by the database's log here");
    }
    return 0;
}

int
source_plan_check(const struct source_plan *plan, struct error *err)
{
    if (check_capture(plan, err) != 0)
        return -1;
    if (plan->common.on_lost == SOURCE_RESNAPSHOT) {
        error_set(err, ERROR_REFUSED, "on_lost = \"resnapshot\" of source \"%s\" is not built yet",
                  plan->name);
        return error_hint(err, "use on_lost = \"fail\" or \"accept\"");
    }
    if (plan->common.snapshot != 0) {
        error_set(err, ERROR_REFUSED, "snapshot = \"initial\" of source \"%s\" is not built yet",
                  plan->name);
        return error_hint(err, "use snapshot = \"never\"");
    }
    for (size_t i = 0; i < plan->common.exclude_columns.count; i++) {
        const char *pattern = plan->common.exclude_columns.items[i];
        if (strchr(pattern, '.'))
            continue;
        error_set(err, ERROR_CONFIG, "exclude_columns of source \"%s\": \"%s\" names no table",
                  plan->name, pattern);
        return error_hint(err, "write \"table.%s\", or \"*.%s\" for every table", pattern, pattern);
    }
    return 0;
}

int
source_check(const struct source_plan *plan, const struct source_report *report, struct error *err)
{
    if (source_plan_check(plan, err) != 0)
        return -1;
    return plan->driver->check(plan, report, err);
}

int
source_schemas(const struct source_plan *plan, source_visit_schema *visit, void *context,
               struct error *err)
{
    if (source_plan_check(plan, err) != 0)
        return -1;
    return plan->driver->schemas(plan, visit, context, err);
}

int
source_installed(const struct source_plan *plan, enum source_install what, const char *table,
                 bool print_only, const struct source_report *report, struct error *err)
{
    if (source_plan_check(plan, err) != 0)
        return -1;
    if (!plan->driver->installed)
        return error_set(err, ERROR_USAGE, "driver %s makes nothing in the database",
                         plan->driver->name);
    return plan->driver->installed(plan, what, table, print_only, report, err);
}

const char *
source_state_name(enum source_state state)
{
    static const char *const names[] = {"connecting", "streaming", "paused",
                                        "lost",       "failed",    "stopped"};
    return names[state];
}
