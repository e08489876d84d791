#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "channel/http_header.h"
#include "support/channel_rig.h"
#include "support/http_receiver.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct hook {
    struct channel_rig rig;
    struct http_receiver *receiver;
};

static int
setup(void **state)
{
    static struct hook h;
    channel_rig_init(&h.rig);
    h.receiver = http_receiver_new();
    *state = &h;
    return 0;
}

static int
teardown(void **state)
{
    struct hook *h = *state;
    channel_rig_release(&h->rig);
    http_receiver_free(h->receiver);
    return 0;
}

static int
start(struct hook *h, const char *more)
{
    return channel_rig_start(&h->rig, "webhook",
                             arena_printf(&h->rig.arena, "{'url': 'http://127.0.0.1:%d/a?b=1'%s}",
                                          http_receiver_port(h->receiver), more));
}

static struct http_received
last(struct hook *h)
{
    return http_receiver_request(h->receiver, http_receiver_requests(h->receiver) - 1);
}

static void
expect_header(struct hook *h, const char *name, const char *value)
{
    struct http_received request = last(h);
    char text[256];
    assert_string_equal(http_received_header(&request, name, text, sizeof(text)), value);
}

static int
count_lines(struct hook *h, const char *name)
{
    struct http_received request = last(h);
    int count = 0;
    for (const char *at = request.headers; *at; at = strchr(at, '\n') + 1)
        count += http_header_same(at, name);
    return count;
}

static void
a_request_says_who_what_and_when(void **state)
{
    struct hook *h = *state;
    struct http_received request;
    char text[64];
    int64_t before = clock_now() / CLOCK_SECOND, stamp;
    assert_int_equal(start(h, ""), 0);
    channel_rig_send(&h->rig, MESSAGE_EVENT, "{\"id\":\"shop:1:0\"}", NULL);
    request = last(h);
    assert_string_equal(request.line, "POST /a?b=1 HTTP/1.1");
    assert_string_equal(request.body.data, "{\"id\":\"shop:1:0\"}");
    expect_header(h, "webhook-id", fake_feed_id(h->rig.feed, 0));
    expect_header(h, "content-type", "application/json");
    expect_header(h, "user-agent", "tidegate/" TIDEGATE_VERSION);
    expect_header(h, "content-length", "17");
    expect_header(h, "expect", "");
    expect_header(h, "authorization", "");
    stamp =
        strtoll(http_received_header(&request, "webhook-timestamp", text, sizeof(text)), NULL, 10);
    assert_in_range(stamp, before, before + 10);
}

static void
bodies_are_json_whatever_the_message(void **state)
{
    struct hook *h = *state;
    assert_int_equal(start(h, ""), 0);
    channel_rig_send(&h->rig, MESSAGE_TABLE, "{\"a\":1}", NULL);
    assert_string_equal(last(h).body.data, "{\"a\":1}");
    channel_rig_send(&h->rig, MESSAGE_TEXT, "say \"hi\"\n\xc3\xa9\xff", NULL);
    assert_string_equal(last(h).body.data,
                        "{\"id\":\"msg_00000000000000000000000000000001\",\"event\":\"shop:1:1\","
                        "\"rule\":\"orders/big\",\"ts\":\"2023-11-14T22:13:20.123457Z\","
                        "\"text\":\"say \\\"hi\\\"\\n\xc3\xa9\xef\xbf\xbd\"}");
    channel_rig_send(&h->rig, MESSAGE_TABLE, "", NULL);
    assert_int_equal(last(h).body.size, 0);
}

static void
large_bodies_go_through(void **state)
{
    struct hook *h = *state;
    size_t size = 5 << 20;
    char *body = memory_alloc(size + 1);
    memset(body, 'x', size);
    body[size] = '\0';
    body[0] = body[size - 1] = '"';
    assert_int_equal(start(h, ""), 0);
    assert_int_equal(channel_rig_send(&h->rig, MESSAGE_TABLE, body, NULL).class, CHANNEL_DELIVERED);
    assert_int_equal(last(h).body.size, size);
    assert_memory_equal(last(h).body.data, body, size);
    expect_header(h, "expect", "");
    free(body);
}

