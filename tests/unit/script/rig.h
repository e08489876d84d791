/* A VM whose sends and renderings a test can read, and scripts of one handler. */
#ifndef UNIT_SCRIPT_RIG_H
#define UNIT_SCRIPT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/json.h"
#include "script/vm.h"
#include "support/event_make.h"

#define unused __attribute__((unused))

/* What the last handler sent: "channel=body;", events as <event>, options as JSON behind |. */
static struct buffer rig_sent;
static struct vm *rig_vm;
static unsigned rig_scripts;
static char rig_text[2300];

static unused int
rig_send(void *context, const struct vm_send *send, struct error *err)
{
    (void)context;
    if (slice_is(send->channel, "nope"))
        return error_set(err, ERROR_DATA, "there is no channel \"nope\"");
    buffer_slice(&rig_sent, send->channel);
    buffer_byte(&rig_sent, '=');
    if (send->kind == VM_EVENT)
        event_id(send->event, &rig_sent);
    else
        buffer_slice(&rig_sent, send->body);
    if (send->options) {
        buffer_byte(&rig_sent, '|');
        json_value(&rig_sent, send->options);
    }
    buffer_byte(&rig_sent, ';');
    return 0;
}

static unused int
rig_render(void *context, struct slice text, struct event *e, struct buffer *out, struct error *err)
{
    (void)context;
    if (slice_is(text, "bad"))
        return error_set(err, ERROR_DATA, "a bad template");
    buffer_slice(out, text);
    buffer_byte(out, '@');
    event_id(e, out);
    return 0;
}

/* Modules as "path", "text", …, NULL; what scripts may require. */
static const char *const *rig_modules;

static unused int
rig_module(void *context, struct slice path, struct slice *text, struct error *err)
{
    (void)context;
    for (const char *const *m = rig_modules; m && *m; m += 2)
        if (slice_is(path, *m)) {
            *text = slice_of(m[1]);
            return 0;
        }
    return error_set(err, ERROR_DATA, "there is no module %s", path.data);
}

static unused int
rig_setup(void **state)
{
    struct vm_host host = {.send = rig_send, .render = rig_render, .module = rig_module};
    struct error err = {0};
    (void)state;
    buffer_init(&rig_sent, 1 << 24);
    rig_vm = vm_new(&host, &err);
    return rig_vm ? 0 : -1;
}

static unused int
rig_teardown(void **state)
{
    (void)state;
    vm_free(rig_vm);
    buffer_release(&rig_sent);
    return 0;
}

/* Loads a script; NULL, or what is wrong with it as "message: cause (hint)". */
static unused const char *
rig_load(const char *path, const char *text)
{
    struct error err = {0};
    if (vm_load(rig_vm, path, slice_of(text), &err) == 0)
        return NULL;
    return error_text(&err, rig_text, sizeof(rig_text));
}

/* Runs `body` as a handler of `e`, in a script of its own; NULL, or what went wrong. */
static unused const char *
rig_run(struct event *e, const char *body)
{
    const struct vm_rule *rules;
    struct error err = {0};
    char path[64], *text;
    snprintf(path, sizeof(path), "scripts/t%u.lua", rig_scripts++);
    ensure(asprintf(&text, "on('r', 's:t', nil, function(e)\n%s\nend)", body) > 0);
    const char *wrong = rig_load(path, text);
    free(text);
    if (wrong)
        return wrong;
    size_t count = vm_rules(rig_vm, &rules);
    buffer_reset(&rig_sent);
    if (vm_run(rig_vm, value_get(rules[count - 1].table, "run"), e, &err) == 0)
        return NULL;
    return error_text(&err, rig_text, sizeof(rig_text));
}

/* An order as most tests want it: updated, with every kind of cell. */
static unused struct event
rig_event(void)
{
    const struct schema *schema =
        event_make_schema("shop", "main", "orders", "id:int:key", "status:text", "total:decimal",
                          "paid:bool:null", "weight:float", "doc:document", "photo:bytes",
                          "made:time", "note:text:null", "big:text:null", "old:text:null");
    struct event e =
        event_make(EVENT_UPDATE, schema, "17",
                   event_make_row("1", "'shipped'", "12.50m", "true", "1.5",
                                  "{\"a\":[1,2.5,null,{}],\"empty\":[]}", "x'00ff'",
                                  "@2026-11-21T06:42:00Z", "null", "unchanged", "unknown"),
                   event_make_row("1", "'packed'", "12.50m", "true", "1.5",
                                  "{\"a\":[1,2.5,null,{}],\"empty\":[]}", "x'00ff'",
                                  "@2026-11-21T06:42:00Z", "null", "absent", "absent"));
    e.lsn = 7;
    e.tx_id = slice_literal("tx9");
    e.tx_index = 2;
    e.tx_last = true;
    e.meta = slice_literal("{\"user\":\"ann\"}");
    return e;
}

/* Each expression as send('x', tostring(expression)) gives it; or the words of its failure. */
struct rig_row {
    const char *expression, *text; /* text of a failure begins with ! */
};

static unused void
rig_check(struct event *e, const struct rig_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char body[1024], expected[1024];
        snprintf(body, sizeof(body), "send('x', tostring(%s))", rows[i].expression);
        const char *wrong = rig_run(e, body);
        if (rows[i].text[0] == '!') {
            if (!wrong || !strstr(wrong, rows[i].text + 1))
                fail_msg("%s: %s", rows[i].expression, wrong ? wrong : buffer_cstring(&rig_sent));
            continue;
        }
        snprintf(expected, sizeof(expected), "x=%s;", rows[i].text);
        if (wrong || strcmp(buffer_cstring(&rig_sent), expected) != 0)
            fail_msg("%s: %s", rows[i].expression, wrong ? wrong : buffer_cstring(&rig_sent));
    }
}

#endif
