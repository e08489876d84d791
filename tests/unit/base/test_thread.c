#include "base/thread.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct seen {
    sigset_t mask;
    char name[16];
};

static void
look_around(void *arg)
{
    struct seen *seen = arg;
    pthread_sigmask(SIG_SETMASK, NULL, &seen->mask);
    pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
}

static void
threads_have_names_and_take_no_signals(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD};
    struct thread t = {0};
    struct seen seen;
    sigset_t before, after;
    (void)state;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    thread_join(&t); /* not started: nothing */
    assert_int_equal(thread_start(&t, "a-name-that-is-too-long", look_around, &seen, NULL), 0);
    thread_join(&t);
    assert_false(t.running);
    thread_join(&t);
    assert_string_equal(seen.name, "a-name-that-is-");
    for (size_t i = 0; i < countof(signals); i++)
        assert_true(sigismember(&seen.mask, signals[i]));
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (size_t i = 0; i < countof(signals); i++)
        assert_int_equal(sigismember(&after, signals[i]), sigismember(&before, signals[i]));
}

static bool
readable(const struct wake *w)
{
    struct pollfd watched = {.fd = w->fd, .events = POLLIN};
    return poll(&watched, 1, 0) == 1;
}

static void
pokes_are_kept_and_become_one(void **state)
{
    struct wake w;
    int64_t start = clock_mono();
    (void)state;
    assert_int_equal(wake_init(&w, NULL), 0);
    assert_false(readable(&w));
    wake_clear(&w); /* without a poke: nothing */
    wake_poke(&w);
    wake_poke(&w);
    assert_true(readable(&w));
    assert_true(wake_wait(&w, -1));
    assert_false(readable(&w));
    assert_false(wake_wait(&w, 0));
    assert_false(wake_wait(&w, 20000));
    assert_true(clock_mono() - start >= 20000);
    wake_release(&w);
    wake_release(&w);
}

enum { POKERS = 4, POKES = 1000 };

struct meeting {
    struct wake wake;
    _Atomic int pokes;
};

static void
poke_often(void *arg)
{
    struct meeting *m = arg;
    for (int i = 0; i < POKES; i++) {
        m->pokes++;
        wake_poke(&m->wake);
    }
}

static void
no_poke_is_lost_among_threads(void **state)
{
    struct meeting m = {0};
    struct thread threads[POKERS];
    (void)state;
    assert_int_equal(wake_init(&m.wake, NULL), 0);
    for (int i = 0; i < POKERS; i++)
        assert_int_equal(thread_start(&threads[i], "poker", poke_often, &m, NULL), 0);
    while (m.pokes < POKERS * POKES)
        assert_true(wake_wait(&m.wake, 60 * CLOCK_SECOND));
    for (int i = 0; i < POKERS; i++)
        thread_join(&threads[i]);
    wake_release(&m.wake);
}

static struct wake *signalled;

static void
on_signal(int number)
{
    (void)number;
    wake_poke(signalled);
}

static void
a_signal_handler_may_poke(void **state)
{
    struct wake w;
    struct sigaction action = {.sa_handler = on_signal}, before;
    (void)state;
    assert_int_equal(wake_init(&w, NULL), 0);
    signalled = &w;
    sigaction(SIGUSR1, &action, &before);
    raise(SIGUSR1);
    assert_true(wake_wait(&w, CLOCK_SECOND));
    sigaction(SIGUSR1, &before, NULL);
    wake_release(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_have_names_and_take_no_signals),
        cmocka_unit_test(pokes_are_kept_and_become_one),
        cmocka_unit_test(no_poke_is_lost_among_threads),
        cmocka_unit_test(a_signal_handler_may_poke),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
