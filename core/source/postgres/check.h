/* The commands that work on the database without a running source: `check` (every finding with the
 * exact statement that mends it), the schemas of captured tables, and what Tidegate made in the
 * database: list, bring up to date, remove. */
#ifndef SOURCE_POSTGRES_CHECK_H
#define SOURCE_POSTGRES_CHECK_H

#include "source/postgres/postgres.h"

int pg_check(const struct source_plan *plan, const struct source_report *report,
             struct error *err) must_check;
int pg_check_schemas(const struct source_plan *plan, source_visit_schema *visit, void *context,
                     struct error *err) must_check;
int pg_installed(const struct source_plan *plan, enum source_install what, const char *table,
                 bool print_only, const struct source_report *report, struct error *err) must_check;

#endif
