/* What the files of core/rules share of a generation. Not for others. */
#ifndef RULES_RULES_PRIVATE_H
#define RULES_RULES_PRIVATE_H

#include <pthread.h>
#include "base/clock.h"
#include "event/template.h"
#include "rules/matcher.h"

enum {
    RULES_PLANS = 256,     /* buckets of plans */
    RULES_SENDS = 1000,    /* one rule, one event */
    RULES_BODY = 1 << 20,  /* bytes of one message that a script makes */
    RULES_SENT = 16 << 20, /* bytes of all messages of one rule on one event */
    RULES_RENDERED = 256,  /* templates that render() keeps compiled */
    RULES_FILTER_MS = 500, /* CPU time of filters of scripts for one rule and event */
    RULES_SHAPES = 256,    /* different shapes that send() may ask for */
};

/* A rule at work on an event: what it sends becomes part of the draft, or goes with it. */
struct rules_run {
    struct rule *rule;
    struct event *event;
    struct outbox_draft *draft;
    uint32_t sends;
    size_t bytes;
    bool failed; /* a send has: rules.failure is of the first */
    int64_t filter_us; /* CPU time that filters of scripts have used in its templates */
};

struct rules_rendered {
    uint64_t hash;
    const char *script; /* whose filters it has */
    char *text;
    size_t size;
    struct template *template;
};

struct rules {
    struct rules_world world;
    struct arena arena;  /* lives as long as the generation: rules, shapes */
    struct arena tables; /* lists of rules_tables; under the lock */
    struct vm *vm;
    struct rule *list; /* in order of file, then registration */
    size_t count;
    struct slice consumer;       /* part of message ids */
    struct rules_broken *broken; /* scripts that could not be loaded at all */

    struct matcher_plan *plans[RULES_PLANS]; /* by schema number; added under the lock */
    uint64_t *candidates;                    /* bits, for as many rules as there are */
    struct rules_run run;
    struct error error, failure; /* here because they are large: of the rule, of its sends */
    struct buffer event_id, body, options, json, fields;
    struct rules_rendered rendered[RULES_RENDERED];
    struct template_host filters;
    struct template_space *space;
    const struct event_shape *shapes[RULES_SHAPES]; /* that send() asked for */
    size_t shape_count;
    _Atomic uint64_t entered; /* calls into Lua */
    pthread_mutex_t lock;     /* plans' list, texts of rules */
};

/* A script without rules of its own, for rules_status. */
struct rules_broken {
    const char *script;
    char problem[512];
    struct rules_broken *next;
};

/* The plan of a schema, made at first sight. */
struct matcher_plan *rules_plan(struct rules *r, const struct schema *schema);
/* May an event of this op concern a rule? True for schemas not yet seen. */
bool rules_wants(struct rules *r, uint64_t schema, enum event_op op);

/* Puts script, line and name of the rule before the message. Returns -1. */
int rules_name(const struct rule *rule, struct error *err);

/* As rules_event, with the id that the event's messages are made from. */
void dispatch_event(struct rules *r, struct event *e, struct outbox_draft *draft);

/* For vm_host. */
int dispatch_send(void *context, const struct vm_send *send, struct error *err);
int dispatch_render(void *context, struct slice text, struct event *e, struct buffer *out,
                    struct error *err);
void dispatch_release(struct rules *r); /* frees what render() compiled */

/* filter.c, for template_host: what scripts registered by filter(name, function). */
const void *filter_find(void *context, const char *script, struct slice name);
int filter_apply(void *context, const void *filter, const struct cell *args, size_t count,
                 struct buffer *out, struct cell *result, struct error *err);

#endif
