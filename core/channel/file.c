/* Appends each message as one JSON line to a file; `-` is standard output, where texts stand
 * plainly, for people. A take is written whole and synced once before it is answered. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "channel/channel_driver.h"

enum {
    WRITE_AT = 1 << 20,   /* what has gathered is written from here on */
    LINES_MOST = 1 << 30, /* a single line can't be larger */
    STEP = 64 * 1024,     /* of looking back for a line's end; whole pages */
    PAGE = 4096,
    TORN_CHECKED = 16 << 20 /* an unfinished line beyond it is torn, whatever stands in it */
};

struct options {
    const char *path;
};

struct state {
    struct arena arena;
    const char *path; /* NULL: closed, or standard output */
    bool terminal;    /* standard output */
    bool regular;     /* else a pipe or device: nothing to mend or sync */
    int fd;
    dev_t device;
    ino_t inode;
    int64_t size; /* regular: where the next line begins */
    struct buffer lines;
};

static const struct option rows[] = {
    {.name = "path",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct options, path),
     .flags = OPTION_REQUIRED,
     .help = "file to append to; - is standard output"},
};

static char *
folder_of(const char *path, struct arena *arena)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return arena_text(arena, ".");
    return arena_printf(arena, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* Where the last line of the file begins, read backwards; -1 on failure. */
static int64_t
last_line(const struct state *state, struct error *err)
{
    char bytes[STEP];
    int64_t end = state->size;
    while (end > 0) {
        int64_t from = end > STEP ? end - STEP : 0;
        int64_t got = file_read(state->fd, bytes, (size_t)(end - from), from, state->path, err);
        const char *newline;
        if (got < 0)
            return -1;
        newline = memrchr(bytes, '\n', (size_t)got);
        if (newline)
            return from + (newline - bytes) + 1;
        end = from;
    }
    return 0;
}

/* Only the beginning of one of our lines is cut: an object that does not end. Whatever else stands
 * there is somebody's and gets its line ended. */
static bool
is_torn(const struct state *state, int64_t from)
{
    struct buffer line, compact;
    bool torn = state->size - from > TORN_CHECKED;
    struct error err;
    char *bytes;
    buffer_init(&line, TORN_CHECKED);
    buffer_init(&compact, 2 * TORN_CHECKED);
    bytes = torn ? NULL : buffer_extend(&line, (size_t)(state->size - from));
    if (bytes &&
        file_read(state->fd, bytes, line.size, from, state->path, &err) == (int64_t)line.size)
        torn = line.data[0] == '{' && json_compact(buffer_view(&line), &compact, &err) != 0;
    buffer_release(&line);
    buffer_release(&compact);
    return torn;
}

/* Does the run of zeros that begins at `at` look like lost pages, that is, does it end with one? */
static bool
is_lost(const struct state *state, const char *bytes, int64_t start, size_t size, size_t at)
{
    while (at < size && bytes[at] == '\0')
        at++;
    int64_t end = start + (int64_t)at;
    return at == size || end % PAGE == 0 || end == state->size;
}

/* Past the last line's end in `bytes`, which stand at `start` of the file; `line` if there is none.
 */
static int64_t
after_newline(struct slice bytes, int64_t start, int64_t line)
{
    const char *newline = memrchr(bytes.data, '\n', bytes.size);
    return newline ? start + (newline - bytes.data) + 1 : line;
}

/* Where the first line with lost pages begins: a power cut may take pages that were written and not
 * synced, and leave later ones. No line from there on was answered, so all of them come again. The
 * size if there is none, -1 on failure. Every start waits for it. */
static int64_t
first_hole(const struct state *state, struct error *err)
{
    char bytes[STEP];
    int64_t line = state->size > TORN_CHECKED ? state->size - TORN_CHECKED : 0;
    for (int64_t start = line; start < state->size; start += STEP) {
        size_t want = state->size - start < STEP ? (size_t)(state->size - start) : STEP;
        int64_t got = file_read(state->fd, bytes, want, start, state->path, err);
        if (got < 0)
            return -1;
        const char *zero = bytes, *end = bytes + got;
        for (; (zero = memchr(zero, '\0', (size_t)(end - zero))); zero++) {
            size_t at = (size_t)(zero - bytes);
            if (is_lost(state, bytes, start, (size_t)got, at))
                return after_newline((struct slice){bytes, at}, start, line);
        }
        line = after_newline((struct slice){bytes, (size_t)got}, start, line);
    }
    return state->size;
}

static int
cut(struct channel_context *context, int64_t from, const char *what, struct error *err)
{
    struct state *state = context->state;
    log_info(context->component, "%s: cut off %lld bytes %s", state->path,
             (long long)(state->size - from), what);
    if (file_truncate(state->fd, from, state->path, err) != 0)
        return -1;
    state->size = from;
    return 0;
}

static int
cut_holes(struct channel_context *context, struct error *err)
{
    struct state *state = context->state;
    int64_t from = first_hole(state, err);
    if (from < 0)
        return -1;
    if (from == state->size)
        return 0;
    return cut(context, from, "from where a power cut left empty pages", err);
}

/* A message whose line a crash tore was never marked as delivered, so it comes again. */
static int
mend(struct channel_context *context, struct error *err)
{
    struct state *state = context->state;
    if (cut_holes(context, err) != 0)
        return -1;
    int64_t from = last_line(state, err);
    if (from < 0)
        return -1;
    if (from == state->size)
        return 0;
    if (!is_torn(state, from)) {
        if (file_write(state->fd, "\n", 1, state->size, state->path, err) != 0)
            return -1;
        state->size++;
        return 0;
    }
    return cut(context, from, "of a line that a crash left unfinished", err);
}

static int
explain_open(struct state *state, struct error *err)
{
    struct stat status;
    if (lstat(state->path, &status) == 0 && S_ISLNK(status.st_mode))
        error_hint(err, "it is a symbolic link, which the file channel does not follow: name the "
                        "file itself, or - for standard output");
    else if (err->class == ERROR_MISSING)
        error_hint(err, "make the folder %s", folder_of(state->path, &state->arena));
    else if (err->class == ERROR_DENIED)
        error_hint(err, "let the user that runs Tidegate write it");
    return -1;
}

static int
open_path(struct channel_context *context, struct error *err)
{
    struct state *state = context->state;
    struct stat status;
    state->fd = file_open(state->path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NOCTTY, err);
    if (state->fd < 0)
        return explain_open(state, err);
    if (fstat(state->fd, &status) != 0)
        return error_errno(err, ERROR_IO, errno, "look at %s", state->path);
    state->device = status.st_dev;
    state->inode = status.st_ino;
    state->size = status.st_size;
    state->regular = S_ISREG(status.st_mode);
    if (!state->regular)
        return 0;
    if (state->size == 0)
        return file_sync_folder(folder_of(state->path, &state->arena), err);
    return mend(context, err);
}

static int
open_file(struct channel_context *context, struct error *err)
{
    const struct options *options = context->plan->options;
    struct state *state = context->state;
    const char *workspace = context->plan->workspace;
    if (!*options->path)
        return error_set(err, ERROR_CONFIG, "path is empty");
    arena_init(&state->arena, 0);
    buffer_init(&state->lines, LINES_MOST);
    state->terminal = !strcmp(options->path, "-");
    state->fd = STDOUT_FILENO;
    if (state->terminal)
        return 0;
    state->fd = -1;
    state->path = arena_text(&state->arena, options->path);
    if (*state->path != '/' && workspace)
        state->path = arena_printf(&state->arena, "%s/%s", workspace, options->path);
    return open_path(context, err);
}

static void
close_file(struct channel_context *context)
{
    struct state *state = context->state;
    if (state->path)
        file_close(state->fd);
    arena_release(&state->arena);
    buffer_release(&state->lines);
    memset(state, 0, sizeof(*state));
}

/* Has somebody moved or removed the file, as logrotate does? */
static bool
is_gone(const struct state *state)
{
    struct stat status;
    return state->path && state->regular &&
           (lstat(state->path, &status) != 0 || status.st_dev != state->device ||
            status.st_ino != state->inode);
}

static int
find_file(struct channel_context *context, struct error *err)
{
    struct state *state = context->state;
    struct stat status;
    if (is_gone(state)) {
        log_info(context->component, "%s was moved or removed; beginning anew", state->path);
        close_file(context);
        return open_file(context, err);
    }
    if (state->regular && fstat(state->fd, &status) == 0)
        state->size = status.st_size; /* others may append, or empty it */
    return 0;
}

/* Bytes that drive terminals can only stand inside the strings of a JSON text. */
static void
print_json(struct buffer *out, struct slice json)
{
    const char *at = json.data, *end = slice_end(json);
    while (at < end) {
        uint8_t byte = (uint8_t)*at;
        uint8_t next = at + 1 < end ? (uint8_t)at[1] : 0;
        if (byte == 0x7f) {
            buffer_text(out, "\\u007f");
            at++;
        } else if (byte == 0xc2 && next >= 0x80 && next <= 0x9f) {
            buffer_printf(out, "\\u00%02x", next);
            at += 2;
        } else {
            buffer_byte(out, byte);
            at++;
        }
    }
}

static void
add_line(struct state *state, const struct delivery *delivery)
{
    if (!state->terminal)
        channel_message_json(delivery, &state->lines);
    else if (delivery->kind == MESSAGE_TEXT)
        text_printable(&state->lines, delivery->body, false);
    else
        print_json(&state->lines, delivery->body);
    buffer_byte(&state->lines, '\n');
}

/* For what is no regular file, and so has no offsets. Whoever reads may be slow, and may have asked
 * for a descriptor that does not block. */
static int
write_stream(int fd, struct slice bytes, struct error *err)
{
    while (bytes.size > 0) {
        ssize_t done = write(fd, bytes.data, bytes.size);
        struct pollfd writable = {.fd = fd, .events = POLLOUT};
        if (done >= 0) {
            bytes.data += done;
            bytes.size -= (size_t)done;
        } else if (errno == EAGAIN) {
            poll(&writable, 1, -1);
        } else if (errno != EINTR) {
            return error_errno(err, ERROR_IO, errno, "write");
        }
    }
    return 0;
}

static int
write_lines(struct state *state, struct error *err)
{
    struct slice bytes = buffer_view(&state->lines);
    if (bytes.size == 0)
        return 0;
    if (!state->regular) {
        if (write_stream(state->fd, bytes, err) != 0)
            return error_context(err, "%s", state->path ? state->path : "standard output");
    } else if (file_write(state->fd, bytes.data, bytes.size, state->size, state->path, err) != 0) {
        return -1;
    }
    state->size += (int64_t)bytes.size;
    buffer_reset(&state->lines);
    return 0;
}

static int
write_list(struct state *state, struct delivery *const *list, size_t count, struct error *err)
{
    buffer_reset(&state->lines);
    for (size_t i = 0; i < count; i++) {
        add_line(state, list[i]);
        if (state->lines.failed)
            return error_set(err, ERROR_FULL, "a take of more than 1 GiB");
        if (state->lines.size >= WRITE_AT && write_lines(state, err) != 0)
            return -1;
    }
    if (write_lines(state, err) != 0)
        return -1;
    return state->regular ? file_sync(state->fd, state->path, err) : 0;
}

/* What was written of a take that failed goes again, so it is taken back where that is possible. */
static void
take_back(const struct state *state, int64_t size)
{
    struct stat status;
    struct error err;
    if (!state->regular || fstat(state->fd, &status) != 0 || status.st_size <= size)
        return;
    if (file_truncate(state->fd, size, state->path, &err) != 0)
        return; /* then it is mended at the next opening */
}

static void
deliver(struct channel_context *context, struct delivery *const *list, size_t count,
        struct channel_answer *answers)
{
    struct state *state = context->state;
    struct channel_answer answer = {.class = CHANNEL_DELIVERED};
    struct error err = {0};
    int result = find_file(context, &err);
    if (result == 0) {
        int64_t size = state->size;
        result = write_list(state, list, count, &err);
        if (result != 0)
            take_back(state, size);
    }
    if (result != 0) {
        char text[sizeof(err)];
        channel_answer_set(&answer, CHANNEL_BROKEN, 0, "%s", error_text(&err, text, sizeof(text)));
    }
    for (size_t i = 0; i < count; i++)
        answers[i] = answer;
}

static const char *const message_fields[] = {NULL};

const struct channel_driver channel_file = {
    .name = "file",
    .fields = message_fields,
    .summary = "appends each message as a JSON line to a file, or prints it",
    .options = rows,
    .option_count = countof(rows),
    .options_size = sizeof(struct options),
    .state_size = sizeof(struct state),
    .take_most = 1024,
    .in_order = true,
    .open = open_file,
    .close = close_file,
    .deliver = deliver,
};
