#include "base/base.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BACKTRACE_DEPTH = 64 };

void
ensure_failed(const char *condition, const char *file, int line)
{
    void *frames[BACKTRACE_DEPTH];
    char text[512];
    int size =
        snprintf(text, sizeof(text), "bug: %s:%d: %s does not hold\n", file, line, condition);
    if (size > (int)sizeof(text) - 1)
        size = sizeof(text) - 1;
    if (write(STDERR_FILENO, text, (size_t)size) == size)
        backtrace_symbols_fd(frames, backtrace(frames, BACKTRACE_DEPTH), STDERR_FILENO);
    abort();
}

static void *
checked(void *memory)
{
    static const char text[] = "out of memory\n";
    if (memory)
        return memory;
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        _exit(71);
    abort();
}

/* A size of 0 still gives a pointer of its own, so NULL never means "empty". */
void *
memory_alloc(size_t size)
{
    return checked(malloc(size ? size : 1));
}

void *
memory_zero(size_t size)
{
    return checked(calloc(1, size ? size : 1));
}

void *
memory_grow(void *old, size_t size)
{
    return checked(realloc(old, size ? size : 1));
}

char *
memory_text(const char *text)
{
    return memory_slice(slice_of(text));
}

char *
memory_slice(struct slice slice)
{
    char *copy = memory_alloc(slice.size + 1);
    if (slice.size)
        memcpy(copy, slice.data, slice.size);
    copy[slice.size] = '\0';
    return copy;
}
