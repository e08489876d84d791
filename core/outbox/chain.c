#include "outbox/chain.h"

#include <stdlib.h>

struct chain {
    uint64_t key;
    struct item *head, *tail;
    struct chain *next; /* of the bucket, or spare */
};

static struct chain **
bucket_of(struct chains *c, uint64_t key)
{
    return &c->buckets[(key ^ (key >> 32)) % CHAIN_BUCKETS];
}

static void
free_list(struct chain *chain)
{
    while (chain) {
        struct chain *next = chain->next;
        free(chain);
        chain = next;
    }
}

void
chains_release(struct chains *c)
{
    for (size_t i = 0; i < CHAIN_BUCKETS; i++)
        free_list(c->buckets[i]);
    free_list(c->spare);
    memset(c, 0, sizeof(*c));
}

static struct chain *
chain_of(struct chains *c, uint64_t key)
{
    struct chain **bucket = bucket_of(c, key);
    for (struct chain *chain = *bucket; chain; chain = chain->next) {
        if (chain->key == key)
            return chain;
    }
    struct chain *chain = c->spare;
    if (chain)
        c->spare = chain->next;
    else
        chain = memory_alloc(sizeof(*chain));
    *chain = (struct chain){.key = key, .next = *bucket};
    *bucket = chain;
    return chain;
}

static void
chain_drop(struct chains *c, struct chain *chain)
{
    struct chain **at = bucket_of(c, chain->key);
    while (*at != chain)
        at = &(*at)->next;
    *at = chain->next;
    chain->next = c->spare;
    c->spare = chain;
}

/* Nearly always at the end: only a dead letter that is retried by hand comes in lower. */
void
chain_add(struct chains *c, struct item *item)
{
    struct chain *chain = chain_of(c, item->key);
    struct item *before = chain->tail;
    while (before && before->seq > item->seq)
        before = before->before;
    item->chain = chain;
    item->before = before;
    item->after = before ? before->after : chain->head;
    *(before ? &before->after : &chain->head) = item;
    *(item->after ? &item->after->before : &chain->tail) = item;
}

struct item *
chain_remove(struct chains *c, struct item *item)
{
    struct chain *chain = item->chain;
    if (!chain)
        return NULL;
    struct item *first = item->before ? NULL : item->after;
    *(item->before ? &item->before->after : &chain->head) = item->after;
    *(item->after ? &item->after->before : &chain->tail) = item->before;
    item->chain = NULL;
    item->before = item->after = NULL;
    if (!chain->head)
        chain_drop(c, chain);
    return first;
}

void
chain_replace(struct item *old, struct item *with)
{
    with->seq = old->seq;
    with->key = old->key;
    with->chain = old->chain;
    with->before = old->before;
    with->after = old->after;
    if (!old->chain)
        return;
    *(old->before ? &old->before->after : &old->chain->head) = with;
    *(old->after ? &old->after->before : &old->chain->tail) = with;
    old->chain = NULL;
    old->before = old->after = NULL;
}

struct item *
chain_head(const struct item *item)
{
    return item->chain ? item->chain->head : NULL;
}
