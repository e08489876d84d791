/* The command line. One table of commands (command.c) feeds parsing, help, completion and the man
 * page; a command is a row there and, unless it only asks an operation, a file of its own here.
 *
 * Data goes to stdout, talk to stderr, --json where there is data; exit codes are sysexits(3)'s, 1
 * is a negative answer. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>
#include "base/error.h"
#include "base/value.h"

enum cli_kind {
    CLI_FLAG,
    CLI_TEXT,
    CLI_INT,
    CLI_TEXTS, /* may be given again: a list */
};

struct cli_option {
    const char *name; /* without -- */
    char letter;      /* 0: none */
    enum cli_kind kind;
    const char *value; /* "DIR": the value's name in help */
    const char *help;
};

/* One column of a list for people. */
struct cli_column {
    const char *key; /* of the row */
    const char *title;
};

struct cli;
typedef int cli_run(struct cli *cli, struct error *err);

struct command {
    const char *name; /* one word, or two: "journal status" */
    const char *summary;
    const char *words[4]; /* names of the words after it: "source"; "[table]" may be missing */
    const struct cli_option *options;
    size_t option_count;
    cli_run *run; /* NULL: asks `operation` and prints its rows */
    const char *operation;
    const struct cli_column *columns; /* of the list; none: rows are printed as JSON */
    size_t column_count;
};

extern const struct command commands[];
extern const size_t command_count;
/* Options that many commands take, by their own name, so that the table can refer to them. */
extern const struct cli_option cli_common[]; /* workspace, json, help */
extern const size_t cli_common_count;

/* A command under way. */
struct cli {
    const struct command *command;
    struct arena arena;
    struct value arguments; /* a map: options by name, words by name */
    bool json;
    const char *workspace; /* -C, or NULL */
};

int cli_main(int argc, char **argv); /* the process's exit code */

const char *cli_text(const struct cli *cli, const char *key); /* NULL: not given */
bool cli_flag(const struct cli *cli, const char *key);
/* The port of -p, or 0. */
int64_t cli_given_port(const struct cli *cli);
/* The port to listen on: of -p, else of $TIDEGATE_PORT, else 0. */
int cli_port(const struct cli *cli, int64_t *port, struct error *err) must_check;
/* "FOLDER" that is meant, PATH_MAX bytes. */
int cli_folder(const struct cli *cli, bool create, char *out, struct error *err) must_check;

/* Runs cli->command->operation with the arguments, in the daemon or on the files, and prints. */
int cli_operate(struct cli *cli, struct error *err);
/* The same with rows handed to `row`. */
typedef int cli_row(void *context, const struct value *row, struct slice json);
int cli_ask(struct cli *cli, const char *operation, cli_row *row, void *context, struct error *err);

/* Prints a text that may be a stranger's: nothing in it reaches the terminal but what it shows. */
void cli_print(FILE *out, const char *text);

/* Prints a failure as "tidegate: …" with cause and hint on lines of their own. */
void cli_complain(const struct error *err);

/* Colour on a terminal only, never with NO_COLOR: the escape sequence, or "". */
const char *cli_colour(FILE *out, const char *sequence);
#define CLI_BOLD   "\033[1m"
#define CLI_RED    "\033[31m"
#define CLI_GREEN  "\033[32m"
#define CLI_YELLOW "\033[33m"
#define CLI_SOFT   "\033[2m"
#define CLI_PLAIN  "\033[0m"

/* Removes a folder and all in it. A missing one is no error. */
int cli_remove_tree(const char *path, struct error *err);

void help_overview(FILE *out);
void help_command(FILE *out, const struct command *command);

cli_run cli_init, cli_start, cli_stop, cli_status, cli_reset, cli_version, cli_check, cli_demo,
    cli_completion, cli_help, cli_triggers, cli_journal_status;

#endif
