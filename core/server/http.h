/* The web server on port 5858: for now it says whether the daemon lives and is ready, and names
 * what is missing. libmicrohttpd behind this small face. */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include "workspace/workspace.h"

struct http_server;

/* Binds at once, so that a taken port fails the start: ERROR_SYSTEM naming who holds it and -p. The
 * address must be loopback until logins are built, else ERROR_REFUSED. */
struct http_server *http_open(const char *bind, int64_t port, struct error *err) must_check;
/* From now on /readyz asks this workspace; NULL: not ready. */
void http_serve(struct http_server *s, struct workspace *w);
void http_close(struct http_server *s);

#endif
