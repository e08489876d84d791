/* The proof that a stream can be cut anywhere: random transactions (rows of several tables, wanted
 * or not, tables that change in between, TRUNCATE of several, logical messages inside and outside)
 * are read once as a whole; then, from each position that was ever given away, a new session reads
 * what the server would send again, and must emit exactly the events that are missing. Stands in
 * for source_emit.c and source_plan.c, so that every position is seen. */
#include "source/postgres/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/json.h"

#define TABLES 4 /* the last one is not wanted */
#define ROUNDS 60

/* What the source would keep of one event. */
struct kept {
    char *text; /* all that can be told of it */
    char *position;
    size_t size;
};

struct session {
    struct source_context context;
    struct pg_state state;
    struct buffer tail, position; /* as the source has them */
    struct kept *kept;
    size_t count;
};

static struct session *current;

void
source_attach(struct source_context *context, struct slice tail)
{
    (void)context;
    buffer_reset(&current->tail);
    buffer_slice(&current->tail, tail);
}

static void
print_row(struct buffer *out, const struct row *row)
{
    if (!row->present)
        buffer_text(out, "-");
    for (unsigned i = 0; row->present && i < row->count; i++) {
        buffer_printf(out, "%u=", row->cells[i].kind);
        cell_print(&row->cells[i], out);
        buffer_text(out, ",");
    }
    buffer_text(out, "|");
}

int
source_emit(struct source_context *context, const struct event *e, struct slice position,
            struct error *err)
{
    (void)context;
    (void)err;
    struct buffer text, whole;
    buffer_init(&text, 1 << 20);
    buffer_init(&whole, 1 << 20);
    buffer_printf(&text, "%d %.*s %.*s #%u%s %.*s ", e->op, (int)e->position.size, e->position.data,
                  (int)e->tx_id.size, e->tx_id.data, e->tx_index, e->tx_last ? " last" : "",
                  (int)e->schema->table.size, e->schema->table.data);
    print_row(&text, &e->rows[EVENT_NEW]);
    print_row(&text, &e->rows[EVENT_OLD]);
    buffer_slice(&text, e->meta);
    buffer_text(&text, e->ddl.size ? "ddl" : "");
    buffer_slice(&text, e->prefix);
    buffer_slice(&text, e->content);
    buffer_slice(&whole, position);
    buffer_slice(&whole, buffer_view(&current->tail));
    current->kept = memory_grow(current->kept, (current->count + 1) * sizeof *current->kept);
    struct kept *kept = &current->kept[current->count++];
    kept->text = buffer_take(&text, NULL);
    kept->position = buffer_take(&whole, &kept->size);
    return 0;
}

bool
source_wants(const struct source_plan *plan, struct slice schema, struct slice table)
{
    (void)plan;
    (void)schema;
    return !slice_is(table, "t3");
}

bool
source_wants_column(const struct source_plan *plan, struct slice table, struct slice column)
{
    (void)plan;
    (void)table;
    return !slice_is(column, "hidden");
}

bool
source_stopping(const struct source_context *context)
{
    (void)context;
    return false;
}

void
source_advance(struct source_context *context, struct slice position)
{
    (void)context;
    (void)position;
}

void
source_watermark(struct source_context *context, int64_t us)
{
    (void)context;
    (void)us;
}

/* The log of the server. */
enum kind { ROW, TRUNCATE, MESSAGE, META };

struct entry {
    enum kind kind;
    unsigned table, version, value;
    unsigned versions[TABLES]; /* of all tables at that time */
};

struct logged { /* a transaction, or a message outside of one */
    bool lone;
    uint64_t lsn, end;
    uint32_t xid;
    size_t count;
    struct entry entries[12];
};

struct server {
    struct logged log[ROUNDS];
    size_t count;
};

static void
put(struct buffer *b, uint64_t value, int bytes)
{
    while (bytes-- > 0)
        buffer_byte(b, (uint8_t)(value >> (8 * bytes)));
}

static void
put_text(struct buffer *b, const char *text)
{
    buffer_append(b, text, strlen(text) + 1);
}

