#include "base/text.h"

#include "base/clock.h"
#include "base/error.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct pattern_row {
    const char *pattern;
    const char *text;
    bool matches;
};

static void
globs_match_whole_texts(void **state)
{
    static const struct pattern_row rows[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "anything at all", true},
        {"**", "", true},
        {"a", "a", true},
        {"a", "A", false},
        {"a", "ab", false},
        {"ab", "a", false},
        {"?", "", false},
        {"?", "a", true},
        {"?", "\xc3\xa9", true}, /* one character, two bytes */
        {"??", "\xc3\xa9", false},
        {"?", "\xff", true}, /* an invalid byte counts as one */
        {"\xff", "\xff", true},
        {"\xff", "\xfe", false},
        {"shop:*", "shop:public.orders", true},
        {"shop:*", "shop2:public.orders", false},
        {"shop:public.*", "shop:public.orders", true},
        {"*.orders", "shop:public.orders", true},
        {"*.orders", "shop:public.orders_old", false},
        {"*a*b*c*", "xxaxxbxxcxx", true},
        {"*a*b*c*", "xxaxxcxxbxx", false},
        {"a*a", "a", false},
        {"a*a", "aa", true},
        {"[abc]", "b", true},
        {"[abc]", "d", false},
        {"[a-c]x", "bx", true},
        {"[a-c]", "-", false},
        {"[!a-c]", "d", true},
        {"[!a-c]", "b", false},
        {"[!a]", "", false},
        {"[a-]", "-", true},
        {"[-a]", "-", true},
        {"[]]", "]", true},
        {"[]a]", "a", true},
        {"[!]]", "]", false},
        {"[!]]", "a", true},
        {"[\\]]", "]", true},
        {"[\\]]", "\\", false},
        {"[c-a]", "b", false},
        {"[\xce\xb1-\xcf\x89]", "\xce\xb2", true}, /* alpha to omega holds beta */
        {"[\xce\xb1-\xcf\x89]", "b", false},
        {"[abc", "[abc", true}, /* not closed: as it stands */
        {"[", "[", true},
        {"[!", "[!", true},
        {"[]", "[]", true},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"\\?", "?", true},
        {"\\[a]", "[a]", true},
        {"\\\\", "\\", true},
        {"a\\", "a\\", true}, /* nothing follows: as it stands */
        {"*\\", "xx\\", true},
        {"*[0-9]", "page 7", true},
        {"*[0-9]", "page", false},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++)
        if (text_glob(slice_of(rows[i].pattern), slice_of(rows[i].text)) != rows[i].matches)
            fail_msg("glob \"%s\" on \"%s\"", rows[i].pattern, rows[i].text);
    assert_true(text_glob((struct slice){NULL, 0}, (struct slice){NULL, 0}));
    assert_true(text_glob(slice_literal("a?b"), slice_literal("a\0b")));
}

static void
like_is_that_of_sql(void **state)
{
    static const struct pattern_row rows[] = {
        {"", "", true},
        {"%", "", true},
        {"_", "", false},
        {"a%", "abc", true},
        {"a%", "Abc", false},
        {"%c", "abc", true},
        {"a_c", "abc", true},
        {"a_c",
         "a\xc3\xa9"
         "c",
         true},
        {"a_c", "ac", false},
        {"%b%d%", "abcd", true},
        {"%d%b%", "abcd", false},
        {"a%a", "a", false},
        {"%\xc3\xa9", "caf\xc3\xa9", true},
        {"%\xc3%", "caf\xc3\xa9", false}, /* half a character is none */
        {"%\xa9", "caf\xc3\xa9", false},
        {"*", "a", false},
        {"[a]", "a", false},
        {"[a]", "[a]", true},
        {"\\%", "\\x", true}, /* no escape character */
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++)
        if (text_like(slice_of(rows[i].pattern), slice_of(rows[i].text), false) != rows[i].matches)
            fail_msg("like \"%s\" on \"%s\"", rows[i].pattern, rows[i].text);
    assert_true(text_like(slice_literal("aBc%"), slice_literal("AbCd"), true));
    assert_true(text_like(slice_literal("M\xc3\x9cLL%"), slice_literal("m\xc3\xbcller"), true));
    assert_true(text_like(slice_literal("\xcf\x82"), slice_literal("\xce\xa3"), true)); /* sigmas */
    assert_false(text_like(slice_literal("\xc3\xa9"), slice_literal("\xc3\x89"), false));
    assert_false(text_like(slice_literal("\xc3\xa9"), slice_literal("e"), true));
}

