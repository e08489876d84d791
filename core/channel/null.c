/* Swallows everything: for trying rules out, and for measuring all that stands before a channel. */
#include "channel/channel_driver.h"

static void
deliver(struct channel_context *context, struct delivery *const *list, size_t count,
        struct channel_answer *answers)
{
    (void)context;
    (void)list;
    for (size_t i = 0; i < count; i++)
        answers[i] = (struct channel_answer){.class = CHANNEL_DELIVERED};
}

const struct channel_driver channel_null = {
    .name = "null",
    .summary = "swallows every message",
    .take_most = 1024,
    .in_order = true,
    .deliver = deliver,
};
