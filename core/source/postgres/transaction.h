/* From messages to events, each with its place: what was journalled before is skipped, a
 * transaction that was half journalled is read again and proved to be the same, one event is held
 * back so that the last one of its transaction can say so. design/sources.md §4, "Position". */
#ifndef SOURCE_POSTGRES_TRANSACTION_H
#define SOURCE_POSTGRES_TRANSACTION_H

#include "source/postgres/relation.h"

/* One message and what was made of it; two of them, since one may be held back. */
struct pg_item {
    char *bytes; /* libpq's, or NULL */
    struct arena arena;
    struct pgoutput_message message;
    struct event event;
};

struct pg_transaction {
    bool open;
    bool whole;   /* it was journalled as a whole: nothing of it is emitted */
    bool partial; /* items below `resume` were journalled, and it is not yet proved */
    uint32_t xid;
    int64_t time;
    char id[16]; /* xid as text */
    size_t id_size;
    struct pg_place next; /* of the item that comes next */
    uint64_t hash;        /* of the row messages before it */
    uint32_t ordinal;     /* items so far */
    struct buffer meta;   /* JSON that the writer attached */
    struct buffer text;   /* scratch */
    struct pg_item items[2];
    unsigned free; /* which of them the next message goes to; the other one may be held */
    bool held;
    uint64_t begins; /* transactions seen in this session */
};

void pg_transaction_init(struct pg_transaction *tx);
void pg_transaction_release(struct pg_transaction *tx);

/* One message of the stream. `bytes` (of libpq, holds `message`) is taken over, also on failure. */
int pg_transaction_take(struct source_context *context, char *bytes, struct slice message,
                        struct error *err) must_check;

/* The server has sent all of its log up to `end`. LOST when something that was read before should
 * have come again, and did not. */
int pg_transaction_reach(struct source_context *context, uint64_t end,
                         struct error *err) must_check;

/* Holds the item's event back, filling in what it has from its transaction; the event that was held
 * before goes out, and after it a ddl event if `r` (may be NULL) is seen in a new form. */
int pg_transaction_hold(struct source_context *context, struct pg_item *item, struct pg_relation *r,
                        struct error *err) must_check;

/* Between transactions: an event that is not in the log, such as a table that is captured from here
 * on. `e` has op, schema and ddl or gap. */
int pg_transaction_announce(struct source_context *context, struct event *e,
                            struct error *err) must_check;

#endif
