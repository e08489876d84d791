/* Templates: the texts of messages with places for an event's values (design/language.md §4).
 *
 *     Order {{id}} for {{amount | money("EUR")}} in {{city | default("–")}}
 *     {{#changed}}{{column}}: {{old}} → {{new}}
 *     {{/changed}}{{#items}}{{qty}} × {{sku}} {{/items}}{{^note}}No note.{{/note}}
 *
 * A bare name is a column of the event's row, except the built-in names operation op schema_name
 * table_name source key ddl count. `row.x new.x old.x key.x` say which row; `event.x` is about the
 * event: id lsn op source driver schema table ts ts_us tx position key ddl meta prefix content. A
 * dot leads into a document, `meta.plan.seats`, `items.1.sku` (json_path.h). NULL, absent,
 * unchanged without an old value and unknown print nothing.
 *
 * `{{#x}}…{{/x}}` stands once for each entry of a list, once for any other value, and not at all
 * for NULL, absent, false, an empty text or an empty list; `{{^x}}…{{/x}}` is the opposite. Within,
 * `.` is the entry and `.sku` its field; a bare name is a field of the entry where it has one, else
 * of the section around, else what it is outside. `{{#changed}}` stands once for each column that
 * an update changed and has column, old and new. A section's mark alone on its line leaves no line.
 *
 * Filters, from left to right, with texts in quotes, numbers, or names for what differs by row:
 *     upper lower trim            texts
 *     replace("a", "b")           each "a"
 *     truncate(80 [, "…"])        at most so many characters, the ending among them
 *     default("–")                where nothing would be printed
 *     number(2)                   so many places, rounded half up, exactly
 *     money("EUR")                1,234.50 EUR; the currency's places; a sign goes first: $1,234.50
 *     date time date("%d.%m.%Y")  UTC, as clock_print has it
 *     ago                         3 hours ago, in 2 days; by the rule's clock
 *     join(", ") count            of a list
 *     json html slack url base64  the text as it has to stand there; only json and url can follow
 * and what scripts add by filter(name, function). Times are a database's, texts that clock_parse
 * reads, or numbers since 1970: seconds below 10^11, milliseconds below 10^14, else microseconds.
 * What a filter can make nothing of it leaves as it is.
 *
 * A template is compiled once and then only read: any number of threads may share it. */
#ifndef EVENT_TEMPLATE_H
#define EVENT_TEMPLATE_H

#include "event/event.h"

#define TEMPLATE_BYTES    (64 * 1024) /* the longest text of a template */
#define TEMPLATE_SECTIONS 8           /* within each other */
#define TEMPLATE_FILTERS  8           /* of one place */
#define TEMPLATE_WORK     (64 << 20)  /* of one rendering: bytes read and written, 32 a place */

struct template;

/* Where the rendered text goes, which decides how values are escaped. What the template itself says
 * is never touched, nor is what a filter has made for that very place. But for DATA, JSON, HTML and
 * URL no value can make a mention that pings: a zero-width space stands in @everyone and <!here>.
 */
enum template_escape {
    TEMPLATE_PLAIN, /* people read it: control characters but newline and tab are left out */
    TEMPLATE_LINE,  /* the same on one line, such as a subject */
    TEMPLATE_DATA,  /* machines read it, such as a key: exact, but without control characters */
    TEMPLATE_JSON,  /* it is JSON, and places stand inside its strings */
    TEMPLATE_HTML,  /* in the text, or in an attribute's quotes */
    TEMPLATE_SLACK, /* Slack's mrkdwn: & < > are escaped too */
    TEMPLATE_URL,   /* part of a path or query */
};

/* Filters that are not ours: of scripts, whose language event does not know. */
struct template_host {
    void *context;
    /* The filter of that name which `script` made, or NULL. At compile time. */
    const void *(*find)(void *context, const char *script, struct slice name);
    /* args[0] is the value, never without one, then what stands in brackets. The result's text may
     * lie in `out`, which is empty. */
    int (*apply)(void *context, const void *filter, const struct cell *args, size_t count,
                 struct buffer *out, struct cell *result, struct error *err);
};

/* `where` is "file:line" for messages. `text` and `where` are copied. NULL with ERROR_DATA, or
 * ERROR_REFUSED for what the design names and is not built yet. */
struct template *template_compile(struct slice text, const char *where,
                                  struct error *err) must_check;

/* The same for a script, whose own filters may stand in it. */
struct template_source {
    struct slice text;
    const char *where;
    const char *script;               /* its path, for host->find */
    const struct template_host *host; /* NULL: no filters but ours */
};
struct template *template_compile_for(const struct template_source *source,
                                      struct error *err) must_check;
void template_free(struct template *t); /* NULL is fine */

bool template_has_filter(struct slice name); /* is it one of ours? */

/* Does this table have every column that is named? ERROR_DATA with "did you mean" if not. Names
 * that may be fields of a list's entries are not looked for. */
int template_check(const struct template *t, const struct schema *schema,
                   struct error *err) must_check;

/* Which row a named column is of. */
enum template_row {
    TEMPLATE_ROW, /* bare, or row.x */
    TEMPLATE_NEW,
    TEMPLATE_OLD,
    TEMPLATE_KEY, /* also has to be a column of the key */
};

struct template_name {
    enum template_row row;
    struct slice name; /* with the path into a document, if there is one */
};

/* The columns that are named, each once a row, in order of appearance; returns how many. The list
 * lives as long as the template. */
size_t template_names(const struct template *t, const struct template_name **out);

/* Does it print an old value? Then a table whose log has none gets a problem, not an empty text. */
bool template_needs_old(const struct template *t);
/* Does it have {{#changed}}? */
bool template_lists_changes(const struct template *t);

/* Memory that renderings of one thread use again and again. */
struct template_space;
struct template_space *template_space_new(void);
void template_space_free(struct template_space *space); /* NULL is fine */

struct template_call {
    struct event *event;
    enum template_escape escape;
    int64_t now;                /* the rule's clock, for `ago` */
    const char *const *columns; /* what {{#changed}} may show; NULL: all */
    size_t column_count;
    const struct template_host *host; /* as at compile time; NULL if that was NULL */
    struct template_space *space;     /* NULL: one for this call alone */
};

/* Appends the text for one event. -1 leaves `out` as it was: ERROR_DATA when the event's table
 * lacks a column, or an update's log did not carry an old value that is asked for without a
 * default; ERROR_FULL when out->limit is reached, ERROR_BUDGET when TEMPLATE_WORK is; or what
 * host->apply says. */
int template_render(const struct template *t, const struct template_call *call, struct buffer *out,
                    struct error *err) must_check;

#endif
