/* The captured tables as they are now, without a running source: what `check` holds rules against.
 */
#include "source/sqlite/check.h"
#include "source/sqlite/state.h"

static const struct schema *
describe(const struct source_plan *plan, const struct table *table, struct arena *arena,
         struct error *err)
{
    struct column *columns = arena_zero(arena, (table->count + 1) * sizeof(*columns));
    struct schema draft = {.source = slice_of(plan->name),
                           .driver = slice_of(plan->driver->name),
                           .schema = slice_literal("main"),
                           .table = slice_of(table->name),
                           .columns = columns};
    for (size_t i = 0; i < table->count; i++) {
        const struct table_column *c = &table->columns[i];
        if (!c->captured)
            continue;
        columns[draft.column_count++] = (struct column){
            .name = slice_of(c->name),
            .type = slice_of(c->type),
            .flags = (uint8_t)((c->not_null ? 0 : COLUMN_NULLABLE) |
                               (c->generated ? COLUMN_GENERATED : 0)),
            .key = (uint16_t)c->key,
        };
    }
    version_order_key(arena, &draft);
    return schema_intern(plan->schemas, &draft, err);
}

static int
describe_all(sqlite3 *db, const struct source_plan *plan, struct arena *arena,
             source_visit_schema *visit, void *context, struct error *err)
{
    const char **names;
    size_t count;
    if (table_list(db, plan, arena, &names, &count, err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct table table;
        struct error why = {0};
        if (table_read(db, plan, names[i], arena, &table, &why) != 0) {
            if (why.class == ERROR_CONFIG)
                continue; /* check says why this one cannot be captured */
            *err = why;
            return -1;
        }
        const struct schema *schema = describe(plan, &table, arena, err);
        if (!schema)
            return -1;
        struct captured_table found = {.schema = schema, .old_values = true, .old_mend = ""};
        if (visit(context, &found) != 0)
            break;
    }
    return 0;
}

int
check_schemas(const struct source_plan *plan, source_visit_schema *visit, void *context,
              struct error *err)
{
    sqlite3 *db = NULL;
    struct arena arena;
    arena_init(&arena, 0);
    int result = open_file(plan, &db, err);
    if (result == 0)
        result = describe_all(db, plan, &arena, visit, context, err);
    sqlite3_close(db);
    arena_release(&arena);
    return result;
}
