/* Arbitrary bytes as a frame of the copy stream, and as a message of pgoutput. All that was read
 * must lie within the input. */
#include "source/postgres/pgoutput.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice input;

static void
check_text(struct slice text)
{
    static volatile uint8_t read;
    if (slice_is(text, "pg_catalog"))
        return; /* ours, in place of "" */
    ensure(text.data >= input.data && slice_end(text) <= slice_end(input));
    for (size_t i = 0; i < text.size; i++)
        read = (uint8_t)text.data[i];
    (void)read;
}

static void
check_tuple(const struct pgoutput_tuple *tuple)
{
    for (unsigned i = 0; tuple->present && i < tuple->count; i++) {
        const struct pgoutput_value *value = &tuple->values[i];
        ensure(value->kind == PGOUTPUT_TEXT || value->kind == PGOUTPUT_NULL ||
               value->kind == PGOUTPUT_UNCHANGED);
        ensure(value->kind == PGOUTPUT_TEXT || value->text.size == 0);
        check_text(value->text);
    }
}

static void
check_relation(const struct pgoutput_relation *relation)
{
    check_text(relation->schema);
    check_text(relation->table);
    for (unsigned i = 0; i < relation->count; i++)
        check_text(relation->columns[i].name);
}

static void
check_change(const struct pgoutput_message *m)
{
    const struct pgoutput_change *change = &m->change;
    ensure(change->new_row.present == (m->kind != PGOUTPUT_DELETE));
    ensure(change->old_row.present || m->kind != PGOUTPUT_DELETE);
    ensure(!change->old_row.present || m->kind != PGOUTPUT_INSERT);
    check_tuple(&change->new_row);
    check_tuple(&change->old_row);
}

static void
check_message(const struct pgoutput_message *m)
{
    if (m->kind == PGOUTPUT_RELATION) {
        check_relation(&m->relation);
    } else if (m->kind == PGOUTPUT_TYPE) {
        check_text(m->type.schema);
        check_text(m->type.name);
    } else if (m->kind == PGOUTPUT_MESSAGE) {
        check_text(m->logical.prefix);
        check_text(m->logical.content);
    } else if (m->kind == PGOUTPUT_TRUNCATE) {
        ensure(m->truncate.count <= input.size / 4);
    } else if (strchr("IUD", m->kind)) {
        check_change(m);
    } else {
        ensure(strchr("BCO", m->kind));
    }
}

static void
try_message(struct slice bytes, struct arena *arena)
{
    struct pgoutput_message m;
    struct error err = {0};
    if (pgoutput_decode(bytes, arena, &m, &err) == 0)
        check_message(&m);
    else
        ensure(err.class == ERROR_CORRUPT && err.message[0]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pg_frame frame;
    struct error err = {0};
    struct arena arena;
    arena_init(&arena, 0);
    input = (struct slice){(const char *)data, size};
    if (pg_frame_decode(input, &frame, &err) != 0)
        ensure(err.class == ERROR_CORRUPT && err.message[0]);
    else if (frame.kind == PG_FRAME_DATA)
        try_message(frame.message, &arena);
    try_message(input, &arena);
    arena_release(&arena);
    return 0;
}
