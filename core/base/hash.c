#include "base/hash.h"

#include <errno.h>
#include <sys/random.h>
#include <xxhash.h>

uint64_t
hash64(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

uint64_t
hash64_seed(const void *data, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, size, seed);
}

struct hash128
hash128(const void *data, size_t size)
{
    XXH128_canonical_t canonical;
    struct hash128 hash;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, size));
    memcpy(hash.bytes, canonical.digest, sizeof(hash.bytes));
    return hash;
}

char *
hash_hex(const void *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = bytes;
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[from[i] >> 4];
        out[2 * i + 1] = digits[from[i] & 15];
    }
    out[2 * size] = '\0';
    return out;
}

void
random_bytes(void *out, size_t size)
{
    char *to = out;
    while (size > 0) {
        ssize_t got = getrandom(to, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        ensure(got > 0);
        to += got;
        size -= (size_t)got;
    }
}

uint64_t
random_u64(void)
{
    uint64_t value;
    random_bytes(&value, sizeof(value));
    return value;
}
