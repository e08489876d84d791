#include "cli/cli.h"

#define OPTIONS(rows) .options = rows, .option_count = countof(rows)
#define COLUMNS(rows) .columns = rows, .column_count = countof(rows)

const struct cli_option cli_common[] = {
    {"workspace", 'C', CLI_TEXT, "DIR", "the workspace; else here, $TIDEGATE_HOME, ~/.tidegate"},
    {"json", 0, CLI_FLAG, NULL, "data as JSON"},
    {"help", 'h', CLI_FLAG, NULL, "this text"},
};
const size_t cli_common_count = countof(cli_common);

static const struct cli_option start_options[] = {
    {"port", 'p', CLI_INT, "PORT", "port of the web server (settings.port, 5858)"},
    {"daemon", 'd', CLI_FLAG, NULL, "go on in the background; returns when ready"},
    {"log-level", 0, CLI_TEXT, "LEVEL", "error, warning, info or debug (info)"},
};
static const struct cli_option stop_options[] = {
    {"port", 'p', CLI_INT, "PORT", "find the daemon by its port"},
};
static const struct cli_option reset_options[] = {
    {"force", 'f', CLI_FLAG, NULL, "do not ask"},
    {"journal", 0, CLI_FLAG, NULL, "only the journal: it begins again, with a gap"},
};
static const struct cli_option demo_options[] = {
    {"for", 0, CLI_TEXT, "TIME", "end by itself after this time, such as 20s"},
    {"keep", 0, CLI_FLAG, NULL, "leave the demo's folder behind"},
};
static const struct cli_option events_options[] = {
    {"from-lsn", 0, CLI_INT, "N", "from this event on"},
    {"from-time", 0, CLI_TEXT, "TIME", "from this time on: RFC 3339, or 2h ago as 2h"},
    {"from-beginning", 0, CLI_FLAG, NULL,
     "from the oldest event kept (without a start: the newest 20)"},
    {"source", 0, CLI_TEXT, "GLOB", "only of these sources"},
    {"table", 0, CLI_TEXT, "GLOB", "only of these tables: schema.table or table"},
    {"exclude", 0, CLI_TEXTS, "GLOB", "not of these tables; may be given again"},
    {"op", 0, CLI_TEXT, "LIST", "only these operations, such as insert,update"},
    {"limit", 0, CLI_INT, "N", "at most so many"},
    {"format", 0, CLI_TEXT, "NAME", "native or debezium (native)"},
};
static const struct cli_option trim_options[] = {
    {"before-lsn", 0, CLI_INT, "N", "events below this number may go"},
    {"force", 0, CLI_FLAG, NULL, "also those that a consumer has not read"},
};
static const struct cli_option triggers_options[] = {
    {"sql", 0, CLI_FLAG, NULL, "print the statements instead of running them"},
};
static const struct cli_option dead_options[] = {
    {"channel", 0, CLI_TEXT, "NAME", "only of this channel"},
    {"rule", 0, CLI_TEXT, "NAME", "only of this rule"},
    {"id", 0, CLI_TEXT, "MSG", "only this message"},
    {"older-than", 0, CLI_TEXT, "TIME", "only those first tried longer ago, such as 7d"},
    {"limit", 0, CLI_INT, "N", "at most so many"},
    {"all", 0, CLI_FLAG, NULL, "every one of them"},
};
static const struct cli_option check_options[] = {
    {"rules", 0, CLI_FLAG, NULL, "configuration and scripts only, without touching a database"},
};

static const struct cli_column source_columns[] = {
    {"name", "SOURCE"}, {"driver", "DRIVER"},        {"state", "STATE"},       {"events", "EVENTS"},
    {"lsn", "LSN"},     {"watermark", "READ UP TO"}, {"position", "POSITION"},
};
static const struct cli_column consumer_columns[] = {{"name", "CONSUMER"},
                                                     {"enabled", "ENABLED"},
                                                     {"checkpoint", "CHECKPOINT"},
                                                     {"lag", "LAG"},
                                                     {"seen", "SEEN"}};
