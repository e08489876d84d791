#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/channel_rig.h"
#include "support/http_receiver.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct bench {
    struct channel_rig rig;
    struct http_receiver *receiver;
};

static int
setup(void **state)
{
    static struct bench b;
    channel_rig_init(&b.rig);
    b.receiver = http_receiver_new();
    *state = &b;
    return 0;
}

static int
teardown(void **state)
{
    struct bench *b = *state;
    channel_rig_release(&b->rig);
    http_receiver_free(b->receiver);
    return 0;
}

/* A webhook to the receiver; `more` are further options, beginning with a comma. */
static void
start(struct bench *b, const char *more)
{
    const char *json = arena_printf(&b->rig.arena, "{'url': 'http://127.0.0.1:%d/hook'%s}",
                                    http_receiver_port(b->receiver), more);
    if (channel_rig_start(&b->rig, "webhook", json) != 0)
        fail_msg("%s", b->rig.err.message);
}

static struct channel_answer
send_one(struct bench *b)
{
    return channel_rig_send(&b->rig, MESSAGE_TABLE, "{}", NULL);
}

static void
answers_fall_into_classes(void **state)
{
    static const struct {
        struct http_response response;
        enum channel_class class;
        int64_t retry_after;
    } cases[] = {
        {{.status = 200}, CHANNEL_DELIVERED, 0},
        {{.status = 201}, CHANNEL_DELIVERED, 0},
        {{.status = 204}, CHANNEL_DELIVERED, 0},
        {{.status = 299, .retry_after = 5}, CHANNEL_DELIVERED, 0},
        {{.status = 300}, CHANNEL_REJECT, 0},
        {{.status = 301}, CHANNEL_REJECT, 0},
        {{.status = 304}, CHANNEL_REJECT, 0},
        {{.status = 307}, CHANNEL_REJECT, 0},
        {{.status = 400}, CHANNEL_REJECT, 0},
        {{.status = 401}, CHANNEL_REJECT, 0},
        {{.status = 404, .retry_after = 5}, CHANNEL_REJECT, 0},
        {{.status = 408}, CHANNEL_RETRY, 0},
        {{.status = 410}, CHANNEL_BROKEN, 0},
        {{.status = 425}, CHANNEL_RETRY, 0},
        {{.status = 429}, CHANNEL_RETRY, 0},
        {{.status = 429, .retry_after = 5}, CHANNEL_RETRY, 5},
        {{.status = 500, .retry_after = 5}, CHANNEL_RETRY, 0},
        {{.status = 502}, CHANNEL_RETRY, 0},
        {{.status = 503, .retry_after = 5}, CHANNEL_RETRY, 5},
        {{.status = 599}, CHANNEL_RETRY, 0},
        {{.status = 101}, CHANNEL_RETRY, 0},
        {{.failure = "cut"}, CHANNEL_RETRY, 0},
        {{.failure = "refused", .refused = true}, CHANNEL_BROKEN, 0},
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct channel_answer answer = {.class = CHANNEL_REJECT, .reason = "old"};
        http_classify(&cases[i].response, &answer);
        assert_int_equal(answer.class, cases[i].class);
        assert_int_equal(answer.code, cases[i].response.status);
        assert_int_equal(answer.retry_after, cases[i].retry_after);
        assert_int_equal(answer.reason[0] == '\0', answer.class == CHANNEL_DELIVERED);
    }
}

