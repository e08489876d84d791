/* One error type for the whole program: what class it is (which decides retry, exit code and who
 * is told), what happened, why, and how to mend it.
 *
 * Functions that can fail return 0 or -1 (or NULL) and take `struct error *err` last. The callee
 * sets it once; callers only add context. It is untouched on success. It owns no memory, so it may
 * be copied, and dropped without ceremony.
 *
 *     struct error err = {0};
 *     if (journal_open(..., &err) != 0)
 *         return error_context(&err, "start %s", dir);
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/base.h"

enum error_class {
    ERROR_NONE = 0,
    ERROR_USAGE,       /* wrong words on a command line; exit 64 */
    ERROR_DATA,        /* a script, template, rule or given data is wrong; exit 65 */
    ERROR_MISSING,     /* a file or named thing does not exist; exit 66 */
    ERROR_UNREACHABLE, /* nothing answers there, worth trying again; exit 69 */
    ERROR_INTERNAL,    /* an answer that our own code should not give; exit 70 */
    ERROR_SYSTEM,      /* the operating system refused (port taken, no threads …); exit 71 */
    ERROR_IO,          /* reading or writing a file failed; exit 74 */
    ERROR_FULL,        /* no space, or a ceiling of ours; worth trying again; exit 74 */
    ERROR_CORRUPT,     /* stored bytes are not what was written; exit 74 */
    ERROR_BUSY,        /* somebody else holds it, worth trying again; exit 75 */
    ERROR_DENIED,      /* not permitted; exit 77 */
    ERROR_CONFIG,      /* tidegate.lua or an option is wrong; exit 78 */
    ERROR_LOST,        /* continuity with what was read before can't be proved; exit 69 */
    ERROR_BUDGET,      /* a rule went over its time or memory; exit 65 */
    ERROR_REFUSED,     /* named by the design, not built yet, refused by name; exit 64 */
};

struct error {
    enum error_class class;
    const char *file; /* where it was set, a literal */
    int line;
    char message[1024]; /* what, and where; one line, no full stop */
    char cause[512];    /* what lay below: the system's, library's or server's own words; or "" */
    char hint[512];     /* the statement or edit that mends it; or "" */
};

/* Sets the error and returns -1, so that it can be returned inline. `err` may be NULL. */
#define error_set(err, class, ...) error_set_at((err), (class), __FILE__, __LINE__, __VA_ARGS__)
int error_set_at(struct error *err, enum error_class class, const char *file, int line,
                 const char *format, ...) printf_like(5, 6);

/* As error_set, with strerror(number) as the cause. ENOSPC and EDQUOT turn the class to ERROR_FULL. */
#define error_errno(err, class, number, ...)                                                       \
    error_errno_at((err), (class), (number), __FILE__, __LINE__, __VA_ARGS__)
int error_errno_at(struct error *err, enum error_class class, int number, const char *file,
                   int line, const char *format, ...) printf_like(6, 7);

/* Puts "context: " before the message. Returns -1. */
int error_context(struct error *err, const char *format, ...) printf_like(2, 3);

/* Sets the cause, or the hint. Returns -1. */
int error_cause(struct error *err, const char *format, ...) printf_like(2, 3);
int error_hint(struct error *err, const char *format, ...) printf_like(2, 3);

/* "message: cause (hint)" into `out` of `size` bytes, always terminated; control characters in it
 * are printed as \xNN. Returns `out`. */
char *error_text(const struct error *err, char *out, size_t size);

/* The sysexits(3) code of a class. */
int error_exit_code(enum error_class class);

/* "config", "unreachable" …: the class's name for logs and JSON. */
const char *error_class_name(enum error_class class);

#endif
