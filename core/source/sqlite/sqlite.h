/* The source driver for SQLite: triggers write every change into a log table of the same database,
 * and this process reads that log. So any process that writes the file is captured, whatever its
 * language and library, at the price of a second row for each change (design/sources.md §3). */
#ifndef SOURCE_SQLITE_SQLITE_H
#define SOURCE_SQLITE_SQLITE_H

#include "source/source_driver.h"

extern const struct source_driver sqlite_source;

struct sqlite_options {
    const char *path;    /* absolute, or relative to the working folder of the process */
    int64_t log_limit;   /* rows; above it the triggers stop logging and the source is lost */
    int64_t prune_above; /* confirmed rows that may wait for a quiet second */
};

#endif
