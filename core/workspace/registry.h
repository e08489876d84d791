/* What the store remembers of sources beyond their positions: how each was declared, so that it can
 * be cleaned up after it has left tidegate.lua; and at which epoch it was removed or its journal
 * was reset, so that it never resumes in an old history. */
#ifndef WORKSPACE_REGISTRY_H
#define WORKSPACE_REGISTRY_H

#include "workspace/workspace.h"

/* Remembers the declaration of a source that is about to start; what registry_resume said is done.
 * After store_start. */
int registry_note(struct store *store, const struct config_source *source, uint32_t epoch,
                  struct error *err) must_check;

/* Changes `resume` of a source that was removed or whose journal was reset: no position, the next
 * epoch, and as its gap the reason (kept in `gap`), unless it was removed on purpose. */
int registry_resume(struct store *store, const char *name, struct source_resume *resume,
                    char gap[256], struct error *err) must_check;

/* Marks every source that the store knows: its history ends here, for this reason. For `reset
 * --journal`, on the files alone, while nothing runs. *newest is the highest event number that
 * journal or store refer to. A journal that can't be read any more is no failure: that is what a
 * reset is for. */
int registry_end_all(const char *data, const char *reason, uint64_t *newest,
                     struct error *err) must_check;

/* Drops what Tidegate made in the database of a source that is no longer declared, lists what could
 * not be dropped, and forgets the source. ERROR_MISSING when it was never known. */
int registry_remove(struct workspace *w, const char *name, const struct source_report *report,
                    struct error *err) must_check;

#endif
