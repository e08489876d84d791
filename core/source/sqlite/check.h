/* What the commands check and triggers say and do about a SQLite database. */
#ifndef SOURCE_SQLITE_CHECK_H
#define SOURCE_SQLITE_CHECK_H

#include "source/source_driver.h"

source_check_driver check_database;
source_installed_driver check_installed;

source_schemas_driver check_schemas; /* describe.c */

#endif
