/* A channel with a fake feed, set up from options as JSON. */
#ifndef SUPPORT_CHANNEL_RIG_H
#define SUPPORT_CHANNEL_RIG_H

#include "channel/channel_driver.h"
#include "support/fake_feed.h"

struct channel_rig {
    struct arena arena;
    struct channel_plan plan;
    struct fake_feed *feed;
    struct transfer *transfer; /* http drivers */
    struct channel *channel;
    struct error err;
    char folder[64]; /* the workspace: a fresh one */
};

/* Zeroes the rig, makes the folder and the feed; plan.allow_private is true. */
void channel_rig_init(struct channel_rig *rig);
/* Applies the options, makes and starts the channel; -1 with rig->err. `json` uses ' for ". */
int channel_rig_start(struct channel_rig *rig, const char *type, const char *json) must_check;
void channel_rig_release(struct channel_rig *rig); /* stops, frees, removes the folder */

/* Adds one message, waits for its last answer. */
struct channel_answer channel_rig_send(struct channel_rig *rig, enum message_kind kind,
                                       const char *body, const char *options);
/* A path in the folder, in the rig's arena. */
char *channel_rig_path(struct channel_rig *rig, const char *name);

#endif
