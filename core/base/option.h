/* Options declared once as rows, by whoever uses them (a driver, `settings`, a command). From the
 * rows come parsing, defaults, range checks, "did you mean", help, documentation and editor stubs.
 *
 *     struct file_options { const char *path; int64_t max; };
 *     static const struct option file_rows[] = {
 *         {.name = "path", .kind = OPTION_TEXT, .offset = offsetof(struct file_options, path),
 *          .flags = OPTION_REQUIRED, .help = "file to append to; - is the terminal"},
 *     };
 */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/value.h"

enum option_kind {
    OPTION_BOOL,     /* bool */
    OPTION_INT,      /* int64_t */
    OPTION_DURATION, /* int64_t microseconds; "30s" */
    OPTION_SIZE,     /* int64_t bytes; "64MiB" or a number */
    OPTION_TEXT,     /* const char *; NULL when absent without default */
    OPTION_CHOICE,   /* int: the index into `choices` */
    OPTION_LIST,     /* struct option_list: a list of texts, or one text */
    OPTION_MAP, /* const struct value *: a copy of a map of any shape, checked by its user; or NULL
                 */
    OPTION_GROUP, /* nested rows: `rows`, `row_count`; offsets of the rows count from the group's
                     offset */
};

enum option_flag {
    OPTION_REQUIRED = 1,
    OPTION_SECRET_OK = 2, /* secret() is accepted; its value never shows in any output */
    OPTION_PATH = 8, /* a text that names a file: its owner resolves it against the workspace */
    OPTION_NUMBER_OK = 16, /* a text that may be written as a whole number */
    OPTION_LATER = 4,      /* named by the design, not built yet: any use is refused by name, as
                              ERROR_REFUSED; no field is written */
};

struct option_list {
    const char *const *items;
    size_t count;
};

struct option {
    const char *name;
    enum option_kind kind;
    size_t offset;        /* of the field in the target struct */
    const char *fallback; /* the default as text, as a user would write it; NULL: zero */
    int64_t min, max;     /* for numbers; both 0: no limit; max INT64_MAX: only a least value */
    const char *const *choices; /* NULL-terminated */
    const struct option *rows;  /* of a group */
    size_t row_count;
    unsigned flags;
    const char *help; /* one line, plain */
};

/* Fills `target` from `map` (a VALUE_MAP or NULL) and the defaults; texts and lists are copied into
 * `arena`. `what` names the owner for messages: `channel "ops"`. A wrong, missing or unknown key is
 * ERROR_CONFIG with a suggestion; keys in `skip` (NULL-terminated, may be NULL) are somebody
 * else's. Every kind also takes its text form ("5432", "true"), since env() gives nothing else.
 * What is required in a group counts only when the group is given. After an error `target` is
 * unspecified. */
int option_apply(const struct option *rows, size_t count, const struct value *map, void *target,
                 const char *const *skip, struct arena *arena, const char *what,
                 struct error *err) must_check;

/* The row of that name, or NULL. */
const struct option *option_find(const struct option *rows, size_t count, struct slice name);

/* Appends one line a row for people: name, kind, help, choices, default. Groups as "group.name". */
void option_help(const struct option *rows, size_t count, struct buffer *out);

const char *option_kind_name(enum option_kind kind); /* "text", "duration" … */

#endif
