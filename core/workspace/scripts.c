#include "workspace/scripts.h"

#include "workspace/folder.h"

static void
read_one(const char *folder, const char *path, struct scripts *out, rules_problem *problem,
         void *context)
{
    struct error err = {0};
    struct buffer text;
    buffer_init(&text, SCRIPT_MAX);
    int found = folder_read_script(arena_printf(&out->arena, "%s/%s", folder, path), &text, &err);
    if (found > 0)
        out->list[out->count++] =
            (struct rules_script){path, arena_slice(&out->arena, buffer_view(&text))};
    else {
        if (found == 0)
            error_set(&err, ERROR_MISSING, "%s is gone, or a link to nothing", path);
        problem(context, path, &err);
    }
    buffer_release(&text);
}

int
scripts_read(const char *folder, struct scripts *out, rules_problem *problem, void *context,
             struct error *err)
{
    const char *const *paths;
    *out = (struct scripts){0};
    arena_init(&out->arena, 0);
    int count = folder_scripts(folder, &out->arena, &paths, err);
    if (count < 0)
        return -1;
    out->list = arena_zero(&out->arena, ((size_t)count + 1) * sizeof(*out->list));
    for (int i = 0; i < count; i++)
        read_one(folder, paths[i], out, problem, context);
    return 0;
}

void
scripts_release(struct scripts *s)
{
    arena_release(&s->arena);
}
