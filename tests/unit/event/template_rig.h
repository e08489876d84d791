/* One event of one table, and what templates make of it. */
#ifndef UNIT_EVENT_TEMPLATE_RIG_H
#define UNIT_EVENT_TEMPLATE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "event/template.h"
#include "support/event_make.h"

#define RIG_NOW INT64_C(1795243320000001) /* 2026-11-21T06:42:00.000001Z */

static struct buffer rig_out;
static struct template_space *rig_space;

/* The text, or the error's message as `!message`. */
static const char *
rig_render(const char *text, const struct template_call *call)
{
    struct error err = {0};
    struct template *t = template_compile(slice_of(text), "a.lua:3", &err);
    buffer_reset(&rig_out);
    if (!t || template_check(t, call->event->schema, &err) != 0 ||
        template_render(t, call, &rig_out, &err) != 0)
        buffer_printf(&rig_out, "!%s", err.message);
    template_free(t);
    return buffer_cstring(&rig_out);
}

static int
rig_start(void **state)
{
    (void)state;
    buffer_init(&rig_out, 1 << 20);
    rig_space = template_space_new();
    return 0;
}

static int
rig_stop(void **state)
{
    (void)state;
    buffer_release(&rig_out);
    template_space_free(rig_space);
    return 0;
}

#endif
