/* The few words that every file of Tidegate uses: bytes on loan, counts, attributes that the
 * compiler checks, and the difference between our own bugs and the outside world.
 *
 * Our own bugs end the process at once through ensure(); whatever comes from outside (databases,
 * networks, files, scripts, users) never does: it becomes a `struct error` (error.h). */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define must_check __attribute__((warn_unused_result))
#define printf_like(nth, first) __attribute__((format(printf, nth, first)))
#define noreturn_function __attribute__((noreturn))

#define countof(array) (sizeof(array) / sizeof((array)[0]))

/* The struct that holds `member` at `pointer`. */
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* Bytes on loan: never owned, never NUL-terminated by promise, valid as long as their owner says. */
struct slice {
    const char *data;
    size_t size;
};

#define slice_literal(text) ((struct slice){(text), sizeof(text) - 1})

/* The slice of a NUL-terminated text; NULL gives an empty slice. */
static inline struct slice
slice_of(const char *text)
{
    return (struct slice){text ? text : "", text ? strlen(text) : 0};
}

/* Behind the last byte; NULL for a slice without data, to which C forbids even adding 0. */
static inline const char *
slice_end(struct slice slice)
{
    return slice.data ? slice.data + slice.size : NULL;
}

static inline bool
slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool
slice_is(struct slice a, const char *text)
{
    return slice_equal(a, slice_of(text));
}

/* Bytewise order, shorter first when one is the start of the other: <0, 0, >0. */
static inline int
slice_compare(struct slice a, struct slice b)
{
    size_t n = a.size < b.size ? a.size : b.size;
    int order = n ? memcmp(a.data, b.data, n) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Ends the process with file, line, condition and a backtrace: for our own bugs only. */
noreturn_function void ensure_failed(const char *condition, const char *file, int line);

#define ensure(condition) ((condition) ? (void)0 : ensure_failed(#condition, __FILE__, __LINE__))

/* malloc, calloc, realloc and strdup that never return NULL. Running out of memory ends the
 * process: every amount that strangers can influence has a ceiling of its own (buffer.h), and a
 * kill is safe at every instant. The caller owns the result and frees it with free(). */
void *memory_alloc(size_t size);
void *memory_zero(size_t size);
void *memory_grow(void *old, size_t size);
char *memory_text(const char *text);
char *memory_slice(struct slice slice); /* NUL-terminated copy */

#endif
