/* The thread of a source: connect, stream, and begin again after every failure. */
#include <errno.h>
#include <poll.h>
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "source/source_run.h"

#define BACKOFF_FIRST (CLOCK_SECOND / 10)
#define BACKOFF_LAST  (30 * CLOCK_SECOND)
#define PERSON_WAIT   (5 * CLOCK_SECOND) /* between looks whether somebody mended it */
#define WAITS         8
#define STOP_WAIT     CLOCK_SECOND /* for the commits of what was handed over */

static bool
stopping(struct source *s)
{
    return atomic_load(&s->stop);
}

/* A failed keepalive shows at the next read. */
static void
keepalive(struct source *s)
{
    int64_t now = clock_mono();
    if (!s->plan.driver->keepalive || now < s->keepalive_at)
        return;
    s->keepalive_at = now + CLOCK_SECOND;
    struct error err = {0};
    if (s->plan.driver->keepalive(&s->context, &err) != 0)
        log_failure(LOG_DEBUG, s->component, &err);
}

void
source_wait(struct source *s, int64_t us)
{
    wake_wait(&s->wake, us < CLOCK_SECOND ? us : CLOCK_SECOND);
    if (s->open)
        keepalive(s);
}

/* Waits that long whatever pokes, unless it is stopped. */
static void
wait_out(struct source *s, int64_t us)
{
    struct error err;
    for (int64_t end = clock_mono() + us; !stopping(s) && clock_mono() < end;) {
        source_wait(s, end - clock_mono());
        if (source_take_commits(s, &err) != 0)
            return;
    }
}

/* Full jitter: anything up to a ceiling that doubles, so that many sources of one server do not
 * come back at once. */
static void
back_off(struct source *s)
{
    unsigned doublings = s->failures < 9 ? s->failures : 9;
    int64_t ceiling = BACKOFF_FIRST << doublings;
    if (ceiling > BACKOFF_LAST)
        ceiling = BACKOFF_LAST;
    s->failures++;
    wait_out(s, 1000 + (int64_t)(random_u64() % (uint64_t)ceiling));
}

/* Before the position is used again: whatever was handed over must have become durable. At the end
 * of the thread only for a while. */
static void
drain(struct source *s)
{
    struct error err = {0};
    int64_t end = clock_mono() + STOP_WAIT;
    while (s->given_count && (!stopping(s) || clock_mono() < end)) {
        if (source_take_commits(s, &err) != 0)
            return;
        if (s->given_count)
            source_wait(s, CLOCK_SECOND / 10);
    }
}

/* Does this failure need a person, or only time? */
static bool needs_person(enum error_class class)
{
    static const enum error_class persons[] = {ERROR_CONFIG, ERROR_DENIED, ERROR_MISSING,
                                               ERROR_DATA,   ERROR_USAGE,  ERROR_CORRUPT,
                                               ERROR_REFUSED};
    for (size_t i = 0; i < countof(persons); i++) {
        if (persons[i] == class)
            return true;
    }
    return false;
}

static void
give_up_history(struct source *s, const struct error *why)
{
    s->context.epoch++;
    s->lost = *why;
    s->gap = true;
    buffer_reset(&s->cut);
    buffer_reset(&s->tail);
    buffer_reset(&s->durable);
    log_warning(s->component, "history is lost, going on in epoch %u: %s", s->context.epoch,
                why->message);
}

static void
wait_for_person(struct source *s, const struct error *why)
{
    struct error own = *why;
    if (!own.hint[0])
        error_hint(&own,
                   "to go on with a gap from here: on_lost = \"accept\" in source \"%s\" of "
                   "tidegate.lua, and start again",
                   s->plan.name);
    source_set_state(s, SOURCE_LOST, &own);
    log_failure(LOG_ERROR, s->component, &own);
    while (!stopping(s))
        wait_out(s, 3600 * CLOCK_SECOND);
}

/* Says a failure once; the same one again only in the status and at level debug. */
static void
report(struct source *s, enum source_state state, const struct error *err)
{
    struct source_status before;
    source_status(s, &before);
    bool again =
        before.error.class == err->class && before.error.line == err->line && before.state == state;
    source_set_state(s, state, err);
    s->complained = true;
    log_failure(again ? LOG_DEBUG : LOG_WARNING, s->component, err);
}