static void
put_relation(struct buffer *b, unsigned table, unsigned version)
{
    char name[16];
    buffer_byte(b, 'R');
    put(b, 100 + table, 4);
    put_text(b, "public");
    snprintf(name, sizeof name, "t%u", table);
    put_text(b, name);
    buffer_byte(b, 'd');
    put(b, 3 + version, 2);
    for (unsigned i = 0; i < 3 + version; i++) {
        snprintf(name, sizeof name, "c%u", i);
        buffer_byte(b, i == 0);
        put_text(b, i == 1 ? "hidden" : name);
        put(b, i == 0 ? 23 : 25, 4);
        put(b, UINT32_MAX, 4);
    }
}

static void
put_row(struct buffer *b, const struct entry *e)
{
    char text[16];
    buffer_byte(b, 'I');
    put(b, 100 + e->table, 4);
    buffer_byte(b, 'N');
    put(b, 3 + e->version, 2);
    for (unsigned i = 0; i < 3 + e->version; i++) {
        int size = snprintf(text, sizeof text, "%u", e->value + i);
        buffer_byte(b, 't');
        put(b, (uint64_t)size, 4);
        buffer_append(b, text, (size_t)size);
    }
}

static void
put_message(struct buffer *b, bool transactional, uint64_t lsn, const char *prefix, unsigned value)
{
    char text[24];
    snprintf(text, sizeof text, "{\"v\":%u}", value);
    buffer_byte(b, 'M');
    buffer_byte(b, transactional);
    put(b, lsn, 8);
    put_text(b, prefix);
    put(b, strlen(text), 4);
    buffer_append(b, text, strlen(text));
}

static void
put_truncate(struct buffer *b, const struct entry *e)
{
    unsigned count = 1 + e->value % TABLES;
    buffer_byte(b, 'T');
    put(b, count, 4);
    buffer_byte(b, 0);
    for (unsigned i = 0; i < count; i++)
        put(b, 100 + (e->table + i) % TABLES, 4);
}

static void
put_entry(struct buffer *b, const struct entry *e)
{
    switch (e->kind) {
    case ROW:
        put_row(b, e);
        break;
    case TRUNCATE:
        put_truncate(b, e);
        break;
    case MESSAGE:
        put_message(b, true, 1, "other", e->value);
        break;
    case META:
        put_message(b, true, 1, "tidegate", e->value);
        break;
    }
}

static int
take(struct session *s, struct buffer *b, struct error *err)
{
    /* libpq's buffers come from malloc, and each is of its own size. */
    char *bytes = memory_slice(buffer_view(b));
    struct slice message = {bytes, b->size};
    int result = pg_transaction_take(&s->context, bytes, message, err);
    buffer_reset(b);
    return result;
}

/* Relations are described before their first use in a session, and again when they changed. */
static int
send_relations(struct session *s, const struct entry *e, int *told, struct buffer *b,
               struct error *err)
{
    unsigned count = e->kind == TRUNCATE ? 1 + e->value % TABLES : e->kind == ROW;
    for (unsigned i = 0; i < count; i++) {
        unsigned table = (e->table + i) % TABLES;
        unsigned version = e->versions[table];
        if (told[table] == (int)version)
            continue;
        told[table] = (int)version;
        put_relation(b, table, version);
        if (take(s, b, err) != 0)
            return -1;
    }
    return 0;
}

static int
send_transaction(struct session *s, const struct logged *l, int *told, struct error *err)
{
    struct buffer b;
    buffer_init(&b, 1 << 20);
    buffer_byte(&b, 'B');
    put(&b, l->lsn, 8);
    put(&b, l->lsn * 1000, 8);
    put(&b, l->xid, 4);
    int result = take(s, &b, err);
    for (size_t i = 0; result == 0 && i < l->count; i++) {
        result = send_relations(s, &l->entries[i], told, &b, err);
        if (result == 0) {
            put_entry(&b, &l->entries[i]);
            result = take(s, &b, err);
        }
    }
    if (result == 0) {
        buffer_byte(&b, 'C');
        buffer_byte(&b, 0);
        put(&b, l->lsn, 8);
        put(&b, l->end, 8);
        put(&b, l->lsn * 1000, 8);
        result = take(s, &b, err);
    }
    buffer_release(&b);
    return result;
}

static int
send_lone(struct session *s, const struct logged *l, struct error *err)
{
    struct buffer b;
    buffer_init(&b, 1 << 16);
    put_message(&b, false, l->lsn, "alone", l->xid);
    int result = take(s, &b, err);
    buffer_release(&b);
    return result;
}

