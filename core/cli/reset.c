#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "cli/cli.h"
#include "source/source_driver.h"
#include "workspace/folder.h"
#include "workspace/registry.h"

/* Asks on the terminal; anything but y is no. */
static bool
agreed(const char *question)
{
    char answer[16];
    fprintf(stderr, "%s [y/N] ", question);
    return isatty(STDIN_FILENO) && fgets(answer, sizeof(answer), stdin) &&
           (answer[0] == 'y' || answer[0] == 'Y');
}

static int
confirm(struct cli *cli, const char *question, struct error *err)
{
    if (cli_flag(cli, "force") || agreed(question))
        return 0;
    error_set(err, ERROR_USAGE, "nothing was deleted");
    return error_hint(err, "to go on without a question: tidegate reset -f");
}

static void
say_row(void *context, const char *what, const char *state, const char *sql)
{
    (void)context;
    fputs("  ", stderr);
    cli_print(stderr, what);
    fprintf(stderr, ": %s%s", state, sql && *sql ? "; by hand: " : "");
    cli_print(stderr, sql ? sql : "");
    fputc('\n', stderr);
}

static void
say_finding(void *context, enum check_level level, const char *what, const char *mend)
{
    (void)level;
    say_row(context, what, "note", mend);
}

/* What stays in a database is named, never a reason to keep the rest. */
static size_t
clean_databases(struct workspace *w)
{
    size_t left = 0;
    const struct config *config = workspace_config(w);
    struct source_report report = {.finding = say_finding, .row = say_row};
    for (size_t i = 0; i < config->source_count; i++) {
        struct error err = {0};
        struct source_plan plan;
        if (!workspace_source_plan(w, config->sources[i].name, &plan))
            continue;
        fprintf(stderr, "source \"%s\":\n", plan.name);
        if (source_installed(&plan, SOURCE_REMOVE, NULL, false, &report, &err) == 0)
            continue;
        error_context(&err, "source \"%s\" could not be cleaned", plan.name);
        cli_complain(&err);
        left++;
    }
    return left;
}

static int
remove_entry(const char *folder, const char *name, struct error *err)
{
    char path[PATH_MAX];
    struct stat st;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path) ||
        lstat(path, &st) != 0)
        return error_set(err, ERROR_IO, "%s/%s can't be removed", folder, name);
    return S_ISDIR(st.st_mode) ? cli_remove_tree(path, err) : file_unlink(path, err);
}

int
cli_remove_tree(const char *path, struct error *err)
{
    DIR *dir = opendir(path);
    int result = 0;
    if (!dir)
        return errno == ENOENT ? 0 : error_errno(err, ERROR_IO, errno, "remove %s", path);
    for (struct dirent *e; result == 0 && (e = readdir(dir));)
        result = remove_entry(path, e->d_name, err);
    closedir(dir);
    if (result == 0 && rmdir(path) != 0)
        return error_errno(err, ERROR_IO, errno, "remove %s", path);
    return result;
}

static int
reset_everything(struct cli *cli, const char *folder, struct error *err)
{
    char question[PATH_MAX + 200], data[PATH_MAX + 8];
    snprintf(data, sizeof(data), "%s/data", folder);
    snprintf(question, sizeof(question),
             "Delete %s (journal, checkpoints, waiting messages, dead letters) and what Tidegate "
             "made in "
             "the databases?",
             data);
    if (confirm(cli, question, err) != 0)
        return -1;
    struct error open_error = {0};
    size_t left = 0;
    struct workspace *w =
        workspace_open(&(struct workspace_options){.folder = folder, .offline = true}, &open_error);
    if (w)
        left = clean_databases(w);
    else if (open_error.class == ERROR_BUSY)
        return *err = open_error, -1;
    else
        left =
            (size_t)fprintf(stderr, "the databases could not be cleaned: %s\n", open_error.message);
    workspace_close(w);
    if (cli_remove_tree(data, err) != 0)
        return -1;
    fprintf(stderr, "deleted %s\n", data);
    if (left == 0)
        return 0;
    error_set(err, ERROR_UNREACHABLE, "what Tidegate made in a database is still there");
    return error_hint(err, "run the statements printed above in that database: this workspace does "
                           "not know of them any more");
}

/* The store's file tells the newest event number that anybody saw: none is ever used twice. */
static int
reset_journal(struct cli *cli, const char *folder, struct error *err)
{
    char question[PATH_MAX + 200], path[PATH_MAX + 32], data[PATH_MAX + 8];
    uint64_t newest = 0;
    snprintf(path, sizeof(path), "%s/data/journal", folder);
    snprintf(data, sizeof(data), "%s/data", folder);
    snprintf(
        question, sizeof(question),
        "Delete the journal %s? Every source begins again with a gap, and what its database still "
        "holds of the log comes again.",
        path);
    if (confirm(cli, question, err) != 0)
        return -1;
    int lock = folder_lock(folder, err);
    if (lock < 0)
        return -1;
    int result = registry_end_all(data, "the journal was reset", &newest, err);
    if (result == 0)
        result = journal_reset(path, newest, err);
    folder_unlock(lock);
    if (result == 0)
        fprintf(stderr, "the journal begins again\n");
    return result;
}

int
cli_reset(struct cli *cli, struct error *err)
{
    char folder[PATH_MAX];
    if (cli_folder(cli, false, folder, err) != 0)
        return -1;
    return cli_flag(cli, "journal") ? reset_journal(cli, folder, err)
                                    : reset_everything(cli, folder, err);
}
