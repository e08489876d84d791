/* A channel's life, and the thread of a plain one. */
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
