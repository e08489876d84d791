/* What a script writes, as the value that C gets: one Lua expression in, through a real VM.
 * Everything lives until the process ends. A wrong expression ends the test. */
#ifndef SUPPORT_LUA_VALUE_H
#define SUPPORT_LUA_VALUE_H

#include "script/vm.h"

/* lua_value("{ status = 'paid', amount = gt(5) }") */
const struct value *lua_value(const char *expression);

#endif
