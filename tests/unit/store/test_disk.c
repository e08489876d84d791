/* A disk that is really full: a small tmpfs in a mount namespace of its own. Nothing given is lost
 * or repeated, what frees space still runs, and work goes on within 5 s of space. */
#include "rig.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MIB = 1024 * 1024 };

static int
setup(void **state)
{
    struct rig *r = memory_zero(sizeof(*r));

    rig_init(r);
    if (mount("none", r->folder, "tmpfs", 0, "size=48m") != 0)
        fail_msg("cannot mount a tmpfs");
    r->options.segment_bytes = MIB;
    r->options.disk_mark = 4 * MIB;
    *state = r;
    return 0;
}

static int
teardown(void **state)
{
    struct rig *r = *state;

    rig_close(r);
    umount(r->folder);
    folder_remove(r->folder);
    free(r);
    return 0;
}

/* Takes all that is free, as somebody else would. */
static void
fill_disk(struct rig *r)
{
    static char noise[65536];
    char path[4096];

    snprintf(path, sizeof(path), "%s/filler", r->folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    while (write(fd, noise, sizeof(noise)) > 0)
        ;
    close(fd);
}

static void
empty_disk(struct rig *r)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/filler", r->folder);
    assert_int_equal(unlink(path), 0);
}

static bool
reserve_is_there(struct rig *r)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/reserve", r->folder);
    return access(path, F_OK) == 0;
}

static void
check_journal(struct rig *r, unsigned batches)
{
    struct journal_block block;
    struct journal_reader *reader = journal_reader_open(store_journal(r->store));

    journal_seek(reader, 1);
    for (unsigned i = 1; i <= batches; i++) {
        assert_int_equal(journal_read(reader, &block, &r->err), 1);
        assert_null(batch_differs(&block, "shop", i, 2, 20000));
    }
    assert_int_equal(journal_read(reader, &block, &r->err), 0);
    journal_reader_close(reader);
}

static int
insert_much(struct store_work *work, sqlite3 *db, struct error *err)
{
    (void)work;
    return sql_exec(db,
                    "CREATE TABLE IF NOT EXISTS much(data);"
                    "INSERT INTO much VALUES(randomblob(300000))",
                    err);
}

static int
delete_much(struct store_work *work, sqlite3 *db, struct error *err)
{
    (void)work;
    return sql_exec(db, "DELETE FROM much WHERE rowid % 2 = 0", err);
}

static void
test_filled_by_others(void **state)
{
    struct rig *r = *state;
    struct job mark = job_make(1);

    rig_start(r);
    assert_true(reserve_is_there(r));
    struct store_producer *p = store_producer_open(r->store, "shop", 0, NULL);
    unsigned given = 0;
    for (; given < 100; given++)
        while (!give(p, given + 1, 2, 20000))
            sched_yield();
    fill_disk(r);
    for (int i = 0; i < 200; i++)
        given += give(p, given + 1, 2, 20000);
    rig_until(!store_allows_work(r->store));
    mark.work.essential = true;
    struct store_producer *q = store_producer_open(r->store, "marks", 0, NULL);
    assert_true(store_give_work(q, &mark.work, NULL));
    rig_until(atomic_load(&mark.done));
    assert_false(reserve_is_there(r));
    int64_t start = clock_mono();
    empty_disk(r);
    while (!give(p, given + 1, 2, 20000))
        assert_true(clock_mono() - start < 5 * CLOCK_SECOND);
    given++;
    rig_until(store_committed(p) == given);
    rig_until(reserve_is_there(r));
    store_producer_close(p);
    store_producer_close(q);
    check_journal(r, given);
    rig_close(r);
    rig_open(r);
    check_journal(r, given);
}

/* The reserve of the run before is still there, and is what the next one lives on. */
static void
test_filled_while_down(void **state)
{
    struct rig *r = *state;
    struct job mark = job_make(1);

    rig_start(r);
    struct store_producer *p = store_producer_open(r->store, "shop", 0, NULL);
    for (unsigned given = 0; given < 100; given++)
        while (!give(p, given + 1, 2, 20000))
            sched_yield();
    store_producer_close(p);
    rig_close(r);
    assert_true(reserve_is_there(r));
    fill_disk(r);
    rig_start(r);
    assert_false(store_allows_work(r->store));
    mark.work.essential = true;
    struct store_producer *q = store_producer_open(r->store, "marks", 0, NULL);
    assert_true(store_give_work(q, &mark.work, NULL));
    rig_until(atomic_load(&mark.done));
    assert_false(reserve_is_there(r));
    empty_disk(r);
    store_producer_close(q);
    check_journal(r, 100);
}

static void
test_filled_by_ourselves(void **state)
{
    enum { JOBS = 400 }; /* 120 MB: much more than there is */
    struct rig *r = *state;
    static struct job jobs[JOBS];
    struct job trim = job_make(1);
    unsigned given = 0, done = 0;

    rig_start(r);
    struct store_producer *p = store_producer_open(r->store, "p", 0, NULL);
    while (given < JOBS && store_allows_work(r->store)) {
        jobs[given] = job_make((int)given);
        jobs[given].work.run = insert_much;
        jobs[given].work.bytes = 300000;
        given += store_give_work(p, &jobs[given].work, NULL);
    }
    assert_true(given < JOBS);
    rig_until(!store_allows_work(r->store));
    struct store_producer *q = store_producer_open(r->store, "marks", 0, NULL);
    trim.work.run = delete_much;
    trim.work.essential = true;
    assert_true(store_give_work(q, &trim.work, NULL));
    rig_until(atomic_load(&trim.done));
    store_producer_close(q);
    store_producer_close(p); /* gives up what found no room */
    for (unsigned i = 0; i < given; i++) {
        assert_int_equal(jobs[i].done + jobs[i].given_up, 1);
        done += (unsigned)jobs[i].done;
    }
    assert_true(done > 10);
    assert_true(rig_number(r, "SELECT count(*) FROM much") >= done / 2);
    assert_int_equal(rig_number(r, "SELECT count(*) FROM pragma_integrity_check"), 1);
}

static bool
put_line(const char *path, const char *line)
{
    int fd = open(path, O_WRONLY);
    bool good = fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line);

    close(fd);
    return good;
}

/* A mount namespace; for other users than root with a user namespace in which they are root. */
static bool
enter_namespace(void)
{
    char users[32], groups[32];

    snprintf(users, sizeof(users), "0 %u 1", getuid());
    snprintf(groups, sizeof(groups), "0 %u 1", getgid());
    if (unshare(CLONE_NEWNS) != 0 &&
        (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || !put_line("/proc/self/uid_map", users) ||
         !put_line("/proc/self/setgroups", "deny") || !put_line("/proc/self/gid_map", groups)))
        return false;
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

int
main(void)
{
#define row(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        row(test_filled_by_others),
        row(test_filled_while_down),
        row(test_filled_by_ourselves),
    };

    if (!enter_namespace()) {
        puts("a small disk cannot be mounted here");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
