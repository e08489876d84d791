#include "base/text.h"

enum { INVALID = 0x110000, SUGGEST_BYTES = 64 };

/* The character at `at` and its size in bytes. A byte that is not valid UTF-8 counts as a character
 * of its own, INVALID + byte, so that it equals only itself. */
static size_t
decode(const char *at, const char *end, uint32_t *point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = (uint8_t)*at;
    size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t value = size == 1 ? first : first & (0x7fu >> size);
    *point = INVALID + first;
    if (size == 0 || first > 0xf4 || size > (size_t)(end - at))
        return 1;
    for (size_t i = 1; i < size; i++) {
        if (((uint8_t)at[i] & 0xc0) != 0x80)
            return 1;
        value = value << 6 | ((uint8_t)at[i] & 0x3f);
    }
    if (value < least[size] || value >= INVALID || (value >= 0xd800 && value <= 0xdfff))
        return 1;
    *point = value;
    return size;
}

static void
encode(struct buffer *out, uint32_t point)
{
    if (point < 0x80) {
        buffer_byte(out, (uint8_t)point);
        return;
    }
    /* Only letters of the table below change, and all of these have two bytes. */
    ensure(point < 0x800);
    buffer_byte(out, (uint8_t)(0xc0 | point >> 6));
    buffer_byte(out, (uint8_t)(0x80 | (point & 0x3f)));
}

/* One element of a pattern: what globs and LIKE have in common. */
struct element {
    enum { ONE_CHARACTER, ANY_CHARACTER, ANY_RUN, CHARACTER_SET } kind;
    uint32_t point;   /* of ONE_CHARACTER */
    struct slice set; /* of CHARACTER_SET: what stands between the brackets */
    const char *next; /* the element after this one */
};

typedef struct element element_reader(const char *at, const char *end);

static uint32_t
fold_ascii(uint32_t point)
{
    return point >= 'A' && point <= 'Z' ? point | 0x20 : point;
}

/* Takes one character of a set, which a backslash may announce. */
static const char *
set_character(const char *at, const char *end, uint32_t *point)
{
    if (*at == '\\' && at + 1 < end)
        at++;
    return at + decode(at, end, point);
}

static bool
set_holds(struct slice set, uint32_t point)
{
    const char *at = set.data, *end = slice_end(set);
    bool negated = *at == '!';
    at += negated;
    while (at < end) {
        uint32_t first, last;
        at = set_character(at, end, &first);
        last = first;
        if (at + 1 < end && *at == '-')
            at = set_character(at + 1, end, &last);
        if (point >= first && point <= last)
            return !negated;
    }
    return negated;
}

/* The bracket that closes the set which begins after `at`, or NULL: `]` may come first. */
static const char *
set_end(const char *at, const char *end)
{
    if (at < end && *at == '!')
        at++;
    for (const char *first = at; at < end; at++) {
        if (*at == ']' && at > first)
            return at;
        if (*at == '\\' && at + 1 < end)
            at++;
    }
    return NULL;
}

static struct element
glob_element(const char *at, const char *end)
{
    struct element e = {.kind = ONE_CHARACTER};
    const char *close = *at == '[' ? set_end(at + 1, end) : NULL;
    if (close) {
        e.kind = CHARACTER_SET;
        e.set = (struct slice){at + 1, (size_t)(close - at - 1)};
        e.next = close + 1;
    } else if (*at == '*' || *at == '?') {
        e.kind = *at == '*' ? ANY_RUN : ANY_CHARACTER;
        e.next = at + 1;
    } else {
        e.next = set_character(at, end, &e.point);
    }
    return e;
}

static struct element
like_element(const char *at, const char *end)
{
    struct element e = {.kind = ONE_CHARACTER, .next = at + 1};
    if (*at == '%')
        e.kind = ANY_RUN;
    else if (*at == '_')
        e.kind = ANY_CHARACTER;
    else
        e.next = at + decode(at, end, &e.point);
    return e;
}

static uint32_t upper(uint32_t point);
static uint32_t lower(uint32_t point);

/* One form for both cases of a letter. */
static uint32_t
fold_case(uint32_t point)
{
    return point < 0x80 ? fold_ascii(point) : lower(upper(point));
}

static bool
element_takes(const struct element *e, uint32_t point, bool fold)
{
    if (e->kind == CHARACTER_SET)
        return set_holds(e->set, point);
    if (e->kind == ANY_CHARACTER)
        return true;
    return fold ? fold_case(e->point) == fold_case(point) : e->point == point;
}

/* On a mismatch only the newest run grows by one character: an earlier one need never be tried
 * again, since the newest could take what that would free. So the work is text times pattern. */
