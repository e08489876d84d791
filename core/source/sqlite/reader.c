/* Rows of the change log become events. A read takes a bounded piece in one short transaction and
 * copies it, so that a slow journal never makes the application's WAL grow. */
#include <stdio.h>
#include <stdlib.h>
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "source/sqlite/state.h"

static const char what[] = "read the change log";

int
reader_open(struct state *state, struct error *err)
{
    struct reader *r = &state->reader;
    buffer_init(&r->raw, (size_t)1 << 32); /* SQLite allows no row above 10^9 bytes */
    arena_init(&r->arena, 1 << 16);
    r->begin = call_prepare(state->db, "BEGIN", what, err);
    r->commit = r->begin ? call_prepare(state->db, "COMMIT", what, err) : NULL;
    if (r->commit)
        r->meta = call_prepare(state->db,
                               "SELECT m.incarnation, m.stop, s.schema_version"
                               " FROM main._tidegate_meta m, pragma_schema_version s",
                               what, err);
    if (r->meta)
        r->rows = call_prepare(
            state->db, "SELECT * FROM main._tidegate_log WHERE id > ?1 ORDER BY id LIMIT ?2", what,
            err);
    return r->rows ? 0 : -1;
}

void
reader_close(struct state *state)
{
    struct reader *r = &state->reader;
    sqlite3_finalize(r->begin);
    sqlite3_finalize(r->commit);
    sqlite3_finalize(r->meta);
    sqlite3_finalize(r->rows);
    buffer_release(&r->raw);
    arena_release(&r->arena);
    free(r->versions);
    memset(r, 0, offsetof(struct reader, raw));
    r->count = 0;
}

static int
find_version(struct source_context *context, int64_t ver, size_t *out, struct error *err)
{
    struct state *state = context->state;
    struct reader *r = &state->reader;
    for (*out = r->version_count; *out > 0;) {
        if (r->versions[--*out].ver == ver)
            return 0;
    }
    if (r->version_count == r->version_room) {
        r->version_room = r->version_room ? r->version_room * 2 : 16;
        r->versions = memory_grow(r->versions, r->version_room * sizeof *r->versions);
    }
    *out = r->version_count;
    if (version_load(state->db, context->plan, ver, &r->versions[*out], err) != 0)
        return -1;
    r->version_count++;
    return 0;
}

/* Cells of a row of the log: new ones, then old ones. */
static int
cell_count(const struct schema *schema, int op)
{
    if (op == EVENT_UPDATE)
        return 2 * schema->column_count;
    return op == EVENT_INSERT || op == EVENT_DELETE ? schema->column_count : 1;
}

/* Copies one row: id, ts, ver, op and the cells, in one run of bytes that is hashed as it stands.
 */
static int
copy_row(struct source_context *context, sqlite3_stmt *row, struct reader_row *out,
         struct error *err)
{
    struct reader *r = &((struct state *)context->state)->reader;
    int64_t ver = sqlite3_column_int64(row, 2);
    out->id = sqlite3_column_int64(row, 0);
    out->ts = sqlite3_column_int64(row, 1);
    out->op = sqlite3_column_int(row, 3);
    out->offset = r->raw.size;
    if (find_version(context, ver, &out->version, err) != 0)
        return -1;
    int count = cell_count(r->versions[out->version].schema, out->op);
    if (4 + count > sqlite3_column_count(row))
        return error_set(err, ERROR_LOST, "row %lld of the change log is too short",
                         (long long)out->id);
    buffer_u64(&r->raw, (uint64_t)out->id);
    buffer_u64(&r->raw, (uint64_t)out->ts);
    buffer_u64(&r->raw, (uint64_t)ver);
    buffer_u64(&r->raw, (uint64_t)out->op);
    changelog_row_write(row, 4, count, &r->raw);
    out->size = r->raw.size - out->offset;
    return 0;
}

