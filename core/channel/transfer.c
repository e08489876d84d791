#include "channel/transfer.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "channel/http.h"

enum { TAKE_MOST = 64, CONNECTIONS = 2048 };
#define STOP_WAIT  (2 * CLOCK_SECOND)
#define SLEEP_MOST (3600 * CLOCK_SECOND)
#define FULL_WAIT  (CLOCK_SECOND / 20)

/* A channel's seat. What other threads may touch is atomic or under the transfer's mutex. */
struct transfer_lane {
    struct transfer *transfer;
    struct transfer_lane *next;
    struct channel_context *context;
    _Atomic bool poked;
    _Atomic bool halted;
    _Atomic int64_t deadline; /* of what is under way, once halted; clock_mono */
    bool left;                /* mutex: the thread no longer knows it */

    /* the thread's */
    struct http_attempt **attempts; /* all there are, at most the channel's concurrency */
    size_t attempt_count;
    struct http_attempt *idle; /* those without a delivery */
    size_t under_way;
    bool hungry; /* the feed may have work */
    int64_t due; /* when to ask the feed although nobody poked */
};

struct transfer {
    struct thread thread;
    CURLM *multi;
    pthread_mutex_t mutex;
    pthread_cond_t left;
    struct transfer_lane *joining; /* mutex */
    struct transfer_lane *lanes;   /* the thread's */
    _Atomic bool quit;
    _Atomic bool awake; /* a wake-up is under way */
};

static void
wake(struct transfer *t)
{
    if (!atomic_exchange(&t->awake, true))
        curl_multi_wakeup(t->multi);
}

static const struct channel_feed *
feed_of(const struct transfer_lane *lane)
{
    return &lane->context->plan->feed;
}

static struct http_attempt *
take_attempt(struct transfer_lane *lane)
{
    struct http_attempt *a = lane->idle;
    if (a) {
        lane->idle = a->next;
        return a;
    }
    a = http_attempt_new(lane->context);
    a->holder = lane;
    lane->attempts[lane->attempt_count++] = a;
    return a;
}

static void
give_attempt(struct transfer_lane *lane, struct http_attempt *a)
{
    a->next = lane->idle;
    lane->idle = a;
}

static void
answer(struct transfer_lane *lane, struct delivery *delivery, const struct channel_answer *given)
{
    feed_of(lane)->answer(feed_of(lane)->context, delivery, given);
    lane->hungry = true; /* an answer may set free what waits behind it */
}

static void
start(struct transfer_lane *lane, struct delivery *delivery)
{
    struct http_attempt *a = take_attempt(lane);
    struct channel_answer refused;
    struct error err = {0};
    char text[sizeof(struct error)];
    if (http_attempt_begin(a, delivery, &err) == 0) {
        ensure(curl_multi_add_handle(lane->transfer->multi, a->easy) == CURLM_OK);
        lane->under_way++;
        return;
    }
    give_attempt(lane, a);
    channel_answer_set(&refused, CHANNEL_REJECT, 0, "%s", error_text(&err, text, sizeof(text)));
    answer(lane, delivery, &refused);
}

/* Takes what the feed has and there is room for; true when it may have more right away. */
static bool
fill(struct transfer_lane *lane)
{
    struct delivery *list[TAKE_MOST];
    size_t most = (size_t)lane->context->plan->common.concurrency;
    size_t room = most - lane->under_way;
    size_t count;
    if (!lane->hungry || room == 0)
        return false;
    room = room < TAKE_MOST ? room : TAKE_MOST;
    count = feed_of(lane)->take(feed_of(lane)->context, list, room);
    lane->hungry = count == room;
    for (size_t i = 0; i < count; i++)
        start(lane, list[i]);
    return lane->hungry && lane->under_way < most;
}

static bool
is_full(const struct transfer_lane *lane)
{
    return lane->under_way == (size_t)lane->context->plan->common.concurrency;
}

/* True when there is more to do at once. */
static bool
serve(struct transfer_lane *lane, int64_t now)
{
    bool due = atomic_exchange(&lane->poked, false) || now >= lane->due;
    bool more;
    if (due)
        lane->hungry = true;
    if (!due && (!lane->hungry || is_full(lane)))
        return false;
    more = fill(lane);
    lane->due = feed_of(lane)->turn(feed_of(lane)->context);
    if (is_full(lane) && lane->due < now + FULL_WAIT)
        lane->due = now + FULL_WAIT; /* whatever is due, there is no room for it */
    return more;
}

static void
cancel_all(struct transfer_lane *lane)
{
    for (size_t i = 0; i < lane->attempt_count; i++) {
        struct http_attempt *a = lane->attempts[i];
        if (!a->delivery)
            continue;
        curl_multi_remove_handle(lane->transfer->multi, a->easy);
        http_attempt_cancel(a);
    }
    if (lane->under_way > 0)
        log_info(lane->context->component,
                 "%zu requests had no answer in time; they are sent "
                 "again after the next start",
                 lane->under_way);
    lane->under_way = 0;
}

