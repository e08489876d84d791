#include "channel/http_gate.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

struct range {
    const char *first;
    unsigned bits;
    enum address_kind kind;
};

/* The first that holds decides, so single addresses stand before the networks around them. */
static const struct range v4_ranges[] = {
    {"100.100.100.200", 32, ADDRESS_LINK_LOCAL}, /* Alibaba's metadata */
    {"168.63.129.16", 32, ADDRESS_LINK_LOCAL},   /* Azure's */
    {"192.0.0.192", 32, ADDRESS_LINK_LOCAL},     /* Oracle's */
    {"169.254.0.0", 16, ADDRESS_LINK_LOCAL},     /* everybody else's */
    {"0.0.0.0", 8, ADDRESS_PRIVATE},             /* connects to this host */
    {"10.0.0.0", 8, ADDRESS_PRIVATE},
    {"100.64.0.0", 10, ADDRESS_PRIVATE},
    {"127.0.0.0", 8, ADDRESS_PRIVATE},
    {"172.16.0.0", 12, ADDRESS_PRIVATE},
    {"192.0.0.0", 24, ADDRESS_PRIVATE},
    {"192.0.2.0", 24, ADDRESS_PRIVATE},
    {"192.88.99.0", 24, ADDRESS_PRIVATE},
    {"192.168.0.0", 16, ADDRESS_PRIVATE},
    {"198.18.0.0", 15, ADDRESS_PRIVATE},
    {"198.51.100.0", 24, ADDRESS_PRIVATE},
    {"203.0.113.0", 24, ADDRESS_PRIVATE},
    {"224.0.0.0", 3, ADDRESS_NEVER},
};

static const struct range v6_ranges[] = {
    {"fd00:ec2::254", 128, ADDRESS_LINK_LOCAL}, /* AWS's metadata */
    {"fd20:ce::254", 128, ADDRESS_LINK_LOCAL},  /* Google's */
    {"fd00:42::42", 128, ADDRESS_LINK_LOCAL},   /* Scaleway's */
    {"::1", 128, ADDRESS_PRIVATE},
    {"::", 128, ADDRESS_PRIVATE},
    {"fe80::", 10, ADDRESS_LINK_LOCAL},
    {"fec0::", 10, ADDRESS_PRIVATE},
    {"fc00::", 7, ADDRESS_PRIVATE},
    {"64:ff9b:1::", 48, ADDRESS_PRIVATE},
    {"100::", 64, ADDRESS_PRIVATE},
    {"2001::", 23, ADDRESS_PRIVATE}, /* Teredo and other special purposes */
    {"2001:db8::", 32, ADDRESS_PRIVATE},
    {"3fff::", 20, ADDRESS_PRIVATE},
    {"5f00::", 16, ADDRESS_PRIVATE},
    {"ff00::", 8, ADDRESS_NEVER},
};

/* Where in an IPv6 address of that network an IPv4 address stands. */
static const struct embedding {
    const char *first;
    unsigned bits;
    unsigned at;
} embeddings[] = {
    {"::ffff:0:0", 96, 12}, {"::ffff:0:0:0", 96, 12}, {"64:ff9b::", 96, 12},
    {"::", 96, 12},         {"2002::", 16, 2},
};

static bool
in_range(const uint8_t *address, int family, const char *first, unsigned bits)
{
    uint8_t network[16];
    unsigned whole = bits / 8, rest = bits % 8;
    ensure(inet_pton(family, first, network) == 1);
    if (memcmp(address, network, whole) != 0)
        return false;
    return rest == 0 || (address[whole] ^ network[whole]) >> (8 - rest) == 0;
}

static enum address_kind
kind_in(const uint8_t *address, int family, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (in_range(address, family, ranges[i].first, ranges[i].bits))
            return ranges[i].kind;
    return ADDRESS_PUBLIC;
}

static enum address_kind
kind_of_v4(const uint8_t *address)
{
    return kind_in(address, AF_INET, v4_ranges, countof(v4_ranges));
}

