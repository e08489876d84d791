#include "support/channel_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <ftw.h>

#include "base/json.h"

void
channel_rig_init(struct channel_rig *rig)
{
    const char *base = getenv("TMPDIR");
    memset(rig, 0, sizeof(*rig));
    arena_init(&rig->arena, 0);
    snprintf(rig->folder, sizeof(rig->folder), "%s/channel-XXXXXX", base ? base : "/tmp");
    ensure(mkdtemp(rig->folder));
    rig->feed = fake_feed_new();
    rig->plan = (struct channel_plan){.name = "rig", .allow_private = true};
    rig->plan.workspace = rig->folder;
}

static struct value
parse(struct channel_rig *rig, const char *json)
{
    char *text = arena_text(&rig->arena, json);
    struct value map;
    for (char *at = text; *at; at++)
        if (*at == '\'')
            *at = '"';
    ensure(json_parse(slice_of(text), &rig->arena, &map, &rig->err) == 0);
    return map;
}

int
channel_rig_start(struct channel_rig *rig, const char *type, const char *json)
{
    struct value map = parse(rig, json);
    rig->plan.driver = channel_driver_find(slice_of(type));
    ensure(rig->plan.driver);
    if (channel_plan_apply(&rig->plan, &map, &rig->arena, "channel \"rig\"", &rig->err) != 0)
        return -1;
    if (rig->plan.driver->request && !rig->transfer)
        ensure((rig->transfer = transfer_new(&rig->err)));
    rig->plan.transfer = rig->transfer;
    rig->plan.feed = fake_feed_feed(rig->feed);
    rig->channel = channel_new(&rig->plan, &rig->err);
    return rig->channel ? channel_start(rig->channel, &rig->err) : -1;
}

static int
remove_one(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
    (void)status;
    (void)flag;
    (void)walk;
    return remove(path);
}

void
channel_rig_release(struct channel_rig *rig)
{
    channel_free(rig->channel);
    transfer_free(rig->transfer);
    fake_feed_free(rig->feed);
    arena_release(&rig->arena);
    ensure(nftw(rig->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

struct channel_answer
channel_rig_send(struct channel_rig *rig, enum message_kind kind, const char *body,
                 const char *options)
{
    size_t before = fake_feed_done(rig->feed);
    size_t number = fake_feed_add(rig->feed, kind, body, options);
    channel_poke(rig->channel);
    ensure(fake_feed_wait(rig->feed, before + 1));
    return fake_feed_answer(rig->feed, number);
}

char *
channel_rig_path(struct channel_rig *rig, const char *name)
{
    return arena_printf(&rig->arena, "%s/%s", rig->folder, name);
}
