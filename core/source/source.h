/* A source turns a database's own log into events. It owns one thread, one connection, one decoder,
 * and knows nothing of what comes after it but a sink (filled by the store, which never blocks).
 * This header is for those who start, watch and stop sources; source_driver.h is for those who
 * write one. */
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include "base/option.h"
#include "base/thread.h"
#include "event/batch.h"

/* Where a source's batches go. Filled by the store. */
struct source_sink {
    void *context;
    /* Takes the batch (ownership moves) and gives it a unit number, or answers false: full, try
     * again when the source is woken. Never blocks. Source thread. */
    bool (*give)(void *context, struct batch *batch, uint64_t *unit);
    /* The newest unit of this source that is durable; units up to it are too. Any thread. */
    uint64_t (*committed)(void *context);
};

/* Where the source stood, from the journal. Empty position: never started. */
struct source_resume {
    uint32_t epoch;
    struct slice position;
    int64_t watermark;
    uint64_t lsn;     /* of its newest event; 0: none */
    struct slice gap; /* not empty: history ended before; a gap event with this reason comes first,
                         `epoch` is already the new one and `position` is empty */
};

enum source_state {
    SOURCE_CONNECTING,
    SOURCE_STREAMING,
    SOURCE_PAUSED, /* the sink is full, the disk is full, or a person paused it */
    SOURCE_LOST,   /* continuity can't be proved; on_lost = "fail" waits for a person */
    SOURCE_FAILED, /* wrong configuration or rights: waits for a change */
    SOURCE_STOPPED,
};

const char *source_state_name(enum source_state state);

enum source_policy { SOURCE_FAIL, SOURCE_ACCEPT, SOURCE_RESNAPSHOT };
enum source_capture { SOURCE_BY_DEFAULT, SOURCE_BY_LOG, SOURCE_BY_TRIGGER };
enum source_old_values { SOURCE_OLD_AS_LOGGED, SOURCE_OLD_FULL };

/* What every source understands, whatever its driver. design/operation.md §7. */
struct source_common {
    struct option_list tables; /* patterns; empty: those that rules name */
    struct option_list exclude;
    struct option_list exclude_columns; /* "table.column" patterns, kept out of the journal */
    int on_lost;                        /* enum source_policy */
    int capture;                        /* enum source_capture */
    int snapshot;                       /* 0 never, 1 initial */
    int old_values;                     /* enum source_old_values */
    int64_t max_row;                    /* bytes */
};

/* What can be said of a source at any moment; a copy, any thread. */
struct source_status {
    enum source_state state;
    uint64_t events, batches; /* since start */
    int64_t since;            /* of this state, µs */
    int64_t watermark;        /* all that was visible in its log at this time is journalled */
    int64_t last_event;       /* ts of the newest event; 0: none */
    uint32_t epoch;
    char position[128]; /* readable */
    struct error error; /* why it is not streaming; class ERROR_NONE otherwise */
};

struct source_driver;
struct source;

/* Everything a source needs to live. Strings are borrowed for its life. */
struct source_plan {
    const char *name;
    const struct source_driver *driver;
    void *options; /* the driver's own struct, filled by option_apply */
    struct source_common common;
    const char *workspace;    /* folder; relative paths of options start here */
    const char *workspace_id; /* stands in names of what is made in the database */
    const char *const
        *rule_tables; /* patterns "schema.table" that rules name; used without `tables` */
    size_t rule_table_count;
    struct schema_set *schemas;
    struct source_sink sink;
    struct source_resume resume; /* copied by source_new */
};

/* The driver of that name, or NULL; and the list of all, for help and "did you mean". */
const struct source_driver *source_driver_find(struct slice name);
const struct source_driver *const *source_drivers(size_t *count);
extern const struct option source_common_rows[];
extern const size_t source_common_row_count;

/* What can be said of a plan without its database: ERROR_CONFIG, or ERROR_REFUSED for what is not
 * built. source_new, source_check and source_installed do it first. */
int source_plan_check(const struct source_plan *plan, struct error *err) must_check;

struct source *source_new(const struct source_plan *plan, struct error *err) must_check;
int source_start(struct source *s, struct error *err) must_check;
void source_stop(struct source *s); /* asks the thread to end after what it is reading */
void source_join(struct source *s); /* waits for it */
void source_free(struct source *s);

struct wake *source_wake(struct source *s); /* poked by the sink's owner on space and on commits */
void source_pause(struct source *s, bool paused); /* any thread */
void source_status(struct source *s, struct source_status *out);
const char *source_name(const struct source *s);
/* Asks for a tick: a proved watermark as a batch without events, soon. Any thread. */
void source_request_tick(struct source *s);

/* Work on the database without a running source: for the commands check, triggers, sources remove.
 */
enum check_level { CHECK_OK, CHECK_WARNING, CHECK_ERROR };

struct source_report {
    void *context;
    /* One finding: what was looked at, how it is, and the statement or edit that mends it or "". */
    void (*finding)(void *context, enum check_level level, const char *what, const char *mend);
    /* One row of a listing: what, state, and SQL or "". */
    void (*row)(void *context, const char *what, const char *state, const char *sql);
};

int source_check(const struct source_plan *plan, const struct source_report *report,
                 struct error *err) must_check;

/* A captured table as it is in the database now. */
struct captured_table {
    const struct schema *schema;
    bool old_values;      /* does the log carry the old row of updates and deletes? */
    const char *old_mend; /* the statement that makes it do so; "" */
};

/* Calls `visit` for each captured table; -1 from it ends. */
typedef int source_visit_schema(void *context, const struct captured_table *table);
int source_schemas(const struct source_plan *plan, source_visit_schema *visit, void *context,
                   struct error *err) must_check;

enum source_install { SOURCE_LIST, SOURCE_SYNC, SOURCE_REMOVE };

/* Lists, brings up to date, or removes what Tidegate made in the database (triggers, log tables,
 * slots …), for `table` alone or all (NULL). With `print_only` nothing is run: the SQL goes to
 * report->row. */
int source_installed(const struct source_plan *plan, enum source_install what, const char *table,
                     bool print_only, const struct source_report *report,
                     struct error *err) must_check;

#endif
