#include "source/sqlite/quote.h"

static void
doubled(struct buffer *out, const char *text, char mark)
{
    buffer_byte(out, (uint8_t)mark);
    for (; *text; text++) {
        if (*text == mark)
            buffer_byte(out, (uint8_t)mark);
        buffer_byte(out, (uint8_t)*text);
    }
    buffer_byte(out, (uint8_t)mark);
}

void
quote_identifier(struct buffer *out, const char *name)
{
    doubled(out, name, '"');
}

void
quote_text(struct buffer *out, const char *text)
{
    doubled(out, text, '\'');
}
