/* Lines over a socket that tears them, floods it, or ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/thread.h"
#include "server/line.h"

/* Writes each part by itself, then ends. */
struct writer {
    int fd;
    const char *const *parts; /* NULL-terminated; NULL: `flood` bytes of x */
    size_t flood;
    struct thread thread;
};

static void
write_parts(void *arg)
{
    struct writer *w = arg;
    char block[4096];
    for (size_t i = 0; w->parts && w->parts[i]; i++)
        if (line_send(w->fd, slice_of(w->parts[i])) != 0)
            break;
    memset(block, 'x', sizeof(block));
    for (size_t sent = 0; sent < w->flood; sent += sizeof(block))
        if (line_send(w->fd, (struct slice){block, sizeof(block)}) != 0)
            break;
    close(w->fd);
}

/* The reading end; the writer runs. */
static int
begin(struct writer *w)
{
    int fds[2];
    struct error err = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    w->fd = fds[1];
    assert_int_equal(thread_start(&w->thread, "writer", write_parts, w, &err), 0);
    return fds[0];
}

static void
torn_lines_come_whole(void **state)
{
    static const struct {
        const char *const parts[8];
        const char *const lines[6];
    } rows[] = {
        {{"one\n"}, {"one"}},
        {{"o", "n", "e", "\n", "tw", "o\nthr", "ee\n"}, {"one", "two", "three"}},
        {{"\n\n", "x\n"}, {"", "", "x"}},
        {{"one\nrest without an end"}, {"one"}},
        {{""}, {NULL}},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct writer w = {.parts = rows[i].parts};
        struct line_reader reader;
        struct slice line;
        line_reader_init(&reader, begin(&w), 1 << 20);
        for (size_t k = 0; rows[i].lines[k]; k++) {
            assert_int_equal(line_next(&reader, &line), 1);
            assert_true(slice_is(line, rows[i].lines[k]));
        }
        assert_int_equal(line_next(&reader, &line), 0);
        thread_join(&w.thread);
        close(reader.fd);
        line_reader_release(&reader);
    }
}

static void
a_line_past_the_limit_is_an_error(void **state)
{
    struct writer w = {.flood = 1 << 20}, again = w;
    struct line_reader reader;
    struct slice line;
    struct buffer request;
    (void)state;
    line_reader_init(&reader, begin(&w), 256 * 1024);
    assert_int_equal(line_next(&reader, &line), -1);
    close(reader.fd);
    thread_join(&w.thread);
    line_reader_release(&reader);

    int fd = begin(&again);
    buffer_init(&request, 1000);
    assert_int_equal(line_receive(fd, &request), -1);
    close(fd);
    thread_join(&again.thread);
    buffer_release(&request);
}

/* A line of many reads: the second is looked through from where the first ended. */
static void
a_huge_line_comes_whole(void **state)
{
    struct writer w = {.parts = (const char *const[]){"start", NULL}, .flood = 8 << 20};
    struct line_reader reader;
    struct slice line;
    (void)state;
    line_reader_init(&reader, begin(&w), 16 << 20);
    assert_int_equal(line_next(&reader, &line), 0); /* it never had an end */
    thread_join(&w.thread);
    close(reader.fd);
    line_reader_release(&reader);

    char *text = memory_zero((4 << 20) + 2);
    memset(text, 'y', 4 << 20);
    text[4 << 20] = '\n';
    struct writer long_one = {.parts = (const char *const[]){text, "z\n", NULL}};
    line_reader_init(&reader, begin(&long_one), 16 << 20);
    assert_int_equal(line_next(&reader, &line), 1);
    assert_int_equal(line.size, 4 << 20);
    assert_int_equal(line_next(&reader, &line), 1);
    assert_true(slice_is(line, "z"));
    thread_join(&long_one.thread);
    close(reader.fd);
    line_reader_release(&reader);
    free(text);
}

static void
a_request_is_one_line(void **state)
{
    static const struct {
        const char *const parts[4];
        int result;
        const char *line;
    } rows[] = {
        {{"{\"a\"", ":1}\nmore"}, 1, "{\"a\":1}"},
        {{"\n"}, 1, ""},
        {{"no end"}, 0, "no end"},
        {{""}, 0, ""},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct writer w = {.parts = rows[i].parts};
        struct buffer request;
        int fd = begin(&w);
        buffer_init(&request, 100);
        assert_int_equal(line_receive(fd, &request), rows[i].result);
        assert_string_equal(buffer_cstring(&request), rows[i].line);
        thread_join(&w.thread);
        close(fd);
        buffer_release(&request);
    }
}

static void
sending_to_nobody_is_an_error_not_a_signal(void **state)
{
    int fds[2];
    (void)state;
    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    close(fds[0]);
    assert_int_equal(line_send(fds[1], slice_literal("x\n")), -1);
    close(fds[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torn_lines_come_whole),
        cmocka_unit_test(a_line_past_the_limit_is_an_error),
        cmocka_unit_test(a_huge_line_comes_whole),
        cmocka_unit_test(a_request_is_one_line),
        cmocka_unit_test(sending_to_nobody_is_an_error_not_a_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