static void
after_failure(struct source *s, const struct error *err)
{
    if (err->class == ERROR_LOST && s->plan.common.on_lost == SOURCE_ACCEPT) {
        give_up_history(s, err);
        back_off(s); /* it may well be lost again at once */
        return;
    }
    if (err->class == ERROR_LOST) {
        wait_for_person(s, err);
    } else if (needs_person(err->class)) {
        report(s, SOURCE_FAILED, err);
        /* A server may lock out who knocks with a wrong password too often. */
        wait_out(s, err->class == ERROR_DENIED ? BACKOFF_LAST : PERSON_WAIT);
    } else {
        report(s, SOURCE_CONNECTING, err);
        back_off(s);
    }
}

static void
wait_idle(struct source *s)
{
    struct pollfd fds[1 + WAITS] = {{.fd = s->wake.fd, .events = POLLIN}};
    int64_t timeout = 10 * CLOCK_SECOND;
    int count = s->plan.driver->waits(&s->context, fds + 1, WAITS, &timeout);
    struct timespec limit = {timeout / CLOCK_SECOND, timeout % CLOCK_SECOND * 1000};
    if (timeout <= 0)
        limit = (struct timespec){0, 0};
    if (ppoll(fds, (nfds_t)(1 + count), &limit, NULL) > 0 && fds[0].revents)
        wake_clear(&s->wake);
}

/* Nothing is on its way to the journal: what was proved holds, though no block says so yet. */
static void
show_watermark(struct source *s)
{
    if (s->given_count || s->batch)
        return;
    pthread_mutex_lock(&s->lock);
    s->status.watermark = s->watermark;
    pthread_mutex_unlock(&s->lock);
}

enum read { READ_FAILED = -1, READ_ON, READ_REOPEN };

/* One piece of the log. */
static enum read
read_once(struct source *s, struct error *err)
{
    bool tick = atomic_load(&s->tick);
    s->proved = false;
    s->context.tick = tick;
    enum source_next found = s->plan.driver->next(&s->context, err);
    if (found == SOURCE_ERROR)
        return READ_FAILED;
    s->failures = 0;
    if (found != SOURCE_IDLE)
        return found == SOURCE_REOPEN ? READ_REOPEN : READ_ON;
    bool due = tick && s->proved;
    if (due)
        atomic_store(&s->tick, false);
    if (source_hand_over(s, false) != 0 || (due && source_hand_over(s, true) != 0))
        return READ_ON; /* it is being stopped */
    if (source_take_commits(s, err) != 0)
        return READ_FAILED;
    show_watermark(s);
    wait_idle(s);
    return READ_ON;
}

static int
stream(struct source *s, struct error *err)
{
    if (s->complained)
        log_info(s->component, "streaming again");
    s->complained = false;
    source_set_state(s, SOURCE_STREAMING, NULL);
    if (s->gap && source_emit_gap(s, err) != 0)
        return -1;
    s->gap = false;
    while (!stopping(s)) {
        if (source_take_commits(s, err) != 0)
            return -1;
        if (atomic_load(&s->paused)) {
            source_set_state(s, SOURCE_PAUSED, NULL);
            source_wait(s, CLOCK_SECOND);
            if (!atomic_load(&s->paused))
                source_set_state(s, SOURCE_STREAMING, NULL);
            continue;
        }
        enum read result = read_once(s, err);
        if (result != READ_ON)
            return result == READ_REOPEN ? 0 : -1;
    }
    return 0;
}

static int
connect_and_stream(struct source *s, struct error *err)
{
    if (s->plan.driver->open(&s->context, err) != 0)
        return -1;
    s->open = true;
    return stream(s, err);
}

static void
disconnect(struct source *s)
{
    s->open = false;
    s->plan.driver->close(&s->context);
}

void
source_loop(void *source)
{
    struct source *s = source;
    while (!stopping(s)) {
        struct error err = {0};
        int result = connect_and_stream(s, &err);
        source_hand_over(s, false);
        if (stopping(s))
            break;
        disconnect(s);
        drain(s);
        if (result != 0)
            after_failure(s, &err);
    }
    drain(s); /* still connected: what becomes durable is confirmed */
    disconnect(s);
    source_set_state(s, SOURCE_STOPPED, NULL);
}
