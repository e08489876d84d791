/* Input: an encoded schema behind its length (none, or a broken one: ours is taken), then records.
 * Their schema numbers are made to fit, so that what follows is reached. All that can be read of an
 * event is read, its JSON must be JSON, and encoding it again must give the same event. */
#include <stdlib.h>

#include "base/json.h"
#include "event/codec.h"
#include "event/event_json.h"

#define DEEP 400 /* brackets from which a document may pass JSON_DEPTH together with its event */

struct bench {
    struct schema_set *set;
    const struct schema *schema;
    struct arena arena;
    struct buffer scratch;
    bool shallow;
};

static const struct schema *
our_schema(struct schema_set *set)
{
    static const char *const names[] = {"id",   "status", "total", "note", "at",
                                        "data", "x",      "y",     "z",    "\"\xff"};
    struct column columns[countof(names)];
    struct schema draft = {
        .source = slice_literal("shop.eu"),
        .driver = slice_literal("sqlite"),
        .schema = slice_literal("main"),
        .table = slice_literal("orders"),
        .column_count = countof(names),
        .columns = columns,
    };
    for (size_t i = 0; i < countof(names); i++)
        columns[i] = (struct column){
            .name = slice_of(names[i]),
            .type = slice_of(""),
            .family = (uint8_t)(i < FAMILY_TIME ? i : 0),
            .key = (uint16_t)(i < 2 ? 2 - i : 0),
        };
    return schema_intern(set, &draft, NULL);
}

static void
check_json(struct bench *b, struct event *e, const struct event_shape *shape)
{
    struct buffer compact;
    buffer_reset(&b->scratch);
    event_json(e, shape, &b->scratch);
    ensure(!b->scratch.failed);
    if (!b->shallow)
        return;
    buffer_init(&compact, b->scratch.limit);
    ensure(json_compact(buffer_view(&b->scratch), &compact, NULL) == 0);
    ensure(!memchr(b->scratch.data, '\n', b->scratch.size));
    buffer_release(&compact);
}

static void
check_reading(struct bench *b, struct event *e)
{
    static const char *const columns[] = {"status", "id"};
    const struct event_shape shapes[] = {
        {FORMAT_NATIVE, NUMBER_STRING, NUMBER_NUMBER, NULL, 0},
        {FORMAT_NATIVE, NUMBER_NUMBER, NUMBER_STRING, columns, countof(columns)},
        {FORMAT_DEBEZIUM, NUMBER_NUMBER, NUMBER_NUMBER, NULL, 0},
    };
    for (unsigned i = 0; i <= e->schema->column_count; i++) {
        buffer_reset(&b->scratch);
        cell_print(event_value(e, EVENT_NEW, i), &b->scratch);
        cell_print(event_value(e, EVENT_OLD, i), &b->scratch);
        event_changed(e, i);
    }
    event_id(e, &b->scratch);
    event_key(e, EVENT_NEW, &b->scratch);
    event_key(e, EVENT_OLD, &b->scratch);
    ensure(event_key_hash(e) != 0);
    for (size_t i = 0; i < countof(shapes); i++)
        check_json(b, e, &shapes[i]);
}

static void
check_equal(struct event *a, struct event *b)
{
    ensure(a->op == b->op && a->ts == b->ts && a->schema == b->schema);
    ensure(a->tx_index == b->tx_index && a->tx_last == b->tx_last);
    ensure(slice_equal(a->position, b->position) && slice_equal(a->tx_id, b->tx_id));
    ensure(slice_equal(a->ddl, b->ddl) && slice_equal(a->gap, b->gap));
    ensure(slice_equal(a->prefix, b->prefix) && slice_equal(a->content, b->content));
    ensure(slice_equal(a->meta, b->meta));
    for (int image = EVENT_NEW; image <= EVENT_OLD; image++) {
        const struct row *x = event_row(a, image), *y = event_row(b, image);
        ensure(x->present == y->present && x->count == y->count);
        ensure(x->count <= a->schema->column_count);
        for (unsigned i = 0; i < x->count; i++) {
            ensure(cell_equal(&x->cells[i], &y->cells[i]));
            ensure(x->cells[i].has_us == y->cells[i].has_us);
        }
    }
}

static void
check_again(struct bench *b, struct event *e)
{
    struct buffer record;
    struct event again;
    struct scan s;
    buffer_init(&record, 1 << 28);
    codec_encode(e, &record);
    ensure(!record.failed);
    s = scan_of(buffer_view(&record));
    ensure(codec_decode(&s, b->set, &b->arena, &again, NULL) == 0);
    ensure(s.at == s.end);
    check_equal(e, &again);
    buffer_release(&record);
}

/* Where the schema's number stands: behind the length, op and flags. */
static char *
number_of(char *record)
{
    while (*record & 0x80)
        record++;
    return record + 3;
}

static void
check_records(struct bench *b, char *bytes, size_t size)
{
    struct scan s = scan_of((struct slice){bytes, size});
    struct slice record;
    uint64_t schema;
    enum event_op op;
    while (s.at < s.end && codec_peek(&s, &schema, &op, &record, NULL) == 0) {
        struct scan one = scan_of(record);
        char *number = number_of(bytes + (record.data - bytes));
        struct event e, untouched;
        for (int i = 0; i < 8; i++)
            number[i] = (char)(b->schema->number >> (8 * i));
        if (codec_decode(&one, b->set, &b->arena, &e, NULL) != 0)
            continue;
        ensure(e.op == op && one.at == one.end);
        untouched = e;
        check_reading(b, &e);
        check_again(b, &e);
        check_again(b, &untouched);
        arena_reset(&b->arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bench b = {.set = schema_set_new(NULL, NULL)};
    char *bytes = memory_slice((struct slice){(const char *)data, size});
    struct scan s = scan_of((struct slice){bytes, size});
    struct slice schema = scan_lenslice(&s);
    size_t brackets = 0;
    for (size_t i = 0; i < size; i++)
        brackets += data[i] == '[' || data[i] == '{';
    b.shallow = brackets < DEEP;
    arena_init(&b.arena, 0);
    buffer_init(&b.scratch, 1 << 28);
    b.schema = schema_decode(b.set, schema, NULL);
    if (!b.schema)
        b.schema = our_schema(b.set);
    if (!s.failed)
        check_records(&b, bytes + (s.at - bytes), (size_t)(s.end - s.at));
    buffer_release(&b.scratch);
    arena_release(&b.arena);
    schema_set_free(b.set);
    free(bytes);
    return 0;
}
