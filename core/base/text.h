/* Text as people and patterns see it: globs, "did you mean", UTF-8, and printing what strangers
 * wrote without letting it drive a terminal. Pure functions, any thread. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/buffer.h"

/* Glob match, case-sensitive, over all of `text`: `*` any run, `?` one character, `[abc]`, `[a-z]`,
 * `[!a]`; a backslash takes the next character as itself. Linear in text times pattern. */
bool text_glob(struct slice pattern, struct slice text);
bool text_has_glob(struct slice pattern); /* does it hold * ? or [ unescaped? */

/* SQL LIKE with % and _ and no escape character; with `fold` the two cases of the letters that
 * text_lower knows are the same. */
bool text_like(struct slice pattern, struct slice text, bool fold);

/* The word of `words` nearest to `word` (edit distance at most a third of its length, at least 1),
 * or NULL. `words` has `count` entries, `stride` bytes apart, each beginning with a char pointer.
 */
const char *text_suggest(struct slice word, const void *words, size_t count, size_t stride);

bool text_is_utf8(struct slice text);                        /* valid UTF-8 without surrogates */
size_t text_length(struct slice text);                       /* code points */
struct slice text_truncate(struct slice text, size_t bytes); /* the longest whole-character start */

/* Appends `text` for a terminal or log: control characters, C1 and invalid bytes as \xNN, so that
 * nothing moves the cursor. Line breaks become \n in two characters unless `keep_lines`. */
void text_printable(struct buffer *out, struct slice text, bool keep_lines);

/* Upper or lower case: ASCII and the letters of Latin-1, Greek and Cyrillic; others as they are. */
void text_upper(struct buffer *out, struct slice text);
void text_lower(struct buffer *out, struct slice text);

struct slice text_trim(struct slice text);

#endif
