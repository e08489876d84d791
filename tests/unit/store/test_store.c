/* Opening, formats, what belongs together, damage, kills. */
#include "rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/power.h"
#include "support/event_make.h"

static int
setup(void **state)
{
    struct rig *r = memory_zero(sizeof(*r));

    unsetenv("TIDEGATE_FAULT");
    fault_reload();
    rig_init(r);
    *state = r;
    return 0;
}

static int
teardown(void **state)
{
    rig_release(*state);
    free(*state);
    return 0;
}

static void
path_in(const struct rig *r, const char *name, char out[4096])
{
    snprintf(out, 4096, "%s/%s", r->folder, name);
}

static void
change_file(const struct rig *r, const char *name, const char *sql)
{
    char path[4096];
    sqlite3 *db;

    path_in(r, name, path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void
test_opens_twice_with_the_same_id(void **state)
{
    struct rig *r = *state;
    char id[17];

    rig_start(r);
    assert_int_equal(strlen(store_workspace_id(r->store)), 16);
    snprintf(id, sizeof(id), "%s", store_workspace_id(r->store));
    rig_close(r);
    rig_start(r);
    assert_string_equal(store_workspace_id(r->store), id);
}

static void
test_settings_and_modes_of_the_file(void **state)
{
    struct rig *r = *state;
    struct stat info;
    char path[4096];
    int64_t n;

    rig_open(r);
    static const struct {
        const char *sql;
        int64_t value;
    } rows[] = {{"PRAGMA page_size", 4096},
                {"PRAGMA auto_vacuum", 0},
                {"PRAGMA synchronous", 2},
                {"PRAGMA secure_delete", 0},
                {"PRAGMA user_version", STORE_FORMAT}};
    for (size_t i = 0; i < countof(rows); i++) {
        assert_int_equal(sql_number(r->store->db, rows[i].sql, -1, &n, &r->err), 0);
        assert_int_equal(n, rows[i].value);
    }
    assert_int_equal(store_start(r->store, &r->err), 0);
    path_in(r, "tidegate.db", path);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    path_in(r, "reserve", path);
    assert_int_equal(stat(path, &info), 0);
    assert_true((int64_t)info.st_blocks * 512 >= STORE_RESERVE);
}

static void
expect_refusal(struct rig *r, enum error_class class, const char *word)
{
    r->err = (struct error){0};
    assert_null(store_open(&r->options, &r->err));
    assert_int_equal(r->err.class, class);
    assert_non_null(strstr(r->err.message, word));
    assert_true(r->err.hint[0] != '\0');
}

static void
test_newer_foreign_and_damaged_files_are_refused(void **state)
{
    struct rig *r = *state;
    char path[4096];

    rig_start(r);
    rig_close(r);
    change_file(r, "tidegate.db", "PRAGMA user_version=2");
    expect_refusal(r, ERROR_REFUSED, "newer");
    change_file(r, "tidegate.db", "PRAGMA user_version=1; PRAGMA application_id=1");
    expect_refusal(r, ERROR_CORRUPT, "not a database of Tidegate");
    path_in(r, "tidegate.db", path);
    char noise[8192];
    memset(noise, 'x', sizeof(noise));
    assert_int_equal(file_replace(path, (struct slice){noise, sizeof(noise)}, &r->err), 0);
    expect_refusal(r, ERROR_CORRUPT, "tidegate.db");
}

static void
test_damaged_page_is_corruption(void **state)
{
    struct rig *r = *state;
    char path[4096], noise[4096];

    rig_start(r);
    rig_close(r);
    path_in(r, "tidegate.db", path);
    memset(noise, 0xee, sizeof(noise));
    int fd = file_open(path, O_RDWR, &r->err);
    for (int64_t page = 1; page < 5; page++)
        assert_int_equal(file_write(fd, noise, sizeof(noise), page * 4096, path, &r->err), 0);
    file_close(fd);
    expect_refusal(r, ERROR_CORRUPT, "");
}

static void
test_migration_keeps_a_copy(void **state)
{
    struct rig *r = *state;
    static const char *const steps[] = {"ALTER TABLE a ADD COLUMN two INTEGER DEFAULT 2",
                                        "ALTER TABLE a ADD COLUMN three INTEGER DEFAULT 3"};
    struct database_kind first = {.format = 1,
                                  .create = "CREATE TABLE a(one); INSERT INTO a VALUES(1)"};
    struct database_kind third = {.format = 3, .create = "", .steps = steps};
    char path[4096], copy[4200];
    int64_t n;

    path_in(r, "some.db", path);
    sqlite3 *db = database_open(path, &first, &r->err);
    assert_non_null(db);
    sql_close(db);
    db = database_open(path, &third, &r->err);
    assert_non_null(db);
    assert_int_equal(sql_number(db, "SELECT one + two + three FROM a", 0, &n, &r->err), 0);
    assert_int_equal(n, 6);
    assert_int_equal(sql_number(db, "PRAGMA user_version", 0, &n, &r->err), 0);
    assert_int_equal(n, 3);
    sql_close(db);
    snprintf(copy, sizeof(copy), "%s.format-1", path);
    db = database_open(copy, &first, &r->err);
    assert_non_null(db);
    assert_int_equal(sql_number(db, "SELECT count(*) FROM pragma_table_info('a')", 0, &n, &r->err),
                     0);
    assert_int_equal(n, 1);
    sql_close(db);
}

static void
test_failed_migration_leaves_the_old(void **state)
{
    struct rig *r = *state;
    static const char *const steps[] = {"ALTER TABLE a ADD COLUMN two", "no such statement"};
    struct database_kind first = {.format = 1, .create = "CREATE TABLE a(one)"};
    struct database_kind third = {.format = 3, .create = "", .steps = steps};
    char path[4096];

    path_in(r, "some.db", path);
    sqlite3 *db = database_open(path, &first, &r->err);
    assert_non_null(db);
    sql_close(db);
    assert_null(database_open(path, &third, &r->err));
    assert_non_null(strstr(r->err.message, "format 3"));
}

static void
test_config_database(void **state)
{
    struct rig *r = *state;
    char value[16];

    sqlite3 *db = database_config_open(r->folder, &r->err);
    assert_non_null(db);
    assert_int_equal(database_meta(db, "a", value, sizeof(value), &r->err), 0);
    assert_int_equal(database_set_meta(db, "a", "1", &r->err), 0);
    assert_int_equal(database_set_meta(db, "a", "2", &r->err), 0);
    assert_int_equal(database_meta(db, "a", value, sizeof(value), &r->err), 1);
    assert_string_equal(value, "2");
    sql_close(db);
}

static void
test_journal_that_lost_its_end(void **state)
{
    struct rig *r = *state;
    struct store_consumer c;

    rig_start(r);
    assert_int_equal(store_consumer_open(r->store, "main", &c, &r->err), 0);
    rig_close(r);
    change_file(r, "tidegate.db", "UPDATE consumers SET checkpoint = 5");
    expect_refusal(r, ERROR_CORRUPT, "lost its end");
    assert_int_equal(store_reset_journal(r->folder, &r->err), 0);
    rig_start(r);
    assert_int_equal(journal_oldest(store_journal(r->store)), 6);
}

static void
test_journal_of_another_store(void **state)
{
    struct rig *r = *state;
    struct store_consumer c;

    rig_start(r);
    assert_int_equal(store_consumer_open(r->store, "main", &c, &r->err), 0);
    struct store_producer *p = store_producer_open(r->store, "shop", 0, NULL);
    assert_true(give(p, 1, 3, 300));
    store_producer_close(p);
    assert_int_equal(store_consumer_reset(r->store, "main", 2, &r->err), 0);
    rig_close(r);
    change_file(
        r, "tidegate.db",
        "UPDATE meta SET value = 'ffffffffffffffffffffffffffffffff' WHERE name = 'journal'");
    expect_refusal(r, ERROR_CORRUPT, "not the one");
}

static void
test_reset_journal_goes_on_above(void **state)
{
    struct rig *r = *state;

    rig_start(r);
    struct store_producer *p = store_producer_open(r->store, "shop", 0, NULL);
    assert_true(give(p, 1, 3, 300));
    store_producer_close(p);
    rig_close(r);
    assert_int_equal(store_reset_journal(r->folder, &r->err), 0);
    rig_start(r);
    assert_true(journal_oldest(store_journal(r->store)) > 3);
}

static void
test_offline_runs_at_once(void **state)
{
    struct rig *r = *state;
    struct job good = job_make(1), bad = job_make(2);

    r->options.offline = true;
    bad.fails = -1;
    rig_open(r);
    assert_int_equal(store_run_now(r->store, &good.work, &r->err), 0);
    assert_int_equal(store_run_now(r->store, &bad.work, &r->err), -1);
    assert_int_equal(r->err.class, ERROR_DATA);
    assert_int_equal(good.done, 1);
    assert_int_equal(bad.given_up, 1);
    assert_int_equal(rig_number(r, "SELECT sum(number) FROM t"), 1);
    assert_int_equal(store_start(r->store, &r->err), -1);
}

static void
test_reader_cannot_write(void **state)
{
    struct rig *r = *state;

    rig_start(r);
    sqlite3 *db = store_reader(r->store, &r->err);
    assert_non_null(db);
    assert_int_equal(sql_exec(db, "DELETE FROM consumers", &r->err), -1);
    sql_close(db);
}

static void
test_schemas_are_loaded_after_a_restart(void **state)
{
    struct rig *r = *state;
    const struct schema *orders =
        event_make_schema("shop", "main", "orders", "id:int:key", "status:text");
    struct event e =
        event_make(EVENT_INSERT, orders, "1", event_make_row("1", "'new'"), event_make_none());

    rig_start(r);
    struct store_producer *p = store_producer_open(r->store, "shop", 0, NULL);
    assert_true(store_give_batch(p, event_make_batch("shop", &e, 1, "1"), NULL));
    assert_true(store_give_batch(p, event_make_batch("shop", &e, 1, "2"), NULL));
    store_producer_close(p);
    assert_int_equal(journal_newest(store_journal(r->store)), 2);
    rig_close(r);
    rig_start(r);
    const struct schema *loaded = schema_get(store_schemas(r->store), orders->number, &r->err);
    assert_non_null(loaded);
    assert_true(slice_equal(loaded->encoded, orders->encoded));
    assert_null(schema_get(store_schemas(r->store), 77, &r->err));
    assert_int_equal(r->err.class, ERROR_CORRUPT);
    assert_int_equal(rig_number(r, "SELECT count(*) FROM schemas"), 1);
}

/* The child of the kill tests: gives job n and batch n in turn, and writes n to the pipe once both
 * are committed. */
static void
child(struct rig *r, int out)
{
    struct error err = {0};
    struct store *s = store_open(&r->options, &err);

    if (!s || store_start(s, &err) != 0)
        _exit(3);
    struct store_producer *jobs = store_producer_open(s, "jobs", 0, NULL);
    struct store_producer *shop = store_producer_open(s, "shop", 0, NULL);
    for (int n = 1;; n++) {
        struct job *j = memory_zero(sizeof(*j));
        struct batch *b = batch_make("shop", (unsigned)n, 3, 3000);
        uint64_t job = 0, batch = 0;
        *j = job_make(n);
        while (!store_give_work(jobs, &j->work, &job))
            ;
        while (!store_give_batch(shop, b, &batch))
            ;
        while (store_committed(jobs) < job || store_committed(shop) < batch)
            sched_yield();
        if (write(out, &n, sizeof(n)) != sizeof(n))
            _exit(4);
    }
}

/* The newest number that the child reported until it was killed: by `fault`, else `us` after its
 * first report, or with `early` after its start. */
static int
run_child(struct rig *r, bool early, unsigned us, const char *fault)
{
    int ends[2], n, newest = 0, status;

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        if (fault)
            setenv("TIDEGATE_FAULT", fault, 1);
        fault_reload();
        power_reload();
        power_install();
        child(r, ends[1]);
    }
    close(ends[1]);
    if (!fault) {
        if (!early)
            assert_int_equal(read(ends[0], &newest, sizeof(newest)), sizeof(newest));
        usleep(us);
        kill(pid, SIGKILL);
    }
    while (read(ends[0], &n, sizeof(n)) == sizeof(n))
        newest = n;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return newest;
}

/* What was reported is there, each whole batch once and in order; what was not is whole or absent.
 */
static int
check_after_kill(struct rig *r, int newest)
{
    struct journal_block block;
    int batches = 0;

    rig_open(r);
    struct journal_reader *reader = journal_reader_open(store_journal(r->store));
    journal_seek(reader, 1);
    while (journal_read(reader, &block, &r->err) == 1) {
        const char *differs = batch_differs(&block, "shop", (unsigned)++batches, 3, 3000);
        if (differs)
            fail_msg("batch %d differs in %s", batches, differs);
    }
    journal_reader_close(reader);
    assert_true(batches >= newest && batches <= newest + 1);
    int64_t jobs = rig_number(r, "SELECT count(*) FROM t");
    jobs = jobs < 0 ? 0 : jobs;
    assert_true(jobs >= newest && jobs <= newest + 1);
    if (jobs > 0)
        assert_int_equal(rig_number(r, "SELECT max(number) FROM t"), jobs);
    return batches < jobs ? batches : (int)jobs;
}

/* Both go on from the same number: what the kill left of a pair is taken away. */
static int
level(struct rig *r, int newest)
{
    int both = check_after_kill(r, newest);

    rig_close(r);
    return both;
}

static void
test_fifty_kills(void **state)
{
    struct rig *r = *state;
    int total = 0;

    for (int i = 0; i < 50; i++) {
        folder_remove(r->folder);
        r->folder = folder_make("store");
        r->options.folder = r->folder;
        int newest = run_child(r, i % 5 == 0, (unsigned)i * 731, NULL);
        total += level(r, newest);
    }
    print_message("%d pairs over 50 kills\n", total);
    assert_true(total >= 40); /* all but the early ones had reported */
}

static const char *const kill_points[] = {
    "store.before_commit:4", "store.after_commit:4", "journal.before_sync:3",
    "journal.after_sync:3",  "journal.mid_group:2",
};

static void
test_kills_at_points(void **state)
{
    struct rig *r = *state;

    for (size_t i = 0; i < countof(kill_points); i++) {
        folder_remove(r->folder);
        r->folder = folder_make("store");
        r->options.folder = r->folder;
        level(r, run_child(r, false, 0, kill_points[i]));
    }
}

/* The same with a disk that forgets a random part of what was not synced. */
static void
test_power_cuts_at_points(void **state)
{
    struct rig *r = *state;
    char seed[16];

    for (unsigned n = 1; n <= 4 * countof(kill_points); n++) {
        folder_remove(r->folder);
        r->folder = folder_make("store");
        r->options.folder = r->folder;
        snprintf(seed, sizeof(seed), "%u", n);
        setenv("TIDEGATE_POWER", seed, 1);
        level(r, run_child(r, false, 0, kill_points[n % countof(kill_points)]));
        unsetenv("TIDEGATE_POWER");
    }
}

static void
test_without_descriptors_it_says_so(void **state)
{
    struct rig *r = *state;
    struct rlimit before, none;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct store *s = store_open(&r->options, &r->err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_null(s);
    assert_int_equal(r->err.class, ERROR_SYSTEM);
}

static void
test_large_wal_is_left_on_close(void **state)
{
    struct rig *r = *state;
    struct stat info;
    char path[4096];

    rig_open(r);
    assert_int_equal(sql_exec(r->store->db,
                              "CREATE TABLE big(data); INSERT INTO big VALUES(zeroblob(20000000))",
                              &r->err),
                     0);
    rig_close(r);
    path_in(r, "tidegate.db-wal", path);
    assert_int_equal(stat(path, &info), 0);
    assert_true(info.st_size > STORE_WAL_LARGE);
    rig_open(r);
    assert_int_equal(rig_number(r, "SELECT length(data) FROM big"), 20000000);
}

int
main(void)
{
#define row(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        row(test_opens_twice_with_the_same_id),
        row(test_settings_and_modes_of_the_file),
        row(test_newer_foreign_and_damaged_files_are_refused),
        row(test_damaged_page_is_corruption),
        row(test_migration_keeps_a_copy),
        row(test_failed_migration_leaves_the_old),
        row(test_config_database),
        row(test_journal_that_lost_its_end),
        row(test_journal_of_another_store),
        row(test_reset_journal_goes_on_above),
        row(test_offline_runs_at_once),
        row(test_reader_cannot_write),
        row(test_schemas_are_loaded_after_a_restart),
        row(test_fifty_kills),
        row(test_kills_at_points),
        row(test_power_cuts_at_points),
        row(test_large_wal_is_left_on_close),
        row(test_without_descriptors_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
