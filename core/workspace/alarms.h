/* Tidegate's own events: what happens to it becomes rows of the reserved source `tidegate`, so that
 * rules alert on them as on any table (design/language.md §13): op insert on main.KIND with the
 * columns subject, reason, value, since. One event when a state begins, none while it lasts; dead letters are
 * told again when there are twice as many, so that two dead channels told of each other come to an end.
 *
 * Kinds: source_lost, channel_broken, dead_letter, consumer_lag, disk_low. */
#ifndef WORKSPACE_ALARMS_H
#define WORKSPACE_ALARMS_H

#include "workspace/workspace.h"

struct alarms;

/* After workspace_open, before workspace_start. */
struct alarms *alarms_new(struct workspace *w);
/* Looks at everything once and journals what has begun. One thread, while the workspace runs; about
 * once a second. */
void alarms_look(struct alarms *a);
void alarms_free(struct alarms *a); /* while the store still runs, or after it has stopped */

#endif
