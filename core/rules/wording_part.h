/* The fields of messages and options, which wording.c compiles from a rule and wording_send.c reads
 * from a running script. Not for others. */
#ifndef RULES_WORDING_PART_H
#define RULES_WORDING_PART_H

#include "event/template.h"
#include "rules/wording.h"

/* Where a field may stand, and which are no plain texts. */
enum { IN_MESSAGE = 1, IN_OPTIONS = 2, IN_SEND = 4, IS_BODY = 8, IS_SHAPE = 16, IS_HEADERS = 32 };

struct wording_row {
    const char *name;
    unsigned flags;
    enum template_escape escape;
};

/* The field of that name which may stand in `place`, or NULL with a suggestion. `what` names the
 * table in messages. */
const struct wording_row *wording_row(struct slice name, unsigned place, const char *what,
                                      struct error *err) must_check;

#endif
