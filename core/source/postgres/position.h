/* Where reading stands in the server's log, as it stands in each block of the journal: a head that
 * changes with every event and a tail that changes seldom. design/sources.md §4, "Position".
 *
 * What can be told apart in the log is an item: a change of one row, one table of a TRUNCATE, or a
 * logical message. Its place is (commit LSN, stage, index, part): `index` counts insert, update,
 * delete and truncate messages as the server sent them, before any filter of ours; `part` counts
 * logical messages since the row message before, and the tables of one TRUNCATE. */
#ifndef SOURCE_POSTGRES_POSITION_H
#define SOURCE_POSTGRES_POSITION_H

#include "base/buffer.h"
#include "base/error.h"

/* Orders what shares an LSN. Stored; never renumber. */
enum pg_stage {
    PG_STAGE_MESSAGE = 0, /* a message outside of transactions */
    PG_STAGE_OPEN = 1,    /* items of an unfinished transaction */
    PG_STAGE_WHOLE = 2,   /* the whole transaction */
};

struct pg_place {
    uint64_t lsn; /* of the commit, or of a message outside of transactions */
    uint8_t stage;
    uint32_t index, part; /* the next item; for stage OPEN */
};

struct pg_position {
    struct pg_place place;
    uint32_t xid;  /* of the transaction at `place` */
    uint64_t hash; /* unfinished: of its row messages so far, see pg_position_hash; whole: the time
                      of its commit, µs, so that it can be recognised */
    uint64_t confirm; /* end of the last whole transaction, or of the last idle keepalive */
    uint32_t extra;   /* events of ours since `place` that are not in the log: ddl, gap */
    uint64_t system;  /* the server's system identifier */
    uint32_t timeline;
};

#define PG_POSITION_HEAD 64 /* bytes; anything shorter is no position */

void pg_position_write(const struct pg_position *position, struct buffer *out); /* the head */
/* 0 or -1; what follows the head is the tail. */
int pg_position_read(struct slice bytes, struct pg_position *out, struct slice *tail) must_check;
/* Was it written in a later form than this program knows? */
bool pg_position_is_newer(struct slice bytes);
/* "16/B374D848", and the item where it is inside of a transaction, for people. */
void pg_position_describe(struct slice bytes, struct buffer *out);

int pg_place_compare(const struct pg_place *a, const struct pg_place *b); /* <0, 0, >0 */
/* The event's own position, unique in its epoch: "16B374D848-17", with ".2" where part is not 0,
 * "16B374D848-m" for a message outside of transactions. */
void pg_place_print(const struct pg_place *place, struct buffer *out);

/* The hash after one more row message. */
uint64_t pg_position_hash(uint64_t before, struct slice message);

/* One captured table as it was last seen in the stream. */
struct pg_known {
    uint32_t oid;
    uint32_t flags;      /* enum pg_known_flag */
    uint64_t schema;     /* number of the schema of its newest event; 0: none yet */
    uint64_t partitions; /* digest of its list of partitions; 0: not partitioned */
};

enum pg_known_flag {
    PG_KNOWN_TOLD = 2,      /* only a statement told of it: it is not captured yet */
    PG_KNOWN_UNLISTED = 4,  /* the catalog did not list it at the last look */
    PG_KNOWN_ANNOUNCED = 1, /* its newest change was told by the ddl trigger: no second ddl event */
};

/* What changes seldom: how the slot is read, and what is known of each table. */
struct pg_tail {
    char slot[64];
    char publications[192]; /* as START_REPLICATION takes them: quoted, joined by commas */
    uint64_t
        floor; /* below it the log is never asked for: it was read through other publications */
    struct pg_known *known; /* owned, sorted by oid */
    size_t count, room;
};

void pg_tail_init(struct pg_tail *tail);
void pg_tail_release(struct pg_tail *tail);
void pg_tail_write(const struct pg_tail *tail, struct buffer *out);
/* Foreign bytes; `out` must be initialised. -1: wrong. */
int pg_tail_read(struct slice bytes, struct pg_tail *out) must_check;
/* The entry of a table; NULL when unknown. pg_tail_add makes it. */
struct pg_known *pg_tail_find(const struct pg_tail *tail, uint32_t oid);
struct pg_known *pg_tail_add(struct pg_tail *tail, uint32_t oid);
void pg_tail_remove(struct pg_tail *tail, uint32_t oid);

#endif
