#include "base/fd.h"

#include <errno.h>
#include <sys/syscall.h>

/* Well below any limit on open files. */
enum { RUN_MAX = 64 };

void fd_drop(int *fd)
{
    int was = errno;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = was;
}

int fd_run_add(struct fd_run *r, int fd)
{
    if (fd < 0)
        return fd;
    if (fd != r->end || r->end - r->first == RUN_MAX) {
        fd_run_close(r);
        r->first = fd;
    }
    r->end = fd + 1;
    return fd;
}

void fd_run_close(struct fd_run *r)
{
    int was = errno;
    if (r->end > r->first)
        syscall(SYS_close_range, r->first, r->end - 1, 0);
    *r = (struct fd_run){ 0 };
    errno = was;
}
