#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include "base/asset.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/thread.h"
#include "cli/cli.h"
#include "cli/daemon.h"

/* The shop: a process of its own would do just as well; a thread with its own connection is enough.
 */
struct shop {
    char folder[PATH_MAX];
    char database[PATH_MAX + 16];
    struct thread thread;
    struct wake stop;
};

static const char shop_schema[] =
    "PRAGMA journal_mode = WAL;"
    "CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT);"
    "CREATE TABLE orders(id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers(id),"
    " status TEXT NOT NULL DEFAULT 'new', amount REAL NOT NULL, note TEXT);"
    "CREATE TABLE stock(sku TEXT PRIMARY KEY, item TEXT NOT NULL, quantity INTEGER NOT NULL);"
    "INSERT INTO customers VALUES(1,'Ada Park','Lisbon'),(2,'Bo Lind','Oslo'),(3,'Chidi "
    "Obi','Lagos'),"
    "(4,'Dana Ruiz','Quito');"
    "INSERT INTO stock VALUES('TEA','green tea',40),('MUG','blue mug',25),('POT','iron pot',12);";

/* Steps that repeat, ?1 a random number below 1000; written in turn so that each rule is seen soon.
 */
static const char *const shop_steps[] = {
    "INSERT INTO orders(customer_id, amount) VALUES(1 + ?1 % 4, round(20 + ?1 % 180 + 0.5, 2))",
    "UPDATE orders SET status = 'paid' WHERE id = (SELECT min(id) FROM orders WHERE status = "
    "'new')",
    "INSERT INTO orders(customer_id, amount, note) VALUES(1 + ?1 % 4, 1000 + ?1 * 3.25, 'bulk')",
    "UPDATE stock SET quantity = max(0, quantity - 1 - ?1 % 6) WHERE sku = (SELECT sku FROM stock "
    "ORDER BY "
    "abs((?1 * 7919) % 1000 - rowid * 300) LIMIT 1)",
    "UPDATE orders SET status = 'shipped' WHERE id = (SELECT min(id) FROM orders WHERE status = "
    "'paid')",
    "UPDATE stock SET quantity = quantity + 30 WHERE quantity = 0",
    "DELETE FROM orders WHERE id = (SELECT min(id) FROM orders WHERE status = 'shipped' AND ?1 % 3 "
    "= 0)",
};

#define SHOP_PAUSE (400 * 1000)

static int
shop_failed(sqlite3 *db, const struct shop *shop, struct error *err)
{
    error_set(err, ERROR_IO, "the demo's database %s", shop->database);
    return error_cause(err, "%s", sqlite3_errmsg(db));
}

static void
shop_step(sqlite3 *db, size_t turn)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, shop_steps[turn % countof(shop_steps)], -1, &statement, NULL) !=
        SQLITE_OK) {
        log_warning("demo", "%s", sqlite3_errmsg(db));
        return;
    }
    sqlite3_bind_int64(statement, 1, (int64_t)(random_u64() % 1000));
    if (sqlite3_step(statement) != SQLITE_DONE)
        log_warning("demo", "%s", sqlite3_errmsg(db));
    sqlite3_finalize(statement);
}

static void
shop_run(void *arg)
{
    struct shop *shop = arg;
    sqlite3 *db;
    if (sqlite3_open(shop->database, &db) == SQLITE_OK) {
        sqlite3_busy_timeout(db, 5000);
        for (size_t turn = 0; !wake_wait(&shop->stop, SHOP_PAUSE); turn++)
            shop_step(db, turn);
    }
    sqlite3_close(db);
}

static int
write_asset(const struct shop *shop, const char *path, const char *asset, struct error *err)
{
    char full[PATH_MAX + 64];
    const struct asset *a = asset_find(asset);
    ensure(a);
    snprintf(full, sizeof(full), "%s/%s", shop->folder, path);
    return file_replace(full, a->text, err);
}

static int
shop_open(struct shop *shop, struct error *err)
{
    char scripts[PATH_MAX + 16];
    const char *temp = getenv("TMPDIR");
    sqlite3 *db;
    snprintf(shop->folder, sizeof(shop->folder), "%s/tidegate-demo-XXXXXX",
             temp && *temp ? temp : "/tmp");
    if (!mkdtemp(shop->folder))
        return error_set(err, ERROR_IO, "no folder for the demo could be made in %s",
                         temp ? temp : "/tmp");
    snprintf(shop->database, sizeof(shop->database), "%s/shop.db", shop->folder);
    snprintf(scripts, sizeof(scripts), "%s/scripts", shop->folder);
    if (file_make_folder(scripts, err) != 0 ||
        write_asset(shop, "tidegate.lua", "scripts/demo/tidegate.lua", err) != 0 ||
        write_asset(shop, "scripts/shop.lua", "scripts/demo/shop.lua", err) != 0)
        return -1;
    int result = 0;
    if (sqlite3_open(shop->database, &db) != SQLITE_OK ||
        sqlite3_exec(db, shop_schema, NULL, NULL, NULL) != SQLITE_OK)
        result = shop_failed(db, shop, err);
    sqlite3_close(db);
    return result;
}

static void
begin_changes(void *context, const char *folder, int64_t port, size_t problems)
{
    struct shop *shop = context;
    struct error err = {0};
    (void)problems;
    fprintf(stderr,
            "A small shop lives in %s/shop.db and keeps changing.\n"
            "The rules in %s/scripts/shop.lua decide what you see; Ctrl-C ends it. (port %d)\n\n",
            folder, folder, (int)port);
    if (thread_start(&shop->thread, "demo-shop", shop_run, shop, &err) != 0)
        cli_complain(&err);
}

static void
shop_close(struct shop *shop, bool keep)
{
    if (keep) {
        fprintf(stderr, "\nThe demo's folder: %s\n", shop->folder);
        return;
    }
    cli_remove_tree(shop->folder, NULL);
}

int
cli_demo(struct cli *cli, struct error *err)
{
    struct shop shop = {0};
    int64_t run_for = 0;
    const char *time = cli_text(cli, "for");
    if (time && duration_parse(slice_of(time), &run_for) != 0)
        return error_set(err, ERROR_USAGE, "--for %s is not a duration; write it as 20s", time);
    struct log_options quiet = {.level = LOG_WARNING};
    if (log_open(&quiet, err) != 0 || wake_init(&shop.stop, err) != 0)
        return -1;
    int result = shop_open(&shop, err);
    struct daemon_options options = {.folder = shop.folder,
                                     .any_port = true,
                                     .run_for = run_for,
                                     .ready = begin_changes,
                                     .context = &shop};
    if (result == 0)
        result = daemon_run(&options, err);
    wake_poke(&shop.stop);
    thread_join(&shop.thread);
    wake_release(&shop.stop);
    shop_close(&shop, cli_flag(cli, "keep"));
    if (result == 0)
        fprintf(stderr, "\nNow with your own database: tidegate init my-alerts, name it in "
                        "my-alerts/tidegate.lua, then tidegate start my-alerts\n");
    return result;
}
