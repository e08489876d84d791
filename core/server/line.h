/* Lines over a stream socket, whole or not at all. */
#ifndef SERVER_LINE_H
#define SERVER_LINE_H

#include "base/buffer.h"

/* Sends all of `bytes`; -1 when the other side is gone. Never raises SIGPIPE. */
int line_send(int fd, struct slice bytes);

/* Reads up to a newline (left out) into an empty buffer: 1, 0 at the end of the stream, -1 on an
 * error or when the line passes the buffer's limit. Reads byte by byte: for requests, not for
 * streams. */
int line_receive(int fd, struct buffer *out);

/* A stream of lines, for many of them. */
struct line_reader {
    int fd;
    struct buffer pending;
    size_t start; /* of what was not yet given out */
};
void line_reader_init(struct line_reader *r, int fd, size_t limit);
void line_reader_release(struct line_reader *r);
/* The next line on loan until the next call: 1, 0 at the end, -1. */
int line_next(struct line_reader *r, struct slice *line);

#endif
