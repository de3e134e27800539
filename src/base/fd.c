#include "base/fd.h"

#include <errno.h>
#include <sys/syscall.h>

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
    if (r->count == FD_RUN_MAX)
        fd_run_close(r);
    r->fds[r->count++] = fd;
    return fd;
}

/* Few and almost in order: scopes end in the opposite order of their beginning. */
static void sort(int *fds, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        const int fd = fds[i];
        unsigned at = i;
        for (; at > 0 && fds[at - 1] > fd; at--)
            fds[at] = fds[at - 1];
        fds[at] = fd;
    }
}

void fd_run_close(struct fd_run *r)
{
    int was = errno;
    sort(r->fds, r->count);
    for (unsigned i = 0, next; i < r->count; i = next) {
        next = i + 1;
        while (next < r->count && r->fds[next] == r->fds[next - 1] + 1)
            next++;
        syscall(SYS_close_range, r->fds[i], r->fds[next - 1], 0);
    }
    r->count = 0;
    errno = was;
}
