#include "script/vm.h"

/* One row a name: what help, the reference and editor stubs are made from. */
const struct binding vm_bindings[] = {
    {"rule", "rule(name, { on = …, … })", "registers a rule: a filter and what to do"},
    {"on", "on([name,] pattern, ops, function(e) … end)", "the short form of a rule with run"},
    {"send", "send(channel, text | table | e [, options])", "enqueues a message; inside run only"},
    {"render", "render(template, e)", "a template's text for an event"},
    {"null", "null", "SQL NULL in conditions and tables"},
    {"decimal", "decimal(x)", "an exact number: + - * / // % comparisons :round(n) :number()"},
    {"gt", "gt(value)", "condition: greater than"},
    {"ge", "ge(value)", "condition: greater than or equal"},
    {"lt", "lt(value)", "condition: less than"},
    {"le", "le(value)", "condition: less than or equal"},
    {"ne", "ne(value)", "condition: not equal; true for NULL"},
    {"one_of", "one_of(value, …)", "condition: equal to one of these"},
    {"source", "source(name, { driver = …, … })", "tidegate.lua: a database to capture"},
    {"channel", "channel(name, { type = …, … })", "tidegate.lua: a destination of messages"},
    {"settings", "settings({ … })", "tidegate.lua: the daemon's own settings"},
    {"env", "env(name [, default])", "tidegate.lua: a variable of the environment"},
    {0},
};
