/* What the files of `check` share. Each part looks at one side of the database and says what it
 * finds, each with the statement that mends it; it answers -1 where a question itself failed, and
 * the other parts go on. Statements that are printed are whole SQL: remarks stand behind "--". */
#ifndef SOURCE_POSTGRES_CHECK_PART_H
#define SOURCE_POSTGRES_CHECK_PART_H

#include "source/postgres/slot.h"

/* What one question tells of server, role and room. */
struct pg_facts {
    const char *user, *database, *wal_level,
        *slot_timeout; /* slot_timeout: "" before 18, "0" off */
    bool standby, superuser, replicates, creates;
    bool rds; /* a server whose right to replicate is the role rds_replication */
    int64_t slots, slots_used, senders, senders_used;
    int64_t keep;               /* max_slot_wal_keep_size in bytes; -1: no limit */
    double wal_bytes, wal_span; /* the log grew by so much in so many seconds */
};

/* A relation that somebody may take for a table. */
struct pg_candidate {
    uint32_t oid;
    const char *schema, *name;
    char kind; /* pg_class.relkind */
    bool temporary;
    const char *root;  /* of a partition: "schema.table"; NULL */
    const char *owner; /* NULL: a superuser, whose rights nobody should be given */
};

/* A publication of ours, or the named one. */
struct pg_published {
    char name[PG_NAME];
    bool exists, owned, via_root;
    bool whole; /* publishes every kind of change */
};

struct pg_checking {
    const struct source_plan *plan;
    const struct pg_options *options;
    const struct source_report *report;
    struct pg_session session;
    struct arena arena; /* owns all texts */
    struct pg_facts facts;
    struct pg_tables tables;
    struct pg_candidate *candidates;
    size_t candidate_count;
    bool started;            /* the workspace has an id, so names of ours are known */
    char slot_name[PG_NAME]; /* "" when not yet known */
    struct pg_slot slot;
    struct pg_published publications[2]; /* keyed, keyless; the named one alone */
    size_t publication_count;
};

typedef int pg_check_part(struct pg_checking *c, struct error *err);

pg_check_part pg_check_facts;      /* check_server.c; first */
pg_check_part pg_check_names;      /* check_slot.c: slot and publications as they are */
pg_check_part pg_check_candidates; /* check_table.c */
pg_check_part pg_check_server, pg_check_rights, pg_check_room;    /* check_server.c */
pg_check_part pg_check_patterns, pg_check_tables;                 /* check_table.c */
pg_check_part pg_check_publications, pg_check_slot, pg_check_ddl; /* check_slot.c */

/* CREATE PUBLICATION of every captured table, as their owner would run it. check_slot.c */
const char *pg_check_creation(struct pg_checking *c, const char *name);

/* One finding. Texts are made in `arena`. */
void pg_check_say(struct pg_checking *c, enum check_level level, const char *what,
                  const char *mend);
void pg_check_say_error(struct pg_checking *c, const struct error *err);

const char *pg_check_name(struct pg_checking *c, const char *name); /* quoted for SQL */
const char *pg_check_literal(struct pg_checking *c, const char *text);
const char *pg_check_table(struct pg_checking *c, struct slice schema, struct slice table);

#endif
