/* Threads with a role and a name, and the one thing they wait on: a wake-up that can sit in a
 * poll() beside sockets. All signals are blocked in every thread but main. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include "base/error.h"

struct thread {
    pthread_t id;
    bool running;
};

/* Starts `body(arg)` under `name` (at most 15 bytes are shown by the system). */
int thread_start(struct thread *t, const char *name, void (*body)(void *arg), void *arg,
                 struct error *err) must_check;
void thread_join(struct thread *t); /* does nothing if it was not started */

/* A wake-up: many may poke, one waits. Pokes before the wait are not lost, several become one. */
struct wake {
    int fd; /* an eventfd, readable when poked; for use in poll() beside other descriptors */
};

int wake_init(struct wake *w, struct error *err) must_check;
void wake_release(struct wake *w);
void wake_poke(struct wake *w);  /* any thread, also a signal handler */
void wake_clear(struct wake *w); /* the waiting thread, before it looks at what it was woken for */

/* Waits until poked or `timeout_us` passed (-1: for ever). True when poked; clears it. */
bool wake_wait(struct wake *w, int64_t timeout_us);

#endif