static bool
slow_like(const char *pattern, const char *text)
{
    if (*pattern == '%')
        return slow_like(pattern + 1, text) || (*text && slow_like(pattern, text + 1));
    return *pattern == '_' ? *text && slow_like(pattern + 1, text + 1)
                           : *pattern == *text && (!*text || slow_like(pattern + 1, text + 1));
}

static void
like_agrees_with_the_definition(void **state)
{
    static const char letters[] = "%%ab_";
    unsigned seed = 1;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        char pattern[8] = "", text[10] = "";
        int kinds = i % 2 ? 4 : 5, size = (int)((seed = seed * 1103515245 + 12345) >> 16) % 8;
        for (int k = 0; k < size; k++)
            pattern[k] = letters[((seed = seed * 1103515245 + 12345) >> 16) % (unsigned)kinds];
        size = (int)((seed = seed * 1103515245 + 12345) >> 16) % 10;
        for (int k = 0; k < size; k++)
            text[k] = "ab"[((seed = seed * 1103515245 + 12345) >> 16) % 2];
        if (text_like(slice_of(pattern), slice_of(text), false) != slow_like(pattern, text))
            fail_msg("like \"%s\" on \"%s\"", pattern, text);
    }
}

/* With backtracking over every run this takes longer than the universe has. */
static void
hostile_patterns_cost_no_more_than_text_times_pattern(void **state)
{
    char pattern[201], text[20001];
    int64_t start = clock_mono();
    (void)state;
    for (size_t i = 0; i < 200; i += 2)
        memcpy(pattern + i, "*a", 2);
    memset(text, 'a', 20000);
    text[20000] = 'b';
    assert_false(text_glob((struct slice){pattern, 200}, (struct slice){text, 20001}));
    for (size_t i = 0; i < 200; i += 2)
        pattern[i] = '%';
    assert_false(text_like((struct slice){pattern, 200}, (struct slice){text, 20001}, true));
    assert_true(clock_mono() - start < 10 * CLOCK_SECOND);
}

static void
globs_are_told_from_names(void **state)
{
    static const struct {
        const char *text;
        bool glob;
    } rows[] = {{"public.orders", false}, {"", false},      {"public.*", true}, {"a?", true},
                {"[ab]", true},           {"a\\*b", false}, {"a\\\\*", true},   {"a\\", false}};
    (void)state;
    for (size_t i = 0; i < countof(rows); i++)
        assert_int_equal(text_has_glob(slice_of(rows[i].text)), rows[i].glob);
}

static void
the_nearest_word_is_suggested(void **state)
{
    static const char *const words[] = {"url", "timeout", "retries", "on", "ops", NULL, "format"};
    static const struct {
        const char *word;
        const char *suggestion;
    } rows[] = {
        {"urll", "url"},
        {"ur", "url"},
        {"URL", "url"},
        {"timout", "timeout"},
        {"tiemout", "timeout"},
        {"retires", "retries"},
        {"om", "on"},
        {"opps", "ops"},
        {"formats", "format"},
        {"x", NULL},
        {"", NULL},
        {"completely", NULL},
        {"time", NULL},
        {"zz", NULL},
    };
    struct {
        const char *name;
        int other;
    } table[] = {{"alpha", 1}, {"beta", 2}};
    char endless[5000];
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        const char *near =
            text_suggest(slice_of(rows[i].word), words, countof(words), sizeof(*words));
        if (rows[i].suggestion ? !near || strcmp(near, rows[i].suggestion) != 0 : near != NULL)
            fail_msg("\"%s\" suggests %s", rows[i].word, near ? near : "nothing");
    }
    assert_string_equal(text_suggest(slice_of("betta"), table, 2, sizeof(*table)), "beta");
    memset(endless, 'u', sizeof(endless));
    assert_null(text_suggest((struct slice){endless, sizeof(endless)}, words, 1, sizeof(*words)));
    assert_null(text_suggest(slice_of("url"), words, 0, sizeof(*words)));
}

