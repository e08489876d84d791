/* What tidegate.lua says, checked against the option tables of drivers, channels and settings: all
 * problems at once, each with its line. Owns everything that sources and channels borrow for their
 * life. One thread. */
#ifndef WORKSPACE_CONFIG_H
#define WORKSPACE_CONFIG_H

#include "channel/channel.h"
#include "source/source.h"

struct settings {
    int64_t port;
    const char *bind;
    struct {
        int64_t journal, journal_size; /* µs, bytes */
        int64_t dead, dead_size;
    } retention;
    int journal_full; /* enum journal_full */
    int64_t consumer_expiry;
    int64_t consumer_lag_alert; /* events */
    int64_t disk_mark;          /* bytes; 0: max(256 MiB, 2 %) */
    struct option_list allow_paths;
    bool allow_private;
};

extern const struct option settings_rows[];
extern const size_t settings_row_count;

struct config_source {
    const char *name;
    int line;
    const struct source_driver *driver;
    void *options;
    struct source_common common;
    const struct value *declared; /* the table as it stands in tidegate.lua */
};

struct config_channel {
    const char *name;
    int line;
    const struct channel_driver *driver;
    void *options;
    struct channel_common common;
};

struct config {
    struct arena arena;
    struct settings settings;
    struct config_source *sources;
    size_t source_count;
    struct config_channel *channels;
    size_t channel_count;
};

/* Told of each problem: `file` and line stand in the message. */
typedef void config_problem(void *context, const struct error *err);

/* Reads FOLDER/tidegate.lua; a missing file is an empty configuration. Everything that is right is
 * in `out` even if something else is wrong. Returns the number of problems. */
size_t config_load(const char *folder, config_problem *problem, void *context, struct config *out);
void config_release(struct config *c);

/* Checks a declaration's table against the rows of s->driver and the common ones, and fills
 * s->options and s->common. Texts live in `arena`. */
int config_apply_source(const struct value *declared, const char *folder, struct config_source *s,
                        struct arena *arena, struct error *err) must_check;

/* Fills in the sources that rules may name: those that are declared, and `tidegate`, our own
 * events. The lists live in the configuration's arena. */
struct rules_world;
void config_name_sources(struct config *c, struct rules_world *world);

const struct config_source *config_find_source(const struct config *c, const char *name);
const struct config_channel *config_find_channel(const struct config *c, struct slice name);

#endif
