#include "rules/quarantine.h"
#include <stdio.h>
#include "base/log.h"
#include "rules/rules_private.h"

/* Only the rules thread writes. */
static void
set(_Atomic uint64_t *number, uint64_t value)
{
    atomic_store_explicit(number, value, memory_order_relaxed);
}

static uint64_t
get(const _Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

bool
quarantine_holds(struct quarantine *q, uint64_t lsn)
{
    if (!q->active || clock_mono() >= q->retry)
        return false;
    if (!get(&q->held))
        set(&q->first, lsn);
    set(&q->last, lsn);
    set(&q->held, get(&q->held) + 1);
    return true;
}

static void
begin(struct quarantine *q, const char *rule, const char *why)
{
    q->retry = clock_mono() + QUARANTINE_RETRY;
    if (q->active)
        return;
    q->active = true;
    set(&q->held, 0);
    set(&q->first, 0);
    set(&q->last, 0);
    log_error("rules",
              "rule %s is in quarantine: %s; one event a minute is tried, the others count as "
              "failed, until one ends well or the script is changed",
              rule, why);
}

/* What the log does not carry is not the script's fault. */
void
quarantine_failed(struct quarantine *q, const char *rule, const struct error *err)
{
    char why[128];
    if (strstr(err->message, "old value not in log"))
        return;
    q->failures++;
    q->kills = err->class == ERROR_BUDGET ? q->kills + 1 : 0;
    if (q->kills >= QUARANTINE_KILLS)
        snprintf(why, sizeof(why), "it went over its budget %d times in a row", QUARANTINE_KILLS);
    else
        snprintf(why, sizeof(why), "it failed %u times in a row", q->failures);
    if (q->active || q->kills >= QUARANTINE_KILLS || q->failures >= QUARANTINE_FAILURES)
        begin(q, rule, why);
}

void
quarantine_passed(struct quarantine *q, const char *rule)
{
    q->failures = 0;
    q->kills = 0;
    if (!q->active)
        return;
    q->active = false;
    log_warning("rules",
                "rule %s is out of quarantine; %llu events from lsn %llu to %llu were not tried",
                rule, (unsigned long long)get(&q->held), (unsigned long long)get(&q->first),
                (unsigned long long)get(&q->last));
}

void
quarantine_status(struct quarantine *q, struct rule_status *out)
{
    out->quarantined = q->active;
    out->held = get(&q->held);
    out->held_first = get(&q->first);
    out->held_last = get(&q->last);
}

/* The script was named once more; `broken`: it can't even be loaded anew. */
static void
note_grown(struct rules *r, const char *script, bool broken)
{
    int64_t now = clock_mono();
    for (size_t i = 0; i < r->count; i++) {
        struct rule *rule = &r->list[i];
        struct quarantine *q = &rule->quarantine;
        if (script && strcmp(rule->origin->script, script) != 0)
            continue;
        if (broken || (q->grown && now - q->grown < QUARANTINE_GROWN))
            begin(q, rule->origin->name, "its script filled the memory of all scripts again");
        q->grown = now;
    }
}

void
quarantine_renew(struct rules *r)
{
    const char *script = NULL;
    struct error err = {0};
    struct vm *fresh = vm_renew(r->vm, &script, &err);
    if (fresh)
        r->vm = fresh;
    else
        log_failure(LOG_ERROR, "rules", &err);
    if (script)
        log_warning("rules",
                    "%s grew most of the scripts, which together held more memory than they may: "
                    "all were loaded anew, and what they kept in variables is gone",
                    script);
    else if (fresh)
        log_warning("rules", "the scripts held more memory than they may: all were loaded anew");
    if (script || !fresh)
        note_grown(r, script, !fresh);
}
