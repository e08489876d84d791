#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/asset.h"
#include "base/file.h"
#include "cli/cli.h"

static const struct {
    const char *path;
    const char *asset;
} files[] = {
    {"tidegate.lua", "lua/init/tidegate.lua"},
    {"scripts/example.lua", "lua/init/example.lua"},
    {".gitignore", "lua/init/gitignore"},
};

/* Never overwrites what is there. */
static int
write_file(const char *folder, const char *name, const char *asset, struct error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    const struct asset *a = asset_find(asset);
    ensure(a);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST) {
        fprintf(stderr, "kept   %s\n", path);
        return 0;
    }
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "write %s", path);
    int result = file_write(fd, a->text.data, a->text.size, 0, path, err);
    file_close(fd);
    if (result == 0)
        fprintf(stderr, "wrote  %s\n", path);
    return result;
}

static int
make_folder(const char *path, struct error *err)
{
    if (mkdir(path, 0755) == 0 || errno == EEXIST)
        return 0;
    return error_errno(err, ERROR_IO, errno, "make the folder %s", path);
}

int
cli_init(struct cli *cli, struct error *err)
{
    char scripts[PATH_MAX];
    const char *dir = cli_text(cli, "dir");
    const char *folder = dir ? dir : cli->workspace ? cli->workspace : ".";
    snprintf(scripts, sizeof(scripts), "%s/scripts", folder);
    if (make_folder(folder, err) != 0 || make_folder(scripts, err) != 0)
        return -1;
    for (size_t i = 0; i < countof(files); i++)
        if (write_file(folder, files[i].path, files[i].asset, err) != 0)
            return -1;
    fprintf(stderr, "\nNow name your database in %s/tidegate.lua, then: tidegate start %s\n",
            folder, folder);
    return 0;
}
