/* Filters that scripts add to templates: found when a rule is compiled, called when it renders. */
#include <time.h>
#include "rules/rules_private.h"

const void *
filter_find(void *context, const char *script, struct slice name)
{
    const struct rules *r = context;
    return script ? vm_filter(r->vm, script, name) : NULL;
}

/* CPU time of this thread: a filter that waits its turn uses none of its budget. */
static int64_t
cpu_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * CLOCK_SECOND + now.tv_nsec / 1000;
}

static int
over_budget(struct error *err)
{
    return error_set(err, ERROR_BUDGET, "more than %d ms of CPU time for one event",
                     RULES_FILTER_MS);
}

int
filter_apply(void *context, const void *filter, const struct cell *args, size_t count,
             struct buffer *out, struct cell *result, struct error *err)
{
    struct rules *r = context;
    const int64_t all = RULES_FILTER_MS * INT64_C(1000);
    int64_t left = all - r->run.filter_us;
    if (left <= 0)
        return over_budget(err);
    struct vm_filter_use use = {
        .function = filter, .args = args, .count = count, .ms = (unsigned)((left + 9999) / 1000)};
    int64_t began = cpu_now();
    int answer = vm_filter_apply(r->vm, &use, out, result, err);
    r->run.filter_us += cpu_now() - began;
    if (answer != 0 && left < all && r->run.filter_us >= all) /* not this one call alone */
        return over_budget(err);
    return answer;
}
