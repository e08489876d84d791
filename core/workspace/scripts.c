#include "workspace/scripts.h"

#include "workspace/folder.h"

/* The text, or NULL with the problem told. */
static struct slice
read_one(const char *folder, const char *path, struct arena *arena, rules_problem *problem,
         void *context)
{
    struct slice copy = {0};
    struct error err = {0};
    struct buffer text;
    buffer_init(&text, SCRIPT_MAX);
    int found = folder_read_script(arena_printf(arena, "%s/%s", folder, path), &text, &err);
    if (found > 0)
        copy = arena_slice(arena, buffer_view(&text));
    else {
        if (found == 0)
            error_set(&err, ERROR_MISSING, "%s is gone, or a link to nothing", path);
        problem(context, path, &err);
    }
    buffer_release(&text);
    return copy;
}

static int
read_modules(const char *folder, struct scripts *out, rules_problem *problem, void *context,
             struct error *err)
{
    const char *const *paths;
    int count = folder_modules(folder, &out->arena, &paths, err);
    if (count < 0)
        return -1;
    out->module_count = (size_t)count;
    out->modules = arena_zero(&out->arena, (out->module_count + 1) * sizeof(*out->modules));
    for (int i = 0; i < count; i++)
        out->modules[i] = (struct rules_script){
            paths[i], read_one(folder, paths[i], &out->arena, problem, context)};
    return 0;
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
    for (int i = 0; i < count; i++) {
        struct slice text = read_one(folder, paths[i], &out->arena, problem, context);
        if (text.data)
            out->list[out->count++] = (struct rules_script){paths[i], text};
    }
    return read_modules(folder, out, problem, context, err);
}

void
scripts_release(struct scripts *s)
{
    arena_release(&s->arena);
}
