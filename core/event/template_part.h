/* What the parts of a template share: the compiled form, and filters by name. Only for
 * core/event/template*.c. */
#ifndef EVENT_TEMPLATE_PART_H
#define EVENT_TEMPLATE_PART_H

#include "base/arena.h"
#include "event/template.h"

enum place_kind {
    PLACE_TEXT,   /* no place: the template's own words, in `name` */
    PLACE_COLUMN, /* `row` and `name` */
    PLACE_FIELD,  /* about the event: `field` */
};

/* A value on its way through the filters; `text` of its cell may point into the scratch below. */
struct template_value {
    struct cell cell;
    bool whole; /* the filter json made it: a JSON value of its own, not escaped for JSON */
};

struct template_scratch {
    struct buffer text[2]; /* one holds what a filter reads, the other what it writes */
    unsigned turn;
    struct arena arena;
};

struct filter {
    const char *name;
    enum { FILTER_PLAIN, FILTER_COUNT, FILTER_WORDS } takes; /* what stands in its brackets */
    bool last;                                               /* nothing can follow it */
    void (*apply)(const struct slice *words, int count, struct template_scratch *scratch,
                  struct template_value *value);
};

struct filter_use {
    const struct filter *filter;
    struct slice words; /* FILTER_WORDS */
    int count;          /* FILTER_COUNT */
};

struct place {
    enum place_kind kind;
    enum template_row row;
    unsigned field;    /* index into template_fields */
    struct slice name; /* the column; or the template's own words */
    struct filter_use *filters;
    size_t filter_count;
};

/* What is known about an event without its rows. The cell's text may use the scratch. */
struct template_field {
    const char *name;    /* after "event." */
    const char *builtin; /* bare name of the same; NULL: none */
    void (*get)(struct event *e, struct template_scratch *scratch, struct cell *out);
};

extern const struct template_field template_fields[];
extern const size_t template_field_count;

struct template
{
    struct arena arena;
    const char *where;
    struct place *places;
    size_t place_count;
    struct template_name *names;
    size_t name_count;
};

/* The filter of that name; NULL with ERROR_REFUSED or ERROR_DATA. */
const struct filter *template_filter(struct slice name, struct error *err) must_check;

/* The scratch buffer to write to next, empty; what the last call gave stays readable. */
struct buffer *template_scratch(struct template_scratch *scratch);

/* "table main.orders has no column …", with a suggestion. Returns -1. */
int template_no_column(const struct template *t, const struct place *place,
                       const struct schema *schema, struct error *err);

#endif
