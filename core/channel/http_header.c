#include "channel/http_header.h"

#include <inttypes.h>
#include <strings.h>

enum { VALUE_MOST = 16 * 1024, NAME_MOST = 256 };

/* What curl, the connection or the transport says itself. */
static const char *const reserved[] = {
    "connection",        "content-length",    "expect",     "host",
    "keep-alive",        "proxy-connection",  "te",         "trailer",
    "upgrade",           "transfer-encoding", "webhook-id", "webhook-signature",
    "webhook-timestamp",
};

static bool
is_name(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return name.size > 0 && name.size <= NAME_MOST;
}

static bool
is_value(struct slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = (uint8_t)value.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return value.size <= VALUE_MOST;
}

static bool
is_reserved(struct slice name)
{
    for (size_t i = 0; i < countof(reserved); i++)
        if (name.size == strlen(reserved[i]) && !strncasecmp(name.data, reserved[i], name.size))
            return true;
    return false;
}

static int
check_text(struct slice name, struct slice value, struct error *err)
{
    if (!is_name(name))
        return error_set(err, ERROR_DATA, "headers: a name is not a header's name");
    if (is_reserved(name))
        return error_set(err, ERROR_DATA, "headers: \"%.*s\" can't be set", (int)name.size,
                         name.data);
    if (!is_value(value))
        return error_set(err, ERROR_DATA,
                         "headers: the value of \"%.*s\" holds control characters or is longer "
                         "than 16 KiB",
                         (int)name.size, name.data);
    return 0;
}

const char *
http_header_line(struct arena *arena, const struct value_pair *pair, struct error *err)
{
    struct slice name = pair->key, text = pair->value.text;
    if (pair->value.kind == VALUE_INT)
        text = slice_of(arena_printf(arena, "%" PRId64, pair->value.integer));
    else if (pair->value.kind == VALUE_SECRET) {
        error_set(err, ERROR_REFUSED, "headers: secret() is not built yet; use env() instead");
        return NULL;
    } else if (pair->value.kind != VALUE_TEXT) {
        error_set(err, ERROR_DATA, "headers: a value is a %s; write it as a text in quotes",
                  value_kind_name(pair->value.kind));
        return NULL;
    }
    if (check_text(name, text, err) != 0)
        return NULL;
    if (text.size == 0)
        return arena_printf(arena, "%.*s;", (int)name.size, name.data);
    return arena_printf(arena, "%.*s: %.*s", (int)name.size, name.data, (int)text.size, text.data);
}

bool
http_header_same(const char *a, const char *b)
{
    size_t size = strcspn(a, ":;");
    return size == strcspn(b, ":;") && !strncasecmp(a, b, size);
}
