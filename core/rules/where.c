#include "rules/where.h"
#include "base/text.h"

int
where_column(const struct schema *schema, struct slice name, struct error *err)
{
    struct slice path;
    int column = json_path_column(schema, name, &path, err);
    if (column < 0 || !path.size)
        return column;
    error_set(err, ERROR_DATA, "\"%.*s\" is a path into a document; a column belongs here",
              (int)name.size, name.data);
    return error_hint(err, "the column is \"%.*s\"; paths stand in where and in e:get",
                      (int)schema->columns[column].name.size, schema->columns[column].name.data);
}

/* Literals against the type of the column; what stands inside a document has none. */
static int
check_condition(const struct condition *c, const struct schema *schema,
                const struct where_place *places, struct error *err)
{
    for (uint32_t i = 0; i < c->count && c->op >= CONDITION_ALL; i++)
        if (check_condition(&c->parts[i], schema, places, err) != 0)
            return -1;
    if (c->op >= CONDITION_ALL || places[c->name].path.size)
        return 0;
    const struct column *column = &schema->columns[places[c->name].column];
    for (uint32_t i = 0; i < c->count; i++)
        if (literal_check(&c->literals[i], column, condition_use(c->op), err) != 0)
            return -1;
    return 0;
}

int
where_bind(const struct where *w, const struct schema *schema, struct where_place *places,
           struct error *err)
{
    for (uint32_t i = 0; i < w->name_count; i++) {
        int column = json_path_column(schema, w->names[i].name, &places[i].path, err);
        if (column < 0)
            return error_context(err, "where");
        places[i].column = (uint16_t)column;
    }
    for (uint32_t i = 0; i < w->count; i++)
        if (check_condition(&w->conditions[i], schema, places, err) != 0)
            return error_context(err, "where");
    return 0;
}

/* The value found last is kept, since several conditions may ask for it. */
static const struct cell *
find_inside(struct where_look *look, const struct where_place *place, const struct cell *whole)
{
    if (look->whole != whole || look->path != place->path.data)
        json_path_read(whole, place->path, look->scratch, &look->inside);
    look->whole = whole;
    look->path = place->path.data;
    return &look->inside;
}

const struct cell *
where_cell(struct where_look *look, const struct where_place *place)
{
    const struct cell *cell = event_value(look->event, look->image, place->column);
    return place->path.size && cell_is_value(cell) ? find_inside(look, place, cell) : cell;
}

static bool
is_equal(const struct cell *cell, const struct literal *l)
{
    if (cell->kind == CELL_NULL || l->kind == VALUE_NULL)
        return cell->kind == CELL_NULL && l->kind == VALUE_NULL;
    return literal_compare(cell, l) == 0;
}

static bool
is_any(const struct condition *c, const struct cell *cell)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (is_equal(cell, &c->literals[i]))
            return true;
    return false;
}

static bool
is_like(const struct condition *c, const struct cell *cell)
{
    return cell->kind == CELL_TEXT &&
           text_like(c->literals[0].text, cell->text, c->op == CONDITION_ILIKE);
}

static bool
is_between(const struct condition *c, const struct cell *cell)
{
    int low = literal_compare(cell, &c->literals[0]), high;
    if (low == LITERAL_APART || low < 0)
        return false;
    high = literal_compare(cell, &c->literals[1]);
    return high != LITERAL_APART && high <= 0;
}

static bool
holds(const struct condition *c, const struct cell *cell)
{
    if (c->op == CONDITION_EQ)
        return is_any(c, cell);
    if (c->op == CONDITION_NE)
        return !is_equal(cell, &c->literals[0]);
    if (c->op == CONDITION_BETWEEN)
        return is_between(c, cell);
    if (c->op >= CONDITION_LIKE)
        return is_like(c, cell);
    int order = literal_compare(cell, &c->literals[0]);
    if (order == LITERAL_APART)
        return false;
    switch (c->op) {
    case CONDITION_GT:
        return order > 0;
    case CONDITION_GE:
        return order >= 0;
    case CONDITION_LT:
        return order < 0;
    default:
        return order <= 0;
    }
}

