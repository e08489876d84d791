/* Quoting for SQLite. Names and texts of a stranger's database go into statements only through
 * these two, whether the statement is run or printed for a person. */
#ifndef SOURCE_SQLITE_QUOTE_H
#define SOURCE_SQLITE_QUOTE_H

#include "base/buffer.h"

void quote_identifier(struct buffer *out, const char *name); /* "na""me" */
void quote_text(struct buffer *out, const char *text);       /* 'te''xt' */

#endif
