/* What the store remembers of sources: no epoch is ever lived twice. */
#include "unit/workspace/rig.h"

#include <sqlite3.h>
#include "source/source_driver.h"
#include "workspace/registry.h"

static struct workspace *w;
static struct value options;
static struct config_source shop;

static void
open_workspace(void)
{
    struct error err = {0};
    w = workspace_open(&(struct workspace_options){.folder = rig_folder, .offline = true}, &err);
    if (!w)
        fail_msg("%s", err.message);
}

static int
setup(void **state)
{
    static struct value_pair path = {.key = {"path", 4}};
    sqlite3 *db;
    if (rig_setup(state) != 0)
        return -1;
    path.value = (struct value){.kind = VALUE_TEXT, .text = slice_literal("shop.db")};
    options = (struct value){.kind = VALUE_MAP, .count = 1, .pairs = &path};
    shop = (struct config_source){.name = "shop",
                                  .driver = source_driver_find(slice_literal("sqlite")),
                                  .declared = &options};
    assert_int_equal(sqlite3_open(rig_path("shop.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(id INTEGER PRIMARY KEY)", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    open_workspace();
    return 0;
}

static int
teardown(void **state)
{
    workspace_close(w);
    return rig_teardown(state);
}

static void
note(uint32_t epoch)
{
    struct error err = {0};
    if (registry_note(workspace_store(w), &shop, epoch, &err) != 0)
        fail_msg("%s: %s", err.message, err.cause);
}

/* Where a source that had reached `epoch` by the journal would go on. */
static struct source_resume
resume_from(uint32_t epoch, char gap[256])
{
    struct source_resume resume = {.epoch = epoch, .lsn = 9};
    struct error err = {0};
    assert_int_equal(registry_resume(workspace_store(w), "shop", &resume, gap, &err), 0);
    return resume;
}

static void
finding(void *context, enum check_level level, const char *what, const char *mend)
{
    (void)context, (void)level, (void)what, (void)mend;
}

static void
row(void *context, const char *what, const char *state, const char *sql)
{
    (void)context, (void)what, (void)state, (void)sql;
}

static const struct source_report report = {.finding = finding, .row = row};

static void
an_unknown_source_goes_on_as_it_is(void **state)
{
    char gap[256];
    (void)state;
    assert_int_equal(resume_from(0, gap).epoch, 0);
    assert_int_equal(resume_from(3, gap).epoch, 3);
    note(3);
    assert_int_equal(resume_from(3, gap).epoch, 3);
    assert_int_equal(resume_from(3, gap).lsn, 9);
}

/* Also when the journal no longer knows the source. */
static void
a_removed_source_begins_past_all_its_epochs(void **state)
{
    char gap[256];
    struct error err = {0};
    (void)state;
    note(5);
    if (registry_remove(w, "shop", &report, &err) != 0)
        fail_msg("%s: %s", err.message, err.cause);
    struct source_resume resume = resume_from(0, gap);
    assert_int_equal(resume.epoch, 6);
    assert_int_equal(resume.gap.size, 0); /* it was removed on purpose */
    assert_int_equal(resume.lsn, 0);
    assert_int_equal(resume_from(5, gap).epoch, 6);
    assert_int_equal(resume_from(7, gap).epoch, 7);
    assert_int_equal(registry_remove(w, "shop", &report, &err), -1);
    assert_int_equal(err.class, ERROR_MISSING);
    note(6);
    assert_int_equal(resume_from(6, gap).epoch, 6);
}

static void
what_was_never_known_cannot_be_removed(void **state)
{
    struct error err = {0};
    (void)state;
    assert_int_equal(registry_remove(w, "nope", &report, &err), -1);
    assert_int_equal(err.class, ERROR_MISSING);
    note(1);
    assert_int_equal(registry_remove(w, "sho", &report, &err), -1);
    assert_int_equal(err.class, ERROR_MISSING);
}

/* A reset of the journal ends every history; each reset raises the epoch again. */
static void
a_reset_journal_ends_every_epoch(void **state)
{
    char gap[256];
    struct error err = {0};
    uint64_t newest;
    (void)state;
    note(4);
    workspace_close(w);
    w = NULL;
    assert_int_equal(registry_end_all(rig_path("data"), "it was reset", &newest, &err), 0);
    open_workspace();
    struct source_resume resume = resume_from(4, gap);
    assert_int_equal(resume.epoch, 5);
    assert_true(slice_is(resume.gap, "it was reset"));
    workspace_close(w);
    w = NULL;
    assert_int_equal(registry_end_all(rig_path("data"), "again", &newest, &err), 0);
    open_workspace();
    resume = resume_from(0, gap);
    assert_true(resume.epoch >= 6);
    assert_true(slice_is(resume.gap, "again"));
}

static void
a_store_that_is_not_there_is_an_error(void **state)
{
    struct error err = {0};
    uint64_t newest;
    (void)state;
    assert_int_equal(registry_end_all(rig_path("nowhere"), "x", &newest, &err), -1);
    assert_int_not_equal(err.class, ERROR_NONE);
}

#define with_workspace(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        with_workspace(an_unknown_source_goes_on_as_it_is),
        with_workspace(a_removed_source_begins_past_all_its_epochs),
        with_workspace(what_was_never_known_cannot_be_removed),
        with_workspace(a_reset_journal_ends_every_epoch),
        with_workspace(a_store_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