/* Each misbehaviour for one message, then a second one that must find the channel well. */
static void
misbehaviour_has_its_class(void **state)
{
    static const struct {
        struct http_behaviour behaviour;
        enum channel_class class;
        int code;
        const char *says;
    } cases[] = {
        {{.status = 204}, CHANNEL_DELIVERED, 204, ""},
        {{.status = 500, .body = "out of \x1b[31m memory\n"},
         CHANNEL_RETRY,
         500,
         "HTTP 500: out of \\x1b[31m memory\\n"},
        {{.status = 400, .body = ""}, CHANNEL_REJECT, 400, "HTTP 400"},
        {{.status = 410, .body = "gone"}, CHANNEL_BROKEN, 410, "HTTP 410: gone"},
        {{.status = 302, .headers = "Location: http://169.254.169.254/\r\n"},
         CHANNEL_REJECT,
         302,
         "redirects are not followed"},
        {{.fault = HTTP_FAULT_CUT}, CHANNEL_RETRY, 0, "Empty reply"},
        {{.fault = HTTP_FAULT_RESET}, CHANNEL_RETRY, 0, ""},
        {{.fault = HTTP_FAULT_HALF_HEAD}, CHANNEL_RETRY, 0, ""},
        {{.fault = HTTP_FAULT_HALF_BODY}, CHANNEL_RETRY, 0, "remaining to read"},
        {{.fault = HTTP_FAULT_GARBAGE}, CHANNEL_RETRY, 0, ""},
        {{.fault = HTTP_FAULT_HUGE}, CHANNEL_DELIVERED, 200, ""},
        {{.fault = HTTP_FAULT_HUGE_HEAD}, CHANNEL_RETRY, 0, ""},
        {{.fault = HTTP_FAULT_SILENT}, CHANNEL_RETRY, 0, "timed out"},
        {{.delay = 3 * CLOCK_SECOND}, CHANNEL_RETRY, 0, "timed out"},
        {{.delay = 1000}, CHANNEL_DELIVERED, 200, ""},
        {{.fault = HTTP_FAULT_CLOSE_IDLE}, CHANNEL_DELIVERED, 200, ""},
    };
    struct bench *b = *state;
    start(b, ", 'timeout': '300ms'");
    for (size_t i = 0; i < countof(cases); i++) {
        struct http_behaviour behaviour = cases[i].behaviour;
        struct channel_answer answer;
        behaviour.times = 1;
        http_receiver_behave(b->receiver, &behaviour);
        answer = send_one(b);
        /* curl itself sends again, once, when a kept-alive connection turns out to be dead; then
         * the receiver is well already. */
        if (answer.class == CHANNEL_DELIVERED && cases[i].class == CHANNEL_RETRY) {
            http_receiver_behave(b->receiver, &(struct http_behaviour){
                                                  .fault = cases[i].behaviour.fault, .times = 2});
            answer = send_one(b);
        }
        http_receiver_behave(b->receiver, &(struct http_behaviour){0});
        if (answer.class != cases[i].class || answer.code != cases[i].code)
            fail_msg("case %zu: %s %d %s", i, channel_class_name(answer.class), answer.code,
                     answer.reason);
        if (!strstr(answer.reason, cases[i].says))
            fail_msg("case %zu: %s", i, answer.reason);
        assert_int_equal(send_one(b).class, CHANNEL_DELIVERED);
    }
}

static void
nobody_there_is_a_retry(void **state)
{
    struct bench *b = *state;
    struct channel_answer answer;
    assert_int_equal(
        channel_rig_start(&b->rig, "webhook", "{'url': 'http://127.0.0.1:1/', 'timeout': '2s'}"),
        0);
    answer = send_one(b);
    assert_int_equal(answer.class, CHANNEL_RETRY);
    assert_non_null(strstr(answer.reason, "connect"));
    channel_free(b->rig.channel);
    assert_int_equal(channel_rig_start(&b->rig, "webhook",
                                       "{'url': 'http://no-such-host.invalid/', 'timeout': '2s'}"),
                     0);
    assert_int_equal(send_one(b).class, CHANNEL_RETRY);
}

