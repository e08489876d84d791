#include "source/postgres/type_part.h"

#include <stdlib.h>

#include "event/schema.h"

/* pg_type of PostgreSQL 14 to 18: what may be a column's type and has a fixed OID. */
static const struct builtin {
    uint32_t oid;
    uint32_t array;
    enum pg_form form;
    char delimiter;
    uint32_t element; /* of a vector */
    const char *name;
} builtins[] = {
    {16, 1000, PG_FORM_BOOL, ',', 0, "boolean"},
    {17, 1001, PG_FORM_BYTES, ',', 0, "bytea"},
    {18, 1002, PG_FORM_TEXT, ',', 0, "\"char\""},
    {19, 1003, PG_FORM_TEXT, ',', 0, "name"},
    {20, 1016, PG_FORM_INT, ',', 0, "bigint"},
    {21, 1005, PG_FORM_INT, ',', 0, "smallint"},
    {22, 1006, PG_FORM_VECTOR, ',', 21, "int2vector"},
    {23, 1007, PG_FORM_INT, ',', 0, "integer"},
    {24, 1008, PG_FORM_TEXT, ',', 0, "regproc"},
    {25, 1009, PG_FORM_TEXT, ',', 0, "text"},
    {26, 1028, PG_FORM_INT, ',', 0, "oid"},
    {27, 1010, PG_FORM_TEXT, ',', 0, "tid"},
    {28, 1011, PG_FORM_TEXT, ',', 0, "xid"},
    {29, 1012, PG_FORM_TEXT, ',', 0, "cid"},
    {30, 1013, PG_FORM_VECTOR, ',', 26, "oidvector"},
    {114, 199, PG_FORM_JSON, ',', 0, "json"},
    {142, 143, PG_FORM_TEXT, ',', 0, "xml"},
    {600, 1017, PG_FORM_TEXT, ',', 0, "point"},
    {601, 1018, PG_FORM_TEXT, ',', 0, "lseg"},
    {602, 1019, PG_FORM_TEXT, ',', 0, "path"},
    {603, 1020, PG_FORM_TEXT, ';', 0, "box"},
    {604, 1027, PG_FORM_TEXT, ',', 0, "polygon"},
    {628, 629, PG_FORM_TEXT, ',', 0, "line"},
    {650, 651, PG_FORM_TEXT, ',', 0, "cidr"},
    {700, 1021, PG_FORM_FLOAT, ',', 0, "real"},
    {701, 1022, PG_FORM_FLOAT, ',', 0, "double precision"},
    {718, 719, PG_FORM_TEXT, ',', 0, "circle"},
    {774, 775, PG_FORM_TEXT, ',', 0, "macaddr8"},
    {790, 791, PG_FORM_MONEY, ',', 0, "money"},
    {829, 1040, PG_FORM_TEXT, ',', 0, "macaddr"},
    {869, 1041, PG_FORM_TEXT, ',', 0, "inet"},
    {1033, 1034, PG_FORM_TEXT, ',', 0, "aclitem"},
    {1042, 1014, PG_FORM_TEXT, ',', 0, "bpchar"},
    {1043, 1015, PG_FORM_TEXT, ',', 0, "character varying"},
    {1082, 1182, PG_FORM_DATE, ',', 0, "date"},
    {1083, 1183, PG_FORM_TIME, ',', 0, "time without time zone"},
    {1114, 1115, PG_FORM_TIMESTAMP, ',', 0, "timestamp without time zone"},
    {1184, 1185, PG_FORM_TIMESTAMPTZ, ',', 0, "timestamp with time zone"},
    {1186, 1187, PG_FORM_INTERVAL, ',', 0, "interval"},
    {1266, 1270, PG_FORM_TIME, ',', 0, "time with time zone"},
    {1560, 1561, PG_FORM_TEXT, ',', 0, "\"bit\""},
    {1562, 1563, PG_FORM_TEXT, ',', 0, "bit varying"},
    {1700, 1231, PG_FORM_NUMERIC, ',', 0, "numeric"},
    {1790, 2201, PG_FORM_TEXT, ',', 0, "refcursor"},
    {2202, 2207, PG_FORM_TEXT, ',', 0, "regprocedure"},
    {2203, 2208, PG_FORM_TEXT, ',', 0, "regoper"},
    {2204, 2209, PG_FORM_TEXT, ',', 0, "regoperator"},
    {2205, 2210, PG_FORM_TEXT, ',', 0, "regclass"},
    {2206, 2211, PG_FORM_TEXT, ',', 0, "regtype"},
    {2950, 2951, PG_FORM_TEXT, ',', 0, "uuid"},
    {2970, 2949, PG_FORM_TEXT, ',', 0, "txid_snapshot"},
    {3220, 3221, PG_FORM_TEXT, ',', 0, "pg_lsn"},
    {3614, 3643, PG_FORM_TEXT, ',', 0, "tsvector"},
    {3615, 3645, PG_FORM_TEXT, ',', 0, "tsquery"},
    {3642, 3644, PG_FORM_TEXT, ',', 0, "gtsvector"},
    {3734, 3735, PG_FORM_TEXT, ',', 0, "regconfig"},
    {3769, 3770, PG_FORM_TEXT, ',', 0, "regdictionary"},
    {3802, 3807, PG_FORM_JSON, ',', 0, "jsonb"},
    {3904, 3905, PG_FORM_TEXT, ',', 0, "int4range"},
    {3906, 3907, PG_FORM_TEXT, ',', 0, "numrange"},
    {3908, 3909, PG_FORM_TEXT, ',', 0, "tsrange"},
    {3910, 3911, PG_FORM_TEXT, ',', 0, "tstzrange"},
    {3912, 3913, PG_FORM_TEXT, ',', 0, "daterange"},
    {3926, 3927, PG_FORM_TEXT, ',', 0, "int8range"},
    {4072, 4073, PG_FORM_TEXT, ',', 0, "jsonpath"},
    {4089, 4090, PG_FORM_TEXT, ',', 0, "regnamespace"},
    {4096, 4097, PG_FORM_TEXT, ',', 0, "regrole"},
    {4191, 4192, PG_FORM_TEXT, ',', 0, "regcollation"},
    {4451, 6150, PG_FORM_TEXT, ',', 0, "int4multirange"},
    {4532, 6151, PG_FORM_TEXT, ',', 0, "nummultirange"},
    {4533, 6152, PG_FORM_TEXT, ',', 0, "tsmultirange"},
    {4534, 6153, PG_FORM_TEXT, ',', 0, "tstzmultirange"},
    {4535, 6155, PG_FORM_TEXT, ',', 0, "datemultirange"},
    {4536, 6157, PG_FORM_TEXT, ',', 0, "int8multirange"},
    {5038, 5039, PG_FORM_TEXT, ',', 0, "pg_snapshot"},
    {5069, 271, PG_FORM_TEXT, ',', 0, "xid8"},
};