static void
utf8_is_checked_strictly(void **state)
{
    static const struct {
        const char *text;
        bool valid;
        size_t length;
    } rows[] = {
        {"", true, 0},
        {"abc", true, 3},
        {"\xc3\xa9", true, 1},
        {"\xe2\x82\xac", true, 1},
        {"\xf0\x9f\x98\x80", true, 1},
        {"\xf4\x8f\xbf\xbf", true, 1},
        {"\xed\x9f\xbf", true, 1},
        {"\xee\x80\x80", true, 1},
        {"\x80", false, 1},             /* continuation alone */
        {"\xc3", false, 1},             /* cut */
        {"\xe2\x82", false, 2},         /* cut */
        {"\xc0\xaf", false, 2},         /* overlong */
        {"\xc1\xbf", false, 2},         /* overlong */
        {"\xe0\x80\xaf", false, 3},     /* overlong */
        {"\xf0\x80\x80\xaf", false, 4}, /* overlong */
        {"\xed\xa0\x80", false, 3},     /* surrogate */
        {"\xf4\x90\x80\x80", false, 4}, /* past U+10FFFF */
        {"\xf8\x88\x80\x80\x80", false, 5},
        {"\xff", false, 1},
        {"a\xc3z", false, 3},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        assert_int_equal(text_is_utf8(slice_of(rows[i].text)), rows[i].valid);
        assert_int_equal(text_length(slice_of(rows[i].text)), rows[i].length);
    }
    assert_true(text_is_utf8((struct slice){NULL, 0}));
}

/* ASCII is looked at in words: whatever stands at any place of one must be seen. */
static void
one_wrong_byte_is_found_anywhere(void **state)
{
    char text[40];
    (void)state;
    for (size_t size = 1; size <= sizeof(text); size++) {
        for (size_t at = 0; at < size; at++) {
            memset(text, 'a', sizeof(text));
            assert_true(text_is_utf8((struct slice){text, size}));
            text[at] = '\xff';
            assert_false(text_is_utf8((struct slice){text, size}));
            text[at] = '\xc3';
            assert_false(text_is_utf8((struct slice){text, size}));
            if (at + 1 < size) {
                text[at + 1] = '\xa9';
                assert_true(text_is_utf8((struct slice){text, size}));
            }
        }
    }
}

