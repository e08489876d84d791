/* The text of a CREATE INDEX comes from a stranger's database. Whatever it is, the split must stay
 * inside it, and what it finds must be parts of it. */
#include <stdlib.h>
#include "source/sqlite/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *terms[8], *where = NULL;
    struct arena arena;
    char *sql = memory_slice((struct slice){(const char *)data, size});
    arena_init(&arena, 0);
    int count = index_split(sql, &arena, terms, countof(terms), &where);
    ensure(count >= -1 && count <= (int)countof(terms));
    for (int i = 0; i < count; i++)
        ensure(strstr(sql, terms[i]));
    ensure(count < 0 || !where || strstr(sql, where));
    arena_release(&arena);
    free(sql);
    return 0;
}
