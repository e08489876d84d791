#include "event/event_json_part.h"

#define TX_DIGITS 18 /* a transaction id of up to so many digits is written as a number */

/* What its consumers look at in "op". */
static const char op_letters[EVENT_OPS] = {
    [EVENT_INSERT] = 'c', [EVENT_UPDATE] = 'u',   [EVENT_DELETE] = 'd',
    [EVENT_READ] = 'r',   [EVENT_TRUNCATE] = 't', [EVENT_MESSAGE] = 'm',
};

/* Where Debezium's name is not ours, and where the schema of an event is a database. */
static const struct connector {
    const char *driver;
    const char *name;
    bool schema_is_database;
} connectors[] = {
    {"postgres", "postgresql", false},
    {"mysql", "mysql", true},
    {"mariadb", "mariadb", true},
    {"mongodb", "mongodb", true},
};

static const struct connector *
find_connector(struct slice driver)
{
    for (size_t i = 0; i < countof(connectors); i++)
        if (slice_is(driver, connectors[i].driver))
            return &connectors[i];
    return NULL;
}

static void
print_times(int64_t us, struct buffer *out)
{
    put(out, ",\"ts_ms\":");
    json_int(out, us / 1000 - (us % 1000 < 0));
    put(out, ",\"ts_us\":");
    json_int(out, us);
}

/* PostgreSQL's consumers expect a number, others' ids are texts. */
static void
print_tx_id(struct slice id, struct buffer *out)
{
    bool digits = id.size > 0 && id.size <= TX_DIGITS && (id.data[0] != '0' || id.size == 1);
    for (size_t i = 0; digits && i < id.size; i++)
        digits = id.data[i] >= '0' && id.data[i] <= '9';
    if (digits)
        buffer_slice(out, id);
    else
        json_part_name(id, out);
}

/* "source" as Debezium has it, then what is ours: columns that an image lacks are named, never
 * filled with its placeholder. */
static void
print_source(struct event *e, const struct event_shape *shape, struct buffer *out)
{
    const struct schema *schema = e->schema;
    const struct connector *connector = find_connector(schema->driver);
    put(out, ",\"source\":{\"version\":\"" TIDEGATE_VERSION "\",\"connector\":");
    json_string(out, connector ? slice_of(connector->name) : schema->driver);
    put(out, ",\"name\":");
    json_string(out, schema->source);
    print_times(e->ts, out);
    put(out, ",\"snapshot\":");
    buffer_text(out, e->op == EVENT_READ ? "\"true\"" : "\"false\"");
    put(out, ",\"db\":");
    json_string(out, connector && connector->schema_is_database ? schema->schema : slice_of(""));
    put(out, ",\"schema\":");
    json_string(out, schema->schema);
    put(out, ",\"table\":");
    json_string(out, schema->table);
    put(out, ",\"txId\":");
    print_tx_id(e->tx_id, out);
    put(out, ",\"lsn\":");
    json_int(out, (int64_t)e->lsn);
    put(out, ",\"id\":");
    json_part_id(e, out);
    put(out, ",\"position\":");
    json_string(out, e->position);
    json_part_missing(e, shape, out);
    buffer_byte(out, '}');
}

/* data_collection_order, the place among the transaction's events of this table, is nothing that a
 * log carries, and an invented number would be taken for one. */
static void
print_transaction(const struct event *e, struct buffer *out)
{
    if (!e->tx_id.size) {
        put(out, ",\"transaction\":null");
        return;
    }
    put(out, ",\"transaction\":{\"id\":");
    json_string(out, e->tx_id);
    put(out, ",\"total_order\":");
    json_int(out, (int64_t)e->tx_index + 1);
    put(out, ",\"data_collection_order\":null}");
}

static void
print_message(const struct event *e, struct buffer *out)
{
    put(out, ",\"message\":{\"prefix\":");
    json_string(out, e->prefix);
    put(out, ",\"content\":");
    json_base64(out, e->content);
    buffer_byte(out, '}');
}

void
json_part_debezium(struct event *e, const struct event_shape *shape, struct buffer *out)
{
    ensure((unsigned)e->op < EVENT_OPS && op_letters[e->op]);
    put(out, "{\"before\":");
    json_part_image(e, shape, EVENT_OLD, out);
    put(out, ",\"after\":");
    json_part_image(e, shape, EVENT_NEW, out);
    print_source(e, shape, out);
    put(out, ",\"op\":\"");
    buffer_byte(out, (uint8_t)op_letters[e->op]);
    buffer_byte(out, '"');
    print_times(e->ts, out);
    print_transaction(e, out);
    if (e->op == EVENT_MESSAGE)
        print_message(e, out);
    buffer_byte(out, '}');
}
