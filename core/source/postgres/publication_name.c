/* Names of what Tidegate makes in the database. They must differ for each workspace and source,
 * also where PostgreSQL's 63 bytes or its rules for slots (lower case letters, digits, _) bend
 * them. */
#include <inttypes.h>
#include <stdio.h>
#include "base/hash.h"
#include "source/postgres/publication.h"
#include "source/postgres/quote.h"

#define KEYLESS "_keyless"
#define HASH    17 /* _ and 16 digits */

static bool
is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static char
plain(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return is_plain(c) ? c : '_';
}

static bool
ends_in(struct slice text, const char *end)
{
    size_t size = strlen(end);
    return text.size >= size && memcmp(text.data + text.size - size, end, size) == 0;
}

/* "tidegate_<id>_<source>", or "<its start>_<hash of all>" where that is no good name. A source
 * that is itself called …_keyless must not meet the keyless publication of another. */
static void
base_name(const struct source_plan *plan, size_t limit, char *out)
{
    struct buffer whole;
    buffer_init(&whole, 1 << 16);
    buffer_printf(&whole, "tidegate_%s_%s", plan->workspace_id, plan->name);
    struct slice name = buffer_view(&whole);
    bool good = !whole.failed && name.size <= limit && !ends_in(name, KEYLESS);
    for (size_t i = 0; i < name.size; i++)
        good = good && is_plain(name.data[i]);
    size_t keep = limit - (good ? 0 : HASH);
    if (keep > name.size)
        keep = name.size;
    for (size_t i = 0; i < keep; i++)
        out[i] = plain(name.data[i]);
    out[keep] = '\0';
    if (!good)
        snprintf(out + keep, limit + 1 - keep, "_%016" PRIx64, hash64(name.data, name.size));
    buffer_release(&whole);
}

static const struct pg_options *
options_of(const struct source_plan *plan)
{
    return plan->options;
}

void
pg_publication_name(const struct source_plan *plan, bool keyless, char out[PG_NAME])
{
    if (options_of(plan)->publication) {
        snprintf(out, PG_NAME, "%s", options_of(plan)->publication);
        return;
    }
    /* Both begin alike, so the room that the longer one needs is taken from both. */
    base_name(plan, PG_NAME - sizeof KEYLESS, out);
    if (keyless)
        strcat(out, KEYLESS);
}

void
pg_slot_name(const struct source_plan *plan, char out[PG_NAME])
{
    if (options_of(plan)->slot)
        snprintf(out, PG_NAME, "%s", options_of(plan)->slot);
    else
        base_name(plan, PG_NAME - sizeof KEYLESS, out);
}

typedef void quote_function(struct buffer *out, struct slice text);

static void
list_names(const struct source_plan *plan, const char *comma, quote_function *quote,
           struct buffer *out)
{
    char name[PG_NAME];
    pg_publication_name(plan, false, name);
    quote(out, slice_of(name));
    if (options_of(plan)->publication)
        return;
    pg_publication_name(plan, true, name);
    buffer_text(out, comma);
    quote(out, slice_of(name));
}

void
pg_publication_list(const struct source_plan *plan, struct buffer *out)
{
    list_names(plan, ",", pg_quote_name, out);
}

void
pg_publication_literals(const struct source_plan *plan, struct buffer *out)
{
    list_names(plan, ", ", pg_quote_text, out);
}
