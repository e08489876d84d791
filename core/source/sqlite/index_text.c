/* Takes the text of a CREATE INDEX apart. SQLite keeps expressions of an index and its WHERE only
 * as text; the pragmas say which terms are expressions, not what they are. */
#include <ctype.h>
#include <strings.h>
#include "source/sqlite/table.h"

/* The end of what begins at `at`: a quoted name, text, comment, word or single character. */
static const char *
token_end(const char *at)
{
    char close = *at == '[' ? ']' : *at;
    if (*at == '"' || *at == '\'' || *at == '`' || *at == '[') {
        for (at++; *at; at++) {
            if (*at != close)
                continue;
            if (close == ']' || at[1] != close)
                return at + 1;
            at++;
        }
        return at;
    }
    if (at[0] == '-' && at[1] == '-')
        return at + strcspn(at, "\n");
    if (at[0] == '/' && at[1] == '*') {
        const char *end = strstr(at + 2, "*/");
        return end ? end + 2 : at + strlen(at);
    }
    if (!isalnum((unsigned char)*at) && *at != '_' && !((unsigned char)*at & 0x80))
        return at + 1;
    while (isalnum((unsigned char)*at) || *at == '_' || *at == '$' || ((unsigned char)*at & 0x80))
        at++;
    return at;
}

static bool
token_is(const char *at, const char *end, const char *word)
{
    size_t size = (size_t)(end - at);
    return size == strlen(word) && strncasecmp(at, word, size) == 0;
}

static bool
token_blank(const char *at)
{
    return isspace((unsigned char)*at) || (at[0] == '-' && at[1] == '-') ||
           (at[0] == '/' && at[1] == '*');
}

/* One term: from `at` to the comma or parenthesis that ends it, with ASC or DESC at its end cut. */
static const char *
term_end(const char *at, const char **cut)
{
    int depth = 0;
    *cut = at;
    while (*at) {
        const char *end = token_end(at);
        if (depth == 0 && (*at == ',' || *at == ')'))
            return at;
        depth += (*at == '(') - (*at == ')');
        bool order = depth == 0 && (token_is(at, end, "ASC") || token_is(at, end, "DESC"));
        if (!order && !token_blank(at))
            *cut = end;
        at = end;
    }
    return NULL;
}

static const char *
where_text(const char *at)
{
    while (*at) {
        const char *end = token_end(at);
        if (token_is(at, end, "WHERE"))
            return end;
        at = end;
    }
    return NULL;
}

int
index_split(const char *sql, struct arena *arena, const char **terms, int room, const char **where)
{
    const char *at = sql;
    while (*at && *at != '(')
        at = token_end(at);
    int count = 0;
    while (*at && *at != ')') {
        const char *cut, *start = at + 1;
        at = term_end(start, &cut);
        if (!at || count == room)
            return -1;
        struct slice term = {start, (size_t)(cut - start)};
        terms[count++] = arena_slice(arena, term).data;
    }
    if (*at != ')')
        return -1;
    const char *condition = where_text(at + 1);
    *where = condition ? arena_text(arena, condition) : NULL;
    return count;
}
