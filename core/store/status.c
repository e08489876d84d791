/* How the store is, for any thread. */
#include "store/inside.h"

void
store_status(struct store *s, struct store_status *out)
{
    memset(out, 0, sizeof(*out));
    pthread_mutex_lock(&s->lock);
    out->pressure = (enum store_pressure)atomic_load(&s->pressure);
    memcpy(out->reason, s->reason, sizeof(out->reason));
    out->disk_free = s->disk_free;
    pthread_mutex_unlock(&s->lock);
    out->groups = atomic_load(&s->groups);
    out->syncs = atomic_load(&s->syncs);
    out->wal_bytes = atomic_load(&s->wal_frames) * STORE_FRAME;
}

bool
store_allows_work(struct store *s)
{
    return atomic_load_explicit(&s->pressure, memory_order_relaxed) != STORE_DISK_FULL;
}