static void
every_attempt_has_the_same_id(void **state)
{
    struct hook *h = *state;
    fake_feed_repeat(h->rig.feed, 3);
    http_receiver_behave(h->receiver, &(struct http_behaviour){.status = 503, .times = 2});
    assert_int_equal(start(h, ""), 0);
    assert_int_equal(channel_rig_send(&h->rig, MESSAGE_TABLE, "{}", NULL).class, CHANNEL_DELIVERED);
    assert_int_equal(http_receiver_requests(h->receiver), 3);
    for (size_t i = 0; i < 3; i++) {
        struct http_received request = http_receiver_request(h->receiver, i);
        char id[64];
        assert_string_equal(http_received_header(&request, "webhook-id", id, sizeof(id)),
                            fake_feed_id(h->rig.feed, 0));
    }
}

static void
headers_come_from_channel_and_send(void **state)
{
    struct hook *h = *state;
    assert_int_equal(start(h, ", 'headers': {'Authorization': 'Bearer x', 'X-Number': 5,"
                              " 'X-Both': 'channel', 'Content-Type': 'application/x', 'X-No': ''}"),
                     0);
    channel_rig_send(&h->rig, MESSAGE_TABLE, "{}", NULL);
    expect_header(h, "authorization", "Bearer x");
    expect_header(h, "x-number", "5");
    expect_header(h, "x-both", "channel");
    expect_header(h, "content-type", "application/x");
    assert_int_equal(count_lines(h, "content-type:"), 1);
    channel_rig_send(&h->rig, MESSAGE_TABLE, "{}",
                     "{\"headers\":{\"x-both\":\"send\",\"X-More\":\"\xc3\xa9 1\"},\"key\":\"k\"}");
    expect_header(h, "x-both", "send");
    assert_int_equal(count_lines(h, "x-both:"), 1);
    expect_header(h, "x-more", "\xc3\xa9 1");
    expect_header(h, "authorization", "Bearer x");
    channel_rig_send(&h->rig, MESSAGE_TABLE, "{}", NULL);
    expect_header(h, "x-both", "channel");
    expect_header(h, "x-more", "");
}

static void
the_most_headers_fit(void **state)
{
    struct hook *h = *state;
    struct buffer channel, send;
    buffer_init(&channel, 4096);
    buffer_init(&send, 4096);
    buffer_text(&channel, ", 'headers': {");
    buffer_text(&send, "{\"headers\":{");
    for (int i = 0; i < 24; i++)
        buffer_printf(&channel, "%s'C%d': 'c'", i ? "," : "", i);
    for (int i = 0; i < 20; i++)
        buffer_printf(&send, "%s\"S%d\":\"s\"", i ? "," : "", i);
    buffer_text(&channel, "}");
    buffer_text(&send, "}}");
    assert_int_equal(start(h, buffer_cstring(&channel)), 0);
    assert_int_equal(channel_rig_send(&h->rig, MESSAGE_TABLE, "{}", buffer_cstring(&send)).class,
                     CHANNEL_DELIVERED);
    expect_header(h, "C23", "c");
    expect_header(h, "S19", "s");
    expect_header(h, "content-type", "application/json");
    buffer_release(&channel);
    buffer_release(&send);
}

