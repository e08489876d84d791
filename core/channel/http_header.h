/* Header lines from names and values that strangers may have chosen: nothing gets through that
 * could end the line, or that is ours to say. */
#ifndef CHANNEL_HTTP_HEADER_H
#define CHANNEL_HTTP_HEADER_H

#include "base/error.h"
#include "base/value.h"

/* "Name: value", or "Name;" for an empty one, in `arena`; NULL with ERROR_DATA. Texts and whole
 * numbers are accepted. */
const char *http_header_line(struct arena *arena, const struct value_pair *pair,
                             struct error *err) must_check;

/* Do two such lines have the same name? */
bool http_header_same(const char *a, const char *b);

#endif
