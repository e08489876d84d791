/* The daemon's socket: answers, refusals, clients that hang, die, or come in crowds. */
#include "unit/workspace/rig.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/clock.h"
#include "base/json.h"
#include "server/control.h"
#include "server/line.h"
#include "workspace/folder.h"
#include "support/process.h"

#define MOST 16 /* connections at once */

static struct workspace *w;
static struct control *control;

static int
setup(void **state)
{
    struct error err = {0};
    if (rig_setup(state) != 0)
        return -1;
    rig_write("tidegate.lua", "channel('out', { type = 'null' })");
    rig_write("scripts/a.lua", "rule('r', { on = 'tidegate:*', notify = 'out' })");
    w = workspace_open(&(struct workspace_options){.folder = rig_folder, .offline = true}, &err);
    if (!w)
        fail_msg("%s", err.message);
    control = control_open(w, &err);
    if (!control)
        fail_msg("%s %s", err.message, err.cause);
    return 0;
}

static int
teardown(void **state)
{
    control_close(control);
    workspace_close(w);
    return rig_teardown(state);
}

static int
dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[108] = "";
    struct error err = {0};
    assert_int_equal(folder_socket(rig_folder, path, &err), 0);
    memcpy(address.sun_path, path, sizeof(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* All that the daemon says until it ends the stream. */
static void
read_all(int fd, struct buffer *out)
{
    char block[4096];
    ssize_t got;
    while ((got = recv(fd, block, sizeof(block), 0)) > 0)
        buffer_slice(out, (struct slice){block, (size_t)got});
    close(fd);
}

static void
says(const char *request, const char *words)
{
    struct buffer answer;
    int fd = dial();
    buffer_init(&answer, 1 << 20);
    assert_int_equal(line_send(fd, slice_of(request)), 0);
    shutdown(fd, SHUT_WR);
    read_all(fd, &answer);
    if (!strstr(buffer_cstring(&answer), words))
        fail_msg("%s: %s", request, buffer_cstring(&answer));
    buffer_release(&answer);
}

static void
requests_are_answered_or_refused(void **state)
{
    static const struct {
        const char *request, *words;
    } rows[] = {
        {"{\"operation\":\"channels\",\"arguments\":null}\n", "{\"row\":{\"name\":\"out\""},
        {"{\"operation\":\"channels\"}\n", "{\"done\":true}\n"},
        {"{\"operation\":\"channels\",\"arguments\":[1,2]}\nmore", "{\"done\":true}\n"},
        {"{\"operation\":\"nonsense\"}\n", "this daemon knows no operation \\\"nonsense\\\""},
        {"{\"operation\":5}\n", "this daemon knows no operation \\\"\\\""},
        {"[]\n", "this daemon knows no operation"},
        {"\n", "\"class\":\"data\""},
        {"GET / HTTP/1.1\r\n", "\"class\":\"data\""},
        {"{\"operation\":\"events\",\"arguments\":{\"format\":\"x\"}}\n", "--format x"},
        {"{\"operation\":\"events\",\"arguments\":{\"op\":\"insert,x\"}}\n", "--op x"},
        {"{\"operation\":\"events\",\"arguments\":{\"exclude\":[1,null,{}]}}\n", "{\"done\":true}"},
        {"{\"operation\":\"dead drop\"}\n", "say which dead letters"},
        {"{\"operation\":\"dead list\",\"arguments\":{\"older-than\":\"x\"}}\n", "not a duration"},
        {"{\"operation\":\"journal trim\",\"arguments\":{\"before-lsn\":-1}}\n", "--before-lsn"},
        {"{\"operation\":\"triggers\",\"arguments\":{\"source\":\"x\"}}\n", "not in tidegate.lua"},
        {"{\"operation\":\"sources remove\",\"arguments\":{\"source\":\"x\"}}\n", "not known"},
        {"{\"operation\":\"status\"}\n", "\"sources\":[]"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++)
        says(rows[i].request, rows[i].words);
}

static void
only_the_owner_may_connect(void **state)
{
    char path[108];
    struct error err = {0};
    struct stat st;
    (void)state;
    assert_int_equal(folder_socket(rig_folder, path, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* The stream of a request too long for the daemon ends without an answer to it. */
static void
a_request_that_never_ends_is_cut_off(void **state)
{
    char block[4096];
    int fd = dial();
    size_t sent = 0;
    (void)state;
    memset(block, 'x', sizeof(block));
    while (sent < 64 << 20 && line_send(fd, (struct slice){block, sizeof(block)}) == 0)
        sent += sizeof(block);
    assert_true(sent < 64 << 20);
    close(fd);
    says("{\"operation\":\"channels\"}\n", "{\"done\":true}");
}

static void
clients_that_die_leave_their_places(void **state)
{
    (void)state;
    for (int i = 0; i < MOST * 4; i++) {
        int fd = dial();
        const char *half = i % 3 == 0   ? ""
                           : i % 3 == 1 ? "{\"oper"
                                        : "{\"operation\":\"status\"}\n";
        line_send(fd, slice_of(half));
        close(fd);
    }
    /* The last of the dead may not have been noticed yet: busy is an answer, for a moment. */
    for (int64_t end = clock_mono() + 10 * CLOCK_SECOND;;) {
        struct buffer answer;
        int fd = dial();
        buffer_init(&answer, 1 << 20);
        line_send(fd, slice_literal("{\"operation\":\"channels\"}\n"));
        read_all(fd, &answer);
        bool done = strstr(buffer_cstring(&answer), "{\"done\":true}") != NULL;
        buffer_release(&answer);
        if (done)
            return;
        assert_true(clock_mono() < end);
    }
}

/* Sixteen that say nothing; one more is told so at once, and the seventeenth's asker too. */
static void
a_crowd_is_told_to_come_again(void **state)
{
    int fds[MOST], result = 0;
    struct error err = {0};
    (void)state;
    for (int i = 0; i < MOST; i++)
        fds[i] = dial();
    says("", "too many commands at once");
    assert_int_equal(control_ask(rig_folder, "channels", NULL, NULL, NULL, &result, &err), 1);
    assert_int_equal(result, -1);
    assert_int_equal(err.class, ERROR_BUSY);
    for (int i = 0; i < MOST; i++)
        close(fds[i]);
    for (int64_t end = clock_mono() + 10 * CLOCK_SECOND; result != 0;) {
        control_row *none = NULL;
        assert_int_equal(control_ask(rig_folder, "journal trim", NULL, none, NULL, &result, &err),
                         1);
        if (err.class == ERROR_USAGE)
            break; /* it was heard: --before-lsn is missing */
        assert_true(clock_mono() < end);
    }
}

/* Closing cuts clients that hang in every way, and keeps no descriptor. */
static void
closing_waits_for_nobody(void **state)
{
    size_t before = process_descriptors();
    int fds[3] = {dial(), dial(), dial()};
    struct pollfd p = {.fd = fds[2], .events = POLLIN};
    struct error err = {0};
    (void)state;
    line_send(fds[1], slice_literal("{\"oper"));
    line_send(fds[2], slice_literal("{\"operation\":\"tail\",\"arguments\":{}}\n"));
    int64_t began = clock_mono();
    control_close(control);
    control = NULL;
    assert_true(clock_mono() - began < 5 * CLOCK_SECOND);
    assert_int_equal(poll(&p, 1, 1000), 1);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    control = control_open(w, &err);
    assert_non_null(control);
    assert_true(process_descriptors() <= before);
}

struct rows {
    size_t count, most;
};

static int
count_rows(void *context, const struct value *row, struct slice json)
{
    struct rows *r = context;
    char text[4096];
    snprintf(text, sizeof(text), "%.*s", (int)json.size, json.data);
    assert_int_equal(text[0], '{');
    assert_int_equal(json.data[json.size - 1], '}');
    assert_non_null(value_get(row, "name"));
    r->count++;
    return r->count == r->most ? -1 : 0;
}

static void
asking_hands_over_rows(void **state)
{
    struct error err = {0};
    struct rows all = {0}, one = {.most = 1};
    int result = -1;
    (void)state;
    assert_int_equal(control_ask(rig_folder, "channels", NULL, count_rows, &all, &result, &err), 1);
    assert_int_equal(result, 0);
    assert_true(all.count >= 1);
    assert_int_equal(control_ask(rig_folder, "channels", NULL, count_rows, &one, &result, &err), 1);
    assert_int_equal(result, 0);
    assert_int_equal(one.count, 1);
    assert_int_equal(control_ask("/nowhere", "channels", NULL, count_rows, &all, &result, &err), 0);
}

static void
arguments_past_the_limit_are_refused_here(void **state)
{
    char *huge = memory_zero((1 << 20) + 100);
    struct value_pair pair = {.key = slice_literal("source")};
    struct value map = {.kind = VALUE_MAP, .count = 1, .pairs = &pair};
    struct error err = {0};
    int result = 0;
    (void)state;
    memset(huge, 'x', (1 << 20) + 10);
    pair.value = (struct value){.kind = VALUE_TEXT, .text = slice_of(huge)};
    assert_int_equal(control_ask(rig_folder, "events", &map, count_rows, NULL, &result, &err), 1);
    assert_int_equal(result, -1);
    assert_int_equal(err.class, ERROR_USAGE);
    free(huge);
}

/* The file of a daemon that was killed is in nobody's way. */
static void
a_left_over_socket_is_replaced(void **state)
{
    char path[108];
    struct error err = {0};
    (void)state;
    control_close(control);
    assert_int_equal(folder_socket(rig_folder, path, &err), 0);
    assert_int_equal(access(path, F_OK), -1);
    rig_write("data/tidegate.sock", "left over");
    control = control_open(w, &err);
    assert_non_null(control);
    says("{\"operation\":\"channels\"}\n", "{\"done\":true}");
}

#define with_control(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        with_control(requests_are_answered_or_refused),
        with_control(only_the_owner_may_connect),
        with_control(a_request_that_never_ends_is_cut_off),
        with_control(clients_that_die_leave_their_places),
        with_control(a_crowd_is_told_to_come_again),
        with_control(closing_waits_for_nobody),
        with_control(asking_hands_over_rows),
        with_control(arguments_past_the_limit_are_refused_here),
        with_control(a_left_over_socket_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
