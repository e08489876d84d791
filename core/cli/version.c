#include <curl/curl.h>
#include <lua.h>
#include <microhttpd.h>
#include <sqlite3.h>
#include <zstd.h>
#include "base/json.h"
#include "channel/channel_driver.h"
#include "cli/cli.h"
#include "source/source_driver.h"

static void
add_names(struct buffer *text, struct buffer *json)
{
    size_t count;
    const struct source_driver *const *sources = source_drivers(&count);
    buffer_text(text, "sources   ");
    json_key(json, "sources");
    buffer_byte(json, '[');
    for (size_t i = 0; i < count; i++) {
        buffer_printf(text, "%s%s", i ? " " : "", sources[i]->name);
        json_comma(json);
        json_string(json, slice_of(sources[i]->name));
    }
    const struct channel_driver *const *channels = channel_drivers(&count);
    buffer_text(text, "\nchannels  ");
    buffer_byte(json, ']');
    json_key(json, "channels");
    buffer_byte(json, '[');
    for (size_t i = 0; i < count; i++) {
        buffer_printf(text, "%s%s", i ? " " : "", channels[i]->name);
        json_comma(json);
        json_string(json, slice_of(channels[i]->name));
    }
    buffer_byte(json, ']');
}

int
cli_version(struct cli *cli, struct error *err)
{
    (void)err;
    struct buffer text, json;
    buffer_init(&text, 4096);
    buffer_init(&json, 4096);
    buffer_printf(&text, "tidegate %s\n", TIDEGATE_VERSION);
    buffer_text(&json, "{\"version\":\"" TIDEGATE_VERSION "\"");
    add_names(&text, &json);
    buffer_printf(&text, "\nwith      %s, SQLite %s, libcurl %s, libmicrohttpd %s, zstd %s\n",
                  LUA_RELEASE, sqlite3_libversion(), curl_version_info(CURLVERSION_NOW)->version,
                  MHD_get_version(), ZSTD_versionString());
    buffer_text(&json, "}\n");
    fputs(cli->json ? buffer_cstring(&json) : buffer_cstring(&text), stdout);
    buffer_release(&text);
    buffer_release(&json);
    return 0;
}
