/* How the events of a channel are printed, as immutable rows (out_shape): a reload that changes a
 * channel's format changes no message that was already made. */
#ifndef OUTBOX_SHAPE_H
#define OUTBOX_SHAPE_H

#include <pthread.h>
#include "event/event_json.h"
#include "store/sql.h"

/* 64-bit hash of all that an event_shape says. */
uint64_t shape_number(const struct event_shape *shape);

/* A shape of its own. */
struct shape {
    uint64_t number;
    struct event_shape shape;
    struct shape *next;
};

struct shape *shape_copy(uint64_t number, const struct event_shape *shape);
void shape_free(struct shape *shape);
int shape_store(const struct shape *shape, sqlite3 *db, struct error *err) must_check;

/* All shapes that are stored; never shrinks. Locked inside. */
struct shapes {
    pthread_mutex_t lock;
    struct shape *list;
};

void shapes_init(struct shapes *s);
void shapes_release(struct shapes *s);
int shapes_load(struct shapes *s, sqlite3 *db, struct error *err) must_check;
void shapes_add(struct shapes *s, struct shape *shape); /* takes ownership */
/* NULL: not stored. Valid as long as the set. */
const struct event_shape *shapes_find(struct shapes *s, uint64_t number);

#endif
