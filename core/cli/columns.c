#include "cli/columns.h"

#include <stdlib.h>
#include "base/json.h"
#include "base/text.h"

#define CELL_MAX 4096

void
columns_init(struct columns *t, const struct cli_column *columns, size_t count)
{
    ensure(count <= COLUMNS_MOST);
    *t = (struct columns){.columns = columns, .column_count = count};
    arena_init(&t->arena, 0);
    for (size_t i = 0; i < count; i++) {
        t->widths[i] = text_length(slice_of(columns[i].title));
        t->numbers[i] = true;
    }
}

void
columns_release(struct columns *t)
{
    arena_release(&t->arena);
    free(t->cells);
}

const char *
columns_text(struct arena *arena, const struct value *value)
{
    struct buffer text;
    if (!value || value->kind == VALUE_NULL || value->kind == VALUE_NIL)
        return "";
    if (value->kind == VALUE_BOOL)
        return value->boolean ? "yes" : "no";
    buffer_init(&text, CELL_MAX);
    if (value->kind == VALUE_TEXT)
        text_printable(&text, text_truncate(value->text, CELL_MAX / 8), false);
    else
        json_value(&text, value);
    const char *copy = arena_text(arena, buffer_cstring(&text));
    buffer_release(&text);
    return copy;
}

void
columns_add(struct columns *t, const struct value *row)
{
    if (t->count == t->room) {
        t->room = t->room ? t->room * 2 : 32;
        t->cells = memory_grow(t->cells, t->room * t->column_count * sizeof(*t->cells));
    }
    const char **cells = t->cells + t->count++ * t->column_count;
    for (size_t i = 0; i < t->column_count; i++) {
        const struct value *value = value_get(row, t->columns[i].key);
        cells[i] = columns_text(&t->arena, value);
        size_t width = text_length(slice_of(cells[i]));
        if (width > t->widths[i])
            t->widths[i] = width;
        t->numbers[i] &= value && value->kind == VALUE_INT;
    }
}

static void
print_cell(const struct columns *t, size_t column, const char *text, FILE *out)
{
    size_t width = text_length(slice_of(text));
    int pad = (int)(t->widths[column] > width ? t->widths[column] - width : 0);
    bool last = column + 1 == t->column_count;
    if (t->numbers[column])
        fprintf(out, "%*s%s%s", pad, "", text, last ? "" : "  ");
    else
        fprintf(out, "%s%*s%s", text, last ? 0 : pad, "", last ? "" : "  ");
}

void
columns_print(const struct columns *t, FILE *out)
{
    if (t->count == 0) {
        fprintf(stderr, "nothing to list\n");
        return;
    }
    fputs(cli_colour(out, CLI_SOFT), out);
    for (size_t i = 0; i < t->column_count; i++)
        print_cell(t, i, t->columns[i].title, out);
    fprintf(out, "%s\n", cli_colour(out, CLI_PLAIN));
    for (size_t r = 0; r < t->count; r++) {
        for (size_t i = 0; i < t->column_count; i++)
            print_cell(t, i, t->cells[r * t->column_count + i], out);
        fputc('\n', out);
    }
}
