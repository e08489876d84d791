/* What the files of core/script share: the VM's inside, the gate, conversion. Not for others. */
#ifndef SCRIPT_SCRIPT_PRIVATE_H
#define SCRIPT_SCRIPT_PRIVATE_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/buffer.h"
#include "base/error.h"
#include "base/log.h"
#include "script/vm.h"

#define BUDGET_MEMORY   (64 << 20) /* bytes of one VM */
#define BUDGET_CALL     (16 << 20) /* bytes that one call of a rule may add */
#define BUDGET_CALL_MS  500        /* CPU time of one call of a rule */
#define BUDGET_WARN_MS  50         /* … that is worth a warning */
#define BUDGET_LOAD_MS  2000       /* … of loading a script */
#define BUDGET_WHOLE_MS 60000      /* … of a call that is handed events one by one */
#define BUDGET_TEXT     (8 << 20)  /* bytes of one text that a library function makes */

/* The thread sanitizer does not see Lua's longjmp: a frame of ours that one leaves stays on its
 * shadow stack for good, which has room for 65,536. Functions that a script leaves in this way in a
 * loop are hidden from it. */
#if defined(__SANITIZE_THREAD__)
#define left_by_longjmp __attribute__((no_sanitize("thread")))
#else
#define left_by_longjmp
#endif

/* What a script may do depends on why it runs. */
enum vm_phase {
    PHASE_NONE,    /* no script runs */
    PHASE_LOAD,    /* top level: only registration */
    PHASE_WHEN,    /* a condition: reads only */
    PHASE_RUN,     /* a handler: may send */
    PHASE_MESSAGE, /* a message function: reads only */
    PHASE_FILTER,  /* a template's filter: of its values alone */
};

/* vm_new, or a VM for tidegate.lua whose declarations go into an arena. */
struct vm *vm_new_for(const struct vm_host *host, struct arena *declared_in,
                      struct error *err) must_check;

struct vm_filter {
    const char *script; /* path */
    const char *name;
    struct value function;
};

struct vm_text {
    const char *path;
    struct slice text;
};

/* What the call under way may use. Written by its thread, and by a signal handler in that thread.
 */
struct budget {
    lua_State *running;                  /* the coroutine that is at work; the main one otherwise */
    volatile bool expired;               /* over its time: nothing of the call goes on */
    volatile uint64_t call, seen;        /* number of the call; of the one that `used` is of */
    volatile unsigned ticks, used;       /* CPU time that it may use; has used */
    volatile unsigned whole, whole_used; /* of a call of several parts: all of it; 0: no bound */
    volatile unsigned over;              /* ticks since it went over */
    int64_t started, whole_started;      /* thread sanitizer only: CPU time, ms */
    size_t steps;                        /* of our own loops since they asked last */
    size_t memory, memory_most;          /* bytes of Lua in use; may be in use */
};

/* How much each origin has logged within the second that began at `since`. */
struct vm_log_rate {
    int64_t since; /* clock_mono */
    unsigned lines, left_out;
};

#define VM_LOG_RATES 64 /* origins share them by hash */

struct vm {
    lua_State *lua;
    struct budget budget;
    struct vm_host host;
    struct arena arena; /* rules' tables and names, script texts */
    struct vm_rule *rules;
    size_t rule_count, rule_room;
    struct vm_text *texts; /* of the loaded scripts, to quote lines from */
    size_t text_count, text_room;
    struct vm_required *required; /* by which script, each once */
    size_t required_count, required_room;

    struct vm_filter *filters;
    size_t filter_count, filter_room;

    enum vm_phase phase;
    const char *script;         /* under load: its path */
    const char *stem;           /* … and its part of full names */
    unsigned anonymous;         /* … and how many on() without a name it had */
    const char *rule;           /* whose functions are called, for the log; or NULL */
    const char *const *columns; /* what that rule's messages may carry; NULL: all */
    size_t column_count;
    struct vm_log_rate log_rates[VM_LOG_RATES];

    struct event *event;        /* of the call under way; NULL between calls */
    const struct schema *bound; /* whose columns the row objects know */
    struct slice null_column;   /* the last column read as NULL in this call */
    char traceback[1024];       /* of the newest error */
    struct buffer scratch;      /* JSON of tables, texts */
    struct buffer rendering;    /* of render(), while filters use the scratch */
    struct arena call;          /* values of one call */

    uint64_t random[4]; /* state of math.random */
    bool seeded;        /* … for this call */
    bool full;          /* over BUDGET_MEMORY after a full collection */
    int64_t warned;     /* when a slow call was logged, clock_mono */

    struct arena *declared_in; /* tidegate.lua: where values go; else NULL */
    struct declaration *declared;
    size_t declared_count, declared_room;
};

/* Registry slots, fixed at vm_new so that calls need no names. */
enum vm_slot {
    SLOT_HANDLER =
        LUA_RIDX_LAST + 2, /* message handler of the gate; the slot before it is luaL_ref's */
    SLOT_EVENT,            /* the event object, one per VM, re-aimed at each call */
    SLOT_ROW_NEW,
    SLOT_ROW_OLD,
    SLOT_ROW_INDEX, /* row_index, whose upvalue is the columns of the bound schema */
    SLOT_COLUMNS,   /* schema pointer -> {column name -> index} */
    SLOT_CALL_META,
    SLOT_LIST_META, /* marks lists that came from documents, so that empty ones stay lists */
    SLOT_GLOBALS,   /* what every script sees */
    SLOT_LAST,
};

/* Keeps the text of that path, to quote lines from; both are copied, a path once. */
void vm_remember_text(struct vm *vm, const char *path, struct slice text);

