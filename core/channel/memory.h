/* A channel of proof builds that keeps what it is given, and fails on purpose. What it kept
 * outlives the channel, under the channel's name, until it is forgotten. Any thread. */
#ifndef CHANNEL_MEMORY_H
#define CHANNEL_MEMORY_H

#include "channel/channel.h"

struct memory_message {
    char id[40];
    enum message_kind kind;
    int attempt;
    uint64_t lsn;
    int64_t created;
    struct slice rule, event_id, body, options; /* NUL-terminated */
};

/* How many were delivered so far. */
size_t memory_count(const char *channel);
/* The delivered message of that number, from 0; false when there is none. Lasts until
 * memory_forget. */
bool memory_message(const char *channel, size_t number, struct memory_message *out);
/* Attempts of any class so far. */
uint64_t memory_attempts(const char *channel);
/* Waits until `count` were delivered; false when `timeout` µs passed first. */
bool memory_wait(const char *channel, size_t count, int64_t timeout);
/* Of all channels. None may be running. */
void memory_forget(void);

#endif