static void
retry_after_is_seconds_or_a_date(void **state)
{
    struct bench *b = *state;
    char date[64], line[96];
    time_t then = time(NULL) + 120;
    struct tm tm;
    static const struct {
        const char *line;
        int status;
        int64_t seconds;
    } cases[] = {
        {"Retry-After: 7\r\n", 429, 7},
        {"Retry-After: 7\r\n", 503, 7},
        {"Retry-After: 7\r\n", 500, 0},
        {"Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", 429, 0},
        {"Retry-After: -5\r\n", 429, 0},
        {"Retry-After: soon\r\n", 429, 0},
        {"Retry-After: 99999999999999999999\r\n", 429, 0},
        {"Retry-After: 9999999999\r\n", 429, 30 * 86400},
    };
    start(b, "");
    for (size_t i = 0; i < countof(cases); i++) {
        struct channel_answer answer;
        http_receiver_behave(b->receiver, &(struct http_behaviour){.status = cases[i].status,
                                                                   .headers = cases[i].line});
        answer = send_one(b);
        assert_int_equal(answer.class, CHANNEL_RETRY);
        if (answer.retry_after != cases[i].seconds * CLOCK_SECOND)
            fail_msg("%s: %lld", cases[i].line, (long long)answer.retry_after);
    }
    gmtime_r(&then, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    snprintf(line, sizeof(line), "Retry-After: %s\r\n", date);
    http_receiver_behave(b->receiver, &(struct http_behaviour){.status = 503, .headers = line});
    assert_in_range(send_one(b).retry_after / CLOCK_SECOND, 110, 120);
}

static void
connections_are_kept(void **state)
{
    struct bench *b = *state;
    start(b, "");
    for (int i = 0; i < 50; i++)
        assert_int_equal(send_one(b).class, CHANNEL_DELIVERED);
    assert_int_equal(http_receiver_requests(b->receiver), 50);
    assert_int_equal(http_receiver_connections(b->receiver), 1);
}

static void
no_more_is_under_way_than_allowed(void **state)
{
    struct bench *b = *state;
    int64_t begin = clock_mono();
    for (int i = 0; i < 300; i++)
        fake_feed_add(b->rig.feed, MESSAGE_TABLE, "{}", NULL);
    http_receiver_behave(b->receiver, &(struct http_behaviour){.delay = 2000});
    start(b, ", 'concurrency': 5");
    assert_true(fake_feed_wait(b->rig.feed, 300));
    assert_int_equal(http_receiver_connections(b->receiver), 5);
    assert_int_equal(http_receiver_requests(b->receiver), 300);
    assert_true(clock_mono() - begin < 2 * CLOCK_SECOND); /* each answer asks for the next */
}

static void
many_are_under_way_at_once(void **state)
{
    struct bench *b = *state;
    int64_t begin = clock_mono();
    for (int i = 0; i < 400; i++)
        fake_feed_add(b->rig.feed, MESSAGE_TABLE, "{}", NULL);
    http_receiver_behave(b->receiver, &(struct http_behaviour){.delay = 100000});
    start(b, ", 'concurrency': 200");
    assert_true(fake_feed_wait(b->rig.feed, 400));
    assert_true(clock_mono() - begin < 3 * CLOCK_SECOND); /* one by one: 40 s */
}

static void
a_slow_channel_does_not_hold_up_another(void **state)
{
    struct bench *b = *state;
    struct channel_rig slow;
    struct http_receiver *silent = http_receiver_new();
    const char *url;
    start(b, "");
    channel_rig_init(&slow);
    slow.transfer = b->rig.transfer;
    http_receiver_behave(silent, &(struct http_behaviour){.fault = HTTP_FAULT_SILENT});
    for (int i = 0; i < 100; i++)
        fake_feed_add(slow.feed, MESSAGE_TABLE, "{}", NULL);
    url = arena_printf(&slow.arena, "{'url': 'http://127.0.0.1:%d/'}", http_receiver_port(silent));
    assert_int_equal(channel_rig_start(&slow, "webhook", url), 0);
    assert_true(http_receiver_wait(silent, 32));
    for (int i = 0; i < 100; i++)
        assert_int_equal(send_one(b).class, CHANNEL_DELIVERED);
    assert_int_equal(fake_feed_done(slow.feed), 0);
    slow.transfer = NULL; /* the other's */
    channel_rig_release(&slow);
    http_receiver_free(silent);
}

static void
stopping_waits_two_seconds_at_most(void **state)
{
    struct bench *b = *state;
    int64_t begin;
    http_receiver_behave(b->receiver, &(struct http_behaviour){.fault = HTTP_FAULT_SILENT});
    for (int i = 0; i < 40; i++)
        fake_feed_add(b->rig.feed, MESSAGE_TABLE, "{}", NULL);
    start(b, "");
    assert_true(http_receiver_wait(b->receiver, 32));
    begin = clock_mono();
    channel_stop(b->rig.channel);
    assert_in_range(clock_mono() - begin, CLOCK_SECOND, 2500000);
    assert_int_equal(fake_feed_done(b->rig.feed), 0); /* nothing is said about them */
    assert_int_equal(fake_feed_taken(b->rig.feed), 32);
}

static void
stopping_waits_for_answers(void **state)
{
    struct bench *b = *state;
    int64_t begin;
    http_receiver_behave(b->receiver, &(struct http_behaviour){.delay = 300000});
    for (int i = 0; i < 40; i++)
        fake_feed_add(b->rig.feed, MESSAGE_TABLE, "{}", NULL);
    start(b, "");
    assert_true(http_receiver_wait(b->receiver, 32));
    begin = clock_mono();
    channel_halt(b->rig.channel);
    channel_stop(b->rig.channel);
    channel_poke(b->rig.channel);
    assert_true(clock_mono() - begin < 1500000);
    assert_int_equal(fake_feed_done(b->rig.feed), 32);
    assert_int_equal(fake_feed_taken(b->rig.feed), 32);
}

static void
private_addresses_break_a_channel_without_the_right(void **state)
{
    struct bench *b = *state;
    struct channel_answer answer;
    b->rig.plan.allow_private = false;
    start(b, ", 'allow_private': true"); /* the workspace did not permit it */
    answer = send_one(b);
    assert_int_equal(answer.class, CHANNEL_BROKEN);
    assert_non_null(strstr(answer.reason, "127.0.0.1"));
    assert_int_equal(http_receiver_connections(b->receiver), 0);
}

static void
metadata_is_out_of_reach(void **state)
{
    static const char *const urls[] = {"http://169.254.169.254/latest/", "http://[fe80::1]/",
                                       "http://[::ffff:a9fe:a9fe]/", "https://100.100.100.200/"};
    struct bench *b = *state;
    for (size_t i = 0; i < countof(urls); i++) {
        struct channel_answer answer;
        const char *json = arena_printf(&b->rig.arena, "{'url': '%s'}", urls[i]);
        assert_int_equal(channel_rig_start(&b->rig, "webhook", json), 0);
        answer = send_one(b);
        assert_int_equal(answer.class, CHANNEL_BROKEN);
        assert_non_null(strstr(answer.reason, "allow_private = true"));
        channel_free(b->rig.channel);
        b->rig.channel = NULL;
    }
}

/* nghttpd with a certificate of its own; what it needs is made in the rig's folder. */
struct h2_server {
    pid_t pid;
    int port;
};

static bool
run_quietly(char *const *words)
{
    pid_t pid = fork();
    int status = -1;
    if (pid == 0) {
        int nowhere = open("/dev/null", O_RDWR);
        dup2(nowhere, 0);
        dup2(nowhere, 1);
        dup2(nowhere, 2);
        execvp(words[0], words);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    return status == 0;
}

static int
free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    getsockname(fd, (struct sockaddr *)&address, &size);
    close(fd);
    return ntohs(address.sin_port);
}

static bool
answers(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool up = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return up;
}

static bool
h2_start(struct channel_rig *rig, struct h2_server *s)
{
    char *key = channel_rig_path(rig, "key.pem"), *cert = channel_rig_path(rig, "cert.pem");
    char *port = arena_printf(&rig->arena, "%d", s->port = free_port());
    char *log = channel_rig_path(rig, "h2.log");
    char *const make[] = {"openssl",  "req",
                          "-x509",    "-newkey",
                          "rsa:2048", "-nodes",
                          "-days",    "2",
                          "-subj",    "/CN=localhost",
                          "-addext",  "subjectAltName=DNS:localhost",
                          "-keyout",  key,
                          "-out",     cert,
                          NULL};
    if (!run_quietly((char *[]){"nghttpd", "--version", NULL}) || !run_quietly(make))
        return false;
    s->pid = fork();
    if (s->pid == 0) {
        int out = open(log, O_WRONLY | O_CREAT, 0600);
        dup2(out, 1);
        dup2(out, 2);
        execlp("nghttpd", "nghttpd", "-v", "-a", "127.0.0.1", "--echo-upload", port, key, cert,
               NULL);
        _exit(127);
    }
    for (int i = 0; i < 5000 && !answers(s->port); i++)
        usleep(1000);
    return answers(s->port);
}

static void
h2_stop(struct h2_server *s)
{
    kill(s->pid, SIGTERM);
    waitpid(s->pid, NULL, 0);
}

/* How often a text stands in the server's log. */
static size_t
count_in_log(struct channel_rig *rig, const char *text)
{
    FILE *log = fopen(channel_rig_path(rig, "h2.log"), "r");
    char line[4096];
    size_t count = 0;
    while (fgets(line, sizeof(line), log))
        count += strstr(line, text) != NULL;
    fclose(log);
    return count;
}

static void
http_2_shares_one_connection(void **state)
{
    struct bench *b = *state;
    struct channel_rig *rig = &b->rig;
    struct h2_server s;
    struct channel_answer answer;
    if (!h2_start(rig, &s)) {
        print_message("SKIPPED: no nghttpd or openssl here\n");
        skip();
    }
    for (int i = 0; i < 300; i++)
        fake_feed_add(rig->feed, MESSAGE_TABLE, "{\"a\":1}", NULL);
    assert_int_equal(channel_rig_start(rig, "webhook",
                                       arena_printf(&rig->arena,
                                                    "{'url': 'https://localhost:%d/',"
                                                    " 'tls': {'ca': 'cert.pem'}}",
                                                    s.port)),
                     0);
    assert_true(fake_feed_wait(rig->feed, 300));
    for (size_t i = 0; i < 300; i++) {
        answer = fake_feed_answer(rig->feed, i);
        if (answer.class != CHANNEL_DELIVERED)
            fail_msg("%zu: %s", i, answer.reason);
    }
    channel_free(rig->channel);
    rig->channel = NULL;
    h2_stop(&s);
    assert_int_equal(count_in_log(rig, "The negotiated protocol: h2"), 1);
    assert_true(count_in_log(rig, ":method: POST") == 300);
}

static void
certificates_are_checked(void **state)
{
    static const struct {
        const char *host, *tls;
        enum channel_class class;
    } cases[] = {
        {"localhost", "", CHANNEL_BROKEN},
        {"localhost", ", 'tls': {'ca': 'cert.pem'}", CHANNEL_DELIVERED},
        {"127.0.0.1", ", 'tls': {'ca': 'cert.pem'}", CHANNEL_BROKEN}, /* another name */
        {"127.0.0.1", ", 'tls': {'verify': false}", CHANNEL_DELIVERED},
        {"localhost", "", CHANNEL_BROKEN}, /* not over the connection of another */
    };
    struct bench *b = *state;
    struct channel_rig *rig = &b->rig;
    struct h2_server s;
    if (!h2_start(rig, &s)) {
        print_message("SKIPPED: no nghttpd or openssl here\n");
        skip();
    }
    for (size_t i = 0; i < countof(cases); i++) {
        struct channel_answer answer;
        const char *json = arena_printf(&rig->arena, "{'url': 'https://%s:%d/'%s}", cases[i].host,
                                        s.port, cases[i].tls);
        assert_int_equal(channel_rig_start(rig, "webhook", json), 0);
        answer = send_one(b);
        if (answer.class != cases[i].class)
            fail_msg("case %zu: %s", i, answer.reason);
        if (answer.class == CHANNEL_BROKEN)
            assert_non_null(strstr(answer.reason, "certificate"));
        channel_free(rig->channel);
        rig->channel = NULL;
    }
    h2_stop(&s);
}

#define with_bench(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_fall_into_classes),
        with_bench(misbehaviour_has_its_class),
        with_bench(nobody_there_is_a_retry),
        with_bench(retry_after_is_seconds_or_a_date),
        with_bench(connections_are_kept),
        with_bench(no_more_is_under_way_than_allowed),
        with_bench(many_are_under_way_at_once),
        with_bench(a_slow_channel_does_not_hold_up_another),
        with_bench(stopping_waits_two_seconds_at_most),
        with_bench(stopping_waits_for_answers),
        with_bench(private_addresses_break_a_channel_without_the_right),
        with_bench(metadata_is_out_of_reach),
        with_bench(http_2_shares_one_connection),
        with_bench(certificates_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