static inline struct vm *
vm_of(lua_State *L)
{
    return *(struct vm **)lua_getextraspace(L);
}

/* Calls the function below `nargs` arguments on the stack, protected, with the traceback handler.
 * On failure the stack is as before the function was pushed, and err says what. */
int gate_call(struct vm *vm, int nargs, int nresults, struct error *err) must_check;

/* The same for the path of every event: the handler lies below the function already, and stays
 * there below the results. After a failure the stack is unspecified. */
int gate_enter(struct vm *vm, int nargs, int nresults, struct error *err) must_check;

/* Runs `body` (a C function of ours that may raise) protected, with `arg` as light userdata. */
int gate_run(struct vm *vm, lua_CFunction body, void *arg, struct error *err) must_check;

/* Around each entry into Lua: at most `ms` of CPU time and `memory` more bytes. budget_end says
 * whether the time was up. */
void budget_begin(struct vm *vm, unsigned ms, size_t memory);
bool budget_end(struct vm *vm);
/* For a call that is handed one event after the other: `ms` for each part, budget_again between
 * them, and `whole_ms` for all. */
void budget_begin_whole(struct vm *vm, unsigned ms, unsigned whole_ms, size_t memory);
void budget_again(struct vm *vm);
unsigned budget_used(const struct vm *vm); /* CPU time of the newest call or part, ms */
int budget_words(const struct vm *vm, char *out, size_t size); /* what a call is ended with */
/* Raises if the call under way is out of time. */
void budget_check(lua_State *L);
/* After a protected call failed, with the error on top: raises it again if the call under way is
 * out of time, so that nothing of the script's goes on. */
void budget_rethrow(lua_State *L);

/* Our own loops report how far they went and ask each 1,024 steps. */
static inline void
budget_steps(lua_State *L, struct budget *budget, size_t steps)
{
    if ((budget->steps += steps) >= 1024)
        budget_check(L);
}

/* Around each switch to a coroutine; gives back what budget_leave wants. */
lua_State *budget_enter(struct vm *vm, lua_State *coroutine);
void budget_leave(struct vm *vm, lua_State *before);
void *budget_alloc(void *context, void *old, size_t old_size, size_t size); /* lua_Alloc */

/* Pushes the message handler's traceback function into SLOT_HANDLER. */
void gate_open(lua_State *L);

/* Lua value at `index` to a value tree in `arena`; raises a Lua error that begins with `what` on a
 * cycle, excessive depth or a type that has no place there. May raise. */
void convert_value(lua_State *L, int index, struct arena *arena, const char *what,
                   struct value *out);
/* A table (or any value) as JSON; sorted keys; raises. */
void convert_json(lua_State *L, int index, struct buffer *out, const char *what);
/* A value tree as Lua; JSON null becomes `null`. Raises only for want of memory. */
void convert_push(lua_State *L, const struct value *value);
/* JSON text as Lua; raises when it is no JSON. */
void convert_push_json(lua_State *L, struct slice json);

/* The `null` of scripts. */
void null_push(lua_State *L);
bool null_is(lua_State *L, int index);

/* The line of the script that called the running C function; 0: none is to be seen. */
int line_of_caller(lua_State *L);
/* The same, of the script under load where a module of its stands between. */
int line_of_script(lua_State *L);

/* The text of an error as a Lua error, never returning. */
int raise_error(lua_State *L, const struct error *err);

/* Put our own forms of library functions into the table of globals; into the library on top. */
void bind_base_open(lua_State *L, int globals);
void bind_coroutine_open(lua_State *L);
void bind_order_open(lua_State *L, int globals); /* pairs, math.random */
void bind_string_open(lua_State *L);
void bind_table_open(lua_State *L);
void sandbox_open(lua_State *L);        /* fills SLOT_GLOBALS */
void sandbox_environment(lua_State *L); /* pushes a fresh _ENV for one script */

void bind_event_open(lua_State *L);
struct event *bind_event_check(lua_State *L, int index); /* the running event, or raises */
bool bind_event_is(lua_State *L, int index);
void bind_row_open(lua_State *L);
void bind_row_push_cell(lua_State *L, const struct cell *cell);
/* Raises when the cell is neither a value nor NULL; the column's name is at `name`. */
void bind_row_check_there(lua_State *L, const struct cell *cell, int name);
/* The image as a table of the script's own: `null` for NULL, without what the log does not carry.
 */
void bind_row_push_table(lua_State *L, struct event *e, enum event_image image);
bool bind_row_is(lua_State *L, int index, enum event_image *image); /* e.new, e.old */
/* The column of that name in the running event, or raises with a suggestion. */
unsigned bind_row_column(lua_State *L, int index);
void bind_decimal_open(lua_State *L);
void bind_decimal_push(lua_State *L, struct slice text);
bool bind_decimal_text(lua_State *L, int index, struct slice *out);
/* Are these two numbers, one of them a decimal at least, of the same value? */
bool bind_decimal_same(lua_State *L, int a, int b);
/* A number text as Lua sees it (language.md §5): integer, float, decimal, or the server's own text.
 */
void bind_decimal_number(lua_State *L, struct slice text);
void bind_log_open(lua_State *L);                     /* log print */
void bind_json_open(lua_State *L);                    /* json */
void bind_time_open(lua_State *L);                    /* time */
void bind_require_environment(lua_State *L, int env); /* require, for one script */
void bind_filter_open(lua_State *L);                  /* filter */
void bind_rule_open(lua_State *L);                    /* rule on send render, conditions, null */
void bind_condition_open(lua_State *L);               /* gt … into the table on top */
int bind_path_get(lua_State *L);                      /* e:get(path) */
void bind_declare_open(lua_State *L);                 /* source channel settings env */

#endif
