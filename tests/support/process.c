#include "support/process.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <sys/socket.h>
#include "base/base.h"

int
process_port(int *fd)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t size = sizeof(a);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ensure(*fd >= 0);
    ensure(bind(*fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    ensure(listen(*fd, 1) == 0);
    ensure(getsockname(*fd, (struct sockaddr *)&a, &size) == 0);
    return ntohs(a.sin_port);
}

size_t
process_descriptors(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    ensure(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}
