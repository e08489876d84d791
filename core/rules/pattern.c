#include "rules/pattern.h"
#include "base/text.h"

static const char *
default_schema(const struct rules_world *world, struct slice source)
{
    for (size_t i = 0; i < world->source_count; i++)
        if (slice_is(source, world->sources[i]))
            return world->source_schemas ? world->source_schemas[i] : NULL;
    return NULL;
}

/* The first `byte` outside of escapes and brackets, or NULL. */
static const char *
find_separator(struct slice text, char byte)
{
    const char *end = text.data + text.size;
    bool bracket = false;
    for (const char *at = text.data; at < end; at++) {
        if (*at == '\\') {
            at++;
            continue;
        }
        if (*at == '[' || *at == ']')
            bracket = *at == '[';
        if (*at == byte && !bracket)
            return at;
    }
    return NULL;
}

/* A source by name must exist; one by glob may be added later. */
static int
check_source(const struct pattern *p, const struct rules_world *world, struct error *err)
{
    if (text_has_glob(p->source))
        return 0;
    for (size_t i = 0; i < world->source_count; i++)
        if (slice_is(p->source, world->sources[i]))
            return 0;
    if (slice_is(p->source, "tidegate"))
        return error_set(err, ERROR_REFUSED, "there are no events of source \"tidegate\" here");
    const char *near =
        text_suggest(p->source, world->sources, world->source_count, sizeof(world->sources[0]));
    error_set(err, ERROR_DATA, "there is no source \"%.*s\"", (int)p->source.size, p->source.data);
    if (near)
        return error_hint(err, "did you mean \"%s\"?", near);
    return error_hint(err, "declare it in tidegate.lua: source(\"%.*s\", { … })",
                      (int)p->source.size, p->source.data);
}

/* `source:table` needs a schema that stands in for the one left out. */
static int
check_schema(const struct pattern *p, const struct rules_world *world, struct error *err)
{
    if (p->everything || p->schema.size || text_has_glob(p->source) ||
        default_schema(world, p->source))
        return 0;
    error_set(err, ERROR_DATA, "source \"%.*s\" has no default schema", (int)p->source.size,
              p->source.data);
    return error_hint(err, "write \"%.*s:SCHEMA.%.*s\"", (int)p->source.size, p->source.data,
                      (int)p->table.size, p->table.data);
}

int
pattern_parse(struct slice text, const struct rules_world *world, struct pattern *out,
              struct error *err)
{
    const char *colon = find_separator(text, ':');
    *out = (struct pattern){0};
    if (!colon) {
        error_set(err, ERROR_DATA, "pattern \"%.*s\" names no source", (int)text.size, text.data);
        return error_hint(err, "a pattern is source:schema.table, with globs: \"shop:%.*s\"",
                          (int)text.size, text.data);
    }
    out->source = (struct slice){text.data, (size_t)(colon - text.data)};
    out->table = (struct slice){colon + 1, (size_t)(slice_end(text) - colon - 1)};
    const char *dot = find_separator(out->table, '.');
    if (dot) {
        out->schema = (struct slice){colon + 1, (size_t)(dot - colon - 1)};
        out->table = (struct slice){dot + 1, (size_t)(slice_end(text) - dot - 1)};
    }
    if (!out->source.size || !out->table.size || (dot && !out->schema.size)) {
        error_set(err, ERROR_DATA, "pattern \"%.*s\" has an empty part", (int)text.size, text.data);
        return error_hint(err, "a pattern is source:schema.table; source:* is every table");
    }
    out->everything = !dot && slice_is(out->table, "*");
    if (check_source(out, world, err) != 0)
        return -1;
    return check_schema(out, world, err);
}

bool
pattern_match(const struct pattern *p, const struct rules_world *world, const struct schema *schema,
              enum event_op op)
{
    if (op == EVENT_GAP && slice_is(schema->source, "journal"))
        return true;
    /* Tidegate's own events come only when they are named: `*:*` means databases. */
    if (slice_is(schema->source, "tidegate") ? !slice_is(p->source, "tidegate")
                                             : !text_glob(p->source, schema->source))
        return false;
    if (p->everything || (op == EVENT_GAP && !schema->table.size))
        return true;
    if (!text_glob(p->table, schema->table))
        return false;
    if (p->schema.size)
        return text_glob(p->schema, schema->schema);
    const char *standard = default_schema(world, schema->source);
    return standard && slice_is(schema->schema, standard);
}

const char *
pattern_tables(const struct pattern *p, const struct rules_world *world, const char *source,
               struct arena *arena)
{
    if (!text_glob(p->source, slice_of(source)))
        return NULL;
    if (p->everything)
        return "*.*";
    const char *standard = default_schema(world, slice_of(source));
    if (!p->schema.size && !standard)
        return NULL;
    struct slice schema = p->schema.size ? p->schema : slice_of(standard);
    return arena_printf(arena, "%.*s.%.*s", (int)schema.size, schema.data, (int)p->table.size,
                        p->table.data);
}