/* Is it still the same log, and may it still grow? */
static int
check_meta(struct state *state, struct error *err)
{
    sqlite3_stmt *row = state->reader.meta;
    int found = call_step(row, what, err);
    if (found == 1) {
        state->meta.stop = sqlite3_column_int64(row, 1);
        state->compare = state->compare || sqlite3_column_int64(row, 2) != state->cookie;
        if ((uint64_t)sqlite3_column_int64(row, 0) != state->meta.incarnation)
            found = error_set(err, ERROR_LOST, "the change log of %s was started again by somebody",
                              state->path);
    } else if (found == 0) {
        found =
            error_set(err, ERROR_LOST, "the change log of %s was emptied by somebody", state->path);
    }
    sqlite3_reset(row);
    return found == 1 ? 0 : -1;
}

/* Ids have no holes: a row that is not there was removed. */
static int
check_next(const struct state *state, int64_t expected, int64_t id, struct error *err)
{
    if (id == expected)
        return 0;
    return error_set(err, ERROR_LOST,
                     "rows %lld to %lld of the change log of %s were removed by somebody",
                     (long long)expected, (long long)id - 1, state->path);
}

static int
read_rows(struct source_context *context, bool *ended, struct error *err)
{
    struct state *state = context->state;
    struct reader *r = &state->reader;
    int64_t expected = state->at.id + 1;
    int found = 0;
    sqlite3_bind_int64(r->rows, 1, state->at.id);
    sqlite3_bind_int64(r->rows, 2, READER_ROWS + 1);
    while (r->count < READER_ROWS && r->raw.size < READER_BYTES &&
           (found = call_step(r->rows, what, err)) == 1) {
        struct reader_row *row = &r->read[r->count];
        if (copy_row(context, r->rows, row, err) != 0 ||
            check_next(state, expected++, row->id, err) != 0) {
            found = -1;
            break;
        }
        r->count++;
    }
    *ended = found == 0 && r->count < READER_ROWS && r->raw.size < READER_BYTES;
    sqlite3_reset(r->rows);
    return found < 0 ? -1 : 0;
}

int
reader_read(struct source_context *context, bool *ended, struct error *err)
{
    struct state *state = context->state;
    struct reader *r = &state->reader;
    *ended = false;
    r->count = 0;
    buffer_reset(&r->raw);
    int found = call_step(r->begin, what, err);
    sqlite3_reset(r->begin);
    if (found < 0)
        return -1;
    int result = check_meta(state, err) != 0 ? -1 : read_rows(context, ended, err);
    if (result != 0) {
        r->count = 0;
        sqlite3_exec(state->db, "ROLLBACK", NULL, NULL, NULL);
        return -1;
    }
    found = call_step(r->commit, what, err);
    sqlite3_reset(r->commit);
    return found < 0 ? -1 : 0;
}

static void
decode_cell(struct scan *scan, struct cell *cell)
{
    uint64_t bits;
    *cell = (struct cell){.kind = CELL_NULL};
    switch (scan_byte(scan)) {
    case SQLITE_INTEGER:
        cell->kind = CELL_INT;
        cell->integer = (int64_t)scan_u64(scan);
        break;
    case SQLITE_FLOAT:
        cell->kind = CELL_FLOAT;
        bits = scan_u64(scan);
        memcpy(&cell->real, &bits, sizeof bits);
        break;
    case SQLITE_TEXT:
        cell->text = scan_lenslice(scan);
        cell->kind = text_is_utf8(cell->text) ? CELL_TEXT : CELL_BYTES;
        break;
    case SQLITE_BLOB:
        cell->text = scan_lenslice(scan);
        cell->kind = CELL_BYTES;
        break;
    }
}

static struct row
decode_row(struct scan *scan, struct arena *arena, unsigned count)
{
    struct cell *cells = arena_alloc(arena, (count + 1) * sizeof *cells);
    for (unsigned i = 0; i < count; i++)
        decode_cell(scan, &cells[i]);
    return (struct row){true, (uint16_t)count, cells};
}

/* Rows of our own carry one text. */
static void
decode_note(struct scan *scan, struct event *e)
{
    struct cell cell;
    decode_cell(scan, &cell);
    *(e->op == EVENT_DDL ? &e->ddl : &e->gap) = cell.text;
}

