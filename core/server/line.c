#include "server/line.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE 65536

int
line_send(int fd, struct slice bytes)
{
    while (bytes.size) {
        ssize_t sent = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        bytes.data += sent;
        bytes.size -= (size_t)sent;
    }
    return 0;
}

int
line_receive(int fd, struct buffer *out)
{
    char byte;
    for (;;) {
        ssize_t got = recv(fd, &byte, 1, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? 0 : -1;
        if (byte == '\n')
            return 1;
        buffer_byte(out, (uint8_t)byte);
        if (out->failed)
            return -1;
    }
}

void
line_reader_init(struct line_reader *r, int fd, size_t limit)
{
    *r = (struct line_reader){.fd = fd};
    buffer_init(&r->pending, limit);
}

void
line_reader_release(struct line_reader *r)
{
    buffer_release(&r->pending);
}

/* Moves what was not given out to the front, then reads more behind it. */
static int
fill(struct line_reader *r)
{
    size_t rest = r->pending.size - r->start;
    if (r->start && rest)
        memmove(r->pending.data, r->pending.data + r->start, rest);
    r->pending.size = rest;
    r->start = 0;
    char *room = buffer_extend(&r->pending, READ_SIZE);
    if (!room)
        return -1;
    ssize_t got;
    do
        got = recv(r->fd, room, READ_SIZE, 0);
    while (got < 0 && errno == EINTR);
    r->pending.size = rest + (got > 0 ? (size_t)got : 0);
    return got > 0 ? 1 : (int)got;
}

int
line_next(struct line_reader *r, struct slice *line)
{
    size_t seen = 0;
    for (;;) {
        const char *from = r->pending.data + r->start;
        size_t rest = r->pending.size - r->start;
        const char *end = rest > seen ? memchr(from + seen, '\n', rest - seen) : NULL;
        if (end) {
            *line = (struct slice){from, (size_t)(end - from)};
            r->start += line->size + 1;
            return 1;
        }
        seen = rest;
        int got = fill(r);
        if (got <= 0)
            return got;
    }
}
