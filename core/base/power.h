/* The forgetting disk of proof builds: what was written but not synced may be gone after a fault
 * kill, page by page, as after a power cut. It remembers what each 4 KiB page held when it was last
 * synced; power_cut puts a random part of them back (TIDEGATE_POWER is the seed). file.c tells it
 * of every write; SQLite's files go through a VFS of their own. The WAL index (shared memory) is
 * left out: SQLite rebuilds it. Any thread. In the installed binary every call here is nothing. */
#ifndef BASE_POWER_H
#define BASE_POWER_H

#include "base/base.h"

#ifdef TIDEGATE_PROOF
/* Makes the forgetting VFS SQLite's default if TIDEGATE_POWER is set. Before the first database is
 * opened; main calls it once. */
void power_install(void);

void power_will_write(int fd, int64_t offset, size_t size); /* before the bytes change */
void power_synced(int fd);

/* Puts pages back and holds every later write of the process: the caller kills it next. */
void power_cut(void);
void power_reload(void); /* reads the environment again: for unit tests */
#else
#define power_install()                    ((void)0)
#define power_will_write(fd, offset, size) ((void)(size))
#define power_synced(fd)                   ((void)0)
#endif

#endif
