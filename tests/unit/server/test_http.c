/* The web server: ports, addresses, and what it answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http.h"
#include "support/process.h"

static struct http_server *server;
static int port;

static int
setup(void **state)
{
    struct error err = {0};
    int fd;
    (void)state;
    port = process_port(&fd);
    close(fd);
    server = http_open("127.0.0.1", port, &err);
    if (!server)
        fail_msg("%s", err.message);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    http_close(server);
    return 0;
}

static const char *
ask(const char *request)
{
    static char answer[8192];
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    size_t size = 0;
    ssize_t got;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    while ((got = recv(fd, answer + size, sizeof(answer) - 1 - size, 0)) > 0)
        size += (size_t)got;
    answer[size] = 0;
    close(fd);
    return answer;
}

#define REST " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void
pages_and_what_is_missing(void **state)
{
    static const struct {
        const char *request, *status, *words;
    } rows[] = {
        {"GET /livez" REST, "200", "live\n"},
        {"GET /livez?x=1" REST, "200", "live\n"},
        {"HEAD /livez" REST, "200", ""},
        {"GET /readyz" REST, "503", "not ready"},
        {"GET /" REST, "404", "the web UI is not built yet; this version serves /livez and"},
        {"GET /api/v1/x" REST, "404", "the REST API is not built yet"},
        {"GET /metrics" REST, "404", "the metrics page is not built yet"},
        {"GET /livez/" REST, "404", "not built yet"},
        {"GET /%6civez" REST, "200", "live\n"},
        {"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
         "404", "not built yet"},
        {"DELETE /readyz" REST, "404", "not built yet"},
        {"nonsense\r\n\r\n", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *answer = ask(rows[i].request);
        bool status =
            !*rows[i].status || (strlen(answer) > 12 && !strncmp(answer + 9, rows[i].status, 3));
        if (!status || !strstr(answer, rows[i].words))
            fail_msg("%s: %s", rows[i].request, answer);
        if (*rows[i].status && (!strstr(answer, "nosniff") || !strstr(answer, "no-store")))
            fail_msg("%s: %s", rows[i].request, answer);
    }
}

static void
a_taken_port_names_who_has_it(void **state)
{
    struct error err = {0};
    char words[64];
    int fd, taken = process_port(&fd);
    (void)state;
    assert_null(http_open("127.0.0.1", taken, &err));
    assert_int_equal(err.class, ERROR_SYSTEM);
    snprintf(words, sizeof(words), "port %d is taken by process %d (", taken, (int)getpid());
    if (!strstr(err.message, words))
        fail_msg("%s", err.message);
    assert_non_null(strstr(err.hint, "tidegate start -p "));
    close(fd);
    assert_null(http_open("127.0.0.1", port, &err)); /* our own server has it */
}

static void
other_addresses_are_refused(void **state)
{
    static const struct {
        const char *bind;
        int64_t port;
        enum error_class class;
    } rows[] = {
        {"0.0.0.0", 5858, ERROR_REFUSED},  {"192.168.1.1", 5858, ERROR_REFUSED},
        {"::1", 5858, ERROR_CONFIG},       {"example.org", 5858, ERROR_CONFIG},
        {"", 5858, ERROR_CONFIG},          {"127.0.0.1", 0, ERROR_USAGE},
        {"127.0.0.1", 65536, ERROR_USAGE}, {"127.0.0.1", INT64_MAX, ERROR_USAGE},
        {"127.0.0.1", 70000, ERROR_USAGE}, /* not port 4464 */
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct error err = {0};
        assert_null(http_open(rows[i].bind, rows[i].port, &err));
        if (err.class != rows[i].class)
            fail_msg("%s: %s", rows[i].bind, err.message);
    }
    http_close(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_and_what_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_taken_port_names_who_has_it, setup, teardown),
        cmocka_unit_test(other_addresses_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
