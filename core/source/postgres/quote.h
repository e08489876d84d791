/* The one place where names and values become SQL of PostgreSQL, run or printed. Pure functions. */
#ifndef SOURCE_POSTGRES_QUOTE_H
#define SOURCE_POSTGRES_QUOTE_H

#include "base/buffer.h"

void pg_quote_name(struct buffer *out, struct slice name); /* "a""b"; always with quotes */
void pg_quote_table(struct buffer *out, struct slice schema, struct slice table);
void pg_quote_text(struct buffer *out,
                   struct slice text); /* 'it''s', E'' where it has a backslash */

#endif
