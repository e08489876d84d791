/* The messages of PostgreSQL's logical decoding plugin pgoutput, protocol version 1, text format.
 * Source: PostgreSQL documentation, "Logical Replication Message Formats" and "Message Formats of
 * Streaming Replication". Foreign bytes: whatever is wrong is ERROR_CORRUPT, never more. Pure. */
#ifndef SOURCE_POSTGRES_PGOUTPUT_H
#define SOURCE_POSTGRES_PGOUTPUT_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

/* Microseconds from 1970 to 2000, where PostgreSQL's clock begins. */
#define PG_EPOCH INT64_C(946684800000000)

/* What stands around the messages in the copy stream. */
enum pg_frame_kind { PG_FRAME_DATA = 'w', PG_FRAME_KEEPALIVE = 'k' };

struct pg_frame {
    enum pg_frame_kind kind;
    uint64_t start;       /* DATA: where this message stands; 0 for Relation and Type */
    uint64_t end;         /* the server's end of the log */
    int64_t sent;         /* when the server sent it, µs since 1970 */
    bool reply;           /* KEEPALIVE: an answer is wanted at once */
    struct slice message; /* DATA */
};

int pg_frame_decode(struct slice bytes, struct pg_frame *out, struct error *err) must_check;

enum pgoutput_kind {
    PGOUTPUT_BEGIN = 'B',
    PGOUTPUT_COMMIT = 'C',
    PGOUTPUT_ORIGIN = 'O',
    PGOUTPUT_RELATION = 'R',
    PGOUTPUT_TYPE = 'Y',
    PGOUTPUT_INSERT = 'I',
    PGOUTPUT_UPDATE = 'U',
    PGOUTPUT_DELETE = 'D',
    PGOUTPUT_TRUNCATE = 'T',
    PGOUTPUT_MESSAGE = 'M',
};

struct pgoutput_begin {
    uint64_t commit_lsn; /* of the Commit that follows */
    int64_t time;        /* of the commit, µs since 1970 */
    uint32_t xid;
};

struct pgoutput_commit {
    uint64_t commit_lsn, end_lsn;
    int64_t time;
};

struct pgoutput_column {
    bool key; /* part of the replica identity; with identity FULL every column is */
    struct slice name;
    uint32_t type;
    int32_t modifier; /* atttypmod; -1: none */
};

struct pgoutput_relation {
    uint32_t oid;
    struct slice schema; /* pg_catalog is sent as "": already filled in */
    struct slice table;
    char identity; /* d, n, f, i: pg_class.relreplident */
    uint16_t count;
    struct pgoutput_column *columns;
};

struct pgoutput_type {
    uint32_t oid;
    struct slice schema, name;
};

enum pgoutput_value_kind { PGOUTPUT_NULL = 'n', PGOUTPUT_UNCHANGED = 'u', PGOUTPUT_TEXT = 't' };

struct pgoutput_value {
    uint8_t kind; /* enum pgoutput_value_kind */
    struct slice text;
};

struct pgoutput_tuple {
    bool present;
    bool key_only; /* K: only key columns are true, the others were never there */
    uint16_t count;
    struct pgoutput_value *values;
};

struct pgoutput_change { /* INSERT UPDATE DELETE */
    uint32_t relation;
    struct pgoutput_tuple new_row, old_row;
};

struct pgoutput_truncate {
    bool cascade, restart_identity;
    uint32_t count;
    uint32_t *relations;
};

struct pgoutput_logical { /* MESSAGE: pg_logical_emit_message */
    bool transactional;
    uint64_t lsn;
    struct slice prefix, content;
};

struct pgoutput_message {
    enum pgoutput_kind kind;
    union {
        struct pgoutput_begin begin;
        struct pgoutput_commit commit;
        struct pgoutput_relation relation;
        struct pgoutput_type type;
        struct pgoutput_change change;
        struct pgoutput_truncate truncate;
        struct pgoutput_logical logical;
    };
};

/* Decodes one whole message; arrays go to `arena`, texts point into `bytes`. Binary values and the
 * messages of streamed and prepared transactions were never asked for: ERROR_CORRUPT as well. */
int pgoutput_decode(struct slice bytes, struct arena *arena, struct pgoutput_message *out,
                    struct error *err) must_check;

/* The standby status update: `lsn` as written, flushed and applied; `now` in µs since 1970; `reply`
 * asks for a keepalive in return. Appends 34 bytes. */
void pg_status_encode(uint64_t lsn, int64_t now, bool reply, struct buffer *out);

#endif
