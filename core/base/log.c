#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

enum { MESSAGE_BYTES = 8192, LINE_BYTES = 1 << 17 };

static const char *const level_names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARNING] = "warning",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

_Atomic enum log_level log_threshold = LOG_WARNING;

/* One log a process, as there is one stderr. */
static struct {
    pthread_mutex_t lock; /* guards all below */
    int fd;               /* STDERR_FILENO or a file of ours */
    char *path;           /* NULL: stderr */
    int64_t size;         /* of the file */
    int64_t max_bytes;
    int keep;
    bool json;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO};

static int
open_file(const char *path, int64_t *size)
{
    struct stat status;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    *size = fd >= 0 && fstat(fd, &status) == 0 ? status.st_size : 0;
    return fd;
}

static void
close_file(void)
{
    if (state.fd != STDERR_FILENO)
        close(state.fd);
    state.fd = STDERR_FILENO;
}

int
log_open(const struct log_options *options, struct error *err)
{
    int64_t size = 0;
    int fd = options->path ? open_file(options->path, &size) : STDERR_FILENO;
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "open the log file %s", options->path);
    pthread_mutex_lock(&state.lock);
    close_file();
    free(state.path);
    state.fd = fd;
    state.path = options->path ? memory_text(options->path) : NULL;
    state.size = size;
    state.max_bytes = options->max_bytes;
    state.keep = options->keep;
    state.json = options->json;
    log_threshold = options->level;
    pthread_mutex_unlock(&state.lock);
    return 0;
}

/* What cannot be opened any more goes to stderr until the next reopening. */
static void
reopen_file(void)
{
    int fd = open_file(state.path, &state.size);
    close_file();
    if (fd >= 0)
        state.fd = fd;
}

void
log_reopen(void)
{
    pthread_mutex_lock(&state.lock);
    if (state.path)
        reopen_file();
    pthread_mutex_unlock(&state.lock);
}

void
log_close(void)
{
    pthread_mutex_lock(&state.lock);
    close_file();
    free(state.path);
    state.path = NULL;
    state.json = false;
    log_threshold = LOG_WARNING;
    pthread_mutex_unlock(&state.lock);
}

static void
rename_old(int from, int to)
{
    char old[4096], new[4096];
    int size = snprintf(old, sizeof(old), from ? "%s.%d" : "%s", state.path, from);
    if (size >= (int)sizeof(old) ||
        snprintf(new, sizeof(new), "%s.%d", state.path, to) >= (int)sizeof(new))
        return;
    rename(old, new); /* an old file may well be missing */
}

/* Should renaming fail (a read-only directory), the file simply grows on. */
static void
rotate(void)
{
    for (int i = state.keep; i > 0; i--)
        rename_old(i - 1, i);
    if (state.keep <= 0)
        unlink(state.path);
    reopen_file();
}

/* There is nobody to tell that the log cannot be written, so a failure is dropped. */
static void
write_line(struct slice line)
{
    if (state.fd != STDERR_FILENO && state.max_bytes > 0 && state.size > 0 &&
        state.size + (int64_t)line.size > state.max_bytes)
        rotate();
    while (line.size > 0) {
        ssize_t wrote = write(state.fd, line.data, line.size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return;
        line.data += wrote;
        line.size -= (size_t)wrote;
        state.size += wrote;
    }
}

static bool
needs_quotes(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((uint8_t)text.data[i] <= ' ' || (uint8_t)text.data[i] >= 0x7f ||
            strchr("\"=\\", text.data[i]))
            return true;
    return text.size == 0;
}

/* Printable first, then quotes and backslashes of the text itself escaped: what was escaped as \x1b
 * reads so, and a real backslash is doubled. */
static void
logfmt_text(struct buffer *out, struct slice text)
{
    const char *at = text.data, *end = slice_end(text), *run = at;
    if (!needs_quotes(text)) {
        buffer_slice(out, text);
        return;
    }
    buffer_byte(out, '"');
    for (; at < end; at++) {
        if (*at != '"' && *at != '\\')
            continue;
        text_printable(out, (struct slice){run, (size_t)(at - run)}, false);
        buffer_byte(out, '\\');
        buffer_byte(out, (uint8_t)*at);
        run = at + 1;
    }
    text_printable(out, (struct slice){run, (size_t)(end - run)}, false);
    buffer_byte(out, '"');
}

/* JSON escapes C0 itself; DEL, C1 and what turns the reading direction would still reach a terminal
 * raw, so these go through text_printable. */
static void
json_text(struct buffer *out, struct slice text)
{
    struct buffer printable;
    buffer_init(&printable, LINE_BYTES);
    text_printable(&printable, text, true);
    json_string(out, buffer_view(&printable));
    buffer_release(&printable);
}

struct field {
    const char *name;
    const char *text;
};

static void
put_field(struct buffer *line, const struct field *field, bool json)
{
    if (json) {
        buffer_text(line, line->size ? ",\"" : "{\"");
        buffer_text(line, field->name);
        buffer_text(line, "\":");
        json_text(line, slice_of(field->text));
    } else {
        if (line->size)
            buffer_byte(line, ' ');
        buffer_text(line, field->name);
        buffer_byte(line, '=');
        logfmt_text(line, slice_of(field->text));
    }
}

/* Fields without text are left out. */
static void
write_fields(const struct field *fields, size_t count)
{
    struct buffer line;
    buffer_init(&line, LINE_BYTES);
    pthread_mutex_lock(&state.lock);
    for (size_t i = 0; i < count; i++)
        if (fields[i].text && *fields[i].text)
            put_field(&line, &fields[i], state.json);
    buffer_text(&line, state.json ? "}\n" : "\n");
    ensure(!line.failed); /* each byte of the fields takes at most six */
    write_line(buffer_view(&line));
    pthread_mutex_unlock(&state.lock);
    buffer_release(&line);
}

void
log_write(enum log_level level, const char *component, const char *format, ...)
{
    char time[CLOCK_TEXT_SIZE], message[MESSAGE_BYTES];
    va_list args;
    ensure((size_t)level < countof(level_names));
    va_start(args, format);
    if (vsnprintf(message, sizeof(message), format, args) < 0)
        message[0] = '\0';
    va_end(args);
    write_fields(
        (struct field[]){
            {"time", clock_format(clock_now(), time)},
            {"level", level_names[level]},
            {"component", component},
            {"message", message},
        },
        4);
}

void
log_failure(enum log_level level, const char *component, const struct error *err)
{
    char time[CLOCK_TEXT_SIZE];
    ensure((size_t)level < countof(level_names));
    if (level > log_threshold)
        return;
    write_fields(
        (struct field[]){
            {"time", clock_format(clock_now(), time)},
            {"level", level_names[level]},
            {"component", component},
            {"message", err->message},
            {"class", error_class_name(err->class)},
            {"cause", err->cause},
            {"hint", err->hint},
        },
        7);
}

int
log_level_parse(struct slice text, enum log_level *level)
{
    for (size_t i = 0; i < countof(level_names); i++) {
        if (slice_is(text, level_names[i])) {
            *level = (enum log_level)i;
            return 0;
        }
    }
    return -1;
}
