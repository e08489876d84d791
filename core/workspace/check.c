#include <stdlib.h>
#include "base/text.h"
#include "channel/channel_driver.h"
#include "source/source_driver.h"
#include "workspace/scripts.h"
#include "workspace/workspace.h"

/* Where problems of configuration and scripts go while nothing runs. */
struct checker {
    struct workspace_check *check;
    struct channel_plan *plans; /* by place in config.channels */
    workspace_report *report;
    void *context;
};

static void
config_problem_of(void *context, const struct error *err)
{
    struct checker *c = context;
    c->check->problems++;
    c->report(c->context, "tidegate.lua", err);
}

static void
script_problem_of(void *context, const char *script, const struct error *err)
{
    struct checker *c = context;
    c->check->problems++;
    c->report(c->context, script, err);
}

static bool
world_channel(void *context, struct slice name, struct outbox_queue **queue,
              const struct channel_plan **plan)
{
    struct checker *c = context;
    const struct config_channel *channel = config_find_channel(&c->check->config, name);
    if (!channel)
        return false;
    *queue = NULL; /* nothing is sent by a check */
    *plan = &c->plans[channel - c->check->config.channels];
    return true;
}

static const char *
world_suggest(void *context, struct slice name)
{
    const struct config *config = &((struct checker *)context)->check->config;
    return text_suggest(name, config->channels, config->channel_count, sizeof(*config->channels));
}

static void
fill_world(struct checker *c, struct rules_world *world)
{
    struct config *config = &c->check->config;
    c->plans = arena_zero(&config->arena, (config->channel_count + 1) * sizeof(*c->plans));
    for (size_t i = 0; i < config->channel_count; i++)
        c->plans[i] = (struct channel_plan){.name = config->channels[i].name,
                                            .driver = config->channels[i].driver,
                                            .options = config->channels[i].options,
                                            .common = config->channels[i].common};
    *world = (struct rules_world){
        .channel = world_channel, .channel_suggest = world_suggest, .context = c};
    config_name_sources(config, world);
}

/* What a channel's driver can say before anything is sent. */
static void
check_channels(struct checker *c, const char *folder)
{
    const struct config *config = &c->check->config;
    for (size_t i = 0; i < config->channel_count; i++) {
        struct error err = {0};
        struct channel_plan plan = c->plans[i];
        plan.workspace = folder;
        plan.allow_private = true;
        struct channel *channel = channel_new(&plan, &err);
        if (!channel)
            config_problem_of(c, (error_context(&err, "tidegate.lua:%d: channel \"%s\"",
                                                config->channels[i].line, plan.name),
                                  &err));
        channel_free(channel);
    }
}

int
workspace_check(const char *folder, workspace_report *report, void *context,
                struct workspace_check *out, struct error *err)
{
    struct checker *c = memory_zero(sizeof(*c));
    *c = (struct checker){.check = out, .report = report, .context = context};
    *out = (struct workspace_check){0};
    out->checker = c;
    config_load(folder, config_problem_of, c, &out->config);
    out->scripts = memory_zero(sizeof(*out->scripts));
    if (scripts_read(folder, out->scripts, script_problem_of, c, err) != 0) {
        workspace_check_release(out);
        return -1;
    }
    struct rules_world world;
    fill_world(c, &world);
    check_channels(c, folder);
    world.modules = out->scripts->modules;
    world.module_count = out->scripts->module_count;
    /* Without what tidegate.lua declares, every rule would be wrong for that reason alone. */
    if (out->problems && out->config.source_count == 0)
        out->scripts->count = 0;
    out->rules =
        rules_new(&world, out->scripts->list, out->scripts->count, script_problem_of, c, err);
    if (out->rules)
        return 0;
    workspace_check_release(out);
    return -1;
}

void
workspace_check_release(struct workspace_check *check)
{
    if (check->rules)
        rules_free(check->rules);
    if (check->scripts)
        scripts_release(check->scripts);
    free(check->scripts);
    config_release(&check->config);
    free(check->checker);
    *check = (struct workspace_check){0};
}
