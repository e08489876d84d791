/* A channel's feed without an outbox: a list of messages, taken in order, whose answers are kept.
 * Any thread may add and ask; the channel takes. */
#ifndef SUPPORT_FAKE_FEED_H
#define SUPPORT_FAKE_FEED_H

#include "channel/channel.h"

struct fake_feed;

struct fake_feed *fake_feed_new(void);
void fake_feed_free(struct fake_feed *f); /* after the channel has stopped */
struct channel_feed fake_feed_feed(struct fake_feed *f);

/* Retries and broken answers come back at once, up to so many attempts; 1 at first. */
void fake_feed_repeat(struct fake_feed *f, int attempts);

/* Adds a message; texts are copied. Its number, from 0. Poke the channel afterwards. */
size_t fake_feed_add(struct fake_feed *f, enum message_kind kind, const char *body,
                     const char *options);

/* Waits until `count` messages are done (no attempt to follow); false after 10 s. */
bool fake_feed_wait(struct fake_feed *f, size_t count);
size_t fake_feed_done(struct fake_feed *f);
size_t fake_feed_taken(struct fake_feed *f);

/* The last answer and the attempts of a message. */
struct channel_answer fake_feed_answer(struct fake_feed *f, size_t number);
int fake_feed_attempts(struct fake_feed *f, size_t number);
const char *fake_feed_id(struct fake_feed *f, size_t number);

#endif
