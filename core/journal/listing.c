/* What stands in a journal's folder, by the kinds of its names. Files of other names are left
 * alone. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "journal/journal_private.h"

static void
name_add(char ***names, size_t *count, const char *name)
{
    *names = memory_grow(*names, (*count + 1) * sizeof(**names));
    (*names)[(*count)++] = memory_text(name);
}

static int
newest_first(const void *a, const void *b)
{
    uint64_t lsn, left = 0, right = 0;
    segment_parse_name(*(char *const *)a, &lsn, &left);
    segment_parse_name(*(char *const *)b, &lsn, &right);
    return (left < right) - (left > right);
}

static void
sort_name(struct listing *l, const char *name)
{
    uint64_t lsn, number;
    if (segment_parse_name(name, &lsn, &number))
        name_add(&l->segments, &l->count, name);
    else if (strncmp(name, "spare-", 6) == 0)
        name_add(&l->spares, &l->spare_count, name);
    else if (strncmp(name, "fresh-", 6) == 0)
        name_add(&l->others, &l->other_count, name);
}

int
listing_read(const char *folder, struct listing *out, struct error *err)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    *out = (struct listing){0};
    if (!dir)
        return error_errno(err, ERROR_IO, errno, "cannot read the folder %s", folder);
    while ((entry = readdir(dir)))
        sort_name(out, entry->d_name);
    closedir(dir);
    if (out->count)
        qsort(out->segments, out->count, sizeof(*out->segments), newest_first);
    return 0;
}

static void
names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

void
listing_release(struct listing *l)
{
    names_free(l->segments, l->count);
    names_free(l->spares, l->spare_count);
    names_free(l->others, l->other_count);
    *l = (struct listing){0};
}
