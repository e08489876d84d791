/* What the parts of a template share: the compiled form, values on their way, filters by name. Only
 * for core/event/template*.c. */
#ifndef EVENT_TEMPLATE_PART_H
#define EVENT_TEMPLATE_PART_H

#include "base/arena.h"
#include "event/template.h"

#define TEMPLATE_ARGUMENTS 4 /* in a filter's brackets */
#define TEMPLATE_NO_SCOPE  SIZE_MAX

/* Where a value comes from. */
enum subject_kind {
    SUBJECT_COLUMN,  /* `row` and `name`, which may end in a path */
    SUBJECT_FIELD,   /* about the event: `field`, and a `path` into it */
    SUBJECT_ELEMENT, /* of the section around: `path`, empty for the entry itself */
    SUBJECT_CHANGE,  /* in {{#changed}}: `change` */
};

enum subject_change { CHANGE_COLUMN, CHANGE_OLD, CHANGE_NEW };

struct subject {
    enum subject_kind kind;
    enum template_row row;
    enum subject_change change;
    bool scoped;       /* a bare name: fields of the sections around come first */
    unsigned field;    /* index into template_fields */
    struct slice name; /* as it was written, without row. new. old. key. */
    struct slice path;
};

enum place_kind {
    PLACE_TEXT,    /* no place: the template's own words, in `text` */
    PLACE_VALUE,   /* `subject` through `filters` */
    PLACE_SECTION, /* up to places[other], of `subject` */
    PLACE_CHANGED, /* up to places[other], once for each changed column */
    PLACE_END,     /* of the section at places[other] */
};

/* What stands in a filter's brackets: a literal, or what a subject gives. */
struct argument {
    const struct subject *subject; /* or NULL */
    struct cell cell;              /* TEXT, INT or DECIMAL */
};

struct filter_use {
    const struct filter *filter; /* ours, or NULL and … */
    const void *custom;          /* … host's */
    struct slice name;
    struct argument *arguments;
    size_t argument_count;
};

struct place {
    enum place_kind kind;
    bool inverted; /* {{^ */
    struct slice text;
    struct subject subject;
    struct filter_use *filters;
    size_t filter_count;
    size_t other;
    size_t scope; /* place of the innermost {{#x}} around that has entries; or NO_SCOPE */
};

struct template
{
    struct arena arena;
    const char *where;
    struct place *places;
    size_t place_count;
    struct template_name *names;
    size_t name_count, name_room;
    bool lists_changes;
};

/* A value on its way through the filters; `text` of its cell may point into the scratch below. */
struct template_value {
    struct cell cell;
    bool formed; /* a filter made it for `form` */
    enum template_escape form;
};

struct template_scratch {
    struct buffer text[2]; /* one holds what a filter reads, the other what it writes */
    unsigned turn;
    struct arena arena;
};

/* A filter at work. */
struct filter_run {
    struct template_value *value;
    const struct cell *arguments; /* as `takes` says: those of letter t are texts */
    size_t count;
    struct template_scratch *scratch;
    int64_t now;
};

struct filter {
    const char *name;
    const char *usage; /* for messages: "number(2)" */
    /* What stands in its brackets: n a number up to `most`, t a text, f a format of times, v any
     * value; what stands behind ? may be left out. */
    const char *takes;
    int most;
    bool escapes; /* what it made is for `form`, and only filters that escape can follow */
    bool last;    /* nothing can follow it */
    enum template_escape form;
    void (*apply)(struct filter_run *f);
};

/* What is known about an event without its rows. The cell's text may use the scratch. */
struct template_field {
    const char *name;    /* after "event.", or "" if it has a bare name alone */
    const char *builtin; /* bare name of the same; NULL: none */
    void (*get)(struct event *e, struct template_scratch *scratch, struct cell *out);
};

extern const struct template_field template_fields[];
extern const size_t template_field_count;

/* template_parse.c: fills `t`, whose where is set. The text lies in its arena. */
int template_parse(struct template *t, const struct template_source *source, struct slice text,
                   struct error *err) must_check;

/* template_filter.c: the filter of that name, or NULL; and the error for a name that is none. */
const struct filter *template_filter(struct slice name);
int template_no_filter(struct slice name, bool scripts, struct error *err);

/* template_format.c: numbers and times. */
void template_number(struct filter_run *f);
void template_money(struct filter_run *f);
void template_date(struct filter_run *f);
void template_time(struct filter_run *f);
void template_ago(struct filter_run *f);

/* template_escape.c: appends the text as it stands safely there. */
void template_escape(struct buffer *out, struct slice text, enum template_escape escape);
/* Before a value that is appended as it is: keeps it from becoming a mention together with what
 * `out` ends in, as in @{{name}}. */
void template_guard(struct buffer *out, struct slice text);

/* template_value.c: what a rendering knows on its way. */
struct frame {
    enum { FRAME_ENTRY, FRAME_SCALAR, FRAME_CHANGE } kind;
    struct slice json;             /* ENTRY: a JSON value */
    const struct subject *subject; /* SCALAR: gives the value again */
    unsigned column;               /* CHANGE */
};

struct template_space {
    struct template_scratch value;    /* what goes through filters */
    struct template_scratch argument; /* what goes into their brackets */
};

struct render {
    const struct template *t;
    const struct template_call *call;
    struct buffer *out;
    struct template_space *space;
    struct frame frames[TEMPLATE_SECTIONS];
    size_t depth;
    size_t work; /* as TEMPLATE_WORK counts */
};

/* What a subject is: a JSON text out of a document, or a cell. */
struct found {
    bool is_json;
    bool unknown_old; /* an update's old value that the log did not carry */
    struct slice json;
    struct cell cell;
};
int template_find(struct render *r, const struct subject *s, struct template_scratch *scratch,
                  struct found *out, struct error *err) must_check;
/* The same as a cell; its text may use the scratch. */
void template_found_cell(const struct found *found, struct template_scratch *scratch,
                         struct cell *out);
/* The innermost section's entry or value; NULL outside of sections. */
const struct frame *template_entry(const struct render *r);
int template_no_old(const struct render *r, struct slice name, struct error *err);
/* Counts towards TEMPLATE_WORK. */
int template_work(struct render *r, size_t work, struct error *err) must_check;

/* template_apply.c: the place's filters. */
int template_filters(struct render *r, const struct place *place, struct template_value *value,
                     struct error *err) must_check;

/* The scratch buffer to write to next, empty; what the last call gave stays readable. */
struct buffer *template_scratch(struct template_scratch *scratch);

/* What the cell prints, without a copy where it is a text already. */
struct slice template_printed(const struct cell *cell, struct template_scratch *scratch);
bool template_prints_nothing(const struct cell *cell);
void template_becomes(struct template_value *value, enum cell_kind kind, struct slice text);

/* The column that a name means and the path behind it (json_path.h). -1 with ERROR_DATA: "table
 * main.orders has no such column", with a suggestion. */
int template_column(const struct template *t, const struct subject *subject,
                    const struct schema *schema, struct slice *path, struct error *err) must_check;

/* At most 80 bytes of a name, for %.*s in messages. */
int template_shown(struct slice text);

#endif