static void
texts_are_cut_between_characters(void **state)
{
    static const struct {
        const char *text;
        size_t bytes;
        const char *cut;
    } rows[] = {
        {"abc", 5, "abc"},
        {"abc", 3, "abc"},
        {"abc", 2, "ab"},
        {"abc", 0, ""},
        {"a\xc3\xa9", 2, "a"},
        {"a\xc3\xa9"
         "b",
         3, "a\xc3\xa9"},
        {"\xe2\x82\xac", 2, ""},
        {"\xe2\x82\xac", 1, ""},
        {"x\xf0\x9f\x98\x80", 4, "x"},
        {"x\xf0\x9f\x98\x80y", 5, "x\xf0\x9f\x98\x80"},
        {"\x80\x80\x80\x80\x80", 3, "\x80\x80\x80"}, /* not UTF-8: anywhere */
        {"ab\xffz", 3, "ab\xff"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct slice cut = text_truncate(slice_of(rows[i].text), rows[i].bytes);
        assert_int_equal(cut.size, strlen(rows[i].cut));
        assert_memory_equal(cut.data, rows[i].cut, cut.size);
    }
}

static void
nothing_printed_drives_a_terminal(void **state)
{
    static const struct {
        const char *text;
        const char *line;
        const char *lines;
    } rows[] = {
        {"", "", ""},
        {"plain \xc3\xa9 \xf0\x9f\x98\x80", "plain \xc3\xa9 \xf0\x9f\x98\x80",
         "plain \xc3\xa9 \xf0\x9f\x98\x80"},
        {"a\nb", "a\\nb", "a\nb"},
        {"a\tb", "a\\x09b", "a\tb"},
        {"a\rb", "a\\x0db", "a\\x0db"},
        {"\x1b[31m", "\\x1b[31m", "\\x1b[31m"},
        {"\x7f", "\\x7f", "\\x7f"},
        {"\xc2\x9b"
         "1m",
         "\\xc2\\x9b1m", "\\xc2\\x9b1m"}, /* C1: CSI */
        {"\x9b", "\\x9b", "\\x9b"},       /* the same as a raw byte */
        {"\xe2\x80\xae"
         "abc",
         "\\xe2\\x80\\xaeabc", "\\xe2\\x80\\xaeabc"}, /* right to left */
        {"\xe2\x80", "\\xe2\\x80", "\\xe2\\x80"},
        {"\\x", "\\x", "\\x"},
    };
    struct buffer b;
    (void)state;
    buffer_init(&b, 1000);
    for (size_t i = 0; i < countof(rows); i++) {
        buffer_reset(&b);
        text_printable(&b, slice_of(rows[i].text), false);
        assert_string_equal(buffer_cstring(&b), rows[i].line);
        buffer_reset(&b);
        text_printable(&b, slice_of(rows[i].text), true);
        assert_string_equal(buffer_cstring(&b), rows[i].lines);
    }
    buffer_reset(&b);
    text_printable(&b, slice_literal("a\0b"), false);
    assert_string_equal(buffer_cstring(&b), "a\\x00b");
    buffer_release(&b);
}

static void
case_changes_in_four_scripts(void **state)
{
    static const struct {
        const char *lower;
        const char *upper;
    } rows[] = {
        {"az09-_", "AZ09-_"},
        {"àéîõüÿþ", "ÀÉÎÕÜŸÞ"},
        {"άέήίαβγσωόύώϊϋ", "ΆΈΉΊΑΒΓΣΩΌΎΏΪΫ"},
        {"абвгяѐёѕџѡҁґҿӂӎӏӑԯ", "АБВГЯЀЁЅЏѠҀҐҾӁӍӀӐԮ"},
        {"÷×ß東😀", "÷×ß東😀"},
        {"\xff\xc3", "\xff\xc3"},
    };
    struct buffer b;
    (void)state;
    buffer_init(&b, 1000);
    for (size_t i = 0; i < countof(rows); i++) {
        buffer_reset(&b);
        text_upper(&b, slice_of(rows[i].lower));
        assert_string_equal(buffer_cstring(&b), rows[i].upper);
        buffer_reset(&b);
        text_lower(&b, slice_of(rows[i].upper));
        assert_string_equal(buffer_cstring(&b), rows[i].lower);
    }
    buffer_reset(&b);
    text_upper(&b, slice_of("ς"));
    assert_string_equal(buffer_cstring(&b), "Σ");
    buffer_release(&b);
}

static void
white_space_is_trimmed(void **state)
{
    (void)state;
    assert_true(slice_is(text_trim(slice_literal(" \t\r\n a b \v\f ")), "a b"));
    assert_true(slice_is(text_trim(slice_literal("   ")), ""));
    assert_true(slice_is(text_trim(slice_literal("")), ""));
    assert_int_equal(text_trim((struct slice){NULL, 0}).size, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globs_match_whole_texts),
        cmocka_unit_test(like_is_that_of_sql),
        cmocka_unit_test(like_agrees_with_the_definition),
        cmocka_unit_test(hostile_patterns_cost_no_more_than_text_times_pattern),
        cmocka_unit_test(globs_are_told_from_names),
        cmocka_unit_test(the_nearest_word_is_suggested),
        cmocka_unit_test(utf8_is_checked_strictly),
        cmocka_unit_test(one_wrong_byte_is_found_anywhere),
        cmocka_unit_test(texts_are_cut_between_characters),
        cmocka_unit_test(nothing_printed_drives_a_terminal),
        cmocka_unit_test(case_changes_in_four_scripts),
        cmocka_unit_test(white_space_is_trimmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
