#include "source/sqlite/chain.h"
#include "base/hash.h"

static uint64_t
cell_hash(const struct cell *cell, uint64_t seed)
{
    bool text = cell->kind >= CELL_DECIMAL;
    seed += cell->kind;
    return text ? hash64_seed(cell->text.data, cell->text.size, seed)
                : hash64_seed(&cell->integer, sizeof cell->integer, seed);
}

/* Can the row be told apart? SQLite lets many rows have NULL in their primary key. */
static bool
is_known(const struct event *e, const struct row *row)
{
    for (unsigned i = 0; row->present && i < e->schema->key_count; i++) {
        if (row->cells[e->schema->key[i]].kind == CELL_NULL)
            return false;
    }
    return row->present && e->schema->key_count > 0;
}

static uint64_t
key_hash(const struct event *e, const struct row *row)
{
    uint64_t hash = e->schema->number;
    for (unsigned i = 0; i < e->schema->key_count; i++)
        hash = cell_hash(&row->cells[e->schema->key[i]], hash);
    return hash ? hash : 1;
}

static uint64_t
row_hash(const struct row *row)
{
    uint64_t hash = 0;
    for (unsigned i = 0; i < row->count; i++)
        hash = cell_hash(&row->cells[i], hash);
    return hash ? hash : 1;
}

bool
chain_follow(struct chain *chain, const struct event *e)
{
    const struct row *after = &e->rows[EVENT_NEW], *before = &e->rows[EVENT_OLD];
    bool right = true;
    if (is_known(e, before)) {
        uint64_t key = key_hash(e, before);
        size_t at = key % CHAIN_ROWS;
        right = chain->rows[at].key != key || chain->rows[at].row == row_hash(before);
        chain->rows[at].key = key;
        chain->rows[at].row = 0;
    }
    if (is_known(e, after)) {
        uint64_t key = key_hash(e, after);
        size_t at = key % CHAIN_ROWS;
        bool fresh =
            e->op != EVENT_INSERT || chain->rows[at].key != key || chain->rows[at].row == 0;
        right = right && fresh;
        chain->rows[at].key = key;
        chain->rows[at].row = row_hash(after);
    }
    return right;
}
