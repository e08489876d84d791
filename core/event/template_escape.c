/* Values on their way into a text, made harmless for the place where they will stand. */
#include "base/json.h"
#include "event/template_part.h"

#define ZERO_WIDTH_SPACE "\xe2\x80\x8b"

/* What pings everybody in one chat or another when it stands behind @. */
static const char *const crowds[] = {"everyone", "here", "channel", "all"};

static bool
is_control(const struct slice *text, size_t i)
{
    uint8_t byte = (uint8_t)text->data[i];
    if (byte == 0xc2 && i + 1 < text->size) /* C1: U+0080 to U+009F */
        return (uint8_t)text->data[i + 1] >= 0x80 && (uint8_t)text->data[i + 1] <= 0x9f;
    return byte < 0x20 || byte == 0x7f;
}

static bool
same_word(const char *text, const char *word, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((text[i] | 0x20) != word[i])
            return false;
    return true;
}

/* Does one of the words stand there, or as much of one as the text still has? What follows the
 * value could be the rest. */
static bool
names_crowd(const char *at, const char *end)
{
    size_t left = (size_t)(end - at);
    for (size_t i = 0; i < countof(crowds); i++) {
        size_t size = strlen(crowds[i]);
        if (same_word(at, crowds[i], left < size ? left : size))
            return true;
    }
    return false;
}

/* Would these make a mention? `<!channel>`, `<@U024BE7LH>`, `@here`. */
static bool
is_mention(char before, const char *at, const char *end)
{
    if (before == '<')
        return at == end || *at == '!' || *at == '@';
    return before == '@' && names_crowd(at, end);
}

/* Slack's three; there every < of a value is escaped, so that only @ is left to look at. */
static const char *
slack_entity(char c)
{
    return c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : NULL;
}

static void
put_character(struct buffer *out, char c, enum template_escape escape)
{
    const char *entity = escape == TEMPLATE_SLACK ? slack_entity(c) : NULL;
    if (entity)
        buffer_text(out, entity);
    else
        buffer_byte(out, (uint8_t)c);
}

void
template_guard(struct buffer *out, struct slice text)
{
    if (text.size && out->size && !out->failed &&
        is_mention(out->data[out->size - 1], text.data, slice_end(text)))
        buffer_text(out, ZERO_WIDTH_SPACE);
}

/* For people: a space of no width stands inside what would be a mention. */
static void
write_people(struct buffer *out, struct slice text, enum template_escape escape)
{
    const char *end = slice_end(text);
    template_guard(out, text);
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if ((c == '\n' || c == '\t') && escape != TEMPLATE_LINE) {
            buffer_byte(out, (uint8_t)c);
            continue;
        }
        if (is_control(&text, i)) {
            if (c == '\n' || c == '\t')
                buffer_byte(out, ' ');
            i += (uint8_t)c == 0xc2;
            continue;
        }
        put_character(out, c, escape);
        if ((c == '@' || (c == '<' && escape != TEMPLATE_SLACK)) &&
            is_mention(c, text.data + i + 1, end))
            buffer_text(out, ZERO_WIDTH_SPACE);
    }
}

static void
write_data(struct buffer *out, struct slice text)
{
    size_t from = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (!is_control(&text, i))
            continue;
        buffer_append(out, text.data + from, i - from);
        i += (uint8_t)text.data[i] == 0xc2;
        from = i + 1;
    }
    if (from < text.size)
        buffer_append(out, text.data + from, text.size - from);
}

static void
write_html(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        const char *entity = c == '"' ? "&quot;" : c == '\'' ? "&#39;" : slack_entity(c);
        if (entity)
            buffer_text(out, entity);
        else if (c == '\n' || c == '\t' || !is_control(&text, i))
            buffer_byte(out, (uint8_t)c);
        else
            i += (uint8_t)c == 0xc2;
    }
}

static bool
is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~", c));
}

static void
write_url(struct buffer *out, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        if (is_unreserved(text.data[i])) {
            buffer_byte(out, byte);
            continue;
        }
        buffer_byte(out, '%');
        buffer_byte(out, (uint8_t)digits[byte >> 4]);
        buffer_byte(out, (uint8_t)digits[byte & 15]);
    }
}

void
template_escape(struct buffer *out, struct slice text, enum template_escape escape)
{
    switch (escape) {
    case TEMPLATE_PLAIN:
    case TEMPLATE_LINE:
    case TEMPLATE_SLACK:
        write_people(out, text, escape);
        break;
    case TEMPLATE_DATA:
        write_data(out, text);
        break;
    case TEMPLATE_JSON:
        json_inside(out, text);
        break;
    case TEMPLATE_HTML:
        write_html(out, text);
        break;
    case TEMPLATE_URL:
        write_url(out, text);
        break;
    }
}
