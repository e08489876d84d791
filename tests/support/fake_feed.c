#include "support/fake_feed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define PATIENCE (10 * CLOCK_SECOND)

struct item {
    struct delivery delivery;
    struct item *next; /* waiting */
    struct channel_answer answer;
    char *body, *options;
    char event_id[48];
};

struct fake_feed {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct item **items;
    size_t count, room;
    struct item *first, **last; /* waiting */
    size_t done, taken;
    int attempts;
};

struct fake_feed *
fake_feed_new(void)
{
    struct fake_feed *f = memory_zero(sizeof(*f));
    pthread_mutex_init(&f->mutex, NULL);
    pthread_cond_init(&f->changed, NULL);
    f->last = &f->first;
    f->attempts = 1;
    return f;
}

void
fake_feed_free(struct fake_feed *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->items[i]->body);
        free(f->items[i]->options);
        free(f->items[i]);
    }
    free(f->items);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->mutex);
    free(f);
}

void
fake_feed_repeat(struct fake_feed *f, int attempts)
{
    f->attempts = attempts;
}

static void
append(struct fake_feed *f, struct item *item)
{
    item->next = NULL;
    *f->last = item;
    f->last = &item->next;
}

size_t
fake_feed_add(struct fake_feed *f, enum message_kind kind, const char *body, const char *options)
{
    struct item *item = memory_zero(sizeof(*item));
    struct delivery *d = &item->delivery;
    size_t number;
    item->body = memory_text(body);
    item->options = memory_text(options ? options : "");
    pthread_mutex_lock(&f->mutex);
    if (f->count == f->room) {
        f->room = f->room ? 2 * f->room : 64;
        f->items = memory_grow(f->items, f->room * sizeof(struct item *));
    }
    number = f->count++;
    f->items[number] = item;
    snprintf(d->id, sizeof(d->id), "msg_%032zx", number);
    snprintf(item->event_id, sizeof(item->event_id), "shop:1:%zu", number);
    d->event_id = slice_of(item->event_id);
    d->rule = slice_literal("orders/big");
    d->lsn = number + 1;
    d->created = INT64_C(1700000000123456) + (int64_t)number;
    d->kind = kind;
    d->body = slice_of(item->body);
    d->options = slice_of(item->options);
    append(f, item);
    pthread_mutex_unlock(&f->mutex);
    return number;
}

static size_t
take(void *context, struct delivery **out, size_t room)
{
    struct fake_feed *f = context;
    size_t count = 0;
    pthread_mutex_lock(&f->mutex);
    while (count < room && f->first) {
        struct item *item = f->first;
        f->first = item->next;
        if (!f->first)
            f->last = &f->first;
        item->delivery.attempt++;
        out[count++] = &item->delivery;
    }
    f->taken += count;
    pthread_mutex_unlock(&f->mutex);
    return count;
}

static void
answer(void *context, struct delivery *delivery, const struct channel_answer *given)
{
    struct fake_feed *f = context;
    struct item *item = container_of(delivery, struct item, delivery);
    bool again = given->class == CHANNEL_RETRY || given->class == CHANNEL_BROKEN;
    pthread_mutex_lock(&f->mutex);
    item->answer = *given;
    if (again && delivery->attempt < f->attempts)
        append(f, item);
    else
        f->done++;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
}

static int64_t
turn(void *context)
{
    struct fake_feed *f = context;
    bool waiting;
    pthread_mutex_lock(&f->mutex);
    waiting = f->first != NULL;
    pthread_mutex_unlock(&f->mutex);
    return waiting ? clock_mono() : INT64_MAX;
}

struct channel_feed
fake_feed_feed(struct fake_feed *f)
{
    return (struct channel_feed){.context = f, .take = take, .answer = answer, .turn = turn};
}

bool
fake_feed_wait(struct fake_feed *f, size_t count)
{
    int64_t end = clock_now() + PATIENCE;
    struct timespec until = {end / CLOCK_SECOND, end % CLOCK_SECOND * 1000};
    bool reached;
    int late = 0;
    pthread_mutex_lock(&f->mutex);
    while (f->done < count && late == 0)
        late = pthread_cond_timedwait(&f->changed, &f->mutex, &until);
    reached = f->done >= count;
    pthread_mutex_unlock(&f->mutex);
    return reached;
}

size_t
fake_feed_done(struct fake_feed *f)
{
    pthread_mutex_lock(&f->mutex);
    size_t done = f->done;
    pthread_mutex_unlock(&f->mutex);
    return done;
}

size_t
fake_feed_taken(struct fake_feed *f)
{
    pthread_mutex_lock(&f->mutex);
    size_t taken = f->taken;
    pthread_mutex_unlock(&f->mutex);
    return taken;
}

struct channel_answer
fake_feed_answer(struct fake_feed *f, size_t number)
{
    pthread_mutex_lock(&f->mutex);
    struct channel_answer given = f->items[number]->answer;
    pthread_mutex_unlock(&f->mutex);
    return given;
}

int
fake_feed_attempts(struct fake_feed *f, size_t number)
{
    pthread_mutex_lock(&f->mutex);
    int attempts = f->items[number]->delivery.attempt;
    pthread_mutex_unlock(&f->mutex);
    return attempts;
}

const char *
fake_feed_id(struct fake_feed *f, size_t number)
{
    pthread_mutex_lock(&f->mutex);
    const char *id = f->items[number]->delivery.id;
    pthread_mutex_unlock(&f->mutex);
    return id;
}