/* Everything from `confirm` on, as a new session gets it. */
static int
send_log(struct session *s, const struct server *server, uint64_t confirm, struct error *err)
{
    int told[TABLES] = {-1, -1, -1, -1};
    int result = 0;
    for (size_t i = 0; result == 0 && i < server->count; i++) {
        const struct logged *l = &server->log[i];
        if (l->lsn < confirm)
            continue;
        result = l->lone ? send_lone(s, l, err) : send_transaction(s, l, told, err);
    }
    return result;
}

static unsigned
draw(unsigned below)
{
    return (unsigned)rand() % below;
}

static void
fill_transaction(struct logged *l, unsigned *versions)
{
    l->count = draw(12);
    for (size_t i = 0; i < l->count; i++) {
        struct entry *e = &l->entries[i];
        unsigned dice = draw(20);
        e->kind = dice < 14 ? ROW : dice < 16 ? TRUNCATE : dice < 18 ? MESSAGE : META;
        e->table = draw(TABLES);
        if (e->kind == ROW && draw(6) == 0)
            versions[e->table] = draw(3); /* back and forth, also inside of a transaction */
        e->version = versions[e->table];
        memcpy(e->versions, versions, sizeof e->versions);
        e->value = draw(1000);
    }
}

static void
fill_server(struct server *server, unsigned seed)
{
    unsigned versions[TABLES] = {0};
    uint64_t lsn = 0x1000;
    bool shared = false;
    srand(seed);
    memset(server, 0, sizeof *server);
    for (server->count = 0; server->count < ROUNDS; server->count++) {
        struct logged *l = &server->log[server->count];
        l->lone = draw(6) == 0 && !shared;
        l->xid = 700 + (uint32_t)server->count;
        l->lsn = lsn;
        /* A message can carry the LSN of the transaction after it. */
        shared = l->lone && draw(2);
        lsn += shared ? 0 : 0x10 + draw(64);
        l->end = l->lsn + 8;
        if (!l->lone)
            fill_transaction(l, versions);
    }
}

static struct schema_set *schemas;
static struct pg_options options = {.messages = true};
static const struct source_driver driver = {.name = "postgres", .default_schema = "public"};
static struct source_plan plan = {.name = "shop", .driver = &driver, .options = &options};

static void
session_open(struct session *s, const char *position, size_t size)
{
    struct slice tail;
    memset(s, 0, sizeof *s);
    plan.schemas = schemas;
    s->context = (struct source_context){.plan = &plan, .state = &s->state, .component = "test"};
    buffer_init(&s->tail, 1 << 20);
    pg_transaction_init(&s->state.transaction);
    pg_relations_init(&s->state.relations);
    pg_tail_init(&s->state.tail);
    s->state.types = pg_types_new();
    buffer_init(&s->state.mark, 1 << 10);
    buffer_init(&s->state.tail_bytes, 1 << 20);
    current = s;
    if (size) {
        assert_int_equal(pg_position_read((struct slice){position, size}, &s->state.at, &tail), 0);
        assert_int_equal(pg_tail_read(tail, &s->state.tail), 0);
        s->state.half = s->state.at.place.stage == PG_STAGE_OPEN;
    }
    for (unsigned i = 0; !size && i < TABLES - 1; i++)
        pg_tail_add(&s->state.tail, 100 + i);
    s->state.resume = s->state.at;
    pg_state_attach(&s->context);
}

static void
session_close(struct session *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->kept[i].text);
        free(s->kept[i].position);
    }
    free(s->kept);
    buffer_release(&s->tail);
    buffer_release(&s->state.mark);
    buffer_release(&s->state.tail_bytes);
    pg_transaction_release(&s->state.transaction);
    pg_relations_release(&s->state.relations);
    pg_tail_release(&s->state.tail);
    pg_types_free(s->state.types);
}

/* As postgres.c does it when the slot is older than what was read. */
static void
begin_proof(struct session *s, uint64_t start)
{
    const struct pg_position *at = &s->state.at;
    bool message = at->place.stage == PG_STAGE_MESSAGE;
    s->state.proving = !s->state.half && (start < at->confirm || start < at->place.lsn);
    s->state.expecting =
        s->state.proving && (message ? at->place.lsn > start : at->place.lsn >= start);
}

