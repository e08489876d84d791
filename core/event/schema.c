#include "event/schema.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/text.h"

#define SCHEMA_FORM  1         /* first byte of the encoded form */
#define SCHEMA_BYTES (8 << 20) /* the longest encoded form */
#define COLUMN_BYTES 5         /* the shortest encoded column */
#define COLUMN_FLAGS (COLUMN_NULLABLE | COLUMN_GENERATED)
#define FEW_COLUMNS  8 /* up to here names are compared one by one */
#define FIRST_SLOTS  64
#define ARENA_CHUNK  (16 << 10)

/* Readers probe without the lock: slots only ever go from NULL to a finished schema, and a table
 * that was outgrown stays until the set is freed. */
struct slots {
    struct slots *outgrown;
    size_t mask;
    _Atomic(const struct schema *) at[];
};

struct schema_set {
    _Atomic(struct slots *) slots;
    pthread_mutex_t lock; /* of all that follows, and of storing into slots */
    size_t count;
    struct arena arena; /* every schema of the set */
    schema_load *load;
    void *context;
};

/* Names of wide tables are found by open addressing: 0 is empty, else the column's index plus one.
 */
static size_t
index_mask(unsigned columns)
{
    size_t size = 16;
    while (size < 2 * (size_t)columns)
        size *= 2;
    return size - 1;
}

static const uint16_t *
make_index(struct arena *arena, const struct column *columns, unsigned count)
{
    size_t mask = index_mask(count);
    uint16_t *index = arena_zero(arena, (mask + 1) * sizeof(*index));
    for (unsigned i = 0; i < count; i++) {
        size_t at = hash64(columns[i].name.data, columns[i].name.size) & mask;
        while (index[at])
            at = (at + 1) & mask;
        index[at] = (uint16_t)(i + 1);
    }
    return index;
}

int
schema_column(const struct schema *schema, struct slice name)
{
    size_t mask, at;
    if (!schema->index) {
        for (unsigned i = 0; i < schema->column_count; i++)
            if (slice_equal(schema->columns[i].name, name))
                return (int)i;
        return -1;
    }
    mask = index_mask(schema->column_count);
    at = hash64(name.data, name.size) & mask;
    for (; schema->index[at]; at = (at + 1) & mask)
        if (slice_equal(schema->columns[schema->index[at] - 1].name, name))
            return schema->index[at] - 1;
    return -1;
}

struct slice
schema_suggest(const struct schema *schema, struct slice name)
{
    _Static_assert(offsetof(struct column, name) == 0 && offsetof(struct slice, data) == 0,
                   "text_suggest reads a char pointer at the start of each column");
    return slice_of(
        text_suggest(name, schema->columns, schema->column_count, sizeof(struct column)));
}

char *
schema_label(const struct schema *schema, char *out, size_t size)
{
    struct slice table = schema->table.size ? schema->table : schema->source;
    bool dot = schema->table.size && schema->schema.size;
    ensure(size > 0);
    snprintf(out, size, "%.*s%s%.*s", dot ? (int)schema->schema.size : 0, schema->schema.data,
             dot ? "." : "", (int)table.size, table.data);
    return out;
}

static void
encode(const struct schema *schema, struct buffer *out)
{
    buffer_byte(out, SCHEMA_FORM);
    buffer_lenslice(out, schema->source);
    buffer_lenslice(out, schema->driver);
    buffer_lenslice(out, schema->schema);
    buffer_lenslice(out, schema->table);
    buffer_varint(out, schema->column_count);
    for (unsigned i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        buffer_lenslice(out, column->name);
        buffer_lenslice(out, column->type);
        buffer_byte(out, column->family);
        buffer_byte(out, column->flags);
        buffer_varint(out, column->key);
    }
}

/* Column indexes in key order, into `key`, which has room for one per column. -1 when the places
 * are not 1, 2, … each once. */
static int
order_key(const struct schema *schema, uint16_t *key, uint16_t *key_count)
{
    unsigned count = 0;
    for (unsigned i = 0; i < schema->column_count; i++)
        count += schema->columns[i].key > 0;
    for (unsigned i = 0; i < count; i++)
        key[i] = UINT16_MAX;
    for (unsigned i = 0; i < schema->column_count; i++) {
        unsigned place = schema->columns[i].key;
        if (place > count || (place && key[place - 1] != UINT16_MAX))
            return -1;
        if (place)
            key[place - 1] = (uint16_t)i;
    }
    *key_count = (uint16_t)count;
    return 0;
}

