/* The transfer thread as channel.c sees it: a channel on the http transport has a lane there, with
 * a feed and a concurrency of its own. All functions may be called from any thread. */
#ifndef CHANNEL_TRANSFER_H
#define CHANNEL_TRANSFER_H

#include "channel/channel_driver.h"

struct transfer_lane;

/* Joins; the context stays on loan until transfer_stop. */
struct transfer_lane *transfer_open(struct transfer *t, struct channel_context *context);
void transfer_poke(struct transfer_lane *lane);
void transfer_halt(struct transfer_lane *lane); /* starts nothing new; returns at once */
void transfer_stop(
    struct transfer_lane *lane); /* after transfer_halt: waits until it has left, at most 2 s */
void transfer_close(struct transfer_lane *lane); /* frees, after transfer_stop */

#endif