static void
assert_rest(const struct session *whole, size_t from, const struct session *rest)
{
    for (size_t i = 0; i < rest->count && from + i < whole->count; i++)
        assert_string_equal(rest->kept[i].text, whole->kept[from + i].text);
    assert_int_equal(rest->count, whole->count - from);
}

/* What must come out, told by the log alone: a second, plain reading of what the rules are. */
struct oracle {
    struct buffer lines[4096];
    size_t count;
    int seen[TABLES]; /* the form of each table in its newest event */
    char meta[32];
};

static struct oracle oracle;

static void
expect(const struct logged *l, int op, const char *place, unsigned ordinal, const char *table,
       const char *rest)
{
    struct buffer *b = &oracle.lines[oracle.count++];
    assert_true(oracle.count < countof(oracle.lines));
    buffer_init(b, 1 << 12);
    buffer_printf(b, "%d %llX-%s %u #%u %s %s", op, (unsigned long long)l->lsn, place, l->xid,
                  ordinal, table, rest);
}

static void
expect_table(const struct logged *l, const struct entry *e, unsigned table, const char *place,
             unsigned ordinal)
{
    char name[8], rest[512] = "-|-|", changed[48];
    unsigned version = e->versions[table];
    size_t size = 0;
    if (table == TABLES - 1)
        return;
    snprintf(name, sizeof name, "t%u", table);
    if (oracle.seen[table] >= 0 && oracle.seen[table] != (int)version) {
        snprintf(changed, sizeof changed, "%s-d1", place);
        snprintf(rest, sizeof rest, "-|-|%sddl", oracle.meta);
        expect(l, EVENT_DDL, changed, ordinal, name, rest);
    }
    oracle.seen[table] = (int)version;
    for (unsigned i = 0; e->kind == ROW && i < 3 + version; i++) {
        if (i != 1)
            size += (size_t)snprintf(rest + size, sizeof rest - size, "%d=%u,",
                                     i == 0 ? CELL_INT : CELL_TEXT, e->value + i);
    }
    snprintf(rest + size, sizeof rest - size, "%s%s", e->kind == ROW ? "|-|" : "-|-|", oracle.meta);
    expect(l, e->kind == ROW ? EVENT_INSERT : EVENT_TRUNCATE, place, ordinal, name, rest);
}

struct reading {
    unsigned index, part, ordinal;
};

static const char *
place_of(const struct reading *r, char out[32])
{
    if (r->part)
        snprintf(out, 32, "%u.%u", r->index, r->part);
    else
        snprintf(out, 32, "%u", r->index);
    return out;
}

static void
expect_entry(const struct logged *l, const struct entry *e, struct reading *r)
{
    char place[32], rest[80];
    unsigned count = e->kind == TRUNCATE ? 1 + e->value % TABLES : 1;
    if (e->kind == META)
        snprintf(oracle.meta, sizeof oracle.meta, "{\"v\":%u}", e->value);
    if (e->kind == MESSAGE) {
        snprintf(rest, sizeof rest, "-|-|%sother{\"v\":%u}", oracle.meta, e->value);
        expect(l, EVENT_MESSAGE, place_of(r, place), r->ordinal, "", rest);
    }
    for (unsigned i = 0; i < count; i++) {
        bool row = e->kind == ROW || e->kind == TRUNCATE;
        if (row)
            expect_table(l, e, (e->table + i) % TABLES, place_of(r, place), r->ordinal);
        bool next = row && i + 1 == count;
        r->index += next;
        r->part = next ? 0 : r->part + 1;
        r->ordinal++;
    }
}

static void
expect_transaction(const struct logged *l)
{
    struct reading r = {0};
    size_t first = oracle.count;
    oracle.meta[0] = '\0';
    for (size_t i = 0; i < l->count; i++)
        expect_entry(l, &l->entries[i], &r);
    if (oracle.count == first)
        return;
    /* " #7 " becomes " #7 last ". */
    struct buffer *last = &oracle.lines[oracle.count - 1], marked;
    const char *text = buffer_cstring(last), *mark = strchr(text, '#');
    size_t head = (size_t)(mark - text) + strcspn(mark, " ");
    buffer_init(&marked, 1 << 12);
    buffer_printf(&marked, "%.*s last%s", (int)head, text, text + head);
    buffer_release(last);
    *last = marked;
}