static bool
match(struct slice pattern, struct slice text, element_reader *read, bool fold)
{
    const char *p = pattern.data, *p_end = slice_end(pattern);
    const char *t = text.data, *t_end = slice_end(text);
    const char *after_run = NULL, *run_until = NULL;
    uint32_t point;
    while (t < t_end) {
        struct element e = p < p_end ? read(p, p_end) : (struct element){.kind = ONE_CHARACTER};
        size_t size = decode(t, t_end, &point);
        if (p < p_end && e.kind == ANY_RUN) {
            after_run = p = e.next;
            run_until = t;
        } else if (p < p_end && element_takes(&e, point, fold)) {
            p = e.next;
            t += size;
        } else if (after_run) {
            p = after_run;
            run_until += decode(run_until, t_end, &point);
            t = run_until;
        } else {
            return false;
        }
    }
    while (p < p_end && read(p, p_end).kind == ANY_RUN)
        p++;
    return p == p_end;
}

bool
text_glob(struct slice pattern, struct slice text)
{
    return match(pattern, text, glob_element, false);
}

/* A pattern of plain pieces and runs between them: each piece is the C library's to find, the first
 * from the left serves best, and the ends are anchored. */
static bool
like_pieces(struct slice pattern, struct slice text)
{
    bool first = true;
    const char *run;
    while (pattern.size && (run = memchr(pattern.data, '%', pattern.size))) {
        size_t size = (size_t)(run - pattern.data);
        const char *found = text.data;
        if (first && (size > text.size || (size && memcmp(found, pattern.data, size) != 0)))
            return false;
        if (!first && size && !(found = memmem(text.data, text.size, pattern.data, size)))
            return false;
        size_t taken = (size_t)(found - text.data) + size;
        text = (struct slice){text.data + taken, text.size - taken};
        pattern = (struct slice){run + 1, pattern.size - size - 1};
        first = false;
    }
    if (first || pattern.size > text.size)
        return first && slice_equal(pattern, text);
    return !pattern.size ||
           memcmp(text.data + text.size - pattern.size, pattern.data, pattern.size) == 0;
}

bool
text_like(struct slice pattern, struct slice text, bool fold)
{
    bool plain = text.size && !fold && !memchr(pattern.data ? pattern.data : "", '_', pattern.size);
    if (plain && text_is_utf8(pattern))
        return like_pieces(pattern, text);
    return match(pattern, text, like_element, fold);
}

bool
text_has_glob(struct slice pattern)
{
    for (size_t i = 0; i < pattern.size; i++) {
        if (pattern.data[i] == '\\')
            i++;
        else if (pattern.data[i] && strchr("*?[", pattern.data[i]))
            return true;
    }
    return false;
}

static size_t
least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool
same_letter(char a, char b)
{
    return fold_ascii((uint8_t)a) == fold_ascii((uint8_t)b);
}

/* Edit distance where swapping two neighbours is one step (optimal string alignment), and case does
 * not count. Both have at most SUGGEST_BYTES bytes. */
static size_t
edit_distance(struct slice a, struct slice b)
{
    size_t rows[3][SUGGEST_BYTES + 1];
    for (size_t j = 0; j <= b.size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            bool same = same_letter(a.data[i - 1], b.data[j - 1]);
            row[j] = least_of(above[j - 1] + !same, 1 + least_of(above[j], row[j - 1]));
            if (i > 1 && j > 1 && same_letter(a.data[i - 1], b.data[j - 2]) &&
                same_letter(a.data[i - 2], b.data[j - 1]))
                row[j] = least_of(row[j], above2[j - 2] + 1);
        }
    }
    return rows[a.size % 3][b.size];
}

const char *
text_suggest(struct slice word, const void *words, size_t count, size_t stride)
{
    size_t nearest = (word.size < 3 ? 1 : word.size / 3) + 1;
    const char *found = NULL;
    if (word.size == 0 || word.size > SUGGEST_BYTES)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const char *candidate;
        size_t distance;
        memcpy(&candidate, (const char *)words + i * stride, sizeof(candidate));
        if (!candidate || !*candidate || strlen(candidate) > SUGGEST_BYTES)
            continue;
        distance = edit_distance(word, slice_of(candidate));
        /* A word with no letter in common is not near, however short both are. */
        if (distance < nearest && (distance < word.size || distance < strlen(candidate))) {
            nearest = distance;
            found = candidate;
        }
    }
    return found;
}

