#include "source/postgres/connect_answer.h"
#include <arpa/inet.h>
#include <stdio.h>

#define STATE_SIZE 5

/* Behind "severity:  " and the state, where there is one; the severity may be in any language. */
static const char *
find_state(const char *line, size_t size)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (size_t i = 0; i + 3 + STATE_SIZE + 1 < size; i++) {
        const char *state = line + i + 3;
        if (strncmp(line + i, ":  ", 3) == 0 && strspn(state, digits) == STATE_SIZE &&
            state[STATE_SIZE] == ':' && state[STATE_SIZE + 1] == ' ')
            return state;
    }
    return NULL;
}

static void
take_line(struct pg_answer *answer, const char *line, size_t size)
{
    static const char detail[] = "DETAIL:  ", location[] = "LOCATION:  ";
    size_t used = strlen(answer->words);
    const char *state = find_state(line, size), *words;
    if (state) {
        words = state + STATE_SIZE + 2;
        snprintf(answer->state, sizeof answer->state, "%.*s", STATE_SIZE, state);
        snprintf(answer->words, sizeof answer->words, "%.*s", (int)(line + size - words), words);
    } else if (strncmp(line, detail, strlen(detail)) == 0) {
        words = line + strlen(detail);
        snprintf(answer->words + used, sizeof answer->words - used, ": %.*s",
                 (int)(line + size - words), words);
    } else if (strncmp(line, location, strlen(location)) == 0) {
        words = line + strlen(location);
        snprintf(answer->routine, sizeof answer->routine, "%.*s", (int)strcspn(words, ",\n"),
                 words);
    }
}

/* libpq's own words, without the address in front of them, which messages of ours name. */
static void
take_own(struct pg_answer *answer, const char *text)
{
    const char *words = text;
    const char *failed = strstr(text, " failed: ");
    if (strncmp(text, "connection to server ", strlen("connection to server ")) == 0 && failed)
        words = failed + strlen(" failed: ");
    snprintf(answer->words, sizeof answer->words, "%.*s", (int)strcspn(words, "\n"), words);
}

static bool
says_more(const struct pg_answer *next, const struct pg_answer *kept)
{
    return !*kept->state ||
           (strstr(kept->words, "pg_hba.conf") && !strstr(next->words, "pg_hba.conf"));
}

void
pg_answer_read(const char *text, struct pg_answer *out)
{
    struct pg_answer next = {0};
    *out = (struct pg_answer){0};
    for (const char *line = text; *line;) {
        size_t size = strcspn(line, "\n");
        if (*next.state && find_state(line, size)) {
            if (says_more(&next, out))
                *out = next;
            next = (struct pg_answer){0};
        }
        take_line(&next, line, size);
        line += size + (line[size] == '\n');
    }
    if (*next.state && says_more(&next, out))
        *out = next;
    if (!*out->state)
        take_own(out, text);
}

static bool
is_address(const char *text, char *out, size_t size)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    const char *bits = inet_pton(AF_INET, text, bytes) == 1    ? "32"
                       : inet_pton(AF_INET6, text, bytes) == 1 ? "128"
                                                               : NULL;
    if (bits)
        snprintf(out, size, "%s/%s", text, bits);
    return bits != NULL;
}

bool
pg_answer_address(const struct pg_answer *answer, char *out, size_t size)
{
    static const char marks[] = "0123456789abcdefABCDEF.:";
    for (const char *at = answer->words; *at;) {
        char text[INET6_ADDRSTRLEN];
        size_t length = strspn(at, marks);
        if (length >= 2 && length < sizeof text) {
            memcpy(text, at, length);
            text[length] = '\0';
            if (is_address(text, out, size))
                return true;
        }
        at += length ? length : 1;
    }
    return false;
}