/* What a test needs besides its condition. */
struct tester {
    struct where_look *look;
    const struct where_place *places;
};

static enum verdict test(const struct tester *t, const struct condition *c);

static enum verdict
test_cell(const struct tester *t, const struct condition *c)
{
    const struct where_place *place = &t->places[c->name];
    const struct cell *cell = where_cell(t->look, place);
    if (where_knows(cell))
        return holds(c, cell) ? VERDICT_YES : VERDICT_NO;
    if (t->look->unknown < 0)
        t->look->unknown = place->column;
    return VERDICT_UNKNOWN;
}

static enum verdict
opposite(enum verdict v)
{
    return v == VERDICT_UNKNOWN ? v : v == VERDICT_YES ? VERDICT_NO : VERDICT_YES;
}

/* `decides` ends it: NO for all, YES for any. An unknown that decided nothing is forgotten. */
static enum verdict
test_parts(const struct tester *t, const struct condition *parts, uint32_t count,
           enum verdict decides)
{
    int32_t unknown = t->look->unknown;
    enum verdict result = opposite(decides);
    for (uint32_t i = 0; i < count; i++) {
        enum verdict one = test(t, &parts[i]);
        if (one == decides) {
            t->look->unknown = unknown;
            return decides;
        }
        if (one == VERDICT_UNKNOWN)
            result = one;
    }
    return result;
}

static enum verdict
test_image(const struct tester *t, const struct condition *c, enum event_image image)
{
    enum event_image before = t->look->image;
    t->look->image = image;
    enum verdict verdict = test(t, c);
    t->look->image = before;
    return verdict;
}

/* Holds in `now` and not in the other image of an update. What the log left out because it did not
 * change has not changed, whatever its value. */
static enum verdict
test_change(const struct tester *t, const struct condition *c, enum event_image now)
{
    struct where_look *look = t->look;
    int32_t unknown = look->unknown;
    unsigned column = t->places[c->name].column;
    if (event_cell(look->event, EVENT_NEW, column)->kind == CELL_UNCHANGED)
        return VERDICT_NO;
    enum verdict is = test_image(t, c->parts, now);
    if (is == VERDICT_NO)
        return VERDICT_NO;
    enum verdict was = test_image(t, c->parts, now == EVENT_NEW ? EVENT_OLD : EVENT_NEW);
    if (was == VERDICT_YES) {
        look->unknown = unknown;
        return VERDICT_NO;
    }
    return is == VERDICT_UNKNOWN ? is : opposite(was);
}

/* An insert changes from nothing, a delete to nothing; a row of a snapshot has not changed. */
static enum verdict
test_changed(const struct tester *t, const struct condition *c)
{
    bool to = c->op == CONDITION_CHANGED_TO;
    enum event_op op = t->look->event->op;
    if (op == EVENT_UPDATE)
        return test_change(t, c, to ? EVENT_NEW : EVENT_OLD);
    if (op == (to ? EVENT_INSERT : EVENT_DELETE))
        return test(t, c->parts);
    return VERDICT_NO;
}

static enum verdict
test(const struct tester *t, const struct condition *c)
{
    switch (c->op) {
    case CONDITION_ALL:
        return test_parts(t, c->parts, c->count, VERDICT_NO);
    case CONDITION_ANY:
        return test_parts(t, c->parts, c->count, VERDICT_YES);
    case CONDITION_NOT:
        return opposite(test(t, c->parts));
    case CONDITION_CHANGED_TO:
    case CONDITION_CHANGED_FROM:
        return test_changed(t, c);
    default:
        return test_cell(t, c);
    }
}

enum verdict
where_test(const struct where *w, const struct where_place *places, struct where_look *look)
{
    struct tester t = {look, places};
    return test_parts(&t, w->conditions, w->count, VERDICT_NO);
}
