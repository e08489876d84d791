#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Vectors of the XXH3 specification: they pin the algorithm, since hashes stand in files. */
static void
hashes_are_those_of_xxh3(void **state)
{
    char hex[33];
    struct hash128 empty = hash128("", 0);
    (void)state;
    assert_true(hash64("", 0) == 0x2d06800538d394c2ull);
    assert_true(hash64(NULL, 0) == 0x2d06800538d394c2ull);
    assert_true(hash64("a", 1) != hash64("b", 1));
    assert_true(hash64_seed("a", 1, 0) == hash64("a", 1));
    assert_true(hash64_seed("a", 1, 1) != hash64("a", 1));
    assert_string_equal(hash_hex(empty.bytes, sizeof(empty.bytes), hex),
                        "99aa06d3014798d86001c324468d497f");
}

static void
hex_is_lower_case(void **state)
{
    char out[9];
    (void)state;
    assert_string_equal(hash_hex("\x00\x0f\xab\xff", 4, out), "000fabff");
    assert_string_equal(hash_hex("", 0, out), "");
}

static void
random_bytes_fill_and_differ(void **state)
{
    uint8_t bytes[1024] = {0};
    bool seen[256] = {false};
    int kinds = 0;
    (void)state;
    random_bytes(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++) {
        kinds += !seen[bytes[i]];
        seen[bytes[i]] = true;
    }
    assert_true(kinds > 200);
    assert_true(random_u64() != random_u64());
    random_bytes(bytes, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_xxh3),
        cmocka_unit_test(hex_is_lower_case),
        cmocka_unit_test(random_bytes_fill_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
