/* The texts of a workspace's rule scripts, in the order in which they are loaded: by path. */
#ifndef WORKSPACE_SCRIPTS_H
#define WORKSPACE_SCRIPTS_H

#include "rules/rules.h"

#define SCRIPT_MAX (1024 * 1024) /* bytes of one script */

struct scripts {
    struct arena arena;
    struct rules_script *list, *modules; /* modules: text.data is NULL where one can't be read */
    size_t count, module_count;
};

/* Reads them all, and the modules that they may require; a script that can't be read (unreadable,
 * writable by others, too large) is a problem of that script alone. -1 only when the folder itself
 * can't be listed. */
int scripts_read(const char *folder, struct scripts *out, rules_problem *problem, void *context,
                 struct error *err) must_check;
void scripts_release(struct scripts *s);

#endif
