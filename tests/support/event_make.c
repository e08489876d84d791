#include "support/event_make.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"

#define MAKE_TS INT64_C(1795243320000001) /* 2026-11-21T06:42:00.000001Z */

static const char *const families[] = {
    [FAMILY_ANY] = "any",         [FAMILY_INT] = "int",           [FAMILY_FLOAT] = "float",
    [FAMILY_DECIMAL] = "decimal", [FAMILY_BOOL] = "bool",         [FAMILY_TEXT] = "text",
    [FAMILY_BYTES] = "bytes",     [FAMILY_DOCUMENT] = "document", [FAMILY_TIME] = "time",
};

static struct arena *
memory(void)
{
    static struct arena arena;
    if (!arena.chunk_size)
        arena_init(&arena, 0);
    return &arena;
}

struct schema_set *
event_make_set(void)
{
    static struct schema_set *set;
    if (!set)
        set = schema_set_new(NULL, NULL);
    return set;
}

/* The text up to the next colon, which is skipped. */
static struct slice
take_word(const char **at)
{
    size_t size = strcspn(*at, ":");
    struct slice word = {*at, size};
    *at += size + ((*at)[size] == ':');
    return word;
}

static void
apply_word(struct column *column, struct slice word)
{
    if (slice_is(word, "null"))
        column->flags |= COLUMN_NULLABLE;
    else if (slice_is(word, "generated"))
        column->flags |= COLUMN_GENERATED;
    else if (word.size > 5 && memcmp(word.data, "type=", 5) == 0)
        column->type = (struct slice){word.data + 5, word.size - 5};
    else if (slice_is(word, "key"))
        column->key = 1;
    else {
        ensure(word.size == 4 && memcmp(word.data, "key", 3) == 0);
        column->key = (uint16_t)(word.data[3] - '0');
    }
}

static struct column
make_column(const char *text)
{
    struct column column = {.name = take_word(&text), .type = slice_literal("")};
    struct slice family = take_word(&text);
    while (column.family < countof(families) && !slice_is(family, families[column.family]))
        column.family++;
    ensure(column.family < countof(families));
    while (*text)
        apply_word(&column, take_word(&text));
    return column;
}

const struct schema *
event_make_schema_in(struct schema_set *set, const char *driver, const char *const names[3],
                     const char *const *columns)
{
    struct column made[SCHEMA_COLUMNS];
    struct schema draft = {
        .source = slice_of(names[0]),
        .driver = slice_of(driver),
        .schema = slice_of(names[1]),
        .table = slice_of(names[2]),
        .columns = made,
    };
    struct error err = {0};
    const struct schema *schema;
    for (; columns[draft.column_count]; draft.column_count++) {
        ensure(draft.column_count < SCHEMA_COLUMNS);
        made[draft.column_count] = make_column(columns[draft.column_count]);
    }
    schema = schema_intern(set, &draft, &err);
    if (!schema)
        fprintf(stderr, "event_make_schema: %s\n", err.message);
    ensure(schema);
    return schema;
}

/* The words that are cells by themselves. */
static bool
make_word(const char *literal, struct cell *cell)
{
    static const struct {
        const char *word;
        struct cell cell;
    } words[] = {
        {"absent", {.kind = CELL_ABSENT}},
        {"null", {.kind = CELL_NULL}},
        {"unchanged", {.kind = CELL_UNCHANGED}},
        {"unknown", {.kind = CELL_UNKNOWN}},
        {"true", {.kind = CELL_BOOL, .integer = 1}},
        {"false", {.kind = CELL_BOOL, .integer = 0}},
        {"nan", {.kind = CELL_FLOAT, .real = NAN}},
        {"inf", {.kind = CELL_FLOAT, .real = INFINITY}},
        {"-inf", {.kind = CELL_FLOAT, .real = -INFINITY}},
    };
    for (size_t i = 0; i < countof(words); i++)
        if (strcmp(literal, words[i].word) == 0) {
            *cell = words[i].cell;
            return true;
        }
    return false;
}

static struct cell
make_text(enum cell_kind kind, const char *from, size_t size)
{
    return (struct cell){
        .kind = (uint8_t)kind,
        .text = arena_slice(memory(), (struct slice){from, size}),
    };
}

static struct cell
make_bytes(const char *hex, size_t size)
{
    char *bytes = arena_alloc(memory(), size / 2 + 1);
    ensure(size % 2 == 0);
    for (size_t i = 0; i < size / 2; i++) {
        unsigned byte;
        ensure(sscanf(hex + 2 * i, "%2x", &byte) == 1);
        bytes[i] = (char)byte;
    }
    return (struct cell){.kind = CELL_BYTES, .text = {bytes, size / 2}};
}

static struct cell
make_time(const char *text)
{
    struct cell cell = make_text(CELL_TIME, text, strlen(text));
    int64_t us = 0;
    cell.has_us = clock_parse(cell.text, &us) == 0;
    cell.integer = us;
    return cell;
}

static struct cell
make_number(const char *literal, size_t size)
{
    char *end;
    struct cell cell = {.kind = CELL_INT};
    if (literal[size - 1] == 'm')
        return make_text(CELL_DECIMAL, literal, size - 1);
    cell.integer = strtoll(literal, &end, 10);
    if (*end) {
        cell.kind = CELL_FLOAT;
        cell.real = strtod(literal, &end);
    }
    ensure(!*end);
    return cell;
}

struct cell
event_make_cell(const char *literal)
{
    size_t size = strlen(literal);
    struct cell cell;
    ensure(size > 0);
    if (make_word(literal, &cell))
        return cell;
    if (literal[0] == '\'')
        return make_text(CELL_TEXT, literal + 1, size - 2);
    if (literal[0] == 'x' && literal[1] == '\'')
        return make_bytes(literal + 2, size - 3);
    if (literal[0] == '{' || literal[0] == '[')
        return make_text(CELL_DOCUMENT, literal, size);
    if (literal[0] == '@')
        return make_time(literal + 1);
    return make_number(literal, size);
}

struct row
event_make_row_of(const char *const *literals)
{
    uint16_t count = 0;
    struct cell *cells;
    while (literals[count])
        count++;
    cells = arena_alloc(memory(), (count + 1u) * sizeof(*cells));
    for (unsigned i = 0; i < count; i++)
        cells[i] = event_make_cell(literals[i]);
    return (struct row){.present = true, .count = count, .cells = cells};
}

struct row
event_make_none(void)
{
    return (struct row){0};
}

struct event
event_make(enum event_op op, const struct schema *schema, const char *position, struct row new,
           struct row old)
{
    return (struct event){
        .epoch = 1,
        .op = op,
        .ts = MAKE_TS,
        .schema = schema,
        .position = slice_of(arena_text(memory(), position)),
        .rows = {[EVENT_NEW] = new, [EVENT_OLD] = old},
    };
}

struct batch *
event_make_batch(const char *source, const struct event *events, size_t count, const char *position)
{
    struct batch *b = batch_new(source, 1);
    for (size_t i = 0; i < count; i++)
        ensure(batch_add(b, &events[i], NULL) == 0);
    batch_seal(b, slice_of(position), MAKE_TS);
    return b;
}