static const struct column *
copy_columns(struct arena *arena, const struct column *from, unsigned count)
{
    struct column *columns = arena_alloc(arena, (count + 1) * sizeof(*columns));
    for (unsigned i = 0; i < count; i++) {
        columns[i] = from[i];
        columns[i].name = arena_slice(arena, from[i].name);
        columns[i].type = arena_slice(arena, from[i].type);
    }
    return columns;
}

/* A copy of `draft`, complete, in the set's arena. Called with the lock held. */
static const struct schema *
make_schema(struct schema_set *set, const struct schema *draft, const struct schema *derived)
{
    struct arena *arena = &set->arena;
    struct schema *schema = arena_alloc(arena, sizeof(*schema));
    uint16_t *key = arena_alloc(arena, (derived->key_count + 1u) * sizeof(*key));
    if (derived->key_count)
        memcpy(key, derived->key, derived->key_count * sizeof(*key));
    *schema = (struct schema){
        .number = derived->number,
        .source = arena_slice(arena, draft->source),
        .driver = arena_slice(arena, draft->driver),
        .schema = arena_slice(arena, draft->schema),
        .table = arena_slice(arena, draft->table),
        .column_count = draft->column_count,
        .key_count = derived->key_count,
        .columns = copy_columns(arena, draft->columns, draft->column_count),
        .key = key,
        .encoded = arena_slice(arena, derived->encoded),
    };
    if (schema->column_count > FEW_COLUMNS)
        schema->index = make_index(arena, schema->columns, schema->column_count);
    return schema;
}

static struct slots *
slots_new(size_t size)
{
    struct slots *slots = memory_zero(sizeof(*slots) + size * sizeof(slots->at[0]));
    slots->mask = size - 1;
    return slots;
}

static const struct schema *
slots_find(struct slots *slots, uint64_t number)
{
    for (size_t at = number & slots->mask;; at = (at + 1) & slots->mask) {
        const struct schema *schema = atomic_load_explicit(&slots->at[at], memory_order_acquire);
        if (!schema || schema->number == number)
            return schema;
    }
}

static void
slots_put(struct slots *slots, const struct schema *schema)
{
    size_t at = schema->number & slots->mask;
    while (atomic_load_explicit(&slots->at[at], memory_order_relaxed))
        at = (at + 1) & slots->mask;
    atomic_store_explicit(&slots->at[at], schema, memory_order_release);
}

static const struct schema *
find(struct schema_set *set, uint64_t number)
{
    return slots_find(atomic_load_explicit(&set->slots, memory_order_acquire), number);
}

/* Called with the lock held. */
static void
put(struct schema_set *set, const struct schema *schema)
{
    struct slots *slots = atomic_load_explicit(&set->slots, memory_order_relaxed);
    if (2 * ++set->count > slots->mask) {
        struct slots *larger = slots_new(2 * (slots->mask + 1));
        for (size_t i = 0; i <= slots->mask; i++) {
            const struct schema *old = atomic_load_explicit(&slots->at[i], memory_order_relaxed);
            if (old)
                slots_put(larger, old);
        }
        larger->outgrown = slots;
        atomic_store_explicit(&set->slots, larger, memory_order_release);
        slots = larger;
    }
    slots_put(slots, schema);
}

struct schema_set *
schema_set_new(schema_load *load, void *context)
{
    struct schema_set *set = memory_zero(sizeof(*set));
    ensure(pthread_mutex_init(&set->lock, NULL) == 0);
    arena_init(&set->arena, ARENA_CHUNK);
    atomic_init(&set->slots, slots_new(FIRST_SLOTS));
    set->load = load;
    set->context = context;
    return set;
}

void
schema_set_free(struct schema_set *set)
{
    struct slots *slots;
    if (!set)
        return;
    slots = atomic_load_explicit(&set->slots, memory_order_relaxed);
    while (slots) {
        struct slots *outgrown = slots->outgrown;
        free(slots);
        slots = outgrown;
    }
    arena_release(&set->arena);
    pthread_mutex_destroy(&set->lock);
    free(set);
}

/* The interned schema of `derived->number`, made from `draft` if it is new. */
static const struct schema *
find_or_make(struct schema_set *set, const struct schema *draft, const struct schema *derived,
             struct error *err)
{
    const struct schema *schema = find(set, derived->number);
    if (!schema) {
        pthread_mutex_lock(&set->lock);
        schema = find(set, derived->number);
        if (!schema) {
            schema = make_schema(set, draft, derived);
            put(set, schema);
        }
        pthread_mutex_unlock(&set->lock);
    }
    if (slice_equal(schema->encoded, derived->encoded))
        return schema;
    error_set(err, ERROR_INTERNAL, "two schemas of %.*s share the number %016llx",
              (int)draft->table.size, draft->table.data, (unsigned long long)derived->number);
    return NULL;
}

