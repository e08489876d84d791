/* What a rule says: its `message` and `options`, as compiled templates or a function. What they
 * give for one event is a body and a JSON object of options for the channel. language.md §3. */
#ifndef RULES_WORDING_H
#define RULES_WORDING_H

#include "base/value.h"
#include "event/event_json.h"

struct template;
struct channel_driver;
struct template_call;
struct template_host;

enum wording_kind {
    WORDING_EVENT,    /* no message: the event itself */
    WORDING_TEXT,     /* a template, or a table of them */
    WORDING_FUNCTION, /* Lua decides */
    WORDING_BY,       /* each channel has its own */
};

struct wording_field {
    const char *name;
    struct template *template;
    unsigned escape; /* enum template_escape: where its text goes */
};

/* Of `{ by = { … } }`: what one channel, or all of one type, are sent. */
struct wording_choice {
    struct slice name; /* of a channel or a type, or "default" */
    struct wording *wording;
    bool used; /* a channel of the rule takes it */
};

struct wording {
    enum wording_kind kind;
    struct template *body;          /* TEXT */
    const struct value *function;   /* FUNCTION */
    struct wording_choice *choices; /* BY */
    size_t choice_count;
    struct wording_field *fields, *headers;
    size_t field_count, header_count, field_room;
    const char *format; /* of `options`: how an event is printed; NULL: as the channel has it */
    const char *const *columns; /* of `options` */
    size_t column_count;
};

/* Where a wording is at home: the script's own filters may stand in its templates. */
struct wording_home {
    struct arena *arena;
    const char *script;
    const struct template_host *host; /* NULL: no filters of scripts */
};

/* `message` and `options` as the rule has them, or NULL. Templates are freed by wording_release,
 * the rest lives in the home's arena; release also after a failure. */
int wording_compile(const struct value *message, const struct value *options,
                    const struct wording_home *home, struct wording *out,
                    struct error *err) must_check;
void wording_release(struct wording *w);

/* What that channel of the rule is sent: `w` itself, or one of its choices: the channel's, else its
 * type's, else the default. NULL with ERROR_DATA when there is none. */
const struct wording *wording_for(struct wording *w, struct slice channel, const char *type,
                                  struct error *err) must_check;
/* After the last channel: is there a choice that none of them takes? */
int wording_check_choices(const struct wording *w, struct error *err) must_check;

/* Do all templates suit this table? */
int wording_check(const struct wording *w, const struct schema *schema,
                  struct error *err) must_check;

/* The text of a TEXT wording into `body`, escaped as the call says, and the options into `options`
 * (nothing when there are none), each escaped for what it is. `*key_hash` is set when one of them
 * is `key`. Buffers are appended to. */
int wording_render(const struct wording *w, const struct template_call *call, struct buffer *body,
                   struct buffer *options, uint64_t *key_hash, struct error *err) must_check;

/* Options that a script gave with send(), a VALUE_MAP: checked, as JSON without those that only
 * shape an event, which go to `shape`. */
struct wording_shape {
    const struct value *format, *columns; /* or NULL */
};
int wording_options(const struct value *map, struct buffer *out, uint64_t *key_hash,
                    struct wording_shape *shape, struct error *err) must_check;

/* A table that a script made (JSON), for a channel that people read: its text goes into `body`, its
 * other fields into `options`, with those of `more` (JSON options or nothing) that it lacks. */
struct wording_split {
    struct slice table, more;
    const struct channel_driver *driver; /* must have a use for each field */
    struct buffer *body, *options;
};
int wording_table(const struct wording_split *split, uint64_t *key_hash,
                  struct error *err) must_check;

/* The format of that name, or -1 with a suggestion. */
int wording_format(struct slice name, struct error *err) must_check;

/* The ordering key that a `key` option stands for; never 0. */
uint64_t wording_key_hash(struct slice key);

#endif
