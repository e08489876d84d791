#include "journal/window.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/hash.h"

enum {
    STEP = 256 * 1024,      /* read ahead */
    KEEP = 4 * 1024 * 1024, /* memory above this is that of a large block */
    SLACK = 2 * 1024 * 1024,
};

void
window_init(struct window *w)
{
    *w = (struct window){.fd = -1};
    buffer_init(&w->bytes, BLOCK_HEADER_MAX + BLOCK_BODY_MAX + SLACK);
}

void
window_close(struct window *w)
{
    file_close(w->fd);
    w->fd = -1;
    buffer_reset(&w->bytes);
}

void
window_release(struct window *w)
{
    window_close(w);
    buffer_release(&w->bytes);
}

void
window_shrink(struct window *w)
{
    if (w->bytes.capacity > KEEP)
        buffer_release(&w->bytes);
}

int
window_open(struct window *w, const char *path, struct error *err)
{
    window_close(w);
    w->path = path;
    w->at = 0;
    w->fd = file_open(path, O_RDONLY, err);
    return w->fd < 0 ? -1 : 0;
}

/* Moves the front to `offset`, keeping what is already there. */
static void
slide(struct window *w, int64_t offset)
{
    int64_t have = w->at + (int64_t)w->bytes.size;
    if (offset < w->at || offset > have)
        buffer_reset(&w->bytes);
    else if (offset > w->at) {
        w->bytes.size = (size_t)(have - offset);
        memmove(w->bytes.data, w->bytes.data + (offset - w->at), w->bytes.size);
    }
    w->at = offset;
}

int
window_view(struct window *w, int64_t offset, int64_t size, struct slice *out, struct error *err)
{
    int64_t left = w->end > offset ? w->end - offset : 0;
    int64_t inside = offset - w->at;
    if (inside < 0 || inside + size > (int64_t)w->bytes.size) {
        int64_t more, got;
        slide(w, offset);
        more = (size > STEP ? size : STEP);
        more = (more < left ? more : left) - (int64_t)w->bytes.size;
        if (more > 0) {
            char *to = buffer_extend(&w->bytes, (size_t)more);
            ensure(to);
            got = file_read(w->fd, to, (size_t)more, w->at + (int64_t)w->bytes.size - more, w->path,
                            err);
            w->bytes.size -= (size_t)(got < 0 ? more : more - got);
            if (got < 0)
                return -1;
        }
        inside = 0;
    }
    *out = buffer_view(&w->bytes);
    out->data += inside;
    out->size -= (size_t)inside;
    return 0;
}

int
window_header(struct window *w, const struct segment *s, int64_t offset, struct block *b,
              enum block_state *state, struct error *err)
{
    int64_t need = BLOCK_FIXED;
    struct slice bytes;
    for (;;) {
        if (window_view(w, offset, need, &bytes, err) != 0)
            return -1;
        *state = block_decode(bytes, s->seed, b);
        if (*state != BLOCK_SHORT)
            return 0;
        if ((int64_t)bytes.size < need || b->header_size <= need) {
            *state = BLOCK_BAD;
            return 0;
        }
        need = b->header_size;
    }
}

int
window_block(struct window *w, const struct segment *s, int64_t offset, struct block *b,
             struct slice *body, enum block_state *state, struct error *err)
{
    struct slice bytes;
    if (window_header(w, s, offset, b, state, err) != 0)
        return -1;
    if (*state != BLOCK_GOOD)
        return 0;
    if (window_view(w, offset, block_size(b), &bytes, err) != 0)
        return -1;
    *state = BLOCK_BAD;
    if ((int64_t)bytes.size < block_size(b))
        return 0;
    *state = block_decode(bytes, s->seed, b); /* again: the bytes may have moved */
    *body = (struct slice){bytes.data + b->header_size, (size_t)b->body_size};
    if (*state == BLOCK_GOOD && hash64(body->data, body->size) != b->body_hash)
        *state = BLOCK_BAD;
    return 0;
}
