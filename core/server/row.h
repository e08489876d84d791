/* Answers of operations, built field by field: one JSON object a row. One thread. */
#ifndef SERVER_ROW_H
#define SERVER_ROW_H

#include "server/operation.h"

/* begin, the fields, end (which sends and releases). */
struct row_writer {
    struct reply *reply;
    struct buffer json;
};
void row_begin(struct row_writer *w, struct reply *reply);
int row_end(struct row_writer *w); /* -1 when nobody listens */
void row_text(struct row_writer *w, const char *key, const char *value); /* NULL: null */
void row_slice(struct row_writer *w, const char *key, struct slice value);
void row_int(struct row_writer *w, const char *key, int64_t value);
void row_bool(struct row_writer *w, const char *key, bool value);
void row_time(struct row_writer *w, const char *key, int64_t us); /* RFC 3339; 0: null */
void row_error(struct row_writer *w, const char *key, const struct error *err); /* none: null */

/* The fields of the journal; a list operation as an array inside this row. */
void row_journal(struct row_writer *row, struct workspace *w);
void row_list(struct row_writer *row, const char *key, struct workspace *w, operation_run *list);

#endif
