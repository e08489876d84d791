#include "channel/http_gate.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/http_receiver.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static enum address_kind
kind_of(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return http_gate_address((struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return http_gate_address((struct sockaddr *)&v6);
}

static void
addresses_are_of_their_kind(void **state)
{
    static const struct {
        const char *address;
        enum address_kind kind;
    } cases[] = {
        {"8.8.8.8", ADDRESS_PUBLIC},
        {"1.1.1.1", ADDRESS_PUBLIC},
        {"172.15.255.255", ADDRESS_PUBLIC},
        {"172.32.0.0", ADDRESS_PUBLIC},
        {"223.255.255.255", ADDRESS_PUBLIC},
        {"2606:4700::1111", ADDRESS_PUBLIC},
        {"127.0.0.1", ADDRESS_PRIVATE},
        {"127.255.255.255", ADDRESS_PRIVATE},
        {"0.0.0.0", ADDRESS_PRIVATE},
        {"10.1.2.3", ADDRESS_PRIVATE},
        {"172.16.0.0", ADDRESS_PRIVATE},
        {"172.31.255.255", ADDRESS_PRIVATE},
        {"192.168.1.1", ADDRESS_PRIVATE},
        {"100.64.0.1", ADDRESS_PRIVATE},
        {"198.19.255.255", ADDRESS_PRIVATE},
        {"::1", ADDRESS_PRIVATE},
        {"::", ADDRESS_PRIVATE},
        {"fc00::1", ADDRESS_PRIVATE},
        {"fdff::1", ADDRESS_PRIVATE},
        {"fec0::1", ADDRESS_PRIVATE},
        {"2001:db8::1", ADDRESS_PRIVATE},
        {"2001::1", ADDRESS_PRIVATE},
        {"169.254.169.254", ADDRESS_LINK_LOCAL},
        {"169.254.0.1", ADDRESS_LINK_LOCAL},
        {"100.100.100.200", ADDRESS_LINK_LOCAL},
        {"168.63.129.16", ADDRESS_LINK_LOCAL},
        {"fe80::1", ADDRESS_LINK_LOCAL},
        {"febf::1", ADDRESS_LINK_LOCAL},
        {"fd00:ec2::254", ADDRESS_LINK_LOCAL},
        {"224.0.0.1", ADDRESS_NEVER},
        {"240.0.0.1", ADDRESS_NEVER},
        {"255.255.255.255", ADDRESS_NEVER},
        {"ff02::1", ADDRESS_NEVER},
        /* IPv4 in IPv6 */
        {"::ffff:8.8.8.8", ADDRESS_PUBLIC},
        {"::ffff:127.0.0.1", ADDRESS_PRIVATE},
        {"::ffff:169.254.169.254", ADDRESS_LINK_LOCAL},
        {"::ffff:224.0.0.1", ADDRESS_NEVER},
        {"::10.0.0.1", ADDRESS_PRIVATE},
        {"64:ff9b::7f00:1", ADDRESS_PRIVATE},
        {"64:ff9b::a9fe:a9fe", ADDRESS_LINK_LOCAL},
        {"64:ff9b::808:808", ADDRESS_PUBLIC},
        {"2002:7f00:1::", ADDRESS_PRIVATE},
        {"2002:a9fe:a9fe::", ADDRESS_LINK_LOCAL},
        {"2002:808:808::", ADDRESS_PUBLIC},
    };
    struct sockaddr local = {.sa_family = AF_UNIX};
    (void)state;
    for (size_t i = 0; i < countof(cases); i++)
        if (kind_of(cases[i].address) != cases[i].kind)
            fail_msg("%s is of kind %d", cases[i].address, kind_of(cases[i].address));
    assert_int_equal(http_gate_address(&local), ADDRESS_NEVER);
}

static void
only_web_addresses_with_a_host_are_accepted(void **state)
{
    static const char *const good[] = {
        "http://localhost/", "https://example.com",    "http://[::1]:8080/x?y=1",
        "HTTPS://a/b",       "http://user:word@host/",
    };
    static const char *const bad[] = {
        "",   "example.com",     "ftp://a/",    "file:///etc/passwd", "gopher://a/",  "http://",

        "/x", "http://a:99999/", "http://a b/", "http://a/\r\nX: y",  "javascript:1", "https:",
    };
    struct error err;
    (void)state;
    for (size_t i = 0; i < countof(good); i++)
        assert_int_equal(http_gate_url(good[i], "url", &err), 0);
    for (size_t i = 0; i < countof(bad); i++) {
        if (http_gate_url(bad[i], "url", &err) == 0)
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(err.class, ERROR_CONFIG);
    }
    assert_int_equal(http_gate_url("ftp://user:marker@host/", "url", &err), -1);
    assert_null(strstr(err.message, "marker"));
}

struct trip {
    struct http_gate gate;
    CURL *easy;
};

static size_t
swallow(char *data, size_t one, size_t size, void *context)
{
    (void)data;
    (void)context;
    return one * size;
}

static void
trip_init(struct trip *t, const char *url)
{
    memset(t, 0, sizeof(*t));
    t->easy = curl_easy_init();
    curl_easy_setopt(t->easy, CURLOPT_URL, url);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, swallow);
    curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, 5000L);
    curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    http_gate_apply(&t->gate, t->easy);
}

static char *
url_of(const struct http_receiver *r, const char *host, char out[128])
{
    snprintf(out, 128, "http://%s:%d/", host, http_receiver_port(r));
    return out;
}

