/* The array of drivers, and the options that all channels share. */
#include "base/clock.h"
#include "channel/channel_driver.h"

extern const struct channel_driver channel_file, channel_null, channel_webhook;
#ifdef TIDEGATE_PROOF
extern const struct channel_driver channel_memory;
#endif

static const struct channel_driver *const drivers[] = {
    &channel_file,
    &channel_webhook,
    &channel_null,
#ifdef TIDEGATE_PROOF
    &channel_memory,
#endif
};

const struct channel_driver *const *
channel_drivers(size_t *count)
{
    *count = countof(drivers);
    return drivers;
}

const struct channel_driver *
channel_driver_find(struct slice type)
{
    for (size_t i = 0; i < countof(drivers); i++)
        if (slice_is(type, drivers[i]->name))
            return drivers[i];
    return NULL;
}

static const char *const order_names[] = {
    [ORDER_KEY] = "key", [ORDER_NONE] = "none", [ORDER_STRICT] = "strict", NULL};

#define field(member)          offsetof(struct channel_common, member)
#define part_of(group, member) (field(group.member) - field(group))

#define WAIT_MOST (365 * 24 * 3600 * CLOCK_SECOND) /* added to a time of day: no overflow */

static const struct option backoff_rows[] = {
    {.name = "first",
     .kind = OPTION_DURATION,
     .offset = part_of(backoff, first),
     .fallback = "1s",
     .min = 1000,
     .max = WAIT_MOST,
     .help = "wait before the second attempt; doubles each time"},
    {.name = "max",
     .kind = OPTION_DURATION,
     .offset = part_of(backoff, max),
     .fallback = "10m",
     .min = 1000,
     .max = WAIT_MOST,
     .help = "longest wait between two attempts"},
};

static const struct option breaker_rows[] = {
    {.name = "failures",
     .kind = OPTION_INT,
     .offset = part_of(breaker, failures),
     .fallback = "50",
     .min = 1,
     .max = 1000000,
     .help = "failed attempts in a row after which the channel rests"},
    {.name = "probe",
     .kind = OPTION_DURATION,
     .offset = part_of(breaker, probe),
     .fallback = "5s",
     .min = 1000,
     .max = WAIT_MOST,
     .help = "how often a resting channel is tried"},
};

/* Named by the design, not built yet. */
#define later(option_name)                                                                         \
    {                                                                                              \
        .name = option_name, .kind = OPTION_TEXT, .flags = OPTION_LATER                            \
    }

const struct option channel_common_rows[] = {
    {.name = "format",
     .kind = OPTION_CHOICE,
     .offset = field(format),
     .fallback = "native",
     .choices = event_format_names,
     .help = "JSON form of whole events"},
    {.name = "columns",
     .kind = OPTION_LIST,
     .offset = field(columns),
     .help = "only these columns of whole events"},
    {.name = "bigints",
     .kind = OPTION_CHOICE,
     .offset = field(bigints),
     .fallback = "number",
     .choices = number_style_names,
     .help = "how integers above 2^53 are printed"},
    {.name = "decimals",
     .kind = OPTION_CHOICE,
     .offset = field(decimals),
     .fallback = "string",
     .choices = number_style_names,
     .help = "how exact decimals are printed"},
    {.name = "allow_private",
     .kind = OPTION_BOOL,
     .offset = field(allow_private),
     .fallback = "false",
     .help = "may also reach link-local and metadata addresses"},
    {.name = "concurrency",
     .kind = OPTION_INT,
     .offset = field(concurrency),
     .fallback = "32",
     .min = 1,
     .max = 1024,
     .help = "requests under way at once"},
    {.name = "order",
     .kind = OPTION_CHOICE,
     .offset = field(order),
     .fallback = "key",
     .choices = order_names,
     .help = "what waits behind a message that failed"},
    {.name = "attempts",
     .kind = OPTION_INT,
     .offset = field(attempts),
     .fallback = "20",
     .min = 1,
     .max = 1000000,
     .help = "attempts before a message becomes a dead letter"},
    {.name = "max_age",
     .kind = OPTION_DURATION,
     .offset = field(max_age),
     .fallback = "3d",
     .min = 1,
     .max = INT64_MAX,
     .help = "older messages become dead letters"},
    {.name = "max_bytes",
     .kind = OPTION_SIZE,
     .offset = field(max_bytes),
     .fallback = "4GiB",
     .min = 1 << 20,
     .max = INT64_MAX,
     .help = "how much may wait; the oldest beyond it dies"},
    {.name = "backoff",
     .kind = OPTION_GROUP,
     .offset = field(backoff),
     .rows = backoff_rows,
     .row_count = countof(backoff_rows),
     .help = "waits between attempts"},
    {.name = "timeout",
     .kind = OPTION_DURATION,
     .offset = field(timeout),
     .fallback = "30s",
     .min = 1000,
     .max = 3600 * CLOCK_SECOND,
     .help = "longest wait for an answer"},
    {.name = "breaker",
     .kind = OPTION_GROUP,
     .offset = field(breaker),
     .rows = breaker_rows,
     .row_count = countof(breaker_rows),
     .help = "when a channel that keeps failing rests"},
    later("rate"),
    later("batch"),
    later("join"),
};
const size_t channel_common_row_count = countof(channel_common_rows);

static int
common_finish(struct channel_common *common, const char *what, struct error *err)
{
    if (common->backoff.first > common->backoff.max)
        return error_set(err, ERROR_CONFIG, "%s: backoff.first is longer than backoff.max", what);
    common->shape = (struct event_shape){
        .format = (enum event_format)common->format,
        .decimals = (enum number_style)common->decimals,
        .bigints = (enum number_style)common->bigints,
        .columns = common->columns.items,
        .column_count = common->columns.count,
    };
    return 0;
}

int
channel_plan_apply(struct channel_plan *plan, const struct value *map, struct arena *arena,
                   const char *what, struct error *err)
{
    static const char *const skip[] = {"type", NULL};
    const struct channel_driver *driver = plan->driver;
    size_t base = (driver->options_size + 15) & ~(size_t)15;
    size_t count = driver->option_count + channel_common_row_count;
    char *target = arena_zero(arena, base + sizeof(plan->common));
    struct option *rows = arena_alloc(arena, count * sizeof(*rows));
    for (size_t i = 0; i < driver->option_count; i++)
        rows[i] = driver->options[i];
    for (size_t i = driver->option_count; i < count; i++) {
        rows[i] = channel_common_rows[i - driver->option_count];
        rows[i].offset += base;
    }
    if (option_apply(rows, count, map, target, skip, arena, what, err) != 0)
        return -1;
    plan->options = target;
    memcpy(&plan->common, target + base, sizeof(plan->common));
    return common_finish(&plan->common, what, err);
}
