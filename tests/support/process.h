/* What a test may want to know of its own process. */
#ifndef SUPPORT_PROCESS_H
#define SUPPORT_PROCESS_H

#include <stddef.h>

/* A port of loopback that is listened to in *fd: free once that is closed. */
int process_port(int *fd);
/* How many descriptors are open. */
size_t process_descriptors(void);

#endif