static void
expect_log(const struct server *server)
{
    oracle.count = 0;
    for (unsigned i = 0; i < TABLES; i++)
        oracle.seen[i] = -1;
    for (size_t i = 0; i < server->count; i++) {
        const struct logged *l = &server->log[i];
        if (!l->lone) {
            expect_transaction(l);
            continue;
        }
        struct buffer *b = &oracle.lines[oracle.count++];
        buffer_init(b, 1 << 12);
        buffer_printf(b, "%d %llX-m  #0  -|-|alone{\"v\":%u}", EVENT_MESSAGE,
                      (unsigned long long)l->lsn, l->xid);
    }
}

static void
what_comes_out_is_what_the_log_says(void **unused)
{
    (void)unused;
    for (unsigned seed = 1; seed <= 200; seed++) {
        struct server server;
        struct session s;
        struct error err = {0};
        fill_server(&server, seed);
        expect_log(&server);
        session_open(&s, NULL, 0);
        assert_int_equal(send_log(&s, &server, 0, &err), 0);
        for (size_t i = 0; i < s.count && i < oracle.count; i++)
            assert_string_equal(s.kept[i].text, buffer_cstring(&oracle.lines[i]));
        assert_int_equal(s.count, oracle.count);
        session_close(&s);
        for (size_t i = 0; i < oracle.count; i++)
            buffer_release(&oracle.lines[i]);
    }
}

static void
any_cut_goes_on_without_loss_or_doubling(void **unused)
{
    (void)unused;
    for (unsigned seed = 1; seed <= 12; seed++) {
        struct server server;
        struct session whole, rest;
        struct error err = {0};
        fill_server(&server, seed);
        session_open(&whole, NULL, 0);
        assert_int_equal(send_log(&whole, &server, 0, &err), 0);
        assert_true(whole.count > 50);
        for (size_t i = 0; i < whole.count; i++) {
            const struct kept *kept = &whole.kept[i];
            struct pg_position at;
            struct slice tail;
            assert_int_equal(
                pg_position_read((struct slice){kept->position, kept->size}, &at, &tail), 0);
            /* A slot that went back, as after a crash of the server, sends more. */
            for (uint64_t back = 0; back <= 0x200; back += 0x100) {
                session_open(&rest, kept->position, kept->size);
                begin_proof(&rest, at.confirm - (at.confirm > back ? back : 0));
                if (send_log(&rest, &server, at.confirm - (at.confirm > back ? back : 0), &err) !=
                    0)
                    fail_msg("seed %u, cut %zu: %s", seed, i, err.message);
                assert_rest(&whole, i + 1, &rest);
                session_close(&rest);
            }
        }
        session_close(&whole);
    }
}

static void
positions_are_unique_and_rise(void **unused)
{
    (void)unused;
    struct server server;
    struct session s;
    struct error err = {0};
    fill_server(&server, 7);
    session_open(&s, NULL, 0);
    assert_int_equal(send_log(&s, &server, 0, &err), 0);
    for (size_t i = 0; i < s.count; i++) {
        for (size_t j = i + 1; j < s.count; j++) {
            const char *a = strchr(s.kept[i].text, ' '), *b = strchr(s.kept[j].text, ' ');
            size_t size = strcspn(a + 1, " ") + 2;
            assert_true(strncmp(a, b, size) != 0);
        }
    }
    session_close(&s);
}

/* The first position inside of a transaction, and which transaction it is. */
static const struct kept *
find_half(const struct session *s, const struct server *server, size_t *out)
{
    for (size_t i = 0; i < s->count; i++) {
        struct pg_position at;
        struct slice tail;
        const struct kept *kept = &s->kept[i];
        assert_int_equal(pg_position_read((struct slice){kept->position, kept->size}, &at, &tail),
                         0);
        if (at.place.stage != PG_STAGE_OPEN || at.place.index < 2)
            continue;
        for (*out = 0; *out < server->count; (*out)++) {
            if (!server->log[*out].lone && server->log[*out].lsn == at.place.lsn)
                return kept;
        }
    }
    fail_msg("no half transaction");
    return NULL;
}

/* The log of a backup that was restored: the same up to some place, then another one, which passes
 * what was read. */
static void
fork_server(struct server *server, size_t from)
{
    for (size_t i = from; i < server->count; i++) {
        struct logged *l = &server->log[i];
        l->xid += 1000;
        l->lsn += 3;
        l->end += 3;
        l->lone = l->lone && i % 2;
    }
}

