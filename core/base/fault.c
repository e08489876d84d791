#include "base/fault.h"

#ifdef TIDEGATE_PROOF

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/power.h"

enum mode { MODE_NONE, MODE_KILL, MODE_LATE, MODE_ERROR, MODE_ERRORS };

static const struct timespec late = {.tv_nsec = 300 * 1000 * 1000};

static struct {
    enum mode mode;
    char point[64];
    char sabotage[64];
    unsigned long nth;
    atomic_ulong passed;
} plan;

static pthread_once_t once = PTHREAD_ONCE_INIT;

static const char *const points[] = {
#define POINT(name) name,
    FAULT_POINTS(POINT)
#undef POINT
};

static const char *const sabotages[] = {
#define POINT(name) name,
    SABOTAGES(POINT)
#undef POINT
};

static bool
listed(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* A misspelt plan would let a proof pass that proved nothing, so it ends the process. */
noreturn_function static void
refuse(const char *variable, const char *text)
{
    fprintf(stderr, "%s: no such point or form: %s\n", variable, text);
    _exit(64);
}

static enum mode
mode_of(const char *word, const char *text)
{
    static const struct {
        const char *word;
        enum mode mode;
    } modes[] = {
        {"", MODE_KILL}, {":late", MODE_LATE}, {":error", MODE_ERROR}, {":errors", MODE_ERRORS}};
    for (size_t i = 0; i < countof(modes); i++)
        if (strcmp(modes[i].word, word) == 0)
            return modes[i].mode;
    refuse("TIDEGATE_FAULT", text);
}

static void
read_fault(const char *text)
{
    const char *colon = strchr(text, ':');
    char *end = NULL;
    if (!colon || (size_t)(colon - text) >= sizeof(plan.point))
        refuse("TIDEGATE_FAULT", text);
    memcpy(plan.point, text, (size_t)(colon - text));
    plan.point[colon - text] = '\0';
    plan.nth = strtoul(colon + 1, &end, 10);
    if (plan.nth == 0 || !listed(points, countof(points), plan.point))
        refuse("TIDEGATE_FAULT", text);
    plan.mode = mode_of(end, text);
}

static void
read_environment(void)
{
    const char *fault = getenv("TIDEGATE_FAULT");
    const char *wrong = getenv("TIDEGATE_SABOTAGE");
    plan.mode = MODE_NONE;
    plan.sabotage[0] = '\0';
    atomic_store(&plan.passed, 0);
    if (fault && *fault)
        read_fault(fault);
    if (!wrong || !*wrong)
        return;
    if (!listed(sabotages, countof(sabotages), wrong))
        refuse("TIDEGATE_SABOTAGE", wrong);
    snprintf(plan.sabotage, sizeof(plan.sabotage), "%s", wrong);
}

void
fault_reload(void)
{
    pthread_once(&once, read_environment);
    read_environment();
}

/* Which passage of the planned point this is; 0 if it is another point. */
static unsigned long
passage(const char *name)
{
    ensure(listed(points, countof(points), name));
    if (strcmp(plan.point, name) != 0)
        return 0;
    return atomic_fetch_add(&plan.passed, 1) + 1;
}

static void
note(const char *name)
{
    const char *path = getenv("TIDEGATE_FAULT_LOG");
    char line[80];
    int fd, size;
    if (!path)
        return;
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    size = snprintf(line, sizeof(line), "%s\n", name);
    if (fd < 0 || write(fd, line, (size_t)size) != size)
        perror(path);
    if (fd >= 0)
        close(fd);
}

void
fault_pass(const char *name)
{
    pthread_once(&once, read_environment);
    if ((plan.mode != MODE_KILL && plan.mode != MODE_LATE) || passage(name) != plan.nth)
        return;
    if (plan.mode == MODE_LATE)
        nanosleep(&late, NULL);
    note(name);
    power_cut();
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

bool
fault_check(const char *name)
{
    unsigned long nth;
    pthread_once(&once, read_environment);
    if (plan.mode != MODE_ERROR && plan.mode != MODE_ERRORS)
        return false;
    nth = passage(name);
    if (nth == 0 || nth < plan.nth || (plan.mode == MODE_ERROR && nth > plan.nth))
        return false;
    note(name);
    return true;
}

bool
sabotage_on(const char *name)
{
    pthread_once(&once, read_environment);
    if (!plan.sabotage[0])
        return false;
    ensure(listed(sabotages, countof(sabotages), name));
    return strcmp(plan.sabotage, name) == 0;
}

#else

/* ISO C wants something in every file. */
typedef int fault_is_compiled_out;

#endif
