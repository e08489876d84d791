/* Retention: whole segments go by age, by size and by hand, the oldest first, as far as consumers
 * and the trim guard let them. Housekeeping thread, but for those who ask by hand. */
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "store/inside.h"

enum verdict { TRIM_NOTHING, TRIM_DONE, TRIM_GUARDED, TRIM_HELD };

static bool
is_too_large(struct store *s)
{
    return s->options.journal_size > 0 && journal_bytes(s->journal) > s->options.journal_size;
}

static bool
is_too_old(const struct store *s, const struct journal_segment_info *segment)
{
    return s->options.journal_age > 0 &&
           segment->last_written < clock_now() - s->options.journal_age;
}

/* Trims up to `wanted`, less what the guard still needs. Returns the oldest lsn kept. */
static uint64_t
trim_to(struct store *s, uint64_t wanted)
{
    uint64_t allowed = s->guard.allow ? s->guard.allow(s->guard.context, wanted) : wanted;

    return journal_trim(s->journal, allowed < wanted ? allowed : wanted);
}

static enum verdict
trim_segment(struct store *s, const struct journal_segment_info *segment)
{
    uint64_t end = segment->last_lsn + 1;

    return trim_to(s, end) >= end ? TRIM_DONE : TRIM_GUARDED;
}

/* One segment more, if it is to go. `name`: who holds it. */
static enum verdict
retain(struct store *s, char name[64])
{
    struct journal_segment_info segment;

    if (!journal_oldest_segment(s->journal, &segment))
        return TRIM_NOTHING;
    bool large = is_too_large(s);
    if (!large && !is_too_old(s, &segment))
        return TRIM_NOTHING;
    if (segment.last_lsn <= consumers_hold(s, name))
        return trim_segment(s, &segment);
    if (!large)
        return TRIM_NOTHING;
    if (s->options.journal_full == JOURNAL_FULL_PAUSE)
        return TRIM_HELD;
    enum verdict verdict = trim_segment(s, &segment);
    if (verdict == TRIM_DONE)
        log_warning(
            "store",
            "the journal is full: lsn %llu to %llu are dropped, unread by the consumer \"%s\"",
            (unsigned long long)segment.first_lsn, (unsigned long long)segment.last_lsn, name);
    return verdict;
}

/* Removes what was trimmed, so that its bytes count no more. */
static void
unlink_trimmed(struct store *s)
{
    struct error err = {0};

    if (journal_sweep(s->journal, &err) < 0)
        log_failure(LOG_WARNING, "journal", &err);
}

static void
describe(struct store *s, enum verdict verdict, const char *name, char out[256])
{
    char ceiling[CLOCK_TEXT_SIZE];

    size_format(s->options.journal_size, ceiling);
    if (verdict == TRIM_HELD)
        snprintf(
            out, 256,
            "consumer %s holds the journal at its ceiling of %s: sources wait; resume or remove "
            "it, raise retention.journal_size or set journal_full = \"drop_oldest\"",
            name, ceiling);
    else
        snprintf(out, 256,
                 "the journal is at its ceiling of %s while messages that refer to it are "
                 "copied: sources wait",
                 ceiling);
}

static void
trim_by_retention(struct store *s)
{
    enum verdict verdict;
    char name[64] = "", reason[256] = "";

    while ((verdict = retain(s, name)) == TRIM_DONE)
        unlink_trimmed(s);
    bool full = verdict == TRIM_HELD || (verdict == TRIM_GUARDED && is_too_large(s));
    if (full)
        describe(s, verdict, name, reason);
    space_journal(s, full, reason);
}

/* A segment that must stay because of `wanted` stays silently; the guard is asked again until its
 * copies are made. */
static bool
trim_request(struct store *s, struct trim_request *r)
{
    struct journal_segment_info segment;

    while (journal_oldest_segment(s->journal, &segment) && segment.last_lsn < r->wanted)
        if (trim_segment(s, &segment) != TRIM_DONE) {
            r->late = clock_mono() > r->deadline;
            r->oldest = journal_oldest(s->journal);
            return r->late;
        } else {
            unlink_trimmed(s);
        }
    r->oldest = journal_oldest(s->journal);
    return true;
}

void
trim_pass(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    struct trim_request *r = s->request;
    pthread_mutex_unlock(&s->lock);
    if (r && trim_request(s, r)) {
        pthread_mutex_lock(&s->lock);
        r->done = true;
        s->request = NULL;
        pthread_cond_broadcast(&s->drained);
        pthread_mutex_unlock(&s->lock);
    }
    trim_by_retention(s);
}

/* By hand, on the housekeeping thread; one at a time. */
static void
ask(struct store *s, struct trim_request *r)
{
    pthread_mutex_lock(&s->lock);
    while (s->request && !s->stopped)
        pthread_cond_wait(&s->drained, &s->lock);
    s->request = r;
    wake_poke(&s->keeper_wake);
    while (!r->done && !s->stopped)
        pthread_cond_wait(&s->drained, &s->lock);
    r->late = r->late || !r->done;
    if (s->request == r)
        s->request = NULL;
    pthread_mutex_unlock(&s->lock);
}

static int
refuse(const char *name, uint64_t hold, struct error *err)
{
    error_set(err, ERROR_REFUSED,
              "the consumer \"%s\" has read up to lsn %llu only; the journal was trimmed to there",
              name, (unsigned long long)hold);
    return error_hint(err, "--force trims what it has not read; `tidegate consumers` shows it");
}

int
store_trim(struct store *s, uint64_t before, bool force, uint64_t *oldest, struct error *err)
{
    char name[64];
    uint64_t hold = consumers_hold(s, name);
    bool held = !force && name[0] && before > hold + 1;
    struct trim_request r = {
        .wanted = held ? hold + 1 : before,
        .deadline = clock_mono() + 10 * CLOCK_SECOND,
    };

    if (atomic_load(&s->started))
        ask(s, &r);
    else
        while (!trim_request(s, &r))
            ;
    *oldest = r.oldest;
    if (r.late) {
        error_set(err, ERROR_BUSY, "messages that refer to the journal are still being copied");
        return error_hint(err, "try again in a moment");
    }
    return held ? refuse(name, hold, err) : 0;
}
