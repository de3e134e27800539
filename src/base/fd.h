/* fd.h - a file descriptor that its scope closes. */
#pragma once

#include "base/mem.h"

#include <unistd.h>

/* Closes *fd when it is open and sets it to -1. errno is kept. */
void fd_drop(int *fd);

#define AUTO_FD CLEANUP(fd_drop) int

/* Hands the descriptor over to the caller and forgets it. */
static inline int fd_take(int *fd)
{
    int was = *fd;
    *fd = -1;
    return was;
}

enum { FD_RUN_MAX = 128 }; /* well below any limit on open files */

/* Descriptors that are closed together, with one call for each run of neighbouring numbers, in whatever order
 * they were added. {0} holds none. */
struct fd_run {
    int fds[FD_RUN_MAX];
    unsigned count;
};

/* Takes over `fd`; nothing when it is negative. May close earlier ones. Gives `fd`. */
int fd_run_add(struct fd_run *r, int fd);

/* Closes all. errno is kept. */
void fd_run_close(struct fd_run *r);
