/* What a call of a script may use: CPU time and memory. No hook runs in normal work. A timer on the
 * thread's own CPU clock ticks every 10 ms of work; when one call has had all its ticks, the
 * handler, in that very thread, sets a hook that fires at each instruction from then on, so that no
 * pcall can swallow the end (design/language.md §10). An idle thread uses no CPU, so it gets no
 * ticks. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include "script/script_private.h"

#define TICK_MS     10
#define TICKS_AGAIN 20 /* between two attempts: closer ones livelock deep recursion */
#define SIGNAL      (SIGRTMIN + 6)

#if defined(__SANITIZE_THREAD__)
#define COUNT_INSTEAD 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COUNT_INSTEAD 1
#endif
#endif

/* The VM at work in this thread, or NULL; and the thread's timer. */
static _Thread_local struct vm *volatile at_work;
static _Thread_local bool has_timer;
static pthread_key_t timer_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#ifdef COUNT_INSTEAD
static int64_t
cpu_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
#endif

int
budget_words(const struct vm *vm, char *out, size_t size)
{
    const struct budget *b = &vm->budget;
    bool whole = b->whole && b->whole_used >= b->whole;
    return snprintf(out, size, "more than %u ms of CPU time in one call",
                    (whole ? b->whole : b->ticks) * TICK_MS);
}

static int
raise_expired(lua_State *L, int level)
{
    char words[64];
    budget_words(vm_of(L), words, sizeof(words));
    luaL_where(L, level);
    lua_pushstring(L, words);
    lua_concat(L, 2);
    return lua_error(L);
}

static void
kill_call(lua_State *L, lua_Debug *where)
{
    (void)where;
    raise_expired(L, 0); /* in a hook level 0 is the function that it stopped */
}

static void
expire(struct vm *vm)
{
    vm->budget.expired = true;
    lua_sethook(vm->budget.running, kill_call, LUA_MASKCOUNT, 1);
}

#ifdef COUNT_INSTEAD
/* The thread sanitizer delivers no signal to a loop inside the VM: there, instructions and steps
 * count. */
static void
look_at_clock(struct vm *vm)
{
    struct budget *b = &vm->budget;
    int64_t now = cpu_ms();
    b->used = (unsigned)((now - b->started) / TICK_MS);
    b->whole_used = (unsigned)((now - b->whole_started) / TICK_MS);
    if (b->used >= b->ticks || (b->whole && b->whole_used >= b->whole))
        expire(vm);
}

static void
count_call(lua_State *L, lua_Debug *where)
{
    struct vm *vm = vm_of(L);
    look_at_clock(vm);
    if (vm->budget.expired)
        kill_call(L, where);
}
#endif

void
budget_check(lua_State *L)
{
    struct vm *vm = vm_of(L);
    vm->budget.steps = 0;
#ifdef COUNT_INSTEAD
    if (at_work == vm)
        look_at_clock(vm);
#endif
    if (vm->budget.expired)
        raise_expired(L, 1);
}

void
budget_rethrow(lua_State *L)
{
    if (!vm_of(L)->budget.expired)
        return;
    if (lua_type(L, -1) != LUA_TSTRING || !strstr(lua_tostring(L, -1), "of CPU time in one call"))
        raise_expired(L, 1);
    lua_error(L);
}

/* In the thread of the call that it may end. */
static void
tick(int number)
{
    (void)number;
    struct vm *vm = at_work;
    if (!vm)
        return;
    struct budget *b = &vm->budget;
    if (b->seen != b->call) {
        b->seen = b->call;
        b->used = 0;
    }
    b->used++;
    b->whole_used++;
    bool over = b->used >= b->ticks || (b->whole && b->whole_used >= b->whole);
    if (over && b->over++ % TICKS_AGAIN == 0)
        expire(vm);
}

static void
delete_timer(void *timer)
{
    timer_delete((timer_t)timer);
}

/* A fork takes no timers along. */
static void
forget_timer(void)
{
    has_timer = false;
}

static void
set_handler(void)
{
    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
    sigaction(SIGNAL, &action, NULL);
    pthread_key_create(&timer_key, delete_timer);
    pthread_atfork(NULL, NULL, forget_timer);
}

/* Once a thread; without a timer scripts run without a budget, and the log says so. */
static void
start_timer(void)
{
    struct itimerspec every = {.it_interval.tv_nsec = TICK_MS * 1000000,
                               .it_value.tv_nsec = TICK_MS * 1000000};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGNAL};
    sigset_t signals;
    timer_t timer;
    has_timer = true;
    pthread_once(&once, set_handler);
    event._sigev_un._tid = gettid();
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) != 0) {
        log_warning("script", "no budget of CPU time for scripts: %s", strerror(errno));
        return;
    }
    pthread_setspecific(timer_key, timer);
    sigemptyset(&signals);
    sigaddset(&signals, SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    timer_settime(timer, 0, &every, NULL);
}

void
budget_begin_whole(struct vm *vm, unsigned ms, unsigned whole_ms, size_t memory)
{
    struct budget *b = &vm->budget;
    if (!has_timer)
        start_timer();
    b->call++;
    b->ticks = ms / TICK_MS;
    b->whole = whole_ms / TICK_MS;
    b->whole_used = 0;
    b->over = 0;
    b->running = vm->lua;
    b->memory_most = b->memory + memory;
#ifdef COUNT_INSTEAD
    b->used = 0;
    b->started = b->whole_started = cpu_ms();
    lua_sethook(vm->lua, count_call, LUA_MASKCOUNT, 10000);
#endif
    at_work = vm;
}

void
budget_begin(struct vm *vm, unsigned ms, size_t memory)
{
    budget_begin_whole(vm, ms, 0, memory);
}

void
budget_again(struct vm *vm)
{
    vm->budget.call++;
#ifdef COUNT_INSTEAD
    vm->budget.started = cpu_ms();
#endif
}

unsigned
budget_used(const struct vm *vm)
{
#ifdef COUNT_INSTEAD
    return (unsigned)(cpu_ms() - vm->budget.started);
#else
    return vm->budget.seen == vm->budget.call ? vm->budget.used * TICK_MS : 0;
#endif
}

bool
budget_end(struct vm *vm)
{
    at_work = NULL;
    bool expired = vm->budget.expired;
    vm->budget.memory_most = SIZE_MAX;
    if (expired)
        lua_sethook(vm->lua, NULL, 0, 0);
    vm->budget.expired = false;
    return expired;
}

lua_State *
budget_enter(struct vm *vm, lua_State *coroutine)
{
    lua_State *before = vm->budget.running;
    vm->budget.running = coroutine;
#ifdef COUNT_INSTEAD
    lua_sethook(coroutine, count_call, LUA_MASKCOUNT, 10000);
#endif
    if (vm->budget.expired)
        expire(vm);
    return before;
}

void
budget_leave(struct vm *vm, lua_State *before)
{
    lua_State *left = vm->budget.running;
    vm->budget.running = before;
    if (!vm->budget.expired)
        return;
    lua_sethook(left, NULL, 0, 0);
    expire(vm);
}

void *
budget_alloc(void *context, void *old, size_t old_size, size_t size)
{
    struct budget *b = &((struct vm *)context)->budget;
    size_t had = old ? old_size : 0;
    if (size == 0) {
        free(old);
        b->memory -= had;
        return NULL;
    }
    if (size > had && b->memory + (size - had) > b->memory_most)
        return NULL;
    void *new = realloc(old, size);
    if (new)
        b->memory = b->memory - had + size;
    return new;
}
