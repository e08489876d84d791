#include "source/postgres/pgoutput.h"

/* The least bytes that one of each takes: counts are held against these before memory is taken. */
enum { COLUMN_BYTES_MIN = 10, VALUE_BYTES_MIN = 1, OID_BYTES = 4 };

enum { COLUMN_KEY = 1, TRUNCATE_CASCADE = 1, TRUNCATE_RESTART = 2, MESSAGE_TRANSACTIONAL = 1 };

/* Reading latches the first reason why the bytes are no message; later reads give zeros. */
struct cursor {
    const char *at, *end;
    const char *wrong; /* NULL: all is well so far */
    const char *wrong_at;
};

static void
fail(struct cursor *c, const char *why)
{
    if (c->wrong)
        return;
    c->wrong = why;
    c->wrong_at = c->at;
    c->at = c->end;
}

static size_t
left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

static uint64_t
big_endian(const char *from, int bytes)
{
    const uint8_t *at = (const uint8_t *)from;
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

static uint64_t
take(struct cursor *c, int bytes)
{
    const char *at = c->at;
    if (left(c) < (size_t)bytes) {
        fail(c, "it ends early");
        return 0;
    }
    c->at += bytes;
    return big_endian(at, bytes);
}

static uint8_t
take8(struct cursor *c)
{
    return (uint8_t)take(c, 1);
}

static uint32_t
take32(struct cursor *c)
{
    return (uint32_t)take(c, 4);
}

static uint64_t
take64(struct cursor *c)
{
    return take(c, 8);
}

static uint8_t
take_flags(struct cursor *c, uint8_t known)
{
    uint8_t flags = take8(c);
    if (flags & ~known)
        fail(c, "it has flags that this protocol has not");
    return flags;
}

/* Wraps for times that no server has. */
static int64_t
take_time(struct cursor *c)
{
    return (int64_t)(take64(c) + (uint64_t)PG_EPOCH);
}

static struct slice
take_text(struct cursor *c)
{
    const char *at = c->at;
    const char *nul = left(c) ? memchr(at, '\0', left(c)) : NULL;
    if (!nul) {
        fail(c, "a name does not end");
        return slice_of("");
    }
    c->at = nul + 1;
    return (struct slice){at, (size_t)(nul - at)};
}

/* pgoutput leaves out the name of the schema that every search path begins with. */
static struct slice
take_schema(struct cursor *c)
{
    struct slice name = take_text(c);
    return name.size ? name : slice_of("pg_catalog");
}

static void
decode_begin(struct cursor *c, struct arena *arena, struct pgoutput_message *out)
{
    (void)arena;
    out->begin.commit_lsn = take64(c);
    out->begin.time = take_time(c);
    out->begin.xid = take32(c);
}

static void
decode_commit(struct cursor *c, struct arena *arena, struct pgoutput_message *out)
{
    (void)arena;
    take_flags(c, 0);
    out->commit.commit_lsn = take64(c);
    out->commit.end_lsn = take64(c);
    out->commit.time = take_time(c);
}

/* Where a replicated transaction came from: nothing of it is kept. */
static void
decode_origin(struct cursor *c, struct arena *arena, struct pgoutput_message *out)
{
    (void)arena;
    (void)out;
    take64(c);
    take_text(c);
}

static void
decode_column(struct cursor *c, struct pgoutput_column *out)
{
    out->key = take_flags(c, COLUMN_KEY) & COLUMN_KEY;
    out->name = take_text(c);
    out->type = take32(c);
    out->modifier = (int32_t)take32(c);
}

static void
decode_relation(struct cursor *c, struct arena *arena, struct pgoutput_message *out)
{
    struct pgoutput_relation *relation = &out->relation;
    relation->oid = take32(c);
    relation->schema = take_schema(c);
    relation->table = take_text(c);
    relation->identity = (char)take8(c);
    relation->count = (uint16_t)take(c, 2);
    if (!c->wrong && (!relation->identity || !strchr("dnfi", relation->identity)))
        fail(c, "its replica identity is unknown");
    if (relation->count > left(c) / COLUMN_BYTES_MIN)
        fail(c, "it has more columns than bytes");
    if (c->wrong)
        return;
    relation->columns = arena_alloc(arena, relation->count * sizeof(*relation->columns));
    for (unsigned i = 0; i < relation->count && !c->wrong; i++)
        decode_column(c, &relation->columns[i]);
}

static void
decode_type(struct cursor *c, struct arena *arena, struct pgoutput_message *out)
{
    (void)arena;
    out->type.oid = take32(c);
    out->type.schema = take_schema(c);
    out->type.name = take_text(c);
}

/* One value; where it ends, NULL when it is none. The innermost loop of a source. */
static const char *
decode_value(const char *at, const char *end, struct pgoutput_value *out)
{
    uint32_t size;
    if (at == end)
        return NULL;
    out->kind = (uint8_t)*at++;
    out->text = (struct slice){at, 0};
    if (out->kind == PGOUTPUT_NULL || out->kind == PGOUTPUT_UNCHANGED)
        return at;
    if (out->kind != PGOUTPUT_TEXT || end - at < 4)
        return NULL;
    size = (uint32_t)big_endian(at, 4);
    at += 4;
    if (size > (size_t)(end - at))
        return NULL;
    out->text = (struct slice){at, size};
    return at + size;
}

static void
decode_tuple(struct cursor *c, struct arena *arena, struct pgoutput_tuple *out)
{
    struct pgoutput_value *values;
    const char *at;
    unsigned count = (unsigned)take(c, 2);
    if (count > left(c) / VALUE_BYTES_MIN)
        fail(c, "it has more columns than bytes");
    if (c->wrong)
        return;
    values = arena_alloc(arena, count * sizeof(*values));
    at = c->at;
    for (unsigned i = 0; i < count; i++) {
        at = decode_value(at, c->end, &values[i]);
        if (!at) {
            fail(c, "a value of its row is cut, or not text, null or unchanged");
            return;
        }
    }
    c->at = at;
    out->present = true;
    out->count = (uint16_t)count;
    out->values = values;
}

/* The rows of a change: which of them there must be follows from its kind. */
static void
decode_change(struct cursor *c, struct arena *arena, struct pgoutput_message *out)
{
    struct pgoutput_change *change = &out->change;
    uint8_t mark;
    *change = (struct pgoutput_change){.relation = take32(c)};
    mark = take8(c);
    if (out->kind != PGOUTPUT_INSERT && (mark == 'K' || mark == 'O')) {
        change->old_row.key_only = mark == 'K';
        decode_tuple(c, arena, &change->old_row);
        if (out->kind == PGOUTPUT_DELETE)
            return;
        mark = take8(c);
    }
    if (out->kind == PGOUTPUT_DELETE || mark != 'N')
        fail(c, "a row is missing");
    decode_tuple(c, arena, &change->new_row);
}

static void
decode_truncate(struct cursor *c, struct arena *arena, struct pgoutput_message *out)
{
    struct pgoutput_truncate *truncate = &out->truncate;
    uint8_t flags;
    truncate->count = take32(c);
    flags = take_flags(c, TRUNCATE_CASCADE | TRUNCATE_RESTART);
    truncate->cascade = flags & TRUNCATE_CASCADE;
    truncate->restart_identity = flags & TRUNCATE_RESTART;
    if (truncate->count > left(c) / OID_BYTES)
        fail(c, "it has more tables than bytes");
    if (c->wrong)
        return;
    truncate->relations = arena_alloc(arena, truncate->count * sizeof(*truncate->relations));
    for (uint32_t i = 0; i < truncate->count; i++)
        truncate->relations[i] = take32(c);
}

static void
decode_logical(struct cursor *c, struct arena *arena, struct pgoutput_message *out)
{
    struct pgoutput_logical *logical = &out->logical;
    uint32_t size;
    (void)arena;
    logical->transactional = take_flags(c, MESSAGE_TRANSACTIONAL) & MESSAGE_TRANSACTIONAL;
    logical->lsn = take64(c);
    logical->prefix = take_text(c);
    size = take32(c);
    if (size > left(c))
        fail(c, "its content is cut");
    if (c->wrong)
        return;
    logical->content = (struct slice){c->at, size};
    c->at += size;
}

typedef void decode_function(struct cursor *c, struct arena *arena, struct pgoutput_message *out);

static const struct decoder {
    const char *name; /* as PostgreSQL's documentation calls it */
    decode_function *decode;
} decoders[UINT8_MAX + 1] = {
    [PGOUTPUT_BEGIN] = {"Begin", decode_begin},
    [PGOUTPUT_COMMIT] = {"Commit", decode_commit},
    [PGOUTPUT_ORIGIN] = {"Origin", decode_origin},
    [PGOUTPUT_RELATION] = {"Relation", decode_relation},
    [PGOUTPUT_TYPE] = {"Type", decode_type},
    [PGOUTPUT_INSERT] = {"Insert", decode_change},
    [PGOUTPUT_UPDATE] = {"Update", decode_change},
    [PGOUTPUT_DELETE] = {"Delete", decode_change},
    [PGOUTPUT_TRUNCATE] = {"Truncate", decode_truncate},
    [PGOUTPUT_MESSAGE] = {"Message", decode_logical},
};

static struct cursor
cursor_of(struct slice bytes)
{
    const char *at = bytes.data ? bytes.data : "";
    return (struct cursor){.at = at, .end = at + bytes.size};
}

/* All must have been read, and nothing have been wrong. `name`: what it was read as. */
static int
finish(struct cursor *c, const char *name, struct slice bytes, struct error *err)
{
    if (c->at != c->end)
        fail(c, "bytes follow its end");
    if (!c->wrong)
        return 0;
    return error_set(err, ERROR_CORRUPT, "%s from PostgreSQL is wrong at byte %zu of %zu: %s", name,
                     (size_t)(c->wrong_at - (bytes.data ? bytes.data : c->end)), bytes.size,
                     c->wrong);
}

int
pgoutput_decode(struct slice bytes, struct arena *arena, struct pgoutput_message *out,
                struct error *err)
{
    struct cursor c = cursor_of(bytes);
    uint8_t kind = take8(&c);
    const struct decoder *decoder = &decoders[kind];
    if (!bytes.size)
        return error_set(err, ERROR_CORRUPT, "a message from PostgreSQL is empty");
    if (!decoder->decode)
        return error_set(err, ERROR_CORRUPT,
                         "a message from PostgreSQL is of kind 0x%02X, which was not asked for",
                         kind);
    out->kind = kind;
    decoder->decode(&c, arena, out);
    return finish(&c, decoder->name, bytes, err);
}

static void
decode_keepalive(struct cursor *c, struct pg_frame *out)
{
    uint8_t reply;
    out->end = take64(c);
    out->sent = take_time(c);
    reply = take_flags(c, 1);
    out->reply = reply;
}

int
pg_frame_decode(struct slice bytes, struct pg_frame *out, struct error *err)
{
    struct cursor c = cursor_of(bytes);
    uint8_t kind = take8(&c);
    *out = (struct pg_frame){.kind = kind};
    if (kind == PG_FRAME_KEEPALIVE) {
        decode_keepalive(&c, out);
        return finish(&c, "a keepalive", bytes, err);
    }
    if (kind != PG_FRAME_DATA)
        return error_set(err, ERROR_CORRUPT,
                         "a frame of %zu bytes from PostgreSQL is of unknown kind 0x%02X",
                         bytes.size, kind);
    out->start = take64(&c);
    out->end = take64(&c);
    out->sent = take_time(&c);
    out->message = (struct slice){c.at, left(&c)};
    c.at = c.end;
    return finish(&c, "a frame of data", bytes, err);
}

static void
put64(struct buffer *out, uint64_t value)
{
    char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(value >> (56 - 8 * i));
    buffer_append(out, bytes, sizeof(bytes));
}

void
pg_status_encode(uint64_t lsn, int64_t now, bool reply, struct buffer *out)
{
    buffer_byte(out, 'r');
    put64(out, lsn); /* written */
    put64(out, lsn); /* flushed */
    put64(out, lsn); /* applied */
    put64(out, (uint64_t)now - (uint64_t)PG_EPOCH);
    buffer_byte(out, reply);
}
