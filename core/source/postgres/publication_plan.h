/* What differs between our publications and the tables that are captured, as statements; shared by
 * publication.c, which reads and compares, and publication_sync.c, which runs. */
#ifndef SOURCE_POSTGRES_PUBLICATION_PLAN_H
#define SOURCE_POSTGRES_PUBLICATION_PLAN_H

#include "source/postgres/publication.h"

struct pg_statements {
    struct arena arena; /* owns the texts */
    const char **items;
    size_t count, room;
    bool creates;           /* one of them makes a publication */
    struct buffer left_out; /* names of tables that only their owner could add, joined by commas */
    size_t left_out_count;
    size_t published; /* tables that are captured once all ran */
    const char *mend; /* the statement for a superuser that adds the first one left out */
};

int pg_statements_find(struct pg_session *s, const struct pg_tables *tables,
                       struct pg_statements *out, struct error *err) must_check;
void pg_statements_release(struct pg_statements *statements);

/* Appends ALTER TABLE … REPLICA IDENTITY FULL for what has it not. */
int pg_statements_identity(struct pg_session *s, const struct pg_tables *tables,
                           struct pg_statements *out, struct error *err) must_check;
/* Appends one; takes the text out of `sql`, which is then empty. */
void pg_statements_add(struct pg_statements *statements, struct buffer *sql);

#endif