const struct schema *
schema_intern(struct schema_set *set, const struct schema *draft, struct error *err)
{
    uint16_t key[SCHEMA_COLUMNS];
    struct buffer encoded;
    struct schema derived = {.key = key};
    const struct schema *schema = NULL;
    char label[256];
    if (draft->column_count > SCHEMA_COLUMNS) {
        error_set(err, ERROR_DATA, "table %s has %u columns, more than %d",
                  schema_label(draft, label, sizeof(label)), draft->column_count, SCHEMA_COLUMNS);
        return NULL;
    }
    if (order_key(draft, key, &derived.key_count) != 0) {
        error_set(err, ERROR_DATA, "the key columns of table %s are not numbered 1, 2, … each once",
                  schema_label(draft, label, sizeof(label)));
        return NULL;
    }
    buffer_init(&encoded, SCHEMA_BYTES);
    encode(draft, &encoded);
    derived.encoded = buffer_view(&encoded);
    derived.number = hash64(encoded.data, encoded.size);
    if (encoded.failed)
        error_set(err, ERROR_DATA, "the names of table %s's columns take more than %d bytes",
                  schema_label(draft, label, sizeof(label)), SCHEMA_BYTES);
    else
        schema = find_or_make(set, draft, &derived, err);
    buffer_release(&encoded);
    return schema;
}

const struct schema *
schema_get(struct schema_set *set, uint64_t number, struct error *err)
{
    const struct schema *schema = find(set, number);
    struct buffer encoded;
    if (schema)
        return schema;
    if (!set->load) {
        error_set(err, ERROR_CORRUPT, "no schema has the number %016llx",
                  (unsigned long long)number);
        return NULL;
    }
    buffer_init(&encoded, SCHEMA_BYTES);
    if (set->load(set->context, number, &encoded, err) != 0) {
        if (err && err->class == ERROR_MISSING)
            err->class = ERROR_CORRUPT;
    } else {
        schema = schema_decode(set, buffer_view(&encoded), err);
    }
    buffer_release(&encoded);
    if (schema && schema->number != number) {
        error_set(err, ERROR_CORRUPT, "the schema stored under the number %016llx has another",
                  (unsigned long long)number);
        schema = NULL;
    }
    return schema;
}

static int
decode_columns(struct scan *s, struct column *columns, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct column *column = &columns[i];
        uint64_t key;
        column->name = scan_lenslice(s);
        column->type = scan_lenslice(s);
        column->family = scan_byte(s);
        column->flags = scan_byte(s);
        key = scan_varint(s);
        column->key = (uint16_t)key;
        if (s->failed || key > count || column->family > FAMILY_TIME ||
            (column->flags & ~COLUMN_FLAGS))
            return -1;
    }
    return 0;
}

/* The names and the number of columns; -1 when they cannot be, before anything is allocated. */
static int
decode_head(struct scan *s, struct schema *draft)
{
    uint64_t count;
    if (scan_byte(s) != SCHEMA_FORM)
        return -1;
    draft->source = scan_lenslice(s);
    draft->driver = scan_lenslice(s);
    draft->schema = scan_lenslice(s);
    draft->table = scan_lenslice(s);
    count = scan_varint(s);
    draft->column_count = (uint16_t)count;
    return !s->failed && count <= SCHEMA_COLUMNS && count <= (size_t)(s->end - s->at) / COLUMN_BYTES
               ? 0
               : -1;
}

const struct schema *
schema_decode(struct schema_set *set, struct slice encoded, struct error *err)
{
    struct scan s = scan_of(encoded.size ? encoded : slice_of(""));
    struct schema draft = {0};
    struct column *columns;
    const struct schema *schema = NULL;
    uint16_t key[SCHEMA_COLUMNS], key_count;
    if (decode_head(&s, &draft) != 0) {
        error_set(err, ERROR_CORRUPT, "a stored schema cannot be read");
        return NULL;
    }
    columns = memory_zero((draft.column_count + 1u) * sizeof(*columns));
    draft.columns = columns;
    if (decode_columns(&s, columns, draft.column_count) != 0 || s.at != s.end ||
        order_key(&draft, key, &key_count) != 0)
        error_set(err, ERROR_CORRUPT, "the columns of a stored schema cannot be read");
    else
        schema = schema_intern(set, &draft, err);
    free(columns);
    return schema;
}
