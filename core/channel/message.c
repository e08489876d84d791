/* What every driver says and prints in the same way: answers, and messages as JSON. */
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "channel/channel_driver.h"

enum { REASON_ESCAPED = 8192 };

static const char *const class_names[] = {
    [CHANNEL_DELIVERED] = "delivered",
    [CHANNEL_RETRY] = "retry",
    [CHANNEL_REJECT] = "reject",
    [CHANNEL_BROKEN] = "broken",
};

const char *channel_class_name(enum channel_class class)
{
    ensure((size_t) class < countof(class_names));
    return class_names[class];
}

void
channel_answer_set(struct channel_answer *answer, enum channel_class class, int code,
                   const char *format, ...)
{
    char raw[1024];
    struct buffer escaped;
    struct slice fits;
    va_list args;
    va_start(args, format);
    if (vsnprintf(raw, sizeof(raw), format, args) < 0)
        raw[0] = '\0';
    va_end(args);
    buffer_init(&escaped, REASON_ESCAPED);
    text_printable(&escaped, slice_of(raw), false);
    fits = text_truncate(buffer_view(&escaped), sizeof(answer->reason) - 1);
    *answer = (struct channel_answer){.class = class, .code = code};
    memcpy(answer->reason, fits.data, fits.size);
    buffer_release(&escaped);
}

static void
text_member(struct buffer *out, const char *key, struct slice text)
{
    json_key(out, key);
    json_string(out, text);
}

void
channel_message_json(const struct delivery *delivery, struct buffer *out)
{
    char ts[CLOCK_TEXT_SIZE];
    if (delivery->kind != MESSAGE_TEXT) {
        buffer_slice(out, delivery->body);
        return;
    }
    buffer_byte(out, '{');
    text_member(out, "id", slice_of(delivery->id));
    text_member(out, "event", delivery->event_id);
    text_member(out, "rule", delivery->rule);
    text_member(out, "ts", slice_of(clock_format(delivery->created, ts)));
    text_member(out, "text", delivery->body);
    buffer_byte(out, '}');
}