static void
hostile_headers_of_a_channel_are_refused(void **state)
{
    static const struct {
        const char *headers, *says;
    } cases[] = {
        {"{'X-A': 'a\\r\\nX-B: b'}", "control characters"},
        {"{'X-A': 'a\\nb'}", "control characters"},
        {"{'X-A': 'a\\u0000b'}", "control characters"},
        {"{'X-A\\r\\nX-B': 'b'}", "name"},
        {"{'X A': 'b'}", "name"},
        {"{'X:A': 'b'}", "name"},
        {"{'': 'b'}", "name"},
        {"{'Host': 'b'}", "Host"},
        {"{'CONTENT-LENGTH': '1'}", "CONTENT-LENGTH"},
        {"{'Transfer-Encoding': 'chunked'}", "Transfer-Encoding"},
        {"{'webhook-id': 'x'}", "webhook-id"},
        {"{'Webhook-Timestamp': '1'}", "Webhook-Timestamp"},
        {"{'X': {}}", "map"},
        {"{'X': true}", "bool"},
        {"{'a0':'','a1':'','a2':'','a3':'','a4':'','a5':'','a6':'','a7':'','a8':'','a9':'',"
         "'b0':'','b1':'','b2':'','b3':'','b4':'','b5':'','b6':'','b7':'','b8':'','b9':'',"
         "'c0':'','c1':'','c2':'','c3':'','c4':''}",
         "at most"},
    };
    struct hook *h = *state;
    for (size_t i = 0; i < countof(cases); i++) {
        const char *more = arena_printf(&h->rig.arena, ", 'headers': %s", cases[i].headers);
        h->rig.err = (struct error){0};
        assert_int_equal(start(h, more), -1);
        assert_int_equal(h->rig.err.class, ERROR_CONFIG);
        if (!strstr(h->rig.err.message, cases[i].says))
            fail_msg("%s: %s", cases[i].headers, h->rig.err.message);
        assert_null(h->rig.channel);
    }
}

static void
hostile_headers_of_a_send_reject_that_message(void **state)
{
    static const char *const options[] = {
        "{\"headers\":{\"X-A\":\"a\\r\\nX-B: b\"}}",
        "{\"headers\":{\"X-A\\nX-B\":\"b\"}}",
        "{\"headers\":{\"Host\":\"b\"}}",
        "{\"headers\":[\"X-A\"]}",
        "{\"headers\":",
    };
    struct hook *h = *state;
    assert_int_equal(start(h, ""), 0);
    for (size_t i = 0; i < countof(options); i++) {
        struct channel_answer answer = channel_rig_send(&h->rig, MESSAGE_TABLE, "{}", options[i]);
        assert_int_equal(answer.class, CHANNEL_REJECT);
        assert_true(answer.reason[0] != '\0');
    }
    assert_int_equal(http_receiver_requests(h->receiver), 0);
    assert_int_equal(channel_rig_send(&h->rig, MESSAGE_TABLE, "{}", NULL).class, CHANNEL_DELIVERED);
}

static void
bad_addresses_and_authorities_are_refused(void **state)
{
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"{'url': 'ftp://a/'}", "http://"},
        {"{'url': 'http://a/\\r\\nX: y'}", "no URL"},
        {"{'url': ''}", "no URL"},
        {"{'url': 'https://a/', 'tls': {'ca': 'no-such.pem'}}", "no-such.pem"},
        {"{'url': 'https://a/', 'tls': {'verfy': false}}", "verfy"},
    };
    struct hook *h = *state;
    for (size_t i = 0; i < countof(cases); i++) {
        h->rig.err = (struct error){0};
        assert_int_equal(channel_rig_start(&h->rig, "webhook", cases[i].json), -1);
        assert_int_equal(h->rig.err.class, ERROR_CONFIG);
        if (!strstr(h->rig.err.message, cases[i].says))
            fail_msg("%s: %s", cases[i].json, h->rig.err.message);
    }
}

static void
header_lines_compare_by_name(void **state)
{
    (void)state;
    assert_true(http_header_same("X-A: 1", "x-a: 2"));
    assert_true(http_header_same("X-A;", "x-a: 2"));
    assert_false(http_header_same("X-A: 1", "X-AB: 1"));
    assert_false(http_header_same("X-AB: 1", "X-A: 1"));
}

#define with_hook(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        with_hook(a_request_says_who_what_and_when),
        with_hook(bodies_are_json_whatever_the_message),
        with_hook(large_bodies_go_through),
        with_hook(every_attempt_has_the_same_id),
        with_hook(headers_come_from_channel_and_send),
        with_hook(the_most_headers_fit),
        with_hook(hostile_headers_of_a_channel_are_refused),
        with_hook(hostile_headers_of_a_send_reject_that_message),
        with_hook(bad_addresses_and_authorities_are_refused),
        cmocka_unit_test(header_lines_compare_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