static const uint8_t families[] = {
    [PG_FORM_TEXT] = FAMILY_TEXT,       [PG_FORM_BOOL] = FAMILY_BOOL,
    [PG_FORM_INT] = FAMILY_INT,         [PG_FORM_FLOAT] = FAMILY_FLOAT,
    [PG_FORM_NUMERIC] = FAMILY_DECIMAL, [PG_FORM_MONEY] = FAMILY_DECIMAL,
    [PG_FORM_BYTES] = FAMILY_BYTES,     [PG_FORM_JSON] = FAMILY_DOCUMENT,
    [PG_FORM_DATE] = FAMILY_TIME,       [PG_FORM_TIME] = FAMILY_TIME,
    [PG_FORM_TIMESTAMP] = FAMILY_TIME,  [PG_FORM_TIMESTAMPTZ] = FAMILY_TIME,
    [PG_FORM_INTERVAL] = FAMILY_TIME,   [PG_FORM_ARRAY] = FAMILY_DOCUMENT,
    [PG_FORM_VECTOR] = FAMILY_DOCUMENT,
};

/* Few are added after the first seconds, many are looked up: a sorted list of pointers. */
struct pg_types {
    struct arena arena; /* the types and their names */
    struct pg_type **items;
    size_t count, room;
};

/* Where the type of that OID stands, or would stand. */
static size_t
place_of(const struct pg_types *types, uint32_t oid)
{
    size_t low = 0, high = types->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (types->items[middle]->oid < oid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct pg_type *
pg_types_find(const struct pg_types *types, uint32_t oid)
{
    size_t place = place_of(types, oid);
    return place < types->count && types->items[place]->oid == oid ? types->items[place] : NULL;
}

static struct pg_type *
insert(struct pg_types *types, const struct pg_type *draft)
{
    size_t place = place_of(types, draft->oid);
    struct pg_type *type = arena_alloc(&types->arena, sizeof(*type));
    ensure(place == types->count || types->items[place]->oid != draft->oid);
    if (types->count == types->room) {
        types->room = types->room ? types->room * 2 : 4 * countof(builtins);
        types->items = memory_grow(types->items, types->room * sizeof(*types->items));
    }
    memmove(types->items + place + 1, types->items + place,
            (types->count - place) * sizeof(*types->items));
    types->items[place] = type;
    types->count++;
    *type = *draft;
    type->family = families[draft->form];
    return type;
}

const struct pg_type *
pg_types_add(struct pg_types *types, const struct pg_type *draft)
{
    struct pg_type *type = insert(types, draft);
    type->name = arena_text(&types->arena, draft->name);
    return type;
}

static void
add_builtin(struct pg_types *types, const struct builtin *row)
{
    struct pg_type type = {
        .oid = row->oid,
        .form = row->form,
        .delimiter = row->delimiter,
        .name = row->name,
    };
    struct pg_type array = {.oid = row->array, .form = PG_FORM_ARRAY, .delimiter = ','};
    array.element = insert(types, &type);
    array.name = arena_printf(&types->arena, "%s[]", row->name);
    insert(types, &array);
}

struct pg_types *
pg_types_new(void)
{
    struct pg_types *types = memory_zero(sizeof(*types));
    arena_init(&types->arena, 0);
    for (size_t i = 0; i < countof(builtins); i++)
        add_builtin(types, &builtins[i]);
    for (size_t i = 0; i < countof(builtins); i++)
        if (builtins[i].element)
            types->items[place_of(types, builtins[i].oid)]->element =
                pg_types_find(types, builtins[i].element);
    return types;
}

void
pg_types_free(struct pg_types *types)
{
    if (!types)
        return;
    arena_release(&types->arena);
    free(types->items);
    free(types);
}

/* How a type prints its modifier: before the brackets, what the number means, and after them. */
struct modified {
    uint32_t oid;
    const char *before;
    void (*print)(int32_t modifier, struct buffer *out);
    const char *after;
};

#define HEADER 4 /* lengths count the four bytes in front of a stored text */

static void
print_count(int32_t modifier, struct buffer *out)
{
    buffer_printf(out, "(%d)", (int)modifier);
}

static void
print_length(int32_t modifier, struct buffer *out)
{
    print_count(modifier - HEADER, out);
}

/* Eleven bits of the scale are signed since 15; before, no scale was above 1000. */
static void
print_precision(int32_t modifier, struct buffer *out)
{
    int32_t packed = modifier - HEADER;
    buffer_printf(out, "(%d,%d)", (int)(packed >> 16 & 0xffff),
                  (int)(((packed & 0x7ff) ^ 1024) - 1024));
}

/* The fields of an interval as PostgreSQL packs them: bits of the upper half. */
enum {
    YEAR = 1 << 2,
    MONTH = 1 << 1,
    DAY = 1 << 3,
    HOUR = 1 << 10,
    MINUTE = 1 << 11,
    SECOND = 1 << 12
};

static void
print_fields(int32_t modifier, struct buffer *out)
{
    static const struct {
        int bits;
        const char *text;
    } fields[] = {
        {YEAR, " year"},
        {MONTH, " month"},
        {DAY, " day"},
        {HOUR, " hour"},
        {MINUTE, " minute"},
        {SECOND, " second"},
        {YEAR | MONTH, " year to month"},
        {DAY | HOUR, " day to hour"},
        {DAY | HOUR | MINUTE, " day to minute"},
        {DAY | HOUR | MINUTE | SECOND, " day to second"},
        {HOUR | MINUTE, " hour to minute"},
        {HOUR | MINUTE | SECOND, " hour to second"},
        {MINUTE | SECOND, " minute to second"},
    };
    int bits = modifier >> 16 & 0x7fff, precision = modifier & 0xffff;
    for (size_t i = 0; i < countof(fields); i++)
        if (fields[i].bits == bits)
            buffer_text(out, fields[i].text);
    if (precision != 0xffff)
        print_count(precision, out);
}

static const struct modified modified[] = {
    {1042, "character", print_length, ""},
    {1043, "character varying", print_length, ""},
    {1083, "time", print_count, " without time zone"},
    {1114, "timestamp", print_count, " without time zone"},
    {1184, "timestamp", print_count, " with time zone"},
    {1186, "interval", print_fields, ""},
    {1266, "time", print_count, " with time zone"},
    {1560, "bit", print_count, ""},
    {1562, "bit varying", print_count, ""},
    {1700, "numeric", print_precision, ""},
};

void
pg_type_print(const struct pg_type *type, int32_t modifier, struct buffer *out)
{
    const struct pg_type *base = type->form == PG_FORM_ARRAY ? type->element : type;
    for (size_t i = 0; modifier >= 0 && i < countof(modified); i++) {
        if (modified[i].oid != base->oid)
            continue;
        buffer_text(out, modified[i].before);
        modified[i].print(modifier, out);
        buffer_text(out, modified[i].after);
        buffer_text(out, base == type ? "" : "[]");
        return;
    }
    buffer_text(out, type->name);
}