static bool
goes_unnoticed(const struct server *server, const struct kept *kept, uint64_t start)
{
    struct session rest;
    struct error err = {0};
    session_open(&rest, kept->position, kept->size);
    begin_proof(&rest, start);
    int result = rest.state.half ? -1 : send_log(&rest, server, start, &err);
    if (result == 0)
        result = pg_transaction_reach(&rest.context, UINT64_MAX, &err);
    bool lost = rest.state.half || (result != 0 && err.class == ERROR_LOST && rest.count == 0);
    session_close(&rest);
    return !lost;
}

static void
a_restored_server_is_lost_history(void **unused)
{
    (void)unused;
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct server server, forked;
        struct session whole;
        struct error err = {0};
        fill_server(&server, seed);
        session_open(&whole, NULL, 0);
        assert_int_equal(send_log(&whole, &server, 0, &err), 0);
        for (size_t i = whole.count / 2; i < whole.count; i++) {
            const struct kept *kept = &whole.kept[i];
            struct pg_position at;
            struct slice tail;
            assert_int_equal(
                pg_position_read((struct slice){kept->position, kept->size}, &at, &tail), 0);
            /* What was read last is not in the copy; its slot is older still. */
            size_t from = 0;
            while (from < server.count && server.log[from].lsn < at.place.lsn)
                from++;
            size_t cut = from > 4 ? from - 1 - draw(3) : 1;
            forked = server;
            fork_server(&forked, cut);
            if (goes_unnoticed(&forked, kept, server.log[cut - 1].lsn))
                fail_msg("seed %u, event %zu: %s", seed, i, kept->text);
        }
        session_close(&whole);
    }
}

enum damage { OTHER_XID, OTHER_ROW, SHORTER, GONE };

static void
damage(struct server *server, size_t at, enum damage how)
{
    struct logged *l = &server->log[at];
    if (how == OTHER_XID)
        l->xid += 5000;
    else if (how == SHORTER)
        l->count = 1;
    else if (how == GONE) {
        /* A transaction tells it as well as a message of its own does. */
        memmove(l, l + 1, (--server->count - at) * sizeof *l);
        for (size_t i = at; i < server->count; i++)
            server->log[i].lone = false;
    }
    for (size_t i = 0; how == OTHER_ROW && i < l->count; i++) {
        if (l->entries[i].kind != ROW)
            continue;
        l->entries[i].value++;
        return;
    }
}

static void
another_half_is_lost_history(void **unused)
{
    static const char *const words[] = {"another transaction stands there",
                                        "its changes are other ones", "it is shorter",
                                        "not in the log any more"};
    (void)unused;
    for (int how = OTHER_XID; how <= GONE; how++) {
        struct server server;
        struct session whole, rest;
        struct error err = {0};
        size_t at;
        fill_server(&server, 3);
        session_open(&whole, NULL, 0);
        assert_int_equal(send_log(&whole, &server, 0, &err), 0);
        const struct kept *half = find_half(&whole, &server, &at);
        struct pg_position position;
        struct slice tail;
        assert_int_equal(
            pg_position_read((struct slice){half->position, half->size}, &position, &tail), 0);
        damage(&server, at, how);
        session_open(&rest, half->position, half->size);
        assert_int_equal(send_log(&rest, &server, position.confirm, &err), -1);
        assert_int_equal(err.class, ERROR_LOST);
        if (!strstr(err.message, words[how]))
            fail_msg("damage %d: %s", how, err.message);
        assert_int_equal(rest.count, 0);
        session_close(&rest);
        session_close(&whole);
    }
}

static int
set_up(void **unused)
{
    (void)unused;
    schemas = schema_set_new(NULL, NULL);
    return 0;
}

static int
tear_down(void **unused)
{
    (void)unused;
    schema_set_free(schemas);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_out_is_what_the_log_says),
        cmocka_unit_test(any_cut_goes_on_without_loss_or_doubling),
        cmocka_unit_test(positions_are_unique_and_rise),
        cmocka_unit_test(another_half_is_lost_history),
        cmocka_unit_test(a_restored_server_is_lost_history),
    };
    return cmocka_run_group_tests_name("pg_transaction", tests, set_up, tear_down);
}