static void
what_is_not_allowed_is_never_connected_to(void **state)
{
    static const struct {
        const char *host;
        bool allow_private, allow_link_local, passes;
    } cases[] = {
        {"127.0.0.1", true, false, true},          {"127.0.0.1", false, false, false},
        {"127.0.0.1", false, true, false},         {"localhost", false, false, false},
        {"0x7f.1", false, false, false},           {"2130706433", false, false, false},
        {"0.0.0.0", false, false, false},          {"[::ffff:127.0.0.1]", false, false, false},
        {"[::ffff:127.0.0.1]", true, false, true}, {"[::1]", false, false, false},
        {"169.254.169.254", true, false, false},   {"169.254.169.254", false, true, false},
        {"[fe80::1]", true, false, false},         {"[fd00:ec2::254]", true, false, false},
        {"255.255.255.255", true, true, false},
    };
    struct http_receiver *r = http_receiver_new();
    size_t expected = 0;
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct trip t;
        char url[128];
        CURLcode result;
        trip_init(&t, url_of(r, cases[i].host, url));
        t.gate.allow_private = cases[i].allow_private;
        t.gate.allow_link_local = cases[i].allow_link_local;
        result = curl_easy_perform(t.easy);
        expected += cases[i].passes;
        if ((result == CURLE_OK) != cases[i].passes)
            fail_msg("%s: %s", url, curl_easy_strerror(result));
        assert_int_equal(t.gate.refused[0] == '\0', cases[i].passes);
        curl_easy_cleanup(t.easy);
    }
    assert_int_equal(http_receiver_connections(r), expected);
    http_receiver_free(r);
}

/* Whatever a resolver said before, or says to others: what counts is the address of the connection.
 */
static void
a_name_that_resolves_elsewhere_does_not_pass(void **state)
{
    struct http_receiver *r = http_receiver_new();
    struct curl_slist *answers;
    struct trip t;
    char entry[128], url[128];
    (void)state;
    trip_init(&t, url_of(r, "rebind.example", url));
    snprintf(entry, sizeof(entry), "rebind.example:%d:127.0.0.1", http_receiver_port(r));
    answers = curl_slist_append(NULL, entry);
    curl_easy_setopt(t.easy, CURLOPT_RESOLVE, answers);
    assert_int_not_equal(curl_easy_perform(t.easy), CURLE_OK);
    assert_non_null(strstr(t.gate.refused, "127.0.0.1"));
    assert_int_equal(http_receiver_connections(r), 0);
    t.gate.allow_private = true;
    assert_int_equal(curl_easy_perform(t.easy), CURLE_OK); /* it was the gate */
    curl_easy_cleanup(t.easy);
    curl_slist_free_all(answers);
    http_receiver_free(r);
}

static void
perform_in(CURLM *multi, struct trip *t)
{
    int running = 1;
    curl_multi_add_handle(multi, t->easy);
    while (running > 0) {
        curl_multi_perform(multi, &running);
        curl_multi_poll(multi, NULL, 0, 10, NULL);
    }
    curl_multi_remove_handle(multi, t->easy);
}

static void
a_kept_connection_of_another_does_not_pass(void **state)
{
    struct http_receiver *r = http_receiver_new();
    CURLM *multi = curl_multi_init();
    struct trip allowed, forbidden;
    char url[128];
    (void)state;
    trip_init(&allowed, url_of(r, "127.0.0.1", url));
    trip_init(&forbidden, url);
    allowed.gate.allow_private = true;
    perform_in(multi, &allowed);
    assert_int_equal(http_receiver_requests(r), 1);
    perform_in(multi, &forbidden);
    assert_int_equal(http_receiver_requests(r), 1);
    assert_non_null(strstr(forbidden.gate.refused, "127.0.0.1"));
    perform_in(multi, &allowed);
    assert_int_equal(http_receiver_requests(r), 2);
    curl_easy_cleanup(allowed.easy);
    curl_easy_cleanup(forbidden.easy);
    curl_multi_cleanup(multi);
    http_receiver_free(r);
}

static void
no_proxy_is_taken_from_the_environment(void **state)
{
    static const char *const names[] = {"http_proxy", "all_proxy", "ALL_PROXY", "https_proxy"};
    struct http_receiver *target = http_receiver_new(), *proxy = http_receiver_new();
    struct trip t;
    char url[128];
    (void)state;
    url_of(proxy, "127.0.0.1", url);
    for (size_t i = 0; i < countof(names); i++)
        setenv(names[i], url, 1);
    trip_init(&t, url_of(target, "127.0.0.1", url));
    t.gate.allow_private = true;
    assert_int_equal(curl_easy_perform(t.easy), CURLE_OK);
    assert_int_equal(http_receiver_requests(proxy), 0);
    assert_int_equal(http_receiver_requests(target), 1);
    for (size_t i = 0; i < countof(names); i++)
        unsetenv(names[i]);
    curl_easy_cleanup(t.easy);
    http_receiver_free(target);
    http_receiver_free(proxy);
}

static void
other_protocols_are_refused(void **state)
{
    static const char *const urls[] = {"file:///etc/passwd", "gopher://127.0.0.1/", "ftp://a/",
                                       "dict://127.0.0.1:1/"};
    (void)state;
    for (size_t i = 0; i < countof(urls); i++) {
        struct trip t;
        trip_init(&t, urls[i]);
        t.gate.allow_private = true;
        assert_int_equal(curl_easy_perform(t.easy), CURLE_UNSUPPORTED_PROTOCOL);
        curl_easy_cleanup(t.easy);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_of_their_kind),
        cmocka_unit_test(only_web_addresses_with_a_host_are_accepted),
        cmocka_unit_test(what_is_not_allowed_is_never_connected_to),
        cmocka_unit_test(a_name_that_resolves_elsewhere_does_not_pass),
        cmocka_unit_test(a_kept_connection_of_another_does_not_pass),
        cmocka_unit_test(no_proxy_is_taken_from_the_environment),
        cmocka_unit_test(other_protocols_are_refused),
    };
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
