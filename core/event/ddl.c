#include "event/ddl.h"
#include "base/json.h"

static const struct column *
find(const struct schema *schema, struct slice name)
{
    int at = schema ? schema_column(schema, name) : -1;
    return at < 0 ? NULL : &schema->columns[at];
}

static bool
same_column(const struct column *a, const struct column *b)
{
    return slice_equal(a->type, b->type) && a->family == b->family && a->key == b->key;
}

/* The columns of `of` that `other` does not have. */
static size_t
print_missing(struct buffer *json, const char *key, const struct schema *of,
              const struct schema *other)
{
    size_t count = 0;
    buffer_printf(json, ",\"%s\":[", key);
    for (unsigned i = 0; of && i < of->column_count; i++) {
        if (find(other, of->columns[i].name))
            continue;
        json_comma(json);
        json_string(json, of->columns[i].name);
        count++;
    }
    buffer_byte(json, ']');
    return count;
}

static size_t
print_retyped(struct buffer *json, const struct schema *before, const struct schema *after)
{
    size_t count = 0;
    buffer_text(json, ",\"retyped\":[");
    for (unsigned i = 0; before && i < before->column_count; i++) {
        const struct column *now = find(after, before->columns[i].name);
        if (!now || same_column(&before->columns[i], now))
            continue;
        json_comma(json);
        json_string(json, now->name);
        count++;
    }
    buffer_byte(json, ']');
    return count;
}

static bool
renamed(const struct schema *before, const struct schema *after)
{
    return before && after &&
           (!slice_equal(before->table, after->table) ||
            !slice_equal(before->schema, after->schema));
}

bool
ddl_print(const struct schema *before, const struct schema *after, const char *kind,
          struct slice sql, struct buffer *json)
{
    size_t changes = renamed(before, after);
    buffer_text(json, "{\"kind\":");
    json_string(json, slice_of(kind));
    buffer_text(json, ",\"sql\":");
    if (sql.size)
        json_string(json, sql);
    else
        buffer_text(json, "null");
    changes += print_missing(json, "added", after, before);
    changes += print_missing(json, "removed", before, after);
    changes += print_retyped(json, before, after);
    buffer_byte(json, '}');
    return changes > 0;
}
