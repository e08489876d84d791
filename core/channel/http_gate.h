/* The one gate of all outgoing HTTP (design/operation.md §5): http and https only, no redirects, no
 * proxy from the environment, and an address may be reached only if its kind is allowed. The check
 * is made on the address that is really being connected to, after resolving, and again before a
 * request goes over a connection that somebody else opened; so no DNS answer and no reuse gets past
 * it. */
#ifndef CHANNEL_HTTP_GATE_H
#define CHANNEL_HTTP_GATE_H

#include <curl/curl.h>
#include <sys/socket.h>
#include "base/error.h"

enum address_kind {
    ADDRESS_PUBLIC,
    ADDRESS_PRIVATE,    /* loopback, private, carrier, documentation, benchmark: not the internet */
    ADDRESS_LINK_LOCAL, /* link-local, and where clouds serve metadata with credentials in it */
    ADDRESS_NEVER,      /* multicast, broadcast, reserved, not an IP address */
};

/* IPv4 inside IPv6 (mapped, compatible, NAT64, 6to4) counts as the IPv4 address. */
enum address_kind http_gate_address(const struct sockaddr *address);

struct http_gate {
    bool allow_private;
    bool allow_link_local;
    char refused[160]; /* what was refused and why; "" when nothing was */
};

/* Sets what the gate needs on `easy`; `gate` stays on loan. The caller empties `refused` before
 * each transfer and looks at it after a failed one. */
void http_gate_apply(struct http_gate *gate, CURL *easy);

/* ERROR_CONFIG when `url` is no http or https URL with a host. Never prints the URL: it may hold a
 * secret. `what` names the owner. */
int http_gate_url(const char *url, const char *what, struct error *err) must_check;

#endif
