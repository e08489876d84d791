/* The Lua VM that rules run in: one per worker thread, sandboxed by allow-list, entered only
 * through one protected gate. What scripts register comes out as plain values (base/value.h); what
 * they send goes out through vm_host, filled by rules. Scripts never see C objects but the lazy
 * event.
 *
 * One VM belongs to one thread at a time. */
#ifndef SCRIPT_VM_H
#define SCRIPT_VM_H

#include "base/value.h"
#include "event/event.h"

struct vm;

/* A send() of a script; all on loan for the call. */
enum vm_body { VM_TEXT, VM_TABLE, VM_EVENT };
struct vm_send {
    struct slice channel;
    enum vm_body kind;
    struct slice body;           /* TEXT: the text; TABLE: JSON */
    struct event *event;         /* the event being handled */
    const struct value *options; /* a VALUE_MAP or NULL */
};

/* What the VM asks of those above it. An error here becomes a Lua error in the script. */
struct vm_host {
    void *context;
    int (*send)(void *context, const struct vm_send *send, struct error *err);
    /* Compiled-once rendering of a template text for render(). */
    int (*render)(void *context, struct slice text, struct event *event, struct buffer *out,
                  struct error *err);
    /* The text of a module that a script requires, by path ("scripts/lib/money.lua"); on loan for
     * the load. */
    int (*module)(void *context, struct slice path, struct slice *text, struct error *err);
};

/* What a script registered: by rule(name, table) or on([name,] pattern, ops, fn), the latter made
 * into the same table {on, ops, run}. Lives as long as the VM. */
struct vm_rule {
    const char *name;   /* full: "orders/big-orders" (script path without scripts/ and .lua) */
    const char *script; /* "scripts/orders.lua" */
    int line;           /* of the call */
    bool anonymous;     /* named #1, #2 … */
    const struct value *table; /* VALUE_MAP; functions as VALUE_FUNCTION */
};

struct vm *vm_new(const struct vm_host *host, struct error *err) must_check;
void vm_free(struct vm *vm);

/* Compiles and runs one script in register-only mode with its own _ENV. `path` names it in messages
 * ("scripts/orders.lua"). On failure nothing of it stays registered: ERROR_DATA with file, line and
 * the source line in the cause. */
int vm_load(struct vm *vm, const char *path, struct slice text, struct error *err) must_check;

size_t vm_rules(const struct vm *vm, const struct vm_rule **out);

/* Which modules each script asked for, those that are not there or do not load included: when one
 * changes, these scripts have to be loaded again. Also of scripts that failed. */
struct vm_required {
    const char *script, *module; /* paths */
};
size_t vm_required(const struct vm *vm, const struct vm_required **out);

/* Whose functions are called from now on: a rule's full name for the log, or NULL; and the columns
 * that its messages may carry (NULL: all), which hold for e:row_table and e:json. On loan. */
void vm_name(struct vm *vm, const char *rule, const char *const *columns, size_t count);

/* Calls into functions of a rule's table, all through the gate. 0, or -1 with ERROR_DATA: message
 * with file:line, traceback as the cause. */
int vm_when(struct vm *vm, const struct value *function, struct event *e, bool *answer,
            struct error *err) must_check;
int vm_run(struct vm *vm, const struct value *function, struct event *e,
           struct error *err) must_check;

/* The result of a message function, valid until the next call. */
struct vm_message {
    enum { VM_NOTHING, VM_SAYS_TEXT, VM_SAYS_TABLE, VM_SAYS_EVENT } kind;
    struct slice body; /* text, or JSON of a table */
};
int vm_message(struct vm *vm, const struct value *function, struct event *e, struct vm_message *out,
               struct error *err) must_check;

/* The filter of templates that `script` (its path) registered by filter(name, function), or NULL. */
const struct value *vm_filter(const struct vm *vm, const char *script, struct slice name);

/* One use of a filter; also while a handler is under way that renders, within its budget then. */
struct vm_filter_use {
    const struct value *function;
    const struct cell *args; /* the value, then what stands in the template's brackets */
    size_t count;
    unsigned ms; /* CPU time that it may use, where no handler is under way */
};
/* The result's text lies in `out`, which is empty. */
int vm_filter_apply(struct vm *vm, const struct vm_filter_use *use, struct buffer *out,
                    struct cell *result, struct error *err) must_check;

size_t vm_memory(const struct vm *vm); /* bytes in use by Lua */

/* Do the scripts hold more than a VM may have, after a full collection? Known after each call. */
bool vm_is_full(const struct vm *vm);
/* Between two events: a VM with the same scripts loaded anew, which takes over the rules, so that
 * pointers into them stay right; the old one is gone. `*grown` is the path of the script that grew
 * most since it was loaded, or NULL when that can't be told. On failure NULL, and the old one
 * stays. */
struct vm *vm_renew(struct vm *vm, const char **grown, struct error *err) must_check;

/* tidegate.lua: evaluated in a VM of its own that knows source channel settings env null decimal,
 * then thrown away. Each call becomes one declaration, in order. Values live in `arena`. */
struct declaration {
    const char *kind; /* "source", "channel", "settings" */
    const char *name; /* "" for settings */
    int line;
    struct value table;
};
int declare_load(const char *path, struct slice text, struct arena *arena, struct declaration **out,
                 size_t *count, struct error *err) must_check;

#endif
