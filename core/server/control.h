/* The Unix socket that commands talk to: one JSON request line {"operation","arguments"}, then one
 * line a row {"row":{…}}, and a last line {"done":true} or {"error":{…}}. No password: only the
 * folder's owner can open it (design/operation.md §2). Each connection has a thread, at most 16 at
 * once, so that a slow reader holds up nobody; who asks nothing within 10 s is cut off. */
#ifndef SERVER_CONTROL_H
#define SERVER_CONTROL_H

#include "workspace/workspace.h"

struct control;

/* Binds the socket of the workspace, which has started, and serves it. Main thread. */
struct control *control_open(struct workspace *w, struct error *err) must_check;
/* Refuses new work, cuts connections, waits for their threads. */
void control_close(struct control *c);

/* The other end: asks the daemon of a folder. Each row is handed to `row` (-1 from it ends early);
 * 1: the daemon answered (the outcome is in *result and err), 0: no daemon runs there. */
typedef int control_row(void *context, const struct value *row, struct slice json);
int control_ask(const char *folder, const char *operation, const struct value *arguments,
                control_row *row, void *context, int *result, struct error *err) must_check;

#endif
