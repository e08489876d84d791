#include "source/sqlite/check.h"
int
check_database(const struct source_plan *plan, const struct source_report *report,
               struct error *err)
{
    (void)plan;
    (void)report;
    (void)err;
    return 0;
}
int
check_installed(const struct source_plan *plan, enum source_install what, const char *table,
                bool print_only, const struct source_report *report, struct error *err)
{
    (void)plan;
    (void)report;
    (void)err;
    (void)what;
    (void)table;
    (void)print_only;
    return 0;
}