static enum address_kind
kind_of_v6(const uint8_t *address)
{
    enum address_kind kind = kind_in(address, AF_INET6, v6_ranges, countof(v6_ranges));
    if (kind != ADDRESS_PUBLIC)
        return kind;
    for (size_t i = 0; i < countof(embeddings); i++)
        if (in_range(address, AF_INET6, embeddings[i].first, embeddings[i].bits))
            return kind_of_v4(address + embeddings[i].at);
    return ADDRESS_PUBLIC;
}

enum address_kind
http_gate_address(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return kind_of_v4((const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr);
    if (address->sa_family == AF_INET6)
        return kind_of_v6((const uint8_t *)&((const struct sockaddr_in6 *)address)->sin6_addr);
    return ADDRESS_NEVER;
}

static bool
passes(struct http_gate *gate, enum address_kind kind, const char *address)
{
    static const char *const words[] = {
        [ADDRESS_PRIVATE] = "is private: it needs allow_private",
        [ADDRESS_LINK_LOCAL] = "is link-local or serves metadata: it needs allow_private = true "
                               "on the channel",
        [ADDRESS_NEVER] = "can't be a server's",
    };
    const bool allowed[] = {
        [ADDRESS_PUBLIC] = true,
        [ADDRESS_PRIVATE] = gate->allow_private,
        [ADDRESS_LINK_LOCAL] = gate->allow_private && gate->allow_link_local,
        [ADDRESS_NEVER] = false,
    };
    if (!allowed[kind])
        snprintf(gate->refused, sizeof(gate->refused), "the address %s %s", address, words[kind]);
    return allowed[kind];
}

static const char *
address_text(const struct sockaddr *address, char *out, socklen_t size)
{
    const void *bytes = address->sa_family == AF_INET
                            ? (const void *)&((const struct sockaddr_in *)address)->sin_addr
                            : (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr;
    if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
        return "(no IP address)";
    return inet_ntop(address->sa_family, bytes, out, size);
}

static curl_socket_t
open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_gate *gate = context;
    char text[INET6_ADDRSTRLEN];
    if (purpose != CURLSOCKTYPE_IPCXN || !passes(gate, http_gate_address(&address->addr),
                                                 address_text(&address->addr, text, sizeof(text))))
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool
parse_address(const char *text, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    *out = (struct sockaddr_storage){.ss_family = AF_INET};
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        return true;
    out->ss_family = AF_INET6;
    return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
}

/* Connections are shared by all channels of the transfer thread: one that a channel with more
 * rights opened must not serve another. */
static int
before_request(void *context, char *peer, char *local, int peer_port, int local_port)
{
    struct sockaddr_storage address;
    enum address_kind kind = ADDRESS_NEVER;
    (void)local;
    (void)peer_port;
    (void)local_port;
    if (parse_address(peer, &address))
        kind = http_gate_address((const struct sockaddr *)&address);
    return passes(context, kind, peer) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

#define set(easy, option, value) ensure(curl_easy_setopt((easy), (option), (value)) == CURLE_OK)

void
http_gate_apply(struct http_gate *gate, CURL *easy)
{
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    set(easy, CURLOPT_PROXY, "");
    set(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    set(easy, CURLOPT_OPENSOCKETDATA, gate);
    set(easy, CURLOPT_PREREQFUNCTION, before_request);
    set(easy, CURLOPT_PREREQDATA, gate);
}

static bool
has_part(CURLU *parts, CURLUPart which)
{
    char *text = NULL;
    bool found = curl_url_get(parts, which, &text, 0) == CURLUE_OK && *text;
    curl_free(text);
    return found;
}

static bool
is_http(CURLU *parts)
{
    char *scheme = NULL;
    bool found = curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                 (!strcmp(scheme, "http") || !strcmp(scheme, "https"));
    curl_free(scheme);
    return found;
}

int
http_gate_url(const char *url, const char *what, struct error *err)
{
    CURLU *parts = curl_url();
    int result = 0;
    ensure(parts);
    if (curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        result = error_set(err, ERROR_CONFIG, "%s: this is no URL; write https://host/path", what);
    else if (!is_http(parts))
        result = error_set(err, ERROR_CONFIG, "%s: only http:// and https:// URLs", what);
    else if (!has_part(parts, CURLUPART_HOST))
        result = error_set(err, ERROR_CONFIG, "%s: the URL names no host", what);
    curl_url_cleanup(parts);
    return result;
}
