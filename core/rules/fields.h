/* What a channel makes use of in a message beside its text. A field that no receiver would ever see
 * is an error while the rule loads, or where the script sends it: never silence. */
#ifndef RULES_FIELDS_H
#define RULES_FIELDS_H

#include "rules/rule.h"

/* Each field of the rule's messages and options must be of use to one at least of the channels that
 * get it. */
int fields_check_rule(const struct rule *rule, struct error *err) must_check;

/* Each name of `map`, a VALUE_MAP or NULL, must be of use to such a channel. NULL: any is. */
int fields_check_send(const struct channel_driver *driver, const struct value *map,
                      struct error *err) must_check;

#endif
