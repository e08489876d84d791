/* A folder that is a workspace, and files in it. */
#ifndef UNIT_WORKSPACE_RIG_H
#define UNIT_WORKSPACE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "support/journal_make.h"

#define unused __attribute__((unused))

static char *rig_folder;

static unused int
rig_setup(void **state)
{
    (void)state;
    rig_folder = folder_make("workspace");
    return rig_folder ? 0 : -1;
}

static unused int
rig_teardown(void **state)
{
    (void)state;
    folder_remove(rig_folder);
    return 0;
}

/* "FOLDER/name", good until the next call but three. */
static unused const char *
rig_path(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", rig_folder, name);
    return path;
}

/* Writes a file, and the folders on the way to it. */
static unused void
rig_write(const char *name, const char *text)
{
    const char *path = rig_path(name);
    char part[PATH_MAX];
    for (const char *at = path + strlen(rig_folder) + 1; (at = strchr(at, '/')); at++) {
        snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
        mkdir(part, 0700);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

#endif
