/* POSTs each message as JSON with the headers of the Standard Webhooks convention: webhook-id,
 * which is the same on every attempt, and webhook-timestamp, the time of the attempt. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "channel/channel_driver.h"
#include "channel/http_gate.h"
#include "channel/http_header.h"

enum { OWN_HEADERS = 3, CHANNEL_HEADERS = 24 };

struct options {
    const char *url;
    const struct value *headers;
    struct {
        const char *ca;
        bool verify;
    } tls;
};

struct state {
    struct arena arena;
    const char *lines[CHANNEL_HEADERS + 1]; /* the channel's headers; NULL ends */
    struct http_tls tls;
};

#define part_of(member) (offsetof(struct options, tls.member) - offsetof(struct options, tls))

static const struct option tls_rows[] = {
    {.name = "ca",
     .kind = OPTION_TEXT,
     .offset = part_of(ca),
     .help = "file of the authorities to trust instead of the system's"},
    {.name = "verify",
     .kind = OPTION_BOOL,
     .offset = part_of(verify),
     .fallback = "true",
     .help = "check the server's certificate"},
};

static const struct option rows[] = {
    {.name = "url",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct options, url),
     .flags = OPTION_REQUIRED | OPTION_SECRET_OK,
     .help = "where to POST: http:// or https://"},
    {.name = "headers",
     .kind = OPTION_MAP,
     .offset = offsetof(struct options, headers),
     .flags = OPTION_SECRET_OK,
     .help = "more headers: { name = \"value\" }"},
    {.name = "tls",
     .kind = OPTION_GROUP,
     .offset = offsetof(struct options, tls),
     .rows = tls_rows,
     .row_count = countof(tls_rows),
     .help = "how https is checked"},
    {.name = "signing_secret", .kind = OPTION_TEXT, .flags = OPTION_LATER},
};

/* Lines of a map of headers into `lines`, at most `most`; how many, or -1. */
static int
read_headers(const struct value *map, struct arena *arena, const char **lines, size_t most,
             struct error *err)
{
    if (map->kind != VALUE_MAP && map->count > 0)
        return error_set(err, ERROR_DATA, "headers: write them as { name = \"value\" }");
    if (map->count > most)
        return error_set(err, ERROR_DATA, "headers: at most %zu", most);
    for (size_t i = 0; i < map->count; i++) {
        lines[i] = http_header_line(arena, &map->pairs[i], err);
        if (!lines[i])
            return -1;
    }
    return (int)map->count;
}

static int
open_tls(struct channel_context *context, struct error *err)
{
    const struct options *options = context->plan->options;
    struct state *state = context->state;
    const char *ca = options->tls.ca;
    state->tls.unverified = !options->tls.verify;
    if (!options->tls.verify)
        log_warning(context->component, "tls.verify = false: anybody on the way can read and "
                                        "answer its requests");
    if (!ca)
        return 0;
    if (*ca != '/' && context->plan->workspace)
        ca = arena_printf(&state->arena, "%s/%s", context->plan->workspace, ca);
    state->tls.ca = ca;
    if (access(ca, R_OK) != 0)
        return error_set(err, ERROR_CONFIG, "tls.ca: cannot read %s", ca);
    return 0;
}

static int
open_webhook(struct channel_context *context, struct error *err)
{
    const struct options *options = context->plan->options;
    struct state *state = context->state;
    arena_init(&state->arena, 0);
    if (http_gate_url(options->url, "url", err) != 0 || open_tls(context, err) != 0)
        return -1;
    if (!options->headers ||
        read_headers(options->headers, &state->arena, state->lines, CHANNEL_HEADERS, err) >= 0)
        return 0;
    if (err->class == ERROR_DATA)
        err->class = ERROR_CONFIG;
    return -1;
}

static void
close_webhook(struct channel_context *context)
{
    struct state *state = context->state;
    arena_release(&state->arena);
    memset(state, 0, sizeof(*state));
}

static bool
is_said(const char *const *lines, const char *line)
{
    for (; *lines; lines++)
        if (http_header_same(*lines, line))
            return true;
    return false;
}

/* Of several with one name the first counts: ours, then the send's, then the channel's. */
static int
add_headers(const struct state *state, const struct delivery *delivery, struct http_request *out,
            struct error *err)
{
    size_t count = OWN_HEADERS - 1;
    out->headers[0] = arena_printf(out->arena, "webhook-id: %s", delivery->id);
    out->headers[1] =
        arena_printf(out->arena, "webhook-timestamp: %" PRId64, clock_now() / CLOCK_SECOND);
    if (delivery->options.size > 0) {
        struct value options;
        const struct value *map;
        if (json_parse(delivery->options, out->arena, &options, err) != 0)
            return -1;
        map = value_get(&options, "headers");
        int added = map ? read_headers(map, out->arena, out->headers + count,
                                       HTTP_HEADERS - CHANNEL_HEADERS - OWN_HEADERS - 1, err)
                        : 0;
        if (added < 0)
            return -1;
        count += (size_t)added;
    }
    for (const char *const *line = state->lines; *line; line++)
        if (!is_said(out->headers, *line))
            out->headers[count++] = *line;
    if (!is_said(out->headers, "content-type:"))
        out->headers[count] = "content-type: application/json";
    return 0;
}

static int
shape_request(struct channel_context *context, const struct delivery *delivery,
              struct http_request *out, struct error *err)
{
    const struct options *options = context->plan->options;
    const struct state *state = context->state;
    out->url = options->url;
    out->tls = state->tls;
    out->body = delivery->body;
    if (delivery->kind == MESSAGE_TEXT) {
        channel_message_json(delivery, out->text);
        out->body = buffer_view(out->text);
    }
    return add_headers(state, delivery, out, err);
}

static const char *const message_fields[] = {"headers", NULL};

const struct channel_driver channel_webhook = {
    .name = "webhook",
    .fields = message_fields,
    .summary = "POSTs each message as JSON to a URL",
    .options = rows,
    .option_count = countof(rows),
    .options_size = sizeof(struct options),
    .state_size = sizeof(struct state),
    .open = open_webhook,
    .close = close_webhook,
    .request = shape_request,
};
