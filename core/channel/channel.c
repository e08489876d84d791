/* The array of drivers, the options that all channels share, and the thread of a plain channel. */
#include "channel/channel.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "channel/channel_driver.h"
#include "channel/transfer.h"

enum { TAKE_LEAST = 1 };
#define STOP_WAIT (2 * CLOCK_SECOND)

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

static const struct option backoff_rows[] = {
    {.name = "first",
     .kind = OPTION_DURATION,
     .offset = part_of(backoff, first),
     .fallback = "1s",
     .min = 1000,
     .max = INT64_MAX,
     .help = "wait before the second attempt; doubles each time"},
    {.name = "max",
     .kind = OPTION_DURATION,
     .offset = part_of(backoff, max),
     .fallback = "10m",
     .min = 1000,
     .max = INT64_MAX,
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
     .max = INT64_MAX,
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

struct channel {
    struct channel_plan plan;
    struct channel_context context;
    char *component;
    bool started;
    _Atomic(struct transfer_lane *) lane; /* http: from start to free, since anyone may poke */

    /* plain */
    struct thread thread;
    struct wake wake;
    struct wake ended;
    _Atomic bool halted;
    _Atomic int64_t halted_at;
    bool open; /* the thread's, once it runs */
    bool abandoned;
};

static bool
is_http(const struct channel *c)
{
    return c->plan.driver->request != NULL;
}

static int
open_driver(struct channel *c, struct error *err)
{
    const struct channel_driver *driver = c->plan.driver;
    if (driver->open && driver->open(&c->context, err) != 0) {
        if (driver->close)
            driver->close(&c->context);
        return error_context(err, "channel \"%s\"", c->plan.name);
    }
    c->open = true;
    return 0;
}

static void
close_driver(struct channel *c)
{
    if (c->open && c->plan.driver->close)
        c->plan.driver->close(&c->context);
    c->open = false;
}

struct channel *
channel_new(const struct channel_plan *plan, struct error *err)
{
    struct channel *c = memory_zero(sizeof(*c));
    size_t size = strlen(plan->name) + sizeof("channel/");
    ensure(!plan->driver->request == !!plan->driver->deliver);
    c->plan = *plan;
    c->component = memory_alloc(size);
    snprintf(c->component, size, "channel/%s", plan->name);
    c->context.plan = &c->plan;
    c->context.component = c->component;
    c->context.state = memory_zero(plan->driver->state_size + 1);
    c->wake.fd = c->ended.fd = -1;
    if (wake_init(&c->wake, err) == 0 && wake_init(&c->ended, err) == 0 &&
        (!is_http(c) || open_driver(c, err) == 0))
        return c;
    channel_free(c);
    return NULL;
}

static void
answer_all(const struct channel *c, struct delivery *const *list, size_t count,
           const struct channel_answer *answers)
{
    for (size_t i = 0; i < count; i++)
        c->plan.feed.answer(c->plan.feed.context, list[i], &answers[i]);
}

static void
answer_broken(struct channel_answer *answers, size_t count, const struct error *err)
{
    char text[sizeof(struct error)];
    for (size_t i = 0; i < count; i++)
        channel_answer_set(&answers[i], CHANNEL_BROKEN, 0, "%s",
                           i == 0 ? error_text(err, text, sizeof(text)) : text);
}

static bool
any_broken(const struct channel_answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (answers[i].class == CHANNEL_BROKEN)
            return true;
    return false;
}

/* A broken driver is closed at once and opened again for the next message: what it left half done
 * is mended before anything follows it. */
static void
deliver_list(struct channel *c, struct delivery *const *list, size_t count,
             struct channel_answer *answers)
{
    struct error err = {0};
    if (!c->open && open_driver(c, &err) != 0) {
        answer_broken(answers, count, &err);
        return;
    }
    c->plan.driver->deliver(&c->context, list, count, answers);
    if (any_broken(answers, count))
        close_driver(c);
}

static void
run_plain(void *arg)
{
    struct channel *c = arg;
    const struct channel_feed *feed = &c->plan.feed;
    size_t room = c->plan.driver->take_most ? c->plan.driver->take_most : TAKE_LEAST;
    struct delivery **list = memory_alloc(room * sizeof(struct delivery *));
    struct channel_answer *answers = memory_zero(room * sizeof(*answers));
    while (!atomic_load(&c->halted)) {
        size_t count = feed->take(feed->context, list, room);
        int64_t due, now;
        if (count > 0) {
            deliver_list(c, list, count, answers);
            answer_all(c, list, count, answers);
        }
        due = feed->turn(feed->context);
        now = clock_mono();
        if (count == 0 && due > now)
            wake_wait(&c->wake, due == INT64_MAX ? -1 : due - now);
    }
    feed->turn(feed->context);
    free(list);
    free(answers);
    wake_poke(&c->ended);
}

static int
start_plain(struct channel *c, struct error *err)
{
    struct error opening = {0};
    char name[16];
    if (open_driver(c, &opening) != 0) {
        if (opening.class == ERROR_CONFIG || opening.class == ERROR_REFUSED) {
            *err = opening;
            return -1;
        }
        log_failure(LOG_WARNING, c->component, &opening);
    }
    snprintf(name, sizeof(name), "ch-%s", c->plan.name);
    return thread_start(&c->thread, name, run_plain, c, err);
}

int
channel_start(struct channel *c, struct error *err)
{
    ensure(!c->started && !atomic_load(&c->halted));
    if (!is_http(c)) {
        if (start_plain(c, err) != 0)
            return -1;
    } else {
        c->lane = transfer_open(c->plan.transfer, &c->context);
    }
    c->started = true;
    return 0;
}

void
channel_halt(struct channel *c)
{
    if (!c->started || atomic_exchange(&c->halted, true))
        return;
    atomic_store(&c->halted_at, clock_mono());
    if (c->lane)
        transfer_halt(c->lane);
    wake_poke(&c->wake);
}

/* A thread that hangs in a write to a stuck device can't be ended; it is left behind with all it
 * may still touch, which is only ever right because the process is about to end. */
static void
stop_plain(struct channel *c)
{
    int64_t left = atomic_load(&c->halted_at) + STOP_WAIT - clock_mono();
    if (wake_wait(&c->ended, left > 0 ? left : 0)) {
        thread_join(&c->thread);
        close_driver(c);
        return;
    }
    log_warning(c->component, "does not end: the destination has taken nothing for 2 s");
    c->abandoned = true;
}

void
channel_stop(struct channel *c)
{
    if (!c->started)
        return;
    channel_halt(c);
    c->started = false;
    if (c->lane)
        transfer_stop(c->lane);
    else
        stop_plain(c);
}

void
channel_free(struct channel *c)
{
    if (!c)
        return;
    channel_stop(c);
    if (c->abandoned)
        return;
    if (c->lane)
        transfer_close(c->lane);
    close_driver(c);
    wake_release(&c->wake);
    wake_release(&c->ended);
    free(c->context.state);
    free(c->component);
    free(c);
}

void
channel_poke(struct channel *c)
{
    if (c->lane)
        transfer_poke(c->lane);
    else
        wake_poke(&c->wake);
}

const char *
channel_name(const struct channel *c)
{
    return c->plan.name;
}

bool
channel_in_order(const struct channel *c)
{
    return c->plan.driver->in_order;
}
