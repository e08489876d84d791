/* The asking end of the control socket. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/json.h"
#include "server/control.h"
#include "server/line.h"
#include "workspace/folder.h"

#define REQUEST_MAX (1024 * 1024)
#define ANSWER_MAX  (1024 * 1024 * 1024)

static const struct {
    const char *name;
    enum error_class class;
} classes[] = {{"usage", ERROR_USAGE},     {"data", ERROR_DATA},
               {"missing", ERROR_MISSING}, {"busy", ERROR_BUSY},
               {"denied", ERROR_DENIED},   {"config", ERROR_CONFIG},
               {"refused", ERROR_REFUSED}, {"corrupt", ERROR_CORRUPT},
               {"full", ERROR_FULL},       {"unreachable", ERROR_UNREACHABLE},
               {"lost", ERROR_LOST},       {"io", ERROR_IO},
               {"system", ERROR_SYSTEM},   {"budget", ERROR_BUDGET}};

static void
take_error(const struct value *given, struct error *err)
{
    enum error_class class = ERROR_INTERNAL;
    const char *name = value_text(given, "class", "");
    for (size_t i = 0; i < countof(classes); i++)
        if (strcmp(classes[i].name, name) == 0)
            class = classes[i].class;
    error_set(err, class, "%s", value_text(given, "message", "the daemon gave no reason"));
    error_cause(err, "%s", value_text(given, "cause", ""));
    error_hint(err, "%s", value_text(given, "hint", ""));
}

/* The descriptor of the daemon's socket, or -1 when nobody listens there. */
static int
reach(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[108] = "";
    if (folder_socket(folder, path, NULL) != 0)
        return -1;
    memcpy(address.sun_path, path, sizeof(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A request that can't be sent is no failure yet: a daemon that is too busy says so before it
 * reads, and its answer is waiting. */
static int
send_request(int fd, const char *operation, const struct value *arguments, struct error *err)
{
    struct buffer line;
    buffer_init(&line, REQUEST_MAX);
    buffer_text(&line, "{\"operation\":");
    json_string(&line, slice_of(operation));
    buffer_text(&line, ",\"arguments\":");
    if (arguments)
        json_value(&line, arguments);
    else
        buffer_text(&line, "null");
    buffer_text(&line, "}\n");
    bool fits = !line.failed;
    if (fits)
        line_send(fd, buffer_view(&line));
    buffer_release(&line);
    return fits ? 0 : error_set(err, ERROR_USAGE, "the arguments are larger than 1 MiB");
}

/* One answer line: 1 more come, 0 it was the last, -1 with err. */
static int
take_line(struct slice line, control_row *row, void *context, struct error *err)
{
    static const char before[] = "{\"row\":";
    struct arena arena;
    struct value answer;
    arena_init(&arena, 0);
    int result = json_parse(line, &arena, &answer, err);
    const struct value *given = result == 0 ? value_get(&answer, "row") : NULL;
    if (given) {
        struct slice json = {line.data + sizeof(before) - 1, line.size - sizeof(before)};
        result = row(context, given, json) == 0 ? 1 : 0;
    } else if (result == 0 && value_get(&answer, "error")) {
        take_error(value_get(&answer, "error"), err);
        result = -1;
    }
    arena_release(&arena);
    return result;
}

int
control_ask(const char *folder, const char *operation, const struct value *arguments,
            control_row *row, void *context, int *result, struct error *err)
{
    struct line_reader reader;
    struct slice line;
    int fd = reach(folder);
    if (fd < 0)
        return 0;
    *result = send_request(fd, operation, arguments, err);
    line_reader_init(&reader, fd, ANSWER_MAX);
    int more = *result == 0;
    while (more == 1) {
        int got = line_next(&reader, &line);
        more = got > 0 ? take_line(line, row, context, err)
                       : error_set(err, ERROR_UNREACHABLE,
                                   "the daemon ended in the middle of its answer");
    }
    if (more < 0)
        *result = -1;
    line_reader_release(&reader);
    close(fd);
    return 1;
}
