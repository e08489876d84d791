#ifdef TIDEGATE_PROOF

#include "channel/memory.h"

#include <stdlib.h>

#include "base/clock.h"
#include "channel/channel_driver.h"

struct options {
    int64_t fail_every, fail_times;
    int64_t delay, retry_after;
    int class;
    int64_t code;
    bool reorder;
};

/* What a channel of that name was given. */
struct store {
    struct store *next;
    char *name;
    struct arena arena;
    struct memory_message *messages;
    size_t count, room;
    uint64_t attempts;
};

struct state {
    struct store *store;
    uint64_t calls; /* attempts since the channel was opened */
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct store *stores;
} all = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static const char *const class_names[] = {"retry", "reject", "broken", NULL};
static const enum channel_class classes[] = {CHANNEL_RETRY, CHANNEL_REJECT, CHANNEL_BROKEN};

#define field(member) offsetof(struct options, member)

static const struct option rows[] = {
    {.name = "fail_every",
     .kind = OPTION_INT,
     .offset = field(fail_every),
     .max = INT64_MAX,
     .help = "every so many attempts one fails"},
    {.name = "fail_times",
     .kind = OPTION_INT,
     .offset = field(fail_times),
     .max = INT64_MAX,
     .help = "so many attempts fail: of each message, or of the channel if class is broken"},
    {.name = "class",
     .kind = OPTION_CHOICE,
     .offset = field(class),
     .fallback = "retry",
     .choices = class_names,
     .help = "how they fail"},
    {.name = "code",
     .kind = OPTION_INT,
     .offset = field(code),
     .max = 999,
     .help = "the answer's code"},
    {.name = "retry_after",
     .kind = OPTION_DURATION,
     .offset = field(retry_after),
     .max = INT64_MAX,
     .help = "what a failing answer asks for"},
    {.name = "delay",
     .kind = OPTION_DURATION,
     .offset = field(delay),
     .max = 60 * CLOCK_SECOND,
     .help = "how long each take lasts"},
    {.name = "reorder",
     .kind = OPTION_BOOL,
     .offset = field(reorder),
     .help = "a take is kept last message first"},
};

static struct store *
find_store(const char *name)
{
    struct store *store = all.stores;
    while (store && strcmp(store->name, name) != 0)
        store = store->next;
    return store;
}

static int
open_memory(struct channel_context *context, struct error *err)
{
    struct state *state = context->state;
    const char *name = context->plan->name;
    (void)err;
    pthread_mutex_lock(&all.mutex);
    state->store = find_store(name);
    if (!state->store) {
        struct store *store = memory_zero(sizeof(*store));
        store->name = memory_text(name);
        arena_init(&store->arena, 0);
        store->next = all.stores;
        state->store = all.stores = store;
    }
    pthread_mutex_unlock(&all.mutex);
    return 0;
}

static void
keep(struct store *store, const struct delivery *d)
{
    struct memory_message *m;
    if (store->count == store->room) {
        store->room = store->room ? 2 * store->room : 64;
        store->messages = memory_grow(store->messages, store->room * sizeof(*store->messages));
    }
    m = &store->messages[store->count++];
    *m = (struct memory_message){
        .kind = d->kind, .attempt = d->attempt, .lsn = d->lsn, .created = d->created};
    memcpy(m->id, d->id, sizeof(m->id));
    m->rule = arena_slice(&store->arena, d->rule);
    m->event_id = arena_slice(&store->arena, d->event_id);
    m->body = arena_slice(&store->arena, d->body);
    m->options = arena_slice(&store->arena, d->options);
}

static bool
must_fail(const struct options *o, uint64_t call, const struct delivery *d)
{
    uint64_t place = classes[o->class] == CHANNEL_BROKEN ? call : (uint64_t)d->attempt;
    return (o->fail_every > 0 && call % (uint64_t)o->fail_every == 0) ||
           place <= (uint64_t)o->fail_times;
}

static void
deliver_one(struct channel_context *context, const struct delivery *d,
            struct channel_answer *answer)
{
    const struct options *o = context->plan->options;
    struct state *state = context->state;
    state->store->attempts++;
    if (must_fail(o, ++state->calls, d)) {
        channel_answer_set(answer, classes[o->class], (int)o->code, "failed on purpose");
        answer->retry_after = o->retry_after;
        return;
    }
    keep(state->store, d);
    *answer = (struct channel_answer){.class = CHANNEL_DELIVERED, .code = (int)o->code};
}

static void
deliver(struct channel_context *context, struct delivery *const *list, size_t count,
        struct channel_answer *answers)
{
    const struct options *o = context->plan->options;
    if (o->delay > 0) {
        struct timespec wait = {o->delay / CLOCK_SECOND, o->delay % CLOCK_SECOND * 1000};
        nanosleep(&wait, NULL);
    }
    pthread_mutex_lock(&all.mutex);
    for (size_t i = 0; i < count; i++) {
        size_t at = o->reorder ? count - 1 - i : i;
        deliver_one(context, list[at], &answers[at]);
    }
    pthread_cond_broadcast(&all.changed);
    pthread_mutex_unlock(&all.mutex);
}

size_t
memory_count(const char *channel)
{
    const struct store *store;
    size_t count;
    pthread_mutex_lock(&all.mutex);
    store = find_store(channel);
    count = store ? store->count : 0;
    pthread_mutex_unlock(&all.mutex);
    return count;
}

bool
memory_message(const char *channel, size_t number, struct memory_message *out)
{
    const struct store *store;
    bool found;
    pthread_mutex_lock(&all.mutex);
    store = find_store(channel);
    found = store && number < store->count;
    if (found)
        *out = store->messages[number];
    pthread_mutex_unlock(&all.mutex);
    return found;
}

uint64_t
memory_attempts(const char *channel)
{
    const struct store *store;
    uint64_t attempts;
    pthread_mutex_lock(&all.mutex);
    store = find_store(channel);
    attempts = store ? store->attempts : 0;
    pthread_mutex_unlock(&all.mutex);
    return attempts;
}

bool
memory_wait(const char *channel, size_t count, int64_t timeout)
{
    int64_t end = clock_now() + timeout;
    struct timespec until = {end / CLOCK_SECOND, end % CLOCK_SECOND * 1000};
    const struct store *store;
    bool reached;
    int late = 0;
    pthread_mutex_lock(&all.mutex);
    for (;;) {
        store = find_store(channel);
        reached = store && store->count >= count;
        if (reached || late != 0)
            break;
        late = pthread_cond_timedwait(&all.changed, &all.mutex, &until);
    }
    pthread_mutex_unlock(&all.mutex);
    return reached;
}

void
memory_forget(void)
{
    pthread_mutex_lock(&all.mutex);
    while (all.stores) {
        struct store *store = all.stores;
        all.stores = store->next;
        arena_release(&store->arena);
        free(store->messages);
        free(store->name);
        free(store);
    }
    pthread_mutex_unlock(&all.mutex);
}

const struct channel_driver channel_memory = {
    .name = "memory",
    .summary = "keeps what it is given, for tests",
    .options = rows,
    .option_count = countof(rows),
    .options_size = sizeof(struct options),
    .state_size = sizeof(struct state),
    .take_most = 256,
    .open = open_memory,
    .deliver = deliver,
};

#else
extern const int channel_memory_absent; /* ISO C forbids an empty file */
#endif