static void
leave(struct transfer_lane *lane)
{
    struct transfer *t = lane->transfer;
    cancel_all(lane);
    feed_of(lane)->turn(feed_of(lane)->context);
    for (size_t i = 0; i < lane->attempt_count; i++)
        http_attempt_free(lane->attempts[i]);
    free(lane->attempts);
    pthread_mutex_lock(&t->mutex);
    lane->left = true;
    pthread_cond_broadcast(&t->left);
    pthread_mutex_unlock(&t->mutex);
}

static bool
must_leave(const struct transfer_lane *lane, int64_t now)
{
    return atomic_load(&lane->halted) &&
           (lane->under_way == 0 || now >= atomic_load(&lane->deadline));
}

static void
admit(struct transfer *t)
{
    struct transfer_lane *joining;
    pthread_mutex_lock(&t->mutex);
    joining = t->joining;
    t->joining = NULL;
    pthread_mutex_unlock(&t->mutex);
    while (joining) {
        struct transfer_lane *lane = joining;
        joining = lane->next;
        lane->next = t->lanes;
        t->lanes = lane;
    }
}

/* When the thread must look at its lanes again; `now` when there is more to do at once. */
static int64_t
serve_all(struct transfer *t, int64_t now)
{
    int64_t due = now + SLEEP_MOST;
    for (struct transfer_lane **at = &t->lanes; *at;) {
        struct transfer_lane *lane = *at;
        int64_t next;
        if (must_leave(lane, now)) {
            *at = lane->next;
            leave(lane);
            continue;
        }
        if (atomic_load(&lane->halted))
            next = atomic_load(&lane->deadline);
        else
            next = serve(lane, now) ? now : lane->due;
        due = next < due ? next : due;
        at = &lane->next;
    }
    return due;
}

static void
finish(struct transfer *t, CURL *easy, CURLcode result)
{
    struct http_attempt *a = NULL;
    struct channel_answer given = {0};
    struct transfer_lane *lane;
    struct delivery *delivery;
    ensure(curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&a) == CURLE_OK);
    lane = a->holder;
    delivery = a->delivery;
    http_attempt_end(a, result, &given);
    curl_multi_remove_handle(t->multi, easy);
    give_attempt(lane, a);
    lane->under_way--;
    answer(lane, delivery, &given);
}

static size_t
reap(struct transfer *t)
{
    size_t count = 0;
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(t->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        finish(t, message->easy_handle, message->data.result);
        count++;
    }
    return count;
}

static void
run(void *arg)
{
    struct transfer *t = arg;
    while (!atomic_load(&t->quit)) {
        int64_t now = clock_mono();
        int64_t due;
        int running;
        admit(t);
        due = serve_all(t, now);
        ensure(curl_multi_perform(t->multi, &running) == CURLM_OK);
        if (reap(t) > 0 || due <= now)
            continue;
        curl_multi_poll(t->multi, NULL, 0, (int)((due - now + 999) / 1000), NULL);
        atomic_store(&t->awake, false);
    }
}

struct transfer *
transfer_new(struct error *err)
{
    struct transfer *t = memory_zero(sizeof(*t));
    ensure(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    t->multi = curl_multi_init();
    ensure(t->multi);
    curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS);
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->left, NULL);
    if (thread_start(&t->thread, "transfer", run, t, err) == 0)
        return t;
    transfer_free(t);
    return NULL;
}

void
transfer_free(struct transfer *t)
{
    if (!t)
        return;
    atomic_store(&t->quit, true);
    curl_multi_wakeup(t->multi);
    thread_join(&t->thread);
    ensure(!t->lanes && !t->joining);
    curl_multi_cleanup(t->multi);
    pthread_cond_destroy(&t->left);
    pthread_mutex_destroy(&t->mutex);
    free(t);
}

struct transfer_lane *
transfer_open(struct transfer *t, struct channel_context *context)
{
    struct transfer_lane *lane = memory_zero(sizeof(*lane));
    size_t most = (size_t)context->plan->common.concurrency;
    ensure(t && most > 0);
    lane->transfer = t;
    lane->context = context;
    lane->attempts = memory_zero(most * sizeof(struct http_attempt *));
    lane->hungry = true;
    lane->due = INT64_MAX;
    pthread_mutex_lock(&t->mutex);
    lane->next = t->joining;
    t->joining = lane;
    pthread_mutex_unlock(&t->mutex);
    wake(t);
    return lane;
}

void
transfer_poke(struct transfer_lane *lane)
{
    if (!atomic_exchange(&lane->poked, true))
        wake(lane->transfer);
}

void
transfer_halt(struct transfer_lane *lane)
{
    atomic_store(&lane->deadline, clock_mono() + STOP_WAIT);
    atomic_store(&lane->halted, true);
    wake(lane->transfer);
}

void
transfer_stop(struct transfer_lane *lane)
{
    struct transfer *t = lane->transfer;
    pthread_mutex_lock(&t->mutex);
    while (!lane->left)
        pthread_cond_wait(&t->left, &t->mutex);
    pthread_mutex_unlock(&t->mutex);
}

void
transfer_close(struct transfer_lane *lane)
{
    free(lane);
}