static void
decode(struct scan *scan, struct arena *arena, struct event *e)
{
    unsigned count = e->schema->column_count;
    if (e->op == EVENT_INSERT || e->op == EVENT_UPDATE)
        e->rows[EVENT_NEW] = decode_row(scan, arena, count);
    if (e->op == EVENT_UPDATE || e->op == EVENT_DELETE)
        e->rows[EVENT_OLD] = decode_row(scan, arena, count);
    if (e->op == EVENT_DDL || e->op == EVENT_GAP)
        decode_note(scan, e);
}

/* At most once a minute; the first at once. */
static void
report_break(const struct source_context *context, const struct event *e)
{
    struct reader *r = &((struct state *)context->state)->reader;
    int64_t now = clock_mono();
    r->breaks++;
    if (r->reported_at && now - r->reported_at < 60 * CLOCK_SECOND)
        return;
    r->reported_at = now;
    log_warning(context->component,
                "row %.*s of the change log, table %.*s: the old values are not those that the row"
                " had before; a change of it was not logged or is out of order (%llu such rows)",
                (int)e->position.size, e->position.data, (int)e->schema->table.size,
                e->schema->table.data, (unsigned long long)r->breaks);
}

static int
emit_row(struct source_context *context, const struct reader_row *row, struct error *err)
{
    static const char *const suffixes[EVENT_OPS] = {[EVENT_DDL] = "-d1", [EVENT_GAP] = "-g1"};
    struct state *state = context->state;
    struct reader *r = &state->reader;
    struct version *version = &r->versions[row->version];
    struct scan scan = scan_of((struct slice){r->raw.data + row->offset + 32, row->size - 32});
    char text[40];
    bool known = row->op > 0 && row->op < EVENT_OPS;
    int size = snprintf(text, sizeof text, "%lld%s", (long long)row->id,
                        known && suffixes[row->op] ? suffixes[row->op] : "");
    struct event e = {.op = (enum event_op)row->op,
                      .ts = row->ts * 1000,
                      .schema = version->schema,
                      .position = {text, (size_t)size}};
    if (!known)
        return error_set(err, ERROR_LOST, "row %lld of the change log has an unknown operation %d",
                         (long long)row->id, row->op);
    state->at.id = row->id;
    state->at.ver = version->ver;
    state->at.hash = hash64(r->raw.data + row->offset, row->size);
    struct buffer position;
    buffer_init(&position, 64);
    changelog_position_write(&state->at, &position);
    arena_reset(&r->arena);
    decode(&scan, &r->arena, &e);
    if (!chain_follow(&r->chain, &e))
        report_break(context, &e);
    int result = source_emit(context, &e, buffer_view(&position), err);
    buffer_release(&position);
    return result;
}

int
reader_emit(struct source_context *context, struct error *err)
{
    struct reader *r = &((struct state *)context->state)->reader;
    for (size_t i = 0; i < r->count; i++) {
        if (emit_row(context, &r->read[i], err) != 0)
            return -1;
    }
    r->count = 0;
    return 0;
}

int
reader_hash(struct source_context *context, int64_t id, int64_t *ver, uint64_t *hash,
            struct error *err)
{
    struct state *state = context->state;
    struct reader *r = &state->reader;
    struct reader_row row;
    buffer_reset(&r->raw);
    sqlite3_bind_int64(r->rows, 1, id - 1);
    sqlite3_bind_int64(r->rows, 2, 1);
    int found = call_step(r->rows, what, err);
    if (found == 1 && copy_row(context, r->rows, &row, err) != 0)
        found = -1;
    sqlite3_reset(r->rows);
    if (found == 0 || (found == 1 && row.id != id))
        return error_set(err, ERROR_LOST, "row %lld of the change log of %s is not there any more",
                         (long long)id, state->path);
    if (found < 0)
        return -1;
    *hash = hash64(r->raw.data, row.size);
    *ver = r->versions[row.version].ver;
    return 0;
}
