/* XXH3 (libxxhash), the one hash of the program: checksums of blocks, schema numbers, message ids. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/base.h"

struct hash128 {
    uint8_t bytes[16]; /* canonical big-endian form */
};

uint64_t hash64(const void *data, size_t size);
uint64_t hash64_seed(const void *data, size_t size, uint64_t seed);
struct hash128 hash128(const void *data, size_t size);

/* Lower-case hex of `size` bytes into `out` (2 * size + 1 bytes); returns `out`. */
char *hash_hex(const void *bytes, size_t size, char *out);

/* `size` random bytes from the system; never fails after start-up. */
void random_bytes(void *out, size_t size);
uint64_t random_u64(void);

#endif
