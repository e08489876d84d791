/* What the daemon says while it runs: one line an entry, to stderr or a file that rotates; logfmt
 * on a terminal, JSON otherwise; UTC. The level is checked before anything is formatted. Control
 * characters and invalid UTF-8 of any text are escaped, since names and values come from strangers.
 * Any thread may log; a line is written whole; a message is cut at 8 KiB.
 *
 *     log_info("source/shop", "reconnecting in %s", wait);
 *
 * The component is "part" or "part/instance": source, journal, store, rules, outbox, channel … */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/error.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct log_options {
    enum log_level level;
    const char *path;  /* NULL: stderr */
    int64_t max_bytes; /* a file is rotated at this size … */
    int keep;          /* … and this many are kept: path.1 is the newest old one */
    bool json;         /* JSON lines instead of logfmt */
};

/* Opens the log, or changes it while it runs. Before the first call, warnings go to stderr. */
int log_open(const struct log_options *options, struct error *err) must_check;
void log_reopen(void); /* after SIGHUP: the file was moved away */
void log_close(void);

/* "error", "warning", "info", "debug" to a level: 0 or -1. */
int log_level_parse(struct slice text, enum log_level *level) must_check;

extern _Atomic enum log_level log_threshold; /* read only; written by log_open */

void log_write(enum log_level level, const char *component, const char *format, ...)
    printf_like(3, 4);

/* An error with its class, cause and hint as fields. */
void log_failure(enum log_level level, const char *component, const struct error *err);

#define log_at(level, ...) ((level) <= log_threshold ? log_write((level), __VA_ARGS__) : (void)0)
#define log_error(...)     log_at(LOG_ERROR, __VA_ARGS__)
#define log_warning(...)   log_at(LOG_WARNING, __VA_ARGS__)
#define log_info(...)      log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...)     log_at(LOG_DEBUG, __VA_ARGS__)

#endif