/* The first byte that is not ASCII: each text of each row passes here, so eight bytes at a time. */
static const char *
skip_ascii(const char *at, const char *end)
{
    uint64_t word;
    for (; end - at >= (ptrdiff_t)sizeof(word); at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    while (at < end && (uint8_t)*at < 0x80)
        at++;
    return at;
}

bool
text_is_utf8(struct slice text)
{
    const char *at = text.data, *end = slice_end(text);
    while ((at = skip_ascii(at, end)) < end) {
        do {
            uint32_t point;
            at += decode(at, end, &point);
            if (point >= INVALID)
                return false;
        } while (at < end && (uint8_t)*at >= 0x80);
    }
    return true;
}

size_t
text_length(struct slice text)
{
    const char *at = text.data, *end = slice_end(text);
    size_t length = 0;
    for (uint32_t point; at < end; length++)
        at += decode(at, end, &point);
    return length;
}

struct slice
text_truncate(struct slice text, size_t bytes)
{
    uint32_t point;
    size_t cut = bytes;
    if (text.size <= bytes)
        return text;
    for (size_t back = 1; back <= 3 && back <= bytes; back++) {
        const char *start = text.data + bytes - back;
        if (((uint8_t)*start & 0xc0) == 0x80)
            continue;
        if (decode(start, text.data + text.size, &point) > back)
            cut = bytes - back;
        break;
    }
    return (struct slice){text.data, cut};
}

/* Characters that can move the cursor, or turn the direction in which what follows is read. */
static bool
drives_terminal(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) || point >= INVALID ||
           (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

void
text_printable(struct buffer *out, struct slice text, bool keep_lines)
{
    const char *at = text.data, *end = slice_end(text), *plain = at;
    while (at < end) {
        uint32_t point;
        size_t size = decode(at, end, &point);
        bool kept = !drives_terminal(point) || (keep_lines && (point == '\n' || point == '\t'));
        if (!kept) {
            buffer_append(out, plain, (size_t)(at - plain));
            plain = at + size;
        }
        if (!kept && point == '\n')
            buffer_text(out, "\\n");
        for (size_t i = 0; !kept && point != '\n' && i < size; i++)
            buffer_printf(out, "\\x%02x", (uint8_t)at[i]);
        at += size;
    }
    buffer_append(out, plain, (size_t)(end - plain));
}

/* Runs of lower-case letters with their upper-case ones `distance` below; where `step` is 2, lower
 * and upper case alternate. */
static const struct letters {
    uint32_t first, last; /* lower case */
    int32_t distance;
    uint32_t step;
} letters[] = {
    {'a', 'z', 0x20, 1},     {0xe0, 0xf6, 0x20, 1}, /* Latin-1, without the division sign */
    {0xf8, 0xfe, 0x20, 1},   {0xff, 0xff, 0xff - 0x178, 1}, {0x3ac, 0x3ac, 0x26, 1}, /* Greek */
    {0x3ad, 0x3af, 0x25, 1}, {0x3b1, 0x3c1, 0x20, 1},       {0x3c3, 0x3cb, 0x20, 1},
    {0x3cc, 0x3cc, 0x40, 1}, {0x3cd, 0x3ce, 0x3f, 1},       {0x430, 0x44f, 0x20, 1}, /* Cyrillic */
    {0x450, 0x45f, 0x50, 1}, {0x461, 0x481, 1, 2},          {0x48b, 0x4bf, 1, 2},
    {0x4c2, 0x4ce, 1, 2},    {0x4cf, 0x4cf, 0xf, 1},        {0x4d1, 0x52f, 1, 2},
};

static uint32_t
upper(uint32_t point)
{
    if (point == 0x3c2)
        return 0x3a3; /* the sigma of word ends */
    for (size_t i = 0; i < countof(letters); i++) {
        const struct letters *l = &letters[i];
        if (point >= l->first && point <= l->last && (point - l->first) % l->step == 0)
            return (uint32_t)((int32_t)point - l->distance);
    }
    return point;
}

static uint32_t
lower(uint32_t point)
{
    for (size_t i = 0; i < countof(letters); i++) {
        const struct letters *l = &letters[i];
        uint32_t small = (uint32_t)((int32_t)point + l->distance);
        if (small >= l->first && small <= l->last && (small - l->first) % l->step == 0)
            return small;
    }
    return point;
}

static void
change_case(struct buffer *out, struct slice text, uint32_t (*change)(uint32_t point))
{
    const char *at = text.data, *end = slice_end(text);
    while (at < end) {
        uint32_t point;
        size_t size = decode(at, end, &point);
        uint32_t changed = change(point);
        if (changed == point)
            buffer_append(out, at, size);
        else
            encode(out, changed);
        at += size;
    }
}

void
text_upper(struct buffer *out, struct slice text)
{
    change_case(out, text, upper);
}

void
text_lower(struct buffer *out, struct slice text)
{
    change_case(out, text, lower);
}

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct slice
text_trim(struct slice text)
{
    while (text.size && is_space(text.data[text.size - 1]))
        text.size--;
    while (text.size && is_space(*text.data)) {
        text.data++;
        text.size--;
    }
    return text;
}
