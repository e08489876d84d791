#include <curl/curl.h>
#include <lua.h>
#include <microhttpd.h>
#include <sqlite3.h>
#include <zstd.h>
#if WITH_POSTGRES
#include <libpq-fe.h>
#endif
#include "base/json.h"
#include "channel/channel_driver.h"
#include "cli/cli.h"
#include "source/source_driver.h"

static void
begin_names(struct buffer *text, struct buffer *json, const char *key)
{
    buffer_printf(text, "\n%-9s", key);
    json_key(json, key);
    buffer_byte(json, '[');
}

static void
add_name(struct buffer *text, struct buffer *json, const char *name)
{
    buffer_printf(text, " %s", name);
    json_comma(json);
    json_string(json, slice_of(name));
}

static void
add_names(struct buffer *text, struct buffer *json)
{
    size_t count;
    const struct source_driver *const *sources = source_drivers(&count);
    begin_names(text, json, "sources");
    for (size_t i = 0; i < count; i++)
        add_name(text, json, sources[i]->name);
    buffer_byte(json, ']');
    const struct channel_driver *const *channels = channel_drivers(&count);
    begin_names(text, json, "channels");
    for (size_t i = 0; i < count; i++)
        add_name(text, json, channels[i]->name);
    buffer_byte(json, ']');
}

/* What can be left out at build time. */
static void
add_optional(struct buffer *text)
{
#if WITH_POSTGRES
    int version = PQlibVersion();
    buffer_printf(text, ", libpq %d.%d", version / 10000, version % 10000);
#endif
    buffer_byte(text, '\n');
}

int
cli_version(struct cli *cli, struct error *err)
{
    (void)err;
    struct buffer text, json;
    buffer_init(&text, 4096);
    buffer_init(&json, 4096);
    buffer_printf(&text, "tidegate %s", TIDEGATE_VERSION);
    buffer_text(&json, "{\"version\":\"" TIDEGATE_VERSION "\"");
    add_names(&text, &json);
    buffer_printf(&text, "\nwith      %s, SQLite %s, libcurl %s, libmicrohttpd %s, zstd %s",
                  LUA_RELEASE, sqlite3_libversion(), curl_version_info(CURLVERSION_NOW)->version,
                  MHD_get_version(), ZSTD_versionString());
    add_optional(&text);
    buffer_text(&json, "}\n");
    fputs(cli->json ? buffer_cstring(&json) : buffer_cstring(&text), stdout);
    buffer_release(&text);
    buffer_release(&json);
    return 0;
}