static const struct cli_column rule_columns[] = {
    {"name", "RULE"},     {"state", "STATE"},     {"matched", "MATCHED"},       {"sent", "SENT"},
    {"failed", "FAILED"}, {"problem", "PROBLEM"}, {"last_error", "LAST ERROR"},
};
static const struct cli_column channel_columns[] = {
    {"name", "CHANNEL"},      {"type", "TYPE"}, {"state", "STATE"},         {"waiting", "WAITING"},
    {"retrying", "RETRYING"}, {"dead", "DEAD"}, {"delivered", "DELIVERED"}, {"reason", "REASON"},
};
static const struct cli_column trigger_columns[] = {
    {"name", "NAME"}, {"state", "STATE"}, {"sql", "STATEMENT"}};
static const struct cli_column dead_columns[] = {
    {"id", "MESSAGE"},     {"channel", "CHANNEL"},      {"rule", "RULE"},
    {"attempts", "TRIES"}, {"first_at", "FIRST TRIED"}, {"reason", "REASON"},
};
static const struct cli_column count_columns[] = {{"count", "MESSAGES"}};
static const struct cli_column trim_columns[] = {{"oldest_lsn", "OLDEST LSN"}};

const struct command commands[] = {
    {"init", "make a workspace: tidegate.lua, one script, .gitignore", {"[dir]"}, .run = cli_init},
    {"start", "run the workspace", {"[dir]"}, OPTIONS(start_options), .run = cli_start},
    {"stop", "end the running daemon", {"[dir]"}, OPTIONS(stop_options), .run = cli_stop},
    {"status", "how the workspace is", {"[dir]"}, OPTIONS(stop_options), .run = cli_status},
    {"check",
     "check configuration, scripts, databases; print what mends each",
     {"[source]"},
     OPTIONS(check_options),
     .run = cli_check},
    {"events",
     "print events from the journal as JSON lines",
     {NULL},
     OPTIONS(events_options),
     .operation = "events"},
    {"tail",
     "print events as they come, until Ctrl-C",
     {NULL},
     OPTIONS(events_options),
     .operation = "tail"},
    {"rules", "list rules and what they did", {NULL}, .operation = "rules", COLUMNS(rule_columns)},
    {"channels",
     "list channels and their queues",
     {NULL},
     .operation = "channels",
     COLUMNS(channel_columns)},
    {"sources",
     "list sources and how far they have read",
     {NULL},
     .operation = "sources",
     COLUMNS(source_columns)},
    {"sources remove",
     "drop what Tidegate made in the database of a source no longer declared",
     {"source"},
     .operation = "sources remove",
     COLUMNS(trigger_columns)},
    {"consumers",
     "list readers of the journal and their lag",
     {NULL},
     .operation = "consumers",
     COLUMNS(consumer_columns)},
    {"triggers",
     "what Tidegate makes in a source's database; VERB is list, sync or remove",
     {"source", "verb", "[table]"},
     OPTIONS(triggers_options),
     .run = cli_triggers,
     .operation = "triggers",
     COLUMNS(trigger_columns)},
    {"journal status",
     "the journal, its retention, and who reads it",
     {NULL},
     .run = cli_journal_status,
     .operation = "journal status"},
    {"journal trim",
     "let go of old events",
     {NULL},
     OPTIONS(trim_options),
     .operation = "journal trim",
     COLUMNS(trim_columns)},
    {"dead list",
     "list dead letters",
     {NULL},
     OPTIONS(dead_options),
     .operation = "dead list",
     COLUMNS(dead_columns)},
    {"dead retry",
     "deliver dead letters again",
     {NULL},
     OPTIONS(dead_options),
     .operation = "dead retry",
     COLUMNS(count_columns)},
    {"dead drop",
     "delete dead letters",
     {NULL},
     OPTIONS(dead_options),
     .operation = "dead drop",
     COLUMNS(count_columns)},
    {"reset",
     "delete what Tidegate stored; configuration and scripts stay",
     {NULL},
     OPTIONS(reset_options),
     .run = cli_reset},
    {"demo",
     "a small shop that keeps changing, and alerts on the terminal",
     {NULL},
     OPTIONS(demo_options),
     .run = cli_demo},
    {"version", "version and what is built in", {NULL}, .run = cli_version},
    {"completion",
     "print completion for bash, zsh or fish, or the manual page: man",
     {"shell"},
     .run = cli_completion},
    {"help", "help on a command", {"[command]", "[word]"}, .run = cli_help},
};
const size_t command_count = countof(commands);
