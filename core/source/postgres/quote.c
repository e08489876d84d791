#include "source/postgres/quote.h"

/* PostgreSQL has no NUL in names and texts: one would cut the statement short, so it is left out.
 */
static void
doubled(struct buffer *out, struct slice text, const char *marks)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '\0')
            continue;
        if (strchr(marks, byte))
            buffer_byte(out, (uint8_t)byte);
        buffer_byte(out, (uint8_t)byte);
    }
}

void
pg_quote_name(struct buffer *out, struct slice name)
{
    buffer_byte(out, '"');
    doubled(out, name, "\"");
    buffer_byte(out, '"');
}

void
pg_quote_table(struct buffer *out, struct slice schema, struct slice table)
{
    pg_quote_name(out, schema);
    buffer_byte(out, '.');
    pg_quote_name(out, table);
}

/* With E'' a backslash means itself twice whatever standard_conforming_strings says. */
void
pg_quote_text(struct buffer *out, struct slice text)
{
    bool escapes = text.size && memchr(text.data, '\\', text.size);
    buffer_text(out, escapes ? "E'" : "'");
    doubled(out, text, escapes ? "'\\" : "'");
    buffer_byte(out, '\'');
}
