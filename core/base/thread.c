#include "base/thread.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { NAME_BYTES = 15 }; /* what the kernel keeps */

struct start {
    void (*body)(void *arg);
    void *arg;
    char name[NAME_BYTES + 1];
};

static void *
run(void *arg)
{
    struct start start = *(struct start *)arg;
    free(arg);
    pthread_setname_np(pthread_self(), start.name);
    start.body(start.arg);
    return NULL;
}

int
thread_start(struct thread *t, const char *name, void (*body)(void *arg), void *arg,
             struct error *err)
{
    struct start *start = memory_zero(sizeof(*start));
    sigset_t all, before;
    int number;
    start->body = body;
    start->arg = arg;
    strncpy(start->name, name, NAME_BYTES);
    sigfillset(&all);
    /* A thread inherits the mask, so there is no instant at which it could take a signal. */
    pthread_sigmask(SIG_BLOCK, &all, &before);
    number = pthread_create(&t->id, NULL, run, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    t->running = number == 0;
    if (number == 0)
        return 0;
    free(start);
    return error_errno(err, ERROR_SYSTEM, number, "start the thread \"%s\"", name);
}

void
thread_join(struct thread *t)
{
    if (!t->running)
        return;
    ensure(pthread_join(t->id, NULL) == 0);
    t->running = false;
}

int
wake_init(struct wake *w, struct error *err)
{
    w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return w->fd >= 0 ? 0 : error_errno(err, ERROR_SYSTEM, errno, "open an eventfd");
}

void
wake_release(struct wake *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

/* EAGAIN means that the counter is full, hence that it is readable already. */
void
wake_poke(struct wake *w)
{
    int before = errno; /* for signal handlers */
    ensure(eventfd_write(w->fd, 1) == 0 || errno == EAGAIN);
    errno = before;
}

void
wake_clear(struct wake *w)
{
    eventfd_t pokes;
    ensure(eventfd_read(w->fd, &pokes) == 0 || errno == EAGAIN);
}

bool
wake_wait(struct wake *w, int64_t timeout_us)
{
    struct pollfd watched = {.fd = w->fd, .events = POLLIN};
    int64_t start = clock_mono();
    for (;;) {
        int64_t left = timeout_us < 0 ? 0 : timeout_us - (clock_mono() - start);
        struct timespec wait = {0, 0};
        int ready;
        if (left > 0) {
            wait.tv_sec = left / CLOCK_SECOND;
            wait.tv_nsec = left % CLOCK_SECOND * 1000;
        }
        ready = ppoll(&watched, 1, timeout_us < 0 ? NULL : &wait, NULL);
        ensure(ready >= 0 || errno == EINTR);
        if (ready == 0)
            return false;
        if (ready > 0) {
            wake_clear(w);
            return true;
        }
    }
}
